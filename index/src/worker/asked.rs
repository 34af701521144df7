//! One question, on a connection of its own: waits for what it must show, runs, and gives the answer away.
//!
//! Guarantees that a question ends soon after its time, and after whoever asked has gone.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use duckdb::arrow::array::RecordBatch;
use duckdb::arrow::datatypes::SchemaRef;
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil::DateTime};
use rustix::event::{PollFd, PollFlags, poll};

use super::state::{Now, State};
use crate::output::{self, Format};
use crate::said::{Answer, Ask, Lazy, Look, Question, Say, Why, receive, send};
use crate::sql::{Database, QueryError, Sink, Stop};

/// Bytes of an answer that go together.
const PART: usize = 256 << 10;
/// How often it is said how far the index is, and looked whether anybody waits.
const TICK: Duration = Duration::from_millis(200);
/// How long a question that was ended may take to end; twice, then the process ends, with this code.
const HARD: Duration = Duration::from_secs(5);
const RUNAWAY: i32 = 3;
/// How long a question may take at most, whatever it says.
const LIMIT_MAX: Duration = Duration::from_secs(24 * 3600);

/// What answers.
pub(super) struct Desk {
    pub(super) db: Arc<Database>,
    pub(super) state: Arc<State>,
    pub(super) say: Box<dyn Fn(&Say) + Send + Sync>,
    pub(super) zone: TimeZone,
}

fn why(error: &QueryError) -> Why {
    match error {
        QueryError::Refused(_) | QueryError::Failed(_) => Why::Question,
        QueryError::Memory => Why::Memory,
        QueryError::Time => Why::Time,
        QueryError::Cancelled | QueryError::Output(_) => Why::Cancelled,
    }
}

/// Whether whoever asked has gone.
fn is_left(stream: &UnixStream) -> bool {
    let mut fds = [PollFd::new(stream, PollFlags::RDHUP | PollFlags::HUP)];
    match poll(
        &mut fds,
        Some(&rustix::time::Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        }),
    ) {
        Ok(0) => false,
        Ok(_) => fds[0]
            .revents()
            .intersects(PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR),
        Err(_) => true,
    }
}

/// Gives bytes away in parts.
struct Parts<'a> {
    to: &'a UnixStream,
    bytes: Vec<u8>,
}

impl Write for Parts<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() >= PART {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        for part in std::mem::take(&mut self.bytes).chunks(PART) {
            send(&mut self.to, &Answer::Bytes(part.to_vec()))?;
        }
        Ok(())
    }
}

struct Written<'a> {
    format: Format,
    look: output::Look,
    parts: Option<Parts<'a>>,
    writer: Option<output::Writer<'a>>,
}

impl Sink for Written<'_> {
    fn begin(&mut self, schema: SchemaRef) -> Result<(), String> {
        let parts = self.parts.take().ok_or("it was begun twice")?;
        let writer = output::Writer::new(self.format, &schema, &self.look, parts);
        self.writer = Some(writer.map_err(|e| e.to_string())?);
        Ok(())
    }

    fn take(&mut self, batch: &RecordBatch) -> Result<(), String> {
        let writer = self.writer.as_mut().ok_or("it was not begun")?;
        writer.write(batch).map_err(|e| e.to_string())
    }
}

fn look(look: &Look) -> output::Look {
    output::Look {
        width: look.width.map(|width| width as usize),
        colour: look.colour,
        rows: usize::try_from(look.rows).unwrap_or(usize::MAX),
    }
}

/// Whether a word stands in a query; that it stands in a text there, or in a comment, costs time only.
fn names(sql: &str, word: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let sql = sql.to_lowercase();
    sql.match_indices(word)
        .any(|(at, _)| !sql[..at].ends_with(is_word) && !sql[at + word.len()..].starts_with(is_word))
}

impl Desk {
    fn clock(&self) -> DateTime {
        self.zone.to_datetime(Timestamp::now())
    }

    /// Answers what is asked on a connection.
    pub(super) fn serve(&self, stream: UnixStream) {
        let Ok(Some(question)) = receive::<Question>(&mut &stream) else {
            return;
        };
        let limit = Duration::from_millis(question.limit_ms).min(LIMIT_MAX);
        let stop = Stop::default();
        let end = match self.watched(&stream, &question, &stop, limit) {
            Ok(rows) => Answer::End(rows),
            Err(error) => Answer::Failed(why(&error), error.to_string()),
        };
        // Who has gone does not hear it.
        let _ = send(&mut &stream, &end);
    }

    fn watched(
        &self,
        stream: &UnixStream,
        question: &Question,
        stop: &Stop,
        limit: Duration,
    ) -> Result<u64, QueryError> {
        self.ready(stream, question, Instant::now() + limit)?;
        std::thread::scope(|scope| {
            // Waiting for the index is not the query's time.
            let until = Instant::now() + limit;
            let (done, over) = std::sync::mpsc::channel::<()>();
            let watching = stop.clone();
            let watch = move || {
                while over
                    .recv_timeout(TICK.min(until.saturating_duration_since(Instant::now())))
                    .is_err_and(|e| e == std::sync::mpsc::RecvTimeoutError::Timeout)
                {
                    match (is_left(stream), Instant::now() >= until) {
                        (true, _) => watching.cancel(),
                        (_, true) => watching.late(),
                        _ => continue,
                    }
                    // Some functions hear of nothing, and who reads no answer lets it wait: first the answer is given up,
                    // then this process, which is started anew.
                    let hears = |patience| {
                        let ended = over.recv_timeout(patience);
                        ended.is_ok() || ended == Err(std::sync::mpsc::RecvTimeoutError::Disconnected)
                    };
                    if !hears(HARD) {
                        let _ = stream.shutdown(std::net::Shutdown::Both);
                        if !hears(HARD) {
                            std::process::exit(RUNAWAY);
                        }
                    }
                    return;
                }
            };
            let watcher = std::thread::Builder::new()
                .name("watch".into())
                .spawn_scoped(scope, watch);
            let answer = self.answer(stream, question, stop);
            drop(done);
            drop(watcher);
            answer
        })
    }

    /// Waits until the tables have what the answer must show.
    fn ready(&self, stream: &UnixStream, question: &Question, until: Instant) -> Result<(), QueryError> {
        let Ask::Sql(sql, _) = &question.ask;
        if !question.partial {
            let searches = ["search", "coffer_found", "coffer_search"];
            let searches = searches.iter().any(|word| names(sql, word));
            let is_so = |now: &Now| {
                let upto = if searches { now.search } else { now.tables };
                upto.filled && upto.mark >= question.mark
            };
            loop {
                let now = self.state.wait(is_so, TICK);
                if is_so(&now) {
                    break;
                }
                self.still(stream, until)?;
                let said = send(&mut &*stream, &Answer::Filling(now.read, now.known));
                said.map_err(|_| QueryError::Cancelled)?;
            }
        }
        for (lazy, word) in [(Lazy::History, "history"), (Lazy::Blobs, "blobs")] {
            if !names(sql, word) {
                continue;
            }
            let need = self.state.need(lazy, || (self.say)(&Say::Need(lazy)));
            let place = super::state::place(lazy);
            while self.state.wait(|now| now.told[place] >= need, TICK).told[place] < need {
                self.still(stream, until)?;
            }
        }
        Ok(())
    }

    fn still(&self, stream: &UnixStream, until: Instant) -> Result<(), QueryError> {
        if is_left(stream) {
            return Err(QueryError::Cancelled);
        }
        match Instant::now() >= until {
            true => Err(QueryError::Time),
            false => Ok(()),
        }
    }

    fn answer(&self, stream: &UnixStream, question: &Question, stop: &Stop) -> Result<u64, QueryError> {
        let format: Format = question
            .look
            .format
            .parse()
            .map_err(|e: output::UnknownFormat| QueryError::Failed(e.to_string()))?;
        let parts = Parts {
            to: stream,
            bytes: Vec::new(),
        };
        let mut written = Written {
            format,
            look: look(&question.look),
            parts: Some(parts),
            writer: None,
        };
        let Ask::Sql(sql, values) = &question.ask;
        let rows = self.db.query(sql, values, self.clock(), stop, &mut written)?;
        let failed = |e: output::Error| QueryError::Output(e.to_string());
        if let Some(writer) = written.writer.take() {
            writer.finish().map_err(failed)?;
        }
        Ok(rows)
    }
}

/// Lets the descriptor live as long as whoever uses it.
pub(super) fn owned(stream: &UnixStream) -> io::Result<UnixStream> {
    Ok(stream.as_fd().try_clone_to_owned()?.into())
}
