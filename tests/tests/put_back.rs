//! Guards an older database that is put back alone: whoever says so loses nothing of the newer
//! state, which lies aside until its own database is back.

use std::path::PathBuf;
use std::sync::Arc;

use coffer_store::ids::ROOT;
use coffer_store::io::Disk;
use coffer_store::io::sim::{SimDisk, SplitMix64};
use coffer_store::vault::{Identity, Keyed, Sealed, Vault};
use coffer_tests::engine::{check, create, file_meta, forget_removed, open, password};

const DATABASE: &str = "vault.redb";

fn write(vault: &Vault, name: &str, bytes: &[u8]) {
    let ino = vault.make(ROOT, name.as_bytes(), file_meta(), b"").unwrap();
    vault.open(ino, true, false, false).unwrap();
    vault.write(ino, Some(0), bytes, false).unwrap();
    vault.release(ino, true);
}

fn read(vault: &Vault, name: &str) -> Option<Vec<u8>> {
    let ino = vault.lookup(ROOT, name.as_bytes()).ok()?;
    let mut out = Vec::new();
    vault.read(ino, 0, usize::MAX >> 1, &mut out).unwrap();
    Some(out)
}

fn bytes(disk: &SimDisk, name: &str) -> Vec<u8> {
    let file = disk.open(name).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    bytes
}

fn put(disk: &SimDisk, name: &str, bytes: &[u8]) {
    disk.remove(name).unwrap();
    let file = disk.create(name).unwrap();
    file.write_at(0, bytes).unwrap();
    file.sync_data().unwrap();
    disk.sync_dir().unwrap();
}

fn key(disk: &SimDisk) -> Keyed {
    let sealed = Sealed::open_on(Arc::new(disk.clone()), PathBuf::from("sim"), None).unwrap();
    sealed.key(&password()).unwrap()
}

/// Several packs, and all that is pending told.
fn small_packs(vault: &Vault) {
    vault.stop_keeper();
    vault.limit_packs(1 << 20);
}

fn close(vault: Arc<Vault>) {
    vault.close().unwrap();
}

fn sound(vault: &Vault) {
    let report = check(vault);
    assert!(report.problems.is_empty(), "{:?}", report.problems);
}

struct Story {
    disk: SimDisk,
    older: Vec<u8>,
    newer: Vec<u8>,
    contents: [Vec<u8>; 3],
}

/// A vault of one day and of the next, in which a pack has grown and others have come, and of which
/// the older database was put back.
fn story() -> Story {
    let disk = SimDisk::new();
    let mut rng = SplitMix64(5);
    let contents = [rng.bytes(300_000), rng.bytes(500_000), rng.bytes(5 << 20)];
    let vault = create(&disk);
    small_packs(&vault);
    write(&vault, "a", &contents[0]);
    close(vault);
    let older = bytes(&disk, DATABASE);
    let vault = open(&disk);
    small_packs(&vault);
    write(&vault, "b", &contents[1]);
    write(&vault, "c", &contents[2]);
    close(vault);
    let newer = bytes(&disk, DATABASE);
    put(&disk, DATABASE, &older);
    Story {
        disk,
        older,
        newer,
        contents,
    }
}

fn names(disk: &SimDisk, prefix: &str) -> Vec<String> {
    let mut names = disk.list().unwrap();
    names.retain(|name| name.starts_with(prefix));
    names.sort();
    names
}

/// Packs that an older database does not list were deleted when it was unlocked, and longer ones cut
/// when something was appended.
#[test]
fn a_newer_state_is_kept_when_an_older_database_is_put_back() {
    let story = story();
    let disk = &story.disk;
    let before: Vec<(String, Vec<u8>)> = names(disk, "pack-")
        .into_iter()
        .map(|name| (name.clone(), bytes(disk, &name)))
        .collect();
    assert!(before.len() > 3, "this test needs several packs");
    let vault = key(disk).unlock(Identity::NewChain).unwrap();
    small_packs(&vault);
    assert_eq!(read(&vault, "a").as_ref(), Some(&story.contents[0]));
    assert_eq!(read(&vault, "b"), None);
    // It is used, and looks for room, and is opened again as the one that it is now.
    write(&vault, "d", &story.contents[1]);
    vault.commit().unwrap();
    vault.remove(ROOT, b"d", false).unwrap();
    vault.collect().unwrap();
    sound(&vault);
    assert!(vault.status().unwrap().asides.len() >= before.len());
    close(vault);
    let vault = open(disk);
    small_packs(&vault);
    write(&vault, "e", &SplitMix64(6).bytes(3 << 20));
    sound(&vault);
    assert!(
        check(&vault)
            .asides
            .iter()
            .any(|aside| aside.name.starts_with("aside-"))
    );
    close(vault);
    for (name, was) in &before {
        let aside = format!("aside-{name}");
        let lies = [name, &aside].into_iter().find(|name| disk.open(name).is_ok());
        let is = bytes(disk, lies.expect("the pack is gone"));
        assert!(is == *was, "{name} was changed");
    }

    put(disk, DATABASE, &story.newer);
    for aside in names(disk, "aside-") {
        disk.rename(&aside, aside.strip_prefix("aside-").unwrap())
            .unwrap();
    }
    let vault = key(disk).unlock(Identity::NewChain).unwrap();
    for (name, content) in ["a", "b", "c"].into_iter().zip(&story.contents) {
        assert_eq!(read(&vault, name).as_ref(), Some(content), "{name}");
    }
    sound(&vault);
    close(vault);
}

/// The older state used the numbers of packs that an earlier putting back had set aside: taking
/// “aside-” off their names, as they are to be, would have replaced its packs.
#[test]
fn an_older_database_put_back_twice_uses_no_number_of_a_kept_pack() {
    let story = story();
    let disk = &story.disk;
    for _ in 0..2 {
        put(disk, DATABASE, &story.older);
        let vault = key(disk).unlock(Identity::NewChain).unwrap();
        close(vault);
    }
    let vault = open(disk);
    small_packs(&vault);
    write(&vault, "d", &SplitMix64(6).bytes(3 << 20));
    sound(&vault);
    close(vault);
    let packs = names(disk, "pack-");
    for aside in names(disk, "aside-") {
        let name = aside.strip_prefix("aside-").unwrap().to_owned();
        assert!(!packs.contains(&name), "{name} has been used again");
    }
}

/// Vaults of two days, of which the older was put back and has removed what both had.
fn after_a_removal() -> (SimDisk, Vec<u8>, [Vec<u8>; 2]) {
    let disk = SimDisk::new();
    let mut rng = SplitMix64(5);
    let contents = [rng.bytes(5 << 20), rng.bytes(3 << 20)];
    let vault = create(&disk);
    small_packs(&vault);
    write(&vault, "both", &contents[0]);
    close(vault);
    let older = bytes(&disk, DATABASE);
    let vault = open(&disk);
    small_packs(&vault);
    write(&vault, "new", &contents[1]);
    close(vault);
    let newer = bytes(&disk, DATABASE);
    put(&disk, DATABASE, &older);
    let vault = key(&disk).unlock(Identity::NewChain).unwrap();
    small_packs(&vault);
    vault.remove(ROOT, b"both", false).unwrap();
    forget_removed(&vault);
    let freed = vault.collect().unwrap();
    assert!(
        freed.left > 0,
        "what is kept is not destroyed, and that is said: {freed:?}"
    );
    sound(&vault);
    close(vault);
    (disk, newer, contents)
}

/// What both states name was given back when the older one had removed it.
#[test]
fn packs_that_both_states_name_are_kept() {
    let (disk, newer, contents) = after_a_removal();
    let vault = open(&disk);
    vault.stop_keeper();
    vault.collect().unwrap();
    close(vault);
    put(&disk, DATABASE, &newer);
    for aside in names(&disk, "aside-") {
        disk.rename(&aside, aside.strip_prefix("aside-").unwrap())
            .unwrap();
    }
    let vault = key(&disk).unlock(Identity::NewChain).unwrap();
    for (name, content) in ["both", "new"].into_iter().zip(&contents) {
        assert!(read(&vault, name).as_ref() == Some(content), "{name}");
    }
    sound(&vault);
    close(vault);
}

/// Guards that a newer state which its owner has given up costs no room for ever.
#[test]
fn what_was_given_up_is_given_back() {
    let (disk, _, contents) = after_a_removal();
    let before = names(&disk, "pack-").len();
    for aside in names(&disk, "aside-") {
        disk.remove(&aside).unwrap();
    }
    let vault = open(&disk);
    vault.stop_keeper();
    let freed = vault.collect().unwrap();
    assert!(freed.bytes >= contents[0].len() as u64, "{freed:?}");
    assert!(vault.asides().is_empty());
    sound(&vault);
    close(vault);
    assert!(names(&disk, "pack-").len() < before);
}

/// A store that is taken into use as another's successor never goes on with its chain, on which
/// the other may have told something else.
#[test]
fn a_restored_store_begins_a_new_chain() {
    let story = story();
    let older = key(&story.disk).standing().unwrap();
    let vault = key(&story.disk).unlock(Identity::NewChain).unwrap();
    assert_ne!(vault.standing().chain, older.chain);
    assert_eq!(vault.status().unwrap().events, 0);
    let instance = vault.instance();
    write(&vault, "d", b"told anew");
    sound(&vault);
    assert!(vault.status().unwrap().events > 0);
    let now = vault.standing();
    close(vault);
    let vault = open(&story.disk);
    assert_eq!(vault.standing().chain, now.chain, "the same from then on");
    assert!(vault.standing().commits >= now.commits);
    assert_eq!(vault.instance(), instance, "it is the same copy");
    close(vault);
}

/// How far a store is tells which of two is the older one.
#[test]
fn an_older_database_is_less_far() {
    let story = story();
    let older = key(&story.disk).standing().unwrap();
    put(&story.disk, DATABASE, &story.newer);
    let newer = key(&story.disk).standing().unwrap();
    assert_eq!(newer.chain, older.chain);
    assert!(newer.commits > older.commits);
}

/// Who only looks, or changes the password, decides nothing: all lies as it did.
#[test]
fn a_visit_leaves_what_the_database_does_not_know() {
    let story = story();
    let packs = names(&story.disk, "pack-");
    let vault = key(&story.disk).visit().unwrap();
    sound(&vault);
    let new = coffer_store::keys::Password::new(b"another password 5".to_vec());
    vault
        .change_password(&password(), &new, coffer_store::keys::KdfParams::FLOOR)
        .unwrap();
    close(vault);
    assert_eq!(names(&story.disk, "pack-"), packs);
    assert_eq!(names(&story.disk, "aside-").len(), 0);
    put(&story.disk, DATABASE, &story.older);
    let standing = key(&story.disk).standing().unwrap();
    put(&story.disk, DATABASE, &story.newer);
    assert!(key(&story.disk).standing().unwrap().commits > standing.commits);
    sound(&open(&story.disk));
}

/// The power goes at any call of taking it into use: what was there before is still there, under
/// either name. Once the new chain is noted, nobody is asked again, and nothing need be.
#[test]
fn a_power_cut_while_setting_aside_loses_nothing() {
    let story = story();
    let all = names(&story.disk, "pack-").len();
    let older = key(&story.disk).standing().unwrap().chain;
    let take = |disk: &SimDisk, identity| {
        let before = disk.ops();
        let vault = key(disk).unlock(identity).unwrap();
        vault.stop_keeper();
        (vault, disk.ops() - before)
    };
    let calls = take(&story.disk.crash_all_kept(), Identity::NewChain).1;
    assert!(calls > 5, "only {calls} calls");
    let mut noted = 0;
    for k in 1..=calls {
        let disk = story.disk.crash_all_kept();
        disk.freeze_at(disk.ops() + k);
        drop(take(&disk, Identity::NewChain));
        let found = disk.crash(k);
        let identity = match key(&found).standing().unwrap().chain == older {
            true => Identity::NewChain,
            false => Identity::Same,
        };
        noted += u32::from(identity == Identity::Same);
        let (vault, _) = take(&found, identity);
        assert_eq!(read(&vault, "a").as_ref(), Some(&story.contents[0]));
        close(vault);
        let left = names(&found, "pack-").len() + names(&found, "aside-pack-").len();
        assert!(left >= all, "{left} of {all} packs after a cut at call {k}");
    }
    assert!(noted > 0, "no cut came after the transaction");
}
