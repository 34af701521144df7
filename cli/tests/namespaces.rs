//! Devices on hosts of their own: network namespaces, cables and routers with NAT, real mounts, and the built programs `coffer` and
//! `coffer-relay`. Guards what loopback cannot show: finding each other, holes and relays, cables that are pulled, months asleep.
//! Each suite waits for conditions, and fails if they do not come. Skipped, with a word, without root, /dev/fuse, `ip`, `nft`.

mod common;

#[path = "namespaces/bed.rs"]
mod bed;
#[path = "namespaces/device.rs"]
mod device;
#[path = "namespaces/relay.rs"]
mod relay;

use bed::{Bed, Host, Ports, until};
use common::PASSWORD;
use device::{Device, Settings, become_one, both_ways};
use relay::{Capture, Relay};
use std::fs;

/// The relay's address in the network between the households, which is for documentation and belongs to nobody.
const RELAY: &str = "198.51.100.1";

/// Found by nothing but mDNS.
const LOCAL: Settings<'_> = &[("sync-dht", "off")];

/// Two households and a relay between them.
struct Town {
    one: Host,
    two: Host,
    relay: Host,
}

impl Town {
    fn of(bed: &Bed, ports: Ports) -> Town {
        let net = bed.switch("net");
        let relay = bed.host("relay");
        bed.plug(&relay, "eth0", &format!("{RELAY}/24"), &net);
        Town {
            one: bed.household("one", "198.51.100.11/24", &net, ports).0,
            two: bed.household("two", "198.51.100.12/24", &net, ports).0,
            relay,
        }
    }

    /// A device in each household; the second one joined by the relay.
    fn devices(&self, relay: &Relay) -> (Device, Device) {
        let desk = Device::first(&self.one, &[("sync-relays", &relay.address)]);
        let line = desk.invite_by_relay();
        let laptop = Device::joined(&self.two, &line, "laptop", Some(&relay.address), &[]);
        (desk, laptop)
    }
}

/// Guards that two devices in one local network need nothing but twelve words: no address, no relay, no record.
#[test]
fn in_one_network_twelve_words_do() {
    let Some(bed) = Bed::new(&[]) else { return };
    let (net, one, two) = (bed.switch("net"), bed.host("one"), bed.host("two"));
    bed.plug(&one, "eth0", "10.7.0.1/24", &net);
    bed.plug(&two, "eth0", "10.7.0.2/24", &net);
    let desk = Device::first(&one, LOCAL);
    desk.write("Notes/Before.md", "before\n");
    let (words, _) = desk.invite();
    assert_eq!(words.split(' ').count(), 12);
    let laptop = Device::joined(&two, &words, "laptop", None, LOCAL);
    laptop.shows("Notes/Before.md", "before\n", 20);
    both_ways(&desk, &laptop, "both", 10);
    desk.is_reached(&laptop, "direct", 5);
    become_one(&[&desk, &laptop], 10);
}

/// Guards the way through two NATs that keep ports: by the relay at first, then through a hole. Linux' masquerade gives a packet
/// the port that it came from if that is free, wherever it goes: the mapping is endpoint-independent, and what the relay saw of
/// a device holds for the other one, too. It filters by address and port, so both must punch at once; DCUtR has them do so.
#[test]
fn two_households_meet_by_the_relay_then_directly() {
    let Some(bed) = Bed::new(&["nft"]) else { return };
    let town = Town::of(&bed, Ports::Kept);
    let relay = Relay::start(&town.relay, RELAY, None);
    let (desk, laptop) = town.devices(&relay);
    both_ways(&desk, &laptop, "both", 20);
    desk.is_reached(&laptop, "direct", 20);
    // Without the relay all the more.
    drop(relay);
    both_ways(&desk, &laptop, "without the relay", 10);
}

/// Guards the same where no hole can be punched: each destination gets another port (endpoint-dependent mapping), so what the
/// relay saw of a device is of no use to the other one. All goes by the relay, and stays there; which ends, comes back as the same
/// one, and is found again by both, by themselves.
#[test]
fn without_a_hole_the_relay_carries_all_and_may_come_back() {
    let Some(bed) = Bed::new(&["nft"]) else { return };
    let town = Town::of(&bed, Ports::ByChance);
    let dir = tempfile::tempdir().unwrap();
    let seed = dir.path().join("seed");
    fs::write(&seed, "5e".repeat(32)).unwrap();
    let relay = Relay::start(&town.relay, RELAY, Some(&seed));
    let (desk, laptop) = town.devices(&relay);
    both_ways(&desk, &laptop, "both", 20);
    desk.is_reached(&laptop, "relay", 5);
    let address = relay.address.clone();
    drop(relay);
    until(
        "both know that they are apart",
        20,
        || desk.shown() + &laptop.shown(),
        || desk.connected() + laptop.connected() == 0,
    );
    desk.write("Notes/Apart.md", "written apart\n");
    let relay = Relay::start(&town.relay, RELAY, Some(&seed));
    assert_eq!(relay.address, address, "the same seed is the same relay");
    laptop.shows("Notes/Apart.md", "written apart\n", 30);
    both_ways(&desk, &laptop, "again", 10);
    desk.is_reached(&laptop, "relay", 5);
}

/// Bytes that no program can make smaller.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..len / 8).flat_map(|_| next().to_le_bytes()).collect()
}

/// Two devices at one cable each, of which one slows the way down; a file of 100 MB begins to go from the first to the second one,
/// and when 40 MB have gone, `pull` pulls a cable and plugs it in again. All of it comes, and less than 1.3 times of it goes over
/// the wire.
fn cable_pulled(slow: [Settings<'_>; 2], pull: impl Fn(&Device, &Device)) {
    const SIZE: usize = 100 << 20;
    let Some(bed) = Bed::new(&[]) else { return };
    let (net, one, two) = (bed.switch("net"), bed.host("one"), bed.host("two"));
    bed.plug(&one, "eth0", "10.7.0.1/24", &net);
    bed.plug(&two, "eth0", "10.7.0.2/24", &net);
    let desk = Device::first(&one, slow[0]);
    let laptop = Device::joined(&two, &desk.invite().0, "laptop", None, slow[1]);
    both_ways(&desk, &laptop, "both", 20);
    let before = one.bytes("eth0").1;
    let film = noise(SIZE);
    desk.write("Files/film", &film);
    let shown = || desk.shown() + &laptop.shown();
    until("40 MB have gone", 20, shown, || {
        one.bytes("eth0").1 - before > 40 << 20
    });
    pull(&desk, &laptop);
    let halfway = one.bytes("eth0").1 - before;
    assert!(
        halfway < 80 << 20,
        "it was pulled too late to mean anything: {halfway}"
    );
    until("all has come", 40, shown, || {
        let sync = laptop.sync();
        sync["chunks"] == 0
            && fs::metadata(laptop.at("Files/film")).is_ok_and(|meta| meta.len() == SIZE as u64)
    });
    assert!(
        fs::read(laptop.at("Files/film")).unwrap() == film,
        "the bytes are others"
    );
    let gone = one.bytes("eth0").1 - before;
    assert!(
        gone >= SIZE as u64,
        "only {gone} bytes have gone: what is measured?"
    );
    assert!(gone < SIZE as u64 * 13 / 10, "{gone} bytes have gone for {SIZE}");
}

/// Slow enough to be pulled in the middle: by who gives, or by who takes, so that all buffers of who gives are full.
const GIVES_SLOWLY: [Settings<'_>; 2] = [&[("sync-dht", "off"), ("sync-limit-out", "20MB")], LOCAL];
const TAKES_SLOWLY: [Settings<'_>; 2] = [LOCAL, &[("sync-dht", "off"), ("sync-limit-in", "20MB")]];

/// Pulls a device's cable, and waits until the device says so: the rate at which something comes, or goes, falls by half in three
/// seconds.
fn pulled(device: &Device, way: &str) {
    let rate = || device.sync()[way].as_u64().unwrap();
    let before = rate();
    assert!(before > 5_000_000, "{way} is that rate: {}", device.shown());
    device.host.ip(&["link", "set", "eth0", "down"]);
    until(
        "less goes, and it says so",
        10,
        || device.shown(),
        || rate() < before / 2,
    );
}

/// Plugs it in again, in a network that gives it another address: the former connection can never go on.
fn plugged_in_elsewhere(device: &Device) {
    device.host.ip(&["address", "flush", "dev", "eth0"]);
    device.host.ip(&["address", "add", "10.7.0.77/24", "dev", "eth0"]);
    device.host.ip(&["link", "set", "eth0", "up"]);
}

/// Guards that a cable pulled for a moment costs nothing.
#[test]
fn a_cable_pulled_and_plugged_in_again() {
    cable_pulled(GIVES_SLOWLY, |_, laptop| {
        pulled(laptop, "rate_in");
        laptop.host.ip(&["link", "set", "eth0", "up"]);
    });
}

/// Guards that a transfer is resumed, and not begun anew, by another connection; and that who comes back with another address calls
/// at once, instead of waiting for answers at the former one.
#[test]
fn who_takes_comes_back_with_another_address() {
    cable_pulled(GIVES_SLOWLY, |_, laptop| {
        pulled(laptop, "rate_in");
        plugged_in_elsewhere(laptop);
    });
}

/// Guards the same of who gives, in whose buffers lies what can never be sent.
#[test]
fn who_gives_comes_back_with_another_address() {
    cable_pulled(TAKES_SLOWLY, |desk, _| {
        pulled(desk, "rate_out");
        plugged_in_elsewhere(desk);
    });
}

/// Guards a device that comes back after 2,000 edits of 50 notes, by two ways of saving: it has all of them, and nothing else.
#[test]
fn asleep_for_a_month_of_edits() {
    let Some(bed) = Bed::new(&[]) else { return };
    let (net, one, two) = (bed.switch("net"), bed.host("one"), bed.host("two"));
    bed.plug(&one, "eth0", "10.7.0.1/24", &net);
    bed.plug(&two, "eth0", "10.7.0.2/24", &net);
    let desk = Device::first(&one, LOCAL);
    let path = |note: usize| format!("Notes/Note {note}.md");
    let mut notes: Vec<String> = (0..50).map(|note| format!("# Note {note}\n")).collect();
    for (note, text) in notes.iter().enumerate() {
        desk.write(&path(note), text);
    }
    let laptop = Device::joined(&two, &desk.invite().0, "laptop", None, LOCAL);
    become_one(&[&desk, &laptop], 20);
    let names: Vec<String> = laptop.tree().into_iter().map(|(name, _)| name).collect();
    laptop.stage.run(&["lock"]).gives(0);
    for edit in 0..2_000 {
        let note = edit * 7 % 50;
        notes[note] += &format!("edit {edit}\n");
        if edit % 3 == 0 {
            let aside = format!("Notes/.aside {note}");
            desk.write(&aside, &notes[note]);
            fs::rename(desk.at(&aside), desk.at(&path(note))).unwrap();
        } else {
            desk.write(&path(note), &notes[note]);
        }
    }
    laptop.stage.mount();
    become_one(&[&desk, &laptop], 30);
    for (note, text) in notes.iter().enumerate() {
        assert_eq!(&laptop.text(&path(note)), text);
    }
    let after: Vec<String> = laptop.tree().into_iter().map(|(name, _)| name).collect();
    assert_eq!(after, names, "no file has come that nobody made");
}

/// Each device writes a note of its own, and all of them have all.
fn all_tell_all(devices: &[&Device], word: &str) {
    for (n, device) in devices.iter().enumerate() {
        device.write(&format!("Notes/{word} {n}.md"), format!("{word}: of {n}\n"));
    }
    become_one(devices, 20);
    for n in 0..devices.len() {
        assert_eq!(
            devices[0].text(&format!("Notes/{word} {n}.md")),
            format!("{word}: of {n}\n")
        );
    }
}

/// Waits until each of them talks to so many others, and to no more.
fn have_connected(devices: &[&Device], wanted: &[usize]) {
    let shown = || devices.iter().map(|device| device.shown()).collect();
    until(
        "each talks to those that it sees, and to nobody else",
        5,
        shown,
        || {
            devices
                .iter()
                .map(|device| device.connected())
                .eq(wanted.iter().copied())
        },
    );
}

/// Guards that devices which see their neighbours only have one vault all the same: what the first one writes goes through all.
#[test]
fn five_in_a_line() {
    let Some(bed) = Bed::new(&[]) else { return };
    let hosts: Vec<Host> = (0..5).map(|n| bed.host(&format!("host{n}"))).collect();
    for n in 0..4 {
        let (left, right) = (format!("10.7.{n}.1/24"), format!("10.7.{n}.2/24"));
        bed.cable((&hosts[n], "right", &left), (&hosts[n + 1], "left", &right));
    }
    let mut devices = vec![Device::first(&hosts[0], LOCAL)];
    for (n, host) in hosts.iter().enumerate().skip(1) {
        let (words, _) = devices[n - 1].invite();
        devices.push(Device::joined(host, &words, &format!("device {n}"), None, LOCAL));
    }
    let all: Vec<&Device> = devices.iter().collect();
    become_one(&all, 20);
    all_tell_all(&all, "line");
    have_connected(&all, &[1, 2, 2, 2, 1]);
    all_tell_all(&all, "again");
}

/// Guards the same of five around one.
#[test]
fn five_around_one() {
    let Some(bed) = Bed::new(&[]) else { return };
    let middle = bed.host("middle");
    let mut devices = vec![Device::first(&middle, LOCAL)];
    for n in 0..5 {
        let host = bed.host(&format!("host{n}"));
        let (ours, port, theirs) = (
            format!("10.7.{n}.1/24"),
            format!("eth{n}"),
            format!("10.7.{n}.2/24"),
        );
        bed.cable((&middle, &port, &ours), (&host, "eth0", &theirs));
        let (words, _) = devices[0].invite();
        devices.push(Device::joined(&host, &words, &format!("device {n}"), None, LOCAL));
    }
    let all: Vec<&Device> = devices.iter().collect();
    become_one(&all, 20);
    all_tell_all(&all, "star");
    have_connected(&all, &[5, 1, 1, 1, 1, 1]);
    all_tell_all(&all, "again");
}

/// Guards that somebody at the relay's cable sees no word, no file's name, no device's name, and no password: neither while a device
/// joins nor while notes go both ways, all of it by the relay.
#[test]
fn at_the_relays_cable_nothing_is_seen() {
    const WORD: &str = "marker-word-quince";
    const FILE: &str = "marker-file-medlar";
    const NAME: &str = "marker-name-sorb";
    let Some(bed) = Bed::new(&["nft", "tcpdump", "bash"]) else {
        return;
    };
    let town = Town::of(&bed, Ports::ByChance);
    let capture = Capture::start(&town.relay, "eth0");
    let relay = Relay::start(&town.relay, RELAY, None);
    let desk = Device::first(&town.one, &[("sync-relays", &relay.address)]);
    let line = desk.invite_by_relay();
    let (words, _) = desk.invite();
    let laptop = Device::joined(&town.two, &line, NAME, Some(&relay.address), &[]);
    let path = format!("Notes/{FILE}.md");
    // Of a size that cannot be overlooked.
    let (first, more) = (format!("{WORD}\n").repeat(2_000), noise(2 << 20));
    desk.write(&path, &first);
    laptop.shows(&path, &first, 20);
    laptop.write(&path, format!("{first}{WORD} again\n"));
    desk.shows(&path, &format!("{first}{WORD} again\n"), 20);
    laptop.write(&format!("Files/{FILE}.bin"), &more);
    let arrived = || fs::read(desk.at(&format!("Files/{FILE}.bin"))).is_ok_and(|bytes| bytes == more);
    until(
        "a file goes by the relay",
        20,
        || desk.shown() + &laptop.shown(),
        arrived,
    );
    desk.is_reached(&laptop, "relay", 5);
    capture.catches_up(&town.one, RELAY);
    assert!(
        capture.len() > 2 << 20,
        "what went by the relay went by here: {}",
        capture.len()
    );
    let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let mut secrets = vec![WORD, FILE, NAME, PASSWORD, &line, &words, "Welcome"];
    // The name of the first device, if it is long enough not to come up by chance.
    secrets.extend((machine.len() > 5).then_some(machine.as_str()));
    for secret in secrets {
        assert!(!capture.has(secret.as_bytes()), "{secret:?} went by in the clear");
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert!(
            !capture.has(hex.as_bytes()),
            "{secret:?} went by in hexadecimal digits"
        );
    }
}
