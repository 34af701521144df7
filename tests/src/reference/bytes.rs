//! A file's bytes in memory: whole pages where something was written, nothing where
//! nothing was, so that a file past 4 GiB costs what it holds.
//!
//! Guarantees that bytes never written read as zeros, and that what lies past the end is
//! forgotten at once. Never shares anything with another file.

use std::collections::BTreeMap;

/// The unit in which data and holes are told apart, in bytes.
pub const PAGE: u64 = 4096;

/// A sparse byte string.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bytes {
    size: u64,
    pages: BTreeMap<u64, Box<[u8]>>,
}

impl Bytes {
    /// The length in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The number of 512-byte blocks that hold data.
    pub fn blocks(&self) -> u64 {
        self.pages.len() as u64 * (PAGE / 512)
    }

    /// Up to `len` bytes from `offset`; fewer only at the end.
    pub fn read(&self, offset: u64, len: u64) -> Vec<u8> {
        let end = offset.saturating_add(len).min(self.size);
        let mut out = Vec::new();
        let mut at = offset;
        while at < end {
            let (page, start, stop) = piece(at, end);
            match self.pages.get(&page) {
                Some(bytes) => out.extend_from_slice(&bytes[start..stop]),
                None => out.resize(out.len() + (stop - start), 0),
            }
            at += (stop - start) as u64;
        }
        out
    }

    /// Puts `data` at `offset`, extending the file if need be.
    pub fn write(&mut self, offset: u64, data: &[u8]) {
        let end = offset + data.len() as u64;
        let (mut at, mut rest) = (offset, data);
        while at < end {
            let (page, start, stop) = piece(at, end);
            let (now, later) = rest.split_at(stop - start);
            self.page(page)[start..stop].copy_from_slice(now);
            rest = later;
            at += now.len() as u64;
        }
        if !data.is_empty() {
            self.size = self.size.max(end);
        }
    }

    /// Cuts the file, or extends it by a hole.
    pub fn set_size(&mut self, size: u64) {
        if size < self.size {
            let old = self.size;
            self.zero(size, old - size);
        }
        self.size = size;
    }

    /// Makes `len` bytes from `offset` zeros, whole pages of them holes; the size stays.
    pub fn zero(&mut self, offset: u64, len: u64) {
        let end = offset.saturating_add(len).min(self.size);
        let touched: Vec<u64> = match offset < end {
            true => self
                .pages
                .range(offset / PAGE..=(end - 1) / PAGE)
                .map(|(page, _)| *page)
                .collect(),
            false => Vec::new(),
        };
        for page in touched {
            let first = page * PAGE;
            let (start, stop) = (offset.max(first) - first, end.min(first + PAGE) - first);
            // Behind the file's end there is nothing to keep.
            if start == 0 && (stop == PAGE || first + stop == self.size) {
                self.pages.remove(&page);
            } else {
                self.page(page)[start as usize..stop as usize].fill(0);
            }
        }
    }

    /// The next data at or after `offset`.
    pub fn next_data(&self, offset: u64) -> Option<u64> {
        let (page, _) = self.pages.range(offset / PAGE..).next()?;
        Some(offset.max(page * PAGE)).filter(|at| *at < self.size)
    }

    /// The next hole at or after `offset`; the end counts as one.
    pub fn next_hole(&self, offset: u64) -> Option<u64> {
        if offset >= self.size {
            return None;
        }
        let mut page = offset / PAGE;
        while self.pages.contains_key(&page) {
            page += 1;
        }
        Some(offset.max(page * PAGE).min(self.size))
    }

    fn page(&mut self, page: u64) -> &mut [u8] {
        self.pages
            .entry(page)
            .or_insert_with(|| vec![0; PAGE as usize].into())
    }
}

/// The page that holds `at`, and the part of it that lies in `at..end`.
fn piece(at: u64, end: u64) -> (u64, usize, usize) {
    let page = at / PAGE;
    let start = at % PAGE;
    let stop = (end - page * PAGE).min(PAGE);
    (page, start as usize, stop as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards the model's own ground: every operation against a plain `Vec`.
    #[test]
    fn agrees_with_a_plain_vector() {
        use rand::{RngExt, SeedableRng};
        let mut rng = rand::rngs::SmallRng::seed_from_u64(7);
        let (mut bytes, mut plain) = (Bytes::default(), Vec::<u8>::new());
        for step in 0..4000_u32 {
            let offset = rng.random_range(0..20_000_usize);
            let len = rng.random_range(0..9_000_usize);
            match rng.random_range(0..4) {
                0 => {
                    let data = vec![(step % 255) as u8 + 1; len];
                    bytes.write(offset as u64, &data);
                    if len > 0 {
                        plain.resize(plain.len().max(offset + len), 0);
                        plain[offset..offset + len].copy_from_slice(&data);
                    }
                }
                1 => {
                    bytes.set_size(offset as u64);
                    plain.resize(offset, 0);
                }
                2 => {
                    bytes.zero(offset as u64, len as u64);
                    let end = (offset + len).min(plain.len());
                    if offset < end {
                        plain[offset..end].fill(0);
                    }
                }
                _ => {
                    let end = (offset + len).min(plain.len());
                    let expected = plain.get(offset..end).unwrap_or_default();
                    assert_eq!(bytes.read(offset as u64, len as u64), expected, "step {step}");
                }
            }
            assert_eq!(bytes.read(0, u64::MAX), plain, "step {step}");
            let data = bytes
                .next_data(offset as u64)
                .map_or(plain.len(), |at| at as usize);
            assert!(
                plain
                    .get(offset..data)
                    .unwrap_or_default()
                    .iter()
                    .all(|byte| *byte == 0)
            );
        }
    }
}
