//! Checking: every record, every reference, and with `read_data` every byte.
//!
//! It changes nothing. What is damaged is named by path where there is one.

use std::collections::{HashMap, HashSet};
use std::fmt;

use super::Vault;
use super::open::names_of;
use crate::content::manifest;
use crate::content::pieces::{ChunkRef, LeafEntry};
use crate::core::StoreError;
use crate::db::Table;
use crate::event::{BatchRow, Unverified};
use crate::ids::{Ino, ROOT};
use crate::keys::ChunkId;
use crate::record::{BaseRef, ChunkRow, kind};
use crate::tree::Kind;

/// Something that is damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The path from the vault's root, if it has one.
    pub path: Option<Vec<u8>>,
    /// What is wrong.
    pub what: String,
}

impl Problem {
    pub(crate) fn new(path: Option<Vec<u8>>, what: impl Into<String>) -> Problem {
        Problem {
            path,
            what: what.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "{}: {}", String::from_utf8_lossy(path), self.what),
            None => f.write_str(&self.what),
        }
    }
}

/// What to check.
#[derive(Clone, Copy, Debug, Default)]
pub struct CheckOptions {
    /// Read and verify every chunk and body, too.
    pub read_data: bool,
}

/// How far a check is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckProgress {
    /// Files done.
    pub done: u64,
    /// Files in all.
    pub total: u64,
    /// Bytes read.
    pub bytes: u64,
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Rows of all tables.
    pub records: u64,
    /// Files and folders.
    pub files: u64,
    /// Chunks and manifest nodes that are referenced.
    pub chunks: u64,
    /// Events whose chain and signature hold.
    pub events: u64,
    /// Bytes of content read and verified.
    pub bytes: u64,
    /// What is damaged.
    pub problems: Vec<Problem>,
}

impl Vault {
    /// Checks the vault, after committing what is in memory.
    ///
    /// # Errors
    /// If the check itself cannot go on; damage is no error but in the report.
    pub fn check(
        &self,
        options: CheckOptions,
        progress: &mut dyn FnMut(CheckProgress),
    ) -> Result<CheckReport, StoreError> {
        self.commit()?;
        // Nothing is committed while rows are compared with each other.
        let _committer = self.committer.lock();
        let mut report = CheckReport {
            problems: self.met.lock().clone(),
            ..CheckReport::default()
        };
        for table in Table::ALL {
            report.records += self.core.db.rows(table)?;
        }
        for table in self.core.db.verify()? {
            let what = format!(
                "records are missing, foreign or of another day in the table `{}`: their sum is not the one that was kept",
                table.name()
            );
            report.problems.push(Problem::new(None, what));
        }
        if let Err(e) = self.core.db.check_structure() {
            report.problems.push(Problem::new(None, e.to_string()));
        }
        for info in self.core.packs.list() {
            if let crate::chunk::pack::Condition::Damaged { .. } = info.condition {
                let name = crate::chunk::pack::pack_name(info.pack);
                report
                    .problems
                    .push(Problem::new(None, format!("{name} is missing or too short")));
            }
        }
        self.check_events(&mut report)?;
        self.check_files(options, &mut report, progress)?;
        self.check_chunks(options, &mut report)?;
        Ok(report)
    }

    fn check_events(&self, report: &mut CheckReport) -> Result<(), StoreError> {
        let mut rows = Vec::new();
        self.core.db.scan(Table::Batches, b"", &mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            true
        })?;
        let mut heads: HashMap<_, ([u8; 32], u64)> = HashMap::new();
        for (key, value) in rows {
            let name = <[u8; 8]>::try_from(key.as_slice()).map_or(0, u64::from_be_bytes);
            let mut bad = |what: String| {
                report
                    .problems
                    .push(Problem::new(None, format!("batch {name} of events: {what}")));
            };
            let row = match BatchRow::decode(&value) {
                Ok(row) => row,
                Err(e) => {
                    bad(e.to_string());
                    continue;
                }
            };
            let mut bytes = vec![0; row.place.len as usize];
            if let Err(e) = self.core.packs.read(row.place, 0, &mut bytes) {
                bad(e.to_string());
                continue;
            }
            let (prev, next) = heads.get(&row.chain).copied().unwrap_or(([0; 32], 1));
            if row.prev != prev || row.first != next {
                bad("it does not follow the one before it".into());
            }
            heads.insert(row.chain, (row.head, row.first + u64::from(row.count)));
            // Earlier chains of this device were signed by keys that it no longer has.
            if row.chain != self.secrets.chain() {
                continue;
            }
            match (Unverified {
                row: &row,
                bytes: &bytes,
            })
            .verify(&self.secrets.signing.verifying())
            {
                Ok(events) => report.events += events.len() as u64,
                Err(e) => bad(e.to_string()),
            }
        }
        Ok(())
    }

    fn check_files(
        &self,
        options: CheckOptions,
        report: &mut CheckReport,
        progress: &mut dyn FnMut(CheckProgress),
    ) -> Result<(), StoreError> {
        let (names, expected) = {
            let tree = self.tree.read();
            let mut kinds: HashMap<Ino, (Kind, u32)> = HashMap::new();
            for (_, folder) in tree.iter() {
                for entry in folder.entries.values() {
                    kinds.entry(entry.ino).or_insert((entry.kind, 0)).1 += 1;
                }
            }
            (names_of(&tree), kinds)
        };
        let mut inos: Vec<Ino> = expected.keys().copied().chain([ROOT]).collect();
        inos.sort_unstable();
        let total = inos.len() as u64;
        let mut seen: HashSet<ChunkId> = HashSet::new();
        for (i, ino) in inos.into_iter().enumerate() {
            report.files += 1;
            if let Err(what) = self.check_file(ino, expected.get(&ino), options, report, &mut seen) {
                let path = names
                    .get(&ino)
                    .cloned()
                    .or_else(|| (ino == ROOT).then(|| b"/".to_vec()));
                report.problems.push(Problem::new(path, what));
            }
            if i % 64 == 0 {
                progress(CheckProgress {
                    done: i as u64,
                    total,
                    bytes: report.bytes,
                });
            }
        }
        report.chunks = seen.len() as u64;
        progress(CheckProgress {
            done: total,
            total,
            bytes: report.bytes,
        });
        Ok(())
    }

    fn check_file(
        &self,
        ino: Ino,
        expected: Option<&(Kind, u32)>,
        options: CheckOptions,
        report: &mut CheckReport,
        seen: &mut HashSet<ChunkId>,
    ) -> Result<(), String> {
        let say = |e: StoreError| e.to_string();
        let inode = self
            .read_inode(ino)
            .map_err(say)?
            .ok_or("its record is missing")?;
        let mut guard = inode.state.write();
        let state = &mut *guard;
        if let Some((kind, links)) = expected {
            if state.meta.kind != *kind {
                return Err("it is of another kind than its name says".into());
            }
            if *kind != Kind::Folder && state.meta.nlink != *links {
                // Dirty in memory: the row is older than the tree only if a commit failed.
                return Err(format!("it has {links} names and counts {}", state.meta.nlink));
            }
        }
        let owner = inode.owner(&self.core, state.entity);
        let Some(content) = state.content.as_mut() else {
            return Ok(());
        };
        let durable = content.durable();
        if let BaseRef::Manifest(root) = durable.base {
            let mut nodes: Vec<ChunkRef> = Vec::new();
            let mut chunks: Vec<ChunkRef> = Vec::new();
            manifest::walk(&self.core, &root, &mut |node| nodes.push(*node), &mut |entry| {
                if let LeafEntry::Chunk(chunk) = entry {
                    chunks.push(chunk);
                }
            })
            .map_err(say)?;
            seen.extend(nodes.iter().map(|n| n.id));
            for chunk in chunks {
                if !seen.insert(chunk.id) {
                    continue;
                }
                let row = self.core.chunk_row(&chunk.id).map_err(say)?;
                match row {
                    Some(row) if row.len == chunk.len && row.sealed == chunk.sealed => {}
                    Some(_) => return Err(format!("chunk {:?} is not the one that it names", chunk.id)),
                    None => return Err(format!("chunk {:?} is missing", chunk.id)),
                }
                if options.read_data {
                    self.core.whole_chunk(kind::CHUNK, &chunk).map_err(say)?;
                    report.bytes += u64::from(chunk.len);
                }
            }
        }
        let has_log = durable.log_first != durable.log_next;
        if has_log || (options.read_data && matches!(durable.base, BaseRef::Body { .. })) {
            content.load(owner).map_err(say)?;
            let mut out = Vec::new();
            let mut at = 0;
            // What lies over the chunks; they themselves were read above.
            while has_log && options.read_data && at < durable.size {
                out.clear();
                content.read(owner, at, 1 << 20, &mut out).map_err(say)?;
                at += out.len().max(1) as u64;
                report.bytes += out.len() as u64;
            }
            if !has_log {
                report.bytes += durable.size;
            }
        }
        content.discard(&self.core);
        Ok(())
    }

    /// Every chunk's row, referenced or not.
    fn check_chunks(&self, options: CheckOptions, report: &mut CheckReport) -> Result<(), StoreError> {
        let mut problems = Vec::new();
        let mut rows = Vec::new();
        self.core.db.scan(Table::Chunks, b"", &mut |key, value| {
            match (<[u8; 32]>::try_from(key), ChunkRow::decode(value)) {
                (Ok(id), Ok(row)) => rows.push((ChunkId(id), row)),
                _ => problems.push(Problem::new(None, "the row of a chunk is damaged")),
            }
            true
        })?;
        for (id, row) in rows {
            let header = self.core.packs.header(row.place);
            let good = header.is_ok_and(|h| h.kind == row.kind && h.id == id.0 && h.len == row.place.len);
            if !good {
                problems.push(Problem::new(
                    None,
                    format!("chunk {id:?} does not lie where its row says"),
                ));
            } else if options.read_data && row.kind == kind::MANIFEST {
                let chunk = ChunkRef {
                    id,
                    sealed: row.sealed,
                    len: row.len,
                };
                if let Err(e) = self.core.whole_chunk(row.kind, &chunk) {
                    problems.push(Problem::new(None, e.to_string()));
                }
            }
        }
        report.problems.extend(problems);
        Ok(())
    }
}
