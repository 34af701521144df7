//! Bins of a histogram: how numbers are counted by size.
//!
//! Guarantees: each value is in one bin; edges are round numbers and equally far apart; 1 to [`BINS_MAX`] bins and two
//! at the most beside them, whatever the values are.

use super::number;
use super::scale::{Scale, step};

/// More bins say no more.
const BINS_MAX: usize = 30;

/// Whole numbers no further apart than this have a bin each.
const SINGLE_MAX: f64 = 20.0;

/// Numbers counted by size.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bins {
    /// Where bins begin and end; one more than there are bins.
    pub(super) edges: Vec<f64>,
    /// How many values are in each.
    pub(super) counts: Vec<u64>,
    /// Whether all values are whole numbers, so that a bin ends before the next begins.
    whole: bool,
}

impl Bins {
    /// Counts finite values; the width of bins goes by Freedman and Diaconis, rounded.
    pub(super) fn of(mut values: Vec<f64>) -> Bins {
        values.sort_by(f64::total_cmp);
        let whole = values
            .iter()
            .all(|value| value.fract() == 0.0 && value.abs() < 1e15);
        let scale = match (values.first(), values.last()) {
            (Some(first), Some(last)) if whole && first == last => Scale {
                from: *first,
                to: first + 0.5,
            },
            _ => Scale::over([values.first(), values.last()].into_iter().flatten().copied()),
        };
        let span = scale.to - scale.from;
        let number = values.len().max(1) as f64;
        let quartile = |part: f64| {
            values
                .get((part * (number - 1.0)) as usize)
                .copied()
                .unwrap_or(0.0)
        };
        let width = 2.0 * (quartile(0.75) - quartile(0.25)) / number.cbrt();
        // Where half of the values are equal that says nothing; Sturges' rule knows only how many there are.
        let count = if width > span * 1e-9 {
            span / width
        } else {
            number.log2() + 1.0
        };
        let mut width = step(span, count.ceil().clamp(1.0, BINS_MAX as f64) as usize + 1);
        if whole {
            // Few whole numbers are counted each.
            width = if span <= SINGLE_MAX {
                1.0
            } else {
                width.max(1.0).round()
            };
        }
        let first = (scale.from / width).floor();
        let mut edges = vec![first * width];
        while edges.len() < BINS_MAX + 3
            && (edges.len() < 2 || past(*edges.last().unwrap_or(&0.0), scale.to, whole))
        {
            edges.push((first + edges.len() as f64) * width);
        }
        let mut counts = vec![0; edges.len() - 1];
        for value in values {
            let bin = edges.partition_point(|edge| *edge <= value);
            counts[bin.saturating_sub(1).min(edges.len() - 2)] += 1;
        }
        Bins { edges, counts, whole }
    }

    /// What a bin is called: `10–19`, or `0.5–1`.
    pub(super) fn label(&self, bin: usize) -> String {
        let (from, to) = (self.edges[bin], self.edges[bin + 1]);
        let (width, size) = (to - from, self.size());
        if !self.whole {
            return format!(
                "{} – {}",
                number::tick(from, width, size),
                number::tick(to, width, size)
            );
        }
        // Every number of whole ones is written in full, so that an end can be told from the next beginning.
        let write = |value: f64| number::Format::Fixed(0).write(value);
        if width == 1.0 {
            write(from)
        } else {
            format!("{} – {}", write(from), write(to - 1.0))
        }
    }

    /// Whether each bin is one number.
    pub(super) fn single(&self) -> bool {
        self.whole && self.edges[1] - self.edges[0] == 1.0
    }

    fn size(&self) -> f64 {
        self.edges.iter().fold(0.0, |size, edge| size.max(edge.abs()))
    }
}

/// Whether the last edge leaves something beyond it: of whole numbers the last is no end, but a beginning.
fn past(edge: f64, last: f64, whole: bool) -> bool {
    if whole { edge <= last } else { edge < last }
}
