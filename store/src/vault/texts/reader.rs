//! What one process was shown of one text, and saved of it: a few showings, in the order of time.
//! The first after a save always stays, and of an open handle, too: that may be what was loaded.

use crate::event::EventRef;
use crate::ids::Ino;
use crate::vault::saves::Process;

/// What a process was shown of one text since it saved it last, by no handle that is open: so many.
const READS: usize = 8;
/// What one open handle showed: the first, and the last of so many.
const BY_HANDLE: usize = 8;

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
pub(super) struct Showing {
    pub(super) order: u64,
    pub(super) stand: Stand,
    /// The process itself has saved this.
    pub(super) saved: bool,
    /// Handles that are open since it was shown this.
    pub(super) handles: Vec<u64>,
}

/// What one process was shown of a text, and saved, in the order of time.
pub(super) struct Reader {
    pub(super) who: Process,
    pub(super) showings: Vec<Showing>,
}

impl Reader {
    /// When it was shown, or saved, something last.
    pub(super) fn last(&self) -> u64 {
        self.showings.last().map_or(0, |one| one.order)
    }

    /// Whether it may be forgotten.
    pub(super) fn may_go(&self, recent: u64) -> bool {
        let is_held = |one: &Showing| !one.handles.is_empty() || matches!(one.stand, Stand::Draft(_));
        self.last() < recent && !self.showings.iter().any(is_held)
    }

    /// Adds one, in its place.
    pub(super) fn add(&mut self, one: Showing) {
        let place = self.showings.partition_point(|other| other.order <= one.order);
        self.showings.insert(place, one);
    }

    /// Where the showings begin that came after what it saved last.
    pub(super) fn since_saved(&self) -> usize {
        let last = self.showings.iter().rposition(|one| one.saved);
        last.map_or(0, |last| last + 1)
    }

    pub(super) fn closed(&mut self, handle: u64) {
        for one in &mut self.showings {
            one.handles.retain(|open| *open != handle);
        }
        self.bound_reads();
    }

    /// Forgets some of what it read since it saved: never the first, which it may have loaded and
    /// only looked at the others.
    pub(super) fn bound_reads(&mut self) {
        let since = self.since_saved();
        let reads = self.showings.iter().enumerate().skip(since);
        let reads = reads.filter(|(_, one)| one.handles.is_empty());
        let reads: Vec<usize> = reads.map(|(place, _)| place).collect();
        for place in reads.iter().skip(1).take(reads.len().saturating_sub(READS)).rev() {
            self.showings.remove(*place);
        }
    }

    /// Forgets some of what a handle showed in between.
    pub(super) fn bound_handle(&mut self, handle: u64) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(order: u64, handle: Option<u64>) -> Showing {
        Showing {
            order,
            stand: Stand::Draft(order),
            saved: false,
            handles: handle.into_iter().collect(),
        }
    }

    fn orders(reader: &Reader) -> Vec<u64> {
        reader.showings.iter().map(|one| one.order).collect()
    }

    /// Guards memory against whoever reads again after each save, and what it may have loaded.
    #[test]
    fn the_first_and_the_last_stay() {
        let mut reader = Reader {
            who: 1,
            showings: vec![Showing {
                saved: true,
                ..shown(0, None)
            }],
        };
        for order in 1..100 {
            reader.add(shown(order, None));
            reader.bound_reads();
        }
        assert_eq!(orders(&reader), [0, 1, 93, 94, 95, 96, 97, 98, 99]);
        for order in 100..200 {
            reader.add(shown(order, Some(7)));
            reader.bound_handle(7);
            reader.bound_reads();
        }
        assert_eq!(orders(&reader)[9..], [100, 193, 194, 195, 196, 197, 198, 199]);
        reader.closed(7);
        assert_eq!(orders(&reader), [0, 1, 193, 194, 195, 196, 197, 198, 199]);
    }
}
