//! A device on a host of its own: the built program, a real mount, and its own folders.

use super::bed::{self, Host};
use super::common::{Said, Stage, files};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

const QUICK: [&str; 6] = ["--kdf-memory", "19MiB", "--kdf-passes", "2", "--kdf-lanes", "1"];

/// See the module.
pub(crate) struct Device {
    pub(crate) stage: Stage,
    pub(crate) host: Host,
}

/// What is set before the first mount.
pub(crate) type Settings<'a> = &'a [(&'a str, &'a str)];

impl Device {
    fn on(host: &Host) -> Device {
        Device {
            stage: Stage::within(&host.file(), &bed::prefix()),
            host: host.clone(),
        }
    }

    fn set(&self, settings: Settings<'_>) {
        for (key, value) in settings {
            self.stage.run(&["settings", key, value]).gives(0);
        }
    }

    /// The first device of a vault, mounted.
    pub(crate) fn first(host: &Host, settings: Settings<'_>) -> Device {
        let device = Device::on(host);
        device.stage.init("v");
        device.set(settings);
        device.stage.mount();
        device
    }

    /// A further one, by a ticket's words or its line; mounted.
    pub(crate) fn joined(
        host: &Host,
        ticket: &str,
        name: &str,
        relay: Option<&str>,
        settings: Settings<'_>,
    ) -> Device {
        let device = Device::on(host);
        device.join(ticket, name, relay).gives(0);
        device.set(settings);
        device.stage.mount();
        device
    }

    fn join(&self, ticket: &str, name: &str, relay: Option<&str>) -> Said {
        let mut args = vec!["device", "join"];
        args.extend(ticket.split(' '));
        args.extend(["--name", name]);
        args.extend(QUICK);
        args.extend(relay.iter().flat_map(|relay| ["--relay", relay]));
        self.stage.open(&args)
    }

    /// An invitation: the twelve words, and the line.
    pub(crate) fn invite(&self) -> (String, String) {
        let said = self.stage.run(&["--json", "device", "invite"]).gives(0).json();
        let text = |key: &str| said[key].as_str().unwrap().to_owned();
        (text("words"), text("ticket"))
    }

    /// An invitation's line, once a relay has a place for this device, so that it says so.
    pub(crate) fn invite_by_relay(&self) -> String {
        // The first one brings up the network of a vault that was alone.
        self.invite();
        bed::until(
            "the relay has a place",
            20,
            || self.shown(),
            || {
                self.sync()["relays"]
                    .as_array()
                    .is_some_and(|relays| !relays.is_empty())
            },
        );
        self.invite().1
    }

    /// What `coffer sync --json` says.
    pub(crate) fn sync(&self) -> Value {
        self.stage.run(&["--json", "sync"]).gives(0).json()
    }

    /// The same for a failing test's words.
    pub(crate) fn shown(&self) -> String {
        let said = self.stage.run(&["--json", "sync"]);
        format!("{}: {}{}", self.host.net, said.out, said.err)
    }

    /// How many other devices are connected.
    pub(crate) fn connected(&self) -> usize {
        let sync = self.sync();
        let devices = sync["devices"].as_array().unwrap();
        devices
            .iter()
            .filter(|device| device["connected"] == true)
            .count()
    }

    /// How the only other device is reached; none if it is not.
    fn reached(&self) -> Option<String> {
        let other = self.sync()["devices"][0].clone();
        (other["connected"] == true).then(|| other["reached"].as_str().unwrap_or_default().to_owned())
    }

    /// Waits until both of two say that they reach each other so: “direct” or “relay”. What they say is a moment behind.
    #[track_caller]
    pub(crate) fn is_reached(&self, other: &Device, how: &str, seconds: u64) {
        let shown = || self.shown() + &other.shown();
        bed::until(&format!("both say “{how}”"), seconds, shown, || {
            [self, other]
                .iter()
                .all(|device| device.reached().as_deref() == Some(how))
        });
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.stage.mnt().join(path)
    }

    pub(crate) fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        fs::write(self.at(path), text).unwrap();
    }

    pub(crate) fn text(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap_or_default()
    }

    /// Waits until a file shows a text.
    #[track_caller]
    pub(crate) fn shows(&self, path: &str, wanted: &str, seconds: u64) {
        let what = format!("{} shows {wanted:?} in {path}", self.host.net);
        bed::until(&what, seconds, || self.shown(), || self.text(path) == wanted);
    }

    /// All files with their bytes, by name.
    pub(crate) fn tree(&self) -> Vec<(String, Vec<u8>)> {
        let root = self.stage.mnt();
        let of = |path: PathBuf| {
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            (name, fs::read(&path).unwrap_or_default())
        };
        let mut all: Vec<_> = files(&root).into_iter().map(of).collect();
        all.sort();
        all
    }
}

/// Each writes a line into a note, in turn, and the other one shows it.
#[track_caller]
pub(crate) fn both_ways(one: &Device, two: &Device, note: &str, seconds: u64) {
    let path = format!("Notes/{note}.md");
    let first = format!("{note}: here\n");
    one.write(&path, &first);
    two.shows(&path, &first, seconds);
    let second = format!("{first}and there\n");
    two.write(&path, &second);
    one.shows(&path, &second, seconds);
}

/// Waits until all show the same.
#[track_caller]
pub(crate) fn become_one(devices: &[&Device], seconds: u64) {
    let shown = || {
        let names = |device: &&Device| format!("{} files; {}", device.tree().len(), device.shown());
        devices.iter().map(names).collect::<Vec<_>>().join("\n")
    };
    bed::until("all show the same", seconds, shown, || {
        let first = devices[0].tree();
        devices[1..].iter().all(|device| device.tree() == first)
    });
}
