//! Changes of texts that somebody made to harm, against the built program: a member gone bad signs them over a note that all have. Swollen ones, deflated ones, such as
//! claim what is not there, a long chain of them: each is set aside, the daemon's memory stays bounded (its peak, by VmHWM), and notes are
//! written, read and cross meanwhile. Skipped, with a word, where nothing can be mounted.

#[path = "../../store/tests/text_support/made.rs"]
mod made;
mod program_bed;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coffer_store::event::{Body, EventRef, Form, Version};
use coffer_store::ids::{ChainId, Ino, ROOT, SpaceId};
use coffer_store::keys::{KdfParams, Key, Password, SigningKey};
use coffer_store::members::{DeviceId, DeviceName, JoinRequest, Members, SpaceSecrets, StatementId};
use coffer_store::record::Time;
use coffer_store::testing;
use coffer_store::text::{Actor, Change, Document, Maker};
use coffer_store::tree::Kind;
use coffer_store::vault::{Carried, Joined, Subject, Vault};
use coffer_sync::core::{Answer, Config, Request};
use coffer_sync::net::{Service, join};
use coffer_sync::replica::{self, Replica, Roster};
use coffer_sync::vault::VaultReplica;
use made::{Made, leb, run};
use program_bed::common::until;
use program_bed::net_bed::quiet;
use program_bed::{Town, invite};

const NOTE: &str = "one two three\n";
/// Characters of the note: its first change has one operation more, so the next is this plus two.
const NEXT: u64 = 14 + 2;
/// The most operations that a change may have; docs/text.md.
const OPS: u64 = 2 << 20;

/// A member's vault, whose network tells what the test signs on its chain.
struct Forger {
    inner: Arc<VaultReplica>,
    chain: ChainId,
    batches: Vec<Arc<Carried>>,
}

impl Forger {
    fn after(&self, last: u64) -> Vec<Arc<Carried>> {
        let later = self.batches.iter().filter(|batch| batch.row.first > last);
        later.cloned().collect()
    }
}

impl Replica for Forger {
    fn space(&self) -> SpaceId {
        self.inner.space()
    }
    fn device(&self) -> SigningKey {
        self.inner.device()
    }
    fn transport(&self) -> Key {
        self.inner.transport()
    }
    fn config(&self) -> Result<Config, String> {
        let mut config = self.inner.config()?;
        let last = &self.batches.last().ok_or("nothing is told")?.row;
        config.clock.retain(|(chain, ..)| *chain != self.chain);
        config.clock.push((self.chain, last.last().unwrap(), last.head));
        config.clock.sort_by_key(|(chain, ..)| chain.0);
        Ok(config)
    }
    fn roster(&self) -> Roster {
        self.inner.roster()
    }
    fn answer(&self, request: Request) -> Answer {
        match &request {
            Request::Batches { session, after, .. } => {
                match after.iter().find(|(chain, _)| *chain == self.chain) {
                    Some((_, last)) => Answer::Batches {
                        session: *session,
                        // One at a time: they are long.
                        batches: self.after(*last).into_iter().take(1).collect(),
                    },
                    None => self.inner.answer(request),
                }
            }
            _ => self.inner.answer(request),
        }
    }
    fn news(&self, after: &mut u64) -> Result<Vec<Arc<Carried>>, String> {
        let news = self.after(*after);
        if let Some(last) = news.last() {
            *after = last.row.last().unwrap();
        }
        Ok(news)
    }
    fn rendezvous(&self, period: u64) -> Key {
        self.inner.rendezvous(period)
    }
    fn admit(&self, joining: JoinRequest) -> Result<StatementId, String> {
        self.inner.admit(joining)
    }
    fn take_back(&self, device: DeviceId) -> Result<(), String> {
        self.inner.take_back(device)
    }
    fn keyring(&self) -> Vec<(StatementId, SpaceSecrets)> {
        self.inner.keyring()
    }
    fn with_members(&self, look: &mut dyn FnMut(&Members)) {
        self.inner.with_members(look);
    }
    fn subscribe(&self, wake: Box<dyn Fn(replica::Change) + Send + Sync>) {
        self.inner.subscribe(wake);
    }
}

/// A member gone bad, which has the note.
struct Thief {
    _dir: tempfile::TempDir,
    vault: Arc<Vault>,
    ino: Ino,
    /// The note's first version.
    first: EventRef,
}

impl Thief {
    /// A device of the town that has what the town has.
    fn of(town: &Town, name: &str) -> Thief {
        let dir = tempfile::tempdir().unwrap();
        let entered = join(
            &invite(&town.desk),
            DeviceName::new("thief").unwrap(),
            &quiet(&[]),
            |_| Ok(()),
            |_| Ok(()),
        )
        .unwrap();
        let joined = Joined {
            members: entered.joined.members,
            device: entered.device,
            transport: SigningKey::from_seed(entered.transport),
            keys: entered.joined.keyring,
        };
        let password = Password::new(b"correct horse battery staple".to_vec());
        let vault = Vault::join(&dir.path().join("vault"), &password, KdfParams::FLOOR, joined).unwrap();
        vault.stop_keeper();
        let service = Service::start(VaultReplica::new(vault.clone()).unwrap(), &calling(town)).unwrap();
        let mut found = None;
        until("the thief has the note", || {
            let notes = vault.lookup(ROOT, b"Notes").ok();
            let ino = notes.and_then(|notes| vault.lookup(notes, name.as_bytes()).ok());
            let versions = ino.and_then(|ino| Some((ino, vault.versions(Subject::File(ino)).ok()?)));
            let first = versions.and_then(|(ino, all)| Some((ino, all.first()?.clone())));
            found = first.filter(|(_, version)| version.size == NOTE.len() as u64);
            found.is_some()
        });
        service.stop();
        let (ino, version) = found.unwrap();
        assert_eq!(version.form, Form::Text);
        Thief {
            _dir: dir,
            vault,
            ino,
            first: version.events[0],
        }
    }

    /// Has the desk told this of the note, in batches; waits until it has set all of it aside.
    fn tell(&self, town: &Town, all: &[Vec<Vec<u8>>]) {
        let (before, chain) = (set_aside(town), self.vault.begin_chain().unwrap());
        let maker = Maker {
            chain,
            serial: None,
            carries: false,
        };
        for (n, change) in all.iter().flatten().enumerate() {
            let read = Change::open(change, maker, self.first);
            assert!(read.is_err(), "change {n} is in order");
        }
        let (mut last, mut batches, mut lamport) = ((0, [0; 32]), Vec::new(), 1 << 20);
        for changes in all {
            let says = |bytes: Vec<u8>| {
                lamport += 1;
                (vec![self.first], lamport, version(bytes).encode())
            };
            let says: Vec<testing::Says> = changes.iter().cloned().map(says).collect();
            let carried = testing::forged(&self.vault, (chain, last), self.ino, &says).unwrap();
            last = (carried.row.last().unwrap(), carried.row.head);
            batches.push(Arc::new(carried));
        }
        let forger = Forger {
            inner: VaultReplica::new(self.vault.clone()).unwrap(),
            chain,
            batches,
        };
        let service = Service::start(Arc::new(forger), &calling(town)).unwrap();
        let told: usize = all.iter().map(Vec::len).sum();
        let (beside, mut saves) = (town.desk.mnt().join("Notes/Beside.md"), 0);
        until("the desk has set all of it aside", || {
            // Notes are written and read all the while.
            saves += 1;
            let text = format!("save {saves}\n");
            let begun = Instant::now();
            fs::write(&beside, &text).unwrap();
            assert_eq!(fs::read_to_string(&beside).unwrap(), text);
            assert!(begun.elapsed() < Duration::from_secs(10), "the mount hung");
            set_aside(town) == before + told as u64
        });
        service.stop();
    }

    /// A change of the note that is in order, to be altered.
    fn made(&self) -> Made {
        let document = Document::genesis(self.first, NOTE).unwrap();
        let genesis = *Actor::of_genesis(self.first).bytes();
        // Its own actor does not travel.
        Made::insertion(document.first().0, [0; 16], genesis, NEXT)
    }
}

/// Events that the desk says it has set aside.
fn set_aside(town: &Town) -> u64 {
    let said = town.desk.run(&["--json", "status"]).gives(0).json();
    said["contents"]["set_aside"].as_u64().unwrap()
}

fn calling(town: &Town) -> coffer_sync::net::Settings {
    let mut settings = quiet(&[]);
    settings.peers.push(town.tcp.clone());
    settings
}

fn version(bytes: Vec<u8>) -> Version {
    let at = Time::now();
    Version {
        kind: Kind::File,
        form: Form::Text,
        perm: 0o644,
        mtime: at,
        recorded: at,
        btime: at,
        size: NOTE.len() as u64 + 1,
        xattrs: None,
        body: Body::Change { serial: None, bytes },
    }
}

/// Zeros, deflated: a 159th of what they come to, by the fixed codes of RFC 1951.
fn deflated(len: usize) -> Vec<u8> {
    struct Bits(Vec<u8>, u32, u32);
    impl Bits {
        fn put(&mut self, bits: u32, count: u32) {
            self.1 |= bits << self.2;
            self.2 += count;
            while self.2 >= 8 {
                self.0.push(self.1 as u8);
                (self.1, self.2) = (self.1 >> 8, self.2 - 8);
            }
        }
    }
    let mut out = Bits(Vec::new(), 0, 0);
    // The last block, of fixed codes; a zero; then 258 bytes from one byte back, again and again; the end.
    out.put(0b011, 3);
    out.put(0b0000_1100, 8);
    for _ in 0..len / 258 {
        out.put(0b1010_0011, 8);
        out.put(0, 5);
    }
    out.put(0, 7);
    out.put(0, 7);
    out.0
}

/// So many characters inserted at the text's start, or its first one deleted so often, said in a few runs.
fn millions(made: Made, count: u64, deletes: bool) -> Made {
    let all = |made: Made, columns: &[(u64, u8)]| {
        columns.iter().fold(made, |made, (column, value)| {
            made.with(*column, &run(count, *value))
        })
    };
    match deletes {
        false => {
            let made = all(
                made,
                &[
                    (0x01, 1),
                    (0x02, 1),
                    (0x13, 0),
                    (0x42, 1),
                    (0x56, 0x16),
                    (0x70, 0),
                ],
            );
            made.with(0x34, &[vec![0], leb(count)].concat())
        }
        true => {
            let made = made.deleting();
            let made = all(
                made,
                &[
                    (0x01, 1),
                    (0x02, 1),
                    (0x11, 1),
                    (0x42, 3),
                    (0x56, 0),
                    (0x70, 1),
                    (0x71, 1),
                ],
            );
            // The first character is operation 2; each deletes that one again.
            let from_two = [vec![0x7f, 2], run(count - 1, 0)].concat();
            made.with(0x34, &leb(count))
                .with(0x13, &from_two)
                .with(0x73, &from_two)
        }
    }
}

fn target(town: &Town) -> PathBuf {
    town.desk.mnt().join("Notes/Target.md")
}

/// Guards memory, and everybody's notes, against changes that are small on the wire and vast in what they say. Nothing of them is taken, the note
/// is what it was, and can be edited; saves cross all the while (`Town::under`).
#[test]
fn swollen_changes_are_set_aside_in_bounded_memory() {
    let Some(mut town) = Town::new() else { return };
    fs::write(target(&town), NOTE).unwrap();
    let thief = Thief::of(&town, "Target.md");
    let made = || thief.made();
    let bomb = deflated(230 << 20);
    assert!(bomb.len() < 3 << 19, "{} bytes are no bomb", bomb.len());
    let whole = {
        let rest = [vec![2], leb(bomb.len() as u64), bomb.clone()].concat();
        [&[0x85, 0x6f, 0x4a, 0x83, 1, 2, 3, 4][..], &rest].concat()
    };
    let huge = leb(1 << 60);
    let claims = |made: Made, column: u64| {
        // The columns' numbers and lengths stand behind the other actors.
        let mut packed = made.clone().with(column, b"x").packed();
        let at = packed.len()
            - made
                .with(column, b"x")
                .columns
                .iter()
                .map(|(_, bytes)| bytes.len())
                .sum::<usize>();
        packed.splice(at - 1..at, huge.clone());
        packed
    };
    let cases: [(&str, Vec<Vec<Vec<u8>>>); 5] = [
        (
            "deflated columns, each of 230 MiB",
            [0x5f, 0x4a, 0x0a, 0x7b]
                .map(|column| vec![made().without(column & !8).with(column, &bomb).packed()])
                .into(),
        ),
        ("a deflated change of 230 MiB", vec![vec![whole]]),
        (
            "lengths that are not there",
            vec![vec![
                [huge.clone(), vec![9; 100]].concat(),
                [vec![1], vec![9; 32], vec![1, 16], huge.clone(), vec![9; 100]].concat(),
                claims(made(), 0x73),
                made().with(0x42, &run(1 << 60, 1)).packed(),
                made().with(0x42, &run(0xffff_ffff, 1)).packed(),
                millions(made(), 0xffff_ffff, false).packed(),
                millions(made(), 0xffff_ffff, true).packed(),
                millions(made(), OPS + 1, true).packed(),
            ]],
        ),
        (
            "two million operations in a hundred bytes",
            vec![vec![millions(made(), OPS, true).packed()]],
        ),
        (
            "a long chain of them",
            (0..4)
                .map(|_| {
                    (0..10)
                        .map(|n| millions(made(), OPS - 1 - n, true).packed())
                        .collect()
                })
                .collect(),
        ),
    ];
    for (what, batches) in cases {
        let begun = Instant::now();
        town.under(what, |town| thief.tell(town, &batches));
        println!("{what}: {:?}", begun.elapsed());
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        assert_eq!(fs::read_to_string(target(&town)).unwrap(), NOTE, "{what}");
    }
    // The note goes on as if nothing had been.
    let edited = "one two three four\n";
    fs::write(target(&town), edited).unwrap();
    until("the edit crosses", || {
        fs::read_to_string(town.laptop.mnt().join("Notes/Target.md")).is_ok_and(|text| text == edited)
    });
    town.desk.run(&["lock"]).gives(0);
    town.laptop.run(&["lock"]).gives(0);
    for stage in [&town.desk, &town.laptop] {
        stage.open(&["check", "--read-data"]).gives(0);
    }
}
