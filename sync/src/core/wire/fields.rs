//! Fields that several messages have: lists of names, pieces of objects.

use coffer_store::codec::{Malformed, Reader, Writer};
use coffer_store::ids::ChainId;

use crate::core::limits::IDS_MAX;

pub(super) fn put_ids(w: &mut Writer, ids: &[[u8; 32]]) {
    for id in ids {
        w.raw(id);
    }
}

/// 32-byte names up to the end; so many at least.
pub(super) fn ids(r: &mut Reader<'_>, least: usize) -> Result<Vec<[u8; 32]>, Malformed> {
    let count = r.remaining() / 32;
    if count < least || count > IDS_MAX {
        return Err(Malformed("a list of names is too short or too long"));
    }
    let mut ids = Vec::with_capacity(count);
    while r.remaining() > 0 {
        ids.push(r.array()?);
    }
    Ok(ids)
}

/// Chains up to the end; one at least.
pub(super) fn chains(r: &mut Reader<'_>) -> Result<Vec<ChainId>, Malformed> {
    let mut chains = Vec::with_capacity(r.remaining() / 16);
    while r.remaining() > 0 || chains.is_empty() {
        chains.push(ChainId(r.array()?));
    }
    Ok(chains)
}

/// A bit for each name of a list; one byte at least.
pub(super) fn bits(r: &mut Reader<'_>) -> Result<Vec<u8>, Malformed> {
    match r.remaining() {
        1.. if r.remaining() <= IDS_MAX / 8 => Ok(r.rest().to_vec()),
        _ => Err(Malformed("an answer of a wrong length")),
    }
}

pub(super) fn put_piece(w: &mut Writer, total: u32, offset: u32, data: &[u8]) {
    w.varint(total.into()).varint(offset.into()).raw(data);
}

/// Total, offset, and bytes up to the end, which are within the total.
pub(super) fn piece<'a>(r: &mut Reader<'a>, most: usize) -> Result<(u32, u32, &'a [u8]), Malformed> {
    let (total, offset) = (r.varint32()?, r.varint32()?);
    let data = r.rest();
    if total as usize > most {
        return Err(Malformed("an object is longer than its kind allows"));
    }
    if data.is_empty() || offset as usize + data.len() > total as usize {
        return Err(Malformed("a piece lies beyond its object's end"));
    }
    Ok((total, offset, data))
}
