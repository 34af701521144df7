//! What only this store knows, sealed under its local key: the space's secrets and the
//! device's identity.
//!
//! ```text
//! 2 ‖ space (16) ‖ signing seed (32) ‖ transport seed (32) ‖ the present epoch (32)
//! ‖ how many epochs (2) ‖ each: the statement that began it (32) ‖ number (4) ‖ epoch key ‖ chunk id secret ‖ chunk seal secret (96)
//! ‖ how many chains (2) ‖ each: its id (16) ‖ the random value that it was made of (16), the present one last
//! ```

use crate::codec::{Malformed, Reader, Writer};
use crate::core::{EpochKeys, Keyring, tag_of};
use crate::ids::{ChainId, SpaceId};
use crate::keys::{Key, SigningKey, random_bytes};
use crate::members::{
    Body, Card, DeviceId, DeviceName, JoinRequest, Members, SpaceSecrets, StatementId, chain_id,
};

const VERSION: u8 = 2;
/// Bytes of encoded secrets but for epochs and chains.
const FIXED: usize = 1 + 16 + 3 * 32 + 2 + 2;
/// Bytes of a chain.
const CHAIN: usize = 16 + 16;
/// Bytes of an epoch.
const EPOCH: usize = 32 + 4 + 96;
/// Most chains of one device that are remembered as its own.
pub(crate) const CHAINS_MAX: usize = 16_384;
/// Most epochs: each is one removal of a device.
pub(crate) const EPOCHS_MAX: usize = 8192;

/// Most bytes of encoded secrets.
pub(crate) const BYTES_MAX: usize = FIXED + EPOCH * EPOCHS_MAX + CHAIN * CHAINS_MAX;

/// See the module. Keys are types that wipe themselves.
pub(crate) struct Secrets {
    pub(crate) space: SpaceId,
    pub(crate) signing: SigningKey,
    /// The seed of the transport key.
    pub(crate) transport: Key,
    /// The epoch in which what is new is sealed.
    pub(crate) present: StatementId,
    /// All whose secrets are here, the first one first. There is one at least.
    pub(crate) epochs: Vec<EpochKeys>,
    /// Chains of this device, the present one last.
    pub(crate) chains: Vec<OwnChain>,
}

/// A chain of this device: what was said of it can be said again, should it be lost before others have it.
#[derive(Clone, Copy)]
pub(crate) struct OwnChain {
    pub(crate) id: ChainId,
    /// What its id was made of, with the key that the device had then. It is no secret.
    pub(crate) random: [u8; 16],
}

impl Secrets {
    /// Founds a space; with what the device says of it: that there is one, and its chain.
    pub(crate) fn found(name: DeviceName) -> (Secrets, Members) {
        let (signing, transport) = (SigningKey::generate(), SigningKey::generate());
        let secrets = SpaceSecrets::random();
        let card = Card::make(&signing, &transport, name);
        let (members, founded) = Members::found(&signing, card, &secrets);
        let mut founded = (
            Secrets {
                space: founded.space(),
                signing,
                transport: transport.seed(),
                present: founded.id(),
                epochs: vec![EpochKeys::new(founded.id(), 0, secrets)],
                chains: Vec::new(),
            },
            members,
        );
        founded.0.begin_chain(&mut founded.1);
        founded
    }

    /// A second copy. Not `Clone`, so that it is never done unawares.
    pub(crate) fn duplicate(&self) -> Secrets {
        Secrets {
            space: self.space,
            signing: SigningKey::from_seed(self.signing.seed()),
            transport: self.transport.duplicate(),
            present: self.present,
            epochs: self.epochs.iter().map(EpochKeys::duplicate).collect(),
            chains: self.chains.clone(),
        }
    }

    /// The present chain.
    pub(crate) fn chain(&self) -> ChainId {
        self.chains
            .last()
            .expect("a device has a chain: made with one, decoded with one at least")
            .id
    }

    /// Whether a chain is this device's.
    pub(crate) fn is_own(&self, chain: &ChainId) -> bool {
        self.chains.iter().any(|own| own.id == *chain)
    }

    /// This device.
    pub(crate) fn device(&self) -> DeviceId {
        DeviceId::of(&self.signing)
    }

    /// A copy becomes a device of its own: the one that it is a copy of adds it, by the key that both have. A copy of a
    /// device that is none of the space's any more is none either; it has to be paired.
    pub(crate) fn become_another(&mut self, members: &mut Members) {
        let (signing, transport) = (SigningKey::generate(), SigningKey::generate());
        let card = Card::make(&signing, &transport, machine_name());
        let joining = JoinRequest::make(&signing, card, self.space, self.device());
        let added = members.add(&self.signing, joining, &self.shared_keys());
        for said in added.unwrap_or_default() {
            let _ = members.insert(said);
        }
        (self.signing, self.transport) = (signing, transport.seed());
    }

    /// Whether it has the keys of this epoch.
    pub(crate) fn has(&self, epoch: &StatementId) -> bool {
        self.epochs.iter().any(|known| known.id == *epoch)
    }

    /// The keys of all epochs, as a new device is given them.
    pub(crate) fn shared_keys(&self) -> Vec<(StatementId, SpaceSecrets)> {
        let each = |epoch: &EpochKeys| (epoch.id, epoch.secrets.duplicate());
        self.epochs.iter().map(each).collect()
    }

    /// Begins another chain, and says so. A device that is none of the space's any more tells its events to itself.
    pub(crate) fn begin_chain(&mut self, members: &mut Members) {
        let random = random_bytes::<16>();
        if self.chains.len() >= CHAINS_MAX {
            self.chains.remove(0);
        }
        let id = chain_id(self.space, self.device(), &random);
        self.chains.push(OwnChain { id, random });
        if let Ok(said) = members.tell(&self.signing, Body::Chain { random }) {
            // Only where there is no room for any statement more is it not taken: then it counts nowhere, as said.
            let _ = members.insert(said);
        }
    }

    /// The keys of all epochs. `members` says which others there are.
    pub(crate) fn keyring(&self, members: &Members) -> Keyring {
        let held = |id: &StatementId| self.epochs.iter().any(|epoch| epoch.id == *id);
        let all = members.state().epochs().iter();
        let lacking = all.filter(|epoch| !held(&epoch.id));
        let lacking = lacking.map(|epoch| tag_of(epoch.number, &epoch.id)).collect();
        let epochs = self.epochs.iter().map(EpochKeys::duplicate).collect();
        Keyring::new(epochs, self.present, lacking).expect("a device has the keys of one epoch at least")
    }

    /// Takes what statements give this device of epochs, and goes over to the present one. Whether anything is other than it was.
    pub(crate) fn learn(&mut self, members: &Members) -> bool {
        let held = |id: &StatementId| self.epochs.iter().any(|epoch| epoch.id == *id);
        let mut changed = false;
        for (id, opened) in members.open_shares(&self.signing, &held) {
            let epoch = members.state().epoch_of(&id);
            if let (Ok(secrets), Some(epoch)) = (opened, epoch) {
                self.epochs.push(EpochKeys::new(id, epoch.number, secrets));
                changed = true;
            }
        }
        // Somebody who begins epochs without end must not keep the one that counts from being taken: of those that are no
        // longer needed most, the latest go.
        while self.epochs.len() > EPOCHS_MAX {
            let present = members.state().epoch().map(|epoch| epoch.id);
            let last = self.epochs.iter().rposition(|epoch| Some(epoch.id) != present);
            match last {
                Some(at) => drop(self.epochs.remove(at)),
                None => break,
            }
        }
        self.epochs.sort_by_key(|epoch| (epoch.number, epoch.id));
        let present = members.state().epoch().map(|epoch| epoch.id);
        if let Some(present) = present.filter(|id| *id != self.present)
            && self.epochs.iter().any(|epoch| epoch.id == present)
        {
            self.present = present;
            changed = true;
        }
        changed
    }

    pub(crate) fn encode(&self) -> zeroize::Zeroizing<Vec<u8>> {
        // Room from the start: growing would leave keys behind in freed memory.
        let mut w = Writer(Vec::with_capacity(
            FIXED + EPOCH * self.epochs.len() + CHAIN * self.chains.len(),
        ));
        w.u8(VERSION).raw(&self.space.0);
        w.raw(self.signing.seed().expose()).raw(self.transport.expose());
        w.raw(&self.present.0);
        w.u16(u16::try_from(self.epochs.len()).expect("epochs are bounded"));
        for epoch in &self.epochs {
            w.raw(&epoch.id.0).u32(epoch.number).raw(&*epoch.secrets.expose());
        }
        w.u16(u16::try_from(self.chains.len()).expect("chains are bounded"));
        for chain in &self.chains {
            w.raw(&chain.id.0).raw(&chain.random);
        }
        zeroize::Zeroizing::new(w.0)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Secrets, Malformed> {
        let mut r = Reader::new(bytes);
        if r.u8()? != VERSION {
            return Err(Malformed("secrets of an unknown version"));
        }
        let space = SpaceId(r.array()?);
        let mut key = || -> Result<Key, Malformed> { Ok(Key::take(&mut r.array()?)) };
        let (seed, transport) = (key()?, key()?);
        let present = StatementId(r.array()?);
        let count = r.u16()?;
        let mut epochs = Vec::new();
        for _ in 0..count {
            let (id, number) = (StatementId(r.array()?), r.u32()?);
            let bytes = zeroize::Zeroizing::new(r.array()?);
            epochs.push(EpochKeys::new(id, number, SpaceSecrets::take(&bytes)));
        }
        if epochs.is_empty() || epochs.len() > EPOCHS_MAX {
            return Err(Malformed("a device without keys, or with too many"));
        }
        let count = r.u16()?;
        let mut chain = || -> Result<OwnChain, Malformed> {
            Ok(OwnChain {
                id: ChainId(r.array()?),
                random: r.array()?,
            })
        };
        let chains = (0..count)
            .map(|_| chain())
            .collect::<Result<Vec<_>, Malformed>>()?;
        if chains.is_empty() || chains.len() > CHAINS_MAX {
            return Err(Malformed("a device without a chain, or with too many"));
        }
        r.end()?;
        Ok(Secrets {
            space,
            signing: SigningKey::from_seed(seed),
            transport,
            present,
            epochs,
            chains,
        })
    }
}

/// What this machine is called, as a device's name.
pub fn machine_name() -> DeviceName {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let short: String = name.chars().take(60).collect();
    DeviceName::new(short.trim()).unwrap_or_else(|_| DeviceName::new("device").expect("it is a name"))
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
