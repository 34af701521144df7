//! The bytes in front of each payload. See the table in the module above.
//!
//! Parsing believes nothing: a header is one only if magic, length and check agree.

use super::MAX_PAYLOAD;

/// The length of a record's header, in bytes.
pub const HEADER: usize = 45;
/// What each record begins with; the last byte is the format's version.
pub(super) const MAGIC: [u8; 4] = [0xc0, 0xff, 0xe5, 0];
/// The header's bytes before its check.
const CHECKED: usize = 41;

/// What a record says about itself, in clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the payload is; chosen by the caller.
    pub kind: u8,
    /// The payload's length in bytes.
    pub len: u32,
    /// The payload's name; chosen by the caller.
    pub id: [u8; 32],
}

impl Header {
    /// The header's bytes.
    pub fn encode(&self) -> [u8; HEADER] {
        let mut out = [0; HEADER];
        out[..4].copy_from_slice(&MAGIC);
        out[4] = self.kind;
        out[5..9].copy_from_slice(&self.len.to_le_bytes());
        out[9..CHECKED].copy_from_slice(&self.id);
        let check = check(&out);
        out[CHECKED..].copy_from_slice(&check);
        out
    }

    /// Reads a header; `None` if these bytes are not one.
    pub fn decode(bytes: &[u8]) -> Option<Header> {
        let bytes: &[u8; HEADER] = bytes.first_chunk()?;
        if bytes[..4] != MAGIC || bytes[CHECKED..] != check(bytes) {
            return None;
        }
        let len = u32::from_le_bytes(*bytes[5..].first_chunk()?);
        let id = *bytes[9..].first_chunk()?;
        (len as usize <= MAX_PAYLOAD).then_some(Header {
            kind: bytes[4],
            len,
            id,
        })
    }
}

/// Against noise, not against people: payloads are sealed.
fn check(header: &[u8; HEADER]) -> [u8; 4] {
    let hash = blake3::hash(&header[..CHECKED]);
    *hash.as_bytes().first_chunk().expect("a hash has 32 bytes")
}
