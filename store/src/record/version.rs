//! The row of a version: where its event lies, and what a list of versions says of it.

use super::VERSION;
use super::chunk::{ManifestRef, get_manifest, put_manifest};
use super::meta::{Kind, Time, get_time, put_time};
use crate::codec::{Malformed, Reader, Writer};
use crate::ids::{ChainId, EventRef};

/// The longest name of a program, in bytes.
pub const PROGRAM_MAX: usize = 64;
/// Most versions that one can have been made from: as many as an event can name.
const PARENTS_MAX: u16 = 1024;

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
    /// When its device recorded it.
    pub recorded: Time,
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

    /// The record's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(VERSION).u64(self.number).u8(self.kept as u8);
        w.u64(self.batch).u32(self.offset).u32(self.len);
        w.raw(&self.at.chain.0).u64(self.at.seq);
        w.u32(self.generation)
            .u64(self.lamport)
            .u8(u8::from(self.creates) | (u8::from(self.foreign) << 1));
        w.u16(self.parents.len() as u16);
        for parent in &self.parents {
            w.raw(&parent.chain.0).u64(parent.seq);
        }
        put_time(&mut w, self.recorded);
        put_time(&mut w, self.modified);
        w.u64(self.size).u8(self.form).u8(self.kind as u8).u16(self.perm);
        let program = self.program.as_deref().unwrap_or_default();
        w.u8(program.len() as u8).raw(program.as_bytes());
        match &self.body {
            BodyRef::Inline => w.u8(0),
            BodyRef::Manifest(root) => {
                w.u8(1);
                put_manifest(&mut w, root);
                &mut w
            }
            BodyRef::Other => w.u8(2),
            BodyRef::Change(name) => w.u8(3).raw(name),
        };
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
        let number = r.u64()?;
        let kept = match r.u8()? {
            0 => Kept::All,
            1 => Kept::Listed,
            2 => Kept::Key,
            _ => return Err(CONTRADICTS),
        };
        let (batch, offset, len) = (r.u64()?, r.u32()?, r.u32()?);
        let at = event_ref(&mut r)?;
        let (generation, lamport) = (r.u32()?, r.u64()?);
        let (creates, foreign) = match r.u8()? {
            bits @ 0..=3 => (bits & 1 != 0, bits & 2 != 0),
            _ => return Err(CONTRADICTS),
        };
        let count = r.u16()?;
        if count > PARENTS_MAX {
            return Err(CONTRADICTS);
        }
        let parents = (0..count).map(|_| event_ref(&mut r)).collect::<Result<_, _>>()?;
        let (recorded, modified) = (get_time(&mut r)?, get_time(&mut r)?);
        let (size, form, kind, perm) = (r.u64()?, r.u8()?, Kind::from_byte(r.u8()?)?, r.u16()?);
        let program = match r.u8()? {
            0 => None,
            len if usize::from(len) > PROGRAM_MAX => return Err(CONTRADICTS),
            len => Some(
                String::from_utf8(r.raw(usize::from(len))?.to_vec())
                    .map_err(|_| Malformed("a program's name is not text"))?,
            ),
        };
        let body = match r.u8()? {
            0 => BodyRef::Inline,
            1 => BodyRef::Manifest(get_manifest(&mut r)?),
            2 => BodyRef::Other,
            3 => BodyRef::Change(r.array()?),
            _ => return Err(Malformed("a body of an unknown kind")),
        };
        r.end()?;
        let kept_for_key = kept == Kept::All || (creates && body == BodyRef::Other);
        let is_file = matches!(kind, Kind::File | Kind::Symlink) && (1..=2).contains(&form);
        let lawful = !matches!(body, BodyRef::Change(_)) || (form == 2 && kind == Kind::File);
        if !kept_for_key || !is_file || !lawful || size > i64::MAX as u64 {
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

fn event_ref(r: &mut Reader<'_>) -> Result<EventRef, Malformed> {
    Ok(EventRef {
        chain: ChainId(r.array()?),
        seq: r.u64()?,
    })
}
