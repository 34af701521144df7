//! Joins that break off half way: wherever the link is cut, in the end there is a device, or none; nobody stays listed who has nothing, and nobody
//! is taken back who has a vault.

mod net_bed;

use std::sync::Arc;

use coffer_store::members::DeviceName;
use coffer_sync::net::{JoinError, join};
use coffer_sync::pairing::Ticket;
use net_bed::cut::{Link, Then};
use net_bed::{Bed, TCP, address, quiet, until};

/// Bytes between two cuts: less than any frame of a pairing takes on its way.
const STEP: usize = 24;

fn port(address: &str) -> u16 {
    let mut parts = address.split('/');
    parts.by_ref().find(|part| *part == "tcp");
    parts.next().unwrap().parse().unwrap()
}

fn members(bed: &Bed) -> usize {
    bed.state.lock().unwrap().members.state().members().count()
}

/// How many are noted.
fn noted(bed: &Bed) -> usize {
    let note = bed.state.lock().unwrap().unfinished.len();
    note.saturating_sub(1) / 44
}

/// As if the devices that are noted had been added days ago, and this one had been there all the time.
fn age(bed: &Bed) {
    let mut state = bed.state.lock().unwrap();
    for one in state
        .unfinished
        .get_mut(1..)
        .unwrap_or_default()
        .chunks_exact_mut(44)
    {
        one[32..40].fill(0);
        one[40..].copy_from_slice(&60u32.to_le_bytes());
    }
}

/// What came of a joining over a link.
struct Came {
    bed: Arc<Bed>,
    laptop: Option<Arc<Bed>>,
    went: [usize; 2],
}

fn joining(most: [usize; 2]) -> Came {
    let bed = Bed::founded("desk");
    let service = bed.start(&quiet(&[TCP]));
    let link = Link::to(port(&address(&service)), most, Then::Cut);
    let ticket = service.invite().unwrap();
    let peer = ticket.peer().to_vec();
    let ticket = Ticket::parse(&ticket.line()).unwrap();
    let ticket = ticket
        .hinting(peer, vec![format!("/ip4/127.0.0.1/tcp/{}", link.port)])
        .unwrap();
    let (mut asked, mut stored) = (false, false);
    let came = join(
        &ticket,
        DeviceName::new("laptop").unwrap(),
        &quiet(&[]),
        |_| {
            asked = true;
            Ok(())
        },
        |_| {
            stored = true;
            Ok(())
        },
    );
    assert_eq!(
        came.is_ok(),
        stored,
        "what is stored is a device: {:?}",
        came.err()
    );
    if let Err(why) = &came {
        assert_eq!(matches!(why, JoinError::Half(_)), asked, "{why}");
    }
    let laptop = came.ok();
    let laptop = laptop.map(|came| Bed::joined(came.device, came.transport, *came.joined));
    if laptop.is_some() && !link.has_stopped() {
        until("the last word is heard", || noted(&bed) == 0);
    }
    service.stop();
    // What it was about to do with the vault is done then.
    until("the service has ended", || Arc::strong_count(&bed) == 1);
    Came {
        bed,
        laptop,
        went: link.went(),
    }
}

/// Guards each moment of a joining against a link that breaks then. A device that has stored what it was given is one, also if nobody heard that it has,
/// and nobody takes it back once anything was heard of it. One that has not is none: it is listed for a while at most, and taken back.
#[test]
fn wherever_a_joining_is_cut_there_is_a_device_or_none() {
    let whole = joining([usize::MAX; 2]);
    assert!(whole.laptop.is_some());
    assert_eq!((members(&whole.bed), noted(&whole.bed)), (2, 0));
    let (mut none, mut halves, mut unheard) = (0, 0, 0);
    for way in [0, 1] {
        for at in (0..whole.went[way]).step_by(STEP) {
            let mut most = [usize::MAX; 2];
            most[way] = at;
            let came = joining(most);
            let (bed, what) = (&came.bed, format!("cut after {at} bytes, way {way}"));
            assert!(members(bed) == 2 || came.laptop.is_none(), "{what}");
            if members(bed) == 1 {
                none += 1;
                // It may be that this device ended before it was added: then the note says nothing.
                assert!(noted(bed) <= 1, "{what}");
            } else if noted(bed) == 1 {
                match &came.laptop {
                    Some(_) => unheard += 1,
                    None => halves += 1,
                }
            } else {
                assert!(came.laptop.is_some(), "{what}: listed, without a note");
            }
            // Not at once: what tends to it has been there when an invitation was made.
            let before = members(bed);
            let service = bed.start(&quiet(&[]));
            service.invite().unwrap();
            assert_eq!(members(bed), before, "{what}: taken back too early");
            service.stop();
            until("it has ended", || Arc::strong_count(bed) == 1);
            if let Some(laptop) = &came.laptop {
                // What it has said of itself comes by whatever way.
                bed.learn(laptop);
            }
            age(bed);
            let service = bed.start(&quiet(&[]));
            service.invite().unwrap();
            assert_eq!(noted(bed), 0, "{what}");
            let left = 1 + usize::from(came.laptop.is_some());
            assert_eq!(members(bed), left, "{what}");
            service.stop();
        }
    }
    println!("{none} not added, {halves} taken back, {unheard} whose last word was not heard");
    assert!(
        none > 5 && halves > 5 && unheard > 0,
        "{none}, {halves}, {unheard}"
    );
}
