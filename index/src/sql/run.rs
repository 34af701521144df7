//! A query's run: bounded in time, and ended from outside.
//!
//! Guarantees that a query only reads, sees one moment of the tables, and ends soon after it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use duckdb::arrow::array::RecordBatch;
use duckdb::arrow::datatypes::SchemaRef;
use duckdb::types::Value as DuckValue;
use duckdb::{Connection, InterruptHandle, params_from_iter};
use jiff::civil::DateTime;
use parking_lot::Mutex;

use super::guard::Refused;
use crate::said::Value;

/// A query did not give its answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// It is not one that is run.
    #[error("{0}")]
    Refused(#[from] Refused),
    /// DuckDB did not take it, or failed at it.
    #[error("{0}")]
    Failed(String),
    /// It took too much memory.
    #[error(
        "The query takes more memory than the index may use. Ask for fewer rows or columns, or with a LIMIT."
    )]
    Memory,
    /// It took too long.
    #[error(
        "The query took longer than it may and was ended. Ask for less, or give it more time with --timeout."
    )]
    Time,
    /// Whoever asked has gone, or wants it no more.
    #[error("The query was ended.")]
    Cancelled,
    /// The answer could not be given away.
    #[error("The answer could not be written: {0}")]
    Output(String),
}

const RUNS: u8 = 0;
const CANCELLED: u8 = 1;
const LATE: u8 = 2;
const DONE: u8 = 3;

/// Ends a query from another thread.
#[derive(Clone, Default)]
pub struct Stop(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: AtomicU8,
    handle: Mutex<Option<Arc<InterruptHandle>>>,
}

impl Stop {
    /// Ends it: nobody wants it any more.
    pub fn cancel(&self) {
        self.end(CANCELLED);
    }

    /// Ends it: it took too long.
    pub fn late(&self) {
        self.end(LATE);
    }

    fn end(&self, why: u8) {
        let first = self
            .0
            .state
            .compare_exchange(RUNS, why, Ordering::SeqCst, Ordering::SeqCst);
        if first.is_err() {
            return;
        }
        // Between two of its steps an interruption may be lost: said again until it is heard.
        let inner = Arc::clone(&self.0);
        let again = move || {
            while let Some(handle) = inner.handle.lock().clone() {
                handle.interrupt();
                std::thread::sleep(Duration::from_millis(20));
            }
        };
        let _ = std::thread::Builder::new().name("interrupt".into()).spawn(again);
    }

    /// Why it was ended, if it was.
    pub fn why(&self) -> Option<QueryError> {
        match self.0.state.load(Ordering::SeqCst) {
            CANCELLED => Some(QueryError::Cancelled),
            LATE => Some(QueryError::Time),
            _ => None,
        }
    }

    /// Whether it is over, by itself or not.
    pub fn is_over(&self) -> bool {
        self.0.state.load(Ordering::SeqCst) != RUNS
    }

    fn begin(&self, handle: Arc<InterruptHandle>) {
        *self.0.handle.lock() = Some(handle);
    }

    fn done(&self) {
        *self.0.handle.lock() = None;
        let _ = self
            .0
            .state
            .compare_exchange(RUNS, DONE, Ordering::SeqCst, Ordering::SeqCst);
    }
}

/// What takes a query's answer.
pub trait Sink {
    /// What the columns are.
    ///
    /// # Errors
    /// One sentence.
    fn begin(&mut self, schema: SchemaRef) -> Result<(), String>;
    /// The next rows.
    ///
    /// # Errors
    /// One sentence.
    fn take(&mut self, batch: &RecordBatch) -> Result<(), String>;
}

/// DuckDB's words, for a person.
fn failed(error: &duckdb::Error) -> QueryError {
    let text = match error {
        duckdb::Error::DuckDBFailure(_, Some(text)) => text.clone(),
        other => other.to_string(),
    };
    if text.starts_with("Out of Memory") {
        return QueryError::Memory;
    }
    // “Catalog Error: Table with name …”: what kind of error it is, the rest says itself.
    let said = match text.split_once(": ") {
        Some((kind, rest)) if kind.ends_with("Error") => rest,
        _ => &text,
    };
    QueryError::Failed(said.trim_end().to_owned())
}

fn value(value: &Value) -> DuckValue {
    match value {
        Value::Null => DuckValue::Null,
        Value::Text(text) => DuckValue::Text(text.clone()),
        Value::Whole(number) => DuckValue::BigInt(*number),
    }
}

/// Runs a query on a connection of its own, at this moment.
///
/// # Errors
/// As [`QueryError`] says.
pub(super) fn run(
    db: &Connection,
    sql: &str,
    values: &[Value],
    now: DateTime,
    stop: &Stop,
    sink: &mut dyn Sink,
) -> Result<u64, QueryError> {
    let at = format!(
        "SET VARIABLE coffer_now = TIMESTAMP '{}'",
        now.strftime("%Y-%m-%d %H:%M:%S%.6f")
    );
    db.execute_batch(&at).map_err(|e| failed(&e))?;
    db.execute_batch("BEGIN TRANSACTION READ ONLY")
        .map_err(|e| failed(&e))?;
    stop.begin(db.interrupt_handle());
    let done = answer(db, sql, values, stop, sink);
    stop.done();
    // A transaction that only read ends either way.
    let _ = db.execute_batch("ROLLBACK");
    match (done, stop.why()) {
        (Err(QueryError::Failed(_) | QueryError::Output(_)), Some(why)) => Err(why),
        (done, _) => done,
    }
}

fn answer(
    db: &Connection,
    sql: &str,
    values: &[Value],
    stop: &Stop,
    sink: &mut dyn Sink,
) -> Result<u64, QueryError> {
    if let Some(why) = stop.why() {
        return Err(why);
    }
    let said = |e: duckdb::Error| failed(&e);
    let mut statement = db.prepare(sql).map_err(said)?;
    let wanted = statement.parameter_count();
    if wanted > values.len() {
        return Err(QueryError::Failed(format!(
            "The query asks for {wanted} values ($1, $2, …), and {} were given.",
            values.len()
        )));
    }
    let values = values.iter().map(value).take(wanted);
    let stream = statement.stream_arrow(params_from_iter(values)).map_err(said)?;
    sink.begin(stream.get_schema()).map_err(QueryError::Output)?;
    let mut rows = 0;
    for batch in stream {
        let batch = batch.map_err(said)?;
        rows += batch.num_rows() as u64;
        sink.take(&batch).map_err(QueryError::Output)?;
        if let Some(why) = stop.why() {
            return Err(why);
        }
    }
    Ok(rows)
}
