//! What a new statement stands on, and several of one author in one step.
//!
//! Guarantees: a statement stands on its author's newest and on the highest epoch that counts, however many heads somebody has made up; each
//! of a step stands on the one before.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::body::Body;
use super::graph::Members;
use super::state::State;
use super::statement::{DeviceId, NotVerified, Statement, StatementId, Verified};
use super::{BRANCH_MAX, DEVICES_MAX, MEMBERS_MAX, PARENTS_MAX};
use crate::keys::SigningKey;

/// Why something cannot be said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotSay {
    /// The device is no member.
    #[error("this device is not, or no longer, one of the vault's devices; pair it again")]
    NoMember,
    /// It is about a device that is none.
    #[error("there is no such device among the vault's; `coffer device list` names them")]
    NoDevice,
    /// It was a member already. A device that was removed comes back with a new identity.
    #[error("this device was one of the vault's devices before; it has to join with a new identity")]
    Before,
    /// There are too many members.
    #[error("a vault has at most {MEMBERS_MAX} devices; remove one that is not used any more")]
    TooMany,
    /// There is no seat left for it, here or anywhere.
    #[error(
        "no more devices can join by this one: a vault has {DEVICES_MAX} ever, and at most {BRANCH_MAX} come by each that its first device has added; let the first device add it, or found a new vault"
    )]
    NoSeat,
    /// There is no such epoch, or its secrets are others.
    #[error("these are not the keys of any epoch of this vault")]
    NoEpoch,
    /// A device vouches for itself.
    #[error("a device cannot vouch for what it has written itself; another of the vault's devices has to")]
    Itself,
    /// Only its juniors' removals can be objected to, and there is none.
    #[error("no device that was added later has removed this one, so there is nothing to object to")]
    NothingToObject,
    /// It is longer than a statement can be.
    #[error(
        "what this device says about the vault's devices is too long; this is an error in Coffer, please report it"
    )]
    TooLong,
    /// The joining device did not prove what it has to.
    #[error(transparent)]
    NotVerified(#[from] NotVerified),
}

/// Statements of one author, each on the one before, the first on what is known.
pub(super) struct Step<'a> {
    members: &'a Members,
    by: &'a SigningKey,
    author: DeviceId,
    parents: Vec<StatementId>,
    /// The highest among the parents and their ancestors.
    lamport: u64,
    epoch: u32,
    pub(super) said: Vec<Verified>,
}

impl<'a> Step<'a> {
    /// Begins, if this device may say anything.
    pub(super) fn begin(members: &'a Members, by: &'a SigningKey) -> Result<Step<'a>, CannotSay> {
        let author = DeviceId::of(by);
        let state = members.state();
        if !state.is_member(&author) && !state.may_object(&author) {
            return Err(CannotSay::NoMember);
        }
        let parents = members.stand(&author);
        let nodes = || parents.iter().filter_map(|id| members.place(id));
        Ok(Step {
            lamport: nodes()
                .map(|node| node.verified.statement().lamport)
                .max()
                .unwrap_or(0),
            epoch: nodes().map(|node| node.epoch).max().unwrap_or(0),
            members,
            by,
            author,
            parents: parents.into_iter().collect(),
            said: Vec::new(),
        })
    }

    /// What it stands on.
    pub(super) fn members(&self) -> &'a Members {
        self.members
    }

    /// The number of an epoch that would begin now.
    pub(super) fn next_epoch(&self) -> u32 {
        self.epoch.saturating_add(1)
    }

    /// What all comes to with what was said so far.
    pub(super) fn state(&self) -> State {
        self.members.state_with(&self.said)
    }

    /// Says it. Whether it counts is the caller's to know.
    pub(super) fn say(&mut self, body: Body) -> Result<(), CannotSay> {
        if matches!(&body, Body::Vouched { device, .. } if *device == self.author) {
            return Err(CannotSay::Itself);
        }
        let said = Statement {
            space: self.members.space(),
            author: self.author,
            lamport: self.lamport.saturating_add(1),
            parents: self.parents.clone(),
            body,
            signature: [0; 64],
        }
        .signed(self.by);
        // What comes back is what others will read.
        let said = match Verified::decode(&said.statement().encode()) {
            Ok(said) => said,
            Err(NotVerified::Malformed(_)) => return Err(CannotSay::TooLong),
            Err(other) => return Err(other.into()),
        };
        (self.parents, self.lamport) = (vec![said.id()], said.statement().lamport);
        if let Body::Epoch { number, .. } = &said.statement().body {
            self.epoch = *number;
        }
        self.said.push(said);
        Ok(())
    }
}

impl Members {
    /// What a new statement of this author stands on: the heads. Where there are more than it can name, its own newest statement, the highest epoch
    /// that counts, and those heads that matter most: the newest of each member, the most senior first, then the second newest of each, and so
    /// on; then those of others. So heads that somebody makes up displace nobody else's newest.
    fn stand(&self, author: &DeviceId) -> BTreeSet<StatementId> {
        if self.heads().len() <= PARENTS_MAX {
            return self.heads().collect();
        }
        let own = self.iter().filter(|said| said.statement().author == *author);
        let own = own.max_by_key(|said| (said.statement().lamport, said.id()));
        let must = own.map(Verified::id).into_iter().chain(self.highest_epoch());
        let mut parents: BTreeSet<StatementId> = must.collect();
        for id in self.ranked_heads() {
            if parents.len() < PARENTS_MAX {
                parents.insert(id);
            }
        }
        parents
    }

    /// The heads, for whoever is told of at most so many. Where there are more, those that matter: the highest epoch that counts, the newest
    /// statement of each member, the most senior first, **be they heads or not**, since somebody may have said something on them that is not named;
    /// then heads, ranked as for what a new statement stands on. So nobody hides a removal, or the epoch at its end, behind heads that it makes up.
    pub fn main_heads(&self, most: usize) -> Vec<StatementId> {
        if self.heads().len() <= most {
            return self.heads().collect();
        }
        let mut newest: HashMap<DeviceId, (u64, StatementId)> = HashMap::new();
        for said in self.iter() {
            let time = (said.statement().lamport, said.id());
            let known = newest.entry(said.statement().author).or_insert(time);
            *known = time.max(*known);
        }
        let members = self.state().members();
        let members = members.filter_map(|member| newest.get(&member.id).map(|(_, id)| *id));
        let main = self.highest_epoch().into_iter().chain(members);
        let mut seen = HashSet::new();
        let all = main.chain(self.ranked_heads()).filter(|id| seen.insert(*id));
        all.take(most).collect()
    }

    fn highest_epoch(&self) -> Option<StatementId> {
        let counting = self.state().epochs().iter().filter(|epoch| epoch.counts);
        let highest = counting.max_by_key(|epoch| (epoch.number, epoch.id));
        highest.map(|epoch| epoch.id)
    }

    /// All heads: the newest of each member, the most senior first, then the second newest of each, and so on; then those of others.
    fn ranked_heads(&self) -> impl Iterator<Item = StatementId> {
        let state = self.state();
        let time = |id: &StatementId| self.place(id).map_or(0, |node| node.verified.statement().lamport);
        let mut heads: Vec<StatementId> = self.heads().collect();
        heads.sort_unstable_by_key(|id| std::cmp::Reverse((time(id), *id)));
        let mut before: HashMap<DeviceId, usize> = HashMap::new();
        let mut ranked = Vec::with_capacity(heads.len());
        for id in heads {
            let Some(node) = self.place(&id) else { continue };
            let by = node.verified.statement().author;
            let nth = before.entry(by).or_default();
            ranked.push((
                !state.is_member(&by),
                *nth,
                state.seniority(&by).unwrap_or(usize::MAX),
                id,
            ));
            *nth += 1;
        }
        ranked.sort_unstable();
        ranked.into_iter().map(|(.., id)| id)
    }
}
