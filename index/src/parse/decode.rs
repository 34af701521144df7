//! Bytes as text, and where in it lines begin.

use std::borrow::Cow;

use crate::rows::Extract;

/// The bytes as text: UTF-8, or UTF-16 with its mark. What is neither stands as U+FFFD, and is listed.
pub(super) fn text<'a>(bytes: &'a [u8], out: &mut Extract) -> Cow<'a, str> {
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => utf8(rest, out),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes, out),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes, out),
        _ => utf8(bytes, out),
    }
}

fn utf8<'a>(bytes: &'a [u8], out: &mut Extract) -> Cow<'a, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(e) => {
            let before = &bytes[..e.valid_up_to()];
            let line = 1 + before.iter().filter(|b| **b == b'\n').count() as u32;
            out.problem(
                line,
                "The file is not UTF-8: what could not be read stands as \u{fffd}.",
            );
            String::from_utf8_lossy(bytes)
        }
    }
}

fn utf16<'a>(bytes: &'a [u8], unit: fn([u8; 2]) -> u16, out: &mut Extract) -> Cow<'a, str> {
    let (units, rest) = bytes.as_chunks::<2>();
    let mut whole = rest.is_empty();
    let text = char::decode_utf16(units.iter().map(|two| unit(*two)))
        .map(|c| {
            c.unwrap_or_else(|_| {
                whole = false;
                '\u{fffd}'
            })
        })
        .collect();
    if !whole {
        out.problem(
            None,
            "The file is not whole UTF-16: what could not be read stands as \u{fffd}.",
        );
    }
    Cow::Owned(text)
}

/// Folds that stand within a character (RFC 5545 §3.1) moved behind it: lines stay what they are.
pub(super) fn folds(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        let fold = [&b"\r\n "[..], b"\r\n\t", b"\n ", b"\n\t"]
            .into_iter()
            .find(|f| rest.starts_with(f));
        let Some(fold) = fold.filter(|_| out.last().is_some_and(|b: &u8| *b >= 0x80)) else {
            out.push(*first);
            rest = after;
            continue;
        };
        let behind = &rest[fold.len()..];
        let tail = behind
            .iter()
            .take(3)
            .take_while(|b| (0x80..0xc0).contains(*b))
            .count();
        out.extend_from_slice(&behind[..tail]);
        out.extend_from_slice(fold);
        rest = &behind[tail..];
    }
    out
}

/// Where lines begin.
pub(super) struct Lines(Vec<usize>);

impl Lines {
    pub(super) fn of(text: &str) -> Lines {
        let ends = text.bytes().enumerate().filter(|(_, b)| *b == b'\n');
        Lines(std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect())
    }

    /// The line of a byte, from 1.
    pub(super) fn line(&self, at: usize) -> u32 {
        self.0.partition_point(|start| *start <= at) as u32
    }
}
