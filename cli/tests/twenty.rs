//! Twenty devices, each a host of its own, with the built program and real mounts: they join through one of them, then see their
//! neighbours in a line alone, then the one in the middle alone. Guards that what one saves comes to all, by others. Skipped,
//! with a word, without root, /dev/fuse, `ip`, `nft`.

mod common;

#[allow(dead_code, reason = "each suite uses its part")]
#[path = "namespaces/bed.rs"]
mod bed;
#[allow(dead_code, reason = "each suite uses its part")]
#[path = "namespaces/device.rs"]
mod device;

use bed::{Bed, Host, until};
use device::{Device, become_one};
use std::time::Instant;

const DEVICES: usize = 20;

/// Lets a host exchange packets with these alone. What it sends to others is refused at once, as where no cable leads.
fn sees(host: &Host, own: usize, others: impl Iterator<Item = usize>) {
    let mut seen: Vec<String> = others.map(|n| format!("10.7.0.{}", n + 1)).collect();
    seen.push(format!("10.7.0.{}", own + 1));
    let seen = seen.join(", ");
    host.within(
        "nft",
        &[&format!(
            "flush ruleset
            table ip alone {{
                chain in {{ type filter hook input priority filter; iifname \"lo\" accept; ip saddr != {{ {seen} }} drop; }}
                chain out {{ type filter hook output priority filter; oifname \"lo\" accept;
                    ip daddr != {{ {seen} }} meta l4proto tcp reject with tcp reset;
                    ip daddr != {{ {seen}, 224.0.0.251 }} reject; }}
            }}"
        )],
    );
}

/// Each writes, all have all of it, and each talks to as many as it sees.
fn all_tell_all(devices: &[Device], word: &str, connected: impl Fn(usize) -> usize) {
    let began = Instant::now();
    for (n, device) in devices.iter().enumerate() {
        device.write(&format!("Notes/{word} {n}.md"), format!("{word}: of {n}\n"));
    }
    let all: Vec<&Device> = devices.iter().collect();
    become_one(&all, 40);
    for n in 0..devices.len() {
        let note = devices[0].text(&format!("Notes/{word} {n}.md"));
        assert_eq!(note, format!("{word}: of {n}\n"));
    }
    let shown = || devices.iter().map(Device::shown).collect();
    until(
        "each talks to those that it sees, and to nobody else",
        20,
        shown,
        || {
            devices
                .iter()
                .enumerate()
                .all(|(n, device)| device.connected() == connected(n))
        },
    );
    println!(
        "{word}: all have all after {:.1} s",
        began.elapsed().as_secs_f64()
    );
}

/// Saves at one end, and waits until the other one shows it.
fn crosses(from: &Device, to: &Device, note: &str) {
    let began = Instant::now();
    let path = format!("Notes/{note}.md");
    from.write(&path, format!("{note}\n"));
    to.shows(&path, &format!("{note}\n"), 20);
    println!("{note}: {:.2} s", began.elapsed().as_secs_f64());
}

#[test]
fn in_a_line_and_around_one() {
    let Some(bed) = Bed::new(&["nft"]) else { return };
    let net = bed.switch("net");
    let hosts: Vec<Host> = (0..DEVICES).map(|n| bed.host(&format!("host{n}"))).collect();
    for (n, host) in hosts.iter().enumerate() {
        bed.plug(host, "eth0", &format!("10.7.0.{}/24", n + 1), &net);
    }
    // TCP alone: that nobody is there any more, QUIC learns by silence.
    let settings = [("sync-dht", "off"), ("sync-listen", "/ip4/0.0.0.0/tcp/0")];
    let mut devices = vec![Device::first(&hosts[0], &settings)];
    devices[0].write("Notes/Before.md", "before all others\n");
    for (n, host) in hosts.iter().enumerate().skip(1) {
        let (_, line) = devices[0].invite();
        devices.push(Device::joined(
            host,
            &line,
            &format!("device {n}"),
            None,
            &settings,
        ));
    }
    for device in &devices {
        device.shows("Notes/Before.md", "before all others\n", 20);
    }
    all_tell_all(&devices, "together", |_| DEVICES - 1);

    let last = DEVICES - 1;
    for (n, host) in hosts.iter().enumerate() {
        sees(
            host,
            n,
            (n.saturating_sub(1)..=n + 1).filter(|other| *other != n && *other <= last),
        );
    }
    let ends = |n: usize| if n == 0 || n == last { 1 } else { 2 };
    all_tell_all(&devices, "line", ends);
    crosses(&devices[0], &devices[last], "from the first to the last");
    crosses(&devices[last], &devices[0], "from the last to the first");

    let middle = DEVICES / 2;
    for (n, host) in hosts.iter().enumerate() {
        sees(
            host,
            n,
            (0..DEVICES)
                .filter(|other| n == middle || *other == middle)
                .filter(|other| *other != n),
        );
    }
    all_tell_all(&devices, "star", |n| if n == middle { last } else { 1 });
    crosses(&devices[0], &devices[last], "from leaf to leaf");

    let all: Vec<&Device> = devices.iter().collect();
    become_one(&all, 20);
    for device in &devices {
        device.stage.run(&["lock"]).gives(0);
    }
    for device in [&devices[0], &devices[middle], &devices[last]] {
        device.stage.open(&["check", "--read-data"]).gives(0);
    }
}
