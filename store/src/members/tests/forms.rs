//! Statements as bytes: what is refused, and what is believed.

use super::*;

fn every_kind() -> Vec<Verified> {
    let (desk, laptop) = (Dev::new(1, "desk"), Dev::new(2, "laptop"));
    let mut all = founded(&desk);
    add(&mut all, &desk, &laptop);
    let device = laptop.id();
    for body in [
        Body::Renamed {
            device,
            name: DeviceName::new("Ünïcode 名前").unwrap(),
        },
        Body::Chain { random: [5; 16] },
        Body::Transport(TransportProof::make(&laptop.transport, desk.id())),
        later(12, &[]),
        later(0x81, &[3; 70]),
    ] {
        tell(&mut all, &desk, body);
    }
    let epoch = all.renew(&desk.key, &secrets(1)).unwrap();
    all.insert(epoch.clone()).unwrap();
    let shared = all.share(&desk.key, epoch.id(), &[device], &secrets(1)).unwrap();
    all.insert(shared).unwrap();
    let limit = |n| Limit {
        chain: crate::ids::ChainId([n; 16]),
        last: 3,
        head: [n; 32],
    };
    for said in all
        .remove(&desk.key, device, vec![limit(2), limit(1)], &secrets(2))
        .unwrap()
    {
        all.insert(said).unwrap();
    }
    all.iter().cloned().collect()
}

/// Guards the encoding: every kind comes back as it was, under the same id; cut or lengthened, it is refused.
#[test]
fn what_is_said_is_read() {
    let kinds = every_kind();
    let mut seen: Vec<u8> = kinds.iter().map(|said| said.statement().body.kind()).collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, [1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 0x81]);
    for said in kinds {
        let bytes = said.statement().encode();
        assert_eq!(Verified::decode(&bytes), Ok(said.clone()));
        // What a later program says has any length: there the signature alone says where it ends.
        let is_read = |bytes: &[u8]| match said.statement().body {
            Body::Other { .. } => Verified::decode(bytes).is_ok(),
            _ => Statement::decode(bytes).is_ok(),
        };
        for len in 0..bytes.len() {
            assert!(!is_read(&bytes[..len]), "{len} bytes of {said:?}");
        }
        assert!(!is_read(&[&bytes[..], &[0]].concat()), "{said:?}");
    }
}

/// Guards against altered statements: a flipped bit anywhere is never believed.
#[test]
fn what_was_altered_is_not_believed() {
    for said in every_kind() {
        let bytes = said.statement().encode();
        // Long ones are mostly shares: each part of them is tried.
        let step = if bytes.len() > 500 { 7 } else { 1 };
        for at in (0..bytes.len()).step_by(step) {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << (at % 8);
            assert!(Verified::decode(&bytes).is_err(), "byte {at} of {said:?}");
        }
    }
}

/// Guards the proofs: a member adds nobody who did not ask it, in this space, with this card; and claims no other's transport key.
#[test]
fn nobody_is_added_unasked() {
    let (desk, laptop, phone) = (Dev::new(1, "desk"), Dev::new(2, "laptop"), Dev::new(3, "phone"));
    let mut all = founded(&desk);
    add(&mut all, &desk, &laptop);
    let space = all.space();
    let head = all.iter().last().unwrap().clone();
    let says =
        |by: &Dev, body| Verified::decode(&forge(by, &[&head], space, body).statement().encode()).map(|_| ());
    let asked = phone.joining(space, &desk);
    assert_eq!(says(&desk, Body::Added(Box::new(asked.clone()))), Ok(()));
    assert_eq!(
        says(&laptop, Body::Added(Box::new(asked.clone()))),
        Err(NotVerified::Possession)
    );
    let elsewhere = phone.joining(SpaceId([7; 16]), &desk);
    assert_eq!(
        says(&desk, Body::Added(Box::new(elsewhere))),
        Err(NotVerified::Possession)
    );
    let mut other = asked.clone();
    other.card.name = DeviceName::new("desk").unwrap();
    assert_eq!(
        says(&desk, Body::Added(Box::new(other))),
        Err(NotVerified::Possession)
    );

    let stolen = TransportProof::make(&phone.transport, phone.id());
    assert_eq!(
        says(&laptop, Body::Transport(stolen)),
        Err(NotVerified::Transport)
    );
    assert_eq!(
        all.tell(&laptop.key, Body::Transport(stolen)),
        Err(CannotSay::NotVerified(NotVerified::Transport))
    );
    // A point of small order as an X25519 key: anybody could open what is sealed to it.
    for weak in [[0; 32], {
        let mut one = [0; 32];
        one[0] = 1;
        one
    }] {
        let mut card = phone.card();
        card.sealing = SealingKey(weak);
        let joining = JoinRequest::make(&phone.key, card, space, desk.id());
        assert_eq!(says(&desk, Body::Added(Box::new(joining))), Err(NotVerified::Key));
    }
}

/// Guards names: text of 1 to 64 characters that shows as what it is.
#[test]
fn names_show_as_what_they_are() {
    let long = "ä".repeat(64);
    for good in [
        "a",
        "Ada's laptop",
        "名前",
        "🦊 box",
        "👩\u{200d}💻",
        "می\u{200c}خواهم",
        &long,
    ] {
        assert!(DeviceName::new(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        " ",
        " a",
        "a ",
        "a\nb",
        "a\u{7f}",
        "a\u{202e}b",
        "\u{feff}a",
        &"a".repeat(65),
        &"a".repeat(1000),
    ] {
        assert_eq!(DeviceName::new(bad), Err(BadName), "{bad:?}");
    }
}

/// Guards sealed secrets: they open for whom they are sealed to, in their space and epoch, and only if they are those that all were told.
#[test]
fn secrets_open_in_their_place_only() {
    let (desk, laptop) = (Dev::new(1, "desk"), Dev::new(2, "laptop"));
    let (ours, theirs) = (SealingSecret::of(&desk.key), SealingSecret::of(&laptop.key));
    let (space, told) = (SpaceId([1; 16]), secrets(1).commitment());
    let sealed = ours.public().seal(space, 4, &secrets(1)).unwrap();
    let opened = ours.open(space, 4, &sealed, &told).ok().unwrap();
    assert_eq!(opened.expose(), secrets(1).expose());
    assert!(theirs.open(space, 4, &sealed, &told).is_err());
    assert!(ours.open(space, 5, &sealed, &told).is_err());
    assert!(ours.open(SpaceId([2; 16]), 4, &sealed, &told).is_err());
    assert!(ours.open(space, 4, &sealed, &secrets(2).commitment()).is_err());
    for at in 0..sealed.len() {
        let mut altered = sealed;
        altered[at] ^= 1;
        // X25519 ignores the ephemeral key's highest bit, but the derived key does not.
        assert!(ours.open(space, 4, &altered, &told).is_err(), "byte {at}");
    }
}
