//! Bars of eighths of a character: label, bar, value.
//!
//! Guarantees: all bars of a chart are of one scale and begin at zero; what is below goes to the left of it; a value
//! that is not zero shows at least an eighth.

use super::super::bins::Bins;
use super::super::model::Bars;
use super::super::scale::Scale;
use super::super::text;
use super::super::{largest, number};
use super::row::{Page, Paint};

/// More bars than fit on two pages nobody compares.
const BARS_MAX: usize = 50;

/// Where everything stands.
struct Columns {
    label: usize,
    series: usize,
    value: usize,
    /// Columns left and right of zero.
    below: usize,
    above: usize,
    scale: Scale,
}

impl Columns {
    fn new(width: usize, label: usize, series: usize, value: usize, scale: Scale) -> Columns {
        let label = label.min((width * 2 / 5).max(8));
        let series = series.min(width / 4);
        // Every column but the last ends in a blank.
        let taken =
            label + 1 + if series > 0 { series + 1 } else { 0 } + if value > 0 { value + 1 } else { 0 };
        let bar = width.saturating_sub(taken).max(1);
        let below = match (scale.from < 0.0, scale.to > 0.0) {
            (true, true) => ((bar as f64 * scale.place(0.0)).round() as usize).clamp(1, bar.max(2) - 1),
            (true, false) => bar,
            _ => 0,
        };
        Columns {
            label,
            series,
            value,
            below,
            above: bar.saturating_sub(below),
            scale,
        }
    }

    /// The bar of a value, as wide as all bars are.
    fn bar(&self, value: f64) -> String {
        if value < 0.0 {
            let halves = (value / self.scale.from * self.below as f64 * 2.0)
                .round()
                .max(1.0) as usize;
            let bar = if halves % 2 == 1 { "▐" } else { "" }.to_owned() + &"█".repeat(halves / 2);
            return text::right(&bar, self.below) + &" ".repeat(self.above);
        }
        let eighths = value / self.scale.to * self.above as f64 * 8.0;
        let eighths = if value > 0.0 {
            eighths.round().max(1.0) as usize
        } else {
            0
        };
        let rest = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8];
        let bar = "█".repeat(eighths / 8) + rest;
        " ".repeat(self.below) + &text::left(&bar, self.above)
    }

    fn row(
        &self,
        page: &mut Page,
        label: &str,
        series: Option<(usize, &str)>,
        value: Option<f64>,
        written: &str,
    ) {
        let mut row = page.row();
        row.push(Paint::Plain, &text::left(label, self.label))
            .push(Paint::Plain, " ");
        let paint = Paint::Series(series.map_or(0, |series| series.0));
        if let Some((_, name)) = series.filter(|_| self.series > 0) {
            row.push(Paint::Faint, &text::left(name, self.series))
                .push(Paint::Plain, " ");
        }
        let bar = value.map_or_else(|| " ".repeat(self.below + self.above), |value| self.bar(value));
        row.push(paint, &bar)
            .push(Paint::Plain, " ")
            .push(Paint::Plain, &text::right(written, self.value));
    }
}

/// Bars, the largest ones if they are many.
pub(super) fn bars(page: &mut Page, bars: &Bars, notes: &mut Vec<String>) {
    let many = bars.series.len() > 1;
    let (groups, left) = largest(&bars.groups, (BARS_MAX / bars.series.len().max(1)).max(1));
    let write = |value: Option<f64>| value.map_or("–".into(), |value| bars.format.write(value));
    let all = || groups.iter().flat_map(|group| &group.values);
    let columns = Columns::new(
        page.width,
        groups
            .iter()
            .map(|group| text::width(&group.label))
            .max()
            .unwrap_or(0),
        if many {
            bars.series
                .iter()
                .map(|name| text::width(name))
                .max()
                .unwrap_or(0)
        } else {
            0
        },
        all().map(|value| text::width(&write(*value))).max().unwrap_or(0),
        Scale::from_zero(all().flatten().copied()),
    );
    if !many {
        heading(page, &bars.name);
    }
    for group in groups {
        for (index, value) in group.values.iter().enumerate() {
            let label = if index == 0 { &*group.label } else { "" };
            let series = many.then(|| (index, &*bars.series[index]));
            columns.row(page, label, series, *value, &write(*value));
        }
    }
    if left > 0 {
        notes.push(format!("… and {} more.", number::grouped(left as u64)));
    }
}

/// What the values are, above them.
fn heading(page: &mut Page, name: &str) {
    let name = text::right(name, page.width);
    page.row().push(Paint::Faint, &name);
}

/// A bar for each bin.
pub(super) fn histogram(page: &mut Page, name: &str, bins: &Bins) {
    let labels: Vec<String> = (0..bins.counts.len()).map(|bin| bins.label(bin)).collect();
    let width = labels.iter().map(|label| text::width(label)).max().unwrap_or(0);
    let written: Vec<String> = bins.counts.iter().map(|count| number::grouped(*count)).collect();
    let columns = Columns::new(
        page.width,
        width,
        0,
        written.iter().map(String::len).max().unwrap_or(0),
        Scale::from_zero(bins.counts.iter().map(|count| *count as f64)),
    );
    page.row().push(Paint::Faint, name);
    for (bin, count) in bins.counts.iter().enumerate() {
        columns.row(
            page,
            &text::right(&labels[bin], width),
            None,
            Some(*count as f64),
            &written[bin],
        );
    }
}
