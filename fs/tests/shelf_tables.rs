//! Tables with a real kernel: sizes, snapshots, mappings, readers beside each other, and what cannot be made.

mod shelf_bed;

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::atomic::Ordering;

use shelf_bed::{Bed, bed, names, possible, until};

/// Bytes that tell which making they are of, wherever one looks.
fn table(which: u8, size: usize) -> Vec<u8> {
    vec![which; size]
}

fn made(bed: &Bed) -> usize {
    bed.told.made.load(Ordering::SeqCst)
}

/// Guards the size, which is right before anybody opened it; and that what was looked at is what is opened, though the table
/// changed between.
#[test]
fn the_size_is_that_of_the_bytes() {
    if !possible() {
        return;
    }
    let bed = bed();
    let path = bed.shelf("tables/files.csv");
    bed.told.write(table(b'a', 300_000));
    assert_eq!(
        names(&bed.shelf("tables")),
        ["broken.csv", "files.csv", "hangs.csv", "huge.csv"]
    );
    assert_eq!(made(&bed), 0, "listing makes none");
    assert_eq!(fs::metadata(&path).unwrap().len(), 300_000);
    bed.told.write(table(b'b', 7));
    assert_eq!(
        fs::read(&path).unwrap(),
        table(b'a', 300_000),
        "what was looked at a moment ago"
    );
    assert_eq!(made(&bed), 1);
    until("the new one is shown", || fs::metadata(&path).unwrap().len() == 7);
    assert_eq!(fs::read(&path).unwrap(), table(b'b', 7));
    let shown = bed.run("cat", &[".coffer/tables/files.csv"]);
    assert_eq!(shown, "bbbbbbb");
    // An empty one is a file, too.
    bed.told.write(Vec::new());
    until("the empty one is shown", || fs::read(&path).unwrap().is_empty());
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o400);
}

/// Guards snapshots: who has one open goes on reading it, by any way of reading, while others are given the next.
#[test]
fn each_reader_has_one_table() {
    if !possible() {
        return;
    }
    let bed = bed();
    let path = bed.shelf("tables/files.csv");
    bed.told.write(table(b'a', 2_000_000));
    let mut first = File::open(&path).unwrap();
    let mut start = vec![0; 1000];
    first.read_exact(&mut start).unwrap();
    let mut last = (0, 0);
    // Each is open while the next is made: none is taken for another.
    let mut open = vec![(b'a', 2_000_000, first)];
    for (which, size) in [(b'b', 3_000_000), (b'c', 10)] {
        bed.told.write(table(which, size));
        until("the next one is shown", || {
            fs::metadata(&path).unwrap().len() == size as u64
        });
        let next = File::open(&path).unwrap();
        let ino = next.metadata().unwrap().ino();
        assert_ne!((ino, size as u64), last);
        last = (ino, size as u64);
        open.push((which, size, next));
    }
    for (which, size, file) in &mut open {
        assert_eq!(file.metadata().unwrap().len(), *size as u64);
        let mut all = Vec::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_end(&mut all).unwrap();
        assert!(all.len() == *size && all.iter().all(|byte| byte == which));
        let mut end = [0; 20];
        let read = file.read_at(&mut end, *size as u64 - 5).unwrap();
        assert_eq!(&end[..read], [*which; 5]);
        assert_eq!(file.read_at(&mut end, *size as u64 + 5).unwrap(), 0);
    }
}

/// Guards mappings, by which tables are read that are large: their bytes stay while the table changes and others map it.
#[test]
fn a_mapping_stays() {
    if !possible() {
        return;
    }
    let bed = bed();
    bed.told.write(table(b'a', 1_000_003));
    let program = r#"
import mmap, os, sys
path = ".coffer/tables/files.csv"
first = open(path, "rb")
one = mmap.mmap(first.fileno(), 0, access=mmap.ACCESS_READ)
shared = mmap.mmap(first.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_READ)
assert len(one) == 1000003 and one[:5] == b"aaaaa", len(one)
print("mapped", flush=True)
sys.stdin.readline()
while os.stat(path).st_size != 2000: pass
second = open(path, "rb")
two = mmap.mmap(second.fileno(), 0, access=mmap.ACCESS_READ)
assert bytes(two) == b"b" * 2000
assert bytes(one) == b"a" * 1000003 and bytes(shared) == bytes(one)
assert os.pread(first.fileno(), 10, 1000000) == b"aaa"
first.close()
assert bytes(one) == b"a" * 1000003
"#;
    let mut python = std::process::Command::new("python3");
    python.args(["-c", program]).current_dir(bed.here.mount.point());
    let piped = std::process::Stdio::piped;
    let mut python = python
        .stdin(piped())
        .stdout(piped())
        .stderr(piped())
        .spawn()
        .unwrap();
    let mut said = [0; 7];
    python.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
    bed.told.write(table(b'b', 2000));
    drop(python.stdin.take());
    let ended = python.wait_with_output().unwrap();
    assert!(
        ended.status.success(),
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
}

/// Guards many readers while a table changes all the time: each reads one making from its start to its end.
#[test]
fn readers_beside_a_changing_table() {
    if !possible() {
        return;
    }
    let bed = bed();
    let path = bed.shelf("tables/files.csv");
    let over = std::sync::atomic::AtomicBool::new(false);
    bed.told.write(table(b'a', 1));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut which = 0_usize;
            while !over.load(Ordering::SeqCst) {
                which += 1;
                bed.told
                    .write(table(b'a' + (which % 26) as u8, 100_000 + which % 977));
            }
        });
        let readers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let (begun, mut seen) = (std::time::Instant::now(), std::collections::HashSet::new());
                    while seen.len() < 3 {
                        assert!(begun.elapsed().as_secs() < 60, "it never changes");
                        let mut file = File::open(&path).unwrap();
                        let mut all = Vec::new();
                        file.read_to_end(&mut all).unwrap();
                        assert_eq!(all.len() as u64, file.metadata().unwrap().len());
                        assert!(all.iter().all(|byte| *byte == all[0]), "of one making");
                        seen.insert((all[0], all.len()));
                    }
                })
            })
            .collect();
        for reader in readers {
            reader.join().unwrap();
        }
        over.store(true, Ordering::SeqCst);
    });
    assert!(made(&bed) < 100, "{} makings: not one for each look", made(&bed));
}

/// Guards what cannot be made: an error that says why, and not an empty table.
#[test]
fn what_cannot_be_made_is_an_error() {
    if !possible() {
        return;
    }
    let bed = bed();
    let error = |name: &str| fs::read(bed.shelf("tables").join(name)).unwrap_err();
    assert_eq!(error("huge.csv").raw_os_error(), Some(libc::EFBIG));
    assert_eq!(error("broken.csv").raw_os_error(), Some(libc::EIO));
    assert_eq!(error("none.csv").kind(), ErrorKind::NotFound);
    assert!(fs::metadata(bed.shelf("tables/huge.csv")).is_err());
    bed.told.write(table(b'x', 10));
    assert_eq!(fs::read(bed.shelf("tables/files.csv")).unwrap(), table(b'x', 10));
    assert_eq!(bed.here.panics(), 0);
}

/// Guards memory: what nobody has open is let go of, and what is open is not.
#[test]
fn what_nobody_uses_is_let_go_of() {
    if !possible() {
        return;
    }
    let bed = bed();
    bed.told.write(table(b'a', 100));
    let open = File::open(bed.shelf("tables/files.csv")).unwrap();
    bed.told.write(table(b'b', 200));
    until("the next one is shown", || {
        fs::metadata(bed.shelf("tables/files.csv")).unwrap().len() == 200
    });
    let before = made(&bed);
    // Nothing changed: only since it was let go of it is made again.
    let begun = std::time::Instant::now();
    until("it was let go of", || begun.elapsed().as_secs() >= 10);
    assert_eq!(fs::read(bed.shelf("tables/files.csv")).unwrap(), table(b'b', 200));
    assert_eq!(made(&bed), before + 1);
    let mut all = Vec::new();
    (&open).read_to_end(&mut all).unwrap();
    assert_eq!((all, open.metadata().unwrap().len()), (table(b'a', 100), 100));
}
