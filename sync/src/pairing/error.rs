//! Why a pairing ended.

use coffer_store::Malformed;
use coffer_store::members::NotVerified;

/// Why a pairing ended without a new device. Says nothing secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PairError {
    /// The inviter said no, which is all that it ever says.
    #[error(
        "the other device does not take this ticket: it was mistyped, is used up, or has expired; ask it for a new one"
    )]
    Refused,
    /// Who called has no open ticket.
    #[error("a device tried to pair without a good ticket")]
    NoTicket,
    /// Whoever answered does not know the ticket.
    #[error("whoever answered does not know this ticket; it is not the device that made it")]
    NotTheInviter,
    /// What came was altered on its way, or is no message of this conversation.
    #[error("what the other device sent is not what a pairing takes: {0}")]
    Malformed(#[from] Malformed),
    /// The other side speaks a later version than this program knows. The ticket is not used up.
    #[error(
        "the other device runs a newer version of coffer: update coffer on this device, then try again; the ticket is as good as before"
    )]
    Newer,
    /// Another device has said what this program cannot read.
    #[error(
        "this vault holds what only a newer version of coffer reads: update coffer on this device, then join by a new ticket"
    )]
    NewerVault,
    /// It took too long.
    #[error("the other device has not answered in time; try again with a new ticket")]
    TooLate,
    /// A device did not prove that it is the one that it says it is.
    #[error("the other device did not prove its identity: {0}")]
    Identity(#[from] NotVerified),
    /// What the inviter gave does not make this device a member with the present epoch's keys.
    #[error("the other device has not given all that a member needs; try again with a new ticket")]
    Incomplete,
    /// The inviter itself has not the secrets of the present epoch, or has not added the device and given it these.
    #[error(
        "this device waits for keys from the vault's other devices itself; let it sync first, then invite again"
    )]
    NotReady,
    /// The device that was being added could not keep what it was given.
    #[error("the device that was being added could not keep what it was given")]
    GaveUp,
    /// It had ended before.
    #[error("this pairing has ended")]
    Ended,
}
