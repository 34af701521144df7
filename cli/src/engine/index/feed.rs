//! Tells the index what is in the vault: all of it once, then what changes.
//!
//! Owns what it takes to know what the index was not told yet. Guarantees that what was saved before [`Feeder::mark`] was asked for is told before its
//! answer; that files are read when it is quiet, or when somebody asks, and not while much is being written; that nobody who changes the vault
//! waits for it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use coffer_index::client::Client;
use coffer_index::parse::{Format, READ_MAX};
use coffer_index::said::{self, Lazy, Say, Tell, Text};
use coffer_store::StoreError;
use coffer_store::ids::{ChainId, Ino, NodeNo};
use coffer_store::members::Standing;
use coffer_store::record::Time;
use coffer_store::tree::Kind;
use coffer_store::vault::{Changes, Conflict, Deed, Facts, Name, Of, OpError, Vault};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError};

/// Without changes for this long, it is quiet.
const QUIET: Duration = Duration::from_millis(300);
/// So few files are read though it is not, once they waited for [`LONG`].
const FEW: usize = 50;
const LONG: Duration = Duration::from_secs(1);
/// Files that are told together.
const FILES: usize = 128;
/// Names, versions or chunks that are told together.
const MANY: usize = 4096;
/// Bytes of texts that are told together.
const BYTES: usize = 4 << 20;
/// Of a longer file it takes time to say what its bytes are told from others by: that is told later.
const SMALL: u64 = 32 << 10;

/// What happens.
pub(super) enum Event {
    /// The vault changed.
    Changes(Box<Changes>),
    /// The index wants something: that of this run.
    Says(u64, Say),
    /// The process of this run has ended.
    Died(u64),
    /// What was told until now is to be in the answers: the mark that says so.
    Mark(Sender<u64>),
    /// It is over.
    End,
}

/// See the module.
pub(super) struct Feeder {
    /// Which process it is.
    run: u64,
    vault: Arc<Vault>,
    client: Arc<Client>,
    events: Receiver<Event>,
    /// Files whose facts, and whose bytes, were not told since they changed.
    dirty: BTreeMap<Ino, bool>,
    since: Option<Instant>,
    /// Files of which a name says that they can be read.
    readable: HashSet<Ino>,
    /// Names that say that their files are copies of others.
    copies: HashMap<NodeNo, Ino>,
    /// Files that are still to be told of, at first.
    backlog: VecDeque<(Ino, bool)>,
    /// Whether that is over, and the index was told so.
    filled: bool,
    /// Files of which is to be said what their bytes are told from others by.
    unnamed: BTreeSet<Ino>,
    /// What that was, and what the files were then.
    contents: HashMap<Ino, (Stamp, Option<[u8; 16]>)>,
    /// Something was told that may lie in a buffer.
    told: bool,
    devices: HashMap<ChainId, Vec<u8>>,
    told_devices: Vec<said::Device>,
    /// Marks, of all runs.
    marks: Arc<AtomicU64>,
}

/// What changes with a file's bytes: size, times, versions.
type Stamp = (u64, Time, Time, u64);

fn moment(time: Time) -> said::Moment {
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

fn is_gone(error: &OpError) -> bool {
    matches!(error.errno(), libc::ENOENT | libc::ESTALE)
}

impl Feeder {
    pub(super) fn new(
        run: u64,
        vault: Arc<Vault>,
        client: Arc<Client>,
        events: Receiver<Event>,
        marks: Arc<AtomicU64>,
    ) -> Feeder {
        Feeder {
            run,
            vault,
            client,
            events,
            dirty: BTreeMap::new(),
            since: None,
            readable: HashSet::new(),
            copies: HashMap::new(),
            backlog: VecDeque::new(),
            filled: false,
            unnamed: BTreeSet::new(),
            contents: HashMap::new(),
            told: false,
            devices: HashMap::new(),
            told_devices: Vec::new(),
            marks,
        }
    }

    /// Tells everything, then what changes, until it is over; true: by [`Event::End`]. What happens meanwhile is heard between any two steps.
    ///
    /// # Errors
    /// The index has ended.
    pub(super) fn serve(&mut self) -> io::Result<bool> {
        self.names()?;
        loop {
            let has_work = !(self.backlog.is_empty() && self.filled && self.unnamed.is_empty());
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
                    if waited && self.dirty.len() <= FEW {
                        self.changed()?;
                    }
                }
                Err(RecvTimeoutError::Timeout) if has_work => self.step()?,
                Err(RecvTimeoutError::Timeout) => self.changed()?,
                Err(RecvTimeoutError::Disconnected) => return Ok(true),
            }
        }
    }

    /// Goes on with what is to be told at first, or with what takes long.
    fn step(&mut self) -> io::Result<()> {
        if !self.filled {
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
            return Ok(());
        }
        if self.since.is_some_and(|since| since.elapsed() > QUIET) {
            return self.changed();
        }
        if let Some(ino) = self.unnamed.pop_first() {
            let known = self
                .vault
                .facts(ino)
                .ok()
                .filter(|facts| facts.kind == Kind::File);
            if let Some(facts) = known {
                let content = self.vault.content(ino).ok().flatten();
                let content = content.and_then(|hash| hash.0[..16].try_into().ok());
                self.contents.insert(ino, (stamp(&facts), content));
                let file = self.file(&facts, false);
                self.client.tell(&Tell::Files(vec![file]))?;
            }
            if self.unnamed.is_empty() {
                self.client.flush()?;
            }
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
            Event::Changes(changes) => self.note(&changes)?,
            Event::Says(_, Say::Want(files)) => {
                self.readable.extend(&files);
                let wanted: Vec<(Ino, bool)> = files.iter().map(|file| (*file, true)).collect();
                self.tell_files(&wanted)?;
                self.client.flush()?;
            }
            Event::Says(_, Say::Need(Lazy::History)) => self.history()?,
            Event::Says(_, Say::Need(Lazy::Blobs)) => self.blobs()?,
            Event::Mark(answer) => {
                let mark = self.marks.fetch_add(1, Ordering::SeqCst) + 1;
                // Before all was told once, the mark is told with its end.
                if self.filled {
                    self.changed()?;
                    self.members()?;
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
        match name.is_conflict() {
            true => drop(self.copies.insert(name.no, name.ino)),
            false => drop(self.copies.remove(&name.no)),
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
                    if let Some(ino) = self.copies.remove(node) {
                        self.dirty.entry(ino).or_default();
                    }
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
                self.unnamed.remove(ino);
                self.contents.remove(ino);
            }
            self.client.tell(&Tell::Gone(changes.gone.clone()))?;
        }
        if changes.thinned || changes.evicted {
            self.vault.names(&mut |name| {
                if name.kind != Kind::Folder {
                    self.dirty.entry(name.ino).or_default();
                }
                true
            });
        }
        self.told |= !(names.is_empty() && unnamed.is_empty() && changes.gone.is_empty());
        if self.since.is_none() && (self.told || !self.dirty.is_empty()) {
            self.since = Some(Instant::now());
        }
        Ok(())
    }

    /// Tells of all files that changed.
    fn changed(&mut self) -> io::Result<()> {
        self.since = None;
        let dirty: Vec<(Ino, bool)> = std::mem::take(&mut self.dirty).into_iter().collect();
        if !dirty.is_empty() {
            self.tell_files(&dirty)?;
        }
        if std::mem::take(&mut self.told) || !dirty.is_empty() {
            self.client.flush()?;
        }
        Ok(())
    }

    fn tell_files(&mut self, files: &[(Ino, bool)]) -> io::Result<()> {
        for some in files.chunks(FILES) {
            let wants: HashMap<Ino, bool> = some.iter().copied().collect();
            let inos: Vec<Ino> = some.iter().map(|(ino, _)| *ino).collect();
            let (mut known, mut gone, mut damaged) = (Vec::new(), Vec::new(), Vec::new());
            self.vault.facts_of(&inos, &mut |ino, facts| {
                match facts {
                    Ok(facts) => known.push(facts),
                    Err(error) if is_gone(&error) => gone.push(ino),
                    Err(_) => damaged.push(ino),
                }
                true
            });
            let (mut told, mut bytes) = (Vec::new(), 0);
            for facts in known.into_iter().filter(|facts| facts.kind != Kind::Folder) {
                let wants = wants.get(&facts.ino).copied().unwrap_or_default();
                let file = self.file(&facts, wants && self.readable.contains(&facts.ino));
                if let Text::Bytes(text) = &file.text {
                    bytes += text.len();
                }
                told.push(file);
                if bytes > BYTES {
                    self.client.tell(&Tell::Files(std::mem::take(&mut told)))?;
                    bytes = 0;
                }
            }
            for ino in damaged {
                told.push(said::File {
                    facts: said::Facts {
                        file: ino,
                        ..said::Facts::default()
                    },
                    text: Text::Failed(
                        "What is known of the file could not be read; “coffer check” says more.".into(),
                    ),
                });
            }
            if !told.is_empty() {
                self.client.tell(&Tell::Files(told))?;
            }
            if !gone.is_empty() {
                self.client.tell(&Tell::Gone(gone))?;
            }
        }
        Ok(())
    }

    fn file(&mut self, facts: &Facts, with_text: bool) -> said::File {
        let is_file = facts.kind == Kind::File;
        let text = match (with_text, is_file) {
            (true, true) => self.text(facts),
            (true, false) => Text::Absent,
            // What is not here any more is not kept in the index either.
            (false, true) if !facts.here => Text::Absent,
            (false, _) => Text::Unread,
        };
        let content = is_file.then(|| self.content(facts, &text)).flatten();
        let is_copy = self.copies.values().any(|ino| *ino == facts.ino);
        said::File {
            facts: said::Facts {
                file: facts.ino,
                id: facts.entity.0,
                size: facts.size,
                created: moment(facts.created),
                modified: moment(facts.modified),
                recorded: facts.recorded.map(moment),
                versions: facts.versions,
                device: self.device(&facts.device),
                content,
                conflict: match (facts.conflict, is_copy) {
                    (Some(Conflict::Beside(n)), _) => Some(format!("{n} other versions stand beside it")),
                    (_, true) => Some("a copy that stands beside another file".into()),
                    // A merge that is shown is none: nothing has to be done.
                    _ => None,
                },
                here: facts.here,
            },
            text,
        }
    }

    /// What a file's bytes are told from others by, as far as it is known at once. What goes on changing, or is elsewhere,
    /// has nothing.
    fn content(&mut self, facts: &Facts, text: &Text) -> Option<[u8; 16]> {
        let stamp = stamp(facts);
        // Bytes that were read anyway need not be read for it again.
        if let Text::Bytes(bytes) = text
            && let Some(hash) = self.vault.content_of(bytes)
        {
            let content = hash.0[..16].try_into().ok();
            self.contents.insert(facts.ino, (stamp, content));
            return content;
        }
        if let Some((known, content)) = self.contents.get(&facts.ino)
            && *known == stamp
        {
            return *content;
        }
        if facts.size > SMALL {
            self.unnamed.insert(facts.ino);
            return None;
        }
        let content = self.vault.content(facts.ino).ok().flatten();
        let content = content.and_then(|hash| hash.0[..16].try_into().ok());
        self.contents.insert(facts.ino, (stamp, content));
        content
    }

    fn text(&self, facts: &Facts) -> Text {
        if facts.size > READ_MAX as u64 {
            return Text::TooLong;
        }
        match self.vault.text(facts.ino, READ_MAX) {
            Ok(bytes) => Text::Bytes(bytes),
            Err(OpError::Store(StoreError::Absent(_))) => Text::Absent,
            Err(error) if error.errno() == libc::EFBIG => Text::TooLong,
            Err(error) if is_gone(&error) => Text::Absent,
            Err(_) => Text::Failed("The file's bytes could not be read; “coffer check” says more.".into()),
        }
    }

    /// The device that told a chain, by its id.
    fn device(&mut self, chain: &ChainId) -> Vec<u8> {
        if let Some(known) = self.devices.get(chain) {
            return known.clone();
        }
        let signer = self.vault.who_signs(chain).map(|signer| signer.device);
        let own = || self.vault.device_named(chain).map(|_| self.vault.device_id());
        let Some(device) = signer.or_else(own) else {
            return Vec::new();
        };
        let id = device.0.to_vec();
        self.devices.insert(*chain, id.clone());
        id
    }

    /// Tells the devices, if they are others.
    fn members(&mut self) -> io::Result<()> {
        let me = self.vault.device_id();
        let devices: Vec<said::Device> = self.vault.with_members(|members| {
            let devices = members.state().devices();
            let each = devices.iter().map(|device| said::Device {
                id: device.id.0.to_vec(),
                name: device.name.to_string(),
                is_this: device.id == me,
                is_member: matches!(device.standing, Standing::Member),
            });
            each.collect()
        });
        if devices != self.told_devices {
            self.client.tell(&Tell::Devices(devices.clone()))?;
            self.told_devices = devices;
        }
        Ok(())
    }

    fn history(&mut self) -> io::Result<()> {
        let mut rows = Vec::new();
        let read = self.vault.history(None, &mut |row| {
            rows.push(row);
            true
        });
        // What cannot be read of it is missing there; `check` says why.
        let _ = read;
        let mut versions = Vec::new();
        for row in rows {
            let (file, path) = match row.of {
                Of::File(ino) => (Some(ino), Vec::new()),
                Of::Removed { path, .. } => (None, path),
                Of::Nameless => continue,
            };
            let action = match row.deed {
                Deed::Created => "created",
                Deed::Edited => "edited",
                Deed::Merged => "merged",
                Deed::Removed => "removed",
            };
            versions.push(said::Version {
                file,
                path,
                id: row.entity.0,
                number: row.number,
                recorded: moment(row.when),
                modified: moment(row.modified),
                action: action.into(),
                device: row.device.map_or_else(Vec::new, |chain| self.device(&chain)),
                program: row.program,
                size: row.size,
                before: row.size_before,
                kept: row.held,
            });
        }
        self.whole(Lazy::History, versions, Tell::History)
    }

    fn blobs(&mut self) -> io::Result<()> {
        let mut blobs = Vec::new();
        let read = self.vault.blobs(&mut |blob| {
            blobs.push(said::Blob {
                id: blob.name[..16].try_into().unwrap_or_default(),
                size: blob.size,
                stored: blob.stored.unwrap_or_default(),
                refs: blob.references,
                here: blob.stored.is_some(),
            });
            true
        });
        let _ = read;
        self.whole(Lazy::Blobs, blobs, Tell::Blobs)
    }

    fn whole<T: Clone>(&mut self, lazy: Lazy, all: Vec<T>, tell: fn(bool, Vec<T>) -> Tell) -> io::Result<()> {
        let mut is_first = true;
        for some in all.chunks(MANY) {
            self.client.tell(&tell(is_first, some.to_vec()))?;
            is_first = false;
        }
        if is_first {
            self.client.tell(&tell(true, Vec::new()))?;
        }
        self.client.tell(&Tell::Whole(lazy))?;
        self.client.flush()
    }
}

fn stamp(facts: &Facts) -> Stamp {
    (facts.size, facts.modified, facts.changed, facts.versions)
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
