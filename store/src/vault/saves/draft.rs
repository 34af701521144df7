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
use crate::record::{Kind, Meta, PROGRAM_MAX, Time};
use crate::text::TEXT_MAX;
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
    /// Its bytes are text; they are kept only then.
    pub(in crate::vault) is_text: bool,
    /// It was made from what the file was before, whoever had what: a version was put back.
    pub(in crate::vault) on_present: bool,
    /// Who saved it, and when among all that was shown and saved.
    pub(in crate::vault) who: Process,
    pub(in crate::vault) order: u64,
    /// Bytes.
    pub(in crate::vault) size: u64,
    /// So many of its file waited when it was made that soon there is no room for more.
    pub(in crate::vault) in_crowd: bool,
}

/// What is known of a thread's process: its own number, and its name.
type Program = (Process, Arc<str>);

/// What is counted of all drafts.
#[derive(Default)]
pub(crate) struct Drafts {
    serial: AtomicU64,
    bytes: AtomicU64,
    /// Those that were made in a crowd.
    in_crowd: AtomicU64,
    programs: parking_lot::Mutex<HashMap<Process, (Instant, Program)>>,
}

impl Drafts {
    /// One is told or given up.
    pub(in crate::vault) fn forget(&self, draft: &Draft) {
        self.bytes.fetch_sub(draft.bytes.len() as u64, Ordering::Relaxed);
        self.in_crowd.fetch_sub(draft.in_crowd.into(), Ordering::Relaxed);
    }

    /// Whether there are so many, of one file or in bytes, that they should be told soon.
    pub(in crate::vault) fn is_crowded(&self) -> bool {
        self.in_crowd.load(Ordering::Relaxed) > 0 || self.bytes.load(Ordering::Relaxed) > BYTES_MAX / 4
    }

    /// The name of the process that a thread belongs to.
    pub(in crate::vault) fn program(&self, who: Process) -> Option<Arc<str>> {
        let (_, name) = self.look_up(who)?;
        (!name.is_empty()).then_some(name)
    }

    /// The process that a thread belongs to, by the number that all its threads have in common; the
    /// thread's own where that cannot be known any more.
    pub(in crate::vault) fn process(&self, who: Process) -> Process {
        self.look_up(who).map_or(who, |(process, _)| process)
    }

    fn look_up(&self, who: Process) -> Option<Program> {
        if who == 0 {
            return None;
        }
        let mut programs = self.programs.lock();
        if let Some((at, program)) = programs.get(&who)
            && at.elapsed() < NAMED
        {
            return Some(program.clone());
        }
        let program = read_program(who)?;
        if programs.len() >= 64 {
            programs.retain(|_, (at, _)| at.elapsed() < NAMED);
        }
        programs.insert(who, (Instant::now(), program.clone()));
        Some(program)
    }
}

fn read_program(who: Process) -> Option<Program> {
    let status = std::fs::read_to_string(format!("/proc/{who}/status")).ok()?;
    let process = status.lines().find_map(|line| line.strip_prefix("Tgid:"))?.trim();
    let name = std::fs::read(format!("/proc/{process}/comm")).ok()?;
    let name = String::from_utf8_lossy(&name);
    let mut name = name.trim_end().to_owned();
    while name.len() > PROGRAM_MAX {
        name.pop();
    }
    Some((process.parse().ok()?, name.into()))
}

impl Vault {
    /// Before a file is changed or given up: keeps what it is now, if that is a version that nobody
    /// was told of.
    pub(in crate::vault) fn capture(&self, inode: &Inode, state: &mut State) {
        let is_version =
            state.fresh && state.is_closed() && state.marks.text && state.meta.kind == Kind::File;
        let size = state.size();
        // An empty one is about to be filled.
        if !is_version || size == 0 || size > TEXT_MAX as u64 || state.is_scratch() {
            return;
        }
        self.capture_now(inode, state);
    }

    /// The same of whatever it is now.
    pub(in crate::vault) fn capture_now(&self, inode: &Inode, state: &mut State) {
        let size = state.size();
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
        if let Err(error) = read {
            // It is about to be changed, perhaps: nobody else would find it.
            if error.is_damage() {
                self.note_damage(inode.ino, &error);
            }
            return;
        }
        let is_text = std::str::from_utf8(&bytes).is_ok();
        if !is_text {
            bytes = Vec::new();
        }
        self.drafts.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let in_crowd = state.drafts.len() >= COUNT_MAX / 4;
        self.drafts.in_crowd.fetch_add(in_crowd.into(), Ordering::Relaxed);
        let maker = state.made.map_or(0, |(_, maker)| maker);
        let on_present = std::mem::replace(&mut state.on_present, false);
        let who = match state.writer {
            _ if on_present => 0,
            0 => self.drafts.process(maker),
            writer => writer,
        };
        let (serial, order) = (
            self.drafts.serial.fetch_add(1, Ordering::Relaxed),
            self.texts.order(),
        );
        state.drafts.push(Draft {
            serial,
            meta: state.meta.clone(),
            bytes: Arc::new(bytes),
            recorded: Time::now(),
            program: state.program.clone(),
            is_text,
            on_present,
            who,
            order,
            size,
            in_crowd,
        });
        state.fresh = false;
        if state.published.is_some() {
            let entity = state.binding.entity();
            self.texts.saved(entity, (who, order), inode.ino, serial);
        }
    }

    /// Gives up drafts.
    pub(in crate::vault) fn drop_drafts(&self, drafts: &mut Vec<Draft>) {
        for draft in drafts.drain(..) {
            self.drafts.forget(&draft);
            self.texts.given_up(draft.serial);
        }
    }
}
