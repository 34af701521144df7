//! The invitations that are open. They are kept in memory only: when the program ends, all are closed.
//!
//! Guarantees: a ticket works once; it ends by time, by its first use, or by five failed proofs. Whether a tag is of an open ticket shows in
//! no time that an answer takes: the same is computed for a secret that nobody has.

use coffer_store::keys::Key;

use super::ticket::Ticket;
use super::{FAILURES_MAX, TICKETS_MAX};

struct Open {
    secret: Key,
    // Compared in constant time.
    tag: blake3::Hash,
    expires: u64,
    failures: u8,
}

/// Invitations that are open.
pub struct Tickets {
    open: Vec<Open>,
    nobodys: Key,
}

/// There are as many open invitations as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{TICKETS_MAX} invitations are open already; wait until one is used or has expired")]
pub struct TooManyTickets;

impl Default for Tickets {
    fn default() -> Tickets {
        Tickets::new()
    }
}

impl Tickets {
    /// None yet.
    pub fn new() -> Tickets {
        Tickets {
            open: Vec::new(),
            nobodys: Key::random(),
        }
    }

    /// Opens an invitation. One without an end is over at once: it would be open for ever.
    ///
    /// # Errors
    /// [`TooManyTickets`].
    pub fn open(&mut self, now: u64, ticket: &Ticket) -> Result<(), TooManyTickets> {
        self.expire(now);
        if self.open.len() >= TICKETS_MAX {
            return Err(TooManyTickets);
        }
        self.open.push(Open {
            secret: ticket.secret.duplicate(),
            tag: blake3::Hash::from_bytes(ticket.tag()),
            expires: ticket.expires.unwrap_or(0),
            failures: 0,
        });
        Ok(())
    }

    /// Closes an invitation before its time.
    pub fn close(&mut self, ticket: &Ticket) {
        let tag = blake3::Hash::from_bytes(ticket.tag());
        self.open.retain(|open| open.tag != tag);
    }

    /// Closes what has expired by now (seconds since 1970).
    pub fn expire(&mut self, now: u64) {
        self.open.retain(|open| open.expires > now);
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether none is open: then nobody who knocks need be heard.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Tries a proof against the ticket of this tag. `check` says whether it holds under a secret, and makes something of it if it does; it
    /// is called once in any case. A ticket whose proof held is closed.
    pub(super) fn prove<T>(
        &mut self,
        now: u64,
        tag: &[u8; 32],
        check: impl FnOnce(&Key) -> Option<T>,
    ) -> Option<T> {
        self.expire(now);
        let tag = blake3::Hash::from_bytes(*tag);
        let mut found = None;
        for (n, open) in self.open.iter().enumerate() {
            if open.tag == tag {
                found = Some(n);
            }
        }
        let secret = found.map_or(&self.nobodys, |n| &self.open[n].secret);
        let held = check(secret);
        let n = found?;
        if held.is_none() {
            self.open[n].failures += 1;
        }
        if held.is_some() || self.open[n].failures >= FAILURES_MAX {
            self.open.swap_remove(n);
        }
        held
    }
}
