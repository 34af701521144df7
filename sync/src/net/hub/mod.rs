//! The one task in which the network and the protocol meet: it owns the swarm and the [`Node`], and does what each of them
//! says.
//!
//! Guarantees: it never waits for a disk, nor for a peer; what a peer sends is taken over piece by piece. It never opens a
//! payload.
//!
//! Parts: `sessions` (streams and connections), `events` (what the swarm says), `finding` (who is called, and records), `guests`
//! (invitations), `moved` (this machine's addresses), `show` (the status).

mod events;
mod finding;
mod guests;
mod moved;
mod sessions;
mod show;

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coffer_store::ids::ChainId;
use coffer_store::members::DeviceId;
use futures::{FutureExt, StreamExt};
use libp2p::core::transport::ListenerId;
use libp2p::swarm::{ConnectionId, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use self::finding::Finding;
use self::sessions::{Connection, Session};
use super::book::{Book, Target};
use super::door::Door;
use super::error::InviteError;
use super::parts::Parts;
use super::settings::Plan;
use super::status::Board;
use super::store::{Done, Stores};
use super::streams::{Heard, PIECES_MAX, Written};
use crate::core::{Action, ChunkName, Config, Millis, Node, Report, SessionId, Urgency};
use crate::pairing::{Ticket, Tickets};
use crate::replica::{Change, Replica, Roster, RosterMember};

/// How long the status may be old while much happens.
const SHOW: Duration = Duration::from_millis(100);
/// The same while little does: of a device that has just come, people hear at once.
const SHOW_SOON: Duration = Duration::from_millis(10);
/// So often in one second it is shown that soon.
const SOON: u32 = 10;
/// The same while nothing happens, and the rates that are shown have not come to nothing.
const FADE: Duration = Duration::from_secs(1);
/// How long sessions have to say goodbye.
const GOODBYE: Duration = Duration::from_millis(1_500);
/// How long the last words have to arrive.
const LINGER: Duration = Duration::from_millis(150);
/// What people read of a device that has another history of some device's changes than this one.
const FORKED: &str = "it has other changes by one of the devices than those that are known here under the same numbers: that device's vault was copied, or put back from a backup, and both were used. Those that came later are not taken in; save them again on that device";
/// A network with so many faults in it had better end, and say so.
const FAULTS: u32 = 100;
/// What is dealt with before the network is looked at again.
const AT_ONCE: usize = 64;

/// What callers ask.
pub(super) enum Command {
    Changed(Change),
    Pause(bool),
    Limit(Option<u64>, Option<u64>),
    Invite(u64, oneshot::Sender<Result<Ticket, InviteError>>),
    AddPeer(Multiaddr),
    Want(ChunkName, Urgency, u32),
    Unwant(ChunkName),
    Confirm(Vec<ChunkName>, Vec<(ChainId, u64)>, oneshot::Sender<bool>),
    Stop,
}

/// What other tasks tell.
pub(super) enum Inside {
    /// A conversation with a guest is over.
    Paired(ConnectionId, Option<String>),
    /// A guest has the ticket.
    Proved(ConnectionId),
    /// An invitation may have ended.
    Tickets,
    /// The members' secrets of these days.
    Rendezvous(finding::Rendezvous),
}

/// See the module.
pub(super) struct Hub {
    begun: Instant,
    swarm: Swarm<Parts>,
    door: Door,
    plan: Plan,
    node: Node,
    stores: Stores,
    board: Arc<Board>,
    replica: Arc<dyn Replica>,
    book: Book,
    finding: Finding,
    roster: Roster,
    members: HashMap<PeerId, RosterMember>,
    /// Those that are let in to be told that they were removed.
    removed: HashMap<PeerId, RosterMember>,
    connections: HashMap<ConnectionId, Connection>,
    sessions: HashMap<SessionId, Session>,
    /// Calls under way.
    calls: HashMap<ConnectionId, Target>,
    /// Listeners at relays, by what they listen on.
    circuits: HashMap<ListenerId, Multiaddr>,
    tickets: Arc<Mutex<Tickets>>,
    heard: (mpsc::Sender<Heard>, mpsc::Receiver<Heard>),
    written: (mpsc::UnboundedSender<Written>, mpsc::UnboundedReceiver<Written>),
    inside: (mpsc::UnboundedSender<Inside>, mpsc::UnboundedReceiver<Inside>),
    is_asking_news: bool,
    news_again: bool,
    is_paused: bool,
    last_error: Option<String>,
    errors: HashMap<DeviceId, String>,
    shown_at: Option<Instant>,
    /// How often it was shown since then, of a second.
    shown: (Instant, u32),
    is_dirty: bool,
    /// Bytes went a short while ago: the rate falls, though nothing else changes.
    is_fading: bool,
}

impl Hub {
    #[allow(clippy::too_many_arguments, reason = "called once")]
    pub(super) fn new(
        swarm: Swarm<Parts>,
        door: Door,
        plan: Plan,
        config: Config,
        stores: Stores,
        roster: Roster,
        (board, replica): (Arc<Board>, Arc<dyn Replica>),
    ) -> Hub {
        let mut hub = Hub {
            begun: Instant::now(),
            swarm,
            door,
            node: Node::new(0, config),
            stores,
            board,
            replica,
            book: Book::new(plan.relays.clone(), plan.lan_only),
            finding: Finding::default(),
            roster: Roster {
                me: roster.me,
                members: Vec::new(),
                removed: Vec::new(),
                chains: Arc::default(),
            },
            members: HashMap::new(),
            removed: HashMap::new(),
            connections: HashMap::new(),
            sessions: HashMap::new(),
            calls: HashMap::new(),
            circuits: HashMap::new(),
            tickets: Arc::new(Mutex::new(Tickets::new())),
            heard: mpsc::channel(PIECES_MAX),
            written: mpsc::unbounded_channel(),
            inside: mpsc::unbounded_channel(),
            is_asking_news: false,
            news_again: false,
            is_paused: false,
            last_error: None,
            errors: HashMap::new(),
            shown_at: None,
            shown: (Instant::now(), 0),
            is_dirty: true,
            is_fading: false,
            plan,
        };
        hub.node.limit(0, hub.plan.limits.0, hub.plan.limits.1);
        hub.take_roster(roster);
        hub.begin_finding();
        hub
    }

    fn now(&self) -> Millis {
        self.begun.elapsed().as_millis() as Millis
    }

    /// Something went wrong that a person may want to know.
    pub(super) fn note(&mut self, sentence: String) {
        self.last_error = Some(sentence);
        self.is_dirty = true;
    }

    /// Serves until it is told to stop.
    pub(super) async fn run(
        mut self,
        mut commands: mpsc::UnboundedReceiver<Command>,
        mut answers: mpsc::UnboundedReceiver<Done>,
    ) {
        // What was told between reading the clock and listening for changes.
        self.ask_news();
        self.stores.members();
        let mut faults = 0;
        loop {
            self.settle();
            self.call_due();
            self.show();
            let wake = self.wake();
            tokio::select! {
                // A fault of a library's in one peer's matter must not end what others have under way.
                event = AssertUnwindSafe(self.swarm.select_next_some()).catch_unwind() => match event {
                    Ok(event) => self.on_event(event),
                    Err(_) if faults == FAULTS => break,
                    Err(_) => faults += 1,
                },
                Some(written) = self.written.1.recv() => {
                    self.on_written(written);
                    for _ in 0..AT_ONCE {
                        let Ok(written) = self.written.1.try_recv() else { break };
                        self.on_written(written);
                    }
                }
                Some(done) = answers.recv() => {
                    self.on_done(done);
                    for _ in 0..AT_ONCE {
                        let Ok(more) = answers.try_recv() else { break };
                        self.on_done(more);
                    }
                }
                Some(heard) = self.heard.1.recv() => self.on_heard(heard),
                Some(inside) = self.inside.1.recv() => self.on_inside(inside),
                command = commands.recv() => match command {
                    Some(Command::Stop) | None => break,
                    Some(command) => self.on_command(command),
                },
                () = tokio::time::sleep_until(wake.into()) => {}
            }
            let now = self.now();
            if self.node.wake().is_some_and(|at| at <= now) {
                self.node.tick(now);
            }
            self.in_time(now);
        }
        self.goodbye().await;
        // The threads end by themselves: one may be in the midst of something slow.
        drop(self.stores.end());
    }

    fn on_command(&mut self, command: Command) {
        let now = self.now();
        match command {
            Command::Changed(Change::Told) => self.ask_news(),
            Command::Changed(Change::Members) => self.stores.members(),
            Command::Changed(Change::Chunks) => self.node.wants_changed(now),
            Command::Changed(Change::Want(id, len)) => self.node.want(now, id, Urgency::Open, len),
            Command::Changed(Change::Unwant(id)) => self.node.unwant(now, id),
            Command::Changed(Change::Own) => {
                self.stores.own();
                self.ask_news();
            }
            Command::Pause(is_paused) => {
                self.is_paused = is_paused;
                self.node.pause(now, is_paused);
                self.node.tick(now);
                self.is_dirty = true;
            }
            Command::Limit(out, incoming) => self.node.limit(now, out, incoming),
            Command::Invite(most, answer) => self.invite(most, answer),
            Command::AddPeer(address) => self.add_by_hand(address),
            Command::Want(id, urgency, len) => self.node.want(now, id, urgency, len),
            Command::Unwant(id) => self.node.unwant(now, id),
            Command::Confirm(ids, clock, answer) => {
                let _ = answer.send(self.node.confirm_after(now, &ids, &clock));
            }
            Command::Stop => {}
        }
    }

    fn on_done(&mut self, done: Done) {
        let now = self.now();
        self.is_dirty = true;
        match done {
            Done::Answer(answer) => {
                let took = matches!(answer, crate::core::Answer::TakenIn(_));
                let began = matches!(answer, crate::core::Answer::Began(_));
                let members = matches!(
                    answer,
                    crate::core::Answer::StatementTaken {
                        outcome: crate::core::StatementOutcome::Taken(_),
                        ..
                    }
                );
                self.node.answer(now, answer);
                if took {
                    // It may have named chunks.
                    self.node.wants_changed(now);
                }
                if began {
                    self.ask_news();
                }
                if began || members {
                    self.stores.members();
                }
            }
            Done::News(news) => {
                self.is_asking_news = false;
                match news {
                    Ok(batches) => batches.into_iter().for_each(|batch| self.node.told(now, batch)),
                    Err(why) => self.note(why),
                }
                if std::mem::take(&mut self.news_again) {
                    self.ask_news();
                }
            }
            Done::Members(roster, heads) => {
                let standing = |member: &RosterMember| member.standing(&roster.chains);
                let all = roster.members.iter().chain(&roster.removed);
                let standings: Vec<_> = all.map(standing).collect();
                self.node.members(now, heads, &standings);
                self.take_roster(roster);
            }
            Done::Own(Ok(own)) => self.node.answer(now, crate::core::Answer::Began(own)),
            Done::Own(Err(why)) => self.note(why),
            Done::Broken => {
                self.note("the vault failed while syncing; unlock it anew, and report this".into());
                self.node.pause(now, true);
            }
        }
    }

    fn ask_news(&mut self) {
        if std::mem::replace(&mut self.is_asking_news, true) {
            self.news_again = true;
        } else {
            self.stores.news();
        }
    }

    /// Does all that the protocol wants done.
    fn settle(&mut self) {
        while let Some(action) = self.node.poll() {
            match action {
                Action::Send { session, bytes } => self.send(session, bytes),
                Action::Store(request) => self.stores.ask(request),
                Action::Report(report) => self.on_report(report),
                Action::Close { session, why } => self.close_session(session, &why),
            }
        }
    }

    fn on_report(&mut self, report: Report) {
        if let Report::StoreFailed(why) | Report::Refused { why, .. } = &report {
            self.note(why.clone());
        }
        if let Report::Forked { peer, .. } = &report {
            self.errors.insert(DeviceId(*peer), FORKED.into());
        }
        if let Report::Newer { peer, why } = &report {
            self.errors.insert(DeviceId(*peer), why.clone());
        }
        if let Report::Open { peer, .. } = &report {
            // All is well with it again.
            self.errors.remove(&DeviceId(*peer));
        }
        self.is_dirty = true;
        self.replica.heard(&report);
        self.board.report(report);
    }

    fn wake(&self) -> Instant {
        let far = self.begun + Duration::from_millis(self.now() + 60_000);
        let at = |millis: Millis| self.begun + Duration::from_millis(millis);
        let show = self
            .show_after()
            .map(|pause| self.shown_at.map_or(self.begun, |shown| shown + pause));
        let all = [
            self.node.wake().map(at),
            self.book.wake().map(at),
            self.due_in_time().map(at),
            show,
        ];
        // No sooner than in a millisecond: clocks are rounded down.
        let soon = Instant::now() + Duration::from_millis(1);
        all.into_iter().flatten().min().unwrap_or(far).max(soon)
    }

    /// Ends all sessions, and lets the last bytes go.
    async fn goodbye(&mut self) {
        let now = self.now();
        for session in self.sessions.keys().copied().collect::<Vec<_>>() {
            self.node.close(now, session);
        }
        self.settle();
        let last = async {
            while self
                .connections
                .values()
                .any(|connection| connection.session.is_some())
            {
                tokio::select! {
                    _ = self.swarm.select_next_some() => {}
                    Some(written) = self.written.1.recv() => self.on_written(written),
                }
            }
            // What was written must arrive before QUIC closes.
            let arrive = tokio::time::sleep(LINGER);
            tokio::pin!(arrive);
            while !self.connections.is_empty() {
                tokio::select! {
                    event = self.swarm.select_next_some() => {
                        if let SwarmEvent::ConnectionClosed { connection_id, .. } = event {
                            self.connections.remove(&connection_id);
                        }
                    }
                    () = &mut arrive => break,
                }
            }
            for id in self.connections.keys().copied().collect::<Vec<_>>() {
                self.swarm.close_connection(id);
            }
            while self.swarm.network_info().num_peers() > 0 {
                self.swarm.select_next_some().await;
            }
        };
        let _ = tokio::time::timeout(GOODBYE, last).await;
    }
}
