//! Seeded runs: several devices say things of one tree, and hear them in any order, twice, late.

use std::collections::{BTreeMap, HashMap, HashSet};

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};

use super::*;
use crate::ids::{ChainId, EntityId, EventRef, NodeId, ROOT_NODE};

const NAMES: [&[u8]; 5] = [b"a", b"b.md", b"c", b"Trip", b"b (1).md"];

fn label(stamp: &Stamp, _: i64) -> String {
    stamp.at.chain.0[0].to_string()
}

fn node(n: u8) -> NodeId {
    NodeId([n; 16])
}

/// It lies here.
fn lies(parent: NodeId, name: &[u8], target: Target) -> Step {
    Step::Place(Place {
        parent,
        name: name.into(),
        target,
        perm: 0o755,
        xattrs: None,
        when: 0,
    })
}

/// A device, all that it has said and heard, and what it believes to see.
struct Device {
    chain: ChainId,
    clock: u64,
    seq: u64,
    shown: Shown,
    sees: HashMap<NodeId, Sight>,
}

impl Device {
    fn new(number: u8) -> Device {
        Device {
            chain: ChainId([number; 16]),
            clock: 0,
            seq: 0,
            shown: Shown::default(),
            sees: HashMap::new(),
        }
    }

    fn says(&mut self, node: NodeId, step: Step) -> Op {
        (self.clock, self.seq) = (self.clock + 1, self.seq + 1);
        let at = EventRef {
            chain: self.chain,
            seq: self.seq,
        };
        let stamp = Stamp {
            lamport: self.clock,
            at,
        };
        Op { stamp, node, step }
    }

    fn hears(&mut self, ops: Vec<Op>) {
        self.clock = ops.iter().map(|op| op.stamp.lamport).fold(self.clock, u64::max);
        let changed = self.shown.apply(ops, &label).unwrap();
        self.learns(changed);
    }

    fn learns(&mut self, changed: HashMap<NodeId, Option<Sight>>) {
        for (node, sight) in changed {
            match sight {
                Some(sight) => self.sees.insert(node, sight),
                None => self.sees.remove(&node),
            };
        }
    }

    /// Something that a person or a hostile member may do.
    fn acts(&mut self, rng: &mut StdRng) -> Op {
        let subject = node(rng.random_range(1..=24));
        if rng.random_ratio(1, 5) {
            return self.says(subject, Step::Gone(Box::new([]), None));
        }
        // Even ones are folders, mostly.
        let is_folder = subject.0[0].is_multiple_of(2) ^ rng.random_ratio(1, 40);
        let parent = match rng.random_range(0..4) {
            0 => ROOT_NODE,
            1 => node(rng.random_range(1..=24)),
            _ => node(rng.random_range(1..=12) * 2),
        };
        let target = match is_folder {
            true => Target::Folder,
            false => Target::Entity(EntityId(subject.0)),
        };
        self.says(
            subject,
            lies(parent, NAMES[rng.random_range(0..NAMES.len())], target),
        )
    }
}

impl Device {
    /// What it is about to say stands last, and is taken back: nothing is as if it had ever been there.
    fn thinks(&mut self, rng: &mut StdRng, when: &str) {
        let (before, clock) = (self.sees.clone(), self.clock);
        let thoughts = (0..rng.random_range(1..4)).map(|_| self.acts(rng));
        let thoughts: Vec<Op> = thoughts.collect();
        let last = thoughts.into_iter().map(|op| {
            let stamp = Stamp {
                lamport: u64::MAX,
                ..op.stamp
            };
            Op { stamp, ..op }
        });
        let changed = self.shown.apply(last.collect(), &label).unwrap();
        self.learns(changed);
        assert_sees(self, when);
        let heard = self.acts(rng);
        let changed = self.shown.apply(vec![heard.clone()], &label).unwrap();
        self.learns(changed);
        assert_sees(self, when);
        let changed = self.shown.retract(u64::MAX, &label);
        self.learns(changed);
        assert_sees(self, when);
        let changed = self.shown.retract(heard.stamp.lamport, &label);
        self.learns(changed);
        assert_eq!(self.sees, before, "{when}");
        self.clock = clock;
    }
}

/// What is to be seen, from the root down, without a thought for speed.
fn seen(moves: &Moves) -> HashMap<NodeId, Sight> {
    let mut seen = HashMap::new();
    let mut todo = vec![vec![ROOT_NODE]];
    let stamp = |node: &NodeId| moves.node(node).unwrap().place.as_ref().unwrap().0;
    while let Some(class) = todo.pop() {
        let mut names: BTreeMap<Vec<u8>, Vec<NodeId>> = BTreeMap::new();
        for child in moves.all() {
            let Some(place) = moves.place(&child) else {
                continue;
            };
            if class.contains(&place.parent) && live(moves, &child) {
                names.entry(place.name.to_vec()).or_default().push(child);
            }
        }
        let by_right: HashSet<Vec<u8>> = names.keys().cloned().collect();
        for (name, mut nodes) in names {
            nodes.sort_by_key(stamp);
            let is_folder = |node: &NodeId| moves.place(node).unwrap().target == Target::Folder;
            let (folders, files): (Vec<_>, Vec<_>) = nodes.into_iter().partition(is_folder);
            let mut taken = by_right.clone();
            for (place, file) in files.iter().enumerate() {
                let mut shown_as = name.clone();
                if place > 0 || !folders.is_empty() {
                    let label = label(&stamp(file), 0);
                    let mut marks = (0..).map(|n| shown::mark_of(&name, &label, file, n).to_vec());
                    shown_as = marks.find(|mark| !taken.contains(mark)).unwrap();
                    taken.insert(shown_as.clone());
                }
                seen.insert(*file, Sight::At(class[0], shown_as.into()));
            }
            for (place, folder) in folders.iter().enumerate() {
                let sight = match place {
                    0 => Sight::At(class[0], name.clone().into()),
                    _ => Sight::As(folders[0]),
                };
                seen.insert(*folder, sight);
            }
            if !folders.is_empty() {
                todo.push(folders);
            }
        }
    }
    seen
}

/// Whether a node is there, or anything in it.
fn live(moves: &Moves, node: &NodeId) -> bool {
    let known = moves.node(node).unwrap();
    let Some((_, place)) = &known.place else {
        return false;
    };
    let kept = moves.is_kept(node);
    let inside = || {
        let mut all = moves.all();
        all.any(|child| moves.place(&child).is_some_and(|place| place.parent == *node) && live(moves, &child))
    };
    known.gone.is_none() || kept || (place.target == Target::Folder && inside())
}

/// What was told of changes is what there is to be seen.
fn assert_sees(device: &Device, when: &str) {
    let moves = device.shown.moves();
    let is = seen(moves);
    for n in (1..=24).map(node) {
        let (sees, is) = (device.sees.get(&n), is.get(&n));
        assert_eq!(sees, is, "{when}: {:?}", moves.node(&n));
    }
}

/// Where every node lies is a tree.
fn assert_tree(moves: &Moves) {
    for start in moves.all() {
        let (mut at, mut steps) = (start, 0);
        while let Some(place) = moves.place(&at) {
            (at, steps) = (place.parent, steps + 1);
            assert!(steps <= 64, "a folder lies in itself");
        }
    }
}

fn seeds() -> std::ops::Range<u64> {
    let count = std::env::var("COFFER_SEEDS").ok().and_then(|n| n.parse().ok());
    0..count.unwrap_or(400)
}

/// Guards that devices which have heard the same, in whatever order, see the same; that what each was told of
/// changes step by step is what there is to be seen; and that nothing lies in itself.
#[test]
fn the_same_is_seen_everywhere_in_whatever_order_it_was_heard() {
    for seed in seeds() {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut devices: Vec<Device> = (1..=rng.random_range(2..5)).map(Device::new).collect();
        let mut all: Vec<Op> = Vec::new();
        let mut kept: HashMap<NodeId, bool> = HashMap::new();
        for _ in 0..rng.random_range(10..60) {
            let actor = rng.random_range(0..devices.len());
            let op = devices[actor].acts(&mut rng);
            devices[actor].hears(vec![op.clone()]);
            all.push(op);
            if rng.random_ratio(1, 3) {
                let hearer = rng.random_range(0..devices.len());
                let mut some: Vec<Op> = all.sample(&mut rng, 6).cloned().collect();
                some.shuffle(&mut rng);
                devices[hearer].hears(some);
            }
            if rng.random_ratio(1, 6) {
                let (subject, keep) = (node(rng.random_range(1..=24)), rng.random());
                kept.insert(subject, keep);
                let actor = &mut devices[actor];
                let changed = actor.shown.keep(&[(subject, keep)], &label);
                actor.learns(changed);
            }
            let one = rng.random_range(0..devices.len());
            let device = &mut devices[one];
            assert_sees(device, &format!("seed {seed}, on the way"));
            if rng.random_ratio(1, 4) {
                device.thinks(&mut rng, &format!("seed {seed}"));
            }
        }
        let keeps: Vec<(NodeId, bool)> = kept.into_iter().collect();
        for device in &mut devices {
            let mut rest = all.clone();
            rest.shuffle(&mut rng);
            while !rest.is_empty() {
                let part = rest.split_off(rest.len() - rng.random_range(1..=rest.len()));
                device.hears(part);
            }
            let changed = device.shown.keep(&keeps, &label);
            device.learns(changed);
            let none: Vec<_> = (1..=24)
                .map(node)
                .filter(|n| !keeps.iter().any(|(k, _)| k == n))
                .map(|n| (n, false))
                .collect();
            let changed = device.shown.keep(&none, &label);
            device.learns(changed);
            assert_tree(device.shown.moves());
            assert_sees(device, &format!("seed {seed}"));
        }
        for device in &devices[1..] {
            assert_eq!(device.sees, devices[0].sees, "seed {seed}");
        }
        // No two are seen by one name, and settling changes nothing.
        let mut names = HashSet::new();
        for sight in devices[0].sees.values() {
            if let Sight::At(folder, name) = sight {
                assert!(
                    names.insert((*folder, name.clone())),
                    "seed {seed}: {name:?} twice"
                );
            }
        }
        let (settled, line) = (&mut devices[0], rng.random_range(0..80));
        let ground = settled.shown.settle(line, rng.random_range(1..40));
        let line = ground.line;
        settled.shown.forget(&|_, _| true);
        assert_sees(settled, &format!("seed {seed}, settled"));
        let op = settled.acts(&mut rng);
        let late = Stamp {
            lamport: line,
            ..op.stamp
        };
        let is_late = settled.shown.apply(vec![Op { stamp: late, ..op }], &label);
        assert!(is_late.is_err() || settled.shown.moves().unsettled() > 0 || line == 0);
        assert_sees(settled, &format!("seed {seed}, late"));
    }
}

/// Guards what a person expects of two folders that were moved into each other: both are there, one in the other, on
/// both devices alike; and that the one who loses sees his undone.
#[test]
fn folders_moved_into_each_other_come_to_lie_in_one_order() {
    let (mut a, mut b) = (Device::new(1), Device::new(2));
    let folder = |parent, name| lies(parent, name, Target::Folder);
    let made = vec![
        a.says(node(2), folder(ROOT_NODE, b"x")),
        a.says(node(4), folder(ROOT_NODE, b"y")),
    ];
    a.hears(made.clone());
    b.hears(made);
    let by_a = a.says(node(2), folder(node(4), b"x"));
    a.hears(vec![by_a.clone()]);
    let by_b = b.says(node(4), folder(node(2), b"y"));
    b.hears(vec![by_b.clone()]);
    assert_eq!(b.sees[&node(4)], Sight::At(node(2), b"y"[..].into()));
    a.hears(vec![by_b]);
    b.hears(vec![by_a]);
    assert_eq!(a.sees, b.sees);
    // Both at one Lamport time: the smaller chain's comes first, the other would be a cycle.
    assert_eq!(a.sees[&node(2)], Sight::At(node(4), b"x"[..].into()));
    assert_eq!(a.sees[&node(4)], Sight::At(ROOT_NODE, b"y"[..].into()));
}

/// Guards that the same folder made on two devices is one, that what is in both is seen in it, and that moving
/// one of the two away parts them again.
#[test]
fn folders_of_one_name_are_seen_as_one() {
    let (mut a, mut b) = (Device::new(1), Device::new(2));
    let file = |n: u8| Target::Entity(EntityId([n; 16]));
    let mut all = vec![
        a.says(node(2), lies(ROOT_NODE, b"Trip", Target::Folder)),
        a.says(node(3), lies(node(2), b"n.md", file(3))),
    ];
    all.push(b.says(node(4), lies(ROOT_NODE, b"Trip", Target::Folder)));
    all.push(b.says(node(5), lies(node(4), b"n.md", file(5))));
    all.push(b.says(node(7), lies(node(4), b"m.md", file(7))));
    a.hears(all.clone());
    let at = |name: &[u8]| Sight::At(node(2), name.into());
    assert_eq!(a.sees[&node(4)], Sight::As(node(2)));
    assert_eq!(a.sees[&node(3)], at(b"n.md"));
    assert_eq!(a.sees[&node(5)], at(b"n (2).md"), "it says whose it is");
    assert_eq!(a.sees[&node(7)], at(b"m.md"));
    let gone = a.says(node(3), Step::Gone(Box::new([]), None));
    a.hears(vec![gone]);
    assert_eq!(
        a.sees[&node(5)],
        at(b"n.md"),
        "a conflict that is resolved leaves nothing"
    );
    let away = a.says(node(4), lies(ROOT_NODE, b"Journey", Target::Folder));
    a.hears(vec![away]);
    assert_eq!(a.sees[&node(5)], Sight::At(node(4), b"n.md"[..].into()));
}

/// Guards that a folder that was removed elsewhere stays while something is in it of which whoever removed it did not know.
#[test]
fn a_removed_folder_stays_for_what_was_put_into_it() {
    let (mut a, mut b) = (Device::new(1), Device::new(2));
    let made = a.says(node(2), lies(ROOT_NODE, b"Trip", Target::Folder));
    a.hears(vec![made.clone()]);
    b.hears(vec![made]);
    let gone = a.says(node(2), Step::Gone(Box::new([]), None));
    a.hears(vec![gone.clone()]);
    assert!(a.sees.is_empty());
    let put = b.says(node(3), lies(node(2), b"n.md", Target::Entity(EntityId([3; 16]))));
    b.hears(vec![put.clone(), gone]);
    a.hears(vec![put]);
    assert_eq!(a.sees, b.sees);
    assert_eq!(a.sees[&node(2)], Sight::At(ROOT_NODE, b"Trip"[..].into()));
    let gone = b.says(node(3), Step::Gone(Box::new([]), None));
    b.hears(vec![gone]);
    assert!(b.sees.is_empty(), "and goes with it");
}

/// A line that rose without a row let what came late be skipped until a restart, and one could sink. And what was said
/// all at one time was settled in one step, however much that was.
#[test]
fn a_step_of_settling_is_bounded_and_the_line_never_sinks() {
    let said = |n: u64, step| Op {
        stamp: Stamp {
            lamport: 5 + n / 90,
            at: EventRef {
                chain: ChainId([1; 16]),
                seq: n + 1,
            },
        },
        node: node(2 + (n % 7) as u8),
        step,
    };
    let file = |n: u8| Target::Entity(EntityId([n; 16]));
    let ops = || (0..100u64).map(|n| said(n, lies(ROOT_NODE, &[b'a' + (n % 11) as u8], file((n % 7) as u8))));
    let (mut at_once, mut in_steps) = (Shown::default(), Shown::default());
    let label = |_: &Stamp, _: i64| String::new();
    for shown in [&mut at_once, &mut in_steps] {
        shown.apply(ops().collect(), &label).unwrap();
        let nothing = shown.settle(4, 3);
        assert!(nothing.ops.is_empty() && nothing.line == 0, "nothing is settled");
        assert_eq!(shown.moves().line(), Some(0));
    }
    let all = at_once.settle(9, 1000);
    assert_eq!((all.ops.len(), all.line), (100, 9));
    let (mut ground, mut line, mut settled) = (HashMap::new(), 0, 0);
    while settled < 100 {
        let some = in_steps.settle(9, 3);
        assert!((1..=3).contains(&some.ops.len()), "{}", some.ops.len());
        settled += some.ops.len();
        assert!(some.line >= line, "{} after {line}", some.line);
        assert_eq!(in_steps.moves().line(), Some(some.line));
        line = some.line;
        // After a restart: what is settled, and the rest after it.
        ground.extend(some.ground);
        let mut again = Shown::default();
        let known = ground
            .iter()
            .filter_map(|(node, ground)| Some((*node, ground.clone()?)));
        again.begin(line, known.collect());
        again.apply(ops().skip(settled).collect(), &label).unwrap();
        for n in 2..9 {
            assert_eq!(
                again.moves().place(&node(n)),
                at_once.moves().place(&node(n)),
                "{settled}"
            );
        }
    }
    assert_eq!(ground, all.ground);
    assert_eq!(line, 9);
    let later = in_steps.settle(7, 3);
    assert_eq!((later.line, in_steps.moves().line()), (9, Some(9)), "it sank");
}

/// Who hears one part of what was let go of, and another part as it was said, took what stood after it for the same place
/// again, and gave the name to another file than all others did.
#[test]
fn what_was_let_go_of_parts_nobody() {
    let file = |n: u8| Target::Entity(EntityId([n; 16]));
    let label = |_: &Stamp, _: i64| String::new();
    let mut unsaid = 0;
    for seed in 0..2000 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut ops = Vec::new();
        for lamport in 1..=rng.random_range(3..16u64) {
            let n = rng.random_range(2..4);
            let step = match rng.random_range(0..6) {
                0 => Step::Gone(Box::new([]), None),
                _ => lies(ROOT_NODE, &[b'a' + rng.random_range(0..2u8)], file(n)),
            };
            let at = EventRef {
                chain: ChainId([1; 16]),
                seq: lamport,
            };
            let stamp = Stamp { lamport, at };
            ops.push(Op {
                stamp,
                node: node(n),
                step,
            });
        }
        let (mut oracle, mut folds) = (Shown::default(), Shown::default());
        oracle.apply(ops.clone(), &label).unwrap();
        let mut let_go = HashSet::new();
        for op in &ops {
            folds.apply(vec![op.clone()], &label).unwrap();
            if rng.random_ratio(1, 3) {
                let line = rng.random_range(0..=op.stamp.lamport);
                let settled = folds.settle(line, rng.random_range(1..9));
                let_go.extend(settled.said.into_iter().map(|(at, _)| at));
            }
        }
        let mut heard: Vec<Op> = ops.clone();
        for op in &mut heard {
            if let_go.contains(&op.stamp.at) && rng.random() {
                (op.step, unsaid) = (Step::Unsaid, unsaid + 1);
            }
        }
        heard.shuffle(&mut rng);
        let mut hears = Shown::default();
        for op in heard {
            hears.apply(vec![op], &label).unwrap();
        }
        for n in [2, 3] {
            let known = |shown: &Shown| shown.moves().node(&node(n)).cloned();
            assert_eq!(known(&hears), known(&oracle), "seed {seed}");
            assert_eq!(known(&folds), known(&oracle), "seed {seed}, folded");
        }
    }
    assert!(unsaid > 1000, "{unsaid}");
}
