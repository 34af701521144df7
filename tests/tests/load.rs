//! Guards the kill suite's own judgement: what a writer left on a plain file system when it
//! was killed is found whole, and every kind of loss or tear that is then planted is found.

use coffer_tests::command::{until, wait};
use coffer_tests::load::{FILES, Kind, verify};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

/// A writer's folder and log after at least `lines` acknowledgements.
fn written(kind: Kind, lines: usize) -> tempfile::TempDir {
    let place = tempfile::tempdir().expect("temporary folders can be made");
    let (dir, log) = (place.path().join("dir"), place.path().join("log"));
    fs::create_dir(&dir).expect("it is new");
    let mut writer = Command::new(env!("CARGO_BIN_EXE_coffer-load"))
        .arg(kind.to_string())
        .args([&dir, &log])
        .spawn()
        .expect("the writer is built with this suite");
    until("the writer has acknowledged enough", || {
        let found = fs::read_to_string(&log).unwrap_or_default();
        (found.lines().count() >= lines).then_some(())
    });
    writer.kill().expect("it is our child");
    wait(&mut writer, "a killed writer");
    place
}

/// The number of the file that the step after the last acknowledged one is about.
fn under_way(log: &Path) -> u64 {
    let log = fs::read_to_string(log).unwrap_or_default();
    let last: u64 = log
        .lines()
        .filter_map(|line| line.parse().ok())
        .next_back()
        .unwrap_or(0);
    (last + 1) % FILES
}

fn judge(kind: Kind, place: &Path) -> Result<u64, String> {
    verify(kind, &place.join("dir"), &place.join("log"))
}

/// What a plain file system keeps is whole.
#[test]
fn a_killed_writer_leaves_whole_files() {
    for kind in Kind::ALL {
        if kind == Kind::Truncate {
            // Killed between its truncation and its close, a writer does leave half a file; the
            // vault is what must not, when its daemon is killed.
            continue;
        }
        let place = written(kind, 5);
        let last = judge(kind, place.path()).unwrap_or_else(|what| panic!("{what}"));
        assert!(last >= 5, "{kind}: only {last} steps were acknowledged");
    }
}

/// Bytes cut, flipped, zeroed or put back, and names lost: each is found.
#[test]
fn planted_losses_are_found() {
    for kind in Kind::ALL {
        let name = match kind {
            Kind::Append => "log",
            Kind::Slots => "slots",
            _ => "",
        };
        // Whichever file there is; not one that may have been made by the step under way, of which
        // nothing was acknowledged.
        let victim = |place: &Path| {
            let dir = &place.join("dir");
            let under_way = under_way(&place.join("log")).to_string();
            let mut names: Vec<_> = fs::read_dir(dir)
                .expect("it is there")
                .map(|entry| entry.expect("it is readable").path())
                .filter(|path| path.extension().is_none() && fs::metadata(path).is_ok_and(|m| m.len() > 100))
                .filter(|path| kind != Kind::Names || !path.ends_with(&under_way))
                .collect();
            names.sort_by_key(|path| std::cmp::Reverse(fs::metadata(path).map_or(0, |meta| meta.len())));
            if name.is_empty() {
                names.into_iter().next()
            } else {
                Some(dir.join(name))
            }
        };
        type Plant = fn(&Path);
        let plants: [(&str, Plant); 4] = [
            ("cut", |path| {
                let file = OpenOptions::new().write(true).open(path).expect("it is there");
                file.set_len(50).expect("it can be cut");
            }),
            ("flipped", |path| {
                let file = OpenOptions::new()
                    .read(true)
                    .write(true)
                    .open(path)
                    .expect("it is there");
                let mut byte = [0];
                file.read_exact_at(&mut byte, 60).expect("it is long enough");
                file.write_all_at(&[byte[0] ^ 4], 60).expect("it can be written");
            }),
            ("zeroed", |path| {
                let file = OpenOptions::new().write(true).open(path).expect("it is there");
                file.write_all_at(&[0; 40], 30).expect("it can be written");
            }),
            ("emptied", |path| fs::write(path, "").expect("it can be written")),
        ];
        for (what, plant) in plants {
            // The first file may be the one that the killed writer was at, of which nothing was
            // acknowledged: then there is no loss to be found in it, and another run is made.
            let found = (0..5).any(|_| {
                let place = loop {
                    let place = written(kind, 5);
                    // A writer of names may be killed when it has just removed them all, one that
                    // truncates when it has just done so.
                    if judge(kind, place.path()).is_ok() && victim(place.path()).is_some() {
                        break place;
                    }
                };
                let path = victim(place.path()).expect("looked for just now");
                plant(&path);
                judge(kind, place.path()).is_err()
            });
            assert!(found, "{kind}: what was {what} is not found");
        }
    }
}

/// A slot put back to what it held before, everything else left new, is found.
#[test]
fn an_old_slot_is_found() {
    let place = written(Kind::Slots, 20);
    let path = place.path().join("dir/slots");
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .expect("it is there");
    judge(Kind::Slots, place.path()).unwrap_or_else(|what| panic!("{what}"));
    // With 320 steps over 64 slots, this one was written more than once, but is now as never written.
    file.write_all_at(&[0; 4096], 4096).expect("it can be written");
    assert!(judge(Kind::Slots, place.path()).is_err());
}
