//! Steps, played to the vault's file system and to the model.
//!
//! The model's next [`View`] is noted before a step begins and the acknowledgement after
//! it ended, so that whoever looks in between (a [`Watched`](super::watched::Watched)
//! disk's watcher) knows which views a crash may leave.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use coffer_fs::types::{
    Allocate, Attr, Caller, Errno, FileSystem, Handle, Ino, Kind, NewNode, OpenMode, ROOT, RenameMode,
    SetAttr, XattrMode,
};
use coffer_fs::vaultfs::CofferFs;

use super::model::{Model, View};

/// One step. Paths begin with `/`; a slot names an open file.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum Step {
    /// Opens for writing, makes it if it is not there.
    Open {
        slot: u32,
        path: String,
        truncate: bool,
    },
    Write {
        slot: u32,
        offset: usize,
        data: Arc<Vec<u8>>,
    },
    Append {
        slot: u32,
        data: Arc<Vec<u8>>,
    },
    Truncate {
        slot: u32,
        len: usize,
    },
    Punch {
        slot: u32,
        offset: usize,
        len: usize,
    },
    /// Copies a range of one open file into another.
    Copy {
        from: u32,
        at: usize,
        to: u32,
        offset: usize,
        len: usize,
    },
    Fsync {
        slot: u32,
    },
    Close {
        slot: u32,
    },
    Mkdir(String),
    Symlink {
        path: String,
        target: String,
    },
    Remove(String),
    Rename(String, String),
    Exchange(String, String),
    Link(String, String),
    Xattr {
        path: String,
        name: &'static str,
        value: Option<Vec<u8>>,
    },
    /// What the vault does by itself within five seconds.
    Tick,
    /// Dead chunks are looked for, sparse packs written anew.
    Collect,
    /// The vault is closed and opened again. Nothing may be open.
    Reopen,
}

/// What a crash may leave: views in order, and the latest that was acknowledged.
#[derive(Debug, Default)]
pub struct History {
    /// Every view that there was.
    pub views: Vec<Arc<View>>,
    /// The one that the latest successful fsync or commit made durable.
    pub acknowledged: usize,
}

/// What is noted stays true when a test has failed elsewhere.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone, Copy)]
struct Open {
    ino: Ino,
    handle: Handle,
    id: u64,
}

/// Opens the vault again, after it was closed.
pub type Reopen = Box<dyn Fn() -> Result<Arc<CofferFs>, String> + Send>;

/// See the module.
pub struct Player {
    fs: Arc<CofferFs>,
    reopen: Reopen,
    model: Model,
    slots: HashMap<u32, Open>,
    history: Arc<Mutex<History>>,
}

impl Player {
    /// Plays to the file system that this opens, in which there is nothing yet.
    ///
    /// # Errors
    /// What opening said.
    pub fn new(reopen: Reopen) -> Result<Player, String> {
        let (fs, model) = (reopen()?, Model::default());
        let history = History {
            views: vec![Arc::new(model.view())],
            acknowledged: 0,
        };
        Ok(Player {
            fs,
            reopen,
            model,
            slots: HashMap::new(),
            history: Arc::new(Mutex::new(history)),
        })
    }

    /// What it notes.
    pub fn history(&self) -> Arc<Mutex<History>> {
        self.history.clone()
    }

    /// What there should be now.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The file system.
    pub fn fs(&self) -> &Arc<CofferFs> {
        &self.fs
    }

    /// Plays one step.
    ///
    /// # Errors
    /// The errno of a step that failed; the model is then as before it.
    pub fn play(&mut self, step: &Step) -> Result<(), Errno> {
        let mut next = self.model.clone();
        let commits = self.foresee(&mut next, step);
        let at = self.note(&next);
        match self.act(step) {
            Ok(()) => {
                self.model = next;
                self.settle_slots(step);
                if commits {
                    locked(&self.history).acknowledged = at;
                }
                Ok(())
            }
            Err(e) => {
                let model = self.model.clone();
                self.note(&model);
                Err(e)
            }
        }
    }

    /// Closes what a failed workload left open.
    pub fn close_all(&mut self) {
        let slots: Vec<u32> = self.slots.keys().copied().collect();
        for slot in slots {
            let _ = self.play(&Step::Close { slot });
        }
    }

    /// Whether a step can be asked for: what it needs may have failed before.
    pub fn is_possible(&self, step: &Step) -> bool {
        let open = |slot: &u32| self.slots.contains_key(slot);
        let model = &self.model;
        match step {
            Step::Open { path, .. } | Step::Mkdir(path) | Step::Symlink { path, .. } => model.has_room(path),
            Step::Write { slot, .. }
            | Step::Append { slot, .. }
            | Step::Truncate { slot, .. }
            | Step::Punch { slot, .. }
            | Step::Fsync { slot }
            | Step::Close { slot } => open(slot),
            Step::Copy { from, to, .. } => open(from) && open(to),
            Step::Remove(path) => {
                model.has(path) && !model.paths().any(|p| p.starts_with(&format!("{path}/")))
            }
            Step::Xattr { path, value, .. } => model.find(path).is_some() && value.is_some(),
            Step::Rename(from, to) => model.has(from) && model.has_room(to),
            Step::Exchange(a, b) => model.has(a) && model.has(b),
            Step::Link(from, to) => model.find(from).is_some() && !model.has(to) && model.has_room(to),
            Step::Tick | Step::Collect => true,
            Step::Reopen => self.slots.is_empty(),
        }
    }

    /// The file of a slot has this content now: part of a step that failed was done.
    pub fn learn(&mut self, slot: u32, bytes: Vec<u8>) {
        self.model.set(self.slots[&slot].id, bytes);
    }

    /// Reads the file of a slot.
    ///
    /// # Errors
    /// The errno of reading.
    pub fn read(&self, slot: u32) -> Result<Vec<u8>, Errno> {
        let open = self.slots[&slot];
        let size = self.fs.getattr(open.ino)?.size;
        let mut out = Vec::new();
        self.fs.read(open.ino, open.handle, 0, size as u32, &mut out)?;
        Ok(out)
    }

    fn note(&self, model: &Model) -> usize {
        let mut history = locked(&self.history);
        history.views.push(Arc::new(model.view()));
        history.views.len() - 1
    }

    /// The step in the model; whether it commits.
    fn foresee(&self, model: &mut Model, step: &Step) -> bool {
        let id = |slot: &u32| self.slots[slot].id;
        match step {
            Step::Open { path, truncate, .. } => {
                model.open(path, *truncate);
            }
            Step::Write { slot, offset, data } => model.write(id(slot), *offset, data),
            Step::Append { slot, data } => model.write(id(slot), model.bytes(id(slot)).len(), data),
            Step::Truncate { slot, len } => model.truncate(id(slot), *len),
            Step::Punch { slot, offset, len } => model.punch(id(slot), *offset, *len),
            Step::Copy {
                from,
                at,
                to,
                offset,
                len,
            } => {
                let source = model.bytes(id(from));
                let end = source.len().min(at + len);
                model.write(id(to), *offset, &source[(*at).min(end)..end]);
            }
            Step::Close { slot } => model.close(id(slot)),
            Step::Mkdir(path) => model.mkdir(path),
            Step::Symlink { path, target } => model.symlink(path, target),
            Step::Remove(path) => model.remove(path),
            Step::Rename(from, to) => model.rename(from, to),
            Step::Exchange(a, b) => model.exchange(a, b),
            Step::Link(from, to) => model.link(from, to),
            Step::Xattr { path, name, value } => model.xattr(path, name.as_bytes(), value.as_deref()),
            Step::Fsync { slot } => {
                model.commit(Some(id(slot)));
                return true;
            }
            Step::Tick | Step::Collect | Step::Reopen => {
                model.commit(None);
                return true;
            }
        }
        false
    }

    fn act(&mut self, step: &Step) -> Result<(), Errno> {
        let fs = self.fs.clone();
        match step {
            Step::Open { slot, path, truncate } => {
                let opened = self.open(path, *truncate)?;
                self.slots.insert(*slot, opened);
            }
            Step::Write { slot, offset, data } => self.write(*slot, *offset, data)?,
            Step::Append { slot, data } => {
                let at = self.model.bytes(self.slots[slot].id).len();
                self.write(*slot, at, data)?;
            }
            Step::Truncate { slot, len } => {
                let open = self.slots[slot];
                let set = SetAttr {
                    size: Some(*len as u64),
                    ..SetAttr::default()
                };
                fs.setattr(Caller::default(), open.ino, Some(open.handle), set)?;
            }
            Step::Punch { slot, offset, len } => {
                let open = self.slots[slot];
                fs.fallocate(
                    open.ino,
                    open.handle,
                    *offset as u64,
                    *len as u64,
                    Allocate::PunchHole,
                )?;
            }
            Step::Copy {
                from,
                at,
                to,
                offset,
                len,
            } => {
                let (a, b) = (self.slots[from], self.slots[to]);
                let (from, to) = ((a.ino, a.handle, *at as u64), (b.ino, b.handle, *offset as u64));
                fs.copy_range(from, to, *len as u64)?;
            }
            Step::Fsync { slot } => {
                let (say, said) = std::sync::mpsc::channel();
                fs.fsync(
                    self.slots[slot].ino,
                    Box::new(move |result| {
                        let _ = say.send(result);
                    }),
                );
                said.recv().expect("an fsync is answered")?;
            }
            Step::Close { slot } => {
                let open = self.slots[slot];
                fs.release(open.ino, open.handle);
                fs.forget(open.ino, 1);
            }
            Step::Mkdir(path) => self.make(path, NewNode::Folder)?,
            Step::Symlink { path, target } => self.make(path, NewNode::Symlink(target.as_bytes()))?,
            Step::Remove(path) => {
                let folder = self.model.is_folder(path);
                self.at(path, |fs, parent, name| match folder {
                    true => fs.rmdir(parent, name),
                    false => fs.unlink(Caller::default(), parent, name),
                })?;
            }
            Step::Rename(from, to) => self.rename(from, to, RenameMode::Replace)?,
            Step::Exchange(a, b) => self.rename(a, b, RenameMode::Exchange)?,
            Step::Link(from, to) => {
                let attr = self.at(from, |fs, parent, name| fs.lookup(parent, name))?;
                let linked = self.at(to, |fs, parent, name| {
                    fs.link(Caller::default(), attr.ino, parent, name)
                });
                fs.forget(attr.ino, 1 + u64::from(linked.is_ok()));
                linked?;
            }
            Step::Xattr { path, name, value } => {
                let attr = self.at(path, |fs, parent, name| fs.lookup(parent, name))?;
                let done = match value {
                    Some(value) => fs.setxattr(attr.ino, name.as_bytes(), value, XattrMode::Set),
                    None => fs.removexattr(attr.ino, name.as_bytes()),
                };
                fs.forget(attr.ino, 1);
                done?;
            }
            Step::Tick => fs.vault().tick().map_err(|e| Errno(e.errno()))?,
            Step::Collect => {
                fs.vault().collect().map_err(|e| Errno(e.errno()))?;
            }
            Step::Reopen => {
                let closed = fs.vault().close().map_err(|e| Errno(e.errno()));
                self.fs = (self.reopen)().map_err(|_| closed.err().unwrap_or(Errno(libc::EIO)))?;
                closed?;
            }
        }
        Ok(())
    }

    /// After a step that went well: closed slots go, opened ones learn their file.
    fn settle_slots(&mut self, step: &Step) {
        match step {
            Step::Close { slot } => {
                self.slots.remove(slot);
            }
            Step::Open { slot, path, .. } => {
                let id = self.model.find(path).expect("it was just opened");
                self.slots.get_mut(slot).expect("it was just opened").id = id;
            }
            _ => {}
        }
    }

    fn write(&self, slot: u32, offset: usize, data: &[u8]) -> Result<(), Errno> {
        let open = self.slots[&slot];
        // As the kernel cuts it: a failure in the middle leaves what came before.
        let mut at = offset;
        for part in data.chunks(1 << 20) {
            self.fs.write(open.ino, open.handle, at as u64, part, false)?;
            at += part.len();
        }
        Ok(())
    }

    fn open(&self, path: &str, truncate: bool) -> Result<Open, Errno> {
        let mode = OpenMode {
            read: true,
            write: true,
            append: false,
            execute: false,
            truncate,
        };
        self.at(path, |fs, parent, name| {
            let (attr, handle) = match fs.lookup(parent, name) {
                Ok(attr) => {
                    let opened = fs.open(Caller::default(), attr.ino, mode);
                    (attr, opened.inspect_err(|_| fs.forget(attr.ino, 1))?)
                }
                Err(Errno(libc::ENOENT)) => fs.create(Caller::default(), parent, name, 0o644, mode, true)?,
                Err(e) => return Err(e),
            };
            Ok(Open {
                ino: attr.ino,
                handle,
                id: 0,
            })
        })
    }

    fn make(&self, path: &str, node: NewNode<'_>) -> Result<(), Errno> {
        let made: Attr = self.at(path, |fs, parent, name| {
            fs.make(Caller::default(), parent, name, node, 0o755)
        })?;
        self.fs.forget(made.ino, 1);
        debug_assert!(matches!(made.kind, Kind::Folder | Kind::Symlink));
        Ok(())
    }

    fn rename(&self, from: &str, to: &str, mode: RenameMode) -> Result<(), Errno> {
        self.at(from, |_, parent, name| {
            self.at(to, |fs, to_parent, to_name| {
                fs.rename(Caller::default(), parent, name, to_parent, to_name, mode)
            })
        })
    }

    /// Calls with the folder that a path is in, and its last name.
    fn at<T>(
        &self,
        path: &str,
        call: impl FnOnce(&CofferFs, Ino, &[u8]) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let mut parts: Vec<&str> = path.split('/').skip(1).collect();
        let name = parts.pop().expect("a path has a name");
        let mut folder = ROOT;
        let mut held = Vec::new();
        let mut found = Ok(());
        for part in parts {
            match self.fs.lookup(folder, part.as_bytes()) {
                Ok(attr) => {
                    held.push(attr.ino);
                    folder = attr.ino;
                }
                Err(e) => {
                    found = Err(e);
                    break;
                }
            }
        }
        let result = found.and_then(|()| call(&self.fs, folder, name.as_bytes()));
        held.into_iter().for_each(|ino| self.fs.forget(ino, 1));
        result
    }
}
