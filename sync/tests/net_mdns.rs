//! Devices in one local network find each other by mDNS, without any address; and who is none of them is not called.
//!
//! Needs an interface that carries multicast, which not every machine that builds has:
//!
//!     cargo test -p coffer-sync --test net_mdns -- --ignored

mod net_bed;

use std::time::Duration;

use coffer_store::members::DeviceName;
use coffer_sync::net::{Settings, join};
use coffer_sync::pairing::Ticket;
use net_bed::{Bed, linked, quiet, until, wait};

/// All of them see each other: one test at a time.
static NETWORK: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn alone() -> std::sync::MutexGuard<'static, ()> {
    NETWORK.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn local() -> Settings {
    Settings {
        mdns: true,
        lan_only: true,
        ..quiet(&["/ip4/0.0.0.0/tcp/0"])
    }
}

#[test]
#[ignore = "needs an interface that carries multicast"]
fn devices_find_each_other() {
    let _alone = alone();
    let beds = Bed::several(&["desk", "laptop"]);
    let stranger = Bed::founded("stranger");
    let services: Vec<_> = beds.iter().map(|bed| bed.start(&local())).collect();
    let other = stranger.start(&local());
    wait(&services[0], "the laptop", |status| linked(status, &beds[1]));
    beds[0].tell(100);
    until("one history", || {
        beds[0].clock() == beds[1].clock() && !beds[0].clock().is_empty()
    });
    // Nobody has knocked at a door that is not his.
    assert!(
        other
            .wait_status_change(other.status().version, Duration::from_secs(1))
            .is_none_or(|status| status.refused == 0)
    );
    assert_eq!(
        (services[0].status().refused, services[1].status().refused),
        (0, 0)
    );
}

/// Words alone, where two vaults' devices are: the right one is found.
#[test]
#[ignore = "needs an interface that carries multicast"]
fn words_lead_to_the_inviter() {
    let _alone = alone();
    let (bed, stranger) = (Bed::founded("desk"), Bed::founded("stranger"));
    let service = bed.start(&local());
    let other = stranger.start(&local());
    let _others = other.invite().unwrap();
    wait(&service, "an address", |status| !status.listening.is_empty());
    let words = Ticket::parse(&service.invite().unwrap().words()).unwrap();
    let name = DeviceName::new("laptop").unwrap();
    let entered = join(&words, name, &local(), |_| Ok(()), |_| Ok(())).unwrap();
    assert_eq!(entered.inviter, bed.id());
}

/// Who was seen before it was a member is called when it is one.
#[test]
#[ignore = "needs an interface that carries multicast"]
fn who_was_seen_before_is_called_later() {
    let _alone = alone();
    let beds = Bed::several(&["desk", "laptop"]);
    let phone = beds[0].with("phone");
    let services: Vec<_> = [&beds[1], &phone].map(|bed| bed.start(&local())).into();
    // The laptop does not know the phone, and refuses it.
    wait(&services[0], "the phone at the door", |status| status.refused > 0);
    beds[1].learn(&phone);
    wait(&services[0], "the phone", |status| linked(status, &phone));
}
