//! What versions and removed files are called in the folder of history: by number, so that they
//! sort, and by local time, so that they tell.
//!
//! Pure, but for the local time zone. A name that nothing is called by is none, never a panic.

use coffer_store::record::NAME_MAX;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::types::Time;

/// Digits of a number, at least.
const DIGITS: usize = 4;
/// What a folder of versions of an earlier file of one path begins with.
const EARLIER: &str = "removed ";

/// Local time, as a file's name can hold it everywhere: without colons.
fn local(time: Time) -> String {
    let nanos = i32::try_from(time.nsec).unwrap_or(0);
    match Timestamp::new(time.sec, nanos) {
        Ok(at) => at
            .to_zoned(TimeZone::system())
            .strftime("%Y-%m-%d %H.%M.%S")
            .to_string(),
        // Beyond the year 9999, by a clock that was wrong.
        Err(_) => "undated".to_owned(),
    }
}

/// What a file's name ends with, from its last dot on; nothing where that begins the name, or
/// would not fit.
fn extension(name: &[u8]) -> &[u8] {
    match name.iter().rposition(|byte| *byte == b'.') {
        Some(dot) if dot > 0 && dot + 1 < name.len() && name.len() - dot <= NAME_MAX / 2 => &name[dot..],
        _ => b"",
    }
}

/// How many digits the numbers have where `largest` is the largest.
pub(super) fn width(largest: u64) -> usize {
    largest.to_string().len().max(DIGITS)
}

/// “0007 2026-11-22 15.04.05.md”: a version of a file that is called `file`.
pub(super) fn version(number: u64, width: usize, recorded: Time, file: &[u8]) -> Vec<u8> {
    let mut name = format!("{number:0width$} {}", local(recorded)).into_bytes();
    name.extend_from_slice(extension(file));
    name
}

/// The number that such a name begins with.
pub(super) fn number(name: &[u8]) -> Option<u64> {
    let digits = name.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits < DIGITS {
        return None;
    }
    std::str::from_utf8(&name[..digits]).ok()?.parse().ok()
}

/// “removed 2026-11-22 15.04.05”: an earlier file of this path.
pub(super) fn earlier(removed: Time) -> Vec<u8> {
    format!("{EARLIER}{}", local(removed)).into_bytes()
}

/// Whether a name is of that form.
pub(super) fn is_earlier(name: &[u8]) -> bool {
    name.starts_with(EARLIER.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Time = Time {
        sec: 1_795_359_845,
        nsec: 5,
    };

    /// Guards that names sort as numbers do, also past 9999, and keep the ending by which programs
    /// know a file.
    #[test]
    fn names_sort_and_tell() {
        let name = |number, largest, file: &str| {
            String::from_utf8(version(number, width(largest), AT, file.as_bytes())).unwrap()
        };
        assert!(name(7, 7, "a.md").starts_with("0007 20"));
        assert!(name(7, 10_000, "a.md") < name(10_000, 10_000, "a.md"));
        for (file, ending) in [
            ("a.md", ".md"),
            ("archive.tar.gz", ".gz"),
            (".bashrc", ""),
            ("Makefile", ""),
            ("ends.", ""),
        ] {
            let name = name(1, 1, file);
            assert_eq!(
                name.len(),
                "0001 2026-11-22 15.04.05".len() + ending.len(),
                "{name}"
            );
            assert!(name.ends_with(ending), "{name}");
        }
        let long = [b"x.".as_slice(), &[b'y'; 250]].concat();
        assert!(version(u64::MAX, width(u64::MAX), AT, &long).len() <= NAME_MAX);
    }

    /// Guards the way back, and what nobody is called by.
    #[test]
    fn numbers_are_read_back() {
        assert_eq!(number(&version(12_345, DIGITS, AT, b"a")), Some(12_345));
        assert_eq!(number(b"000012 x"), Some(12));
        for none in [&b""[..], b"12", b"a0007", b"99999999999999999999999 x"] {
            assert_eq!(number(none), None);
        }
        assert!(is_earlier(&earlier(AT)) && !is_earlier(b"remove"));
        let never = Time {
            sec: i64::MAX,
            nsec: 0,
        };
        assert_eq!(version(1, 4, never, b"a.md"), b"0001 undated.md");
    }
}
