//! What liars and honest peers of one device say, for tests.

use std::sync::Arc;

use coffer_store::ids::ChainId;
use coffer_store::vault::Carried;
use coffer_sync::core::limits::PIECE_MAX;
use coffer_sync::core::wire::{Message, Parcel, Reach};
use coffer_sync::core::{Policy, SessionId};

use super::Dice;
use super::lone::{Lone, THEIRS};
use super::store::Store;

pub const LIAR: [u8; 32] = [3; 32];

pub fn claim(last: u64) -> Reach {
    Reach { last, head: [9; 8] }
}

pub fn chain(n: u32) -> ChainId {
    let mut id = [0xee; 16];
    id[..4].copy_from_slice(&n.to_be_bytes());
    ChainId(id)
}

pub fn at(batch: &Carried) -> Reach {
    Reach {
        last: batch.row.last().unwrap(),
        head: batch.row.head[..8].try_into().unwrap(),
    }
}

pub fn whole(batch: &Arc<Carried>) -> Vec<u8> {
    Parcel::new(batch.clone()).piece(0, usize::MAX)
}

/// The owner of [`THEIRS`], who has told so many batches of this length; and what it told.
pub fn theirs(count: usize, len: usize) -> (Store, Vec<Arc<Carried>>) {
    let mut store = Store::new(THEIRS, Policy::Everything);
    let mut dice = Dice(8);
    let told = (0..count).map(|_| store.tell(&mut dice, len, &[])).collect();
    (store, told)
}

/// Says a batch in one frame or more.
pub fn give(lone: &mut Lone, session: SessionId, batch: &Arc<Carried>) {
    let parcel = whole(batch);
    let (chain, first) = (batch.row.chain, batch.row.first);
    if parcel.len() <= PIECE_MAX {
        let parcel = &parcel[..];
        return lone.say_in(session, &Message::Batch { chain, first, parcel });
    }
    for at in (0..parcel.len()).step_by(PIECE_MAX) {
        let data = &parcel[at..(at + PIECE_MAX).min(parcel.len())];
        lone.say_in(session, &piece(batch, parcel.len(), at, data));
    }
}

pub fn piece<'a>(batch: &Arc<Carried>, total: usize, offset: usize, data: &'a [u8]) -> Message<'a> {
    Message::BatchPiece {
        chain: batch.row.chain,
        first: batch.row.first,
        token: Parcel::new(batch.clone()).token(),
        total: total as u32,
        offset: offset as u32,
        data,
    }
}

/// Whether a chain was asked for in this session ("want"), or called off ("stop").
pub fn calls(lone: &mut Lone, session: SessionId, id: ChainId) -> Vec<&'static str> {
    lone.told(session, |message| match message {
        Message::Want(wanted) => wanted.iter().any(|one| one.chain == id).then_some("want"),
        Message::Stop(chains) => chains.contains(&id).then_some("stop"),
        _ => None,
    })
}

/// Time passes, and all show that they are there.
pub fn live(lone: &mut Lone, seconds: u64) {
    for _ in 0..seconds {
        lone.pass(1_000);
        for peer in lone.node.peers() {
            lone.say_in(peer.session, &Message::Pong);
        }
    }
}
