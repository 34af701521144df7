//! A ticket: the secret that one person carries from one of her machines to the other, and where the inviter may be found.
//!
//! It is a secret: it has no `Debug`, and is wiped when dropped. How it is written stands in [`spelling`](super::spelling).

use coffer_store::keys::{Key, derive, labels};
use zeroize::Zeroize;

use super::TICKET_SECONDS;

/// Bytes of the secret: 128 bits, so that it can neither be guessed online, nor found offline from a
/// recorded proof; no PAKE is needed, which would be for secrets that a person thinks up.
pub(super) const SECRET: usize = 16;
/// The longest peer id, in bytes.
pub(super) const PEER_MAX: usize = 64;
/// How many addresses a ticket has at most.
pub(super) const ADDRESSES_MAX: usize = 8;
/// The longest address, in bytes.
pub(super) const ADDRESS_MAX: usize = 128;

/// An invitation.
pub struct Ticket {
    /// The secret, followed by 16 zeros.
    pub(super) secret: Key,
    /// When it ends, in seconds since 1970 by the inviter's clock. Words do not say.
    pub(super) expires: Option<u64>,
    pub(super) peer: Vec<u8>,
    pub(super) addresses: Vec<String>,
}

/// There are more hints than a ticket has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a ticket holds at most {ADDRESSES_MAX} addresses of {ADDRESS_MAX} bytes, and a peer id of {PEER_MAX}"
)]
pub struct BadHints;

impl Ticket {
    /// A new one, good for [`TICKET_SECONDS`] from now (seconds since 1970).
    pub fn new(now: u64) -> Ticket {
        let mut secret = coffer_store::keys::random_bytes::<SECRET>();
        let mut ticket = Ticket::of(&secret);
        secret.zeroize();
        ticket.expires = Some(now.saturating_add(TICKET_SECONDS));
        ticket
    }

    /// One whose secret alone is known.
    pub(super) fn of(secret: &[u8; SECRET]) -> Ticket {
        let mut padded = [0; 32];
        padded[..SECRET].copy_from_slice(secret);
        Ticket {
            secret: Key::take(&mut padded),
            expires: None,
            peer: Vec::new(),
            addresses: Vec::new(),
        }
    }

    /// The same, ending at another time (seconds since 1970).
    pub fn ending(mut self, expires: u64) -> Ticket {
        self.expires = Some(expires);
        self
    }

    /// The same, saying where the inviter may be found: its libp2p peer id, and its addresses as multiaddrs.
    ///
    /// # Errors
    /// [`BadHints`] if there are too many, or one is too long or empty.
    pub fn hinting(mut self, peer: Vec<u8>, addresses: Vec<String>) -> Result<Ticket, BadHints> {
        let fits = |address: &String| (1..=ADDRESS_MAX).contains(&address.len());
        if peer.len() > PEER_MAX || addresses.len() > ADDRESSES_MAX || !addresses.iter().all(fits) {
            return Err(BadHints);
        }
        (self.peer, self.addresses) = (peer, addresses);
        Ok(self)
    }

    /// When it ends, in seconds since 1970 by the inviter's clock, which alone decides; none if it was read from words.
    pub fn expires(&self) -> Option<u64> {
        self.expires
    }

    /// The inviter's libp2p peer id, in bytes; empty if it does not say.
    pub fn peer(&self) -> &[u8] {
        &self.peer
    }

    /// The inviter's addresses, as multiaddrs.
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// Where inviter and joiner meet if the ticket says no address: a topic that says nothing to who has not the secret.
    pub fn topic(&self) -> [u8; 32] {
        *derive(&self.secret, labels::PAIR_TOPIC, &[]).expose()
    }
}
