//! What the library keeps of a file: words with their places, tags whole, the file's number; no text.
//!
//! Guarantees: what is a filter on the vault's knowledge (path, time, kind) is not in here.

use tantivy::schema::{FAST, Field, INDEXED, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};

/// The tokenizers' names: for texts, and for the one text that each file has, its name.
pub(super) const WORDS: &str = "words";
pub(super) const NAME: &str = "name";
/// The column of the file's number.
pub(super) const FILE: &str = "file";

/// The schema's fields.
#[derive(Clone)]
pub(super) struct Fields {
    pub(super) file: Field,
    pub(super) title: Field,
    pub(super) name: Field,
    pub(super) tags: Field,
    pub(super) headings: Field,
    pub(super) body: Field,
    /// Each tag and all above it, folded, as one word.
    pub(super) tag: Field,
}

impl Fields {
    pub(super) fn new() -> (Fields, Schema) {
        let mut schema = Schema::builder();
        let words = |tokenizer| {
            TextOptions::default().set_indexing_options(
                TextFieldIndexing::default()
                    .set_tokenizer(tokenizer)
                    .set_fieldnorms(true)
                    .set_index_option(IndexRecordOption::WithFreqsAndPositions),
            )
        };
        let whole = TextOptions::default().set_indexing_options(
            TextFieldIndexing::default()
                .set_tokenizer("raw")
                .set_fieldnorms(false)
                .set_index_option(IndexRecordOption::Basic),
        );
        let fields = Fields {
            file: schema.add_u64_field(FILE, INDEXED | FAST),
            title: schema.add_text_field("title", words(WORDS)),
            name: schema.add_text_field("name", words(NAME)),
            tags: schema.add_text_field("tags", words(WORDS)),
            headings: schema.add_text_field("headings", words(WORDS)),
            body: schema.add_text_field("body", words(WORDS)),
            tag: schema.add_text_field("tag", whole),
        };
        (fields, schema.build())
    }

    /// Where words are looked for, and how much each place counts.
    pub(super) fn ranked(&self) -> [(Field, f32); 5] {
        [
            (self.title, 4.0),
            (self.name, 3.0),
            (self.tags, 3.0),
            (self.headings, 2.0),
            (self.body, 1.0),
        ]
    }
}
