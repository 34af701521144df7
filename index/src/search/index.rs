//! The index: files' words, put, replaced and removed.
//!
//! Guarantees: lies in memory, and nothing of it on a disk; a file is in it once; what was put is found after `refresh`;
//! memory while filling is bounded by the budget, whatever is put. Once the library failed or panicked, every operation
//! says so, and its owner makes a new index.

use std::collections::HashSet;
use std::sync::Arc;

use tantivy::indexer::IndexWriterOptions;
use tantivy::tokenizer::TextAnalyzer;
use tantivy::{IndexReader, IndexSettings, IndexWriter, ReloadPolicy, TantivyDocument, TantivyError, Term};

use super::error::{SearchError, guarded};
use super::fields::{Fields, NAME, WORDS};
use super::find::{Finder, Found};
use super::flow::{Flow, PATIENCE, Words};
use super::fold::{WORD_MAX, cut};
use super::memory::Memory;
use super::merge::Policy;
use super::parse::tag_path;
use super::query::{Files, Query};

/// More of a file's text, in bytes, is not searched.
pub const TEXT_MAX: usize = 16 << 20;
/// What the library needs at least, in bytes, and the most it can use.
const BUDGETS: std::ops::RangeInclusive<usize> = 15_000_000..=1 << 30;
/// How much of a short field is searched, in bytes, and how many tags and headings.
const SHORT_MAX: usize = 64 << 10;
const MANY_MAX: usize = 10_000;

/// What is searched of a file.
#[derive(Clone, Copy, Default)]
pub struct Doc<'a> {
    /// Its number.
    pub file: u64,
    /// Its name, without the folder's.
    pub name: &'a str,
    /// Its title.
    pub title: Option<&'a str>,
    /// Its tags, with `#` or without.
    pub tags: &'a [String],
    /// Its headings.
    pub headings: &'a [&'a str],
    /// Its text; empty if it has none.
    pub body: &'a str,
}

/// The index.
pub struct Index {
    fields: Fields,
    pub(super) writer: IndexWriter,
    reader: IndexReader,
    flow: Arc<Flow>,
    /// What is in it: what is not there need not be deleted.
    files: HashSet<u64>,
    is_pending: bool,
    is_broken: bool,
}

impl Index {
    /// An empty index, which takes about so much memory while it is filled.
    pub fn new(budget_bytes: usize) -> Result<Index, SearchError> {
        let budget = budget_bytes.clamp(*BUDGETS.start(), *BUDGETS.end());
        guarded(|| Index::make(budget)).map_err(SearchError::Start)
    }

    fn make(budget: usize) -> Result<Index, TantivyError> {
        let (fields, schema) = Fields::new();
        let settings = IndexSettings {
            // Nothing is stored, so there is nothing to compress.
            docstore_compress_dedicated_thread: false,
            ..IndexSettings::default()
        };
        let index = tantivy::Index::create(Memory::default(), schema, settings)?;
        let flow = Arc::new(Flow::new(budget / 2, PATIENCE));
        for (name, is_one) in [(WORDS, false), (NAME, true)] {
            let flow = Arc::clone(&flow);
            let words = Words { flow, is_one };
            index
                .tokenizers()
                .register(name, TextAnalyzer::builder(words).build());
        }
        let options = IndexWriterOptions::builder()
            .memory_budget_per_thread(budget)
            .num_worker_threads(1)
            .num_merge_threads(1)
            .build();
        let writer = index.writer_with_options(options)?;
        writer.set_merge_policy(Box::new(Policy));
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .try_into()?;
        Ok(Index {
            fields,
            writer,
            reader,
            flow,
            files: HashSet::new(),
            is_pending: false,
            is_broken: false,
        })
    }

    /// Puts a file, in the place of what it had. Found after [`Index::refresh`].
    pub fn put(&mut self, doc: &Doc<'_>) -> Result<(), SearchError> {
        let (document, bytes) = self.document(doc);
        self.flow.put(bytes);
        let file = doc.file;
        self.change(|index| {
            index.is_pending = true;
            if !index.files.insert(file) {
                index
                    .writer
                    .delete_term(Term::from_field_u64(index.fields.file, file));
            }
            index.writer.add_document(document).map(drop)
        })
    }

    /// Removes a file. It is found until [`Index::refresh`].
    pub fn remove(&mut self, file: u64) -> Result<(), SearchError> {
        self.change(|index| {
            if index.files.remove(&file) {
                index.is_pending = true;
                index
                    .writer
                    .delete_term(Term::from_field_u64(index.fields.file, file));
            }
            Ok(())
        })
    }

    /// Has what was put and removed found. Does next to nothing if that was nothing.
    pub fn refresh(&mut self) -> Result<(), SearchError> {
        self.change(|index| {
            if index.is_pending {
                index.writer.commit()?;
                index.is_pending = false;
                index.flow.clear();
                index.reader.reload()
            } else if index.is_shown()? {
                Ok(())
            } else {
                // Old segments can go once nobody looks at them.
                index.reader.reload()?;
                index.writer.garbage_collect_files().wait().map(drop)
            }
        })
    }

    /// Whether searches see the segments that there are: merging goes on after a change, and frees memory only then.
    fn is_shown(&self) -> Result<bool, TantivyError> {
        let mut there = self.writer.index().searchable_segment_ids()?;
        let searcher = self.reader.searcher();
        let mut shown: Vec<_> = searcher
            .segment_readers()
            .iter()
            .map(|segment| segment.segment_id())
            .collect();
        there.sort_unstable();
        shown.sort_unstable();
        Ok(there == shown)
    }

    /// How many files are in it, counting what was put and is not found yet.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// How many segments searches go through, and how many bytes those take.
    pub fn size(&self) -> (usize, u64) {
        let searcher = self.reader.searcher();
        let bytes = searcher
            .space_usage()
            .map_or(0, |usage| usage.total().get_bytes());
        (searcher.segment_readers().len(), bytes)
    }

    /// What answers questions, for other threads too; it sees what is refreshed later.
    pub fn finder(&self) -> Finder {
        Finder {
            fields: self.fields.clone(),
            reader: self.reader.clone(),
        }
    }

    /// The best answers; see [`Finder::find`].
    pub fn find(&self, query: &Query, limit: usize, files: &dyn Files) -> Result<Found, SearchError> {
        self.finder().find(query, limit, files)
    }

    fn change(
        &mut self,
        work: impl FnOnce(&mut Index) -> Result<(), TantivyError>,
    ) -> Result<(), SearchError> {
        if self.is_broken {
            return Err(SearchError::Change("it broke earlier".into()));
        }
        let done = guarded(|| work(self));
        self.is_broken = done.is_err();
        done.map_err(SearchError::Change)
    }

    /// A file as the library wants it, and how many bytes of it are taken apart.
    fn document(&self, doc: &Doc<'_>) -> (TantivyDocument, usize) {
        let fields = &self.fields;
        let mut document = TantivyDocument::new();
        let mut bytes = 0;
        document.add_u64(fields.file, doc.file);
        let mut add = |field, text: &str, max| {
            let text = cut(text, max);
            // The name stands there even if there is none: files are counted by it.
            if !text.is_empty() || field == fields.name {
                bytes += text.len();
                document.add_text(field, text);
            }
        };
        add(fields.name, doc.name, SHORT_MAX);
        add(fields.title, doc.title.unwrap_or_default(), SHORT_MAX);
        for heading in doc.headings.iter().take(MANY_MAX) {
            add(fields.headings, heading, SHORT_MAX);
        }
        for tag in doc.tags.iter().take(MANY_MAX) {
            add(fields.tags, tag, WORD_MAX);
        }
        add(fields.body, doc.body, TEXT_MAX);
        for tag in doc.tags.iter().take(MANY_MAX) {
            let tag = tag_path(tag);
            for (end, _) in tag
                .match_indices('/')
                .chain([(tag.len(), "")])
                .filter(|(end, _)| *end > 0)
            {
                document.add_text(fields.tag, &tag[..end]);
            }
        }
        (document, bytes)
    }
}
