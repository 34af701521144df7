//! Chunks of files: the same bytes get the same id and the same sealed bytes on every
//! device of a space, and on no other, so that they are stored once and a guess cannot
//! be confirmed by whoever lacks the space's secrets.
//!
//! ```text
//! id      = BLAKE3 keyed by derive(id secret, CHUNK_ID), over plaintext ‖ kind (1)
//! key     = derive(seal secret, CHUNK_SEAL, id ‖ TRAVELS ‖ kind ‖ SEGMENT (4 LE))
//! segment = ChaCha20-Poly1305 of up to SEGMENT bytes, then the tag (16)
//! nonce   = index (8 LE) ‖ 0 0 0 ‖ last
//! associated data (43) = TRAVELS (1) ‖ kind (1) ‖ id (32) ‖ index (8 LE) ‖ last (1)
//! ```
//!
//! All segments are full but the last, which is flagged; an empty chunk is one empty
//! segment. Counter nonces are safe here alone, because a key seals one plaintext only:
//! it depends on the plaintext's hash, and on the kind, lest two kinds' tags share a
//! one-time key. Guarantees: segments of other chunks, kinds, places or lengths never
//! open. Only [`ChunkKeys::open`] also checks the id: whoever holds the secrets could
//! seal other bytes under it.
//!
//! Source: the STREAM construction, Hoang, Reyhanitabar, Rogaway, Vizár, "Online
//! Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance" (2015).

use std::fmt;

use zeroize::Zeroize;

use super::aead::{self, Cipher};
use super::{Key, TRAVELS, Tampered, derive, labels};

/// Plaintext bytes in a full segment.
pub const SEGMENT: usize = 8192;
/// Bytes by which sealing makes a segment longer.
pub const TAG: usize = aead::TAG;

/// A chunk's name: the keyed hash of its plaintext and kind.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChunkId(pub [u8; 32]);

/// The first digits of its hexadecimal form: enough to tell one from another.
impl fmt::Display for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…", &blake3::Hash::from_bytes(self.0).to_hex()[..8])
    }
}

impl fmt::Debug for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChunkId({self})")
    }
}

/// What chunks are named and sealed by in one epoch.
struct Pair {
    id: Key,
    seal: Key,
}

impl Pair {
    fn new(id_secret: &Key, seal: Key) -> Pair {
        Pair {
            id: derive(id_secret, labels::CHUNK_ID, &[]),
            seal,
        }
    }

    /// The kind is part of it: a file whose bytes are those of some file's manifest has chunks of their own.
    fn id(&self, kind: u8, plain: &[u8]) -> ChunkId {
        id_by(&self.id, kind, plain)
    }

    /// One cipher for all of a chunk's segments; it wipes its key when dropped.
    fn cipher(&self, kind: u8, id: &ChunkId) -> Cipher {
        let mut context = [0; 32 + 1 + 1 + 4];
        context[..32].copy_from_slice(&id.0);
        context[32] = TRAVELS;
        context[33] = kind;
        context[34..].copy_from_slice(&(SEGMENT as u32).to_le_bytes());
        Cipher::new(derive(&self.seal, labels::CHUNK_SEAL, &context).expose())
    }
}

/// What a space's chunks are named, sealed and cut by: new ones in the present epoch, and those of the epochs before
/// it as far as this device has their secrets. A chunk does not say which epoch it is of: it opens under one.
pub struct ChunkKeys {
    present: Pair,
    former: Vec<Pair>,
    gear: Key,
    /// Names bytes for an index, the same in all epochs.
    alike: Alike,
}

/// What equal bytes are named by, whatever they were sealed with; see [`ChunkKeys::alike`].
struct Alike {
    id: Key,
    name: Key,
}

impl Alike {
    fn new(id_secret: &Key) -> Alike {
        Alike {
            id: derive(id_secret, labels::CHUNK_ID, &[]),
            name: derive(id_secret, labels::INDEX_CONTENT, &[]),
        }
    }
}

impl ChunkKeys {
    /// From a space's two chunk secrets of one epoch.
    pub fn new(id_secret: Key, seal_secret: Key) -> ChunkKeys {
        ChunkKeys {
            gear: derive(&id_secret, labels::CHUNK_GEAR, &[]),
            alike: Alike::new(&id_secret),
            present: Pair::new(&id_secret, seal_secret),
            former: Vec::new(),
        }
    }

    /// The same, and what was sealed in another epoch can be opened: the one before last comes first.
    #[must_use]
    pub fn and_former(mut self, id_secret: &Key, seal_secret: Key) -> ChunkKeys {
        self.former.push(Pair::new(id_secret, seal_secret));
        self
    }

    /// The same, cutting where the epoch with this id secret did. Cuts stay where they were when the epoch changes:
    /// else the next edit of a large file would store all of it anew.
    #[must_use]
    pub fn cutting_as(mut self, id_secret: &Key) -> ChunkKeys {
        self.gear = derive(id_secret, labels::CHUNK_GEAR, &[]);
        self.alike = Alike::new(id_secret);
        self
    }

    fn pairs(&self) -> impl Iterator<Item = &Pair> {
        std::iter::once(&self.present).chain(&self.former)
    }

    /// The id of a new chunk of this kind.
    pub fn id(&self, kind: u8, plain: &[u8]) -> ChunkId {
        self.present.id(kind, plain)
    }

    /// Whether all chunks are of one epoch: then one plaintext has one id.
    pub fn is_one_epoch(&self) -> bool {
        self.former.is_empty()
    }

    /// The id that this plaintext has in the first epoch: by it bytes are compared that were stored in different ones.
    pub fn first_id(&self, kind: u8, plain: &[u8]) -> ChunkId {
        id_by(&self.alike.id, kind, plain)
    }

    /// Names something for an index on this device: the same for the same parts, and nothing to whoever lacks the space's
    /// secrets. The name is to be stored nowhere.
    pub fn alike(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(self.alike.name.expose());
        for part in parts {
            hasher.update(part);
        }
        let name = *hasher.finalize().as_bytes();
        hasher.zeroize();
        name
    }

    /// The key for the content-defined chunker's gear table.
    pub fn gear_key(&self) -> Key {
        self.gear.duplicate()
    }

    /// How many bytes a chunk of `plain_len` bytes has when sealed.
    pub fn sealed_len(plain_len: usize) -> usize {
        plain_len.saturating_add(segments(plain_len).saturating_mul(TAG))
    }

    /// Seals a new chunk and appends it to `out`. `id` must be [`id`](ChunkKeys::id) of `plain`:
    /// two plaintexts sealed under one id would give each other away.
    pub fn seal(&self, kind: u8, id: &ChunkId, plain: &[u8], out: &mut Vec<u8>) {
        let cipher = self.present.cipher(kind, id);
        // All at once: a vector that moved later would leave plaintext behind in freed memory.
        out.reserve(ChunkKeys::sealed_len(plain.len()));
        for index in 0..segments(plain.len()) {
            let from = index * SEGMENT;
            let to = plain.len().min(from + SEGMENT);
            let last = to == plain.len();
            let start = out.len();
            out.extend_from_slice(&plain[from..to]);
            let place = associated(kind, id, index, last);
            let tag = cipher.seal(nonce(index, last), &place, &mut out[start..]);
            out.extend_from_slice(&tag);
        }
    }

    /// Decrypts in place one or more whole segments of a chunk, beginning with segment
    /// `first`. The plaintext of the i-th of them then lies at `i * (SEGMENT + TAG)`.
    /// Checks each segment's place, but not the chunk's id, which takes all of it.
    ///
    /// # Errors
    /// [`Tampered`] if these are not whole segments of this chunk, from `first` on;
    /// `sealed` is then filled with zeros.
    pub fn open_segments(
        &self,
        kind: u8,
        id: &ChunkId,
        plain_len: usize,
        first: usize,
        sealed: &mut [u8],
    ) -> Result<(), Tampered> {
        let result = self.decrypt_segments(kind, id, plain_len, first, sealed);
        if result.is_err() {
            sealed.zeroize();
        }
        result
    }

    fn decrypt_segments(
        &self,
        kind: u8,
        id: &ChunkId,
        plain_len: usize,
        first: usize,
        sealed: &mut [u8],
    ) -> Result<(), Tampered> {
        let count = segments(plain_len);
        if sealed.is_empty() || first >= count {
            return Err(Tampered);
        }
        let mut cipher = None;
        for (i, segment) in sealed.chunks_mut(SEGMENT + TAG).enumerate() {
            let index = first + i;
            // A segment past the last has a length of its own: none.
            if index >= count || segment.len() != segment_len(plain_len, index) + TAG {
                return Err(Tampered);
            }
            let (text, tag) = segment.split_last_chunk_mut::<TAG>().ok_or(Tampered)?;
            let last = index + 1 == count;
            let (nonce, place) = (nonce(index, last), associated(kind, id, index, last));
            match &cipher {
                Some(cipher) => Cipher::open(cipher, nonce, &place, text, *tag)?,
                None => cipher = Some(self.cipher_of(kind, id, (nonce, &place), text, *tag)?),
            }
        }
        Ok(())
    }

    /// Opens one segment, and gives the cipher that did: that of the epoch that the chunk is of.
    fn cipher_of(
        &self,
        kind: u8,
        id: &ChunkId,
        (nonce, place): ([u8; 12], &[u8]),
        text: &mut [u8],
        tag: [u8; TAG],
    ) -> Result<Cipher, Tampered> {
        let cipher = self.present.cipher(kind, id);
        if self.former.is_empty() {
            return cipher.open(nonce, place, text, tag).map(|()| cipher);
        }
        // What does not open is wiped.
        let sealed = text.to_vec();
        for pair in self.pairs() {
            let cipher = pair.cipher(kind, id);
            text.copy_from_slice(&sealed);
            if cipher.open(nonce, place, text, tag).is_ok() {
                return Ok(cipher);
            }
        }
        Err(Tampered)
    }

    /// Opens a whole chunk, and checks that its plaintext has this id.
    ///
    /// # Errors
    /// [`Tampered`] if any byte is not what was sealed, or the plaintext is not the id's.
    pub fn open(&self, kind: u8, id: &ChunkId, plain_len: usize, sealed: &[u8]) -> Result<Vec<u8>, Tampered> {
        // Before anything is allocated: the sealed bytes are there already, and vouch for the length.
        if sealed.len() != ChunkKeys::sealed_len(plain_len) {
            return Err(Tampered);
        }
        let mut plain = vec![0; plain_len];
        let opened = self.pairs().any(|pair| {
            let cipher = pair.cipher(kind, id);
            decrypt_all(&cipher, kind, id, sealed, &mut plain).is_ok() && pair.id(kind, &plain) == *id
        });
        match opened {
            true => Ok(plain),
            false => {
                plain.zeroize();
                Err(Tampered)
            }
        }
    }
}

fn decrypt_all(
    cipher: &Cipher,
    kind: u8,
    id: &ChunkId,
    sealed: &[u8],
    plain: &mut [u8],
) -> Result<(), Tampered> {
    let count = segments(plain.len());
    for (index, segment) in sealed.chunks(SEGMENT + TAG).enumerate() {
        let from = index * SEGMENT;
        let (text, tag) = segment.split_last_chunk::<TAG>().ok_or(Tampered)?;
        let target = plain.get_mut(from..from + text.len()).ok_or(Tampered)?;
        target.copy_from_slice(text);
        let last = index + 1 == count;
        cipher.open(
            nonce(index, last),
            &associated(kind, id, index, last),
            target,
            *tag,
        )?;
    }
    Ok(())
}

fn id_by(key: &Key, kind: u8, plain: &[u8]) -> ChunkId {
    let mut hasher = blake3::Hasher::new_keyed(key.expose());
    let id = hasher.update(plain).update(&[kind]).finalize();
    hasher.zeroize();
    ChunkId(*id.as_bytes())
}

/// How many segments a chunk has: at least one.
fn segments(plain_len: usize) -> usize {
    plain_len.div_ceil(SEGMENT).max(1)
}

/// The plaintext bytes in segment `index` of a chunk that has it.
fn segment_len(plain_len: usize, index: usize) -> usize {
    (plain_len - index * SEGMENT).min(SEGMENT)
}

fn nonce(index: usize, last: bool) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[..8].copy_from_slice(&(index as u64).to_le_bytes());
    nonce[11] = u8::from(last);
    nonce
}

fn associated(kind: u8, id: &ChunkId, index: usize, last: bool) -> [u8; 43] {
    let mut bytes = [0; 43];
    bytes[0] = TRAVELS;
    bytes[1] = kind;
    bytes[2..34].copy_from_slice(&id.0);
    bytes[34..42].copy_from_slice(&(index as u64).to_le_bytes());
    bytes[42] = u8::from(last);
    bytes
}
