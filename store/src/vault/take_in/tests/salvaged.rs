//! A vault in which a newer program told something is salvaged, and checked: what this program reads is brought out, and
//! the rest is said to need a newer one, and not to be damaged.

use std::path::Path;

use super::*;
use crate::event::{BatchWriter, Event};
use crate::event::{NodeState, key_aad, node_aad};
use crate::ids::ROOT_NODE;
use crate::io::Disk;
use crate::keys::WRAPPED;
use crate::keys::labels;
use crate::vault::{CheckOptions, Problem, SalvageReport, salvage};

fn of_version_1(mut payload: Vec<u8>) -> Vec<u8> {
    payload[0] = 1;
    payload
}

fn whole(text: &str) -> Vec<u8> {
    version(Body::Inline(text.into()), text.len() as u64).encode()
}

fn named(name: &str, entity: EntityId) -> Vec<u8> {
    let state = NodeState {
        parent: ROOT_NODE,
        entity: Some(entity),
        perm: 0o644,
        xattrs: None,
        when: Time { sec: 7, nsec: 0 },
        name: name.into(),
    };
    state.encode()
}

impl Bed {
    /// What a vault has on its disk by now, in this folder.
    fn put_into(&self, dir: &Path) {
        self.vault.commit().unwrap();
        let disk = self.disk.crash_all_kept();
        std::fs::create_dir(dir).unwrap();
        for name in disk.list().unwrap() {
            let file = disk.open(&name).unwrap();
            let mut bytes = vec![0; file.len().unwrap() as usize];
            file.read_at(0, &mut bytes).unwrap();
            std::fs::write(dir.join(name), bytes).unwrap();
        }
    }

    /// A version of the note, sealed, in the n-th place from now.
    fn sealed(&self, n: u64, plain: &[u8]) -> Vec<u8> {
        let key = self.vault.core.keyring().present().content(&self.key);
        seal(
            &key,
            &content_aad(&self.entity, self.next(n), self.epoch()),
            plain,
        )
    }

    fn sealed_node(&self, n: u64, node: NodeId, plain: &[u8]) -> Vec<u8> {
        let aad = node_aad(&node, self.next(n), self.epoch());
        seal(self.vault.core.keyring().present().tree(), &aad, plain)
    }

    /// A new entity of which the one version is a newer program's: a batch of one event, which brings its key.
    fn created_by_newer(&self, entity: EntityId, lamport: u64) -> Carried {
        let (keyring, key, at) = (self.vault.core.keyring(), Key::random(), self.next(1));
        let aad = key_aad(&entity, at, self.epoch());
        let wrapped = seal(keyring.present().wrap(), &aad, key.expose());
        let wrapped = <[u8; WRAPPED]>::try_from(wrapped).unwrap();
        let aad = content_aad(&entity, at, self.epoch());
        let sealed = seal(
            &keyring.present().content(&key),
            &aad,
            &of_version_1(whole("later\n")),
        );
        let mut carried = self.raw(&[((EventKind::Create, entity.0), (vec![], lamport, sealed.clone()))]);
        let before = Walk::new(&carried.bytes).unwrap().next().unwrap().unwrap().event;
        let mut batch = BatchWriter::new(*Walk::new(&carried.bytes).unwrap().header());
        batch.push(&Event {
            head: Head {
                wrapped: Some(event::hash(&wrapped)),
                ..before.head
            },
            wrapped: Some(wrapped),
            sealed: Some(sealed),
        });
        carried.row.head = batch.head();
        carried.row.place.len = batch.bytes().len() as u32;
        let signed = BatchRow::signed(self.chain, self.last.0 + 1, &batch.head());
        carried.row.signature = self.signing.sign(labels::SIGN_HEAD, &signed);
        carried.bytes = batch.bytes().to_vec();
        carried
    }
}

/// A vault beside a newer program: the note, which has a version more that this one reads, and versions, a name, a removal,
/// kinds of events and a file that it does not.
fn beside_newer() -> Bed {
    let mut bed = Bed::new();
    let first = bed.at();
    // Names are shared from now on.
    bed.take(&[(vec![first], 5, whole("as ever\n"))]).unwrap();
    let (node, read) = (
        bed.vault.tree.read().lookup(ROOT, b"note.md").unwrap().1.id,
        bed.next(0),
    );
    let says = vec![
        (
            vec![first],
            10,
            bed.sealed(1, &of_version_1(whole("of the next\n"))),
        ),
        (
            vec![bed.next(1)],
            11,
            bed.sealed(2, &version(Body::Same, 12).encode()),
        ),
    ];
    let note = (EventKind::Version, bed.entity.0);
    let mut all: Vec<Raw> = says.into_iter().map(|says| (note, says)).collect();
    let moved = bed.sealed_node(3, node, &of_version_1(named("moved.md", bed.entity)));
    all.push(((EventKind::Node, node.0), (vec![], 12, moved)));
    let aad = gone_aad(&node, bed.next(4), bed.epoch());
    let gone = crate::event::NodeGone {
        when: Time::default(),
    };
    let gone = seal(
        bed.vault.core.keyring().present().tree(),
        &aad,
        &of_version_1(gone.encode()),
    );
    all.push(((EventKind::NodeGone, node.0), (vec![first, read], 13, gone)));
    for (lamport, kind) in [(14, 9), (15, 15), (16, 0x80 | 2), (17, 0x40 | 11)] {
        all.push((
            (EventKind::Other(kind), bed.entity.0),
            (vec![first], lamport, vec![kind; 64]),
        ));
    }
    let taken = bed.take_raw(&all).unwrap();
    assert_eq!((taken.newer.len(), taken.set_aside.len()), (all.len(), 0));
    let created = bed.created_by_newer(EntityId([5; 16]), 20);
    assert_eq!(bed.take_carried(created).unwrap().newer, [bed.next(0)]);
    bed
}

fn brought(bed: &Bed, spoil: &dyn Fn(&Path)) -> (SalvageReport, Vec<(String, String)>) {
    let dir = tempfile::tempdir().unwrap();
    let (vault, out) = (dir.path().join("vault"), dir.path().join("out"));
    bed.put_into(&vault);
    spoil(&vault);
    let report = salvage(&vault, &password(), &out, &mut |_| {}).unwrap();
    let files = std::fs::read_dir(&out).unwrap().map(|entry| {
        let entry = entry.unwrap();
        let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
        (entry.file_name().into_string().unwrap(), text)
    });
    let files = files.collect();
    (report, files)
}

fn no_database(vault: &Path) {
    std::fs::write(vault.join("vault.redb"), b"nothing of it is left").unwrap();
}

fn paths(problems: &[Problem]) -> Vec<Option<String>> {
    let path = |problem: &Problem| Some(String::from_utf8(problem.path.clone()?).unwrap());
    problems.iter().map(path).collect()
}

/// What a newer program told of a file or a name was called damage, and the person told to look for a backup.
#[test]
fn what_a_newer_program_told_is_no_damage() {
    let bed = beside_newer();
    for with_database in [true, false] {
        let (report, mut files) = brought(&bed, &|vault| {
            if !with_database {
                no_database(vault);
            }
        });
        files.sort_unstable();
        let note = ("note.md".to_owned(), "as ever\n".to_owned());
        assert!(files.contains(&note), "{files:?}");
        assert_eq!(report.problems, [], "with a database: {with_database}");
        let said = report.newer.last().unwrap().to_string();
        assert!(said.contains("update coffer"), "{said}");
        let damaged = |problem: &&Problem| problem.what.contains("damaged or missing");
        assert_eq!(report.newer.iter().find(damaged), None);
        let mut of = paths(&report.newer);
        of.sort_unstable();
        let nameless = format!("without a name/{}", EntityId([5; 16]));
        match with_database {
            // What the vault shows is brought out, and that more waits.
            true => assert!(
                of.contains(&None) && !of.contains(&Some("note.md".into())),
                "{of:?}"
            ),
            false => assert_eq!(of, [None, Some("note.md".into()), Some(nameless)]),
        }
    }
    let check = bed
        .vault
        .check(CheckOptions { read_data: true }, &mut |_| {})
        .unwrap();
    assert_eq!(check.problems, []);
    let said = |skipped: &String| skipped.contains("update coffer");
    assert!(check.skipped.iter().any(said), "{:?}", check.skipped);
}

/// Guards what is damaged beside it: it is still said to be that.
#[test]
fn damage_beside_what_is_newer_is_said() {
    let mut bed = beside_newer();
    let read = vec![bed.at()];
    let lost = bed.sealed(1, &whole("and more\n"));
    let note = (EventKind::Version, bed.entity.0);
    bed.take_raw(&[(note, (read, 30, lost.clone()))]).unwrap();
    let (report, files) = brought(&bed, &|vault| {
        no_database(vault);
        for entry in std::fs::read_dir(vault).unwrap() {
            let path = entry.unwrap().path();
            let mut bytes = std::fs::read(&path).unwrap();
            if let Some(at) = bytes.windows(lost.len()).position(|window| window == lost) {
                bytes[at + lost.len() / 2] ^= 1;
                std::fs::write(path, bytes).unwrap();
            }
        }
    });
    assert!(
        files.contains(&("note.md".to_owned(), "as ever\n".to_owned())),
        "{files:?}"
    );
    let damage = report.problems.iter().map(|problem| problem.to_string());
    let damage: Vec<String> = damage.filter(|what| what.contains("damaged")).collect();
    assert!(damage.iter().any(|what| what.contains("note.md")), "{damage:?}");
    assert!(!report.newer.is_empty());
}

/// A batch of another version is a newer program's, or its first byte has rotted: where it has its place, that tells.
#[test]
fn a_batch_of_a_version_to_come_may_be_newer() {
    let bed = beside_newer();
    let batches = bed.vault.batches_after(&[(bed.chain, 0)], usize::MAX).unwrap();
    let alter = |vault: &Path, len: usize| {
        no_database(vault);
        for entry in std::fs::read_dir(vault).unwrap() {
            let path = entry.unwrap().path();
            let mut bytes = std::fs::read(&path).unwrap();
            let batch = &batches.last().unwrap().bytes;
            if let Some(at) = bytes.windows(batch.len()).position(|window| window == batch) {
                bytes[at..at + len].fill(1);
                std::fs::write(path, bytes).unwrap();
            }
        }
    };
    let all = |report: &SalvageReport| {
        let all = report.problems.iter().chain(&report.newer);
        all.map(|problem| problem.to_string()).collect::<Vec<_>>()
    };
    let rotten = all(&brought(&bed, &|vault| alter(vault, 1)).0);
    assert!(rotten.iter().any(|what| what.contains("events in")), "{rotten:?}");
    assert!(
        !rotten.iter().any(|what| what.contains("or a newer version")),
        "{rotten:?}"
    );
    let other = all(&brought(&bed, &|vault| alter(vault, 200)).0);
    assert!(
        other.iter().any(|what| what.contains("or a newer version")),
        "{other:?}"
    );
}
