//! Which names are texts: a setting of the vault, the same on all its devices.
//!
//! Guarantees: it counts at once for what is saved next, and changes no version that is there. Files
//! whose names it makes texts, or no texts any more, go on as if they had got such a name by now: the
//! next save begins a text, or ends it, and what was saved before is told as what it was. The setting and
//! what it makes of files are one transaction. A value that this program cannot read is kept, and its own
//! list counts.

use std::collections::HashSet;

use super::{OpError, Vault};
use crate::codec::{Malformed, Reader, Writer};
use crate::ids::Ino;
use crate::record::Kind;
use crate::text::TextNames;

/// The setting's name.
const SETTING: [u8; 16] = *b"coffer:textnames";

/// The setting's value; none: the list of whichever program reads it.
pub(crate) fn encode(names: Option<&TextNames>) -> Vec<u8> {
    let mut w = Writer::new();
    w.u8(0).u8(u8::from(names.is_some()));
    if let Some(names) = names {
        w.raw(names.to_string().as_bytes());
    }
    w.0
}

/// The inverse.
///
/// # Errors
/// [`Malformed`] for anything but a value of this version.
pub(crate) fn decode(bytes: &[u8]) -> Result<Option<TextNames>, Malformed> {
    const CONTRADICTS: Malformed = Malformed("a list of text names contradicts itself");
    let mut r = Reader::new(bytes);
    if r.u8()? != 0 {
        return Err(Malformed("a list of text names of an unknown version"));
    }
    match r.u8()? {
        0 => r.end().map(|()| None),
        1 => {
            let list = std::str::from_utf8(r.rest()).map_err(|_| CONTRADICTS)?;
            let names: TextNames = list.parse().map_err(|_| CONTRADICTS)?;
            // As it is written, and no other way.
            let is_so = names.to_string() == list;
            is_so.then_some(Some(names)).ok_or(CONTRADICTS)
        }
        _ => Err(CONTRADICTS),
    }
}

impl Vault {
    /// Which names are texts; and whether that is this program's own list, since nobody has set one.
    pub fn text_names(&self) -> (TextNames, bool) {
        let value = self.setting(&SETTING).and_then(|value| decode(&value).ok());
        match value.flatten() {
            Some(names) => (names, false),
            None => (TextNames::default(), true),
        }
    }

    /// Sets them, for all devices, or has the program's own list count again.
    ///
    /// # Errors
    /// As [`OpError`] says.
    pub fn set_text_names(&self, names: Option<&TextNames>) -> Result<(), OpError> {
        self.writable()?;
        {
            // What the names make of the files is stored with them, by whichever commit comes next.
            let _committer = self.committer.lock();
            self.put_setting(SETTING, encode(names));
            self.use_text_names(false);
        }
        Ok(self.tell_saved()?)
    }

    /// Whether this is the setting's name.
    pub(super) fn is_text_setting(&self, id: &[u8; 16]) -> bool {
        *id == SETTING
    }

    /// From now on the setting counts, as it is by now: for files that are there, too. Called when it
    /// has changed, with the committer held. `all`: also for files whose names are what they were before,
    /// since what was made of them may not have been stored.
    pub(super) fn use_text_names(&self, all: bool) {
        let (new, _) = self.text_names();
        let old = std::mem::replace(&mut *self.text_names.write(), new.clone());
        let mut turned: HashSet<Ino> = HashSet::new();
        for (_, entries) in self.tree.read().iter() {
            let files = entries.entries.values().filter(|entry| entry.kind == Kind::File);
            let turns = files.filter(|entry| all || old.cover(&entry.name) != new.cover(&entry.name));
            turned.extend(turns.map(|entry| entry.ino));
        }
        // Read before the tree is held.
        let _held: Vec<_> = turned.iter().map(|ino| self.get(*ino)).collect();
        self.to_mark.lock().extend(turned);
        // Who renames one meanwhile comes before or after, and finds the new names.
        self.mark_by_all_names(&self.tree.read());
    }

    /// The setting counts, as it was stored. Marks of files were stored with it.
    pub(super) fn load_text_names(&self) {
        *self.text_names.write() = self.text_names().0;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;
    use crate::ids::ROOT;
    use crate::io::sim::SimDisk;
    use crate::vault::tests::{file_meta, password, vault};
    use crate::vault::{Identity, Sealed};

    /// An fsync's commit between the setting and its own stored what it made of the files, and not the
    /// setting: after a power cut the list said one thing and the files another.
    #[test]
    fn what_it_makes_of_files_is_stored_with_it() {
        let disk = SimDisk::new();
        let vault = vault(&disk);
        let ino = vault.make(ROOT, b"x.bin", file_meta(), b"").unwrap();
        vault.commit().unwrap();
        {
            let _committer = vault.committer.lock();
            vault.put_setting(SETTING, encode(Some(&"*.bin".parse().unwrap())));
            vault.use_text_names(false);
        }
        vault.sync(ino).unwrap();
        let found = Sealed::open_on(Arc::new(disk.crash_all_lost()), "sim".into(), None).unwrap();
        let found = found.unlock(&password(), Identity::Same).unwrap();
        let marked = found.get(ino).unwrap().state.read().marks.text;
        assert_eq!((marked, found.text_names().1), (true, false));
    }

    /// A file that was renamed while the list was being set was what its old name said by the new list.
    #[test]
    fn who_renames_meanwhile_is_not_passed_over() {
        let vault = vault(&SimDisk::new());
        let make = |name: &str| vault.make(ROOT, name.as_bytes(), file_meta(), b"").unwrap();
        let ino = make("x.bin");
        let others: Vec<_> = (0..40)
            .map(|i| vault.get(make(&format!("{i}.bin"))).unwrap())
            .collect();
        vault.commit().unwrap();
        let (tell, told) = channel();
        std::thread::scope(|scope| {
            // It comes to one of these, mostly before it comes to the file.
            let held: Vec<_> = others.iter().map(|inode| inode.state.read()).collect();
            let vault = &vault;
            let list: TextNames = "*.bin".parse().unwrap();
            let sets = scope.spawn(move || vault.set_text_names(Some(&list)));
            let is_awaited = |inode: &Arc<crate::vault::inode::Inode>| inode.state.try_read().is_none();
            while !others.iter().any(is_awaited) {
                std::thread::yield_now();
            }
            scope.spawn(move || {
                vault.rename((ROOT, b"x.bin"), (ROOT, b"x.rs"), false).unwrap();
                let _ = tell.send(());
            });
            // Whoever does not wait for the list is through by then.
            let _ = told.recv_timeout(Duration::from_millis(300));
            drop(held);
            sets.join().unwrap().unwrap();
        });
        assert!(!vault.get(ino).unwrap().state.read().marks.text);
    }

    /// Guards the setting's bytes, as docs/format.md has them, and that nothing else is taken for one.
    #[test]
    fn only_what_is_written_is_read() {
        let names: TextNames = "*.MD  todo !x.md".parse().unwrap();
        let bytes = encode(Some(&names));
        assert_eq!(bytes, b"\0\x01*.md todo !x.md");
        assert_eq!(decode(&bytes).unwrap(), Some(names));
        let none: TextNames = "".parse().unwrap();
        assert_eq!(decode(&encode(Some(&none))).unwrap(), Some(none));
        assert_eq!(decode(&encode(None)).unwrap(), None);
        for bad in [
            &b""[..],
            b"\0",
            b"\x01\0",
            b"\0\0x",
            b"\0\x02",
            b"\0\x01*.MD",
            b"\0\x01a  b",
            b"\0\x01a/b",
            b"\0\x01\xff",
        ] {
            assert!(decode(bad).is_err(), "{bad:?}");
        }
        let all = vec!["x"; 513].join(" ");
        assert!(decode(&[b"\0\x01", all.as_bytes()].concat()).is_err());
        assert_eq!(
            decode(&encode(Some(&TextNames::default()))).unwrap(),
            Some(TextNames::default())
        );
    }
}
