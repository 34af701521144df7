//! The rows of one instant, as a check holds other things against them.

use std::collections::HashMap;

use super::BAD_NAME;
use super::report::{CheckReport, Problem};
use crate::core::StoreError;
use crate::db::Table;
use crate::ids::{Ino, NodeNo, ROOT};
use crate::keys::open_into;
use crate::record::NodeRecord;
use crate::tree::Kind;
use crate::vault::{Vault, node_aad};

/// What the rows said at one instant.
#[derive(Default)]
pub(super) struct Instant {
    /// A name of each inode: the folder that it is in, and the name there.
    pub(super) names: HashMap<Ino, (Ino, Vec<u8>)>,
    /// Each inode's kind by its first name, and how many names it has.
    pub(super) expected: HashMap<Ino, (Kind, u32)>,
    pub(super) bad_names: usize,
    pub(super) inodes: HashMap<Ino, Vec<u8>>,
    pub(super) wraps: HashMap<Ino, Vec<u8>>,
    pub(super) batches: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) chunks: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Instant {
    /// The path from the root, as far as the names lead there.
    pub(super) fn path(&self, ino: Ino) -> Option<Vec<u8>> {
        if ino == ROOT {
            return Some(b"/".to_vec());
        }
        let mut parts: Vec<&[u8]> = Vec::new();
        let mut at = ino;
        while at != ROOT {
            let (folder, name) = self.names.get(&at)?;
            parts.push(name);
            if parts.len() > self.names.len() {
                return None; // a damaged tree can run in circles
            }
            at = *folder;
        }
        parts.reverse();
        Some(parts.join(&b'/'))
    }
}

impl Vault {
    pub(super) fn instant(&self, report: &mut CheckReport) -> Result<Instant, StoreError> {
        let view = self.view()?;
        let mut instant = Instant::default();
        let mut plain = Vec::new();
        let ino_of = |key: &[u8]| <[u8; 8]>::try_from(key).map(u64::from_be_bytes);
        for table in Table::ALL {
            let mut bad_keys = 0;
            view.snapshot.scan(table, &mut |key, value| {
                report.records += 1;
                match (table, ino_of(key)) {
                    (Table::Nodes, Ok(no)) => match self.open_node(no, value, &mut plain) {
                        Some(row) => {
                            instant.expected.entry(row.ino).or_insert((row.kind, 0)).1 += 1;
                            instant.names.entry(row.ino).or_insert((row.parent, row.name));
                        }
                        None => instant.bad_names += 1,
                    },
                    (Table::Inodes, Ok(ino)) => drop(instant.inodes.insert(ino, value.to_vec())),
                    (Table::Wraps, Ok(ino)) => drop(instant.wraps.insert(ino, value.to_vec())),
                    (Table::Nodes | Table::Inodes | Table::Wraps, Err(_)) => bad_keys += 1,
                    (Table::Batches, _) => instant.batches.push((key.to_vec(), value.to_vec())),
                    (Table::Chunks, _) => instant.chunks.push((key.to_vec(), value.to_vec())),
                    _ => {}
                }
            })?;
            if bad_keys > 0 {
                let what = format!("{bad_keys} rows of the table `{}` are damaged", table.name());
                report.problems.push(Problem::new(None, what));
            }
        }
        zeroize::Zeroize::zeroize(&mut plain);
        let known = report.problems.iter().filter(|p| p.what == BAD_NAME).count();
        let new = instant.bad_names.saturating_sub(known);
        let bad = std::iter::repeat_with(|| Problem::new(None, BAD_NAME));
        report.problems.extend(bad.take(new));
        Ok(instant)
    }

    fn open_node(&self, no: NodeNo, sealed: &[u8], plain: &mut Vec<u8>) -> Option<NodeRecord> {
        plain.clear();
        open_into(&self.local, &node_aad(no), sealed, plain).ok()?;
        NodeRecord::decode(plain).ok()
    }
}
