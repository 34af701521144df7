//! Bytes of a change, front to back: integers in LEB128, each in its one shortest form.
//!
//! Guarantees: never reads past the end, and never makes room. Stricter than the library's own
//! reader: what is read here has the same value there.

use super::Refused;
use crate::codec::Reader;

/// What is not read yet.
#[derive(Clone, Copy)]
pub(super) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Input<'a> {
        Input(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn byte(&mut self) -> Result<u8, Refused> {
        let (byte, rest) = self.0.split_first().ok_or(Refused("it ends early"))?;
        self.0 = rest;
        Ok(*byte)
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], Refused> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Refused("it ends early"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Refused> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Refused("it ends early"))?;
        self.0 = rest;
        Ok(*taken)
    }

    /// An unsigned number.
    pub(super) fn unsigned(&mut self) -> Result<u64, Refused> {
        let mut reader = Reader::new(self.0);
        let value = reader.varint().map_err(|e| Refused(e.0))?;
        self.0 = reader.rest();
        Ok(value)
    }

    /// A signed number.
    pub(super) fn signed(&mut self) -> Result<i64, Refused> {
        let (mut value, mut before) = (0, 0);
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            if shift == 63 && byte != 0 && byte != 0x7f {
                return Err(Refused("a number is too large"));
            }
            value |= i64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                // A last byte that holds nothing but the sign that the one before shows.
                let sign_shown = (byte == 0 && before & 0x40 == 0) || (byte == 0x7f && before & 0x40 != 0);
                if shift > 0 && sign_shown {
                    return Err(Refused("a number is longer than it needs to be"));
                }
                if shift < 57 && byte & 0x40 != 0 {
                    value |= -1 << (shift + 7);
                }
                return Ok(value);
            }
            before = byte;
        }
        Err(Refused("a number is too large"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards the two readers against the numbers at which encodings grow: exact values come
    /// back, and nothing is left.
    #[test]
    fn numbers_are_what_was_written() {
        let cases: [(&[u8], u64); 5] = [
            (&[0], 0),
            (&[0x7f], 127),
            (&[0x80, 1], 128),
            (&[0xe5, 0x8e, 0x26], 624_485),
            (
                &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
                u64::MAX,
            ),
        ];
        for (bytes, value) in cases {
            let mut input = Input::new(bytes);
            assert_eq!(input.unsigned(), Ok(value));
            assert!(input.is_empty());
        }
        let cases: [(&[u8], i64); 8] = [
            (&[0], 0),
            (&[0x7f], -1),
            (&[0x3f], 63),
            (&[0xc0, 0], 64),
            (&[0x40], -64),
            (&[0xc0, 0xbb, 0x78], -123_456),
            (
                &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f],
                i64::MIN,
            ),
            (
                &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0],
                i64::MAX,
            ),
        ];
        for (bytes, value) in cases {
            let mut input = Input::new(bytes);
            assert_eq!(input.signed(), Ok(value), "{bytes:02x?}");
            assert!(input.is_empty());
        }
    }

    /// Guards against a second encoding of a number, which another reader might take for
    /// another one.
    #[test]
    fn numbers_have_one_form() {
        let long: &[&[u8]] = &[&[0x80, 0], &[0x81, 0x80, 0], &[0xff; 10], &[0x80; 3], &[]];
        for bytes in long {
            assert!(Input::new(bytes).unsigned().is_err(), "{bytes:02x?}");
        }
        let long: &[&[u8]] = &[
            &[0x80, 0],
            &[0xff, 0x7f],
            &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1],
            &[0xff; 12],
        ];
        for bytes in long {
            assert!(Input::new(bytes).signed().is_err(), "{bytes:02x?}");
        }
    }
}
