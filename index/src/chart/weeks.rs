//! How a calendar lies: a band for each year, its weeks, and how dark each day is.
//!
//! Guarantees: weeks begin on Monday; each day of a year is in one place of its band; at most [`YEARS_MAX`] bands.
//! Shades are five: none, and a quarter each of the days on which there is something.

use jiff::civil::Date;

use super::model::Calendar;

/// More bands nobody looks through.
pub(super) const YEARS_MAX: usize = 12;

/// The years to be drawn, and how many earlier ones with days are not.
pub(super) fn years(calendar: &Calendar, most: usize) -> (Vec<i16>, usize) {
    let mut years: Vec<i16> = calendar.days.keys().map(|day| day.year()).collect();
    years.dedup();
    let left = years.len().saturating_sub(most.min(YEARS_MAX));
    (years.split_off(left), left)
}

/// Where a day lies in its year's band: week and weekday, Monday first.
pub(super) fn place(day: Date) -> (usize, usize) {
    let weekday = weekday(day);
    let first = weekday_of_first(day.year());
    let week = (usize::from(day.day_of_year().unsigned_abs()) - 1 + first) / 7;
    (week, weekday)
}

fn weekday(day: Date) -> usize {
    usize::from(day.weekday().to_monday_zero_offset().unsigned_abs())
}

fn weekday_of_first(year: i16) -> usize {
    Date::new(year, 1, 1).map_or(0, weekday)
}

/// The days of a year.
pub(super) fn days(year: i16) -> impl Iterator<Item = Date> {
    let last = Date::new(year, 12, 31).ok();
    let mut next = Date::new(year, 1, 1).ok();
    std::iter::from_fn(move || {
        let day = next?;
        next = if Some(day) == last {
            None
        } else {
            day.tomorrow().ok()
        };
        Some(day)
    })
}

/// The week in which each month begins, with its number from 0.
pub(super) fn months(year: i16) -> Vec<(usize, usize)> {
    (1..=12)
        .filter_map(|month| {
            Some((
                usize::try_from(month).ok()? - 1,
                place(Date::new(year, month, 1).ok()?).0,
            ))
        })
        .collect()
}

/// Weekdays that are named beside a band.
pub(super) const NAMED: [(usize, &str); 3] = [(0, "Mon"), (2, "Wed"), (4, "Fri")];

/// Where the shades begin: the smallest value of each of the four.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shades(Vec<f64>);

impl Shades {
    /// The shades of these days.
    pub(super) fn of(calendar: &Calendar) -> Shades {
        let mut values: Vec<f64> = calendar
            .days
            .values()
            .copied()
            .filter(|value| *value > 0.0)
            .collect();
        values.sort_by(f64::total_cmp);
        let mut distinct = values.clone();
        distinct.dedup();
        if distinct.len() <= 4 {
            return Shades(distinct);
        }
        let mut bounds: Vec<f64> = (0..4).map(|part| values[part * values.len() / 4]).collect();
        bounds.dedup();
        Shades(bounds)
    }

    /// 0 for nothing, 1 for little, up to 4.
    pub(super) fn shade(&self, value: f64) -> usize {
        match self.0.partition_point(|bound| *bound <= value) {
            0 => 0,
            // Fewer than four shades are the darker ones, so that one alone is dark.
            found => found + 4 - self.0.len(),
        }
    }

    /// Each shade that occurs, and the smallest value that has it.
    pub(super) fn bounds(&self) -> impl Iterator<Item = (usize, f64)> {
        let first = 5 - self.0.len();
        self.0
            .iter()
            .enumerate()
            .map(move |(index, bound)| (first + index, *bound))
    }
}
