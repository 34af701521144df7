//! A pattern for names, in which `*` stands for any bytes.
//!
//! Guarantees: whether it takes a name is found in time linear in the lengths of both, however many stars
//! it has. What is between two stars is looked for from left to right, each at the first place that is
//! left (of several, an earlier one never leaves less to the rest), by Knuth, Morris and Pratt,
//! "Fast pattern matching in strings", 1977.

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob {
    /// As it is written, in lower case.
    text: String,
    /// For each byte between two stars: how many of those up to it the bytes between the stars begin
    /// with, too. Numbers are small: a pattern has at most 255 bytes.
    borders: Vec<u8>,
}

impl Glob {
    /// At most 255 bytes. Letters of ASCII stand for both cases.
    pub(super) fn new(text: &str) -> Glob {
        let text = text.to_ascii_lowercase();
        let borders = text.as_bytes().split(|byte| *byte == b'*').flat_map(|part| {
            let mut borders: Vec<u8> = Vec::with_capacity(part.len() + 1);
            let mut len = 0;
            for (place, byte) in part.iter().enumerate() {
                while len > 0 && part[len] != *byte {
                    len = usize::from(borders[len - 1]);
                }
                len += usize::from(place > 0 && part[len] == *byte);
                borders.push(u8::try_from(len).unwrap_or(u8::MAX));
            }
            borders.push(0); // of the star
            borders
        });
        let borders = borders.collect();
        Glob { text, borders }
    }

    /// As it is written, in lower case.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a name, in lower case, is of this pattern.
    pub(super) fn takes(&self, name: &[u8]) -> bool {
        let glob = self.text.as_bytes();
        let Some(first) = glob.iter().position(|byte| *byte == b'*') else {
            return glob == name;
        };
        let last = glob.iter().rposition(|byte| *byte == b'*').unwrap_or(first);
        let ends = name
            .strip_prefix(&glob[..first])
            .and_then(|rest| rest.strip_suffix(&glob[last + 1..]));
        let Some(mut rest) = ends else {
            return false;
        };
        let mut at = first + 1;
        while at < last {
            let len = glob[at..last].iter().take_while(|byte| **byte != b'*').count();
            match self.find(at..at + len, rest) {
                Some(end) => rest = &rest[end..],
                None => return false,
            }
            at += len + 1;
        }
        true
    }

    /// Where these bytes of the pattern end for the first time in a name.
    fn find(&self, part: std::ops::Range<usize>, name: &[u8]) -> Option<usize> {
        let (part, borders) = (&self.text.as_bytes()[part.clone()], &self.borders[part]);
        if part.is_empty() {
            return Some(0);
        }
        let mut len = 0;
        for (place, byte) in name.iter().enumerate() {
            count_step();
            while len > 0 && part[len] != *byte {
                count_step();
                len = usize::from(borders[len - 1]);
            }
            len += usize::from(part[len] == *byte);
            if len == part.len() {
                return Some(place + 1);
            }
        }
        None
    }
}

#[cfg(not(test))]
fn count_step() {}

#[cfg(test)]
fn count_step() {
    tests::STEPS.with(|steps| steps.set(steps.get() + 1));
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::io::sim::SplitMix64;

    thread_local! {
        pub(super) static STEPS: Cell<u64> = const { Cell::new(0) };
    }

    /// What a pattern means, as simply as it can be said.
    fn means(glob: &[u8], name: &[u8]) -> bool {
        match glob {
            [] => name.is_empty(),
            [b'*', rest @ ..] => (0..=name.len()).any(|from| means(rest, &name[from..])),
            [byte, rest @ ..] => name.first() == Some(byte) && means(rest, &name[1..]),
        }
    }

    /// Guards the search: all short patterns and names of few letters, where beginnings return.
    #[test]
    fn it_takes_what_it_means() {
        let mut random = SplitMix64(7);
        let mut drawn = |letters: &[u8], most: u64| -> Vec<u8> {
            let len = random.below(most + 1);
            (0..len)
                .map(|_| letters[random.below(letters.len() as u64) as usize])
                .collect()
        };
        let mut taken = 0;
        for _ in 0..50_000 {
            let (glob, name) = (drawn(b"ab*", 9), drawn(b"ab", 12));
            let is = means(&glob, &name);
            let text = String::from_utf8(glob.clone()).unwrap();
            assert_eq!(
                Glob::new(&text).takes(&name),
                is,
                "{text} {}",
                name.escape_ascii()
            );
            taken += u32::from(is);
        }
        assert!(taken > 5_000, "{taken}");
    }

    /// Guards the time: patterns that were made to be slow took the length of the name times their own.
    #[test]
    fn no_pattern_is_slow() {
        let name = [b'a'; 255];
        let almost = |count: usize| format!("*{}b*", "a".repeat(count));
        let many = format!("{}b", "*a".repeat(127));
        let pieces = format!("*{}*", ["aaaaaaaab"; 25].join("*"));
        for glob in [almost(120), almost(250), many, pieces, "*".repeat(255)] {
            STEPS.set(0);
            Glob::new(&glob).takes(&name);
            assert!(STEPS.get() <= 2 * 255, "{glob}: {}", STEPS.get());
        }
    }
}
