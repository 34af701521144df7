//! What the suites of bytes on demand share: two vaults, what goes between them by hand, and a reader that waits.

#![allow(unreachable_pub, dead_code)] // a module of each test program; each uses a part

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use coffer_store::ids::{ChainId, Ino, ROOT};
use coffer_store::io::sim::SplitMix64;
use coffer_store::keys::ChunkId;
use coffer_store::vault::{CheckOptions, Demanded, Identity, Keeping, OpError, Vault};

use crate::texts_support::{Bench, meta};

pub const LIMIT: u64 = 1 << 20;

pub fn put(vault: &Vault, name: &str, offset: u64, bytes: &[u8]) -> Ino {
    let ino = match vault.lookup(ROOT, name.as_bytes()) {
        Ok(ino) => ino,
        Err(_) => vault.make(ROOT, name.as_bytes(), meta(), b"").unwrap(),
    };
    vault.open(ino, true, false, false).unwrap();
    vault.write(ino, Some(offset), bytes, false).unwrap();
    vault.release(ino, true);
    ino
}

pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    SplitMix64(seed).bytes(len)
}

/// What one told that the other lacks comes to it.
pub fn carry(from: &Vault, to: &Vault) {
    from.commit().unwrap();
    let has = to.clock().unwrap();
    let after: Vec<(ChainId, u64)> = from
        .clock()
        .unwrap()
        .keys()
        .map(|chain| (*chain, has.get(chain).map_or(0, |(last, _)| *last)))
        .collect();
    for carried in from.batches_after(&after, usize::MAX).unwrap() {
        to.take_in(&from.device(), &carried).unwrap();
    }
    to.commit().unwrap();
}

/// Brings what is to be here until nothing is lacking that this one has.
pub fn fetch(from: &Vault, to: &Vault) -> usize {
    let mut bytes = 0;
    loop {
        let mut came = 0;
        for want in to.lacking(64).unwrap() {
            if let Some(sealed) = from.sealed_chunk(&want.id).unwrap() {
                to.put_chunk(&want.id, &sealed).unwrap();
                came += sealed.len();
            }
        }
        to.commit().unwrap();
        bytes += came;
        if came == 0 {
            return bytes;
        }
    }
}

/// Serves what readers want from these, in the order of the list, as the network does.
pub fn serve(reader: &Arc<Vault>, from: Vec<Arc<Vault>>) -> Sender<Demanded> {
    let (tell, told) = channel::<Demanded>();
    let (hook, to) = (tell.clone(), Arc::downgrade(reader));
    reader.when_wanted(move |what| {
        let _ = hook.send(what);
    });
    reader.set_reach(true, !from.is_empty());
    std::thread::spawn(move || {
        for what in told {
            let Some(to) = to.upgrade() else { return };
            let Demanded::Want(id, _) = what else { continue };
            match from.iter().find_map(|vault| vault.sealed_chunk(&id).unwrap()) {
                Some(sealed) => to.put_chunk(&id, &sealed).unwrap(),
                None => to.is_nowhere(&id),
            }
        }
    });
    tell
}

/// Reads as a worker of the mount does: what is not here is brought.
pub fn read(vault: &Vault, ino: Ino, offset: u64, len: usize) -> Result<Vec<u8>, OpError> {
    loop {
        let mut out = Vec::new();
        match vault.read(ino, offset, len, &mut out) {
            Err(OpError::Store(error)) if error.absent().is_some() => {
                vault.bring_range(ino, offset, len as u64)?;
            }
            done => return done.map(|()| out),
        }
    }
}

/// All of a file, in steps.
pub fn all(vault: &Vault, name: &str) -> Vec<u8> {
    let ino = vault.lookup(ROOT, name.as_bytes()).unwrap();
    vault.open(ino, false, false, false).unwrap();
    let (size, mut bytes) = (vault.stat(ino).unwrap().size, Vec::new());
    while (bytes.len() as u64) < size {
        bytes.extend(read(vault, ino, bytes.len() as u64, 128 << 10).unwrap());
    }
    vault.release(ino, false);
    bytes
}

/// What the keeper confirms of a plan, as the protocol asks it.
pub fn ask(keeper: &Vault, plan: &coffer_store::vault::Plan) -> Vec<ChunkId> {
    let clock = keeper.clock().unwrap();
    let has = |(chain, last): &(ChainId, u64)| clock.get(chain).is_some_and(|(there, _)| there >= last);
    if keeper.keeping() != Keeping::Everything || !plan.clock.iter().all(has) {
        return Vec::new();
    }
    let held = keeper.confirm(&plan.pieces).into_iter();
    let asked = plan.pieces.iter().copied().zip(held);
    asked.filter(|(_, held)| *held).map(|(id, _)| id).collect()
}

/// Gives up what this keeper confirms; how many bytes.
pub fn evict(vault: &Vault, keeper: &Vault) -> u64 {
    let mut gone = 0;
    while let Some(plan) = vault.plan_eviction().unwrap() {
        vault.confirmed(&ask(keeper, &plan));
        match vault.evict(&plan).unwrap() {
            0 => break,
            more => gone += more,
        }
    }
    gone
}

pub fn check(bench: &Bench) {
    let report = bench
        .vault
        .check(CheckOptions { read_data: true }, &mut |_| {})
        .unwrap();
    assert_eq!(report.problems, Vec::new());
}

/// A keeper, and one beside it that keeps names and texts.
pub fn pair() -> (Bench, Bench) {
    let one = Bench::new();
    one.save(1, "note.md", "small\n");
    one.vault.commit().unwrap();
    let two = Bench::on(one.disk.crash_all_kept(), Identity::NewDevice);
    two.vault.set_keeping(Keeping::Texts, LIMIT).unwrap();
    (one, two)
}
