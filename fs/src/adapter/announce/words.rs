//! What the daemon and its announcing helper say to each other: a frame each way, in turn.
//!
//! To the helper: length (u32, little-endian), a verb (one byte), then strings, each with its
//! length (u32) before it. Back: an errno (i32), zero if it was done.
//! Guarantees that nothing longer than [`LONGEST`] is believed. Never carries content or keys.

use std::io::{self, Read, Write};

/// The longest frame: two paths of the deepest folders, and two names.
pub(super) const LONGEST: usize = 256 << 10;

/// What the helper is to do. A string is a path below the mount's root (empty: the root itself) or
/// a name in the folder before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// Enter the mount at this path.
    Enter = 1,
    /// Close all that is open of it.
    Leave = 2,
    /// Make a file: folder, name. So the next three.
    File = 3,
    /// Make a folder.
    Folder = 4,
    /// Make a symlink.
    Symlink = 5,
    /// Make a FIFO, a socket or a device node.
    Special = 6,
    /// Move what lies behind the stage to: folder, name.
    Over = 7,
    /// Remove a name that is no folder: folder, name.
    Unlink = 8,
    /// Remove a folder: folder, name.
    Rmdir = 9,
    /// Rename: folder, name, folder, name.
    Move = 10,
    /// Rewrite a file to what it is: folder, name.
    Content = 11,
    /// Touch: folder, name.
    Attributes = 12,
}

impl Verb {
    const ALL: [Verb; 12] = [
        Verb::Enter,
        Verb::Leave,
        Verb::File,
        Verb::Folder,
        Verb::Symlink,
        Verb::Special,
        Verb::Over,
        Verb::Unlink,
        Verb::Rmdir,
        Verb::Move,
        Verb::Content,
        Verb::Attributes,
    ];
}

/// A frame for the helper; `None` if it would be too long.
pub(super) fn frame(verb: Verb, strings: &[&[u8]]) -> Option<Vec<u8>> {
    let mut frame = vec![0; 4];
    frame.push(verb as u8);
    for string in strings {
        frame.extend_from_slice(&u32::try_from(string.len()).ok()?.to_le_bytes());
        frame.extend_from_slice(string);
    }
    if frame.len() > LONGEST {
        return None;
    }
    let len = u32::try_from(frame.len() - 4).ok()?;
    frame[..4].copy_from_slice(&len.to_le_bytes());
    Some(frame)
}

/// The next frame; `None` at the end.
///
/// # Errors
/// What reading met, or that it is no frame.
pub(super) fn read(from: &mut impl Read) -> io::Result<Option<(Verb, Vec<Vec<u8>>)>> {
    let mut len = [0; 4];
    match from.read_exact(&mut len) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let len = u32::from_le_bytes(len) as usize;
    if !(1..=LONGEST).contains(&len) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut frame = vec![0; len];
    from.read_exact(&mut frame)?;
    parse(&frame)
        .map(Some)
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn parse(frame: &[u8]) -> Option<(Verb, Vec<Vec<u8>>)> {
    let (verb, mut rest) = frame.split_first()?;
    let verb = Verb::ALL.into_iter().find(|known| *known as u8 == *verb)?;
    let mut strings = Vec::new();
    while !rest.is_empty() {
        let (len, after) = rest.split_first_chunk::<4>()?;
        let (string, after) = after.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        strings.push(string.to_vec());
        rest = after;
    }
    Some((verb, strings))
}

/// Tells what came of it.
///
/// # Errors
/// Nobody listens.
pub(super) fn answer(to: &mut impl Write, errno: i32) -> io::Result<()> {
    to.write_all(&errno.to_le_bytes())?;
    to.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards both directions, empty strings and bytes of any value; and that what is cut, too
    /// long or unknown is refused.
    #[test]
    fn frames_come_back() {
        for verb in Verb::ALL {
            let strings: [&[u8]; 3] = [b"", b"a/\xff b", &[7; 300]];
            let bytes = frame(verb, &strings).unwrap();
            let (there, back) = read(&mut &bytes[..]).unwrap().unwrap();
            assert_eq!((there, back), (verb, strings.map(<[u8]>::to_vec).to_vec()));
            for cut in [4, 6, bytes.len() - 1] {
                assert!(read(&mut &bytes[..cut]).is_err(), "{verb:?} {cut}");
            }
        }
        assert_eq!(read(&mut &b""[..]).unwrap(), None);
        assert!(frame(Verb::File, &[&vec![0; LONGEST]]).is_none());
        assert!(read(&mut &[1, 0, 0, 0, 99][..]).is_err(), "unknown");
        assert!(read(&mut &[0xff; 8][..]).is_err(), "too long");
        assert!(
            read(&mut &[6, 0, 0, 0, 2, 9, 0, 0, 0, 1][..]).is_err(),
            "a string beyond the end"
        );
    }
}
