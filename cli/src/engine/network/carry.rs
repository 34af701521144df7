//! Carried folders: one exchange on demand, and those that are looked after while the vault is open.
//!
//! Guarantees: one exchange at a time with each folder; a folder that is not there is waited for, and none is begun anew in the place of one
//! that was there, unless somebody asks. None lies in the vault's own folder or its mount. An end is not kept waiting: an exchange stops at its
//! next write or file, and the next one goes on from there; one that hangs, since a share is dead, is left behind. What is shown of folders
//! asks no disk.

use super::bell::{Bell, Watcher};
use super::sentence;
use crate::answers::devices::{Carrier, Exchanged, Moved, Waiting};
use crate::engine::Vault;
use crate::failure::{Failure, Kind};
use crate::settings::Settings;
use crate::wire::WirePath;
use coffer_sync::carrier::{
    self, CarrierError, Exchange, Folder, Listing, Name, Options, Place, Seen, Shelf, Sink, Source, Tally,
};
use coffer_sync::replica::Replica;
use coffer_sync::vault::VaultReplica;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// The note's name.
const NOTE: &str = "carrier";
/// How often a folder is looked at of which the system tells: of far and cloud folders it does not tell all.
const LOOK: Duration = Duration::from_secs(60);
/// How often one that is not there is looked for.
const ABSENT: Duration = Duration::from_secs(5);
/// How long it must be quiet before an exchange: whoever copies files there, or saves here, does more of it.
const QUIET: Duration = Duration::from_millis(1_500);
/// After which it is exchanged although it is not quiet.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long an end waits for exchanges that are under way, all together.
const ENDING: Duration = Duration::from_secs(5);

/// What is remembered.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Known {
    /// The number of this device's last index anywhere.
    serial: u64,
    folders: BTreeMap<String, Carrier>,
}

/// Called when events came: the network is to pass them on.
type OnNews = Box<dyn Fn() + Send + Sync>;

/// See the module.
pub(super) struct Carriers {
    vault: Vault,
    replica: Arc<VaultReplica>,
    /// The vault's own folder, and its mount.
    own: Vec<PathBuf>,
    known: Mutex<Known>,
    /// What was seen in each folder; held while it is exchanged with.
    busy: Mutex<BTreeMap<PathBuf, Arc<Mutex<Seen>>>>,
    watched: Mutex<BTreeSet<PathBuf>>,
    /// Those that were asked for until the vault is locked.
    asked: Mutex<BTreeSet<PathBuf>>,
    limit: Mutex<Option<u64>>,
    bell: Arc<Bell>,
    paused: AtomicBool,
    ended: Arc<AtomicBool>,
    on_news: Mutex<Option<OnNews>>,
}

fn moved(tally: Tally) -> Moved {
    Moved {
        statements: tally.statements,
        events: tally.events,
        chunks: tally.chunks,
        bytes: tally.bytes,
    }
}

fn failed(error: &CarrierError) -> Failure {
    match error {
        CarrierError::Io { what, error } => Failure::io(what, error),
        CarrierError::Inside(_) => Failure::usage(sentence(error).message),
        CarrierError::Absent(_) | CarrierError::Gone(_) => {
            Failure::new(Kind::NotOpen, sentence(error).message)
        }
        error => sentence(error),
    }
}

/// A folder that gives and takes nothing more once an end has begun.
struct Ending<'a>(&'a Shelf, &'a Arc<AtomicBool>);

/// A file in it.
struct EndingSink(Box<dyn Sink>, Arc<AtomicBool>);

fn goes_on(ended: &AtomicBool) -> io::Result<()> {
    match ended.load(Ordering::Acquire) {
        true => Err(io::Error::other("the vault is being locked")),
        false => Ok(()),
    }
}

impl Ending<'_> {
    fn goes_on(&self) -> io::Result<&Shelf> {
        goes_on(self.1).map(|()| self.0)
    }
}

impl Sink for EndingSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        goes_on(&self.1)?;
        self.0.write(bytes)
    }
    fn finish(self: Box<Self>) -> io::Result<()> {
        goes_on(&self.1)?;
        self.0.finish()
    }
}

impl Folder for Ending<'_> {
    fn list(&self) -> io::Result<Listing> {
        self.goes_on()?.list()
    }
    fn open(&self, name: &Name) -> io::Result<Box<dyn Source>> {
        self.goes_on()?.open(name)
    }
    fn create(&self, name: &Name) -> io::Result<Box<dyn Sink>> {
        let sink = self.goes_on()?.create(name)?;
        Ok(Box::new(EndingSink(sink, self.1.clone())))
    }
    fn publish(&self, from: &Name, to: &Name) -> io::Result<()> {
        self.goes_on()?.publish(from, to)
    }
    fn remove(&self, name: &Name) -> io::Result<()> {
        self.0.remove(name)
    }
    fn room(&self) -> io::Result<u64> {
        self.goes_on()?.room()
    }
}

impl Carriers {
    /// Of a vault, which is mounted there, if it is.
    pub(super) fn new(vault: &Vault, mount: Option<&Path>, replica: Arc<VaultReplica>) -> Arc<Carriers> {
        let own = [Some(vault.dir()), mount].into_iter().flatten();
        let note = vault.store().note(NOTE).ok().flatten().unwrap_or_default();
        let bell = Arc::new(Bell::default());
        let rings = Arc::downgrade(&bell);
        replica.subscribe(Box::new(move |_| {
            if let Some(bell) = rings.upgrade() {
                bell.ring();
            }
        }));
        Arc::new(Carriers {
            vault: vault.clone(),
            replica,
            own: own.flat_map(|dir| [dir.to_owned(), real(dir)]).collect(),
            known: Mutex::new(serde_json::from_slice(&note).unwrap_or_default()),
            busy: Mutex::default(),
            watched: Mutex::default(),
            asked: Mutex::default(),
            limit: Mutex::new(None),
            bell,
            paused: AtomicBool::new(false),
            ended: Arc::default(),
            on_news: Mutex::new(None),
        })
    }

    /// Has this called when events came.
    pub(super) fn on_news(&self, call: OnNews) {
        *self.on_news.lock() = Some(call);
    }

    /// Looks after the folders of these settings, and no others but those that were asked for.
    pub(super) fn reload(self: &Arc<Self>, settings: &Settings) {
        *self.limit.lock() = settings.rate("sync-via-limit");
        let mut wanted: BTreeSet<PathBuf> = settings.folders().into_iter().collect();
        wanted.extend(self.asked.lock().iter().cloned());
        let new: Vec<PathBuf> = {
            let mut watched = self.watched.lock();
            let new = wanted.difference(&watched).cloned().collect();
            *watched = wanted;
            new
        };
        for dir in new {
            self.watch(dir);
        }
        self.bell.ring();
    }

    /// Looks after a folder until the vault is locked.
    pub(super) fn also(self: &Arc<Self>, dir: &Path) {
        self.asked.lock().insert(dir.to_owned());
        if self.watched.lock().insert(dir.to_owned()) {
            self.watch(dir.to_owned());
        }
    }

    pub(super) fn pause(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
        self.bell.ring();
    }

    /// Ends; what is under way stops, and is waited for, but not without end: keys are not kept in memory for a share that is dead.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.bell.ring();
        let until = Instant::now() + ENDING;
        let busy: Vec<Arc<Mutex<Seen>>> = self.busy.lock().values().cloned().collect();
        for one in busy {
            drop(one.try_lock_until(until));
        }
    }

    /// How the folders were when each was looked at last.
    pub(super) fn folders(&self) -> Vec<Carrier> {
        let watched = self.watched.lock().clone();
        let mut all = self.known.lock().folders.clone();
        for dir in &watched {
            let key = dir.to_string_lossy().into_owned();
            all.entry(key).or_insert_with(|| unknown(dir));
        }
        all.into_values()
            .map(|folder| Carrier {
                watched: watched.contains(&folder.dir.0),
                ..folder
            })
            .collect()
    }

    /// Exchanges with a folder now.
    ///
    /// # Errors
    /// What kept it from that; it is remembered, too.
    pub(super) fn exchange(
        &self,
        dir: &Path,
        limit: Option<u64>,
        place: Place,
    ) -> Result<Exchanged, Failure> {
        let done = {
            let one = self.busy.lock().entry(dir.to_owned()).or_default().clone();
            let mut seen = one.lock();
            if self.ended.load(Ordering::Acquire) {
                return Err(Failure::failed("The vault is being locked."));
            }
            let serial = self.known.lock().serial;
            let options = Options {
                limit: limit.or(*self.limit.lock()),
                serial,
            };
            let shelf = self.shelf(dir, place);
            shelf.and_then(|shelf| {
                let folder = Ending(&shelf, &self.ended);
                carrier::exchange(&*self.replica, &folder, options, &mut seen)
            })
        };
        self.note(dir, &done);
        let done = done.map_err(|error| failed(&error))?;
        if done.took.statements > 0 {
            self.replica.members_changed();
        }
        if done.took.batches > 0
            && let Some(call) = self.on_news.lock().as_ref()
        {
            call();
        }
        let key = dir.to_string_lossy().into_owned();
        let folder = self.known.lock().folders.get(&key).cloned();
        Ok(Exchanged {
            took: moved(done.took),
            gave: moved(done.gave),
            folder: Carrier {
                watched: self.watched.lock().contains(dir),
                ..folder.unwrap_or_else(|| unknown(dir))
            },
            lacks: done.lacks,
            notes: done.notes,
        })
    }

    /// The vault's folder there, if that is not the vault itself: carrying itself, it would grow without end.
    fn shelf(&self, dir: &Path, place: Place) -> Result<Shelf, CarrierError> {
        match self.is_inside(dir) {
            true => Err(CarrierError::Inside(dir.to_owned())),
            false => Shelf::of(dir, &*self.replica, place),
        }
    }

    fn is_inside(&self, dir: &Path) -> bool {
        let is_own = |path: &Path| self.own.iter().any(|own| path.starts_with(own));
        // What is ours by its name is not looked at.
        is_own(dir) || std::fs::canonicalize(dir).is_ok_and(|real| is_own(&real))
    }

    /// Remembers whether a folder is there.
    fn seen(&self, dir: &Path, there: bool) {
        let key = dir.to_string_lossy();
        if let Some(folder) = self.known.lock().folders.get_mut(&*key) {
            folder.there = there;
        }
    }

    fn note(&self, dir: &Path, done: &Result<Exchange, CarrierError>) {
        let mut known = self.known.lock();
        let text = |known: &Known| serde_json::to_vec(known).expect("it is plain data");
        let before = text(&known);
        let key = dir.to_string_lossy().into_owned();
        let mut folder = known.folders.remove(&key).unwrap_or_else(|| unknown(dir));
        match done {
            Ok(done) => {
                known.serial = known.serial.max(done.serial);
                folder = Carrier {
                    there: true,
                    last: Some(Timestamp::now()),
                    waiting: done
                        .devices
                        .iter()
                        .filter(|one| one.files > 0)
                        .map(waiting)
                        .collect(),
                    lacking: done.lacking,
                    left_out: done.left_out,
                    read_only: done.read_only,
                    error: done.untaken.as_ref().map(|why| sentence(why).message),
                    ..folder
                };
            }
            // It is not there now; that is no trouble.
            Err(CarrierError::Absent(_)) => folder.there = false,
            Err(error) => folder.error = Some(failed(error).message),
        }
        if folder.last.is_some() || self.watched.lock().contains(dir) {
            known.folders.insert(key, folder);
        }
        let after = text(&known);
        if after != before {
            // Without it nothing is lost but what people are shown.
            let _ = self.vault.store().set_note(NOTE, &after);
        }
    }

    fn watch(self: &Arc<Self>, dir: PathBuf) {
        let carriers = Arc::downgrade(self);
        let bell = self.bell.clone();
        let spawned = std::thread::Builder::new()
            .name("carry".into())
            .spawn(move || follow(&carriers, &bell, &dir));
        // Without a thread it is exchanged when somebody asks.
        drop(spawned);
    }

    /// What an exchange would begin with: what lies there, and how far the vault is. As it was: nothing to do.
    fn stand(&self, dir: &Path) -> Option<Vec<u8>> {
        let shelf = self.shelf(dir, Place::Find).ok()?;
        let mut files = shelf.list().ok()?.files;
        files.sort_unstable();
        let config = self.replica.config().ok()?;
        let mut clock = config.clock;
        clock.sort_unstable();
        Some(format!("{files:?} {clock:?} {:?}", config.heads).into_bytes())
    }
}

/// Where it lies, links followed; it itself is not asked, since it may be a mount of our own.
fn real(dir: &Path) -> PathBuf {
    let above = dir.parent().and_then(|above| std::fs::canonicalize(above).ok());
    match (above, dir.file_name()) {
        (Some(above), Some(name)) => above.join(name),
        _ => dir.to_owned(),
    }
}

fn unknown(dir: &Path) -> Carrier {
    Carrier {
        dir: WirePath(dir.to_owned()),
        watched: false,
        there: false,
        last: None,
        waiting: Vec::new(),
        lacking: 0,
        left_out: 0,
        read_only: false,
        error: None,
    }
}

fn waiting(one: &carrier::Waiting) -> Waiting {
    Waiting {
        id: one.device.to_string(),
        device: one.name.clone(),
        seen: one.seen,
        files: one.files,
        bytes: one.bytes,
    }
}

/// Looks after a folder until nobody wants that any more.
fn follow(carriers: &Weak<Carriers>, bell: &Arc<Bell>, dir: &Path) {
    let mut watcher = Watcher::default();
    let mut stood: Option<Vec<u8>> = None;
    loop {
        let rung = bell.count();
        let is_told = {
            let Some(carriers) = carriers.upgrade() else {
                return;
            };
            if carriers.ended.load(Ordering::Acquire) || !carriers.watched.lock().contains(dir) {
                return;
            }
            // As it is before: what happens there during the exchange is another reason to look.
            let stands = carriers.stand(dir);
            let is_same = stands.is_some() && stands == stood;
            if !is_same && !carriers.paused.load(Ordering::Relaxed) {
                let key = dir.to_string_lossy().into_owned();
                let before = carriers
                    .known
                    .lock()
                    .folders
                    .get(&key)
                    .is_some_and(|known| known.last.is_some());
                // An empty folder in the place of one that was there is another stick's, or none's.
                let place = if before { Place::Find } else { Place::Make };
                let there = dir.is_dir();
                // What could not be taken is tried again although nothing else happens.
                let done = there.then(|| carriers.exchange(dir, None, place));
                if done.is_some_and(|done| done.is_ok_and(|done| done.folder.error.is_none())) {
                    stood = stands;
                }
                carriers.seen(dir, there);
            }
            let folder = carrier::folder_in(dir, &*carriers.replica);
            watcher.over(folder.filter(|_| !carriers.is_inside(dir)), bell)
        };
        bell.wait(rung, if is_told { LOOK } else { ABSENT });
        bell.settle(QUIET, PATIENCE);
    }
}
