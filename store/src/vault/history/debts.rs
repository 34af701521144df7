//! What was let go of and still lies in packs: notes for the collection, in the table `pending`.
//!
//! A note is written in the transaction that lets go, and taken away in the one after which
//! nothing is left of what it names. So a crash at any point only makes it be done later. Notes
//! name places alone, and lie in the clear as the rows of batches and packs do.

use std::collections::{BTreeMap, BTreeSet};

use crate::codec::{Malformed, Reader, Writer};
use crate::core::StoreError;
use crate::db::{Batch, Table};
use crate::event::Let;
use crate::keys::ChunkId;
use crate::record::{ManifestRef, get_manifest, put_manifest};
use crate::vault::{Problem, Vault};

const PAYLOAD: u8 = 3;
const PACK: u8 = 4;
const MANIFEST: u8 = 5;
/// Where in its batch a payload lies of which that cannot be found: such a note stays as long as the batch is damaged.
pub(in crate::vault) const UNKNOWN: u32 = u32::MAX;

/// All notes.
#[derive(Default)]
pub(in crate::vault) struct Debts {
    /// Payloads, by batch and by where in it they lay when it was made; true: nothing of them may
    /// be left in any pack.
    pub(in crate::vault) payloads: BTreeMap<u64, BTreeMap<u32, (Let, bool)>>,
    /// Packs that hold bytes of such, or others that nothing names: of chunks that are dead, and of
    /// files before they were versions. True: they are to be written anew.
    pub(in crate::vault) packs: BTreeMap<u32, bool>,
    /// Files whose chunks are to be destroyed, where nothing else needs them.
    pub(in crate::vault) manifests: Vec<ManifestRef>,
}

/// Notes a payload.
pub(in crate::vault) fn note_payload(batch: &mut Batch, at: (u64, u32), what: Let, surely: bool) {
    batch.put(
        Table::Pending,
        payload_note(at),
        vec![0, what as u8, u8::from(surely)],
    );
}

/// The name of its note.
pub(in crate::vault) fn payload_note((batch, offset): (u64, u32)) -> [u8; 13] {
    let mut key = [PAYLOAD; 13];
    key[1..9].copy_from_slice(&batch.to_be_bytes());
    key[9..].copy_from_slice(&offset.to_be_bytes());
    key
}

/// The name of a pack's note.
pub(in crate::vault) fn pack_note(pack: u32) -> [u8; 5] {
    let mut key = [PACK; 5];
    key[1..].copy_from_slice(&pack.to_be_bytes());
    key
}

/// Notes a pack.
pub(in crate::vault) fn note_pack(batch: &mut Batch, pack: u32, surely: bool) {
    batch.put(Table::Pending, pack_note(pack), vec![0, u8::from(surely)]);
}

/// Notes a file's chunks.
pub(super) fn note_manifest(batch: &mut Batch, root: &ManifestRef) {
    let mut w = Writer::new();
    w.u8(0);
    put_manifest(&mut w, root);
    batch.put(Table::Pending, manifest_note(&root.id), w.0);
}

/// The name of that note.
pub(in crate::vault) fn manifest_note(root: &ChunkId) -> Vec<u8> {
    [&[MANIFEST], &root.0[..]].concat()
}

impl Debts {
    /// How much is to be destroyed, wherever it lies.
    pub(in crate::vault) fn urgent(&self) -> u64 {
        let payloads = self.payloads.values().flat_map(|of| of.values());
        let payloads = payloads.filter(|(_, surely)| *surely).count();
        (self.manifests.len() + payloads + self.urgent_packs().len()) as u64
    }

    /// Packs that are to be written anew whatever else is in them.
    pub(in crate::vault) fn urgent_packs(&self) -> BTreeSet<u32> {
        let urgent = self.packs.iter().filter(|(_, surely)| **surely);
        urgent.map(|(pack, _)| *pack).collect()
    }
}

impl Vault {
    /// Notes packs that hold what no row will name for long, if they are not noted yet: so a purge
    /// finds it. Returns them. The committer is held.
    pub(in crate::vault) fn note_strewn(&self, batch: &mut Batch) -> Result<BTreeSet<u32>, StoreError> {
        let strewn = self.core.strewn.lock().clone();
        for pack in &strewn {
            if self.core.db.get(Table::Pending, &pack_note(*pack))?.is_none() {
                note_pack(batch, *pack, false);
            }
        }
        Ok(strewn)
    }

    /// Reads all notes.
    pub(in crate::vault) fn debts(&self) -> Result<Debts, StoreError> {
        let mut debts = Debts::default();
        let mut bad = false;
        self.core.db.scan(Table::Pending, b"", &mut |key, value| {
            let mut k = Reader::new(key);
            let mut v = Reader::new(value);
            let read = || -> Result<(), Malformed> {
                let tag = k.u8()?;
                if matches!(tag, PAYLOAD | PACK | MANIFEST) && v.u8()? != 0 {
                    return Err(Malformed("a note of an unknown version"));
                }
                match tag {
                    PAYLOAD => {
                        let at = (u64::from_be_bytes(k.array()?), u32::from_be_bytes(k.array()?));
                        let note = (Let::from_byte(v.u8()?)?, v.u8()? != 0);
                        debts.payloads.entry(at.0).or_default().insert(at.1, note);
                    }
                    PACK => {
                        let pack = u32::from_be_bytes(k.array()?);
                        debts.packs.insert(pack, v.u8()? != 0);
                    }
                    MANIFEST => debts.manifests.push(get_manifest(&mut v)?),
                    _ => {}
                }
                Ok(())
            };
            let mut read = read;
            bad |= read().is_err();
            true
        })?;
        if bad {
            let what = "a note of what is to be let go of is damaged";
            self.note_problem(Problem::new(None, what));
        }
        Ok(debts)
    }

    /// Reads on opening what the vault keeps in memory of its history.
    pub(in crate::vault) fn load_history(&self) -> Result<(), StoreError> {
        self.load_settings()?;
        self.load_known_time()?;
        let urgent = self.debts()?.urgent() > 0;
        self.owes.store(urgent, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    }
}
