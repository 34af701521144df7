//! Guards the binding of what is sealed to where it stands: nothing that was sealed for one
//! chain, entity, kind, sequence number, key generation or format opens in the place of
//! another. On frozen bytes that another implementation made, and in a vault.

mod format_samples;

use std::path::PathBuf;
use std::sync::Arc;

use coffer_store::chunk::pack::{Packs, ScanItem, pack_name};
use coffer_store::event::{EventKind, EventRef, NodeState, Version};
use coffer_store::ids::ROOT;
use coffer_store::io::Disk;
use coffer_store::io::sim::SimDisk;
use coffer_store::keys::{Aad, KdfParams, Key, Password, Tampered, open};
use coffer_store::record::{Meta, Time};
use coffer_store::testing;
use coffer_store::tree::Kind;
use coffer_store::vault::{Identity, Sealed, Vault};
use format_samples::sealed::{GENERATION, KEY, SEQ, moved, open as open_elsewhere, samples};
use format_samples::*;

fn key() -> Key {
    Key::take(&mut { KEY })
}

/// Every kind's place, for the samples' entity and event.
fn places() -> [(&'static str, Aad); 17] {
    testing::aads(up(0xe0), 0x0102_0304, at(SEQ), GENERATION)
}

fn place_of(name: &str) -> Aad {
    let places = places();
    let found = places.iter().find(|(known, _)| *known == name);
    found.expect("samples have the names of places").1
}

/// Guards what is read: what another implementation sealed after the byte table opens here,
/// in its place, and says what it said.
#[test]
fn what_stands_in_its_place_opens() {
    for (name, _, plain) in samples() {
        let opened = open(&key(), &place_of(name), &frozen(&format!("sealed/{name}")));
        assert_eq!(opened, Ok(plain), "{name}");
    }
    let opened = |name: &str| open(&key(), &place_of(name), &frozen(&format!("sealed/{name}"))).unwrap();
    assert!(Version::decode(&opened("version-event")).is_ok());
    assert!(NodeState::decode(&opened("node-event")).is_ok());
}

/// Guards against every exchange: each hostile record is whole, by its own place, and is
/// refused in this one.
#[test]
fn what_was_sealed_for_another_place_is_refused() {
    for (name, place, plain) in samples() {
        for (what, other) in moved(place) {
            let hostile = frozen(&format!("hostile/{name}/{what}"));
            assert_eq!(
                open_elsewhere(&other, &hostile),
                Some(plain.clone()),
                "{name}, {what}"
            );
            assert_eq!(
                open(&key(), &place_of(name), &hostile),
                Err(Tampered),
                "{name}, {what}"
            );
        }
    }
}

/// Guards the kinds: each record opens as what it is and as nothing else.
#[test]
fn no_kind_passes_for_another() {
    for (name, ..) in samples() {
        let sealed = frozen(&format!("sealed/{name}"));
        for (other, place) in places() {
            let opens = open(&key(), &place, &sealed).is_ok();
            assert_eq!(opens, name == other, "{name} as {other}");
        }
    }
}

fn password() -> Password {
    Password::new(b"password".to_vec())
}

fn unlocked(disk: &SimDisk, identity: Identity) -> Arc<Vault> {
    let sealed = Sealed::open_on(Arc::new(disk.clone()), PathBuf::new(), None).unwrap();
    sealed.unlock(&password(), identity).unwrap()
}

/// A vault with one file, `first` by one chain and `second` by another.
fn twice_written(disk: &SimDisk, first: &[u8], second: &[u8]) -> u64 {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let (vault, _) = Vault::create_on(shared, &password(), KdfParams::FLOOR, false, None).unwrap();
    let time = Time::default();
    let meta = Meta {
        kind: Kind::File,
        perm: 0o600,
        uid: 0,
        gid: 0,
        rdev: 0,
        nlink: 1,
        atime: time,
        mtime: time,
        ctime: time,
        btime: time,
        xattrs: None,
    };
    let ino = vault.make(ROOT, b"file", meta, b"").unwrap();
    let write = |vault: &Vault, bytes: &[u8]| {
        vault.open(ino, true, false, false).unwrap();
        vault.write(ino, Some(0), bytes, false).unwrap();
        vault.release(ino, true);
        vault.close().unwrap();
    };
    write(&vault, first);
    drop(vault);
    write(&unlocked(disk, Identity::NewDevice), second);
    ino
}

/// Where the file's versions lie sealed in the first pack: event, offset, length.
fn sealed_versions(disk: &SimDisk) -> Vec<(EventRef, u64, usize)> {
    let packs = Packs::open(Arc::new(disk.clone()), &[]).unwrap();
    let mut batches = Vec::new();
    packs
        .scan(1, &mut |item| {
            if let ScanItem::Record { kind: 14, place, .. } = item {
                batches.push(place);
            }
        })
        .unwrap();
    let mut found = Vec::new();
    for batch in batches {
        let mut bytes = vec![0; batch.len as usize];
        disk.open(&pack_name(1))
            .unwrap()
            .read_at(batch.offset, &mut bytes)
            .unwrap();
        for (event, at) in testing::events(&bytes).unwrap().1 {
            if matches!(event.head.kind, EventKind::Create | EventKind::Version) {
                let (at, len) = (at.unwrap() as u64, event.head.sealed.len as usize);
                found.push((event.head.at, batch.offset + at, len));
            }
        }
    }
    found
}

/// Guards a file against its own past: two chains count alike, and a body that one of them
/// sealed as its first event is not taken for what the other sealed as its first.
#[test]
fn a_version_of_another_chain_is_not_read() {
    let disk = SimDisk::new();
    let ino = twice_written(&disk, b"what it was", b"what it is.");
    let read = || {
        let mut out = Vec::new();
        let vault = unlocked(&disk, Identity::Same);
        vault.read(ino, 0, 100, &mut out).map(|()| out)
    };
    assert_eq!(read().unwrap(), b"what it is.");
    let [(old, from, len), (new, to, same)] = sealed_versions(&disk)[..] else {
        panic!("two versions were told");
    };
    assert_eq!((old.seq, len), (new.seq, same), "all but the chain is alike");
    assert_ne!(old.chain, new.chain);
    let pack = disk.open(&pack_name(1)).unwrap();
    let mut sealed = vec![0; len];
    pack.read_at(from, &mut sealed).unwrap();
    pack.write_at(to, &sealed).unwrap();
    let refused = read().expect_err("it is another chain's");
    assert_eq!(refused.errno(), libc::EIO, "{refused}");
}
