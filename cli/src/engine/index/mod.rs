//! The seam to the index: starts its process, keeps it told, asks it for whoever asks.
//!
//! Guarantees that the vault goes on whatever happens to the index: a process that ends is started anew and told everything again, and
//! one that ends again and again rests for a while, which queries say. The index has no keys, and ends with this process.

mod hashes; // large files' bytes, told from others

mod feed; // what is there, and what changes

mod files; // what is told of files
mod lazy; // what is told when it is asked for

mod source; // the folder `.coffer`

use crate::failure::{Failure, Kind};
use crate::wire::Progress;
use crate::wire::ask::{Ask, Value};
use coffer_index::client::Client;
use coffer_index::said::{self, Answer, Question, Why};
use coffer_index::worker;
use coffer_store::vault::Vault as Store;
use crossbeam_channel::{RecvTimeoutError, Sender, bounded, unbounded};
use feed::{Event, Feeder};
use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, poll};
pub(super) use source::Shown;
use std::cell::Cell;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What the process is started with.
pub(crate) const WORKER: &str = "index-worker";
/// What tables and queries may take, in bytes.
const MEMORY: u64 = 1 << 30;
/// So many ends within [`SPELL`] are too many: then it rests, each time for a [`PAUSE`] more.
const ENDS_MAX: usize = 4;
const SPELL: Duration = Duration::from_secs(15 * 60);
const PAUSE: Duration = Duration::from_secs(5);
/// How often it is looked whether whoever asked still waits.
const TICK: Duration = Duration::from_millis(100);

/// What an answer gives, as it comes.
pub(crate) enum Part<'a> {
    /// It is being waited for files to be read.
    Filling(Progress),
    /// The next bytes.
    Bytes(&'a [u8]),
}

/// The index of an open vault.
pub(crate) struct Index {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Index {
    fn drop(&mut self) {
        self.end();
    }
}

struct Shared {
    vault: Arc<Store>,
    state: Mutex<State>,
    events: Sender<Event>,
    generation: AtomicU64,
    /// Marks that were given, of all runs of the process.
    marks: Arc<AtomicU64>,
    ended: AtomicBool,
}

enum State {
    Runs(Arc<Client>),
    Starts,
    /// Given up, for this reason.
    Broken(String),
}

fn broken(why: &str) -> Failure {
    Failure::failed(format!(
        "The index of the vault does not run ({why}); it is tried again by itself. Files are not affected."
    ))
}

/// The process itself, by the standard input and output that it was started with.
///
/// # Errors
/// When it cannot go on; whoever started it starts another one.
pub(crate) fn work() -> Result<(), Failure> {
    let take = |fd: std::io::Result<OwnedFd>| {
        fd.map(UnixStream::from)
            .map_err(|error| Failure::io("start the index", &error))
    };
    let told = take(std::io::stdin().as_fd().try_clone_to_owned())?;
    let questions = take(std::io::stdout().as_fd().try_clone_to_owned())?;
    worker::run(told, questions, MEMORY).map_err(|error| Failure::failed(error.to_string()))
}

impl Index {
    /// Starts it for an open vault; it fills itself in the background.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn begin(vault: &super::Vault) -> Result<Index, Failure> {
        let (events, inbox) = unbounded();
        let shared = Arc::new(Shared {
            vault: vault.store_shared(),
            state: Mutex::new(State::Starts),
            events: events.clone(),
            generation: AtomicU64::new(0),
            marks: Arc::default(),
            ended: AtomicBool::new(false),
        });
        let hears = Arc::downgrade(&shared);
        // Before anything is read: what changes meanwhile is told after it.
        shared.vault.subscribe_by(move |changes| {
            let Some(shared) = hears.upgrade() else {
                return false;
            };
            shared.generation.fetch_add(1, Ordering::Relaxed);
            !shared.ended.load(Ordering::Relaxed)
                && events.send(Event::Changes(Box::new(changes.clone()))).is_ok()
        });
        let runs = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("index".into());
        let thread = thread
            .spawn(move || runs.run(&inbox))
            .map_err(|error| Failure::io("start the index", &error))?;
        Ok(Index {
            shared,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Grows when answers may have changed: by what the feed tells, by what it does not tell (devices, chunks), and by what the index
    /// itself has found.
    pub(crate) fn generation(&self) -> u64 {
        let shared = &self.shared;
        shared.generation.load(Ordering::Relaxed) + shared.vault.transactions()
    }

    /// Asks it, until `left` says that nobody waits any more; how many rows there were.
    ///
    /// # Errors
    /// What is wrong with the question, or with the index; or `give`'s.
    pub(crate) fn ask(
        &self,
        ask: &Ask,
        left: &dyn Fn() -> bool,
        give: &mut dyn FnMut(Part<'_>) -> Result<(), Failure>,
    ) -> Result<u64, Failure> {
        let given = Cell::new(false);
        let mut give = |part: Part<'_>| {
            given.set(given.get() || matches!(part, Part::Bytes(_)));
            give(part)
        };
        match self.ask_once(ask, left, &mut give) {
            // The process ended under it: another one answers.
            Err(Asking::Lost) if !given.get() => {}
            answer => return answer.map_err(Asking::failure),
        }
        self.ask_once(ask, left, &mut give).map_err(Asking::failure)
    }

    fn ask_once(
        &self,
        ask: &Ask,
        left: &dyn Fn() -> bool,
        give: &mut dyn FnMut(Part<'_>) -> Result<(), Failure>,
    ) -> Result<u64, Asking> {
        let (client, mark) = self.shared.ready(ask, left, give)?;
        let question = Question {
            mark,
            partial: ask.partial,
            limit_ms: ask.limit_ms,
            ask: said::Ask::Sql(ask.sql.clone(), ask.values.iter().map(value).collect()),
            look: said::Look {
                format: ask.format.clone(),
                width: ask.width,
                colour: ask.colour,
                rows: ask.rows,
            },
        };
        let mut answers = client.ask(&question).map_err(|_| Asking::Lost)?;
        loop {
            while !is_readable(answers.stream()) {
                if left() {
                    // Closing it ends the question.
                    return Err(taken_back().into());
                }
            }
            match answers.receive().ok().flatten().ok_or(Asking::Lost)? {
                Answer::Filling(done, total) => give(Part::Filling(filling(done, total)))?,
                Answer::Bytes(bytes) => give(Part::Bytes(&bytes))?,
                Answer::End(rows) => return Ok(rows),
                Answer::Failed(why, sentence) => {
                    let kind = match why {
                        Why::Question => Kind::Usage,
                        Why::Time | Why::Memory | Why::Cancelled | Why::Index => Kind::Failed,
                    };
                    return Err(Failure::new(kind, sentence).into());
                }
            }
        }
    }

    /// Ends it: before the vault is closed.
    pub(crate) fn end(&self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        let _ = self.shared.events.send(Event::End);
        if let State::Runs(client) = &*self.shared.state.lock() {
            client.end();
        }
        // It uses the vault, which is about to be closed.
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
    }
}

/// Why a question has no answer.
enum Asking {
    /// The process has ended.
    Lost,
    /// Anything else.
    Failed(Failure),
}

impl From<Failure> for Asking {
    fn from(failure: Failure) -> Asking {
        Asking::Failed(failure)
    }
}

impl Asking {
    fn failure(self) -> Failure {
        match self {
            Asking::Lost => Failure::failed(
                "The index ended with the question and is being started anew; ask again, or for less.",
            ),
            Asking::Failed(failure) => failure,
        }
    }
}

fn taken_back() -> Failure {
    Failure::failed("The question was taken back.")
}

fn filling(done: u64, total: u64) -> Progress {
    Progress {
        what: "files".into(),
        done,
        total: Some(total),
        ..Progress::default()
    }
}

fn value(value: &Value) -> said::Value {
    match value {
        Value::Null => said::Value::Null,
        Value::Text(text) => said::Value::Text(text.clone()),
        Value::Whole(number) => said::Value::Whole(*number),
    }
}

fn is_readable(stream: &UnixStream) -> bool {
    let tick = rustix::time::Timespec {
        tv_sec: 0,
        tv_nsec: i64::from(TICK.subsec_nanos()),
    };
    // An error is for whoever reads.
    poll(&mut [PollFd::new(stream, PollFlags::IN)], Some(&tick)) != Ok(0)
}

impl Shared {
    /// The process, and up to where it was told what is to be in the answer.
    fn ready(
        &self,
        ask: &Ask,
        left: &dyn Fn() -> bool,
        give: &mut dyn FnMut(Part<'_>) -> Result<(), Failure>,
    ) -> Result<(Arc<Client>, u64), Failure> {
        let mut mark = 0;
        if !ask.partial {
            // A disk that is full keeps what is not stored out of the answer, and no more.
            let _ = self.vault.store_saved();
            let (answer, marked) = bounded(1);
            let _ = self.events.send(Event::Mark(answer));
            mark = loop {
                match marked.recv_timeout(TICK) {
                    Ok(mark) => break mark,
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break 0,
                }
                if left() {
                    return Err(taken_back());
                }
                if let State::Broken(why) = &*self.state.lock() {
                    return Err(broken(why));
                }
                give(Part::Filling(Progress {
                    what: "files".into(),
                    ..Progress::default()
                }))?;
            };
        }
        let begun = Instant::now();
        loop {
            match &*self.state.lock() {
                State::Runs(client) => return Ok((Arc::clone(client), mark)),
                State::Broken(why) => return Err(broken(why)),
                State::Starts => {}
            }
            if left() || begun.elapsed() > Duration::from_secs(10) {
                return Err(broken("it does not start"));
            }
            std::thread::sleep(TICK / 10);
        }
    }

    fn run(&self, inbox: &crossbeam_channel::Receiver<Event>) {
        let mut ends: Vec<Instant> = Vec::new();
        let mut run = 0;
        while !self.ended.load(Ordering::Relaxed) {
            run += 1;
            let why = match self.serve(run, inbox) {
                Ok(_) => return,
                Err(error) => error.to_string(),
            };
            ends.retain(|end| end.elapsed() < SPELL);
            ends.push(Instant::now());
            if ends.len() < ENDS_MAX {
                continue;
            }
            if ends.len() == ENDS_MAX {
                crate::ui::log("coffer: the index ended again and again; it is tried again now and then.");
            }
            *self.state.lock() = State::Broken(why);
            // The vault goes on without it for longer and longer; what changes meanwhile is told anew anyway.
            let until = Instant::now() + PAUSE * (ends.len() as u32).min(12);
            while Instant::now() < until {
                match inbox.recv_timeout(until.saturating_duration_since(Instant::now())) {
                    Ok(Event::End) | Err(RecvTimeoutError::Disconnected) => return,
                    // Whoever waits for a mark hears that it is broken.
                    _ => {}
                }
            }
            *self.state.lock() = State::Starts;
        }
    }

    /// Runs one process until it ends, or all is over.
    fn serve(&self, run: u64, inbox: &crossbeam_channel::Receiver<Event>) -> std::io::Result<bool> {
        let mut command = Command::new("/proc/self/exe");
        command.arg(WORKER).env_clear();
        for kept in ["TZ", "TZDIR"] {
            if let Some(value) = std::env::var_os(kept) {
                command.env(kept, value);
            }
        }
        let client = Arc::new(Client::start(command)?);
        *self.state.lock() = State::Runs(Arc::clone(&client));
        if self.ended.load(Ordering::Relaxed) {
            client.end();
            return Ok(true);
        }
        let (listens, events) = (Arc::clone(&client), self.events.clone());
        std::thread::Builder::new()
            .name("index-says".into())
            .spawn(move || {
                while let Ok(Some(say)) = listens.listen() {
                    if events.send(Event::Says(run, say)).is_err() {
                        return;
                    }
                }
                let _ = events.send(Event::Died(run));
            })?;
        let mut feeder = Feeder::new(
            run,
            Arc::clone(&self.vault),
            Arc::clone(&client),
            inbox.clone(),
            self.events.clone(),
            Arc::clone(&self.marks),
        )?;
        let over = feeder.serve();
        *self.state.lock() = State::Starts;
        client.end();
        over
    }
}
