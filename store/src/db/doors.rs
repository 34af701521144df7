//! The formats here as functions of bytes, for `crate::testing` alone.

use super::journal::{Epoch, decode, encode, put_changes, read};
use super::sums::{Sums, row_hash};
use super::table::{Change, ChangeOf, Table};
use crate::codec::Writer;

/// The row of sums that a database with these rows has.
pub(crate) fn sums_of(key: &[u8; 32], rows: &[(Table, &[u8], &[u8])]) -> Vec<u8> {
    let mut sums = Sums::default();
    for (table, row, value) in rows {
        sums.0[*table as usize].add(row_hash(key, *table, row, value));
    }
    sums.encode(key)
}

/// A journal of one record.
pub(crate) fn journal_of(epoch: &Epoch, rows: &[ChangeOf<'_>]) -> Vec<u8> {
    let change =
        |(table, key, value): &ChangeOf<'_>| -> Change { (*table, key.to_vec(), value.map(<[u8]>::to_vec)) };
    let changes: Vec<Change> = rows.iter().map(change).collect();
    encode(epoch, 0, &changes.iter().collect::<Vec<_>>())
}

/// What all records of a journal change, as one record's changes.
pub(crate) fn journal_changes(bytes: &[u8], epoch: &Epoch) -> Option<Vec<u8>> {
    Some(encoded(&read(bytes, epoch).ok()?.changes))
}

/// Decodes a record's changes and encodes them again; none if they are refused.
pub(crate) fn journal_again(payload: &[u8]) -> Option<Vec<u8>> {
    let mut changes = Vec::new();
    decode(payload, &mut changes).ok()?;
    Some(encoded(&changes))
}

fn encoded(changes: &[Change]) -> Vec<u8> {
    let mut w = Writer::new();
    put_changes(&mut w, &changes.iter().collect::<Vec<_>>());
    w.0
}
