//! What is said of names and chains and is not taken: what waits holds folding up, what is refused is refused for good.

use super::newer::{give, joined, of_version_1, opaque, reopened};
use super::*;
use crate::event::{NodeState, chain_aad, node_aad};
use crate::horizon::Say;
use crate::ids::{NodeId, ROOT_NODE};
use crate::vault::Patience;

fn state(name: &str, perm: u16) -> NodeState {
    NodeState {
        parent: ROOT_NODE,
        entity: None,
        perm,
        xattrs: None,
        when: Time { sec: 7, nsec: 0 },
        name: name.into(),
    }
}

fn folder(name: &str) -> Vec<u8> {
    state(name, 0o755).encode()
}

impl Bed {
    /// A payload of a Node event at the n-th place from now, sealed.
    pub(super) fn node(&self, n: u64, node: NodeId, plain: &[u8]) -> Vec<u8> {
        let aad = node_aad(&node, self.next(n), self.epoch());
        seal(self.vault.core.keyring().present().tree(), &aad, plain)
    }

    /// An event of names or chains that comes next, with this payload.
    fn of_names(&self, kind: EventKind, subject: [u8; 16], replaces: Vec<EventRef>, plain: &[u8]) -> Raw {
        let (at, epoch) = (self.next(1), self.epoch());
        let aad = match kind {
            EventKind::Node => node_aad(&NodeId(subject), at, epoch),
            EventKind::NodeGone => gone_aad(&NodeId(subject), at, epoch),
            _ => chain_aad(kind, &subject, at, epoch),
        };
        let sealed = seal(self.vault.core.keyring().present().tree(), &aad, plain);
        ((kind, subject), (replaces, 1000 + at.seq, sealed))
    }
}

/// A vault in which names can be folded, and the other device of which is to tell more.
fn about_to_fold() -> Bed {
    let mut bed = Bed::new();
    bed.vault.stop_keeper();
    let (other, signing) = joined(&bed.vault);
    for n in 0..4 {
        let meta = crate::record::Meta {
            kind: Kind::Folder,
            ..file_meta()
        };
        bed.vault
            .make(ROOT, format!("folder {n}").as_bytes(), meta, b"")
            .unwrap();
        for _ in 0..2 {
            give(&bed.vault, &other, None);
            give(&other, &bed.vault, None);
        }
    }
    for _ in 0..3 {
        for vault in [&bed.vault, &other] {
            let ahead = vault.patience().ahead + 86_400;
            vault.set_patience(Patience {
                ahead,
                ..Patience::default()
            });
            vault.tend_horizon().unwrap();
        }
        give(&bed.vault, &other, None);
        give(&other, &bed.vault, None);
    }
    let unsettled = bed.vault.names_kept().unwrap().unsettled;
    assert!(unsettled > 0);
    // The other device is a newer program by now.
    bed.chain = other.own_chain();
    bed.last = other.clock().unwrap()[&bed.chain];
    bed.signing = signing;
    bed
}

/// Names and chains: nothing is folded while something of them waits for a newer program, since it may lie below the
/// line; what says that it concerns none holds nothing up. Once it is read it has its place, and folding goes on.
#[test]
fn folding_stops_before_what_only_a_newer_program_reads() {
    for what in ["no names", "kind", "node", "word"] {
        let mut bed = about_to_fold();
        let (node, lamport) = (NodeId([5; 16]), 1000);
        let said = |kind, subject, sealed| ((kind, subject), (vec![], lamport, sealed));
        let at = bed.next(1);
        let event = match what {
            "no names" => said(EventKind::Other(12 | 0x40), [1; 16], opaque(1)),
            "kind" => said(EventKind::Other(12), [1; 16], opaque(1)),
            "node" => {
                let sealed = bed.node(1, node, &of_version_1(folder("of the next")));
                said(EventKind::Node, node.0, sealed)
            }
            _ => {
                let say = of_version_1(Say::Lapse(ChainId([1; 16]), 0).encode());
                let aad = chain_aad(EventKind::Lapse, &[1; 16], at, bed.epoch());
                let sealed = seal(bed.vault.core.keyring().present().tree(), &aad, &say);
                said(EventKind::Lapse, [1; 16], sealed)
            }
        };
        let taken = bed.take_raw(&[event]).unwrap();
        assert_eq!((taken.newer, taken.set_aside), (vec![at], vec![]), "{what}");
        let folded = bed.vault.fold_names().unwrap();
        assert_eq!(folded > 0, what == "no names", "{what}: {folded}");
        if what == "node" {
            assert!(bed.vault.lookup(ROOT, b"of the next").is_err());
            bed.vault.open_as(2);
            bed.vault.retry_once();
            assert!(bed.vault.lookup(ROOT, b"of the next").is_ok());
            assert_eq!(bed.unread(), (0, 0));
            assert!(bed.vault.fold_names().unwrap() > 0);
        }
    }
}

/// What was refused of a name was tried again by the next program, once names were folded that it would have come before:
/// one that reads it has another tree then than one that never folded. It holds nothing up, and is refused for good.
#[test]
fn a_name_that_was_refused_is_never_tried_again() {
    let mut bed = about_to_fold();
    let event = bed.of_names(
        EventKind::Node,
        [5; 16],
        vec![],
        &state("of nobody", 0o17777).encode(),
    );
    let (at, file) = (bed.next(1), bed.next(2));
    assert_eq!(bed.take_raw(&[event]).unwrap().set_aside, [at]);
    // Beside it one of a file, which is.
    let first = bed.at();
    let taken = bed.take(&[(vec![first], 2000, NO_VERSION.to_vec())]).unwrap();
    assert_eq!((taken.set_aside, bed.unread()), (vec![file], (0, 2)));
    assert!(bed.vault.fold_names().unwrap() > 0);
    for level in [2, 3, u8::MAX] {
        bed.vault.open_as(level);
        let again = bed.vault.retry_waiting().unwrap();
        assert_eq!((again.set_aside, bed.unread()), (vec![file], (0, 2)), "{level}");
    }
}

/// Guards that whoever heard a newer program's move before its update, and after it, has the tree of who understood it at
/// once, though what came later means another thing with it; and that what is refused stands in nobody's way.
#[test]
fn devices_of_two_programs_come_to_one_tree() {
    let mut bed = about_to_fold();
    let (newer, _) = joined(&bed.vault);
    give(&bed.vault, &newer, None);
    newer.open_as(2);
    let lies = |name: &str, parent: NodeId, perm: u16| {
        let state = NodeState {
            parent,
            ..state(name, perm)
        };
        state.encode()
    };
    let (six, seven) = (NodeId([6; 16]), NodeId([7; 16]));
    let says = [
        (six, lies("six", ROOT_NODE, 0o755)),
        (seven, lies("seven", ROOT_NODE, 0o755)),
        // Only a newer program reads this, …
        (seven, of_version_1(lies("seven", six, 0o755))),
        // … this nobody, …
        (six, lies("nowhere", ROOT_NODE, 0o10755)),
        // … and this puts a folder into itself, for who has read the first.
        (six, lies("six", seven, 0o755)),
    ];
    for (node, plain) in &says {
        let event = bed.of_names(EventKind::Node, node.0, vec![], plain);
        let carried = bed.raw(&[event]);
        newer.take_in(&bed.signing.verifying(), &carried).unwrap();
        bed.take_carried(carried).unwrap();
    }
    let is_there = |vault: &Vault, above: &[u8], below: &[u8]| {
        let found = vault
            .lookup(ROOT, above)
            .and_then(|folder| vault.lookup(folder, below));
        found.is_ok() && vault.lookup(ROOT, below).is_err()
    };
    assert!(is_there(&newer, b"six", b"seven"));
    assert_eq!(
        (bed.unread(), is_there(&bed.vault, b"seven", b"six")),
        ((1, 1), true)
    );
    assert_eq!(bed.vault.fold_names().unwrap(), 0);
    // The update.
    bed.vault.open_as(2);
    bed.vault.retry_once();
    assert_eq!(
        (bed.unread(), is_there(&bed.vault, b"six", b"seven")),
        ((0, 1), true)
    );
    assert!(bed.vault.fold_names().unwrap() > 0);
    assert!(is_there(&bed.vault, b"six", b"seven"));
    let again = reopened(&bed);
    assert!(is_there(&again, b"six", b"seven"));
}

/// What one program refuses of names and chains each later one is to refuse, whether it hears it first or not: a level of
/// which that is not so here has two trees.
#[test]
fn every_later_program_refuses_the_same_names() {
    let whole = folder("folder");
    let cut = &whole[..whole.len() - 7];
    let slash = state("a/b", 0o755).encode();
    let bits = state("bits", 0o10755).encode();
    let own = [0xee; 16];
    type Case<'a> = (&'a str, EventKind, [u8; 16], bool, &'a [u8]);
    let cases: [Case<'_>; 11] = [
        ("the root", EventKind::Node, ROOT_NODE.0, false, &whole),
        ("cut", EventKind::Node, [5; 16], false, cut),
        ("nothing", EventKind::Node, [5; 16], false, &[]),
        ("no name", EventKind::Node, [5; 16], false, &slash),
        ("permissions", EventKind::Node, [5; 16], false, &bits),
        ("replaces", EventKind::Node, [5; 16], true, &whole),
        ("no time", EventKind::NodeGone, [5; 16], false, &[0, 1]),
        ("no number", EventKind::Lapse, [5; 16], false, &[0]),
        ("its own chain", EventKind::Lapse, own, false, &[0; 9]),
        ("no number either", EventKind::Admit, [5; 16], false, &[0]),
        ("a subject", EventKind::Acknowledge, [5; 16], false, &[0]),
    ];
    for level in [PROGRAM_LEVEL, PROGRAM_LEVEL + 1, u8::MAX] {
        for (what, kind, subject, replaces, plain) in cases {
            let mut bed = Bed::new();
            bed.chain = ChainId(own);
            bed.vault.open_as(level);
            let replaces = if replaces { vec![bed.at()] } else { vec![] };
            let event = bed.of_names(kind, subject, replaces, plain);
            let at = bed.next(1);
            let taken = bed.take_raw(&[event]).unwrap();
            assert_eq!(
                (taken.set_aside, taken.newer, taken.waiting),
                (vec![at], vec![], vec![]),
                "{what}, level {level}"
            );
        }
    }
}
