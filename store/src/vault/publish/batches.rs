//! Batches of events: chained as they come, signed at the end, and stored.
//!
//! Guarantees: what is signed was read once more before, as others will read it.

use super::{Publishing, ToldNow};
use crate::chunk::Place;
use crate::codec::Malformed;
use crate::content::delete_log;
use crate::core::StoreError;
use crate::db::{Batch, Table};
use crate::event::{
    BatchHeader, BatchRow, BatchWriter, Digest, Event, EventKind, EventRef, Head, Unverified, VerifyError,
    hash,
};
use crate::keys::labels;
use crate::record::kind;
use crate::vault::secrets::{Counters, Secrets};

/// A batch's bytes, about, at most: a record of a pack.
const BATCH_MAX: usize = 4 << 20;

/// A batch that is being made, and its number.
pub(super) struct Growing {
    pub(super) no: u64,
    pub(super) batch: BatchWriter,
}

impl Growing {
    /// The batch `no`, of this device, whose first event has this number and Lamport time and follows
    /// this head.
    pub(super) fn new(secrets: &Secrets, no: u64, (first, lamport): (u64, u64), prev: [u8; 32]) -> Growing {
        let batch = BatchWriter::new(BatchHeader {
            space: secrets.space,
            chain: secrets.chain(),
            first,
            prev,
            ahead: lamport.wrapping_sub(first),
        });
        Growing { no, batch }
    }
}

/// What is particular about an event.
pub(super) struct Draft {
    pub(super) replaces: Vec<EventRef>,
    pub(super) wrapped: Option<[u8; crate::keys::WRAPPED]>,
    pub(super) sealed: Vec<u8>,
}

/// What this device made cannot be read by others, nor by itself.
fn unreadable(why: VerifyError) -> StoreError {
    let why = match why {
        VerifyError::Malformed(why) => why,
        _ => Malformed("it is not what was to be told"),
    };
    StoreError::malformed("what this device was about to tell others")(why)
}

impl Publishing<'_> {
    /// The place of the event that is pushed next.
    pub(super) fn next(&self) -> EventRef {
        EventRef {
            chain: self.secrets.chain(),
            seq: self.seq + 1,
        }
    }

    /// Appends an event; returns its batch, and where in it its sealed payload begins.
    pub(super) fn push(&mut self, kind: EventKind, subject: [u8; 16], event: Draft) -> (u64, u32) {
        let at = self.next();
        self.seq = at.seq;
        self.lamport += 1;
        let head = Head {
            kind,
            space: self.secrets.space,
            at,
            lamport: self.lamport,
            prev: self.head,
            subject,
            generation: self.generation(),
            replaces: event.replaces,
            sealed: Digest::of(&event.sealed),
            wrapped: event.wrapped.as_ref().map(|wrapped| hash(wrapped)),
        };
        let event = Event {
            head,
            wrapped: event.wrapped,
            sealed: Some(event.sealed),
        };
        let full = |b: &Growing| b.batch.bytes().len() + event.head.sealed.len as usize > BATCH_MAX;
        if self.batches.last().is_none_or(full) {
            let no = self.batches.last().map_or(0, |b| b.no + 1);
            self.batches.push(Growing::new(
                &self.secrets,
                no,
                (self.seq, self.lamport),
                event.head.prev,
            ));
        }
        self.told.count += 1;
        let grown = self
            .batches
            .last_mut()
            .expect("one is there: it was made with the first or just now");
        let sealed_at = grown.batch.push(&event);
        self.head = grown.batch.head();
        (grown.no, sealed_at)
    }

    /// Stores and signs the batch.
    pub(in crate::vault) fn finish(
        mut self,
        counters: &mut Counters,
        batch: &mut Batch,
    ) -> Result<ToldNow, StoreError> {
        if self.told.count == 0 {
            return Ok(self.told);
        }
        for op in &self.ops {
            self.vault.put_op(batch, op);
        }
        self.vault.put_gaps(batch, &self.ops, &[])?;
        self.told.ops = std::mem::take(&mut self.ops);
        self.versions.put(batch)?;
        for (ino, durable) in &self.stale {
            delete_log(batch, *ino, durable);
        }
        let secrets = self.secrets.clone();
        for (id, lamport) in &self.stamps {
            self.vault.put_stamp(batch, id, (*lamport, secrets.chain()));
        }
        for Growing { no, batch: grown } in self.batches.iter().filter(|b| b.batch.count() > 0) {
            let (header, head) = (grown.header(), grown.head());
            let packs = &self.vault.core.packs;
            let mut row = BatchRow {
                place: Place {
                    pack: 1,
                    offset: 0,
                    len: 0,
                },
                chain: header.chain,
                first: header.first,
                count: grown.count(),
                head,
                signature: [0; 64],
                holes: Vec::new(),
            };
            // What nobody can read would end this device's chain for all others: it is never signed.
            let (own, bytes) = (&row, grown.bytes());
            Unverified { row: own, bytes }.chained().map_err(unreadable)?;
            row.place = packs.append(kind::BATCH, &head, grown.bytes())?;
            let last = header.first + u64::from(grown.count()) - 1;
            let signed = BatchRow::signed(header.chain, last, &head);
            row.signature = secrets.signing.sign(labels::SIGN_HEAD, &signed);
            batch.put(Table::Batches, no.to_be_bytes(), row.encode());
            counters.next_batch = no + 1;
        }
        counters.seq = self.seq;
        counters.lamport = self.lamport;
        counters.head = self.head;
        Ok(self.told)
    }
}
