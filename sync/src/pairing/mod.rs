//! Pairing: how a new device becomes a member, over a stream to one that is.
//!
//! A [`Ticket`] carries a secret of 128 bits from one machine to the other, by a person's eyes. [`Inviting`] and [`Joining`] are the two
//! ends of the conversation; [`Tickets`] is what the inviting device remembers of its open invitations. `docs/members.md` has the
//! messages byte by byte, and what each of them proves.
//!
//! ```text
//! joiner                                    inviter
//! 1 version, nonce, ephemeral key  ───────▶
//!                                  ◀───────  2 version, nonce, ephemeral key
//! 3 proof of the secret            ───────▶  the ticket is used up, or “no”
//!                                  ◀───────  4 proof of the secret; sealed: space, device, signature
//! 5 sealed: request, signature     ───────▶  adds the device, durably
//!                                  ◀───────  6 sealed, many: statements, end
//! 7 sealed: stored                 ───────▶
//! ```
//!
//! Guarantees: nothing is told to who has no open ticket but “no”, in the same way and time whatever is wrong; the proofs are bound to
//! both transport keys, both ephemeral keys, both nonces and every byte before; each message has a bound, compared before room is
//! made. No I/O, clock or randomness but what is given in.

mod book;
mod error;
mod inviting;
mod joining;
mod qr;
mod session;
mod spelling;
mod ticket;
mod wire;

#[cfg(test)]
mod tests;

pub use book::{Tickets, TooManyTalks, TooManyTickets, Turn};
pub use error::PairError;
pub use inviting::{InviterStep, Inviting};
pub use joining::{Joined, JoinerStep, Joining};
pub use qr::{TooLongForQr, qr};
pub use session::Seeds;
pub use spelling::TicketError;
pub use ticket::{BadHints, Ticket};

/// How long a ticket is good, unless it is said otherwise, in seconds.
pub const TICKET_SECONDS: u64 = 15 * 60;
/// How many invitations are open at most.
pub const TICKETS_MAX: usize = 16;
/// How many devices talk with an inviter at once.
pub const TALKS_MAX: usize = 4;
/// How many begin to in a minute.
pub const TALKS_A_MINUTE: usize = 30;
/// How long the other side may take to prove that it has the ticket, in seconds.
pub const PROOF_SECONDS: u64 = 30;
/// How long all of a pairing may take, in seconds.
pub const PAIRING_SECONDS: u64 = 15 * 60;
