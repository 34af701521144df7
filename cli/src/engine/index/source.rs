//! What the folder `.coffer` shows of the index: tables, what saved queries return, what searches find.

use super::{Index, Part};
use crate::failure::{Failure, Kind};
use crate::wire::ask::Ask;
use coffer_fs::shelf::{Body, Source, SourceError, Target};
use serde_json::Value;
use std::sync::Arc;

/// What is there as a table.
const TABLES: [&str; 11] = [
    "files", "notes", "links", "tasks", "contacts", "events", "tags", "history", "devices", "blobs",
    "problems",
];
/// As what.
const FORMATS: [&str; 2] = ["csv", "parquet"];
/// How long a query may take, in milliseconds: less than what is waited for.
const LIMIT_MS: u64 = 25_000;
/// Bytes of a query's answer that are looked through for paths, at most.
const ANSWER_MAX: u64 = 32 << 20;
/// Entries of a folder, at most.
const ENTRIES_MAX: usize = 100_000;

/// See [`Source`].
pub(crate) struct Shown(pub(crate) Arc<Index>);

fn ask(sql: String, format: &str) -> Ask {
    Ask {
        sql,
        values: Vec::new(),
        format: format.into(),
        width: None,
        colour: false,
        rows: u64::MAX,
        limit_ms: LIMIT_MS,
        partial: false,
    }
}

/// The line that DuckDB names in what it says.
fn line(said: &str) -> Option<usize> {
    let (_, rest) = said.split_once("\nLINE ")?;
    rest.split_once(':')?.0.trim().parse().ok()
}

fn refused(failure: Failure) -> SourceError {
    match failure.kind {
        Kind::Usage => SourceError::Refused {
            line: line(&failure.message),
            sentence: failure.message,
        },
        _ => SourceError::Unavailable(failure.message),
    }
}

impl Shown {
    fn bytes(&self, sql: String, format: &str, most: u64) -> Result<Vec<u8>, Option<Failure>> {
        let mut bytes = Vec::new();
        let mut is_over = false;
        let done = self.0.ask(&ask(sql, format), &|| false, &mut |part| {
            let Part::Bytes(more) = part else { return Ok(()) };
            is_over = bytes.len() as u64 + more.len() as u64 > most;
            match is_over {
                true => Err(Failure::failed("It is too large.")),
                false => {
                    bytes.extend_from_slice(more);
                    Ok(())
                }
            }
        });
        match done {
            Ok(_) => Ok(bytes),
            Err(_) if is_over => Err(None),
            Err(failure) => Err(Some(failure)),
        }
    }

    /// The paths that a query returns, in its column `path`.
    fn targets(&self, sql: String) -> Result<Vec<Target>, SourceError> {
        let bytes = self.bytes(sql, "jsonl", ANSWER_MAX);
        let bytes = bytes.map_err(|failure| match failure {
            Some(failure) => refused(failure),
            None => SourceError::Unavailable(
                "The query returns too much to be shown as a folder; ask for SELECT path alone, or with a LIMIT.".into(),
            ),
        })?;
        let mut targets = Vec::new();
        for row in bytes
            .split(|b| *b == b'\n')
            .filter(|row| !row.is_empty())
            .take(ENTRIES_MAX)
        {
            let row: Value = serde_json::from_slice(row).unwrap_or_default();
            let Some(path) = row.get("path") else {
                return Err(SourceError::Refused {
                    sentence: "The query has no column “path”: a folder shows the files that are named there, as in SELECT path FROM files.".into(),
                    line: None,
                });
            };
            if let Some(path) = path.as_str() {
                targets.push(Target {
                    path: path.as_bytes().to_vec(),
                    name: row
                        .get("link_name")
                        .and_then(Value::as_str)
                        .map(|name| name.as_bytes().to_vec()),
                });
            }
        }
        Ok(targets)
    }
}

impl Source for Shown {
    fn generation(&self) -> u64 {
        self.0.generation()
    }

    fn tables(&self) -> Vec<String> {
        let names = |table: &&str| FORMATS.map(|format| format!("{table}.{format}"));
        TABLES.iter().flat_map(names).collect()
    }

    fn table(&self, name: &str, most: u64) -> Result<Arc<dyn Body>, SourceError> {
        let (table, format) = name.rsplit_once('.').unwrap_or((name, ""));
        let known = TABLES.contains(&table) && FORMATS.contains(&format);
        if !known {
            return Err(SourceError::Refused {
                sentence: format!("There is no table “{name}”."),
                line: None,
            });
        }
        match self.bytes(format!("SELECT * FROM {table}"), format, most) {
            Ok(bytes) => Ok(Arc::new(bytes)),
            Err(Some(failure)) => Err(refused(failure)),
            Err(None) => Err(SourceError::TooLarge {
                name: name.to_owned(),
                most,
            }),
        }
    }

    fn view(&self, _name: &str, sql: &str) -> Result<Vec<Target>, SourceError> {
        self.targets(sql.to_owned())
    }

    fn search(&self, words: &str) -> Result<Vec<Target>, SourceError> {
        let words = words.replace('\'', "''");
        self.targets(format!(
            "SELECT path FROM search('{words}', 1000) ORDER BY rank, path"
        ))
    }
}
