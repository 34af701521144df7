//! Devices of one space in real vaults on disks in memory and on disk. Guards that a device which joins can read all
//! that was written before it came and after; that what is written after a device was removed is sealed with keys
//! that it has not; that who told a chain is known by statements alone; that a crash loses no statement that was said.

mod texts_support;

use std::sync::Arc;

use coffer_store::db::{Batch, Db, Table};
use coffer_store::keys::{KdfParams, SigningKey, labels};
use coffer_store::members::{
    Body, Card, DeviceId, DeviceName, JoinRequest, Members, NAMED_MAX, NotVerified, Removal, Standing,
    Statement, StatementId,
};
use coffer_store::vault::{Identity, Joined, TakeInError, TakeStatementError, TakenStatement, Vault};
use tempfile::TempDir;
use texts_support::{Bench, VIM, introduce, password};

/// A vault on disk that one adds to its space.
fn joined(by: &Vault, name: &str) -> (TempDir, Arc<Vault>) {
    let (device, transport) = (SigningKey::generate(), SigningKey::generate());
    let card = Card::make(&device, &transport, DeviceName::new(name).unwrap());
    let joining = JoinRequest::make(&device, card, by.space_id(), by.device_id());
    by.add_device(joining).unwrap();
    let mut members = Members::of(by.space_id());
    by.with_members(|known| {
        for said in known.iter() {
            members.insert(said.clone()).unwrap();
        }
    });
    let dir = TempDir::new().unwrap();
    let joined = Joined {
        members,
        device,
        transport,
        keys: Vec::new(),
    };
    let vault = Vault::join(&dir.path().join("vault"), &password(), KdfParams::FLOOR, joined).unwrap();
    vault.stop_keeper();
    (dir, vault)
}

/// All that one has told that the other can take; the first refusal.
fn carry(from: &Vault, to: &Vault) -> Result<(), TakeInError> {
    from.commit().unwrap();
    introduce(from, to);
    let had = to.clock().unwrap();
    let after = |(chain, _): (&_, &_)| (*chain, had.get(chain).map_or(0, |(last, _)| *last));
    let after: Vec<_> = from.clock().unwrap().iter().map(after).collect();
    for carried in from.batches_after(&after, usize::MAX).unwrap() {
        to.take_in_told(&carried)?;
    }
    Ok(())
}

fn on_disk(vault: &Arc<Vault>) -> Bench {
    Bench {
        disk: coffer_store::io::sim::SimDisk::new(),
        vault: vault.clone(),
    }
}

/// Guards joining: notes from before and after it are the same on both, whoever wrote them.
#[test]
fn a_device_that_joins_reads_all() {
    let desk = Bench::new();
    desk.save(VIM, "Garden.md", "roses\n");
    let big: String = (0..40_000).map(|n| format!("line {n}\n")).collect();
    desk.save(VIM, "long.md", &big);
    desk.vault.commit().unwrap();
    let (_dir, laptop) = joined(&desk.vault, "laptop");
    carry(&desk.vault, &laptop).unwrap();
    let there = on_disk(&laptop);
    // Those that name others come first.
    while let Some(wanted) = laptop.lacking(1).unwrap().first() {
        let sealed = desk.vault.sealed_chunk(&wanted.id).unwrap().unwrap();
        laptop.put_chunk(&wanted.id, &sealed).unwrap();
    }
    laptop.commit().unwrap();
    assert_eq!(there.text("Garden.md"), "roses\n");
    assert_eq!(there.text("long.md"), big);
    there.save(VIM, "Garden.md", "roses\nlilies\n");
    carry(&laptop, &desk.vault).unwrap();
    desk.vault.commit().unwrap();
    assert_eq!(desk.text("Garden.md"), "roses\nlilies\n");
    assert_eq!(
        desk.vault.device_named(&laptop.own_chain()).as_deref(),
        Some("laptop")
    );
    desk.check();
}

/// Guards removal: what is written after it opens with no key that the removed device has, neither versions of files that it
/// knew nor new names; and what it tells from then on is taken by nobody.
#[test]
fn a_removed_device_is_told_nothing_more() {
    let desk = Bench::new();
    desk.save(VIM, "Garden.md", "roses\n");
    desk.vault.commit().unwrap();
    let (_one, laptop) = joined(&desk.vault, "laptop");
    let (_two, phone) = joined(&desk.vault, "phone");
    for vault in [&laptop, &phone] {
        carry(&desk.vault, vault).unwrap();
    }
    on_disk(&phone).save(VIM, "Phone.md", "before\n");
    carry(&phone, &desk.vault).unwrap();
    desk.vault.remove_device(phone.device_id()).unwrap();
    on_disk(&phone).save(VIM, "Phone.md", "before\nafter\n");
    let refused = carry(&phone, &desk.vault);
    assert!(matches!(refused, Err(TakeInError::Removed)), "{refused:?}");
    desk.save(VIM, "Garden.md", "roses\nnot for the phone\n");
    desk.save(VIM, "Secret.md", "nor this\n");
    carry(&desk.vault, &laptop).unwrap();
    laptop.commit().unwrap();
    assert_eq!(on_disk(&laptop).text("Garden.md"), "roses\nnot for the phone\n");
    assert_eq!(on_disk(&laptop).text("Phone.md"), "before\n");
    // Somebody gave the phone the sealed events all the same.
    let told = carry(&desk.vault, &phone);
    assert!(told.is_ok(), "{told:?}");
    phone.commit().unwrap();
    assert_eq!(on_disk(&phone).text("Garden.md"), "roses\n");
    assert!(phone.lookup(coffer_store::ids::ROOT, b"Secret.md").is_err());
    // And what it told before stays valid on whoever hears of it late.
    let (_three, tablet) = joined(&laptop, "tablet");
    carry(&laptop, &tablet).unwrap();
    tablet.commit().unwrap();
    assert_eq!(on_disk(&tablet).text("Phone.md"), "before\n");
    assert_eq!(on_disk(&tablet).text("Garden.md"), "roses\nnot for the phone\n");
}

/// Guards names for equal bytes against other keys: the same bytes have other chunks in another epoch, and yet the same name.
#[test]
fn equal_bytes_are_named_alike_in_every_epoch() {
    let desk = Bench::new();
    let bytes = coffer_store::io::sim::SplitMix64(1).bytes(3 << 20);
    desk.save(VIM, "before.raw", &bytes);
    desk.vault.commit().unwrap();
    let content = |name: &str| desk.vault.content(desk.ino(name)).unwrap().unwrap();
    let chunks = || {
        let mut count = 0;
        desk.vault
            .blobs(&mut |_| {
                count += 1;
                true
            })
            .unwrap();
        count
    };
    let (name, before) = (content("before.raw"), chunks());
    let (_dir, phone) = joined(&desk.vault, "phone");
    desk.vault.remove_device(phone.device_id()).unwrap();
    desk.save(VIM, "after.raw", &bytes);
    desk.save(VIM, "other.raw", &bytes[1..]);
    desk.vault.commit().unwrap();
    assert!(chunks() >= 2 * before, "they are of one epoch");
    assert_eq!([content("before.raw"), content("after.raw")], [name, name]);
    assert_ne!(content("other.raw"), name);
}

/// Guards the keys of an epoch against forgetting: after a lock, and after a power cut, old and new versions open.
#[test]
fn epochs_outlast_the_lock_and_the_power() {
    let desk = Bench::new();
    desk.save(VIM, "old.md", "before\n");
    let (_dir, phone) = joined(&desk.vault, "phone");
    desk.vault.remove_device(phone.device_id()).unwrap();
    desk.save(VIM, "new.md", "after\n");
    let big: String = (0..40_000).map(|n| format!("line {n}\n")).collect();
    desk.save(VIM, "long.txt", &big);
    desk.vault.commit().unwrap();
    let desk = desk.crashed();
    assert_eq!(
        (desk.text("old.md"), desk.text("new.md")),
        ("before\n".into(), "after\n".into())
    );
    assert_eq!(desk.text("long.txt"), big);
    let desk = desk.again();
    assert_eq!(desk.text("old.md"), "before\n");
    assert_eq!(desk.text("long.txt"), big);
    let id = phone.device_id();
    assert!(desk.vault.with_members(|members| !members.state().is_member(&id)));
    desk.check();
}

/// Guards a copy: it is added by the device that it is a copy of, which hears of it from the copy itself.
#[test]
fn a_copy_is_a_device_of_its_own_that_others_believe() {
    let desk = Bench::new();
    desk.save(VIM, "Garden.md", "roses\n");
    desk.vault.commit().unwrap();
    let copy = Bench::on(desk.disk.crash_all_kept(), Identity::NewDevice);
    copy.save(VIM, "Garden.md", "roses\nlilies\n");
    carry(&copy.vault, &desk.vault).unwrap();
    desk.vault.commit().unwrap();
    assert_eq!(desk.text("Garden.md"), "roses\nlilies\n");
    let members = desk
        .vault
        .with_members(|members| members.state().members().count());
    assert_eq!(members, 2);
    assert_ne!(copy.vault.device_id(), desk.vault.device_id());
}

/// Guards a chain that is begun on an open vault: what was woven for the former one is told on the new one, and believed.
#[test]
fn a_chain_begun_meanwhile_tells_what_was_woven_before() {
    let desk = Bench::new();
    desk.save(VIM, "Garden.md", "roses\n");
    desk.vault.commit().unwrap();
    let (_dir, laptop) = joined(&desk.vault, "laptop");
    carry(&desk.vault, &laptop).unwrap();
    let former = desk.vault.own_chain();
    desk.save(VIM, "Garden.md", "roses\nlilies\n");
    let begun = desk.vault.begin_chain().unwrap();
    assert_ne!(former, begun);
    desk.save(VIM, "Garden.md", "roses\nlilies\ntulips\n");
    desk.vault.commit().unwrap();
    carry(&desk.vault, &laptop).unwrap();
    laptop.commit().unwrap();
    assert_eq!(on_disk(&laptop).text("Garden.md"), "roses\nlilies\ntulips\n");
    assert!(laptop.clock().unwrap().contains_key(&begun));
    let desk = desk.again();
    assert_eq!(desk.vault.own_chain(), begun);
    assert_eq!(desk.text("Garden.md"), "roses\nlilies\ntulips\n");
}

/// Guards names: a device's is told to all, and conflict files keep the one that it joined with.
#[test]
fn a_renamed_device_is_renamed_everywhere() {
    let desk = Bench::new();
    let (_dir, laptop) = joined(&desk.vault, "laptop");
    let id: DeviceId = laptop.device_id();
    desk.vault
        .rename_device(id, DeviceName::new("Ada's laptop").unwrap())
        .unwrap();
    introduce(&desk.vault, &laptop);
    assert_eq!(laptop.device_name(), "Ada's laptop");
}

/// Guards a chain of which the statement was lost to damage before any other device had it: its device says it again, and
/// what it told on it is believed.
#[test]
fn a_chain_whose_statement_was_lost_is_said_again() {
    let desk = Bench::new();
    desk.save(VIM, "Garden.md", "roses\n");
    let (_dir, laptop) = joined(&desk.vault, "laptop");
    let chain = desk.vault.begin_chain().unwrap();
    desk.save(VIM, "Garden.md", "roses\nlilies\n");
    desk.vault.commit().unwrap();
    desk.vault.close().unwrap();
    let disk = desk.disk.clone();
    drop(desk);
    let db = Db::open(Arc::new(disk.clone())).unwrap();
    let mut rows = Vec::new();
    let each = &mut |key: &[u8], _: &[u8]| {
        rows.push(key.to_vec());
        true
    };
    db.scan(Table::Members, b"", each).unwrap();
    let mut batch = Batch::new();
    batch.delete(Table::Members, rows.pop().unwrap());
    db.apply(&batch).unwrap();
    drop(db);
    let desk = Bench::on(disk, Identity::Same);
    assert_eq!(desk.vault.own_chain(), chain);
    assert!(desk.vault.who_signs(&chain).is_none());
    assert!(desk.vault.tend_devices().unwrap());
    assert!(desk.vault.who_signs(&chain).is_some());
    carry(&desk.vault, &laptop).unwrap();
    laptop.commit().unwrap();
    assert_eq!(on_disk(&laptop).text("Garden.md"), "roses\nlilies\n");
}

/// Guards that what one device knew of a removed one beyond what the remover knew comes to whoever joins later, though
/// it is joined to what both knew: it said that it had more.
#[test]
fn what_more_was_known_of_a_removed_device_comes_joined() {
    let desk = Bench::new();
    desk.save(VIM, "Garden.md", "roses\n");
    desk.vault.commit().unwrap();
    let (_one, laptop) = joined(&desk.vault, "laptop");
    let (_two, phone) = joined(&desk.vault, "phone");
    carry(&desk.vault, &laptop).unwrap();
    carry(&desk.vault, &phone).unwrap();
    let write = |upto: usize| {
        for n in 0..upto {
            on_disk(&phone).save(VIM, "Phone.md", "line\n".repeat(n + 1));
            phone.commit().unwrap();
        }
    };
    write(5);
    carry(&phone, &desk.vault).unwrap();
    write(9);
    carry(&phone, &laptop).unwrap();
    assert!(laptop.join_batches().unwrap().batches > 5);
    desk.vault.remove_device(phone.device_id()).unwrap();
    let chain = phone.own_chain();
    let (_three, tablet) = joined(&desk.vault, "tablet");
    // It knows of the removal alone: what goes on beyond that does not count yet.
    let told = laptop.batches_after(&[(chain, 0)], usize::MAX).unwrap();
    let refused = tablet.take_in_told(told.last().unwrap());
    assert!(
        matches!(refused, Err(TakeInError::Removed | TakeInError::TooEarly)),
        "{refused:?}"
    );
    carry(&desk.vault, &laptop).unwrap();
    carry(&laptop, &tablet).unwrap();
    tablet.commit().unwrap();
    assert_eq!(
        tablet.clock().unwrap().get(&chain),
        laptop.clock().unwrap().get(&chain)
    );
    assert_eq!(
        on_disk(&tablet).text("Phone.md"),
        on_disk(&laptop).text("Phone.md")
    );
    on_disk(&tablet).check();
}

/// What a device whose program came after this one says: a member's word, on all that it knows.
fn later(by: &SigningKey, on: &Vault, kind: u8) -> Vec<u8> {
    later_of(by, on, kind, b"of a later program")
}

fn later_of(by: &SigningKey, on: &Vault, kind: u8, what: &[u8]) -> Vec<u8> {
    let mut statement = on.with_members(|members| {
        let heads: Vec<StatementId> = members.heads().collect();
        let times = heads.iter().filter_map(|id| members.get(id));
        Statement {
            space: members.space(),
            author: DeviceId::of(by),
            lamport: times.map(|said| said.statement().lamport).max().unwrap() + 1,
            parents: heads,
            body: Body::Other {
                kind,
                bytes: what.to_vec(),
            },
            signature: [0; 64],
        }
    });
    let signed = statement.encode().len() - 64;
    statement.signature = by.sign(labels::SIGN_MEMBER, &statement.encode()[..signed]);
    statement.encode()
}

/// Guards a device that is not updated yet: what a later program says is stored, comes back after a restart, is given to others, and is stood
/// upon; a removal and an epoch behind it are heard. Only where that program asks for it, the status says who is newer.
#[test]
fn what_a_later_program_says_is_kept_and_passed_on() {
    let desk = Bench::new();
    let (_dir, laptop) = joined(&desk.vault, "laptop");
    let (_dir, phone) = joined(&desk.vault, "phone");
    introduce(&desk.vault, &laptop);
    introduce(&laptop, &desk.vault);
    for (kind, asks) in [(12, false), (0x80, true)] {
        let said = later(&laptop.signing_key(), &laptop, kind);
        assert_eq!(laptop.take_statement(&said).unwrap(), TakenStatement::Taken);
        assert_eq!(desk.vault.take_statement(&said).unwrap(), TakenStatement::Taken);
        assert_eq!(desk.vault.take_statement(&said).unwrap(), TakenStatement::Known);
        let newer = desk.vault.status().unwrap().newer;
        assert_eq!(newer, if asks { vec!["laptop".to_owned()] } else { vec![] });
    }
    let heads = desk.vault.statement_heads();
    let desk = desk.crashed();
    assert_eq!(desk.vault.statement_heads(), heads, "it is durable");
    assert_eq!(desk.vault.status().unwrap().newer, ["laptop"]);
    assert!(desk.vault.status().unwrap().damage.is_empty());
    // The laptop removes the phone, on all of it; the desk has it from there.
    laptop.remove_device(phone.device_id()).unwrap();
    introduce(&laptop, &desk.vault);
    assert_eq!(
        standing(&desk.vault, &phone),
        Standing::Removed(removal(&laptop, &phone))
    );
    // The phone has it from the desk alone.
    introduce(&desk.vault, &phone);
    assert_eq!(
        standing(&phone, &phone),
        Standing::Removed(removal(&laptop, &phone))
    );
    let all = laptop.statement_heads();
    assert!(phone.with_members(|members| all.iter().all(|id| members.get(id).is_some())));
    // One that cannot be read at all is said to be that, and changes nothing.
    let heads = desk.vault.statement_heads();
    let mut unreadable = later(&laptop.signing_key(), &laptop, 3);
    unreadable[0] = 1;
    let refused = desk.vault.take_statement(&unreadable);
    assert!(matches!(
        refused,
        Err(TakeStatementError::NotVerified(NotVerified::Newer(1)))
    ));
    assert_eq!(desk.vault.statement_heads(), heads);
    desk.check();
}

/// Guards a removal against a flood: a thief that says more at once than is named hides neither its removal nor the epoch behind it from a device that
/// asks for the first half of what is named.
#[test]
fn a_flood_of_heads_hides_no_removal() {
    let desk = Bench::new();
    let (_dir, laptop) = joined(&desk.vault, "laptop");
    let (_dir, thief) = joined(&desk.vault, "thief");
    introduce(&laptop, &desk.vault);
    introduce(&thief, &desk.vault);
    introduce(&desk.vault, &laptop);
    // Each beside the others, on what the thief knows.
    for n in 0..NAMED_MAX + 100 {
        let said = later_of(&thief.signing_key(), &thief, 12, &n.to_le_bytes());
        assert_eq!(desk.vault.take_statement(&said).unwrap(), TakenStatement::Taken);
    }
    desk.vault.remove_device(thief.device_id()).unwrap();
    let heads = desk.vault.statement_heads();
    assert_eq!(heads.len(), NAMED_MAX);
    let epoch = desk
        .vault
        .with_members(|members| members.state().epoch().unwrap().id);
    assert_eq!(heads[0], epoch);
    assert!(laptop.with_members(|members| members.state().is_member(&thief.device_id())));
    let (want, have) = laptop.lacking_statements(&heads[..NAMED_MAX / 2]);
    for bytes in desk.vault.statements(&want, &have, 0, usize::MAX).0 {
        laptop.take_statement(&bytes).unwrap();
    }
    assert_eq!(
        standing(&laptop, &thief),
        Standing::Removed(removal(&desk.vault, &thief))
    );
    let there = laptop.with_members(|members| members.state().epoch().unwrap().id);
    assert_eq!(there, epoch);
}

fn standing(at: &Vault, of: &Vault) -> Standing {
    at.with_members(|members| members.state().device(&of.device_id()).unwrap().standing)
}

fn removal(at: &Vault, of: &Vault) -> Removal {
    at.with_members(|members| members.state().removals(&of.device_id())[0])
}

/// Guards the events of a device that was removed by one who had never heard of its chain: a member that has them vouches for them, and what it
/// wrote in the same note comes to all. Nobody vouched once, and all that this member told was kept back for ever.
#[test]
fn a_chain_that_its_remover_had_not_heard_of_comes_by_others() {
    let desk = Bench::new();
    desk.save(VIM, "Garden.md", "roses\n");
    desk.vault.commit().unwrap();
    let (_one, laptop) = joined(&desk.vault, "laptop");
    let (_two, phone) = joined(&desk.vault, "phone");
    for vault in [&laptop, &phone] {
        carry(&desk.vault, vault).unwrap();
    }
    // The desk hears nothing of the phone; the laptop goes on with what it wrote.
    on_disk(&phone).save(VIM, "Garden.md", "roses\nlilies\n");
    carry(&phone, &laptop).unwrap();
    laptop.commit().unwrap();
    on_disk(&laptop).save(VIM, "Garden.md", "roses\nlilies\ntulips\n");
    laptop.commit().unwrap();
    desk.vault.remove_device(phone.device_id()).unwrap();
    carry(&desk.vault, &laptop).unwrap();
    laptop.commit().unwrap();
    carry(&laptop, &desk.vault).unwrap();
    desk.vault.commit().unwrap();
    assert_eq!(desk.text("Garden.md"), "roses\nlilies\ntulips\n");
    assert_eq!(on_disk(&laptop).text("Garden.md"), "roses\nlilies\ntulips\n");
    desk.check();
}
