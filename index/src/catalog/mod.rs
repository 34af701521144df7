//! The tables: what is known of a vault, in DuckDB, and the views over it.
//!
//! Owns the tables of schema base; what is changed [`Catalog::together`] is seen by queries as a whole or not at all. Guarantees
//! that the views are what docs/views.md says. Decides nothing: what the rows are, it is told.

mod arrays; // columns
mod rows; // rows to columns

use std::sync::Arc;

use duckdb::Connection;
use duckdb::arrow::array::{ArrayRef, RecordBatch};
use duckdb::arrow::datatypes::{Field, Schema};
use jiff::tz::TimeZone;

pub use rows::{FileRow, Lead, TextRows, extension, link_key};

use crate::rows::{Link, LinkKind};
use crate::said::{Blob, Device, Version};

/// Version of the views (docs/views.md).
pub const VERSION: u32 = 1;
/// The statements that make tables and views.
pub const SCHEMA: &str = include_str!("schema.sql");
/// Tables that have rows by file.
const BY_FILE: [&str; 6] = ["notes", "links", "tasks", "contacts", "events", "problems"];
/// Numbers in one statement, at most.
const LIST_MAX: usize = 20_000;

/// The database did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[error("The index could not be changed: {0}")]
pub struct CatalogError(#[from] duckdb::Error);

type Result<T> = std::result::Result<T, CatalogError>;

/// What changes at once.
#[derive(Default)]
pub struct Change {
    /// Names whose rows go, and perhaps come again.
    pub nodes: Vec<u64>,
    /// Their rows, of those that are there.
    pub files: Vec<FileRow>,
    /// Files whose texts' rows go, and perhaps come again.
    pub texts_of: Vec<u64>,
    /// Their rows, of those that are there.
    pub texts: Vec<TextRows>,
    /// Contents that so many files have by now.
    pub same: Vec<([u8; 16], u64)>,
}

/// A link that is kept, to be asked again where it leads.
pub struct KeptLink {
    /// Its row.
    pub row: i64,
    /// The file in which it stands.
    pub file: u64,
    /// The link, as far as it takes to follow it.
    pub link: Link,
    /// Where it leads by now.
    pub lead: Lead,
}

/// The tables, to be written.
pub struct Catalog {
    db: Connection,
    zone: TimeZone,
}

impl Catalog {
    /// Over a connection to a database that has the [`SCHEMA`]. Times are told as they are in `zone`.
    pub fn new(db: Connection, zone: TimeZone) -> Catalog {
        Catalog { db, zone }
    }

    fn append(&self, table: &str, columns: Vec<ArrayRef>) -> Result<()> {
        if columns.first().is_none_or(|column| column.is_empty()) {
            return Ok(());
        }
        let fields: Vec<Field> = columns
            .iter()
            .enumerate()
            .map(|(at, column)| Field::new(format!("c{at}"), column.data_type().clone(), true))
            .collect();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns);
        // All columns are made of the same rows.
        let batch = batch.map_err(|e| duckdb::Error::ToSqlConversionFailure(Box::new(e)))?;
        let mut appender = self.db.appender_to_db(table, "base")?;
        appender.append_record_batch(batch)?;
        Ok(appender.flush()?)
    }

    fn delete(&self, table: &str, column: &str, keys: &[u64]) -> Result<()> {
        for keys in keys.chunks(LIST_MAX) {
            let list: Vec<String> = keys.iter().map(|key| (*key as i64).to_string()).collect();
            let list = list.join(",");
            self.db
                .execute_batch(&format!("DELETE FROM base.{table} WHERE {column} IN ({list})"))?;
        }
        Ok(())
    }

    /// Makes several changes as one: all of them or none.
    ///
    /// # Errors
    /// The first of them.
    pub fn together(&self, work: impl FnOnce(&Catalog) -> Result<()>) -> Result<()> {
        self.db.execute_batch("BEGIN")?;
        match work(self) {
            Ok(()) => Ok(self.db.execute_batch("COMMIT")?),
            Err(error) => {
                // The first error says why; a transaction that failed is over, or ends with the connection.
                let _ = self.db.execute_batch("ROLLBACK");
                Err(error)
            }
        }
    }

    /// Makes a change.
    ///
    /// # Errors
    /// The database's.
    pub fn apply(&self, change: &Change) -> Result<()> {
        self.delete("files", "node", &change.nodes)?;
        self.append("files", rows::files(&change.files, &self.zone))?;
        for table in BY_FILE {
            self.delete(table, "file", &change.texts_of)?;
        }
        let texts = &change.texts;
        self.append("notes", rows::notes(texts))?;
        self.append("links", rows::links(texts))?;
        self.append("tasks", rows::tasks(texts))?;
        self.append("contacts", rows::contacts(texts))?;
        self.append("events", rows::events(texts))?;
        self.append("problems", rows::problems(texts))?;
        for same in change.same.chunks(LIST_MAX / 10) {
            let list: Vec<String> = same
                .iter()
                .map(|(content, _)| format!("'{:032x}'", u128::from_be_bytes(*content)))
                .collect();
            let list = list.join(",");
            self.db
                .execute_batch(&format!("DELETE FROM base.same WHERE content IN ({list})"))?;
        }
        let several: Vec<_> = change
            .same
            .iter()
            .filter(|(_, files)| *files > 1)
            .copied()
            .collect();
        self.append("same", rows::same(&several))
    }

    /// The links whose keys are among these, or that stand in these files.
    ///
    /// # Errors
    /// The database's.
    pub fn links(&self, keys: &[String], files: &[u64]) -> Result<Vec<KeptLink>> {
        let mut found = Vec::new();
        let ask = "SELECT rowid, file, kind, target, is_wiki, leads, to_node FROM base.links WHERE ";
        let mut take = |filter: String| -> Result<()> {
            let mut statement = self.db.prepare(&format!("{ask}{filter}"))?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let kind: String = row.get(2)?;
                let (leads, node): (i8, Option<i64>) = (row.get(5)?, row.get(6)?);
                found.push(KeptLink {
                    row: row.get(0)?,
                    file: row.get::<_, i64>(1)? as u64,
                    link: Link {
                        kind: [LinkKind::Wiki, LinkKind::Markdown, LinkKind::Embed]
                            .into_iter()
                            .find(|k| k.name() == kind)
                            .unwrap_or(LinkKind::Web),
                        target: row.get(3)?,
                        is_wiki: row.get(4)?,
                        ..Link::default()
                    },
                    lead: match (leads, node) {
                        (0, _) => Lead::Dangling,
                        (1, Some(node)) => Lead::Name(node as u64),
                        (1, None) => Lead::Here,
                        _ => Lead::Web,
                    },
                });
            }
            Ok(())
        };
        for keys in keys.chunks(LIST_MAX / 10) {
            let list: Vec<String> = keys
                .iter()
                .map(|key| format!("'{}'", key.replace('\'', "''")))
                .collect();
            take(format!("kind <> 'web' AND key IN ({})", list.join(",")))?;
        }
        for files in files.chunks(LIST_MAX) {
            let list: Vec<String> = files.iter().map(|file| (*file as i64).to_string()).collect();
            take(format!("kind <> 'web' AND file IN ({})", list.join(",")))?;
        }
        found.sort_by_key(|link| link.row);
        found.dedup_by_key(|link| link.row);
        Ok(found)
    }

    /// Lets links lead elsewhere, by their rows.
    ///
    /// # Errors
    /// The database's.
    pub fn lead(&self, leads: &[(i64, Lead)]) -> Result<()> {
        for leads in leads.chunks(LIST_MAX / 4) {
            let list: Vec<String> = leads
                .iter()
                .map(|(row, lead)| {
                    let node = lead.node().map_or("NULL".to_owned(), |node| node.to_string());
                    format!("({row},{},{node}::BIGINT)", lead.number())
                })
                .collect();
            self.db.execute_batch(&format!(
                "UPDATE base.links SET leads = v.leads, to_node = v.node FROM (VALUES {}) v(id, leads, node) WHERE base.links.rowid = v.id",
                list.join(",")
            ))?;
        }
        Ok(())
    }

    /// Sets all devices: each with its number here; of one that is named by files alone, its id.
    ///
    /// # Errors
    /// The database's.
    pub fn devices(&self, devices: &[(i32, Option<Device>, Vec<u8>)]) -> Result<()> {
        self.db.execute_batch("DELETE FROM base.devices")?;
        self.append("devices", rows::devices(devices))
    }

    /// Sets the versions.
    ///
    /// # Errors
    /// The database's.
    pub fn history(&self, versions: &[(Version, Option<i32>)]) -> Result<()> {
        self.db.execute_batch("DELETE FROM base.history")?;
        self.append("history", rows::history(versions, &self.zone))
    }

    /// Sets the blobs.
    ///
    /// # Errors
    /// The database's.
    pub fn blobs(&self, blobs: &[Blob]) -> Result<()> {
        self.db.execute_batch("DELETE FROM base.blobs")?;
        self.append("blobs", rows::blobs(blobs))
    }

    /// Says how far the index is.
    ///
    /// # Errors
    /// The database's.
    pub fn about(&self, complete: bool, known: u64, read: u64) -> Result<()> {
        let zone = self.zone.iana_name().unwrap_or("local").replace('\'', "''");
        Ok(self.db.execute_batch(&format!(
            "DELETE FROM base.about; INSERT INTO base.about VALUES ({VERSION}, {complete}, {known}, {read}, '{zone}')"
        ))?)
    }

    /// Gives back the room of what was replaced, and packs what is new more tightly.
    ///
    /// # Errors
    /// The database's.
    pub fn tidy(&self) -> Result<()> {
        Ok(self.db.execute_batch("CHECKPOINT vault")?)
    }
}
