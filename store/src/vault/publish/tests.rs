//! What events say of what happened in one commit.

use crate::event::{EventKind, Walk};
use crate::ids::ROOT;
use crate::io::sim::SimDisk;
use crate::vault::tests::{file_meta, vault};

/// The removal of one of two names of a file named the version before the save that was told in the same
/// commit: to all others that save was an edit that whoever removed the name had not seen.
#[test]
fn a_removal_has_seen_what_was_saved_before_it() {
    let vault = vault(&SimDisk::new());
    let ino = vault.make(ROOT, b"a.md", file_meta(), b"").unwrap();
    let save = |text: &[u8]| {
        vault.open(ino, true, true, false).unwrap();
        vault.write(ino, Some(0), text, false).unwrap();
        vault.release(ino, true);
    };
    save(b"one\n");
    vault.link(ino, ROOT, b"b.md").unwrap();
    vault.commit().unwrap();
    save(b"one two\n");
    vault.remove(ROOT, b"b.md", false).unwrap();
    // A save that comes after it.
    save(b"one two three\n");
    vault.commit().unwrap();
    let (mut newest, mut gone) = (None, None);
    for carried in vault.told_after(0).unwrap() {
        for found in Walk::new(&carried.bytes).unwrap() {
            let head = found.unwrap().event.head;
            match head.kind {
                EventKind::Version if gone.is_none() => newest = Some(head.at),
                EventKind::NodeGone => gone = Some(head),
                _ => {}
            }
        }
    }
    let (newest, gone) = (newest.expect("a version"), gone.expect("a removal"));
    assert!(newest.seq < gone.at.seq && gone.replaces.contains(&newest));
    let events = vault.shows(ino).unwrap();
    assert_eq!(events, [newest], "all of it was told");
}
