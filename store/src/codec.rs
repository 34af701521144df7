//! Reading and writing the fields of records: little-endian integers, integers in LEB128, byte
//! strings with a length before them.
//!
//! The reader is bounded: it never allocates by a length that it has not checked against
//! the bytes at hand, and it refuses what is left over, and a number that is longer than it needs
//! to be. It never panics on bad input.

/// A record's bytes do not have the form that its version prescribes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed record: {0}")]
pub struct Malformed(pub &'static str);

/// Why something that came from another device is not read. What waits for a newer program is told from what
/// no program reads, by its version, and by tags and flags that are not given yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// A program made it that knows more than this one.
    #[error("a newer version of coffer made it: update coffer on this device to read it")]
    Newer,
    /// It has not the form that its version prescribes.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

impl From<Unread> for Malformed {
    fn from(unread: Unread) -> Malformed {
        match unread {
            Unread::Newer => Malformed("made by a newer version of coffer"),
            Unread::Malformed(why) => why,
        }
    }
}

/// Appends fields to a buffer.
#[derive(Default)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    /// An empty buffer.
    pub fn new() -> Writer {
        Writer(Vec::with_capacity(256))
    }
    /// A byte.
    pub fn u8(&mut self, v: u8) -> &mut Self {
        self.0.push(v);
        self
    }
    /// Two bytes, little-endian.
    pub fn u16(&mut self, v: u16) -> &mut Self {
        self.raw(&v.to_le_bytes())
    }
    /// Four bytes, little-endian.
    pub fn u32(&mut self, v: u32) -> &mut Self {
        self.raw(&v.to_le_bytes())
    }
    /// Eight bytes, little-endian.
    pub fn u64(&mut self, v: u64) -> &mut Self {
        self.raw(&v.to_le_bytes())
    }
    /// Eight bytes, little-endian, two's complement.
    pub fn i64(&mut self, v: i64) -> &mut Self {
        self.raw(&v.to_le_bytes())
    }
    /// An unsigned number in LEB128: seven bits a byte, the lowest first, in the fewest bytes.
    pub fn varint(&mut self, mut v: u64) -> &mut Self {
        while v >= 0x80 {
            self.0.push(v as u8 | 0x80);
            v >>= 7;
        }
        self.u8(v as u8)
    }
    /// A signed number that is small on both sides of zero: 0, -1, 1, -2 … as 0, 1, 2, 3 …
    pub fn zigzag(&mut self, v: i64) -> &mut Self {
        self.varint(((v << 1) ^ (v >> 63)) as u64)
    }
    /// Bytes of a length that the format fixes.
    pub fn raw(&mut self, v: &[u8]) -> &mut Self {
        self.0.extend_from_slice(v);
        self
    }
    /// A `u32` length and the bytes.
    pub fn bytes(&mut self, v: &[u8]) -> &mut Self {
        let len = u32::try_from(v.len()).expect("a field is far below 4 GiB: its producer bounds it");
        self.u32(len).raw(v)
    }
}

/// Takes fields from a buffer, front to back.
#[derive(Clone)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// From the beginning of these bytes.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader(bytes)
    }
    /// So many bytes.
    ///
    /// # Errors
    /// [`Malformed`] if it is not there, or not so.
    pub fn raw(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        if len > self.0.len() {
            return Err(Malformed("it ends early"));
        }
        let (head, rest) = self.0.split_at(len);
        self.0 = rest;
        Ok(head)
    }
    /// Bytes of a length that the format fixes.
    ///
    /// # Errors
    /// [`Malformed`] if it is not there, or not so.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let mut out = [0; N];
        out.copy_from_slice(self.raw(N)?);
        Ok(out)
    }
    /// A byte.
    ///
    /// # Errors
    /// [`Malformed`] if it is not there, or not so.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.array::<1>()?[0])
    }
    /// Two bytes, little-endian.
    ///
    /// # Errors
    /// [`Malformed`] if it is not there, or not so.
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_le_bytes(self.array()?))
    }
    /// Four bytes, little-endian.
    ///
    /// # Errors
    /// [`Malformed`] if it is not there, or not so.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(self.array()?))
    }
    /// Eight bytes, little-endian.
    ///
    /// # Errors
    /// [`Malformed`] if it is not there, or not so.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.array()?))
    }
    /// Eight bytes, little-endian, two's complement.
    ///
    /// # Errors
    /// [`Malformed`] if it is not there, or not so.
    pub fn i64(&mut self) -> Result<i64, Malformed> {
        Ok(i64::from_le_bytes(self.array()?))
    }
    /// An unsigned number in LEB128, in its one shortest form.
    ///
    /// # Errors
    /// [`Malformed`] if it is not there, or not so.
    pub fn varint(&mut self) -> Result<u64, Malformed> {
        let mut v = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            if shift == 63 && byte > 1 {
                break;
            }
            v |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return match byte {
                    0 if shift > 0 => Err(Malformed("a number is longer than it needs to be")),
                    _ => Ok(v),
                };
            }
        }
        Err(Malformed("a number is too large"))
    }
    /// The same, of a field that has 32 bits.
    ///
    /// # Errors
    /// [`Malformed`] if it is not there, or not so.
    pub fn varint32(&mut self) -> Result<u32, Malformed> {
        u32::try_from(self.varint()?).map_err(|_| Malformed("a number is too large"))
    }
    /// The inverse of [`Writer::zigzag`].
    ///
    /// # Errors
    /// [`Malformed`] if it is not there, or not so.
    pub fn zigzag(&mut self) -> Result<i64, Malformed> {
        let v = self.varint()?;
        Ok((v >> 1) as i64 ^ -((v & 1) as i64))
    }
    /// A `u32` length, at most `most`, and the bytes.
    ///
    /// # Errors
    /// [`Malformed`] if it is not there, or not so.
    pub fn bytes(&mut self, most: usize) -> Result<&'a [u8], Malformed> {
        let len = self.u32()? as usize;
        if len > most {
            return Err(Malformed("a field is longer than its kind allows"));
        }
        self.raw(len)
    }
    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.0.len()
    }
    /// Nothing may be left.
    ///
    /// # Errors
    /// [`Malformed`] if it is not there, or not so.
    pub fn end(&self) -> Result<(), Malformed> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Malformed("bytes are left over at its end"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards the numbers at which encodings grow: exact values come back, in the bytes that LEB128
    /// has for them.
    #[test]
    fn numbers_are_what_was_written() {
        let cases: [(u64, &[u8]); 6] = [
            (0, &[0]),
            (127, &[0x7f]),
            (128, &[0x80, 1]),
            (624_485, &[0xe5, 0x8e, 0x26]),
            (u64::from(u32::MAX) + 1, &[0x80, 0x80, 0x80, 0x80, 0x10]),
            (
                u64::MAX,
                &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
            ),
        ];
        for (value, bytes) in cases {
            let mut w = Writer::new();
            assert_eq!(w.varint(value).0, bytes);
            let mut r = Reader::new(bytes);
            assert_eq!((r.varint(), r.remaining()), (Ok(value), 0));
            let small = Reader::new(bytes).varint32();
            assert_eq!(small.ok(), u32::try_from(value).ok());
        }
        for (value, byte) in [(0, 0), (-1, 1), (1, 2), (-2, 3), (-64, 127)] {
            assert_eq!(Writer::new().zigzag(value).0, [byte]);
            assert_eq!(Reader::new(&[byte]).zigzag(), Ok(value));
        }
        for value in [i64::MIN, i64::MIN + 1, -65, 64, i64::MAX] {
            let mut w = Writer::new();
            w.zigzag(value);
            assert_eq!(Reader::new(&w.0).zigzag(), Ok(value));
        }
    }

    /// Guards against a second encoding of a number, one that has no end, and one beyond 64 bits.
    #[test]
    fn numbers_have_one_form() {
        let long: &[&[u8]] = &[
            &[],
            &[0x80, 0],
            &[0x81, 0x80, 0],
            &[0x80; 3],
            &[0xff; 10],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2],
            &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0],
            &[0x80; 12],
        ];
        for bytes in long {
            assert!(Reader::new(bytes).varint().is_err(), "{bytes:02x?}");
        }
    }
}
