//! The database against a plain map, over a disk that fails, fills and loses power.
//!
//! Guards what every caller builds on: what was answered is there, whatever happens; what was
//! refused is not there while the program goes on, and after an end of it either whole or not at
//! all; never anything between; and the sums over all rows hold at every opening.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Once};

use coffer_store::db::{Batch, Db, Table};
use coffer_store::io::sim::{Fault, SimDisk, SplitMix64};

const KEY: [u8; 32] = [7; 32];
const SEEDS: u64 = 240;
const STEPS: u32 = 50;
/// What stands for a damaged page.
const DAMAGE: &str = "a page that is damaged";
/// Of the tables, `Meta` has rows of the database's own.
const TABLES: [Table; 3] = [Table::Nodes, Table::Log, Table::Pending];

type Rows = BTreeMap<(u8, Vec<u8>), Vec<u8>>;

/// Lets the library's view of the file be dropped, as any damage that a reader meets does.
fn upset(db: &Db) {
    let _ = db.scan(Table::Meta, b"", &mut |_, _| std::panic::panic_any(DAMAGE));
}

struct Model {
    chance: SplitMix64,
    disk: SimDisk,
    /// None only while it is opened anew.
    db: Option<Db>,
    rows: Rows,
    /// What a crash may leave instead, because it was tried or not known to be durable since the
    /// last answer.
    others: Vec<Rows>,
    failing: bool,
}

impl Model {
    fn new(seed: u64) -> Model {
        let disk = SimDisk::new();
        let db = Db::create(Arc::new(disk.clone())).unwrap();
        db.keep_sums(KEY, true).unwrap();
        let mut model = Model {
            chance: SplitMix64(seed),
            disk,
            db: Some(db),
            rows: Rows::new(),
            others: Vec::new(),
            failing: false,
        };
        // The row of sums is made by the first transaction.
        model.apply();
        model
    }

    fn db(&self) -> &Db {
        self.db.as_ref().unwrap()
    }

    fn open(&mut self) {
        let db = Db::open(Arc::new(self.disk.clone())).unwrap();
        db.keep_sums(KEY, false).unwrap();
        self.db = Some(db);
        self.find();
    }

    fn apply(&mut self) {
        let (mut batch, mut after) = (Batch::new(), self.rows.clone());
        let most = match self.chance.below(20) {
            0 => 400_000,
            1..4 => 20_000,
            _ => 500,
        };
        for _ in 0..1 + self.chance.below(6) {
            let table = TABLES[self.chance.below(3) as usize];
            let key = vec![self.chance.below(12) as u8; 3];
            if self.chance.below(4) == 0 {
                batch.delete(table, &key);
                after.remove(&(table as u8, key));
            } else {
                let len = self.chance.below(most) as usize;
                let value = self.chance.bytes(len);
                batch.put(table, &key, value.clone());
                after.insert((table as u8, key), value);
            }
        }
        let applied = match self.chance.below(5) {
            0 => self.db().apply(&batch),
            _ => self.db().apply_quickly(&batch),
        };
        match applied {
            Ok(()) => {
                self.rows = after;
                self.others.clear();
            }
            Err(_) => {
                assert!(self.failing, "refused on a healthy disk: {applied:?}");
                self.others.push(after);
            }
        }
    }

    fn fail(&mut self) {
        self.failing = true;
        let fault = match self.chance.below(2) {
            0 => Fault::Io,
            _ => Fault::NoSpace,
        };
        match self.chance.below(4) {
            0 => self.disk.set_free(Some(self.chance.below(3 << 20))),
            n => {
                let at = self.disk.ops() + 1 + self.chance.below(30);
                self.disk.fail_at(at, fault, n == 1);
            }
        }
    }

    fn heal(&mut self) {
        self.disk.heal();
        self.disk.set_free(None);
        self.failing = false;
    }

    /// The library's file is dropped and opened anew within the program.
    fn upset(&self) {
        upset(self.db());
    }

    /// The library's check promotes and rolls back what it finds in memory.
    fn check_structure(&self) {
        let checked = self.db().check_structure();
        assert!(checked.is_ok() || self.failing, "{checked:?}");
    }

    /// The program ends and is started anew; the machine goes on.
    fn reopen(&mut self) {
        if self.chance.below(3) == 0 {
            // Killed, but not while the library's file is in doubt: what the system forgot of that,
            // nobody can know who opens it.
            self.check();
            std::mem::forget(self.db.take());
        }
        self.db = None;
        self.open();
    }

    /// The power goes.
    fn crash(&mut self) {
        self.disk = match self.chance.below(8) {
            0 => self.disk.crash_all_lost(),
            1 => self.disk.crash_all_kept(),
            _ => self.disk.crash(self.chance.next_u64()),
        };
        self.failing = false;
        self.open();
        // All of it was on the disk.
        self.others.clear();
    }

    /// Which of the states that may be there is.
    fn find(&mut self) {
        let found = self.read();
        if found != self.rows {
            let at = self.others.iter().position(|rows| *rows == found);
            let at = at.expect("a state that was answered, or tried since");
            std::mem::swap(&mut self.rows, &mut self.others[at]);
        }
        assert_eq!(self.db().verify().unwrap(), []);
    }

    fn read(&self) -> Rows {
        let mut found = Rows::new();
        for table in TABLES {
            let row = &mut |key: &[u8], value: &[u8]| {
                found.insert((table as u8, key.to_vec()), value.to_vec());
                true
            };
            self.db().scan(table, b"", row).unwrap();
        }
        found
    }

    fn check(&self) {
        assert!(self.read() == self.rows, "rows differ while the program goes on");
        assert_eq!(self.db().verify().unwrap(), []);
    }
}

/// The panics that a damaged page stands for are not worth a word each.
fn hush() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.payload().downcast_ref::<&str>() != Some(&DAMAGE) {
                hook(info);
            }
        }));
    });
}

#[test]
fn rows_are_those_of_a_state_that_was_answered_or_tried_last() {
    hush();
    for seed in 0..SEEDS {
        let mut model = Model::new(seed);
        for step in 0..STEPS {
            let what = model.chance.below(25);
            let before = (model.others.len(), model.failing);
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| match what {
                0..16 => model.apply(),
                16 | 17 => model.fail(),
                18 => model.heal(),
                19 => model.upset(),
                20 => model.check_structure(),
                21 => {
                    model.heal();
                    model.check();
                }
                22 => {
                    model.heal();
                    model.reopen();
                }
                _ => model.crash(),
            }));
            assert!(done.is_ok(), "seed {seed}, step {step}: {what} after {before:?}");
        }
    }
}

/// Each thread counts in a row of its own, while readers have the library's file dropped and opened
/// anew under them, and the power goes again and again: what was answered before it is there.
#[test]
fn what_is_answered_to_one_thread_is_not_undone_by_another() {
    hush();
    let disk = SimDisk::new();
    let db = Db::create(Arc::new(disk.clone())).unwrap();
    db.keep_sums(KEY, true).unwrap();
    db.begin_epoch().unwrap();
    let answered: [AtomicU64; 3] = Default::default();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for (thread, answered) in (0u8..).zip(&answered) {
            let (db, over) = (&db, &over);
            scope.spawn(move || {
                for n in 1..=100_000u64 {
                    let mut batch = Batch::new();
                    batch.put(Table::Log, [thread], n.to_be_bytes());
                    match n % 8 {
                        0 => db.apply(&batch).unwrap(),
                        _ => db.apply_quickly(&batch).unwrap(),
                    }
                    answered.store(n, Ordering::SeqCst);
                    if over.load(Ordering::SeqCst) {
                        break;
                    }
                }
            });
        }
        for round in 0..1000 {
            match round % 10 {
                0 => db.check_structure().unwrap(),
                _ => upset(&db),
            }
            let before = answered.each_ref().map(|n| n.load(Ordering::SeqCst));
            let found = Db::open(Arc::new(disk.crash_all_lost())).unwrap();
            found.keep_sums(KEY, false).unwrap();
            assert_eq!(found.verify().unwrap(), []);
            for (thread, before) in (0u8..).zip(before) {
                let row = found.get(Table::Log, &[thread]).unwrap();
                let n = row.map_or(0, |row| u64::from_be_bytes(row.try_into().unwrap()));
                assert!(n >= before, "{n} of {before}");
                let now = db.get(Table::Log, &[thread]).unwrap();
                assert!(now.is_some() || before == 0);
            }
        }
        over.store(true, Ordering::SeqCst);
    });
    assert_eq!(db.verify().unwrap(), []);
}
