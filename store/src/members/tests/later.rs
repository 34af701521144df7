//! Statements of programs that come after this one: made by hand, as a device that was updated first would say them.

use super::*;
use crate::keys::labels;

/// Guards that an old device is not cut off: what a later program says is kept and stood upon, and the removal and the epoch that stand on
/// it come into force as if it were not there.
#[test]
fn what_stands_on_a_later_kind_is_heard() {
    let (desk, laptop, phone) = (Dev::new(1, "desk"), Dev::new(2, "laptop"), Dev::new(3, "phone"));
    let mut updated = founded(&desk);
    add(&mut updated, &desk, &laptop);
    add(&mut updated, &desk, &phone);
    let mut old = copy(&updated);
    let before = digest(old.state());
    let mut newest = updated.iter().last().unwrap().clone();
    for kind in [12, 13, 0x7f] {
        newest = forge(&laptop, &[&newest], updated.space(), later(kind, &[kind; 90]));
        hear(&mut updated, vec![newest.clone()]);
    }
    assert_eq!(digest(updated.state()), before, "it counts for nothing");
    remove(&mut updated, &desk, &phone);
    assert!(updated.is_before(&newest.id(), &updated.heads().next().unwrap()));

    // By way of bytes, as they travel and are stored.
    for said in updated.iter() {
        let again = Verified::decode(&said.statement().encode()).unwrap();
        assert_eq!(again.id(), said.id());
        old.insert(again).unwrap();
    }
    assert_eq!(members_of(&old), ["desk", "laptop"]);
    assert_eq!(old.state().epoch().unwrap().number, 1);
    assert!(old.heads().eq(updated.heads()), "and it can be passed on");
    assert_eq!(digest(old.state()), digest(updated.state()));
    // What this device says next stands on it.
    tell(&mut old, &laptop, chain(1));
}

/// Guards what is believed of a later kind: its author's signature, over each byte; a place in the graph like any other's.
#[test]
fn a_later_kind_is_signed_and_has_its_place() {
    let (desk, laptop, stranger) = (
        Dev::new(1, "desk"),
        Dev::new(2, "laptop"),
        Dev::new(3, "stranger"),
    );
    let mut all = founded(&desk);
    add(&mut all, &desk, &laptop);
    let head = all.iter().last().unwrap().clone();
    let said = forge(&laptop, &[&head], all.space(), later(200, b"anything"));
    let bytes = said.statement().encode();
    for at in 0..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        assert!(Verified::decode(&bytes).is_err(), "byte {at}");
    }
    let strange = forge(&stranger, &[&head], all.space(), later(200, b"anything"));
    assert_eq!(all.insert(strange), Err(Refused::Stranger));
    let elsewhere = forge(&laptop, &[&head], SpaceId([9; 16]), later(200, b"anything"));
    assert_eq!(all.insert(elsewhere), Err(Refused::OtherSpace));
    let mut early = said.statement().clone();
    early.lamport -= 1;
    assert_eq!(all.insert(early.signed(&laptop.key)), Err(Refused::Time));
    // It founds nothing.
    let mut alone = said.statement().clone();
    (alone.parents, alone.lamport) = (Vec::new(), 1);
    let alone = alone.signed(&laptop.key).statement().encode();
    assert!(matches!(Verified::decode(&alone), Err(NotVerified::Malformed(_))));
    // It counts against what there may be.
    let before = all.bytes();
    hear(&mut all, vec![said]);
    assert_eq!(all.bytes(), before + bytes.len());
    let long = forge(
        &laptop,
        &[&head],
        all.space(),
        later(200, &vec![0; STATEMENT_MAX]),
    );
    assert!(Verified::decode(&long.statement().encode()).is_err());
}

/// Guards the call for an update: it is told of a member that says what must not be missed, and ends with its removal.
#[test]
fn an_update_is_asked_for_by_members_alone() {
    let (desk, laptop) = (Dev::new(1, "desk"), Dev::new(2, "laptop"));
    let mut all = founded(&desk);
    add(&mut all, &desk, &laptop);
    let newer = |all: &Members| -> Vec<DeviceId> {
        let newer = all.state().devices().iter().filter(|device| device.is_newer);
        newer.map(|device| device.id).collect()
    };
    for (kind, asks) in [(12, false), (0x7f, false), (0x80, true), (0xff, true)] {
        let mut all = copy(&all);
        let head = all.iter().last().unwrap().clone();
        let said = forge(&laptop, &[&head], all.space(), later(kind, &[]));
        hear(&mut all, vec![said]);
        assert_eq!(
            newer(&all),
            if asks { vec![laptop.id()] } else { vec![] },
            "{kind}"
        );
    }
    let head = all.iter().last().unwrap().clone();
    remove(&mut all, &desk, &laptop);
    let behind = forge(&laptop, &[&head], all.space(), later(0x80, &[]));
    hear(&mut all, vec![behind]);
    assert!(newer(&all).is_empty(), "who is removed asks for nothing");
}

/// Guards what cannot be read at all: another version of statements is said to be one, whatever follows, and never to be forged.
#[test]
fn another_version_is_no_forgery() {
    let desk = Dev::new(1, "desk");
    let all = founded(&desk);
    let mut bytes = all.iter().next().unwrap().statement().encode();
    for version in 1..=255 {
        bytes[0] = version;
        assert_eq!(Verified::decode(&bytes), Err(NotVerified::Newer(version)));
        assert_eq!(Verified::decode(&[version]), Err(NotVerified::Newer(version)));
    }
    assert!(matches!(Verified::decode(&[]), Err(NotVerified::Malformed(_))));
}

/// Guards numbers that are taken: kinds that earlier programs said are refused, well signed or not, and mean nothing new.
#[test]
fn superseded_kinds_are_refused() {
    let desk = Dev::new(1, "desk");
    let all = founded(&desk);
    let head = all.iter().next().unwrap().clone();
    for kind in [0, 7, 8] {
        let said = forge(&desk, &[&head], all.space(), later(kind, &desk.id().0));
        let mut bytes = said.statement().encode();
        assert!(matches!(Verified::decode(&bytes), Err(NotVerified::Malformed(_))));
        // It is the kind that is refused, not how it is signed.
        bytes[1] = 12;
        let signed = bytes.len() - 64;
        let signature = desk.key.sign(labels::SIGN_MEMBER, &bytes[..signed]);
        bytes[signed..].copy_from_slice(&signature);
        assert!(Verified::decode(&bytes).is_ok());
    }
}
