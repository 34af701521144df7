//! A store in memory, by the rules of the real one's `take_in`: a batch follows the chain's last one, is signed,
//! and is too early while what it builds on, or the statement that its chain is a member's, is not here. What it
//! has said that it took is durable.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use coffer_store::chunk::Place;
use coffer_store::codec::{Reader, Writer};
use coffer_store::event::BatchRow;
use coffer_store::ids::{ChainId, SpaceId};
use coffer_store::vault::Carried;
use coffer_sync::core::{
    Answer, CertifiedPeer, ChunkName, ChunkOutcome, Config, Outcome, PeerId, Policy, Request, SessionId,
    StatementId, StatementOutcome, Urgency,
};

use super::Dice;

/// The first byte of a statement in a form that only later programs know.
pub const LATER: u8 = 0xff;
pub const SPACE: SpaceId = SpaceId([7; 16]);

/// What a batch of the model says.
struct Says {
    prev: [u8; 32],
    lamport: u64,
    replaces: Vec<(ChainId, u64)>,
    roots: Vec<ChunkName>,
}

fn says(bytes: &[u8]) -> Says {
    let mut r = Reader::new(bytes);
    let (prev, lamport) = (r.array().unwrap(), r.u64().unwrap());
    let replaces = (0..r.u8().unwrap())
        .map(|_| (ChainId(r.array().unwrap()), r.u64().unwrap()))
        .collect();
    let roots = (0..r.u8().unwrap()).map(|_| r.array().unwrap()).collect();
    Says {
        prev,
        lamport,
        replaces,
        roots,
    }
}

fn signature(row: &BatchRow) -> [u8; 64] {
    let last = row.last().unwrap();
    let mut out = [0; 64];
    let mut hasher = blake3::Hasher::new_keyed(&[9; 32]);
    hasher.update(&BatchRow::signed(row.chain, last, &row.head));
    hasher.finalize_xof().fill(&mut out);
    out
}

pub fn name_of(bytes: &[u8]) -> ChunkName {
    *blake3::keyed_hash(&[5; 32], bytes).as_bytes()
}

#[derive(Clone)]
pub struct Store {
    pub own: ChainId,
    pub policy: Policy,
    pub lamport: u64,
    pub chains: BTreeMap<ChainId, Vec<Arc<Carried>>>,
    pub statements: BTreeMap<StatementId, Arc<[u8]>>,
    /// In the order in which they came.
    pub order: Vec<StatementId>,
    /// Those that wait for what they follow.
    pub waiting: Vec<(SessionId, Arc<[u8]>)>,
    /// Chains, and whose they are.
    pub members: BTreeMap<ChainId, PeerId>,
    pub me: PeerId,
    pub chunks: BTreeMap<ChunkName, Arc<[u8]>>,
    /// Whether it was said that this store is older than what others know.
    pub is_old: bool,
    /// How often what may be tried again was too early.
    pub too_early: u64,
}

impl Store {
    pub fn new(own: ChainId, policy: Policy) -> Store {
        Store {
            own,
            policy,
            lamport: 0,
            chains: BTreeMap::new(),
            statements: BTreeMap::new(),
            order: Vec::new(),
            waiting: Vec::new(),
            members: BTreeMap::new(),
            me: [1; 32],
            chunks: BTreeMap::new(),
            is_old: false,
            too_early: 0,
        }
    }

    pub fn config(&self) -> Config {
        Config {
            space: SPACE,
            own: self.own,
            policy: self.policy,
            clock: self
                .clock()
                .into_iter()
                .map(|(id, (last, head))| (id, last, head))
                .collect(),
            heads: self.heads(),
        }
    }

    pub fn clock(&self) -> BTreeMap<ChainId, (u64, [u8; 32])> {
        let last = |all: &Vec<Arc<Carried>>| all.last().map(|b| (b.row.last().unwrap(), b.row.head));
        self.chains
            .iter()
            .filter_map(|(id, all)| Some((*id, last(all)?)))
            .collect()
    }

    fn last(&self, chain: &ChainId) -> (u64, [u8; 32]) {
        self.clock_of(chain).unwrap_or_default()
    }

    fn clock_of(&self, chain: &ChainId) -> Option<(u64, [u8; 32])> {
        let last = self.chains.get(chain)?.last()?;
        Some((last.row.last().unwrap(), last.row.head))
    }

    /// Makes a batch that builds on some of what is here, with bytes of this length beside, and these roots.
    pub fn tell(&mut self, dice: &mut Dice, len: usize, roots: &[ChunkName]) -> Arc<Carried> {
        let (last, prev) = self.last(&self.own);
        self.lamport += 1;
        let clock: Vec<_> = self.clock().into_iter().collect();
        let mut w = Writer::new();
        w.raw(&prev).u64(self.lamport);
        let replaces = dice.below(4).min(clock.len() as u64);
        w.u8(replaces as u8);
        for _ in 0..replaces {
            let (chain, (last, _)) = clock[dice.below(clock.len() as u64) as usize];
            w.raw(&chain.0).u64(1 + dice.below(last));
        }
        w.u8(roots.len() as u8);
        roots.iter().for_each(|root| {
            w.raw(root);
        });
        w.raw(&dice.blob(len));
        let bytes = w.0;
        let count = 1 + dice.below(5) as u32;
        let mut row = BatchRow {
            place: Place {
                pack: 1,
                offset: 0,
                len: bytes.len() as u32,
            },
            chain: self.own,
            first: last + 1,
            count,
            head: *blake3::hash(&bytes).as_bytes(),
            signature: [0; 64],
            holes: Vec::new(),
        };
        row.signature = signature(&row);
        let batch = Arc::new(Carried { row, bytes });
        self.chains.entry(self.own).or_default().push(batch.clone());
        batch
    }

    /// Stores a manifest over leaves of these lengths; its name.
    pub fn add_file(&mut self, dice: &mut Dice, leaves: &[usize]) -> ChunkName {
        let mut manifest = b"M".to_vec();
        for len in leaves {
            let leaf = [b"L".to_vec(), dice.blob(*len)].concat();
            manifest.extend(name_of(&leaf));
            self.chunks.insert(name_of(&leaf), leaf.into());
        }
        let name = name_of(&manifest);
        self.chunks.insert(name, manifest.into());
        name
    }

    /// States that a chain is a member's, after all that is known: its own, or that of the other one of two.
    pub fn state(&mut self, dice: &mut Dice, chain: ChainId) {
        let owner = if chain == self.own { self.me } else { [2; 32] };
        self.state_of(dice, chain, owner);
    }

    /// What is said of a peer.
    pub fn certified(&self, peer: PeerId) -> CertifiedPeer {
        let of = self.members.iter().filter(|(_, owner)| **owner == peer);
        CertifiedPeer {
            chains: of.map(|(chain, _)| *chain).collect(),
            all: Arc::new(self.members.keys().copied().collect()),
        }
    }

    pub fn state_of(&mut self, dice: &mut Dice, chain: ChainId, owner: PeerId) {
        let heads = self.heads();
        let mut w = Writer::new();
        w.u8(heads.len() as u8);
        heads.iter().for_each(|head| {
            w.raw(head);
        });
        w.raw(&chain.0).raw(&owner).raw(&dice.blob(32));
        self.take_statement(SessionId(0), w.0.into());
    }

    /// This device tells on another chain from now on.
    pub fn begin(&mut self, dice: &mut Dice) -> ChainId {
        self.own = ChainId(dice.bytes());
        self.is_old = false;
        self.state(dice, self.own);
        self.own
    }

    pub fn heads(&self) -> Vec<StatementId> {
        let parents: BTreeSet<StatementId> = self.statements.values().flat_map(|s| parents(s)).collect();
        let all = self.statements.keys().filter(|id| !parents.contains(*id));
        all.copied().collect()
    }

    fn take_statement(&mut self, from: SessionId, bytes: Arc<[u8]>) -> StatementOutcome {
        let id = *blake3::hash(&bytes).as_bytes();
        if self.statements.contains_key(&id) {
            return StatementOutcome::Known;
        }
        if bytes[0] == LATER {
            return StatementOutcome::Newer("a later program made it".into());
        }
        if !parents(&bytes)
            .iter()
            .all(|parent| self.statements.contains_key(parent))
        {
            self.waiting.push((from, bytes));
            return StatementOutcome::Known;
        }
        let mut r = Reader::new(&bytes[1 + 32 * usize::from(bytes[0])..]);
        let (chain, owner) = (ChainId(r.array().unwrap()), r.array().unwrap());
        self.members.insert(chain, owner);
        self.statements.insert(id, bytes);
        self.order.push(id);
        for (from, waiting) in std::mem::take(&mut self.waiting) {
            self.take_statement(from, waiting);
        }
        StatementOutcome::Taken(self.heads())
    }

    /// All chunks that are to be here and are not, manifests first.
    pub fn missing(&self) -> Vec<ChunkName> {
        if self.policy != Policy::Everything {
            return Vec::new();
        }
        let mut missing = BTreeSet::new();
        let mut order = Vec::new();
        let roots = self
            .chains
            .values()
            .flatten()
            .flat_map(|batch| says(&batch.bytes).roots);
        for root in roots {
            let names = match self.chunks.get(&root) {
                None => vec![root],
                Some(manifest) => manifest[1..].chunks(32).map(|n| n.try_into().unwrap()).collect(),
            };
            for name in names {
                if !self.chunks.contains_key(&name) && missing.insert(name) {
                    order.push(name);
                }
            }
        }
        order
    }

    pub fn take_in(&mut self, batch: &Arc<Carried>) -> Outcome {
        let row = &batch.row;
        if row.signature != signature(row) || row.head != *blake3::hash(&batch.bytes).as_bytes() {
            return Outcome::Forged("it is not what was signed".into());
        }
        if row.chain == self.own {
            return Outcome::Own;
        }
        let says = says(&batch.bytes);
        let (last, head) = self.last(&row.chain);
        if !self.members.contains_key(&row.chain) {
            self.too_early += 1;
            return Outcome::TooEarly;
        }
        if row.first <= last {
            let known = self.chains.get(&row.chain).into_iter().flatten();
            return match known
                .into_iter()
                .any(|b| (b.row.first, b.row.head) == (row.first, row.head))
            {
                true => Outcome::Known,
                false => Outcome::Fork,
            };
        }
        if row.first > last + 1 {
            self.too_early += 1;
            return Outcome::TooEarly;
        }
        if says.prev != head {
            return Outcome::Fork;
        }
        let is_here = |(chain, seq): &(ChainId, u64)| *chain == row.chain || *seq <= self.last(chain).0;
        if !says.replaces.iter().all(is_here) {
            self.too_early += 1;
            return Outcome::TooEarly;
        }
        self.lamport = self.lamport.max(says.lamport);
        self.chains.entry(row.chain).or_default().push(batch.clone());
        Outcome::Taken
    }

    /// What it answers if it cannot do what it is asked; none if there is no way to say so.
    pub fn fail(&self, request: &Request) -> Option<Answer> {
        let why = || "the disk fails".to_owned();
        Some(match request {
            Request::Batches { session, .. } => Answer::Batches {
                session: *session,
                batches: Vec::new(),
            },
            Request::TakeIn(_) => Answer::TakenIn(Outcome::Failed(why())),
            Request::BeginChain => Answer::Began(self.own),
            Request::Statements { session, .. } => Answer::Statements {
                session: *session,
                statements: Vec::new(),
                more: false,
            },
            Request::TakeStatement { session, .. } => Answer::StatementTaken {
                session: *session,
                outcome: StatementOutcome::Failed(why()),
            },
            Request::Chunk { session, id, .. } => Answer::Chunk {
                session: *session,
                id: *id,
                bytes: None,
            },
            Request::TakeChunk { id, .. } => Answer::ChunkTaken {
                id: *id,
                outcome: ChunkOutcome::Failed(why()),
            },
            Request::Held { session, serial, ids } => Answer::Held {
                session: *session,
                serial: *serial,
                held: vec![false; ids.len()],
            },
            Request::Wanted { .. } => Answer::Wanted {
                chunks: Vec::new(),
                beyond: 0,
            },
            Request::ForgetWaiting { .. } => Answer::Forgot,
            Request::Lacking { .. } => return None,
        })
    }

    /// Does what it is asked, durably, and answers.
    pub fn answer(&mut self, dice: &mut Dice, request: Request) -> Answer {
        match request {
            Request::Batches { session, after, most } => {
                let mut all: Vec<&Arc<Carried>> = Vec::new();
                for (chain, after) in after {
                    let of = self.chains.get(&chain).into_iter().flatten();
                    all.extend(of.filter(|batch| batch.row.first > after));
                }
                all.sort_by_key(|batch| (says(&batch.bytes).lamport, batch.row.chain, batch.row.first));
                let mut len = 0;
                let mut fits = |batch: &&Arc<Carried>| {
                    let is_first = len == 0;
                    len += batch.bytes.len();
                    is_first || len <= most
                };
                let batches = all.into_iter().take_while(|batch| fits(batch)).cloned().collect();
                Answer::Batches { session, batches }
            }
            Request::TakeIn(batch) => Answer::TakenIn(self.take_in(&batch)),
            Request::BeginChain => Answer::Began(self.begin(dice)),
            Request::Lacking { session, heads } => {
                let want = heads
                    .into_iter()
                    .filter(|id| !self.statements.contains_key(id))
                    .collect();
                let have = self.heads();
                Answer::Lacking { session, want, have }
            }
            Request::Statements {
                session,
                want,
                have,
                skip,
                most,
            } => {
                let has = self.with_ancestors(&have);
                let wants = self.with_ancestors(&want);
                let all = self
                    .order
                    .iter()
                    .filter(|id| wants.contains(*id) && !has.contains(*id));
                let all: Vec<Arc<[u8]>> = all.skip(skip).map(|id| self.statements[id].clone()).collect();
                let count = (most / 120).max(1);
                let more = all.len() > count;
                let statements = all.into_iter().take(count).collect();
                Answer::Statements {
                    session,
                    statements,
                    more,
                }
            }
            Request::TakeStatement { session, bytes } => {
                let outcome = self.take_statement(session, bytes.into());
                Answer::StatementTaken { session, outcome }
            }
            Request::ForgetWaiting { session } => {
                self.waiting.retain(|(from, _)| *from != session);
                Answer::Forgot
            }
            Request::Chunk { session, id, .. } => {
                let bytes = self.chunks.get(&id).cloned();
                Answer::Chunk { session, id, bytes }
            }
            Request::TakeChunk { id, bytes } => {
                let outcome = match name_of(&bytes) == id {
                    true => ChunkOutcome::Stored,
                    false => ChunkOutcome::Damaged,
                };
                if outcome == ChunkOutcome::Stored {
                    self.chunks.insert(id, bytes.into());
                }
                Answer::ChunkTaken { id, outcome }
            }
            Request::Held { session, serial, ids } => {
                let held = ids.iter().map(|id| self.chunks.contains_key(id)).collect();
                Answer::Held {
                    session,
                    serial,
                    held,
                }
            }
            Request::Wanted { most } => {
                let missing = self.missing();
                let beyond = missing.len().saturating_sub(most) as u64 * 1_000;
                let chunks = missing
                    .into_iter()
                    .take(most)
                    .map(|id| (id, Urgency::Bulk, 1_000));
                Answer::Wanted {
                    chunks: chunks.collect(),
                    beyond,
                }
            }
        }
    }

    fn with_ancestors(&self, of: &[StatementId]) -> BTreeSet<StatementId> {
        let (mut seen, mut next) = (BTreeSet::new(), of.to_vec());
        while let Some(id) = next.pop() {
            if let Some(bytes) = self.statements.get(&id)
                && seen.insert(id)
            {
                next.extend(parents(bytes));
            }
        }
        seen
    }
}

fn parents(statement: &[u8]) -> Vec<StatementId> {
    let count = usize::from(statement[0]);
    statement[1..1 + 32 * count]
        .chunks(32)
        .map(|id| id.try_into().unwrap())
        .collect()
}
