//! JSON: an object a line, or those lines as one array.
//!
//! Guarantees: each line is one whole object, keys in the columns' order, each key once.

use super::cell::cell;
use super::csv::FULL;
use super::json::{json, string};
use super::names::unique;
use super::{Error, Sink};
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use std::io::Write;

pub(super) struct Lines<W> {
    schema: SchemaRef,
    /// What stands before each value: bracket or comma, name and colon.
    keys: Vec<String>,
    array: bool,
    first: bool,
    buffer: String,
    out: W,
}

impl<W: Write> Lines<W> {
    pub(super) fn new(schema: &SchemaRef, array: bool, out: W) -> Result<Lines<W>, Error> {
        let key = |(at, name): (usize, &String)| {
            let mut key = if at == 0 { "{" } else { "," }.to_owned();
            string(name, &mut key);
            key.push(':');
            key
        };
        let mut lines = Lines {
            schema: schema.clone(),
            keys: unique(schema).iter().enumerate().map(key).collect(),
            array,
            first: true,
            buffer: if array { "[" } else { "" }.to_owned(),
            out,
        };
        lines.hand_on()?;
        Ok(lines)
    }

    fn hand_on(&mut self) -> Result<(), Error> {
        self.out.write_all(self.buffer.as_bytes())?;
        self.buffer.clear();
        Ok(())
    }
}

impl<W: Write + Send> Sink for Lines<W> {
    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        for row in 0..batch.num_rows() {
            match (self.array, std::mem::take(&mut self.first)) {
                (true, true) => self.buffer.push('\n'),
                (true, false) => self.buffer.push_str(",\n"),
                (false, _) => {}
            }
            for ((key, field), array) in self.keys.iter().zip(self.schema.fields()).zip(batch.columns()) {
                self.buffer.push_str(key);
                json(&cell(array.as_ref(), field, row), &mut self.buffer);
            }
            self.buffer
                .push_str(if self.keys.is_empty() { "{}" } else { "}" });
            if !self.array {
                self.buffer.push('\n');
            }
            if self.buffer.len() >= FULL {
                self.hand_on()?;
            }
        }
        self.hand_on()
    }

    fn finish(&mut self) -> Result<(), Error> {
        if self.array {
            self.buffer.push_str(if self.first { "]\n" } else { "\n]\n" });
        }
        self.hand_on()?;
        Ok(self.out.flush()?)
    }
}
