//! What the suites of the relay have in common: the relay as a process of its own (`relay`), devices as real
//! libp2p nodes (`device`), and a wire between them that remembers what passed (`wire`).
//!
//! Everything runs on loopback, on ports that the system chooses. Whatever waits has a bound, and says what
//! it waited for.
#![allow(dead_code, unreachable_pub, reason = "no suite uses all of it")]

pub mod device;
pub mod relay;
pub mod wire;

use std::time::Duration;

/// After which a wait is a failure. Nothing takes so long unless it hangs.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for something, or fails with what it was.
pub async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => done,
        Err(_) => panic!("waited in vain for: {what}"),
    }
}

/// Asks again and again until it is so.
pub async fn until(what: &str, mut is: impl FnMut() -> bool) {
    within(what, async {
        while !is() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}
