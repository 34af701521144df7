//! Whether all honest devices of a world are one, and letting it come to that.

use coffer_sync::core::ChunkName;

use super::world::{Device, World};

impl World {
    /// Whether all that are there have the same events and statements, and every chunk that they want.
    pub fn is_one(&self) -> bool {
        let counts = |device: &&Device| !device.is_removed && device.lies.is_empty();
        let mut there = self.devices.iter().filter(counts);
        let Some(first) = there.next() else { return true };
        let (clock, heads) = (first.store.clock(), first.store.heads());
        let same = there.all(|device| device.store.clock() == clock && device.store.heads() == heads);
        // What was on a removed device alone, or was lost with a disk, is nowhere.
        let is_somewhere = |id: &ChunkName| {
            let mut there = self.devices.iter().filter(counts);
            there.any(|device| device.store.chunks.contains_key(id))
        };
        let mut whole = self.devices.iter().filter(counts);
        same && whole.all(|device| !device.store.missing().iter().any(is_somewhere))
    }

    /// Who lied and was ended for it comes back.
    fn liars_return(&mut self) {
        let is_there = |device: &Device| device.node.is_some() && !device.is_removed;
        let liars = (0..self.devices.len()).filter(|n| !self.devices[*n].lies.is_empty());
        for liar in liars.collect::<Vec<_>>() {
            for other in 0..self.devices.len() {
                let both = is_there(&self.devices[liar]) && is_there(&self.devices[other]);
                if both && other != liar && !self.is_connected(liar, other) {
                    self.connect(liar, other, 1 + liar as u64, 0);
                }
            }
        }
    }

    /// Lets things happen until all is one, so long at most; whether it is.
    pub fn converge(&mut self, most: u64) -> bool {
        let end = self.now + most;
        let mut step = 20;
        while self.now < end {
            if self.is_one() {
                return true;
            }
            self.run_until((self.now + step).min(end));
            self.liars_return();
            step = (step * 3 / 2).min(2_000);
        }
        self.is_one()
    }
}
