//! One device: all its sessions, what they have, what it needs, and from whom it takes it.
//!
//! Guarantees: each event and chunk is asked of one peer at a time; what came is forwarded to who lacks
//! it; what a peer does wrong ends its session and nothing else.
//!
//! Parts: `hear` (what a peer says), `members` (statements), `standing` (what they say of who is connected), `claims`
//! (chains that are only named), `chains` (how far they are), `sources` (who tells which), `trust` (who failed at it),
//! `taking` (events on their way into the store), `wants`, `chunks` and `asking` (which are wanted, and who is asked),
//! `held` (who holds which durably), `serve` (what peers asked for), `time`.

mod asking;
mod chains;
mod chunks;
mod claims;
mod hear;
mod held;
mod members;
mod serve;
mod sources;
mod standing;
mod taking;
mod time;
mod trust;
mod wants;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use coffer_store::ids::{ChainId, SpaceId};
use coffer_store::vault::Carried;

use self::taking::Taking;
use self::trust::Trust;
use self::wants::Chunks;
use super::limits::{REPORTS_MAX, SESSIONS_PER_PEER};
use super::meter::{Bucket, Rate};
use super::session::{Chain, Ground, Session};
use super::wire::Parcel;
use super::{
    Access, Action, Answer, CertifiedPeer, ChunkName, Ended, Millis, PeerId, Policy, Report, Request,
    SessionId, Standing, StatementId,
};

/// What a device knows when it begins.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its space.
    pub space: SpaceId,
    /// The chain on which it tells at present.
    pub own: ChainId,
    /// What it keeps.
    pub policy: Policy,
    /// How far each chain is here, durably: last event, and its hash.
    pub clock: Vec<(ChainId, u64, [u8; 32])>,
    /// The newest statements of membership, those that matter first: no more than a message holds are named.
    pub heads: Vec<StatementId>,
}

/// A peer, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The session.
    pub session: SessionId,
    /// The device.
    pub peer: PeerId,
    /// What it keeps; none before it has said so.
    pub policy: Option<Policy>,
    /// Events that are here and not there, for all that it said.
    pub behind: u64,
    /// Events that are there and not here.
    pub ahead: u64,
}

/// One device.
pub struct Node {
    ground: Ground,
    sessions: BTreeMap<SessionId, Session>,
    next: u64,
    /// Where the round of those who send goes on.
    turn: SessionId,
    actions: VecDeque<Action>,
    reports: VecDeque<Report>,
    taking: Taking,
    chunks: Chunks,
    /// Chains of which somebody may have more than is here.
    behind: BTreeSet<ChainId>,
    /// Where the round of those goes on.
    behind_from: Option<ChainId>,
    trust: Trust,
    ticked_at: Millis,
    /// When another chain is asked for once more.
    begin_at: Option<Millis>,
    /// Another chain was asked for, in the place of this one.
    is_beginning: bool,
    /// Once another was asked for without proof.
    has_begun: bool,
    serial: u32,
    repeated: u64,
}

impl Node {
    /// A device that is connected with nobody.
    pub fn new(now: Millis, config: Config) -> Node {
        let chain = |(id, last, head)| {
            let held = last;
            let chain = Chain {
                last,
                head,
                held,
                ..Chain::default()
            };
            (id, chain)
        };
        Node {
            ground: Ground {
                now,
                space: config.space,
                own: config.own,
                policy: config.policy,
                heads: config.heads,
                clock: config.clock.into_iter().map(chain).collect(),
                partials: Vec::new(),
                is_paused: false,
                going: Bucket::default(),
                coming: Bucket::default(),
                went: Rate::default(),
                came: Rate::default(),
            },
            sessions: BTreeMap::new(),
            next: 0,
            turn: SessionId(0),
            actions: VecDeque::new(),
            reports: VecDeque::new(),
            taking: Taking::default(),
            chunks: Chunks::default(),
            behind: BTreeSet::new(),
            behind_from: None,
            trust: Trust::default(),
            ticked_at: now,
            begin_at: None,
            is_beginning: false,
            has_begun: false,
            serial: 0,
            repeated: 0,
        }
    }

    /// A connection is there with a device that membership knows: with these chains, let in so far. Several with one
    /// peer may be.
    pub fn connect(
        &mut self,
        now: Millis,
        peer: PeerId,
        certified: CertifiedPeer,
        access: Access,
    ) -> SessionId {
        self.at(now);
        let same = self.sessions.values().filter(|session| session.peer == peer);
        let same: Vec<SessionId> = same.map(|session| session.id).collect();
        if same.len() >= SESSIONS_PER_PEER {
            self.end(same[0], Ended::Replaced);
        }
        self.next += 1;
        let id = SessionId(self.next);
        let session = Session::new(id, peer, (certified, access), &self.ground);
        self.sessions.insert(id, session);
        id
    }

    /// The stream has ended, or failed.
    pub fn disconnected(&mut self, now: Millis, session: SessionId) {
        self.at(now);
        self.end(session, Ended::Lost);
    }

    /// Ends a session, with a goodbye.
    pub fn close(&mut self, now: Millis, session: SessionId) {
        self.at(now);
        self.end(session, Ended::Asked);
    }

    /// This device is no member any more: its sessions end.
    pub fn expel(&mut self, now: Millis, peer: PeerId) {
        self.at(now);
        let same = self.sessions.values().filter(|session| session.peer == peer);
        for id in same.map(|session| session.id).collect::<Vec<_>>() {
            self.end(id, Ended::Removed);
        }
    }

    /// The transport has written so many bytes of what it was given.
    pub fn wrote(&mut self, now: Millis, session: SessionId, bytes: usize) {
        self.at(now);
        if let Some(session) = self.sessions.get_mut(&session) {
            session.unwritten = session.unwritten.saturating_sub(bytes);
        }
    }

    /// This batch is in the store, durably, by another way than this protocol: this device has told it, or it
    /// came in a carried folder. Batches of a chain come in order.
    pub fn told(&mut self, now: Millis, batch: Arc<Carried>) {
        self.at(now);
        self.is_here(Parcel::new(batch), None);
        // What waits may have waited for it.
        self.try_aside();
        self.pump();
    }

    /// The newest statements of membership are others now, and this is what they say of who is connected; of whom
    /// they say nothing here, they say what they did. Who is let in no more as far as before is ended; who is let in
    /// farther goes on.
    pub fn members(&mut self, now: Millis, heads: Vec<StatementId>, standings: &[Standing]) {
        self.at(now);
        self.new_heads(heads);
        standings.iter().for_each(|standing| self.stands(standing));
        // Events of devices that were unknown until now.
        self.try_aside();
        self.pump();
    }

    /// At most so many bytes a second go out, and come in; none: any number.
    pub fn limit(&mut self, now: Millis, out: Option<u64>, incoming: Option<u64>) {
        self.at(now);
        self.ground.going.set(now, out);
        self.ground.coming.set(now, incoming);
    }

    /// While paused, nothing but small messages is exchanged; sessions stay.
    pub fn pause(&mut self, now: Millis, is_paused: bool) {
        self.at(now);
        if std::mem::replace(&mut self.ground.is_paused, is_paused) && !is_paused {
            // Nobody could bring anything meanwhile.
            let now = self.ground.now;
            self.sessions
                .values_mut()
                .for_each(|session| session.time_begins(now));
            self.assign();
        }
    }

    /// The store's answer to a request.
    pub fn answer(&mut self, now: Millis, answer: Answer) {
        self.at(now);
        match answer {
            Answer::Batches { session, batches } => self.batches_read(session, batches),
            Answer::TakenIn(outcome) => self.taken_in(outcome),
            Answer::Began(chain) => self.began(chain),
            Answer::Lacking { session, want, have } => self.lacking(session, want, have),
            Answer::Statements {
                session,
                statements,
                more,
            } => self.statements_read(session, statements, more),
            Answer::StatementTaken { session, outcome } => self.statement_taken(session, outcome),
            Answer::Forgot => {}
            Answer::Chunk { session, id, bytes } => self.chunk_read(session, id, bytes),
            Answer::ChunkTaken { id, outcome } => self.chunk_taken(id, outcome),
            Answer::Held {
                session,
                serial,
                held,
            } => self.held_here(session, serial, &held),
            Answer::Wanted { chunks, beyond } => self.wanted(chunks, beyond),
        }
    }

    /// What is to be done next; none until something comes in or time passes ([`Node::wake`]).
    pub fn poll(&mut self) -> Option<Action> {
        loop {
            if let Some(action) = self.actions.pop_front() {
                return Some(action);
            }
            if let Some(report) = self.reports.pop_front() {
                return Some(Action::Report(report));
            }
            let after = self
                .sessions
                .range((std::ops::Bound::Excluded(self.turn), std::ops::Bound::Unbounded));
            let round: Vec<SessionId> = after
                .chain(self.sessions.range(..=self.turn))
                .map(|(id, _)| *id)
                .collect();
            let mut is_idle = true;
            for id in round {
                self.dismiss(id);
                self.serve(id);
                let Some(session) = self.sessions.get_mut(&id) else {
                    is_idle &= self.actions.is_empty();
                    continue;
                };
                if let Some(bytes) = session.next_bytes(&mut self.ground) {
                    self.turn = id;
                    return Some(Action::Send { session: id, bytes });
                }
                is_idle &= self.actions.is_empty();
            }
            if is_idle {
                return None;
            }
        }
    }

    /// The peers, and how far they are.
    pub fn peers(&self) -> Vec<Peer> {
        let peer = |session: &Session| {
            let chains = self.ground.clock.iter();
            let behind = chains.map(|(id, chain)| chain.last.saturating_sub(session.has(id)));
            let known = session.known.iter();
            let ahead = known.map(|(id, reach)| reach.last.saturating_sub(self.ground.last(id)));
            Peer {
                session: session.id,
                peer: session.peer,
                policy: session.hello.map(|hello| hello.policy),
                behind: behind.fold(0, u64::saturating_add),
                ahead: ahead.fold(0, u64::saturating_add),
            }
        };
        self.sessions.values().map(peer).collect()
    }

    /// How far each chain is here: last event, and its hash.
    pub fn clock(&self) -> Vec<(ChainId, u64, [u8; 32])> {
        let chains = self.ground.clock.iter().filter(|(_, chain)| chain.last > 0);
        chains.map(|(id, chain)| (*id, chain.last, chain.head)).collect()
    }

    /// How many batches came that were here already, or that nobody had asked for.
    pub fn repeated(&self) -> u64 {
        self.repeated
    }

    /// About how many bytes are held, for all peers.
    pub fn held_bytes(&self) -> usize {
        let sessions: usize = self.sessions.values().map(Session::held_bytes).sum();
        let partials: usize = self
            .ground
            .partials
            .iter()
            .map(|part| part.bytes.capacity())
            .sum();
        sessions
            + partials
            + self.taking.held_bytes()
            + self.chunks.held_bytes()
            + self.ground.clock.len() * 208
    }

    fn at(&mut self, now: Millis) {
        self.ground.now = self.ground.now.max(now);
    }

    fn ask(&mut self, request: Request) {
        self.actions.push_back(Action::Store(request));
    }

    fn report(&mut self, report: Report) {
        if self.reports.len() == REPORTS_MAX {
            self.reports.pop_front();
        }
        self.reports.push_back(report);
    }

    /// Ends a session; what it was asked for is asked of others.
    fn end(&mut self, id: SessionId, why: Ended) {
        let Some(mut session) = self.sessions.remove(&id) else {
            return;
        };
        if let Some(bytes) = session.farewell(&why) {
            self.actions.push_back(Action::Send { session: id, bytes });
        }
        self.actions.push_back(Action::Close { session: id, why });
        if session.gave_statements {
            self.ask(Request::ForgetWaiting { session: id });
        }
        if let Some(part) = session.batch.take() {
            self.ground.keep(part.0);
        }
        self.lost(&mut session);
        for chain in session.asked.keys() {
            self.release(*chain, id);
        }
        self.unclaimed(&session);
        for chain in session.asked.keys().chain(session.known.keys()) {
            self.consider(*chain);
        }
        self.assign();
    }

    /// Ends a session if something was wrong.
    fn or_end(&mut self, id: SessionId, result: Result<(), Ended>) {
        if let Err(why) = result {
            self.end(id, why);
        }
    }

    /// Does a member that keeps everything hold these durably? The answer is a
    /// [`Report::Held`](super::Report::Held), if any does. At most
    /// [`IDS_MAX`](super::limits::IDS_MAX) at a time; whether somebody could be asked.
    pub fn confirm(&mut self, now: Millis, ids: &[ChunkName]) -> bool {
        self.confirm_after(now, ids, &[])
    }

    /// The same, asked only of those that have said that they have all chains up to these events: so who confirms knows what
    /// needs the chunks, too.
    pub fn confirm_after(&mut self, now: Millis, ids: &[ChunkName], clock: &[(ChainId, u64)]) -> bool {
        self.at(now);
        self.ask_held(ids, clock)
    }
}
