//! What membership says of a device that is connected: which chains are its, and how far it is let in.

use std::collections::BTreeSet;
use std::sync::Arc;

use coffer_store::ids::ChainId;

use super::{PeerId, StatementId};

/// How far a device is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A member: everything.
    Full,
    /// It was removed by devices that are junior to it alone, and may object: it brings and gets statements of
    /// membership, and nothing else.
    Statements,
    /// It was removed by this statement, and may not have heard of it: it is given that, with all that it stands on, and sent away. Nothing is
    /// taken from it.
    Farewell(StatementId),
}

/// Whose chains are whose, for a device that the transport has proven.
#[derive(Clone, Debug, Default)]
pub struct CertifiedPeer {
    /// The chains that membership holds to be this device's.
    pub chains: BTreeSet<ChainId>,
    /// All chains that membership holds to be anybody's, those of this device and of the one that it is connected
    /// with among them.
    pub all: Arc<BTreeSet<ChainId>>,
}

impl CertifiedPeer {
    /// Whether a chain is this device's.
    pub(crate) fn owns(&self, chain: &ChainId) -> bool {
        self.chains.contains(chain)
    }

    /// Whether a chain is another device's; one that is new is nobody's yet.
    pub(crate) fn is_anothers(&self, chain: &ChainId) -> bool {
        self.all.contains(chain) && !self.chains.contains(chain)
    }
}

/// What membership says of a device now.
#[derive(Clone, Debug)]
pub struct Standing {
    /// This one.
    pub peer: PeerId,
    /// Its chains.
    pub certified: CertifiedPeer,
    /// How far it is let in. Who is no member at all is [expelled](super::Node::expel).
    pub access: Access,
}
