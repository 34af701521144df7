//! Two axes with their grid, for lines and for histograms.
//!
//! Guarantees: names of ticks at one axis never overlap; as many ticks as there is room for, at most twelve.

use super::super::scale::{Scale, Tick};
use super::shape::{Anchor, Area, Paint, SIZE, Scene, Shape, width};

/// How many ticks stand in so much room.
pub(super) fn count(room: f64, each: f64) -> usize {
    ((room / each) as usize).clamp(2, 12)
}

/// Draws the upright axis's grid and names, and gives what lies right of them and above the other axis.
pub(super) fn upright(scene: &mut Scene, area: Area, scale: Scale, ticks: &[Tick], name: &str) -> Area {
    let mut inner = area;
    if !name.is_empty() {
        scene.text(
            Shape::mark(area.left, area.top + 10.0, Anchor::Start),
            name,
            area.width(),
        );
        inner.top += 26.0;
    }
    inner.bottom -= 24.0;
    let names = ticks
        .iter()
        .map(|tick| width(&tick.label))
        .fold(0.0, f64::max)
        .min(area.width() / 3.0);
    inner.left += names + 10.0;
    for tick in ticks {
        let y = inner.bottom - scale.place(tick.at) * inner.height();
        let paint = if tick.at == 0.0 { Paint::Axis } else { Paint::Grid };
        scene.rule((inner.left, y), (inner.right, y), paint);
        scene.text(
            Shape::mark(inner.left - 8.0, y + SIZE * 0.35, Anchor::End),
            &tick.label,
            names + 0.5,
        );
    }
    inner
}

/// Writes the names of ticks below, each under its place; what would touch the one before is left out.
pub(super) fn along(scene: &mut Scene, area: Area, ticks: &[Tick], place: impl Fn(f64) -> f64) {
    let mut taken = f64::NEG_INFINITY;
    for tick in ticks {
        let x = area.left + place(tick.at) * area.width();
        let half = width(&tick.label) / 2.0;
        let middle = x.min(area.right + 12.0 - half).max(area.left - 12.0 + half);
        if middle - half < taken || half * 2.0 > area.width() + 24.0 {
            continue;
        }
        taken = middle + half + 10.0;
        scene.rule((x, area.bottom), (x, area.bottom + 5.0), Paint::Axis);
        let place = Shape::mark(middle, area.bottom + 18.0, Anchor::Middle);
        scene.text(place, &tick.label, half * 2.0 + 0.5);
    }
}
