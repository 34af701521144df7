//! Questions to the index.

use serde::{Deserialize, Serialize};

/// One question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ask {
    /// A statement that reads.
    pub sql: String,
    /// Values for `$1`, `$2`, ….
    #[serde(default)]
    pub values: Vec<Value>,
    /// `table`, `markdown`, `csv`, `json`, `jsonl` or `parquet`.
    pub format: String,
    /// Columns of the terminal, if it is one.
    pub width: Option<u32>,
    /// Whether colours may be used.
    pub colour: bool,
    /// Rows that a table shows, at most.
    pub rows: u64,
    /// How long it may take, in milliseconds.
    pub limit_ms: u64,
    /// Not to wait for files that were not read yet.
    pub partial: bool,
}

/// A value for a statement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Value {
    /// Nothing.
    Null,
    /// A text.
    Text(String),
    /// A number.
    Whole(i64),
}

/// What was asked at the prompt of `coffer sql`, kept sealed in the vault's folder on this device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Asked {
    /// Give it.
    Get,
    /// Keep this, in place of what was kept.
    Keep(Vec<String>),
}

/// What comes at an answer's end; its bytes came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answered {
    /// Rows of the result.
    pub rows: u64,
}
