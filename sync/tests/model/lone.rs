//! One device, and a peer that says what it likes.

use std::collections::BTreeMap;

use coffer_store::ids::ChainId;
use coffer_sync::core::wire::{Frames, Goodbye, Heard, Hello, Message, VERSION, framed};
use coffer_sync::core::{
    Access, Action, CertifiedPeer, Ended, Node, PeerId, Policy, Report, Request, SessionId,
};

use super::Dice;
use super::store::{SPACE, Store};

pub struct Lone {
    pub node: Node,
    pub store: Store,
    pub dice: Dice,
    pub now: u64,
    pub session: SessionId,
    /// Messages that came out, encoded.
    pub said: Vec<Vec<u8>>,
    /// The same, and in which session; not looked at before.
    pub told: Vec<(SessionId, Vec<u8>)>,
    pub sent: usize,
    pub closed: BTreeMap<SessionId, Ended>,
    pub reports: Vec<Report>,
    pub requests: usize,
    pub most_held: usize,
    /// Whether the peer reads nothing.
    pub is_deaf: bool,
    /// Whether the store answers nothing.
    pub is_stuck: bool,
    frames: BTreeMap<SessionId, Frames>,
}

pub const THEIRS: ChainId = ChainId([3; 16]);

pub fn hello() -> Hello {
    Hello {
        versions: (VERSION, VERSION),
        space: SPACE,
        own: THEIRS,
        features: 0,
        policy: Policy::Everything,
        credit: 1 << 20,
    }
}

/// What is said of a peer; whoever it is, it may say that it tells on their chain.
pub fn certified(store: &Store, peer: PeerId) -> CertifiedPeer {
    let mut certified = store.certified(peer);
    certified.chains.insert(THEIRS);
    certified
}

impl Lone {
    pub fn new(policy: Policy) -> Lone {
        let mut dice = Dice(1);
        let mut store = Store::new(ChainId([1; 16]), policy);
        store.state(&mut dice, ChainId([1; 16]));
        store.state(&mut dice, THEIRS);
        Lone::of(store, dice)
    }

    pub fn of(store: Store, dice: Dice) -> Lone {
        let mut node = Node::new(0, store.config());
        let session = node.connect(0, [2; 32], certified(&store, [2; 32]), Access::Full);
        let mut lone = Lone {
            node,
            store,
            dice,
            now: 0,
            session,
            said: Vec::new(),
            told: Vec::new(),
            sent: 0,
            closed: BTreeMap::new(),
            reports: Vec::new(),
            requests: 0,
            most_held: 0,
            is_deaf: false,
            is_stuck: false,
            frames: BTreeMap::new(),
        };
        lone.settle();
        lone
    }

    /// Another session with any device; what is said from now on is said there.
    pub fn connect(&mut self, peer: PeerId) -> SessionId {
        let certified = certified(&self.store, peer);
        self.session = self.node.connect(self.now, peer, certified, Access::Full);
        self.session
    }

    /// The peer says who it is, what it has, and that it knows all members.
    pub fn open(&mut self, chains: &[(ChainId, coffer_sync::core::wire::Reach)]) {
        let heads = self.store.heads();
        self.say(&Message::Hello(hello()));
        self.say(&Message::Heads(heads));
        self.say(&Message::Clock {
            whole: true,
            reach: chains.to_vec(),
        });
    }

    /// After its first message: what it has, and that it knows all members.
    pub fn open_rest(&mut self, chains: &[(ChainId, coffer_sync::core::wire::Reach)]) {
        let (heads, reach) = (self.store.heads(), chains.to_vec());
        self.say(&Message::Heads(heads));
        self.say(&Message::Clock { whole: true, reach });
    }

    pub fn say(&mut self, message: &Message<'_>) {
        self.receive(&framed(&message.encode()));
    }

    pub fn receive(&mut self, bytes: &[u8]) {
        self.node.receive(self.now, self.session, bytes);
        self.settle();
    }

    pub fn pass(&mut self, time: u64) {
        self.now += time;
        self.node.tick(self.now);
        self.settle();
    }

    pub fn why(&self) -> Option<&Ended> {
        self.closed.get(&self.session)
    }

    pub fn settle(&mut self) {
        loop {
            self.most_held = self.most_held.max(self.node.held_bytes());
            let Some(action) = self.node.poll() else { return };
            match action {
                Action::Send { session, mut bytes } => {
                    assert!(!self.closed.contains_key(&session), "sent after the end");
                    self.sent += bytes.len();
                    let bytes = std::mem::take(&mut bytes);
                    let frames = self.frames.entry(session).or_default();
                    let mut rest = &bytes[..];
                    while let Some(frame) = frames.next(&mut rest).unwrap() {
                        assert!(matches!(Message::decode(&frame), Ok(Heard::Message(_))));
                        if !self.is_deaf {
                            self.told.push((session, frame.clone()));
                            self.said.push(frame);
                        }
                    }
                    if !self.is_deaf {
                        self.node.wrote(self.now, session, bytes.len());
                    }
                }
                Action::Store(request) => {
                    self.requests += 1;
                    if !self.is_stuck {
                        let begins = matches!(request, Request::BeginChain);
                        let answer = self.store.answer(&mut self.dice, request);
                        self.node.answer(self.now, answer);
                        if begins {
                            self.node.members(self.now, self.store.heads(), &[]);
                        }
                    }
                }
                Action::Report(report) => self.reports.push(report),
                Action::Close { session, why } => drop(self.closed.insert(session, why)),
            }
        }
    }

    /// What was said, decoded, and not looked at before.
    pub fn take<T>(&mut self, mut each: impl FnMut(Message<'_>) -> Option<T>) -> Vec<T> {
        let said = std::mem::take(&mut self.said);
        let heard = said.iter().filter_map(|frame| match Message::decode(frame) {
            Ok(Heard::Message(message)) => each(message),
            _ => None,
        });
        heard.collect()
    }

    /// What was said in a session, decoded, and not looked at before.
    pub fn told<T>(&mut self, to: SessionId, mut each: impl FnMut(Message<'_>) -> Option<T>) -> Vec<T> {
        let mine: Vec<(SessionId, Vec<u8>)> =
            self.told.extract_if(.., |(session, _)| *session == to).collect();
        let heard = mine.iter().filter_map(|(_, frame)| match Message::decode(frame) {
            Ok(Heard::Message(message)) => each(message),
            _ => None,
        });
        heard.collect()
    }

    /// The same as [`Lone::say`], in another session.
    pub fn say_in(&mut self, session: SessionId, message: &Message<'_>) {
        self.node.receive(self.now, session, &framed(&message.encode()));
        self.settle();
    }

    pub fn goodbye(&mut self) -> Option<Goodbye> {
        self.take(|message| match message {
            Message::Goodbye(why) => Some(why),
            _ => None,
        })
        .pop()
    }
}
