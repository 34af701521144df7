//! Packed blocks.

use std::cell::RefCell;
use std::sync::Arc;

use zstd::bulk::{Compressor, Decompressor};

/// How hard it is tried: the first level packs words as well as the third.
const LEVEL: i32 = 1;

/// Some texts, packed.
pub(super) struct Block {
    /// Their length, and then what zstd made of them.
    packed: Arc<[u8]>,
    len: usize,
    /// Bytes that are not given up.
    live: usize,
    ids: Box<[u64]>,
}

impl Block {
    pub(super) fn new(packed: Arc<[u8]>, len: usize, live: usize, ids: Vec<u64>) -> Block {
        let ids = ids.into_boxed_slice();
        Block {
            packed,
            len,
            live,
            ids,
        }
    }

    pub(super) fn packed(&self) -> Arc<[u8]> {
        Arc::clone(&self.packed)
    }

    /// Bytes that it takes.
    pub(super) fn len(&self) -> usize {
        self.packed.len()
    }

    /// The texts that it had.
    pub(super) fn ids(&self) -> &[u64] {
        &self.ids
    }

    /// Takes so many bytes for given up; whether it is worth packing the others anew.
    pub(super) fn is_stale_without(&mut self, len: usize) -> bool {
        self.live -= len;
        self.live <= self.len / 2
    }
}

/// Packs blocks.
#[derive(Default)]
pub(super) struct Packer(Option<Compressor<'static>>);

const HEAD: usize = size_of::<u64>();

impl Packer {
    /// None if the library has no memory for it.
    pub(super) fn pack(&mut self, bytes: &[u8]) -> Option<Arc<[u8]>> {
        if self.0.is_none() {
            self.0 = Compressor::new(LEVEL).ok();
        }
        let made = self.0.as_mut()?.compress(bytes).ok()?;
        let mut packed = Vec::with_capacity(HEAD + made.len());
        packed.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        packed.extend_from_slice(&made);
        Some(packed.into())
    }
}

thread_local! {
    static UNPACKER: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// The bytes of a block, in place of what stood there.
pub(super) fn unpack(packed: &[u8], into: &mut Vec<u8>) -> Option<()> {
    into.clear();
    let (len, made) = packed.split_first_chunk::<HEAD>()?;
    into.reserve(usize::try_from(u64::from_le_bytes(*len)).ok()?);
    UNPACKER.with_borrow_mut(|unpacker| {
        if unpacker.is_none() {
            *unpacker = Decompressor::new().ok();
        }
        unpacker.as_mut()?.decompress_to_buffer(made, into).ok()
    })?;
    Some(())
}
