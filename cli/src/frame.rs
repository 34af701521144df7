//! Messages on a stream: a line of JSON, then the secrets that it announces, as raw bytes of the
//! announced lengths.
//!
//! Guarantees that every length is bounded before it is allocated, that buffers which held secrets
//! are wiped, and that what cannot be read is an error, never a panic.

use crate::secret::Secret;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, Read, Write};
use zeroize::Zeroizing;

/// Bytes that are read at a time, at most.
const BUFFER: usize = 64 * 1024;
/// The most secrets in one message.
const MAX_SECRETS: usize = 4;

/// Writes one message: its line, then its secrets, in one write.
///
/// # Errors
/// The stream's.
pub(crate) fn send(to: &mut impl Write, message: &impl Serialize, secrets: &[Secret]) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    if secrets.is_empty() {
        line.push(b'\n');
        to.write_all(&line)?;
        return to.flush();
    }
    let extra: usize = secrets.iter().map(|secret| secret.expose().len()).sum();
    // Sized at once: growing would leave an unwiped copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(line.len() + 1 + extra));
    bytes.extend_from_slice(&line);
    bytes.push(b'\n');
    for secret in secrets {
        bytes.extend_from_slice(secret.expose());
    }
    to.write_all(&bytes)?;
    to.flush()
}

/// Reads messages from a stream. Its buffer is wiped on drop.
pub(crate) struct Reader<R> {
    from: R,
    buffer: Zeroizing<Vec<u8>>,
    start: usize,
    end: usize,
}

impl<R: Read> Reader<R> {
    /// A reader with nothing read yet.
    pub(crate) fn new(from: R) -> Reader<R> {
        Reader {
            from,
            buffer: Zeroizing::new(vec![0; BUFFER]),
            start: 0,
            end: 0,
        }
    }

    /// Whether all that was read was also given out.
    pub(crate) fn is_drained(&self) -> bool {
        self.start == self.end
    }

    fn fill(&mut self) -> io::Result<bool> {
        loop {
            match self.from.read(&mut self.buffer) {
                Ok(count) => {
                    (self.start, self.end) = (0, count);
                    return Ok(count > 0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The next line as a message; `None` at the end of the stream.
    ///
    /// # Errors
    /// The stream's; `InvalidData` for a line longer than `max` bytes, cut off, or not the JSON expected.
    pub(crate) fn message<T: DeserializeOwned>(&mut self, max: usize) -> io::Result<Option<T>> {
        let mut line = Vec::new();
        loop {
            if self.start == self.end && !self.fill()? {
                return match line.is_empty() {
                    true => Ok(None),
                    false => Err(invalid("the message was cut off")),
                };
            }
            let rest = &self.buffer[self.start..self.end];
            let newline = rest.iter().position(|byte| *byte == b'\n');
            let part = &rest[..newline.unwrap_or(rest.len())];
            if line.len() + part.len() > max {
                return Err(invalid("the message is too long"));
            }
            line.extend_from_slice(part);
            self.start += part.len() + usize::from(newline.is_some());
            if newline.is_some() {
                return serde_json::from_slice(&line)
                    .map(Some)
                    .map_err(|_| invalid("the message makes no sense"));
            }
        }
    }

    /// The secrets of the announced lengths, each of at most `longest` bytes.
    ///
    /// # Errors
    /// The stream's; `InvalidData` beyond the bounds or when cut off.
    pub(crate) fn secrets(&mut self, lengths: &[usize], longest: usize) -> io::Result<Vec<Secret>> {
        if lengths.len() > MAX_SECRETS || lengths.iter().any(|length| *length > longest) {
            return Err(invalid("the secrets are too long"));
        }
        let mut secrets = Vec::with_capacity(lengths.len());
        for length in lengths {
            let mut bytes = Zeroizing::new(Vec::with_capacity(*length));
            while bytes.len() < *length {
                if self.start == self.end && !self.fill()? {
                    return Err(invalid("a secret was cut off"));
                }
                let take = (length - bytes.len()).min(self.end - self.start);
                bytes.extend_from_slice(&self.buffer[self.start..self.start + take]);
                self.start += take;
            }
            secrets.push(Secret::new(std::mem::take(&mut *bytes)));
        }
        Ok(secrets)
    }
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret;
    use crate::wire::{MAX_REPLY, MAX_REQUEST, Op, Progress, Reply, Request, VERSION};

    /// A stream that gives one byte a read: messages must not depend on how they arrive.
    struct Drip<'a>(&'a [u8]);
    impl Read for Drip<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else {
                return Ok(0);
            };
            out[0] = *first;
            self.0 = rest;
            Ok(1)
        }
    }

    /// Guards that requests and their secrets arrive whole, in whatever pieces, newlines in secrets included.
    #[test]
    fn messages_and_secrets_round_trip() {
        let secrets = [
            Secret::new(b"one\ntwo".to_vec()),
            Secret::new(Vec::new()),
            Secret::new(vec![b'x'; 40_000]),
        ];
        let request = Request {
            coffer: VERSION,
            secrets: secrets.iter().map(|s| s.expose().len()).collect(),
            op: Op::Passwd { kdf: None },
        };
        let mut bytes = Vec::new();
        send(&mut bytes, &request, &secrets).unwrap();
        send(&mut bytes, &Reply::Progress(Progress::default()), &[]).unwrap();
        let check = |from: &mut dyn Read| {
            let mut reader = Reader::new(from);
            let got: Request = reader.message(MAX_REQUEST).unwrap().unwrap();
            assert_eq!(got.op, request.op);
            let got = reader.secrets(&got.secrets, secret::MAX).unwrap();
            assert!(got.iter().zip(&secrets).all(|(a, b)| a.expose() == b.expose()));
            assert!(matches!(
                reader.message(MAX_REPLY).unwrap(),
                Some(Reply::Progress(_))
            ));
            assert!(reader.message::<Reply>(MAX_REPLY).unwrap().is_none());
        };
        check(&mut &bytes[..]);
        check(&mut Drip(&bytes));
        assert!(!String::from_utf8_lossy(&serde_json::to_vec(&request).unwrap()).contains("one"));
    }

    /// Guards the bounds: nothing a peer says makes us allocate without limit, or panic.
    #[test]
    fn hostile_messages_are_errors() {
        let long = vec![b'a'; MAX_REQUEST + 2];
        assert!(Reader::new(&long[..]).message::<Request>(MAX_REQUEST).is_err());
        for bad in [
            "{}\n",
            "[]\n",
            "\n",
            "\u{0}\n",
            "{\"coffer\":3,\"op\":\"explode\"}\n",
            "{\"coffer\":3",
        ] {
            assert!(
                Reader::new(bad.as_bytes())
                    .message::<Request>(MAX_REQUEST)
                    .is_err(),
                "{bad}"
            );
        }
        assert!(
            Reader::new(&b"xx"[..])
                .secrets(&[secret::MAX + 1], secret::MAX)
                .is_err()
        );
        assert!(
            Reader::new(&b"xx"[..])
                .secrets(&[1; MAX_SECRETS + 1], secret::MAX)
                .is_err()
        );
        assert!(Reader::new(&b"xx"[..]).secrets(&[3], secret::MAX).is_err());
    }
}
