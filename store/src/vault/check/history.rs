//! Checking history: every version that is held can be read, and what was removed can be brought
//! back.

use std::collections::HashMap;

use super::Seen;
use super::instant::Instant;
use super::report::{CheckOptions, CheckReport, Problem};
use crate::content::manifest;
use crate::content::pieces::LeafEntry;
use crate::core::StoreError;
use crate::db::Table;
use crate::ids::EntityId;
use crate::keys::Key;
use crate::record::{BodyRef, ChunkRef, Kept, VersionRecord};
use crate::vault::Vault;
use crate::vault::history::{change_name, split_key};

impl Vault {
    pub(super) fn check_history(
        &self,
        instant: &Instant,
        options: CheckOptions,
        report: &mut CheckReport,
        seen: &mut Seen,
    ) -> Result<(), StoreError> {
        let mut paths: HashMap<EntityId, Vec<u8>> = HashMap::new();
        let stand = {
            let _committer = self.committer.lock();
            self.stand(false, &mut |ino, _, record| {
                paths.extend(instant.path(ino).map(|path| (record.entity, path)));
                Ok(())
            })?
        };
        let (removed, bad) = self.gone_rows()?;
        for row in removed {
            if let Some(entity) = row.record.entity {
                let path = paths.entry(entity).or_insert_with(|| row.record.name.clone());
                if !stand.keys.contains_key(&entity) {
                    let what = "it was removed, and the key that would bring it back is missing";
                    report.problems.push(Problem::new(Some(path.clone()), what));
                }
            }
        }
        if bad > 0 {
            let what = format!("{bad} records of what was removed are damaged");
            report.problems.push(Problem::new(None, what));
        }
        report.names_let_go = self.names_let_go()?;
        let bad = self.ops()?.1 + self.grounds()?.1 + self.all_awaited()?.1;
        if bad > 0 {
            let what = format!("{bad} records of what other devices said of names are damaged");
            report.problems.push(Problem::new(None, what));
        }
        let mut rows: Vec<(EntityId, u64)> = Vec::new();
        self.core.db.scan(Table::Versions, b"", &mut |key, _| {
            rows.extend(split_key(key));
            true
        })?;
        for (entity, number) in rows {
            // A file that came since has its key with it.
            let Some(key) = stand.keys.get(&entity) else {
                continue;
            };
            let result = self
                .check_version(key, entity, number, options, report, seen)
                .or_else(|_| {
                    // Perhaps it was thinned, or its batch moved: as it is now, and nothing moves.
                    let _committer = self.committer.lock();
                    seen.bad.clear();
                    self.check_version(key, entity, number, options, report, seen)
                });
            if let Err(what) = result {
                let what = format!("version {number} of it: {what}");
                report
                    .problems
                    .push(Problem::new(paths.get(&entity).cloned(), what));
            }
        }
        Ok(())
    }

    fn check_version(
        &self,
        key: &Key,
        entity: EntityId,
        number: u64,
        options: CheckOptions,
        report: &mut CheckReport,
        seen: &mut Seen,
    ) -> Result<(), String> {
        let say = |e: StoreError| e.to_string();
        let row = self.version_row(key, &entity, number).map_err(say)?;
        let Some(record) = row.filter(|record| record.kept == Kept::All) else {
            return Ok(());
        };
        self.check_place(&record)?;
        if let BodyRef::Manifest(root) = &record.body
            && !seen.good.contains(&root.id)
        {
            let (mut nodes, mut chunks) = (Vec::new(), Vec::<ChunkRef>::new());
            manifest::walk(&self.core, root, &mut |node| nodes.push(node.id), &mut |entry| {
                if let LeafEntry::Chunk(chunk) = entry {
                    chunks.push(chunk);
                }
            })
            .map_err(say)?;
            for chunk in chunks {
                self.check_chunk_once(&chunk, options, report, seen)?;
            }
            seen.good.extend(nodes);
        }
        if options.read_data {
            let version = self.version_payload(key, entity, &record).map_err(say)?;
            let name = change_name(&version, record.at.chain).map(|name| name.0);
            let known = match record.body {
                BodyRef::Change(name) => Some(name),
                _ => None,
            };
            if version.size != record.size || name != known {
                return Err("its event says something else than its record".into());
            }
            report.bytes += u64::from(record.len);
        }
        Ok(())
    }

    /// Its event lies where its record says.
    fn check_place(&self, record: &VersionRecord) -> Result<(), String> {
        let lies = self.core.lies((record.batch, record.offset), record.at);
        let lies = lies.map_err(|e| e.to_string())?.ok_or("its event is missing")?;
        match lies.row.physical(lies.offset, record.len) {
            Some(_) => Ok(()),
            None => Err("its event's payload is missing".into()),
        }
    }
}
