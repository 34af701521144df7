//! Names of conflict files: what a file is shown as while another has its name.
//!
//! Guarantees: a lawful name of at most 255 bytes that keeps the extension, the same for the same input,
//! another for another name, and never cut inside a character.

use crate::record::NAME_MAX;

/// Room for the label in a name, in bytes.
const LABEL_MAX: usize = 80;

/// Whether a name has such a mark: in its last parentheses, before the extension, who and when. Somebody may have called a file
/// so, too.
pub fn is_conflict_name(name: &[u8]) -> bool {
    let marked = || {
        let end = name.iter().rposition(|byte| *byte == b')')?;
        let begin = name[..end].iter().rposition(|byte| *byte == b'(')?;
        let mark = std::str::from_utf8(&name[begin + 1..end]).ok()?;
        let rest = &name[end + 1..];
        let is_last = rest.is_empty() || rest.first() == Some(&b'.');
        (is_last && begin > 0 && name[begin - 1] == b' ').then_some(mark)
    };
    let Some(mark) = marked() else { return false };
    let mut words: Vec<&str> = mark.split(' ').collect();
    let is_number = |word: &&str| word.len() < 10 && word.bytes().all(|b| b.is_ascii_digit());
    if words.len() > 3 && words.last().is_some_and(is_number) {
        words.pop();
    }
    let is_like = |word: &str, form: &[u8]| {
        let fits = |(byte, form): (u8, &u8)| match form {
            b'0' => byte.is_ascii_digit(),
            form => byte == *form,
        };
        word.len() == form.len() && word.bytes().zip(form).all(fits)
    };
    match words.as_slice() {
        [who, .., day, time] => !who.is_empty() && is_like(day, b"0000-00-00") && is_like(time, b"00.00"),
        _ => false,
    }
}

/// `name` marked with `label`: `Trip.md` becomes `Trip (desk 2026-11-23 14.05).md`; from the second
/// attempt on with a number as well.
pub fn conflict_name(name: &[u8], label: &str, attempt: usize) -> Box<[u8]> {
    let label: String = label
        .chars()
        .map(|c| match c {
            '(' => '[',
            ')' => ']', // so that the mark is what stands in the last parentheses
            '/' => '_',
            c if c.is_control() => '_',
            c => c,
        })
        .collect();
    let label = cut(label.as_bytes(), LABEL_MAX);
    let (stem, extension) = split(name);
    let number = match attempt {
        0 => String::new(),
        n => format!(" {}", n + 1),
    };
    let mark = [&b" ("[..], label, number.as_bytes(), b")"].concat();
    if name.len() + mark.len() <= NAME_MAX {
        return [stem, &mark, extension].concat().into_boxed_slice();
    }
    // What is cut off may be all in which two names differ.
    let hash = blake3::hash(name).to_hex();
    let mark = [&b" "[..], &hash.as_bytes()[..16], &mark].concat();
    // An extension that leaves no room for a stem is none.
    let (stem, extension) = match mark.len() + extension.len() + 32 > NAME_MAX {
        true => (name, &b""[..]),
        false => (stem, extension),
    };
    let stem = cut(stem, NAME_MAX - mark.len() - extension.len());
    [stem, &mark, extension].concat().into_boxed_slice()
}

/// The name before its last dot, and from there on; a dot in front is part of the name.
fn split(name: &[u8]) -> (&[u8], &[u8]) {
    match name.iter().rposition(|byte| *byte == b'.') {
        Some(dot) if dot > 0 => name.split_at(dot),
        _ => (name, b""),
    }
}

/// At most so many bytes, whole characters where it is UTF-8.
fn cut(bytes: &[u8], most: usize) -> &[u8] {
    if bytes.len() <= most {
        return bytes;
    }
    let is_inside = |at: &usize| bytes[*at] & 0xc0 == 0x80;
    let mut end = most;
    while end > most.saturating_sub(3) && is_inside(&end) {
        end -= 1;
    }
    if is_inside(&end) {
        end = most; // no UTF-8 at all
    }
    &bytes[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::valid_name;

    /// Guards that a conflict file is told from others by its name, whatever that was.
    #[test]
    fn a_conflict_name_is_known_again() {
        let label = "my desk 2026-11-23 14.05";
        for name in [
            "Trip.md",
            "no extension",
            ".hidden",
            "a (b).tar.gz",
            &"long".repeat(60),
        ] {
            assert!(!is_conflict_name(name.as_bytes()), "{name}");
            for attempt in [0, 1, 12] {
                let made = conflict_name(name.as_bytes(), label, attempt);
                assert!(is_conflict_name(&made), "{}", String::from_utf8_lossy(&made));
            }
        }
        for not in [
            "x (2026-11-23 14.05).md",
            "x (desk 2026-11-23).md",
            "x (desk 2026-11-23 14:05)",
            "(",
            ")(",
            "x(desk 2026-11-23 14.05).md",
        ] {
            assert!(!is_conflict_name(not.as_bytes()), "{not}");
        }
    }

    /// Guards that a conflict file opens with the same program, and that any name can have one.
    #[test]
    fn a_conflict_name_is_lawful_and_keeps_its_extension() {
        let name = |name: &str, attempt| conflict_name(name.as_bytes(), "desk", attempt);
        assert_eq!(&*name("Trip.md", 0), b"Trip (desk).md");
        assert_eq!(&*name("Trip.md", 1), b"Trip (desk 2).md");
        assert_eq!(&*name(".profile", 0), b".profile (desk)");
        assert_eq!(&*name("a.tar.gz", 0), b"a.tar (desk).gz");
        let bad = conflict_name(b"x", "a/b\n", 0);
        assert_eq!(&*bad, b"x (a_b_)");
        for long in ["ä".repeat(127), format!("a.{}", "é".repeat(126)), "x".repeat(255)] {
            for label in ["desk".to_string(), "ß".repeat(300)] {
                let made = conflict_name(long.as_bytes(), &label, 12);
                assert!(made.len() <= NAME_MAX && valid_name(&made), "{long} {label}");
                assert!(std::str::from_utf8(&made).is_ok(), "{long} {label}");
            }
        }
        assert!(valid_name(&conflict_name(&[0xff; 255], "desk", 0)));
        assert!(valid_name(&conflict_name(&[0x80; 255], "desk", 0)));
    }
}
