//! What a device says of itself when it joins: its keys, its name, and the proof that it wants to.

use std::fmt;

use super::sealing::SealingKey;
use super::statement::{DeviceId, NotVerified};
use crate::codec::{Malformed, Reader, Writer};
use crate::ids::SpaceId;
use crate::keys::{SigningKey, VerifyingKey, labels};

/// The longest name, in characters.
const NAME_MAX: usize = 64;

/// A device's name: 1 to 64 characters, none of which controls how text is shown.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct DeviceName(String);

/// A text is no name for a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a device's name has 1 to 64 characters, no space at its ends, and none that controls how text is shown"
)]
pub struct BadName;

impl DeviceName {
    /// Checks and takes a name.
    ///
    /// # Errors
    /// [`BadName`].
    pub fn new(name: &str) -> Result<DeviceName, BadName> {
        let count = name.chars().take(NAME_MAX + 1).count();
        let good = (1..=NAME_MAX).contains(&count)
            && !name.starts_with(' ')
            && !name.ends_with(' ')
            && !name.chars().any(controls);
        good.then(|| DeviceName(name.to_owned())).ok_or(BadName)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Control characters, line ends, and what turns the direction of text: with these, one device's line in a list
/// could be made to look like another's. Joiners stay: names in Persian and emoji are made with them. Named one by one,
/// since a statement is valid by this: no table of a library's may change it.
fn controls(c: char) -> bool {
    matches!(c, '\u{0000}'..='\u{001f}' | '\u{007f}'..='\u{009f}' | '\u{061c}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

impl fmt::Debug for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(super) fn put_name(w: &mut Writer, name: &DeviceName) {
    w.varint(name.0.len() as u64).raw(name.0.as_bytes());
}

pub(super) fn get_name(r: &mut Reader<'_>) -> Result<DeviceName, Malformed> {
    let len = r.varint()?;
    if len > 4 * NAME_MAX as u64 {
        return Err(Malformed("a device's name is too long"));
    }
    let text =
        std::str::from_utf8(r.raw(len as usize)?).map_err(|_| Malformed("a device's name is not text"))?;
    DeviceName::new(text).map_err(|_| Malformed("a device's name has characters that no name may have"))
}

/// A transport key that says which device it speaks for. The device says the other direction, by signing what this is in.
///
/// Without the transport key's own word, a member could claim another's, and have its sessions taken for its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransportProof {
    /// The ed25519 public key that libp2p's peer id is made of.
    pub key: [u8; 32],
    /// The transport key's signature over the device's public key, under [`labels::SIGN_TRANSPORT`].
    pub signature: [u8; 64],
}

impl TransportProof {
    /// Has a transport key say that it speaks for a device.
    pub fn make(transport: &SigningKey, device: DeviceId) -> TransportProof {
        TransportProof {
            key: *transport.verifying().as_bytes(),
            signature: transport.sign(labels::SIGN_TRANSPORT, &device.0),
        }
    }

    /// Checks it.
    ///
    /// # Errors
    /// [`NotVerified::Transport`].
    pub fn verify(&self, device: DeviceId) -> Result<(), NotVerified> {
        let key = VerifyingKey::from_bytes(&self.key).map_err(|_| NotVerified::Transport)?;
        key.verify_strict(labels::SIGN_TRANSPORT, &device.0, &self.signature)
            .map_err(|_| NotVerified::Transport)
    }

    pub(super) fn put(&self, w: &mut Writer) {
        w.raw(&self.key).raw(&self.signature);
    }

    pub(super) fn get(r: &mut Reader<'_>) -> Result<TransportProof, Malformed> {
        Ok(TransportProof {
            key: r.array()?,
            signature: r.array()?,
        })
    }
}

/// What a device says of itself: where secrets are sealed to, which transport key speaks for it, its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// Its X25519 public key.
    pub sealing: SealingKey,
    /// Its first transport key.
    pub transport: TransportProof,
    /// Its first name.
    pub name: DeviceName,
}

impl Card {
    /// Of a device with these keys.
    pub fn make(device: &SigningKey, transport: &SigningKey, name: DeviceName) -> Card {
        Card {
            sealing: super::SealingSecret::of(device).public(),
            transport: TransportProof::make(transport, DeviceId::of(device)),
            name,
        }
    }

    /// Checks what is in it, for this device.
    pub(super) fn verify(&self, device: DeviceId) -> Result<(), NotVerified> {
        self.sealing.check()?;
        self.transport.verify(device)
    }

    pub(super) fn put(&self, w: &mut Writer) {
        w.raw(&self.sealing.0);
        self.transport.put(w);
        put_name(w, &self.name);
    }

    pub(super) fn get(r: &mut Reader<'_>) -> Result<Card, Malformed> {
        Ok(Card {
            sealing: SealingKey(r.array()?),
            transport: TransportProof::get(r)?,
            name: get_name(r)?,
        })
    }
}

/// A device that wants to join: its card, and its signature over that, the space, and the member that is to add it. So
/// nobody is added unasked, and nobody but that member can add it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRequest {
    /// Its identity.
    pub device: DeviceId,
    /// What it says of itself.
    pub card: Card,
    /// Its signature, under [`labels::SIGN_JOIN`].
    pub possession: [u8; 64],
}

impl JoinRequest {
    /// Asks to be added to a space by one of its members.
    pub fn make(device: &SigningKey, card: Card, space: SpaceId, by: DeviceId) -> JoinRequest {
        let id = DeviceId::of(device);
        JoinRequest {
            possession: device.sign(labels::SIGN_JOIN, &asked(space, by, id, &card)),
            device: id,
            card,
        }
    }

    /// Checks the keys and all three proofs, for this space and this member.
    ///
    /// # Errors
    /// [`NotVerified`] says what is wrong.
    pub fn verify(&self, space: SpaceId, by: DeviceId) -> Result<(), NotVerified> {
        let asked = asked(space, by, self.device, &self.card);
        self.device
            .verifying()?
            .verify_strict(labels::SIGN_JOIN, &asked, &self.possession)
            .map_err(|_| NotVerified::Possession)?;
        self.card.verify(self.device)
    }

    /// Its bytes: device (32) ‖ card ‖ possession (64).
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        self.put(&mut w);
        w.0
    }

    /// The inverse.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<JoinRequest, Malformed> {
        let mut r = Reader::new(bytes);
        let joining = JoinRequest::get(&mut r)?;
        r.end()?;
        Ok(joining)
    }

    pub(super) fn put(&self, w: &mut Writer) {
        w.raw(&self.device.0);
        self.card.put(w);
        w.raw(&self.possession);
    }

    pub(super) fn get(r: &mut Reader<'_>) -> Result<JoinRequest, Malformed> {
        Ok(JoinRequest {
            device: DeviceId(r.array()?),
            card: Card::get(r)?,
            possession: r.array()?,
        })
    }
}

fn asked(space: SpaceId, by: DeviceId, device: DeviceId, card: &Card) -> Vec<u8> {
    let mut w = Writer::new();
    w.raw(&space.0).raw(&by.0).raw(&device.0);
    card.put(&mut w);
    w.0
}
