//! Guards that room comes back: what no file names any more goes from the packs, and
//! everything that a file does name stays readable, open files and clones too.

use coffer_store::ids::ROOT;
use coffer_store::io::sim::{SimDisk, SplitMix64};
use coffer_store::record::{Meta, Time};
use coffer_store::tree::Kind;
use coffer_store::vault::Vault;
use coffer_tests::engine::{check, create, open};

fn file(vault: &Vault, name: &[u8], bytes: &[u8]) -> u64 {
    let now = Time::now();
    let meta = Meta {
        kind: Kind::File,
        perm: 0o644,
        uid: 0,
        gid: 0,
        rdev: 0,
        nlink: 1,
        atime: now,
        mtime: now,
        ctime: now,
        btime: now,
        xattrs: None,
    };
    let ino = vault.make(ROOT, name, meta, b"").unwrap();
    vault.open(ino, true, false, false).unwrap();
    for (i, part) in bytes.chunks(1 << 20).enumerate() {
        vault.write(ino, Some((i << 20) as u64), part, false).unwrap();
    }
    vault.release(ino, true);
    ino
}

fn read(vault: &Vault, ino: u64) -> Vec<u8> {
    let mut out = Vec::new();
    vault.read(ino, 0, usize::MAX >> 1, &mut out).unwrap();
    out
}

#[test]
fn room_comes_back_and_what_is_alive_stays() {
    let disk = SimDisk::new();
    let vault = create(&disk);
    let mut rng = SplitMix64(7);
    let names: Vec<Vec<u8>> = (0..24).map(|i| format!("f{i}").into_bytes()).collect();
    let contents: Vec<Vec<u8>> = names.iter().map(|_| rng.bytes(24 << 20)).collect();
    let inos: Vec<u64> = names
        .iter()
        .zip(&contents)
        .map(|(n, c)| file(&vault, n, c))
        .collect();
    vault.commit().unwrap();
    // A clone keeps its chunks though the original goes; so does a file that is open.
    let clone = file(&vault, b"clone", b"");
    assert_eq!(vault.copy((inos[1], 0), (clone, 0), 24 << 20).unwrap(), 24 << 20);
    vault.hold(inos[2]);
    vault.open(inos[2], false, false, false).unwrap();
    let before = vault.status().unwrap().stored;
    for (i, name) in names.iter().enumerate() {
        if i % 8 != 0 {
            vault.remove(ROOT, name, false).unwrap();
        }
    }
    let freed = vault.collect().unwrap();
    assert!(freed.chunks > 100 && freed.packs > 0, "{freed:?}");
    assert_eq!(read(&vault, clone), contents[1]);
    assert_eq!(read(&vault, inos[2]), contents[2]);
    vault.release(inos[2], false);
    vault.let_go(inos[2], 1);
    vault.collect().unwrap();
    let report = check(&vault);
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    vault.close().unwrap();
    drop(vault);
    let vault = open(&disk);
    let after = vault.status().unwrap().stored;
    assert!(after * 2 < before, "{before} bytes became {after}");
    for i in [0, 8, 16] {
        assert_eq!(read(&vault, inos[i]), contents[i]);
    }
    assert_eq!(read(&vault, clone), contents[1]);
    let report = check(&vault);
    assert!(report.problems.is_empty(), "{:?}", report.problems);
}
