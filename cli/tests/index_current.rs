//! What a query sees is current, and no more is told for it than has changed: hashes of what comes and goes, large files while one of them is
//! written all the time, history and blobs, devices' names. Skipped, with a word, where nothing can be mounted.

mod common;
mod truth;

use common::{Stage, cannot_mount, children, kill, until};
use std::fs;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use truth::check::rows;
use truth::pair::Pair;

/// Bytes that take their room.
fn noise(seed: u32, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// Guards hashes of what is fetched and given up: as of a vault that is read for the first time, a file that is not here has none, and one that
/// has come has its own.
#[test]
fn what_was_given_up_has_no_hash_and_what_came_has_one() {
    if cannot_mount() {
        return;
    }
    let pair = Pair::new(true);
    pair.laptop.run(&["sync", "--limit", "1MiB"]).gives(0);
    for n in 0..6 {
        fs::write(pair.desk.mnt().join(format!("Files/{n}.bin")), noise(n, 400_000)).unwrap();
    }
    pair.meet();
    // Whether each of them is here.
    let here = || -> Vec<bool> {
        let ask =
            "SELECT here, content_hash IS NOT NULL AS known FROM files WHERE extension = 'bin' ORDER BY name";
        let rows = rows(&pair.laptop, ask);
        let absent = rows.iter().filter(|row| row["here"] == false);
        for row in absent {
            assert_eq!(row["known"], false, "it is not here, and has a hash");
        }
        rows.iter().map(|row| row["here"] == true).collect()
    };
    let hashless =
        "SELECT name FROM files WHERE here AND content_hash IS NULL AND kind NOT IN ('link', 'special')";
    assert_eq!(here(), [false; 6]);
    // There is room for two: what comes drives out what came before, and comes again.
    let (mut before, mut came, mut went) = (here(), 0, 0);
    let mut next = 0;
    until("files came, went and came again", || {
        next = (next + 1) % 6;
        fs::read(pair.laptop.mnt().join(format!("Files/{next}.bin"))).unwrap();
        until("what is here has a hash", || {
            rows(&pair.laptop, hashless).is_empty()
        });
        let now = here();
        for (was, is) in before.iter().zip(&now) {
            came += usize::from(*is && !was);
            went += usize::from(*was && !is);
        }
        before = now;
        went >= 2 && came > 3
    });
}

/// Guards a file whose bytes came with another's, which has the same: it is here, and has its hash and its text, though nobody read it.
#[test]
fn a_file_whose_bytes_came_with_another_is_here() {
    if cannot_mount() {
        return;
    }
    let pair = Pair::new(true);
    let files = pair.desk.mnt().join("Files");
    let text = "willow\n".repeat(60_000);
    for name in ["one.dat", "two.dat"] {
        fs::write(files.join(name), &text).unwrap();
    }
    pair.meet();
    // What was no text when it came is named as one.
    fs::rename(
        pair.laptop.mnt().join("Files/two.dat"),
        pair.laptop.mnt().join("Files/two.txt"),
    )
    .unwrap();
    pair.meet();
    let ask = "SELECT name, here, content_hash IS NOT NULL AS known, name IN (SELECT name FROM search('willow') JOIN files USING (path)) AS found \
               FROM files WHERE folder = 'Files' ORDER BY name";
    let state = || -> Vec<(bool, bool, bool)> {
        let is = |row: &serde_json::Value, what: &str| row[what] == true;
        let rows = rows(&pair.laptop, ask);
        rows.iter()
            .map(|row| (is(row, "here"), is(row, "known"), is(row, "found")))
            .collect()
    };
    assert_eq!(state(), [(false, false, false); 2]);
    fs::read(pair.laptop.mnt().join("Files/one.dat")).unwrap();
    until("both are here", || {
        state() == [(true, true, false), (true, true, true)]
    });
}

/// Guards that large files get their hashes while one of them is written all the time, and that this one has its own in the end.
#[test]
fn hashes_are_complete_though_one_file_is_written_all_the_time() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    stage.mount();
    let at = |name: &str| stage.mnt().join("Files").join(name);
    // It is the first by its number, too.
    fs::write(at("0.log"), noise(0, 2_000_000)).unwrap();
    let is_over = AtomicBool::new(false);
    let hashless = || {
        rows(
            &stage,
            "SELECT name FROM files WHERE content_hash IS NULL AND name <> '0.log'",
        )
        .len()
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = fs::OpenOptions::new().append(true).open(at("0.log")).unwrap();
            while !is_over.load(Ordering::Relaxed) {
                std::io::Write::write_all(&mut file, &[7; 4096]).unwrap();
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        // The writer ends, too, when this fails.
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for n in 1..8 {
                fs::write(at(&format!("{n}.bin")), noise(n / 2, 400_000)).unwrap();
            }
            until("all others have hashes", || hashless() == 0);
        }));
        is_over.store(true, Ordering::Relaxed);
        done.unwrap();
    });
    let dupes = "SELECT count(*) AS n FROM files WHERE duplicates > 0";
    assert_eq!(rows(&stage, dupes)[0]["n"], 6);
    let last = "SELECT name FROM files WHERE content_hash IS NULL";
    until("the last one has a hash", || rows(&stage, last).is_empty());
}

/// Guards that history and blobs are told when they changed, and not each time that a query names them.
#[test]
fn history_and_blobs_are_told_when_they_changed() {
    if cannot_mount() {
        return;
    }
    if Command::new("strace").arg("-V").output().is_err() {
        eprintln!("skipped: watching what is told needs strace");
        return;
    }
    let stage = Stage::with_vault();
    let daemon = stage.mount();
    for n in 0..400 {
        let name = format!("Files/a file with a name of its own {n}.dat");
        fs::write(stage.mnt().join(name), noise(n, 200)).unwrap();
    }
    fs::write(stage.mnt().join("Files/large.bin"), noise(1, 9_000_000)).unwrap();
    let ask = "SELECT (SELECT count(*) FROM history) AS versions, (SELECT count(*) FROM blobs) AS blobs";
    until("nothing moves", || {
        let before = rows(&stage, ask);
        truth::pair::moving(&stage).is_none() && rows(&stage, ask) == before
    });
    let worker = children(daemon).into_iter().find(|pid| {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.contains("index-worker")
    });
    let worker = worker.expect("it runs");
    let log = stage.path("calls");
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-qq", "-e", "trace=read,recvfrom,recvmsg", "-o"])
        .arg(&log);
    let mut strace = strace
        .args(["-p", &worker.to_string()])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("it is watched", || {
        fs::read_to_string(format!("/proc/{worker}/status"))
            .unwrap()
            .contains(&format!("TracerPid:\t{}", strace.id()))
    });
    // Bytes that were told since it was last asked.
    let mut seen = 0;
    let mut told = || {
        let calls = fs::read_to_string(&log).unwrap_or_default();
        let bytes: i64 = calls
            .lines()
            .filter_map(|line| line.rsplit_once(" = ")?.1.trim().parse::<i64>().ok())
            .filter(|bytes| *bytes > 0)
            .sum();
        bytes - std::mem::replace(&mut seen, bytes)
    };
    let before = rows(&stage, ask);
    told();
    assert_eq!(rows(&stage, ask), before);
    let again = told();
    fs::write(stage.mnt().join("Files/one more.dat"), "new").unwrap();
    let after = rows(&stage, ask);
    let changed = told();
    kill(strace.id(), libc::SIGINT);
    strace.wait().unwrap();
    let versions = |rows: &[serde_json::Value]| rows[0]["versions"].as_u64().unwrap();
    assert_eq!(versions(&after), versions(&before) + 1);
    assert!(changed > 20_000, "what was told is not seen: {changed}");
    assert!(
        again < 4_000,
        "{again} bytes were told though nothing had changed"
    );
}

/// Guards a device's name: each query sees it as it is, and so do tables in the folder, though the feed tells nothing of it.
#[test]
fn a_device_that_is_renamed_is_seen_at_once() {
    if cannot_mount() {
        return;
    }
    let pair = Pair::new(false);
    pair.meet();
    let names = |stage: &Stage| rows(stage, "SELECT DISTINCT device FROM files").len();
    fs::write(pair.laptop.mnt().join("Notes/Mine.md"), "mine\n").unwrap();
    pair.meet();
    assert_eq!(names(&pair.desk), 2);
    let table = pair.desk.mnt().join(".coffer/tables/devices.csv");
    assert!(fs::read_to_string(&table).unwrap().contains("laptop"));
    pair.desk.run(&["device", "rename", "laptop", "Ada's"]).gives(0);
    let made_by = "SELECT device FROM files WHERE name = 'Mine.md'";
    assert_eq!(rows(&pair.desk, made_by)[0]["device"], "Ada's");
    // What was read just before is shown for three seconds, and for a minute only if nothing is known to be other.
    let begun = std::time::Instant::now();
    until("the folder shows it", || {
        fs::read_to_string(&table).is_ok_and(|text| text.contains("Ada's"))
    });
    assert!(
        begun.elapsed() < Duration::from_secs(30),
        "it was shown after {:?}",
        begun.elapsed()
    );
    until("the laptop shows it", || {
        rows(&pair.laptop, made_by)[0]["device"] == "Ada's"
    });
    pair.desk.run(&["device", "remove", "Ada's", "--yes"]).gives(0);
    let state = "SELECT state FROM devices WHERE name LIKE 'Ada%'";
    assert_eq!(rows(&pair.desk, state)[0]["state"], "removed");
}

/// Guards what names say of a file: it is a copy as long as one of its names says so.
#[test]
fn a_file_is_a_copy_while_one_of_its_names_says_so() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    stage.mount();
    let at = |name: &str| stage.mnt().join("Notes").join(name);
    let copies = || rows(&stage, "SELECT path FROM files WHERE conflict IS NOT NULL").len();
    fs::write(at("Plan.md"), "plan\n").unwrap();
    assert_eq!(copies(), 0);
    let named = [
        "Plan (desk 2026-03-01 10.20).md",
        "Other (desk 2026-03-01 10.20).md",
    ];
    for name in named {
        fs::hard_link(at("Plan.md"), at(name)).unwrap();
        assert_eq!(
            copies(),
            fs::metadata(at(name))
                .map(|meta| std::os::unix::fs::MetadataExt::nlink(&meta))
                .unwrap() as usize
        );
    }
    fs::rename(at(named[0]), at("Plain.md")).unwrap();
    assert_eq!(copies(), 3);
    fs::remove_file(at(named[1])).unwrap();
    assert_eq!(copies(), 0);
}
