//! Bytes that must not stay behind: passwords and phrases on their way to the vault.
//!
//! Guarantees that its buffer is wiped when dropped and was never moved by growing. Never shown:
//! no Debug, Display or Serialize. Cannot promise anything about the terminal, the kernel's pipe
//! and socket buffers, or swap.

use std::io::{self, Read};
use zeroize::Zeroizing;

/// The longest secret taken, in bytes: far beyond any passphrase, small enough to bound memory.
pub(crate) const MAX: usize = 64 * 1024;

/// A password or phrase.
pub(crate) struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes bytes over; their buffer is wiped in the end.
    pub(crate) fn new(bytes: Vec<u8>) -> Secret {
        Secret(Zeroizing::new(bytes))
    }

    /// The bytes.
    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as text, bad UTF-8 replaced: for judging strength only.
    pub(crate) fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(String::from_utf8_lossy(&self.0).into_owned())
    }

    /// A second copy, wiped on its own.
    pub(crate) fn duplicate(&self) -> Secret {
        Secret::new(self.0.to_vec())
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads up to and without the next newline (or the end), byte by byte, so that what
    /// follows stays unread and nothing lies in a buffer of ours. A `\r` before the newline is dropped.
    ///
    /// # Errors
    /// The reader's; `InvalidData` beyond [`MAX`] bytes.
    pub(crate) fn read_line(from: &mut impl Read) -> io::Result<Secret> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX));
        let mut byte = Zeroizing::new([0u8; 1]);
        loop {
            match from.read(&mut byte[..]) {
                Ok(0) => break,
                Ok(_) if byte[0] == b'\n' => break,
                Ok(_) if bytes.len() == MAX => {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "longer than 65,536 bytes",
                    ));
                }
                Ok(_) => bytes.push(byte[0]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        Ok(Secret(bytes))
    }

    /// Reads everything, newlines too: for phrases laid out over several lines.
    ///
    /// # Errors
    /// The reader's; `InvalidData` beyond [`MAX`] bytes.
    pub(crate) fn read_all(from: &mut impl Read) -> io::Result<Secret> {
        let mut bytes = Zeroizing::new(vec![0u8; MAX + 1]);
        let mut filled = 0;
        while filled < bytes.len() {
            match from.read(&mut bytes[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if filled > MAX {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "longer than 65,536 bytes",
            ));
        }
        bytes.truncate(filled);
        Ok(Secret(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards that the second password on standard input is still there after the first.
    #[test]
    fn lines_are_read_one_at_a_time() {
        let mut input = &b"one\r\ntwo\n\nlast"[..];
        for expected in [&b"one"[..], b"two", b"", b"last", b""] {
            assert_eq!(Secret::read_line(&mut input).unwrap().expose(), expected);
        }
    }

    /// Guards the bound on memory.
    #[test]
    fn too_long_is_refused() {
        let long = vec![b'x'; MAX + 1];
        assert!(Secret::read_line(&mut &long[..]).is_err());
        assert!(Secret::read_all(&mut &long[..]).is_err());
        assert_eq!(Secret::read_line(&mut &long[..MAX]).unwrap().expose().len(), MAX);
        assert_eq!(Secret::read_all(&mut &long[..MAX]).unwrap().expose().len(), MAX);
    }
}
