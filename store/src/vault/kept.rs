//! What is kept of a newer state: the packs, and the ends of packs, that a database which was put
//! back from another day, or copied, does not know.
//!
//! Whoever says that a store was restored, moved or copied has this noted: packs that the
//! database does not list are renamed to `aside-pack-…`, and packs that are longer than it
//! knows are neither cut nor appended to nor given back. The same holds for all the others
//! where a store takes the place of the newer one, which may name what this one drops. So the
//! newer database, put back together with the packs' names, finds everything that it names.
//! A file `aside-README` tells a person about it.
//!
//! Guarantees: until its owner has removed all files `aside-…`, nothing of it is removed here,
//! and no pack takes its number. After a crash at any point it is still noted, and the
//! renaming is done at the next unlocking.

use std::collections::{BTreeMap, HashSet};
use std::io::{ErrorKind, Result as IoResult};

use super::Vault;
use crate::chunk::pack::{pack_name, pack_number};
use crate::codec::{Malformed, Reader, Writer};
use crate::core::StoreError;
use crate::io::Disk;

/// Its row in the table of meta.
pub(super) const KEPT: &[u8] = b"kept";
/// What stands before a pack's name when it was set aside.
const ASIDE: &str = "aside-";
/// There as long as something is kept, though no pack need be set aside for it.
const README: &str = "aside-README";

/// Packs, with how many bytes of each the database had committed: none of one that it did not list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept(pub(crate) BTreeMap<u32, u64>);

impl Kept {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(0);
        for (pack, len) in &self.0 {
            w.u32(*pack).u64(*len);
        }
        w.0
    }

    /// The inverse.
    ///
    /// # Errors
    /// [`Malformed`] for anything but ascending entries of this version.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Kept, Malformed> {
        let mut r = Reader::new(bytes);
        if r.u8()? != 0 {
            return Err(Malformed("a list of kept packs of an unknown version"));
        }
        let mut kept = BTreeMap::new();
        while r.remaining() > 0 {
            let (pack, len) = (r.u32()?, r.u64()?);
            if kept.last_key_value().is_some_and(|(last, _)| *last >= pack) {
                return Err(Malformed("a list of kept packs out of order"));
            }
            kept.insert(pack, len);
        }
        Ok(Kept(kept))
    }

    /// Their numbers.
    pub(super) fn packs(&self) -> impl Iterator<Item = u32> {
        self.0.keys().copied()
    }

    pub(super) fn contains(&self, pack: u32) -> bool {
        self.0.contains_key(&pack)
    }

    /// None of them, if nothing lies aside any more: then the newer state was given up.
    pub(super) fn unless_given_up(self, disk: &dyn Disk) -> IoResult<Kept> {
        let lies = disk.list()?.iter().any(|name| name.starts_with(ASIDE));
        Ok(if lies { self } else { Kept::default() })
    }

    /// Adds what the folder has beyond what is committed, which then counts as committed; with
    /// `shared`, and if there is any, all that is committed.
    pub(super) fn find(
        &mut self,
        disk: &dyn Disk,
        committed: &mut [(u32, u64)],
        shared: bool,
    ) -> IoResult<()> {
        let listed: HashSet<u32> = committed.iter().map(|(pack, _)| *pack).collect();
        for name in disk.list()? {
            let number = pack_number(&name).or_else(|| number_aside(&name));
            if let Some(pack) = number.filter(|pack| !listed.contains(pack)) {
                self.0.entry(pack).or_insert(0);
            }
        }
        for (pack, len) in &mut *committed {
            // One that is missing or cannot be opened is damage, and found as such.
            let have = disk.open(&pack_name(*pack)).and_then(|file| file.len());
            if let Ok(have) = have
                && have > *len
            {
                self.0.entry(*pack).or_insert(*len);
                *len = have;
            }
        }
        if shared && !self.0.is_empty() {
            for (pack, len) in committed {
                self.0.entry(*pack).or_insert(*len);
            }
        }
        Ok(())
    }

    /// Says in the folder what is kept, if anything is, and that it is.
    pub(super) fn tell(&self, disk: &dyn Disk) -> IoResult<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        match disk.create(README) {
            Ok(file) => {
                let text = format!("Files here whose names begin with “{ASIDE}” are kept: {ASIDE_ADVICE}.\n");
                file.write_at(0, text.as_bytes())?;
                file.sync_data()?;
            }
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
        }
        disk.sync_dir()
    }
}

/// The number of a pack that was set aside.
fn number_aside(name: &str) -> Option<u32> {
    let name = name.strip_prefix(ASIDE)?;
    // A number may follow its own: see `free_name`.
    let end = name.rfind('-').filter(|end| *end > "pack".len());
    pack_number(&name[..end.unwrap_or(name.len())])
}

/// Something in the folder that the vault does not use and does not remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aside {
    /// The file's name.
    pub name: String,
    /// Its length in bytes, or how much of it is not this state's.
    pub bytes: u64,
}

/// What to do with them, in words for a person.
pub const ASIDE_ADVICE: &str = "they belong to a newer state of the vault that was here before; to go back to \
     it, lock the vault, put that day's vault.redb in its place and take “aside-” off the names; to give it up, \
     and have back its room and that of what you remove, lock the vault and remove the files whose names begin so";

impl Vault {
    /// What is kept of a newer state, by name.
    pub fn asides(&self) -> Vec<Aside> {
        let disk = &self.core.disk;
        let len = |name: &str| disk.open(name).and_then(|file| file.len()).unwrap_or(0);
        let mut found = Vec::new();
        for name in disk.list().unwrap_or_default() {
            if name.starts_with(ASIDE) {
                let bytes = len(&name);
                found.push(Aside { name, bytes });
            }
        }
        for (pack, committed) in self.kept.0.iter().filter(|(_, len)| **len > 0) {
            let name = pack_name(*pack);
            let bytes = len(&name).saturating_sub(*committed);
            if bytes > 0 {
                found.push(Aside { name, bytes });
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found
    }

    /// Renames packs that nobody lists and that are kept.
    pub(super) fn set_aside(&self, strays: &[u32]) -> Result<(), StoreError> {
        let failed = |e| StoreError::Db(crate::db::DbError::Io(e));
        for &pack in strays {
            let name = pack_name(pack);
            let to = free_name(&*self.core.disk, &format!("{ASIDE}{name}")).map_err(failed)?;
            self.core.disk.rename(&name, &to).map_err(failed)?;
            // Its file has another name by now: nothing is removed.
            self.core.packs.remove(pack)?;
        }
        if !strays.is_empty() {
            self.core.disk.sync_dir().map_err(failed)?;
        }
        Ok(())
    }
}

/// The name, or, if there is such a file, with a number after it.
fn free_name(disk: &dyn Disk, name: &str) -> IoResult<String> {
    let taken: HashSet<String> = disk.list()?.into_iter().collect();
    let numbered = (2u32..).map(|n| format!("{name}-{n}"));
    let mut names = std::iter::once(name.to_owned()).chain(numbered);
    names
        .find(|name| !taken.contains(name))
        .ok_or_else(|| ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards that a number is known by every name that its pack can have when it was set aside.
    #[test]
    fn numbers_of_packs_that_lie_aside() {
        for (name, number) in [
            ("aside-pack-00000007", Some(7)),
            ("aside-pack-00000007-2", Some(7)),
            ("aside-pack-123456789-12", Some(123_456_789)),
            ("pack-00000007", None),
            ("aside-pack-7", None),
            ("aside-pack", None),
            (README, None),
            (ASIDE, None),
        ] {
            assert_eq!(number_aside(name), number, "{name}");
        }
    }

    /// Guards the row's bytes, and that nothing but such bytes is taken for one.
    #[test]
    fn the_row_is_as_specified() {
        let kept = Kept([(2, 0x0102), (7, 0)].into());
        let bytes = [
            0, 2, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        assert_eq!(kept.encode(), bytes);
        assert_eq!(Kept::decode(&bytes).unwrap(), kept);
        assert_eq!(Kept::decode(&[0]).unwrap(), Kept::default());
        let mut twice = bytes.to_vec();
        twice.extend_from_slice(&bytes[13..]);
        for bad in [&[][..], &[1], &bytes[..24], &[&bytes[..], &[0]].concat(), &twice] {
            assert!(Kept::decode(bad).is_err(), "{bad:?}");
        }
    }
}
