//! Years as weeks and weekdays.
//!
//! Guarantees: all days of a year are there; days are square; years that do not fit are the earliest, and are said.

use super::super::model::Calendar;
use super::super::number::Format;
use super::super::weeks::{self, NAMED, Shades};
use super::super::{text, time};
use super::shape::{Anchor, Area, Paint, SIZE, Scene, Shape, width};

const WEEKS: f64 = 54.0;
/// Room for the weekdays' names.
const MARGIN: f64 = 40.0;
/// Room for the months' names, and between bands.
const HEAD: f64 = 22.0;
const GAP: f64 = 14.0;
/// What the legend takes beyond the last gap.
const LEGEND: f64 = 4.0;
/// A day is no smaller than this, if the years have to be fewer for it.
const LEAST: f64 = 6.0;

/// How high so many bands look best.
pub(super) fn natural_height(width: f64, bands: usize) -> f64 {
    let cell = ((width - MARGIN) / WEEKS).clamp(LEAST, 18.0);
    bands as f64 * (HEAD + 7.0 * cell + GAP) + LEGEND
}

pub(super) fn calendar(scene: &mut Scene, area: Area, calendar: &Calendar, notes: &mut Vec<String>) {
    let shades = Shades::of(calendar);
    let room = area.height() - LEGEND;
    let (years, left) = weeks::years(calendar, ((room / (HEAD + 7.0 * LEAST + GAP)) as usize).max(1));
    if left > 0 {
        notes.push(format!(
            "{} not shown.",
            text::count(left, "earlier year is", "earlier years are")
        ));
    }
    let high = (room / years.len().max(1) as f64 - HEAD - GAP) / 7.0;
    let cell = high.min((area.width() - MARGIN) / WEEKS).clamp(1.0, 18.0);
    let format = Format::of(calendar.days.values().copied());
    let mut top = area.top;
    for year in years {
        scene.text(
            Shape::label(area.left, top + 11.0, Anchor::Start),
            &year.to_string(),
            MARGIN,
        );
        let x = |week: usize| area.left + MARGIN + cell * week as f64;
        for (month, week) in weeks::months(year) {
            // From one month to the next are at least four weeks.
            let place = Shape::mark(x(week), top + 11.0, Anchor::Start);
            scene.text(place, time::MONTHS[month], cell * 4.0);
        }
        let first = top + HEAD - 4.0;
        for (weekday, name) in NAMED {
            if cell * 2.0 >= SIZE {
                let place = Shape::mark(
                    area.left,
                    first + cell * (weekday as f64 + 0.5) + SIZE * 0.35,
                    Anchor::Start,
                );
                scene.text(place, name, MARGIN);
            }
        }
        for day in weeks::days(year) {
            let (week, weekday) = weeks::place(day);
            let value = calendar.days.get(&day).copied();
            let tip = value.map(|value| format!("{day}: {}", format.write(value)));
            let shade = shades.shade(value.unwrap_or(0.0));
            square(scene, x(week), first + cell * weekday as f64, cell, shade, tip);
        }
        top += HEAD + 7.0 * cell + GAP;
    }
    legend(
        scene,
        Area {
            top: top - GAP + 12.0,
            ..area
        },
        calendar,
        &shades,
    );
}

fn square(scene: &mut Scene, x: f64, y: f64, cell: f64, shade: usize, tip: Option<String>) {
    let side = cell * 0.86;
    let round = (cell / 6.0).min(2.5);
    scene.shapes.push(Shape::Rect {
        x,
        y,
        width: side,
        height: side,
        round,
        paint: Paint::Shade(shade),
        tip,
    });
}

/// From where on a day has which shade.
fn legend(scene: &mut Scene, area: Area, calendar: &Calendar, shades: &Shades) {
    let format = Format::of(shades.bounds().map(|bound| bound.1));
    let name = calendar.name.as_deref().unwrap_or("rows");
    let mut x = area.left + MARGIN;
    let mut write = |scene: &mut Scene, shade: Option<usize>, words: &str| {
        let wide = width(words) + shade.map_or(0.0, |_| 17.0);
        if x + wide > area.right {
            return;
        }
        if let Some(shade) = shade {
            square(scene, x, area.top - 9.0, 13.0, shade, None);
        }
        let begin = x + wide - width(words);
        scene.text(
            Shape::mark(begin, area.top + 1.0, Anchor::Start),
            words,
            width(words) + 0.5,
        );
        x += wide + 14.0;
    };
    write(scene, None, name);
    write(scene, Some(0), "none");
    for (shade, bound) in shades.bounds() {
        write(scene, Some(shade), &format!("{}+", format.write(bound)));
    }
}
