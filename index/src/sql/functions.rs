//! Functions that SQL has here: `search('words')`, and time zones without ICU.
//!
//! Guarantees that a panic in them is an error of the query (the library's wrapper contains it).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use duckdb::Connection;
use duckdb::core::{DataChunkHandle, LogicalTypeHandle, LogicalTypeId};
use duckdb::types::DuckString;
use duckdb::vscalar::{ScalarFunctionSignature, VScalar};
use duckdb::vtab::arrow::WritableVector;
use duckdb::vtab::{BindInfo, InitInfo, TableFunctionInfo, VTab};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::texts::Texts;

type Error = Box<dyn std::error::Error>;

/// Who searches: files with their scores, the best first.
pub trait Search: Send + Sync + 'static {
    /// What is found: so many files at most.
    ///
    /// # Errors
    /// One sentence for a person.
    fn search(&self, words: &str, best: usize) -> Result<Vec<(u64, f32)>, String>;
}

/// Functions over what the library gives; makes them known to a database.
pub(super) fn register(db: &Connection, search: &Arc<dyn Search>, texts: &Texts) -> duckdb::Result<()> {
    db.register_table_function_with_extra_info::<Found, _>("coffer_search", search)?;
    db.register_scalar_function_with_state::<super::text::Text>("coffer_text", texts)?;
    db.register_scalar_function::<super::snippet::Shown>("snippet")?;
    db.register_scalar_function::<super::snippet::Line>("snippet_line")?;
    db.register_scalar_function_with_state::<There>("timezone", &TimeZone::system())
}

/// `coffer_search(words, best)`: file, score, rank.
struct Found;

/// Few files are found by most questions.
const GUESS: usize = 1000;

struct Words {
    words: String,
    best: usize,
}

struct Hits {
    hits: Vec<(u64, f32)>,
    next: AtomicUsize,
}

impl VTab for Found {
    type InitData = Hits;
    type BindData = Words;

    fn bind(bind: &BindInfo) -> Result<Words, Error> {
        bind.add_result_column("file", LogicalTypeId::Bigint.into());
        bind.add_result_column("score", LogicalTypeId::Float.into());
        bind.add_result_column("rank", LogicalTypeId::Bigint.into());
        let best = usize::try_from(bind.get_parameter(1).to_int64()).unwrap_or(0);
        // How tables are joined depends on it.
        bind.set_cardinality(best.min(GUESS) as u64, false);
        Ok(Words {
            words: bind.get_parameter(0).to_string(),
            best,
        })
    }

    fn init(init: &InitInfo) -> Result<Hits, Error> {
        let search = init.get_extra_info::<Arc<dyn Search>>();
        let words = init.get_bind_data::<Words>();
        // SAFETY: both were given when the function was registered and bound, with these types, and live as long
        // as the query.
        let (search, words) = unsafe { (&*search, &*words) };
        Ok(Hits {
            hits: search.search(&words.words, words.best)?,
            next: AtomicUsize::new(0),
        })
    }

    fn func(function: &TableFunctionInfo<Self>, output: &mut DataChunkHandle) -> Result<(), Error> {
        let found = function.get_init_data();
        let many = output.flat_vector(0).capacity();
        let from = found
            .next
            .fetch_add(many, Ordering::Relaxed)
            .min(found.hits.len());
        let hits = &found.hits[from..(from + many).min(found.hits.len())];
        let (mut files, mut scores, mut ranks) = (
            output.flat_vector(0),
            output.flat_vector(1),
            output.flat_vector(2),
        );
        // SAFETY: the columns have these types (bind), and room for that many rows.
        let (files, scores, ranks) = unsafe {
            (
                files.as_mut_slice::<i64>(),
                scores.as_mut_slice::<f32>(),
                ranks.as_mut_slice::<i64>(),
            )
        };
        for (at, (file, score)) in hits.iter().enumerate() {
            files[at] = *file as i64;
            scores[at] = *score;
            ranks[at] = (from + at + 1) as i64;
        }
        output.set_len(hits.len());
        Ok(())
    }

    fn parameters() -> Option<Vec<LogicalTypeHandle>> {
        Some(vec![LogicalTypeId::Varchar.into(), LogicalTypeId::Bigint.into()])
    }
}

/// Zones by name: those that are built in, since no file can be opened.
fn zones() -> &'static TimeZoneDatabase {
    static ZONES: OnceLock<TimeZoneDatabase> = OnceLock::new();
    ZONES.get_or_init(TimeZoneDatabase::bundled)
}

/// `timezone('Asia/Tokyo', t)`: what a clock there showed at the local time `t`.
struct There;

pub(super) fn shown(moment: i64, here: &TimeZone, there: &TimeZone) -> Option<i64> {
    let exact = Timestamp::from_microsecond(moment).ok()?;
    let local: DateTime = TimeZone::UTC.to_datetime(exact);
    let exact = here.to_zoned(local).ok()?.timestamp();
    let shown = there.to_datetime(exact);
    let same = TimeZone::UTC.to_zoned(shown).ok()?;
    Some(same.timestamp().as_microsecond())
}

impl VScalar for There {
    type State = TimeZone;

    fn invoke(
        here: &TimeZone,
        input: &mut DataChunkHandle,
        output: &mut dyn WritableVector,
    ) -> Result<(), Error> {
        let len = input.len();
        let (named, moments) = (input.flat_vector(0), input.flat_vector(1));
        let mut shown_there = output.flat_vector();
        // SAFETY: the columns have these types (signatures), and so many rows.
        let (names, from) = unsafe {
            (
                named.as_slice_with_len::<duckdb::ffi::duckdb_string_t>(len),
                moments.as_slice_with_len::<i64>(len),
            )
        };
        let mut last: Option<(String, TimeZone)> = None;
        for row in 0..len {
            if named.row_is_null(row as u64) || moments.row_is_null(row as u64) {
                shown_there.set_null(row);
                continue;
            }
            let mut name = names[row];
            let name = DuckString::new(&mut name).as_str().into_owned();
            if last.as_ref().is_none_or(|(known, _)| *known != name) {
                let zone = zones()
                    .get(&name)
                    .map_err(|_| format!("There is no time zone “{name}”: write one like Europe/Berlin."))?;
                last = Some((name, zone));
            }
            let there = last.as_ref().map(|(_, zone)| zone);
            match there.and_then(|there| shown(from[row], here, there)) {
                // SAFETY: as above.
                Some(moment) => unsafe { shown_there.as_mut_slice_with_len::<i64>(len)[row] = moment },
                None => shown_there.set_null(row),
            }
        }
        Ok(())
    }

    fn signatures() -> Vec<ScalarFunctionSignature> {
        let signature = |moment: LogicalTypeId| {
            ScalarFunctionSignature::exact(
                vec![LogicalTypeId::Varchar.into(), moment.into()],
                LogicalTypeId::Timestamp.into(),
            )
        };
        vec![signature(LogicalTypeId::Timestamp)]
    }
}
