//! What editors put beside a file while it is edited: swap, backup, lock, autosave and temporary
//! files. It stays on this device, encrypted as everything; closed and unchanged for ten minutes,
//! it is an ordinary file.
//!
//! A name alone decides nothing: the file that it belongs to must be edited, or its maker must be
//! editing something. But what is hidden, or has another file's name in its own, may be about to take
//! that one's place: it *passes*, and until it was left alone for two seconds nobody is told of it. Told at once,
//! it lay on the other devices, and an editor there that draws the same name wrote into it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::{Process, same_process};
use crate::ids::Ino;
use crate::record::Time;
use crate::tree::{Kind, Tree};
use crate::vault::Vault;
use crate::vault::inode::State;

/// How long such a file, closed and unchanged, is taken for one.
const REST: i64 = 600;
/// How long one that may pass is left alone before it is told.
const PASSING: Duration = Duration::from_secs(2);
/// One that nobody leaves alone is told so long after it was made.
const PASSING_MAX: Duration = Duration::from_secs(60);
/// How long a process that opened a file is taken to edit something.
const EDITING: Duration = Duration::from_secs(600);
/// So many processes are remembered.
const PROCESSES: usize = 256;

/// To which file a name says that it belongs.
#[derive(Debug, PartialEq, Eq)]
enum Beside<'a> {
    /// To one of this name.
    Of(&'a [u8]),
    /// To one that does not show in the name.
    Some,
}

/// The name that this one would be a backup of.
pub(in crate::vault) fn original(name: &[u8]) -> Option<&[u8]> {
    match beside(name)? {
        Beside::Of(of) => Some(of),
        Beside::Some => None,
    }
}

fn beside(name: &[u8]) -> Option<Beside<'_>> {
    let between = |begin: &[u8], end: &[u8]| {
        let of = name.strip_prefix(begin)?.strip_suffix(end)?;
        (!of.is_empty()).then_some(Beside::Of(of))
    };
    // vim's swap files are called .swp, .swo … .swa when there are several.
    let swap = || match name.strip_prefix(b".")? {
        [of @ .., b'.', b's', b'w' | b'v' | b'u', b'a'..=b'z'] if !of.is_empty() => Some(Beside::Of(of)),
        _ => None,
    };
    swap()
        .or_else(|| between(b".", b".un~"))
        .or_else(|| between(b"#", b"#"))
        .or_else(|| between(b".~lock.", b"#"))
        .or_else(|| between(b".#", b""))
        .or_else(|| between(b"~$", b""))
        .or_else(|| numbered(name))
        .or_else(|| between(b"", b"~"))
        .or_else(|| {
            [".bak", ".orig", ".tmp", ".new", ".vsctmp", ".lock"]
                .iter()
                .find_map(|end| between(b"", end.as_bytes()))
        })
        .or_else(|| anonymous(name).then_some(Beside::Some))
        .or_else(|| random(name))
}

/// Emacs: `note.md.~12~`.
fn numbered(name: &[u8]) -> Option<Beside<'_>> {
    let rest = name.strip_suffix(b"~")?;
    let digits = rest.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let of = rest[..rest.len() - digits].strip_suffix(b".~")?;
    (digits > 0 && !of.is_empty()).then_some(Beside::Of(of))
}

/// A name, a dot (or `.tmp.`, `.tmp-`), and what a program drew: rsync's `.note.md.x7Qa9Z`,
/// `note.md.tmp.1234`, `note.md.1234567`.
fn random(name: &[u8]) -> Option<Beside<'_>> {
    let at = name.iter().rposition(|byte| matches!(byte, b'.' | b'-'))?;
    let (of, drawn) = (&name[..at], &name[at + 1..]);
    let of = of.strip_suffix(b".tmp").unwrap_or(of);
    let is_drawn = drawn.len() >= 6 && drawn.iter().all(u8::is_ascii_alphanumeric);
    let hidden = of.strip_prefix(b".").filter(|of| of.contains(&b'.'));
    let of = hidden.unwrap_or(of);
    let tmp = name[..at].ends_with(b".tmp") && drawn.iter().all(u8::is_ascii_alphanumeric);
    ((is_drawn || tmp) && !of.is_empty()).then_some(Beside::Of(of))
}

/// Names that say only that they are temporary: of vim's trial (4913), sed, perl, GLib, LibreOffice,
/// mktemp, Python's tempfile, and what ends so.
fn anonymous(name: &[u8]) -> bool {
    let drawn = |rest: &[u8], least| {
        rest.len() >= least && rest.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_')
    };
    let after = |begin: &[u8], least| name.strip_prefix(begin).is_some_and(|rest| drawn(rest, least));
    (name.len() >= 4 && name.len() <= 6 && name.iter().all(u8::is_ascii_digit))
        || (name.len() == 8 && after(b"XX", 6))
        || after(b"tmp.", 6)
        || after(b"sed", 6)
        || after(b".goutputstream-", 6)
        || after(b"tmp", 6)
        || after(b".tmp", 4)
        || name.ends_with(b".tmp")
}

/// The names of other files that this one may have been made of: what is before or after some mark in it.
fn within(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    let is_mark = |at: &usize| name[*at].is_ascii_punctuation();
    let marks: Vec<usize> = (0..name.len()).filter(is_mark).collect();
    let start = marks
        .iter()
        .zip(0..)
        .take_while(|(mark, at)| **mark == *at)
        .count();
    let ends = marks.clone().into_iter().filter(move |end| *end > start);
    let before = ends.map(move |end| &name[start..end]);
    let after = marks.into_iter().map(move |mark| &name[mark + 1..]);
    before.chain(after).filter(|part| !part.is_empty())
}

/// Which processes have opened files that were there.
#[derive(Default)]
pub(crate) struct Editors(HashMap<Process, Instant>);

impl Editors {
    /// It has opened one.
    pub(crate) fn note(&mut self, process: Process) {
        if process == 0 {
            return;
        }
        if self.0.len() >= PROCESSES {
            self.0.retain(|_, at| at.elapsed() < EDITING / 10);
        }
        if self.0.len() < PROCESSES * 2 {
            self.0.insert(process, Instant::now());
        }
    }

    fn is_editing(&self, process: Process) -> bool {
        let known = self.0.get(&process).is_some_and(|at| at.elapsed() < EDITING);
        let of_it =
            |(other, at): (&Process, &Instant)| at.elapsed() < EDITING && same_process(*other, process);
        known || self.0.iter().any(of_it)
    }
}

impl Vault {
    /// Whether a file that has just got this name is one that an editor puts beside what it edits, as
    /// far as the name and its maker say. The tree is locked.
    pub(super) fn is_beside(&self, tree: &Tree, folder: Ino, name: &[u8], who: Process) -> bool {
        match beside(name) {
            None => false,
            Some(Beside::Some) => self.editors.lock().is_editing(who),
            Some(Beside::Of(of)) => {
                let edited = tree.lookup(folder, of).is_ok_and(|(_, entry)| {
                    let inode = self.inodes.lock().get(entry.ino);
                    inode.is_some_and(|inode| inode.state.read().is_being_edited())
                });
                edited || (anonymous(name) && self.editors.lock().is_editing(who))
            }
        }
    }
}

impl Vault {
    /// Whether a file may have this name for a moment only, as a new one that is to take another's place. The
    /// tree is locked.
    pub(in crate::vault) fn may_pass(&self, tree: &Tree, folder: Ino, name: &[u8]) -> bool {
        let is_file = |of: &[u8]| tree.lookup(folder, of).is_ok_and(|(_, e)| e.kind == Kind::File);
        name.starts_with(b".") || within(name).any(is_file)
    }
}

impl State {
    /// Whether a program may be about to put it in another file's place: see the module.
    pub(crate) fn is_passing(&self) -> bool {
        let nanos = |time: Time| i128::from(time.sec) * 1_000_000_000 + i128::from(time.nsec);
        // A clock that was set back makes nothing local for longer.
        let rested = || nanos(Time::now()).abs_diff(nanos(self.meta.ctime)) >= PASSING.as_nanos();
        let is_new = self.made.is_some_and(|(at, _)| at.elapsed() < PASSING_MAX);
        self.passing && self.published.is_none() && is_new && !rested()
    }

    /// Whether it stays on this device for now.
    pub(crate) fn is_scratch(&self) -> bool {
        let changed = self.meta.ctime.sec.max(self.meta.mtime.sec);
        // A clock that was set back makes nothing local for longer.
        let rested = Time::now().sec.abs_diff(changed) as i64 >= REST;
        self.marks.scratch && self.published.is_none() && (self.opens > 0 || !rested)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards which names are taken for what editors leave beside a file, and for whose.
    #[test]
    fn names_beside_a_file() {
        for (name, of) in [
            (".note.md.swp", "note.md"),
            (".note.md.swo", "note.md"),
            (".note.md.un~", "note.md"),
            ("note.md~", "note.md"),
            ("note.md.~12~", "note.md"),
            ("#note.md#", "note.md"),
            (".#note.md", "note.md"),
            (".~lock.letter.odt#", "letter.odt"),
            ("~$letter.docx", "letter.docx"),
            ("note.md.bak", "note.md"),
            ("note.md.tmp", "note.md"),
            (".note.md.x7Qa9Z", "note.md"),
            ("note.md.1723456", "note.md"),
            ("note.md.tmp.42", "note.md"),
        ] {
            assert_eq!(beside(name.as_bytes()), Some(Beside::Of(of.as_bytes())), "{name}");
        }
        for name in [
            "4913",
            "sedA1b2C3",
            ".goutputstream-X1Y2Z3",
            "lu1234abc.tmp",
            "tmpab12_x9z",
            "XXpHArgX",
            "tmp.Vq7Zk2LmN0",
        ] {
            assert!(anonymous(name.as_bytes()), "{name}");
        }
        for name in [
            "note.md",
            "todo.txt",
            "~",
            "##",
            "a.b",
            "2026",
            "123",
            "seduce.md",
            "tmp.md",
            ".bak",
            "x.md",
        ] {
            let found = beside(name.as_bytes());
            let taken = matches!(found, Some(Beside::Of(_))) || (found.is_some() && name != "2026");
            assert!(!taken, "{name}: {found:?}");
        }
    }
}
