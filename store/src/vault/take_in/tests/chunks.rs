//! Files of other devices whose chunks are not here, or not yet, beside a collection.

use super::super::notes::{About, Fate, Note};
use super::*;
use crate::core::StoreError;
use crate::record::{BaseRef, ManifestRef};

/// A body that lies in chunks, and its manifest.
fn stored(bed: &Bed, name: &str) -> (u64, ManifestRef) {
    let ino = bed.vault.make(ROOT, name.as_bytes(), file_meta(), b"").unwrap();
    bed.vault.open(ino, true, false, false).unwrap();
    // Not to be compressed, nor alike.
    let bytes: Vec<u8> = (0..60_000u32)
        .flat_map(|n| crate::event::hash(&n.to_be_bytes())[..8].to_vec())
        .collect();
    bed.vault.write(ino, Some(0), &bytes, false).unwrap();
    bed.vault.release(ino, true);
    bed.vault.commit().unwrap();
    let inode = bed.vault.get(ino).unwrap();
    let state = inode.state.read();
    match state.content.as_ref().unwrap().durable().base {
        BaseRef::Manifest(root) => (bytes.len() as u64, root),
        _ => panic!("it is in chunks"),
    }
}

fn of(size: u64, root: ManifestRef) -> Vec<u8> {
    let blob = Version {
        form: Form::Blob,
        ..version(Body::Manifest(root), size)
    };
    blob.encode()
}

fn remove(bed: &Bed, name: &str) {
    bed.vault.remove(ROOT, name.as_bytes(), false).unwrap();
    let gone: Vec<_> = bed.vault.removed().unwrap().iter().map(|one| one.node).collect();
    bed.vault.purge_removed(&gone).unwrap();
}

fn chunks(bed: &Bed) -> u64 {
    bed.vault.status().unwrap().chunks
}

/// One version of another device, whose chunks are elsewhere, kept every collection from going through.
#[test]
fn a_collection_goes_on_beside_chunks_that_are_elsewhere() {
    let mut bed = Bed::new();
    let first = bed.at();
    let (size, root) = stored(&bed, "data.bin");
    // Nobody has the root; one that says what is not so; one that takes bytes for a node.
    let lost = ManifestRef {
        id: crate::keys::ChunkId([7; 32]),
        ..root
    };
    let lies = ManifestRef {
        depth: root.depth + 1,
        ..root
    };
    let (says, at) = ([of(size, lost), of(size, lies)], bed.next(1));
    let [one, two] = says;
    bed.take(&[(vec![first], 5, one), (vec![at], 6, two)]).unwrap();
    let before = chunks(&bed);
    remove(&bed, "data.bin");
    let freed = bed.vault.collect().unwrap();
    // The second one names the root, and it is here: that stays.
    assert_eq!((freed.chunks, chunks(&bed)), (before - 1, 1));
    assert_eq!(bed.text(), NOTE);
    write(&bed.vault, "note.md", "still here\n");
    bed.vault.commit().unwrap();
    assert_eq!(bed.text(), "still here\n");
}

/// What a version that waits names was freed.
#[test]
fn what_a_waiting_version_names_is_not_freed() {
    let mut bed = Bed::new();
    let first = bed.at();
    let (size, root) = stored(&bed, "data.bin");
    // Where its key cannot be read, it waits.
    let ino = bed.vault.lookup(ROOT, b"note.md").unwrap();
    let waits = bed.next(1);
    bed.take(&[(vec![first], 5, of(size, root))]).unwrap();
    // As if it had waited since it came.
    let mut batch = crate::db::Batch::new();
    let number = bed.vault.core.batch_of(waits).unwrap().unwrap();
    bed.vault
        .core
        .db
        .scan(Table::Versions, &bed.entity.0, &mut |key, _| {
            if key[23] == 2 {
                batch.delete(Table::Versions, key);
            }
            true
        })
        .unwrap();
    let note = Note {
        about: About {
            at: waits,
            subject: bed.entity.0,
            of_names: false,
        },
        fate: Fate::Waits,
        batch: Some(number),
        level: 1,
    };
    note.put(&mut batch);
    // The file goes on showing what it did.
    bed.vault.core.db.apply(&batch).unwrap();
    write(&bed.vault, "note.md", "as before\n");
    bed.vault.commit().unwrap();
    assert!(bed.vault.lookup(ROOT, b"note.md").is_ok_and(|now| now == ino));
    let before = chunks(&bed);
    remove(&bed, "data.bin");
    let freed: Result<_, StoreError> = bed.vault.collect();
    assert_eq!((freed.unwrap().chunks, chunks(&bed)), (0, before));
}
