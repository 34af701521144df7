//! Reading payloads by place, headers, and whole packs.
//!
//! Guarantees: any place may be asked for; a wrong one is an error, and costs nothing.
//! Bytes not written yet come from memory.

use std::io::ErrorKind;
use std::sync::Arc;

use super::record::{HEADER, Header};
use super::scan::{self, ScanItem};
use super::{PackError, Packs, Place, pack_name};
use crate::io::DiskFile;

impl Packs {
    /// Fills `out` from a payload, from its byte `from` on.
    ///
    /// # Errors
    /// If that is not inside the place, or the place not inside a known pack; if the pack
    /// is damaged there; if the system refuses.
    pub fn read(&self, place: Place, from: u32, out: &mut [u8]) -> Result<(), PackError> {
        let outside = PackError::Outside {
            pack: place.pack,
            offset: place.offset,
            len: u64::from(place.len),
        };
        if u64::from(from) + out.len() as u64 > u64::from(place.len) {
            return Err(outside);
        }
        let at = place.offset.checked_add(u64::from(from)).ok_or(outside)?;
        self.read_bytes(place.pack, at, out)
    }

    /// What the record around a payload says of itself.
    ///
    /// # Errors
    /// If there is none whose length is the place's; else as [`Packs::read`].
    pub fn header(&self, place: Place) -> Result<Header, PackError> {
        let none = PackError::NotARecord {
            pack: place.pack,
            offset: place.offset,
        };
        let Some(at) = place.offset.checked_sub(HEADER as u64) else {
            return Err(none);
        };
        let mut bytes = [0; HEADER];
        self.read_bytes(place.pack, at, &mut bytes)?;
        Header::decode(&bytes)
            .filter(|header| header.len == place.len)
            .ok_or(none)
    }

    fn read_bytes(&self, pack: u32, at: u64, out: &mut [u8]) -> Result<(), PackError> {
        let want = {
            let state = self.state.lock();
            let known = state.packs.get(&pack).ok_or(PackError::Unknown { pack })?;
            if at.checked_add(out.len() as u64).is_none_or(|end| end > known.end) {
                return Err(PackError::Outside {
                    pack,
                    offset: at,
                    len: out.len() as u64,
                });
            }
            if let Some(bytes) = state.in_memory(pack, at, out.len()) {
                out.copy_from_slice(bytes);
                return Ok(());
            }
            known.end
        };
        let file = self.file(pack)?;
        file.read_at(at, out).map_err(|source| match source.kind() {
            ErrorKind::UnexpectedEof => PackError::Damaged {
                pack,
                have: file.len().ok(),
                want,
            },
            _ => PackError::Io {
                pack,
                action: "read",
                source,
            },
        })
    }

    /// A known pack's file.
    pub(super) fn file(&self, pack: u32) -> Result<Arc<dyn DiskFile>, PackError> {
        if let Some(file) = self.state.lock().file(pack) {
            return Ok(file);
        }
        let file = self
            .disk
            .open(&pack_name(pack))
            .map_err(|source| match source.kind() {
                ErrorKind::NotFound => {
                    let want = self.state.lock().packs.get(&pack).map_or(0, |pack| pack.end);
                    PackError::Damaged {
                        pack,
                        have: None,
                        want,
                    }
                }
                _ => PackError::Io {
                    pack,
                    action: "open",
                    source,
                },
            })?;
        self.state.lock().keep_open(pack, file.clone());
        Ok(file)
    }

    /// Walks the records of a pack, listed or stray, without the database, for `check`
    /// and salvage: skips damage and finds the next record behind it.
    ///
    /// # Errors
    /// If the pack is unknown, missing or cannot be opened. Parts that cannot be read are
    /// gaps.
    pub fn scan(&self, pack: u32, each: &mut dyn FnMut(ScanItem)) -> Result<(), PackError> {
        if !self.state.lock().packs.contains_key(&pack) {
            return Err(PackError::Unknown { pack });
        }
        // On a full disk, salvage goes on with what is in the file.
        let _ = self.flush();
        let file = self.file(pack)?;
        let len = file.len().map_err(|source| PackError::Io {
            pack,
            action: "measure",
            source,
        })?;
        scan::scan(pack, &*file, len, each);
        Ok(())
    }
}
