//! What devices failed at: who was found wanting is asked after all others, also when it comes back in a new session.
//!
//! Guarantees: bounded memory, whoever comes and goes. It ends nothing, and nobody is never asked again.

use std::collections::BTreeMap;

use crate::core::{Millis, PeerId};

/// Devices that are kept in mind.
const MOST: usize = 1_024;
/// One failure is forgotten in so many milliseconds.
const FORGET: u64 = 60_000;

/// How often each device was found wanting lately.
#[derive(Default)]
pub(super) struct Trust(BTreeMap<PeerId, (u32, Millis)>);

impl Trust {
    /// How often it failed, lately.
    pub(super) fn failures(&self, peer: &PeerId, now: Millis) -> u32 {
        let Some((count, at)) = self.0.get(peer) else {
            return 0;
        };
        let forgotten = u32::try_from(now.saturating_sub(*at) / FORGET).unwrap_or(u32::MAX);
        count.saturating_sub(forgotten)
    }

    /// It failed.
    pub(super) fn blame(&mut self, peer: PeerId, now: Millis) {
        let count = self.failures(&peer, now).saturating_add(1);
        self.0.insert(peer, (count, now));
        if self.0.len() > MOST {
            let least = self.0.keys().min_by_key(|peer| self.failures(peer, now)).copied();
            least.map(|peer| self.0.remove(&peer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards the memory, and that failures are forgotten.
    #[test]
    fn failures_are_bounded_and_forgotten() {
        let mut trust = Trust::default();
        for n in 0..5_000u32 {
            let mut peer = [0; 32];
            peer[..4].copy_from_slice(&n.to_le_bytes());
            trust.blame([9; 32], 5);
            trust.blame(peer, 5);
        }
        assert!(trust.0.len() <= MOST);
        assert_eq!(trust.failures(&[9; 32], 5), 5_000);
        assert_eq!(trust.failures(&[9; 32], 5 + 4_999 * FORGET), 1);
        assert_eq!(trust.failures(&[9; 32], 5 + 9_000 * FORGET), 0);
    }
}
