//! The invitations that are open, and the conversations that go on. They are kept in memory only: when the program ends, all are closed.
//!
//! Guarantees: a ticket works once; it ends by time or by its first use. A proof is tried with as many secrets as there can be open tickets, always:
//! how many are open, and which one it was of, shows in no time that an answer takes. Conversations are bounded, at once and in a minute.

use std::collections::VecDeque;
use std::sync::Arc;

use coffer_store::keys::Key;

use super::ticket::Ticket;
use super::{TALKS_A_MINUTE, TALKS_MAX, TICKETS_MAX};

struct Open {
    secret: Key,
    /// What tells the ticket from others: its topic. Compared in constant time.
    mark: blake3::Hash,
    expires: u64,
}

/// Invitations that are open.
pub struct Tickets {
    open: Vec<Open>,
    /// Stands in for tickets that are not open.
    nobodys: Key,
    /// Each conversation that goes on holds one more of it.
    talks: Arc<()>,
    /// When the latest conversations began.
    began: VecDeque<u64>,
}

/// A conversation's turn: given back when it is dropped.
#[derive(Debug)]
pub struct Turn {
    _held: Arc<()>,
}

/// There are as many open invitations as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{TICKETS_MAX} invitations are open already; wait until one is used or has expired")]
pub struct TooManyTickets;

/// There are, or were in the last minute, as many conversations as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many devices try to pair with this one at once; wait a minute, then try again")]
pub struct TooManyTalks;

impl Default for Tickets {
    fn default() -> Tickets {
        Tickets::new()
    }
}

fn mark(ticket: &Ticket) -> blake3::Hash {
    blake3::Hash::from_bytes(ticket.topic())
}

impl Tickets {
    /// None yet.
    pub fn new() -> Tickets {
        Tickets {
            open: Vec::new(),
            nobodys: Key::random(),
            talks: Arc::new(()),
            began: VecDeque::new(),
        }
    }

    /// Opens an invitation. One without an end is over at once: it would be open for ever. One that is open already stays as it is.
    ///
    /// # Errors
    /// [`TooManyTickets`].
    pub fn open(&mut self, now: u64, ticket: &Ticket) -> Result<(), TooManyTickets> {
        let life = ticket.expires.unwrap_or(0).saturating_sub(now);
        self.open_for(now, ticket, life)
    }

    /// The same, for so many seconds from now, whatever end the ticket shows to a person: `now` is then, here as elsewhere, of a clock that nobody sets back.
    ///
    /// # Errors
    /// [`TooManyTickets`].
    pub fn open_for(&mut self, now: u64, ticket: &Ticket, seconds: u64) -> Result<(), TooManyTickets> {
        self.expire(now);
        let mark = mark(ticket);
        if self.open.iter().any(|open| open.mark == mark) {
            return Ok(());
        }
        if self.open.len() >= TICKETS_MAX {
            return Err(TooManyTickets);
        }
        self.open.push(Open {
            secret: ticket.secret.duplicate(),
            mark,
            expires: now.saturating_add(seconds),
        });
        Ok(())
    }

    /// Closes an invitation before its time.
    pub fn close(&mut self, ticket: &Ticket) {
        let mark = mark(ticket);
        self.open.retain(|open| open.mark != mark);
    }

    /// Closes what has expired by now.
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

    /// A turn to talk, to be asked for before [`Inviting::begin`](super::Inviting::begin), which keeps it until the conversation has ended: at most
    /// [`TALKS_MAX`] at once, and [`TALKS_A_MINUTE`]. A secret of 128 bits needs no count of wrong guesses; this bounds what they cost.
    ///
    /// # Errors
    /// [`TooManyTalks`]: whoever knocks is not to be answered.
    pub fn turn(&mut self, now: u64) -> Result<Turn, TooManyTalks> {
        // What began in the future began before the clock was set back.
        self.began
            .retain(|began| now.checked_sub(*began).is_some_and(|ago| ago < 60));
        if Arc::strong_count(&self.talks) > TALKS_MAX || self.began.len() >= TALKS_A_MINUTE {
            return Err(TooManyTalks);
        }
        self.began.push_back(now);
        Ok(Turn {
            _held: Arc::clone(&self.talks),
        })
    }

    /// Tries a proof against each open ticket. `check` says whether it holds under a secret, and makes something of it if it does; it is
    /// called as often in any case. The ticket whose proof held is closed.
    pub(super) fn prove<T>(&mut self, now: u64, mut check: impl FnMut(&Key) -> Option<T>) -> Option<T> {
        self.expire(now);
        let mut held = None;
        for n in 0..TICKETS_MAX {
            let secret = self.open.get(n).map_or(&self.nobodys, |open| &open.secret);
            let made = check(secret);
            if n < self.open.len() {
                held = held.or(made.map(|made| (n, made)));
            }
        }
        let (n, made) = held?;
        self.open.swap_remove(n);
        Some(made)
    }
}
