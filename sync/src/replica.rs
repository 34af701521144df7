//! What the network asks of the vault that it serves.
//!
//! Guarantees: nothing here names the network, and nothing secret but the keys that a member needs to speak goes
//! through it. It never says what becomes of an event: that is the vault's.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use coffer_store::ids::{ChainId, EntityId, SpaceId};
use coffer_store::keys::{Key, SigningKey};
use coffer_store::members::{self, Device, DeviceId, JoinRequest, Members, SpaceSecrets, StatementId};
use coffer_store::vault::Carried;

pub use crate::core::Access;
use crate::core::{Answer, CertifiedPeer, ChunkName, Config, Report, Request, Standing};

/// A vault as the network sees it. Methods may take as long as a disk takes: they are called from threads of their own
/// ([`roster`](Replica::roster) apart, which is cheap), never from those that serve the network.
pub trait Replica: Send + Sync + 'static {
    /// The space that it belongs to.
    fn space(&self) -> SpaceId;

    /// This device's identity, a duplicate.
    fn device(&self) -> SigningKey;

    /// The seed of this device's transport key.
    fn transport(&self) -> Key;

    /// What the protocol begins with: clock, newest statements, own chain, what is kept.
    ///
    /// # Errors
    /// A sentence, if it cannot be read.
    fn config(&self) -> Result<Config, String>;

    /// Who may come in.
    fn roster(&self) -> Roster;

    /// Does what the protocol asks of the store.
    fn answer(&self, request: Request) -> Answer;

    /// What this device told on its present chain after this event; moves the number on. It is called with 0 when another
    /// chain was begun.
    ///
    /// # Errors
    /// A sentence, if it cannot be read.
    fn news(&self, after: &mut u64) -> Result<Vec<Arc<Carried>>, String>;

    /// The secret from which what members look each other up by is made, of one period; of the present epoch.
    fn rendezvous(&self, period: u64) -> Key;

    /// Adds a device, durably, with the secrets of all epochs.
    ///
    /// # Errors
    /// A sentence that says why it was not added.
    fn admit(&self, joining: JoinRequest) -> Result<StatementId, String>;

    /// Removes a device that was added and has nothing.
    ///
    /// # Errors
    /// A sentence that says why it was not removed.
    fn take_back(&self, device: DeviceId) -> Result<(), String>;

    /// The secrets of all epochs, which a new device is given.
    fn keyring(&self) -> Vec<(StatementId, SpaceSecrets)>;

    /// Lets the statements be looked at.
    fn with_members(&self, look: &mut dyn FnMut(&Members));

    /// Something is to be told, or somebody waits for it. Called by the thread that serves the network: it returns at once.
    fn heard(&self, report: &Report) {
        let _ = report;
    }

    /// Has this called after each change, from any thread. It returns at once, and takes no lock of the vault.
    fn subscribe(&self, wake: Box<dyn Fn(Change) + Send + Sync>);
}

/// Called with a chunk's name and sealed length; false: enough.
pub type EachChunk<'a> = &'a mut dyn FnMut(ChunkName, usize) -> bool;

/// Chunks that are wanted (name, sealed length, whether it names others), and the bytes of those beyond.
pub type Lacking = (Vec<(ChunkName, u32, bool)>, u64);

/// What a carried folder asks of a vault beyond that.
pub trait Carries: Replica {
    /// Tells what is at rest, and makes all that was told or taken durable.
    ///
    /// # Errors
    /// A sentence, if it cannot.
    fn settle(&self) -> Result<(), String>;

    /// Chunks that are wanted here whatever the network costs by the byte, at most so many.
    ///
    /// # Errors
    /// A sentence, if it cannot be read.
    fn wanted(&self, most: usize) -> Result<Lacking, String>;

    /// Whether a chunk that is here is of a file that is no text: who keeps names and texts has no need of it.
    fn is_bulk(&self, id: &ChunkName) -> bool;

    /// Chunks that are here and that versions of these entities name, told after these events; the newest versions' first.
    ///
    /// # Errors
    /// A sentence, if it cannot be read.
    fn chunks_told(
        &self,
        entities: &HashSet<EntityId>,
        after: &HashMap<ChainId, u64>,
        each: EachChunk<'_>,
    ) -> Result<(), String>;
}

/// What changed in a vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// This device told something.
    Told,
    /// There are other statements of membership.
    Members,
    /// Other chunks are wanted.
    Chunks,
    /// This device tells on another chain.
    Own,
    /// Somebody waits for a chunk of about so many bytes.
    Want(ChunkName, u32),
    /// Nobody waits for a chunk any more.
    Unwant(ChunkName),
}

/// A device that may come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RosterMember {
    /// Its identity.
    pub device: DeviceId,
    /// The transport key that speaks for it.
    pub transport: [u8; 32],
    /// Its name.
    pub name: String,
    /// The chains on which it tells.
    pub chains: Vec<ChainId>,
    /// What it may do.
    pub access: Access,
}

/// Who is who.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster {
    /// This device.
    pub me: DeviceId,
    /// Those who may come in.
    pub members: Vec<RosterMember>,
    /// Those that were removed, and are let in to be told so.
    pub removed: Vec<RosterMember>,
    /// All chains that any device has begun.
    pub chains: Arc<BTreeSet<ChainId>>,
}

impl RosterMember {
    /// What membership says of it, for the protocol.
    pub fn standing(&self, all: &Arc<BTreeSet<ChainId>>) -> Standing {
        Standing {
            peer: self.device.0,
            certified: CertifiedPeer {
                chains: self.chains.iter().copied().collect(),
                all: all.clone(),
            },
            access: self.access,
        }
    }
}

impl Roster {
    /// All present members, and those who may object to their removal, as the statements say.
    pub fn of(me: DeviceId, members: &Members) -> Roster {
        let state = members.state();
        let member = |device: &Device| {
            // Where two would claim one transport key, it speaks for one of them alone.
            let (speaks, access) = state.may_speak(&device.transport)?;
            (speaks == device.id).then(|| RosterMember {
                device: device.id,
                transport: device.transport,
                name: device.name.to_string(),
                chains: state.chains_of(&device.id),
                access: match access {
                    members::Access::Full => Access::Full,
                    members::Access::Statements => Access::Statements,
                },
            })
        };
        // One that may still speak for somebody is no removed device's.
        let removed = |device: &Device| match device.standing {
            members::Standing::Removed(removal) if state.may_speak(&device.transport).is_none() => {
                Some(RosterMember {
                    device: device.id,
                    transport: device.transport,
                    name: device.name.to_string(),
                    chains: state.chains_of(&device.id),
                    access: Access::Farewell(removal.statement.0),
                })
            }
            _ => None,
        };
        Roster {
            me,
            removed: state.devices().iter().filter_map(removed).collect(),
            members: state.devices().iter().filter_map(member).collect(),
            chains: Arc::new(
                state
                    .devices()
                    .iter()
                    .flat_map(|device| state.chains_of(&device.id))
                    .collect(),
            ),
        }
    }
}
