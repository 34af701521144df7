//! What all statements come to: the rules for seats and words are in [`judge`](super::judge), those for epochs in
//! [`epochs`](super::epochs()).
//!
//! The chains of a device that is no member count as far as the farthest says that vouches for it: its word counts, and it is another
//! device. Names and transport keys are those that were said last. What a later program
//! says counts for nothing; only that it asks for a later one is told.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::body::{Body, Limit};
use super::chain_id;
use super::epochs::epochs;
use super::graph::Node;
use super::judge::Judge;
use super::reach::Line;
use super::state::{Device, Standing, State};
use super::statement::DeviceId;
use crate::ids::ChainId;

type Vouched = HashMap<DeviceId, BTreeMap<ChainId, Limit>>;

/// What these statements come to. All their ancestors are among them, and their parents are named by their places here.
pub(super) fn evaluate<'a>(nodes: impl Iterator<Item = &'a Node>) -> State {
    let line = Line::new(nodes);
    let judge = Judge::of(&line);
    let vouched = vouched(&line, &judge);
    let mut devices: Vec<Device> = (0..judge.seats.len())
        .filter_map(|seat| judge.device(seat))
        .collect();
    devices.extend(seatless(&line, &judge, &vouched));
    let mut state = State::new(devices, judge.overruled.clone());
    for seat in 0..judge.seats.len() {
        state.removed(judge.removed_by(seat), judge.may_object(seat));
    }
    for (at, statement) in line.statements() {
        let author = &statement.author;
        let counts = judge.rank(author).is_some_and(|by| judge.counts(by, at));
        match &statement.body {
            Body::Chain { random } => {
                let chain = chain_id(statement.space, *author, random);
                let limit = vouched.get(author).and_then(|limits| limits.get(&chain));
                state.begin_chain(author, chain, counts, limit.copied());
            }
            Body::Renamed { device, name } if counts => {
                state.change(device, |device| device.name = name.clone());
            }
            Body::Transport(proof) if counts => {
                state.change(author, |device| device.transport = proof.key);
            }
            body if counts && body.needs_update() => state.says_newer(author),
            _ => {}
        }
    }
    for (device, limits) in vouched {
        state.vouch(device, limits.into_values().collect());
    }
    state.finish(epochs(&line, &judge));
    state
}

/// How far others vouch for each device's chains: the farthest, by its last event, then by its head.
fn vouched(line: &Line<'_>, judge: &Judge<'_>) -> Vouched {
    let mut vouched = Vouched::new();
    for (at, statement) in line.statements() {
        let Body::Vouched { device, limits } = &statement.body else {
            continue;
        };
        let by = judge.rank(&statement.author);
        if *device == statement.author || !by.is_some_and(|by| judge.counts(by, at)) {
            continue;
        }
        let all = vouched.entry(*device).or_default();
        for limit in limits {
            let far = all.entry(limit.chain).or_insert(*limit);
            if (limit.last, limit.head) > (far.last, far.head) {
                *far = *limit;
            }
        }
    }
    vouched
}

/// Devices without a seat that somebody vouches for: whoever added one was removed, and so it is undone.
fn seatless(line: &Line<'_>, judge: &Judge<'_>, vouched: &Vouched) -> Vec<Device> {
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for (at, statement) in line.statements() {
        if let Body::Added(joining) = &statement.body
            && judge.rank(&joining.device).is_none()
            && vouched.contains_key(&joining.device)
            && seen.insert(joining.device)
        {
            found.extend(Device::of(
                line.node(at),
                Some(statement.author),
                Standing::Undone,
            ));
        }
    }
    found
}
