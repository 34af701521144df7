//! Reading at unlock what the open vault keeps in memory: the names, and what is to be told. A row
//! that does not open is noted and left out; one lost name keeps nobody from all others.

use std::collections::HashMap;

use super::history::removed_aad;
use super::inode::pending;
use super::publish::{GoneNode, Untold};
use super::saves::LeftNames;
use super::saves::left::{How, Left, LeftRow};
use super::{GONE, LEFT, Problem, gone_aad, node_aad};
use crate::db::{Db, DbError, Table};
use crate::ids::{Ino, NodeId, NodeNo};
use crate::keys::{Key, open};
use crate::record::{GoneRecord, Kind, NodeRecord, Told};
use crate::tree::{Known, Tree};

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

/// What is to be told, and the rows of names that moved files left, by node.
pub(super) fn read_untold(
    db: &Db,
    local: &Key,
    met: &mut Vec<Problem>,
) -> Result<(Untold, Vec<(NodeNo, LeftRow)>), DbError> {
    let mut untold = Untold::default();
    let mut left = Vec::new();
    db.scan(Table::Pending, b"", &mut |key, value| {
        let number = key
            .get(1..)
            .and_then(|n| <[u8; 8]>::try_from(n).ok())
            .map(u64::from_be_bytes);
        match (key.first(), number) {
            (Some(2), Some(ino)) => {
                let note = pending::read(value);
                if value.len() != 2 || note == 0 || note > pending::ALL {
                    met.push(Problem::new(None, "a note of what is to be told is damaged"));
                }
                // What cannot be read says all: it does no harm.
                if note & pending::UNTOLD != 0 || note & pending::BEHIND == 0 {
                    untold.inodes.insert(ino);
                }
                if note & pending::BEHIND != 0 {
                    untold.behind.insert(ino);
                }
            }
            (Some(1), Some(no)) => match read_gone(local, no, value) {
                Some(gone) => {
                    untold.gone.insert(no, gone);
                    untold.gone_rows.insert(no);
                }
                None => met.push(Problem::new(None, "the note of a removal was altered or damaged")),
            },
            // What is to be let go of is nothing to be told: see `history`.
            (Some(3..=5 | 7..=13), _) => {}
            (Some(6), Some(no)) => match read_row(local, no, value) {
                Some(row) => left.push((no, row)),
                None => met.push(Problem::new(None, "the note of a name was altered or damaged")),
            },
            _ => met.push(Problem::new(None, "a note of what is to be told is damaged")),
        }
        true
    })?;
    Ok((untold, left))
}

/// Names that were left and are held for who may be saving, from the rows that say so.
pub(super) fn read_left(
    db: &Db,
    local: &Key,
    untold: &Untold,
    rows: Vec<(NodeNo, LeftRow)>,
    tree: &Tree,
) -> Result<LeftNames, DbError> {
    let mut left = LeftNames::default();
    let places: HashMap<NodeNo, (Ino, Ino)> = match rows.is_empty() {
        true => HashMap::new(),
        false => {
            let all = tree
                .iter()
                .flat_map(|(at, folder)| folder.entries.iter().map(move |(no, e)| (*no, (e.ino, at))));
            all.collect()
        }
    };
    for (no, row) in rows {
        match places.get(&no) {
            Some((ino, folder)) => left.found(no, row, *ino, *folder),
            None => left.stale(no),
        }
    }
    let folders: HashMap<NodeId, Ino> = match untold.gone.is_empty() {
        true => HashMap::new(),
        false => tree
            .iter()
            .filter_map(|(ino, _)| Some((tree.node_of(ino)?, ino)))
            .collect(),
    };
    for (no, gone) in &untold.gone {
        let sealed = db.get(Table::Removed, &gone.id.0)?;
        let record = sealed.and_then(|sealed| {
            let mut plain = open(local, &removed_aad(&gone.id), &sealed).ok()?;
            let record = GoneRecord::decode(&plain).ok();
            zeroize::Zeroize::zeroize(&mut plain);
            record
        });
        if let Some(record) = record
            && let Some(folder) = folders.get(&record.parent)
            && let (Some(entity), Some(mut key), Kind::File) = (record.entity, record.key, record.kind)
        {
            let how = How::Removed {
                entity,
                key: Key::take(&mut key),
                named_by: record.saw.clone(),
            };
            // They know it by this name, or will before they hear of anything else.
            let known = Known {
                id: gone.id,
                told: Told::Before,
            };
            left.put(*folder, &record.name, Left::new(*no, known, None, how));
        }
    }
    Ok(left)
}

fn read_row(local: &Key, no: NodeNo, sealed: &[u8]) -> Option<LeftRow> {
    LeftRow::decode(&open(local, &gone_aad(no, LEFT), sealed).ok()?).ok()
}

fn read_gone(local: &Key, no: NodeNo, sealed: &[u8]) -> Option<GoneNode> {
    GoneNode::decode(&open(local, &gone_aad(no, GONE), sealed).ok()?).ok()
}
