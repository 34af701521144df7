//! Real vaults on disks in memory, which edit the same notes and exchange their events by the core: over
//! connections that break, with devices that lose their power, they come to show the same.

mod model;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use coffer_store::ids::{ChainId, ROOT};
use coffer_store::io::sim::SimDisk;
use coffer_store::keys::{KdfParams, Password, VerifyingKey};
use coffer_store::record::{Meta, Time};
use coffer_store::tree::Kind;
use coffer_store::vault::{Carried, CheckOptions, Identity, Sealed, Vault};
use coffer_sync::core::{
    Access, Action, Answer, CertifiedPeer, Config, Ended, Node, Outcome, Policy, Report, Request, SessionId,
};
use model::Dice;
use model::store::SPACE;

const NOTES: [&str; 2] = ["garden.md", "shop.md"];

fn password() -> Password {
    Password::new(b"correct horse battery staple".to_vec())
}

fn open(disk: &SimDisk, identity: Identity) -> Arc<Vault> {
    let sealed = Sealed::open_on(Arc::new(disk.clone()), PathBuf::from("sim"), None).unwrap();
    let vault = sealed.unlock(&password(), identity).unwrap();
    vault.stop_keeper();
    vault
}

fn save(vault: &Vault, name: &str, text: &str) {
    let now = Time::now();
    let meta = Meta {
        kind: Kind::File,
        perm: 0o644,
        uid: 0,
        gid: 0,
        rdev: 0,
        nlink: 1,
        atime: now,
        mtime: now,
        ctime: now,
        btime: now,
        xattrs: None,
    };
    let ino = match vault.lookup(ROOT, name.as_bytes()) {
        Ok(ino) => ino,
        Err(_) => vault.make(ROOT, name.as_bytes(), meta, b"").unwrap(),
    };
    vault.open(ino, true, true, false).unwrap();
    vault.write(ino, Some(0), text.as_bytes(), false).unwrap();
    vault.release(ino, true);
    vault.commit().unwrap();
}

fn text(vault: &Vault, name: &str) -> String {
    let ino = vault.lookup(ROOT, name.as_bytes()).unwrap();
    let mut out = Vec::new();
    vault.read(ino, 0, 1 << 20, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// A vault, and its end of the wires.
struct Device {
    disk: SimDisk,
    vault: Arc<Vault>,
    node: Node,
    own: ChainId,
    told: u64,
    reports: Vec<Report>,
    ended: Vec<Ended>,
    sessions: BTreeMap<SessionId, (usize, usize)>,
}

/// The two ends, and what is under way from each.
type Wire = ([(usize, SessionId); 2], [VecDeque<u8>; 2]);

struct World {
    dice: Dice,
    now: u64,
    devices: Vec<Device>,
    keys: BTreeMap<ChainId, VerifyingKey>,
    wires: BTreeMap<usize, Wire>,
    next: usize,
}

fn config(own: ChainId, vault: &Vault) -> Config {
    Config {
        space: SPACE,
        own,
        policy: Policy::NamesAndTexts,
        clock: vault
            .clock()
            .unwrap()
            .into_iter()
            .map(|(id, (last, head))| (id, last, head))
            .collect(),
        heads: Vec::new(),
    }
}

fn told(vault: &Vault, after: u64) -> Vec<Arc<Carried>> {
    vault
        .told_after(after)
        .unwrap()
        .into_iter()
        .map(Arc::new)
        .collect()
}

impl World {
    fn new(seed: u64, count: usize) -> World {
        let disk = SimDisk::new();
        let made = Vault::create_on(Arc::new(disk.clone()), &password(), KdfParams::FLOOR, false, None);
        let first = made.unwrap().0;
        first.stop_keeper();
        for name in NOTES {
            save(&first, name, "one\n\ntwo\n\nthree\n");
        }
        let disks: Vec<SimDisk> = (1..count).map(|_| disk.crash_all_kept()).collect();
        let mut vaults = vec![(disk, first)];
        vaults.extend(disks.into_iter().map(|disk| {
            let vault = open(&disk, Identity::NewDevice);
            (disk, vault)
        }));
        let (mut devices, mut keys) = (Vec::new(), BTreeMap::new());
        for (n, (disk, vault)) in vaults.into_iter().enumerate() {
            if n > 0 {
                save(&vault, NOTES[0], &format!("one {n}\n\ntwo\n\nthree\n"));
            }
            let own = vault.own_chain();
            keys.insert(own, vault.device());
            let told = vault.clock().unwrap()[&own].0;
            devices.push(Device {
                node: Node::new(0, config(own, &vault)),
                disk,
                vault,
                own,
                told,
                reports: Vec::new(),
                ended: Vec::new(),
                sessions: BTreeMap::new(),
            });
        }
        World {
            dice: Dice(seed),
            now: 0,
            devices,
            keys,
            wires: BTreeMap::new(),
            next: 0,
        }
    }

    fn connect(&mut self, a: usize, b: usize) {
        let mut ends = [(a, SessionId(0)), (b, SessionId(0))];
        for (side, end) in ends.iter_mut().enumerate() {
            let device = &mut self.devices[end.0];
            end.1 = device.node.connect(
                self.now,
                [end.0 as u8 ^ 1; 32],
                CertifiedPeer::default(),
                Access::Full,
            );
            device.sessions.insert(end.1, (self.next, side));
        }
        self.wires.insert(self.next, (ends, Default::default()));
        self.next += 1;
    }

    fn cut(&mut self, wire: usize) {
        let (ends, _) = self.wires.remove(&wire).unwrap();
        for (device, session) in ends {
            let device = &mut self.devices[device];
            device.sessions.remove(&session);
            device.node.disconnected(self.now, session);
        }
    }

    /// Its power goes: what its vault had taken in is there again.
    fn crash(&mut self, n: usize) {
        for wire in self.devices[n]
            .sessions
            .values()
            .map(|(wire, _)| *wire)
            .collect::<Vec<_>>()
        {
            self.cut(wire);
        }
        let device = &mut self.devices[n];
        device.disk = device.disk.crash_all_lost();
        device.vault = open(&device.disk, Identity::Same);
        device.node = Node::new(self.now, config(device.own, &device.vault));
    }

    fn edit(&mut self, n: usize) {
        let name = NOTES[self.dice.below(2) as usize];
        let word = format!(" w{}{}", n, self.dice.below(1_000));
        let vault = &self.devices[n].vault;
        let mut lines: Vec<String> = text(vault, name).lines().map(str::to_owned).collect();
        let at = 2 * self.dice.below(3) as usize;
        lines[at] += &word;
        save(vault, name, &(lines.join("\n") + "\n"));
        self.tell(n);
    }

    /// What the vault has told since goes to its node.
    fn tell(&mut self, n: usize) {
        let device = &mut self.devices[n];
        for batch in told(&device.vault, device.told) {
            device.told = batch.row.last().unwrap();
            device.node.told(self.now, batch);
        }
    }

    fn step(&mut self) {
        self.now += 1 + self.dice.below(30);
        for n in 0..self.devices.len() {
            self.devices[n].node.tick(self.now);
            self.settle(n);
        }
        for id in self.wires.keys().copied().collect::<Vec<_>>() {
            for side in 0..2 {
                let Some((ends, under_way)) = self.wires.get_mut(&id) else {
                    break;
                };
                let (from, to) = (ends[side], ends[1 - side]);
                let some = self.dice.below(under_way[side].len() as u64 + 1) as usize;
                let bytes: Vec<u8> = under_way[side].drain(..some).collect();
                self.devices[from.0].node.wrote(self.now, from.1, some);
                self.devices[to.0].node.receive(self.now, to.1, &bytes);
                self.settle(to.0);
            }
        }
    }

    fn settle(&mut self, n: usize) {
        while let Some(action) = self.devices[n].node.poll() {
            match action {
                Action::Send { session, bytes } => {
                    let (wire, side) = self.devices[n].sessions[&session];
                    self.wires.get_mut(&wire).unwrap().1[side].extend(bytes);
                }
                Action::Store(request) => {
                    let answer = self.answer(n, request);
                    self.devices[n].node.answer(self.now, answer);
                    // Taking in may tell events of its own: what was here and not told comes first.
                    self.tell(n);
                }
                Action::Report(report) => self.devices[n].reports.push(report),
                Action::Close { why, .. } => self.devices[n].ended.push(why),
            }
        }
    }

    fn answer(&mut self, n: usize, request: Request) -> Answer {
        let device = &mut self.devices[n];
        match request {
            Request::Batches { session, after, most } => {
                let batches = device.vault.batches_after(&after, most).unwrap();
                let batches = batches.into_iter().map(Arc::new).collect();
                Answer::Batches { session, batches }
            }
            Request::TakeIn(batch) => {
                let taken = device.vault.take_in(&self.keys[&batch.row.chain], &batch);
                if let Ok(taken) = &taken {
                    assert!(taken.set_aside.is_empty(), "{taken:?}");
                }
                Answer::TakenIn(Outcome::from(taken))
            }
            Request::Wanted { .. } => Answer::Wanted {
                chunks: Vec::new(),
                beyond: 0,
            },
            other => panic!("not in this suite: {other:?}"),
        }
    }
}

/// Guards the whole way of an edit from one vault into another, over the wire, forwarded, resumed; whoever joins its
/// batches meanwhile.
#[test]
fn vaults_come_to_show_the_same() {
    let (mut too_early, mut joined) = (0, 0);
    for seed in 0..12 {
        let count = 2 + seed as usize % 2;
        let mut world = World::new(seed, count);
        for _ in 0..40 {
            let n = world.dice.below(count as u64) as usize;
            match world.dice.below(8) {
                0..3 => world.edit(n),
                3..5 if world.wires.len() < 4 => {
                    let to = (n + 1) % count;
                    world.connect(n, to);
                }
                5 if !world.wires.is_empty() => {
                    let wire = *world.wires.keys().next().unwrap();
                    world.cut(wire);
                }
                6 if world.dice.one_in(3) => world.crash(n),
                7 => joined += world.devices[n].vault.join_batches().unwrap().batches,
                _ => {}
            }
            for _ in 0..world.dice.below(8) {
                world.step();
            }
        }
        // In a line: the last hears of the first by the one between.
        for wire in world.wires.keys().copied().collect::<Vec<_>>() {
            world.cut(wire);
        }
        for n in 1..count {
            world.connect(n - 1, n);
        }
        for _ in 0..3_000 {
            world.step();
        }
        let clock = world.devices[0].node.clock();
        assert!(clock.len() == count && clock.iter().map(|(_, last, _)| last).sum::<u64>() > 8);
        for device in &world.devices {
            assert_eq!(device.node.clock(), clock, "seed {seed}");
            for name in NOTES {
                device.vault.commit().unwrap();
                assert_eq!(
                    text(&device.vault, name),
                    text(&world.devices[0].vault, name),
                    "seed {seed}"
                );
            }
            let report = device
                .vault
                .check(CheckOptions { read_data: true }, &mut |_| {})
                .unwrap();
            assert!(report.problems.is_empty(), "seed {seed}: {:?}", report.problems);
            let bad = device
                .reports
                .iter()
                .filter(|report| !matches!(report, Report::Open { .. }));
            assert_eq!(bad.count(), 0, "seed {seed}: {:?}", device.reports);
            assert!(
                device.ended.iter().all(|why| *why == Ended::Lost),
                "seed {seed}: {:?}",
                device.ended
            );
            too_early += device.node.repeated();
        }
        let all: Vec<String> = NOTES
            .iter()
            .map(|name| text(&world.devices[0].vault, name))
            .collect();
        assert!(all.concat().contains(" w"), "nobody wrote");
    }
    assert!(joined > 10, "hardly any batches were joined");
    println!("{too_early} batches came twice, {joined} were joined");
}
