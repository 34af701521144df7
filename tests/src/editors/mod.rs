//! Notes that real editors edit on a mounted vault, and what is to be true of them afterwards:
//! one entity, a version for each save, byte for byte, and no event of anything else.
//!
//! Expected texts are computed, never read back from the mount while editors work: whoever reads a
//! file there takes part in what is tested.

mod desk;
mod terminal;

pub use desk::{Desk, Note};
pub use terminal::Terminal;

/// What a note begins with: some lines, so that an edit is a part of it.
pub const BEGIN: &str = "# A note\n\nIt begins with a few lines.\nHere is one more.\n";

/// The line that the edit of this number adds.
pub fn line(number: usize) -> String {
    format!("Line {number}, as it was typed in.")
}

/// When saves are to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As fast as the program does them; now and then all of them are waited for.
    Burst,
    /// Each before the next: what is removed and made anew within a moment is one version.
    Each,
}

/// Saves a note a hundred times in one way, a line more each time.
///
/// `save` is given the note's name, the line that is new, and all that the note is to hold then.
#[track_caller]
pub fn edited(desk: &Desk, name: &str, pace: Pace, mut save: impl FnMut(&str, &str, &str)) {
    let mut note = desk.note(name, BEGIN);
    // As every editor does.
    assert_eq!(std::fs::read_to_string(note.path()).expect("it is there"), BEGIN);
    for number in 1..=100 {
        let text = note.text() + &line(number) + "\n";
        save(name, &line(number), &text);
        note.saved(&text);
        if pace == Pace::Each || number % 10 == 0 {
            note.told();
        }
    }
    note.done();
}
