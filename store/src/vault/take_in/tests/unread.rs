//! What is here and was not read: what is let go of keeps clear of it, and it costs a batch that comes nothing.

use super::newer::{of_version_1, opaque};
use super::*;
use crate::db::counted;
use crate::event::node_aad;
use crate::ids::ROOT_NODE;
use crate::record::Kept;
use crate::vault::Subject;

const DAY: i64 = 86_400;
const NEXT: &str = "of the next\n";

fn in_days(days: i64) -> Time {
    Time {
        sec: Time::now().sec.saturating_add(days.saturating_mul(DAY)),
        nsec: 0,
    }
}

fn whole(text: &str) -> Vec<u8> {
    version(Body::Inline(text.into()), text.len() as u64).encode()
}

fn blob(bytes: &[u8], recorded: Time) -> Vec<u8> {
    let blob = Version {
        form: Form::Blob,
        recorded,
        ..version(Body::Inline(bytes.to_vec()), bytes.len() as u64)
    };
    blob.encode()
}

impl Bed {
    /// The note is removed, and told to be.
    fn remove(&self) {
        self.vault.commit().unwrap();
        self.vault.remove(ROOT, b"note.md", false).unwrap();
        self.vault.commit().unwrap();
        // No save takes its name again.
        let nodes: Vec<NodeId> = self
            .vault
            .removed()
            .unwrap()
            .iter()
            .map(|gone| gone.node)
            .collect();
        self.vault.end_grace(&nodes);
        self.vault.tell_saved().unwrap();
    }

    /// How many things can be brought back, after all that could go has gone.
    fn left(&self) -> usize {
        self.vault.thin(in_days(4000)).unwrap();
        self.vault.thin_sooner(u64::MAX).unwrap();
        self.vault.fold_names().unwrap();
        self.vault.collect().unwrap();
        self.vault.removed().unwrap().len()
    }

    fn is_there(&self) -> bool {
        self.vault.lookup(ROOT, b"note.md").is_ok()
    }

    /// Rows that are read while this is done.
    fn rows(&mut self, what: impl FnOnce(&mut Bed)) -> u64 {
        let before = counted::rows();
        what(self);
        counted::rows() - before
    }
}

/// A file was destroyed with its keys when its removal here ran out of its time, though a newer program had told an edit
/// of it that no removal had seen: after the update it did not come back.
#[test]
fn a_removed_file_stays_while_an_edit_of_it_is_not_read() {
    for what in ["nothing", "newer", "set aside", "waits", "a kind", "a name"] {
        let mut bed = Bed::new();
        let first = bed.at();
        let unlimited = 1 << 40;
        let row = first_row(&bed);
        let mut document = Document::genesis(first, NOTE).unwrap();
        let base = document.heads().unwrap();
        let change = changed(&bed.change(&mut document, &base, NEXT), NEXT);
        match what {
            "nothing" => {}
            "newer" => {
                let taken = bed.take(&[(vec![first], 5, of_version_1(whole(NEXT)))]);
                assert_eq!(taken.unwrap().newer.len(), 1);
            }
            "set aside" => {
                bed.vault.limit_texts(unlimited, unlimited, 4, unlimited);
                let taken = bed.take(&[(vec![first], 5, change)]).unwrap();
                assert_eq!(taken.set_aside.len(), 1);
            }
            "waits" => {
                put_row(&bed.vault, (row.0.clone(), vec![0; row.1.len()]));
                let taken = bed.take(&[(vec![first], 5, change)]).unwrap();
                assert_eq!(taken.waiting.len(), 1);
                put_row(&bed.vault, row);
            }
            "a kind" => {
                let of = (EventKind::Other(12 | 0x40), bed.entity.0);
                let taken = bed.take_raw(&[(of, (vec![first], 5, opaque(1)))]).unwrap();
                assert_eq!(taken.newer.len(), 1);
            }
            _ => {
                // Which file it is a name of nobody knows yet.
                let state = crate::event::NodeState {
                    parent: ROOT_NODE,
                    entity: Some(bed.entity),
                    perm: 0,
                    xattrs: None,
                    when: Time { sec: 7, nsec: 0 },
                    name: b"again.md".to_vec(),
                };
                let node = NodeId([5; 16]);
                let aad = node_aad(&node, bed.next(1), bed.epoch());
                let keyring = bed.vault.core.keyring();
                let sealed = seal(keyring.present().tree(), &aad, &of_version_1(state.encode()));
                let said = ((EventKind::Node, node.0), (vec![], 5, sealed));
                assert_eq!(bed.take_raw(&[said]).unwrap().newer.len(), 1);
            }
        }
        bed.remove();
        assert!(!bed.is_there());
        assert_eq!(bed.left(), usize::from(what != "nothing"), "{what}");
        // The update.
        bed.vault.limit_texts(unlimited, unlimited, unlimited, unlimited);
        bed.vault.open_as(2);
        bed.vault.retry_once();
        match what {
            "nothing" => assert!(!bed.is_there()),
            "a name" => assert!(bed.vault.lookup(ROOT, b"again.md").is_ok()),
            "a kind" => assert_eq!((bed.is_there(), bed.left()), (false, 1)),
            _ => {
                assert!(bed.is_there(), "{what}");
                assert_eq!(bed.unread(), (0, 0), "{what}");
            }
        }
        if let "set aside" | "waits" = what {
            bed.vault.commit().unwrap();
            bed.vault.show_safely();
            assert_eq!(bed.text(), NEXT, "{what}");
            let options = crate::vault::CheckOptions { read_data: true };
            let report = bed.vault.check(options, &mut |_| {}).unwrap();
            assert!(report.problems.is_empty(), "{what}: {:?}", report.problems);
        }
    }
}

/// The version that an unread edit goes on from was thinned, and then nobody could read that edit any more.
#[test]
fn a_version_stays_that_an_unread_edit_goes_on_from() {
    for unread in [false, true] {
        let mut bed = Bed::new();
        let (mut before, mut all) = (bed.at(), Vec::new());
        for n in 0..4 {
            let at = bed.next(1);
            bed.take(&[(vec![before], 5 + u64::from(n), blob(&[0xff, n], in_days(-5)))])
                .unwrap();
            all.push(at);
            before = at;
        }
        if unread {
            let newer = of_version_1(blob(&[0xff, 9], in_days(-5)));
            bed.take(&[(vec![all[1]], 20, newer)]).unwrap();
        }
        bed.vault.thin(in_days(4000)).unwrap();
        let mut held = Vec::new();
        let each = &mut |_, row: Result<crate::record::VersionRecord, StoreError>| {
            let row = row.unwrap();
            held.extend((row.kept == Kept::All && all.contains(&row.at)).then_some(row.at));
        };
        bed.vault.each_version(&bed.key, &bed.entity, each).unwrap();
        let expected = if unread {
            vec![all[1], all[3]]
        } else {
            vec![all[3]]
        };
        assert_eq!(held, expected, "unread: {unread}");
    }
}

/// Guards that a person's purge goes on, and says what of the file was not read; and that nothing waits any more of one
/// that is destroyed.
#[test]
fn a_purge_says_what_was_not_read() {
    let mut bed = Bed::new();
    let first = bed.at();
    let newer = of_version_1(whole(NEXT));
    bed.take(&[
        (vec![first], 5, newer),
        (vec![first], 6, NO_VERSION.to_vec()),
        (vec![first], 7, blob(b"one", in_days(0))),
    ])
    .unwrap();
    bed.vault.commit().unwrap();
    let ino = bed.vault.lookup(ROOT, b"note.md").unwrap();
    let purged = bed.vault.purge(Subject::File(ino)).unwrap();
    assert_eq!((purged.files, purged.unread), (0, 2));
    assert!(purged.versions > 0 && bed.unread() == (1, 1));
    // Nothing more goes.
    assert_eq!(bed.vault.purge(Subject::File(ino)).unwrap().unread, 0);
    bed.remove();
    let node = bed.vault.removed().unwrap()[0].node;
    let purged = bed.vault.purge(Subject::Removed(node)).unwrap();
    assert_eq!((purged.files, purged.unread), (1, 2));
    assert_eq!((bed.left(), bed.unread()), (0, (0, 0)));
    bed.vault.open_as(2);
    bed.vault.retry_once();
    assert!(!bed.is_there() && bed.vault.removed().unwrap().is_empty());
}

/// Each batch that came, and each look whether names can be folded, read the notes of all that waited for a newer program:
/// a million of these were read a million times.
#[test]
fn what_waits_for_a_newer_program_costs_a_batch_nothing() {
    let cost = |many: u64| {
        let mut bed = Bed::new();
        let first = bed.at();
        let kind = (EventKind::Other(12 | 0x40), [1; 16]);
        let says: Vec<Raw> = (0..many)
            .map(|n| match n % 2 {
                0 => (kind, (vec![first], 5 + n, opaque(1))),
                _ => {
                    let of_note = (EventKind::Version, bed.entity.0);
                    let key = bed.vault.core.keyring().present().content(&bed.key);
                    let aad = content_aad(&bed.entity, bed.next(1 + n), bed.epoch());
                    let sealed = seal(&key, &aad, &of_version_1(whole(NEXT)));
                    (of_note, (vec![first], 5 + n, sealed))
                }
            })
            .collect();
        assert_eq!(bed.take_raw(&says).unwrap().newer.len() as u64, many);
        assert_eq!(bed.unread(), (many, 0));
        let mut before = first;
        let mut take = |bed: &mut Bed, n: u64| {
            let (at, text) = (bed.next(1), format!("{n}\n"));
            bed.take(&[(vec![before], 5000 + n, whole(&text))]).unwrap();
            assert_eq!(bed.text(), text);
            before = at;
        };
        take(&mut bed, 0);
        let batch = bed.rows(|bed| take(bed, 1));
        let fold = bed.rows(|bed| assert!(!do_names_wait(&bed.vault.core.db).unwrap()));
        let asked = bed.rows(|bed| assert!(bed.vault.is_behind_others().unwrap()));
        (batch, fold, asked)
    };
    let few = cost(10);
    assert_eq!(cost(2000), few);
    assert!(few.1 + few.2 < 8, "{few:?}");
}

/// The same of what waits for something that is not here: so much of it is tried with each batch, by turns, and no more.
#[test]
fn of_what_waits_so_much_is_tried_with_each_batch() {
    let cost = |many: u64| {
        let mut bed = Bed::new();
        let first = bed.at();
        let row = first_row(&bed);
        put_row(&bed.vault, (row.0.clone(), vec![0; row.1.len()]));
        let same = version(Body::Same, NOTE.len() as u64).encode();
        let says: Vec<Says> = (0..many).map(|n| (vec![first], 5 + n, same.clone())).collect();
        assert_eq!(bed.take(&says).unwrap().waiting.len() as u64, many);
        // Of another file, and after that it can be read.
        let other = (EventKind::Other(12 | 0x40), [1; 16]);
        let take = |bed: &mut Bed| {
            let lamport = 9000 + bed.last.0;
            bed.take_raw(&[(other, (vec![], lamport, opaque(1)))]).unwrap()
        };
        take(&mut bed);
        let rows = bed.rows(|bed| drop(take(bed)));
        put_row(&bed.vault, row);
        for turn in 0.. {
            let left = bed.vault.due(Which::All, false).unwrap().len();
            if left == 0 {
                break;
            }
            assert!(turn < 2 + many / 200, "{left} are left");
            take(&mut bed);
        }
        rows
    };
    let (some, more) = (cost(900), cost(2700));
    assert!(more < some + 64, "{some} rows, then {more}");
}
