//! The row of a version: where its event lies, and what a list of versions says of it.

use super::VERSION;
use super::chunk::{ManifestRef, get_manifest, put_manifest};
use super::meta::{Kind, Time, get_near, get_short, put_near, put_short};
use super::refs::{get_list, put_list};
use crate::codec::{Malformed, Reader, Writer};
use crate::ids::{ChainId, EventRef};

/// The longest name of a program, in bytes.
pub const PROGRAM_MAX: usize = 64;
/// Most versions that one can have been made from: as many as an event can name.
pub(crate) const PARENTS_MAX: usize = 1024;

/// What the byte of flags holds: where the bytes are, what is kept (two bits each), and four that say yes.
const BODY: u8 = 3;
const KEPT: u32 = 2;
const CREATES: u8 = 1 << 4;
const FOREIGN: u8 = 1 << 5;
const TEXT: u8 = 1 << 6;
const SYMLINK: u8 = 1 << 7;

/// What is kept of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kept {
    /// All of it.
    All = 0,
    /// Not its bytes. Its event brought the entity's key, which is needed; so its row stays.
    Listed = 1,
    /// Nothing but that key: it is not listed.
    Key = 2,
}

/// Where a version's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyRef {
    /// In its event's payload.
    Inline,
    /// In chunks.
    Manifest(ManifestRef),
    /// Nowhere: its event says how it goes on from those before it, or it is not kept.
    Other,
    /// The same, by a change of this name.
    Change([u8; 32]),
}

/// A version's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionRecord {
    /// Which version of its file it is; what changes attributes alone has the number of the one before.
    pub number: u64,
    /// What is kept of it.
    pub kept: Kept,
    /// The batch that its event lies in.
    pub batch: u64,
    /// Where in it the sealed payload begins, as the batch was made.
    pub offset: u32,
    /// The sealed payload's length.
    pub len: u32,
    /// Its event.
    pub at: EventRef,
    /// The event's key generation.
    pub generation: u32,
    /// The event's Lamport time.
    pub lamport: u64,
    /// The event brought the entity's key.
    pub creates: bool,
    /// It came from another device, since this store is one of its own.
    pub foreign: bool,
    /// The versions that it was made from.
    pub parents: Vec<EventRef>,
    /// When its device recorded it, by the clock of that.
    pub recorded: Time,
    /// When it came to be here, by this device's clock, in seconds since 1970; of its own ones the same.
    pub came: i64,
    /// The file's modification time.
    pub modified: Time,
    /// Bytes.
    pub size: u64,
    /// How it merges: 1 blob, 2 text.
    pub form: u8,
    /// A regular file or a symlink.
    pub kind: Kind,
    /// Permission bits.
    pub perm: u16,
    /// The program that wrote it, where that was seen.
    pub program: Option<String>,
    /// Its bytes.
    pub body: BodyRef,
}

const CONTRADICTS: Malformed = Malformed("the record of a version contradicts itself");

impl VersionRecord {
    /// Whether it is a text that goes on from those before it: then its bytes are nowhere.
    pub fn is_change(&self) -> bool {
        let goes_on = matches!(self.body, BodyRef::Other | BodyRef::Change(_));
        self.form == 2 && goes_on && self.kept == Kept::All
    }

    /// Whether a text begins with it.
    pub fn is_genesis(&self) -> bool {
        self.form == 2 && !self.is_change() && self.kept == Kept::All
    }

    fn flags(&self) -> u8 {
        let body = match self.body {
            BodyRef::Inline => 0,
            BodyRef::Manifest(_) => 1,
            BodyRef::Other => 2,
            BodyRef::Change(_) => 3,
        };
        let bit = |yes: bool, bit: u8| if yes { bit } else { 0 };
        body | (self.kept as u8) << KEPT
            | bit(self.creates, CREATES)
            | bit(self.foreign, FOREIGN)
            | bit(self.form == 2, TEXT)
            | bit(self.kind == Kind::Symlink, SYMLINK)
    }

    /// The record's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(VERSION).u8(self.flags()).varint(self.number);
        w.varint(self.batch)
            .varint(self.offset.into())
            .varint(self.len.into());
        w.raw(&self.at.chain.0).varint(self.at.seq);
        w.varint(self.generation.into())
            .varint(self.lamport.wrapping_sub(self.at.seq));
        put_list(&mut w, self.at, &self.parents);
        put_short(&mut w, self.recorded);
        put_near(&mut w, self.modified, self.recorded);
        w.zigzag(self.came.wrapping_sub(self.recorded.sec));
        w.varint(self.size).u16(self.perm);
        let program = self.program.as_deref().unwrap_or_default();
        w.u8(program.len() as u8).raw(program.as_bytes());
        match &self.body {
            BodyRef::Manifest(root) => put_manifest(&mut w, root),
            BodyRef::Change(name) => {
                w.raw(name);
            }
            BodyRef::Inline | BodyRef::Other => {}
        }
        w.0
    }

    /// The inverse.
    ///
    /// # Errors
    /// [`Malformed`] for anything but a record of this version.
    pub fn decode(bytes: &[u8]) -> Result<VersionRecord, Malformed> {
        let mut r = Reader::new(bytes);
        if r.u8()? != VERSION {
            return Err(Malformed("the record of a version of an unknown version"));
        }
        let flags = r.u8()?;
        let kept = match (flags >> KEPT) & 3 {
            0 => Kept::All,
            1 => Kept::Listed,
            2 => Kept::Key,
            _ => return Err(CONTRADICTS),
        };
        let (creates, foreign) = (flags & CREATES != 0, flags & FOREIGN != 0);
        let form = if flags & TEXT != 0 { 2 } else { 1 };
        let kind = match flags & SYMLINK {
            0 => Kind::File,
            _ => Kind::Symlink,
        };
        let number = r.varint()?;
        let (batch, offset, len) = (r.varint()?, r.varint32()?, r.varint32()?);
        let at = EventRef {
            chain: ChainId(r.array()?),
            seq: r.varint()?,
        };
        let (generation, lamport) = (r.varint32()?, r.varint()?.wrapping_add(at.seq));
        let parents = get_list(&mut r, at, PARENTS_MAX)?;
        let recorded = get_short(&mut r)?;
        let modified = get_near(&mut r, recorded)?;
        let came = recorded.sec.wrapping_add(r.zigzag()?);
        let (size, perm) = (r.varint()?, r.u16()?);
        let program = match r.u8()? {
            0 => None,
            len if usize::from(len) > PROGRAM_MAX => return Err(CONTRADICTS),
            len => Some(
                String::from_utf8(r.raw(usize::from(len))?.to_vec())
                    .map_err(|_| Malformed("a program's name is not text"))?,
            ),
        };
        let body = match flags & BODY {
            0 => BodyRef::Inline,
            1 => BodyRef::Manifest(get_manifest(&mut r)?),
            2 => BodyRef::Other,
            _ => BodyRef::Change(r.array()?),
        };
        r.end()?;
        let kept_for_key = kept == Kept::All || (creates && body == BodyRef::Other);
        let lawful = !matches!(body, BodyRef::Change(_)) || (form == 2 && kind == Kind::File);
        if !kept_for_key || !lawful || size > i64::MAX as u64 {
            return Err(CONTRADICTS);
        }
        Ok(VersionRecord {
            number,
            kept,
            batch,
            offset,
            len,
            at,
            generation,
            lamport,
            creates,
            foreign,
            parents,
            recorded,
            came,
            modified,
            size,
            form,
            kind,
            perm,
            program,
            body,
        })
    }
}
