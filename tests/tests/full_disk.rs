//! Guards that a disk that ran full does not stay so: what is removed comes back as room, also
//! on a small disk, also after the vault was closed, and nobody looks for it again and again.

use std::sync::Arc;

use coffer_store::ids::ROOT;
use coffer_store::io::sim::{SimDisk, SplitMix64};
use coffer_store::vault::Vault;
use coffer_tests::engine::{check, empty, file_meta, open};

/// The disk's size beside an empty vault, in bytes.
const DISK: u64 = 40 << 20;

/// The vault on it, with nobody but the test keeping house.
fn quiet(disk: &SimDisk) -> Arc<Vault> {
    let vault = open(disk);
    vault.stop_keeper();
    vault
}

/// Writes a file of 1 MiB; the errno if there is no room.
fn write(vault: &Vault, name: &str, rng: &mut SplitMix64) -> Result<(), i32> {
    let ino = vault
        .make(ROOT, name.as_bytes(), file_meta(), b"")
        .map_err(|e| e.errno())?;
    vault.open(ino, true, false, false).map_err(|e| e.errno())?;
    let done = vault.write(ino, Some(0), &rng.bytes(1 << 20), false);
    vault.release(ino, true);
    vault.tick().map_err(|e| e.errno())?;
    done.map(drop).map_err(|e| e.errno())
}

/// Writes such files until it is refused for want of room; how many.
fn fill(vault: &Vault, prefix: &str, rng: &mut SplitMix64) -> u32 {
    for n in 0..200 {
        if let Err(errno) = write(vault, &format!("{prefix}{n}"), rng) {
            assert_eq!(errno, libc::ENOSPC);
            return n;
        }
    }
    panic!("there was room for 200 MiB where there are only 40");
}

/// The same for one who tries again after each refusal, until the keeper finds no more room.
fn fill_on(vault: &Vault, prefix: &str, rng: &mut SplitMix64) -> u32 {
    let mut written = 0;
    loop {
        let more = fill(vault, &format!("{prefix}{written}-"), rng);
        written += more;
        if !vault.tend() && more == 0 {
            return written;
        }
    }
}

fn remove(vault: &Vault, prefix: &str, numbers: impl Iterator<Item = u32>) {
    for n in numbers {
        vault
            .remove(ROOT, format!("{prefix}{n}").as_bytes(), false)
            .unwrap();
    }
}

/// The disk stayed full for ever: what was removed was less than 64 MiB, a refusal made nobody look,
/// and all lay in the one pack that is appended to.
#[test]
fn what_is_removed_from_a_small_full_disk_is_room_again() {
    let disk = empty();
    disk.set_free(Some(DISK));
    let vault = quiet(&disk);
    let mut rng = SplitMix64(11);
    let filled = fill(&vault, "a", &mut rng);
    assert!(filled >= 20, "only {filled} MiB of 40 could be written");
    remove(&vault, "a", 0..filled);
    assert!(vault.tend(), "a refusal makes it look for dead chunks");
    let again = fill_on(&vault, "b", &mut rng);
    assert!(again * 4 >= filled * 3, "{again} MiB of {filled} came back");
    let report = check(&vault);
    assert!(report.problems.is_empty(), "{:?}", report.problems);
}

/// How much was dropped was forgotten when the vault was closed.
#[test]
fn what_was_removed_before_it_was_opened_is_room_again() {
    let disk = empty();
    disk.set_free(Some(DISK));
    let vault = quiet(&disk);
    let mut rng = SplitMix64(12);
    let filled = fill(&vault, "a", &mut rng);
    remove(&vault, "a", 0..filled);
    vault.close().unwrap();
    drop(vault);
    let vault = quiet(&disk);
    assert!(!vault.tend(), "nobody wants room yet");
    assert!(
        fill(&vault, "b", &mut rng) * 4 < filled,
        "this test needs a disk that is full"
    );
    assert!(vault.tend());
    let again = fill_on(&vault, "c", &mut rng);
    assert!(again * 2 >= filled, "{again} MiB of {filled} came back");
}

/// A disk that is full of what is alive is not searched at every refusal.
#[test]
fn a_full_disk_is_searched_once() {
    let disk = empty();
    disk.set_free(Some(DISK));
    let vault = quiet(&disk);
    let mut rng = SplitMix64(13);
    fill(&vault, "a", &mut rng);
    vault.tend();
    let mut refused = 0;
    for n in 0..20 {
        // What is under way takes less once it is stored: so one more may fit, now and then.
        match write(&vault, &format!("b{n}"), &mut rng) {
            Ok(()) => {}
            Err(errno) => {
                assert_eq!(errno, libc::ENOSPC);
                refused += 1;
            }
        }
        assert!(!vault.tend(), "nothing was removed since");
    }
    assert!(
        refused >= 10,
        "the disk is full, and {refused} writes of 20 are refused"
    );
}

/// Half of the disk is alive, and the room for copying it is not there: it goes pack by pack, and
/// what is alive stays readable at every moment.
#[test]
fn room_comes_back_between_what_is_alive() {
    let disk = empty();
    disk.set_free(Some(DISK));
    let vault = quiet(&disk);
    let mut rng = SplitMix64(14);
    let filled = fill(&vault, "a", &mut rng);
    remove(&vault, "a", (0..filled).filter(|n| n % 3 > 0));
    assert!(vault.tend());
    let again = fill_on(&vault, "b", &mut rng);
    assert!(again * 2 >= filled, "{again} MiB of {filled} came back");
    let report = check(&vault);
    assert!(report.problems.is_empty(), "{:?}", report.problems);
}

/// `df` showed room that no write was given.
#[test]
fn what_is_shown_as_available_can_be_written() {
    let disk = empty();
    disk.set_free(Some(DISK));
    let vault = quiet(&disk);
    let mut rng = SplitMix64(15);
    let shown = vault.space().unwrap().0.available;
    let filled = u64::from(fill(&vault, "a", &mut rng)) << 20;
    assert!(
        filled + (3 << 20) >= shown,
        "{filled} bytes of {shown} that were shown"
    );
    let left = vault.space().unwrap().0.available;
    assert!(left < 2 << 20, "{left} bytes are shown on a full disk");
}
