//! Lines of braille dots between two axes; without colours, several are told apart by signs.
//!
//! Guarantees: every point is within the axes; a gap of the data is one of the line; names of ticks never touch.

use super::super::model::Lines;
use super::super::reduce::reduce;
use super::super::scale::{Scale, Tick};
use super::super::text;
use super::super::time::Along;
use super::row::{Colour, Page, Paint};

/// Of several series without colours.
const SIGNS: [char; 7] = ['•', '+', '×', 'o', '#', '*', '~'];

/// What is drawn on: cells with the series that was there last.
struct Canvas {
    columns: usize,
    rows: usize,
    /// Dots in a cell: 2 by 4 of braille, or one sign.
    dots: (usize, usize),
    cells: Vec<(char, usize)>,
}

impl Canvas {
    fn new(columns: usize, rows: usize, braille: bool) -> Canvas {
        let dots = if braille { (2, 4) } else { (1, 1) };
        Canvas {
            columns,
            rows,
            dots,
            cells: vec![(' ', 0); columns * rows],
        }
    }

    fn size(&self) -> (f64, f64) {
        (
            (self.columns * self.dots.0 - 1) as f64,
            (self.rows * self.dots.1 - 1) as f64,
        )
    }

    fn dot(&mut self, x: usize, y: usize, series: usize) {
        let (column, row) = (x / self.dots.0, y / self.dots.1);
        let Some(cell) = self.cells.get_mut(row * self.columns + column) else {
            return;
        };
        if self.dots == (1, 1) {
            *cell = (SIGNS[series % SIGNS.len()], series);
            return;
        }
        // Braille counts its dots down the left column, then the right one, and the lowest two last.
        let bit = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]][x % 2][y % 4];
        let before = if cell.0 == ' ' {
            0
        } else {
            u32::from(cell.0) - 0x2800
        };
        *cell = (char::from_u32(0x2800 + (before | bit)).unwrap_or(' '), series);
    }

    /// A point that stands alone: four dots, since one is hardly seen.
    fn point(&mut self, at: (f64, f64), series: usize) {
        let (x, y) = (at.0.round() as usize, at.1.round() as usize);
        if self.dots == (1, 1) {
            return self.dot(x, y, series);
        }
        for (x, y) in [(x, y), (x ^ 1, y), (x, y ^ 1), (x ^ 1, y ^ 1)] {
            self.dot(x, y, series);
        }
    }

    /// A line from dot to dot.
    fn line(&mut self, from: (f64, f64), to: (f64, f64), series: usize) {
        // Never more than a dot from one to the next.
        let steps = (to.0 - from.0).abs().max((to.1 - from.1).abs()).ceil().max(1.0);
        for step in 0..=steps as usize {
            let part = step as f64 / steps;
            let x = from.0 + (to.0 - from.0) * part;
            let y = from.1 + (to.1 - from.1) * part;
            self.dot(x.round() as usize, y.round() as usize, series);
        }
    }
}

/// The lines, their axes, and which is which.
pub(super) fn lines(page: &mut Page, lines: &Lines) {
    let many = lines.series.len() > 1;
    let signs = many && page.colour == Colour::None;
    let all = || lines.series.iter().flat_map(|series| &series.points);
    let rows = (page.width / 5).clamp(6, 16);
    let (up, marks) = Scale::over(all().filter_map(|point| point.1))
        .with_near_zero()
        .rounded((rows / 2).min(6));
    // Equally many rows from mark to mark.
    let steps = marks.len().saturating_sub(1).max(1);
    let rows = ((rows as f64 / steps as f64).round() as usize).max(1) * steps + 1;
    let margin = marks
        .iter()
        .map(|tick| text::width(&tick.label))
        .max()
        .unwrap_or(0)
        .min(page.width / 3);
    let columns = page.width.saturating_sub(margin + 2).max(1);
    let along = all().filter(|point| point.1.is_some()).map(|point| point.0);
    let across = lines.kind.scale(along);

    let mut canvas = Canvas::new(columns, rows, !signs);
    let (wide, high) = canvas.size();
    let place = |point: &(f64, f64)| (across.place(point.0) * wide, (1.0 - up.place(point.1)) * high);
    for (index, series) in lines.series.iter().enumerate() {
        for stretch in reduce(&series.points, across, wide as usize + 1) {
            if let [alone] = stretch[..] {
                canvas.point(place(&alone), index);
            }
            for pair in stretch.windows(2) {
                canvas.line(place(&pair[0]), place(&pair[1]), index);
            }
        }
    }

    legend(page, lines, signs);
    for row in 0..rows {
        let here = |tick: &&Tick| ((1.0 - up.place(tick.at)) * (rows - 1) as f64).round() as usize == row;
        let mark = marks.iter().find(here);
        let label = mark.map_or("", |tick| &*tick.label);
        let mut line = page.row();
        line.push(Paint::Faint, &text::right(label, margin));
        line.push(Paint::Faint, if mark.is_some() { " ┤" } else { " │" });
        // Cells of one colour are written together.
        for cells in canvas.cells[row * columns..][..columns].chunk_by(|a, b| a.1 == b.1) {
            let text: String = cells.iter().map(|cell| cell.0).collect();
            line.push(
                if many {
                    Paint::Series(cells[0].1)
                } else {
                    Paint::Series(0)
                },
                &text,
            );
        }
    }
    let most = (columns / 10).max(2);
    let ticks = lines.kind.ticks(across, most);
    axis(page, lines, &ticks, across, margin, columns);
}

/// The axis below, with what its ticks are called.
fn axis(page: &mut Page, lines: &Lines, ticks: &[Tick], across: Scale, margin: usize, columns: usize) {
    let mut line: Vec<char> = vec!['─'; columns];
    let mut names = String::new();
    for tick in ticks {
        let at = (across.place(tick.at) * (columns - 1) as f64).round() as usize;
        line[at] = '┬';
        // Under its tick, but within the picture, and a blank apart from the one before.
        let width = text::width(&tick.label);
        let begin = (at + 1)
            .saturating_sub(width.div_ceil(2))
            .min(columns.saturating_sub(width));
        let taken = text::width(&names);
        if width <= columns && (names.is_empty() || taken < begin) {
            names = text::left(&names, begin) + &tick.label;
        }
    }
    let line: String = line.into_iter().collect();
    page.row()
        .push(Paint::Faint, &format!("{} └{line}", " ".repeat(margin)));
    page.row()
        .push(Paint::Faint, &format!("{}  {names}", " ".repeat(margin)));
    if lines.kind == Along::Numbers {
        let name = text::right(&lines.along, columns);
        page.row()
            .push(Paint::Faint, &format!("{}  {name}", " ".repeat(margin)));
    }
}

/// Which line is which.
fn legend(page: &mut Page, lines: &Lines, signs: bool) {
    if let [only] = &lines.series[..] {
        page.row().push(Paint::Faint, &only.name);
        return;
    }
    let sign = |index: usize| if signs { SIGNS[index % SIGNS.len()] } else { '━' };
    let meanings = lines.series.iter().enumerate();
    let meanings: Vec<_> = meanings
        .map(|(index, series)| (Paint::Series(index), sign(index), series.name.clone()))
        .collect();
    page.legend(&meanings);
}
