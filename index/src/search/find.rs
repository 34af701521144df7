//! Answers: the files that a question is true of, ranked.
//!
//! Guarantees: what the vault alone knows is asked of [`Files`] for files whose words fit, and for no others where that is
//! possible. Ranking is BM25 over all fields; of equal ones the newest comes first, then the first by path: the same index
//! gives the same order. Memory: some dozens of bytes for each answer that is wanted, and a bit for each file and prefix.

use std::cmp::Ordering;
use std::ops::Bound;

use tantivy::query::{
    AllQuery, Bm25StatisticsProvider, BooleanQuery, BoostQuery, ConstScoreQuery, EmptyQuery, EnableScoring,
    InvertedIndexRangeQuery, Occur, PhrasePrefixQuery, PhraseQuery, Query as LibraryQuery, Scorer, TermQuery,
    Weight,
};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{IndexReader, Score, Searcher, SegmentReader, TERMINATED, TantivyError, Term};

use super::error::{SearchError, guarded};
use super::fields::{FILE, Fields};
use super::query::{Facts, Files, Filter, Node, Query, Scope, Text};

/// How many words the last word of a phrase with a `*` may stand for, in each segment; each takes some 2 KB.
const ENDS_MAX: u32 = 500;

/// One answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// The file.
    pub file: u64,
    /// How well it fits; of use for comparing only.
    pub score: f32,
}

/// The answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The best, best first.
    pub hits: Vec<Hit>,
    /// How many there are in all.
    pub total: usize,
}

/// Answers questions.
#[derive(Clone)]
pub struct Finder {
    pub(super) fields: Fields,
    pub(super) reader: IndexReader,
}

impl Finder {
    /// The files that a question is true of: at most `limit`, the best first.
    pub fn find(&self, query: &Query, limit: usize, files: &dyn Files) -> Result<Found, SearchError> {
        guarded(|| self.answer(query, limit, files)).map_err(SearchError::Read)
    }

    fn answer(&self, query: &Query, limit: usize, files: &dyn Files) -> Result<Found, TantivyError> {
        let searcher = self.reader.searcher();
        let statistics = Statistics {
            fields: &self.fields,
            searcher: &searcher,
        };
        let scoring = EnableScoring::enabled_from_statistics_provider(&statistics, &searcher);
        let plan = Plan::new(self.part(&query.root), scoring)?;
        let mut best = Best::new(limit, files);
        for segment in searcher.segment_readers() {
            plan.run(segment, files, &mut best)?;
        }
        Ok(best.done())
    }

    /// A question for the library, as far as it goes.
    fn part(&self, node: &Node) -> Part {
        match node {
            Node::And(nodes) => self.joined(nodes, Occur::Must, Part::And),
            Node::Or(nodes) => self.joined(nodes, Occur::Should, Part::Or),
            Node::Not(not) => match self.part(not) {
                Part::Text(_) => self.joined(std::slice::from_ref(node), Occur::Must, Part::And),
                other => Part::Not(Box::new(other)),
            },
            Node::Text(text) => Part::Text(self.text(text)),
            Node::Tag { path, is_prefix } => {
                let term = Term::from_field_text(self.fields.tag, path);
                Part::Text(flat(if *is_prefix {
                    starting_with(&term)
                } else {
                    Box::new(TermQuery::new(term, IndexRecordOption::Basic))
                }))
            }
            Node::Filter(filter) => Part::Filter(filter.clone()),
        }
    }

    /// All of several, or one at least: what is text as one question for the library.
    fn joined(&self, nodes: &[Node], occur: Occur, make: fn(Vec<Part>) -> Part) -> Part {
        let mut texts = Vec::new();
        let mut others = Vec::new();
        for node in nodes {
            match node {
                Node::Not(not) if occur == Occur::Must => match self.part(not) {
                    Part::Text(query) => texts.push((Occur::MustNot, query)),
                    other => others.push(Part::Not(Box::new(other))),
                },
                _ => match self.part(node) {
                    Part::Text(query) => texts.push((occur, query)),
                    other => others.push(other),
                },
            }
        }
        if !texts.is_empty() {
            if texts.iter().all(|(occur, _)| *occur == Occur::MustNot) {
                texts.push((Occur::Must, flat(Box::new(AllQuery))));
            }
            others.push(Part::Text(match &mut texts[..] {
                [_] => texts.remove(0).1,
                _ => Box::new(BooleanQuery::new(texts)),
            }));
        }
        match others.len() {
            1 => others.remove(0),
            _ => make(others),
        }
    }

    /// Words in a row, in any of the places where they are looked for.
    fn text(&self, text: &Text) -> Box<dyn LibraryQuery> {
        let places = self
            .fields
            .ranked()
            .into_iter()
            .filter(|(field, _)| match text.scope {
                Scope::Any => true,
                Scope::Title => *field == self.fields.title,
                Scope::Name => *field == self.fields.name,
            });
        let places: Vec<_> = places
            .map(|(field, boost)| {
                let query: Box<dyn LibraryQuery> = Box::new(BoostQuery::new(row(text, field), boost));
                (Occur::Should, query)
            })
            .collect();
        Box::new(BooleanQuery::new(places))
    }
}

/// What BM25 asks of all files, so that one word counts alike in all fields.
struct Statistics<'a> {
    fields: &'a Fields,
    searcher: &'a Searcher,
}

/// Short fields are taken to have so many words on average: many files have no title and no tags, and one word of two would
/// seem long beside them.
const SHORT_WORDS: u64 = 8;

impl Bm25StatisticsProvider for Statistics<'_> {
    fn total_num_tokens(&self, field: Field) -> Result<u64, TantivyError> {
        if field == self.fields.body {
            return Ok(self.searcher.total_num_tokens(field)?.max(1));
        }
        Ok(self.total_num_docs()?.saturating_mul(SHORT_WORDS))
    }

    fn total_num_docs(&self) -> Result<u64, TantivyError> {
        self.searcher.total_num_docs()
    }

    /// A word is as rare as it is where it is most frequent.
    fn doc_freq(&self, term: &Term) -> Result<u64, TantivyError> {
        let mut most = self.searcher.doc_freq(term)?;
        let bytes = term.serialized_value_bytes();
        for (field, _) in self
            .fields
            .ranked()
            .into_iter()
            .filter(|(field, _)| *field != term.field())
        {
            let mut other = Term::from_field_text(field, "");
            other.append_bytes(bytes);
            most = most.max(self.searcher.doc_freq(&other)?);
        }
        Ok(most)
    }
}

/// Words in a row, in one field.
fn row(text: &Text, field: Field) -> Box<dyn LibraryQuery> {
    let mut terms: Vec<_> = text
        .words
        .iter()
        .map(|(at, word)| (*at as usize, Term::from_field_text(field, word)))
        .collect();
    match (terms.len(), text.is_prefix) {
        (0, _) => Box::new(EmptyQuery),
        (1, true) => starting_with(&terms.remove(0).1),
        (1, false) => Box::new(TermQuery::new(terms.remove(0).1, IndexRecordOption::WithFreqs)),
        (_, true) => {
            let mut query = PhrasePrefixQuery::new_with_offset(terms);
            query.set_max_expansions(ENDS_MAX);
            Box::new(query)
        }
        (_, false) => Box::new(PhraseQuery::new_with_offset(terms)),
    }
}

/// All words that begin so.
fn starting_with(term: &Term) -> Box<dyn LibraryQuery> {
    // Behind all that begin so: 0xFF stands in no UTF-8.
    let mut end = term.clone();
    end.append_bytes(&[0xFF]);
    Box::new(InvertedIndexRangeQuery::new(
        Bound::Included(term.clone()),
        Bound::Excluded(end),
    ))
}

/// What passes or does not, and says nothing of how well.
fn flat(query: Box<dyn LibraryQuery>) -> Box<dyn LibraryQuery> {
    Box::new(ConstScoreQuery::new(query, 0.0))
}

/// A question, in as few pieces for the library as its filters allow.
enum Part {
    Text(Box<dyn LibraryQuery>),
    Filter(Filter),
    And(Vec<Part>),
    Or(Vec<Part>),
    Not(Box<Part>),
}

/// A question, ready for segments.
struct Plan {
    /// What all answers have to have; without it all files are looked at.
    driver: Option<Box<dyn Weight>>,
    rest: Test<Box<dyn Weight>>,
}

/// What is tested of one file after the other.
enum Test<T> {
    Text(T),
    Filter(Filter),
    And(Vec<Test<T>>),
    Or(Vec<Test<T>>),
    Not(Box<Test<T>>),
}

impl Plan {
    fn new(part: Part, scoring: EnableScoring<'_>) -> Result<Plan, TantivyError> {
        let (texts, rest): (Vec<_>, Vec<_>) = match part {
            Part::And(parts) => parts.into_iter().partition(|part| matches!(part, Part::Text(_))),
            Part::Text(_) => (vec![part], Vec::new()),
            other => (Vec::new(), vec![other]),
        };
        let driver = match texts.into_iter().next() {
            Some(Part::Text(query)) => Some(query.weight(scoring)?),
            _ => None,
        };
        let rest = Test::weighted(Part::And(rest), scoring)?;
        Ok(Plan { driver, rest })
    }

    fn run(
        &self,
        segment: &SegmentReader,
        files: &dyn Files,
        best: &mut Best<'_>,
    ) -> Result<(), TantivyError> {
        let mut test = self.rest.begin(segment)?;
        let mut driver = match &self.driver {
            Some(weight) => weight.scorer(segment, 1.0)?,
            None => ConstScoreQuery::new(Box::new(AllQuery), 0.0)
                .weight(EnableScoring::disabled_from_schema(segment.schema()))?
                .scorer(segment, 1.0)?,
        };
        let numbers = segment.fast_fields().u64(FILE)?.first_or_default_col(0);
        let alive = segment.alive_bitset();
        let mut doc = driver.doc();
        while doc != TERMINATED {
            if alive.is_none_or(|alive| alive.is_alive(doc)) {
                let file = numbers.get_val(doc);
                if let Some(facts) = files.facts(file)
                    && let Some(score) = test.score(doc, file, &facts, files)
                {
                    let score = score + driver.score();
                    best.add(Hit { file, score }, &facts);
                }
            }
            doc = driver.advance();
        }
        Ok(())
    }
}

impl Test<Box<dyn Weight>> {
    fn weighted(part: Part, scoring: EnableScoring<'_>) -> Result<Self, TantivyError> {
        let all = |parts: Vec<Part>| {
            parts
                .into_iter()
                .map(|part| Test::weighted(part, scoring))
                .collect::<Result<_, _>>()
        };
        Ok(match part {
            Part::Text(query) => Test::Text(query.weight(scoring)?),
            Part::Filter(filter) => Test::Filter(filter),
            Part::And(parts) => Test::And(all(parts)?),
            Part::Or(parts) => Test::Or(all(parts)?),
            Part::Not(part) => Test::Not(Box::new(Test::weighted(*part, scoring)?)),
        })
    }

    fn begin(&self, segment: &SegmentReader) -> Result<Test<Box<dyn Scorer>>, TantivyError> {
        let all = |tests: &[Test<_>]| {
            tests
                .iter()
                .map(|test| test.begin(segment))
                .collect::<Result<_, _>>()
        };
        Ok(match self {
            Test::Text(weight) => Test::Text(weight.scorer(segment, 1.0)?),
            Test::Filter(filter) => Test::Filter(filter.clone()),
            Test::And(tests) => Test::And(all(tests)?),
            Test::Or(tests) => Test::Or(all(tests)?),
            Test::Not(test) => Test::Not(Box::new(test.begin(segment)?)),
        })
    }
}

impl Test<Box<dyn Scorer>> {
    /// What it adds to the file's score; none if it is not true of it. Files come in the segment's order.
    fn score(&mut self, doc: u32, file: u64, facts: &Facts<'_>, files: &dyn Files) -> Option<Score> {
        match self {
            Test::Text(scorer) => {
                let at = if scorer.doc() < doc {
                    scorer.seek(doc)
                } else {
                    scorer.doc()
                };
                (at == doc).then(|| scorer.score())
            }
            Test::Filter(filter) => filter.passes(file, facts, files).then_some(0.0),
            Test::And(tests) => {
                let mut sum = 0.0;
                for test in tests {
                    sum += test.score(doc, file, facts, files)?;
                }
                Some(sum)
            }
            Test::Or(tests) => {
                let mut sum = None;
                for test in tests {
                    if let Some(score) = test.score(doc, file, facts, files) {
                        sum = Some(sum.unwrap_or(0.0) + score);
                    }
                }
                sum
            }
            Test::Not(test) => test.score(doc, file, facts, files).is_none().then_some(0.0),
        }
    }
}

/// The best so far.
struct Best<'a> {
    files: &'a dyn Files,
    limit: usize,
    total: usize,
    hits: Vec<(Hit, jiff::Timestamp)>,
    /// The last of the best, once there are enough.
    worst: Option<(Hit, jiff::Timestamp)>,
}

impl<'a> Best<'a> {
    fn new(limit: usize, files: &'a dyn Files) -> Best<'a> {
        Best {
            files,
            limit,
            total: 0,
            hits: Vec::new(),
            worst: None,
        }
    }

    /// Which of two comes first.
    fn compare(&self, a: &(Hit, jiff::Timestamp), b: &(Hit, jiff::Timestamp)) -> Ordering {
        let score = b.0.score.total_cmp(&a.0.score).then_with(|| b.1.cmp(&a.1));
        let path = || self.files.path(a.0.file).cmp(&self.files.path(b.0.file));
        score.then_with(path).then_with(|| a.0.file.cmp(&b.0.file))
    }

    fn add(&mut self, hit: Hit, facts: &Facts<'_>) {
        self.total += 1;
        let hit = (hit, facts.modified);
        if self.limit == 0
            || self
                .worst
                .as_ref()
                .is_some_and(|worst| self.compare(&hit, worst).is_gt())
        {
            return;
        }
        self.hits.push(hit);
        if self.hits.len() >= self.limit.saturating_mul(2).max(1024) {
            self.shrink();
        }
    }

    fn shrink(&mut self) {
        let mut hits = std::mem::take(&mut self.hits);
        hits.sort_unstable_by(|a, b| self.compare(a, b));
        hits.truncate(self.limit);
        if hits.len() == self.limit {
            self.worst = hits.last().copied();
        }
        self.hits = hits;
    }

    fn done(mut self) -> Found {
        self.shrink();
        Found {
            hits: self.hits.into_iter().map(|(hit, _)| hit).collect(),
            total: self.total,
        }
    }
}
