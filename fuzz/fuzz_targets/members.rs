//! Any bytes as a story: each four of them make one of five devices say something on any ground, true or not. Nobody panics, and who hears it
//! backwards comes to the same.
#![no_main]

use std::sync::LazyLock;

use coffer_fuzz::fuzz_target;
use coffer_store::keys::{Key, SigningKey, labels};
use coffer_store::members::{
    Body, Card, DeviceId, DeviceName, JoinRequest, Limit, Members, SpaceSecrets, State, Statement,
    StatementId, Verified, chain_id,
};

static DEVICES: LazyLock<Vec<SigningKey>> = LazyLock::new(|| {
    (1..6)
        .map(|n| SigningKey::from_seed(Key::take(&mut [n; 32])))
        .collect()
});

fn card(device: &SigningKey) -> Card {
    let name = DeviceName::new("device").expect("it is one");
    Card::make(device, device, name)
}

fn body(kind: u8, of: &SigningKey, by: DeviceId, epoch: u32, members: &Members) -> Body {
    let device = DeviceId::of(of);
    match kind % 10 {
        0..=2 => Body::Added(Box::new(JoinRequest::make(of, card(of), members.space(), by))),
        3 | 4 => Body::Removed { device },
        9 => Body::Vouched {
            device,
            limits: vec![Limit {
                chain: chain_id(members.space(), device, &[0; 16]),
                last: u64::from(kind),
                head: [kind; 32],
            }],
        },
        5 => Body::Chain {
            random: [kind & 1; 16],
        },
        6 => Body::Epoch {
            number: epoch + 1,
            commitment: [kind; 32],
            shares: Vec::new(),
        },
        7 => Body::Shared {
            epoch: StatementId([kind; 32]),
            shares: Vec::new(),
        },
        // Of a later program, also one that asks for an update.
        _ => Body::Other {
            kind: 12 | kind,
            bytes: vec![kind; usize::from(kind >> 4)],
        },
    }
}

fn say(by: &SigningKey, members: &Members, on: &[&Verified], body: Body) -> Option<Verified> {
    let mut parents: Vec<StatementId> = on.iter().map(|parent| parent.id()).collect();
    parents.sort_unstable();
    parents.dedup();
    let mut statement = Statement {
        space: members.space(),
        author: DeviceId::of(by),
        lamport: on.iter().map(|parent| parent.statement().lamport).max()? + 1,
        parents,
        body,
        signature: [0; 64],
    };
    let unsigned = statement.encode();
    statement.signature = by.sign(labels::SIGN_MEMBER, &unsigned[..unsigned.len() - 64]);
    Verified::decode(&statement.encode()).ok()
}

/// The highest epoch that a statement stands on.
fn epoch(members: &Members, on: &[&Verified]) -> u32 {
    let above = on.iter().map(|said| {
        let parents: Vec<&Verified> = said
            .statement()
            .parents
            .iter()
            .filter_map(|id| members.get(id))
            .collect();
        match &said.statement().body {
            Body::Epoch { number, .. } => *number,
            _ => epoch(members, &parents),
        }
    });
    above.max().unwrap_or(0)
}

fn told(state: &State) -> String {
    let epochs: Vec<_> = state
        .epochs()
        .iter()
        .map(|epoch| (epoch.id, epoch.number, epoch.counts))
        .collect();
    let lacking: Vec<_> = state.lacking().map(|(epoch, who)| (epoch.id, who)).collect();
    let vouched: Vec<_> = state
        .devices()
        .iter()
        .map(|device| (state.vouched(&device.id), state.removals(&device.id)))
        .collect();
    let present = state.epoch().map(|epoch| epoch.id);
    format!(
        "{:?} {epochs:?} {present:?} {lacking:?} {vouched:?} {:?}",
        state.devices(),
        state.overruled()
    )
}

fuzz_target!(|bytes: &[u8]| {
    let secrets = SpaceSecrets::take(&[0; 96]);
    let (mut members, _) = Members::found(&DEVICES[0], card(&DEVICES[0]), &secrets);
    for step in bytes.chunks_exact(4).take(16) {
        let (by, of) = (
            &DEVICES[usize::from(step[0]) % 5],
            &DEVICES[usize::from(step[0]) / 5 % 5],
        );
        let all: Vec<&Verified> = members.iter().collect();
        let on = [
            all[usize::from(step[2]) % all.len()],
            all[all.len() - 1 - usize::from(step[3]) % all.len()],
        ];
        let body = body(step[1], of, DeviceId::of(by), epoch(&members, &on), &members);
        if let Some(said) = say(by, &members, &on, body) {
            let _heard = members.insert(said);
        }
    }
    let mut backwards = Members::of(members.space());
    let all: Vec<Verified> = members.iter().cloned().collect();
    for said in all.into_iter().rev() {
        assert!(
            backwards.insert(said).is_ok(),
            "what one takes in, another refuses"
        );
    }
    assert!(
        told(members.state()) == told(backwards.state()),
        "two orders, two states"
    );
});
