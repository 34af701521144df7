//! Services on loopback, with addresses by hand: they converge, keep one connection, let go of who was removed, and end in time.

mod net_bed;

use std::sync::Arc;
use std::time::{Duration, Instant};

use coffer_sync::core::Report;
use coffer_sync::net::{Service, Settings, StartError};
use net_bed::{Bed, PATIENCE, QUIC, TCP, address, linked, quiet, until, wait};

fn pair(listen: &str) -> (Vec<Arc<Bed>>, Vec<Service>) {
    let beds = Bed::several(&["desk", "laptop"]);
    let desk = beds[0].start(&quiet(&[listen]));
    let mut settings = quiet(&[listen]);
    settings.peers.push(address(&desk));
    let laptop = beds[1].start(&settings);
    wait(&desk, "the laptop", |status| linked(status, &beds[1]));
    wait(&laptop, "the desk", |status| linked(status, &beds[0]));
    (beds, vec![desk, laptop])
}

fn are_one(beds: &[Arc<Bed>]) -> bool {
    beds.iter()
        .all(|bed| bed.clock() == beds[0].clock() && bed.missing() == 0)
}

fn converge(listen: &str) {
    let beds = Bed::several(&["desk", "laptop"]);
    // Before they meet, and after.
    beds[0].tell_with(2_000, &[1_000, 300_000]);
    let desk = beds[0].start(&quiet(&[listen]));
    let mut settings = quiet(&[listen]);
    settings.peers.push(address(&desk));
    beds[1].tell(100_000);
    let laptop = beds[1].start(&settings);
    until("one history", || are_one(&beds));
    for n in 0..20 {
        beds[n % 2].tell_with(100, &[50, 5_000]);
    }
    until("one history again", || are_one(&beds));
    assert_eq!(beds[0].clock().len(), 2);
    wait(&desk, "nothing to come", |status| {
        status.peers[0].ahead == 0 && status.peers[0].behind == 0
    });
    let status = wait(&laptop, "all bytes", |status| {
        let link = status.peers[0].link.as_ref();
        link.is_some_and(|link| !link.relayed && link.came > 300_000 && link.went > 100_000)
    });
    assert_eq!(status.peers[0].name, "desk");
    assert!(status.last_error.is_none(), "{status:?}");
    assert!(!status.peers[0].addresses.is_empty());
    // An end says goodbye, in time.
    let begun = Instant::now();
    laptop.stop();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    wait(&desk, "the laptop's end", |status| status.peers[0].link.is_none());
}

#[test]
fn two_devices_converge_by_tcp() {
    converge(TCP);
}

#[test]
fn two_devices_converge_by_quic() {
    converge(QUIC);
}

/// Three in a line: what one tells reaches the last through the middle one.
#[test]
fn news_go_on_through_others() {
    let beds = Bed::several(&["desk", "laptop", "phone"]);
    let middle = beds[1].start(&quiet(&[TCP]));
    let mut settings = quiet(&[]);
    settings.peers.push(address(&middle));
    let _ends = [beds[0].start(&settings), beds[2].start(&settings)];
    beds[0].tell_with(10, &[70_000]);
    beds[2].tell_with(10, &[70_000]);
    until("one history", || are_one(&beds));
}

/// Who is new by a statement that came from another device is let in, and converges.
#[test]
fn a_device_that_others_learn_of_is_let_in() {
    let (beds, services) = pair(TCP);
    // The desk adds one; the laptop hears of it by sync.
    let phone = beds[0].with("phone");
    beds[0].learn(&phone);
    until("the laptop knows the phone", || beds[1].is_member(&phone));
    let mut settings = quiet(&[]);
    settings.peers.push(address(&services[1]));
    let service = phone.start(&settings);
    wait(&service, "the laptop", |status| linked(status, &beds[1]));
    phone.tell(500);
    until("one history", || {
        phone.clock() == beds[1].clock() && !phone.clock().is_empty()
    });
}

/// Both call at once, again and again: one connection stays, on both sides the same.
#[test]
fn both_call_at_once_and_one_connection_stays() {
    for listen in [TCP, QUIC] {
        let beds = Bed::several(&["desk", "laptop"]);
        let services: Vec<Service> = beds.iter().map(|bed| bed.start(&quiet(&[listen]))).collect();
        let (desk, laptop) = (address(&services[0]), address(&services[1]));
        services[0].add_peer(&laptop).unwrap();
        services[1].add_peer(&desk).unwrap();
        let one = |status: &coffer_sync::net::Status| {
            linked(
                status,
                if status.peers[0].name == "desk" {
                    &beds[0]
                } else {
                    &beds[1]
                },
            )
        };
        let first = wait(&services[0], "one connection", one);
        wait(&services[1], "one connection", one);
        // It stays the one that it is while things are told.
        for n in 0..50 {
            beds[n % 2].tell(1_000);
            until("one history", || are_one(&beds));
        }
        let then = wait(&services[0], "one connection", one);
        wait(&services[1], "one connection", one);
        let (first, then) = (&first.peers[0].link, &then.peers[0].link);
        let since = |link: &Option<coffer_sync::net::Link>| link.as_ref().unwrap().since;
        assert!(since(then).duration_since(since(first)).unwrap_or_default() < Duration::from_secs(9));
    }
}

/// A removed device's connection ends, it is told so, and it is not let in again.
#[test]
fn a_removed_device_is_sent_away() {
    for listen in [TCP, QUIC] {
        removed(listen);
    }
}

fn removed(listen: &str) {
    let (beds, services) = pair(listen);
    beds[0].tell(10);
    until("one history", || are_one(&beds));
    beds[0].remove(&beds[1]);
    wait(&services[0], "nobody", |status| status.peers.is_empty());
    let status = wait(&services[1], "to be sent away", |status| {
        status.peers[0].link.is_none() && status.peers[0].last_error.is_some()
    });
    let why = status.peers[0].last_error.clone().unwrap_or_default();
    assert!(why.contains("removed"), "{why}");
    // It calls again, and is let in to hear it; then there is nothing more for it.
    until("it to hear of it", || !beds[1].is_member(&beds[1]));
    drop(services[1].reports());
    beds[0].tell(10);
    let clock = beds[1].clock();
    let mut calls = 0;
    until("it to call twice more", || {
        let reports = services[1].reports().into_iter();
        calls += reports
            .filter(|report| matches!(report, Report::Open { .. }))
            .count();
        calls >= 2
    });
    wait(&services[1], "it to be sent away again", |status| {
        status.peers[0].link.is_none()
    });
    assert_eq!(beds[1].clock(), clock, "nothing more is told to it");
    assert!(services[0].status().peers.is_empty());
}

/// A device that was away while it was removed hears of that when it comes, and of nothing that was said or told since.
#[test]
fn who_was_away_hears_that_it_was_removed() {
    for listen in [TCP, QUIC] {
        let beds = Bed::several(&["desk", "laptop"]);
        beds[0].tell(10);
        beds[0].remove(&beds[1]);
        let tablet = beds[0].with("tablet");
        let desk = beds[0].start(&quiet(&[listen]));
        let mut settings = quiet(&[]);
        settings.peers.push(address(&desk));
        let laptop = beds[1].start(&settings);
        let status = wait(&laptop, "to be sent away", |status| {
            let desk = status.peers.first();
            desk.is_some_and(|desk| desk.link.is_none() && desk.last_error.is_some())
        });
        let why = status.peers[0].last_error.clone().unwrap_or_default();
        assert!(why.contains("removed from the vault"), "{why}");
        let state = beds[1].state.lock().unwrap();
        let (state, clock) = (state.members.state(), state.store.clock());
        let removal = state.removals(&beds[1].id())[0];
        assert_eq!(removal.by, beds[0].id());
        assert!(state.device(&tablet.id()).is_none(), "that came later");
        assert!(clock.is_empty());
        assert_eq!(state.epochs().len(), 1, "nor the epoch after it");
        let names: Vec<String> = desk.status().peers.into_iter().map(|peer| peer.name).collect();
        assert_eq!(names, ["tablet"]);
    }
}

/// A device that was away is called again, without anybody's doing.
#[test]
fn whoever_was_away_is_called_again() {
    let beds = Bed::several(&["desk", "laptop"]);
    let desk = beds[0].start(&quiet(&[TCP]));
    let at = address(&desk);
    let port = at.split('/').nth(4).unwrap().to_owned();
    let mut settings = quiet(&[]);
    settings.peers.push(at);
    let laptop = beds[1].start(&settings);
    wait(&laptop, "the desk", |status| linked(status, &beds[0]));
    desk.stop();
    wait(&laptop, "the desk's end", |status| !linked(status, &beds[0]));
    beds[1].tell(10);
    let again = beds[0].start(&quiet(&[&format!("/ip4/127.0.0.1/tcp/{port}")]));
    wait(&laptop, "the desk again", |status| linked(status, &beds[0]));
    until("one history", || are_one(&beds));
    again.stop();
}

/// An address by hand that does not say whose it is works, too, also after a while away.
#[test]
fn an_address_need_not_say_whose_it_is() {
    let beds = Bed::several(&["desk", "laptop"]);
    let desk = beds[0].start(&quiet(&[TCP]));
    let at = address(&desk);
    let mut settings = quiet(&[]);
    settings.peers.push(at.split("/p2p/").next().unwrap().to_owned());
    let laptop = beds[1].start(&settings);
    wait(&laptop, "the desk", |status| linked(status, &beds[0]));
}

/// A vault that is busy with something slow holds up neither the network nor its end.
#[test]
fn a_slow_vault_holds_nothing_up() {
    let (beds, mut services) = pair(TCP);
    let laptop = services.pop().unwrap();
    let busy = beds[1].state.lock().unwrap();
    for _ in 0..20 {
        beds[0].tell_with(1_000, &[10_000]);
    }
    wait(
        &laptop,
        "word of it, and a batch that waits for the disk",
        |status| {
            status.peers[0].ahead > 0
                && status.peers[0]
                    .link
                    .as_ref()
                    .is_some_and(|link| link.came > 1_000)
        },
    );
    // Asked and answered by the task that must not wait.
    assert!(laptop.confirm(&[[7; 32]]));
    let begun = Instant::now();
    laptop.stop();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    drop(busy);
    wait(&services[0], "the laptop's end", |status| {
        status.peers[0].link.is_none()
    });
}

#[test]
fn a_pause_holds_everything_back() {
    let (beds, services) = pair(TCP);
    services[1].pause(true);
    wait(&services[1], "the pause", |status| status.paused);
    beds[1].tell(10);
    beds[1].tell(10);
    // The desk hears that there is something, and gets nothing of it.
    wait(&services[0], "word of it", |status| status.peers[0].ahead > 0);
    assert!(beds[0].clock().is_empty());
    services[1].pause(false);
    until("one history", || are_one(&beds));
}

/// What cannot be is said in a sentence, and leaves nothing behind.
#[test]
fn bad_settings_are_sentences() {
    let bed = Bed::founded("desk");
    let mut settings = quiet(&["here"]);
    assert!(matches!(
        Service::start(bed.clone(), &settings),
        Err(StartError::Address(_))
    ));
    settings.listen.clear();
    settings.relays = vec!["/ip4/127.0.0.1/tcp/1".into()];
    assert!(matches!(
        Service::start(bed.clone(), &settings),
        Err(StartError::Relay(_))
    ));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let why = Service::start(bed.clone(), &quiet(&[&format!("/ip4/127.0.0.1/tcp/{port}")]))
        .err()
        .unwrap();
    assert!(matches!(why, StartError::Listen(..)), "{why}");
    assert!(why.to_string().contains("cannot listen"), "{why}");
    assert!(matches!(
        bed.start(&Settings {
            mdns: false,
            ..quiet(&[])
        })
        .add_peer("x"),
        Err(StartError::Address(_))
    ));
}

/// Figures; they depend on the machine, so nothing is asserted.
#[test]
#[ignore = "a measurement"]
fn figures() {
    for listen in [TCP, QUIC] {
        let (beds, services) = pair(listen);
        let mut all = Vec::new();
        for _ in 0..200 {
            let before = beds[1].clock();
            let begun = Instant::now();
            beds[0].tell(300);
            while beds[1].clock() == before {
                assert!(begun.elapsed() < PATIENCE);
                std::thread::yield_now();
            }
            all.push(begun.elapsed());
        }
        all.sort();
        println!(
            "{listen}: told and taken: median {:?}, 99th {:?}",
            all[100], all[198]
        );
        beds[0].tell_with(10, &vec![1_000_000; 600]);
        let begun = Instant::now();
        until("the chunks", || {
            beds[1].missing() == 0 && beds[1].clock() == beds[0].clock()
        });
        let took = begun.elapsed();
        println!(
            "{listen}: 600 MB of chunks in {took:?}: {:.0} MB/s",
            600.0 / took.as_secs_f64()
        );
        let used = || {
            std::fs::read_to_string("/proc/self/schedstat")
                .map(|_| cpu())
                .unwrap_or(0.0)
        };
        let before = used();
        std::thread::sleep(Duration::from_secs(5));
        println!(
            "{listen}: two idle devices: {:.2} % of a core",
            (used() - before) / 5.0 * 100.0
        );
        drop(services);
    }
}

/// Seconds of processor time of this process.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}
