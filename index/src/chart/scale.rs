//! Scales of numbers: from where to where they go, and the round values on the way.
//!
//! Guarantees: a scale is finite and not empty whatever the values are (all equal, one, none, extremes); its ticks are
//! 1, 2 or 5 times a power of ten apart, rise, lie on it, and are no more than asked for.

use super::number;

/// Beyond this no value is drawn: differences of such would not be finite any more.
pub(super) const LARGEST: f64 = 1e300;

/// Whether a value can be drawn.
pub(super) fn drawable(value: f64) -> bool {
    value.abs() <= LARGEST
}

/// A mark at an axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    /// Where.
    pub(super) at: f64,
    /// What stands there.
    pub(super) label: String,
}

/// From where to where an axis goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    /// Its beginning.
    pub(super) from: f64,
    /// Its end, which is larger.
    pub(super) to: f64,
}

impl Scale {
    /// From the smallest to the largest of these values; around it, if it is but one.
    pub(super) fn over(values: impl Iterator<Item = f64>) -> Scale {
        let (mut from, mut to) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|value| drawable(*value)) {
            (from, to) = (from.min(value), to.max(value));
        }
        if from > to {
            (from, to) = (0.0, 1.0);
        }
        Scale { from, to }.opened()
    }

    /// From zero to the farthest of these values, on whichever sides they are.
    pub(super) fn from_zero(values: impl Iterator<Item = f64>) -> Scale {
        Scale::over(values.chain([0.0]))
    }

    /// The same with zero on it.
    fn with_zero(self) -> Scale {
        Scale {
            from: self.from.min(0.0),
            to: self.to.max(0.0),
        }
        .opened()
    }

    /// With zero on it where that costs less than half of the room.
    pub(super) fn with_near_zero(self) -> Scale {
        let (near, far) = (
            self.from.abs().min(self.to.abs()),
            self.from.abs().max(self.to.abs()),
        );
        if near <= far / 2.0 { self.with_zero() } else { self }
    }

    /// Not empty, and not finer than numbers of this size can tell.
    fn opened(self) -> Scale {
        let size = self.from.abs().max(self.to.abs());
        if size < 1e-300 {
            return Scale { from: 0.0, to: 1.0 };
        }
        if self.to - self.from > size * 1e-11 {
            return self;
        }
        Scale {
            from: self.from - size / 2.0,
            to: self.to + size / 2.0,
        }
    }

    /// Stretched to the round values around it, and those; one or two more than `count`, at most.
    pub(super) fn rounded(self, count: usize) -> (Scale, Vec<Tick>) {
        let step = step(self.to - self.from, count);
        let (from, to) = ((self.from / step).floor() * step, (self.to / step).ceil() * step);
        // Where rounding fails, at the ends of what numbers can say, the scale stays as it is.
        let fine = from.is_finite() && to.is_finite() && from <= self.from && to >= self.to;
        let scale = if fine { Scale { from, to } } else { self };
        (scale, scale.ticks_of(step, count + 2))
    }

    /// Where a value lies: 0 at the beginning, 1 at the end.
    pub(super) fn place(self, value: f64) -> f64 {
        ((value - self.from) / (self.to - self.from)).clamp(0.0, 1.0)
    }

    /// No more than `count` round values on it, but two are tried for.
    pub(super) fn ticks(self, count: usize) -> Vec<Tick> {
        self.ticks_of(step(self.to - self.from, count), count.max(2))
    }

    fn ticks_of(self, step: f64, count: usize) -> Vec<Tick> {
        let size = self.from.abs().max(self.to.abs());
        let slack = step * 1e-6;
        let first = (self.from / step - 1e-6).ceil();
        let mut ticks: Vec<Tick> = Vec::new();
        for index in 0..count {
            let at = (first + index as f64) * step;
            if at > self.to + slack || !at.is_finite() {
                break;
            }
            let at = if at.abs() < slack { 0.0 } else { at };
            if ticks.last().is_none_or(|last| last.at < at) {
                ticks.push(Tick {
                    at,
                    label: number::tick(at, step, size),
                });
            }
        }
        ticks
    }
}

/// The smallest of 1, 2 and 5 times a power of ten of which no more than `count` values lie in `span`.
pub(super) fn step(span: f64, count: usize) -> f64 {
    let least = span / count.saturating_sub(1).max(1) as f64;
    let power = 10f64.powf(least.log10().floor());
    let found = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= least * (1.0 - 1e-9))
        .unwrap_or(least);
    if found.is_normal() { found } else { least }
}
