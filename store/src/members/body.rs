//! What a statement says: the kinds that this program knows, and their bytes; of later kinds, the bytes alone.
//!
//! Guarantees: one encoding each; lists ascend and have no twins; no room is made by a length that was not compared
//! with the bytes at hand. A kind that is not known yet is no error, so that whoever stands on it is heard; it is never
//! taken for one that is known.

use super::card::{Card, DeviceName, JoinRequest, TransportProof, get_name, put_name};
use super::sealing::SEALED;
use super::statement::{DeviceId, StatementId};
use super::{DEVICES_MAX, MEMBERS_MAX};
use crate::codec::{Malformed, Reader, Writer};
use crate::ids::ChainId;

/// Most chains that one statement vouches for; who has more says several.
pub(super) const LIMITS_MAX: usize = 1000;
/// The first kind that this program does not know.
pub(super) const FIRST_OTHER: u8 = 12;
/// The bit of those kinds that a program should not go without.
const NEEDS_UPDATE: u8 = 0x80;

/// How far the chain of a device that is no member counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The chain.
    pub chain: ChainId,
    /// Its last event that counts; 0 if none does.
    pub last: u64,
    /// The chain's head there.
    pub head: [u8; 32],
}

/// An epoch's secrets, sealed to one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Whose X25519 key they are sealed to.
    pub device: DeviceId,
    /// The sealed bytes.
    pub sealed: Box<[u8; SEALED]>,
}

/// What a statement says. Its author's key stands in the statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// There is a space, and the author is its first member. Epoch 0 begins.
    Founded {
        /// The author's card.
        card: Card,
        /// Which secrets epoch 0 has: [`SpaceSecrets::commitment`](super::SpaceSecrets::commitment).
        commitment: [u8; 32],
    },
    /// A device is a member.
    Added(Box<JoinRequest>),
    /// A device is none any more, for good.
    Removed {
        /// Which.
        device: DeviceId,
    },
    /// A device has another name.
    Renamed {
        /// Which.
        device: DeviceId,
        /// Its name.
        name: DeviceName,
    },
    /// The author begins a chain: that of [`chain_id`](super::chain_id) with these random bytes.
    Chain {
        /// The random bytes.
        random: [u8; 16],
    },
    /// From now on this transport key speaks for the author, and no other one.
    Transport(TransportProof),
    /// A new epoch begins, whose secrets the named members are given.
    Epoch {
        /// One more than the highest that the author knew.
        number: u32,
        /// Which secrets it has.
        commitment: [u8; 32],
        /// The secrets, sealed to each. Ascending by device.
        shares: Vec<Share>,
    },
    /// Members that an epoch's author did not know of are given its secrets.
    Shared {
        /// The statement that began the epoch.
        epoch: StatementId,
        /// The secrets, sealed to each. Ascending by device.
        shares: Vec<Share>,
    },
    /// This far the author has the chains of another device: so far they count, should that one be no member.
    Vouched {
        /// Which.
        device: DeviceId,
        /// How far. Ascending by chain.
        limits: Vec<Limit>,
    },
    /// What a later program says, and this one cannot read. It is kept, passed on and stood upon, and counts for nothing.
    Other {
        /// 12 at least.
        kind: u8,
        /// All of the body.
        bytes: Vec<u8>,
    },
}

impl Body {
    /// Whether a later program says here what this one must not go without: it is to be updated.
    pub(super) fn needs_update(&self) -> bool {
        matches!(self, Body::Other { kind, .. } if kind & NEEDS_UPDATE != 0)
    }

    pub(super) fn kind(&self) -> u8 {
        match self {
            Body::Founded { .. } => 1,
            Body::Added(_) => 2,
            Body::Removed { .. } => 3,
            Body::Renamed { .. } => 4,
            Body::Chain { .. } => 5,
            Body::Transport(_) => 6,
            Body::Epoch { .. } => 9,
            Body::Shared { .. } => 10,
            Body::Vouched { .. } => 11,
            Body::Other { kind, .. } => *kind,
        }
    }

    pub(super) fn put(&self, w: &mut Writer) {
        match self {
            Body::Founded { card, commitment } => {
                card.put(w);
                w.raw(commitment);
            }
            Body::Added(joining) => joining.put(w),
            Body::Vouched { device, limits } => {
                w.raw(&device.0).varint(limits.len() as u64);
                for limit in limits {
                    w.raw(&limit.chain.0).u64(limit.last).raw(&limit.head);
                }
            }
            Body::Renamed { device, name } => {
                w.raw(&device.0);
                put_name(w, name);
            }
            Body::Chain { random } => {
                w.raw(random);
            }
            Body::Transport(proof) => proof.put(w),
            Body::Removed { device } => {
                w.raw(&device.0);
            }
            Body::Epoch {
                number,
                commitment,
                shares,
            } => {
                w.u32(*number).raw(commitment);
                put_shares(w, shares);
            }
            Body::Shared { epoch, shares } => {
                w.raw(&epoch.0);
                put_shares(w, shares);
            }
            Body::Other { bytes, .. } => {
                w.raw(bytes);
            }
        }
    }

    /// `r` holds all of the body, and nothing behind it.
    pub(super) fn get(kind: u8, r: &mut Reader<'_>) -> Result<Body, Malformed> {
        Ok(match kind {
            1 => Body::Founded {
                card: Card::get(r)?,
                commitment: r.array()?,
            },
            2 => Body::Added(Box::new(JoinRequest::get(r)?)),
            3 => Body::Removed {
                device: DeviceId(r.array()?),
            },
            4 => Body::Renamed {
                device: DeviceId(r.array()?),
                name: get_name(r)?,
            },
            5 => Body::Chain { random: r.array()? },
            6 => Body::Transport(TransportProof::get(r)?),
            7 | 8 => return Err(Malformed("a statement of a kind that is superseded")),
            9 => Body::Epoch {
                number: r.u32()?,
                commitment: r.array()?,
                shares: get_shares(r)?,
            },
            10 => Body::Shared {
                epoch: StatementId(r.array()?),
                shares: get_shares(r)?,
            },
            11 => Body::Vouched {
                device: DeviceId(r.array()?),
                limits: get_list(r, LIMITS_MAX, 56, get_limit, |limit: &Limit| limit.chain.0)?,
            },
            // A later program that knows the kind, and finds its body malformed or a proof in it wrong, takes it for one that it does
            // not know: else what stands on it would be here, and not there.
            FIRST_OTHER.. => Body::Other {
                kind,
                bytes: r.raw(r.remaining())?.to_vec(),
            },
            0 => return Err(Malformed("a statement of no kind")),
        })
    }
}

fn get_limit(r: &mut Reader<'_>) -> Result<Limit, Malformed> {
    Ok(Limit {
        chain: ChainId(r.array()?),
        last: r.u64()?,
        head: r.array()?,
    })
}

fn put_shares(w: &mut Writer, shares: &[Share]) {
    w.varint(shares.len() as u64);
    for share in shares {
        w.raw(&share.device.0).raw(&share.sealed[..]);
    }
}

fn get_shares(r: &mut Reader<'_>) -> Result<Vec<Share>, Malformed> {
    let share = |r: &mut Reader<'_>| {
        Ok(Share {
            device: DeviceId(r.array()?),
            sealed: Box::new(r.array()?),
        })
    };
    get_list(r, MEMBERS_MAX, 32 + SEALED, share, |share: &Share| share.device.0)
}

/// A list of at most so many, each of so many bytes, ascending by a key.
pub(super) fn get_list<T, K: Ord>(
    r: &mut Reader<'_>,
    most: usize,
    each: usize,
    one: impl Fn(&mut Reader<'_>) -> Result<T, Malformed>,
    key: impl Fn(&T) -> K,
) -> Result<Vec<T>, Malformed> {
    let count = r.varint()?;
    if count > most as u64 || count as usize * each > r.remaining() {
        return Err(Malformed("a list is longer than its kind allows"));
    }
    let list = (0..count).map(|_| one(r)).collect::<Result<Vec<T>, _>>()?;
    if list.windows(2).any(|pair| key(&pair[0]) >= key(&pair[1])) {
        return Err(Malformed("a list does not ascend"));
    }
    Ok(list)
}

const _: () =
    assert!(MEMBERS_MAX <= DEVICES_MAX && MEMBERS_MAX * (32 + SEALED) + 4096 <= super::STATEMENT_MAX);
const _: () = assert!(LIMITS_MAX * 56 + 4096 <= super::STATEMENT_MAX);
