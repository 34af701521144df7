//! Reading at unlock what the open vault keeps in memory: the names, and what is to be told. A row
//! that does not open is noted and left out; one lost name keeps nobody from all others.

use super::publish::{GoneNode, Untold};
use super::{Problem, gone_aad, node_aad};
use crate::db::{Db, DbError, Table};
use crate::ids::NodeNo;
use crate::keys::{Key, open};
use crate::record::NodeRecord;

pub(super) fn read_nodes(
    db: &Db,
    local: &Key,
    met: &mut Vec<Problem>,
) -> Result<Vec<(NodeNo, NodeRecord)>, DbError> {
    let mut rows = Vec::new();
    let mut plain = Vec::new();
    db.scan(Table::Nodes, b"", &mut |key, sealed| {
        let no = <[u8; 8]>::try_from(key).map(u64::from_be_bytes);
        plain.clear();
        let record = no.ok().and_then(|no| {
            crate::keys::open_into(local, &node_aad(no), sealed, &mut plain).ok()?;
            Some((no, NodeRecord::decode(&plain).ok()?))
        });
        match record {
            Some(row) => rows.push(row),
            None => met.push(Problem::new(None, "a name in the tree was altered or damaged")),
        }
        true
    })?;
    zeroize::Zeroize::zeroize(&mut plain);
    Ok(rows)
}

pub(super) fn read_untold(db: &Db, local: &Key, met: &mut Vec<Problem>) -> Result<Untold, DbError> {
    let mut untold = Untold::default();
    db.scan(Table::Pending, b"", &mut |key, value| {
        let number = key
            .get(1..)
            .and_then(|n| <[u8; 8]>::try_from(n).ok())
            .map(u64::from_be_bytes);
        match (key.first(), number) {
            (Some(2), Some(ino)) => {
                untold.inodes.insert(ino);
            }
            (Some(1), Some(no)) => match read_gone(local, no, value) {
                Some(gone) => {
                    untold.gone.insert(no, gone);
                    untold.gone_rows.insert(no);
                }
                None => met.push(Problem::new(None, "the note of a removal was altered or damaged")),
            },
            // What is to be let go of is nothing to be told: see `history`.
            (Some(3..=5), _) => {}
            _ => met.push(Problem::new(None, "a note of what is to be told is damaged")),
        }
        true
    })?;
    Ok(untold)
}

fn read_gone(local: &Key, no: NodeNo, sealed: &[u8]) -> Option<GoneNode> {
    GoneNode::decode(&open(local, &gone_aad(no), sealed).ok()?).ok()
}
