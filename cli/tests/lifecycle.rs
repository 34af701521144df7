//! A vault's life while mounted: opening, busy, killed, copied, idle, forced, ended. Through the
//! built program and real mounts; skipped, with a word, where nothing can be mounted.

mod common;

use common::{PASSWORD, Stage, cannot_mount, children, files, kill, lives, until};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

/// Guards the whole round: mount, use, lock; and that afterwards no process of ours and no
/// socket is left.
#[test]
fn opens_and_locks() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    let pid = stage.mount();
    for folder in ["Notes", "Contacts", "Tasks", "Files"] {
        assert!(stage.mnt().join(folder).is_dir(), "{folder}");
    }
    let welcome = fs::read_to_string(stage.mnt().join("Notes/Welcome.md")).unwrap();
    assert!(welcome.starts_with("# Welcome"));
    let status = stage.run(&["status", "--json"]).gives(0).json();
    assert_eq!(status["state"], "open");
    assert_eq!(status["mount"]["pid"], pid);
    // Again at the same place is fine; elsewhere is not.
    stage.open(&["mount", "mnt"]).gives(0);
    fs::create_dir(stage.path("other")).unwrap();
    stage.open(&["mount", "other"]).gives(5);
    // The guardian, and the index.
    until("both are there", || children(pid).len() == 2);
    let below = children(pid);
    stage.run(&["lock"]).gives(0);
    assert!(!stage.is_mounted());
    let left: Vec<_> = below.iter().chain([&pid]).filter(|pid| lives(**pid)).collect();
    assert!(left.is_empty(), "a process is left");
    assert_eq!(fs::read_dir(stage.path("run/coffer")).unwrap().count(), 0);
    assert_eq!(
        stage.run(&["status", "--json"]).gives(0).json()["state"],
        "locked"
    );
}

/// Guards that a wrong password mounts nothing and leaves nothing running.
#[test]
fn wrong_password_leaves_nothing() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    stage
        .run_with(&["mount", "mnt", "--password-stdin"], "wrong\n")
        .gives(3);
    assert!(!stage.is_mounted());
    until("the daemon has ended", || stage.processes().is_empty());
    stage.mount();
}

/// Guards that nobody's work is cut off: a busy mount stays, and says who uses it; forced, it
/// ends, and what was written is kept, through mapped memory too.
#[test]
fn busy_mount_names_its_users() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    let pid = stage.mount();
    let path = stage.mnt().join("Notes/mapped");
    let mut writer = Command::new("python3")
        .args(["-c", "import mmap,sys\nf=open(sys.argv[1],'w+b'); f.truncate(8192)\nm=mmap.mmap(f.fileno(),8192); m[4096:4102]=b'mapped'\nprint('ready',flush=True); sys.stdin.read()"])
        .arg(&path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(writer.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "ready\n");
    let said = stage.run(&["unmount", "mnt", "--json"]).gives(5);
    let error: serde_json::Value = serde_json::from_str(&said.err).unwrap();
    let users = error["error"]["users"].as_array().unwrap();
    assert!(users.iter().any(|user| user["pid"] == writer.id()), "{users:?}");
    assert!(stage.is_mounted() && lives(pid));
    stage.run(&["lock", "--force"]).gives(0);
    assert!(!stage.is_mounted() && !lives(pid));
    drop(writer.stdin.take());
    writer.wait().unwrap();
    stage.mount();
    let bytes = fs::read(&path).unwrap();
    assert_eq!((bytes.len(), &bytes[4096..4102]), (8192, &b"mapped"[..]));
}

/// Guards the day after a kill -9: the guardian ends, nobody hangs, the dead mount is recognised,
/// replaced by mounting, and taken away by unmounting.
#[test]
fn killed_daemon_is_replaced() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    let pid = stage.mount();
    let guardian = children(pid)[0];
    kill(pid, libc::SIGKILL);
    until("the guardian has ended", || !lives(guardian));
    assert!(stage.is_mounted(), "a dead mount is what this test is about");
    assert!(fs::read_dir(stage.mnt()).is_err());
    assert_eq!(
        stage.run(&["status", "--json"]).gives(0).json()["state"],
        "locked"
    );
    let pid = stage.mount();
    assert!(stage.mnt().join("Notes").is_dir());
    kill(pid, libc::SIGKILL);
    until("the daemon is gone", || !lives(pid));
    until("the mount is dead", || fs::read_dir(stage.mnt()).is_err());
    stage.run(&["unmount", "mnt"]).gives(0);
    assert!(!stage.is_mounted());
    stage.run(&["unmount", "mnt"]).gives(9);
}

/// Guards the option that takes a dead mount away by itself.
#[test]
fn guardian_detaches_if_asked() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    let said = stage
        .open(&["mount", "mnt", "--detach-if-killed", "--json"])
        .gives(0);
    kill(
        u32::try_from(said.json()["pid"].as_u64().unwrap()).unwrap(),
        libc::SIGKILL,
    );
    until("the mount is gone", || !stage.is_mounted());
}

/// Guards against one vault living on as two without knowing: a copy asks, and the answer is remembered.
#[test]
fn copies_are_noticed() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    stage.mount();
    stage.run(&["lock"]).gives(0);
    let copied = Command::new("cp")
        .arg("-a")
        .arg(stage.vault())
        .arg(stage.path("v2"))
        .status()
        .unwrap();
    assert!(copied.success());
    let said = stage.open(&["mount", "--vault", "v2", "mnt"]).gives(7);
    assert!(
        said.err.contains("--moved") && said.err.contains("--copied"),
        "{}",
        said.err
    );
    assert!(!stage.is_mounted());
    stage
        .open(&["mount", "--vault", "v2", "mnt", "--copied"])
        .gives(0);
    stage.run(&["lock", "--vault", "v2"]).gives(0);
    for vault in ["v", "v2"] {
        stage.open(&["mount", "--vault", vault, "mnt"]).gives(0);
        stage.run(&["lock", "--vault", vault]).gives(0);
    }
}

/// Guards that two open copies of one vault are told apart.
#[test]
fn two_copies_at_once() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    Command::new("cp")
        .arg("-a")
        .arg(stage.vault())
        .arg(stage.path("v2"))
        .status()
        .unwrap();
    fs::create_dir(stage.path("mnt2")).unwrap();
    stage.mount();
    stage
        .open(&["mount", "--vault", "v2", "mnt2", "--copied"])
        .gives(0);
    let open = stage.run(&["status", "--all", "--json"]).gives(0).json();
    assert_eq!(open["open"].as_array().unwrap().len(), 2);
    stage.run(&["lock", "--vault", "v2"]).gives(0);
    assert_eq!(stage.run(&["status", "--json"]).gives(0).json()["state"], "open");
    assert_eq!(
        stage.run(&["lock", "--all", "--json"]).gives(0).json()["locked"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

/// Guards auto-lock: an unused vault closes by itself, a used one stays.
#[test]
fn idle_vault_locks_itself() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    let said = stage.open(&["mount", "mnt", "--idle", "1s", "--json"]).gives(0);
    let pid = u32::try_from(said.json()["pid"].as_u64().unwrap()).unwrap();
    until("it has locked itself", || !lives(pid));
    assert!(!stage.is_mounted());
    // The setting is for all mounts but those that say otherwise.
    stage.run(&["settings", "lock-idle", "1s"]).gives(0);
    stage.open(&["mount", "mnt", "--idle", "never"]).gives(0);
    assert!(stage.run(&["status", "--json"]).gives(0).json()["mount"]["locks_after_seconds"].is_null());
    stage.run(&["lock"]).gives(0);
    // A shell in the folder is use.
    stage.open(&["mount", "mnt", "--idle", "1s"]).gives(0);
    let mut shell = Command::new("sleep")
        .arg("1000")
        .current_dir(stage.mnt())
        .spawn()
        .unwrap();
    let log = stage.path("state/coffer/daemon.log");
    until("the daemon has tried and been refused", || {
        fs::read_to_string(&log).is_ok_and(|log| log.contains("is in use"))
    });
    assert!(stage.is_mounted());
    shell.kill().unwrap();
    shell.wait().unwrap();
}

/// Guards the setting for suspend, as the sleep hook asks for it.
#[test]
fn suspend_obeys_the_setting() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    stage.mount();
    let busy = File::open(stage.mnt().join("Notes/Welcome.md")).unwrap();
    stage.run(&["lock", "--suspend"]).gives(5);
    stage.run(&["settings", "lock-suspend", "never"]).gives(0);
    assert_eq!(
        stage.run(&["lock", "--suspend", "--json"]).gives(0).json()["locked"],
        false
    );
    stage.run(&["settings", "lock-suspend", "always"]).gives(0);
    assert_eq!(
        stage.run(&["lock", "--suspend", "--json"]).gives(0).json()["locked"],
        true
    );
    assert!(!stage.is_mounted());
    drop(busy);
}

/// Guards the orderly end by signal, and by umount(8).
#[test]
fn signals_and_umount_end_in_order() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    let pid = stage.mount();
    fs::write(stage.mnt().join("Notes/a"), "kept").unwrap();
    kill(pid, libc::SIGTERM);
    until("SIGTERM has ended it", || !lives(pid));
    assert!(!stage.is_mounted());
    let pid = stage.mount();
    assert_eq!(fs::read_to_string(stage.mnt().join("Notes/a")).unwrap(), "kept");
    // Whoever looks through /proc at this moment keeps it busy for as long.
    until("umount has been let", || {
        rustix::mount::unmount(stage.mnt(), rustix::mount::UnmountFlags::empty()).is_ok()
    });
    until("umount has ended it", || !lives(pid));
    assert_eq!(fs::read_dir(stage.path("run/coffer")).unwrap().count(), 0);
}

/// Guards the password while mounted: changed through the daemon, and checked by it.
#[test]
fn passwd_and_recover_work_while_mounted() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    stage.mount();
    stage
        .run_with(&["passwd", "--password-stdin"], "wrong\nnew password 3\n")
        .gives(3);
    stage
        .run_with(
            &["passwd", "--password-stdin"],
            &format!("{PASSWORD}\nnew password 3\n"),
        )
        .gives(0);
    stage.open(&["recover", "--new"]).gives(3);
    let made = stage
        .run_with(
            &["recover", "--new", "--password-stdin", "--json"],
            "new password 3\n",
        )
        .gives(0)
        .json();
    assert_eq!(made["recovery_phrase"].as_array().unwrap().len(), 24);
    assert!(stage.mnt().join("Notes/Welcome.md").exists());
    stage.run(&["check", "--read-data"]).gives(0);
    stage.run(&["backup", "mnt/inside"]).gives(2);
    stage.run(&["backup", "copy"]).gives(0);
    stage.run(&["lock"]).gives(0);
    stage.open(&["mount", "mnt"]).gives(3);
    stage
        .run_with(&["mount", "mnt", "--password-stdin"], "new password 3\n")
        .gives(0);
}

/// Guards against leaks: the daemon shows the password in no argument, environment, log or file,
/// cannot be dumped, and keeps no descriptor of whoever started it.
#[test]
fn daemon_keeps_to_itself() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    let (listener, inherited) = std::io::pipe().unwrap();
    // A descriptor that a shell would pass on without knowing.
    rustix::io::fcntl_setfd(&inherited, rustix::io::FdFlags::empty()).unwrap();
    let status = stage
        .command(&["mount", "mnt"])
        .env("COFFER_PASSWORD_COMMAND", format!("echo '{PASSWORD}'"))
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    drop(inherited);
    // Ends at once unless the daemon or its guardian holds the other end.
    let mut ended = [PollFd::new(&listener, PollFlags::IN)];
    let patience = Timespec {
        tv_sec: 30,
        tv_nsec: 0,
    };
    assert_eq!(
        poll(&mut ended, Some(&patience)),
        Ok(1),
        "somebody holds an inherited descriptor"
    );
    assert!(ended[0].revents().contains(PollFlags::HUP));
    let pid = stage.run(&["status", "--json"]).gives(0).json()["mount"]["pid"]
        .as_u64()
        .unwrap();
    let pid = u32::try_from(pid).unwrap();
    for process in [pid, children(pid)[0]] {
        for what in ["cmdline", "environ"] {
            let bytes = fs::read(format!("/proc/{process}/{what}")).unwrap();
            assert!(
                !String::from_utf8_lossy(&bytes).contains(PASSWORD),
                "{what} of {process}"
            );
        }
        let limits = fs::read_to_string(format!("/proc/{process}/limits")).unwrap();
        let core = limits
            .lines()
            .find(|line| line.starts_with("Max core file size"))
            .unwrap();
        assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    }
    assert_eq!(
        fs::read_link(format!("/proc/{pid}/cwd")).unwrap().to_str(),
        Some("/")
    );
    stage.run(&["lock"]).gives(0);
    for dir in ["v", "state", "run", "home"] {
        for file in files(&stage.path(dir)) {
            let bytes = fs::read(&file).unwrap();
            let found = bytes
                .windows(PASSWORD.len())
                .any(|window| window == PASSWORD.as_bytes());
            assert!(!found, "the password lies in {}", file.display());
        }
    }
}

/// Guards the daemon against whoever reaches its socket: nonsense is answered, silence harms nobody.
#[test]
fn control_socket_survives_nonsense() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    let pid = stage.mount();
    let socket = fs::read_dir(stage.path("run/coffer"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "sock"))
        .unwrap();
    let silent: Vec<UnixStream> = (0..40).map(|_| UnixStream::connect(&socket).unwrap()).collect();
    let long = vec![b'x'; 100_000];
    for nonsense in [
        &b"\n"[..],
        b"{}\n",
        b"{\"coffer\":99,\"op\":\"status\"}\n",
        b"{\"coffer\":3,\"op\":\"explode\"}\n",
        b"{\"coffer\":3,\"op\":\"passwd\",\"kdf\":null}\n",
        b"{\"coffer\":3,\"op\":\"passwd\",\"kdf\":null,\"secrets\":[4294967296]}\n",
        &long,
    ] {
        let mut stream = UnixStream::connect(&socket).unwrap();
        // The daemon may hang up before all is written.
        let _ = stream.write_all(nonsense);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        assert!(
            answer.is_empty() || answer.starts_with("{\"failed\":"),
            "{answer}"
        );
    }
    assert_eq!(
        stage.run(&["status", "--json"]).gives(0).json()["mount"]["pid"],
        pid
    );
    drop(silent);
    stage.run(&["lock"]).gives(0);
}

/// Guards mount(8)'s spelling with its codes, our options in it, and its silence.
#[test]
fn mount_helper_speaks_mount8() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    fs::write(stage.path("key"), PASSWORD).unwrap();
    let (vault, mnt) = (stage.vault(), stage.mnt());
    let (vault, mnt) = (vault.to_str().unwrap(), mnt.to_str().unwrap());
    let key = format!("rw,noatime,passwordfile={}", stage.path("key").display());
    let said = stage.run(&[vault, mnt, "-o", &key]).gives(0);
    assert_eq!(said.out, "");
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = table.lines().find(|line| line.contains(mnt)).unwrap();
    assert!(line.contains("noatime") && line.contains("fuse.coffer"), "{line}");
    stage.run(&["lock"]).gives(0);
    stage.run(&[vault, mnt, "-o", "nonsense"]).gives(1);
    stage.run(&[vault, "/nonexistent/mnt", "-o", &key]).gives(32);
}

/// Guards the foreground: it says when it is ready, and Ctrl-C ends it in order.
#[test]
fn foreground_ends_by_interrupt() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    fs::write(stage.path("key"), PASSWORD).unwrap();
    let mut child = stage
        .command(&["mount", "-f", "mnt", "--password-file", "key"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert!(line.contains("Ctrl-C"), "{line}");
    assert!(stage.mnt().join("Notes").is_dir());
    kill(child.id(), libc::SIGINT);
    assert!(child.wait().unwrap().success());
    assert!(!stage.is_mounted());
}
