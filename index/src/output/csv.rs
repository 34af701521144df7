//! Comma-separated values, as RFC 4180 has them, but that lines end in `\n`: tools that read lines keep a `\r` in the last field.
//!
//! Guarantees: no value is nothing, an empty text is `""`. A pipe gets the values as they are; a terminal, for which Csv is
//! told so, gets no control characters.

use super::cell::{Cell, cell};
use super::harmless::visible;
use super::json::plain;
use super::names::unique;
use super::{Error, Sink};
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use std::io::Write;

/// From here on the buffer is handed on.
pub(super) const FULL: usize = 1 << 16;

pub(super) struct Csv<W> {
    schema: SchemaRef,
    terminal: bool,
    buffer: String,
    out: W,
}

impl<W: Write> Csv<W> {
    pub(super) fn new(schema: &SchemaRef, terminal: bool, out: W) -> Result<Csv<W>, Error> {
        let mut csv = Csv {
            schema: schema.clone(),
            terminal,
            buffer: String::new(),
            out,
        };
        for (at, name) in unique(schema).iter().enumerate() {
            csv.field(at, &Cell::Text(name));
        }
        csv.buffer.push('\n');
        csv.hand_on()?;
        Ok(csv)
    }

    fn field(&mut self, at: usize, cell: &Cell<'_>) {
        if at > 0 {
            self.buffer.push(',');
        }
        if matches!(cell, Cell::Null) {
            return;
        }
        let mut text = plain(cell);
        if self.terminal {
            text = visible(&text).into_owned().into();
        }
        let bare = !text.is_empty()
            && !text.contains(['"', ',', '\n', '\r'])
            // Some readers trim what has no quotes.
            && text.trim().len() == text.len();
        if bare {
            self.buffer.push_str(&text);
        } else {
            self.buffer.push('"');
            self.buffer.push_str(&text.replace('"', "\"\""));
            self.buffer.push('"');
        }
    }

    fn hand_on(&mut self) -> Result<(), Error> {
        self.out.write_all(self.buffer.as_bytes())?;
        self.buffer.clear();
        Ok(())
    }
}

impl<W: Write + Send> Sink for Csv<W> {
    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let schema = self.schema.clone();
        for row in 0..batch.num_rows() {
            for (at, (field, array)) in schema.fields().iter().zip(batch.columns()).enumerate() {
                self.field(at, &cell(array.as_ref(), field, row));
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
