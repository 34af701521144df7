//! Which versions of a text this mount has shown to whom: what an editor may have had.
//!
//! An open counts as a read, since a read may be served by the kernel's pages; and whoever has the
//! file open is shown what it comes to show meanwhile. A process is known by the thread that opened;
//! where none is, nothing is noted. It never guesses: a showing that cannot be named is none.
//!
//! Bounded, and so that nobody's reading crowds out what another has: of each process a few
//! showings; and where it is all too much, whoever was shown the most texts is forgotten the longest
//! ago. Never is what a handle that is open showed, nor what a save that is not told was made after.

use std::collections::HashMap;

use super::reader::{Reader, Showing, Stand};
use crate::event::EventRef;
use crate::ids::{EntityId, Ino};
use crate::vault::saves::{Process, same_process};

/// So many texts are remembered.
const TEXTS: usize = 16_384;
/// So many showings of all of them: some 10 MB.
const SHOWINGS: usize = 65_536;
/// What others were shown since a process was shown or saved something: so many, the newest.
const OTHERS: usize = 16;
/// When a text was shown to so many, those are looked for that are no more.
const READERS: usize = 64;
/// The last so many showings of all stay, whatever became of who was shown them: what somebody
/// saved who then ended may still be on its way.
const RECENT: u64 = 1024;

/// What is known of a text.
struct Known {
    readers: Vec<Reader>,
    /// Handles that are open, of which inode, and whose.
    open: Vec<(u64, Ino, Process)>,
    /// With so many readers, those are looked for that are no more.
    look_at: usize,
}

/// What a process may have had.
#[derive(Debug, Default)]
pub(super) struct Its {
    /// The oldest first.
    pub(super) stands: Vec<Stand>,
    /// What it saved last: before that it had nothing that it may still have, but by an open handle.
    pub(super) saved: Option<Stand>,
    /// What others were shown since, who may have read it for this one; the oldest first.
    pub(super) of_others: Vec<Stand>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Shown {
    texts: HashMap<EntityId, Known>,
    /// Of which text each open handle is: its file may stand for another by the time it is closed.
    handles: HashMap<u64, EntityId>,
    /// Showings, at most so many.
    count: usize,
    /// The last place in the order that was noted.
    latest: u64,
    /// So many texts and showings stayed when room was made last, all that might not go: it is not
    /// looked again before there are twice as many.
    stayed: (usize, usize),
}

fn is_there(who: Process) -> bool {
    std::path::Path::new("/proc").join(who.to_string()).exists()
}

/// What these were shown and saved before `order`, the oldest first.
fn before<'a>(readers: &[&'a Reader], order: u64) -> Vec<&'a Showing> {
    let showings = readers.iter().flat_map(|reader| &reader.showings);
    let mut showings: Vec<&Showing> = showings.filter(|one| one.order < order).collect();
    showings.sort_by_key(|one| one.order);
    showings
}

impl Shown {
    /// A process has opened a file by this handle; 0: nobody says when it is closed.
    pub(super) fn note(
        &mut self,
        (entity, ino): (EntityId, Ino),
        order: u64,
        who: Process,
        stand: Stand,
        handle: u64,
    ) {
        let known = self.of(entity, order);
        if handle != 0 {
            known.open.push((handle, ino, who));
        }
        let added = known.shown(order, who, stand, handle);
        self.count += added;
        if handle != 0 {
            self.handles.insert(handle, entity);
        }
    }

    /// A handle was closed.
    pub(super) fn closed(&mut self, handle: u64) {
        let entity = self.handles.remove(&handle);
        let Some(known) = entity.and_then(|entity| self.texts.get_mut(&entity)) else {
            return;
        };
        known.open.retain(|(open, ..)| *open != handle);
        for reader in &mut known.readers {
            reader.closed(handle);
        }
    }

    /// The file of this inode shows something else: whoever has it open may have that from now on.
    pub(super) fn changed(&mut self, (entity, ino): (EntityId, Ino), order: u64, by: Process, stand: &Stand) {
        let Some(known) = self.texts.get_mut(&entity) else {
            return;
        };
        // What it saved itself is known of a process.
        let to = known.open.iter().filter(|(_, of, who)| *of == ino && *who != by);
        let to: Vec<(u64, Ino, Process)> = to.copied().collect();
        let added = to.into_iter();
        let added = added.map(|(handle, _, who)| known.shown(order, who, stand.clone(), handle));
        self.count += added.sum::<usize>();
        self.latest = self.latest.max(order);
    }

    /// What this inode is now is kept as a draft: a process has saved it, if one is known, and who
    /// saw the file since the last one saw this.
    pub(super) fn saved(&mut self, (entity, ino): (EntityId, Ino), order: u64, who: Process, serial: u64) {
        let stand = Stand::Draft(serial);
        if let Some(known) = self.texts.get_mut(&entity) {
            known.rename(&Stand::Next(ino), &stand);
        }
        if who != 0 {
            let saved = Showing {
                order,
                stand: stand.clone(),
                saved: true,
                handles: Vec::new(),
            };
            self.of(entity, order).reader(who).add(saved);
            self.count += 1;
        }
        self.changed((entity, ino), order, who, &stand);
    }

    /// What a process may have had before `order`: what it saved last and was shown since; before
    /// that only what it was shown by a handle that is open still, for there may be several editors
    /// behind one process.
    pub(super) fn to(&self, entity: &EntityId, who: Process, order: u64) -> Its {
        let Some(known) = self.texts.get(entity) else {
            return Its::default();
        };
        let is_its = |reader: &&Reader| reader.who == who || same_process(reader.who, who);
        let (its, others): (Vec<&Reader>, Vec<&Reader>) = known.readers.iter().partition(is_its);
        let its = before(&its, order);
        let Some(newest) = its.last() else {
            return Its::default();
        };
        let last = its.iter().rposition(|one| one.saved);
        let since = its.iter().enumerate().filter(|(place, one)| {
            let is_since = last.is_none_or(|last| *place >= last);
            is_since || !one.handles.is_empty()
        });
        let mut of_others: Vec<Stand> = Vec::new();
        for one in before(&others, order).iter().rev() {
            if one.order < newest.order || of_others.len() >= OTHERS {
                break;
            }
            if !of_others.contains(&one.stand) {
                of_others.push(one.stand.clone());
            }
        }
        of_others.reverse();
        Its {
            stands: since.map(|(_, one)| one.stand.clone()).collect(),
            saved: last.map(|last| its[last].stand.clone()),
            of_others,
        }
    }

    /// A draft is these versions now.
    pub(super) fn told(&mut self, entity: &EntityId, serial: u64, versions: &[EventRef]) {
        let Some(known) = self.texts.get_mut(entity) else {
            return;
        };
        known.rename(&Stand::Draft(serial), &Stand::Told(versions.to_vec()));
        for reader in &mut known.readers {
            // What a process had before a save that is told is asked for no more.
            let told = |one: &Showing| one.saved && matches!(one.stand, Stand::Told(_));
            let from = reader.showings.iter().rposition(told).unwrap_or(0);
            let mut place = 0;
            reader.showings.retain(|one| {
                place += 1;
                place > from || !one.handles.is_empty()
            });
        }
    }

    /// What this inode was is told, and never was a draft.
    pub(super) fn told_whole(&mut self, entity: &EntityId, ino: Ino, version: EventRef) {
        if let Some(known) = self.texts.get_mut(entity) {
            known.rename(&Stand::Next(ino), &Stand::Told(vec![version]));
        }
    }

    /// What these versions are is told once more, as one that does not go on from them.
    pub(super) fn told_again(&mut self, entity: &EntityId, was: &[EventRef], version: EventRef) {
        let Some(known) = self.texts.get_mut(entity) else {
            return;
        };
        let is_it = |stand: &Stand| {
            matches!(stand, Stand::Told(versions)
                if versions.len() == was.len() && was.iter().all(|at| versions.contains(at)))
        };
        let showings = known.readers.iter_mut().flat_map(|reader| &mut reader.showings);
        for one in showings.filter(|one| is_it(&one.stand)) {
            one.stand = Stand::Told(vec![version]);
        }
    }

    /// A draft will never be told.
    pub(super) fn given_up(&mut self, entity: &EntityId, serial: u64) {
        let Some(known) = self.texts.get_mut(entity) else {
            return;
        };
        for reader in &mut known.readers {
            reader.showings.retain(|one| one.stand != Stand::Draft(serial));
        }
        known.readers.retain(|reader| !reader.showings.is_empty());
        if known.readers.is_empty() && known.open.is_empty() {
            self.texts.remove(entity);
        }
    }

    /// What is known of a text, to which something is added.
    fn of(&mut self, entity: EntityId, order: u64) -> &mut Known {
        self.latest = self.latest.max(order);
        let most = (TEXTS.max(2 * self.stayed.0), SHOWINGS.max(2 * self.stayed.1));
        if self.count >= most.1 || (self.texts.len() >= most.0 && !self.texts.contains_key(&entity)) {
            self.make_room();
            self.stayed = (self.texts.len(), self.count);
        }
        let recent = self.latest.saturating_sub(RECENT);
        let known = self.texts.entry(entity).or_insert_with(|| Known {
            readers: Vec::new(),
            open: Vec::new(),
            look_at: READERS,
        });
        if known.readers.len() >= known.look_at {
            known
                .readers
                .retain(|reader| !reader.may_go(recent) || is_there(reader.who));
            known.look_at = READERS.max(2 * known.readers.len());
        }
        known
    }

    /// Forgets a quarter at least, as far as it may.
    fn make_room(&mut self) {
        let recent = self.latest.saturating_sub(RECENT);
        let mut there: HashMap<Process, bool> = HashMap::new();
        self.keep(|reader| {
            !reader.may_go(recent) || *there.entry(reader.who).or_insert_with(|| is_there(reader.who))
        });
        while self.texts.len() > TEXTS / 4 * 3 || self.count > SHOWINGS / 4 * 3 {
            let mut shown: HashMap<Process, Vec<u64>> = HashMap::new();
            let readers = self.texts.values().flat_map(|known| &known.readers);
            for reader in readers.filter(|reader| reader.may_go(recent)) {
                shown.entry(reader.who).or_default().push(reader.last());
            }
            let most = shown.into_iter().max_by_key(|(who, texts)| (texts.len(), *who));
            let Some((who, mut orders)) = most else { break };
            orders.sort_unstable();
            let limit = orders[orders.len() / 2];
            self.keep(|reader| !reader.may_go(recent) || reader.who != who || reader.last() > limit);
        }
    }

    /// Keeps these readers, and counts what stays.
    fn keep(&mut self, mut keeps: impl FnMut(&Reader) -> bool) {
        self.count = 0;
        self.texts.retain(|_, known| {
            known.readers.retain(&mut keeps);
            self.count += known
                .readers
                .iter()
                .map(|reader| reader.showings.len())
                .sum::<usize>();
            !known.readers.is_empty() || !known.open.is_empty()
        });
    }
}

impl Known {
    fn reader(&mut self, who: Process) -> &mut Reader {
        let place = match self.readers.iter().position(|reader| reader.who == who) {
            Some(place) => place,
            None => {
                let showings = Vec::new();
                self.readers.push(Reader { who, showings });
                self.readers.len() - 1
            }
        };
        &mut self.readers[place]
    }

    /// A process was shown this; returns how many showings that makes more, at most.
    fn shown(&mut self, order: u64, who: Process, stand: Stand, handle: u64) -> usize {
        let reader = self.reader(who);
        let since = reader.since_saved();
        let mut handles = Vec::new();
        let again = |one: &Showing| one.stand == stand && !one.saved;
        if let Some(place) = reader.showings[since..].iter().position(again) {
            handles = reader.showings.remove(since + place).handles;
        }
        if handle != 0 && !handles.contains(&handle) {
            handles.push(handle);
        }
        reader.add(Showing {
            order,
            stand,
            saved: false,
            handles,
        });
        if handle != 0 {
            reader.bound_handle(handle);
        }
        reader.bound_reads();
        1
    }

    fn rename(&mut self, was: &Stand, is: &Stand) {
        let showings = self.readers.iter_mut().flat_map(|reader| &mut reader.showings);
        for one in showings.filter(|one| one.stand == *was) {
            one.stand = is.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::ids::ROOT;
    use crate::io::sim::SimDisk;
    use crate::vault::tests::{file_meta, vault};

    /// What was saved and removed before it was told was remembered for as long as the process lived.
    #[test]
    fn what_is_given_up_is_forgotten() {
        let vault = vault(&SimDisk::new());
        for i in 0..20 {
            let name = format!("{i}.md");
            let ino = vault.make(ROOT, name.as_bytes(), file_meta(), b"").unwrap();
            let save = |who, text: &[u8]| {
                vault.open_by(who, ino, true, true, false).unwrap();
                vault.write(ino, Some(0), text, false).unwrap();
                vault.release(ino, true);
            };
            save(4_100_001, b"one\n");
            vault.commit().unwrap();
            save(4_100_001, b"one\ntwo\n");
            // Its second save has a name from now on, and two have seen it.
            vault.open_by(4_100_002, ino, false, false, false).unwrap();
            vault.release(ino, false);
            assert!(vault.texts.shown.lock().texts.len() == 1, "it is known meanwhile");
            vault.remove(ROOT, name.as_bytes(), false).unwrap();
            vault.commit().unwrap();
            let shown = vault.texts.shown.lock();
            let is_draft = |stand: &super::Stand| matches!(stand, super::Stand::Draft(_));
            let readers = shown.texts.values().flat_map(|known| &known.readers);
            let showings = readers.flat_map(|reader| &reader.showings);
            assert_eq!(showings.filter(|one| is_draft(&one.stand)).count(), 0);
            assert_eq!(shown.texts.len(), 0);
        }
    }
}
