//! What can go wrong, as sentences for people.

use crate::pairing::{BadHints, PairError, TooManyTickets};

/// Why the network could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address that is none.
    #[error(
        "“{0}” is no address; write it like /ip4/192.168.1.2/tcp/4001 or /dns4/host.example/udp/4001/quic-v1"
    )]
    Address(String),
    /// A relay that does not say who it is.
    #[error(
        "“{0}” is no relay's address; it ends in /p2p/ and the relay's id, as coffer-relay says when it starts"
    )]
    Relay(String),
    /// It cannot listen there.
    #[error("this device cannot listen on {0}: {1}; choose another address, or end what uses it")]
    Listen(String, String),
    /// The vault's keys.
    #[error("this device's transport key is damaged; pair it again")]
    Key,
    /// The vault.
    #[error("the vault cannot be read for syncing: {0}")]
    Replica(String),
    /// The system.
    #[error("the network could not be set up: {0}")]
    System(String),
}

/// Why no invitation was made.
#[derive(Debug, thiserror::Error)]
pub enum InviteError {
    /// The service has ended.
    #[error("syncing has ended; start it again, then invite")]
    Ended,
    /// There are too many.
    #[error(transparent)]
    TooMany(#[from] TooManyTickets),
    /// The keys are not all here.
    #[error(transparent)]
    NotReady(PairError),
    /// Addresses that do not fit.
    #[error(transparent)]
    Hints(#[from] BadHints),
}

/// Why a device did not join.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The network could not be set up.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Nobody was found.
    #[error(
        "the device that made this ticket was not found; see that it is unlocked and in the same network, or use the whole ticket in place of the words"
    )]
    NotFound,
    /// It was found, and could not be reached.
    #[error("the device that made this ticket could not be reached: {0}")]
    NotReached(String),
    /// The conversation ended.
    #[error(transparent)]
    Pairing(#[from] PairError),
    /// The connection broke.
    #[error("the connection to the other device was lost while joining; try again with a new ticket")]
    Lost,
    /// The keys, or what was given, could not be kept.
    #[error("what a member needs could not be kept on this device: {0}")]
    Keep(String),
    /// It took too long.
    #[error("joining took too long; try again with a new ticket")]
    TooLate,
    /// It went wrong after this device had asked to be added.
    #[error(
        "{0}; if the other device lists this one as one of which nothing was heard, remove it there, and join with a new ticket"
    )]
    Half(Box<JoinError>),
}
