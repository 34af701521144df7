//! A node's row: one name in a folder.

use super::VERSION;
use super::meta::Kind;
use crate::codec::{Malformed, Reader, Writer};
use crate::ids::{Ino, NodeId};

/// The longest name, in bytes.
pub const NAME_MAX: usize = 255;

/// What an event says of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Told {
    /// Nothing yet.
    Never = 0,
    /// Where it was before.
    Before = 1,
    /// Where it is.
    Now = 2,
}

impl Told {
    pub(crate) fn from_byte(byte: u8) -> Result<Told, Malformed> {
        match byte {
            0 => Ok(Told::Never),
            1 => Ok(Told::Before),
            2 => Ok(Told::Now),
            _ => Err(Malformed("a node in an unknown state")),
        }
    }
}

/// A node's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRecord {
    /// Folder that it lies in.
    pub parent: Ino,
    /// What it names.
    pub ino: Ino,
    /// What that is.
    pub kind: Kind,
    /// The node's name on every device.
    pub id: NodeId,
    /// Whether the other devices are told of it.
    pub told: Told,
    /// Its name.
    pub name: Vec<u8>,
}

impl NodeRecord {
    /// The record's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(VERSION)
            .u64(self.parent)
            .u64(self.ino)
            .u8(self.kind as u8)
            .raw(&self.id.0);
        w.u8(self.told as u8).raw(&self.name);
        w.0
    }

    /// The inverse.
    ///
    /// # Errors
    /// [`Malformed`] for anything but a record of this version.
    pub fn decode(bytes: &[u8]) -> Result<NodeRecord, Malformed> {
        let mut r = Reader::new(bytes);
        if r.u8()? != VERSION {
            return Err(Malformed("a node record of an unknown version"));
        }
        let (parent, ino, kind, id) = (r.u64()?, r.u64()?, Kind::from_byte(r.u8()?)?, NodeId(r.array()?));
        let told = Told::from_byte(r.u8()?)?;
        let name = r.rest().to_vec();
        if !valid_name(&name) {
            return Err(Malformed("a name that no file can have"));
        }
        Ok(NodeRecord {
            parent,
            ino,
            kind,
            id,
            told,
            name,
        })
    }
}

/// Whether a file can have this name.
pub fn valid_name(name: &[u8]) -> bool {
    (1..=NAME_MAX).contains(&name.len())
        && name != b"."
        && name != b".."
        && !name.iter().any(|b| *b == b'/' || *b == 0)
}
