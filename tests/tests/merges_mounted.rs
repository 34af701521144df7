//! Guards who opens a note in the moment in which it comes to show a merge, when the kernel is not yet
//! told: she gets the merged text, whole. She got the one before, and was taken for a reader of the merged
//! one; or the merged one cut at the old size; or with zeros behind the old end.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coffer_fs::adapter::{Announcer, ServeOptions, Session, serve};
use coffer_fs::follow::Follow;
use coffer_fs::mount::{Mount, MountOptions, mount};
use coffer_fs::vaultfs::CofferFs;
use coffer_store::ids::{Ino, ROOT};
use coffer_store::vault::{Changes, Identity, Sealed, Vault};
use coffer_tests::engine;

/// How long anything may take before it is called hung.
const PATIENCE: Duration = Duration::from_secs(30);
/// A process that is none.
const VIM: u32 = 4_100_001;

/// A mounted vault, and a second device with the same note.
struct Bed {
    one: Arc<Vault>,
    two: Arc<Vault>,
    told: u64,
    heard: u64,
    mount: Mount,
    session: Option<Session>,
    /// What the vault says, to this test.
    changes: Receiver<Changes>,
    ino: Ino,
    _dir: tempfile::TempDir,
}

fn whole(vault: &Vault) -> String {
    let ino = vault.lookup(ROOT, b"note.md").unwrap();
    let mut out = Vec::new();
    vault.read(ino, 0, 1 << 20, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn save(vault: &Vault, text: &str) {
    let ino = vault.lookup(ROOT, b"note.md").unwrap();
    vault.open_by(VIM, ino, false, false, false).unwrap();
    vault.release(ino, false);
    vault.open_by(VIM, ino, true, true, false).unwrap();
    vault.write(ino, Some(0), text.as_bytes(), false).unwrap();
    vault.release(ino, true);
}

impl Bed {
    /// `None` where nothing can be mounted.
    fn new(note: &str) -> Option<Bed> {
        let device = File::options().read(true).write(true).open("/dev/fuse");
        if !rustix::process::geteuid().is_root() || device.is_err() {
            eprintln!("SKIPPED: mounting needs /dev/fuse and root");
            return None;
        }
        let disk = engine::empty();
        let one = engine::open(&disk);
        one.make(ROOT, b"note.md", engine::file_meta(), b"").unwrap();
        save(&one, note);
        one.commit().unwrap();
        let copy = Sealed::open_on(Arc::new(disk.crash_all_kept()), "sim".into(), None).unwrap();
        let two = copy.unlock(&engine::password(), Identity::NewDevice).unwrap();
        let heard = one.told_after(0).unwrap().last().unwrap().row.last().unwrap();

        let dir = tempfile::tempdir().unwrap();
        let point = dir.path().canonicalize().unwrap().join("mount point");
        fs::create_dir(&point).unwrap();
        let options = MountOptions::default();
        let (fuse, mount) = mount(&point, &options).unwrap();
        let follow = Follow::new(&one);
        let fs = Arc::new(CofferFs::new(one.clone()).unwrap());
        let session = serve(fs, fuse, 4, ServeOptions::default()).unwrap();
        follow.announce(session.announcer()).unwrap();
        Some(Bed {
            changes: one.subscribe(),
            ino: one.lookup(ROOT, b"note.md").unwrap(),
            told: 0,
            heard,
            session: Some(session),
            _dir: dir,
            one,
            two,
            mount,
        })
    }

    fn announcer(&self) -> Announcer {
        self.session.as_ref().unwrap().announcer()
    }

    fn note(&self) -> PathBuf {
        self.mount.point().join("note.md")
    }

    /// The other device saves this, and the mounted vault comes to show it.
    fn comes_to_show(&mut self, text: &str) {
        save(&self.two, text);
        self.two.commit().unwrap();
        while self.changes.try_recv().is_ok() {}
        for carried in self.two.told_after(self.told).unwrap() {
            self.one.take_in(&self.two.device(), &carried).unwrap();
            self.told = carried.row.last().unwrap();
        }
        while !self
            .changes
            .recv_timeout(PATIENCE)
            .unwrap()
            .merged
            .contains(&self.ino)
        {}
    }

    /// The other device has what was saved here.
    fn goes_over(&mut self) {
        self.one.commit().unwrap();
        for carried in self.one.told_after(self.heard).unwrap() {
            self.two.take_in(&self.one.device(), &carried).unwrap();
            self.heard = carried.row.last().unwrap();
        }
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        if self.mount.unmount().is_err() {
            // A test failed with something open: no process may be left hanging on it.
            let _ = self.mount.abort();
            let _ = self.mount.unmount_lazily();
        }
        let session = self.session.take().unwrap();
        if session.wait(Duration::from_secs(20)) {
            let _ = session.join();
        }
    }
}

/// Opens it, and reads as many bytes as it is said to have.
fn by_size(path: &Path) -> String {
    let file = File::open(path).unwrap();
    read_at_most(&file, file.metadata().unwrap().len())
}

/// As many bytes as that, or as there are.
fn read_at_most(file: &File, len: u64) -> String {
    let mut bytes = vec![0; len as usize];
    let mut got = 0;
    while got < bytes.len() {
        match file.read_at(&mut bytes[got..], got as u64).unwrap() {
            0 => break,
            count => got += count,
        }
    }
    bytes.truncate(got);
    String::from_utf8(bytes).unwrap()
}

/// Opens it, and reads to the end.
fn to_the_end(path: &Path) -> String {
    let mut text = String::new();
    let mut file = File::open(path).unwrap();
    let mut block = [0; 2048];
    loop {
        match file.read(&mut block).unwrap() {
            0 => return text,
            count => text.push_str(std::str::from_utf8(&block[..count]).unwrap()),
        }
    }
}

/// Opens it, and looks at it in memory.
fn by_mapping(path: &Path) -> String {
    let file = File::open(path).unwrap();
    let len = file.metadata().unwrap().len() as usize;
    let (protection, flags) = (rustix::mm::ProtFlags::READ, rustix::mm::MapFlags::SHARED);
    // SAFETY: a fresh mapping, of as many bytes as the file has; nobody cuts the file meanwhile.
    unsafe {
        let at = rustix::mm::mmap(std::ptr::null_mut(), len, protection, flags, &file, 0).unwrap();
        let text = std::slice::from_raw_parts(at.cast::<u8>(), len).to_vec();
        rustix::mm::munmap(at, len).unwrap();
        String::from_utf8(text).unwrap()
    }
}

type Look = fn(&Path) -> String;
const LOOKS: [(&str, Look); 3] = [
    ("by size", by_size),
    ("to the end", to_the_end),
    ("mapped", by_mapping),
];

/// Notes that grow and shrink, within a page and over several.
fn text(round: usize) -> String {
    let lines = [3, 40, 7, 400, 90, 401, 1][round % 7];
    let line = |i| format!("Line {i} of the text of round {round}.\n");
    (0..lines).map(line).collect()
}

/// While the thread that tells the kernel is held up for seconds, by a helper that does not answer: the
/// longest of such moments. Also guards that nothing is kept from being told for good.
#[test]
fn who_opens_it_before_the_kernel_is_told_has_it_whole() {
    let Some(mut bed) = Bed::new(&text(0)) else { return };
    let note = bed.note();
    bed.announcer().repeat_in(bed.mount.point(), || {
        let mut command = Command::new("sleep");
        command.arg("60");
        command
    });
    for round in 1..22 {
        let before = to_the_end(&note);
        let early = File::open(&note).unwrap();
        bed.comes_to_show(&text(round));
        let (name, look) = LOOKS[round % LOOKS.len()];
        let shown = look(&note);
        assert!(
            shown == text(round),
            "round {round}, {name}: {}",
            told_apart(&shown, round)
        );
        // Who has it open since before sees the one or the other, once she looks how long it is.
        let seen = read_at_most(&early, early.metadata().unwrap().len());
        assert!(
            seen == before || seen == text(round),
            "round {round}, open before"
        );
    }
    assert!(bed.announcer().settle(PATIENCE));
    assert_eq!(fs::metadata(&note).unwrap().len(), text(21).len() as u64);
}

/// What is wrong with it.
fn told_apart(shown: &str, round: usize) -> String {
    let (is, was) = (text(round), text(round - 1));
    match shown {
        _ if shown == was => "the one before".into(),
        _ if is.starts_with(shown) => format!("cut at {} of {}", shown.len(), is.len()),
        _ if shown.contains('\0') => format!("{} zeros", shown.matches('\0').count()),
        _ => format!("{shown:?}"),
    }
}

/// At full speed, while others open and read it all the time, and both sides edit: whoever opened a
/// note and read it to the end while it showed one text has that text.
#[test]
fn who_opens_it_all_the_time_never_has_a_mixture() {
    let Some(mut bed) = Bed::new(&text(0)) else { return };
    let (note, one, ino) = (bed.note(), bed.one.clone(), bed.ino);
    let over = AtomicBool::new(false);
    let wrong: Mutex<HashSet<String>> = Mutex::default();
    std::thread::scope(|scope| {
        let readers: Vec<_> = LOOKS[..2]
            .iter()
            .map(|(name, look)| {
                let (vault, note, over, wrong) = (&one, &note, &over, &wrong);
                scope.spawn(move || {
                    let mut seen = 0_u64;
                    while !over.load(Ordering::Relaxed) {
                        let before = (vault.shows_as_told(ino).unwrap(), whole(vault));
                        let shown = look(note);
                        let after = (vault.shows_as_told(ino).unwrap(), whole(vault));
                        if before != after || before.0.is_none() {
                            continue; // it came to show another, or somebody was about to save
                        }
                        seen += 1;
                        if shown != after.1 {
                            let what = format!("{name}: {} of {}", shown.len(), after.1.len());
                            wrong.lock().unwrap().insert(what);
                        }
                    }
                    seen
                })
            })
            .collect();
        let bed = Stop(&mut bed, &over);
        for round in 1..36 {
            let theirs = format!("{}{}", text(round), whole(&bed.0.two));
            bed.0.comes_to_show(&theirs[..theirs.len().min(9000)]);
            if round % 5 == 0 {
                let ours = format!("{}Ours, {round}.\n", whole(&bed.0.one));
                fs::write(&note, ours).unwrap();
                bed.0.goes_over();
            }
        }
        drop(bed);
        for reader in readers {
            assert!(reader.join().unwrap() > 10, "or nobody read");
        }
    });
    assert_eq!(*wrong.lock().unwrap(), HashSet::new());
}

/// The readers end, also when the test fails.
struct Stop<'a>(&'a mut Bed, &'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.1.store(true, Ordering::Relaxed);
    }
}
