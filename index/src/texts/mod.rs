//! Notes' texts, packed, in memory: what the column `body` shows.
//!
//! Owns the texts, by numbers that it gives them. Guarantees: a number means one text, and never another; a text that was given up is still
//! there for whoever began to read before that; packed texts take no more than the bound. One text is had for the price of its block, which
//! is why they do not stand in DuckDB's tables: those unpack two thousand for one. Knows no files.
//!
//! A block is some 16 KiB of texts one behind the other, packed by zstd. One of which half was given up is packed anew.

mod block; // packed bytes

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;

use block::{Block, Packer, unpack};

/// Bytes of a block before it is packed; a longer text is a block by itself.
const BLOCK: usize = 16 << 10;

/// The texts; clones are the same ones.
#[derive(Clone)]
pub struct Texts(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    most: usize,
}

/// As long as it lives, texts that were there when it was made can be read.
#[must_use]
pub struct Reading(#[expect(dead_code, reason = "how many there are is what counts")] Arc<()>);

/// Where a text stands.
#[derive(Clone, Copy)]
struct Place {
    block: u64,
    at: usize,
    len: usize,
}

struct State {
    places: HashMap<u64, Place>,
    blocks: HashMap<u64, Block>,
    /// The block that is being filled: its number, bytes, texts, and how many of its bytes are of use.
    number: u64,
    open: Vec<u8>,
    ids: Vec<u64>,
    live: usize,
    /// The last number that a text was given.
    last: u64,
    /// Bytes of all packed blocks.
    packed: usize,
    packer: Packer,
    now: Arc<()>,
    /// What was given up, with those who may still read it, the oldest first.
    given_up: VecDeque<(Arc<()>, Vec<u64>)>,
}

/// What was unpacked last, for texts that stand beside each other.
#[derive(Default)]
pub struct Page {
    block: Option<u64>,
    bytes: Vec<u8>,
}

impl Texts {
    /// None yet; packed they may take `most` bytes.
    pub fn new(most: usize) -> Texts {
        Texts(Arc::new(Shared {
            state: Mutex::new(State {
                places: HashMap::new(),
                blocks: HashMap::new(),
                number: 0,
                open: Vec::new(),
                ids: Vec::new(),
                live: 0,
                last: 0,
                packed: 0,
                packer: Packer::default(),
                now: Arc::default(),
                given_up: VecDeque::new(),
            }),
            most,
        }))
    }

    /// Keeps a text; its number. None if there is no room for it.
    pub fn put(&self, text: &str) -> Option<u64> {
        let mut state = self.0.state.lock();
        state.sweep();
        if state.packed + state.open.len() + text.len() > self.0.most {
            return None;
        }
        state.last += 1;
        let id = state.last;
        state.add(id, text.as_bytes())?;
        Some(id)
    }

    /// Gives texts up: nobody who begins to read from now on will ask for them.
    pub fn give_up(&self, ids: Vec<u64>) {
        if ids.is_empty() {
            return;
        }
        let mut state = self.0.state.lock();
        let before = std::mem::take(&mut state.now);
        state.given_up.push_back((before, ids));
        state.sweep();
    }

    /// Keeps what is there now from going, as long as what is returned lives.
    pub fn reading(&self) -> Reading {
        Reading(Arc::clone(&self.0.state.lock().now))
    }

    /// A text.
    pub fn get<'a>(&self, id: u64, page: &'a mut Page) -> Option<&'a str> {
        let (place, packed) = {
            let state = self.0.state.lock();
            let place = *state.places.get(&id)?;
            if place.block == state.number {
                page.block = None;
                page.bytes.clear();
                page.bytes
                    .extend_from_slice(&state.open[place.at..place.at + place.len]);
                return std::str::from_utf8(&page.bytes).ok();
            }
            let block = state.blocks.get(&place.block)?;
            (place, block.packed())
        };
        if page.block != Some(place.block) {
            page.block = None;
            unpack(&packed, &mut page.bytes)?;
            page.block = Some(place.block);
        }
        std::str::from_utf8(page.bytes.get(place.at..place.at + place.len)?).ok()
    }

    /// How many there are, counting those that were given up and are still read, and how many bytes they take.
    pub fn size(&self) -> (usize, usize) {
        let state = self.0.state.lock();
        (state.places.len(), state.packed + state.open.len())
    }
}

impl State {
    fn add(&mut self, id: u64, text: &[u8]) -> Option<()> {
        if !self.open.is_empty() && self.open.len() + text.len() > BLOCK {
            self.close()?;
        }
        let place = Place {
            block: self.number,
            at: self.open.len(),
            len: text.len(),
        };
        self.open.extend_from_slice(text);
        self.places.insert(id, place);
        self.ids.push(id);
        self.live += text.len();
        if self.open.len() >= BLOCK {
            self.close()?;
        }
        Some(())
    }

    /// Packs the block that is being filled; or clears it of what was given up, if that is half of it.
    fn close(&mut self) -> Option<()> {
        if self.live <= self.open.len() / 2 {
            let (bytes, ids) = (std::mem::take(&mut self.open), std::mem::take(&mut self.ids));
            for id in ids {
                if let Some(place) = self.places.get_mut(&id) {
                    let text = bytes.get(place.at..place.at + place.len)?;
                    place.at = self.open.len();
                    self.open.extend_from_slice(text);
                    self.ids.push(id);
                }
            }
            return Some(());
        }
        let packed = self.packer.pack(&self.open)?;
        self.packed += packed.len();
        let block = Block::new(packed, self.open.len(), self.live, std::mem::take(&mut self.ids));
        self.blocks.insert(self.number, block);
        self.number += 1;
        self.open.clear();
        self.live = 0;
        Some(())
    }

    /// Lets go of what was given up and is read by nobody any more.
    fn sweep(&mut self) {
        while let Some((readers, _)) = self.given_up.front()
            && Arc::strong_count(readers) == 1
        {
            let Some((_, ids)) = self.given_up.pop_front() else {
                return;
            };
            for id in ids {
                self.remove(id);
            }
        }
    }

    fn remove(&mut self, id: u64) {
        let Some(place) = self.places.remove(&id) else {
            return;
        };
        if place.block == self.number {
            self.live -= place.len;
            return;
        }
        let Some(block) = self.blocks.get_mut(&place.block) else {
            return;
        };
        if !block.is_stale_without(place.len) {
            return;
        }
        let Some(block) = self.blocks.remove(&place.block) else {
            return;
        };
        self.packed -= block.len();
        let mut bytes = Vec::new();
        let is_whole = unpack(&block.packed(), &mut bytes).is_some();
        for id in block.ids() {
            let Some(place) = self.places.get(id).copied().filter(|at| at.block == place.block) else {
                continue;
            };
            self.places.remove(id);
            if let Some(text) = bytes.get(place.at..place.at + place.len)
                && is_whole
            {
                // What could be packed before can be packed now.
                let _ = self.add(*id, text);
            }
        }
    }
}

#[cfg(test)]
mod tests;
