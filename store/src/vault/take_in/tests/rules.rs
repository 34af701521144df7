//! Rules that every writer keeps, and that a reader holds them to.

use super::*;
use crate::event::{NodeState, node_aad};
use crate::ids::{NodeId, ROOT_NODE};
use crate::record::kind;

fn whole(text: &str) -> Vec<u8> {
    version(Body::Inline(text.into()), text.len() as u64).encode()
}

/// A peer's clock at the end of all numbers made the next event's overflow; one at their beginning came before
/// all that any tree of names would take, and ended the following of names for good.
#[test]
fn a_clock_out_of_all_bounds_is_refused() {
    let mut bed = Bed::new();
    let first = bed.at();
    for lamport in [u64::MAX, u64::MAX - 1, 1 << 50, 0] {
        let plain = version(Body::Same, NOTE.len() as u64).encode();
        let taken = bed.take(&[(vec![first], lamport, plain)]);
        assert!(matches!(taken, Err(TakeInError::Clock)), "{taken:?}");
    }
    write(&bed.vault, "note.md", "still here\n");
    bed.vault.commit().unwrap();
    assert_eq!(bed.vault.told_after(0).unwrap().len(), 2);
}

/// An event dated before one that its own chain told stood behind what its device had acknowledged: trees differed.
#[test]
fn times_of_a_chain_never_go_back() {
    let mut bed = Bed::new();
    let first = bed.at();
    let back = bed.take(&[(vec![first], 6, whole("one\n")), (vec![first], 6, whole("two\n"))]);
    assert!(
        matches!(back, Err(TakeInError::Verify(VerifyError::Malformed(_)))),
        "{back:?}"
    );
    bed.take(&[(vec![first], 6, whole("one\n"))]).unwrap();
    for lamport in [5, 6] {
        let back = bed.take(&[(vec![first], lamport, whole("two\n"))]);
        assert!(matches!(back, Err(TakeInError::Back)), "{back:?}");
    }
    bed.take(&[(vec![first], 7, whole("two\n"))]).unwrap();
}

/// Batches that each jumped far ahead used up the numbers there are.
#[test]
fn a_clock_does_not_jump_far() {
    let mut bed = Bed::new();
    let first = bed.at();
    let known = bed.vault.committer.lock().counters.lamport;
    let far = bed.take(&[(vec![first], known + (1 << 32) + 1, whole("far\n"))]);
    assert!(matches!(far, Err(TakeInError::Clock)), "{far:?}");
    bed.take(&[(vec![first], known + (1 << 32), whole("near\n"))])
        .unwrap();
}

/// What a head says that no writer says is set aside, on every device alike; what stands beside it is taken.
#[test]
fn heads_that_say_what_cannot_be_are_set_aside() {
    let mut bed = Bed::new();
    let first = bed.at();
    write(&bed.vault, "other.md", "another note\n");
    bed.vault.commit().unwrap();
    let ino = bed.vault.lookup(ROOT, b"other.md").unwrap();
    let other = bed.vault.entity(ino).unwrap();
    let key = bed.vault.key_of(other).unwrap().unwrap();
    let mut of_other = None;
    let each =
        &mut |_, row: Result<crate::record::VersionRecord, StoreError>| of_other = Some(row.unwrap().at);
    bed.vault.each_version(&key, &other, each).unwrap();
    let of_other = of_other.unwrap();
    let nothing = EventRef { seq: 0, ..first };
    // Of versions: one twice, none, one of another file, one of no file.
    let bad = [1, 2, 3].map(|n| bed.next(n));
    let taken = bed
        .take(&[
            (vec![first, first], 20, whole("twice\n")),
            (vec![first, nothing], 21, whole("none\n")),
            (vec![first, of_other], 22, whole("another\n")),
            (vec![first], 23, whole("sound\n")),
        ])
        .unwrap();
    assert_eq!((taken.set_aside, taken.waiting), (bad.to_vec(), vec![]));
    assert_eq!(bed.text(), "sound\n");
    // Of the others: a Create, a Node, a Setting, and what is said of chains replace nothing.
    let (node, at) = (NodeId([5; 16]), bed.next(1));
    let state = |perm| NodeState {
        parent: ROOT_NODE,
        entity: None,
        perm,
        xattrs: None,
        when: Time { sec: 7, nsec: 0 },
        name: b"a folder".to_vec(),
    };
    let sealed = |bed: &Bed, n: u64, perm: u16| {
        let aad = node_aad(&node, bed.next(n), bed.epoch());
        seal(
            bed.vault.core.keyring().present().tree(),
            &aad,
            &state(perm).encode(),
        )
    };
    let mut says: Vec<Raw> = Vec::new();
    let kinds = [
        EventKind::Create,
        EventKind::Setting,
        EventKind::Acknowledge,
        EventKind::Lapse,
        EventKind::Admit,
        EventKind::Node,
    ];
    for (n, kind) in (0..).zip(kinds) {
        let subject = match kind {
            EventKind::Acknowledge => [0; 16],
            _ => [7; 16],
        };
        says.push(((kind, subject), (vec![first], 30 + n, vec![1; 64])));
    }
    says.push(((EventKind::Acknowledge, [1; 16]), (vec![], 40, vec![1; 64])));
    says.push((
        (EventKind::NodeGone, node.0),
        (vec![first, first], 41, vec![1; 64]),
    ));
    // A folder with permission bits that there are not.
    says.push(((EventKind::Node, node.0), (vec![], 42, sealed(&bed, 9, 0o10_000))));
    says.push(((EventKind::Node, node.0), (vec![], 43, sealed(&bed, 10, 0o7_777))));
    let taken = bed.take_raw(&says).unwrap();
    let bad: Vec<EventRef> = (0..9)
        .map(|n| EventRef {
            seq: at.seq + n,
            ..at
        })
        .collect();
    assert_eq!((taken.set_aside, taken.waiting), (bad, vec![]));
    assert!(bed.vault.lookup(ROOT, b"a folder").is_ok());
}

/// Devices signed an event with more versions than anybody reads, and nobody could read their chain from there on.
#[test]
fn what_nobody_could_read_is_not_signed() {
    let bed = Bed::new();
    let at = |n: u64| EventRef {
        chain: ChainId([7; 16]),
        seq: n + 1,
    };
    let before = (bed.vault.told_after(0).unwrap().len(), bed.vault.clock().unwrap());
    for (replaces, is_told) in [(1025, false), (1024, true)] {
        let replaces: Vec<EventRef> = (0..replaces).map(at).collect();
        let told = version(Body::Inline(b"too many\n".to_vec()), 9);
        let told = bed
            .vault
            .tell_carried((bed.entity, &bed.key), vec![(told, replaces)]);
        assert_eq!(told.is_ok(), is_told, "{told:?}");
        if !is_told {
            assert_eq!(
                (bed.vault.told_after(0).unwrap().len(), bed.vault.clock().unwrap()),
                before
            );
            let said = told.unwrap_err().to_string();
            assert!(said.contains("tell others"), "{said}");
        }
    }
    // What was told is believed by whoever hears it.
    for carried in bed.vault.told_after(0).unwrap() {
        let (row, bytes) = (&carried.row, &carried.bytes);
        Unverified { row, bytes }.verify(&bed.vault.device()).unwrap();
    }
}

/// Records that travel have a format of their own, by the kinds that `record::kind` gives them.
#[test]
fn what_travels_has_a_format_of_its_own() {
    let travelling = [
        kind::CONTENT,
        kind::TREE,
        kind::WRAP_EPOCH,
        kind::TREE_GONE,
        kind::SETTING,
        kind::MEMBERS,
        kind::ACKNOWLEDGE,
        kind::LAPSE,
        kind::ADMIT,
        // A record left with a relay, a carried folder's index, bundle and slots: sync's own.
        0x60,
        0x61,
        0x62,
        0x63,
    ];
    for kind in 0..=u8::MAX {
        assert_eq!(
            crate::keys::travels(kind),
            travelling.contains(&kind),
            "kind {kind}"
        );
    }
}

/// A member made honest devices sign an event that nobody reads: a version of a former text, made from as many as an
/// event can name, was carried over by one that named one more.
#[test]
fn nothing_is_carried_over_that_would_name_too_much() {
    let mut bed = Bed::new();
    let first = bed.at();
    let mut document = Document::genesis(first, NOTE).unwrap();
    let base = document.heads().unwrap();
    let made = |document: &mut Document, base: &Heads, serial, new: &str, chain| {
        document.edit(base, new, chain, serial).unwrap().unwrap()
    };
    // Something at the base: so each of these has an actor of its own.
    let before = made(&mut document, &base, 1, "other\n", bed.chain);
    let mut says = vec![(vec![first], 20, changed(&before, "other\n"))];
    let (mut all, mut heads) = (vec![bed.next(1)], vec![before.hash()]);
    for n in 1..1024 {
        let new = format!("{NOTE}w{n}\n");
        let change = made(&mut document, &base, 1 + n, &new, bed.chain);
        says.push((vec![first], 20 + n, changed(&change, &new)));
        heads.push(change.hash());
        all.push(bed.next(1 + n));
    }
    let heads: Heads = heads.into_iter().collect();
    let merged = document.text_at(&heads).unwrap() + "of all\n";
    let of_all = made(&mut document, &heads, 5000, &merged, bed.chain);
    let widest = bed.next(1025);
    says.push((all, 5000, changed(&of_all, &merged)));
    let anew = "begun anew\n";
    says.push((vec![first], 5001, version(Body::Inline(anew.into()), 11).encode()));
    let taken = bed.take(&says).unwrap();
    assert_eq!((taken.set_aside, taken.waiting), (vec![], vec![]));
    for _ in 0..100 {
        if !bed.vault.show_safely() && !bed.vault.is_to_show() {
            break;
        }
    }
    bed.vault.commit().unwrap();
    let own = bed.vault.told_after(0).unwrap();
    let (mut carried, mut replaced) = (0, 0);
    for told in &own {
        let (row, bytes) = (&told.row, &told.bytes);
        let verified = Unverified { row, bytes }.verify(&bed.vault.device());
        for event in verified.unwrap() {
            let replaces = &event.event().head.replaces;
            carried += usize::from(replaces.len() > 1);
            replaced += usize::from(replaces.contains(&widest));
        }
    }
    assert_eq!((carried, replaced), (1024, 0));
    // Two insertions in one place, which stand as their actors say.
    assert!(bed.text().starts_with("otherbegun anew\n"), "{}", bed.text());
}
