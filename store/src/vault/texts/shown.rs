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

use crate::event::EventRef;
use crate::ids::{EntityId, Ino};
use crate::vault::saves::{Process, same_process};

/// So many texts are remembered.
const TEXTS: usize = 16_384;
/// So many showings of all of them: some 10 MB.
const SHOWINGS: usize = 65_536;
/// What a process was shown of one text since it saved it last, by no handle that is open: so many.
const READS: usize = 8;
/// What one open handle showed: the first, and the last of so many.
const BY_HANDLE: usize = 8;
/// When a text was shown to so many, those are looked for that are no more.
const READERS: usize = 64;
/// The last so many showings of all stay, whatever became of who was shown them: what somebody
/// saved who then ended may still be on its way.
const RECENT: u64 = 1024;

/// What a file showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::vault) enum Stand {
    /// These versions.
    Told(Vec<EventRef>),
    /// A version that is not told yet, by its draft's serial.
    Draft(u64),
    /// What the next draft of this inode is.
    Next(Ino),
}

/// One showing, or one save.
struct Showing {
    order: u64,
    stand: Stand,
    /// The process itself has saved this.
    saved: bool,
    /// Handles that are open since it was shown this.
    handles: Vec<u64>,
}

/// What one process was shown of a text, and saved, in the order of time.
struct Reader {
    who: Process,
    showings: Vec<Showing>,
}

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
}

fn is_there(who: Process) -> bool {
    std::path::Path::new("/proc").join(who.to_string()).exists()
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
        let readers = known.readers.iter();
        let its = readers.filter(|reader| reader.who == who || same_process(reader.who, who));
        let its = its.flat_map(|reader| &reader.showings);
        let mut its: Vec<&Showing> = its.filter(|one| one.order < order).collect();
        its.sort_by_key(|one| one.order);
        let last = its.iter().rposition(|one| one.saved);
        let since = its.iter().enumerate().filter(|(place, one)| {
            let is_since = last.is_none_or(|last| *place >= last);
            is_since || !one.handles.is_empty()
        });
        Its {
            stands: since.map(|(_, one)| one.stand.clone()).collect(),
            saved: last.map(|last| its[last].stand.clone()),
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

    /// A draft will never be told.
    pub(super) fn given_up(&mut self, entity: &EntityId, serial: u64) {
        let readers = self.texts.get_mut(entity).map(|known| &mut known.readers);
        for reader in readers.into_iter().flatten() {
            reader.showings.retain(|one| one.stand != Stand::Draft(serial));
        }
    }

    /// What is known of a text, to which something is added.
    fn of(&mut self, entity: EntityId, order: u64) -> &mut Known {
        self.latest = self.latest.max(order);
        if self.count >= SHOWINGS || (self.texts.len() >= TEXTS && !self.texts.contains_key(&entity)) {
            self.make_room();
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

impl Reader {
    /// When it was shown, or saved, something last.
    fn last(&self) -> u64 {
        self.showings.last().map_or(0, |one| one.order)
    }

    /// Whether it may be forgotten.
    fn may_go(&self, recent: u64) -> bool {
        let is_held = |one: &Showing| !one.handles.is_empty() || !matches!(one.stand, Stand::Told(_));
        self.last() < recent && !self.showings.iter().any(is_held)
    }

    /// Adds one, in its place.
    fn add(&mut self, one: Showing) {
        let place = self.showings.partition_point(|other| other.order <= one.order);
        self.showings.insert(place, one);
    }

    /// Where the showings begin that came after what it saved last.
    fn since_saved(&self) -> usize {
        let last = self.showings.iter().rposition(|one| one.saved);
        last.map_or(0, |last| last + 1)
    }

    fn closed(&mut self, handle: u64) {
        for one in &mut self.showings {
            one.handles.retain(|open| *open != handle);
        }
        self.bound_reads();
    }

    /// Forgets some of what it read since it saved: never the first, which it may have loaded and
    /// only looked at the others.
    fn bound_reads(&mut self) {
        let since = self.since_saved();
        let reads = self.showings.iter().enumerate().skip(since);
        let reads = reads.filter(|(_, one)| one.handles.is_empty());
        let reads: Vec<usize> = reads.map(|(place, _)| place).collect();
        for place in reads.iter().skip(1).take(reads.len().saturating_sub(READS)).rev() {
            self.showings.remove(*place);
        }
    }

    /// Forgets some of what a handle showed in between.
    fn bound_handle(&mut self, handle: u64) {
        let by_it = |one: &Showing| one.handles.contains(&handle);
        let places = self.showings.iter().enumerate().filter(|(_, one)| by_it(one));
        let places: Vec<usize> = places.map(|(place, _)| place).collect();
        if places.len() > BY_HANDLE {
            let one = &mut self.showings[places[1]];
            one.handles.retain(|open| *open != handle);
            if one.handles.is_empty() {
                self.showings.remove(places[1]);
            }
        }
    }
}
