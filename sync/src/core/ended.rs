//! Why sessions end: one sentence for a person each, and what the other side is told.

use super::wire::{EmptyFrame, Goodbye};

/// Why a session ended; each is a sentence for a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// The stream ended.
    #[error("the connection was lost")]
    Lost,
    /// The other side left.
    #[error("the other device ended the connection: {}", reason(.0))]
    Left(Goodbye),
    /// Asked to.
    #[error("the connection was ended here")]
    Asked,
    /// Nothing was heard for too long.
    #[error("the other device has not answered for a minute and a half")]
    Silent,
    /// No first message.
    #[error("the other device did not say which protocol it speaks")]
    NoHello,
    /// Not a message.
    #[error(
        "the other device sent what is no message of this protocol ({0}); it may run another version of Coffer"
    )]
    Malformed(#[from] coffer_store::Malformed),
    /// No length.
    #[error(
        "the other device sent what is no message of this protocol ({0}); it may run another version of Coffer"
    )]
    Empty(#[from] EmptyFrame),
    /// No version in common.
    #[error(
        "the other device speaks versions {0} to {1} of the protocol, and this one does not: update the older of the two"
    )]
    Versions(u16, u16),
    /// Another space.
    #[error("the other device belongs to another vault")]
    Space,
    /// A message that has no place there.
    #[error("the other device broke the protocol: {0}")]
    Order(&'static str),
    /// More than there was credit for.
    #[error("the other device sent more than it was allowed to")]
    Overrun,
    /// More than the bounds of the protocol allow.
    #[error("the other device asked for too much: {0}")]
    TooMany(&'static str),
    /// It asks and does not read.
    #[error("the other device asks without reading the answers")]
    Flood,
    /// Objects that nobody asked for.
    #[error("the other device sends what it was not asked for")]
    Unasked,
    /// Not what was signed.
    #[error("the other device sent what was altered after it was signed: {0}")]
    Forged(String),
    /// Not a member any more.
    #[error("the other device was removed from this vault")]
    Removed,
    /// A newer connection with the same peer.
    #[error("a newer connection with the same device took its place")]
    Replaced,
}

fn reason(goodbye: &Goodbye) -> &'static str {
    match goodbye {
        Goodbye::Done => "it is done",
        Goodbye::Protocol => "it found that this one broke the protocol",
        Goodbye::Version => "it speaks other versions of the protocol",
        Goodbye::Space => "it belongs to another vault",
        Goodbye::Removed => {
            "it holds this one to be removed from the vault; if that is as it should be, pair it again"
        }
        Goodbye::Replaced => "a newer connection took its place",
        Goodbye::Forged => "it found that what this one sent was altered after it was signed",
    }
}

impl Ended {
    /// What the other side is told; nothing if it is not there.
    pub(crate) fn goodbye(&self) -> Option<Goodbye> {
        Some(match self {
            Ended::Lost | Ended::Left(_) | Ended::Silent => return None,
            Ended::Asked => Goodbye::Done,
            Ended::Versions(..) => Goodbye::Version,
            Ended::Space => Goodbye::Space,
            Ended::Forged(_) => Goodbye::Forged,
            Ended::Removed => Goodbye::Removed,
            Ended::Replaced => Goodbye::Replaced,
            _ => Goodbye::Protocol,
        })
    }
}
