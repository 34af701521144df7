//! The folder of history without a kernel: what a look-up, a listing and a read answer, what is
//! refused, and what is kept of what the kernel forgot.

use std::collections::BTreeMap;
use std::sync::Arc;

use coffer_fs::permit::{Permit, User};
use coffer_fs::shelf::Shelf;
use coffer_fs::types::{
    Access, Allocate, Attr, Caller, Errno, FileSystem, Ino, Kind, NewNode, OpenMode, ROOT, RenameMode, Seek,
    SetAttr, XattrMode,
};
use coffer_fs::vaultfs::CofferFs;
use coffer_store::keys::{KdfParams, Password};
use coffer_store::vault::Vault;

const WRITE: OpenMode = OpenMode {
    read: false,
    write: true,
    append: false,
    truncate: false,
    execute: false,
};
const READ: OpenMode = OpenMode {
    read: true,
    write: false,
    append: false,
    truncate: false,
    execute: false,
};
const WHO: Caller = Caller {
    uid: 1000,
    gid: 1000,
    pid: 0,
};

struct Bed {
    _dir: tempfile::TempDir,
    vault: Arc<Vault>,
    fs: Arc<Shelf>,
}

/// A vault with Notes/a.md in three versions.
fn bed() -> Bed {
    let dir = tempfile::tempdir().unwrap();
    let password = Password::new(b"a password for tests alone".to_vec());
    let made = Vault::create(&dir.path().join("v"), &password, KdfParams::FLOOR, false);
    let vault = made.unwrap().0;
    let fs = Arc::new(CofferFs::new(vault.clone()).unwrap());
    let bed = Bed {
        _dir: dir,
        vault,
        fs: Arc::new(Shelf::new(fs, None)),
    };
    let notes = bed
        .fs
        .make(WHO, ROOT, b"Notes", NewNode::Folder, 0o755)
        .unwrap()
        .ino;
    for text in ["one", "two", "three"] {
        bed.save(notes, "a.md", text);
    }
    bed
}

impl Bed {
    fn save(&self, folder: Ino, name: &str, text: &str) -> Ino {
        let made = self.fs.create(WHO, folder, name.as_bytes(), 0o640, WRITE, false);
        let (attr, handle) = made.unwrap();
        let cut = SetAttr {
            size: Some(0),
            ..SetAttr::default()
        };
        self.fs.setattr(WHO, attr.ino, Some(handle), cut).unwrap();
        self.fs
            .write(attr.ino, handle, 0, text.as_bytes(), false)
            .unwrap();
        self.fs.release(attr.ino, handle);
        self.vault.commit().unwrap();
        attr.ino
    }

    /// What lies at a path below the root.
    fn at(&self, path: &str) -> Result<Attr, Errno> {
        let mut found = self.fs.lookup(ROOT, b".")?;
        for name in path.split('/') {
            found = self.fs.lookup(found.ino, name.as_bytes())?;
        }
        Ok(found)
    }

    fn names(&self, folder: Ino) -> BTreeMap<String, Ino> {
        let mut names = BTreeMap::new();
        let listed = self.fs.readdir(folder, 0, &mut |entry| {
            names.insert(String::from_utf8(entry.name.to_vec()).unwrap(), entry.ino);
            true
        });
        listed.unwrap();
        names
    }

    fn read(&self, ino: Ino) -> Vec<u8> {
        let handle = self.fs.open(WHO, ino, READ).unwrap();
        let mut bytes = Vec::new();
        self.fs.read(ino, handle, 0, 1 << 20, &mut bytes).unwrap();
        self.fs.release(ino, handle);
        let mut none = Vec::new();
        assert_eq!(
            self.fs.read(ino, handle, 0, 1, &mut none),
            Err(Errno(libc::EBADF))
        );
        bytes
    }
}

/// Guards the numbers: one for each thing, the same from a listing and a look-up, none of them the
/// vault's; and that the kernel is told to remember nothing of them.
#[test]
fn things_have_numbers_of_their_own() {
    let bed = bed();
    let dir = bed.at(".coffer/history/Notes/a.md").unwrap();
    let names = bed.names(dir.ino);
    assert_eq!(names.len(), 5, "{names:?}");
    assert_eq!(names["."], dir.ino);
    assert_eq!(names[".."], bed.at(".coffer/history/Notes").unwrap().ino);
    let mut seen = std::collections::HashSet::new();
    for (name, ino) in &names {
        assert!(
            seen.insert(*ino) && *ino >= 1 << 62 && !bed.fs.lasts(*ino),
            "{name}"
        );
        if !name.starts_with('.') {
            let found = bed.fs.lookup(dir.ino, name.as_bytes()).unwrap();
            assert_eq!(
                (found.ino, found.kind, found.perm),
                (*ino, Kind::File, 0o640),
                "{name}"
            );
        }
    }
    assert!(bed.fs.lasts(ROOT));
    assert!(!bed.names(ROOT).contains_key(".coffer"));
    assert_eq!(bed.names(bed.at(".coffer").unwrap().ino)[".."], ROOT);
    for path in [
        ".coffer/x",
        ".coffer/history/x",
        ".coffer/history/Notes/x",
        ".coffer/history/Notes/a.md/0001",
        ".coffer/history/Notes/a.md/0009 2026-11-22 15.04.05.md",
        "Notes/.coffer",
    ] {
        assert_eq!(bed.at(path), Err(Errno(libc::ENOENT)), "{path}");
    }
}

/// Guards the bytes, a symlink's version, and seeking.
#[test]
fn versions_are_read() {
    let bed = bed();
    let dir = bed.at(".coffer/history/Notes/a.md").unwrap().ino;
    let versions: Vec<Ino> = bed.names(dir).into_iter().skip(2).map(|(_, ino)| ino).collect();
    let names: Vec<String> = bed.names(dir).into_keys().skip(2).collect();
    for ((ino, name), text) in versions.iter().zip(&names).zip(["one", "two", "three"]) {
        assert_eq!(
            bed.fs.open(WHO, *ino, READ),
            Err(Errno(libc::ESTALE)),
            "the kernel holds it not"
        );
        let attr = bed.fs.lookup(dir, name.as_bytes()).unwrap();
        assert_eq!((attr.size, attr.nlink), (text.len() as u64, 1));
        assert_eq!(bed.read(*ino), text.as_bytes());
        assert_eq!(bed.fs.getattr(*ino).unwrap(), attr);
        assert_eq!(bed.fs.readlink(*ino), Err(Errno(libc::EINVAL)));
    }
    assert_eq!(bed.fs.open(WHO, dir, READ), Err(Errno(libc::EISDIR)));
    let handle = bed.fs.open(WHO, versions[2], READ).unwrap();
    let seek = |offset, what| bed.fs.lseek(versions[2], handle, offset, what);
    assert_eq!(seek(1, Seek::Data), Ok(1));
    assert_eq!(seek(1, Seek::Hole), Ok(5));
    assert_eq!(seek(5, Seek::Data), Err(Errno(libc::ENXIO)));
    let notes = bed.at("Notes").unwrap().ino;
    bed.fs
        .make(WHO, notes, b"link", NewNode::Symlink(b"a.md"), 0o777)
        .unwrap();
    bed.vault.commit().unwrap();
    let dir = bed.at(".coffer/history/Notes/link").unwrap().ino;
    let name = bed.names(dir).into_keys().nth(2).unwrap();
    let link = bed.fs.lookup(dir, name.as_bytes()).unwrap();
    assert_eq!(
        (link.kind, bed.fs.readlink(link.ino).unwrap()),
        (Kind::Symlink, b"a.md".to_vec())
    );
}

/// Guards a listing that is asked for bit by bit, with attributes and without: everything once, and
/// as many look-ups counted as entries were taken.
#[test]
fn listings_go_on_where_they_were() {
    let bed = bed();
    let notes = bed.at("Notes").unwrap().ino;
    for i in 0..40 {
        bed.save(notes, &format!("n{i}"), "x");
    }
    let dir = bed.at(".coffer/history/Notes").unwrap().ino;
    let whole: Vec<String> = bed.names(dir).into_keys().collect();
    assert_eq!(whole.len(), 43);
    for step in [1, 3, 64] {
        let (mut plain, mut plus, mut at) = (Vec::new(), Vec::new(), (0, 0));
        loop {
            let before = plain.len();
            let mut left = step;
            bed.fs
                .readdir(dir, at.0, &mut |entry| {
                    if left == 0 {
                        return false;
                    }
                    left -= 1;
                    at.0 = entry.cookie;
                    plain.push(String::from_utf8(entry.name.to_vec()).unwrap());
                    true
                })
                .unwrap();
            let mut left = step;
            bed.fs
                .readdir_plus(dir, at.1, &mut |entry, attr| {
                    if left == 0 {
                        return false;
                    }
                    left -= 1;
                    assert!(matches!(entry.name, b"." | b"..") || attr.ino == entry.ino);
                    at.1 = entry.cookie;
                    plus.push((String::from_utf8(entry.name.to_vec()).unwrap(), entry.ino));
                    true
                })
                .unwrap();
            if plain.len() == before {
                break;
            }
        }
        let mut sorted = plain.clone();
        sorted.sort();
        assert_eq!(sorted, whole, "{step}");
        assert!(plus.iter().map(|(name, _)| name).eq(&plain), "{step}");
        for (name, ino) in plus.iter().skip(2) {
            assert!(bed.fs.getattr(*ino).is_ok(), "{name} counts as looked up");
            bed.fs.forget(*ino, 1);
            assert_eq!(bed.fs.getattr(*ino), Err(Errno(libc::ESTALE)), "{name} once");
        }
    }
}

/// Guards threads that serve: looking makes no commit, and waits for none; what is saved is shown once
/// it is recorded, and what is open stays readable whatever comes.
#[test]
fn looking_commits_nothing() {
    let bed = bed();
    bed.vault.stop_keeper();
    let notes = bed.at("Notes").unwrap().ino;
    let made = bed.fs.create(WHO, notes, b"new.md", 0o644, WRITE, true).unwrap();
    bed.fs.write(made.0.ino, made.1, 0, b"new", false).unwrap();
    bed.fs.release(made.0.ino, made.1);
    let before = bed.vault.standing();
    let dir = bed.at(".coffer/history/Notes/new.md").unwrap().ino;
    assert_eq!(bed.names(dir).len(), 2, "not recorded yet");
    let a = bed.at(".coffer/history/Notes/a.md").unwrap().ino;
    let name = bed.names(a).into_keys().nth(2).unwrap();
    let version = bed.fs.lookup(a, name.as_bytes()).unwrap().ino;
    assert_eq!(bed.read(version), b"one");
    assert_eq!(bed.vault.standing(), before, "nothing was committed");
    bed.vault.commit().unwrap();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while bed.names(dir).len() < 3 {
        assert!(std::time::Instant::now() < until, "it is never shown");
        std::thread::yield_now();
    }
}

/// Guards every request that changes something: refused, by the same word, in the folder itself, at
/// its name, and in versions.
#[test]
fn changes_are_refused() {
    let bed = bed();
    let fs = &bed.fs;
    let top = bed.at(".coffer").unwrap().ino;
    let dir = bed.at(".coffer/history/Notes/a.md").unwrap().ino;
    let name = bed.names(dir).into_keys().nth(2).unwrap();
    let version = fs.lookup(dir, name.as_bytes()).unwrap().ino;
    let mine = bed.at("Notes/a.md").unwrap().ino;
    let notes = bed.at("Notes").unwrap().ino;
    let fixed = Some(Errno(libc::EROFS));
    let mine_open = fs.open(WHO, mine, WRITE).unwrap();
    for (folder, name) in [
        (ROOT, &b".coffer"[..]),
        (top, b"new"),
        (top, b"history"),
        (dir, name.as_bytes()),
    ] {
        let shown = String::from_utf8_lossy(name).into_owned();
        assert_eq!(
            fs.make(WHO, folder, name, NewNode::File, 0o644).err(),
            fixed,
            "make {shown}"
        );
        assert_eq!(
            fs.make(WHO, folder, name, NewNode::Folder, 0o755).err(),
            fixed,
            "mkdir {shown}"
        );
        assert_eq!(
            fs.create(WHO, folder, name, 0o644, WRITE, true).err(),
            fixed,
            "create {shown}"
        );
        assert_eq!(
            fs.unlink(Caller::default(), folder, name).err(),
            fixed,
            "unlink {shown}"
        );
        assert_eq!(fs.rmdir(folder, name).err(), fixed, "rmdir {shown}");
        assert_eq!(
            fs.link(Caller::default(), mine, folder, name).err(),
            fixed,
            "link {shown}"
        );
        for mode in [RenameMode::Replace, RenameMode::NoReplace, RenameMode::Exchange] {
            assert_eq!(
                fs.rename(Caller::default(), folder, name, notes, b"out", mode)
                    .err(),
                fixed,
                "from {shown}"
            );
            assert_eq!(
                fs.rename(Caller::default(), notes, b"a.md", folder, name, mode)
                    .err(),
                fixed,
                "to {shown}"
            );
        }
    }
    for ino in [top, dir, version] {
        assert_eq!(fs.setattr(WHO, ino, None, SetAttr::default()).err(), fixed);
        assert_eq!(fs.setxattr(ino, b"user.x", b"", XattrMode::Set).err(), fixed);
        assert_eq!(fs.removexattr(ino, b"user.x").err(), fixed);
        assert_eq!(fs.open(WHO, ino, WRITE).err(), fixed);
        assert_eq!(fs.write(ino, 1, 0, b"x", false).err(), fixed);
        let reserve = Allocate::Reserve { keep_size: false };
        assert_eq!(fs.fallocate(ino, 1, 0, 1, reserve).err(), fixed);
        assert_eq!(fs.link(Caller::default(), ino, notes, b"out").err(), fixed);
        assert_eq!(fs.copy_range((mine, mine_open, 0), (ino, 1, 0), 1).err(), fixed);
        assert_eq!(fs.access(ino, Access(Access::WRITE)).err(), fixed);
        assert_eq!(fs.access(ino, Access(Access::READ)), Ok(()));
        assert_eq!(fs.getxattr(ino, b"user.x"), Err(Errno(libc::ENODATA)));
    }
    // Copying out of it is done by reading: the kernel takes this for an answer.
    let open = fs.open(WHO, version, READ).unwrap();
    assert_eq!(
        fs.copy_range((version, open, 0), (mine, mine_open, 0), 1),
        Err(Errno(libc::EXDEV))
    );
    assert_eq!(bed.names(dir).len(), 5);
}

/// Guards privacy where several users can come: history holds what a file was when it was open to
/// others or not, so nobody but the vault's owner enters.
#[test]
fn only_the_owner_comes_in() {
    let bed = bed();
    let root = bed.fs.getattr(ROOT).unwrap();
    let top = bed.at(".coffer").unwrap();
    assert_eq!((top.perm & 0o077, top.uid), (0, root.uid));
    let stranger = User {
        uid: root.uid + 1,
        groups: vec![root.gid],
    };
    let permitted = Permit::new(bed.fs.clone(), stranger);
    let found = permitted.lookup(ROOT, b".coffer").unwrap().ino;
    assert_eq!(permitted.lookup(found, b"history"), Err(Errno(libc::EACCES)));
    assert_eq!(
        permitted.readdir(found, 0, &mut |_| true),
        Err(Errno(libc::EACCES))
    );
    // Its owner, an ordinary user, reads and is told at once that nothing can be written.
    let given = SetAttr {
        uid: Some(WHO.uid),
        gid: Some(WHO.gid),
        ..SetAttr::default()
    };
    bed.fs.setattr(Caller::default(), ROOT, None, given).unwrap();
    let owner = User {
        uid: WHO.uid,
        groups: vec![WHO.gid],
    };
    let permitted = Permit::new(bed.fs.clone(), owner);
    let mut at = ROOT;
    for name in [".coffer", "history", "Notes", "a.md"] {
        at = permitted.lookup(at, name.as_bytes()).unwrap().ino;
    }
    let name = bed.names(at).into_keys().nth(2).unwrap();
    let version = permitted.lookup(at, name.as_bytes()).unwrap().ino;
    let handle = permitted.open(WHO, version, READ).unwrap();
    let mut bytes = Vec::new();
    permitted.read(version, handle, 0, 100, &mut bytes).unwrap();
    assert_eq!(bytes, b"one");
    assert_eq!(
        permitted.access(version, Access(Access::WRITE)),
        Err(Errno(libc::EROFS))
    );
    assert_eq!(permitted.open(WHO, version, WRITE), Err(Errno(libc::EROFS)));
    assert!(!permitted.lasts(version));
}

/// Guards what others keep to themselves on a mount for all users: the versions of a file have its
/// owner, whoever owns the vault's root; those of what was removed, the mounter.
#[test]
fn a_version_has_the_owner_of_its_file() {
    let bed = bed();
    let file = bed.at("Notes/a.md").unwrap();
    let give = SetAttr {
        uid: Some(4242),
        gid: Some(4343),
        ..SetAttr::default()
    };
    bed.fs.setattr(WHO, file.ino, None, give).unwrap();
    let version = || {
        let dir = bed.at(".coffer/history/Notes/a.md").ok()?;
        let names = bed.names(dir.ino);
        let first = names.keys().find(|name| name.starts_with("0001"))?;
        bed.fs.lookup(dir.ino, first.as_bytes()).ok()
    };
    let of = version().unwrap();
    assert_eq!((of.uid, of.gid, of.perm), (4242, 4343, 0o640));
    bed.fs.unlink(WHO, bed.at("Notes").unwrap().ino, b"a.md").unwrap();
    bed.vault.removed().unwrap();
    // What is shown may be a moment old.
    let begun = std::time::Instant::now();
    let of = loop {
        match version().filter(|of| of.uid != 4242) {
            Some(of) => break of,
            None => assert!(begun.elapsed().as_secs() < 60),
        }
    };
    assert_eq!(of.uid, rustix::process::geteuid().as_raw());
}
