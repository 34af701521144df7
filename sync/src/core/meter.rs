//! Rates by given time: a token bucket, and how fast bytes went lately.

use super::Millis;

/// Lets so many bytes pass in a second, or any number.
#[derive(Default)]
pub(crate) struct Bucket {
    rate: Option<u64>,
    /// Bytes that may pass; below zero after a frame that was larger than what was left.
    tokens: i64,
    at: Millis,
}

/// The least burst, in bytes: any frame goes out at some time.
const BURST: u64 = 64 << 10;

impl Bucket {
    /// From now on so many bytes in a second.
    pub(crate) fn set(&mut self, now: Millis, rate: Option<u64>) {
        self.rate = rate.map(|rate| rate.max(1));
        self.tokens = 0;
        self.at = now;
    }

    /// What may pass now; below one: nothing.
    pub(crate) fn left(&mut self, now: Millis) -> i64 {
        let Some(rate) = self.rate else { return i64::MAX };
        let gone = now.saturating_sub(self.at);
        let came = u128::from(rate) * u128::from(gone) / 1_000;
        if came > 0 {
            // What is less than a byte is not lost: the time stays until it is one.
            let burst = i64::try_from((rate / 4).max(BURST)).unwrap_or(i64::MAX);
            let came = i64::try_from(came).unwrap_or(i64::MAX);
            self.tokens = self.tokens.saturating_add(came).min(burst);
            self.at = now;
        }
        self.tokens
    }

    /// So many passed.
    pub(crate) fn take(&mut self, bytes: u64) {
        if self.rate.is_some() {
            let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
            self.tokens = self.tokens.saturating_sub(bytes);
        }
    }

    pub(crate) fn is_limited(&self) -> bool {
        self.rate.is_some()
    }

    /// Bytes in a second.
    pub(crate) fn rate(&self) -> Option<u64> {
        self.rate
    }
}

/// How many bytes went in a second, the last few seconds counting most.
#[derive(Default)]
pub(crate) struct Rate {
    sum: f64,
    at: Millis,
    since: Option<Millis>,
}

/// Milliseconds in which what went before counts half as much.
const HALF: f64 = 3_000.0;

impl Rate {
    pub(crate) fn add(&mut self, now: Millis, bytes: u64) {
        self.fade(now);
        self.since.get_or_insert(now);
        self.sum += bytes as f64;
    }

    /// Bytes in a second.
    pub(crate) fn per_second(&mut self, now: Millis) -> u64 {
        self.fade(now);
        let Some(since) = self.since else { return 0 };
        // A steady flow of r bytes a millisecond comes to r · HALF / ln 2; to less while it is young.
        let age = now.saturating_sub(since).max(250) as f64;
        let full = 1.0 - (-age / HALF).exp2();
        (self.sum * std::f64::consts::LN_2 / HALF * 1_000.0 / full) as u64
    }

    fn fade(&mut self, now: Millis) {
        let gone = now.saturating_sub(self.at) as f64;
        self.sum *= (-gone / HALF).exp2();
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards the limit: over any stretch no more passes than the rate allows, and one burst.
    #[test]
    fn a_bucket_lets_its_rate_pass() {
        let mut bucket = Bucket::default();
        bucket.set(0, Some(100_000));
        let mut passed = 0u64;
        for now in 0..20_000 {
            while bucket.left(now) > 0 {
                bucket.take(30_000);
                passed += 30_000;
            }
        }
        assert!(
            (1_950_000..=2_000_000 + 65_536 + 30_000).contains(&passed),
            "{passed}"
        );
        // A slow one counts what is less than a byte a millisecond, too.
        bucket.set(0, Some(10));
        for now in 0..=10_000 {
            bucket.left(now);
        }
        assert_eq!(bucket.left(10_000), 100);
    }

    /// Guards the figure shown to people.
    #[test]
    fn a_steady_flow_has_its_rate() {
        let mut rate = Rate::default();
        for now in 0..30_000 {
            rate.add(now, 1_000);
            let shown = rate.per_second(now);
            assert!(now < 1_000 || (950_000..=1_050_000).contains(&shown), "{shown}");
        }
        assert!(rate.per_second(60_000) < 2_000);
    }
}
