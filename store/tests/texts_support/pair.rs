//! Two devices, with events carried between them by hand. No network.

use coffer_store::vault::Identity;

use super::Bench;

/// Two devices with the same vault, and how far each has the other's events.
pub struct Pair {
    pub one: Bench,
    pub two: Bench,
    pub had: [u64; 2],
}

impl Pair {
    /// Both have these notes.
    pub fn new(notes: &[(&str, &str)]) -> Pair {
        let one = Bench::new();
        for (name, text) in notes {
            one.save(1, name, text);
        }
        one.vault.commit().unwrap();
        let two = Bench::on(one.disk.crash_all_kept(), Identity::NewDevice);
        let told = one.vault.told_after(0).unwrap();
        let last = told.last().map_or(0, |carried| carried.row.last().unwrap());
        Pair {
            one,
            two,
            had: [last, 0],
        }
    }

    /// What the one told comes to the other.
    pub fn carry(&mut self, to_two: bool) {
        let (from, to, had) = match to_two {
            true => (&self.one, &self.two, &mut self.had[0]),
            false => (&self.two, &self.one, &mut self.had[1]),
        };
        from.vault.commit().unwrap();
        for carried in from.vault.told_after(*had).unwrap() {
            to.vault.take_in(&from.vault.device(), &carried).unwrap();
            *had = carried.row.last().unwrap();
        }
    }

    pub fn meet(&mut self) {
        // What each makes of the other's comes across too.
        for _ in 0..2 {
            self.carry(true);
            self.carry(false);
        }
    }

    pub fn both(&self, name: &str) -> String {
        assert_eq!(self.one.text(name), self.two.text(name));
        self.one.text(name)
    }

    pub fn check(&self) {
        self.one.check();
        self.two.check();
    }
}
