//! Mounting and unmounting with a real kernel: what a mount point must be, what is left
//! of a process that was killed, who keeps a mount busy, ordinary users.

mod adapter_bed;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use adapter_bed::memory::Memory;
use adapter_bed::{Here, There, point, possible};
use coffer_fs::adapter::ServeOptions;
use coffer_fs::mount::{MountError, MountOptions, UnmountError, Use, mount};

#[test]
fn serves_for_another_process() {
    adapter_bed::serve_if_asked();
}

/// Guards plaintext: mounting over a file, nothing, or something that would be hidden.
#[test]
fn only_an_empty_folder_is_mounted_on() {
    let (dir, point) = point();
    let options = MountOptions::default();
    let missing = mount(&dir.path().join("missing"), &options).unwrap_err();
    assert!(matches!(missing, MountError::NotFound { .. }), "{missing}");
    fs::write(dir.path().join("file"), "x").unwrap();
    let file = mount(&dir.path().join("file"), &options).unwrap_err();
    assert!(matches!(file, MountError::NotAFolder { .. }), "{file}");
    fs::write(point.join(".hidden"), "x").unwrap();
    let full = mount(&point, &options).unwrap_err();
    assert!(matches!(full, MountError::NotEmpty { .. }), "{full}");
    assert_eq!(
        fs::metadata(&point).unwrap().mode() & 0o777,
        0o755,
        "a refusal changes nothing"
    );
}

/// Guards the bare mount point against programs that come too early, a second mount over
/// the first, and two mounts that mix.
#[test]
fn a_mount_and_its_bare_point() {
    if !possible() {
        return;
    }
    let (one, two) = (Here::memory(), Here::memory());
    fs::write(one.path("a"), "one").unwrap();
    fs::write(two.path("a"), "two").unwrap();
    assert_eq!(fs::read(one.path("a")).unwrap(), b"one");
    assert_eq!(fs::read(two.path("a")).unwrap(), b"two");
    let again = mount(one.mount.point(), &MountOptions::default()).unwrap_err();
    assert!(matches!(again, MountError::AlreadyMounted { .. }), "{again}");
    one.mount.unmount().unwrap();
    assert!(!one.mount.is_mounted().unwrap());
    assert_eq!(fs::metadata(one.mount.point()).unwrap().mode() & 0o777, 0o500);
    one.mount.unmount().expect("what is unmounted stays so");
    assert_eq!(fs::read(two.path("a")).unwrap(), b"two", "the other one lives");
}

/// Guards the options' way to the kernel: they hold, and are shown.
#[test]
fn options_hold() {
    if !possible() {
        return;
    }
    let mut options = MountOptions::default();
    options
        .parse("ro,noexec,nosuid,nodev,noatime,fsname=/a b")
        .unwrap();
    let here = Here::new(Arc::new(Memory::default()), &options, ServeOptions::default());
    let refused = fs::write(here.path("a"), "x").unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::EROFS));
    let entry = coffer_fs::mount::find_mounts().unwrap();
    let entry = entry
        .iter()
        .find(|entry| entry.point == here.mount.point())
        .unwrap();
    assert_eq!(entry.source, "/a b");
    for option in ["ro", "noexec", "nosuid", "nodev", "noatime"] {
        assert!(
            entry.options.split(',').any(|shown| shown == option),
            "{option} in {}",
            entry.options
        );
    }
}

/// Guards the way back after a crash: the dead mount is replaced, nobody has to know how.
#[test]
fn a_dead_mount_is_replaced() {
    if !possible() {
        return;
    }
    let (_dir, point) = point();
    let mut dead = There::new(&point);
    fs::write(point.join("a"), "x").unwrap();
    dead.server.kill().unwrap();
    dead.server.wait().unwrap();
    let gone = fs::write(point.join("b"), "x").unwrap_err();
    assert_eq!(gone.raw_os_error(), Some(libc::ENOTCONN));
    let alive = There::new(&point);
    assert!(!point.join("a").exists(), "the new one is in sight");
    assert!(!dead.mount.is_mounted().unwrap(), "the dead one is gone");
    dead.mount.unmount().expect("does not touch the new one");
    assert!(alive.mount.is_mounted().unwrap());
}

/// Guards that "busy" names the process, by each way to be busy, and changes nothing.
#[test]
fn busy_names_who() {
    if !possible() {
        return;
    }
    let here = Here::memory();
    fs::create_dir(here.path("folder")).unwrap();
    fs::write(here.path("file"), "x").unwrap();
    let file = fs::File::open(here.path("file")).unwrap();
    let ways = [
        (
            Use::WorkingFolder,
            Command::new("sleep")
                .current_dir(here.path("folder"))
                .arg("1000")
                .spawn(),
        ),
        (
            Use::OpenFile,
            Command::new("sleep").stdin(Stdio::from(file)).arg("1000").spawn(),
        ),
    ];
    for (what, child) in ways {
        let mut child = child.unwrap();
        let error = here.mount.unmount().unwrap_err();
        let said = error.to_string();
        let UnmountError::Busy { users, .. } = error else {
            panic!("{said}")
        };
        let user = users.iter().find(|user| user.pid == child.id()).expect(&said);
        assert_eq!((user.what, user.command.as_str()), (what, "sleep"));
        assert!(said.contains(&format!("sleep (process {}", child.id())), "{said}");
        assert!(!said.contains("/folder"), "names nothing inside: {said}");
        assert_eq!(fs::read(here.path("file")).unwrap(), b"x", "it is mounted still");
        child.kill().unwrap();
        child.wait().unwrap();
    }
    here.mount.unmount().expect("nobody uses it any more");
}

/// Guards against processes that hang for ever: a cut connection answers.
#[test]
fn an_aborted_mount_answers() {
    if !possible() {
        return;
    }
    let here = Here::memory();
    let mut file = fs::File::create(here.path("a")).unwrap();
    file.write_all(b"x").unwrap();
    here.mount.abort().unwrap();
    let cut = file.write_all(b"y").unwrap_err();
    assert_eq!(cut.raw_os_error(), Some(libc::ENOTCONN));
    let cut = fs::write(here.path("b"), "x").unwrap_err();
    assert_eq!(cut.raw_os_error(), Some(libc::ENOTCONN));
}

/// Guards the lock: a copy of the mount in another namespace must not keep the vault open
/// after it was unmounted here.
#[test]
fn a_copy_of_the_mount_can_be_cut_off() {
    if !possible() {
        return;
    }
    let here = Here::memory();
    let mut shell = Command::new("unshare");
    let mut shell = shell
        .args(["--mount", "sh", "-c", "echo ready; cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = [0; 6];
    shell.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
    here.mount.unmount().unwrap();
    let session = here.session.as_ref().unwrap();
    assert!(!session.wait(Duration::from_millis(1)), "the copy keeps it going");
    match here.mount.abort() {
        Ok(()) => assert!(session.wait(Duration::from_secs(20)), "cut off"),
        Err(error) => eprintln!("SKIPPED the end: no fusectl here: {error}"),
    }
    drop(shell.stdin.take());
    shell.wait().unwrap();
}

/// Runs as nobody, who is nobody special.
fn as_nobody(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid",
        "65534",
        "--regid",
        "65534",
        "--clear-groups",
        "--",
        program,
    ]);
    command
}

/// Where `/dev/fuse` is root's alone (elsewhere everybody may open it), the test is run
/// again where another node lies over it, seen by nobody else.
fn again_with_an_open_device() {
    const AGAIN: &str = "COFFER_TEST_AGAIN";
    if std::env::var_os(AGAIN).is_some() {
        eprintln!("SKIPPED: /dev/fuse cannot be opened by an ordinary user");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let script = "mknod -m 666 \"$1\" c 10 229 && mount --bind \"$1\" /dev/fuse && \
        exec \"$2\" --exact an_ordinary_user_mounts --nocapture";
    let status = Command::new("unshare")
        .args(["--mount", "sh", "-c", script, "sh"])
        .arg(dir.path().join("fuse"))
        .arg(std::env::current_exe().unwrap())
        .env(AGAIN, "1")
        .status()
        .unwrap();
    assert!(status.success());
}

/// Guards the ordinary user's way, through fusermount3.
#[test]
fn an_ordinary_user_mounts() {
    if !possible() {
        return;
    }
    if !as_nobody("fusermount3")
        .arg("-V")
        .status()
        .is_ok_and(|status| status.success())
    {
        eprintln!("SKIPPED: needs setpriv and fusermount3");
        return;
    }
    if !as_nobody("sh")
        .args(["-c", ": <> /dev/fuse"])
        .status()
        .unwrap()
        .success()
    {
        return again_with_an_open_device();
    }
    let (dir, point) = point();
    // The program must lie where that user may run it.
    let program = dir.path().join("program");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    std::os::unix::fs::chown(&point, Some(65534), Some(65534)).unwrap();
    // Bare since the last time: the helper wants to write there, and must be let.
    fs::set_permissions(&point, PermissionsExt::from_mode(0o500)).unwrap();
    let there = There::start(as_nobody(program.to_str().unwrap()), &point, "noexec");
    // Not even root gets in (without allow_other).
    let refused = fs::read_dir(&point).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::EACCES));
    let write = format!("echo hello > '{0}/a' && cat '{0}/a'", point.display());
    let wrote = as_nobody("sh").args(["-c", &write]).output().unwrap();
    assert_eq!(wrote.stdout, b"hello\n", "{wrote:?}");
    let entry = coffer_fs::mount::find_mounts().unwrap();
    let entry = entry.iter().find(|entry| entry.point == point).unwrap();
    for option in ["nosuid", "nodev", "noexec"] {
        assert!(
            entry.options.split(',').any(|shown| shown == option),
            "{option} in {}",
            entry.options
        );
    }
    let unmount = format!("exec fusermount3 -u '{}'", point.display());
    assert!(as_nobody("sh").args(["-c", &unmount]).status().unwrap().success());
    drop(there);
    assert_eq!(fs::metadata(&point).unwrap().mode() & 0o777, 0o500);
}
