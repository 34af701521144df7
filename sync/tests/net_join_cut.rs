//! Joins that break off half way: wherever the link is cut, in the end there is a device, or none, or one of which nothing was heard; and nobody
//! is taken back who may have a vault.

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

/// Of how many members nothing was heard.
fn unheard(bed: &Bed) -> usize {
    let state = bed.state.lock().unwrap();
    let spoke: Vec<_> = state.members.iter().map(|said| said.statement().author).collect();
    let members = state.members.state().members();
    members.filter(|member| !spoke.contains(&member.id)).count()
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
    service.stop();
    // What it was about to do with the vault is done then.
    until("the service has ended", || Arc::strong_count(&bed) == 1);
    Came {
        bed,
        laptop,
        went: link.went(),
    }
}

/// Guards each moment of a joining against a link that breaks then. A device that has stored what it was given is one, also if nobody heard that it has;
/// one that has not is none, or one of which nothing was heard, as the list says. The program takes nobody back of whom it does not know.
#[test]
fn wherever_a_joining_is_cut_there_is_a_device_or_none() {
    let whole = joining([usize::MAX; 2]);
    assert!(whole.laptop.is_some());
    assert_eq!(members(&whole.bed), 2);
    let (mut none, mut halves, mut kept) = (0, 0, 0);
    for way in [0, 1] {
        for at in (0..whole.went[way]).step_by(STEP) {
            let mut most = [usize::MAX; 2];
            most[way] = at;
            let came = joining(most);
            let (bed, what) = (&came.bed, format!("cut after {at} bytes, way {way}"));
            assert!(members(bed) == 2 || came.laptop.is_none(), "{what}");
            match (&came.laptop, members(bed)) {
                (Some(laptop), _) => {
                    // What it has said of itself comes by whatever way.
                    bed.learn(laptop);
                    assert_eq!(unheard(bed), 0, "{what}");
                    kept += 1;
                }
                (None, 2) => {
                    assert_eq!(unheard(bed), 1, "{what}");
                    halves += 1;
                }
                (None, _) => none += 1,
            }
            // Nor later.
            let before = members(bed);
            let service = bed.start(&quiet(&[]));
            service.invite().unwrap();
            assert_eq!(members(bed), before, "{what}");
            service.stop();
        }
    }
    println!("{none} not added, {halves} of which nothing was heard, {kept} are devices");
    assert!(none > 5 && halves > 5 && kept > 0, "{none}, {halves}, {kept}");
}
