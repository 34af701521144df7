//! The key file, a copy of header, local key and secrets beside the database: what salvage
//! needs if the database is lost.
//!
//! Guarantees: it is replaced whole or not at all, and holds nothing unsealed but what the
//! header shows. Never says whether it fits the database: see `passwd`.

use std::io;
use std::sync::Arc;

use super::Vault;
use super::heads::local_aad;
use super::secrets::{BYTES_MAX, Secrets};
use crate::codec::{Malformed, Reader, Writer};
use crate::core::StoreError;
use crate::db::DbError;
use crate::io::Disk;
use crate::keys::{Header, Key, MasterKey, SEAL_OVERHEAD, WRAPPED, open, seal};
use crate::record::kind;

/// Its name.
pub(crate) const KEY_FILE: &str = "vault.key";
/// The longest header, in bytes.
const HEADER_MAX: usize = 1 << 16;
const KEY_FILE_MAGIC: &[u8; 8] = b"COFFERK6";
/// No key file is as long as this, in bytes.
const KEY_FILE_MAX: u64 = 2 << 20;
/// The longest sealed secrets, in bytes: as many epochs and chains as there may be.
const SECRETS_MAX: usize = BYTES_MAX + SEAL_OVERHEAD;
const _: () = assert!(HEADER_MAX + SECRETS_MAX + 4096 < KEY_FILE_MAX as usize);

impl Vault {
    /// Writes the copy of what leads to the keys.
    pub(super) fn write_key_file(&self) -> Result<(), StoreError> {
        let io = |e| StoreError::Db(DbError::Io(e));
        let bytes = self.key_file();
        let disk = &self.core.disk;
        let next = "vault.key.new";
        match disk.remove(next) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(io(e)),
            _ => {}
        }
        let file = disk.create(next).map_err(io)?;
        file.write_at(0, &bytes).map_err(io)?;
        file.sync_data().map_err(io)?;
        disk.rename(next, KEY_FILE).map_err(io)?;
        // What this fails to save, a later attempt may not save either.
        disk.sync_dir()
            .inspect_err(|_| self.core.packs.doubt_names())
            .map_err(io)
    }

    /// Its bytes, as of now. Whoever needs them to fit the database holds the committer.
    pub(super) fn key_file(&self) -> Vec<u8> {
        let header = self.header.lock().clone();
        let id = header.vault_id();
        KeyFile {
            header,
            wrapped: self
                .master
                .read()
                .wrap(kind::WRAP_LOCAL, &id, &self.local)
                .to_vec(),
            secrets: seal(&self.local, &local_aad(2), &self.secrets().encode()),
        }
        .encode()
    }
}

/// What the key file says; for salvage.
pub(crate) struct KeyFile {
    pub(crate) header: Header,
    pub(crate) wrapped: Vec<u8>,
    pub(crate) secrets: Vec<u8>,
}

impl KeyFile {
    /// Whether a program of an earlier trial version wrote it.
    pub(crate) fn is_earlier(disk: &Arc<dyn Disk>) -> bool {
        let mut magic = [0; KEY_FILE_MAGIC.len()];
        let read = disk.open(KEY_FILE).and_then(|file| file.read_at(0, &mut magic));
        // They begin alike, but for the last byte.
        let ([name @ .., version], [ours @ .., now]) = (&magic, KEY_FILE_MAGIC);
        read.is_ok() && name == ours && (b'0'..*now).contains(version)
    }

    pub(crate) fn read(disk: &Arc<dyn Disk>) -> Option<KeyFile> {
        let file = disk.open(KEY_FILE).ok()?;
        let len = file.len().ok().filter(|len| *len < KEY_FILE_MAX)?;
        let mut bytes = vec![0; len as usize];
        file.read_at(0, &mut bytes).ok()?;
        KeyFile::decode(&bytes).ok()
    }

    /// The file's bytes: a magic that ends in the version, then each part after its length.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.raw(KEY_FILE_MAGIC).bytes(&self.header.encode());
        w.bytes(&self.wrapped).bytes(&self.secrets);
        w.0
    }

    /// The inverse; what is sealed stays so.
    ///
    /// # Errors
    /// [`Malformed`] for anything but a key file of this version.
    pub(crate) fn decode(bytes: &[u8]) -> Result<KeyFile, Malformed> {
        let mut r = Reader::new(bytes);
        if r.raw(8)? != KEY_FILE_MAGIC {
            return Err(Malformed("a key file of an unknown version"));
        }
        let header = Header::decode(r.bytes(HEADER_MAX)?)
            .map_err(|_| Malformed("a key file whose header is damaged"))?;
        let wrapped = r.bytes(WRAPPED)?.to_vec();
        let secrets = r.bytes(SECRETS_MAX)?.to_vec();
        r.end()?;
        Ok(KeyFile {
            header,
            wrapped,
            secrets,
        })
    }

    /// The local key and the secrets in it.
    pub(crate) fn open(&self, master: &MasterKey) -> Option<(Key, Secrets)> {
        let local = master
            .unwrap(kind::WRAP_LOCAL, &self.header.vault_id(), &self.wrapped)
            .ok()?;
        let plain = zeroize::Zeroizing::new(open(&local, &local_aad(2), &self.secrets).ok()?);
        Some((local, Secrets::decode(&plain).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::secrets::{CHAINS_MAX, EPOCHS_MAX, OwnChain};
    use super::*;
    use crate::core::EpochKeys;
    use crate::ids::{ChainId, SpaceId};
    use crate::keys::{KdfParams, Password, SigningKey};
    use crate::members::{SpaceSecrets, StatementId};

    /// Guards the copy of the keys of a vault that has all that it may have: what is written is read; what no device can have is refused
    /// before there is room for it.
    #[test]
    fn as_many_epochs_and_chains_as_there_may_be_fit() {
        let epoch = |n: usize| {
            let id = StatementId(*blake3::hash(&n.to_le_bytes()).as_bytes());
            EpochKeys::new(id, n as u32, SpaceSecrets::random())
        };
        let epochs: Vec<EpochKeys> = (0..EPOCHS_MAX).map(epoch).collect();
        let own = OwnChain {
            id: ChainId([7; 16]),
            random: [8; 16],
        };
        let secrets = Secrets {
            space: SpaceId([1; 16]),
            present: epochs[0].id,
            epochs,
            signing: SigningKey::generate(),
            transport: SigningKey::generate().seed(),
            chains: vec![own; CHAINS_MAX],
        };
        let (plain, local) = (secrets.encode(), Key::random());
        assert_eq!(plain.len(), BYTES_MAX);
        let password = Password::new(b"correct horse battery staple".to_vec());
        let (header, master) = Header::create([3; 16], &password, KdfParams::FLOOR).unwrap();
        let file = |secrets| KeyFile {
            header: header.clone(),
            wrapped: master.wrap(kind::WRAP_LOCAL, &[3; 16], &local).to_vec(),
            secrets,
        };
        let sealed = seal(&local, &local_aad(2), &plain);
        let bytes = file(sealed.clone()).encode();
        assert!((bytes.len() as u64) < KEY_FILE_MAX);
        let (_, read) = KeyFile::decode(&bytes).unwrap().open(&master).unwrap();
        assert!(*read.encode() == *plain, "what is read is what was written");
        let more = file([&sealed[..], &[0]].concat()).encode();
        assert!(KeyFile::decode(&more).is_err());
    }
}
