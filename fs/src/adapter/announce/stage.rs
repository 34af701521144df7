//! What the adapter shows the announcing helper: the tree as it was before the change that is being
//! repeated, until it is repeated.
//!
//! The helper is known by its process: the daemon's child, which it alone reaps, so that its number
//! is nobody else's. Guarantees that nothing the helper asks for changes anything, that a repetition
//! other than the one that is due is refused (ESTALE), and that what it is shown is remembered by
//! nobody (lifetimes of zero). Inodes that there are none of any more are played by others, whose
//! numbers no file system gives.

use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;

use super::change::Place;
use crate::types::{Attr, Errno, FileSystem, Handle, Ino, Kind, ROOT, Result, Time};

/// The name by which the helper finds the folder behind the stage; for nobody else it is there.
pub(super) const BACKSTAGE: &str = ".coffer-backstage";
/// What waits in it to be moved over something.
pub(super) const WAITING: &str = "next";
/// The handle of what the helper opens.
pub(in crate::adapter) const HANDLE: Handle = u64::MAX - 1;
/// Numbers from here on are played.
const PLAYED: Ino = u64::MAX << 40;
/// The folder behind the stage.
const BACK: Ino = u64::MAX - 1;

/// The repetition that is due.
#[derive(Clone, Debug)]
pub(super) enum Scene {
    /// Something appears where nothing was.
    Appear { at: Place, ino: Ino },
    /// Something takes a name from behind the stage, over what was there.
    Over { at: Place, ino: Ino, old: Ino },
    /// A name goes.
    Vanish { at: Place, ino: Ino, folder: bool },
    /// A name moves, perhaps over another.
    Move {
        from: Place,
        to: Place,
        ino: Ino,
        over: Option<Ino>,
    },
    /// A file is rewritten, or touched.
    Touch { ino: Ino },
}

#[derive(Default)]
struct Now {
    scene: Option<Scene>,
    /// It was repeated.
    done: bool,
    /// How many were played already.
    played: u64,
}

/// See the module.
#[derive(Default)]
pub(in crate::adapter) struct Stage {
    /// The helper's process; zero is nobody.
    helper: AtomicU32,
    now: Mutex<Now>,
}

/// Whether the file system knows nothing of this number.
pub(in crate::adapter) fn is_played(ino: Ino) -> bool {
    ino >= PLAYED
}

/// The attributes of what is played.
pub(in crate::adapter) fn played(ino: Ino, kind: Kind) -> Attr {
    let time = Time { sec: 0, nsec: 0 };
    Attr {
        ino,
        size: 0,
        blocks: 0,
        atime: time,
        mtime: time,
        ctime: time,
        btime: time,
        kind,
        perm: 0o700,
        nlink: 1,
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        rdev: 0,
    }
}

fn shown(attr: Attr) -> Option<Result<Attr>> {
    Some(Ok(attr))
}

fn stale<T>() -> Result<T> {
    Err(Errno(libc::ESTALE))
}

impl Place {
    fn is(&self, folder: Ino, name: &[u8]) -> bool {
        self.folder == folder && self.name == name
    }
}

impl Stage {
    /// Whether a request comes from the helper.
    pub(in crate::adapter) fn is_helper(&self, pid: u32) -> bool {
        pid != 0 && pid == self.helper.load(Ordering::Acquire)
    }

    /// This process is the helper from now on; zero: there is none. Until it is reaped, it stays one.
    pub(super) fn cast(&self, pid: u32) {
        self.helper.store(pid, Ordering::Release);
    }

    /// This is due, and nothing else.
    pub(super) fn set(&self, scene: Scene) {
        let mut now = self.now.lock();
        (now.scene, now.done) = (Some(scene), false);
    }

    /// Nothing is due any more; whether it was repeated.
    pub(super) fn clear(&self) -> bool {
        let mut now = self.now.lock();
        now.scene = None;
        now.done
    }

    /// What a name is for the helper; `None`: what it is for everybody.
    pub(in crate::adapter) fn lookup<F: FileSystem>(
        &self,
        fs: &F,
        folder: Ino,
        name: &[u8],
    ) -> Option<Result<Attr>> {
        if folder == ROOT && name == BACKSTAGE.as_bytes() {
            return Some(Ok(played(BACK, Kind::Folder)));
        }
        let mut now = self.now.lock();
        let fits = |place: &Place| place.is(folder, name);
        let gone = || Some(Err(Errno(libc::ENOENT)));
        let (ino, kind) = match now.scene.as_ref().filter(|_| !now.done) {
            Some(Scene::Appear { at, .. }) if fits(at) => return gone(),
            Some(Scene::Over { ino, .. }) if folder == BACK && name == WAITING.as_bytes() => {
                return Some(fs.hold(*ino));
            }
            // Whoever has the old one open, or watches it, hears of it, too. If nobody has, it may be gone.
            Some(Scene::Over { at, old, .. }) if fits(at) => {
                return fs.hold(*old).map_or_else(|_| gone(), shown);
            }
            Some(Scene::Move { from, ino, .. }) if fits(from) => return Some(fs.hold(*ino)),
            Some(Scene::Move { to, over, .. }) if fits(to) => {
                let old = over.and_then(|over| fs.hold(over).ok());
                return old.map_or_else(gone, shown);
            }
            Some(Scene::Vanish { at, ino, folder }) if fits(at) => {
                (*ino, if *folder { Kind::Folder } else { Kind::File })
            }
            _ if is_played(folder) => return gone(),
            _ => return None,
        };
        match fs.hold(ino) {
            Ok(attr) if (attr.kind == Kind::Folder) == (kind == Kind::Folder) => Some(Ok(attr)),
            held => {
                if held.is_ok() {
                    fs.forget(ino, 1);
                }
                now.played += 1;
                Some(Ok(played(PLAYED + now.played % (1 << 39), kind)))
            }
        }
    }

    /// The helper makes a name: it stands for what is there.
    pub(in crate::adapter) fn make<F: FileSystem>(&self, fs: &F, folder: Ino, name: &[u8]) -> Result<Attr> {
        let mut now = self.now.lock();
        match &now.scene {
            Some(Scene::Appear { at, ino }) if !now.done && at.is(folder, name) => {
                let attr = fs.hold(*ino)?;
                now.done = true;
                Ok(attr)
            }
            _ => stale(),
        }
    }

    /// The helper removes a name.
    pub(in crate::adapter) fn remove(&self, folder: Ino, name: &[u8]) -> Result<()> {
        self.done(|scene| matches!(scene, Scene::Vanish { at, .. } if at.is(folder, name)))
    }

    /// The helper renames.
    pub(in crate::adapter) fn rename(&self, from: (Ino, &[u8]), to: (Ino, &[u8])) -> Result<()> {
        self.done(|scene| match scene {
            Scene::Over { at, .. } => from == (BACK, WAITING.as_bytes()) && at.is(to.0, to.1),
            Scene::Move {
                from: was, to: is, ..
            } => was.is(from.0, from.1) && is.is(to.0, to.1),
            _ => false,
        })
    }

    /// The helper opens a file to write to it.
    pub(in crate::adapter) fn open(&self, ino: Ino) -> Result<()> {
        match &self.now.lock().scene {
            Some(Scene::Touch { ino: due }) if *due == ino => Ok(()),
            _ => stale(),
        }
    }

    /// The helper sets a size, or times.
    pub(in crate::adapter) fn touch(&self, ino: Ino) -> Result<()> {
        self.done(|scene| matches!(scene, Scene::Touch { ino: due } if *due == ino))
    }

    fn done(&self, fits: impl FnOnce(&Scene) -> bool) -> Result<()> {
        let mut now = self.now.lock();
        if now.done || !now.scene.as_ref().is_some_and(fits) {
            return stale();
        }
        now.done = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards the rule: only what is due, and once; and that nobody is nobody.
    #[test]
    fn only_what_is_due_is_done() {
        let stage = Stage::default();
        assert!(!stage.is_helper(0));
        stage.cast(7);
        assert!(stage.is_helper(7) && !stage.is_helper(8) && !stage.is_helper(0));
        stage.cast(0);
        assert!(!stage.is_helper(0) && !stage.is_helper(7));
        assert_eq!(stage.remove(1, b"a"), stale());
        stage.set(Scene::Vanish {
            at: Place::new(1, "a"),
            ino: 5,
            folder: false,
        });
        assert_eq!(stage.remove(1, b"b"), stale());
        assert_eq!(stage.remove(2, b"a"), stale());
        assert_eq!(stage.rename((1, b"a"), (1, b"b")), stale());
        assert_eq!(stage.touch(5), stale());
        assert_eq!(stage.remove(1, b"a"), Ok(()));
        assert_eq!(stage.remove(1, b"a"), stale(), "once");
        assert!(stage.clear());
        stage.set(Scene::Touch { ino: 5 });
        assert_eq!((stage.open(5), stage.open(6)), (Ok(()), stale()));
        assert!(!stage.clear(), "opened, not touched");
        assert_eq!(stage.open(5), stale());
    }
}
