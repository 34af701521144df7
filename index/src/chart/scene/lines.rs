//! Lines between two axes.
//!
//! Guarantees: every point is within the axes; a gap of the data is one of the line; few points are marked each.

use super::super::model::Lines;
use super::super::reduce::reduce;
use super::super::scale::Scale;
use super::super::time::Along;
use super::frame;
use super::shape::{Anchor, Area, Paint, Scene, Shape};

/// Up to so many points are marked.
const MARKED_MAX: usize = 40;

pub(super) fn lines(scene: &mut Scene, mut area: Area, lines: &Lines) {
    let all = || lines.series.iter().flat_map(|series| &series.points);
    let mut name = "";
    match &lines.series[..] {
        [only] => name = &only.name,
        several => area = scene.legend(area, several.iter().map(|series| &*series.name)),
    }
    if lines.kind == Along::Numbers {
        area.bottom -= 18.0;
        scene.text(
            Shape::mark(area.right, area.bottom + 17.0, Anchor::End),
            &lines.along,
            area.width(),
        );
    }
    let ticks = frame::count(area.height() - 46.0, 44.0);
    let (up, marks) = Scale::over(all().filter_map(|point| point.1))
        .with_near_zero()
        .rounded(ticks);
    let along = all().filter(|point| point.1.is_some()).map(|point| point.0);
    let across = lines.kind.scale(along);
    let inner = frame::upright(scene, area, up, &marks, name);
    let most = frame::count(inner.width(), 96.0);
    let ticks = lines.kind.ticks(across, most);
    frame::along(scene, inner, &ticks, |at| across.place(at));

    let place = |point: &(f64, f64)| {
        (
            inner.left + across.place(point.0) * inner.width(),
            inner.bottom - up.place(point.1) * inner.height(),
        )
    };
    for (index, series) in lines.series.iter().enumerate() {
        let paint = Paint::Series(index);
        let marked = series.points.len() <= MARKED_MAX;
        for stretch in reduce(&series.points, across, inner.width().clamp(1.0, 4000.0) as usize) {
            let points: Vec<(f64, f64)> = stretch.iter().map(place).collect();
            // A point alone makes no line.
            if marked || points.len() == 1 {
                scene.shapes.extend(points.iter().map(|(x, y)| Shape::Dot {
                    x: *x,
                    y: *y,
                    size: 3.0,
                    paint,
                }));
            }
            if points.len() > 1 {
                scene.shapes.push(Shape::Line { points, paint });
            }
        }
    }
}
