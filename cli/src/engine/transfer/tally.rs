//! What a transfer counts, what it leaves out and why, and when it is to stop. Shared by its threads.

use crate::answers::{Reason, Skipped, Transfer};
use crate::failure::{Failure, reason};
use crate::wire::{Progress, WirePath};
use coffer_store::vault::OpError;
use parking_lot::Mutex;
use rustix::io::Errno;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

/// How many of those left out are named.
const NAMED: usize = 100_000;

/// When somebody wants it to end.
#[derive(Debug, Default)]
pub(crate) struct Stop(AtomicU8);

impl Stop {
    /// Ends it when the files under way are whole.
    pub(crate) fn ask(&self) {
        self.0.fetch_max(1, Ordering::AcqRel);
    }

    /// Ends it at once: the files under way never were.
    pub(crate) fn insist(&self) {
        self.0.store(2, Ordering::Release);
    }

    fn is_asked(&self) -> bool {
        self.0.load(Ordering::Acquire) > 0
    }

    fn is_insisted(&self) -> bool {
        self.0.load(Ordering::Acquire) > 1
    }
}

/// Why a file did not go.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It is left out.
    Skip(Reason, String),
    /// Nothing more can go.
    End(Failure),
    /// It was stopped in the middle.
    Stopped,
}

/// What a plain file met that was to be read.
pub(super) fn unreadable(error: Errno) -> Trouble {
    Trouble::Skip(
        Reason::Failed,
        format!("cannot read it: {}", reason(&error.into())),
    )
}

/// What one met that was to be made: its file system's trouble is everybody's.
pub(super) fn unwritable(error: Errno) -> Trouble {
    match error {
        Errno::NOSPC | Errno::DQUOT | Errno::ROFS => {
            Trouble::End(Failure::io("write what is brought out", &error.into()))
        }
        _ => Trouble::Skip(
            Reason::Failed,
            format!("cannot write it: {}", reason(&error.into())),
        ),
    }
}

impl From<OpError> for Trouble {
    /// What the vault said: of this file, or of all.
    fn from(error: OpError) -> Trouble {
        match &error {
            OpError::Errno(libc::EROFS) => Trouble::End(Failure::failed(
                "The vault can only be read: it is mounted with -o ro.",
            )),
            OpError::Store(store) if store.absent().is_some() => Trouble::Skip(
                Reason::Failed,
                "its bytes are not on this device, and no device that has them is reached".to_owned(),
            ),
            OpError::Store(store) if store.is_damage() => {
                Trouble::Skip(Reason::Failed, format!("it is damaged in the vault: {error}"))
            }
            OpError::Store(_) => Trouble::End(error.into()),
            OpError::Errno(libc::EMLINK) => {
                Trouble::Skip(Reason::Failed, "the file has as many names as it can have".into())
            }
            OpError::Tree(_) | OpError::Errno(_) => Trouble::Skip(Reason::Failed, error.to_string()),
        }
    }
}

/// What came of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// It is new there.
    New,
    /// It took the place of another.
    Replaced,
    /// It was there.
    There,
    /// A folder is new.
    Folder,
    /// A further name of a file is.
    Link,
}

/// See the module.
pub(super) struct Tally<'a> {
    stop: &'a Stop,
    sum: Mutex<Transfer>,
    ended: Mutex<Option<Failure>>,
    files: AtomicU64,
    bytes: AtomicU64,
    /// Files and bytes in all, once they are counted.
    total: Mutex<Option<(u64, u64)>>,
    over: AtomicBool,
}

impl<'a> Tally<'a> {
    pub(super) fn new(stop: &'a Stop) -> Tally<'a> {
        Tally {
            stop,
            sum: Mutex::default(),
            ended: Mutex::default(),
            files: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            total: Mutex::default(),
            over: AtomicBool::new(false),
        }
    }

    /// Whether no further file is to be begun.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.is_asked() || self.ended.lock().is_some()
    }

    /// In the middle of a file: whether to go on with it.
    ///
    /// # Errors
    /// [`Trouble::Stopped`].
    pub(super) fn go_on(&self) -> Result<(), Trouble> {
        match self.stop.is_insisted() {
            true => Err(Trouble::Stopped),
            false => Ok(()),
        }
    }

    /// So many bytes of content were read.
    pub(super) fn read(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// What came of one.
    pub(super) fn came(&self, came: Came) {
        let mut sum = self.sum.lock();
        match came {
            Came::New => sum.new_files += 1,
            Came::Replaced => sum.replaced += 1,
            Came::There => sum.there += 1,
            Came::Folder => sum.new_folders += 1,
            Came::Link => sum.new_links += 1,
        }
        drop(sum);
        if came != Came::Folder {
            self.files.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What became of one that did not go.
    pub(super) fn trouble(&self, path: PathBuf, trouble: Trouble) {
        match trouble {
            Trouble::Skip(reason, why) => {
                let mut sum = self.sum.lock();
                sum.missing += u64::from(reason.is_loss());
                if sum.skipped.len() < NAMED {
                    let path = WirePath(path);
                    sum.skipped.push(Skipped { path, reason, why });
                } else {
                    sum.more_skipped += 1;
                }
                drop(sum);
                self.files.fetch_add(1, Ordering::Relaxed);
            }
            Trouble::End(failure) => {
                self.ended.lock().get_or_insert(failure);
            }
            Trouble::Stopped => {}
        }
    }

    /// There are so many files and bytes in all.
    pub(super) fn counted(&self, files: u64, bytes: u64) {
        *self.total.lock() = Some((files, bytes));
    }

    /// The work is done: nobody needs to count it any more.
    pub(super) fn finish(&self) {
        self.over.store(true, Ordering::Release);
    }

    /// Whether counting is of no use any more.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire) || self.is_stopped()
    }

    /// How far it is.
    pub(super) fn progress(&self) -> Progress {
        let total = *self.total.lock();
        Progress {
            what: "files".into(),
            done: self.files.load(Ordering::Relaxed),
            total: total.map(|(files, _)| files),
            bytes: self.bytes.load(Ordering::Relaxed),
            total_bytes: total.map(|(_, bytes)| bytes),
        }
    }

    /// Whether it could go on to the end.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn verdict(&self) -> Result<(), Failure> {
        match self.ended.lock().take() {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    /// What came of it all; those left out in the order of their paths.
    pub(super) fn sum(&self) -> Transfer {
        let mut sum = std::mem::take(&mut *self.sum.lock());
        sum.skipped.sort_by(|one, two| one.path.0.cmp(&two.path.0));
        sum.read_bytes = self.bytes.load(Ordering::Relaxed);
        sum.stopped = self.stop.is_asked();
        sum
    }
}
