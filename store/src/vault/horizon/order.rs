//! What membership says of chains: whose each is, who is senior, who is removed.

use std::collections::HashMap;

use crate::horizon::{Order, Right, Say};
use crate::ids::{ChainId, EventRef};
use crate::members::{Body, DeviceId, Members, StatementId, chain_id};

/// Something that an event says of chains.
pub(in crate::vault) struct WordOf {
    pub(in crate::vault) at: EventRef,
    pub(in crate::vault) lamport: u64,
    pub(in crate::vault) say: Say,
}

/// A chain, as the statement that began it says.
struct Begun {
    device: DeviceId,
    by: StatementId,
    /// Its place among all, by the statements' line.
    place: u64,
}

/// Chains by the statements that began them.
pub(super) struct Known<'a> {
    members: &'a Members,
    chains: HashMap<ChainId, Begun>,
    /// Of each device, the first one.
    firsts: HashMap<DeviceId, ChainId>,
    first: Option<ChainId>,
}

impl Known<'_> {
    pub(super) fn of(members: &Members) -> Known<'_> {
        let state = members.state();
        let mut founder = None;
        let mut begun = Vec::new();
        for said in members.iter() {
            let statement = said.statement();
            match &statement.body {
                Body::Founded { .. } => founder = Some(statement.author),
                Body::Chain { random } if state.device(&statement.author).is_some() => {
                    begun.push((statement.lamport, said.id(), statement.author, *random));
                }
                _ => {}
            }
        }
        begun.sort_unstable();
        let (mut chains, mut firsts) = (HashMap::new(), HashMap::new());
        for ((_, by, device, random), place) in begun.into_iter().zip(0..) {
            let chain = chain_id(members.space(), device, &random);
            firsts.entry(device).or_insert(chain);
            chains.entry(chain).or_insert(Begun { device, by, place });
        }
        let first = founder.and_then(|founder| firsts.get(&founder).copied());
        Known {
            members,
            chains,
            firsts,
            first,
        }
    }

    /// All chains, and these.
    pub(super) fn chains<'b>(&self, others: impl Iterator<Item = &'b ChainId>) -> Vec<ChainId> {
        let mut all: Vec<ChainId> = self.chains.keys().copied().chain(others.copied()).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Whose a chain is.
    pub(super) fn device(&self, chain: &ChainId) -> Option<DeviceId> {
        self.chains.get(chain).map(|begun| begun.device)
    }

    /// The chain that a device began last.
    pub(super) fn newest(&self, device: &DeviceId) -> Option<ChainId> {
        let its = self.chains.iter().filter(|(_, begun)| begun.device == *device);
        its.max_by_key(|(_, begun)| begun.place).map(|(chain, _)| *chain)
    }

    fn is_before(&self, earlier: &ChainId, later: &ChainId) -> bool {
        let (earlier, later) = (self.chains.get(earlier), self.chains.get(later));
        earlier
            .zip(later)
            .is_some_and(|(a, b)| self.members.is_before(&a.by, &b.by))
    }
}

impl Order for Known<'_> {
    fn is_first(&self, chain: &ChainId) -> bool {
        self.first == Some(*chain)
    }

    fn rank(&self, chain: &ChainId) -> (u64, u64) {
        let Some(begun) = self.chains.get(chain) else {
            return (u64::MAX, u64::MAX);
        };
        let first = self
            .firsts
            .get(&begun.device)
            .and_then(|first| self.chains.get(first));
        (
            first.map_or(u64::MAX, |first| first.place),
            u64::MAX - begun.place,
        )
    }

    fn right(&self, by: &ChainId, of: &ChainId) -> Right {
        let (Some(by_device), Some(of_device)) = (self.device(by), self.device(of)) else {
            return Right::Unknown;
        };
        if by_device == of_device {
            return if self.is_before(of, by) {
                Right::Has
            } else {
                Right::No
            };
        }
        let first = |device: &DeviceId| self.firsts.get(device).copied().unwrap_or(*by);
        let is_senior = self.is_before(&first(&by_device), &first(&of_device));
        let state = self.members.state();
        match (state.is_member(&by_device), state.is_member(&of_device)) {
            _ if is_senior => Right::Has,
            (true, false) => Right::Has,
            (true, true) => Right::Unknown,
            (false, _) => Right::No,
        }
    }
}
