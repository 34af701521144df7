//! One signed statement: its bytes, its id, and believing its signatures.
//!
//! ```text
//! version 0 (1) ‖ kind (1) ‖ space (16; zeros in Founded) ‖ author (32) ‖ Lamport time (8)
//! ‖ parents: how many (varint, at most 64), each 32, ascending ‖ body ‖ signature (64)
//! id = BLAKE3 of all before the signature
//! ```
//!
//! So far all kinds are alike, those of later programs too ([`Body::Other`]). Another version byte may change everything behind it:
//! that is said apart from what is malformed or forged.
//!
//! Guarantees: what is [`Verified`] was signed by its author, under a key that verifies everywhere alike, and so was every
//! proof in it. It says nothing about whether the author was ever a member.

use std::fmt;

use super::body::{Body, get_list};
use super::{PARENTS_MAX, STATEMENT_MAX};
use crate::codec::{Malformed, Reader, Writer};
use crate::ids::SpaceId;
use crate::keys::{SigningKey, VerifyingKey, labels};

const VERSION: u8 = 0;
const SIGNATURE: usize = 64;

macro_rules! name32 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; 32]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), &self.to_string()[..8])
            }
        }
    };
}

name32!(
    /// A device: its ed25519 public key.
    DeviceId
);
name32!(
    /// A statement: BLAKE3 of its signed bytes.
    StatementId
);

impl DeviceId {
    /// Of the device with this key.
    pub fn of(device: &SigningKey) -> DeviceId {
        DeviceId(*device.verifying().as_bytes())
    }

    /// The key, to check signatures with.
    ///
    /// # Errors
    /// [`NotVerified::Key`] if these bytes are none. Of a device in a [`State`](super::State), they are one.
    pub fn verifying(&self) -> Result<VerifyingKey, NotVerified> {
        VerifyingKey::from_bytes(&self.0).map_err(|_| NotVerified::Key)
    }
}

/// Why a statement is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotVerified {
    /// It has not the form of a statement.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A later program wrote it. Nothing is known of it, not even whether it was altered.
    #[error(
        "another device says something about the vault's devices in a form (version {0}) that this version of Coffer does not know; update Coffer on this device"
    )]
    Newer(u8),
    /// A public key in it is none.
    #[error("a statement about the vault's devices names a key that is none")]
    Key,
    /// The signature is not its author's.
    #[error(
        "a statement about the vault's devices was not signed by the device that it says it is from, or was altered"
    )]
    Signature,
    /// A device did not sign that it wants to be added.
    #[error("a device is said to have joined that did not sign so")]
    Possession,
    /// A transport key did not sign that it speaks for a device.
    #[error("a network key is said to be a device's that did not sign so")]
    Transport,
}

/// A statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Which space it is about; zeros in the one that founds it.
    pub space: SpaceId,
    /// Who says it.
    pub author: DeviceId,
    /// One more than the highest of its parents; 1 for the first.
    pub lamport: u64,
    /// The newest statements that its author knew, ascending.
    pub parents: Vec<StatementId>,
    /// What it says.
    pub body: Body,
    /// The author's, under [`labels::SIGN_MEMBER`].
    pub signature: [u8; SIGNATURE],
}

impl Statement {
    /// Says something. The signature that is in it counts for nothing.
    pub(super) fn signed(mut self, by: &SigningKey) -> Verified {
        let bytes = self.to_sign();
        self.signature = by.sign(labels::SIGN_MEMBER, &bytes);
        Verified {
            id: StatementId(*blake3::hash(&bytes).as_bytes()),
            statement: self,
        }
    }

    fn to_sign(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(VERSION).u8(self.body.kind()).raw(&self.space.0);
        w.raw(&self.author.0).u64(self.lamport);
        w.varint(self.parents.len() as u64);
        for parent in &self.parents {
            w.raw(&parent.0);
        }
        self.body.put(&mut w);
        w.0
    }

    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.to_sign();
        bytes.extend_from_slice(&self.signature);
        bytes
    }

    /// The inverse.
    ///
    /// # Errors
    /// [`NotVerified::Newer`] if its version is another one, [`NotVerified::Malformed`] for anything else but what
    /// [`encode`](Statement::encode) makes.
    pub fn decode(bytes: &[u8]) -> Result<Unverified, NotVerified> {
        match bytes.first() {
            Some(&VERSION) | None => Ok(Statement::decode_ours(bytes)?),
            Some(other) => Err(NotVerified::Newer(*other)),
        }
    }

    fn decode_ours(bytes: &[u8]) -> Result<Unverified, Malformed> {
        if bytes.len() > STATEMENT_MAX {
            return Err(Malformed("a statement is too long"));
        }
        let signed = bytes.len().checked_sub(SIGNATURE);
        let (signed, signature) = bytes.split_at(signed.ok_or(Malformed("it ends early"))?);
        let signature = Reader::new(signature).array()?;
        let mut r = Reader::new(signed);
        let (_version, kind) = (r.u8()?, r.u8()?);
        let (space, author, lamport) = (SpaceId(r.array()?), DeviceId(r.array()?), r.u64()?);
        let parent = |r: &mut Reader<'_>| Ok(StatementId(r.array()?));
        let parents = get_list(&mut r, PARENTS_MAX, 32, parent, |id: &StatementId| *id)?;
        let body = Body::get(kind, &mut r)?;
        r.end()?;
        let founds = matches!(body, Body::Founded { .. });
        if founds != parents.is_empty() || (founds && (lamport, space) != (1, SpaceId([0; 16]))) {
            return Err(Malformed(
                "a statement stands on others exactly if it does not found the space",
            ));
        }
        Ok(Unverified(Statement {
            space,
            author,
            lamport,
            parents,
            body,
            signature,
        }))
    }
}

/// A statement that nobody has checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unverified(Statement);

impl Unverified {
    /// What it says. Nothing of it is to be believed.
    pub fn statement(&self) -> &Statement {
        &self.0
    }

    /// Checks the signature, and every proof that it carries.
    ///
    /// # Errors
    /// What is wrong first.
    pub fn verify(self) -> Result<Verified, NotVerified> {
        let statement = self.0;
        let bytes = statement.to_sign();
        let author = statement.author;
        author
            .verifying()?
            .verify_strict(labels::SIGN_MEMBER, &bytes, &statement.signature)
            .map_err(|_| NotVerified::Signature)?;
        match &statement.body {
            Body::Founded { card, .. } => card.verify(author)?,
            Body::Added(joining) => joining.verify(statement.space, author)?,
            Body::Transport(proof) => proof.verify(author)?,
            _ => {}
        }
        Ok(Verified {
            id: StatementId(*blake3::hash(&bytes).as_bytes()),
            statement,
        })
    }
}

/// A statement whose signatures were checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    id: StatementId,
    statement: Statement,
}

impl Verified {
    /// Decodes and verifies.
    ///
    /// # Errors
    /// What is wrong first.
    pub fn decode(bytes: &[u8]) -> Result<Verified, NotVerified> {
        Statement::decode(bytes)?.verify()
    }

    /// Its name.
    pub fn id(&self) -> StatementId {
        self.id
    }

    /// What it says.
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// The space that it is about.
    pub fn space(&self) -> SpaceId {
        match self.statement.body {
            Body::Founded { .. } => {
                let mut space = [0; 16];
                space.copy_from_slice(&self.id.0[..16]);
                SpaceId(space)
            }
            _ => self.statement.space,
        }
    }
}
