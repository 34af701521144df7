//! How long either end of a pairing waits for the other.
//!
//! Guarantees: who has not proved the ticket is let go after [`PROOF`], whatever it does. From then on time is bought by what goes over the stream: a link
//! that moves a kilobyte a second is slow, and none that has broken. All of it ends after [`PAIRING_SECONDS`].

use std::time::Duration;

use tokio::time::Instant;

use crate::pairing::PAIRING_SECONDS;

/// How long all may take until the ticket is proved; waiting for a turn is part of it.
const PROOF: Duration = Duration::from_secs(38);
/// How long nothing may move after that: the other end may be making its vault's keys, on a slow machine.
const STILL: Duration = Duration::from_secs(60);
/// What was written lies in buffers of both machines and of what is between them: each byte of it buys so much more.
const BYTE: Duration = Duration::from_millis(1);

/// See the module.
pub(super) struct Patience {
    begun: Instant,
    proved: bool,
    until: Instant,
    /// Bytes that this end wrote since it last heard of the other.
    unheard: u32,
}

impl Patience {
    pub(super) fn new(now: Instant) -> Patience {
        Patience {
            begun: now,
            proved: false,
            until: now + PROOF,
            unheard: 0,
        }
    }

    /// The ticket is proved.
    pub(super) fn proved(&mut self, now: Instant) {
        self.proved = true;
        self.renew(now);
    }

    /// This end wrote so many bytes, or has done what was its own to do.
    pub(super) fn wrote(&mut self, now: Instant, bytes: usize) {
        self.unheard = self
            .unheard
            .saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
        self.renew(now);
    }

    /// Something came.
    pub(super) fn heard(&mut self, now: Instant) {
        self.unheard = 0;
        self.renew(now);
    }

    fn renew(&mut self, now: Instant) {
        if self.proved {
            let most = self.begun + Duration::from_secs(PAIRING_SECONDS);
            self.until = (now + STILL + BYTE * self.unheard).min(most);
        }
    }

    /// When it ends.
    pub(super) fn until(&self) -> Instant {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(patience: &Patience) -> u64 {
        patience.until().duration_since(patience.begun).as_secs()
    }

    /// Guards a guest without a ticket: whatever it sends buys it nothing.
    #[test]
    fn without_a_proof_nothing_buys_time() {
        let begun = Instant::now();
        let mut patience = Patience::new(begun);
        for second in 0..38 {
            patience.heard(begun + Duration::from_secs(second));
            patience.wrote(begun + Duration::from_secs(second), 1 << 20);
        }
        assert_eq!(after(&patience), 38);
    }

    /// Guards slow links: what moves buys time, both ways, what lies in buffers too; silence ends it, and so does a quarter of an hour.
    #[test]
    fn what_moves_buys_time() {
        let begun = Instant::now();
        let at = |second| begun + Duration::from_secs(second);
        let mut patience = Patience::new(begun);
        patience.proved(at(30));
        assert_eq!(after(&patience), 90);
        for second in (60..600).step_by(50) {
            patience.heard(at(second));
            assert_eq!(after(&patience), second + 60);
        }
        // 200 kB that were written at once need 200 seconds at a kilobyte each.
        for _ in 0..100 {
            patience.wrote(at(600), 2_000);
        }
        assert_eq!(after(&patience), 860);
        patience.wrote(at(700), 1 << 30);
        assert_eq!(after(&patience), PAIRING_SECONDS);
        patience.heard(at(890));
        assert_eq!(after(&patience), PAIRING_SECONDS);
    }
}
