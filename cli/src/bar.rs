//! The progress line: how far, how fast, and, where the end is known, a bar and the time left.
//! Pure: what is shown depends on nothing but what is given.

use crate::units::{count, size, span};
use crate::wire::Progress;
use std::time::Duration;

/// Cells of the bar.
const CELLS: usize = 10;
/// What a file costs beside its bytes, as bytes: a thousand small ones take as long as a few large.
const FILE: f64 = 16384.0;
/// Before this, the time left would be a guess.
const WARM: Duration = Duration::from_secs(1);

/// The line for a progress that has taken so long; below 80 columns for all that is likely.
pub(crate) fn line(progress: &Progress, elapsed: Duration) -> String {
    let out_of = progress.total.map(|total| format!(" of {}", count(total)));
    let mut line = format!(
        "{}{} {}, {}",
        count(progress.done),
        out_of.unwrap_or_default(),
        progress.what,
        size(progress.bytes)
    );
    if elapsed >= WARM && progress.bytes > 0 {
        let rate = progress.bytes as f64 / elapsed.as_secs_f64();
        line.push_str(&format!(", {}/s", size(rate as u64)));
    }
    let Some(part) = part(progress) else { return line };
    if elapsed >= WARM && part > 0.0 && part < 1.0 {
        let left = elapsed.as_secs_f64() * (1.0 - part) / part;
        // More than a year is not worth a number, and would be none for `Duration`.
        if left < 3.0e7 {
            line.push_str(&format!(", {} left", span(Duration::from_secs_f64(left))));
        }
    }
    let full = (part * CELLS as f64) as usize;
    let (done, rest) = ("#".repeat(full), "-".repeat(CELLS - full));
    format!("[{done}{rest}] {line}")
}

/// Which part is done, from 0 to 1, if the end is known.
fn part(progress: &Progress) -> Option<f64> {
    let total = progress.total? as f64;
    let (done, all) = match progress.total_bytes {
        Some(bytes) => (
            progress.bytes as f64 + FILE * progress.done as f64,
            bytes as f64 + FILE * total,
        ),
        None => (progress.done as f64, total),
    };
    (all > 0.0).then(|| (done / all).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(done: u64, bytes: u64, total: Option<(u64, u64)>) -> Progress {
        Progress {
            what: "files".into(),
            done,
            total: total.map(|(files, _)| files),
            bytes,
            total_bytes: total.map(|(_, bytes)| bytes),
        }
    }

    /// Guards rate and time left: half of the bytes in ten seconds leaves ten more.
    #[test]
    fn half_way_takes_as_long_again() {
        let half = progress(1, 50 << 30, Some((2, 100 << 30)));
        let line = line(&half, Duration::from_secs(10));
        assert_eq!(line, "[#####-----] 1 of 2 files, 50.0 GiB, 5.0 GiB/s, 10 s left");
        assert!(line.len() < 80);
    }

    /// Guards what is not known: no bar without an end, nothing guessed at the start, and no
    /// panic at the edges.
    #[test]
    fn nothing_is_made_up() {
        let none = progress(3, 4096, None);
        assert_eq!(line(&none, Duration::ZERO), "3 files, 4.0 KiB");
        let empty = progress(0, 0, Some((0, 0)));
        assert_eq!(line(&empty, Duration::from_secs(9)), "0 of 0 files, 0 B");
        let more = progress(9, 900, Some((3, 100)));
        assert!(line(&more, Duration::from_secs(2)).starts_with("[##########] "));
        let slow = progress(0, 1, Some((u64::MAX, u64::MAX)));
        assert!(!line(&slow, Duration::from_secs(86_400)).contains("left"));
    }
}
