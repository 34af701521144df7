//! Batches of events: chained as they come, signed at the end, and stored.

use super::{Publishing, ToldNow};
use crate::codec::Writer;
use crate::content::delete_log;
use crate::core::StoreError;
use crate::db::{Batch, Table};
use crate::event::{BatchRow, Digest, Event, EventKind, EventRef, Head, hash};
use crate::keys::labels;
use crate::record::kind;
use crate::vault::secrets::Counters;

/// A batch's bytes, about, at most: a record of a pack.
const BATCH_MAX: usize = 4 << 20;

/// A batch that is being made.
pub(super) struct Growing {
    pub(super) no: u64,
    pub(super) first: u64,
    pub(super) count: u32,
    pub(super) prev: [u8; 32],
    pub(super) head: [u8; 32],
    pub(super) bytes: Vec<u8>,
}

impl Growing {
    pub(super) fn new(no: u64, first: u64, prev: [u8; 32]) -> Growing {
        Growing {
            no,
            first,
            count: 0,
            prev,
            head: prev,
            bytes: Vec::new(),
        }
    }
}

/// What is particular about an event.
pub(super) struct Draft {
    pub(super) replaces: Vec<EventRef>,
    pub(super) wrapped: Option<[u8; crate::keys::WRAPPED]>,
    pub(super) sealed: Vec<u8>,
}

impl Publishing<'_> {
    /// The place of the event that is pushed next.
    pub(super) fn next(&self) -> EventRef {
        EventRef {
            chain: self.vault.secrets.chain(),
            seq: self.seq + 1,
        }
    }

    /// Appends an event; returns its batch, and where in it its sealed payload begins.
    pub(super) fn push(&mut self, kind: EventKind, subject: [u8; 16], event: Draft) -> (u64, u32) {
        let secrets = &self.vault.secrets;
        let at = self.next();
        self.seq = at.seq;
        self.lamport += 1;
        let head = Head {
            kind,
            space: secrets.space,
            at,
            lamport: self.lamport,
            prev: self.head,
            subject,
            generation: secrets.epoch,
            replaces: event.replaces,
            sealed: Digest::of(&event.sealed),
            wrapped: event.wrapped.as_ref().map(|wrapped| hash(wrapped)),
        };
        let (head_bytes, len) = (head.encode(), event.sealed.len());
        let its_hash = hash(&head_bytes);
        let event = Event {
            head,
            wrapped: event.wrapped,
            sealed: Some(event.sealed),
        };
        let bytes = event.encode_after(head_bytes);
        let full = self
            .batches
            .last()
            .is_none_or(|b| b.bytes.len() + bytes.len() > BATCH_MAX);
        if full {
            let no = self.batches.last().map_or(0, |b| b.no + 1);
            self.batches.push(Growing::new(no, self.seq, self.head));
        }
        self.head = its_hash;
        self.told.count += 1;
        let batch = self
            .batches
            .last_mut()
            .expect("one is there: it was made with the first or just now");
        let mut w = Writer(std::mem::take(&mut batch.bytes));
        w.bytes(&bytes);
        batch.bytes = w.0;
        batch.count += 1;
        batch.head = self.head;
        (batch.no, (batch.bytes.len() - len) as u32)
    }

    /// Stores and signs the batch.
    pub(in crate::vault) fn finish(
        self,
        counters: &mut Counters,
        batch: &mut Batch,
    ) -> Result<ToldNow, StoreError> {
        if self.told.count == 0 {
            return Ok(self.told);
        }
        self.versions.put(batch)?;
        for (ino, durable) in &self.stale {
            delete_log(batch, *ino, durable);
        }
        let secrets = &self.vault.secrets;
        for (id, lamport) in &self.stamps {
            self.vault.put_stamp(batch, id, (*lamport, secrets.chain()));
        }
        for grown in self.batches.iter().filter(|b| b.count > 0) {
            let place = self
                .vault
                .core
                .packs
                .append(kind::BATCH, &grown.head, &grown.bytes)?;
            let last = grown.first + u64::from(grown.count) - 1;
            let signed = BatchRow::signed(secrets.chain(), last, &grown.head);
            let row = BatchRow {
                place,
                chain: secrets.chain(),
                first: grown.first,
                count: grown.count,
                prev: grown.prev,
                head: grown.head,
                signature: secrets.signing.sign(labels::SIGN_HEAD, &signed),
                holes: Vec::new(),
            };
            batch.put(Table::Batches, grown.no.to_be_bytes(), row.encode());
            counters.next_batch = grown.no + 1;
        }
        counters.seq = self.seq;
        counters.lamport = self.lamport;
        counters.head = self.head;
        Ok(self.told)
    }
}
