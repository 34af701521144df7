//! A disk that is only read. The library under the database writes when it opens a file
//! that was not closed, and when it closes one: here that stays in memory, and goes with
//! the process.
//!
//! Guarantees: nothing below is changed, whatever is called. What was written is read back
//! through every handle of the same file while one is open. Creating, removing and renaming
//! are refused (EROFS): nobody shall believe that something was kept.

use std::collections::{BTreeMap, HashMap};
use std::io::{Error, ErrorKind, Result};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::{Disk, DiskFile, Space};

/// What is kept of a file at a time, in bytes.
const PAGE: u64 = 4096;

/// See the module.
#[derive(Debug)]
pub struct Overlay {
    layers: Vec<Arc<dyn Disk>>,
    open: Mutex<HashMap<String, Weak<OverlayFile>>>,
}

impl Overlay {
    /// Over these disks, of which there is one at least: what is in an earlier one counts.
    pub fn new(layers: Vec<Arc<dyn Disk>>) -> Overlay {
        Overlay {
            layers,
            open: Mutex::default(),
        }
    }
}

fn refused<T>() -> Result<T> {
    Err(Error::from_raw_os_error(libc::EROFS))
}

impl Disk for Overlay {
    fn open(&self, name: &str) -> Result<Arc<dyn DiskFile>> {
        let mut open = self.open.lock();
        if let Some(file) = open.get(name).and_then(Weak::upgrade) {
            return Ok(file);
        }
        let mut found = Err(ErrorKind::NotFound.into());
        for layer in &self.layers {
            found = layer.open(name);
            if !matches!(&found, Err(e) if e.kind() == ErrorKind::NotFound) {
                break;
            }
        }
        let below = found?;
        let len = below.len()?;
        let state = Mutex::new(Written {
            pages: BTreeMap::new(),
            len,
            below: len,
        });
        let file = Arc::new(OverlayFile { below, state });
        open.insert(name.to_owned(), Arc::downgrade(&file));
        Ok(file)
    }

    fn create(&self, _name: &str) -> Result<Arc<dyn DiskFile>> {
        refused()
    }

    fn remove(&self, _name: &str) -> Result<()> {
        refused()
    }

    fn rename(&self, _from: &str, _to: &str) -> Result<()> {
        refused()
    }

    fn list(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for layer in &self.layers {
            names.extend(layer.list()?);
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    fn sync_dir(&self) -> Result<()> {
        Ok(())
    }

    fn space(&self) -> Result<Space> {
        let space = self.layers.last().ok_or(ErrorKind::NotFound)?.space()?;
        Ok(Space {
            free: 0,
            available: 0,
            ..space
        })
    }
}

/// An open file of an [`Overlay`].
#[derive(Debug)]
struct OverlayFile {
    below: Arc<dyn DiskFile>,
    state: Mutex<Written>,
}

/// What is in memory of it.
#[derive(Debug)]
struct Written {
    /// By number: offset / [`PAGE`].
    pages: BTreeMap<u64, Box<[u8]>>,
    /// The file's length in bytes, as it is shown.
    len: u64,
    /// How much of the file below still counts, in bytes.
    below: u64,
}

impl OverlayFile {
    /// A page as it is shown: zeros where nothing is.
    fn page(&self, state: &Written, number: u64, out: &mut [u8]) -> Result<()> {
        if let Some(page) = state.pages.get(&number) {
            out.copy_from_slice(page);
            return Ok(());
        }
        let start = number * PAGE;
        let have = state.below.saturating_sub(start).min(PAGE) as usize;
        if have > 0 {
            self.below.read_at(start, &mut out[..have])?;
        }
        out[have..].fill(0);
        Ok(())
    }
}

impl DiskFile for OverlayFile {
    fn len(&self) -> Result<u64> {
        Ok(self.state.lock().len)
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let state = self.state.lock();
        let end = offset.checked_add(out.len() as u64);
        if end.is_none_or(|end| end > state.len) {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if state.pages.is_empty() && end.is_some_and(|end| end <= state.below) {
            drop(state);
            return self.below.read_at(offset, out);
        }
        let mut page = [0; PAGE as usize];
        let mut done = 0;
        while done < out.len() {
            let at = offset + done as u64;
            self.page(&state, at / PAGE, &mut page)?;
            let from = (at % PAGE) as usize;
            let take = (PAGE as usize - from).min(out.len() - done);
            out[done..done + take].copy_from_slice(&page[from..from + take]);
            done += take;
        }
        Ok(())
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<()> {
        let mut state = self.state.lock();
        let mut done = 0;
        while done < data.len() {
            let at = offset + done as u64;
            let mut page = vec![0; PAGE as usize].into_boxed_slice();
            self.page(&state, at / PAGE, &mut page)?;
            let from = (at % PAGE) as usize;
            let take = (PAGE as usize - from).min(data.len() - done);
            page[from..from + take].copy_from_slice(&data[done..done + take]);
            state.pages.insert(at / PAGE, page);
            done += take;
        }
        state.len = state.len.max(offset + data.len() as u64);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let mut state = self.state.lock();
        if len < state.len {
            state.below = state.below.min(len);
            state.pages.retain(|number, _| number * PAGE < len);
            let within = (len % PAGE) as usize;
            if let Some(page) = state.pages.get_mut(&(len / PAGE)) {
                page[within..].fill(0);
            }
        }
        state.len = len;
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::sim::{SimDisk, SplitMix64};
    use super::*;

    /// Guards reads, writes and cuts against the same done to a real copy, and what lies below.
    #[test]
    fn looks_as_if_it_were_written_and_is_not() {
        let mut rng = SplitMix64(9);
        let below = SimDisk::new();
        let bytes = rng.bytes(30_000);
        below.create("f").unwrap().write_at(0, &bytes).unwrap();
        let over = Overlay::new(vec![Arc::new(below.clone())]);
        let (file, mut model) = (over.open("f").unwrap(), bytes.clone());
        for _ in 0..400 {
            let at = rng.next_u64() as usize % 40_000;
            if rng.next_u64().is_multiple_of(5) {
                file.set_len(at as u64).unwrap();
                model.resize(at, 0);
            } else {
                let len = rng.below(9000) as usize;
                let data = rng.bytes(len);
                file.write_at(at as u64, &data).unwrap();
                model.resize(model.len().max(at + data.len()), 0);
                model[at..at + data.len()].copy_from_slice(&data);
            }
            let again = over.open("f").unwrap();
            assert_eq!(again.len().unwrap(), model.len() as u64);
            let mut out = vec![1; model.len()];
            again.read_at(0, &mut out).unwrap();
            assert!(out == model);
            assert!(again.read_at(1, &mut out).is_err() || out.is_empty());
        }
        assert!(over.create("g").is_err() && over.remove("f").is_err() && over.rename("f", "g").is_err());
        let mut out = vec![0; bytes.len()];
        below.open("f").unwrap().read_at(0, &mut out).unwrap();
        assert!(out == bytes);
    }
}
