//! What programs read is what others wrote, through a real kernel: times, mappings,
//! direct handles, appends, holes, set-id bits.

mod adapter_bed;

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use adapter_bed::memory::Memory;
use adapter_bed::{Here, LATE_WRITES, There, point, possible};
use coffer_fs::adapter::ServeOptions;
use coffer_fs::mount::MountOptions;
use coffer_fs::types::{Caller, FileSystem, ROOT, SetAttr};
use rustix::fs::{AtFlags, CWD, FallocateFlags, StatxFlags, Timespec, Timestamps};
use rustix::mm::{MapFlags, MsyncFlags, ProtFlags};

const PAGE: usize = 4096;

#[test]
fn serves_for_another_process() {
    adapter_bed::serve_if_asked();
}

/// Guards times to the nanosecond, before 1970 (which the library decodes wrongly) and
/// after 2038 and 2106, on the way in and out.
#[test]
fn times_survive() {
    if !possible() {
        return;
    }
    let here = Here::memory();
    let path = here.path("file");
    fs::write(&path, "x").unwrap();
    for (sec, nsec) in [
        (-1, 500_000_000),
        (-1, 0),
        (0, 1),
        (-2_208_988_800, 123_456_789),
        (2_147_483_648, 999_999_999),
        (4_294_967_296, 1),
        (32_503_680_000, 7),
    ] {
        let time = Timespec {
            tv_sec: sec,
            tv_nsec: nsec,
        };
        let times = Timestamps {
            last_access: time,
            last_modification: time,
        };
        rustix::fs::utimensat(CWD, &path, &times, AtFlags::empty()).unwrap();
        let seen = fs::metadata(&path).unwrap();
        assert_eq!((seen.mtime(), seen.mtime_nsec()), (sec, nsec));
        assert_eq!((seen.atime(), seen.atime_nsec()), (sec, nsec));
    }
}

/// A file mapped into memory, shared.
struct Mapped {
    start: *mut u8,
    len: usize,
}

// SAFETY: the mapping is plain memory until it is dropped, and is only read and written
// by volatile accesses below.
unsafe impl Sync for Mapped {}

impl Mapped {
    fn new(file: &File, len: usize, flags: MapFlags, access: ProtFlags) -> Mapped {
        // SAFETY: a new mapping of whole pages, at a place that the kernel chooses.
        let start = unsafe { rustix::mm::mmap(std::ptr::null_mut(), len, access, flags, file, 0) };
        Mapped {
            start: start.unwrap().cast(),
            len,
        }
    }

    fn get(&self, at: usize) -> u8 {
        assert!(at < self.len);
        // SAFETY: within the mapping, which lives as long as self.
        unsafe { self.start.add(at).read_volatile() }
    }

    fn set(&self, at: usize, byte: u8) {
        assert!(at < self.len);
        // SAFETY: within the mapping, which the caller has made writable.
        unsafe { self.start.add(at).write_volatile(byte) };
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: the whole mapping, and nothing refers to it any more.
        unsafe { rustix::mm::munmap(self.start.cast(), self.len).unwrap() };
    }
}

/// A buffer as O_DIRECT wants it: whole pages.
#[repr(C, align(4096))]
struct Page([u8; PAGE]);

/// What the file system itself holds, past the page cache.
fn beneath(path: &std::path::Path) -> Vec<u8> {
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_DIRECT)
        .open(path)
        .unwrap();
    let (mut page, mut all) = (Box::new(Page([0; PAGE])), Vec::new());
    loop {
        match file.read(&mut page.0).unwrap() {
            0 => return all,
            len => all.extend_from_slice(&page.0[..len]),
        }
    }
}

/// Guards mapped files: shared changes arrive (also those made after the file was closed),
/// private ones do not, and both see what is written.
#[test]
fn mappings() {
    if !possible() {
        return;
    }
    let (_dir, point) = point();
    let there = There::new(&point);
    let path = there.mount.point().join("file");
    fs::write(&path, [b'.'; 2 * PAGE]).unwrap();
    let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let both = ProtFlags::READ | ProtFlags::WRITE;
    let shared = Mapped::new(&file, 2 * PAGE, MapFlags::SHARED, both);
    let private = Mapped::new(&file, 2 * PAGE, MapFlags::PRIVATE, both);
    shared.set(0, b'a');
    private.set(PAGE, b'p');
    // SAFETY: the range is the whole mapping.
    unsafe { rustix::mm::msync(shared.start.cast(), shared.len, MsyncFlags::SYNC).unwrap() };
    let seen = beneath(&path);
    assert_eq!(
        (seen[0], seen[PAGE]),
        (b'a', b'.'),
        "shared arrives, private does not"
    );
    file.write_all_at(b"w", 1).unwrap();
    assert_eq!((shared.get(1), private.get(1)), (b'w', b'w'), "a write is seen");
    drop(file);
    shared.set(2, b'z');
    drop((shared, private));
    File::open(&path).unwrap().sync_all().unwrap();
    assert_eq!(&beneath(&path)[..4], b"awz.", "written after close, too");
}

/// Guards against old bytes: a handle that writes past the page cache beside one that
/// reads through it, in either order of opening, while pages are read all the time.
#[test]
fn a_direct_writer_is_seen_by_mapped_readers() {
    const PAGES: usize = 8;
    const ROUNDS: u64 = 400;
    if !possible() {
        return;
    }
    let (_dir, point) = point();
    let mut server = Command::new(std::env::current_exe().unwrap());
    server.env(LATE_WRITES, "1");
    let there = There::start(server, &point, "");
    for writer_first in [true, false] {
        let path = there.mount.point().join(format!("file {writer_first}"));
        fs::write(&path, [0; PAGES * PAGE]).unwrap();
        let write = || OpenOptions::new().write(true).open(&path).unwrap();
        let read = || File::open(&path).unwrap();
        let (writer, reader) = match writer_first {
            true => (write(), read()),
            false => {
                let reader = read();
                (write(), reader)
            }
        };
        let mapped = Mapped::new(&reader, PAGES * PAGE, MapFlags::SHARED, ProtFlags::READ);
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            // Fills the cache again as soon as it is emptied: what the writer races with.
            for _ in 0..2 {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        (0..PAGES).for_each(|page| {
                            mapped.get(page * PAGE);
                        });
                    }
                });
            }
            let mut old = 0;
            for round in 0..ROUNDS {
                let at = (round as usize % PAGES) * PAGE;
                let byte = (round / PAGES as u64 % 251) as u8 + 1;
                writer.write_all_at(&[byte], at as u64).unwrap();
                let mut now = [0];
                reader.read_exact_at(&mut now, at as u64).unwrap();
                old += u64::from(mapped.get(at) != byte) + u64::from(now[0] != byte);
            }
            done.store(true, Ordering::Relaxed);
            assert_eq!(
                old, 0,
                "old bytes seen after a write returned (writer first: {writer_first})"
            );
        });
    }
}

/// Guards a reader that follows a growing file, as `tail -f` does: the page at the end must
/// not keep zeros where bytes were appended.
#[test]
fn a_growing_file_is_followed() {
    const LINES: usize = 5_000;
    if !possible() {
        return;
    }
    let here = Here::memory();
    let path = here.path("log");
    let mut writer = OpenOptions::new().create(true).append(true).open(&path).unwrap();
    let mut reader = File::open(&path).unwrap();
    let written = AtomicU64::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for line in 0..LINES {
                let line = format!("line {line}\n");
                writer.write_all(line.as_bytes()).unwrap();
                written.fetch_add(line.len() as u64, Ordering::Release);
            }
        });
        let mut all = Vec::new();
        let whole: Vec<u8> = (0..LINES)
            .flat_map(|line| format!("line {line}\n").into_bytes())
            .collect();
        while all.len() < whole.len() {
            let there = written.load(Ordering::Acquire);
            let got = reader.read_to_end(&mut all).unwrap();
            assert!(
                got > 0 || all.len() as u64 >= there,
                "what was written can be read"
            );
            assert!(
                whole.starts_with(&all),
                "not what was written, before byte {}",
                all.len()
            );
        }
    });
}

/// Guards appends: handles that append at the same time lose nothing of each other's.
#[test]
fn appends_do_not_overwrite() {
    if !possible() {
        return;
    }
    let here = Here::memory();
    let path = here.path("log");
    thread::scope(|scope| {
        for writer in 0..4 {
            let path = &path;
            scope.spawn(move || {
                let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
                for line in 0..500 {
                    file.write_all(format!("{writer} {line}\n").as_bytes()).unwrap();
                }
            });
        }
    });
    let all = fs::read_to_string(&path).unwrap();
    for writer in 0..4 {
        let lines = all
            .lines()
            .filter_map(|line| line.strip_prefix(&format!("{writer} ")));
        assert!(lines.eq((0..500).map(|line| line.to_string())), "writer {writer}");
    }
}

/// Guards O_DIRECT, which programs ask for themselves, beside buffered handles.
#[test]
fn o_direct() {
    if !possible() {
        return;
    }
    let here = Here::memory();
    let path = here.path("file");
    fs::write(&path, [b'a'; 3 * PAGE]).unwrap();
    assert_eq!(fs::read(&path).unwrap(), [b'a'; 3 * PAGE], "and cached now");
    let mut options = OpenOptions::new();
    let direct = options
        .read(true)
        .write(true)
        .custom_flags(libc::O_DIRECT)
        .open(&path)
        .unwrap();
    let reader = File::open(&path).unwrap();
    direct
        .write_all_at(&Box::new(Page([b'b'; PAGE])).0, PAGE as u64)
        .unwrap();
    let mut page = Box::new(Page([0; PAGE]));
    reader.read_exact_at(&mut page.0, PAGE as u64).unwrap();
    assert_eq!(page.0, [b'b'; PAGE], "a buffered handle sees it");
    OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .write_all_at(b"c", 0)
        .unwrap();
    direct.read_exact_at(&mut page.0, 0).unwrap();
    assert_eq!(&page.0[..2], b"ca", "and the other way round");
}

/// Guards set-id bits: who writes to or empties a program that he does not own takes its
/// privilege away, and everybody sees that at once, attributes cached or not.
#[test]
fn writing_clears_set_id() {
    if !possible() {
        return;
    }
    let mut options = MountOptions::default();
    options.parse("allow_other").unwrap();
    let here = Here::new(Arc::new(Memory::default()), &options, ServeOptions::default());
    fs::set_permissions(here.path(""), PermissionsExt::from_mode(0o777)).unwrap();
    let opened = here.mount.point().parent().unwrap();
    fs::set_permissions(opened, PermissionsExt::from_mode(0o755)).unwrap();
    for (name, how) in [("append", ">>"), ("empty", ">")] {
        let path = here.path(name);
        fs::write(&path, "x").unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o6777)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o6777);
        let status = Command::new("setpriv")
            .args([
                "--reuid",
                "65534",
                "--regid",
                "65534",
                "--clear-groups",
                "sh",
                "-c",
            ])
            .arg(format!("printf y {how} '{}'", path.display()))
            .status();
        match status {
            Ok(status) => assert!(status.success()),
            Err(error) => return eprintln!("SKIPPED: setpriv: {error}"),
        }
        // The mode alone, as running the program looks at it: stat(2) would ask for the new
        // times, and learn the new mode along with them.
        let seen = rustix::fs::statx(CWD, &path, AtFlags::empty(), StatxFlags::MODE).unwrap();
        assert_eq!(seen.stx_mode & 0o7777, 0o777, "{name}");
    }
}

/// Guards the calls that pass a range on: each with its own meaning.
#[test]
fn ranges() {
    if !possible() {
        return;
    }
    let here = Here::memory();
    let file = File::create_new(here.path("file")).unwrap();
    file.write_all_at(b"abcdef", 0).unwrap();
    rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, 10).unwrap();
    assert_eq!(file.metadata().unwrap().len(), 10, "reserving grows");
    rustix::fs::fallocate(&file, FallocateFlags::KEEP_SIZE, 0, 100).unwrap();
    assert_eq!(file.metadata().unwrap().len(), 10, "unless it is not to");
    let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    rustix::fs::fallocate(&file, punch, 1, 2).unwrap();
    let refused = rustix::fs::fallocate(&file, FallocateFlags::COLLAPSE_RANGE, 0, 1).unwrap_err();
    assert_eq!(refused, rustix::io::Errno::OPNOTSUPP);
    let whole = fs::read(here.path("file")).unwrap();
    assert_eq!(whole, b"a\0\0def\0\0\0\0");
    let copy = File::create_new(here.path("copy")).unwrap();
    let source = File::open(here.path("file")).unwrap();
    let copied = rustix::fs::copy_file_range(&source, Some(&mut 3), &copy, Some(&mut 1), 100).unwrap();
    assert_eq!(copied, 7);
    assert_eq!(fs::read(here.path("copy")).unwrap(), b"\0def\0\0\0\0");
    let hole = rustix::fs::seek(&source, rustix::fs::SeekFrom::Hole(0)).unwrap();
    let past = rustix::fs::seek(&source, rustix::fs::SeekFrom::Data(10)).unwrap_err();
    assert_eq!((hole, past), (10, rustix::io::Errno::NXIO));
}

/// A file grew, or shrank, past the kernel, as when it comes to show a merge. What a program appended
/// before the kernel knew went where the end had been: over others' bytes, or behind a hole.
#[test]
fn what_is_appended_goes_to_the_end_that_is() {
    if !possible() {
        return;
    }
    let memory = Arc::new(Memory::default());
    let here = Here::new(memory.clone(), &MountOptions::default(), ServeOptions::default());
    let path = here.path("file");
    for (behind, expected) in [("one\nand two\n", "one\nand two\nthree\n"), ("o\n", "o\nthree\n")] {
        for cached in [false, true] {
            fs::write(&path, "one\n").unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), "one\n");
            let reader = cached.then(|| File::open(&path).unwrap());
            let mut file = OpenOptions::new().append(true).read(cached).open(&path).unwrap();
            let ino = memory.lookup(ROOT, b"file").unwrap().ino;
            let size = Some(behind.len() as u64);
            let set = SetAttr {
                size,
                ..SetAttr::default()
            };
            memory.setattr(Caller::default(), ino, None, set).unwrap();
            memory.write(ino, 0, 0, behind.as_bytes(), false).unwrap();
            file.write_all(b"three\n").unwrap();
            let mut bytes = Vec::new();
            memory.read(ino, 0, 0, 100, &mut bytes).unwrap();
            assert_eq!(String::from_utf8(bytes).unwrap(), expected, "{cached}");
            drop((file, reader));
            let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
            while fs::read_to_string(&path).unwrap_or_default() != expected {
                assert!(std::time::Instant::now() < until, "the kernel never learns of it");
                thread::yield_now();
            }
        }
    }
}
