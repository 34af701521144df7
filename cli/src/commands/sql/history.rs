//! What was asked before: a list that comes from outside and goes back there. Never touches a file.
//!
//! Guarantees: no more than a thousand entries and a MiB; nothing twice in a row; what begins with a space is not kept.

use std::collections::VecDeque;

/// The most entries.
pub(crate) const ENTRIES_MAX: usize = 1000;
const BYTES_MAX: usize = 1 << 20;

/// The list, the oldest first.
#[derive(Default)]
pub(crate) struct History {
    entries: VecDeque<String>,
    bytes: usize,
}

impl History {
    /// Of a list that was kept.
    pub(crate) fn new(kept: impl IntoIterator<Item = String>) -> History {
        let mut history = History::default();
        for entry in kept {
            history.add(&entry);
        }
        history
    }

    /// Keeps an entry; says whether it did.
    pub(crate) fn add(&mut self, entry: &str) -> bool {
        let trimmed = entry.trim_end();
        let again = self.entries.back().is_some_and(|last| last == trimmed);
        if trimmed.is_empty() || trimmed.starts_with(' ') || trimmed.len() > BYTES_MAX || again {
            return false;
        }
        self.entries.push_back(trimmed.to_owned());
        self.bytes += trimmed.len();
        while self.entries.len() > ENTRIES_MAX || self.bytes > BYTES_MAX {
            self.bytes -= self.entries.pop_front().map_or(0, |oldest| oldest.len());
        }
        true
    }

    /// The entries, the oldest first.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(String::as_str)
    }

    /// The list, to be kept.
    pub(crate) fn into_list(self) -> Vec<String> {
        self.entries.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards the bounds: what is kept is sealed into the vault, and must not grow.
    #[test]
    fn the_list_is_bounded() {
        let mut history = History::new((0..1500).map(|number| format!("select {number};")));
        assert_eq!(history.entries().next(), Some("select 500;"));
        assert_eq!(history.entries().count(), ENTRIES_MAX);
        assert!(!history.add(&"x".repeat(BYTES_MAX + 1)));
        assert!(history.add(&"x".repeat(BYTES_MAX)));
        assert_eq!(history.into_list().len(), 1);
    }

    /// Guards what is not to be found again: repetitions, nothing, and what somebody hides with a space.
    #[test]
    fn not_all_is_kept() {
        let said = ["a;", "a;\n", "b;", "a;", " secret;", "", "\n"];
        let history = History::new(said.map(str::to_owned));
        assert_eq!(history.into_list(), ["a;", "b;", "a;"]);
    }
}
