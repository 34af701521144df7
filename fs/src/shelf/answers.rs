//! What queries and searches return, as the entries of folders, kept for a moment.
//!
//! Guarantees: who lists a folder and looks at each entry asks once; an answer is never older than [`FRESH`] (or the time that
//! it took to make) if anything changed since, nor than [`LONGEST`] if nothing did, since queries ask for the time, too; a
//! changed query is asked at once. There is always an answer: where there is none, its text says why. Bounded in memory.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::NAME;
use super::asking::Asking;
use super::entries::{Entry, entries, walkable};
use super::place::Place;
use super::real::{Query, Real};
use super::source::{Source, SourceError};
use crate::patience::LATER;
use crate::types::{FileSystem, Result, Time};
use crate::vaultfs::CofferFs;

/// How old an answer may be though something changed.
const FRESH: Duration = Duration::from_secs(1);
/// How old it may be at all.
const LONGEST: Duration = Duration::from_secs(10);
/// Answers that are kept, and entries of all of them.
const KEPT: usize = 32;
const ENTRIES: usize = 200_000;
/// Questions that are asked at a time.
const THREADS: usize = 4;
/// The longest query, in bytes.
const LONGEST_QUERY: u32 = 64 << 10;
/// What a text that says why there is no answer is called.
pub(super) const ERROR: &[u8] = b"ERROR.txt";

/// What a folder shows.
pub(super) struct Answer {
    pub(super) entries: Vec<Entry>,
    by_name: HashMap<Vec<u8>, usize>,
    /// Instead of entries.
    pub(super) error: Option<Arc<str>>,
    /// When it became another one; before it was first asked, when its query was saved.
    pub(super) since: Time,
    /// Like no other answer's, but within the same second.
    pub(super) mark: Time,
}

impl Answer {
    fn of(answered: std::result::Result<Vec<Entry>, Arc<str>>) -> Answer {
        let (entries, error) = match answered {
            Ok(entries) => (entries, None),
            Err(text) => (Vec::new(), Some(text)),
        };
        let by_name = entries
            .iter()
            .enumerate()
            .map(|(at, entry)| (entry.name.clone(), at));
        Answer {
            by_name: by_name.collect(),
            entries,
            error,
            since: Time::now(),
            mark: Time::now(),
        }
    }

    /// As old as that.
    fn aged(mut self, since: Time) -> Answer {
        self.since = since;
        self.mark.sec = since.sec;
        self
    }

    /// The entry of that name.
    pub(super) fn entry(&self, name: &[u8]) -> Option<&Entry> {
        self.by_name.get(name).map(|at| &self.entries[*at])
    }
}

struct Kept {
    query: Option<Query>,
    answer: Arc<Answer>,
    generation: u64,
    begun: Instant,
    done: Instant,
}

/// What the threads that ask share with those who wait.
struct Shared {
    inner: Arc<CofferFs>,
    source: Arc<dyn Source>,
    kept: Mutex<HashMap<Place, Kept>>,
}

/// See the module.
pub(super) struct Answers {
    shared: Arc<Shared>,
    asking: Arc<Asking<(Place, Option<Query>)>>,
    limit: Duration,
}

impl Answers {
    pub(super) fn new(inner: Arc<CofferFs>, source: Arc<dyn Source>, limit: Duration) -> Answers {
        let shared = Shared {
            inner,
            source,
            kept: Mutex::default(),
        };
        Answers {
            shared: Arc::new(shared),
            asking: Asking::new(THREADS, limit),
            limit,
        }
    }

    /// What a smart folder (by its query) or a search shows.
    ///
    /// # Errors
    /// [`LATER`] where it is to be asked, and nobody may wait.
    pub(super) fn answer(&self, place: &Place, query: Option<Query>) -> Result<Arc<Answer>> {
        let (shared, of) = (self.shared.clone(), place.clone());
        let ready = || self.current(place, query);
        let work = move || shared.work(of, query);
        match self.asking.ask(&(place.clone(), query), ready, work) {
            Err(LATER) => Err(LATER),
            Err(errno) => {
                let text = match errno.0 {
                    libc::ETIMEDOUT => format!(
                        "There is no answer after {} seconds; ask for less, or try again later.\n",
                        self.limit.as_secs()
                    ),
                    _ => {
                        "The question could not be asked; try again, or lock the vault and mount it again.\n"
                            .to_owned()
                    }
                };
                Ok(Arc::new(Answer::of(Err(text.into()))))
            }
            answered => answered,
        }
    }

    /// When the folder last came to show something else, as far as that is known.
    pub(super) fn since(&self, place: &Place) -> Option<Time> {
        self.shared.kept.lock().get(place).map(|kept| kept.answer.since)
    }

    /// The answer that is kept, if it is current.
    pub(super) fn current(&self, place: &Place, query: Option<Query>) -> Option<Arc<Answer>> {
        let generation = self.shared.source.generation();
        let kept = self.shared.kept.lock();
        let kept = kept.get(place).filter(|kept| kept.query == query)?;
        let most = match kept.generation == generation {
            true => LONGEST,
            false => FRESH.max(kept.done - kept.begun),
        };
        (kept.done.elapsed() < most).then(|| kept.answer.clone())
    }
}

impl Shared {
    /// Asks, and leaves the answer.
    fn work(&self, place: Place, query: Option<Query>) {
        let (begun, generation) = (Instant::now(), self.source.generation());
        let mut answer = Answer::of(self.ask(&place, query));
        let mut kept = self.kept.lock();
        match kept.get(&place).map(|kept| &kept.answer) {
            Some(before) if before.entries == answer.entries && before.error == answer.error => {
                (answer.since, answer.mark) = (before.since, before.mark);
            }
            Some(_) => {}
            None => answer = answer.aged(query.map_or(Time::default(), |query| query.saved())),
        }
        kept.remove(&place);
        let mut room = ENTRIES.saturating_sub(answer.entries.len());
        let mut others: Vec<(Instant, usize, Place)> = Vec::with_capacity(kept.len());
        others.extend(
            kept.iter()
                .map(|(place, one)| (one.done, one.answer.entries.len(), place.clone())),
        );
        others.sort_by_key(|(done, ..)| std::cmp::Reverse(*done));
        for (at, (_, size, other)) in others.into_iter().enumerate() {
            match room.checked_sub(size).filter(|_| at + 1 < KEPT) {
                Some(left) => room = left,
                None => drop(kept.remove(&other)),
            }
        }
        let answer = Arc::new(answer);
        let done = Instant::now();
        let new = Kept {
            query,
            answer,
            generation,
            begun,
            done,
        };
        kept.insert(place, new);
    }

    fn ask(&self, place: &Place, query: Option<Query>) -> std::result::Result<Vec<Entry>, Arc<str>> {
        let mut sql = String::new();
        let found = match (place, query) {
            (Place::Smart(_, name), Some(query)) => {
                sql = self.sql(query)?;
                self.source.view(&String::from_utf8_lossy(name), &sql)
            }
            (Place::Words(words), _) => self.source.search(words),
            _ => Ok(Vec::new()),
        };
        let found = found.map_err(|error| text(&error, &sql))?;
        let real = Real(self.inner.vault().clone());
        // What is gone since the index saw it is left out.
        let there = walkable(found, NAME).filter(|(path, _)| real.at(path).is_some());
        Ok(entries(there.collect()))
    }

    /// The text of a query.
    fn sql(&self, query: Query) -> std::result::Result<String, Arc<str>> {
        if query.size > LONGEST_QUERY.into() {
            let most = LONGEST_QUERY >> 10;
            return Err(format!("The query is longer than {most} KiB; make it shorter.\n").into());
        }
        let mut bytes = Vec::new();
        let read = self.inner.read(query.file, 0, 0, LONGEST_QUERY, &mut bytes);
        read.map_err(|errno| {
            let why = std::io::Error::from_raw_os_error(errno.0);
            Arc::<str>::from(format!(
                "The query cannot be read ({why}); see “coffer status”.\n"
            ))
        })?;
        String::from_utf8(bytes).map_err(|_| "The query is no text in UTF-8; save it as such.\n".into())
    }
}

/// What stands in the file that says why there is no answer.
fn text(error: &SourceError, sql: &str) -> Arc<str> {
    let mut text = format!("{error}\n");
    if let SourceError::Refused { line: Some(line), .. } = error
        && let Some(shown) = sql.lines().nth(line.saturating_sub(1))
    {
        text += &format!("\nLine {line}: {}\n", shown.trim_end());
    }
    text.into()
}
