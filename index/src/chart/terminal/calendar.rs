//! Years as weeks and weekdays, the darker the more there is on a day.
//!
//! Guarantees: a band for each year, in pieces where the terminal is too narrow for its weeks; shades are told apart
//! by signs, not by colours.

use super::super::model::Calendar;
use super::super::number::Format;
use super::super::weeks::{self, NAMED, Shades, YEARS_MAX};
use super::super::{text, time};
use super::row::{Page, Paint};

const SIGNS: [char; 5] = ['·', '░', '▒', '▓', '█'];

/// Room for the weekdays' names.
const MARGIN: usize = 5;

/// A year has no more weeks, counted from Monday.
const WEEKS: usize = 54;

/// The bands of all years.
pub(super) fn calendar(page: &mut Page, calendar: &Calendar, notes: &mut Vec<String>) {
    let shades = Shades::of(calendar);
    let (years, left) = weeks::years(calendar, YEARS_MAX);
    let wide = page.width.saturating_sub(MARGIN);
    // Two columns a day where there is room: days are square then.
    let cell = if wide >= 2 * WEEKS { 2 } else { 1 };
    // Where a year takes several pieces, they are equally long.
    let pieces = WEEKS.div_ceil((wide / cell).clamp(1, WEEKS));
    let room = WEEKS.div_ceil(pieces);
    for year in years {
        let mut begin = 0;
        while begin < WEEKS {
            let end = (begin + room).min(WEEKS);
            band(page, calendar, &shades, year, begin..end, cell);
            begin = end;
        }
    }
    legend(page, calendar, &shades);
    if left > 0 {
        notes.push(format!(
            "{} not shown.",
            text::count(left, "earlier year is", "earlier years are")
        ));
    }
}

/// Some weeks of a year; nothing, if it has none of them.
fn band(
    page: &mut Page,
    calendar: &Calendar,
    shades: &Shades,
    year: i16,
    span: std::ops::Range<usize>,
    cell: usize,
) {
    let mut signs = vec![vec![' '; span.len()]; 7];
    let mut any = false;
    for day in weeks::days(year) {
        let (week, weekday) = weeks::place(day);
        if span.contains(&week) {
            let shade = shades.shade(calendar.days.get(&day).copied().unwrap_or(0.0));
            signs[weekday][week - span.start] = SIGNS[shade];
            any = true;
        }
    }
    if !any {
        return;
    }
    let mut months = String::new();
    for (month, week) in weeks::months(year)
        .into_iter()
        .filter(|(_, week)| span.contains(week))
    {
        let at = (week - span.start) * cell;
        if (months.is_empty() || text::width(&months) < at) && at + 3 <= span.len() * cell {
            months = text::left(&months, at) + time::MONTHS[month];
        }
    }
    page.row()
        .push(Paint::Bold, &text::left(&year.to_string(), MARGIN))
        .push(Paint::Faint, &months);
    for (weekday, signs) in signs.into_iter().enumerate() {
        let name = NAMED
            .iter()
            .find(|named| named.0 == weekday)
            .map_or("", |named| named.1);
        let days: String = signs
            .into_iter()
            .flat_map(|sign| [sign, ' '].into_iter().take(cell))
            .collect();
        page.row()
            .push(Paint::Faint, &text::left(name, MARGIN))
            .push(Paint::Series(0), &days);
    }
    page.row();
}

/// From where on a day has which shade.
fn legend(page: &mut Page, calendar: &Calendar, shades: &Shades) {
    let format = Format::of(shades.bounds().map(|bound| bound.1));
    page.row()
        .push(Paint::Faint, calendar.name.as_deref().unwrap_or("rows"));
    let mut meanings = vec![(Paint::Series(0), SIGNS[0], "none".to_owned())];
    for (shade, bound) in shades.bounds() {
        meanings.push((
            Paint::Series(0),
            SIGNS[shade],
            format!("{}+", format.write(bound)),
        ));
    }
    page.legend(&meanings);
}
