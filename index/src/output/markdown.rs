//! A table in Markdown (GFM's), as it comes: its columns are not lined up, since that would need all of it.
//!
//! Guarantees: what a reader of Markdown shows is the value's text: nothing in it is taken for markup. Line ends are
//! `<br>`; control characters are shown as in a table for people. No value, and an empty text, are empty cells.

use super::cell::{Kind, cell, kind};
use super::csv::FULL;
use super::harmless::fit;
use super::json::plain;
use super::{Error, Sink};
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use std::io::Write;

pub(super) struct Markdown<W> {
    schema: SchemaRef,
    buffer: String,
    out: W,
}

impl<W: Write> Markdown<W> {
    pub(super) fn new(schema: &SchemaRef, out: W) -> Result<Markdown<W>, Error> {
        let mut buffer = "|".to_owned();
        for field in schema.fields() {
            add(field.name(), &mut buffer);
        }
        buffer.push_str("\n|");
        for field in schema.fields() {
            buffer.push_str(match kind(field) {
                Kind::Number => " ---: |",
                _ => " --- |",
            });
        }
        buffer.push('\n');
        let mut markdown = Markdown {
            schema: schema.clone(),
            buffer,
            out,
        };
        markdown.hand_on()?;
        Ok(markdown)
    }

    fn hand_on(&mut self) -> Result<(), Error> {
        self.out.write_all(self.buffer.as_bytes())?;
        self.buffer.clear();
        Ok(())
    }
}

impl<W: Write + Send> Sink for Markdown<W> {
    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        for row in 0..batch.num_rows() {
            self.buffer.push('|');
            for (field, array) in self.schema.fields().iter().zip(batch.columns()) {
                add(&plain(&cell(array.as_ref(), field, row)), &mut self.buffer);
            }
            self.buffer.push('\n');
            if self.buffer.len() >= FULL {
                self.hand_on()?;
            }
        }
        self.hand_on()
    }

    fn finish(&mut self) -> Result<(), Error> {
        self.hand_on()?;
        Ok(self.out.flush()?)
    }
}

/// One cell, and the bar behind it.
fn add(text: &str, out: &mut String) {
    out.push(' ');
    for (at, line) in text.split('\n').enumerate() {
        if at > 0 {
            out.push_str("<br>");
        }
        // Without a bound: here, nothing is cut.
        let line = fit(line.strip_suffix('\r').unwrap_or(line), usize::MAX).text;
        escape(&line, out);
    }
    out.push_str(" |");
}

/// With a backslash before whatever could be markup.
fn escape(line: &str, out: &mut String) {
    let (mut before, last) = (None, line.len().saturating_sub(1));
    for (at, c) in line.char_indices() {
        let after = line[at + c.len_utf8()..].chars().next();
        match c {
            // At the ends it would be trimmed.
            ' ' if at == 0 || at == last => out.push_str("&#32;"),
            '\\' | '|' | '`' | '*' | '[' | ']' | '<' | '&' | '~' | '$' => out.extend(['\\', c]),
            // Within a word it is none, and names of files have it everywhere.
            '_' if !(before.is_some_and(char::is_alphanumeric)
                && after.is_some_and(char::is_alphanumeric)) =>
            {
                out.push_str("\\_");
            }
            c => out.push(c),
        }
        before = Some(c);
    }
}
