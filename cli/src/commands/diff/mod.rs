//! `coffer diff`: which two states are compared, and how that is shown.
//!
//! Parts, each importing only those above it: `pieces` (what differs, in bytes and in lines),
//! `words`, `unified` (how texts are shown), `blob` (what is no text).

mod blob;
mod pieces;
mod unified;
mod words;

use super::past::{Answering, Place, To, locate, with};
use super::show::is_text;
use crate::answers::history::{History, Version};
use crate::args::history::Diff;
use crate::failure::Failure;
use crate::shown::{Shown, harmless};
use crate::ui::Ui;
use crate::units::{counted, size};
use crate::when::{ago, local};
use crate::wire::history::{Past, Whose};
use jiff::{Timestamp, Zoned};
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The largest files that are compared as texts, in bytes.
const TEXT_MAX: u64 = 16 << 20;

/// One of the two states.
struct Side {
    path: PathBuf,
    whose: Whose,
    /// None: the present bytes.
    version: Option<Version>,
    size: u64,
    removed: bool,
}

impl Side {
    /// When it was so.
    fn time(&self) -> Timestamp {
        self.version
            .as_ref()
            .map_or_else(Timestamp::now, |version| version.modified)
    }

    fn shown(&self, now: &Zoned) -> String {
        match &self.version {
            Some(version) => format!(
                "version {} ({}, {})",
                version.number,
                local(version.recorded, now),
                ago(version.recorded, now)
            ),
            None if self.removed => "as it was removed".to_owned(),
            None => "now".to_owned(),
        }
    }

    fn number(&self) -> Option<u64> {
        self.version.as_ref().map(|version| version.number)
    }

    /// All of it.
    fn bytes(&self, vault: &Answering) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        loop {
            let more = vault.bytes(&self.whose, self.number(), bytes.len() as u64)?;
            if more.is_empty() || bytes.len() as u64 > TEXT_MAX {
                return Ok(bytes);
            }
            bytes.extend(more);
        }
    }
}

/// Shows what changed.
///
/// # Errors
/// `Usage` for files of two vaults; `Failed` for what is not kept.
pub(super) fn diff(ui: &Ui, vault: Option<&Path>, args: &Diff) -> Result<(), Failure> {
    let from = locate(vault, &args.from)?;
    let to = match &args.to {
        Some(to) => Some(locate(vault, &same_file(&args.from, to))?),
        None => None,
    };
    if to.as_ref().is_some_and(|to| to.vault != from.vault) {
        return Err(Failure::usage("The two files lie in different vaults."));
    }
    with(&from.vault, &args.password, To::Read, |vault| {
        let (old, new) = sides(vault, &from, to.as_ref())?;
        compare(ui, vault, &old, &new, args)
    })
}

/// “@7” behind a path means that file.
fn same_file(from: &Path, to: &Path) -> PathBuf {
    if !to.as_os_str().as_bytes().starts_with(b"@") {
        return to.to_owned();
    }
    let bytes = from.as_os_str().as_bytes();
    let end = match bytes.iter().rposition(|byte| *byte == b'@') {
        Some(at) if !bytes[at..].contains(&b'/') => at,
        _ => bytes.len(),
    };
    let mut both = OsString::from(std::ffi::OsStr::from_bytes(&bytes[..end]));
    both.push(to);
    PathBuf::from(both)
}

fn sides(vault: &Answering, from: &Place, to: Option<&Place>) -> Result<(Side, Side), Failure> {
    let ask = |place: &Place, newest| -> Result<History, Failure> {
        vault.ask(Past::List {
            of: place.named(false),
            newest: Some(newest),
        })
    };
    let side = |history: &History, version: Option<&Version>| Side {
        path: history.path.0.clone(),
        whose: history.whose.clone(),
        size: version.map_or(history.size, |version| version.size),
        version: version.cloned(),
        removed: history.removed.is_some(),
    };
    // What is named without a version is meant as it is now: its last version, unless it has
    // bytes that are none, or none yet.
    let meant = |history: &History| match history.is_beyond() && !history.picked {
        true => side(history, None),
        false => side(history, history.versions.first()),
    };
    let first = ask(from, 2)?;
    if let Some(to) = to {
        let second = ask(to, 1)?;
        return Ok((meant(&first), meant(&second)));
    }
    if first.picked {
        let old = side(&first, first.versions.first());
        return Ok((old, side(&first, None)));
    }
    // What changed last.
    let held: Vec<&Version> = first.versions.iter().filter(|version| version.held).collect();
    match (first.is_beyond(), held.as_slice()) {
        (true, [last, ..]) => Ok((side(&first, Some(last)), side(&first, None))),
        (false, [last, before, ..]) => Ok((side(&first, Some(before)), side(&first, Some(last)))),
        (_, []) => Err(Failure::failed(format!(
            "{} has no version yet to compare with; “coffer show” prints it.",
            first.path.0.shown()
        ))),
        _ => Err(Failure::failed(format!(
            "{} has only one version to compare; “coffer show” prints it.",
            first.path.0.shown()
        ))),
    }
}

fn compare(ui: &Ui, vault: &Answering, old: &Side, new: &Side, args: &Diff) -> Result<(), Failure> {
    let now = Zoned::now();
    let mut head = old.path.shown();
    if new.path != old.path {
        head.push_str(&format!(" → {}", new.path.shown()));
    }
    head.push_str(&format!(": {} → {}\n", old.shown(&now), new.shown(&now)));
    let small = old.size.max(new.size) <= TEXT_MAX;
    let texts = match small {
        true => (old.bytes(vault)?, new.bytes(vault)?),
        false => (Vec::new(), Vec::new()),
    };
    let both = (String::from_utf8(texts.0), String::from_utf8(texts.1));
    let (Ok(a), Ok(b)) = both else {
        return blob(ui, vault, old, new, &head);
    };
    if !small || a.contains('\0') || b.contains('\0') {
        return blob(ui, vault, old, new, &head);
    }
    let at_terminal = io::stdout().is_terminal();
    let (a, b) = match at_terminal {
        true => (harmless(a), harmless(b)),
        false => (a, b),
    };
    let groups = pieces::groups(&a, &b);
    if ui.json() || args.stat {
        let stat = pieces::stat(&a, &b, &groups);
        ui.answer(&stat, || {
            format!(
                "{head}{} added, {} removed; {} added, {} removed; {} → {}.",
                counted(stat.lines_added, "line", "lines"),
                stat.lines_removed,
                counted(stat.words_added, "word", "words"),
                stat.words_removed,
                size(old.size),
                size(new.size)
            )
        });
        return Ok(());
    }
    let colours = at_terminal && std::env::var_os("NO_COLOR").is_none();
    let text = match args.unified {
        true => unified::text(&unified::Heads::of(old, new, &now), &a, &b, &groups),
        false if groups.is_empty() => format!("{head}The two are the same.\n"),
        false => head + &words::text(&a, &b, &groups, colours),
    };
    // Nobody may be listening any more: `| head -1`.
    let _ = io::stdout().lock().write_all(text.as_bytes());
    Ok(())
}

/// What changed between two texts, for people.
pub(super) fn between(old: &str, new: &str) -> String {
    let at_terminal = io::stdout().is_terminal();
    let (a, b) = match at_terminal {
        true => (harmless(old.to_owned()), harmless(new.to_owned())),
        false => (old.to_owned(), new.to_owned()),
    };
    let colours = at_terminal && std::env::var_os("NO_COLOR").is_none();
    match pieces::groups(&a, &b) {
        groups if groups.is_empty() => "  nothing\n".to_owned(),
        groups => words::text(&a, &b, &groups, colours),
    }
}

fn blob(ui: &Ui, vault: &Answering, old: &Side, new: &Side, head: &str) -> Result<(), Failure> {
    let mut read = [old, new].map(|side| move |offset: u64| vault.bytes(&side.whose, side.number(), offset));
    let [a, b] = &mut read;
    let summary = blob::summary((old.size, a), (new.size, b))?;
    ui.answer(&summary, || format!("{head}{}", blob::text(&summary)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::same_file;
    use std::path::Path;

    /// Guards the short form of the second file.
    #[test]
    fn a_version_alone_is_of_the_same_file() {
        for (from, to, means) in [
            ("a@3", "@7", "a@7"),
            ("a", "@7", "a@7"),
            ("x@y/a", "@2h", "x@y/a@2h"),
            ("a@3", "b", "b"),
        ] {
            assert_eq!(same_file(Path::new(from), Path::new(to)), Path::new(means));
        }
    }
}
