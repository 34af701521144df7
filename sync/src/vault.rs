//! A real vault as the network sees it.
//!
//! Guarantees: each request is answered, whatever the store says; what was taken in is durable when that is said; bulk
//! that comes is made durable every [`KEEP`] bytes, and when no more is lacking. It never asks the network for anything.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use coffer_store::ids::{ChainId, EntityId, SpaceId};
use coffer_store::keys::{ChunkId, Key, SigningKey};
use coffer_store::members::{
    DeviceId, JoinRequest, Members, NAMED_MAX, NotVerified, SpaceSecrets, StatementId,
};
use coffer_store::vault::{
    Carried, ChunkError, Demanded, Keeping, Need, TakeStatementError, TakenStatement, Vault,
};
use parking_lot::RwLock;

use crate::carrier::limits::HEADS_MAX;
use crate::core::limits::IDS_MAX;
use crate::core::{
    Answer, ChunkName, ChunkOutcome, Config, Outcome, Policy, Report, Request, SessionId, StatementOutcome,
    Urgency,
};
use crate::replica::{Carries, Change, EachChunk, Lacking, Replica, Roster};

/// Bytes of chunks that come between two commits.
const KEEP: u64 = 64 << 20;

// What a vault names is what a message, and an index of a carried folder, hold.
const _: () = assert!(IDS_MAX == NAMED_MAX && HEADS_MAX == NAMED_MAX);

type Wake = Box<dyn Fn(Change) + Send + Sync>;

/// See the module.
pub struct VaultReplica {
    vault: Arc<Vault>,
    /// Each byte costs: pieces of files go only where somebody waits for them.
    is_metered: AtomicBool,
    wakes: Arc<RwLock<Vec<Wake>>>,
    /// Bytes of chunks taken since the last commit.
    taken: AtomicU64,
}

fn wake(wakes: &RwLock<Vec<Wake>>, change: Change) {
    wakes.read().iter().for_each(|wake| wake(change));
}

impl VaultReplica {
    /// Of this vault; whoever subscribes is told what it tells until it is dropped.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn new(vault: Arc<Vault>) -> std::io::Result<Arc<VaultReplica>> {
        let wakes: Arc<RwLock<Vec<Wake>>> = Arc::default();
        let (changes, them): (_, Weak<_>) = (vault.subscribe(), Arc::downgrade(&wakes));
        std::thread::Builder::new().name("told".into()).spawn(move || {
            for change in changes {
                let Some(wakes) = them.upgrade() else { return };
                if change.events.1 > 0 {
                    wake(&wakes, Change::Told);
                }
            }
        })?;
        let them = Arc::downgrade(&wakes);
        vault.when_wanted(move |what| {
            let Some(wakes) = them.upgrade() else { return };
            let change = match what {
                Demanded::Want(id, len) => Change::Want(id.0, len),
                Demanded::Unwant(id) => Change::Unwant(id.0),
                Demanded::More => Change::Chunks,
            };
            wake(&wakes, change);
        });
        Ok(Arc::new(VaultReplica {
            vault,
            is_metered: AtomicBool::new(false),
            wakes,
            taken: AtomicU64::new(0),
        }))
    }

    /// The vault.
    pub fn vault(&self) -> &Arc<Vault> {
        &self.vault
    }

    /// Whether each byte costs: then pieces of files are neither fetched nor given unless somebody waits for them; names, texts
    /// and manifests are. Peers that asked before ask again in a new session.
    pub fn set_metered(&self, is_metered: bool) {
        self.is_metered.store(is_metered, Ordering::Relaxed);
    }

    fn policy(&self) -> Policy {
        match self.vault.keeping() {
            Keeping::Everything => Policy::Everything,
            Keeping::Texts => Policy::NamesAndTexts,
        }
    }

    /// A chunk for a peer; none if it is not here, or is not given now.
    fn give(&self, id: &ChunkId, urgent: bool) -> Option<Arc<[u8]>> {
        let is_spared =
            self.is_metered.load(Ordering::Relaxed) && !urgent && self.vault.is_of_blob(id).unwrap_or(false);
        let sealed = self.vault.sealed_chunk(id).ok().flatten();
        sealed.filter(|_| !is_spared).map(Arc::from)
    }

    /// Something was said about devices, or is known of them, by another way than the network.
    pub fn members_changed(&self) {
        wake(&self.wakes, Change::Members);
    }

    fn take_in(&self, carried: &Carried) -> Outcome {
        let own = self
            .vault
            .clock()
            .map(|clock| clock.get(&carried.row.chain).copied());
        let known = matches!(own, Ok(Some((last, _))) if carried.row.last().is_ok_and(|end| end <= last));
        let outcome = Outcome::from(self.vault.take_in_told(carried));
        match outcome {
            Outcome::Taken if known => Outcome::Known,
            Outcome::Taken => {
                wake(&self.wakes, Change::Chunks);
                Outcome::Taken
            }
            other => other,
        }
    }

    fn take_statement(&self, bytes: &[u8], from: SessionId) -> StatementOutcome {
        match self.vault.take_statement_from(bytes, from.0) {
            Ok(TakenStatement::Taken) => {
                wake(&self.wakes, Change::Members);
                let heads = self.vault.statement_heads().into_iter();
                StatementOutcome::Taken(heads.map(|id| id.0).collect())
            }
            Ok(TakenStatement::Known) => StatementOutcome::Known,
            Err(TakeStatementError::NotVerified(e @ NotVerified::Newer(_))) => {
                StatementOutcome::Newer(e.to_string())
            }
            Err(TakeStatementError::NotVerified(e)) => StatementOutcome::Forged(e.to_string()),
            Err(TakeStatementError::Store(e)) => StatementOutcome::Failed(e.to_string()),
            // It is asked for again when it is named again.
            Err(TakeStatementError::Refused(_)) => StatementOutcome::Known,
        }
    }

    fn take_chunk(&self, id: [u8; 32], bytes: &[u8]) -> ChunkOutcome {
        let is_waited = self.vault.waits_for(&ChunkId(id));
        match self.vault.put_chunk(&ChunkId(id), bytes) {
            Ok(()) => {}
            Err(ChunkError::Unwanted(_)) => return ChunkOutcome::Stored,
            Err(ChunkError::Other(_)) => return ChunkOutcome::Damaged,
            Err(ChunkError::Store(e)) => return ChunkOutcome::Failed(e.to_string()),
        }
        let taken = self.taken.fetch_add(bytes.len() as u64, Ordering::Relaxed) + bytes.len() as u64;
        // Who waits has it already; it is durable in some seconds.
        if taken >= KEEP || (self.vault.lacking_bytes().0 == 0 && !is_waited) {
            self.taken.store(0, Ordering::Relaxed);
            if let Err(e) = self.vault.keep_taken() {
                return ChunkOutcome::Failed(e.to_string());
            }
        }
        ChunkOutcome::Stored
    }

    fn wanted(&self, most: usize) -> Answer {
        let waited = self.vault.waited_for().into_iter();
        let mut chunks: Vec<_> = waited.map(|(id, len)| (id.0, Urgency::Open, len)).collect();
        let Ok(mut lacking) = self.vault.lacking(most) else {
            return Answer::Wanted { chunks, beyond: 0 };
        };
        let named: u64 = lacking.iter().map(|wanted| wanted.len as u64).sum();
        let mut beyond = self.vault.lacking_bytes().1.saturating_sub(named);
        if self.is_metered.load(Ordering::Relaxed) {
            lacking.retain(|wanted| wanted.need < Need::Pinned);
            beyond = 0;
        }
        let urgency = |need| match need {
            Need::Manifest | Need::Text | Need::Pinned => Urgency::Pinned,
            Need::All => Urgency::Bulk,
        };
        chunks.extend(
            lacking
                .iter()
                .map(|wanted| (wanted.id.0, urgency(wanted.need), wanted.len as u32)),
        );
        Answer::Wanted { chunks, beyond }
    }
}

impl Replica for VaultReplica {
    fn space(&self) -> SpaceId {
        self.vault.space_id()
    }

    fn device(&self) -> SigningKey {
        self.vault.signing_key()
    }

    fn transport(&self) -> Key {
        self.vault.transport_seed()
    }

    fn config(&self) -> Result<Config, String> {
        let clock = self.vault.clock().map_err(|e| e.to_string())?;
        Ok(Config {
            space: self.vault.space_id(),
            own: self.vault.own_chain(),
            policy: self.policy(),
            clock: clock
                .into_iter()
                .map(|(id, (last, head))| (id, last, head))
                .collect(),
            heads: self.vault.statement_heads().iter().map(|id| id.0).collect(),
        })
    }

    fn roster(&self) -> Roster {
        let me = self.vault.device_id();
        self.vault.with_members(|members| Roster::of(me, members))
    }

    fn answer(&self, request: Request) -> Answer {
        match request {
            Request::Batches { session, after, most } => Answer::Batches {
                session,
                batches: self
                    .vault
                    .batches_after(&after, most)
                    .unwrap_or_default()
                    .into_iter()
                    .map(Arc::new)
                    .collect(),
            },
            Request::TakeIn(carried) => Answer::TakenIn(self.take_in(&carried)),
            Request::BeginChain => {
                let before = self.vault.own_chain();
                let chain = self.vault.begin_chain().unwrap_or(before);
                wake(&self.wakes, Change::Members);
                Answer::Began(chain)
            }
            Request::Lacking { session, heads } => {
                let heads: Vec<StatementId> = heads.into_iter().map(StatementId).collect();
                let (want, have) = self.vault.lacking_statements(&heads);
                Answer::Lacking {
                    session,
                    want: want.iter().map(|id| id.0).collect(),
                    have: have.iter().map(|id| id.0).collect(),
                }
            }
            Request::Statements {
                session,
                want,
                have,
                skip,
                most,
            } => {
                let ids = |all: Vec<[u8; 32]>| all.into_iter().map(StatementId).collect::<Vec<_>>();
                let (statements, more) = self.vault.statements(&ids(want), &ids(have), skip, most);
                Answer::Statements {
                    session,
                    statements: statements.into_iter().map(Arc::from).collect(),
                    more,
                }
            }
            Request::TakeStatement { session, bytes } => Answer::StatementTaken {
                session,
                outcome: self.take_statement(&bytes, session),
            },
            Request::ForgetWaiting { session } => {
                self.vault.forget_waiting_of(session.0);
                Answer::Forgot
            }
            Request::Chunk { session, id, urgent } => Answer::Chunk {
                session,
                id,
                bytes: self.give(&ChunkId(id), urgent),
            },
            Request::TakeChunk { id, bytes } => Answer::ChunkTaken {
                id,
                outcome: self.take_chunk(id, &bytes),
            },
            Request::Held { session, serial, ids } => {
                // Who stops keeping everything confirms nothing from that moment on.
                let ids: Vec<ChunkId> = ids.into_iter().map(ChunkId).collect();
                Answer::Held {
                    session,
                    serial,
                    held: self.vault.confirm(&ids),
                }
            }
            Request::Wanted { most } => self.wanted(most),
        }
    }

    fn news(&self, after: &mut u64) -> Result<Vec<Arc<Carried>>, String> {
        let told = self.vault.told_after(*after).map_err(|e| e.to_string())?;
        if let Some(last) = told.last().and_then(|carried| carried.row.last().ok()) {
            *after = last;
        }
        Ok(told.into_iter().map(Arc::new).collect())
    }

    fn rendezvous(&self, period: u64) -> Key {
        self.vault.rendezvous(period)
    }

    fn admit(&self, joining: JoinRequest) -> Result<StatementId, String> {
        let added = self.vault.add_device(joining).map_err(|e| e.to_string())?;
        wake(&self.wakes, Change::Members);
        Ok(added)
    }

    fn take_back(&self, device: DeviceId) -> Result<(), String> {
        let removed = self.vault.remove_device(device).map_err(|e| e.to_string());
        wake(&self.wakes, Change::Members);
        removed
    }

    fn keyring(&self) -> Vec<(StatementId, SpaceSecrets)> {
        self.vault.epoch_secrets()
    }

    fn with_members(&self, look: &mut dyn FnMut(&Members)) {
        self.vault.with_members(look);
    }

    fn heard(&self, report: &Report) {
        match report {
            Report::Nowhere { id } => self.vault.is_nowhere(&ChunkId(*id)),
            Report::Held { ids, .. } => {
                let ids: Vec<ChunkId> = ids.iter().map(|id| ChunkId(*id)).collect();
                self.vault.confirmed(&ids);
            }
            _ => {}
        }
    }

    fn subscribe(&self, wake: Wake) {
        self.wakes.write().push(wake);
    }
}

impl Carries for VaultReplica {
    fn settle(&self) -> Result<(), String> {
        self.vault.commit().map_err(|e| e.to_string())
    }

    fn wanted(&self, most: usize) -> Result<Lacking, String> {
        // Those that somebody waits for may be among the others, too.
        let waited = self.vault.waited_for().into_iter();
        let mut chunks: Vec<_> = waited.map(|(id, len)| (id.0, len, false)).collect();
        let lacking = self.vault.lacking(most).map_err(|e| e.to_string())?;
        let named: u64 = lacking.iter().map(|wanted| wanted.len as u64).sum();
        chunks.extend(
            lacking
                .iter()
                .map(|wanted| (wanted.id.0, wanted.len as u32, wanted.is_manifest)),
        );
        Ok((chunks, self.vault.lacking_bytes().1.saturating_sub(named)))
    }

    fn is_bulk(&self, id: &ChunkName) -> bool {
        self.vault.is_of_blob(&ChunkId(*id)).unwrap_or(false)
    }

    fn chunks_told(
        &self,
        entities: &HashSet<EntityId>,
        after: &HashMap<ChainId, u64>,
        each: EachChunk<'_>,
    ) -> Result<(), String> {
        let told = self
            .vault
            .chunks_told(entities, after, &mut |id, len| each(id.0, len));
        told.map_err(|e| e.to_string())
    }
}
