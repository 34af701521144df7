//! What only this store knows, sealed under its local key: the space's secrets and the
//! device's identity.

use crate::codec::{Malformed, Reader, Writer};
use crate::ids::{ChainId, SpaceId};
use crate::keys::{Key, SigningKey, derive, labels};

/// Bytes of encoded secrets but for the chains and the name.
const FIXED: usize = 1 + 16 + 4 + 5 * 32 + 2 + 4;

/// See the module. Keys are types that wipe themselves.
pub(crate) struct Secrets {
    pub(crate) space: SpaceId,
    pub(crate) epoch: u32,
    pub(crate) epoch_key: Key,
    pub(crate) chunk_id: Key,
    pub(crate) chunk_seal: Key,
    pub(crate) signing: SigningKey,
    pub(crate) transport: Key,
    /// Chains of this device, the present one last.
    pub(crate) chains: Vec<ChainId>,
    pub(crate) device_name: String,
}

impl Secrets {
    pub(crate) fn generate(device_name: String) -> Secrets {
        Secrets {
            space: SpaceId::random(),
            epoch: 0,
            epoch_key: Key::random(),
            chunk_id: Key::random(),
            chunk_seal: Key::random(),
            signing: SigningKey::generate(),
            transport: Key::random(),
            chains: vec![ChainId::random()],
            device_name,
        }
    }

    /// The present chain.
    pub(crate) fn chain(&self) -> ChainId {
        *self
            .chains
            .last()
            .expect("a device has a chain: generated with one, decoded with one at least")
    }

    /// The key that seals tree events of this epoch.
    pub(crate) fn tree_key(&self) -> Key {
        derive(&self.epoch_key, labels::EPOCH_TREE, &self.epoch.to_le_bytes())
    }

    /// The key that wraps entity keys in events of this epoch.
    pub(crate) fn wrap_key(&self) -> Key {
        derive(&self.epoch_key, labels::EPOCH_WRAP, &self.epoch.to_le_bytes())
    }

    pub(crate) fn encode(&self) -> zeroize::Zeroizing<Vec<u8>> {
        // Room from the start: growing would leave keys behind in freed memory.
        let mut w = Writer(Vec::with_capacity(
            FIXED + 16 * self.chains.len() + self.device_name.len(),
        ));
        w.u8(0).raw(&self.space.0).u32(self.epoch);
        let seed = self.signing.seed();
        for key in [
            &self.epoch_key,
            &self.chunk_id,
            &self.chunk_seal,
            &seed,
            &self.transport,
        ] {
            w.raw(key.expose());
        }
        w.u16(u16::try_from(self.chains.len()).expect("a device is copied fewer than 65,536 times"));
        for chain in &self.chains {
            w.raw(&chain.0);
        }
        w.bytes(self.device_name.as_bytes());
        zeroize::Zeroizing::new(w.0)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Secrets, Malformed> {
        let mut r = Reader::new(bytes);
        if r.u8()? != 0 {
            return Err(Malformed("secrets of an unknown version"));
        }
        let (space, epoch) = (SpaceId(r.array()?), r.u32()?);
        let mut key = || -> Result<Key, Malformed> { Ok(Key::take(&mut r.array()?)) };
        let [epoch_key, chunk_id, chunk_seal, seed, transport] = [key()?, key()?, key()?, key()?, key()?];
        let count = r.u16()?;
        let chains = (0..count)
            .map(|_| Ok(ChainId(r.array()?)))
            .collect::<Result<Vec<_>, Malformed>>()?;
        if chains.is_empty() {
            return Err(Malformed("a device without a chain"));
        }
        let device_name = String::from_utf8(r.bytes(255)?.to_vec())
            .map_err(|_| Malformed("a device's name is not text"))?;
        r.end()?;
        let signing = SigningKey::from_seed(seed);
        Ok(Secrets {
            space,
            epoch,
            epoch_key,
            chunk_id,
            chunk_seal,
            signing,
            transport,
            chains,
            device_name,
        })
    }
}

/// What moves with every transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counters {
    /// The next inode number.
    pub(crate) next_ino: u64,
    /// The next batch of events.
    pub(crate) next_batch: u64,
    /// The chain's last sequence number.
    pub(crate) seq: u64,
    /// The Lamport time of its last event.
    pub(crate) lamport: u64,
    /// Its head.
    pub(crate) head: [u8; 32],
    /// How many transactions there were.
    pub(crate) commits: u64,
}

impl Counters {
    pub(crate) fn new() -> Counters {
        Counters {
            next_ino: 2,
            next_batch: 1,
            seq: 0,
            lamport: 0,
            head: [0; 32],
            commits: 0,
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(0)
            .u64(self.next_ino)
            .u64(self.next_batch)
            .u64(self.seq)
            .u64(self.lamport)
            .raw(&self.head);
        w.u64(self.commits);
        w.0
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Counters, Malformed> {
        let mut r = Reader::new(bytes);
        if r.u8()? != 0 {
            return Err(Malformed("counters of an unknown version"));
        }
        let c = Counters {
            next_ino: r.u64()?,
            next_batch: r.u64()?,
            seq: r.u64()?,
            lamport: r.u64()?,
            head: r.array()?,
            commits: r.u64()?,
        };
        r.end()?;
        Ok(c)
    }
}
