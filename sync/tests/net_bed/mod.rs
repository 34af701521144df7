//! Devices for the network's suites: a vault in memory behind [`Replica`], with real statements of membership, and services on
//! loopback. Waiting has an end, and says what it waited for.
#![allow(dead_code, unreachable_pub, reason = "no suite uses all of it")]

#[path = "../model/mod.rs"]
pub mod model;

pub mod cut;
pub mod flood;
pub mod raw;
pub mod relay;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use coffer_store::ids::{ChainId, SpaceId};
use coffer_store::keys::{Key, SigningKey, derive, labels};
use coffer_store::members::{
    Body, Card, DeviceId, DeviceName, Inserted, JoinRequest, Members, NotVerified, SpaceSecrets, StatementId,
    Verified, chain_id,
};
use coffer_store::vault::Carried;
use coffer_sync::core::{Answer, Config, Policy, Request, StatementOutcome};
use coffer_sync::net::{Service, Settings, Status};
use coffer_sync::pairing::Joined;
use coffer_sync::replica::{Change, Replica, Roster};

use model::Dice;
use model::store::Store;

/// After which a wait is a failure. Nothing takes so long unless it hangs.
pub const PATIENCE: Duration = Duration::from_secs(30);

type Wake = Box<dyn Fn(Change) + Send + Sync>;

/// A vault in memory.
pub struct Bed {
    pub device: SigningKey,
    pub transport: SigningKey,
    pub state: Mutex<State>,
    wake: Mutex<Option<Wake>>,
}

pub struct State {
    pub members: Members,
    pub keyring: Vec<(StatementId, SpaceSecrets)>,
    pub store: Store,
    pub dice: Dice,
}

fn name(name: &str) -> DeviceName {
    DeviceName::new(name).unwrap()
}

impl State {
    /// Chains of members are known to the model's store.
    fn learn(&mut self) {
        let state = self.members.state();
        let each = |device: &coffer_store::members::Device| {
            let id = device.id;
            state.chains_of(&id).into_iter().map(move |chain| (chain, id.0))
        };
        let chains: Vec<_> = state.devices().iter().flat_map(each).collect();
        self.store.members.extend(chains);
    }

    fn insert(&mut self, said: Verified) {
        self.members.insert(said).unwrap();
        self.learn();
    }

    fn begin(&mut self, device: &SigningKey) -> ChainId {
        let random = self.dice.bytes();
        let said = self.members.tell(device, Body::Chain { random }).unwrap();
        self.insert(said);
        self.store.own = chain_id(self.members.space(), DeviceId::of(device), &random);
        self.store.own
    }

    fn heads(&self) -> Vec<[u8; 32]> {
        self.members.heads().map(|id| id.0).collect()
    }

    /// These and all that they follow.
    fn with_ancestors(&self, of: &[[u8; 32]]) -> BTreeSet<StatementId> {
        let mut all = BTreeSet::new();
        let mut todo: Vec<StatementId> = of.iter().map(|id| StatementId(*id)).collect();
        while let Some(id) = todo.pop() {
            if let Some(said) = self.members.get(&id)
                && all.insert(id)
            {
                todo.extend(said.statement().parents.iter().copied());
            }
        }
        all
    }

    fn answer(&mut self, device: &SigningKey, request: Request) -> Answer {
        match request {
            Request::BeginChain => Answer::Began(self.begin(device)),
            Request::Lacking { session, heads } => Answer::Lacking {
                session,
                want: heads
                    .into_iter()
                    .filter(|id| self.members.get(&StatementId(*id)).is_none())
                    .collect(),
                have: self.heads(),
            },
            Request::Statements {
                session,
                want,
                have,
                skip,
                ..
            } => {
                let (has, wants) = (self.with_ancestors(&have), self.with_ancestors(&want));
                let due = self
                    .members
                    .iter()
                    .filter(|s| wants.contains(&s.id()) && !has.contains(&s.id()));
                let statements: Vec<Arc<[u8]>> =
                    due.skip(skip).map(|s| s.statement().encode().into()).collect();
                Answer::Statements {
                    session,
                    statements,
                    more: false,
                }
            }
            Request::TakeStatement { session, bytes } => {
                let outcome = match Verified::decode(&bytes) {
                    Err(why @ NotVerified::Newer(_)) => StatementOutcome::Newer(why.to_string()),
                    Err(why) => StatementOutcome::Forged(why.to_string()),
                    Ok(said) => match self.members.insert_from(said, session.0) {
                        Ok(Inserted::Taken(_)) => StatementOutcome::Taken(self.heads()),
                        Ok(_) => StatementOutcome::Known,
                        Err(why) => StatementOutcome::Forged(why.to_string()),
                    },
                };
                self.learn();
                Answer::StatementTaken { session, outcome }
            }
            Request::ForgetWaiting { session } => {
                self.members.forget_waiting(session.0);
                Answer::Forgot
            }
            other => self.store.answer(&mut self.dice.clone(), other),
        }
    }
}

impl Bed {
    fn of(
        device: SigningKey,
        transport: SigningKey,
        members: Members,
        keyring: Vec<(StatementId, SpaceSecrets)>,
    ) -> Arc<Bed> {
        let seed = u64::from_le_bytes(device.verifying().as_bytes()[..8].try_into().unwrap());
        let mut state = State {
            members,
            keyring,
            store: Store::new(ChainId([0; 16]), Policy::Everything),
            dice: Dice(seed),
        };
        state.learn();
        if state.members.state().is_member(&DeviceId::of(&device)) {
            state.begin(&device);
        }
        Arc::new(Bed {
            device,
            transport,
            state: Mutex::new(state),
            wake: Mutex::new(None),
        })
    }

    /// The first device of a vault.
    pub fn founded(called: &str) -> Arc<Bed> {
        let (device, transport, secrets) = (
            SigningKey::generate(),
            SigningKey::generate(),
            SpaceSecrets::random(),
        );
        let card = Card::make(&device, &transport, name(called));
        let (members, founded) = Members::found(&device, card, &secrets);
        Bed::of(device, transport, members, vec![(founded.id(), secrets)])
    }

    /// One that has joined.
    pub fn joined(device: SigningKey, transport: Key, joined: Joined) -> Arc<Bed> {
        Bed::of(
            device,
            SigningKey::from_seed(transport),
            joined.members,
            joined.keyring,
        )
    }

    /// Another device of this vault, which both know of; without any pairing.
    pub fn with(&self, called: &str) -> Arc<Bed> {
        let (device, transport) = (SigningKey::generate(), SigningKey::generate());
        let card = Card::make(&device, &transport, name(called));
        let joining = JoinRequest::make(&device, card, self.space(), DeviceId::of(&self.device));
        self.admit(joining).unwrap();
        let (members, keyring) = self.copy();
        let bed = Bed::of(device, transport, members, keyring);
        self.learn(&bed);
        bed
    }

    fn copy(&self) -> (Members, Vec<(StatementId, SpaceSecrets)>) {
        let state = self.state.lock().unwrap();
        let mut members = Members::of(state.members.space());
        for said in state.members.iter() {
            members.insert(said.clone()).unwrap();
        }
        let keyring = state
            .keyring
            .iter()
            .map(|(id, secrets)| (*id, secrets.duplicate()));
        (members, keyring.collect())
    }

    /// Takes in all that another one knows of members, as if it had been carried over.
    pub fn learn(&self, from: &Bed) {
        let (theirs, _) = from.copy();
        let mut state = self.state.lock().unwrap();
        for said in theirs.iter() {
            state.members.insert(said.clone()).unwrap();
        }
        state.learn();
        drop(state);
        self.changed(Change::Members);
    }

    /// Devices of one vault that all know each other.
    pub fn several(names: &[&str]) -> Vec<Arc<Bed>> {
        let first = Bed::founded(names[0]);
        let mut all = vec![first.clone()];
        all.extend(names[1..].iter().map(|name| first.with(name)));
        for bed in &all[1..] {
            bed.learn(&first);
        }
        all
    }

    fn changed(&self, change: Change) {
        if let Some(wake) = &*self.wake.lock().unwrap() {
            wake(change);
        }
    }

    /// Tells something so long.
    pub fn tell(&self, len: usize) {
        self.tell_with(len, &[]);
    }

    /// The same, with a file of chunks of these lengths.
    pub fn tell_with(&self, len: usize, leaves: &[usize]) {
        let mut state = self.state.lock().unwrap();
        let mut dice = state.dice.clone();
        let root = (!leaves.is_empty()).then(|| state.store.add_file(&mut dice, leaves));
        state.store.tell(&mut dice, len, root.as_slice());
        state.dice = dice;
        drop(state);
        self.changed(Change::Told);
    }

    /// Has another name.
    pub fn rename(&self, called: &str) {
        let mut state = self.state.lock().unwrap();
        let body = Body::Renamed {
            device: self.id(),
            name: name(called),
        };
        let said = state.members.tell(&self.device, body).unwrap();
        state.insert(said);
    }

    pub fn remove(&self, other: &Bed) {
        self.remove_id(DeviceId::of(&other.device));
    }

    fn remove_id(&self, id: DeviceId) {
        let mut state = self.state.lock().unwrap();
        let secrets = SpaceSecrets::random();
        for said in state
            .members
            .remove(&self.device, id, Vec::new(), &secrets)
            .unwrap()
        {
            state.insert(said);
        }
        let epoch = state.members.state().epochs().last().unwrap().id;
        state.keyring.push((epoch, secrets));
        drop(state);
        self.changed(Change::Members);
    }

    pub fn id(&self) -> DeviceId {
        DeviceId::of(&self.device)
    }

    pub fn clock(&self) -> std::collections::BTreeMap<ChainId, (u64, [u8; 32])> {
        self.state.lock().unwrap().store.clock()
    }

    pub fn is_member(&self, other: &Bed) -> bool {
        self.state.lock().unwrap().members.state().is_member(&other.id())
    }

    pub fn missing(&self) -> usize {
        self.state.lock().unwrap().store.missing().len()
    }

    pub fn start(self: &Arc<Bed>, settings: &Settings) -> Service {
        Service::start(self.clone(), settings).unwrap()
    }
}

impl Replica for Bed {
    fn space(&self) -> SpaceId {
        self.state.lock().unwrap().members.space()
    }
    fn device(&self) -> SigningKey {
        SigningKey::from_seed(self.device.seed())
    }
    fn transport(&self) -> Key {
        self.transport.seed()
    }
    fn config(&self) -> Result<Config, String> {
        let state = self.state.lock().unwrap();
        Ok(Config {
            space: state.members.space(),
            heads: state.heads(),
            ..state.store.config()
        })
    }
    fn roster(&self) -> Roster {
        Roster::of(self.id(), &self.state.lock().unwrap().members)
    }
    fn answer(&self, request: Request) -> Answer {
        self.state.lock().unwrap().answer(&self.device, request)
    }
    fn news(&self, after: &mut u64) -> Result<Vec<Arc<Carried>>, String> {
        let state = self.state.lock().unwrap();
        let own = state.store.chains.get(&state.store.own).into_iter().flatten();
        let news: Vec<Arc<Carried>> = own.filter(|batch| batch.row.first > *after).cloned().collect();
        if let Some(last) = news.last() {
            *after = last.row.last().unwrap();
        }
        Ok(news)
    }
    fn rendezvous(&self, period: u64) -> Key {
        let state = self.state.lock().unwrap();
        let epoch = state.members.state().epoch().unwrap().id;
        let secrets = state
            .keyring
            .iter()
            .find(|(id, _)| *id == epoch)
            .unwrap()
            .1
            .expose();
        let key = Key::take(&mut secrets[..32].try_into().unwrap());
        derive(&key, labels::NET_RENDEZVOUS, &period.to_le_bytes())
    }
    fn admit(&self, joining: JoinRequest) -> Result<StatementId, String> {
        let mut state = self.state.lock().unwrap();
        let added = state
            .members
            .add(&self.device, joining, &state.keyring)
            .map_err(|why| why.to_string())?;
        let id = added[0].id();
        added.into_iter().for_each(|said| state.insert(said));
        drop(state);
        self.changed(Change::Members);
        Ok(id)
    }
    fn take_back(&self, device: DeviceId) -> Result<(), String> {
        self.remove_id(device);
        Ok(())
    }
    fn keyring(&self) -> Vec<(StatementId, SpaceSecrets)> {
        self.copy().1
    }
    fn with_members(&self, look: &mut dyn FnMut(&Members)) {
        look(&self.state.lock().unwrap().members);
    }
    fn subscribe(&self, wake: Wake) {
        *self.wake.lock().unwrap() = Some(wake);
    }
}

/// Settings for loopback: nothing but addresses by hand.
pub fn quiet(listen: &[&str]) -> Settings {
    Settings {
        listen: listen.iter().map(ToString::to_string).collect(),
        mdns: false,
        dht: false,
        ..Settings::default()
    }
}

pub const TCP: &str = "/ip4/127.0.0.1/tcp/0";
pub const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";

/// Waits until the status is as it should be.
pub fn wait(service: &Service, what: &str, is: impl Fn(&Status) -> bool) -> Status {
    let until = Instant::now() + PATIENCE;
    let mut status = service.status();
    while !is(&status) {
        let left = until.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "waited in vain for {what}: {status:#?}");
        if let Some(next) = service.wait_status_change(status.version, left) {
            status = next;
        }
    }
    status
}

/// Waits until something is so.
pub fn until(what: &str, mut is: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < until, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Where a service listens.
pub fn address(service: &Service) -> String {
    wait(service, "an address", |status| !status.listening.is_empty()).listening[0].clone()
}

/// Whether a service is connected with a device, once.
pub fn linked(status: &Status, with: &Bed) -> bool {
    let mut peers = status.peers.iter();
    peers.any(|peer| peer.device == with.id() && peer.link.as_ref().is_some_and(|link| link.connections == 1))
}
