//! How much text waits to be taken apart.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::super::flow::Flow;

/// Guards that who puts waits while too much lies there, and goes on when half of it is done.
#[test]
fn too_much_waits() {
    let flow = Flow::new(100_000, Duration::from_secs(3600));
    let is_begun = AtomicBool::new(false);
    // Each file counts 2,048 bytes more.
    flow.put(197_952);
    std::thread::scope(|scope| {
        let putting = scope.spawn(|| {
            is_begun.store(true, Ordering::SeqCst);
            flow.put(1);
        });
        while !is_begun.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        // From 200,000 down to 50,001, slowly: who does not wait has long gone on by then.
        flow.begin();
        for bytes in [50_000, 50_000, 47_951] {
            for _ in 0..1000 {
                std::thread::yield_now();
                assert!(!putting.is_finished());
            }
            flow.take(bytes);
        }
        assert!(!putting.is_finished());
        flow.take(1);
        putting.join().expect("put");
    });
}

/// Guards that nobody waits for ever for a thread that has died, nor for what was forgotten.
#[test]
fn nobody_waits_for_ever() {
    let flow = Flow::new(10, Duration::from_millis(1));
    for _ in 0..3 {
        flow.put(100);
    }
    let flow = Flow::new(10, Duration::from_secs(3600));
    flow.put(100);
    flow.clear();
    flow.put(100);
}
