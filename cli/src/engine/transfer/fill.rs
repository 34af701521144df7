//! A plain file's bytes into one that is coming into the vault.
//!
//! Guarantees that no more is read than the file was long when it was looked at, and that holes stay
//! holes where the file system tells of them.

use super::source::Look;
use super::tally::{Tally, Trouble, unreadable};
use coffer_store::vault::Incoming;
use rustix::fd::OwnedFd;
use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

/// Reads it; false if it ended early.
pub(super) fn fill(
    file: &OwnedFd,
    look: &Look,
    incoming: &mut Incoming<'_>,
    buffer: &mut [u8],
    tally: &Tally<'_>,
) -> Result<bool, Trouble> {
    let size = look.size;
    if !look.is_sparse() {
        // What claims to hold nothing may be made as it is read, like those of proc(5).
        let end = if size > 0 { size } else { u64::MAX };
        let read = stretch(file, 0, end, incoming, buffer, tally)?;
        return Ok(read == end || size == 0);
    }
    let mut at = 0;
    while at < size {
        let data = match seek(file, SeekFrom::Data(at)) {
            Err(Errno::NXIO) => break, // a hole to the end
            Err(Errno::INVAL) => at,
            found => found.map_err(unreadable)?,
        };
        let end = match seek(file, SeekFrom::Hole(data)) {
            Err(Errno::INVAL) => size,
            found => found.map_err(unreadable)?,
        };
        let end = end.min(size);
        if data < end && stretch(file, data, end, incoming, buffer, tally)? < end {
            return Ok(false);
        }
        at = end.max(at + 1);
    }
    incoming.set_size(size)?;
    Ok(true)
}

/// Reads from `at` to `end`, or to the end of the file; returns how far.
fn stretch(
    file: &OwnedFd,
    mut at: u64,
    end: u64,
    incoming: &mut Incoming<'_>,
    buffer: &mut [u8],
    tally: &Tally<'_>,
) -> Result<u64, Trouble> {
    while at < end {
        tally.go_on()?;
        let most = usize::try_from(end - at).unwrap_or(usize::MAX).min(buffer.len());
        let count = match rustix::io::pread(file, &mut buffer[..most], at) {
            Err(Errno::INTR) => continue,
            read => read.map_err(unreadable)?,
        };
        if count == 0 {
            break;
        }
        incoming.write(at, &buffer[..count])?;
        tally.read(count);
        at += count as u64;
    }
    Ok(at)
}
