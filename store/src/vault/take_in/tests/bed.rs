//! A vault with a note, and a device that sends it what it likes: what the tests of taking in stand on.

use super::*;

pub(super) const NOTE: &str = "one two three\n";
/// A payload of the version that is read here, and too short for one.
pub(super) const NO_VERSION: &[u8] = &[0, 0];

/// A vault with a note, and a device that sends what it likes.
pub(super) struct Bed {
    pub(super) disk: SimDisk,
    pub(super) vault: Arc<Vault>,
    pub(super) entity: EntityId,
    pub(super) key: Key,
    pub(super) signing: SigningKey,
    pub(super) chain: ChainId,
    /// The last event of its chain.
    pub(super) last: (u64, [u8; 32]),
}

impl Bed {
    pub(super) fn new() -> Bed {
        let disk = SimDisk::new();
        let vault = vault(&disk);
        write(&vault, "note.md", NOTE);
        vault.commit().unwrap();
        let ino = vault.lookup(ROOT, b"note.md").unwrap();
        let entity = vault.entity(ino).unwrap();
        Bed {
            key: vault.key_of(entity).unwrap().unwrap(),
            disk,
            vault,
            entity,
            signing: SigningKey::generate(),
            chain: ChainId::random(),
            last: (0, [0; 32]),
        }
    }

    /// The newest version that is here.
    pub(super) fn at(&self) -> EventRef {
        let mut at = None;
        self.vault
            .each_version(&self.key, &self.entity, &mut |_, row| at = Some(row.unwrap().at))
            .unwrap();
        at.unwrap()
    }

    pub(super) fn next(&self, n: u64) -> EventRef {
        EventRef {
            chain: self.chain,
            seq: self.last.0 + n,
        }
    }

    /// A batch of its chain, which says this of the note.
    pub(super) fn batch(&self, says: &[Says]) -> Carried {
        let of_note = |says: &Says| (EventKind::Version, self.entity.0, says.clone());
        self.batch_of(&says.iter().map(of_note).collect::<Vec<_>>())
    }

    /// A batch of its chain, which says this of the note, and of names.
    pub(super) fn batch_of(&self, says: &[(EventKind, [u8; 16], Says)]) -> Carried {
        let keyring = self.vault.core.keyring();
        let key = keyring.present().content(&self.key);
        let sealed =
            |(n, (kind, subject, (replaces, lamport, plain))): (usize, &(EventKind, [u8; 16], Says))| {
                let at = self.next(1 + n as u64);
                let sealed = match kind {
                    EventKind::NodeGone => {
                        let aad = gone_aad(&NodeId(*subject), at, self.epoch());
                        seal(keyring.present().tree(), &aad, plain)
                    }
                    _ => seal(&key, &content_aad(&self.entity, at, self.epoch()), plain),
                };
                ((*kind, *subject), (replaces.clone(), *lamport, sealed))
            };
        let all: Vec<Raw> = says.iter().enumerate().map(sealed).collect();
        self.raw(&all)
    }

    pub(super) fn epoch(&self) -> u32 {
        self.vault.core.keyring().present().tag()
    }

    /// A batch of its chain, of events of any kind; those of such as bring a key bring an odd one.
    pub(super) fn raw(&self, says: &[Raw]) -> Carried {
        let stands = Stands {
            space: self.vault.secrets().space,
            epoch: self.epoch(),
            chain: self.chain,
            last: self.last,
            signing: &self.signing,
        };
        forge::batch(&stands, says)
    }

    pub(super) fn take(&mut self, says: &[Says]) -> Result<TakenIn, TakeInError> {
        self.take_carried(self.batch(says))
    }

    pub(super) fn take_raw(&mut self, says: &[Raw]) -> Result<TakenIn, TakeInError> {
        self.take_carried(self.raw(says))
    }

    pub(super) fn take_carried(&mut self, carried: Carried) -> Result<TakenIn, TakeInError> {
        let taken = self.vault.take_in(&self.signing.verifying(), &carried)?;
        self.last = (carried.row.last().unwrap(), carried.row.head);
        Ok(taken)
    }

    pub(super) fn text(&self) -> String {
        let ino = self.vault.lookup(ROOT, b"note.md").unwrap();
        let mut out = Vec::new();
        self.vault.read(ino, 0, 1 << 20, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// A change that goes on from the note's first version, or from these.
    pub(super) fn change(&self, document: &mut Document, base: &Heads, new: &str) -> Change {
        document.edit(base, new, self.chain, 7).unwrap().unwrap()
    }
}

pub(super) fn write(vault: &Vault, name: &str, text: &str) {
    let ino = match vault.lookup(ROOT, name.as_bytes()) {
        Ok(ino) => ino,
        Err(_) => vault.make(ROOT, name.as_bytes(), file_meta(), b"").unwrap(),
    };
    vault.open(ino, true, true, false).unwrap();
    vault.write(ino, Some(0), text.as_bytes(), false).unwrap();
    vault.release(ino, true);
}

pub(super) fn version(body: Body, size: u64) -> Version {
    Version {
        kind: Kind::File,
        form: Form::Text,
        perm: 0o640,
        mtime: Time { sec: 77, nsec: 0 },
        recorded: Time { sec: 88, nsec: 0 },
        btime: Time { sec: 66, nsec: 0 },
        size,
        xattrs: None,
        body,
    }
}

pub(super) fn changed(change: &Change, new: &str) -> Vec<u8> {
    let body = Body::Change {
        serial: change.maker().serial,
        bytes: change.packed(),
    };
    version(body, new.len() as u64).encode()
}

/// The row of the note's first version.
pub(super) fn first_row(bed: &Bed) -> (Vec<u8>, Vec<u8>) {
    let mut row = None;
    let scanned = bed
        .vault
        .core
        .db
        .scan(Table::Versions, &bed.entity.0, &mut |key, value| {
            row.get_or_insert((key.to_vec(), value.to_vec()));
            true
        });
    scanned.unwrap();
    row.unwrap()
}

pub(super) fn put_row(vault: &Vault, (key, value): (Vec<u8>, Vec<u8>)) {
    let mut batch = crate::db::Batch::new();
    batch.put(Table::Versions, key, value);
    vault.core.db.apply(&batch).unwrap();
}
