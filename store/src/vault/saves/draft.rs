//! Versions that are over before they were told: what a text was when it was closed, kept until
//! the next commit that tells, though the next save has changed the file by then.
//!
//! Owns nothing but copies in memory, bounded in number and bytes; what does not fit is no version
//! of its own. Never delays a save but by reading what it is about to change.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Process;
use crate::content::INLINE_MAX;
use crate::record::{Kind, Meta, PROGRAM_MAX, Time};
use crate::vault::Vault;
use crate::vault::inode::{Inode, State};

/// Bytes of all drafts together.
const BYTES_MAX: u64 = 16 << 20;
/// Drafts of one file.
const COUNT_MAX: usize = 1000;
/// How long a process is known by the name that it had.
const NAMED: Duration = Duration::from_secs(2);

/// One such version.
#[derive(Clone)]
pub(in crate::vault) struct Draft {
    /// Which it is, among all.
    pub(in crate::vault) serial: u64,
    pub(in crate::vault) meta: Meta,
    pub(in crate::vault) bytes: Arc<Vec<u8>>,
    /// When the file was found closed with it.
    pub(in crate::vault) recorded: Time,
    pub(in crate::vault) program: Option<Arc<str>>,
}

/// What is counted of all drafts.
#[derive(Default)]
pub(crate) struct Drafts {
    serial: AtomicU64,
    bytes: AtomicU64,
    programs: parking_lot::Mutex<HashMap<Process, (Instant, Arc<str>)>>,
}

impl Drafts {
    /// One is told or given up.
    pub(in crate::vault) fn forget(&self, draft: &Draft) {
        self.bytes.fetch_sub(draft.bytes.len() as u64, Ordering::Relaxed);
    }

    /// The name of the process that a thread belongs to.
    pub(in crate::vault) fn program(&self, who: Process) -> Option<Arc<str>> {
        if who == 0 {
            return None;
        }
        let mut programs = self.programs.lock();
        if let Some((at, name)) = programs.get(&who)
            && at.elapsed() < NAMED
        {
            return Some(name.clone());
        }
        let name = read_name(who)?;
        if programs.len() >= 64 {
            programs.retain(|_, (at, _)| at.elapsed() < NAMED);
        }
        programs.insert(who, (Instant::now(), name.clone()));
        Some(name)
    }
}

fn read_name(who: Process) -> Option<Arc<str>> {
    let status = std::fs::read_to_string(format!("/proc/{who}/status")).ok()?;
    let process = status.lines().find_map(|line| line.strip_prefix("Tgid:"))?.trim();
    let name = std::fs::read(format!("/proc/{process}/comm")).ok()?;
    let name = String::from_utf8_lossy(&name);
    let mut name = name.trim_end().to_owned();
    while name.len() > PROGRAM_MAX {
        name.pop();
    }
    (!name.is_empty()).then(|| name.into())
}

impl Vault {
    /// Before a file is changed or given up: keeps what it is now, if that is a version that nobody
    /// was told of.
    pub(in crate::vault) fn capture(&self, inode: &Inode, state: &mut State) {
        let is_version =
            state.fresh && state.is_closed() && state.marks.text && state.meta.kind == Kind::File;
        let size = state.size();
        if !is_version || size == 0 || size > INLINE_MAX || state.is_scratch() {
            return;
        }
        let held = self.drafts.bytes.load(Ordering::Relaxed);
        if held + size > BYTES_MAX || state.drafts.len() >= COUNT_MAX {
            return;
        }
        let owner = inode.owner(&self.core, &state.binding);
        let Some(content) = state.content.as_mut() else {
            return;
        };
        let mut bytes = Vec::with_capacity(size as usize);
        let read = content
            .load(owner)
            .and_then(|()| content.read(owner, 0, size as usize, &mut bytes));
        // What cannot be read is found by whoever wants it; what is no text needs no step of its own.
        if read.is_err() || std::str::from_utf8(&bytes).is_err() {
            return;
        }
        self.drafts.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        state.fresh = false;
        state.drafts.push(Draft {
            serial: self.drafts.serial.fetch_add(1, Ordering::Relaxed),
            meta: state.meta.clone(),
            bytes: Arc::new(bytes),
            recorded: Time::now(),
            program: state.program.clone(),
        });
    }

    /// Gives up drafts.
    pub(in crate::vault) fn drop_drafts(&self, drafts: &mut Vec<Draft>) {
        for draft in drafts.drain(..) {
            self.drafts.forget(&draft);
        }
    }
}
