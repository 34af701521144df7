//! The tables: what is known of a vault, in DuckDB, and the views over it.
//!
//! Owns the tables of schema base; what is changed [`Catalog::together`] is seen by queries as a whole or not at all. Guarantees
//! that the views are what docs/views.md says. Decides nothing: what the rows are, it is told.

mod arrays; // columns
mod rows; // rows to columns

use std::cell::RefCell;
use std::collections::HashSet;
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
/// Values in one statement, at most: longer lists take DuckDB longer to understand than to do.
const FEW: usize = 300;

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
    /// What has rows: what has none need not be deleted.
    there: RefCell<There>,
}

#[derive(Default)]
struct There {
    nodes: HashSet<u64>,
    texts: HashSet<u64>,
    same: HashSet<[u8; 16]>,
}

impl Catalog {
    /// Over a connection to a database that has the [`SCHEMA`]. Times are told as they are in `zone`.
    pub fn new(db: Connection, zone: TimeZone) -> Catalog {
        let there = RefCell::default();
        Catalog { db, zone, there }
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

    fn delete(&self, tables: &[&str], column: &str, keys: &[u64]) -> Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        let is_few = keys.len() <= FEW;
        let list = match is_few {
            true => {
                let list: Vec<String> = keys.iter().map(|key| (*key as i64).to_string()).collect();
                list.join(",")
            }
            false => {
                self.append("keys", rows::keys(keys))?;
                "SELECT key FROM base.keys".to_owned()
            }
        };
        for table in tables {
            self.db
                .execute_batch(&format!("DELETE FROM base.{table} WHERE {column} IN ({list})"))?;
        }
        if !is_few {
            self.db.execute_batch("DELETE FROM base.keys")?;
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
        let mut there = self.there.borrow_mut();
        let there = &mut *there;
        let known = |keys: &[u64], set: &HashSet<u64>| -> Vec<u64> {
            keys.iter().copied().filter(|key| set.contains(key)).collect()
        };
        self.delete(&["files"], "node", &known(&change.nodes, &there.nodes))?;
        change.nodes.iter().for_each(|node| {
            there.nodes.remove(node);
        });
        there.nodes.extend(change.files.iter().map(|row| row.node));
        self.append("files", rows::files(&change.files, &self.zone))?;
        self.delete(&BY_FILE, "file", &known(&change.texts_of, &there.texts))?;
        let texts = &change.texts;
        change.texts_of.iter().for_each(|file| {
            there.texts.remove(file);
        });
        there.texts.extend(texts.iter().map(|row| row.file));
        self.append("notes", rows::notes(texts))?;
        self.append("links", rows::links(texts))?;
        self.append("tasks", rows::tasks(texts))?;
        self.append("contacts", rows::contacts(texts))?;
        self.append("events", rows::events(texts))?;
        self.append("problems", rows::problems(texts))?;
        let changed = change
            .same
            .iter()
            .filter(|(content, _)| there.same.remove(content));
        let changed: Vec<String> = changed
            .map(|(content, _)| format!("'{:032x}'", u128::from_be_bytes(*content)))
            .collect();
        for some in changed.chunks(FEW) {
            let list = some.join(",");
            self.db
                .execute_batch(&format!("DELETE FROM base.same WHERE content IN ({list})"))?;
        }
        let several: Vec<_> = change
            .same
            .iter()
            .filter(|(_, files)| *files > 1)
            .copied()
            .collect();
        there.same.extend(several.iter().map(|(content, _)| *content));
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
        if (keys.is_empty() && files.is_empty()) || self.there.borrow().texts.is_empty() {
            return Ok(found);
        }
        // A long list takes longer to be understood than all links to be looked through.
        if keys.len() + files.len() > FEW {
            take("kind <> 'web'".to_owned())?;
            let keys: HashSet<&str> = keys.iter().map(String::as_str).collect();
            let files: HashSet<u64> = files.iter().copied().collect();
            found.retain(|kept| files.contains(&kept.file) || keys.contains(&*link_key(&kept.link)));
            return Ok(found);
        }
        let keys = keys.iter().map(|key| format!("'{}'", key.replace('\'', "''")));
        let keys: Vec<String> = std::iter::once("''".to_owned()).chain(keys).collect();
        let files = files.iter().map(|file| (*file as i64).to_string());
        let files: Vec<String> = std::iter::once("-1".to_owned()).chain(files).collect();
        take(format!(
            "kind <> 'web' AND (key IN ({}) OR file IN ({}))",
            keys.join(","),
            files.join(",")
        ))?;
        Ok(found)
    }

    /// Lets links lead elsewhere, by their rows.
    ///
    /// # Errors
    /// The database's.
    pub fn lead(&self, leads: &[(i64, Lead)]) -> Result<()> {
        for leads in leads.chunks(FEW) {
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
