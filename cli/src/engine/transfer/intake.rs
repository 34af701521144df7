//! Single files into the vault, for an inbox: each under its name, or a numbered one where something
//! else has that name.
//!
//! Guarantees that nothing in the vault is ever replaced; that what is answered as taken in is durable;
//! and, where asked, that its bytes were compared with the plain file's after that.

use super::super::OnProgress;
use super::super::{Mount, Vault};
use super::source::Look;
use super::take::{Folder, Taker};
use super::tally::{Stop, Tally, Trouble, unreadable};
use super::walk::destination;
use super::{FORGET, settled};
use crate::answers::{Intake, Reason, Taken};
use crate::failure::Failure;
use crate::wire::{self, WirePath};
use coffer_fs::types::Kind;
use coffer_store::vault::Vault as Store;
use rustix::fd::OwnedFd;
use rustix::fs::{FileType, Mode, OFlags, open};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The longest name, in bytes.
const NAME_MAX: usize = 255;
/// The longest extension that a number goes before, in bytes.
const EXTENSION_MAX: usize = 32;
/// The most numbers that a name is tried with.
const NUMBERS: u32 = 10_000;
/// Bytes of a file that are read at a time.
const BUFFER: usize = 1 << 20;

/// Takes single files in. Durable when it returns.
///
/// # Errors
/// When it cannot go on at all (`NoSpace`, a vault that can only be read); what was taken in before
/// that is kept, and found again. What single files met is in the answer, in the order of the question.
pub(crate) fn intake(
    vault: &Vault,
    mount: Option<&Mount>,
    asked: &wire::Intake,
    stop: &Stop,
    progress: OnProgress<'_>,
) -> Result<Intake, Failure> {
    let tally = Tally::new(stop);
    let announcer = mount.map(Mount::announcer);
    let taker = Taker::new(vault.store(), &tally, announcer.as_ref(), false);
    let mut buffer = vec![0; BUFFER];
    let (mut taken, mut ended) = (Vec::new(), None);
    for item in &asked.items {
        if tally.is_stopped() {
            break;
        }
        match take(&taker, &asked.into.0, item, &mut buffer) {
            Ok(done) => taken.push(Ok(done)),
            Err(Trouble::Skip(reason, why)) => taken.push(Err(left(reason, why))),
            Err(Trouble::End(failure)) => {
                ended = Some(failure);
                break;
            }
            Err(Trouble::Stopped) => break,
        }
        progress(tally.progress());
    }
    settled(vault, announcer.as_ref(), FORGET)?;
    if let Some(failure) = ended {
        return Err(failure);
    }
    let mut answer = Intake::default();
    for (done, item) in taken.into_iter().zip(&asked.items) {
        answer.items.push(match done {
            Err(left) => left,
            Ok(Done { ino, mut taken }) => {
                taken.same = asked.compare && is_same(vault.store(), ino, &item.path.0, &taken, &mut buffer);
                taken
            }
        });
    }
    Ok(answer)
}

/// What was taken in, and where it is.
struct Done {
    ino: u64,
    taken: Taken,
}

fn left(reason: Reason, why: String) -> Taken {
    Taken {
        left: Some((reason, why)),
        ..Taken::default()
    }
}

fn take(taker: &Taker<'_>, into: &Path, item: &wire::Item, buffer: &mut Vec<u8>) -> Result<Done, Trouble> {
    let file = open_plain(&item.path.0)?;
    let look = Look::of(&file).map_err(unreadable)?;
    if look.kind != FileType::RegularFile {
        let why = "only files are taken out of a watched folder, and this is none".to_owned();
        return Err(Trouble::Skip(Reason::Special, why));
    }
    let folder = destination(taker, &into.join(&item.folder.0)).map_err(|failure| match failure.kind {
        crate::failure::Kind::NoSpace => Trouble::End(failure),
        _ => Trouble::Skip(Reason::Failed, failure.message.trim_end_matches('.').to_owned()),
    })?;
    let folder = Folder {
        fd: file,
        path: PathBuf::new(),
        ino: folder,
        keep_times: false,
    };
    let wanted = item.name.0.as_os_str().as_bytes();
    for number in 1..=NUMBERS {
        let name = numbered(wanted, number);
        let at = taker.at(&folder, &name);
        let (ino, is_new) = match taker.vault.lookup(at.folder, at.name) {
            Ok(ino) if is_there(taker.vault, ino, &folder.fd, &look, buffer)? => (ino, false),
            Ok(_) => continue,
            Err(error) if error.errno() == libc::ENOENT => match taker.file(&folder.fd, look, at, buffer) {
                Ok(ino) => (ino, true),
                // Somebody took the name in between.
                Err(Trouble::Skip(Reason::Differs, _)) => continue,
                Err(trouble) => return Err(trouble),
            },
            Err(error) => return Err(error.into()),
        };
        // As it was read: one that changed meanwhile was read again.
        let (bytes, changed) = match is_new {
            true => {
                let stat = taker.vault.stat(ino)?;
                (stat.size, stat.meta.mtime)
            }
            false => (look.size, look.mtime),
        };
        let name = PathBuf::from(OsString::from_vec(name));
        let taken = Taken {
            name: Some(WirePath(item.folder.0.join(name))),
            is_new,
            bytes,
            ino: look.ino,
            changed: (changed.sec, changed.nsec),
            ..Taken::default()
        };
        return Ok(Done { ino, taken });
    }
    let why = format!("{NUMBERS} others have that name, with a number");
    Err(Trouble::Skip(Reason::Differs, why))
}

fn open_plain(path: &Path) -> Result<OwnedFd, Trouble> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    open(path, flags, Mode::empty()).map_err(unreadable)
}

/// The name, or with a number: “scan (2).pdf”. Never longer than a name may be.
fn numbered(name: &[u8], number: u32) -> Vec<u8> {
    if number == 1 {
        return name.to_vec();
    }
    // A name that begins with its only dot has no extension.
    let dot = name
        .iter()
        .rposition(|byte| *byte == b'.')
        .filter(|at| *at > 0 && name.len() - at <= EXTENSION_MAX);
    let (stem, extension) = name.split_at(dot.unwrap_or(name.len()));
    let number = format!(" ({number})");
    let room = NAME_MAX.saturating_sub(number.len() + extension.len());
    let mut end = stem.len().min(room);
    // Not in the middle of a letter, where it is UTF-8.
    while end < stem.len() && end > 0 && stem[end] & 0xc0 == 0x80 {
        end -= 1;
    }
    [&stem[..end], number.as_bytes(), extension].concat()
}

/// Whether that is the same file: as import sees it, or by its bytes.
fn is_there(
    vault: &Store,
    ino: u64,
    file: &OwnedFd,
    look: &Look,
    buffer: &mut Vec<u8>,
) -> Result<bool, Trouble> {
    let stat = vault.stat(ino)?;
    if look.is_there(&stat) {
        return Ok(true);
    }
    Ok(stat.meta.kind == Kind::File && stat.size == look.size && are_equal(vault, ino, file, buffer)?)
}

/// Whether both have the same bytes, to their ends.
fn are_equal(vault: &Store, ino: u64, file: &OwnedFd, buffer: &mut Vec<u8>) -> Result<bool, Trouble> {
    buffer.resize(BUFFER, 0);
    let (mut at, mut there) = (0, Vec::new());
    loop {
        let count = rustix::io::pread(file, &mut buffer[..], at).map_err(unreadable)?;
        there.clear();
        vault.read(ino, at, count.max(1), &mut there)?;
        if there != buffer[..count] {
            return Ok(false);
        }
        if count == 0 {
            return Ok(true);
        }
        at += count as u64;
    }
}

/// Whether the plain file is still the one that was taken in, and the vault holds its bytes.
fn is_same(vault: &Store, ino: u64, path: &Path, taken: &Taken, buffer: &mut Vec<u8>) -> bool {
    let mut compare = || -> Result<bool, Trouble> {
        let file = open_plain(path)?;
        let before = Look::of(&file).map_err(unreadable)?;
        let is_it = before.ino == taken.ino && (before.mtime.sec, before.mtime.nsec) == taken.changed;
        Ok(is_it
            && are_equal(vault, ino, &file, buffer)?
            && Look::of(&file).map_err(unreadable)?.is_as(&before))
    };
    compare().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::numbered;

    /// Guards numbered names: before the extension, within the longest name, between letters.
    #[test]
    fn names_get_numbers() {
        let named = |name: &str, number| String::from_utf8(numbered(name.as_bytes(), number)).unwrap();
        assert_eq!(named("scan.pdf", 1), "scan.pdf");
        assert_eq!(named("scan.pdf", 2), "scan (2).pdf");
        assert_eq!(named("a.tar.gz", 10), "a.tar (10).gz");
        assert_eq!(named("note", 3), "note (3)");
        assert_eq!(named(".profile", 2), ".profile (2)");
        let long = format!("{}.md", "ä".repeat(126));
        assert_eq!(long.len(), 255);
        let short = named(&long, 12);
        assert!(short.len() <= 255 && short.ends_with("ä (12).md"), "{short}");
        // What fills the name is no extension.
        let odd = numbered(&[&b"a."[..], &[b'x'; 253]].concat(), 2);
        assert!(odd.len() == 255 && odd.ends_with(b"x (2)"), "{}", odd.len());
    }
}
