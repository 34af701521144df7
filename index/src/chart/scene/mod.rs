//! Where everything stands in a picture: shapes and texts in dots, computed once for SVG and PNG.
//!
//! Guarantees: texts do not overlap and are cut to their room, as far as widths of the carried font tell; nothing
//! stands outside of the picture but in ones too small for anything. Knows colours by what they are for, and no format.

mod font; // how wide texts are

mod shape; // shapes, and a picture of them

mod bars; // bars lying
mod calendar; // weeks and weekdays
mod frame; // two axes, for lines and histograms

mod histogram; // bars standing
mod lines; // lines

#[cfg(test)]
pub(super) use font::width as text_width;
pub(super) use font::{BOLD, REGULAR, covers};
pub(super) use shape::{Anchor, Paint, SERIES, Scene, Shape};

use super::Chart;
use super::model::Body;
use super::weeks;
use shape::Area;

/// Room around everything.
const PADDING: f64 = 24.0;

/// How high a title is.
const TITLE: f64 = 34.0;

/// How high a line of notes is.
const NOTE: f64 = 17.0;

/// The picture of a chart.
pub(super) fn scene(chart: &Chart, width: u32, height: u32) -> Scene {
    let (scene, notes) = laid(chart, width, height, chart.notes.len());
    // What does not fit is said, for which there must be room: then everything is laid out with it.
    if notes > chart.notes.len() {
        laid(chart, width, height, notes).0
    } else {
        scene
    }
}

/// The picture with room for so many notes, and how many it has.
fn laid(chart: &Chart, width: u32, height: u32, room: usize) -> (Scene, usize) {
    let (width, height) = (f64::from(width.max(1)), f64::from(height.max(1)));
    let title = chart.title.clone().unwrap_or_else(|| subject(&chart.body));
    let mut scene = Scene::new(width, height, title, told(chart));
    let padding = PADDING.min(width / 10.0).min(height / 10.0);
    let mut area = Area {
        left: padding,
        top: padding,
        right: width - padding,
        bottom: height - padding,
    };
    if let Some(title) = &chart.title {
        scene.text(Shape::title(area.left, area.top + 15.0), title, area.width());
        area.top += TITLE;
    }
    let mut notes = chart.notes.clone();
    let noted = area.bottom;
    area.bottom -= NOTE * room as f64;
    match &chart.body {
        Body::Nothing(why) => {
            let middle = Shape::centred((area.left + area.right) / 2.0, (area.top + area.bottom) / 2.0);
            scene.text(middle, why, area.width());
        }
        Body::Bars(bars) => bars::bars(&mut scene, area, bars, &mut notes),
        Body::Lines(lines) => lines::lines(&mut scene, area, lines),
        Body::Histogram { name, bins } => histogram::histogram(&mut scene, area, name, bins),
        Body::Calendar(calendar) => calendar::calendar(&mut scene, area, calendar, &mut notes),
    }
    for (index, note) in notes.iter().rev().enumerate() {
        scene.text(
            Shape::note(area.left, noted - NOTE * index as f64),
            note,
            area.width(),
        );
    }
    (scene, notes.len())
}

/// What stands for a title that nobody gave.
fn subject(body: &Body) -> String {
    match body {
        Body::Nothing(_) => "An empty chart".into(),
        Body::Bars(bars) => bars.series.join(", "),
        Body::Lines(lines) => lines
            .series
            .iter()
            .map(|series| &*series.name)
            .collect::<Vec<_>>()
            .join(", "),
        Body::Histogram { name, .. } => name.clone(),
        Body::Calendar(calendar) => calendar.name.clone().unwrap_or_else(|| "Rows by day".into()),
    }
}

/// The picture in words, for those who do not see it.
fn told(chart: &Chart) -> String {
    let mut told = match &chart.body {
        Body::Nothing(why) => (*why).into(),
        Body::Bars(bars) => {
            let first = |group: &super::model::Group| match group.values.iter().flatten().next() {
                Some(value) => format!("{}: {}", group.label, bars.format.write(*value)),
                None => group.label.clone(),
            };
            let some: Vec<String> = super::largest(&bars.groups, 5).0.into_iter().map(first).collect();
            format!(
                "A bar chart of {} labels. The largest: {}.",
                bars.groups.len(),
                some.join("; ")
            )
        }
        Body::Lines(lines) => {
            let points: usize = lines.series.iter().map(|series| series.points.len()).sum();
            format!(
                "A line chart of {points} points in {} series along {}.",
                lines.series.len(),
                lines.along
            )
        }
        Body::Histogram { bins, .. } => {
            let most = (0..bins.counts.len())
                .max_by_key(|bin| bins.counts[*bin])
                .unwrap_or(0);
            format!(
                "A histogram of {} values in {} bins; most lie in {}.",
                bins.counts.iter().sum::<u64>(),
                bins.counts.len(),
                bins.label(most)
            )
        }
        Body::Calendar(calendar) => {
            let (first, last) = (calendar.days.keys().next(), calendar.days.keys().next_back());
            let from_to = first
                .zip(last)
                .map(|(first, last)| format!(" from {first} to {last}"))
                .unwrap_or_default();
            format!("A calendar of {} days{from_to}.", calendar.days.len())
        }
    };
    for note in &chart.notes {
        told = told + " " + note;
    }
    told
}

/// How high a picture of this width looks best.
pub(super) fn natural_height(chart: &Chart, width: u32) -> u32 {
    let title = if chart.title.is_some() { TITLE } else { 0.0 };
    let extra = 2.0 * PADDING + title + NOTE * chart.notes.len() as f64;
    let body = match &chart.body {
        Body::Nothing(_) => 60.0,
        Body::Bars(bars) => {
            let groups = bars.groups.len().min((40 / bars.series.len().max(1)).max(1));
            bars::natural_height(groups, bars.series.len())
        }
        Body::Lines(_) | Body::Histogram { .. } => (f64::from(width) * 0.5).clamp(160.0, 640.0),
        Body::Calendar(calendar) => {
            let bands = weeks::years(calendar, weeks::YEARS_MAX).0.len();
            calendar::natural_height(f64::from(width) - 2.0 * PADDING, bands)
        }
    };
    (extra + body).ceil() as u32
}
