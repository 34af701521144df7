//! Guards what salvage makes of batches that were joined: their events count once, wherever they lie; those that lay in
//! batches before count beside what was joined as it is damaged; and nothing of what was told is missed.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use coffer_store::ids::ROOT;
use coffer_store::io::Disk;
use coffer_store::io::real::RealDisk;
use coffer_store::keys::{KdfParams, Password};
use coffer_store::record::{Meta, Time};
use coffer_store::tree::Kind;
use coffer_store::vault::{Identity, Sealed, Vault, salvage};

const NAMES: [&str; 3] = ["one.md", "two.md", "three"];

fn password() -> Password {
    Password::new(b"correct horse battery staple".to_vec())
}

fn save(vault: &Vault, name: &str, text: &str) {
    let time = Time::now();
    let meta = Meta {
        kind: Kind::File,
        perm: 0o600,
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        rdev: 0,
        nlink: 1,
        atime: time,
        mtime: time,
        ctime: time,
        btime: time,
        xattrs: None,
    };
    let ino = match vault.lookup(ROOT, name.as_bytes()) {
        Ok(ino) => ino,
        Err(_) => vault.make(ROOT, name.as_bytes(), meta, b"").unwrap(),
    };
    vault.open(ino, true, true, false).unwrap();
    vault.write(ino, Some(0), text.as_bytes(), false).unwrap();
    vault.release(ino, true);
    vault.commit().unwrap();
}

fn body(name: &str, n: usize) -> String {
    format!("what {name} says, {n}\n")
}

/// A vault in which each file was saved so often, joined at the end, or before that too; without its database.
fn told(dir: &Path, saves: usize, collected: bool) {
    fs::create_dir(dir).unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(dir).unwrap());
    let (mut vault, _) = Vault::create_on(disk, &password(), KdfParams::FLOOR, false, None).unwrap();
    vault.stop_keeper();
    for n in 0..saves {
        for name in NAMES {
            save(&vault, name, &body(name, n));
        }
        if n % 4 == 3 {
            assert!(vault.join_batches().unwrap().batches > 0);
        }
    }
    save(&vault, "last", "told after all that was joined\n");
    if collected {
        // In a pack of its own, so that those before are written anew.
        vault.limit_packs(4096);
        save(&vault, "more", "told after all that\n");
        vault.collect().unwrap();
        vault.close().unwrap();
        drop(vault);
        vault = Sealed::open(dir)
            .unwrap()
            .unlock(&password(), Identity::Same)
            .unwrap();
        vault.stop_keeper();
    }
    vault.close().unwrap();
    drop(vault);
    fs::write(dir.join("vault.redb"), b"nothing of it is left").unwrap();
}

/// What salvage brings of each file, and how often it names damage.
fn salvaged(dir: &Path, n: usize) -> (Vec<Option<String>>, usize) {
    let dest = dir.with_file_name(format!("out-{n}"));
    let report = salvage(dir, &password(), &dest, &mut |_| {}).unwrap();
    let read = |name: &&str| fs::read_to_string(dest.join(name)).ok();
    let damaged = report
        .problems
        .iter()
        .filter(|problem| problem.what.contains("damaged"))
        .count();
    (NAMES.iter().chain(&["last"]).map(read).collect(), damaged)
}

fn expected(saves: usize) -> Vec<Option<String>> {
    let files = NAMES.iter().map(|name| Some(body(name, saves - 1)));
    files
        .chain([Some("told after all that was joined\n".into())])
        .collect()
}

/// Those that were joined followed the same event as what they became, and were taken for what a failed commit had
/// left, and with them all that came after.
#[test]
fn what_was_joined_is_brought_out() {
    for collected in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("vault");
        told(&dir, 10, collected);
        assert_eq!(salvaged(&dir, 0), (expected(10), 0), "collected: {collected}");
    }
}

/// A bit flips in each batch in turn: what is lost is what the event said alone, or nothing where it lies elsewhere, too.
#[test]
fn damage_in_what_was_joined_costs_what_it_hits() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("vault");
    told(&dir, 6, false);
    let pack = fs::read_dir(&dir)
        .unwrap()
        .map(|file| file.unwrap().path())
        .find(|path| path.to_string_lossy().contains("pack-"))
        .unwrap();
    let whole = fs::read(&pack).unwrap();
    let (mut at, mut batches) = (0, Vec::new());
    while at < whole.len() {
        let len = u32::from_le_bytes(whole[at + 5..at + 9].try_into().unwrap()) as usize;
        if whole[at + 4] == 14 {
            batches.push((at + 45, at + 45 + len));
        }
        at += 45 + len;
    }
    // The longest is of those that were joined.
    let joined = batches.iter().max_by_key(|(from, to)| to - from).unwrap();
    let mut n = 1;
    for (from, to) in [joined, batches.last().unwrap()] {
        for at in (*from..*to).step_by((to - from) / 12) {
            let mut altered = whole.clone();
            altered[at] ^= 4;
            fs::write(&pack, &altered).unwrap();
            let (files, damaged) = salvaged(&dir, n);
            let lost = files.iter().zip(expected(6)).filter(|(is, was)| **is != *was);
            let most = usize::from(from != &joined.0);
            assert!(lost.count() <= most, "{at} of {from} to {to}: {files:?}");
            assert!(damaged > 0, "{at} of {from} to {to}");
            n += 1;
        }
    }
}
