//! The seam to charts: rows of a query, drawn.

use crate::failure::Failure;
use coffer_index::chart::{self, Chart, Colour, Column, Data, Kind, Values};
use jiff::civil::{Date, DateTime};
use serde_json::{Map, Value};

/// What a column holds, by DuckDB's name of its type.
fn values(kind: &str, cells: impl Iterator<Item = Value>) -> Values {
    let kind = kind.split('(').next().unwrap_or_default();
    let text = |cell: &Value| match cell {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    match kind {
        "TINYINT" | "SMALLINT" | "INTEGER" | "BIGINT" | "HUGEINT" | "UTINYINT" | "USMALLINT" | "UINTEGER"
        | "UBIGINT" | "UHUGEINT" | "FLOAT" | "DOUBLE" | "DECIMAL" => {
            let number = |cell: Value| cell.as_f64().or_else(|| text(&cell)?.parse().ok());
            Values::Number(cells.map(number).collect())
        }
        "DATE" => Values::Day(cells.map(|cell| text(&cell)?.parse::<Date>().ok()).collect()),
        _ if kind.starts_with("TIMESTAMP") => {
            Values::Moment(cells.map(|cell| text(&cell)?.parse::<DateTime>().ok()).collect())
        }
        _ => Values::Text(cells.map(|cell| text(&cell)).collect()),
    }
}

/// A chart of what a query gave.
pub(crate) struct Drawing(Chart);

impl Drawing {
    /// Of these columns, each with its type, and rows by their names.
    ///
    /// # Errors
    /// `Usage` if the data do not suit the kind, or none.
    pub(crate) fn new(
        columns: &[(String, String)],
        rows: &[Map<String, Value>],
        kind: Option<&str>,
        title: Option<&str>,
    ) -> Result<Drawing, Failure> {
        let column = |(name, kind): &(String, String)| Column {
            name: name.clone(),
            values: values(
                kind,
                rows.iter()
                    .map(|row| row.get(name).cloned().unwrap_or(Value::Null)),
            ),
        };
        let data = Data {
            columns: columns.iter().map(column).collect(),
        };
        let kind = kind.and_then(Kind::named);
        let chart = Chart::new(&data, kind, title).map_err(|error| Failure::usage(error.to_string()))?;
        Ok(Drawing(chart))
    }

    /// For a terminal, so many columns wide.
    pub(crate) fn terminal(&self, width: usize, colours: bool) -> String {
        let colour = match colours {
            true => Colour::Ansi256,
            false => Colour::None,
        };
        chart::terminal(&self.0, width, colour)
    }

    fn height(&self, width: u32, height: Option<u32>) -> u32 {
        height.unwrap_or_else(|| self.0.natural_height(width))
    }

    /// As SVG.
    pub(crate) fn svg(&self, width: u32, height: Option<u32>) -> Vec<u8> {
        chart::svg(&self.0, width, self.height(width, height)).into_bytes()
    }

    /// As PNG, for screens of high density.
    ///
    /// # Errors
    /// `Usage` if it is too large.
    pub(crate) fn png(&self, width: u32, height: Option<u32>) -> Result<Vec<u8>, Failure> {
        let drawn = chart::png(&self.0, width, self.height(width, height), 2.0);
        drawn.map_err(|error| Failure::usage(error.to_string()))
    }
}
