//! Checking: every record, every reference, and with `read_data` every byte.
//!
//! It changes nothing, and holds nobody up while it reads: records and names are those of
//! one instant, and what does not fit them is looked at again, together with its record as
//! it is then, before it is called damaged. What was removed or rewritten meanwhile is not
//! damage. What is damaged is named by path where there is one.
//!
//! Parts, each importing only those above it: `report`, `instant` (the rows), `events`, `history`.

mod events;
mod history;
mod instant;
mod report;

use std::collections::{HashMap, HashSet};

use super::inode::{Inode, Note};
use super::{Vault, inode_aad};
use crate::content::manifest;
use crate::content::pieces::LeafEntry;
use crate::core::StoreError;
use crate::ids::{Ino, ROOT, number};
use crate::keys::{ChunkId, Key, MasterKey, open as open_sealed};
use crate::record::{BaseRef, ChunkRef, ChunkRow, InodeRecord, kind};
use crate::tree::Kind;
use instant::Instant;
pub use report::{CheckOptions, CheckProgress, CheckReport, Problem};

/// A damaged name, as `unlock` notes it too.
pub(super) const BAD_NAME: &str = "a name in the tree was altered or damaged";
/// How often a file that changes all the time is looked at.
const TRIES: u32 = 4;

/// A file's key and record; why there is none; or none although a name leads to it.
type Listed = Option<Result<(Key, InodeRecord), String>>;

/// Chunks that were looked at, and why some of them are no good.
#[derive(Default)]
struct Seen {
    good: HashSet<ChunkId>,
    /// On other devices.
    absent: HashSet<ChunkId>,
    bad: HashMap<ChunkId, String>,
}

impl Vault {
    /// Checks the vault, after committing what is in memory. If that fails it is said so,
    /// and what is committed is checked.
    ///
    /// # Errors
    /// If the check itself cannot go on; damage is no error but in the report.
    pub fn check(
        &self,
        options: CheckOptions,
        progress: &mut dyn FnMut(CheckProgress),
    ) -> Result<CheckReport, StoreError> {
        // The batches stay those that they are while they are looked at.
        let _joining = self.joining.lock();
        let committed = self.commit();
        self.renew_key_file();
        let mut report = CheckReport {
            problems: self.met.lock().clone(),
            asides: self.asides(),
            ..CheckReport::default()
        };
        let mut say = |what: String| report.problems.push(Problem::new(None, what));
        if let Err(e) = committed {
            say(format!("the last changes could not be saved: {e}"));
        }
        for table in self.core.db.verify()? {
            say(format!(
                "records are missing, foreign or of another day in the table `{}`: their sum is not the one that was kept",
                table.name()
            ));
        }
        for info in self.core.packs.list() {
            if let crate::chunk::pack::Condition::Damaged { .. } = info.condition {
                let name = crate::chunk::pack::pack_name(info.pack);
                say(format!("{name} is missing or too short"));
            }
        }
        self.check_structure(&mut report);
        let newer = self.unreadable()?.newer;
        if newer > 0 {
            report.skipped.push(format!(
                "{newer} changes of other devices, which only a newer version of coffer can read: update coffer"
            ));
        }
        let mut instant = self.instant(&mut report)?;
        let batches = std::mem::take(&mut instant.batches);
        let chunks = std::mem::take(&mut instant.chunks);
        self.check_events(batches, &mut report);
        let mut seen = Seen::default();
        self.check_files(&mut instant, options, &mut report, &mut seen, progress);
        self.check_history(&instant, options, &mut report, &mut seen)?;
        report.chunks = (seen.good.len() + seen.bad.len()) as u64;
        self.check_chunks(chunks, options, &mut report);
        Ok(report)
    }

    /// The library's own check, which wants the file for itself.
    fn check_structure(&self, report: &mut CheckReport) {
        // Whoever takes a view holds the committer, and pins the packs first.
        let _committer = self.committer.lock();
        if self.packs_pinned() {
            let what =
                "the structure of the database's file, because a backup or another check is reading it";
            report.skipped.push(what.into());
        } else if let Err(e) = self.core.db.check_structure() {
            report.problems.push(Problem::new(None, e.to_string()));
        }
    }

    fn check_files(
        &self,
        instant: &mut Instant,
        options: CheckOptions,
        report: &mut CheckReport,
        seen: &mut Seen,
        progress: &mut dyn FnMut(CheckProgress),
    ) {
        let mut inos: Vec<Ino> = instant.expected.keys().copied().chain([ROOT]).collect();
        inos.sort_unstable();
        let total = inos.len() as u64;
        for (i, ino) in inos.into_iter().enumerate() {
            report.files += 1;
            let listed = self.list_file(instant, ino);
            if let Err(what) = self.check_file(ino, listed, instant, options, report, seen) {
                report.problems.push(Problem::new(instant.path(ino), what));
            }
            if i % 64 == 0 {
                progress(CheckProgress {
                    done: i as u64,
                    total,
                    bytes: report.bytes,
                });
            }
        }
        progress(CheckProgress {
            done: total,
            total,
            bytes: report.bytes,
        });
    }

    /// A file's record at the instant.
    fn list_file(&self, instant: &mut Instant, ino: Ino) -> Listed {
        let sealed = instant.inodes.remove(&ino)?;
        let wrapped = instant.wraps.remove(&ino);
        Some(open_record(&self.master.read(), ino, wrapped.as_deref(), &sealed))
    }

    /// The same, now. Nobody commits meanwhile.
    fn list_file_now(&self, ino: Ino) -> Listed {
        let _committer = self.committer.lock();
        self.read_record(ino).map_err(|e| e.to_string()).transpose()
    }

    /// Checks a file as it was listed. What is amiss is believed if the record is still the
    /// same after two looks; else the file as it has become is looked at.
    fn check_file(
        &self,
        ino: Ino,
        mut listed: Listed,
        instant: &Instant,
        options: CheckOptions,
        report: &mut CheckReport,
        seen: &mut Seen,
    ) -> Result<(), String> {
        let expected = instant.expected.get(&ino);
        if let (Some(Ok((_, record))), Some((kind, links))) = (&listed, expected) {
            if record.meta.kind != *kind {
                return Err("it is of another kind than its name says".into());
            }
            if *kind != Kind::Folder && record.meta.nlink != *links {
                return Err(format!("it has {links} names and counts {}", record.meta.nlink));
            }
        }
        if listed.is_none() {
            return Err("its record is missing".into());
        }
        let mut unchanged = false;
        for _ in 0..TRIES {
            let before = report.bytes;
            let result = match &listed {
                None => return Ok(()), // removed meanwhile
                Some(Err(what)) => Err(what.clone()),
                Some(Ok((key, record))) => {
                    let key = key.duplicate();
                    self.look_at(ino, key, record, options, report, seen)
                }
            };
            let Err(what) = result else { return Ok(()) };
            report.bytes = before;
            if unchanged {
                return Err(what);
            }
            let now = self.list_file_now(ino);
            unchanged = match (&listed, &now) {
                (Some(Ok((_, a))), Some(Ok((_, b)))) => a == b,
                (Some(Err(_)), Some(Err(_))) => true,
                _ => false,
            };
            if unchanged {
                seen.bad.clear(); // the second look is at the chunks themselves
            }
            listed = now;
        }
        let path = String::from_utf8_lossy(&instant.path(ino).unwrap_or_default()).into_owned();
        report
            .skipped
            .push(format!("{path}, which was changed all the time"));
        Ok(())
    }

    /// One look at a file's content.
    fn look_at(
        &self,
        ino: Ino,
        key: Key,
        record: &InodeRecord,
        options: CheckOptions,
        report: &mut CheckReport,
        seen: &mut Seen,
    ) -> Result<(), String> {
        let say = |e: StoreError| e.to_string();
        if !matches!(record.meta.kind, Kind::File | Kind::Symlink) {
            return Ok(());
        }
        if let BaseRef::Manifest(root) = record.base {
            let mut nodes: Vec<ChunkRef> = Vec::new();
            let mut chunks: Vec<ChunkRef> = Vec::new();
            manifest::walk(&self.core, &root, &mut |node| nodes.push(*node), &mut |entry| {
                if let LeafEntry::Chunk(chunk) = entry {
                    chunks.push(chunk);
                }
            })
            .map_err(say)?;
            seen.good.extend(nodes.iter().map(|n| n.id));
            for chunk in chunks {
                self.check_chunk_once(&chunk, options, report, seen)?;
            }
        }
        let has_log = record.log_first != record.log_next;
        let has_body = matches!(record.base, BaseRef::Body { .. });
        let read_body = options.read_data && has_body;
        if !has_log && !read_body {
            return Ok(());
        }
        // One of our own, that nobody else sees.
        let inode = Inode::loaded(ino, key, record.clone(), Note::default(), true);
        let mut guard = inode.state.write();
        let state = &mut *guard;
        let owner = inode.owner(&self.core, &state.binding);
        let Some(content) = state.content.as_mut() else {
            return Ok(());
        };
        content.load(owner).map_err(say)?;
        let mut out = Vec::new();
        let mut at = 0;
        let mut result = Ok(());
        // What lies over the chunks; they themselves were read above.
        while has_log && options.read_data && at < record.size && result.is_ok() {
            out.clear();
            result = content.read(owner, at, 1 << 20, &mut out);
            if matches!(&result, Err(StoreError::Absent(_))) {
                (result, at) = (Ok(()), at + (1 << 20));
                continue;
            }
            at += out.len().max(1) as u64;
            report.bytes += out.len() as u64;
        }
        if !has_log {
            report.bytes += record.size;
        }
        // Not discarded: nothing of the file is going.
        content.unload(&self.core);
        result.map_err(say)
    }

    /// The same chunk is looked at once, whatever names it.
    fn check_chunk_once(
        &self,
        chunk: &ChunkRef,
        options: CheckOptions,
        report: &mut CheckReport,
        seen: &mut Seen,
    ) -> Result<(), String> {
        if let Some(what) = seen.bad.get(&chunk.id) {
            return Err(what.clone());
        }
        if seen.good.contains(&chunk.id) || seen.absent.contains(&chunk.id) {
            return Ok(());
        }
        let is_here = || self.core.chunk_row(&chunk.id).map_err(|e| e.to_string());
        if self.core.may_be_absent(kind::CHUNK) && is_here()?.is_none() {
            seen.absent.insert(chunk.id);
            report.absent_bytes += u64::from(chunk.len);
            return Ok(());
        }
        if let Err(what) = self.check_chunk(chunk, options) {
            seen.bad.insert(chunk.id, what.clone());
            return Err(what);
        }
        seen.good.insert(chunk.id);
        if options.read_data {
            report.bytes += u64::from(chunk.len);
        }
        Ok(())
    }

    fn check_chunk(&self, chunk: &ChunkRef, options: CheckOptions) -> Result<(), String> {
        match self.core.chunk_row(&chunk.id).map_err(|e| e.to_string())? {
            Some(row) if row.len == chunk.len && row.sealed == chunk.sealed => {}
            Some(_) => return Err(format!("chunk {} is not the one that it names", chunk.id)),
            None => return Err(format!("chunk {} is missing", chunk.id)),
        }
        if options.read_data {
            let read = self.core.whole_chunk(kind::CHUNK, chunk);
            read.map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    /// Every chunk's row, referenced or not.
    fn check_chunks(&self, rows: Vec<(Vec<u8>, Vec<u8>)>, options: CheckOptions, report: &mut CheckReport) {
        for (key, value) in rows {
            let (Ok(id), Ok(row)) = (<[u8; 32]>::try_from(key), ChunkRow::decode(&value)) else {
                let what = "the row of a chunk is damaged";
                report.problems.push(Problem::new(None, what));
                continue;
            };
            let id = ChunkId(id);
            let result = self.check_row(id, row, options).or_else(|_| {
                // Perhaps it was moved, or is gone: as it is now, and nothing moves.
                let _committer = self.committer.lock();
                match self.core.chunk_row(&id).map_err(|e| e.to_string())? {
                    Some(now) => self.check_row(id, now, options),
                    None => Ok(()),
                }
            });
            if let Err(what) = result {
                report.problems.push(Problem::new(None, what));
            }
        }
    }

    fn check_row(&self, id: ChunkId, row: ChunkRow, options: CheckOptions) -> Result<(), String> {
        let header = self.core.packs.header(row.place);
        if !header.is_ok_and(|h| h.kind == row.kind && h.id == id.0 && h.len == row.place.len) {
            return Err(format!("chunk {id} does not lie where its row says"));
        }
        if options.read_data && row.kind == kind::MANIFEST {
            let chunk = ChunkRef {
                id,
                sealed: row.sealed,
                len: row.len,
            };
            let read = self.core.whole_chunk(row.kind, &chunk);
            read.map_err(|e| e.to_string())?;
        }
        Ok(())
    }
}

/// Opens a file's key and record, or says why not.
fn open_record(
    master: &MasterKey,
    ino: Ino,
    wrapped: Option<&[u8]>,
    sealed: &[u8],
) -> Result<(Key, InodeRecord), String> {
    let wrapped = wrapped.ok_or("its key is missing")?;
    let key = master.unwrap(kind::WRAP_ENTITY, &number(ino), wrapped);
    let key = key.map_err(|_| "its key was altered or damaged")?;
    let plain = open_sealed(&key, &inode_aad(ino), sealed);
    let plain = plain.map_err(|_| "its record was altered or damaged")?;
    let record = InodeRecord::decode(&plain).map_err(|e| format!("its record cannot be read: {e}"))?;
    Ok((key, record))
}
