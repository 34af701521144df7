//! Results of queries, for people and programs: Arrow record batches as a table, Markdown, CSV, JSON, JSON Lines and
//! Parquet (docs/output.md says what each type becomes).
//!
//! Guarantees: the same result says the same values in each format. What people read drives no terminal, whatever
//! stands in the data. All but the table stream: no more than a batch is held, of Parquet no more than a row group; a
//! table holds the rows that it shows. Knows no SQL, no database and no vault; opens no file.

mod moment; // dates, times, spans

mod cell; // one value of an array

mod harmless; // text for terminals
mod json; // values as JSON
mod names; // columns' names, each once

mod csv;
mod lines; // JSON, JSON Lines
mod markdown;
mod parquet;
mod table;

#[cfg(test)]
mod tests;

use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;
use std::sync::Arc;

/// How a result is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A table for people, fitted to the terminal.
    Table,
    /// A table in Markdown.
    Markdown,
    /// Comma-separated values (RFC 4180).
    Csv,
    /// One JSON array of objects.
    Json,
    /// A JSON object a line.
    JsonLines,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    /// All there are.
    pub const ALL: [Format; 6] = [
        Format::Table,
        Format::Markdown,
        Format::Csv,
        Format::Json,
        Format::JsonLines,
        Format::Parquet,
    ];

    /// As people write it.
    pub fn name(self) -> &'static str {
        match self {
            Format::Table => "table",
            Format::Markdown => "markdown",
            Format::Csv => "csv",
            Format::Json => "json",
            Format::JsonLines => "jsonl",
            Format::Parquet => "parquet",
        }
    }

    /// Whether it is bytes and not text: nothing for a terminal.
    pub fn is_binary(self) -> bool {
        self == Format::Parquet
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A format that there is not.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("There is no format “{0}”; choose table, markdown, csv, json, jsonl or parquet.")]
pub struct UnknownFormat(String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Format, UnknownFormat> {
        match text.to_ascii_lowercase().as_str() {
            "table" => Ok(Format::Table),
            "markdown" | "md" => Ok(Format::Markdown),
            "csv" => Ok(Format::Csv),
            "json" => Ok(Format::Json),
            "jsonl" | "jsonlines" | "ndjson" => Ok(Format::JsonLines),
            "parquet" => Ok(Format::Parquet),
            _ => Err(UnknownFormat(text.to_owned())),
        }
    }
}

/// Where a result is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// The terminal's columns; none if it is no terminal: then a table is as wide as it needs to be.
    pub width: Option<usize>,
    /// Whether colours are wanted.
    pub colour: bool,
    /// The most rows that a table shows.
    pub rows: usize,
}

/// What can go wrong when a result is written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody takes it.
    #[error("The result could not be written to its end: {0}.")]
    Write(#[from] io::Error),
    /// A type that no query of ours gives.
    #[error(
        "The column “{column}” has a type that cannot be written ({kind}); cast it to VARCHAR in the query."
    )]
    Type {
        /// Its name.
        column: String,
        /// Its type.
        kind: String,
    },
    /// A type within types without end.
    #[error("The column “{0}” is nested too deep to be written; take it apart in the query.")]
    Deep(String),
    /// A batch of another result.
    #[error("The result changed its columns on the way; please ask again.")]
    Columns,
    /// The library's word.
    #[error("The result could not be written as Parquet ({0}); choose another format.")]
    Parquet(String),
}

/// What writes one format.
trait Sink: Send {
    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Error>;
    fn finish(&mut self) -> Result<(), Error>;
}

/// Writes a result, batch after batch.
pub struct Writer<'w> {
    schema: SchemaRef,
    sink: Box<dyn Sink + 'w>,
    rows: u64,
}

impl<'w> Writer<'w> {
    /// Begins a result with these columns.
    ///
    /// # Errors
    /// A column cannot be written; or nobody takes the beginning.
    pub fn new(
        format: Format,
        schema: &SchemaRef,
        look: &Look,
        out: impl Write + Send + 'w,
    ) -> Result<Writer<'w>, Error> {
        for field in schema.fields() {
            cell::check(field, field, 0)?;
        }
        let terminal = look.width.is_some();
        let sink: Box<dyn Sink + 'w> = match format {
            Format::Table => Box::new(table::Table::new(schema, look, out)),
            Format::Markdown => Box::new(markdown::Markdown::new(schema, out)?),
            Format::Csv => Box::new(csv::Csv::new(schema, terminal, out)?),
            Format::Json => Box::new(lines::Lines::new(schema, true, out)?),
            Format::JsonLines => Box::new(lines::Lines::new(schema, false, out)?),
            Format::Parquet => Box::new(parquet::Parquet::new(schema, out)?),
        };
        Ok(Writer {
            schema: schema.clone(),
            sink,
            rows: 0,
        })
    }

    /// Writes rows.
    ///
    /// # Errors
    /// The batch has other columns; or nobody takes it.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let fields = self.schema.fields();
        let fits = batch.num_columns() == fields.len()
            && (fields.iter().zip(batch.columns()))
                .all(|(field, array)| field.data_type().equals_datatype(array.data_type()));
        if !fits {
            return Err(Error::Columns);
        }
        self.sink.batch(batch)?;
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// Ends the result, and says how many rows it had.
    ///
    /// # Errors
    /// Nobody takes the end.
    pub fn finish(mut self) -> Result<u64, Error> {
        self.sink.finish()?;
        Ok(self.rows)
    }
}

/// The schema with these columns said to be JSON, where they are strings: a database that hands on its JSON as plain
/// strings does not say so itself.
pub fn with_json(schema: &Schema, names: &[&str]) -> SchemaRef {
    let fields: Vec<Field> = (schema.fields().iter())
        .map(|field| {
            let text = matches!(
                field.data_type(),
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
            );
            let field = field.as_ref().clone();
            match text && names.contains(&field.name().as_str()) {
                true => cell::json_field(field),
                false => field,
            }
        })
        .collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}
