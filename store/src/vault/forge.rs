//! What a member gone bad could sign: batches that are in order, whatever their events say. For tests; the program never calls it.

use super::{Carried, OpError, Vault};
use crate::chunk::pack::Place;
use crate::event::{
    self, BatchHeader, BatchRow, BatchWriter, Digest, Event, EventKind, EventRef, Head, content_aad,
};
use crate::ids::{ChainId, Ino, SpaceId};
use crate::keys::{SigningKey, WRAPPED, labels, seal};

/// What an event says: what it replaces, its Lamport time, its payload.
pub(crate) type Says = (Vec<EventRef>, u64, Vec<u8>);

/// An event of any kind: its kind and subject; what it replaces, its Lamport time, its payload, sealed.
pub(crate) type Raw = ((EventKind, [u8; 16]), Says);

/// Where a batch stands: its space, its epoch, its chain, the chain's last event before it, and who signs.
pub(crate) struct Stands<'a> {
    pub(crate) space: SpaceId,
    pub(crate) epoch: u32,
    pub(crate) chain: ChainId,
    pub(crate) last: (u64, [u8; 32]),
    pub(crate) signing: &'a SigningKey,
}

/// A batch of events of any kind; those of such as bring a key bring an odd one.
pub(crate) fn batch(stands: &Stands<'_>, says: &[Raw]) -> Carried {
    let (chain, (before, prev)) = (stands.chain, stands.last);
    let mut batch = BatchWriter::new(BatchHeader {
        space: stands.space,
        chain,
        first: before + 1,
        prev,
        ahead: says
            .first()
            .map_or(0, |(_, (_, lamport, _))| lamport.wrapping_sub(before + 1)),
    });
    for (n, ((kind, subject), (replaces, lamport, sealed))) in says.iter().enumerate() {
        let wrapped = kind.has_key().then_some([9; WRAPPED]);
        let head = Head {
            kind: *kind,
            space: stands.space,
            at: EventRef {
                chain,
                seq: before + 1 + n as u64,
            },
            lamport: *lamport,
            prev: batch.head(),
            subject: *subject,
            generation: stands.epoch,
            replaces: replaces.clone(),
            sealed: Digest::of(sealed),
            wrapped: wrapped.as_ref().map(|wrapped| event::hash(wrapped)),
        };
        batch.push(&Event {
            head,
            wrapped,
            sealed: Some(sealed.clone()),
        });
    }
    let last = before + says.len() as u64;
    let signed = BatchRow::signed(chain, last, &batch.head());
    let row = BatchRow {
        place: Place {
            pack: 1,
            offset: 0,
            len: batch.bytes().len() as u32,
        },
        chain,
        first: before + 1,
        count: says.len() as u32,
        head: batch.head(),
        signature: stands.signing.sign(labels::SIGN_HEAD, &signed),
        holes: Vec::new(),
    };
    let bytes = batch.bytes().to_vec();
    Carried { row, bytes }
}

impl Vault {
    /// A batch of this device's, on this chain and behind this event, that says these versions of a file, sealed as they would be.
    pub(crate) fn forged(
        &self,
        (chain, last): (ChainId, (u64, [u8; 32])),
        ino: Ino,
        says: &[Says],
    ) -> Result<Carried, OpError> {
        let entity = self.entity(ino)?;
        let key = self
            .key_of(entity)?
            .ok_or(OpError::from(crate::tree::TreeError::NotFound))?;
        let (secrets, keyring) = (self.secrets(), self.core.keyring());
        let (key, epoch) = (keyring.present().content(&key), keyring.present().tag());
        let sealed = |(n, (replaces, lamport, plain)): (usize, &Says)| {
            let seq = last.0 + 1 + n as u64;
            let aad = content_aad(&entity, EventRef { chain, seq }, epoch);
            let says = (replaces.clone(), *lamport, seal(&key, &aad, plain));
            ((EventKind::Version, entity.0), says)
        };
        let all: Vec<Raw> = says.iter().enumerate().map(sealed).collect();
        let stands = Stands {
            space: secrets.space,
            epoch,
            chain,
            last,
            signing: &secrets.signing,
        };
        Ok(batch(&stands, &all))
    }
}
