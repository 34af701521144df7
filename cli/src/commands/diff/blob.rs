//! What changed in a file that is no text: a summary. Reads both states in steps, so that they may
//! be of any size.

use crate::failure::Failure;
use crate::units::{count, size};
use serde::Serialize;

/// What is said of the two.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Summary {
    pub(super) old_size: u64,
    pub(super) new_size: u64,
    /// What each seems to be, by its first bytes.
    pub(super) old_type: &'static str,
    pub(super) new_type: &'static str,
    /// Where the first byte differs; absent if they are the same.
    pub(super) first_difference: Option<u64>,
    /// Bytes at the beginning and the end that are the same, and, where both have one size, those
    /// between them at their place.
    pub(super) equal_bytes: u64,
}

/// Bytes from an offset on; none at the end.
type Read<'a> = &'a mut dyn FnMut(u64) -> Result<Vec<u8>, Failure>;

/// A file that is read in steps, forwards.
struct Stream<'a> {
    read: Read<'a>,
    at: u64,
    held: Vec<u8>,
    used: usize,
}

impl Stream<'_> {
    fn new(read: Read<'_>, at: u64) -> Stream<'_> {
        Stream {
            read,
            at,
            held: Vec::new(),
            used: 0,
        }
    }

    /// What is read and not taken; empty at the end only.
    fn rest(&mut self) -> Result<&[u8], Failure> {
        if self.used == self.held.len() {
            self.held = (self.read)(self.at)?;
            self.used = 0;
        }
        Ok(&self.held[self.used..])
    }

    fn take(&mut self, count: usize) {
        self.used += count;
        self.at += count as u64;
    }
}

/// Compares two states by their sizes and what reads them.
///
/// # Errors
/// What reading meets.
pub(super) fn summary(old: (u64, Read<'_>), new: (u64, Read<'_>)) -> Result<Summary, Failure> {
    let (first, second) = (kind(&(old.1)(0)?), kind(&(new.1)(0)?));
    let mut summary = Summary {
        old_size: old.0,
        new_size: new.0,
        old_type: first,
        new_type: second,
        first_difference: None,
        equal_bytes: 0,
    };
    let short = old.0.min(new.0);
    let (head, differs) = alike((old.1, 0), (new.1, 0), old.0 != new.0)?;
    summary.equal_bytes = head;
    summary.first_difference = differs.or((old.0 != new.0).then_some(short));
    if let (Some(first), true) = (differs, old.0 != new.0) {
        // The end, laid upon the end; what began alike is not counted twice.
        let skip = (old.0 - short + first, new.0 - short + first);
        summary.equal_bytes += tail((old.1, skip.0), (new.1, skip.1))?;
    }
    Ok(summary)
}

/// How many bytes are the same at their place from here on, and where the first is not.
/// `until_first`: counts no further than that.
fn alike(
    old: (Read<'_>, u64),
    new: (Read<'_>, u64),
    until_first: bool,
) -> Result<(u64, Option<u64>), Failure> {
    let (mut a, mut b) = (Stream::new(old.0, old.1), Stream::new(new.0, new.1));
    let (mut equal, mut first) = (0, None);
    loop {
        let at = a.at;
        let (x, y) = (a.rest()?, b.rest()?);
        let step = x.len().min(y.len());
        if step == 0 {
            return Ok((equal, first));
        }
        let differs = x[..step].iter().zip(&y[..step]).position(|(x, y)| x != y);
        if let Some(place) = differs {
            first = first.or(Some(at + place as u64));
            if until_first {
                return Ok((equal + place as u64, first));
            }
        }
        equal += x[..step].iter().zip(&y[..step]).filter(|(x, y)| x == y).count() as u64;
        a.take(step);
        b.take(step);
    }
}

/// How many bytes are the same from the end backwards, of two rests of one length.
fn tail(old: (Read<'_>, u64), new: (Read<'_>, u64)) -> Result<u64, Failure> {
    let (mut a, mut b) = (Stream::new(old.0, old.1), Stream::new(new.0, new.1));
    let mut equal = 0;
    loop {
        let (x, y) = (a.rest()?, b.rest()?);
        let step = x.len().min(y.len());
        if step == 0 {
            return Ok(equal);
        }
        match x[..step].iter().zip(&y[..step]).rposition(|(x, y)| x != y) {
            Some(place) => equal = (step - place - 1) as u64,
            None => equal += step as u64,
        }
        a.take(step);
        b.take(step);
    }
}

/// What a file seems to be.
fn kind(start: &[u8]) -> &'static str {
    const KNOWN: [(&[u8], &str); 14] = [
        (b"\x89PNG\r\n\x1a\n", "PNG image"),
        (b"\xff\xd8\xff", "JPEG image"),
        (b"GIF8", "GIF image"),
        (b"%PDF-", "PDF"),
        (b"PK\x03\x04", "ZIP archive or office document"),
        (b"\x1f\x8b", "gzip archive"),
        (b"\xfd7zXZ\0", "xz archive"),
        (b"\x28\xb5\x2f\xfd", "zstd archive"),
        (b"7z\xbc\xaf\x27\x1c", "7z archive"),
        (b"SQLite format 3\0", "SQLite database"),
        (b"\x7fELF", "program"),
        (b"OggS", "Ogg sound or film"),
        (b"ID3", "MP3 sound"),
        (b"\xd0\xcf\x11\xe0", "older office document"),
    ];
    if start.is_empty() {
        return "empty";
    }
    match KNOWN.iter().find(|(magic, _)| start.starts_with(magic)) {
        Some((_, kind)) => kind,
        None if super::is_text(start) => "text",
        None => "data",
    }
}

/// The summary for people.
pub(super) fn text(summary: &Summary) -> String {
    let Some(first) = summary.first_difference else {
        return format!(
            "The two are the same: {}, {}.",
            summary.new_type,
            size(summary.new_size)
        );
    };
    let kind = match summary.old_type == summary.new_type {
        true => summary.new_type.to_owned(),
        false => format!("{} → {}", summary.old_type, summary.new_type),
    };
    let most = summary.old_size.max(summary.new_size).max(1);
    let share = summary.equal_bytes as f64 * 100.0 / most as f64;
    format!(
        "{kind}, {} → {}; the first byte that differs is number {}, and {share:.1} % of the bytes are the same.",
        size(summary.old_size),
        size(summary.new_size),
        count(first + 1)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads in steps of a few bytes, of another length each.
    fn said(old: &[u8], new: &[u8]) -> Summary {
        fn steps(bytes: &[u8], step: usize) -> impl FnMut(u64) -> Result<Vec<u8>, Failure> {
            move |at| {
                let at = (at as usize).min(bytes.len());
                Ok(bytes[at..(at + step).min(bytes.len())].to_vec())
            }
        }
        let (mut a, mut b) = (steps(old, 3), steps(new, 4));
        summary((old.len() as u64, &mut a), (new.len() as u64, &mut b)).unwrap()
    }

    /// Guards the counts against a plain reckoning, for all places of a change, an insertion and a
    /// cut.
    #[test]
    fn equal_bytes_are_counted() {
        let old: Vec<u8> = (0..23).collect();
        assert_eq!(said(&old, &old).first_difference, None);
        assert_eq!(said(&old, &old).equal_bytes, 23);
        for at in 0..old.len() {
            let mut new = old.clone();
            new[at] ^= 0x80;
            let found = said(&old, &new);
            assert_eq!((found.first_difference, found.equal_bytes), (Some(at as u64), 22));
            let mut longer = old.clone();
            longer.splice(at..at, [200, 201]);
            let found = said(&old, &longer);
            assert_eq!(
                (found.first_difference, found.equal_bytes),
                (Some(at as u64), 23),
                "{at}"
            );
            let found = said(&old, &old[..at]);
            assert_eq!(
                (found.first_difference, found.equal_bytes),
                (Some(at as u64), at as u64)
            );
        }
    }

    /// Guards the sentence, and what files are by their first bytes.
    #[test]
    fn a_summary_is_a_sentence() {
        let found = said(b"\xff\xd8\xff-1.4 abc", b"\xff\xd8\xff-1.5 abc");
        assert_eq!(
            text(&found),
            "JPEG image, 11 B → 11 B; the first byte that differs is number 7, and 90.9 % of the bytes are the same."
        );
        assert_eq!((kind(b""), kind(b"a\n"), kind(b"\0")), ("empty", "text", "data"));
    }
}
