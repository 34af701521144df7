//! Which epochs there are, who was given their secrets, and which of them may seal what is new.
//!
//! An epoch is **clean** if all who may hold its secrets are members now: its author, whom its own shares name, and whom
//! those name that hold it, and so on, whether their word counts or not. Who does not hold it cannot give it: so nobody who is
//! no member makes an epoch unclean by saying so. It is **whole** if its own shares name every member that was
//! added among its ancestors.

use std::collections::{HashMap, HashSet};

use super::body::{Body, Share};
use super::judge::Judge;
use super::reach::{Bits, Line};
use super::state::Epoch;
use super::statement::{DeviceId, StatementId};

/// One statement that gives an epoch's secrets on.
struct Gift<'a> {
    author: DeviceId,
    shares: &'a [Share],
    counts: bool,
}

/// All epochs, in the order in which they began.
pub(super) fn epochs(line: &Line<'_>, judge: &Judge<'_>) -> Vec<Epoch> {
    let counts = |author: &DeviceId, at| judge.rank(author).is_some_and(|by| judge.counts(by, at));
    let mut gifts: HashMap<StatementId, Vec<Gift<'_>>> = HashMap::new();
    for (at, statement) in line.statements() {
        if let Body::Shared { epoch, shares } = &statement.body {
            gifts.entry(*epoch).or_default().push(Gift {
                author: statement.author,
                shares,
                counts: counts(&statement.author, at),
            });
        }
    }
    let mut epochs = Vec::new();
    // Where each begins, and whom its own shares name.
    let mut own = Vec::new();
    for (at, statement) in line.statements() {
        let (number, commitment, shares) = match &statement.body {
            Body::Founded { commitment, .. } => (0, commitment, &[][..]),
            Body::Epoch {
                number,
                commitment,
                shares,
            } => (*number, commitment, &shares[..]),
            _ => continue,
        };
        let id = line.node(at).verified.id();
        let gifts = gifts.get(&id).map_or(&[][..], |gifts| &gifts[..]);
        let mut named = Bits::none(judge.seats.len());
        let ranks = shares.iter().filter_map(|share| judge.rank(&share.device));
        ranks
            .chain(judge.rank(&statement.author))
            .for_each(|seat| named.add(seat));
        let mut holders = named.clone();
        let given = gifts
            .iter()
            .filter(|gift| gift.counts)
            .flat_map(|gift| gift.shares);
        given
            .filter_map(|share| judge.rank(&share.device))
            .for_each(|seat| holders.add(seat));
        epochs.push(Epoch {
            id,
            number,
            commitment: *commitment,
            author: statement.author,
            counts: counts(&statement.author, at),
            clean: clean(statement.author, shares, gifts, judge),
            whole: true,
            holders,
        });
        own.push((at, named));
    }
    whole(line, judge, &mut epochs, &own);
    epochs
}

/// Whether all who may hold an epoch's secrets are members.
fn clean(author: DeviceId, shares: &[Share], gifts: &[Gift<'_>], judge: &Judge<'_>) -> bool {
    let mut by: HashMap<DeviceId, Vec<&[Share]>> = HashMap::new();
    for gift in gifts {
        by.entry(gift.author).or_default().push(gift.shares);
    }
    let mut left: Vec<DeviceId> = shares.iter().map(|share| share.device).collect();
    left.push(author);
    let mut seen = HashSet::new();
    while let Some(holder) = left.pop() {
        if !seen.insert(holder) {
            continue;
        }
        if !judge.is_member(&holder) {
            return false;
        }
        let given = by.remove(&holder).unwrap_or_default();
        left.extend(given.into_iter().flatten().map(|share| share.device));
    }
    true
}

/// Marks those epochs as not whole that leave out a member whom their author knew.
fn whole(line: &Line<'_>, judge: &Judge<'_>, epochs: &mut [Epoch], own: &[(usize, Bits)]) {
    let is_member = |seat: &usize| judge.is_member(&judge.seats[*seat].id);
    let members: Vec<usize> = (0..judge.seats.len()).filter(is_member).collect();
    for group in members.chunks(64) {
        let of = |(bit, seat): (usize, &usize)| {
            let added = judge.seats[*seat].added.clone().into_iter();
            let counts = added.filter(|(at, by)| judge.counts(*by, *at));
            let founder = (*seat == 0).then_some(0);
            let at: Vec<usize> = counts.map(|(at, _)| at).chain(founder).collect();
            at.into_iter().map(move |at| (at, 1 << bit))
        };
        let known = line.marks(group.iter().enumerate().flat_map(of));
        for (epoch, (at, named)) in epochs.iter_mut().zip(own) {
            let left_out = |(bit, seat): (usize, &usize)| known[*at] >> bit & 1 == 1 && !named.has(*seat);
            epoch.whole &= !group.iter().enumerate().any(left_out);
        }
    }
}
