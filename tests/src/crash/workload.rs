//! What people and programs do in a folder, as steps: editors, logs, databases, builds;
//! and random steps. The same seed gives the same steps.

use std::sync::Arc;

use coffer_store::io::sim::SplitMix64;

use super::player::Step;

/// Collects steps.
struct Script {
    steps: Vec<Step>,
    rng: SplitMix64,
    slot: u32,
}

impl Script {
    fn new(seed: u64) -> Script {
        Script {
            steps: Vec::new(),
            rng: SplitMix64(seed),
            slot: 0,
        }
    }

    fn bytes(&mut self, len: usize) -> Arc<Vec<u8>> {
        Arc::new(self.rng.bytes(len))
    }

    fn open(&mut self, path: &str, truncate: bool) -> u32 {
        self.slot += 1;
        let slot = self.slot;
        let path = path.to_owned();
        self.steps.push(Step::Open { slot, path, truncate });
        slot
    }

    fn write(&mut self, slot: u32, offset: usize, len: usize) {
        let data = self.bytes(len);
        self.steps.push(Step::Write { slot, offset, data });
    }

    fn close(&mut self, slot: u32) {
        self.steps.push(Step::Close { slot });
    }

    fn fsync(&mut self, slot: u32) {
        self.steps.push(Step::Fsync { slot });
    }

    /// Now and then the five seconds are over.
    fn tick(&mut self) {
        self.steps.push(Step::Tick);
    }

    fn file(&mut self, path: &str, len: usize) {
        let slot = self.open(path, true);
        self.write(slot, 0, len);
        self.close(slot);
    }

    /// An editor that truncates and writes in place.
    fn save_in_place(&mut self, path: &str, len: usize, fsync: bool, tick: bool) {
        let slot = self.open(path, true);
        self.write(slot, 0, len / 2);
        if tick {
            self.tick();
        }
        self.write(slot, len / 2, len - len / 2);
        if fsync {
            self.fsync(slot);
        }
        self.close(slot);
    }

    /// One that writes a temporary file and renames it.
    fn save_by_rename(&mut self, path: &str, len: usize, fsync: bool) {
        let temp = format!("{path}.tmp");
        let slot = self.open(&temp, true);
        self.write(slot, 0, len);
        if fsync {
            self.fsync(slot);
        }
        self.close(slot);
        self.steps.push(Step::Rename(temp, path.to_owned()));
    }
}

/// A day's work, of about 12 MB; `scale` makes the large files smaller (16: full size).
pub fn day(seed: u64, scale: usize) -> Vec<Step> {
    let mut s = Script::new(seed);
    let kib = |n: usize| (n * 1024 * scale / 16).max(1000);
    s.steps.push(Step::Mkdir("/notes".into()));
    s.steps.push(Step::Mkdir("/work".into()));
    s.file("/notes/a", 300);
    s.file("/notes/b", 5000);
    s.file("/notes/empty", 0);
    s.file("/work/medium", kib(200));
    s.tick();
    s.file("/work/large", kib(3 << 10));
    s.steps.push(Step::Symlink {
        path: "/notes/link".into(),
        target: "../work/large".into(),
    });
    s.steps.push(Step::Xattr {
        path: "/notes/a".into(),
        name: "user.tag",
        value: Some(b"red".to_vec()),
    });
    s.tick();
    // Editors.
    s.save_in_place("/notes/a", 700, false, true);
    s.save_in_place("/notes/b", 9000, true, true);
    s.save_by_rename("/notes/b", 6000, true);
    s.save_in_place("/work/medium", kib(180), false, true);
    s.save_by_rename("/work/medium", kib(220), false);
    s.tick();
    s.save_in_place("/work/large", kib(2 << 10), false, true);
    s.tick();
    // A log: appended line by line, synced every time.
    let log = s.open("/work/log", false);
    for _ in 0..6 {
        let len = 100 + s.rng.below(400) as usize;
        let data = s.bytes(len);
        s.steps.push(Step::Append { slot: log, data });
        s.fsync(log);
    }
    // A database: pages anywhere, synced, with a journal that comes and goes.
    let db = s.open("/work/db", false);
    s.write(db, 0, kib(400));
    s.fsync(db);
    for round in 0..4 {
        let journal = s.open("/work/db-journal", true);
        s.write(journal, 0, 8192);
        s.fsync(journal);
        s.close(journal);
        for _ in 0..3 {
            let page = s.rng.below((kib(400) / 4096) as u64) as usize;
            s.write(db, page * 4096, 4096);
        }
        s.fsync(db);
        s.steps.push(Step::Remove("/work/db-journal".into()));
        if round == 2 {
            s.tick();
        }
    }
    s.write(db, 4096, kib(100));
    s.tick();
    s.close(db);
    s.tick();
    s.close(log);
    // Names.
    s.steps.push(Step::Link("/notes/a".into(), "/work/a too".into()));
    s.tick();
    s.steps.push(Step::Rename("/notes/b".into(), "/notes/a".into()));
    s.steps.push(Step::Mkdir("/work/deep".into()));
    s.steps
        .push(Step::Rename("/work/medium".into(), "/work/deep/medium".into()));
    s.tick();
    s.steps
        .push(Step::Rename("/work/deep".into(), "/notes/deep".into()));
    s.steps
        .push(Step::Exchange("/notes/a".into(), "/work/a too".into()));
    s.steps.push(Step::Remove("/notes/empty".into()));
    s.tick();
    // Parts of files.
    let large = s.open("/work/large", false);
    s.write(large, kib(900), kib(70));
    s.steps.push(Step::Punch {
        slot: large,
        offset: kib(300),
        len: kib(200),
    });
    let copy = s.open("/work/copy", false);
    s.steps.push(Step::Copy {
        from: large,
        at: 0,
        to: copy,
        offset: 0,
        len: kib(2 << 10),
    });
    s.fsync(copy);
    s.steps.push(Step::Truncate {
        slot: large,
        len: kib(1000),
    });
    s.tick();
    s.write(large, kib(1000), kib(40));
    s.fsync(large);
    s.steps.push(Step::Remove("/work/copy".into()));
    s.write(copy, 10, 3000);
    s.tick();
    s.close(copy);
    s.close(large);
    s.tick();
    s.steps.push(Step::Xattr {
        path: "/notes/a".into(),
        name: "user.tag",
        value: None,
    });
    s.steps.push(Step::Remove("/notes/deep/medium".into()));
    s.steps.push(Step::Remove("/notes/deep".into()));
    s.tick();
    s.steps.push(Step::Reopen);
    s.save_in_place("/work/large", kib(3 << 10), false, true);
    s.save_by_rename("/work/db", kib(300), false);
    s.tick();
    s.steps.push(Step::Collect);
    s.file("/notes/last", 400);
    s.steps.push(Step::Reopen);
    s.steps.push(Step::Remove("/work/large".into()));
    s.steps.push(Step::Collect);
    s.tick();
    s.steps
}

/// Random steps over a few names; some files stay open for long.
pub fn random(seed: u64, steps: usize) -> Vec<Step> {
    let mut s = Script::new(seed);
    s.steps.push(Step::Mkdir("/d".into()));
    // What the random steps need to know of the tree: which names are files, and how long.
    let mut model = super::model::Model::default();
    model.mkdir("/d");
    let names = ["/a", "/b", "/c", "/d/a", "/d/b"];
    let mut open: Vec<(u32, u64)> = Vec::new();
    while s.steps.len() < steps {
        let name = names[s.rng.below(names.len() as u64) as usize];
        let other = names[s.rng.below(names.len() as u64) as usize];
        let there = model.find(name).is_some();
        let pick = (!open.is_empty()).then(|| open[s.rng.below(open.len().max(1) as u64) as usize]);
        match (s.rng.below(21), pick) {
            (0..3, _) if open.len() < 4 => {
                let truncate = s.rng.below(2) == 0;
                let slot = s.open(name, truncate);
                open.push((slot, model.open(name, truncate)));
            }
            (3..9, Some((slot, id))) => {
                let size = model.bytes(id).len();
                let len = match s.rng.below(8) {
                    0 => 300_000 + s.rng.below(400_000),
                    1 | 2 => 20_000 + s.rng.below(60_000),
                    _ => 1 + s.rng.below(5000),
                } as usize;
                let offset = match s.rng.below(3) {
                    0 => size,
                    1 => s.rng.below(size as u64 + 1) as usize,
                    _ => (s.rng.below(size as u64 + 1) as usize) / 4096 * 4096,
                };
                s.write(slot, offset, len);
                let zeros = vec![0; len];
                model.write(id, offset, &zeros);
            }
            (9, Some((slot, id))) => {
                let len = s.rng.below(model.bytes(id).len() as u64 + 20_000) as usize;
                s.steps.push(Step::Truncate { slot, len });
                model.truncate(id, len);
            }
            (10, Some((slot, id))) => {
                let size = model.bytes(id).len() as u64;
                let offset = s.rng.below(size + 1) as usize;
                let len = 1 + s.rng.below(size / 2 + 5000) as usize;
                s.steps.push(Step::Punch { slot, offset, len });
            }
            (11, Some((slot, _))) | (12, Some((slot, _))) => s.fsync(slot),
            (13, Some((slot, id))) => {
                s.close(slot);
                model.close(id);
                open.retain(|one| one.0 != slot);
            }
            (14, _) if there && name != other => {
                s.steps.push(Step::Rename(name.into(), other.into()));
                model.rename(name, other);
            }
            (15, _) if there && model.find(other).is_none() => {
                s.steps.push(Step::Link(name.into(), other.into()));
                model.link(name, other);
            }
            (16, _) if there => {
                s.steps.push(Step::Remove(name.into()));
                model.remove(name);
            }
            (17, Some((to, id))) => {
                let (from, source) = open[s.rng.below(open.len() as u64) as usize];
                let len = model.bytes(source).len();
                if source != id && len > 0 {
                    let offset = model.bytes(id).len();
                    s.steps.push(Step::Copy {
                        from,
                        at: 0,
                        to,
                        offset,
                        len,
                    });
                    model.write(id, offset, &vec![0; len]);
                }
            }
            (18, _) if s.rng.below(3) == 0 => s.steps.push(Step::Collect),
            (18 | 19, _) => s.tick(),
            (20, _) if open.is_empty() => s.steps.push(Step::Reopen),
            _ => {}
        }
    }
    s.tick();
    s.steps
}
