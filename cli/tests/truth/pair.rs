//! Two devices of one vault on this machine, with daemons, mounts and the network of their own on loopback.

use crate::common::Stage;
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long it may take until both know all.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a device waits before its files are read.
const READ_AFTER: Duration = Duration::from_secs(10);
const QUICK: [&str; 6] = ["--kdf-memory", "19MiB", "--kdf-passes", "2", "--kdf-lanes", "1"];

/// The two of them.
pub(crate) struct Pair {
    pub(crate) desk: Stage,
    pub(crate) laptop: Stage,
}

fn settle(stage: &Stage) {
    for (key, value) in [
        ("sync-listen", "/ip4/127.0.0.1/tcp/0"),
        ("sync-mdns", "off"),
        ("sync-dht", "off"),
    ] {
        stage.run(&["settings", key, value]).gives(0);
    }
}

fn sync(stage: &Stage) -> Value {
    stage.run(&["--json", "sync"]).gives(0).json()
}

/// A name, what it is, and of a link where it leads.
type Entry = (Vec<u8>, bool, Vec<u8>);

/// All names, and what links say; of what both keep.
fn names(root: &Path, below: &Path, all: &mut Vec<Entry>) {
    use std::os::unix::fs::FileTypeExt;
    for entry in fs::read_dir(below).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(meta) = fs::symlink_metadata(&path) else {
            continue;
        };
        let kind = meta.file_type();
        // What is no file goes to no other device.
        if kind.is_fifo() {
            continue;
        }
        let to = fs::read_link(&path).map(|to| to.as_os_str().as_bytes().to_vec());
        let name = path.strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec();
        all.push((name, kind.is_dir(), to.unwrap_or_default()));
        if kind.is_dir() {
            names(root, &path, all);
        }
    }
}

impl Pair {
    /// Two that know each other. `is_partial`: the laptop keeps names and texts, and of the rest as much.
    pub(crate) fn new(is_partial: bool) -> Pair {
        let desk = Stage::with_vault();
        settle(&desk);
        desk.mount();
        let said = desk.run(&["--json", "device", "invite"]).gives(0);
        let ticket = said.json()["ticket"].as_str().unwrap().to_owned();
        let laptop = Stage::new();
        let mut args = vec!["device", "join", &ticket, "--name", "laptop"];
        args.extend(QUICK);
        laptop.open(&args).gives(0);
        settle(&laptop);
        if is_partial {
            laptop
                .run(&["sync", "--policy", "texts", "--limit", "150KiB"])
                .gives(0);
        }
        laptop.mount();
        Pair { desk, laptop }
    }

    pub(crate) fn both(&self) -> [&Stage; 2] {
        [&self.desk, &self.laptop]
    }

    /// They hear nothing of each other from now on.
    pub(crate) fn part(&self) {
        self.laptop.run(&["sync", "--pause"]).gives(0);
    }

    /// They do again, and both know all.
    pub(crate) fn meet(&self) {
        self.laptop.run(&["sync", "--resume"]).gives(0);
        let knows = |stage: &Stage| {
            let device = &sync(stage)["devices"][0];
            device["connected"] == true && device["behind"] == 0 && device["ahead"] == 0
        };
        let tree = |stage: &Stage| {
            let mut all = Vec::new();
            names(&stage.mnt(), &stage.mnt(), &mut all);
            all.sort();
            all
        };
        let begun = Instant::now();
        loop {
            let rest = self.both().map(moving);
            let trees = self.both().map(tree);
            if rest == [None, None] && self.both().into_iter().all(knows) && trees[0] == trees[1] {
                return;
            }
            // An edit of a file that came to be named as a text while its bytes were not here waits until somebody reads it.
            if begun.elapsed() > READ_AFTER && rest[1].is_some() {
                for name in &trees[1] {
                    let _ = fs::read(self.laptop.mnt().join(OsStr::from_bytes(&name.0)));
                }
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "both know the same: {rest:?}, {}, {}, only one has {:?}",
                sync(&self.desk),
                sync(&self.laptop),
                trees[0]
                    .iter()
                    .filter(|name| !trees[1].contains(name))
                    .chain(trees[1].iter().filter(|name| !trees[0].contains(name)))
                    .map(|(name, ..)| String::from_utf8_lossy(name))
                    .collect::<Vec<_>>()
            );
        }
    }
}

/// What waits to be stored or told.
pub(crate) fn moving(stage: &Stage) -> Option<String> {
    let contents = &stage.run(&["status", "--json"]).gives(0).json()["contents"];
    ["pending_bytes", "pending_events"]
        .iter()
        .find(|what| contents[what] != 0)
        .map(|what| format!("{what} {}", contents[what]))
}
