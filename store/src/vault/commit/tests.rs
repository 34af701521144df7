//! Moments of a commit that only its own threads can meet.

use std::sync::Arc;

use super::*;
use crate::ids::ROOT;
use crate::io::sim::SimDisk;
use crate::vault::tests::{file_meta, password, vault};
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
