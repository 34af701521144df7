//! Membership: the rules one by one, and by seeds.

mod forms;
mod limits;
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

fn add(members: &mut Members, by: &Dev, who: &Dev) {
    let added = members.add(&by.key, who.joining(members.space(), by)).unwrap();
    members.insert(added).unwrap();
}

fn remove(members: &mut Members, by: &Dev, who: &Dev) {
    for said in members
        .remove(&by.key, who.id(), Vec::new(), &secrets(9))
        .unwrap()
    {
        members.insert(said).unwrap();
    }
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
    let epochs: Vec<_> = state
        .epochs()
        .iter()
        .map(|epoch| {
            let holders: Vec<_> = state
                .devices()
                .iter()
                .filter(|d| state.holds(&d.id, epoch))
                .map(|d| d.id)
                .collect();
            (epoch.id, epoch.number, holders)
        })
        .collect();
    let chains: Vec<_> = state
        .devices()
        .iter()
        .flat_map(|device| state.chains_of(&device.id))
        .map(|chain| {
            (
                chain,
                state
                    .who_signs(&chain)
                    .map(|signer| (signer.device, signer.limit)),
            )
        })
        .collect();
    let speaks: Vec<_> = state
        .devices()
        .iter()
        .map(|device| state.speaks_for(&device.transport))
        .collect();
    format!(
        "{:#?}\n{epochs:?}\n{chains:?}\n{speaks:?}\n{:?} {} {:?}\n{:?}",
        state.devices(),
        state.epoch().map(|epoch| epoch.id),
        state.epoch_is_due(),
        state.lacking(),
        state.overruled()
    )
}
