//! Guards a vault with one of everything: it opens with its password, its recovery phrase and its key file, shows what was put
//! into it, is whole, and can be gone on with. What [`make`] made on the day on which the formats were frozen is kept beside this suite:
//! a program of any later day opens it.

mod texts_support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use coffer_store::ids::{Ino, ROOT};
use coffer_store::io::Disk;
use coffer_store::io::sim::{SimDisk, SplitMix64};
use coffer_store::keys::{KdfParams, RecoveryPhrase};
use coffer_store::tree::Kind;
use coffer_store::vault::{CheckOptions, Identity, Sealed, Subject, Vault, salvage};
use texts_support::{Bench, EMACS, VIM, meta, password};

/// The frozen vault's recovery phrase, in a file beside it.
const PHRASE: &str = "recovery-phrase";
const PHOTO: usize = 180_000;
const PATCHED: usize = 90_000;

/// A file of several chunks, and what one of its parts became.
fn photo() -> Vec<u8> {
    SplitMix64(1).bytes(PHOTO)
}

fn patch() -> Vec<u8> {
    SplitMix64(2).bytes(4096)
}

fn patched() -> Vec<u8> {
    let mut photo = photo();
    photo[PATCHED..PATCHED + 4096].copy_from_slice(&patch());
    photo
}

const GARDEN: [&str; 3] = ["roses\n", "roses\nlilies\n", "roses\nlilies\ntulips\n"];
/// What came of it when one wrote at its end and the other at its beginning.
const MERGED: &str = "hello\nroses\nlilies\ntulips\nherbs\n";
const DIARY: &str = "日記\nGrüße aus dem Räumchen\n";

/// Goes from one to the other.
fn carry(from: &Vault, to: &Vault) {
    from.commit().unwrap();
    let has = to.clock().unwrap();
    let clock = from.clock().unwrap();
    let after: Vec<_> = clock
        .keys()
        .map(|chain| (*chain, has.get(chain).map_or(0, |(last, _)| *last)))
        .collect();
    for carried in from.batches_after(&after, usize::MAX).unwrap() {
        to.take_in(&from.device(), &carried).unwrap();
    }
    to.commit().unwrap();
}

fn node(vault: &Vault, folder: Ino, name: &[u8], kind: Kind, target: &[u8]) -> Ino {
    let meta = coffer_store::record::Meta { kind, ..meta() };
    vault.make(folder, name, meta, target).unwrap()
}

fn write(vault: &Vault, ino: Ino, offset: u64, bytes: &[u8]) {
    vault.open(ino, true, false, false).unwrap();
    vault.write(ino, Some(offset), bytes, false).unwrap();
    vault.release(ino, true);
}

/// Makes it in an empty folder; its recovery phrase.
fn make(to: &Path) -> String {
    let disk = SimDisk::new();
    let made = Vault::create_on(Arc::new(disk.clone()), &password(), KdfParams::FLOOR, true, None);
    let (vault, phrase) = made.unwrap();
    vault.stop_keeper();
    let one = Bench { disk, vault };
    for text in GARDEN {
        one.save(VIM, "Garden.md", text);
        one.vault.commit().unwrap();
    }
    let folder = node(&one.vault, ROOT, "Räume".as_bytes(), Kind::Folder, b"");
    let diary = node(&one.vault, folder, "日記.md".as_bytes(), Kind::File, b"");
    write(&one.vault, diary, 0, DIARY.as_bytes());
    let photo_ino = node(&one.vault, folder, b"photo.jpg", Kind::File, b"");
    write(&one.vault, photo_ino, 0, &photo());
    one.vault.commit().unwrap();
    write(&one.vault, photo_ino, PATCHED as u64, &patch());
    node(&one.vault, ROOT, b"empty", Kind::File, b"");
    node(&one.vault, ROOT, b"link", Kind::Symlink, b"Garden.md");
    node(&one.vault, ROOT, b"pipe", Kind::Fifo, b"");
    one.vault.link(diary, ROOT, b"second name.md").unwrap();
    one.save(VIM, "holes.bin", b"");
    let holes = one.ino("holes.bin");
    write(&one.vault, holes, 1 << 20, b"after a hole");
    one.save(VIM, "private.txt", "for my eyes\n");
    one.chmod("private.txt", 0o600);
    let private = one.ino("private.txt");
    one.vault
        .set_xattr(private, b"user.colour", b"green", None)
        .unwrap();
    one.save(VIM, "old.md", "it was here\n");
    one.vault.commit().unwrap();
    one.vault.remove(ROOT, b"old.md", false).unwrap();
    one.vault.end_graces();
    one.vault.commit().unwrap();
    let retention = one.vault.retention();
    one.vault
        .set_retention(coffer_store::vault::Retention {
            all_days: 3000,
            ..retention
        })
        .unwrap();
    // A second device, which writes at once in the same note; a third one, which is removed.
    let two = Bench::on(one.disk.crash_all_kept(), Identity::NewDevice);
    let three = Bench::on(one.disk.crash_all_kept(), Identity::NewDevice);
    for other in [&two, &three] {
        other.vault.commit().unwrap();
        texts_support::introduce(&other.vault, &one.vault);
        texts_support::introduce(&one.vault, &two.vault);
    }
    let (there, here) = (format!("hello\n{}", GARDEN[2]), format!("{}herbs\n", GARDEN[2]));
    assert_eq!(two.read(EMACS, "Garden.md"), GARDEN[2]);
    assert_eq!(one.read(VIM, "Garden.md"), GARDEN[2]);
    two.save(EMACS, "Garden.md", there);
    one.save(VIM, "Garden.md", here);
    for _ in 0..2 {
        carry(&two.vault, &one.vault);
        carry(&one.vault, &two.vault);
    }
    assert_eq!(one.text("Garden.md"), MERGED);
    one.vault.remove_device(three.vault.device_id()).unwrap();
    one.save(VIM, "after.md", "in the second epoch\n");
    one.vault.commit().unwrap();
    // Content that is not told yet, in its log.
    let log = node(&one.vault, ROOT, b"open.log", Kind::File, b"");
    one.vault.open(log, true, false, false).unwrap();
    one.vault.write(log, Some(0), b"not told yet", false).unwrap();
    one.vault.commit().unwrap();
    let disk = one.disk.crash_all_kept();
    for name in disk.list().unwrap() {
        let file = disk.open(&name).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        file.read_at(0, &mut bytes).unwrap();
        fs::write(to.join(&name), bytes).unwrap();
    }
    phrase.unwrap().words().as_str().to_owned()
}

/// Where the frozen one lies.
fn frozen() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/vault_v1")
}

/// A vault as this program makes it, and the one that was made when the formats were frozen, each with its recovery phrase.
fn examples() -> [(tempfile::TempDir, String); 2] {
    let [new, old] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let phrase = make(new.path());
    for entry in fs::read_dir(frozen()).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), old.path().join(entry.file_name())).unwrap();
    }
    let kept = fs::read_to_string(old.path().join(PHRASE)).unwrap();
    fs::remove_file(old.path().join(PHRASE)).unwrap();
    [(new, phrase), (old, kept)]
}

/// Makes the one that is frozen. Run on the day of a freeze, and never again for the same format.
#[test]
#[ignore = "writes into the repository; guards nothing"]
fn freeze() {
    fs::create_dir(frozen()).expect("what is frozen stays");
    let phrase = make(&frozen());
    fs::write(frozen().join(PHRASE), phrase).unwrap();
}

fn read(vault: &Vault, folder: Ino, name: &str) -> Vec<u8> {
    let ino = vault.lookup(folder, name.as_bytes()).unwrap();
    let mut out = Vec::new();
    vault.read(ino, 0, 4 << 20, &mut out).unwrap();
    out
}

/// All of it is there, and whole.
fn assert_all(vault: &Vault) {
    let report = vault
        .check(CheckOptions { read_data: true }, &mut |_| {})
        .unwrap();
    assert_eq!(report.problems, Vec::new());
    let folder = vault.lookup(ROOT, "Räume".as_bytes()).unwrap();
    assert_eq!(read(vault, ROOT, "Garden.md"), MERGED.as_bytes());
    assert_eq!(read(vault, folder, "日記.md"), DIARY.as_bytes());
    assert_eq!(read(vault, ROOT, "second name.md"), DIARY.as_bytes());
    assert!(read(vault, folder, "photo.jpg") == patched());
    assert_eq!(read(vault, ROOT, "empty"), b"");
    assert_eq!(read(vault, ROOT, "link"), b"Garden.md");
    assert_eq!(read(vault, ROOT, "private.txt"), b"for my eyes\n");
    assert_eq!(read(vault, ROOT, "after.md"), b"in the second epoch\n");
    assert_eq!(read(vault, ROOT, "open.log"), b"not told yet");
    let holes = read(vault, ROOT, "holes.bin");
    assert_eq!(holes.len(), (1 << 20) + 12);
    assert!(holes[..1 << 20].iter().all(|byte| *byte == 0) && holes.ends_with(b"after a hole"));
    let stat = |folder, name: &str| {
        vault
            .stat(vault.lookup(folder, name.as_bytes()).unwrap())
            .unwrap()
            .meta
    };
    assert_eq!(stat(ROOT, "pipe").kind, Kind::Fifo);
    assert_eq!(stat(folder, "日記.md").nlink, 2);
    assert_eq!(stat(ROOT, "private.txt").perm, 0o600);
    let private = vault.lookup(ROOT, b"private.txt").unwrap();
    assert_eq!(vault.xattr(private, b"user.colour").unwrap(), b"green");
    assert_eq!(vault.retention().all_days, 3000);
    let garden = Subject::File(vault.lookup(ROOT, b"Garden.md").unwrap());
    let versions = vault.versions(garden).unwrap();
    assert!(versions.len() >= 5, "{}", versions.len());
    let bytes = |of: Subject, number| {
        let version = vault.open_version(of, number).unwrap();
        let mut out = Vec::new();
        version.read(vault, 0, 4 << 20, &mut out).unwrap();
        out
    };
    let shown: Vec<Vec<u8>> = versions
        .iter()
        .map(|version| bytes(garden, version.number))
        .collect();
    for text in GARDEN {
        assert!(shown.iter().any(|shown| shown == text.as_bytes()), "{text:?}");
    }
    let photos = Subject::File(vault.lookup(folder, b"photo.jpg").unwrap());
    let first = vault
        .versions(photos)
        .unwrap()
        .iter()
        .map(|version| version.number)
        .min();
    assert!(bytes(photos, first.unwrap()) == photo());
    let removed = vault.removed().unwrap();
    assert_eq!(
        removed.iter().map(|gone| &gone.path[..]).collect::<Vec<_>>(),
        [b"old.md"]
    );
    vault.with_members(|members| {
        let state = members.state();
        assert_eq!(state.members().count(), 2);
    });
}

/// Opens by the password, and shows all; is written in, locked, and opened again.
#[test]
fn a_vault_opens_and_goes_on() {
    for (dir, _phrase) in examples() {
        opens_and_goes_on(dir.path());
    }
}

fn opens_and_goes_on(dir: &Path) {
    let open = || {
        let vault = Sealed::open(dir)
            .unwrap()
            .unlock(&password(), Identity::Same)
            .unwrap();
        vault.stop_keeper();
        vault
    };
    let vault = open();
    assert_all(&vault);
    let garden = vault.lookup(ROOT, b"Garden.md").unwrap();
    write(&vault, garden, MERGED.len() as u64, b"and more\n");
    vault.commit().unwrap();
    vault.close().unwrap();
    drop(vault);
    let vault = open();
    assert_eq!(
        read(&vault, ROOT, "Garden.md"),
        format!("{MERGED}and more\n").as_bytes()
    );
    vault.remove(ROOT, b"Garden.md", false).unwrap();
    let garden = node(&vault, ROOT, b"Garden.md", Kind::File, b"");
    write(&vault, garden, 0, MERGED.as_bytes());
    vault.commit().unwrap();
    assert_all(&vault);
}

/// Opens by the recovery phrase, which sets another password.
#[test]
fn its_recovery_phrase_opens_it() {
    for (dir, phrase) in examples() {
        let phrase = RecoveryPhrase::parse(&phrase).unwrap();
        let sealed = Sealed::open(dir.path()).unwrap();
        let vault = sealed.recover(&phrase, &password(), KdfParams::FLOOR).unwrap();
        vault.stop_keeper();
        assert_all(&vault);
    }
}

/// What is in its packs comes back without its database.
#[test]
fn it_is_salvaged() {
    for (dir, _phrase) in examples() {
        is_salvaged(dir.path());
    }
}

fn is_salvaged(dir: &Path) {
    fs::write(dir.join("vault.redb"), b"nothing of it is left").unwrap();
    let out = tempfile::tempdir().unwrap();
    let to = out.path().join("out");
    let report = salvage(dir, &password(), &to, &mut |_| {});
    assert!(report.is_ok(), "{:?}", report.err().map(|e| e.to_string()));
    let mut found = Vec::new();
    let mut folders = vec![to];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            match entry.file_type().unwrap() {
                kind if kind.is_dir() => folders.push(entry.path()),
                kind if kind.is_file() => found.push(fs::read(entry.path()).unwrap()),
                _ => {}
            }
        }
    }
    for bytes in [MERGED.as_bytes(), DIARY.as_bytes(), &patched()] {
        assert!(found.iter().any(|found| found == bytes), "{} bytes", bytes.len());
    }
}
