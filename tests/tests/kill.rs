//! Guards what was saved against the daemon's sudden death: kill -9 under load, again and
//! again. Nothing that fsync acknowledged is lost, no file is torn, `check` is clean, and no
//! process stays behind in an uninterruptible wait.

use coffer_tests::command::{process_state, until, wait};
use coffer_tests::load::{Kind, verify};
use coffer_tests::settings::pick;
use coffer_tests::vault::Vault;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// A writer at work: its kind, its process, and its log.
struct Writer {
    kind: Kind,
    child: Child,
    dir: PathBuf,
    log: PathBuf,
}

impl Writer {
    fn start(kind: Kind, dir: PathBuf, log: PathBuf) -> Writer {
        fs::create_dir(&dir).expect("the round is new");
        fs::write(&log, "").expect("the round is new");
        let child = Command::new(env!("CARGO_BIN_EXE_coffer-load"))
            .arg(kind.to_string())
            .args([&dir, &log])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the writer is built with this suite");
        Writer {
            kind,
            child,
            dir,
            log,
        }
    }

    fn has_acknowledged(&self) -> bool {
        fs::metadata(&self.log).is_ok_and(|meta| meta.len() > 0)
    }
}

fn start_all(mountpoint: &Path, logs: &Path, round: u32) -> Vec<Writer> {
    let within = mountpoint.join(format!("round-{round}"));
    fs::create_dir(&within).expect("the round is new");
    fs::File::open(mountpoint)
        .and_then(|dir| dir.sync_all())
        .expect("fsync of a folder");
    let start = |kind: Kind| {
        Writer::start(
            kind,
            within.join(kind.to_string()),
            logs.join(format!("{round}-{kind}")),
        )
    };
    Kind::ALL.into_iter().map(start).collect()
}

/// Rounds of kill -9 while all kinds of writers write.
#[test]
fn nothing_acknowledged_is_lost_to_a_kill() {
    let Some(vault) = Vault::mounted() else { return };
    let logs = vault.scratch();
    let mut rng = SmallRng::seed_from_u64(9);
    let mut acknowledged = 0;
    for round in 0..pick(10, 200) {
        let mut writers = start_all(&vault.mountpoint, &logs, round);
        until("every writer has something acknowledged", || {
            for writer in &mut writers {
                let ended = writer.child.try_wait().expect("it is our child");
                assert!(
                    ended.is_none(),
                    "the {} writer ended early: {ended:?}",
                    writer.kind
                );
            }
            writers.iter().all(Writer::has_acknowledged).then_some(())
        });
        // Any moment will do, a different one each time.
        thread::sleep(Duration::from_millis(rng.random_range(0..400)));
        vault.kill();
        for writer in &mut writers {
            wait(
                &mut writer.child,
                &format!("the {} writer after the kill", writer.kind),
            );
        }
        vault.mount();
        for writer in &writers {
            acknowledged += verify(writer.kind, &writer.dir, &writer.log)
                .unwrap_or_else(|what| panic!("round {round}: {what}"));
        }
        vault.assert_sound();
        let stuck: Vec<u32> = stuck_processes();
        assert!(
            stuck.is_empty(),
            "round {round}: in an uninterruptible wait: {stuck:?}"
        );
        if round > 0 {
            fs::remove_dir_all(vault.mountpoint.join(format!("round-{}", round - 1)))
                .expect("an older round can be removed");
        }
    }
    println!("{acknowledged} acknowledged steps were found again");
    vault.lock();
}

/// A reader that waits for the daemon when that is killed gets an error, not an endless wait.
#[test]
fn a_reader_is_not_left_waiting() {
    let Some(vault) = Vault::mounted() else { return };
    let path = vault.mountpoint.join("large");
    fs::write(&path, vec![7; 64 << 20]).expect("there is room");
    vault.lock();
    for round in 0..pick(3, 20) {
        vault.mount();
        let mut reader = Command::new("cat")
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("cat is there");
        thread::sleep(Duration::from_millis(round * 5));
        vault.kill();
        wait(&mut reader, "cat after the kill");
    }
}

/// Those of our session that stay in state D over several looks.
fn stuck_processes() -> Vec<u32> {
    let in_d = || -> Vec<u32> {
        let all = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|pid| process_state(*pid) == Some('D') && waits_for_fuse(*pid))
            .collect()
    };
    let mut stuck = in_d();
    for _ in 0..50 {
        if stuck.is_empty() {
            break;
        }
        thread::sleep(Duration::from_millis(20));
        let still = in_d();
        stuck.retain(|pid| still.contains(pid));
    }
    stuck
}

/// Other waits in D (a slow disk) are not ours to judge.
fn waits_for_fuse(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stack")).is_ok_and(|stack| stack.contains("fuse"))
}
