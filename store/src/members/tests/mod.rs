//! Membership: the rules one by one, and by seeds.

mod faults;
mod forms;
mod later;
mod limits;
mod load;
mod property;
mod rules;

use super::*;
use crate::ids::SpaceId;
use crate::keys::{Key, SigningKey};

/// A device of the tests.
struct Dev {
    key: SigningKey,
    transport: SigningKey,
    name: &'static str,
}

impl Dev {
    fn new(n: u8, name: &'static str) -> Dev {
        let key = |salt: u8| {
            SigningKey::from_seed(Key::take(&mut std::array::from_fn(|i| {
                n.wrapping_mul(31) ^ salt ^ i as u8
            })))
        };
        Dev {
            key: key(0x11),
            transport: key(0x77),
            name,
        }
    }

    fn id(&self) -> DeviceId {
        DeviceId::of(&self.key)
    }

    fn card(&self) -> Card {
        Card::make(&self.key, &self.transport, DeviceName::new(self.name).unwrap())
    }

    fn joining(&self, space: SpaceId, by: &Dev) -> JoinRequest {
        JoinRequest::make(&self.key, self.card(), space, by.id())
    }
}

fn secrets(n: u8) -> SpaceSecrets {
    SpaceSecrets::take(&std::array::from_fn(|i| n.wrapping_add(i as u8)))
}

fn founded(by: &Dev) -> Members {
    Members::found(&by.key, by.card(), &secrets(0)).0
}

/// A second holder of the same statements.
fn copy(of: &Members) -> Members {
    let mut copy = Members::of(of.space());
    take_all(&mut copy, of);
    copy
}

fn take_all(into: &mut Members, from: &Members) {
    for statement in from.iter() {
        into.insert(statement.clone()).unwrap();
    }
}

/// Those epochs of these whose secrets the tests make, as who was there from the start would have them.
fn keyring(members: &Members) -> Vec<(StatementId, SpaceSecrets)> {
    let made = |epoch: &Epoch| {
        let secrets = (0..16)
            .map(secrets)
            .find(|made| made.commitment() == epoch.commitment);
        secrets.map(|secrets| (epoch.id, secrets))
    };
    members.state().epochs().iter().filter_map(made).collect()
}

fn hear(members: &mut Members, said: Vec<Verified>) {
    for said in said {
        assert_eq!(members.insert(said.clone()), Ok(Inserted::Taken(vec![said.id()])));
    }
}

fn add(members: &mut Members, by: &Dev, who: &Dev) {
    let joining = who.joining(members.space(), by);
    let added = members.add(&by.key, joining, &keyring(members)).unwrap();
    hear(members, added);
}

fn remove(members: &mut Members, by: &Dev, who: &Dev) {
    let said = members
        .remove(&by.key, who.id(), Vec::new(), &secrets(9))
        .unwrap();
    hear(members, said);
}

fn tell(members: &mut Members, by: &Dev, body: Body) {
    let said = members.tell(&by.key, body).unwrap();
    members.insert(said).unwrap();
}

fn members_of(members: &Members) -> Vec<String> {
    members
        .state()
        .members()
        .map(|device| device.name.to_string())
        .collect()
}

/// Something that says nothing about anybody else.
fn chain(n: u8) -> Body {
    Body::Chain { random: [n; 16] }
}

/// What a later program says.
fn later(kind: u8, bytes: &[u8]) -> Body {
    let bytes = bytes.to_vec();
    Body::Other { kind, bytes }
}

/// Anything at all, on any ground: what a thief's program could sign.
fn forge(by: &Dev, on: &[&Verified], space: SpaceId, body: Body) -> Verified {
    let mut parents: Vec<StatementId> = on.iter().map(|parent| parent.id()).collect();
    parents.sort_unstable();
    parents.dedup();
    let lamport = on.iter().map(|parent| parent.statement().lamport).max().unwrap() + 1;
    Statement {
        space,
        author: by.id(),
        lamport,
        parents,
        body,
        signature: [0; 64],
    }
    .signed(&by.key)
}

/// All that a state says, as text.
fn digest(state: &State) -> String {
    let unheard = state.epochs().iter().filter(|epoch| !epoch.counts);
    let unheard: Vec<_> = unheard.map(|epoch| (epoch.id, epoch.number)).collect();
    format!("{}\n{unheard:?}", heard(state))
}

/// The same, but for epochs of those that are not heard.
fn heard(state: &State) -> String {
    let counting = || state.epochs().iter().filter(|epoch| epoch.counts);
    let holders = |epoch: &Epoch| -> Vec<DeviceId> {
        let has = state.devices().iter().filter(|d| state.holds(&d.id, epoch));
        has.map(|d| d.id).collect()
    };
    let epochs: Vec<_> = counting()
        .map(|epoch| (epoch.id, epoch.number, epoch.clean, epoch.whole, holders(epoch)))
        .collect();
    let signer = |chain| {
        state
            .who_signs(&chain)
            .map(|signer| (signer.device, signer.limit))
    };
    let devices: Vec<_> = state
        .devices()
        .iter()
        .map(|device| {
            let chains: Vec<_> = state.chains_of(&device.id).into_iter().map(signer).collect();
            let speaks = state.may_speak(&device.transport);
            let removals = state.removals(&device.id);
            (
                chains,
                speaks,
                removals,
                state.may_object(&device.id),
                state.vouched(&device.id),
            )
        })
        .collect();
    let lacking: Vec<_> = state
        .lacking()
        .filter(|(epoch, _)| epoch.counts)
        .map(|(e, who)| (e.id, who))
        .collect();
    format!(
        "{:#?}\n{epochs:?}\n{devices:?}\n{:?} {} {lacking:?}\n{:?}",
        state.devices(),
        state.epoch().map(|epoch| epoch.id),
        state.epoch_is_due(),
        state.overruled()
    )
}
