//! The command line of what is asked of the index.

use super::PasswordArgs;
use crate::units;
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people, as wide as the terminal
    Table,
    /// A table in Markdown
    Markdown,
    /// Comma-separated values
    Csv,
    /// One array of objects
    Json,
    /// An object a line
    Jsonl,
    /// Apache Parquet
    Parquet,
}

impl Format {
    /// As the index calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Format::Table => "table",
            Format::Markdown => "markdown",
            Format::Csv => "csv",
            Format::Json => "json",
            Format::Jsonl => "jsonl",
            Format::Parquet => "parquet",
        }
    }
}

fn limit(text: &str) -> Result<Duration, String> {
    units::parse_span(text)?.ok_or_else(|| "a query needs a limit; 24h is the longest".to_owned())
}

/// How it is asked, and answered.
#[derive(Args, Clone)]
pub(crate) struct How {
    /// How the answer is written [default: table; with --json: json]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// End it after this time
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = limit)]
    pub timeout: Duration,
    /// Answer at once, even if not all files were read yet
    #[arg(long)]
    pub partial: bool,
    #[command(flatten)]
    pub password: PasswordArgs,
}

#[derive(Args)]
#[allow(missing_docs)]
pub(crate) struct Sql {
    /// A query; without one, a prompt, or what comes by standard input
    #[arg(conflicts_with = "file")]
    pub query: Option<String>,
    /// Read the query from a file
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Rows that a table shows, at most
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    pub rows: u64,
    /// Print queries that are worth asking
    #[arg(long, conflicts_with_all = ["query", "file"])]
    pub examples: bool,
    #[command(flatten)]
    pub how: How,
}

#[derive(Args)]
#[allow(missing_docs)]
pub(crate) struct Search {
    /// What to look for
    #[arg(required = true)]
    pub words: Vec<String>,
    /// Only so many, the best
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 20)]
    pub count: u64,
    #[command(flatten)]
    pub how: How,
}

#[derive(Args)]
#[allow(missing_docs)]
pub(crate) struct Tasks {
    /// Due until then: overdue, today, tomorrow, week, month, or a day as 2026-03-01
    #[arg(long, value_name = "WHEN")]
    pub due: Option<String>,
    /// With this tag, or one below it
    #[arg(long)]
    pub tag: Option<String>,
    /// Of this project
    #[arg(long)]
    pub project: Option<String>,
    /// Done and cancelled ones, too
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    pub how: How,
}

#[derive(Args)]
#[allow(missing_docs)]
pub(crate) struct Contacts {
    /// Part of a name, address, number or organisation; accents and case count for nothing
    pub name: Vec<String>,
    #[command(flatten)]
    pub how: How,
}

#[derive(Args)]
#[allow(missing_docs)]
pub(crate) struct Recent {
    /// Only so many
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 20)]
    pub count: u64,
    #[command(flatten)]
    pub how: How,
}

#[derive(Args)]
#[allow(missing_docs)]
pub(crate) struct Plainly {
    #[command(flatten)]
    pub how: How,
}

#[derive(Args)]
#[allow(missing_docs)]
pub(crate) struct Backlinks {
    /// The note
    pub note: PathBuf,
    #[command(flatten)]
    pub how: How,
}

#[derive(Args)]
#[allow(missing_docs)]
pub(crate) struct DrawArgs {
    /// The query
    pub query: String,
    /// What to draw: bars, lines, histogram or calendar [default: what suits the columns]
    #[arg(long, value_name = "KIND", value_parser = ["bars", "lines", "histogram", "calendar"])]
    pub kind: Option<String>,
    /// What stands above it
    #[arg(long)]
    pub title: Option<String>,
    /// Write it as SVG into a new file
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Write it as PNG into a new file
    #[arg(long, value_name = "FILE")]
    pub png: Option<PathBuf>,
    /// How wide the picture is, in dots
    #[arg(long, value_name = "DOTS", default_value_t = 960, value_parser = clap::value_parser!(u32).range(100..=10_000))]
    pub width: u32,
    /// How high it is [default: what suits it]
    #[arg(long, value_name = "DOTS", value_parser = clap::value_parser!(u32).range(100..=10_000))]
    pub height: Option<u32>,
    /// Replace a file that is there
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub how: How,
}
