//! Guards what salvage makes of a vault whose names were folded: what was let go of then is no damage, and each file is
//! brought to where it lay last, with the database and without.

mod texts_support;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use coffer_store::ids::ROOT;
use coffer_store::io::Disk;
use coffer_store::io::real::RealDisk;
use coffer_store::io::sim::SimDisk;
use coffer_store::keys::{KdfParams, SigningKey};
use coffer_store::members::{Card, DeviceName, JoinRequest, Members};
use coffer_store::vault::{Joined, Patience, Vault, salvage};
use texts_support::{introduce, meta, password};

const DAY: i64 = 86_400;

/// A device that one adds, with nothing of the vault yet.
fn joined(by: &Vault) -> Arc<Vault> {
    let (device, transport) = (SigningKey::generate(), SigningKey::generate());
    let card = Card::make(&device, &transport, DeviceName::new("new").unwrap());
    let joining = JoinRequest::make(&device, card, by.space_id(), by.device_id());
    by.add_device(joining).unwrap();
    let mut members = Members::of(by.space_id());
    by.with_members(|known| {
        for said in known.iter() {
            members.insert(said.clone()).unwrap();
        }
    });
    let joined = Joined {
        members,
        device,
        transport,
        keys: Vec::new(),
    };
    let vault = Vault::join_on(Arc::new(SimDisk::new()), &password(), KdfParams::FLOOR, joined).unwrap();
    vault.stop_keeper();
    vault
}

fn give(from: &Vault, to: &Vault) {
    from.commit().unwrap();
    introduce(from, to);
    let had = to.clock().unwrap();
    let clock = from.clock().unwrap();
    let after = clock
        .keys()
        .map(|chain| (*chain, had.get(chain).map_or(0, |(last, _)| *last)));
    let after: Vec<_> = after.filter(|(chain, _)| *chain != to.own_chain()).collect();
    for carried in from.batches_after(&after, usize::MAX).unwrap() {
        to.take_in_told(&carried).unwrap();
    }
}

fn a_day_later(vault: &Vault) {
    let ahead = vault.patience().ahead + DAY;
    let patience = Patience {
        ahead,
        ..Patience::default()
    };
    vault.set_patience(patience);
    vault.tend_horizon().unwrap();
}

/// A vault of two devices in which files were moved and removed, folded and joined.
fn folded(dir: &Path) {
    fs::create_dir(dir).unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(dir).unwrap());
    let (vault, _) = Vault::create_on(disk, &password(), KdfParams::FLOOR, false, None).unwrap();
    vault.stop_keeper();
    let other = joined(&vault);
    for n in 0..12 {
        let name = format!("draft {n}");
        vault.make(ROOT, name.as_bytes(), meta(), b"").unwrap();
    }
    vault.commit().unwrap();
    for n in 0..12 {
        let (from, to) = (format!("draft {n}"), format!("letter {n}"));
        vault
            .rename((ROOT, from.as_bytes()), (ROOT, to.as_bytes()), false)
            .unwrap();
        if n % 3 == 0 {
            vault.end_graces();
            vault.commit().unwrap();
            vault.remove(ROOT, to.as_bytes(), false).unwrap();
        }
    }
    vault.end_graces();
    for _ in 0..3 {
        give(&vault, &other);
        give(&other, &vault);
        a_day_later(&vault);
        a_day_later(&other);
    }
    give(&other, &vault);
    assert!(vault.fold_names().unwrap() >= 24);
    vault.collect().unwrap();
    let all: Vec<_> = vault.clock().unwrap().keys().map(|chain| (*chain, 0)).collect();
    let batches = vault.batches_after(&all, usize::MAX).unwrap();
    let holes: usize = batches.iter().map(|carried| carried.row.holes.len()).sum();
    assert!(holes >= 12, "nothing was let go of: {holes}");
    assert!(vault.join_batches().unwrap().batches > 0);
    vault.close().unwrap();
}

/// Each name that was folded away was counted as a damaged event.
#[test]
fn what_was_folded_is_no_damage() {
    for is_lost in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let (vault, dest) = (dir.path().join("vault"), dir.path().join("out"));
        folded(&vault);
        if is_lost {
            fs::write(vault.join("vault.redb"), b"nothing of it is left").unwrap();
        }
        let report = salvage(&vault, &password(), &dest, &mut |_| {}).unwrap();
        let damaged = report
            .problems
            .iter()
            .filter(|problem| problem.what.contains("damaged"));
        let damaged: Vec<_> = damaged.map(|problem| &problem.what).collect();
        assert!(damaged.is_empty(), "database lost: {is_lost}: {damaged:?}");
        for n in 0..12 {
            let name = format!("letter {n}");
            assert_eq!(
                dest.join(&name).exists(),
                n % 3 != 0,
                "{name}, database lost: {is_lost}"
            );
            assert!(!dest.join(format!("draft {n}")).exists());
        }
    }
}
