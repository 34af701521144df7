//! Real vaults that never meet, and a folder that goes from one to the other: they come to have one content, whatever becomes of the folder.

mod carrier_bed;

use std::cell::Cell;
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::rc::Rc;

use carrier_bed::{Device, Pulled, copy_dir, files, noise, settle};
use coffer_store::ids::ChainId;
use coffer_store::ids::ROOT;
use coffer_store::vault::{Identity, Keeping};
use coffer_sync::carrier::{CarrierError, Entry, Index, Options, Place, Seen, Shelf, exchange, testing};
use coffer_sync::core::Policy;
use tempfile::TempDir;

/// Guards the whole way, both ways: notes, a merge, a file of many chunks that is there after one way, and a folder that is as good as
/// empty when all have all.
#[test]
fn a_stick_goes_to_and_fro() {
    let desk = Device::founded();
    let laptop = desk.with("laptop");
    let stick = TempDir::new().unwrap();
    desk.save("Garden.md", b"one\n\ntwo\n\nthree\n");
    let photo = noise(1, 20 << 20);
    desk.save("photo.jpg", &photo);
    let gave = desk.via(stick.path());
    assert!(gave.gave.events > 0 && gave.gave.chunks > 20, "{gave:?}");
    assert!(!gave.devices[0].seen && gave.devices[0].files > 0);
    let took = laptop.via(stick.path());
    assert_eq!(
        (took.took.events, took.took.chunks),
        (gave.gave.events, gave.gave.chunks)
    );
    assert_eq!((took.lacks, took.lacking), (0, 0), "one way was enough");
    assert!(laptop.read("photo.jpg").is_some_and(|bytes| bytes == photo));
    desk.save("Garden.md", b"one here\n\ntwo\n\nthree\n");
    laptop.save("Garden.md", b"one\n\ntwo\n\nthree there\n");
    settle(&[&laptop, &desk], stick.path());
    for device in [&desk, &laptop] {
        assert_eq!(device.text("Garden.md"), "one here\n\ntwo\n\nthree there\n");
        device.is_sound();
    }
    let left: u64 = files(stick.path())
        .iter()
        .map(|file| fs::metadata(file).unwrap().len())
        .sum();
    assert!(
        left < 100 << 10,
        "{left} bytes stay, in {:?}",
        files(stick.path())
    );
    let quiet = desk.via(stick.path());
    assert_eq!((quiet.took, quiet.gave), Default::default());
    assert_eq!((quiet.devices[0].seen, quiet.devices[0].files), (true, 0));
}

/// Guards forwarding: what came by one folder goes on by another, and a third device has it from one that it never met.
#[test]
fn what_came_goes_on() {
    let desk = Device::founded();
    let laptop = desk.with("laptop");
    let phone = desk.with("phone");
    let (one, two) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let photo = noise(2, 900_000);
    desk.save("photo.jpg", &photo);
    desk.via(one.path());
    laptop.via(one.path());
    laptop.save("Note.md", b"by the laptop\n");
    laptop.via(two.path());
    phone.via(two.path());
    assert_eq!(phone.read("photo.jpg").unwrap(), photo);
    assert_eq!(phone.text("Note.md"), "by the laptop\n");
    // In one folder nothing is put twice, although two could.
    let before: u64 = size(one.path());
    laptop.via(one.path());
    assert!(
        size(one.path()) < before + (200 << 10),
        "{before}, {}",
        size(one.path())
    );
}

fn size(dir: &Path) -> u64 {
    files(dir)
        .iter()
        .map(|file| fs::metadata(file).unwrap().len())
        .sum()
}

/// Guards a removal: a removed device finds nothing new that it could read, one that has not heard of it does and hears of it there, and
/// what the removed one leaves is not looked at.
#[test]
fn a_removed_device_reads_nothing_new() {
    let desk = Device::founded();
    let laptop = desk.with("laptop");
    let thief = desk.with("thief");
    let stick = TempDir::new().unwrap();
    desk.save("Note.md", b"for all\n");
    settle(&[&desk, &laptop, &thief], stick.path());
    assert_eq!(thief.text("Note.md"), "for all\n");
    desk.vault.remove_device(thief.id()).unwrap();
    desk.save("Note.md", b"not for the thief\n");
    desk.save("New.md", b"nor this\n");
    desk.via(stick.path());
    let before = (thief.clock(), thief.vault.statement_heads());
    let nothing = thief.via(stick.path());
    assert_eq!(nothing.took, Default::default());
    assert_eq!((thief.clock(), thief.vault.statement_heads()), before);
    assert_eq!(thief.text("Note.md"), "for all\n");
    thief.save("Mine.md", b"by the thief\n");
    thief.via(stick.path());
    // The laptop has the old keys alone when it comes.
    let took = laptop.via(stick.path());
    assert!(took.took.statements > 0, "{took:?}");
    assert_eq!(laptop.text("Note.md"), "not for the thief\n");
    assert_eq!(laptop.text("New.md"), "nor this\n");
    assert_eq!(laptop.read("Mine.md"), None);
    laptop.save("Back.md", b"sealed anew\n");
    laptop.via(stick.path());
    let said = desk.via(stick.path());
    assert_eq!(desk.text("Back.md"), "sealed anew\n");
    assert_eq!(desk.read("Mine.md"), None);
    assert!(
        said.notes.iter().any(|note| note.contains("no member")),
        "{:?}",
        said.notes
    );
    assert_eq!(thief.via(stick.path()).took, Default::default());
}

/// Guards a device that joined elsewhere: others that have not heard of it read what it says of itself, and go on.
#[test]
fn who_joined_elsewhere_is_heard_of() {
    let desk = Device::founded();
    let laptop = desk.with("laptop");
    let stick = TempDir::new().unwrap();
    desk.save("Note.md", b"one\n");
    settle(&[&desk, &laptop], stick.path());
    let phone = laptop.with("phone");
    // What the desk left before it heard of the phone, the phone reads by the epoch's key.
    let other = TempDir::new().unwrap();
    desk.save("Later.md", b"two\n");
    desk.via(other.path());
    phone.via(other.path());
    assert_eq!(phone.text("Later.md"), "two\n");
    phone.save("Mine.md", b"three\n");
    phone.via(stick.path());
    let took = desk.via(stick.path());
    assert!(took.took.statements > 0);
    assert_eq!(desk.text("Mine.md"), "three\n");
    settle(&[&desk, &laptop, &phone], stick.path());
}

/// Guards the pull in the midst of any write: whatever is there then, no index names what is not, and the next exchanges bring all.
#[test]
fn a_stick_that_is_pulled_loses_nothing() {
    let desk = Device::founded();
    let laptop = desk.with("laptop");
    desk.save("Note.md", b"one\n");
    desk.save("blob", &noise(3, 700_000));
    for errno in [libc_eio(), 28] {
        let mut calls = 0;
        loop {
            let stick = TempDir::new().unwrap();
            let shelf = Shelf::of(stick.path(), carrier_bed::carries(&desk), Place::Make).unwrap();
            let pulled = Pulled {
                folder: &shelf,
                calls: Rc::new(Cell::new(calls)),
                errno,
            };
            let cut = desk.at(&pulled, None);
            let was_cut = pulled.calls.get() == 0;
            // What is there is whole: nothing of it is met as broken.
            let after = laptop.with_nothing().via(stick.path());
            assert!(after.notes.is_empty(), "after {calls}: {:?}", after.notes);
            match cut {
                Ok(done) if !was_cut => {
                    assert!(!done.full);
                    break;
                }
                Ok(done) => assert!(done.full || pulled.calls.get() == 0, "after {calls}: {done:?}"),
                Err(CarrierError::Io { .. }) => {}
                Err(error) => panic!("{error}"),
            }
            let healed = desk.via(stick.path());
            assert!(
                healed.notes.is_empty() && !healed.full,
                "after {calls}: {:?}",
                healed.notes
            );
            let there = laptop.with_nothing();
            there.via(stick.path());
            assert_eq!(there.text("Note.md"), "one\n", "after {calls}");
            assert_eq!(there.read("blob").unwrap(), noise(3, 700_000), "after {calls}");
            calls += 1 + calls / 4;
        }
        assert!(calls > 20, "{calls}");
    }
}

fn libc_eio() -> i32 {
    5
}

/// Guards a full disk: what was complete counts, it is said, and with room again the rest follows.
#[test]
fn a_share_that_is_full_says_so() {
    let desk = Device::founded();
    let laptop = desk.with("laptop");
    let stick = TempDir::new().unwrap();
    desk.save("Note.md", b"one\n");
    let blob = noise(4, 5 << 20);
    desk.save("blob", &blob);
    let limit = 2 << 20;
    let gave = desk.via_with(stick.path(), Some(limit)).unwrap();
    assert!(
        gave.full && gave.left_out > 2 << 20 && gave.own_bytes <= limit,
        "{gave:?}"
    );
    let took = laptop.via(stick.path());
    assert_eq!(laptop.text("Note.md"), "one\n");
    assert!(took.took.chunks > 0 && took.lacking > 0);
    for _ in 0..6 {
        desk.via_with(stick.path(), Some(limit)).unwrap();
        assert!(size(stick.path()) < limit + (200 << 10));
        laptop.via(stick.path());
    }
    assert_eq!(laptop.read("blob").unwrap(), blob);
}

/// Guards a device that keeps names and texts alone: it has manifests and texts by a folder, asks there for what is pinned, and who else comes
/// is not kept from anything.
#[test]
fn who_keeps_texts_alone_gets_what_it_keeps() {
    let desk = Device::founded();
    let phone = desk.with("phone");
    phone.vault.set_keeping(Keeping::Texts, 0).unwrap();
    let stick = TempDir::new().unwrap();
    let text: String = (0..30_000)
        .map(|n| format!("line {n} of a long text\n"))
        .collect();
    let blob = noise(7, 3 << 20);
    desk.save("long.md", text.as_bytes());
    desk.save("blob.bin", &blob);
    for _ in 0..4 {
        phone.via(stick.path());
        desk.via(stick.path());
    }
    let took = phone.via(stick.path());
    assert_eq!((took.lacks, took.lacking), (0, 0), "{took:?}");
    assert_eq!(phone.text("long.md"), text);
    assert!(size(stick.path()) < 2 << 20, "what nobody keeps is not carried");
    // Pinned, it is asked for, and comes.
    let ino = phone.vault.lookup(ROOT, b"blob.bin").unwrap();
    phone.vault.pin(&[ino], true).unwrap();
    phone.vault.refresh_pins().unwrap();
    assert!(phone.via(stick.path()).lacking > 2 << 20);
    desk.via(stick.path());
    assert_eq!(phone.via(stick.path()).lacking, 0);
    assert_eq!(phone.read("blob.bin").unwrap(), blob);
}

/// Guards a network that costs by the byte: a folder costs nothing, so what it carries is taken, and nothing goes from it before.
#[test]
fn a_metered_network_keeps_nothing_from_a_folder() {
    let desk = Device::founded();
    let laptop = desk.with("laptop");
    let stick = TempDir::new().unwrap();
    let blob = noise(8, 2 << 20);
    desk.save("blob.bin", &blob);
    desk.via(stick.path());
    laptop.replica.set_metered(true);
    assert_eq!(laptop.via(stick.path()).lacking, 0);
    assert_eq!(laptop.read("blob.bin").unwrap(), blob);
}

/// Guards what is done with: pieces whose names are not known here yet, since what names them was lost on the way, are not.
#[test]
fn pieces_that_come_before_their_names_stay() {
    let desk = Device::founded();
    let laptop = desk.with("laptop");
    let stick = TempDir::new().unwrap();
    let blob = noise(9, 2 << 20);
    desk.save("Note.md", b"one\n");
    settle(&[&desk, &laptop], stick.path());
    desk.save("blob.bin", &blob);
    // First what tells of the file, for which alone there is room, then its pieces.
    let before = files(stick.path());
    let told = desk.via_with(stick.path(), Some(100 << 10)).unwrap();
    assert!(told.full && told.gave.events > 0, "{told:?}");
    let tells = files(stick.path());
    assert!(desk.via(stick.path()).gave.chunks > 1);
    let still: Vec<_> = files(stick.path())
        .into_iter()
        .filter(|file| tells.contains(file) && !before.contains(file))
        .collect();
    assert_eq!(still.len(), 1);
    fs::remove_file(&still[0]).unwrap();
    assert_eq!(laptop.via(stick.path()).took.events, 0);
    let again = desk.via(stick.path());
    assert!(again.gave.events > 0 && again.gave.bytes < 1 << 20, "{again:?}");
    laptop.via(stick.path());
    assert_eq!(laptop.read("blob.bin").unwrap(), blob);
}

/// Guards a shared folder whose files are its group's: what is made in it is, too.
#[test]
fn the_bits_of_a_shared_folder_are_kept() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let desk = Device::founded();
    let shared = TempDir::new().unwrap();
    fs::set_permissions(shared.path(), fs::Permissions::from_mode(0o3770)).unwrap();
    desk.via(shared.path());
    let folder = fs::read_dir(shared.path()).unwrap().next().unwrap().unwrap();
    assert_eq!(folder.metadata().unwrap().mode() & 0o7777, 0o3770);
}

/// Guards a member that never comes: what stays for it alone gives way where there is no room, and who comes gets all.
#[test]
fn who_never_comes_does_not_fill_a_folder_for_ever() {
    let desk = Device::founded();
    let laptop = desk.with("laptop");
    let _never = desk.with("never");
    let stick = TempDir::new().unwrap();
    let blob = noise(10, 5 << 20);
    desk.save("blob", &blob);
    let limit = 2 << 20;
    for _ in 0..8 {
        let gave = desk.via_with(stick.path(), Some(limit)).unwrap();
        assert!(gave.own_bytes <= limit, "{gave:?}");
        laptop.via_with(stick.path(), Some(limit)).unwrap();
    }
    assert_eq!(laptop.read("blob").unwrap(), blob);
}

/// Guards a member whose index is gone for now: it still has what it said it had, and not all is put there anew.
#[test]
fn who_was_seen_still_has_what_it_had() {
    let desk = Device::founded();
    let laptop = desk.with("laptop");
    let stick = TempDir::new().unwrap();
    desk.save("blob", &noise(11, 2 << 20));
    desk.via(stick.path());
    let before = files(stick.path());
    laptop.via(stick.path());
    settle(&[&desk, &laptop], stick.path());
    let by_laptop: Vec<_> = files(stick.path())
        .into_iter()
        .filter(|file| !before.contains(file))
        .collect();
    let own = not_by(&desk, stick.path(), &by_laptop);
    assert!(!own.is_empty());
    for file in own {
        fs::write(file, b"not copied whole yet").unwrap();
    }
    let quiet = desk.via(stick.path());
    assert_eq!(quiet.gave, Default::default(), "{quiet:?}");
    assert!(quiet.devices[0].seen);
    desk.save("Note.md", b"new\n");
    desk.via(stick.path());
    laptop.via(stick.path());
    assert_eq!(laptop.text("Note.md"), "new\n");
}

/// Those of these files that are not this device's index: that it replaces.
fn not_by(desk: &Device, dir: &Path, all: &[std::path::PathBuf]) -> Vec<std::path::PathBuf> {
    let aside = TempDir::new().unwrap();
    copy_dir(dir, aside.path());
    // What it writes now, it replaces of its own.
    desk.save("Aside.md", b"aside\n");
    desk.via(aside.path());
    let there = |file: &Path| aside.path().join(file.strip_prefix(dir).unwrap()).exists();
    let others = all.iter().filter(|file| there(file)).cloned().collect();
    desk.via(dir);
    others
}

/// Guards a device whose own disk is full: it gives what it has, is done with nothing, and says why; with room again it takes all.
#[test]
fn who_cannot_take_gives_all_the_same() {
    let desk = Device::founded();
    let laptop = desk.with("laptop");
    let stick = TempDir::new().unwrap();
    let blob = noise(12, 2 << 20);
    desk.save("blob", &blob);
    desk.via(stick.path());
    laptop.save("Mine.md", b"by the laptop\n");
    let shelf = Shelf::of(stick.path(), carrier_bed::carries(&laptop), Place::Find).unwrap();
    let full = carrier_bed::NoRoom(laptop.replica.clone());
    let done = exchange(&full, &shelf, Options::default(), &mut Seen::default()).unwrap();
    assert!(done.untaken.is_some_and(|why| why.contains("no room")));
    assert!(done.gave.events > 0);
    // Nothing of what it needs went.
    let again = desk.via(stick.path());
    assert_eq!(desk.text("Mine.md"), "by the laptop\n");
    assert_eq!(again.gave.chunks, 0, "{again:?}");
    assert_eq!(laptop.via(stick.path()).lacking, 0);
    assert_eq!(laptop.read("blob").unwrap(), blob);
}

/// Guards a folder that can only be read: it gives, and it is said that nothing could be put there.
#[test]
fn who_may_only_read_takes() {
    let desk = Device::founded();
    let laptop = desk.with("laptop");
    let stick = TempDir::new().unwrap();
    desk.save("Note.md", b"one\n");
    desk.via(stick.path());
    laptop.save("Other.md", b"two\n");
    let shelf = Shelf::of(stick.path(), carrier_bed::carries(&laptop), Place::Find).unwrap();
    let read_only = Pulled {
        folder: &shelf,
        calls: Rc::new(Cell::new(0)),
        errno: 30,
    };
    let before = files(stick.path());
    let done = laptop.at(&read_only, None).unwrap();
    assert!(
        done.read_only && !done.full && done.took.events > 0 && done.left_out == 0,
        "{done:?}"
    );
    assert_eq!(laptop.text("Note.md"), "one\n");
    assert_eq!(files(stick.path()), before);
}

/// Guards a device that was put back as it was on an older day: what it had told comes back from the folder, on which it goes on by a new chain.
#[test]
fn a_device_of_an_older_day_gets_back_what_it_told() {
    let desk = Device::founded();
    let laptop = desk.with("laptop");
    let stick = TempDir::new().unwrap();
    desk.save("Note.md", b"one\n");
    settle(&[&desk, &laptop], stick.path());
    let copy = laptop.copy();
    laptop.save("Lost.md", b"told and lost\n");
    settle(&[&desk, &laptop], stick.path());
    desk.save("Kept.md", b"kept\n");
    let old_chain = laptop.vault.own_chain();
    let laptop = laptop.put_back(copy, Identity::Same);
    assert_eq!(laptop.read("Lost.md"), None);
    settle(&[&laptop, &desk], stick.path());
    assert_eq!(laptop.text("Lost.md"), "told and lost\n");
    assert_eq!(laptop.text("Kept.md"), "kept\n");
    assert_ne!(laptop.vault.own_chain(), old_chain);
    laptop.save("After.md", b"after\n");
    settle(&[&laptop, &desk], stick.path());
    assert_eq!(desk.text("After.md"), "after\n");
    desk.is_sound();
    laptop.is_sound();
}

/// Guards two vaults in one folder: neither takes the other's files for its own, nor removes one.
#[test]
fn two_vaults_share_a_folder() {
    let (one, two) = (Device::founded(), Device::founded());
    let (one_b, two_b) = (one.with("b"), two.with("b"));
    let stick = TempDir::new().unwrap();
    one.save("Note.md", b"of one\n");
    two.save("Note.md", b"of two\n");
    for device in [&one, &two, &one_b, &two_b, &one, &two] {
        device.via(stick.path());
    }
    assert_eq!(
        (one_b.text("Note.md"), two_b.text("Note.md")),
        ("of one\n".into(), "of two\n".into())
    );
    assert_eq!(fs::read_dir(stick.path()).unwrap().count(), 2);
    // Even within one folder, as somebody may have mixed them up.
    let mixed = TempDir::new().unwrap();
    let folders: Vec<_> = fs::read_dir(stick.path()).unwrap().flatten().collect();
    for (n, folder) in folders.iter().enumerate() {
        copy_dir(&folder.path(), &mixed.path().join(folder.file_name()));
        copy_dir(&folders[1 - n].path(), &mixed.path().join(folder.file_name()));
    }
    let others = |device: &Device| {
        let before = files(mixed.path());
        let done = device.via(mixed.path());
        let after = files(mixed.path());
        (done.took, before.len(), after.len())
    };
    for device in [&one, &two] {
        let (took, before, after) = others(device);
        assert_eq!(took, Default::default());
        assert!(after + 3 >= before, "only its own went: {before}, {after}");
    }
}

/// Guards many small exchanges while somebody stays away: files do not pile up without end.
#[test]
fn small_files_are_put_together() {
    let desk = Device::founded();
    let laptop = desk.with("laptop");
    let stick = TempDir::new().unwrap();
    for n in 0..80 {
        desk.save("Note.md", format!("line {n}\n").as_bytes());
        desk.via(stick.path());
        assert!(files(stick.path()).len() < 40);
    }
    laptop.via(stick.path());
    assert_eq!(laptop.text("Note.md"), "line 79\n");
}

/// Guards against a member that lies: what it says lies there and does not keeps nothing from anybody for longer than until somebody has
/// looked, and whatever it claims to have or to lack costs itself alone.
#[test]
fn a_member_that_lies_keeps_nothing_back() {
    let desk = Device::founded();
    let laptop = desk.with("laptop");
    let liar = desk.with("liar");
    // Of how many pieces it is, the vault's key says: of at least three.
    let blob = noise(6, 3 << 20);
    desk.save("Note.md", b"one\n");
    desk.save("blob", &blob);
    // Which pieces there are, it knows: it has them.
    let mut chunks = Vec::new();
    let aside = TempDir::new().unwrap();
    desk.via(aside.path());
    liar.via(aside.path());
    let clock = liar.clock();
    let (chain, last) = clock
        .iter()
        .next_back()
        .map(|(chain, last)| (ChainId(*chain), *last))
        .unwrap();
    let own = desk.vault.own_chain();
    let told = desk.vault.told_after(0).unwrap();
    let after = HashMap::from([(own, 0)]);
    let files = told.iter().flat_map(|carried| carried.entities()).collect();
    desk.vault
        .chunks_told(&files, &after, &mut |id, _| {
            chunks.push(id.0);
            true
        })
        .unwrap();
    assert!(chunks.len() > 2 && last > 0);
    let batch = |first, last| Entry::Batch {
        chain: own,
        first,
        last,
        lamport: 1,
    };
    let all = desk.clock()[&own.0];
    let lies: [Vec<(Entry, Vec<u8>)>; 4] = [
        vec![(batch(1, 1 << 31), noise(1, 200))],
        told.iter()
            .map(|carried| {
                (
                    batch(carried.row.first, carried.row.last().unwrap()),
                    noise(2, 300),
                )
            })
            .collect(),
        chunks
            .iter()
            .map(|id| (Entry::Chunk(*id), noise(3, 500)))
            .collect(),
        vec![(Entry::Statement([9; 32]), noise(4, 100))],
    ];
    for (n, lie) in lies.into_iter().enumerate() {
        let stick = TempDir::new().unwrap();
        let shelf = Shelf::of(stick.path(), carrier_bed::carries(&liar), Place::Make).unwrap();
        let bundle = testing::bundle(carrier_bed::carries(&liar), &shelf, &lie).unwrap();
        let mut claimed = vec![(own, u64::MAX), (chain, u64::MAX)];
        claimed.sort_by_key(|(chain, _)| chain.0);
        claimed.dedup();
        let index = Index {
            author: liar.id(),
            serial: u64::MAX - 1,
            policy: Policy::Everything,
            whole: true,
            heads: vec![[7; 32]],
            clock: claimed,
            lacks: (0..500u16).map(|n| [n as u8; 32]).collect(),
            lacking: u64::MAX,
            bundles: vec![bundle],
            done: Default::default(),
            broken: Default::default(),
        };
        testing::index(carrier_bed::carries(&liar), &shelf, &index).unwrap();
        let there = laptop.with_nothing();
        for _ in 0..3 {
            desk.via(stick.path());
            there.via(stick.path());
        }
        assert_eq!(there.text("Note.md"), "one\n", "lie {n}");
        assert!(there.read("blob").is_some_and(|bytes| bytes == blob), "lie {n}");
        assert!(there.clock()[&own.0] >= all);
        there.is_sound();
    }
    desk.is_sound();
}
