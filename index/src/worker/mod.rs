//! The index as a process of its own: it is told what is in the vault, and answers questions.
//!
//! Owns the tables and the search, in memory. Guarantees that nothing of a vault is read before the process is walled in (`confine`); it holds no keys,
//! sees no file, and ends when whoever started it does. A fault of its own ends it: it is started anew and told everything
//! again.
//!
//! Two sockets: on the first it is told (`Tell`) and asks back (`Say`); by the second it is handed connections, with a question on each.

mod asked; // one question
mod confine; // its walls
mod incoming; // what it is told
mod memory; // what the allocator holds back
mod state; // how far it is

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use parking_lot::Mutex;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};

use crate::catalog::{Catalog, SCHEMA};
use crate::keep::{KeepError, Keeper, Searched};
use crate::said::{Say, Tell, Text, send};
use crate::sql::Database;
use crate::texts::Texts;
use asked::Desk;
use incoming::{Incoming, Next};
use state::{State, Upto, place};

pub use confine::ConfineError;

/// What the search may take while it is filled, in bytes.
const SEARCH_BUDGET: usize = 32 << 20;
/// What notes' texts may take, packed, in bytes.
const TEXTS_MAX: usize = 768 << 20;
/// How long nothing is told before what waits is put into the tables.
const QUIET: Duration = Duration::from_millis(50);
/// How often the tables say how far they are, while they are filled.
const SAID_EVERY: Duration = Duration::from_millis(300);
/// Files changed, after which the tables are tidied when it is quiet.
const TIDY_AFTER: u64 = 2_000;

/// The index ended.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// Its walls.
    #[error(transparent)]
    Confine(#[from] ConfineError),
    /// DuckDB.
    #[error("The index could not be set up: {0}")]
    Open(#[from] duckdb::Error),
    /// The search.
    #[error(transparent)]
    Search(#[from] crate::search::SearchError),
    /// The tables.
    #[error(transparent)]
    Keep(#[from] KeepError),
    /// Whoever told it things.
    #[error("The index was told something that it does not understand: {0}")]
    Told(#[from] io::Error),
}

/// Serves until whoever tells it things has gone. `memory` is what tables and queries may take, in bytes.
///
/// # Errors
/// As [`WorkerError`] says; the process is to end then.
pub fn run(told: UnixStream, questions: UnixStream, memory: u64) -> Result<(), WorkerError> {
    // What panics say may stand in a vault: where it was is enough.
    std::panic::set_hook(Box::new(|panic| {
        if let Some(at) = panic.location() {
            eprintln!("coffer: a fault in the index at {at}");
        }
    }));
    memory::few_arenas();
    let zone = TimeZone::system();
    let searched = Searched::new(SEARCH_BUDGET)?;
    let texts = Texts::new(TEXTS_MAX);
    let db = Arc::new(Database::open(memory, SCHEMA, &searched.answers(&zone), &texts)?);
    let catalog = Catalog::new(db.connect()?, zone.clone());
    let state = Arc::new(State::default());
    let saying = Arc::new(Mutex::new(asked::owned(&told)?));
    confine::confine()?;
    let say = Arc::clone(&saying);
    let desk = Arc::new(Desk {
        db,
        state: Arc::clone(&state),
        // Whoever is gone needs no answer: the main loop ends with the stream.
        say: Box::new(move |message| drop(send(&mut *say.lock(), message))),
        zone: zone.clone(),
    });
    std::thread::Builder::new()
        .name("questions".into())
        .spawn(move || hand_out(&questions, &desk))?;
    let keeper = Keeper::new(catalog, searched, texts, zone);
    Told {
        keeper,
        state,
        saying,
        wanted: BTreeSet::new(),
        mark: 0,
        known: 0,
        filled: false,
        changed: 0,
        about: (false, 0, 0),
        said: None,
    }
    .listen(told)
}

/// Takes connections as they are handed over.
fn hand_out(questions: &UnixStream, desk: &Arc<Desk>) {
    loop {
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut handed = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let mut into = [io::IoSliceMut::new(&mut byte)];
        match rustix::net::recvmsg(questions, &mut into, &mut handed, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => continue,
            Ok(message) if message.bytes > 0 => {}
            _ => return,
        }
        for message in handed.drain() {
            let RecvAncillaryMessage::ScmRights(fds) = message else {
                continue;
            };
            for fd in fds {
                let desk = Arc::clone(desk);
                let serve = move || desk.serve(UnixStream::from(fd as OwnedFd));
                // One that cannot be served is closed, which its asker sees.
                let _ = std::thread::Builder::new().name("question".into()).spawn(serve);
            }
        }
    }
}

/// What listens to what is told.
struct Told {
    keeper: Keeper,
    state: Arc<State>,
    saying: Arc<Mutex<UnixStream>>,
    /// Files whose bytes were asked for.
    wanted: BTreeSet<u64>,
    /// The mark that was told and is not reached yet.
    mark: u64,
    known: u64,
    filled: bool,
    changed: u64,
    /// What was last said of how far it is.
    about: (bool, u64, u64),
    /// When that was.
    said: Option<Instant>,
}

impl Told {
    fn listen(mut self, told: UnixStream) -> Result<(), WorkerError> {
        self.keeper.about(false, 0)?;
        let incoming = Incoming::from(told)?;
        let mut patience = Some(QUIET);
        loop {
            match incoming.next(patience)? {
                Next::Told(tell) => {
                    self.take(tell)?;
                    patience = Some(QUIET);
                }
                Next::Quiet => {
                    self.rest()?;
                    patience = None;
                }
                Next::End => return Ok(()),
            }
        }
    }

    fn take(&mut self, tell: Tell) -> Result<(), WorkerError> {
        match &tell {
            Tell::Files(files) => {
                self.changed += files.len() as u64;
                for file in files.iter().filter(|file| file.text != Text::Unread) {
                    self.wanted.remove(&file.facts.file);
                }
            }
            Tell::Gone(files) => self.wanted.retain(|file| !files.contains(file)),
            Tell::Known(files) => self.known = *files,
            Tell::Filled => self.filled = true,
            Tell::Mark(mark) => self.mark = *mark,
            _ => {}
        }
        let settles = matches!(tell, Tell::Mark(_) | Tell::Filled);
        let whole = match &tell {
            Tell::Whole(lazy) | Tell::Still(lazy) => Some(*lazy),
            _ => None,
        };
        let mut wants = BTreeSet::new();
        self.keeper.tell(tell, &mut wants)?;
        self.want(wants);
        if settles {
            self.settle()?;
        }
        if let Some(lazy) = whole {
            // Devices that versions name.
            self.settle()?;
            self.state.change(|now| now.told[place(lazy)] += 1);
        }
        self.reached()
    }

    fn want(&mut self, wants: BTreeSet<u64>) {
        let new: Vec<u64> = wants.difference(&self.wanted).copied().collect();
        if !new.is_empty() {
            self.wanted.extend(&new);
            // Whoever is gone is noticed by the loop.
            let _ = send(&mut *self.saying.lock(), &Say::Want(new));
        }
    }

    fn settle(&mut self) -> Result<(), WorkerError> {
        let mut wants = BTreeSet::new();
        self.keeper.settle(&mut wants)?;
        self.want(wants);
        Ok(())
    }

    /// Says how far it is.
    fn reached(&mut self) -> Result<(), WorkerError> {
        let mut now = self.state.now();
        let (read, known) = (self.keeper.files(), self.known.max(self.keeper.files()));
        let told = Upto {
            mark: self.mark,
            filled: self.filled,
        };
        let at_mark = self.wanted.is_empty() && told != now.tables;
        if at_mark {
            self.settle()?;
        }
        if at_mark && self.wanted.is_empty() {
            now.tables = told;
        }
        let Upto { filled, .. } = now.tables;
        let about = (filled, known, read);
        let is_time = filled || self.said.is_none_or(|said| said.elapsed() > SAID_EVERY);
        if about != self.about && is_time {
            self.keeper.about(filled, known)?;
            self.about = about;
            self.said = Some(Instant::now());
        }
        let tables = now.tables;
        self.state
            .change(|now| (now.tables, now.read, now.known) = (tables, read, known));
        if tables != now.search {
            self.keeper.show()?;
            self.state.change(|now| now.search = tables);
        }
        Ok(())
    }

    /// Nothing is told for a moment.
    fn rest(&mut self) -> Result<(), WorkerError> {
        self.settle()?;
        self.reached()?;
        self.keeper.show()?;
        if self.filled && self.changed > TIDY_AFTER {
            self.changed = 0;
            // With a long query under way it cannot be: another time.
            let _ = self.keeper.tidy();
            memory::give_back();
        }
        Ok(())
    }
}
