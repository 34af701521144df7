//! When each file was last opened, to the minute: what was not used for longest is given up first.
//!
//! Guarantees: it costs an open one entry in memory, and nothing at all where everything is kept. It is written down now
//! and then, and at the end; what a crash leaves out only lets a file seem older.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::ids::Ino;
use crate::vault::Vault;

/// The note in which it lies: 12 bytes a file.
const NOTE: &str = "used";
/// Files that are remembered.
const MOST: usize = 65_536;
/// How often it is written down.
const REST: Duration = Duration::from_secs(600);

/// Minutes since 1970, by file.
#[derive(Default)]
pub(super) struct Used {
    files: HashMap<Ino, u32>,
    dirty_since: Option<Instant>,
}

fn now() -> u32 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| (since.as_secs() / 60) as u32)
}

impl Vault {
    pub(super) fn load_used(&self) {
        let note = self.note(NOTE).ok().flatten().unwrap_or_default();
        let entry = |entry: &[u8; 12]| {
            let ino = entry[..8].try_into().map(u64::from_le_bytes).ok()?;
            let at = entry[8..].try_into().map(u32::from_le_bytes).ok()?;
            Some((ino, at))
        };
        let note = note.strip_prefix(&[0]).unwrap_or_default();
        self.demand.used.lock().files = note.as_chunks::<12>().0.iter().filter_map(entry).collect();
    }

    /// Somebody has opened a file. An inode is locked.
    pub(in crate::vault) fn was_used(&self, ino: Ino) {
        let mut used = self.demand.used.lock();
        if used.files.insert(ino, now()) != Some(now()) {
            used.dirty_since.get_or_insert_with(Instant::now);
        }
    }

    /// When it was last opened; 0 if that is not known.
    pub(super) fn last_used(&self, ino: Ino) -> u32 {
        self.demand.used.lock().files.get(&ino).copied().unwrap_or(0)
    }

    /// Writes it down if that is due, or `surely`.
    pub fn keep_used(&self, surely: bool) {
        let note = {
            let mut used = self.demand.used.lock();
            let due = used
                .dirty_since
                .is_some_and(|since| surely || since.elapsed() >= REST);
            if !due {
                return;
            }
            used.dirty_since = None;
            let mut files: Vec<(u32, Ino)> = used.files.iter().map(|(ino, at)| (*at, *ino)).collect();
            if files.len() > MOST {
                files.sort_unstable_by(|one, two| two.cmp(one));
                files.truncate(MOST);
                used.files = files.iter().map(|(at, ino)| (*ino, *at)).collect();
            }
            let entry = |(at, ino): &(u32, Ino)| [&ino.to_le_bytes()[..], &at.to_le_bytes()].concat();
            let mut note = vec![0];
            note.extend(files.iter().flat_map(entry));
            note
        };
        // Where it cannot be written, files seem older after the next opening.
        let _ = self.set_note(NOTE, &note);
    }
}
