//! Tells the index what is in the vault: all of it once, then what changes.
//!
//! Owns what it takes to know what the index was not told yet. Guarantees that what was saved before [`Feeder::mark`] was asked for is told before its
//! answer; that files are read when it is quiet, or when somebody asks, and not while much is being written; that nobody who changes the vault
//! waits for it.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use coffer_index::client::Client;
use coffer_index::parse::Format;
use coffer_index::said::{self, Say, Tell};
use coffer_store::ids::{ChainId, Ino, NodeNo};
use coffer_store::record::Time;
use coffer_store::tree::Kind;
use coffer_store::vault::{Changes, Name, Vault};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError};

use super::hashes::{Hashes, Stamp};

/// Without changes for this long, it is quiet.
const QUIET: Duration = Duration::from_millis(300);
/// So few files are read though it is not, once they waited for [`LONG`].
const FEW: usize = 50;
const LONG: Duration = Duration::from_secs(1);
/// All that is not here is looked through for bytes that came, once in so many times what that takes.
const LOOK: u32 = 10;
/// Files that are told together.
pub(super) const FILES: usize = 128;
/// Names, versions or chunks that are told together.
pub(super) const MANY: usize = 4096;

/// What happens.
pub(super) enum Event {
    /// The vault changed.
    Changes(Box<Changes>),
    /// The index wants something: that of this run.
    Says(u64, Say),
    /// The process of this run has ended.
    Died(u64),
    /// By what a large file's bytes are told from others, as of then: of this run.
    Hashed(u64, Ino, Stamp, Option<[u8; 16]>),
    /// What was told until now is to be in the answers: the mark that says so.
    Mark(Sender<u64>),
    /// It is over.
    End,
}

/// See the module.
pub(super) struct Feeder {
    /// Which process it is.
    run: u64,
    pub(super) vault: Arc<Vault>,
    pub(super) client: Arc<Client>,
    events: Receiver<Event>,
    /// Files whose facts, and whose bytes, were not told since they changed.
    pub(super) dirty: BTreeMap<Ino, bool>,
    since: Option<Instant>,
    /// When the vault last changed.
    moved: Instant,
    /// Bytes were given up: of which files is to be seen.
    evicted: bool,
    /// Files of which a name says that they can be read.
    pub(super) readable: HashSet<Ino>,
    /// Names that say that their files are copies of others.
    copies: HashMap<NodeNo, Ino>,
    /// Bytes came: of which other files they are, too, is to be seen.
    came: bool,
    /// When that was last seen, and how long it took.
    looked: (Instant, Duration),
    /// How many such names each of these files has.
    pub(super) copied: HashMap<Ino, u32>,
    /// Files that are still to be told of, at first.
    backlog: VecDeque<(Ino, bool)>,
    /// Whether that is over, and the index was told so.
    filled: bool,
    /// Finds by what large files' bytes are told from others.
    pub(super) hashes: Hashes,
    /// What that is, and what the files were then.
    pub(super) contents: HashMap<Ino, (Stamp, Option<[u8; 16]>)>,
    /// Something was told that may lie in a buffer.
    pub(super) told: bool,
    pub(super) devices: HashMap<ChainId, Vec<u8>>,
    /// Files that were told without their device, since that was not known yet.
    pub(super) deviceless: HashSet<Ino>,
    pub(super) told_devices: Vec<said::Device>,
    /// Files that were told to be not here.
    pub(super) absent: HashSet<Ino>,
    /// As of which transaction history and blobs were told.
    pub(super) told_lazy: [Option<u64>; 2],
    /// Marks, of all runs.
    marks: Arc<AtomicU64>,
}

pub(super) fn moment(time: Time) -> said::Moment {
    said::Moment {
        seconds: time.sec,
        nanoseconds: time.nsec,
    }
}

fn kind(kind: Kind) -> said::Kind {
    match kind {
        Kind::File => said::Kind::File,
        Kind::Folder => said::Kind::Folder,
        Kind::Symlink => said::Kind::Link,
        _ => said::Kind::Special,
    }
}

impl Feeder {
    pub(super) fn new(
        run: u64,
        vault: Arc<Vault>,
        client: Arc<Client>,
        events: Receiver<Event>,
        tells: Sender<Event>,
        marks: Arc<AtomicU64>,
    ) -> io::Result<Feeder> {
        // Nobody hears it once it is over.
        let found = move |ino, stamp, content| drop(tells.send(Event::Hashed(run, ino, stamp, content)));
        Ok(Feeder {
            hashes: Hashes::begin(Arc::clone(&vault), Box::new(found))?,
            run,
            vault,
            client,
            events,
            dirty: BTreeMap::new(),
            since: None,
            readable: HashSet::new(),
            moved: Instant::now(),
            evicted: false,
            came: false,
            looked: (Instant::now(), Duration::ZERO),
            copies: HashMap::new(),
            copied: HashMap::new(),
            backlog: VecDeque::new(),
            filled: false,
            contents: HashMap::new(),
            told: false,
            devices: HashMap::new(),
            deviceless: HashSet::new(),
            told_devices: Vec::new(),
            absent: HashSet::new(),
            told_lazy: [None; 2],
            marks,
        })
    }

    /// Tells everything, then what changes, until it is over; true: by [`Event::End`]. What happens meanwhile is heard between any two steps.
    ///
    /// # Errors
    /// The index has ended.
    pub(super) fn serve(&mut self) -> io::Result<bool> {
        self.names()?;
        loop {
            let has_work = !self.filled;
            let next = match (has_work, self.since) {
                (true, _) => self.events.try_recv().map_err(|error| match error {
                    TryRecvError::Empty => RecvTimeoutError::Timeout,
                    TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
                }),
                (false, None) => self.events.recv().map_err(|_| RecvTimeoutError::Disconnected),
                (false, Some(_)) => self.events.recv_timeout(QUIET),
            };
            match next {
                Ok(event) => {
                    if self.take(event)? {
                        return Ok(true);
                    }
                    let waited = self.since.is_some_and(|since| since.elapsed() > LONG);
                    // What only the index itself has found makes no unrest.
                    if waited && self.filled && (self.dirty.len() <= FEW || self.moved.elapsed() > QUIET) {
                        self.changed()?;
                    }
                }
                Err(RecvTimeoutError::Timeout) if has_work => self.step()?,
                Err(RecvTimeoutError::Timeout) => self.changed()?,
                Err(RecvTimeoutError::Disconnected) => return Ok(true),
            }
        }
    }

    /// Goes on with what is to be told at first.
    fn step(&mut self) -> io::Result<()> {
        let some = self.backlog.len().min(FILES);
        let some: Vec<(Ino, bool)> = self.backlog.drain(..some).collect();
        self.tell_files(&some)?;
        if self.backlog.is_empty() {
            self.changed()?;
            self.filled = true;
            self.client.tell(&Tell::Filled)?;
            // All that was asked for until now, be it of another run, is in what was told.
            self.client.tell(&Tell::Mark(self.marks.load(Ordering::SeqCst)))?;
            self.client.flush()?;
        }
        Ok(())
    }

    fn take(&mut self, event: Event) -> io::Result<bool> {
        match event {
            Event::End => return Ok(true),
            Event::Died(run) if run == self.run => return Err(io::ErrorKind::BrokenPipe.into()),
            // Of one that is gone.
            Event::Died(_) => {}
            Event::Says(run, _) if run != self.run => {}
            Event::Changes(changes) => {
                self.moved = Instant::now();
                self.note(&changes)?;
            }
            Event::Hashed(run, ino, stamp, content) => {
                if run == self.run && !self.absent.contains(&ino) {
                    self.contents.insert(ino, (stamp, content));
                    self.dirty.entry(ino).or_default();
                    self.since.get_or_insert_with(Instant::now);
                }
            }
            Event::Says(_, Say::Want(files)) => {
                self.readable.extend(&files);
                let wanted: Vec<(Ino, bool)> = files.iter().map(|file| (*file, true)).collect();
                self.tell_files(&wanted)?;
                self.client.flush()?;
            }
            Event::Says(_, Say::Need(lazy)) => self.need(lazy)?,
            Event::Mark(answer) => {
                let mark = self.marks.fetch_add(1, Ordering::SeqCst) + 1;
                // Before all was told once, the mark is told with its end.
                if self.filled {
                    self.changed()?;
                    self.client.tell(&Tell::Mark(mark))?;
                    self.client.flush()?;
                }
                // Whoever asked may have gone.
                let _ = answer.send(mark);
            }
        }
        Ok(false)
    }

    /// Tells all names, and notes all files.
    fn names(&mut self) -> io::Result<()> {
        let mut names = Vec::new();
        self.vault.names(&mut |name| {
            names.push(name);
            true
        });
        let mut files: Vec<Ino> = Vec::new();
        for name in &names {
            self.look_at(name);
            if name.kind != Kind::Folder {
                files.push(name.ino);
            }
        }
        files.sort_unstable();
        files.dedup();
        self.client.tell(&Tell::Known(files.len() as u64))?;
        for names in names.chunks(MANY) {
            self.client.tell(&Tell::Names(names.iter().map(told).collect()))?;
        }
        drop(names);
        self.members()?;
        let wanted = |ino: &Ino| (*ino, self.readable.contains(ino));
        self.backlog = files.iter().map(wanted).collect();
        self.client.flush()
    }

    fn look_at(&mut self, name: &Name) {
        if name.kind == Kind::File && Format::of(&name.name).is_some() {
            self.readable.insert(name.ino);
        }
        let is = name.is_conflict().then_some(name.ino);
        self.copy(name.no, is);
    }

    /// A name says of this file that it is a copy, or of none any more.
    fn copy(&mut self, node: NodeNo, is: Option<Ino>) {
        let was = match is {
            Some(ino) => self.copies.insert(node, ino),
            None => self.copies.remove(&node),
        };
        if was == is {
            return;
        }
        if let Some(ino) = was {
            self.dirty.entry(ino).or_default();
            if let Some(names) = self.copied.get_mut(&ino) {
                *names -= 1;
                if *names == 0 {
                    self.copied.remove(&ino);
                }
            }
        }
        if let Some(ino) = is {
            *self.copied.entry(ino).or_default() += 1;
        }
    }

    fn note(&mut self, changes: &Changes) -> io::Result<()> {
        let (mut names, mut unnamed) = (Vec::new(), Vec::new());
        for (node, name) in changes.names.iter() {
            match name {
                Some(name) => {
                    self.look_at(name);
                    names.push(told(name));
                    if name.kind != Kind::Folder {
                        self.dirty.entry(name.ino).or_default();
                    }
                }
                None => {
                    unnamed.push(*node);
                    self.copy(*node, None);
                }
            }
        }
        // As of one transaction a node is named once: in which order makes no difference.
        for names in names.chunks(MANY) {
            self.client.tell(&Tell::Names(names.to_vec()))?;
        }
        for unnamed in unnamed.chunks(MANY) {
            self.client.tell(&Tell::Unnamed(unnamed.to_vec()))?;
        }
        for ino in changes.inodes.iter().chain(&changes.came) {
            self.dirty.insert(*ino, true);
        }
        if !changes.gone.is_empty() {
            for ino in &changes.gone {
                self.dirty.remove(ino);
                self.readable.remove(ino);
                self.hashes.forget(*ino);
                self.contents.remove(ino);
                self.absent.remove(ino);
                self.deviceless.remove(ino);
            }
            self.client.tell(&Tell::Gone(changes.gone.clone()))?;
        }
        self.evicted |= changes.evicted;
        self.came |= !changes.came.is_empty();
        if changes.thinned {
            self.vault.names(&mut |name| {
                if name.kind != Kind::Folder {
                    self.dirty.entry(name.ino).or_default();
                }
                true
            });
        }
        self.told |= !(names.is_empty() && unnamed.is_empty() && changes.gone.is_empty());
        if self.since.is_none() && (self.told || self.evicted || !self.dirty.is_empty()) {
            self.since = Some(Instant::now());
        }
        Ok(())
    }

    /// Tells of all files that changed.
    fn changed(&mut self) -> io::Result<()> {
        self.since = None;
        if std::mem::take(&mut self.evicted) {
            self.went();
        }
        if self.came && self.looked.0.elapsed() >= self.looked.1 * LOOK {
            self.came = false;
            self.come();
        }
        self.members()?;
        let dirty: Vec<(Ino, bool)> = std::mem::take(&mut self.dirty).into_iter().collect();
        if !dirty.is_empty() {
            self.tell_files(&dirty)?;
        }
        if std::mem::take(&mut self.told) || !dirty.is_empty() {
            self.client.flush()?;
        }
        if self.came {
            // Later.
            self.since = Some(Instant::now());
        }
        Ok(())
    }

    /// Notes the files whose bytes have come with another's: what is the same in several comes once.
    fn come(&mut self) {
        let begun = Instant::now();
        let files: Vec<Ino> = self.absent.iter().copied().collect();
        let dirty = &mut self.dirty;
        self.vault.facts_of(&files, &mut |ino, facts| {
            if facts.is_ok_and(|facts| facts.here) {
                dirty.insert(ino, true);
            }
            true
        });
        self.looked = (Instant::now(), begun.elapsed());
    }

    /// Notes the files whose bytes were given up.
    fn went(&mut self) {
        let mut files = Vec::new();
        self.vault.names(&mut |name| {
            if name.kind == Kind::File && !self.absent.contains(&name.ino) {
                files.push(name.ino);
            }
            true
        });
        let dirty = &mut self.dirty;
        self.vault.facts_of(&files, &mut |ino, facts| {
            if facts.is_ok_and(|facts| !facts.here) {
                dirty.entry(ino).or_default();
            }
            true
        });
    }
}

fn told(name: &Name) -> said::Name {
    said::Name {
        node: name.no,
        parent: name.parent,
        name: name.name.to_vec(),
        file: name.ino,
        kind: kind(name.kind),
    }
}
