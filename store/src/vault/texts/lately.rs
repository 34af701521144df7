//! What a file showed lately: what somebody may have of whom nothing is known.
//!
//! A state is named by the versions that it was the merge of. The last few are kept, and always two
//! more: the one before the first that came from elsewhere, for who has had the note open since then
//! has that; and the last that was saved here, for that is what who saved it has.

use std::collections::VecDeque;

use crate::event::EventRef;

/// So many states are remembered.
const MOST: usize = 8;

/// What a file showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// The versions that it was the merge of.
    pub(super) versions: Vec<EventRef>,
    /// Something came from elsewhere after it.
    pub(super) others_since: bool,
}

/// States, the newest last; with each whether this device alone made it.
#[derive(Default)]
pub(super) struct Lately(VecDeque<(bool, Vec<EventRef>)>);

impl Lately {
    /// The file shows this.
    pub(super) fn push(&mut self, mut state: Vec<EventRef>, own: bool) {
        state.sort_unstable();
        state.dedup();
        if state.is_empty() || self.0.back().is_some_and(|(_, last)| *last == state) {
            return;
        }
        self.0.push_back((own, state));
        if self.0.len() > MOST {
            let before = self.first().is_some_and(|first| first <= 1).then_some(0);
            let own = self.0.iter().rposition(|(own, _)| *own);
            let goes = (0..self.0.len()).find(|place| Some(*place) != before && Some(*place) != own);
            goes.map(|place| self.0.remove(place));
        }
    }

    /// The place of the first state that came from elsewhere.
    fn first(&self) -> Option<usize> {
        self.0.iter().position(|(own, _)| !own)
    }

    /// What was shown since something came from elsewhere, and before that, the oldest first; none if
    /// nothing did.
    pub(super) fn since_others(&self) -> Vec<Seen> {
        let from = self.first().map_or(self.0.len(), |first| first.saturating_sub(1));
        let last = self.0.iter().rposition(|(own, _)| !own);
        let seen = self.0.iter().enumerate().skip(from);
        let seen = seen.map(|(place, (_, versions))| Seen {
            versions: versions.clone(),
            others_since: last.is_some_and(|last| place < last),
        });
        seen.collect()
    }

    /// The newest.
    pub(super) fn last(&self) -> Option<&Vec<EventRef>> {
        self.all().next_back()
    }

    /// All of them.
    pub(super) fn all(&self) -> impl DoubleEndedIterator<Item = &Vec<EventRef>> {
        self.0.iter().map(|(_, state)| state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ChainId;

    fn at(seq: u64) -> Vec<EventRef> {
        let chain = ChainId([1; 16]);
        vec![EventRef { chain, seq }]
    }

    fn since_others(lately: &Lately) -> Vec<Vec<EventRef>> {
        let seen = lately.since_others().into_iter();
        seen.map(|one| one.versions).collect()
    }

    /// The state before the first of many foreign ones went when there were eight.
    #[test]
    fn what_was_before_others_came_stays() {
        let mut lately = Lately::default();
        for seq in 0..5 {
            lately.push(at(seq), true);
        }
        for seq in 5..30 {
            lately.push(at(seq), false);
        }
        let since = since_others(&lately);
        assert_eq!(since.len(), MOST);
        assert_eq!(since[0], at(4));
        assert_eq!(since[MOST - 1], at(29));
        // So does what was saved here last, whatever else comes.
        lately.push(at(50), true);
        for seq in 60..90 {
            lately.push(at(seq), false);
        }
        let others_since = |place: usize| lately.since_others()[place].others_since;
        assert_eq!((others_since(0), others_since(MOST - 1)), (true, false));
        let since = since_others(&lately);
        assert_eq!((since.len(), &since[0]), (MOST, &at(50)));
        // Once all of those are over, it goes too.
        for seq in 100..130 {
            lately.push(at(seq), true);
        }
        assert!(since_others(&lately).is_empty());
        assert_eq!(lately.all().count(), MOST);
    }
}
