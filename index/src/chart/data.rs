//! What is drawn: columns of values, as a query gives them.
//!
//! Guarantees: as many rows as all columns have, whatever their lengths. Never changes a value.

use jiff::civil::{Date, DateTime};

/// What a query gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Data {
    /// Its columns, in order; of equal lengths (rows that not all of them have are not drawn).
    pub columns: Vec<Column>,
}

/// A column.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// As the query calls it.
    pub name: String,
    /// One for each row.
    pub values: Values,
}

/// The values of a column; none is NULL.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Texts, and whatever else is neither number nor time.
    Text(Vec<Option<String>>),
    /// Numbers of all types.
    Number(Vec<Option<f64>>),
    /// Days.
    Day(Vec<Option<Date>>),
    /// Moments, in local time.
    Moment(Vec<Option<DateTime>>),
}

impl Values {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Values::Text(values) => values.len(),
            Values::Number(values) => values.len(),
            Values::Day(values) => values.len(),
            Values::Moment(values) => values.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn is_text(&self) -> bool {
        matches!(self, Values::Text(_))
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self, Values::Number(_))
    }

    pub(super) fn is_time(&self) -> bool {
        matches!(self, Values::Day(_) | Values::Moment(_))
    }

    pub(super) fn number(&self, row: usize) -> Option<f64> {
        match self {
            Values::Number(values) => values.get(row).copied().flatten(),
            _ => None,
        }
    }

    pub(super) fn text(&self, row: usize) -> Option<&str> {
        match self {
            Values::Text(values) => values.get(row)?.as_deref(),
            _ => None,
        }
    }

    pub(super) fn moment(&self, row: usize) -> Option<DateTime> {
        match self {
            Values::Day(values) => Some(values.get(row).copied().flatten()?.at(0, 0, 0, 0)),
            Values::Moment(values) => values.get(row).copied().flatten(),
            _ => None,
        }
    }
}

impl Data {
    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.columns
            .iter()
            .map(|column| column.values.len())
            .min()
            .unwrap_or(0)
    }
}
