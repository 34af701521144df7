//! Readers that wait for pieces that other devices hold.
//!
//! Guarantees: a wait ends when all has come, as soon as it is known that nobody who is connected has one of
//! them or that there is no room for one, when nothing came for 30 seconds or nothing of its own for 120, or when nobody serves the network any more; never later. No lock is held
//! meanwhile. So many are asked for ahead of a reader as fit; nobody waits for those.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::{Condvar, Mutex, RwLock};

use crate::content;
use crate::core::{Absent, StoreError};
use crate::ids::Ino;
use crate::keys::{ChunkId, ChunkKeys};
use crate::record::{ChunkRef, kind};
use crate::vault::{OpError, Vault};

/// How long nothing comes before a wait is given up.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long nothing of its own comes before a wait is given up, whatever else comes.
const PATIENCE_OWN: Duration = Duration::from_secs(120);
/// Bytes that are asked for ahead of somebody who reads on and on.
const AHEAD: u64 = 8 << 20;
/// Pieces that are asked for ahead at a time, of all files.
const AHEAD_MAX: usize = 128;
/// Failures that are remembered for people.
const FAILURES: usize = 16;

/// Says what is wanted to whoever serves the network.
type Hook = Box<dyn Fn(Demanded) + Send + Sync>;

/// See [`Waits::anybody`].
type Anybody = Box<dyn Fn() -> bool + Send + Sync>;

/// What a reader wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demanded {
    /// This piece, as soon as can be; so many bytes, sealed.
    Want(ChunkId, u32),
    /// This piece no more.
    Unwant(ChunkId),
    /// Other pieces are lacking than before, none of which anybody waits for.
    More,
}

/// Why somebody did not get what other devices hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Syncing is off or paused.
    Off,
    /// No device that has it is connected.
    Nobody,
    /// Nothing came for a while.
    Slow,
}

/// A file of which something could not be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreached {
    /// The file.
    pub ino: Ino,
    /// Why.
    pub why: Why,
    /// When.
    pub when: SystemTime,
}

/// Why a wait ended without what was waited for.
#[derive(Clone, Copy)]
enum End {
    /// It cannot be had.
    Not(Why),
    /// There is no room for it.
    Full,
}

struct Wait {
    chunk: ChunkRef,
    /// The files for whose sake it is wanted.
    of: Vec<Ino>,
    waiters: u32,
    /// It does not come, and why.
    failed: Option<End>,
}

#[derive(Default)]
struct State {
    /// Somebody serves the network, and is not paused.
    is_up: bool,
    /// Somebody is connected.
    is_anybody: bool,
    wanted: HashMap<ChunkId, Wait>,
    /// How many of them nobody waits for.
    ahead: usize,
    /// When something came last.
    moved: Option<Instant>,
    failures: VecDeque<Unreached>,
    /// Where the last one that waited for a file went on: readers that go on and on.
    ends: VecDeque<(Ino, u64)>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Waits {
    state: Mutex<State>,
    changed: Condvar,
    hook: RwLock<Option<Hook>>,
    /// Says whether anybody is connected at this moment.
    anybody: RwLock<Option<Anybody>>,
}

impl Waits {
    fn say(&self, what: Demanded) {
        if let Some(hook) = self.hook.read().as_ref() {
            hook(what);
        }
    }

    pub(super) fn more(&self) {
        self.say(Demanded::More);
    }

    fn wanted(&self, id: &ChunkId) -> Option<ChunkRef> {
        let state = self.state.lock();
        state.wanted.get(id).map(|wait| wait.chunk)
    }

    fn is_wanted(&self, id: &ChunkId) -> bool {
        self.state.lock().wanted.contains_key(id)
    }

    fn all(&self) -> Vec<ChunkRef> {
        let state = self.state.lock();
        let open = state.wanted.values().filter(|wait| wait.failed.is_none());
        open.map(|wait| wait.chunk).collect()
    }

    /// A piece is here. The files of which nothing more is wanted now are told before anybody goes on who waited for it: whoever
    /// has read a file finds it told.
    fn came(&self, id: &ChunkId, tell: impl FnOnce(Vec<Ino>)) {
        let mut state = self.state.lock();
        let Some(wait) = state.wanted.remove(id) else {
            return;
        };
        state.ahead -= usize::from(wait.waiters == 0);
        state.moved = Some(Instant::now());
        let is_done = |ino: &Ino| !state.wanted.values().any(|wait| wait.of.contains(ino));
        tell(wait.of.into_iter().filter(is_done).collect());
        self.changed.notify_all();
    }

    fn fails(&self, id: &ChunkId, why: End) {
        let mut state = self.state.lock();
        match state.wanted.get_mut(id) {
            Some(wait) if wait.waiters == 0 => {
                state.wanted.remove(id);
                state.ahead -= 1;
            }
            Some(wait) => {
                wait.failed = Some(why);
                self.changed.notify_all();
            }
            None => {}
        }
    }

    /// Whether somebody is connected, as far as was said.
    pub(super) fn is_anybody(&self) -> bool {
        let state = self.state.lock();
        state.is_up && state.is_anybody
    }

    fn set_up(&self, is_up: bool, is_anybody: bool) {
        let mut state = self.state.lock();
        (state.is_up, state.is_anybody) = (is_up, is_anybody);
        if !is_up {
            let before = state.wanted.len();
            state.wanted.retain(|_, wait| wait.waiters > 0);
            state.ahead -= before - state.wanted.len();
            self.changed.notify_all();
        }
    }

    /// Waits until all of `chunks` have come; asks for those of `ahead`, too.
    fn wait(&self, ino: Option<Ino>, chunks: &[ChunkRef], ahead: &[ChunkRef]) -> Result<(), End> {
        let mut new = Vec::new();
        let mut state = self.state.lock();
        if !state.is_up {
            return Err(End::Not(Why::Off));
        }
        for chunk in chunks {
            let State { wanted, ahead, .. } = &mut *state;
            let wait = wanted.entry(chunk.id).or_insert_with(|| {
                new.push(*chunk);
                *ahead += 1;
                Wait {
                    chunk: *chunk,
                    of: Vec::new(),
                    waiters: 0,
                    failed: None,
                }
            });
            wait.of.extend(ino.filter(|ino| !wait.of.contains(ino)));
            *ahead -= usize::from(wait.waiters == 0);
            wait.waiters += 1;
        }
        for chunk in ahead {
            if state.ahead >= AHEAD_MAX {
                break;
            }
            if !state.wanted.contains_key(&chunk.id) {
                new.push(*chunk);
                state.ahead += 1;
                let wait = Wait {
                    chunk: *chunk,
                    of: ino.into_iter().collect(),
                    waiters: 0,
                    failed: None,
                };
                state.wanted.insert(chunk.id, wait);
            }
        }
        drop(state);
        for chunk in new {
            self.say(Demanded::Want(chunk.id, sealed_len(&chunk)));
        }
        let mut state = self.state.lock();
        let begun = Instant::now();
        // When something of its own came, and how much it waits for since.
        let (mut own, mut left) = (begun, usize::MAX);
        let ended = loop {
            let mine = || chunks.iter().filter_map(|chunk| state.wanted.get(&chunk.id));
            let count = mine().count();
            if count == 0 {
                break Ok(());
            }
            if count < left {
                (own, left) = (Instant::now(), count);
            }
            if let Some(why) = mine().find_map(|wait| wait.failed) {
                break Err(why);
            }
            if !state.is_up {
                break Err(End::Not(Why::Off));
            }
            let until = |moved: Option<Instant>| {
                let any = moved.map_or(begun, |moved| moved.max(begun)) + PATIENCE;
                any.min(own + PATIENCE_OWN)
            };
            let end = until(state.moved);
            if self.changed.wait_until(&mut state, end).timed_out() && until(state.moved) <= Instant::now() {
                break Err(End::Not(Why::Slow));
            }
        };
        let mut left = Vec::new();
        for chunk in chunks {
            // One that came meanwhile may have gone again, and be asked for ahead of somebody else.
            if let Some(wait) = state.wanted.get_mut(&chunk.id).filter(|wait| wait.waiters > 0) {
                wait.waiters -= 1;
                if wait.waiters == 0 {
                    state.wanted.remove(&chunk.id);
                    left.push(chunk.id);
                }
            }
        }
        drop(state);
        left.into_iter().for_each(|id| self.say(Demanded::Unwant(id)));
        ended
    }

    fn fail(&self, ino: Ino, why: Why) {
        let mut state = self.state.lock();
        state.failures.retain(|failure| failure.ino != ino);
        if state.failures.len() == FAILURES {
            state.failures.pop_front();
        }
        let when = SystemTime::now();
        state.failures.push_back(Unreached { ino, why, when });
    }

    /// Whether somebody who waits for bytes of this file up to here goes on where the last one stopped.
    fn goes_on(&self, ino: Ino, from: u64, to: u64) -> bool {
        let mut state = self.state.lock();
        let place = state.ends.iter().position(|(file, _)| *file == ino);
        let before = place.and_then(|place| state.ends.remove(place));
        if state.ends.len() == FAILURES {
            state.ends.pop_front();
        }
        state.ends.push_back((ino, to));
        match before {
            // Several of its reads may be under way at a time.
            Some((_, end)) => from <= end + AHEAD && from + AHEAD >= end,
            None => from == 0,
        }
    }
}

fn unreached(why: End, chunk: ChunkRef) -> StoreError {
    match why {
        End::Full => StoreError::NoSpace,
        End::Not(_) => StoreError::Absent(Absent(chunk)),
    }
}

fn sealed_len(chunk: &ChunkRef) -> u32 {
    ChunkKeys::sealed_len(chunk.len as usize) as u32
}

impl Vault {
    /// Has what readers want said to whoever serves the network, from any thread. It returns at once, and takes no lock of
    /// the vault. Until somebody listens and [`Vault::set_reach`] says so, nobody waits.
    pub fn when_wanted(&self, tell: impl Fn(Demanded) + Send + Sync + 'static) {
        *self.demand.waits.hook.write() = Some(Box::new(tell));
    }

    /// Whether the network is served and not paused, and whether anybody is connected: while it is not, nobody waits
    /// for it.
    pub fn set_reach(&self, is_up: bool, is_anybody: bool) {
        self.demand.waits.set_up(is_up, is_anybody);
    }

    /// Has this asked whether anybody is connected, instead of what [`Vault::set_reach`] said last; from threads that serve the
    /// mount: it waits for nothing.
    pub fn when_doubtful(&self, is_anybody: impl Fn() -> bool + Send + Sync + 'static) {
        *self.demand.waits.anybody.write() = Some(Box::new(is_anybody));
    }

    /// Bytes are coming: whoever waits may wait on.
    pub fn something_moves(&self) {
        self.demand.waits.state.lock().moved = Some(Instant::now());
    }

    /// Nobody who is connected has this piece.
    pub fn is_nowhere(&self, id: &ChunkId) {
        self.demand.waits.fails(id, End::Not(Why::Nobody));
    }

    /// It came, and there is no room for it.
    pub(in crate::vault) fn has_no_room(&self, id: &ChunkId) {
        self.demand.waits.fails(id, End::Full);
    }

    /// What is waited for: names, and bytes, sealed.
    pub fn waited_for(&self) -> Vec<(ChunkId, u32)> {
        let all = self.demand.waits.all();
        all.iter().map(|chunk| (chunk.id, sealed_len(chunk))).collect()
    }

    /// Files of which something could not be had lately, the last at the end.
    pub fn unreached(&self) -> Vec<Unreached> {
        let state = self.demand.waits.state.lock();
        state.failures.iter().cloned().collect()
    }

    /// Whether somebody waits for this piece, or may soon.
    pub fn waits_for(&self, id: &ChunkId) -> bool {
        self.demand.waits.is_wanted(id)
    }

    /// A piece that is waited for, as its manifest names it.
    pub(in crate::vault) fn waited(&self, id: &ChunkId) -> Option<ChunkRef> {
        self.demand.waits.wanted(id)
    }

    /// A piece is here now.
    pub(in crate::vault) fn no_wait(&self, id: &ChunkId) {
        self.demand.waits.came(id, |files| self.feed.came(files));
    }

    /// Waits for a piece that something needed, for the sake of this file.
    ///
    /// # Errors
    /// EHOSTUNREACH: it cannot be had now. ENOSPC: there is no room for it.
    pub fn bring(&self, ino: Ino, absent: Absent) -> Result<(), OpError> {
        self.wait_for(ino, &[absent.0], &[])
    }

    /// Waits for all that is not here of a part of a file, and asks for some of what follows if somebody reads on and on.
    ///
    /// # Errors
    /// EHOSTUNREACH: it cannot be had now. As [`OpError`] says.
    pub fn bring_range(&self, ino: Ino, offset: u64, len: u64) -> Result<(), OpError> {
        let end = offset.saturating_add(len);
        let reads_on = self.demand.waits.goes_on(ino, offset, end);
        let lacking = self.absent_in(ino, offset, end)?;
        let ahead = match reads_on {
            true => self.absent_in(ino, end, end.saturating_add(AHEAD))?,
            false => Vec::new(),
        };
        self.wait_for(ino, &lacking, &ahead)
    }

    /// Waits for these, of which no file is waiting.
    pub(super) fn wait_for_all(&self, chunks: &[ChunkRef]) -> Result<(), OpError> {
        let missing = self.missing(chunks)?;
        let Some(first) = missing.first().copied() else {
            return Ok(());
        };
        let ended = self.demand.waits.wait(None, &missing, &[]);
        ended.map_err(|why| OpError::Store(unreached(why, first)))
    }

    /// Those that are not here, each once.
    fn missing(&self, chunks: &[ChunkRef]) -> Result<Vec<ChunkRef>, StoreError> {
        let mut missing: Vec<ChunkRef> = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            // Named twice in a file of zeros, say.
            let is_new = !missing.iter().any(|known| known.id == chunk.id);
            if is_new && self.core.chunk_row(&chunk.id)?.is_none() {
                missing.push(*chunk);
            }
        }
        Ok(missing)
    }

    fn wait_for(&self, ino: Ino, lacking: &[ChunkRef], ahead: &[ChunkRef]) -> Result<(), OpError> {
        let missing = self.missing(lacking)?;
        if missing.is_empty() {
            return Ok(());
        }
        // It shows what it shows until the wait is over.
        let inode = self.resident(ino)?;
        if let Some(inode) = &inode {
            inode.state.write().fetching += 1;
        }
        let ended = self.demand.waits.wait(Some(ino), &missing, ahead);
        if let Some(inode) = &inode {
            let mut state = inode.state.write();
            state.fetching -= 1;
            if state.fetching == 0 && state.behind > 0 && state.is_at_rest() {
                self.texts.may_show(ino);
                drop(state);
                self.signals.tell();
            }
        }
        ended.map_err(|why| {
            if let End::Not(why) = why {
                self.demand.waits.fail(ino, why);
            }
            let first = missing.first().copied();
            first.map_or(OpError::Errno(libc::EHOSTUNREACH), |chunk| {
                OpError::Store(unreached(why, chunk))
            })
        })
    }

    /// The stored pieces of a part of a file that are not here.
    fn absent_in(&self, ino: Ino, from: u64, to: u64) -> Result<Vec<ChunkRef>, OpError> {
        let mut named = Vec::new();
        self.peek(ino, |content: &content::Content| {
            content.chunks_in(from..to.min(content.size()).max(from), &mut |chunk| {
                named.push(*chunk)
            });
        })?;
        let mut absent = Vec::new();
        for chunk in named {
            if self.core.may_be_absent(kind::CHUNK) && self.core.chunk_row(&chunk.id)?.is_none() {
                absent.push(chunk);
            }
        }
        Ok(absent)
    }

    /// Whether nothing of a file is here that could be, and nobody can be asked: who opens it to read is told so at
    /// once.
    ///
    /// # Errors
    /// EHOSTUNREACH; as [`OpError`] says.
    pub fn refuse_unreached(&self, ino: Ino) -> Result<(), OpError> {
        if !self.is_partial() {
            return Ok(());
        }
        // That costs nothing, and mostly somebody is; what of the file is here is read of its manifest.
        let waits = &self.demand.waits;
        let (is_up, was_anybody) = {
            let state = waits.state.lock();
            (state.is_up, state.is_anybody)
        };
        let is_anybody = waits.anybody.read().as_ref().map(|asked| asked());
        if is_up && is_anybody.unwrap_or(was_anybody) {
            return Ok(());
        }
        let mut named = Vec::new();
        let looked = self.peek(ino, |content| {
            if !content.is_dirty() {
                content.chunks_in(0..content.size(), &mut |chunk| named.push(*chunk));
            }
        });
        if looked.is_err() {
            return Ok(());
        }
        for chunk in &named {
            if self.core.chunk_row(&chunk.id)?.is_some() {
                return Ok(());
            }
        }
        let Some(first) = named.first() else { return Ok(()) };
        let why = if is_up { Why::Nobody } else { Why::Off };
        self.demand.waits.fail(ino, why);
        Err(OpError::Store(StoreError::Absent(Absent(*first))))
    }
}
