//! Columns of a change, value by value: run lengths, differences, and truth values in turns.
//!
//! Guarantees: constant memory, whatever a run claims; a caller that asks for `n` values does
//! `n` steps. It never looks at more than the column's own bytes.

use super::Refused;
use super::input::Input;

/// A column of integers in run lengths, where a value can be missing (null). A column without
/// bytes is missing throughout.
pub(super) struct Runs<'a> {
    input: Input<'a>,
    /// Whether values are signed.
    signed: bool,
    absent: bool,
    left: u64,
    /// The run's value; none while it is literal.
    run: Option<Option<i64>>,
}

impl<'a> Runs<'a> {
    pub(super) fn unsigned(bytes: &'a [u8]) -> Runs<'a> {
        Runs {
            input: Input::new(bytes),
            signed: false,
            absent: bytes.is_empty(),
            left: 0,
            run: None,
        }
    }

    fn value(&mut self) -> Result<i64, Refused> {
        if self.signed {
            return self.input.signed();
        }
        i64::try_from(self.input.unsigned()?).map_err(|_| Refused("a number is too large"))
    }

    /// Reads the next run's head. A count above zero is a run of one value, below zero so many
    /// values one by one, and zero stands before a count of nulls.
    fn head(&mut self) -> Result<(), Refused> {
        let count = self.input.signed()?;
        (self.left, self.run) = match count {
            1.. => (count.unsigned_abs(), Some(Some(self.value()?))),
            0 => (self.input.unsigned()?, Some(None)),
            _ => (count.unsigned_abs(), None),
        };
        if self.left == 0 {
            return Err(Refused("a run is empty"));
        }
        Ok(())
    }

    /// The next value. The column must have one.
    pub(super) fn next(&mut self) -> Result<Option<i64>, Refused> {
        if self.absent {
            return Ok(None);
        }
        if self.left == 0 {
            self.head()?;
        }
        self.left -= 1;
        match self.run {
            Some(value) => Ok(value),
            None => Ok(Some(self.value()?)),
        }
    }

    /// The next value, which may not be missing.
    pub(super) fn some(&mut self) -> Result<i64, Refused> {
        self.next()?.ok_or(Refused("a value is missing"))
    }

    /// How many values the column has: added up from run lengths, without counting through
    /// them. `most` is the limit.
    pub(super) fn count(mut self, most: u64) -> Result<u64, Refused> {
        let mut total = 0u64;
        while !self.input.is_empty() {
            self.head()?;
            total = total.saturating_add(self.left);
            if total > most {
                return Err(Refused("it has more operations than any edit of a text"));
            }
            if self.run.is_none() {
                // Values one by one take a byte each at least: this ends with the bytes.
                for _ in 0..self.left {
                    self.value()?;
                }
            }
        }
        Ok(total)
    }

    /// That nothing is left.
    pub(super) fn end(&self) -> Result<(), Refused> {
        if self.left == 0 && self.input.is_empty() {
            Ok(())
        } else {
            Err(Refused("a column is longer than the others"))
        }
    }
}

/// A column of integers, each as its difference to the one before.
pub(super) struct Deltas<'a> {
    runs: Runs<'a>,
    last: i64,
}

impl<'a> Deltas<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Deltas<'a> {
        let mut runs = Runs::unsigned(bytes);
        runs.signed = true;
        Deltas { runs, last: 0 }
    }

    /// The next value, which may not be missing, nor below zero.
    pub(super) fn some(&mut self) -> Result<u64, Refused> {
        let sum = self.last.checked_add(self.runs.some()?);
        self.last = sum.ok_or(Refused("a number is too large"))?;
        u64::try_from(self.last).map_err(|_| Refused("a counter is below zero"))
    }

    pub(super) fn end(&self) -> Result<(), Refused> {
        self.runs.end()
    }
}

/// A column of truth values: how often false, then true, then false …
pub(super) struct Turns<'a> {
    input: Input<'a>,
    value: bool,
    first: bool,
    left: u64,
}

impl<'a> Turns<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Turns<'a> {
        Turns {
            input: Input::new(bytes),
            value: true,
            first: true,
            left: 0,
        }
    }

    /// The next value. The column must have one.
    pub(super) fn next(&mut self) -> Result<bool, Refused> {
        while self.left == 0 {
            self.left = self.input.unsigned()?;
            if self.left == 0 && !self.first {
                return Err(Refused("a run is empty"));
            }
            (self.value, self.first) = (!self.value, false);
        }
        self.left -= 1;
        Ok(self.value)
    }

    pub(super) fn end(&self) -> Result<(), Refused> {
        if self.left == 0 && self.input.is_empty() {
            Ok(())
        } else {
            Err(Refused("a column is longer than the others"))
        }
    }
}
