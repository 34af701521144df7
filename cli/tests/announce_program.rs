//! Announcing by the built program: what is imported reaches whoever watches, for an ordinary user
//! too; and kill -9 of the daemon or of its announcing helper in the middle of it leaves nobody hanging,
//! and the mount usable, or ended.

mod common;
mod mounted;
mod transfer;

use common::{Stage, cannot_mount, children, kill, lives, until};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Guards the way from an import to inotify, as root and as somebody who may do little.
#[test]
fn an_import_is_told() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    if cannot_mount() || !mounted::possible(&["inotifywait"]) {
        return;
    }
    // An ordinary user mounts only where everybody may use the device.
    let everybody = fs::metadata("/dev/fuse").unwrap().permissions().mode() & 0o006 == 0o006;
    if !everybody {
        eprintln!("not tried as an ordinary user: /dev/fuse is root's");
    }
    for ordinary in [false, true]
        .into_iter()
        .filter(|ordinary| everybody || !ordinary)
    {
        let stage = Stage::new();
        transfer::give_to_nobody(&stage);
        let run = |args: &[&str]| match ordinary {
            true => transfer::as_nobody(&stage, args).gives(0),
            false => stage.open(args).gives(0),
        };
        run(&[
            "init",
            "--no-recovery",
            "--kdf-memory",
            "19MiB",
            "--kdf-passes",
            "2",
            "--kdf-lanes",
            "1",
        ]);
        fs::create_dir(stage.path("inbox")).unwrap();
        fs::write(stage.path("inbox/note.md"), "one").unwrap();
        fs::create_dir(stage.path("inbox/folder")).unwrap();
        let mounted = run(&["mount", "mnt", "--json"]);
        let daemon = u32::try_from(mounted.json()["pid"].as_u64().unwrap()).unwrap();
        let watched = stage.path("mnt/Notes");
        let mut watcher = Command::new("inotifywait");
        watcher.args(["-m", "--format", "%e %f"]).arg(watched);
        if ordinary {
            watcher.uid(transfer::NOBODY).gid(transfer::NOBODY);
        }
        let mut watcher = mounted::Heard::start(watcher);
        watcher.until("it watches", |line| line.contains("Watches established"));
        run(&["import", "inbox/.", "--into", "Notes"]);
        let heard = watcher.until("the note", |line| line == "CLOSE_WRITE,CLOSE note.md");
        // It knows nothing but its pipes: no descriptor of the kernel's or the vault's, no environment.
        let helper = helper(daemon).unwrap();
        let listed = fs::read_dir(format!("/proc/{helper}/fd")).unwrap().flatten();
        let mut fds: Vec<_> = listed.map(|entry| entry.file_name()).collect();
        fds.sort();
        assert_eq!(fds, ["0", "1", "2"]);
        assert_eq!(fs::read(format!("/proc/{helper}/environ")).unwrap(), b"");
        let later = || watcher.so_far();
        assert!(
            heard
                .iter()
                .chain(&later())
                .any(|line| line == "CREATE,ISDIR folder"),
            "{heard:?}"
        );
        fs::write(stage.path("inbox/note.md"), "another").unwrap();
        run(&["import", "inbox/note.md", "--into", "Notes", "--replace"]);
        watcher.until("the other note", |line| line == "MOVED_TO note.md");
        drop(watcher);
        kill(daemon, libc::SIGTERM);
        until("it has ended", || !lives(daemon));
    }
}

/// Rounds; each kills once, or the helper as often as it comes back.
const ROUNDS: u64 = 36;
/// Files that are announced in a round.
const FILES: u64 = 400;

/// Numbers that are the same in every run.
struct Dice(u64);
impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// A process's state (R, S, D, Z …), if it is there.
fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// The daemon's announcing helper.
fn helper(daemon: u32) -> Option<u32> {
    let is_helper = |pid: &u32| {
        let args = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        args.ends_with(b"announce\0")
    };
    children(daemon).into_iter().find(is_helper)
}

fn plant(dir: &Path, round: u64) {
    fs::create_dir_all(dir).unwrap();
    for i in 0..FILES {
        fs::write(dir.join(format!("note-{i}")), format!("round {round}, note {i}")).unwrap();
    }
}

/// Programs that use the mount: they end when they are told, unless they hang in it.
fn users(stage: &Stage) -> Vec<Child> {
    let script = "while [ ! -e ../stop ]; do ls -l mnt/in >/dev/null 2>&1; cat mnt/in/note-1* >/dev/null 2>&1; \
                  echo mine > mnt/in/mine-$$ 2>/dev/null; mv mnt/in/mine-$$ mnt/in/moved-$$ 2>/dev/null; done";
    let script = script.replace("../stop", "stop");
    (0..2)
        .map(|_| {
            Command::new("sh")
                .args(["-c", &script])
                .current_dir(stage.path("."))
                .stdin(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect()
}

/// Guards everybody beside an announcement that is killed.
#[test]
fn nobody_hangs() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    let mut dice = Dice(0x00c0_ffee);
    let (mut hit, mut kills) = (0, 0);
    for round in 0..ROUNDS {
        let kills_daemon = round % 2 == 0;
        plant(&stage.path("in"), round);
        let daemon = stage.mount();
        let _ = fs::read_dir(stage.path("mnt/in")).map(|listing| listing.count());
        let mut users = users(&stage);
        let import = stage
            .command(&["import", "in", "--replace"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut import = import.unwrap();
        let seen = AtomicBool::new(false);
        until("announcing has begun, or is over", || {
            seen.store(helper(daemon).is_some(), Ordering::Relaxed);
            seen.load(Ordering::Relaxed) || import.try_wait().unwrap().is_some()
        });
        hit += u32::from(seen.load(Ordering::Relaxed));
        let mut dying = vec![daemon];
        if kills_daemon {
            std::thread::sleep(Duration::from_micros(dice.below(60_000)));
            dying.extend(helper(daemon));
            kill(daemon, libc::SIGKILL);
            kills += 1;
        } else {
            dying.clear();
            while import.try_wait().unwrap().is_none() {
                if let Some(helper) = helper(daemon) {
                    kill(helper, libc::SIGKILL);
                    dying.push(helper);
                    kills += 1;
                }
                std::thread::sleep(Duration::from_micros(dice.below(30_000)));
            }
        }
        // Bounded by what `until` bounds: the import hears the end, and whoever was killed is gone.
        until("the import ends", || import.try_wait().unwrap().is_some());
        until("the killed are gone", || dying.iter().all(|pid| !lives(*pid)));
        fs::write(stage.path("stop"), "").unwrap();
        for user in &mut users {
            until("its users end", || {
                user.try_wait().unwrap().is_some() || {
                    let stuck: Vec<_> = children(user.id()).into_iter().filter_map(state).collect();
                    assert!(state(user.id()).is_some(), "{stuck:?}");
                    false
                }
            });
        }
        fs::remove_file(stage.path("stop")).unwrap();
        if kills_daemon {
            // What the kernel still shows by itself counts as nothing.
            until("the mount has ended", || rustix::fs::statfs(stage.mnt()).is_err());
        } else {
            assert!(lives(daemon), "the daemon survives its helper");
            let text = fs::read_to_string(stage.path("mnt/in/note-7")).unwrap();
            assert_eq!(text, format!("round {round}, note 7"));
            for i in 0..FILES {
                assert!(stage.path(&format!("mnt/in/note-{i}")).exists(), "{i}");
            }
            fs::write(stage.path("mnt/after"), "usable").unwrap();
            stage.run(&["lock"]).gives(0);
        }
    }
    eprintln!("{kills} kills in {ROUNDS} rounds; in {hit} of them announcing was under way");
    assert!(hit > ROUNDS as u32 / 2, "or this guards nothing");
}
