//! Seeded runs of devices that hear of each other in part, join, fall silent, lapse each other, are restored from old
//! backups and removed; each draws its line whenever it can.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};

use super::*;
use crate::ids::ChainId;

type All = BTreeMap<ChainId, Said>;

#[derive(Clone)]
enum What {
    Op,
    Say(Say),
}

/// A chain: whose, what of other chains it was begun knowing, and its events with their Lamport times.
struct Chain {
    device: usize,
    past: BTreeSet<ChainId>,
    events: Vec<(u64, What)>,
}

#[derive(Default)]
struct World {
    chains: BTreeMap<ChainId, Chain>,
    devices: Vec<Device>,
}

#[derive(Clone)]
struct Device {
    chain: ChainId,
    alive: bool,
    here: HashMap<ChainId, u64>,
    said: All,
    known: BTreeSet<ChainId>,
    removed: BTreeSet<usize>,
    lamport: u64,
    line: u64,
    settled: Vec<(u64, ChainId, u64)>,
}

/// Membership as one device knows it.
struct Known<'a>(&'a World, &'a Device);

impl Known<'_> {
    fn first_of(&self, device: usize) -> Option<ChainId> {
        let of = |chain: &&ChainId| self.0.chains[*chain].device == device;
        let all = self.1.known.iter().filter(of);
        all.min_by_key(|chain| self.0.chains[*chain].past.len()).copied()
    }

    fn is_past(&self, chain: &ChainId, of: &ChainId) -> bool {
        self.0.chains[of].past.contains(chain)
    }
}

impl Order for Known<'_> {
    fn is_first(&self, chain: &ChainId) -> bool {
        *chain == ChainId([1; 16])
    }

    fn rank(&self, chain: &ChainId) -> (u64, u64) {
        let of = self.0.chains[chain].device;
        let first = self.first_of(of).map_or(u64::MAX, |first| first.0[0].into());
        (first, u64::MAX - u64::from(chain.0[0]))
    }

    fn right(&self, by: &ChainId, of: &ChainId) -> Right {
        let (by_device, of_device) = (self.0.chains[by].device, self.0.chains[of].device);
        if by_device == of_device {
            return if self.is_past(of, by) {
                Right::Has
            } else {
                Right::No
            };
        }
        let (Some(by_first), Some(of_first)) = (self.first_of(by_device), self.first_of(of_device)) else {
            return Right::Unknown;
        };
        let removed = |device| self.1.removed.contains(device);
        if self.is_past(&by_first, &of_first) || (removed(&of_device) && !removed(&by_device)) {
            Right::Has
        } else if removed(&by_device) {
            Right::No
        } else {
            Right::Unknown
        }
    }
}

impl World {
    fn begin(&mut self, device: usize, past: BTreeSet<ChainId>) -> ChainId {
        let chain = ChainId([self.chains.len() as u8 + 1; 16]);
        let new = Chain {
            device,
            past,
            events: Vec::new(),
        };
        self.chains.insert(chain, new);
        chain
    }

    fn join(&mut self, by: Option<usize>) {
        let past = by.map_or_else(BTreeSet::new, |by| self.devices[by].known.clone());
        let chain = self.begin(self.devices.len(), past.clone());
        let mut known = past;
        known.insert(chain);
        if let Some(by) = by {
            self.devices[by].known.insert(chain);
        }
        self.devices.push(Device {
            chain,
            alive: true,
            here: HashMap::new(),
            said: All::new(),
            known,
            removed: by.map_or_else(BTreeSet::new, |by| self.devices[by].removed.clone()),
            lamport: 0,
            line: 0,
            settled: Vec::new(),
        });
    }

    fn gates(&self, n: usize) -> Gates {
        let device = &self.devices[n];
        let chains: Vec<ChainId> = device.known.iter().copied().collect();
        Gates::of(&device.said, &chains, &Known(self, device))
    }

    fn tell(&mut self, n: usize, what: What) {
        let device = &mut self.devices[n];
        device.lamport += 1;
        let events = &mut self.chains.get_mut(&device.chain).unwrap().events;
        events.push((device.lamport, what.clone()));
        let seq = events.len() as u64;
        device.here.insert(device.chain, seq);
        if let What::Say(say) = what {
            let said = device.said.entry(device.chain).or_default();
            said.hear((seq, device.lamport), &say);
        }
    }

    fn is_admitted(&self, n: usize) -> bool {
        self.gates(n).closed(&self.devices[n].chain).next().is_none()
    }

    /// Admits all that it has; whether nothing of what it has waits then.
    fn tend(&mut self, n: usize) -> bool {
        if !self.is_admitted(n) {
            return false;
        }
        let gates = self.gates(n);
        let device = &self.devices[n];
        let mut to_admit = Vec::new();
        for chain in device.known.iter().filter(|chain| **chain != device.chain) {
            let here = device.here.get(chain).copied().unwrap_or(0);
            to_admit.extend(
                gates
                    .closed(chain)
                    .filter(|last| here > *last)
                    .map(|last| (*chain, last)),
            );
        }
        for (chain, last) in to_admit {
            self.tell(n, What::Say(Say::Admit(chain, last)));
        }
        true
    }

    fn acknowledge(&mut self, n: usize) {
        if !self.tend(n) {
            let first = ChainId([1; 16]);
            if self.devices[n].here.contains_key(&first) {
                self.tell(n, What::Say(Say::Acknowledge([(first, 1)].into())));
            }
            return;
        }
        let device = &self.devices[n];
        let said = device.said.get(&device.chain).cloned().unwrap_or_default();
        let news = device
            .here
            .iter()
            .filter(|(chain, last)| **chain != device.chain && said.has(chain) < **last);
        let news: BTreeMap<ChainId, u64> = news.map(|(chain, last)| (*chain, *last)).collect();
        if !news.is_empty() {
            self.tell(n, What::Say(Say::Acknowledge(news)));
        }
    }

    fn lapse(&mut self, n: usize, of: ChainId) {
        if !self.tend(n) {
            return;
        }
        let device = &self.devices[n];
        let right = Known(self, device).right(&device.chain, &of);
        let here = device.here.get(&of).copied().unwrap_or(0);
        let has_all = device.said.values().all(|said| said.has(&of) <= here);
        // Who was restored has forgotten what it promised: all who may know have to have heard of its new chain first.
        let newest = |of: usize| {
            let all = device
                .known
                .iter()
                .filter(|chain| self.chains[*chain].device == of);
            *all.max().unwrap()
        };
        let is_restored = device
            .known
            .iter()
            .any(|chain| *chain != device.chain && self.chains[chain].device == n);
        let others: BTreeSet<usize> = device
            .known
            .iter()
            .map(|chain| self.chains[chain].device)
            .collect();
        let mut others = others
            .into_iter()
            .filter(|of| *of != n && !device.removed.contains(of));
        let has_heard = |of: usize| {
            device
                .said
                .get(&newest(of))
                .is_some_and(|said| said.has(&device.chain) > 0)
        };
        if is_restored && !others.all(has_heard) {
            return;
        }
        if of != device.chain && has_all && right == Right::Has {
            self.tell(n, What::Say(Say::Lapse(of, here)));
        }
    }

    fn hear(&mut self, n: usize, from: usize, rng: &mut StdRng, all: bool) {
        let giver = self.devices[from].clone();
        self.devices[n].known.extend(&giver.known);
        self.devices[n].removed.extend(&giver.removed);
        let mut chains: Vec<(ChainId, u64)> = giver.here.into_iter().collect();
        chains.sort_unstable();
        chains.shuffle(rng);
        for (chain, last) in chains {
            let device = &mut self.devices[n];
            let had = device.here.get(&chain).copied().unwrap_or(0);
            if chain == device.chain || last <= had || (!all && rng.random_ratio(1, 3)) {
                continue;
            }
            let to = if all {
                last
            } else {
                rng.random_range(had + 1..=last)
            };
            for seq in had + 1..=to {
                let (lamport, what) = &self.chains[&chain].events[seq as usize - 1];
                device.lamport = device.lamport.max(*lamport);
                if let What::Say(say) = what {
                    device.said.entry(chain).or_default().hear((seq, *lamport), say);
                }
            }
            device.here.insert(chain, to);
            self.tend(n);
        }
    }

    /// All operations that are here before a time, in their order.
    fn before(&self, n: usize, line: u64) -> Vec<(u64, ChainId, u64)> {
        let gates = self.gates(n);
        let mut ops = Vec::new();
        for (chain, last) in &self.devices[n].here {
            for (seq, (lamport, what)) in (1..=*last).zip(&self.chains[chain].events) {
                let time = gates.counts(chain, seq, *lamport);
                if matches!(what, What::Op) && time < line {
                    ops.push((time, *chain, seq));
                }
            }
        }
        ops.sort_unstable();
        ops
    }

    fn draw(&mut self, n: usize) {
        let device = &self.devices[n];
        let chains: Vec<ChainId> = device.known.iter().copied().collect();
        let view = View {
            own: device.chain,
            chains: &chains,
            here: &device.here,
            next: device.lamport + 1,
        };
        let first_after = |chain: &ChainId, seq: u64| -> Result<Option<u64>, ()> {
            let here = device.here.get(chain).copied().unwrap_or(0) as usize;
            let events = &self.chains[chain].events[seq as usize..here];
            let is_other = |what: &What| !matches!(what, What::Say(Say::Acknowledge(_)));
            Ok(events
                .iter()
                .find(|(_, what)| is_other(what))
                .map(|(lamport, _)| *lamport))
        };
        let drawn = line(&view, &device.said, &self.gates(n), &first_after).unwrap();
        if let Some(line) = drawn.filter(|line| *line > device.line) {
            let settled = self.before(n, line);
            (self.devices[n].line, self.devices[n].settled) = (line, settled);
        }
    }

    fn check(&self, n: usize, when: &str) {
        let device = &self.devices[n];
        let now = self.before(n, device.line);
        assert_eq!(
            now, device.settled,
            "{when}: below the line {} of device {n}",
            device.line
        );
    }
}

fn seeds() -> std::ops::Range<u64> {
    if let Some(seed) = std::env::var("COFFER_SEED").ok().and_then(|n| n.parse().ok()) {
        return seed..seed + 1;
    }
    let count = std::env::var("COFFER_SEEDS").ok().and_then(|n| n.parse().ok());
    0..count.unwrap_or(1500)
}

/// Guards the one claim that all folding stands on: once a device has drawn its line, no operation comes before it any more, and none that
/// lies before it moves, whoever joins, falls silent, is lapsed, comes back, is restored or removed. And that the same is said of
/// the same in whatever order it was heard.
#[test]
fn nothing_ever_comes_before_a_line_that_was_drawn() {
    let (mut drawn, mut closed) = (0u64, 0u64);
    for seed in seeds() {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut world = World::default();
        world.join(None);
        let mut backups: Vec<(usize, Device)> = Vec::new();
        let mut groups = [0u8; 8];
        for step in 0..rng.random_range(20..300) {
            if step % 40 == 39 {
                // Who hears of whom for a while.
                groups = std::array::from_fn(|_| rng.random_range(0..3) / 2);
            }
            let alive: Vec<usize> = (0..world.devices.len())
                .filter(|n| world.devices[*n].alive)
                .collect();
            let n = *alive.choose(&mut rng).unwrap();
            match rng.random_range(0..30) {
                0 | 1 if world.devices.len() < 5 => world.join(Some(n)),
                2..6 => world.tell(n, What::Op),
                6..16 => {
                    let from = *alive.choose(&mut rng).unwrap();
                    if from != n && groups[from] == groups[n] {
                        let all = rng.random_ratio(2, 3);
                        world.hear(n, from, &mut rng, all);
                    }
                }
                16..22 => world.acknowledge(n),
                22 | 23 => {
                    let is_near = |chain: &&ChainId| {
                        let of = world.chains[*chain].device;
                        groups[of] == groups[n]
                            && world.devices[of].chain == **chain
                            && world.devices[of].alive
                    };
                    let all: Vec<ChainId> = world.devices[n].known.iter().copied().collect();
                    let far: Vec<ChainId> = all.iter().filter(|chain| !is_near(chain)).copied().collect();
                    let some = if rng.random_ratio(1, 10) { all } else { far };
                    for of in some {
                        world.lapse(n, of);
                    }
                }
                24 => backups.push((n, world.devices[n].clone())),
                25 if rng.random_ratio(1, 3) => {
                    if let Some((n, old)) = backups.choose(&mut rng).cloned()
                        && world.devices[n].alive
                    {
                        let mut old = old;
                        old.chain = world.begin(n, old.known.clone());
                        old.known.insert(old.chain);
                        world.devices[n] = old;
                        backups.retain(|(other, _)| *other != n);
                    }
                }
                26 if rng.random_ratio(1, 4) && alive.len() > 2 => {
                    let gone = *alive.choose(&mut rng).unwrap();
                    let knows = world.devices[n].known.contains(&world.devices[gone].chain);
                    if gone > n && knows {
                        world.devices[gone].alive = false;
                        world.devices[n].removed.insert(gone);
                    }
                }
                _ => world.draw(n),
            }
            for n in (0..world.devices.len()).filter(|n| world.devices[*n].alive) {
                world.check(n, &format!("seed {seed}, step {step}"));
            }
        }
        // Those that are left hear all, and say so.
        let alive: Vec<usize> = (0..world.devices.len())
            .filter(|n| world.devices[*n].alive)
            .collect();
        for _ in 0..6 {
            for n in &alive {
                for from in alive.iter().filter(|from| *from != n) {
                    world.hear(*n, *from, &mut rng, true);
                }
                world.acknowledge(*n);
            }
        }
        for _ in 0..alive.len() {
            for n in &alive {
                for from in alive.iter().filter(|from| *from != n) {
                    world.hear(*n, *from, &mut rng, true);
                }
            }
        }
        let first = world.before(alive[0], u64::MAX);
        for n in &alive {
            assert_eq!(world.before(*n, u64::MAX), first, "seed {seed}: device {n}");
            world.check(*n, &format!("seed {seed}, at the end"));
            world.draw(*n);
            drawn += u64::from(world.devices[*n].line > 0 && alive.len() > 1);
            let view = View {
                own: world.devices[*n].chain,
                chains: &world.devices[*n].known.iter().copied().collect::<Vec<_>>(),
                here: &world.devices[*n].here,
                next: 1,
            };
            closed += lapsed(&view, &world.devices[*n].said, &world.gates(*n)).len() as u64;
        }
    }
    assert!(
        drawn > 0 && closed > 0,
        "{drawn} lines, {closed} lapsed chains: nothing was tried"
    );
    println!("{drawn} lines, {closed} lapsed chains");
}
