//! Settings of the vault, the same on all its devices: each a few bytes under a name that the
//! format fixes, kept in a row of its own and told as an event.
//!
//! Guarantees: a setting that was set is told and kept in one transaction. One that this program
//! does not know, or cannot read, is kept as it is, and its default counts; but by a retention that cannot
//! be read nothing is let go of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use super::Retention;
use crate::codec::{Malformed, Reader, Writer};
use crate::core::StoreError;
use crate::db::{Batch, Table};
use crate::event::{EventRef, setting_aad};
use crate::ids::ChainId;
use crate::keys::{Aad, open, seal};
use crate::vault::commit::Work;
use crate::vault::{OpError, Problem, Vault};

/// A setting's name, and its value.
pub(in crate::vault) type Setting = ([u8; 16], Vec<u8>);

/// How long versions are kept.
const RETENTION: [u8; 16] = *b"coffer:retention";
const UNKNOWN_RETENTION: &str = "how long history is to be kept is set in a way that this program cannot read, so nothing of it is \
     let go of: update coffer, or set it anew (coffer settings retention-all)";
/// The least program that the vault's devices are to have. Reserved: no program sets it yet.
const LEAST_PROGRAM: [u8; 16] = *b"coffer:leastprog";
/// Which program this is. It grows with what vaults are told that earlier ones cannot read.
const PROGRAM: u32 = 1;
/// What the names of their rows begin with.
const ROW: &[u8] = b"setting ";
/// No retention is longer, in days: what is added to times must not overflow.
const DAYS_MAX: u32 = 1_000_000;

/// All settings that were ever set.
#[derive(Default)]
pub(in crate::vault) struct Settings {
    values: BTreeMap<[u8; 16], Vec<u8>>,
    /// Their rows were altered or damaged.
    unreadable: BTreeSet<[u8; 16]>,
    untold: BTreeSet<[u8; 16]>,
}

impl Settings {
    /// Those that are new.
    pub(in crate::vault) fn untold(&self) -> Vec<Setting> {
        let value = |id: &[u8; 16]| Some((*id, self.values.get(id)?.clone()));
        self.untold.iter().filter_map(value).collect()
    }

    /// Whether there are such.
    pub(in crate::vault) fn is_untold(&self) -> bool {
        !self.untold.is_empty()
    }

    /// A transaction took these.
    pub(in crate::vault) fn told(&mut self, settings: &[Setting]) {
        for (id, value) in settings {
            if self.values.get(id) == Some(value) {
                self.untold.remove(id);
            }
        }
    }
}

fn row_aad(id: &[u8; 16]) -> Aad {
    let nowhere = EventRef {
        chain: ChainId([0; 16]),
        seq: 0,
    };
    setting_aad(id, nowhere, 0)
}

impl Retention {
    /// The setting's value.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(0)
            .u32(self.all_days)
            .u32(self.daily_days)
            .u32(self.removed_days);
        w.0
    }

    /// The inverse.
    ///
    /// # Errors
    /// [`Malformed`] for anything but a value of this version.
    pub fn decode(bytes: &[u8]) -> Result<Retention, Malformed> {
        let mut r = Reader::new(bytes);
        if r.u8()? != 0 {
            return Err(Malformed("a retention of an unknown version"));
        }
        let retention = Retention {
            all_days: r.u32()?,
            daily_days: r.u32()?,
            removed_days: r.u32()?,
        };
        // What follows is of a later program, and says more.
        match retention.is_possible() {
            true => Ok(retention),
            false => Err(Malformed("a retention of more days than there are")),
        }
    }

    fn is_possible(&self) -> bool {
        [self.all_days, self.daily_days, self.removed_days]
            .iter()
            .all(|days| *days <= DAYS_MAX)
    }
}

impl Vault {
    /// How long versions are kept.
    pub fn retention(&self) -> Retention {
        let value = self.setting(&RETENTION);
        value
            .and_then(|value| Retention::decode(&value).ok())
            .unwrap_or_default()
    }

    /// The same, if it can be read: else nobody knows what is to be kept, and all is.
    pub(super) fn retention_here(&self) -> Option<Retention> {
        let settings = self.settings.lock();
        match settings.values.get(&RETENTION) {
            Some(value) => Retention::decode(value).ok(),
            None => Some(Retention::default()).filter(|_| !settings.unreadable.contains(&RETENTION)),
        }
    }

    /// What of the vault's settings a newer program is needed for, by what they are now, for a person. It is no damage: all
    /// but what it says goes on.
    pub(in crate::vault) fn asks_for_update(&self) -> Option<String> {
        let retention = self.retention_here().is_none();
        let retention = retention.then(|| UNKNOWN_RETENTION.to_owned());
        let said: Vec<String> = self.wants_newer().into_iter().chain(retention).collect();
        (!said.is_empty()).then(|| said.join("; and "))
    }

    /// That this vault asks for a newer program than this, for a person; none if it does not. All else goes on.
    fn wants_newer(&self) -> Option<String> {
        let value = self.setting(&LEAST_PROGRAM)?;
        let mut r = Reader::new(&value);
        // What follows, or is of another version, only a newer one can have said.
        let least = match r.u8() {
            Ok(0) => r.u32().unwrap_or(u32::MAX),
            _ => u32::MAX,
        };
        (least > PROGRAM).then(|| {
            "this vault is used with a newer coffer, which says things that this one cannot read: update coffer on \
             this device"
                .into()
        })
    }

    /// Sets it, for all devices.
    ///
    /// # Errors
    /// As [`OpError`] says; EINVAL for more than a million days.
    pub fn set_retention(&self, retention: Retention) -> Result<(), OpError> {
        match retention.is_possible() {
            true => self.set_setting(RETENTION, retention.encode()),
            false => Err(OpError::Errno(libc::EINVAL)),
        }
    }

    /// A setting's value, if it was ever set.
    pub(in crate::vault) fn setting(&self, id: &[u8; 16]) -> Option<Vec<u8>> {
        self.settings.lock().values.get(id).cloned()
    }

    /// Sets one, and makes that durable.
    pub(in crate::vault) fn set_setting(&self, id: [u8; 16], value: Vec<u8>) -> Result<(), OpError> {
        self.writable()?;
        self.put_setting(id, value);
        Ok(self.tell_saved()?)
    }

    /// Sets one; the next commit that tells makes that durable.
    pub(in crate::vault) fn put_setting(&self, id: [u8; 16], value: Vec<u8>) {
        let mut settings = self.settings.lock();
        settings.unreadable.remove(&id);
        settings.values.insert(id, value);
        settings.untold.insert(id);
    }

    /// Rows of what one commit changes of settings and of what was removed.
    pub(in crate::vault) fn write_history(&self, work: &mut Work) {
        for node in &work.revived {
            work.batch.delete(Table::Removed, node.0);
        }
        for (node, record) in &work.removed {
            let sealed = self.seal_gone(node, record);
            work.batch.put(Table::Removed, node.0, sealed);
            self.grown.store(true, Ordering::Relaxed);
            if let Some(entity) = record.entity.filter(|_| record.key.is_some() && self.is_shared()) {
                // Its key is in there from now on.
                self.drop_awaited(&mut work.batch, &entity);
            }
        }
        {
            let untold = self.untold.lock();
            for (entity, key) in &untold.awaited {
                self.put_awaited(&mut work.batch, entity, key);
            }
            work.awaited = untold.awaited.len();
        }
        for (id, value) in &work.settings {
            self.put_setting_row(&mut work.batch, id, value);
        }
    }

    /// The row of a setting's value.
    pub(in crate::vault) fn put_setting_row(&self, batch: &mut Batch, id: &[u8; 16], value: &[u8]) {
        let sealed = seal(&self.local, &row_aad(id), value);
        batch.put(Table::Meta, [ROW, id].concat(), sealed);
    }

    /// Other devices have set these, as rows say by now. What was set here since is told after them, and
    /// stays. The committer is held.
    pub(in crate::vault) fn settings_came(&self, came: Vec<Setting>) {
        let mut is_text = false;
        {
            let mut settings = self.settings.lock();
            for (id, value) in came {
                if !settings.untold.contains(&id) {
                    is_text |= self.is_text_setting(&id);
                    settings.unreadable.remove(&id);
                    settings.values.insert(id, value);
                }
            }
        }
        if is_text {
            self.use_text_names(false);
        }
    }

    pub(super) fn load_settings(&self) -> Result<(), StoreError> {
        let (mut values, mut unreadable) = (BTreeMap::new(), BTreeSet::new());
        let mut bad = false;
        self.core.db.scan(Table::Meta, ROW, &mut |key, sealed| {
            let id = key.strip_prefix(ROW).and_then(|id| <[u8; 16]>::try_from(id).ok());
            match id.and_then(|id| Some((id, open(&self.local, &row_aad(&id), sealed).ok()?))) {
                Some((id, value)) => drop(values.insert(id, value)),
                None => {
                    unreadable.extend(id);
                    bad = true;
                }
            }
            true
        })?;
        if bad {
            self.note_problem(Problem::new(
                None,
                "a setting of the vault was altered or damaged",
            ));
        }
        {
            let mut settings = self.settings.lock();
            (settings.values, settings.unreadable) = (values, unreadable);
        }
        self.load_text_names();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ROOT;
    use crate::io::sim::SimDisk;
    use crate::record::Time;
    use crate::vault::tests::{file_meta, vault};

    const SHORT: Retention = Retention {
        all_days: 0,
        daily_days: 0,
        removed_days: 0,
    };

    fn further(retention: Retention) -> Vec<u8> {
        [&retention.encode()[..], b"of a later program"].concat()
    }

    /// Guards room for what later programs add: an earlier one goes by what it knows.
    #[test]
    fn a_retention_that_says_more_is_read() {
        assert_eq!(Retention::decode(&further(SHORT)), Ok(SHORT));
        for len in 0..SHORT.encode().len() {
            assert!(Retention::decode(&SHORT.encode()[..len]).is_err(), "{len} bytes");
        }
    }

    /// A retention that this program could not read counted as the default, and history went by that.
    #[test]
    fn a_retention_that_cannot_be_read_lets_nothing_go() {
        let mut later = SHORT.encode();
        later[0] = 1;
        let longest = Retention {
            all_days: DAYS_MAX + 1,
            ..SHORT
        };
        for unreadable in [later, longest.encode(), Vec::new()] {
            let vault = vault(&SimDisk::new());
            let ino = vault.make(ROOT, b"note", file_meta(), b"").unwrap();
            for text in [b"one", b"two"] {
                vault.open(ino, true, true, false).unwrap();
                vault.write(ino, Some(0), text, false).unwrap();
                vault.release(ino, true);
                vault.commit().unwrap();
            }
            let gone = vault.make(ROOT, b"gone", file_meta(), b"").unwrap();
            vault.release(gone, true);
            vault.commit().unwrap();
            vault.remove(ROOT, b"gone", false).unwrap();
            vault.commit().unwrap();
            vault.put_setting(RETENTION, unreadable);
            let now = Time::now();
            let in_years = Time {
                sec: now.sec + 20 * 365 * 86_400,
                ..now
            };
            assert_eq!(vault.thin(in_years).unwrap(), Default::default());
            assert!(!vault.thin_sooner(u64::MAX).unwrap());
            assert_eq!(vault.removed().unwrap().len(), 1);
            let says = || {
                let status = vault.status().unwrap();
                assert_eq!(status.damage, Vec::<String>::new(), "it is none");
                status.update.is_some_and(|line| line.contains("update coffer"))
            };
            assert!(says());
            // Set anew, it counts.
            vault.set_retention(SHORT).unwrap();
            assert!(!says());
            assert!(vault.thin(in_years).unwrap().removed > 0);
        }
    }

    /// It was noted like damage: nothing was collected, folded or joined any more, and the note stayed when another device
    /// had set one that can be read, until the vault was opened again.
    #[test]
    fn a_retention_that_cannot_be_read_counts_until_another_comes() {
        let vault = vault(&SimDisk::new());
        let mut later = SHORT.encode();
        later[0] = 1;
        let says = || vault.status().unwrap().update;
        vault.settings_came(vec![(RETENTION, later)]);
        assert_eq!(vault.thin(Time::now()).unwrap(), Default::default());
        assert!(says().is_some_and(|line| line.contains("retention-all")));
        assert!(!vault.is_damaged());
        vault.collect().unwrap();
        vault.settings_came(vec![(RETENTION, SHORT.encode())]);
        assert_eq!((says(), vault.retention_here()), (None, Some(SHORT)));
        assert!(vault.status().unwrap().damage.is_empty());
        // With a newer program asked for, too, both are said.
        vault.settings_came(vec![(RETENTION, vec![1]), (LEAST_PROGRAM, vec![1])]);
        let both = says().unwrap();
        assert!(
            both.contains("retention-all") && both.contains("this vault is used"),
            "{both}"
        );
    }

    /// Guards what a later program may say: an earlier one goes on, and says that it is to be updated.
    #[test]
    fn a_vault_that_wants_a_newer_program_says_so() {
        let vault = vault(&SimDisk::new());
        let says = |value: Option<&[u8]>| {
            if let Some(value) = value {
                vault.set_setting(LEAST_PROGRAM, value.to_vec()).unwrap();
            }
            let status = vault.status().unwrap();
            assert_eq!(status.damage, Vec::<String>::new(), "it is none");
            status.update.is_some_and(|line| line.contains("update coffer"))
        };
        assert!(!says(None));
        for (value, newer) in [
            (&[0, 1, 0, 0, 0][..], false),
            (&[0, 2, 0, 0, 0], true),
            (&[0, 0, 0, 0, 0], false),
            (&[0, 0xff, 0xff, 0xff, 0xff, 7], true),
            (&[1], true),
        ] {
            assert_eq!(says(Some(value)), newer, "{value:?}");
        }
    }

    /// The same of one whose row was altered on the disk.
    #[test]
    fn a_retention_that_was_altered_lets_nothing_go() {
        let disk = SimDisk::new();
        let held = vault(&disk);
        held.set_retention(SHORT).unwrap();
        held.commit().unwrap();
        let mut batch = Batch::new();
        batch.put(Table::Meta, [ROW, &RETENTION].concat(), vec![0; 53]);
        held.core.db.apply(&batch).unwrap();
        held.load_settings().unwrap();
        assert_eq!(held.retention(), Retention::default());
        assert_eq!(held.retention_here(), None);
        held.set_retention(SHORT).unwrap();
        assert_eq!(held.retention_here(), Some(SHORT));
    }
}
