//! Guards what went wrong for people: endings that hung, disks that stayed full, words that were
//! missing. Through the built program and real mounts; skipped, with a word, where nothing can be mounted.

mod common;

use common::{PASSWORD, Stage, cannot_mount, kill, lives, until};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

/// A process that ends with the test.
struct Killed(Child);
impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process in a mount namespace of its own, which keeps a copy of all that is mounted.
fn keeper_of_a_copy() -> Killed {
    let mut keeper = Command::new("unshare")
        .args([
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            "echo there; exec sleep 1000",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(keeper.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "there\n");
    Killed(keeper)
}

/// `lock` waited for ever, with the keys in memory, while a private mount namespace held a copy
/// of the mount. It ends it, also for who has the copy, and keeps what was written.
#[test]
fn lock_ends_a_mount_copied_into_a_namespace() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    let pid = stage.mount();
    fs::write(stage.mnt().join("Notes/kept"), "kept").unwrap();
    let copy = keeper_of_a_copy();
    let seen = format!("/proc/{}/root{}", copy.0.id(), stage.mnt().display());
    assert_eq!(fs::read(format!("{seen}/Notes/kept")).unwrap(), b"kept");
    let mut lock = stage.command(&["lock"]).stdout(Stdio::null()).spawn().unwrap();
    until("lock has ended", || lock.try_wait().unwrap().is_some());
    assert!(lock.wait().unwrap().success());
    assert!(!lives(pid) && !stage.is_mounted());
    // Names that the kernel has cached may still be shown there; nothing can be opened.
    assert!(
        fs::read(format!("{seen}/Notes/kept")).is_err(),
        "the copy still shows the vault"
    );
    drop(copy);
    stage.mount();
    assert_eq!(
        fs::read_to_string(stage.mnt().join("Notes/kept")).unwrap(),
        "kept"
    );
}

/// An older database put back alone was taken for what a crash had left: packs of the newer state were
/// deleted, and nobody was asked.
#[test]
fn an_older_database_put_back_raises_a_question() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    let (database, other) = (stage.vault().join("vault.redb"), |name: &str| stage.path(name));
    stage.mount();
    fs::write(stage.mnt().join("old"), "old").unwrap();
    stage.run(&["lock"]).gives(0);
    fs::copy(&database, other("older.redb")).unwrap();
    stage.mount();
    fs::write(stage.mnt().join("new"), vec![7; 200_000]).unwrap();
    stage.run(&["lock"]).gives(0);
    fs::copy(&database, other("newer.redb")).unwrap();
    let packs = || {
        let names = fs::read_dir(stage.vault()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name.contains("pack-")).collect();
        names.sort();
        names
    };
    // As if the newer state had begun a pack of its own.
    fs::copy(
        stage.vault().join("pack-00000001"),
        stage.vault().join("pack-00000002"),
    )
    .unwrap();

    // Copied over, so that even its inode is the same.
    fs::copy(other("older.redb"), &database).unwrap();
    let said = stage.open(&["mount", "mnt"]).gives(7);
    assert!(
        said.err.contains("--moved") && said.err.contains("--copied"),
        "{}",
        said.err
    );
    // Whoever only looks decides nothing.
    stage.open(&["check"]).gives(0);
    assert_eq!(packs(), ["pack-00000001", "pack-00000002"]);
    stage.open(&["mount", "mnt", "--moved"]).gives(0);
    assert_eq!(fs::read(stage.mnt().join("old")).unwrap(), b"old");
    assert!(!stage.mnt().join("new").exists());
    fs::write(stage.mnt().join("between"), "between").unwrap();
    let status = stage.run(&["status"]).gives(0).out;
    assert!(status.contains("aside-pack-00000002"), "{status}");
    assert!(stage.run(&["check"]).gives(0).out.contains("aside-pack-00000002"));
    stage.run(&["lock"]).gives(0);
    assert!(
        packs().contains(&"aside-pack-00000002".to_owned()),
        "{:?}",
        packs()
    );
    // The answer is remembered.
    stage.mount();
    stage.run(&["lock"]).gives(0);

    // And back again: that, too, is another state than the last.
    fs::copy(other("newer.redb"), &database).unwrap();
    stage.open(&["mount", "mnt"]).gives(7);
    stage.open(&["mount", "mnt", "--moved"]).gives(0);
    assert_eq!(fs::read(stage.mnt().join("old")).unwrap(), b"old");
    assert_eq!(fs::read(stage.mnt().join("new")).unwrap(), vec![7; 200_000]);
    assert!(!stage.mnt().join("between").exists());
    stage.run(&["check", "--read-data"]).gives(0);
}

/// fsync answered that all was durable in files that had been deleted, and nobody said a word.
#[test]
fn a_deleted_vault_takes_no_more_writes() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    let pid = stage.mount();
    let kept = stage.mnt().join("kept");
    fs::write(&kept, "kept").unwrap();
    fs::remove_dir_all(stage.vault()).unwrap();
    let synced = |name: &str| {
        let path = stage.mnt().join(name);
        let mut file = File::create(path)?;
        file.write_all(b"x")?;
        file.sync_all()
    };
    let error = synced("a").expect_err("nothing can be durable");
    assert_eq!(error.raw_os_error(), Some(libc::EIO));
    let error = fs::write(stage.mnt().join("b"), "x").expect_err("no write is taken any more");
    assert_eq!(error.raw_os_error(), Some(libc::EIO));
    assert_eq!(
        fs::read(&kept).unwrap(),
        b"kept",
        "what is open can be saved elsewhere"
    );
    let log = stage.path("state/coffer/daemon.log");
    until("the log says it", || {
        fs::read_to_string(&log).is_ok_and(|log| log.contains("was deleted or replaced"))
    });
    // The folder that names the vault is not there.
    for args in [&["status"][..], &["status", "--all"]] {
        let said = stage.run(args).gives(0).out;
        assert!(said.contains("was deleted or replaced"), "{said}");
    }
    let said = stage.run(&["lock"]).gives(1).err;
    assert!(
        said.contains("was deleted or replaced") && said.contains("--force"),
        "{said}"
    );
    assert!(stage.is_mounted() && lives(pid));
    let said = stage.run(&["lock", "--force"]).gives(1).err;
    assert!(said.contains("is lost"), "{said}");
    assert!(!stage.is_mounted() && !lives(pid));
}

/// A dead mount was mentioned by no command that was not told where it was.
#[test]
fn a_dead_mount_is_found_by_its_vault() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    for ending in ["lock", "unmount"] {
        let pid = stage.mount();
        kill(pid, libc::SIGKILL);
        until("the daemon is gone", || !lives(pid));
        until("the mount is dead", || fs::read_dir(stage.mnt()).is_err());
        let mnt = stage.mnt();
        let status = stage.run(&["status"]).gives(0).out;
        assert!(
            status.contains("Dead mount") && status.contains(mnt.to_str().unwrap()),
            "{status}"
        );
        let status = stage.run(&["status", "--json"]).gives(0).json();
        assert_eq!(status["dead_mounts"][0], mnt.to_str().unwrap());
        let said = stage.run(&[ending]).gives(0).out;
        assert!(
            said.contains("dead mount") && said.contains(mnt.to_str().unwrap()),
            "{said}"
        );
        assert!(!stage.is_mounted());
        assert!(!stage.run(&["status"]).gives(0).out.contains("Dead mount"));
    }
    stage.run(&["unmount"]).gives(9);
}

/// Of several mounts at once one was told that another process uses the vault.
#[test]
fn mounts_at_once_find_one_mount() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    for round in 0..3 {
        let all: Vec<Child> = (0..6)
            .map(|_| {
                let mut mount = stage
                    .command(&["mount", "mnt", "--password-stdin"])
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .stderr(Stdio::piped())
                    .spawn()
                    .unwrap();
                writeln!(mount.stdin.take().unwrap(), "{PASSWORD}").unwrap();
                mount
            })
            .collect();
        let said: Vec<String> = all
            .into_iter()
            .map(|mount| {
                let said = common::Said::from(mount.wait_with_output().unwrap()).gives(0);
                said.out
            })
            .collect();
        let mnt = stage.mnt();
        assert!(
            said.iter().all(|said| said.contains(mnt.to_str().unwrap())),
            "{said:?}"
        );
        let first = said.iter().filter(|said| !said.contains("already")).count();
        assert_eq!(first, 1, "round {round}: {said:?}");
        stage.run(&["lock"]).gives(0);
    }
}

/// Two vaults were mounted at one place at once, one over the other; and locking the one took
/// the other's mount away.
#[test]
fn of_two_vaults_at_one_place_one_is_refused() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    stage.init("v2");
    for round in 0..20 {
        let both: Vec<Child> = ["v", "v2"]
            .map(|vault| {
                let mut mount = stage
                    .command(&["mount", "--vault", vault, "mnt", "--password-stdin"])
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .stderr(Stdio::piped())
                    .spawn()
                    .unwrap();
                writeln!(mount.stdin.take().unwrap(), "{PASSWORD}").unwrap();
                mount
            })
            .into();
        let said: Vec<common::Said> = both
            .into_iter()
            .map(|mount| common::Said::from(mount.wait_with_output().unwrap()))
            .collect();
        let open = said.iter().filter(|said| said.code == 0).count();
        assert_eq!(open, 1, "round {round}: {:?} {:?}", said[0].err, said[1].err);
        let open = stage.run(&["lock", "--all", "--json"]).gives(0).json();
        assert_eq!(open["locked"].as_array().unwrap().len(), 1);
        assert!(!stage.is_mounted(), "round {round}");
    }
}

/// Of several locks at once only one was told that it is locked.
#[test]
fn locks_at_once_all_hear_that_it_is_locked() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    for _ in 0..5 {
        stage.mount();
        fs::write(stage.mnt().join("Notes/x"), "x").unwrap();
        let all: Vec<Child> = (0..4)
            .map(|_| {
                let mut lock = stage.command(&["lock"]);
                lock.stdout(Stdio::piped())
                    .stderr(Stdio::piped())
                    .spawn()
                    .unwrap()
            })
            .collect();
        for lock in all {
            common::Said::from(lock.wait_with_output().unwrap()).gives(0);
        }
        assert!(!stage.is_mounted());
    }
}

/// The new password was asked for, and thought up, before the phrase or the old password was found
/// to be wrong.
#[test]
fn what_proves_the_right_is_checked_before_a_new_password_is_asked_for() {
    let stage = Stage::new();
    let made = stage
        .open(&[
            "init",
            "--recovery",
            "--json",
            "--kdf-memory",
            "19MiB",
            "--kdf-passes",
            "2",
        ])
        .gives(0);
    assert!(made.json()["recovery_phrase"].is_array());
    // A well-formed phrase of another vault.
    let other = stage.path("other");
    let other = other.to_str().unwrap();
    let args = [
        "init",
        "--recovery",
        "--json",
        "--kdf-memory",
        "19MiB",
        "--kdf-passes",
        "2",
        "--vault",
        other,
    ];
    let words = stage.open(&args).gives(0).json();
    let words: Vec<String> = serde_json::from_value(words["recovery_phrase"].clone()).unwrap();
    fs::write(stage.path("phrase"), words.join(" ")).unwrap();
    // Nobody could give a new one: asking for it would be another failure.
    stage.run(&["recover", "--phrase-file", "phrase"]).gives(3);
    fs::write(stage.path("wrong"), "not the password\n").unwrap();
    let passwd = ["passwd", "--password-file", "wrong"];
    stage.run(&passwd).gives(3);
    if cannot_mount() {
        return;
    }
    stage.mount();
    stage.run(&passwd).gives(3);
}

/// A stopped daemon was waited for without a word, by status for ever.
#[test]
fn a_stopped_daemon_is_named() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    let pid = stage.mount();
    kill(pid, libc::SIGSTOP);
    let all: Vec<Child> = ["status", "lock"]
        .iter()
        .map(|word| {
            let mut command = stage.command(&[word]);
            command
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in all {
        let said = common::Said::from(child.wait_with_output().unwrap()).gives(5).err;
        let waiting = said.find("Waiting for").expect(&said);
        let stopped = said.find(&format!("kill -CONT {pid}")).expect(&said);
        assert!(waiting < stopped, "{said}");
    }
    kill(pid, libc::SIGCONT);
    stage.run(&["lock"]).gives(0);
}

/// Among those who keep the mount busy was the very command that asked.
#[test]
fn a_lock_from_within_the_mount_does_not_name_itself() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    stage.mount();
    let within = |args: &[&str]| {
        let mut command = stage.command(args);
        common::Said::from(command.current_dir(stage.mnt()).output().unwrap())
    };
    let busy = File::open(stage.mnt().join("Notes/Welcome.md")).unwrap();
    let said = within(&["lock", "--json"]).gives(5).err;
    let error: serde_json::Value = serde_json::from_str(&said).unwrap();
    let users: Vec<u64> = error["error"]["users"]
        .as_array()
        .unwrap()
        .iter()
        .map(|user| user["pid"].as_u64().unwrap())
        .collect();
    assert_eq!(users, [u64::from(std::process::id())]);
    drop(busy);
    // And standing there does not keep it from locking.
    within(&["lock"]).gives(0);
    assert!(!stage.is_mounted());
}

/// What the daemon calls its mount, for the guardian.
fn mark(stage: &Stage) -> String {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mnt = stage.mnt();
    let line = table.lines().rfind(|line| line.split(' ').nth(4) == mnt.to_str());
    let fields: Vec<&str> = line.unwrap().split(' ').collect();
    let minor = fields[2].split_once(':').unwrap().1;
    let unique = rustix::fs::StatxFlags::from_bits_retain(0x4000);
    let how = rustix::fs::AtFlags::STATX_DONT_SYNC;
    let found = rustix::fs::statx(rustix::fs::CWD, &mnt, how, unique).unwrap();
    let unique = match found.stx_mask & unique.bits() {
        0 => 0,
        _ => found.stx_mnt_id,
    };
    format!("{minor}-{}-{unique}", fields[0])
}

/// A daemon was killed while one of its threads waited, in the kernel, for a lock that a program held
/// which waited for the daemon: that thread kept the guardian's pipe open, and all of them stayed for
/// ever. The guardian hears of the main thread's death now.
#[test]
fn the_guardian_acts_though_its_pipe_stays_open() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    let pid = stage.mount();
    let watch = serde_json::json!({ "watch": {
        "mark": mark(&stage), "mountpoint": stage.mnt().to_str().unwrap(), "detach": false,
    } });
    // In the place of the daemon's main thread, one of ours.
    let mut guardian = std::thread::scope(|scope| {
        let main = scope.spawn(|| {
            let mut guardian = stage
                .command(&["guardian"])
                .stdin(Stdio::piped())
                .spawn()
                .unwrap();
            let syscall = format!("/proc/{}/syscall", guardian.id());
            let pipe = guardian.stdin.as_mut().unwrap();
            writeln!(pipe, "{watch}").unwrap();
            let mut still = 0;
            until("the guardian waits for the next word", || {
                let reads = fs::read_to_string(&syscall).is_ok_and(|call| call.starts_with("0 0x0 "));
                let empty = rustix::io::ioctl_fionread(&*pipe).unwrap() == 0;
                still = if reads && empty { still + 1 } else { 0 };
                still > 3
            });
            assert!(fs::read_dir(stage.mnt()).is_ok(), "it has acted too early");
            guardian
        });
        main.join().unwrap()
    });
    // The daemon itself is alive here, and ends because its connection was cut.
    until("the daemon has ended", || !lives(pid));
    assert!(guardian.stdin.is_some(), "its pipe is open all the while");
    drop(guardian.stdin.take());
    assert!(guardian.wait().unwrap().success());
}

/// The same for the journal alone: what was made durable in it before is there when the vault is
/// opened again, and nothing is said to be durable in a file that nobody will find.
#[test]
fn a_deleted_journal_takes_no_more_writes() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    stage.mount();
    let sync = |name: &str| {
        let mut file = File::create(stage.mnt().join(name))?;
        file.write_all(b"x")?;
        file.sync_all()
    };
    // The first goes to the database's file.
    sync("first").unwrap();
    sync("a").unwrap();
    fs::remove_file(stage.vault().join("vault.journal")).unwrap();
    let error = sync("b").expect_err("nothing can be durable");
    assert_eq!(error.raw_os_error(), Some(libc::EIO));
    stage.run(&["lock", "--force"]).gives(1);
    stage.mount();
    assert_eq!(fs::read(stage.mnt().join("a")).unwrap(), b"x");
    sync("b").unwrap();
}
