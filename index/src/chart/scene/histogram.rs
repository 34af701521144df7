//! Bars that stand side by side on an axis of numbers.
//!
//! Guarantees: the axis begins at zero; a bin with anything in it is seen.

use super::super::bins::Bins;
use super::super::number;
use super::super::scale::{Scale, Tick};
use super::frame;
use super::shape::{Anchor, Area, Paint, Scene, Shape, width};

pub(super) fn histogram(scene: &mut Scene, mut area: Area, name: &str, bins: &Bins) {
    area.bottom -= 18.0;
    scene.text(
        Shape::mark(area.right, area.bottom + 17.0, Anchor::End),
        name,
        area.width(),
    );
    let counts = || bins.counts.iter().map(|count| *count as f64);
    let (up, marks) = Scale::from_zero(counts()).rounded(frame::count(area.height() - 46.0, 44.0));
    let inner = frame::upright(scene, area, up, &marks, "rows");
    let number_of = bins.counts.len();
    let each = inner.width() / number_of as f64;
    for (bin, count) in bins.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let height = (up.place(*count as f64) * inner.height()).max(1.0);
        let gap = if each > 6.0 { 1.0 } else { 0.0 };
        scene.shapes.push(Shape::Rect {
            x: inner.left + each * bin as f64 + gap,
            y: inner.bottom - height,
            width: (each - 2.0 * gap).max(0.5),
            height,
            round: (each / 8.0).min(2.0),
            paint: Paint::Series(0),
            tip: Some(format!("{}: {}", bins.label(bin), number::grouped(*count))),
        });
    }
    scene.rule(
        (inner.left, inner.bottom),
        (inner.right, inner.bottom),
        Paint::Axis,
    );
    // A bin of one number has its name in the middle; of others the edges have theirs.
    let ticks: Vec<Tick> = if bins.single() {
        (0..number_of)
            .map(|bin| Tick {
                at: bin as f64 + 0.5,
                label: bins.label(bin),
            })
            .collect()
    } else {
        let (step, size) = (
            bins.edges[1] - bins.edges[0],
            bins.edges.iter().fold(0f64, |a, b| a.max(b.abs())),
        );
        let edges = bins.edges.iter().enumerate();
        edges
            .map(|(index, edge)| Tick {
                at: index as f64,
                label: number::tick(*edge, step, size),
            })
            .collect()
    };
    let widest = ticks.iter().map(|tick| width(&tick.label)).fold(1.0, f64::max);
    let every = ((widest + 14.0) / each.max(0.001)).ceil().clamp(1.0, 1e6) as usize;
    let ticks: Vec<Tick> = ticks.into_iter().step_by(every).collect();
    frame::along(scene, inner, &ticks, |at| at / number_of as f64);
}
