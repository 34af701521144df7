//! The statements of one space, as far as this device has them: taking them in, and giving them out.
//!
//! Guarantees: what is in it has all its ancestors in it, and follows from them in time; memory is bounded. What was said by a
//! device that none of the statement's ancestors adds never comes in. Whether a statement counts is decided elsewhere.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::OnceLock;

use super::body::Body;
use super::statement::{DeviceId, StatementId, Verified};
use super::{BYTES_MAX, EDGES_MAX, STATEMENTS_MAX, State, WAITING_MAX, evaluate};
use crate::ids::SpaceId;

/// How long all that wait are together, in bytes.
const WAITING_BYTES: usize = BYTES_MAX / 8;

/// What became of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It is in, and so are these: it first, then what had waited for it, in an order in which they can be taken in.
    Taken(Vec<StatementId>),
    /// It was there already, or waits already.
    Known,
    /// It waits until what it stands on is there. It is kept in memory only.
    Waits,
}

/// Why a statement was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is about another space.
    #[error("a statement about devices belongs to another vault")]
    OtherSpace,
    /// Nothing that it stands on makes its author a member.
    #[error("a statement about the vault's devices is from one that nobody has added")]
    Stranger,
    /// Its Lamport time, or its epoch's number, does not follow from what it stands on.
    #[error("a statement about the vault's devices does not follow from those that it stands on")]
    Time,
    /// There is no room for more.
    #[error(
        "there are more statements about this vault's devices than any vault can have; found a new vault and bring the files over"
    )]
    Full,
    /// Too many wait for others.
    #[error(
        "too many statements about the vault's devices wait for others that did not come; they are asked for again later"
    )]
    TooManyWaiting,
}

/// A statement whose ancestors are not all here.
struct Waiting {
    verified: Verified,
    /// Its bytes.
    len: usize,
    /// Who brought it.
    from: u64,
}

/// A statement with what its place says.
pub(super) struct Node {
    pub(super) verified: Verified,
    /// Numbers of its parents in [`Members::nodes`].
    pub(super) parents: Vec<u32>,
    /// The highest epoch among it and its ancestors.
    pub(super) epoch: u32,
}

/// All statements of a space that this device has, in an order in which they can be taken in.
pub struct Members {
    space: SpaceId,
    pub(super) nodes: Vec<Node>,
    places: HashMap<StatementId, u32>,
    heads: BTreeSet<StatementId>,
    bytes: usize,
    edges: usize,
    waiting: HashMap<StatementId, Waiting>,
    state: OnceLock<State>,
}

impl Members {
    /// Nothing yet of this space.
    pub fn of(space: SpaceId) -> Members {
        Members {
            space,
            nodes: Vec::new(),
            places: HashMap::new(),
            heads: BTreeSet::new(),
            bytes: 0,
            edges: 0,
            waiting: HashMap::new(),
            state: OnceLock::new(),
        }
    }

    /// The space.
    pub fn space(&self) -> SpaceId {
        self.space
    }

    /// Takes a statement in, and whatever waited for it.
    ///
    /// # Errors
    /// [`Refused`]; then nothing has changed.
    pub fn insert(&mut self, verified: Verified) -> Result<Inserted, Refused> {
        self.insert_from(verified, 0)
    }

    /// The same, of somebody who may go without sending what it stands on ([`forget_waiting`](Members::forget_waiting)). Where there is no room for
    /// what waits, that of who has brought the most of it gives way, if that is somebody else: so nobody takes all of it.
    ///
    /// # Errors
    /// [`Refused`]; then nothing has changed.
    pub fn insert_from(&mut self, verified: Verified, from: u64) -> Result<Inserted, Refused> {
        let id = verified.id();
        if self.places.contains_key(&id) || self.waiting.contains_key(&id) {
            return Ok(Inserted::Known);
        }
        if verified.space() != self.space {
            return Err(Refused::OtherSpace);
        }
        if !self.ready(&verified) {
            let len = verified.statement().encode().len();
            while self.waiting.len() >= WAITING_MAX || self.waiting_bytes() + len > WAITING_BYTES {
                match self.has_most_waiting() {
                    Some(most) if most != from => self.forget_waiting(most),
                    _ => return Err(Refused::TooManyWaiting),
                }
            }
            self.waiting.insert(id, Waiting { verified, len, from });
            return Ok(Inserted::Waits);
        }
        self.take(verified)?;
        let mut taken = vec![id];
        let mut next = 0;
        while let Some(id) = taken.get(next).copied() {
            next += 1;
            let children = self
                .waiting
                .values()
                .map(|waiting| &waiting.verified)
                .filter(|w| w.statement().parents.contains(&id) && self.ready(w));
            for id in children.map(Verified::id).collect::<BTreeSet<_>>() {
                // What is refused now that it could be taken is gone: it would be refused by every device.
                if let Some(waited) = self.waiting.remove(&id)
                    && self.take(waited.verified).is_ok()
                {
                    taken.push(id);
                }
            }
        }
        Ok(Inserted::Taken(taken))
    }

    fn ready(&self, verified: &Verified) -> bool {
        verified
            .statement()
            .parents
            .iter()
            .all(|id| self.places.contains_key(id))
    }

    fn take(&mut self, verified: Verified) -> Result<(), Refused> {
        let statement = verified.statement();
        let parents: Vec<u32> = statement
            .parents
            .iter()
            .filter_map(|id| self.places.get(id).copied())
            .collect();
        let up = |of: fn(&Node) -> u64| {
            parents
                .iter()
                .map(|p| of(&self.nodes[*p as usize]))
                .max()
                .unwrap_or(0)
        };
        let known = up(|node| node.epoch.into());
        let epoch = match &statement.body {
            Body::Epoch { number, .. } => u64::from(*number),
            _ => known,
        };
        let new = matches!(statement.body, Body::Epoch { .. });
        let lamport = up(|node| node.verified.statement().lamport);
        if lamport.checked_add(1) != Some(statement.lamport) || (new && epoch != known + 1) {
            return Err(Refused::Time);
        }
        if !matches!(statement.body, Body::Founded { .. }) && !self.knows(&parents, statement.author) {
            return Err(Refused::Stranger);
        }
        let len = statement.encode().len();
        if self.nodes.len() >= STATEMENTS_MAX
            || self.bytes + len > BYTES_MAX
            || self.edges + parents.len() > EDGES_MAX
        {
            return Err(Refused::Full);
        }
        let place = u32::try_from(self.nodes.len()).map_err(|_| Refused::Full)?;
        self.bytes += len;
        self.edges += parents.len();
        for parent in &statement.parents {
            self.heads.remove(parent);
        }
        self.heads.insert(verified.id());
        self.places.insert(verified.id(), place);
        let epoch = u32::try_from(epoch).map_err(|_| Refused::Time)?;
        self.nodes.push(Node {
            verified,
            parents,
            epoch,
        });
        self.state = OnceLock::new();
        Ok(())
    }

    /// Whether among these and their ancestors one adds this device. It ends at the first statement that is the device's own:
    /// that one was looked at like this when it came.
    fn knows(&self, parents: &[u32], device: DeviceId) -> bool {
        let (mut left, mut seen) = (parents.to_vec(), HashSet::new());
        while let Some(place) = left.pop() {
            let node = &self.nodes[place as usize];
            let statement = node.verified.statement();
            let adds = matches!(&statement.body, Body::Added(joining) if joining.device == device);
            if adds || statement.author == device {
                return true;
            }
            left.extend(node.parents.iter().filter(|parent| seen.insert(**parent)));
        }
        false
    }

    /// What no other statement here stands on: these say all that this device knows. Ascending.
    pub fn heads(&self) -> impl ExactSizeIterator<Item = StatementId> {
        self.heads.iter().copied()
    }

    /// What waiting statements stand on and is not here, to be asked for. Ascending.
    pub fn missing(&self) -> Vec<StatementId> {
        let named = self
            .waiting
            .values()
            .flat_map(|waiting| &waiting.verified.statement().parents);
        let absent = named.filter(|id| !self.places.contains_key(id) && !self.waiting.contains_key(id));
        absent.copied().collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Drops what waits of what one has brought: it has gone without sending what that stands on.
    pub fn forget_waiting(&mut self, from: u64) {
        self.waiting.retain(|_, waiting| waiting.from != from);
    }

    /// How many statements wait for what they stand on.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn waiting_bytes(&self) -> usize {
        self.waiting.values().map(|waiting| waiting.len).sum()
    }

    /// Who has brought the most of what waits, in bytes; each counts for a share of the room at least.
    fn has_most_waiting(&self) -> Option<u64> {
        let mut shares: BTreeMap<u64, usize> = BTreeMap::new();
        for waiting in self.waiting.values() {
            *shares.entry(waiting.from).or_default() += waiting.len.max(WAITING_BYTES / WAITING_MAX);
        }
        let most = shares.into_iter().max_by_key(|(_, share)| *share);
        most.map(|(from, _)| from)
    }

    /// A statement that is in.
    pub fn get(&self, id: &StatementId) -> Option<&Verified> {
        self.places
            .get(id)
            .map(|place| &self.nodes[*place as usize].verified)
    }

    /// All statements that are in, in an order in which they can be taken in.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Verified> {
        self.nodes.iter().map(|node| &node.verified)
    }

    /// How many statements are in.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether none is in: not even the one that founds the space.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// How long all that are in are together, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// What they come to. Computed when it is first asked for after something came.
    pub fn state(&self) -> &State {
        self.state.get_or_init(|| evaluate::evaluate(self.nodes.iter()))
    }

    /// What they would come to with these, each of which stands on what is in or on ones before it.
    pub(super) fn state_with(&self, said: &[Verified]) -> State {
        let mut places: HashMap<StatementId, u32> = HashMap::new();
        let mut more: Vec<Node> = Vec::with_capacity(said.len());
        for verified in said {
            let place = |id: &StatementId| places.get(id).or_else(|| self.places.get(id)).copied();
            let parents = verified.statement().parents.iter().filter_map(place).collect();
            places.insert(verified.id(), (self.nodes.len() + more.len()) as u32);
            more.push(Node {
                verified: verified.clone(),
                parents,
                // Asked of what is in only.
                epoch: 0,
            });
        }
        evaluate::evaluate(self.nodes.iter().chain(&more))
    }

    /// Whether a statement is an ancestor of another one; both are in.
    pub fn is_before(&self, earlier: &StatementId, later: &StatementId) -> bool {
        let place = |id: &StatementId| self.places.get(id).copied();
        let (Some(earlier), Some(later)) = (place(earlier), place(later)) else {
            return false;
        };
        // What comes in stands behind what it stands on.
        let (mut open, mut seen) = (vec![later], HashSet::new());
        while let Some(at) = open.pop() {
            let parents = self.nodes[at as usize].parents.iter().copied();
            for parent in parents.filter(|parent| *parent >= earlier) {
                if parent == earlier {
                    return true;
                }
                if seen.insert(parent) {
                    open.push(parent);
                }
            }
        }
        false
    }

    /// Whether some statement here adds this device, whether it counts or not.
    pub(super) fn adds(&self, device: &DeviceId) -> bool {
        self.iter()
            .any(|said| matches!(&said.statement().body, Body::Added(joining) if joining.device == *device))
    }

    pub(super) fn place(&self, id: &StatementId) -> Option<&Node> {
        self.places.get(id).map(|place| &self.nodes[*place as usize])
    }
}
