//! Names of merges: a file, and the versions that came together in it, as in `Notes/Garden.md@4+5`.
//!
//! Guarantees that such a name never comes to mean another merge: a version's number is given once, and a
//! merge that somebody has written on in is one of other versions. Bad input is no name, never a panic.

use crate::failure::Failure;
use crate::shown::{Shown, quoted};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// What was asked for: merges of one file or of all, or one of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// The file.
    pub(super) path: Option<PathBuf>,
    /// The versions that one of its merges is of.
    pub(super) which: Option<Vec<u64>>,
}

/// Reads what is to be undone: a merge, by its whole name, or by its versions behind a file.
///
/// # Errors
/// `Usage` for what names no merge of one file.
pub(super) fn undone(path: Option<&Path>, name: &Path) -> Result<Asked, Failure> {
    match parse(name) {
        Some(named) => one_file(path, named),
        None => Err(no_name(name)),
    }
}

/// Reads what is to be compared: a merge, as [`undone`] does, or all of a file.
///
/// # Errors
/// As [`undone`].
pub(super) fn compared(path: Option<&Path>, what: &Path) -> Result<Asked, Failure> {
    match (parse(what), path) {
        (Some((None, _)) | None, None) => Ok(Asked {
            path: Some(what.to_owned()),
            which: None,
        }),
        (Some(named), path) => one_file(path, named),
        (None, Some(_)) => Err(no_name(what)),
    }
}

fn one_file(path: Option<&Path>, named: (Option<PathBuf>, Vec<u64>)) -> Result<Asked, Failure> {
    let path = match (path, named.0) {
        (Some(path), Some(own)) if path != own => {
            return Err(Failure::usage(format!(
                "One file at a time: is it {} or {}?",
                path.shown(),
                own.shown()
            )));
        }
        (None, None) => {
            return Err(Failure::usage(
                "A merge is named with its file, as in Notes/Garden.md@4+5; “coffer merges” lists them.",
            ));
        }
        (path, own) => own.or(path.map(Path::to_owned)),
    };
    Ok(Asked {
        path,
        which: Some(named.1),
    })
}

fn no_name(what: &Path) -> Failure {
    Failure::usage(format!(
        "“{}” names no merge: that is a file and the versions that came together in it, as in Notes/Garden.md@4+5; “coffer merges” lists them.",
        what.shown()
    ))
}

/// The file and the versions, in order, that a name says: `Notes/Garden.md@4+5`, or `@4+5`, or `4+5`; each
/// number may have its @.
fn parse(name: &Path) -> Option<(Option<PathBuf>, Vec<u64>)> {
    let number = |digits: &[u8]| {
        let digits = digits.strip_prefix(b"@").unwrap_or(digits);
        let is_one = digits.first().is_some_and(|first| (b'1'..=b'9').contains(first));
        let text = std::str::from_utf8(digits).ok().filter(|_| is_one)?;
        text.parse::<u64>().ok()
    };
    // From the end; a file's own name may have signs of both kinds.
    let (mut rest, mut versions, mut found) = (name.as_os_str().as_bytes(), Vec::new(), None);
    loop {
        let at = rest.iter().rposition(|byte| *byte == b'@').unwrap_or(0);
        if let Some(first) = number(&rest[at..]).filter(|_| !versions.is_empty()) {
            found = Some((&rest[..at], [versions.as_slice(), &[first]].concat()));
        }
        let plus = rest.iter().rposition(|byte| *byte == b'+');
        let Some((plus, version)) = plus.and_then(|plus| Some((plus, number(&rest[plus + 1..])?))) else {
            break;
        };
        versions.push(version);
        rest = &rest[..plus];
    }
    let (path, mut versions) = found?;
    versions.sort_unstable();
    let path = (!path.is_empty()).then(|| PathBuf::from(OsStr::from_bytes(path)));
    Some((path, versions))
}

/// A merge's name as a shell takes it, of the file at `path`; the file alone, where the merge has none.
pub(super) fn typed(path: &Path, name: Option<&str>) -> String {
    let mut whole = path.as_os_str().to_owned();
    whole.push(name.unwrap_or_default());
    quoted(Path::new(&whole))
}

/// A path from the vault's root, as it is typed in the folder `inside`, from that root too.
pub(super) fn from_here(path: &Path, inside: &Path) -> PathBuf {
    let common = path.components().zip(inside.components());
    let common = common.take_while(|(a, b)| a == b).count();
    let up = inside.components().skip(common).map(|_| Component::ParentDir);
    up.chain(path.components().skip(common)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards every spelling of a merge's name, and that nothing else is taken for one: another merge
    /// would be undone than the one that was seen.
    #[test]
    fn names_are_read() {
        let read = |name: &str| parse(Path::new(name));
        let of = |path: &str, versions: &[u64]| {
            let path = (!path.is_empty()).then(|| PathBuf::from(path));
            Some((path, versions.to_vec()))
        };
        for (name, means) in [
            ("Notes/Garden.md@4+5", of("Notes/Garden.md", &[4, 5])),
            ("Notes/Garden.md@4+@5", of("Notes/Garden.md", &[4, 5])),
            ("a.md@12+5+7", of("a.md", &[5, 7, 12])),
            ("@4+5", of("", &[4, 5])),
            ("4+@5", of("", &[4, 5])),
            ("C++@4+5", of("C++", &[4, 5])),
            ("1+1@4+5", of("1+1", &[4, 5])),
            ("a@3@4+5", of("a@3", &[4, 5])),
        ] {
            assert_eq!(read(name), means, "{name}");
        }
        for none in [
            "a.md",
            "a.md@4",
            "3",
            "",
            "@",
            "+",
            "a+5",
            "a.md@4+",
            "a.md@+5",
            "a.md@0+5",
            "a.md@4+05",
            "a.md@4+-5",
            "a.md@4+99999999999999999999",
            "a.md@x+5",
            "a.md@@4+5/b",
        ] {
            assert_eq!(read(none), None, "{none}");
        }
    }

    /// Guards which file and merge are meant by what stands where.
    #[test]
    fn one_merge_of_one_file() {
        let path = |text: Option<&'static str>| text.map(Path::new);
        let some = |path: &str, versions: Option<&[u64]>| Asked {
            path: Some(PathBuf::from(path)),
            which: versions.map(<[u64]>::to_vec),
        };
        for (file, name, undo, diff) in [
            (
                None,
                "a@4+5",
                Some(some("a", Some(&[4, 5]))),
                Some(some("a", Some(&[4, 5]))),
            ),
            (
                Some("a"),
                "4+5",
                Some(some("a", Some(&[4, 5]))),
                Some(some("a", Some(&[4, 5]))),
            ),
            (
                Some("a"),
                "a@4+5",
                Some(some("a", Some(&[4, 5]))),
                Some(some("a", Some(&[4, 5]))),
            ),
            (Some("a"), "b@4+5", None, None),
            (None, "4+5", None, Some(some("4+5", None))),
            (None, "1", None, Some(some("1", None))),
            (None, "a", None, Some(some("a", None))),
            (Some("a"), "b", None, None),
            (Some("a"), "1", None, None),
        ] {
            let name = Path::new(name);
            assert_eq!(undone(path(file), name).ok(), undo, "{file:?} --undo {name:?}");
            assert_eq!(compared(path(file), name).ok(), diff, "{file:?} --diff {name:?}");
        }
    }

    /// Guards names that are shown in a folder of the vault: typed there, they mean the same file.
    #[test]
    fn names_are_shown_from_here() {
        for (path, inside, typed) in [
            ("Notes/a.md", "", "Notes/a.md"),
            ("Notes/a.md", "Notes", "a.md"),
            ("Notes/a.md", "Notes/2026", "../a.md"),
            ("Notes/a.md", "Files/b", "../../Notes/a.md"),
        ] {
            assert_eq!(from_here(Path::new(path), Path::new(inside)), Path::new(typed));
        }
        assert_eq!(typed(Path::new("My note"), Some("@4+5")), "'My note@4+5'");
        assert_eq!(typed(Path::new("a.md"), None), "a.md");
    }
}
