//! Devices and the connections between them, in a time of their own: bytes are late, in any pieces, and
//! connections break at any byte; stores take their time, and lose what they have not answered in a crash.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};

use coffer_sync::core::{Access, Action, Ended, Node, PeerId, Policy, Report, Request, SessionId, Standing};

use super::Dice;
use super::liar::{Lie, lie};
use super::store::Store;
use coffer_store::ids::ChainId;

/// What happens at a time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The next bytes of a direction are there.
    Deliver(usize, usize),
    /// The store of this device answers, if it has not crashed since.
    Answer(usize, u64),
    /// This device wanted to be woken.
    Wake(usize, u64),
}

pub struct Device {
    pub store: Store,
    pub node: Option<Node>,
    pub reports: Vec<Report>,
    pub ended: Vec<Ended>,
    /// Those ends, and with whom.
    pub ended_with: Vec<(PeerId, Ended)>,
    pub is_removed: bool,
    /// What it lies about; an honest one does not.
    pub lies: Vec<Lie>,
    /// Its store fails once in so many times; 0: never.
    pub fails: u64,
    /// How often it did.
    pub failed: u64,
    /// Milliseconds by which its clock differs.
    pub skew: u64,
    pub sessions: BTreeMap<SessionId, (usize, usize)>,
    requests: VecDeque<Request>,
    /// How often it has crashed.
    pub life: u64,
    woken: u64,
    pub most_held: usize,
}

/// A connection: for each direction, what is under way.
struct Wire {
    ends: [(usize, SessionId); 2],
    under_way: [VecDeque<(u64, Vec<u8>)>; 2],
    delay: u64,
    /// Bytes a millisecond; 0: any number.
    speed: u64,
    /// After so many more bytes it breaks.
    breaks: Option<usize>,
    is_closed: [bool; 2],
    free_at: [u64; 2],
}

pub struct World {
    pub dice: Dice,
    pub now: u64,
    pub devices: Vec<Device>,
    wires: BTreeMap<usize, Wire>,
    next_wire: usize,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    count: u64,
    /// Bytes that were sent, in all.
    pub sent: u64,
    /// How long a store takes at most, in milliseconds.
    pub store_delay: u64,
    /// Whether pieces are cut at random.
    pub cuts: bool,
    /// What is held by a node at most, for each session and beside.
    pub bound: (usize, usize),
}

/// A device's name.
pub fn peer_of(device: usize) -> PeerId {
    let mut peer = [0; 32];
    peer[0] = device as u8;
    peer
}

impl World {
    /// So many devices, whose chains all know.
    pub fn new(seed: u64, count: usize, policies: &[Policy]) -> World {
        let mut dice = Dice(seed);
        let chains: Vec<ChainId> = (0..count).map(|_| ChainId(dice.bytes())).collect();
        let mut first = Store::new(chains[0], Policy::Everything);
        for (n, chain) in chains.iter().enumerate() {
            first.state_of(&mut dice, *chain, peer_of(n));
        }
        let device = |(n, chain): (usize, &ChainId)| {
            let store = Store {
                own: *chain,
                policy: policies[n % policies.len()],
                me: peer_of(n),
                ..first.clone()
            };
            Device {
                node: Some(Node::new(0, store.config())),
                store,
                reports: Vec::new(),
                ended: Vec::new(),
                ended_with: Vec::new(),
                is_removed: false,
                lies: Vec::new(),
                fails: 0,
                failed: 0,
                skew: 0,
                sessions: BTreeMap::new(),
                requests: VecDeque::new(),
                life: 0,
                woken: u64::MAX,
                most_held: 0,
            }
        };
        let devices = chains.iter().enumerate().map(device).collect();
        World {
            dice,
            now: 0,
            devices,
            wires: BTreeMap::new(),
            next_wire: 0,
            events: BinaryHeap::new(),
            count: 0,
            sent: 0,
            store_delay: 3,
            cuts: true,
            bound: (8 << 20, 48 << 20),
        }
    }

    fn at(&mut self, time: u64, event: Event) {
        self.count += 1;
        self.events.push(Reverse((time, self.count, event)));
    }

    pub fn time(&self, device: usize) -> u64 {
        self.now + self.devices[device].skew
    }

    pub fn is_up(&self, device: usize) -> bool {
        self.devices[device].node.is_some()
    }

    pub fn connect(&mut self, a: usize, b: usize, delay: u64, speed: u64) -> usize {
        let mut ends = [(a, SessionId(0)), (b, SessionId(0))];
        let id = self.next_wire;
        self.next_wire += 1;
        for (side, end) in ends.iter_mut().enumerate() {
            let (time, other) = (self.time(end.0), [b, a][side]);
            let device = &mut self.devices[end.0];
            let peer = peer_of(other);
            let certified = device.store.certified(peer);
            let node = device.node.as_mut().expect("both are up");
            end.1 = node.connect(time, peer, certified, Access::Full);
            device.sessions.insert(end.1, (id, side));
        }
        let wire = Wire {
            ends,
            under_way: Default::default(),
            delay,
            speed,
            breaks: None,
            is_closed: [false; 2],
            free_at: [self.now; 2],
        };
        self.wires.insert(id, wire);
        self.settle(a);
        self.settle(b);
        id
    }

    pub fn is_connected(&self, a: usize, b: usize) -> bool {
        self.wires.values().any(|wire| {
            let ends = [wire.ends[0].0, wire.ends[1].0];
            ends == [a, b] || ends == [b, a]
        })
    }

    pub fn wires(&self) -> Vec<usize> {
        self.wires.keys().copied().collect()
    }

    /// The connection breaks after so many more bytes.
    pub fn break_after(&mut self, wire: usize, bytes: usize) {
        if let Some(wire) = self.wires.get_mut(&wire) {
            wire.breaks = Some(bytes);
        }
    }

    /// The connection breaks now; what is under way is lost.
    pub fn cut(&mut self, wire: usize) {
        let Some(wire) = self.wires.remove(&wire) else {
            return;
        };
        for (device, session) in wire.ends {
            let time = self.time(device);
            let device_state = &mut self.devices[device];
            if device_state.sessions.remove(&session).is_some()
                && let Some(node) = device_state.node.as_mut()
            {
                node.disconnected(time, session);
                self.settle(device);
            }
        }
    }

    /// The device dies: what its store has not done is not done, and who is connected learns it.
    pub fn crash(&mut self, device: usize) {
        let state = &mut self.devices[device];
        state.node = None;
        state.requests.clear();
        state.life += 1;
        state.woken = u64::MAX;
        let wires: Vec<usize> = std::mem::take(&mut state.sessions)
            .into_values()
            .map(|(wire, _)| wire)
            .collect();
        for wire in wires {
            self.cut(wire);
        }
    }

    pub fn start(&mut self, device: usize) {
        let time = self.time(device);
        let state = &mut self.devices[device];
        state.node = Some(Node::new(time, state.store.config()));
    }

    /// The device tells something.
    pub fn tell(&mut self, device: usize, len: usize, files: &[usize]) {
        let (time, mut dice) = (self.time(device), self.dice.clone());
        let state = &mut self.devices[device];
        let root = (!files.is_empty()).then(|| state.store.add_file(&mut dice, files));
        let batch = state.store.tell(&mut dice, len, root.as_slice());
        self.dice = dice;
        if let Some(node) = state.node.as_mut() {
            node.told(time, batch);
        }
        self.settle(device);
    }

    /// Does all that a node wants done.
    pub fn settle(&mut self, device: usize) {
        let time = self.time(device);
        loop {
            let state = &mut self.devices[device];
            let Some(node) = state.node.as_mut() else {
                return;
            };
            let action = node.poll();
            let held = node.held_bytes();
            state.most_held = state.most_held.max(held);
            let bound = self.bound.0 * state.sessions.len() + self.bound.1;
            assert!(
                held <= bound,
                "{held} bytes are held for {} sessions",
                state.sessions.len()
            );
            let Some(action) = action else {
                break;
            };
            match action {
                Action::Send { session, bytes } => {
                    let (wire, side) = *state
                        .sessions
                        .get(&session)
                        .expect("nothing is sent after the end");
                    self.send(wire, side, bytes);
                }
                Action::Store(request) => {
                    state.requests.push_back(request);
                    let life = state.life;
                    let delay = self.dice.below(self.store_delay + 1);
                    self.at(self.now + delay, Event::Answer(device, life));
                }
                Action::Report(report) => {
                    state.reports.push(report);
                }
                Action::Close { session, why } => {
                    state.ended.push(why.clone());
                    if let Some((wire, side)) = state.sessions.remove(&session) {
                        let with = self.wires.get(&wire).map(|wire| peer_of(wire.ends[1 - side].0));
                        let with = with.map(|with| (with, why));
                        self.devices[device].ended_with.extend(with);
                        self.hang_up(wire, side);
                    }
                }
            }
        }
        let node = self.devices[device].node.as_ref().expect("it is up");
        let wake = node
            .wake()
            .map_or(u64::MAX, |wake| wake.saturating_sub(time) + self.now);
        let wake = if wake == u64::MAX {
            wake
        } else {
            wake.max(self.now + 1)
        };
        if wake != self.devices[device].woken {
            self.devices[device].woken = wake;
            let life = self.devices[device].life;
            self.at(wake, Event::Wake(device, life));
        }
    }

    /// One side has closed: the other one gets what is under way, and then the end.
    fn hang_up(&mut self, id: usize, side: usize) {
        let Some(wire) = self.wires.get_mut(&id) else {
            return;
        };
        wire.is_closed[side] = true;
        let at = (self.now + wire.delay).max(wire.under_way[side].back().map_or(0, |(at, _)| *at));
        wire.under_way[side].push_back((at, Vec::new()));
        self.at(at, Event::Deliver(id, side));
    }

    fn send(&mut self, id: usize, side: usize, mut bytes: Vec<u8>) {
        if let Some((device, session)) = self.wires.get(&id).map(|wire| wire.ends[side])
            && !self.devices[device].lies.is_empty()
        {
            let time = self.time(device);
            if let Some(node) = self.devices[device].node.as_mut() {
                node.wrote(time, session, bytes.len());
            }
            bytes = lie(&mut self.dice, &self.devices[device].lies, &bytes);
            if bytes.is_empty() {
                return;
            }
        }
        self.sent += bytes.len() as u64;
        let mut pieces: Vec<Vec<u8>> = vec![bytes];
        if self.cuts {
            let all = pieces.remove(0);
            let at = self.dice.below(all.len() as u64 + 1) as usize;
            let (head, tail) = all.split_at(at);
            pieces = [head, tail]
                .into_iter()
                .filter(|p| !p.is_empty())
                .map(<[u8]>::to_vec)
                .collect();
        }
        for bytes in pieces {
            let late = self.dice.below(3);
            let Some(wire) = self.wires.get_mut(&id) else {
                return;
            };
            let takes = (bytes.len() as u64).checked_div(wire.speed).unwrap_or(0);
            wire.free_at[side] = wire.free_at[side].max(self.now) + takes;
            let before = wire.under_way[side].back().map_or(0, |(at, _)| *at);
            let at = (wire.free_at[side] + wire.delay + late).max(before);
            wire.under_way[side].push_back((at, bytes));
            self.at(at, Event::Deliver(id, side));
        }
    }

    fn deliver(&mut self, id: usize, side: usize) {
        let Some(wire) = self.wires.get_mut(&id) else {
            return;
        };
        let Some((_, mut bytes)) = wire.under_way[side].pop_front() else {
            return;
        };
        let (sender, receiver) = (wire.ends[side], wire.ends[1 - side]);
        if bytes.is_empty() {
            self.cut(id);
            return;
        }
        let len = bytes.len();
        let mut breaks = false;
        if let Some(left) = &mut wire.breaks {
            breaks = *left <= len;
            bytes.truncate(*left);
            *left -= bytes.len();
        }
        let is_gone = wire.is_closed[1 - side];
        let time = self.time(sender.0);
        if let Some(node) = self.devices[sender.0].node.as_mut() {
            node.wrote(time, sender.1, len);
        }
        if !is_gone {
            let time = self.time(receiver.0);
            if let Some(node) = self.devices[receiver.0].node.as_mut() {
                node.receive(time, receiver.1, &bytes);
            }
            self.settle(receiver.0);
        }
        if breaks {
            self.cut(id);
        }
        self.settle(sender.0);
    }

    /// Lets things happen until this time; whether anything is left to happen.
    pub fn run_until(&mut self, time: u64) {
        while let Some(Reverse((at, _, event))) = self.events.peek().copied() {
            if at > time {
                break;
            }
            self.events.pop();
            self.now = self.now.max(at);
            match event {
                Event::Deliver(wire, side) => self.deliver(wire, side),
                Event::Answer(device, life) => {
                    let state = &mut self.devices[device];
                    if state.life != life {
                        continue;
                    }
                    let Some(request) = state.requests.pop_front() else {
                        continue;
                    };
                    self.answer(device, request);
                }
                Event::Wake(device, life) => {
                    let time = self.time(device);
                    let state = &mut self.devices[device];
                    // It wanted to be woken at another time since.
                    if state.woken != at {
                        continue;
                    }
                    state.woken = u64::MAX;
                    if state.life == life
                        && let Some(node) = state.node.as_mut()
                    {
                        node.tick(time);
                        self.settle(device);
                    }
                }
            }
        }
        self.now = self.now.max(time);
    }

    fn answer(&mut self, device: usize, request: Request) {
        let time = self.time(device);
        let is_event = matches!(request, Request::TakeIn(_));
        let begins = matches!(request, Request::BeginChain);
        let is_statement = matches!(request, Request::TakeStatement { .. });
        let state = &mut self.devices[device];
        let fails = state.fails > 0 && self.dice.one_in(state.fails);
        let answer = fails.then(|| state.store.fail(&request)).flatten();
        state.failed += u64::from(answer.is_some());
        let answer = answer.unwrap_or_else(|| state.store.answer(&mut self.dice, request));
        if let Some(node) = state.node.as_mut() {
            node.answer(time, answer);
            if is_event {
                node.wants_changed(time);
            }
            if begins || is_statement {
                let peers: BTreeSet<PeerId> = node.peers().iter().map(|peer| peer.peer).collect();
                let standing = |peer: &PeerId| Standing {
                    peer: *peer,
                    certified: state.store.certified(*peer),
                    access: Access::Full,
                };
                let standings: Vec<Standing> = peers.iter().map(standing).collect();
                node.members(time, state.store.heads(), &standings);
            }
        }
        self.settle(device);
    }
}
