//! The model with one mistake: what the harness must find before it is trusted with
//! anything else.
//!
//! Each bug is one that a real file system could have, hidden in an otherwise right one.

use crate::play::direct::Bench;
use crate::reference::Reference;
use coffer_fs::types::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

mod fs;

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Bug {
    None,
    WriteLosesLastByteAtChunkEnd,
    ReadStopsAtPage,
    TruncateKeepsOldBytes,
    TruncateToSameSizeKeepsTimes,
    ZeroDoesNotExtend,
    PunchHoleRoundsToPages,
    CopyLosesLastByte,
    CopyOverlaps,
    SeekSkipsData,
    UnlinkedFileReadsEmpty,
    AppendIgnoresOffset,
    LinkCopies,
    LinkCountStays,
    LookupIgnoresCase,
    NoReplaceReplaces,
    ExchangeReplaces,
    RenameKeepsCtime,
    RenameOntoOwnLinkUnlinks,
    RmdirKeepsParentTimes,
    ReaddirForgetsOneAtBatchEnd,
    ReaddirPlusIsStale,
    ChownKeepsSetUid,
    FolderDropsSetGroupId,
    TimesRoundToSeconds,
    CreateIsNeverExclusive,
    XattrReplaceCreates,
    RemountLosesXattrs,
    RemountLosesTail,
    RemountTouches,
    SetAtimeSetsMtime,
}

impl Bug {
    /// All of them.
    pub const ALL: [Bug; 30] = [
        Bug::WriteLosesLastByteAtChunkEnd,
        Bug::ReadStopsAtPage,
        Bug::TruncateKeepsOldBytes,
        Bug::TruncateToSameSizeKeepsTimes,
        Bug::ZeroDoesNotExtend,
        Bug::PunchHoleRoundsToPages,
        Bug::CopyLosesLastByte,
        Bug::CopyOverlaps,
        Bug::SeekSkipsData,
        Bug::UnlinkedFileReadsEmpty,
        Bug::AppendIgnoresOffset,
        Bug::LinkCopies,
        Bug::LinkCountStays,
        Bug::LookupIgnoresCase,
        Bug::NoReplaceReplaces,
        Bug::ExchangeReplaces,
        Bug::RenameKeepsCtime,
        Bug::RenameOntoOwnLinkUnlinks,
        Bug::RmdirKeepsParentTimes,
        Bug::ReaddirForgetsOneAtBatchEnd,
        Bug::ReaddirPlusIsStale,
        Bug::ChownKeepsSetUid,
        Bug::FolderDropsSetGroupId,
        Bug::TimesRoundToSeconds,
        Bug::CreateIsNeverExclusive,
        Bug::XattrReplaceCreates,
        Bug::RemountLosesXattrs,
        Bug::RemountLosesTail,
        Bug::RemountTouches,
        Bug::SetAtimeSetsMtime,
    ];
}

/// A [`Reference`] with a bug.
#[derive(Debug)]
pub struct Broken {
    inner: Reference,
    bug: Bug,
    notes: Mutex<Notes>,
}

#[derive(Debug, Default)]
struct Notes {
    /// What a truncation cut off, and where.
    cut: BTreeMap<Ino, (u64, Vec<u8>)>,
    /// Attributes as they were shown, or are to be shown.
    attrs: BTreeMap<Ino, Attr>,
    /// Files that were written last.
    written: Option<(Ino, u64)>,
    /// Handles that append.
    appending: BTreeSet<Handle>,
}

impl Broken {
    /// One with this bug.
    pub fn new(bug: Bug) -> Broken {
        Broken {
            inner: Reference::default(),
            bug,
            notes: Mutex::default(),
        }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().expect("nothing here panics")
    }

    fn is(&self, bug: Bug) -> bool {
        self.bug == bug
    }

    /// Shows the times that are noted for this file, if any, with others' values.
    fn shown(&self, attr: Attr) -> Attr {
        let notes = self.notes();
        match (self.bug, notes.attrs.get(&attr.ino)) {
            (Bug::RenameKeepsCtime, Some(then)) => Attr {
                ctime: then.ctime,
                ..attr
            },
            (Bug::RmdirKeepsParentTimes | Bug::TruncateToSameSizeKeepsTimes, Some(then)) => Attr {
                mtime: then.mtime,
                ctime: then.ctime,
                ..attr
            },
            (Bug::LinkCountStays, _) if attr.kind == Kind::File && attr.nlink > 1 => {
                Attr { nlink: 1, ..attr }
            }
            (Bug::TimesRoundToSeconds, _) => {
                let round = |time: Time| match time.nsec {
                    // Only what was set: a clock of whole seconds would be seen at once.
                    nsec if nsec > 1000 => Time { nsec: 0, ..time },
                    _ => time,
                };
                Attr {
                    mtime: round(attr.mtime),
                    atime: round(attr.atime),
                    ..attr
                }
            }
            (Bug::RemountTouches, Some(then)) => Attr {
                ctime: then.ctime,
                ..attr
            },
            _ => attr,
        }
    }

    fn keep_shown(&self, ino: Ino) {
        if let Ok(attr) = self.inner.getattr(ino) {
            self.notes().attrs.insert(ino, attr);
        }
    }

    fn whole(&self, ino: Ino) -> Vec<u8> {
        let mut out = Vec::new();
        let mode = OpenMode {
            read: true,
            ..OpenMode::default()
        };
        if let Ok(handle) = self.inner.open(Caller::default(), ino, mode) {
            self.inner
                .read(ino, handle, 0, 1 << 24, &mut out)
                .unwrap_or_default();
            self.inner.release(ino, handle);
        }
        out
    }

    fn put(&self, ino: Ino, offset: u64, data: &[u8]) {
        let mode = OpenMode {
            write: true,
            ..OpenMode::default()
        };
        if let Ok(handle) = self.inner.open(Caller::default(), ino, mode) {
            self.inner
                .write(ino, handle, offset, data, false)
                .unwrap_or_default();
            self.inner.release(ino, handle);
        }
    }

    /// What a remount does to it.
    fn remount(&self) {
        match self.bug {
            Bug::RemountLosesTail => {
                let written = self.notes().written.take();
                if let Some((ino, end)) = written {
                    self.put(ino, end - 1, b"?");
                }
            }
            Bug::RemountTouches => {
                let mut attr = match self.inner.getattr(ROOT) {
                    Ok(attr) => attr,
                    Err(_) => return,
                };
                attr.ctime.sec += 1;
                self.notes().attrs.insert(ROOT, attr);
            }
            Bug::RemountLosesXattrs => {
                let names = self.inner.listxattr(ROOT).unwrap_or_default();
                for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
                    self.inner.removexattr(ROOT, name).unwrap_or_default();
                }
            }
            _ => {}
        }
    }
}

/// A broken file system, to be played on.
#[derive(Debug)]
pub struct BrokenBench(Arc<Broken>);

impl BrokenBench {
    /// One with this bug.
    pub fn new(bug: Bug) -> BrokenBench {
        BrokenBench(Arc::new(Broken::new(bug)))
    }

    /// How many inodes are still alive in it.
    pub fn inodes(&self) -> usize {
        self.0.inner.inodes()
    }
}

impl Bench for BrokenBench {
    type Fs = Broken;

    fn name(&self) -> String {
        format!("model with {:?}", self.0.bug)
    }

    fn fs(&self) -> Arc<Broken> {
        self.0.clone()
    }

    fn sync(&mut self) {}

    fn remount(&mut self) {
        self.0.remount();
    }
}
