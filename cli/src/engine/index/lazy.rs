//! What is told only when a query names it: history and blobs. Told anew only if the vault has changed since.

use std::io;

use coffer_index::said::{self, Lazy, Tell};
use coffer_store::vault::{Deed, Of};

use super::feed::{Feeder, MANY, moment};

fn place(lazy: Lazy) -> usize {
    match lazy {
        Lazy::History => 0,
        Lazy::Blobs => 1,
    }
}

impl Feeder {
    /// Tells all of these, or that they are what they were.
    pub(super) fn need(&mut self, lazy: Lazy) -> io::Result<()> {
        // Before anything is read: what changes meanwhile is read the next time.
        let now = self.vault.transactions();
        if self.told_lazy[place(lazy)] == Some(now) {
            self.client.tell(&Tell::Still(lazy))?;
            return self.client.flush();
        }
        match lazy {
            Lazy::History => self.history()?,
            Lazy::Blobs => self.blobs()?,
        }
        self.told_lazy[place(lazy)] = Some(now);
        Ok(())
    }

    fn history(&mut self) -> io::Result<()> {
        let mut rows = Vec::new();
        let read = self.vault.history(None, &mut |row| {
            rows.push(row);
            true
        });
        // What cannot be read of it is missing there; `check` says why.
        let _ = read;
        let mut versions = Vec::new();
        for row in rows {
            let (file, path) = match row.of {
                Of::File(ino) => (Some(ino), Vec::new()),
                Of::Removed { path, .. } => (None, path),
                Of::Nameless => continue,
            };
            let action = match row.deed {
                Deed::Created => "created",
                Deed::Edited => "edited",
                Deed::Merged => "merged",
                Deed::Removed => "removed",
            };
            versions.push(said::Version {
                file,
                path,
                id: row.entity.0,
                number: row.number,
                recorded: moment(row.when),
                modified: moment(row.modified),
                action: action.into(),
                device: row.device.map_or_else(Vec::new, |chain| self.device(&chain)),
                program: row.program,
                size: row.size,
                before: row.size_before,
                kept: row.held,
            });
        }
        self.whole(Lazy::History, versions, Tell::History)
    }

    fn blobs(&mut self) -> io::Result<()> {
        let mut blobs = Vec::new();
        let read = self.vault.blobs(&mut |blob| {
            blobs.push(said::Blob {
                id: blob.name[..16].try_into().unwrap_or_default(),
                size: blob.size,
                stored: blob.stored.unwrap_or_default(),
                refs: blob.references,
                here: blob.stored.is_some(),
            });
            true
        });
        let _ = read;
        self.whole(Lazy::Blobs, blobs, Tell::Blobs)
    }

    fn whole<T: Clone>(&mut self, lazy: Lazy, all: Vec<T>, tell: fn(bool, Vec<T>) -> Tell) -> io::Result<()> {
        let mut is_first = true;
        for some in all.chunks(MANY) {
            self.client.tell(&tell(is_first, some.to_vec()))?;
            is_first = false;
        }
        if is_first {
            self.client.tell(&tell(true, Vec::new()))?;
        }
        self.client.tell(&Tell::Whole(lazy))?;
        self.client.flush()
    }
}
