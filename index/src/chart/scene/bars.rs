//! Bars that lie below each other, with their labels on the left.
//!
//! Guarantees: all begin at zero; values stand beside bars that are high enough for letters; what does not fit is the
//! smallest, and is said.

use super::super::model::Bars;
use super::super::scale::Scale;
use super::super::{largest, number};
use super::frame;
use super::shape::{Anchor, Area, Paint, SIZE, Scene, Shape, width};

/// How high the axis below is.
const AXIS: f64 = 24.0;

/// From here on a bar is high enough for a value beside it.
const LETTERS: f64 = 11.0;

/// How high a group of so many bars is at least, and at best.
fn pitch(series: usize) -> (f64, f64) {
    let series = series.max(1) as f64;
    if series > 1.0 {
        (series * 6.0 + 8.0, series * 16.0 + 14.0)
    } else {
        (18.0, 32.0)
    }
}

/// How high so many groups look best.
pub(super) fn natural_height(groups: usize, series: usize) -> f64 {
    (groups as f64 * pitch(series).1).max(40.0) + if series > 1 { 30.0 } else { 22.0 }
}

pub(super) fn bars(scene: &mut Scene, mut area: Area, bars: &Bars, notes: &mut Vec<String>) {
    let series = bars.series.len().max(1);
    let many = series > 1;
    if many {
        area = scene.legend(area, bars.series.iter().map(|name| &**name));
    } else {
        scene.text(
            Shape::mark(area.right, area.top + 8.0, Anchor::End),
            &bars.name,
            area.width(),
        );
        area.top += 22.0;
    }
    let (least, best) = pitch(series);
    let (groups, left) = largest(&bars.groups, (((area.height() - AXIS) / least) as usize).max(1));
    if left > 0 {
        notes.push(format!("… and {} more.", number::grouped(left as u64)));
    }
    let pitch = |axis: f64| ((area.height() - axis) / groups.len() as f64).clamp(0.5, best * 1.25);
    let thick = |pitch: f64| {
        if many {
            (pitch - 8.0) / series as f64
        } else {
            pitch * 0.72
        }
        .max(0.5)
    };
    // Values that stand there in numbers need no axis.
    let lettered = thick(pitch(0.0)) >= LETTERS;
    let pitch = pitch(if lettered { 0.0 } else { AXIS });
    let thick = thick(pitch);
    area.bottom = area.top + pitch * groups.len() as f64;

    let widest = |texts: &mut dyn Iterator<Item = f64>| texts.fold(0.0, f64::max);
    let labels = widest(&mut groups.iter().map(|group| width(&group.label))).min(area.width() * 0.35);
    let all = || {
        groups
            .iter()
            .flat_map(|group| group.values.iter().flatten().copied())
    };
    let written = if lettered {
        widest(&mut all().map(|value| width(&bars.format.write(value)))) + 8.0
    } else {
        0.0
    };
    let written = written.min(area.width() / 4.0);
    let scale = Scale::from_zero(all());
    let (below, above) = (scale.from < 0.0, scale.to > 0.0);
    let inner = Area {
        left: area.left + labels + 10.0 + if below { written } else { 0.0 },
        right: area.right - if above { written } else { 0.0 },
        ..area
    };
    let x = |value: f64| inner.left + scale.place(value) * inner.width();

    if !lettered {
        let ticks = scale.ticks(frame::count(inner.width(), 90.0));
        for tick in ticks.iter().filter(|tick| tick.at != 0.0) {
            scene.rule((x(tick.at), inner.top), (x(tick.at), inner.bottom), Paint::Grid);
        }
        frame::along(scene, inner, &ticks, |at| scale.place(at));
    }
    for (index, group) in groups.iter().enumerate() {
        let top = inner.top + pitch * index as f64;
        let place = Shape::label(area.left + labels, top + pitch / 2.0 + SIZE * 0.35, Anchor::End);
        scene.text(place, &group.label, labels + 0.5);
        for (bar, value) in group.values.iter().enumerate() {
            let Some(value) = *value else {
                continue;
            };
            let y = top + (pitch - thick * series as f64) / 2.0 + thick * bar as f64;
            let gap = if many { (thick * 0.06).min(1.0) } else { 0.0 };
            let (from, to) = (x(value.min(0.0)), x(value.max(0.0)));
            let said = bars.format.write(value);
            let bar_shape = Shape::Rect {
                x: from,
                y: y + gap,
                width: (to - from).max(0.75),
                height: (thick - 2.0 * gap).max(0.5),
                round: (thick / 4.0).min(3.0).min((to - from) / 2.0),
                paint: Paint::Series(bar),
                tip: Some(match many {
                    true => format!("{}, {}: {said}", group.label, bars.series[bar]),
                    false => format!("{}: {said}", group.label),
                }),
            };
            if value != 0.0 {
                scene.shapes.push(bar_shape);
            }
            if lettered {
                let (x, anchor) = if value < 0.0 {
                    (from - 6.0, Anchor::End)
                } else {
                    (to + 6.0, Anchor::Start)
                };
                scene.text(
                    Shape::mark(x, y + thick / 2.0 + SIZE * 0.35, anchor),
                    &said,
                    written.max(0.0),
                );
            }
        }
    }
    scene.rule((x(0.0), inner.top), (x(0.0), inner.bottom), Paint::Axis);
}
