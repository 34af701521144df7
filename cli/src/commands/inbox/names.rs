//! Names of what is not finished: it waits until it has its real name.

/// Ends of names that browsers, downloaders and editors give to what they are still writing.
const ENDS: [&str; 9] = [
    ".part",
    ".partial",
    ".crdownload",
    ".download",
    ".opdownload",
    ".tmp",
    ".temp",
    ".filepart",
    "~",
];

/// Beginnings of names of locks, of what is written aside, and of what the trash keeps.
const BEGINNINGS: [&str; 7] = [
    ".#",
    ".~lock.",
    ".goutputstream-",
    ".syncthing.",
    ".coffer-",
    ".fuse_hidden",
    ".Trash-",
];

/// Whether a file or folder of this name is only passing through.
pub(super) fn is_passing(name: &[u8]) -> bool {
    let lower = name.to_ascii_lowercase();
    let of = |parts: &[&str], fits: fn(&[u8], &[u8]) -> bool| {
        parts
            .iter()
            .any(|part| fits(&lower, part.to_ascii_lowercase().as_bytes()))
    };
    of(&ENDS, |name, end| name.ends_with(end))
        || of(&BEGINNINGS, |name, beginning| name.starts_with(beginning))
        || (name.len() > 2 && name.starts_with(b"#") && name.ends_with(b"#"))
        || is_swap(&lower)
        || is_aside(name)
}

/// vim's: “.name.swp”, and further letters where that is taken.
fn is_swap(name: &[u8]) -> bool {
    let [b'.', .., b'.', b's', b'a'..=b'w', last] = name else {
        return false;
    };
    last.is_ascii_lowercase()
}

/// rsync's and those of mkstemp(3): “.name.Ab3dE6”. Mixed, so that “.gitignore.sample” is none.
fn is_aside(name: &[u8]) -> bool {
    let Some(dot) = name.iter().rposition(|byte| *byte == b'.').filter(|at| *at > 1) else {
        return false;
    };
    let random = &name[dot + 1..];
    name[0] == b'.'
        && random.len() == 6
        && random.iter().all(u8::is_ascii_alphanumeric)
        && (random.iter().any(u8::is_ascii_uppercase) || random.iter().any(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use super::is_passing;

    /// Guards what waits, and what a person may well call a file.
    #[test]
    fn what_waits() {
        for name in [
            "film.mkv.part",
            "a.crdownload",
            "Unconfirmed 1.crdownload",
            "x.TMP",
            "note.md~",
            ".note.md.swp",
            ".note.swo",
            ".#note.org",
            "#note.org#",
            ".~lock.report.odt#",
            ".goutputstream-AB12CD",
            ".photo.jpg.Xy3zQ9",
            ".syncthing.note.md.tmp",
            ".coffer-1-2",
        ] {
            assert!(is_passing(name.as_bytes()), "{name}");
        }
        for name in [
            "note.md",
            "part",
            "tmp",
            ".profile",
            ".gitignore",
            "#1.md",
            "a~b",
            "temp.txt",
            ".env.sample",
            "photo.Xy3zQ9",
            "#",
            "x.swp.md",
        ] {
            assert!(!is_passing(name.as_bytes()), "{name}");
        }
    }
}
