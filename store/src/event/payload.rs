//! What events say once opened: a version of an entity, the state of a node.

use super::VERSION;
use crate::codec::{Malformed, Reader, Unread, Writer};
use crate::ids::{ChainId, EntityId, EventRef, NodeId};
use crate::record::{
    Kind, ManifestRef, NAME_MAX, Time, Xattrs, get_manifest, get_near, get_short, get_xattrs, put_manifest,
    put_near, put_short, put_xattrs, valid_name,
};

/// What a version's byte of flags holds: which body, and three that say yes.
const BODY: u8 = 7;
/// The last body that there is.
const BODY_LAST: u8 = 5;
const TEXT: u8 = 1 << 3;
const SYMLINK: u8 = 1 << 4;
const XATTRS: u8 = 1 << 5;

/// Where a version's bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Here.
    Inline(Vec<u8>),
    /// In chunks.
    Manifest(ManifestRef),
    /// A text goes on from the document of the versions that this one replaces, by a change of it;
    /// see `docs/text.md`. Opaque here.
    Change {
        /// The number that its actor is of, for a change at older heads.
        serial: Option<u64>,
        /// The change.
        bytes: Vec<u8>,
    },
    /// A text that is what the versions that this one replaces come to.
    Same,
    /// A version of a text that was begun anew meanwhile, carried over into the text that it began
    /// anew as: a change of that, made from the versions that this one replaces but for the last, which
    /// is the one that it carries. Without a change it is what the others come to.
    Carried {
        /// The version.
        of: EventRef,
        /// The change; may be empty.
        bytes: Vec<u8>,
    },
}

/// How versions of it merge; chosen by the version's author.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Form {
    /// A version replaces its ancestors.
    Blob = 1,
    /// Concurrent versions merge as text.
    Text = 2,
}

/// The payload of a Create or Version event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// What the file is: a regular file or a symlink.
    pub kind: Kind,
    /// How it merges.
    pub form: Form,
    /// Permission bits.
    pub perm: u16,
    /// Modification time.
    pub mtime: Time,
    /// When its device recorded it, by the clock of that: shown, and what the retention goes by. It decides
    /// nothing else.
    pub recorded: Time,
    /// Creation time.
    pub btime: Time,
    /// Size in bytes.
    pub size: u64,
    /// User xattrs.
    pub xattrs: Option<Box<Xattrs>>,
    /// The bytes.
    pub body: Body,
}

impl Version {
    /// Of the versions that it replaces those without which nobody can say what it is: none of what has
    /// its bytes. None at all if it has none where it needs one.
    pub(crate) fn needs<'a>(&self, replaces: &'a [EventRef]) -> Option<&'a [EventRef]> {
        match &self.body {
            Body::Inline(_) | Body::Manifest(_) => Some(&[]),
            Body::Change { .. } | Body::Same => Some(replaces).filter(|needed| !needed.is_empty()),
            Body::Carried { of, .. } => {
                let (last, needed) = replaces.split_last()?;
                Some(needed).filter(|needed| last == of && !needed.is_empty())
            }
        }
    }

    /// Whether it has its bytes.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self.body, Body::Inline(_) | Body::Manifest(_))
    }

    /// The payload's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let body = match &self.body {
            Body::Inline(_) => 0,
            Body::Manifest(_) => 1,
            Body::Change { serial: None, .. } => 2,
            Body::Change { serial: Some(_), .. } => 3,
            Body::Same => 4,
            Body::Carried { .. } => 5,
        };
        let xattrs = self.xattrs.as_deref().filter(|xattrs| !xattrs.is_empty());
        let bit = |yes: bool, bit: u8| if yes { bit } else { 0 };
        let flags = body
            | bit(self.form == Form::Text, TEXT)
            | bit(self.kind == Kind::Symlink, SYMLINK)
            | bit(xattrs.is_some(), XATTRS);
        let mut w = Writer::new();
        w.u8(VERSION).u8(flags).u16(self.perm);
        put_short(&mut w, self.mtime);
        put_near(&mut w, self.recorded, self.mtime);
        put_near(&mut w, self.btime, self.mtime);
        w.varint(self.size);
        if xattrs.is_some() {
            put_xattrs(&mut w, xattrs);
        }
        match &self.body {
            Body::Inline(bytes) => {
                w.raw(bytes);
            }
            Body::Manifest(root) => put_manifest(&mut w, root),
            Body::Change { serial, bytes } => {
                if let Some(serial) = serial {
                    w.u64(*serial);
                }
                w.raw(bytes);
            }
            Body::Same => {}
            Body::Carried { of, bytes } => {
                w.raw(&of.chain.0).u64(of.seq).raw(bytes);
            }
        }
        w.0
    }

    /// The inverse.
    ///
    /// # Errors
    /// [`Unread::Newer`] for a version, a flag or a body that this program does not know; malformed for anything
    /// else but a payload of this version.
    pub fn decode(bytes: &[u8]) -> Result<Version, Unread> {
        let mut r = Reader::new(bytes);
        if r.u8()? != VERSION {
            return Err(Unread::Newer);
        }
        let flags = r.u8()?;
        if flags & !(BODY | TEXT | SYMLINK | XATTRS) != 0 || flags & BODY > BODY_LAST {
            return Err(Unread::Newer);
        }
        let kind = match flags & SYMLINK {
            0 => Kind::File,
            _ => Kind::Symlink,
        };
        let form = match flags & TEXT {
            0 => Form::Blob,
            _ => Form::Text,
        };
        let (perm, mtime) = (r.u16()?, get_short(&mut r)?);
        let recorded = get_near(&mut r, mtime)?;
        let (btime, size) = (get_near(&mut r, mtime)?, r.varint()?);
        let xattrs = match flags & XATTRS {
            0 => None,
            _ => Some(get_xattrs(&mut r)?.ok_or(Malformed("xattrs that are none"))?),
        };
        let body = match flags & BODY {
            0 => Body::Inline(r.rest().to_vec()),
            1 => Body::Manifest(get_manifest(&mut r)?),
            tag @ (2 | 3) => Body::Change {
                serial: if tag == 3 { Some(r.u64()?) } else { None },
                bytes: r.rest().to_vec(),
            },
            4 => Body::Same,
            5 => Body::Carried {
                of: EventRef {
                    chain: ChainId(r.array()?),
                    seq: r.u64()?,
                },
                bytes: r.rest().to_vec(),
            },
            _ => return Err(Unread::Newer),
        };
        r.end()?;
        let fits = match &body {
            Body::Inline(bytes) => bytes.len() as u64 == size,
            _ => size <= i64::MAX as u64,
        };
        if !fits {
            return Err(Malformed("a body of another size than its version says").into());
        }
        let is_text = form == Form::Text && kind == Kind::File;
        let lawful = match &body {
            Body::Inline(bytes) if is_text => !bytes.is_empty() && std::str::from_utf8(bytes).is_ok(),
            Body::Manifest(_) if is_text => size > 0,
            Body::Inline(_) | Body::Manifest(_) => form == Form::Blob,
            Body::Change { bytes, .. } => is_text && !bytes.is_empty(),
            Body::Same | Body::Carried { .. } => is_text,
        };
        if !lawful {
            return Err(Malformed("a version of a form that its body cannot have").into());
        }
        Ok(Version {
            kind,
            form,
            perm,
            mtime,
            recorded,
            btime,
            size,
            xattrs,
            body,
        })
    }
}

/// The payload of a NodeGone event: what it says besides its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeGone {
    /// When its device said so, by the clock of that: shown, and what the retention goes by. It decides
    /// nothing else.
    pub when: Time,
}

impl NodeGone {
    /// The payload's bytes, to be sealed.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(VERSION);
        put_short(&mut w, self.when);
        w.0
    }

    /// The inverse.
    ///
    /// # Errors
    /// [`Unread::Newer`] for a version that this program does not know; malformed for anything else but a removal of this
    /// version.
    pub fn decode(bytes: &[u8]) -> Result<NodeGone, Unread> {
        let mut r = Reader::new(bytes);
        if r.u8()? != VERSION {
            return Err(Unread::Newer);
        }
        let when = get_short(&mut r)?;
        r.end()?;
        Ok(NodeGone { when })
    }
}

/// The payload of a Node event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeState {
    /// The folder's node that it lies in.
    pub parent: NodeId,
    /// The entity that it names, or none: a folder.
    pub entity: Option<EntityId>,
    /// A folder's permission bits.
    pub perm: u16,
    /// A folder's user xattrs.
    pub xattrs: Option<Box<Xattrs>>,
    /// When its device said so: shown, and decides nothing.
    pub when: Time,
    /// Its name.
    pub name: Vec<u8>,
}

impl NodeState {
    /// The payload's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(VERSION).raw(&self.parent.0);
        match &self.entity {
            Some(entity) => w.u8(1).raw(&entity.0),
            None => w.u8(0),
        };
        w.u16(self.perm);
        put_xattrs(&mut w, self.xattrs.as_deref());
        put_short(&mut w, self.when);
        w.bytes(&self.name);
        w.0
    }

    /// The inverse.
    ///
    /// # Errors
    /// [`Unread::Newer`] for a version or a target that this program does not know; malformed for anything else
    /// but a payload of this version.
    pub fn decode(bytes: &[u8]) -> Result<NodeState, Unread> {
        let mut r = Reader::new(bytes);
        if r.u8()? != VERSION {
            return Err(Unread::Newer);
        }
        let parent = NodeId(r.array()?);
        let entity = match r.u8()? {
            0 => None,
            1 => Some(EntityId(r.array()?)),
            _ => return Err(Unread::Newer),
        };
        let perm = r.u16()?;
        let xattrs = get_xattrs(&mut r)?;
        let when = get_short(&mut r)?;
        let name = r.bytes(NAME_MAX)?.to_vec();
        r.end()?;
        if !valid_name(&name) {
            return Err(Malformed("a name that no file can have").into());
        }
        Ok(NodeState {
            parent,
            entity,
            perm,
            xattrs,
            when,
            name,
        })
    }
}
