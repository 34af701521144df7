//! Moments of a commit that only its own threads can meet.

use std::sync::Arc;

use super::work::Item;
use super::*;
use crate::event::Form;
use crate::ids::ROOT;
use crate::io::sim::SimDisk;
use crate::vault::tests::{file_meta, password, vault};
use crate::vault::texts::Telling;
use crate::vault::{Identity, Sealed};

fn save(vault: &Vault, ino: Ino, text: &[u8]) {
    vault.open(ino, true, true, false).unwrap();
    vault.write(ino, Some(0), text, false).unwrap();
}

/// A small file whose bytes were to go with its event was cut for a new save before the
/// commit's instant. It was left out, but its row was written with the size of the bytes that
/// now went nowhere: a crash left the version before, cut or filled with zeros.
#[test]
fn a_save_that_begins_while_the_last_is_committed_tears_nothing() {
    let disk = SimDisk::new();
    let vault = vault(&disk);
    let texts = [&b"the first"[..], b"the second, which is longer"];
    let ino = vault.make(ROOT, b"note", file_meta(), b"").unwrap();
    save(&vault, ino, texts[0]);
    vault.release(ino, true);
    vault.commit().unwrap();
    save(&vault, ino, texts[1]);
    vault.release(ino, true);
    let names = vault.tree.read();
    std::thread::scope(|scope| {
        let commit = scope.spawn(|| vault.tick());
        // It has prepared the file once it wants the tree for itself.
        while vault.tree.try_read().is_some() {
            std::thread::yield_now();
        }
        save(&vault, ino, b"the th");
        drop(names);
        commit.join().unwrap().unwrap();
    });
    let found = Arc::new(disk.crash_all_lost());
    let sealed = Sealed::open_on(found, "sim".into(), None).unwrap();
    let after = sealed.unlock(&password(), Identity::Same).unwrap();
    let mut text = Vec::new();
    after.read(ino, 0, 100, &mut text).unwrap();
    assert!(
        texts.contains(&text.as_slice()),
        "{:?}",
        text.escape_ascii().to_string()
    );
}

/// A note was saved once more between its preparation and the commit's instant: that save was taken
/// for told, told to nobody, and written over by the next merge.
#[test]
fn what_is_saved_after_it_was_prepared_is_still_to_be_told() {
    let vault = vault(&SimDisk::new());
    let ino = vault.make(ROOT, b"note.md", file_meta(), b"").unwrap();
    for again in [false, true] {
        save(&vault, ino, b"prepared");
        let inode = vault.get(ino).unwrap();
        let plan = inode
            .state
            .write()
            .content
            .as_mut()
            .map(|content| content.plan_body());
        if again {
            vault.write(ino, Some(0), b"saved since", false).unwrap();
        }
        let mut item = Item {
            inode: inode.clone(),
            plan,
            logged: None,
            body: None,
            publish: true,
            telling: Telling::Whole,
            form: Form::Text,
            logged_name: Vec::new(),
            seen: None,
            left: false,
        };
        item.see(&vault.texts);
        assert_eq!(inode.state.read().fresh, again);
        vault.release(ino, true);
    }
}
