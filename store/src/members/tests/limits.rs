//! Bounds: what a member who means harm can make others keep and compute.

use super::*;

fn crowd(n: usize) -> Vec<Dev> {
    let key = |n: usize, salt: u8| {
        let mut seed = [salt; 32];
        seed[..8].copy_from_slice(&(n as u64).to_le_bytes());
        SigningKey::from_seed(Key::take(&mut seed))
    };
    let dev = |n| Dev {
        key: key(n, 1),
        transport: key(n, 2),
        name: "one of many",
    };
    (0..n).map(dev).collect()
}

/// Guards the number of devices, and what a crowd of hostile ones costs: each removes fifteen others, on whatever ground; the state comes all the
/// same, the 1,025th device counts for nothing, and the founder sees all of them off with one removal.
#[test]
fn a_crowd_is_bounded() {
    let devs = crowd(DEVICES_MAX + 6);
    let mut all = founded(&devs[0]);
    let space = all.space();
    for who in &devs[1..] {
        let head = all.iter().last().unwrap().clone();
        let by = &devs[usize::from(all.len() > 1)];
        let joining = Body::Added(Box::new(who.joining(space, by)));
        all.insert(forge(by, &[&head], space, joining)).unwrap();
    }
    assert_eq!(all.state().devices().len(), DEVICES_MAX);
    assert_eq!(all.state().members().count(), DEVICES_MAX);
    assert!(all.state().device(&devs[DEVICES_MAX].id()).is_none());
    let another = crowd(DEVICES_MAX + 7).pop().unwrap();
    assert_eq!(
        all.add(&devs[0].key, another.joining(space, &devs[0])),
        Err(CannotSay::TooMany)
    );

    let last = all.iter().last().unwrap().clone();
    for (n, by) in devs[1..DEVICES_MAX].iter().enumerate() {
        for k in 1..=15 {
            let device = devs[1 + (n * 7 + k * 61) % (DEVICES_MAX - 1)].id();
            let limits = Vec::new();
            all.insert(forge(by, &[&last], space, Body::Removed { device, limits }))
                .unwrap();
        }
    }
    assert!(all.state().is_member(&devs[0].id()));
    // The second added all the others: as its remover did not know of them, none counts.
    let root = all.iter().next().unwrap().clone();
    let added = all.iter().nth(1).unwrap().clone();
    let removed = Body::Removed {
        device: devs[1].id(),
        limits: Vec::new(),
    };
    all.insert(forge(&devs[0], &[&root, &added], space, removed))
        .unwrap();
    assert_eq!(
        all.state().members().map(|device| device.id).collect::<Vec<_>>(),
        [devs[0].id()]
    );
}

/// Guards memory: all statements together are bounded in bytes, and those that wait, too.
#[test]
fn bytes_are_bounded() {
    let desk = Dev::new(1, "desk");
    let mut all = founded(&desk);
    let root = all.iter().next().unwrap().clone();
    let limits: Vec<Limit> = (0..1000u16)
        .map(|n| Limit {
            chain: crate::ids::ChainId(std::array::from_fn(|i| n.to_be_bytes()[i % 2])),
            last: 1,
            head: [0; 32],
        })
        .collect();
    let long = |n: u16| {
        let mut device = [7; 32];
        device[..2].copy_from_slice(&n.to_le_bytes());
        let body = Body::Removed {
            device: DeviceId(device),
            limits: limits.clone(),
        };
        forge(&desk, &[&root], root.space(), body)
    };
    let mut waiting = Members::of(all.space());
    let (mut refused, mut kept) = (0, 0);
    for n in 0..1500 {
        let said = long(n);
        kept += usize::from(waiting.insert(said.clone()).is_ok());
        match all.insert(said) {
            Ok(_) => assert!(refused == 0 && all.bytes() <= BYTES_MAX),
            Err(why) => {
                assert_eq!(why, Refused::Full);
                refused += 1;
            }
        }
    }
    assert!(refused > 0 && kept * 50_000 < BYTES_MAX / 8);
    assert!(all.state().is_member(&desk.id()));
}
