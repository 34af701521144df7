//! The header's bytes.
//!
//! ```text
//! magic "cofferhd" (8) ‖ version (2 LE) ‖ fields, each once, in this order:
//!   tag (1) ‖ length (2 LE) ‖ value
//!   1 vault id   16
//!   2 KDF        13   1 = Argon2id v0x13 (1) ‖ memory in KiB (4 LE) ‖ passes (4 LE) ‖ lanes (4 LE)
//!   3 salt       16
//!   4 check      32
//!   5 recovery  136   absent when there is no phrase
//!   7 needs       8   absent: nothing that a program of this version does not know. Read here to be refused
//!   6 mac        32   the last
//! ```
//!
//! Guarantees: one header has one encoding; the decoder takes that and nothing else, and
//! allocates nothing. A field that a newer program may have put there is told from damage. Never trusts a length: each must be the one its tag has.

use thiserror::Error;

use super::super::kdf::{KdfError, KdfParams};
use super::super::recovery::{PART, Part};
use super::Header;

const MAGIC: &[u8; 8] = b"cofferhd";
/// Which form all of a vault has: 6 is format 1; 1 to 5 were its trials. Each record has a version of its own as well, which
/// counts from 0.
const VERSION: u16 = 6;
const ARGON2ID: u8 = 1;

const VAULT: u8 = 1;
const KDF: u8 = 2;
const SALT: u8 = 3;
const CHECK: u8 = 4;
const RECOVERY: u8 = 5;
const MAC: u8 = 6;
const NEEDS: u8 = 7;

const KDF_LEN: usize = 13;

/// Why bytes are not a header.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// They do not begin as one.
    #[error("this is not a Coffer vault: its header does not begin as one")]
    NotAHeader,
    /// They are of another version.
    #[error("this vault has format version {0}, which this program does not know; use a newer program")]
    UnknownVersion(u16),
    /// They are of a trial, from before the formats were frozen.
    #[error(
        "this vault has trial format {0}, which this program does not read: it was made by an earlier trial version of Coffer; open it with that one and export its files, then import them here"
    )]
    Earlier(u16),
    /// They name a key derivation that is not known here.
    #[error(
        "this vault's password goes through key derivation number {0}, which this program does not know; use a newer program"
    )]
    UnknownKdf(u8),
    /// They ask for what is not known here: bits of field 7, a field of a higher number, a longer one.
    #[error("this vault's header says that it needs a newer program (field {tag}, {needs:#x}); use one")]
    Needs {
        /// The field's number.
        tag: u8,
        /// What field 7 asks for; 0 for another field.
        needs: u64,
    },
    /// The KDF's parameters are out of bounds.
    #[error("the vault's header was damaged or altered: {0}")]
    Kdf(#[from] KdfError),
    /// A field is missing, doubled, of another length or out of order.
    #[error("the vault's header was damaged at its field {tag}; restore it from a backup")]
    BadField {
        /// The tag of the field that should have stood there.
        tag: u8,
    },
    /// More bytes follow.
    #[error("the vault's header is followed by {0} bytes that do not belong to it; restore it from a backup")]
    TrailingBytes(usize),
}

pub(super) fn encode(header: &Header) -> Vec<u8> {
    let mut out = authenticated(header);
    field(&mut out, MAC, &header.mac);
    out
}

/// Every byte before the mac's field.
pub(super) fn authenticated(header: &Header) -> Vec<u8> {
    let mut out = Vec::with_capacity(320);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    field(&mut out, VAULT, &header.vault);
    field(&mut out, KDF, &encode_kdf(header.params));
    field(&mut out, SALT, &header.salt);
    field(&mut out, CHECK, &header.check);
    if let Some(part) = &header.recovery {
        field(&mut out, RECOVERY, &part.encode());
    }
    out
}

/// What the master key is bound to: version ‖ vault id ‖ KDF ‖ salt, all of fixed length.
pub(super) fn bound(header: &Header) -> [u8; 2 + 16 + KDF_LEN + 16] {
    let mut out = [0; 2 + 16 + KDF_LEN + 16];
    out[..2].copy_from_slice(&VERSION.to_le_bytes());
    out[2..18].copy_from_slice(&header.vault);
    out[18..31].copy_from_slice(&encode_kdf(header.params));
    out[31..].copy_from_slice(&header.salt);
    out
}

pub(super) fn decode(bytes: &[u8]) -> Result<Header, HeaderError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(HeaderError::NotAHeader)?;
    let (version, rest) = rest.split_first_chunk().ok_or(HeaderError::NotAHeader)?;
    match u16::from_le_bytes(*version) {
        VERSION => {}
        earlier if earlier < VERSION => return Err(HeaderError::Earlier(earlier)),
        other => return Err(HeaderError::UnknownVersion(other)),
    }
    let mut fields = Fields(rest);
    let vault = *fields.take(VAULT)?;
    let params = decode_kdf(fields.take(KDF)?)?;
    let salt = *fields.take(SALT)?;
    let check = *fields.take(CHECK)?;
    let recovery = match fields.0.first() {
        Some(&RECOVERY) => Some(Part::decode(fields.take::<PART>(RECOVERY)?)),
        _ => None,
    };
    if fields.0.first() == Some(&NEEDS) {
        match u64::from_le_bytes(*fields.take(NEEDS)?) {
            // Nothing is said by leaving it out.
            0 => return Err(HeaderError::BadField { tag: NEEDS }),
            needs => return Err(HeaderError::Needs { tag: NEEDS, needs }),
        }
    }
    let mac = *fields.take(MAC)?;
    match fields.0.len() {
        0 => Ok(Header {
            vault,
            params,
            salt,
            check,
            recovery,
            mac,
        }),
        more => Err(HeaderError::TrailingBytes(more)),
    }
}

fn field(out: &mut Vec<u8>, tag: u8, value: &[u8]) {
    let len = u16::try_from(value.len()).expect("every field is shorter than 64 KiB");
    out.push(tag);
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(value);
}

/// Fields not read yet.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// The next field, which has this tag and exactly this length.
    fn take<const N: usize>(&mut self, tag: u8) -> Result<&'a [u8; N], HeaderError> {
        let bad = HeaderError::BadField { tag };
        let Some((&[found, low, high], rest)) = self.0.split_first_chunk() else {
            return Err(bad);
        };
        let len = usize::from(u16::from_le_bytes([low, high]));
        if found > NEEDS && rest.len() >= len {
            return Err(HeaderError::Needs { tag: found, needs: 0 });
        }
        // Another key derivation's parameters, another way of recovery.
        if found == tag && matches!(tag, KDF | RECOVERY) && len > N && rest.len() >= len {
            return Err(HeaderError::Needs { tag, needs: 0 });
        }
        if found != tag || len != N {
            return Err(bad);
        }
        let (value, rest) = rest.split_first_chunk().ok_or(bad)?;
        self.0 = rest;
        Ok(value)
    }
}

fn encode_kdf(params: KdfParams) -> [u8; KDF_LEN] {
    let mut out = [0; KDF_LEN];
    out[0] = ARGON2ID;
    out[1..5].copy_from_slice(&params.memory_kib.to_le_bytes());
    out[5..9].copy_from_slice(&params.passes.to_le_bytes());
    out[9..].copy_from_slice(&params.lanes.to_le_bytes());
    out
}

fn decode_kdf(bytes: &[u8; KDF_LEN]) -> Result<KdfParams, HeaderError> {
    if bytes[0] != ARGON2ID {
        return Err(HeaderError::UnknownKdf(bytes[0]));
    }
    let number = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let params = KdfParams {
        memory_kib: number(1),
        passes: number(5),
        lanes: number(9),
    };
    params.check()?;
    Ok(params)
}
