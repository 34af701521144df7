//! Cutting a peer's bytes into frames: length (2, little-endian, at least 1), then so many bytes.
//!
//! Guarantees: it never holds more than one frame, whatever the pieces in which the bytes come.

/// What came of a frame so far.
#[derive(Default)]
pub struct Frames(Vec<u8>);

impl Frames {
    /// Takes the next frame, without its length, from these bytes and what came before them; none if it
    /// is not whole yet: then all of `bytes` is kept. `bytes` is left at what follows.
    ///
    /// # Errors
    /// [`EmptyFrame`] if a frame says that it has no kind.
    pub fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<Vec<u8>>, EmptyFrame> {
        if !self.take(2, bytes) {
            return Ok(None);
        }
        let len = usize::from(u16::from_le_bytes([self.0[0], self.0[1]]));
        if len == 0 {
            return Err(EmptyFrame);
        }
        if !self.take(2 + len, bytes) {
            return Ok(None);
        }
        let mut frame = std::mem::take(&mut self.0);
        frame.drain(..2);
        Ok(Some(frame))
    }

    /// How many bytes are held.
    pub fn held(&self) -> usize {
        self.0.capacity()
    }

    /// Moves bytes over until `len` are here; whether they are.
    fn take(&mut self, len: usize, bytes: &mut &[u8]) -> bool {
        let missing = len.saturating_sub(self.0.len()).min(bytes.len());
        let (head, rest) = bytes.split_at(missing);
        self.0.extend_from_slice(head);
        *bytes = rest;
        self.0.len() >= len
    }
}

/// A frame has not even a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message without a kind")]
pub struct EmptyFrame;

/// A frame of these bytes: a message's kind and fields.
///
/// # Panics
/// If there are none, or more than [`FRAME_MAX`](super::super::limits::FRAME_MAX): messages are made shorter.
pub fn framed(message: &[u8]) -> Vec<u8> {
    let len = u16::try_from(message.len()).expect("messages are made to fit a frame");
    assert!(len > 0, "a message has a kind");
    [&len.to_le_bytes()[..], message].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards the cutting at every place: frames come out alike in whatever pieces they came.
    #[test]
    fn frames_come_out_of_any_pieces() {
        let frames = [vec![1], vec![2; 300], vec![3; 65_535], vec![4, 5]];
        let stream: Vec<u8> = frames.iter().flat_map(|frame| framed(frame)).collect();
        for size in [1, 2, 3, 299, 4_096, 70_000] {
            let (mut cutter, mut found) = (Frames::default(), Vec::new());
            for mut piece in stream.chunks(size) {
                while let Some(frame) = cutter.next(&mut piece).unwrap() {
                    found.push(frame);
                }
                assert!(piece.is_empty() && cutter.held() <= 2 * 65_537);
            }
            assert_eq!(found, frames, "in pieces of {size}");
        }
        assert_eq!(Frames::default().next(&mut &[0, 0, 7][..]), Err(EmptyFrame));
    }
}
