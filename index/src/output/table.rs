//! A table for people, fitted to their terminal.
//!
//! Guarantees: no line is wider than the terminal, unless its numbers and dates alone are: those are never cut. Holds the
//! rows that it shows, each cell as wide as the terminal at most, and counts the others. Where there are more columns than
//! fit, each record stands as a list of its own.

use super::cell::{Cell, Kind, cell, kind};
use super::harmless::{Piece, count, fit};
use super::json::plain;
use super::{Error, Look, Sink};
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use std::io::Write;

/// Without a terminal, a column is no wider than this: else one long text pads all other rows.
const WIDEST: usize = 4096;
/// Narrower, a column says nothing.
const NARROWEST: usize = 4;

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

pub(super) struct Table<W> {
    schema: SchemaRef,
    look: Look,
    names: Vec<Piece>,
    kinds: Vec<Kind>,
    /// None: no value.
    rows: Vec<Vec<Option<Piece>>>,
    count: u64,
    out: W,
}

impl<W: Write> Table<W> {
    pub(super) fn new(schema: &SchemaRef, look: &Look, out: W) -> Table<W> {
        let most = look.width.unwrap_or(WIDEST);
        let fields = schema.fields().iter();
        Table {
            schema: schema.clone(),
            look: *look,
            names: fields.clone().map(|field| fit(field.name(), most)).collect(),
            kinds: fields.map(|field| kind(field)).collect(),
            rows: Vec::new(),
            count: 0,
            out,
        }
    }

    fn draw(&mut self) -> Result<(), Error> {
        let widths = self.widths();
        match widths {
            Some(widths) if !self.names.is_empty() => self.grid(&widths)?,
            _ => self.records()?,
        }
        let shown = self.rows.len() as u64;
        let rows = if self.count == 1 { "row" } else { "rows" };
        let all = count(self.count);
        let footer = match self.count - shown {
            0 => format!("{all} {rows}"),
            more => format!(
                "… {} more {} ({all} in all)",
                count(more),
                if more == 1 { "row" } else { "rows" }
            ),
        };
        writeln!(self.out, "{footer}")?;
        Ok(self.out.flush()?)
    }

    /// How wide each column is; none if they do not fit side by side.
    fn widths(&self) -> Option<Vec<usize>> {
        let column = |at: usize| {
            self.rows
                .iter()
                .map(move |row| width(&row[at]))
                .max()
                .unwrap_or(0)
        };
        let values: Vec<usize> = (0..self.names.len()).map(column).collect();
        let natural: Vec<usize> = (values.iter().zip(&self.names))
            .map(|(value, name)| (*value).max(name.width).max(1))
            .collect();
        let Some(terminal) = self.look.width else {
            return Some(natural);
        };
        // Each column has a bar and two spaces, and there is one bar more.
        let room = terminal.checked_sub(3 * natural.len() + 1)?;
        let least: Vec<usize> = (natural.iter().zip(&values).zip(&self.kinds))
            .map(|((natural, values), kind)| match kind {
                Kind::Text => NARROWEST.min(*natural),
                _ => NARROWEST.min(*natural).max(*values),
            })
            .collect();
        shares(&natural, &least, room)
    }

    fn grid(&mut self, widths: &[usize]) -> Result<(), Error> {
        let (dim, plain) = if self.look.colour { (DIM, PLAIN) } else { ("", "") };
        let bar = format!("{dim}│{plain}");
        let rule = |[left, middle, right]: [&str; 3]| {
            let dashes: Vec<String> = widths.iter().map(|width| "─".repeat(width + 2)).collect();
            format!("{dim}{left}{}{right}{plain}\n", dashes.join(middle))
        };
        let mut line = rule(["┌", "┬", "┐"]);
        line.push_str(&bar);
        for ((name, width), kind) in self.names.iter().zip(widths).zip(&self.kinds) {
            let style = if self.look.colour { BOLD } else { "" };
            pad(&fit_to(name, *width), *width, *kind, (style, plain), &mut line);
            line.push_str(&bar);
        }
        line.push('\n');
        line.push_str(&rule(["├", "┼", "┤"]));
        for row in &self.rows {
            line.push_str(&bar);
            for ((value, width), kind) in row.iter().zip(widths).zip(&self.kinds) {
                let (piece, style) = self.shown(value, *width);
                pad(&piece, *width, *kind, style, &mut line);
                line.push_str(&bar);
            }
            line.push('\n');
            // A row at a time: all of them may be much.
            self.out.write_all(line.as_bytes())?;
            line.clear();
        }
        line.push_str(&rule(["└", "┴", "┘"]));
        Ok(self.out.write_all(line.as_bytes())?)
    }

    /// One record below the other, each column a line.
    fn records(&mut self) -> Result<(), Error> {
        let (dim, plain) = if self.look.colour { (DIM, PLAIN) } else { ("", "") };
        let terminal = self.look.width.unwrap_or(WIDEST);
        let longest = self.names.iter().map(|name| name.width).max().unwrap_or(0);
        let names = longest.min((terminal / 3).max(NARROWEST));
        // A space, the name, a space, the bar, a space.
        let values = terminal.saturating_sub(names + 4).max(NARROWEST);
        let mut line = String::new();
        for (at, row) in self.rows.iter().enumerate() {
            let head = format!("─ {} ", count(at as u64 + 1));
            let dashes = "─".repeat((names + 4).saturating_sub(head.chars().count()).max(1));
            line.push_str(&format!("{dim}{head}{dashes}{plain}\n"));
            for ((name, value), kind) in self.names.iter().zip(row).zip(&self.kinds) {
                let style = if self.look.colour { (BOLD, PLAIN) } else { ("", "") };
                pad(&fit_to(name, names), names, Kind::Text, style, &mut line);
                line.push_str(&format!("{dim}│{plain} "));
                // What is never cut stays whole here, too.
                let most = if *kind == Kind::Text { values } else { usize::MAX };
                let (piece, (on, off)) = self.shown(value, most);
                line.push_str(&format!("{on}{}{off}\n", piece.text));
            }
            self.out.write_all(line.as_bytes())?;
            line.clear();
        }
        Ok(())
    }

    fn shown(&self, value: &Option<Piece>, width: usize) -> (Piece, (&'static str, &'static str)) {
        match value {
            Some(piece) => (fit_to(piece, width), ("", "")),
            None if self.look.colour => (fit("NULL", width), (DIM, PLAIN)),
            None => (fit("NULL", width), ("", "")),
        }
    }
}

impl<W: Write + Send> Sink for Table<W> {
    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let most = self.look.width.unwrap_or(WIDEST);
        let room = self.look.rows.saturating_sub(self.rows.len());
        for row in 0..batch.num_rows().min(room) {
            let columns = self.schema.fields().iter().zip(batch.columns()).zip(&self.kinds);
            let piece =
                |((field, array), kind): ((&arrow_schema::FieldRef, &arrow_array::ArrayRef), &Kind)| {
                    // What is never cut is short by its nature.
                    let most = if *kind == Kind::Text { most } else { usize::MAX };
                    match cell(array.as_ref(), field, row) {
                        Cell::Null => None,
                        cell => Some(fit(&plain(&cell), most)),
                    }
                };
            self.rows.push(columns.map(piece).collect());
        }
        self.count += batch.num_rows() as u64;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Error> {
        self.draw()
    }
}

fn width(value: &Option<Piece>) -> usize {
    value.as_ref().map_or(4, |piece| piece.width)
}

fn fit_to(piece: &Piece, width: usize) -> Piece {
    match piece.width <= width {
        true => piece.clone(),
        false => fit(&piece.text, width),
    }
}

/// A space, the piece, and space up to its width and one more.
fn pad(piece: &Piece, width: usize, kind: Kind, (on, off): (&str, &str), line: &mut String) {
    let space = " ".repeat(width.saturating_sub(piece.width));
    let (left, right) = match kind {
        Kind::Number => (space.as_str(), ""),
        _ => ("", space.as_str()),
    };
    line.push_str(&format!(" {left}{on}{}{off}{right} ", piece.text));
}

/// Widths that together have room: all columns that are wider than some level are cut to it, none below its least.
/// None if even those are too wide.
fn shares(natural: &[usize], least: &[usize], room: usize) -> Option<Vec<usize>> {
    let at = |level: usize| {
        let both = natural.iter().zip(least);
        both.map(move |(natural, least)| level.min(*natural).max(*least))
            .collect::<Vec<usize>>()
    };
    let sum = |level| at(level).iter().sum::<usize>();
    if sum(0) > room {
        return None;
    }
    // The highest level that fits.
    let (mut fits, mut beyond) = (0, natural.iter().copied().max().unwrap_or(0) + 1);
    while fits + 1 < beyond {
        let middle = fits + (beyond - fits) / 2;
        match sum(middle) <= room {
            true => fits = middle,
            false => beyond = middle,
        }
    }
    let mut widths = at(fits);
    let mut left = room - widths.iter().sum::<usize>();
    for (width, natural) in widths.iter_mut().zip(natural) {
        if left > 0 && *width == fits && *width < *natural {
            *width += 1;
            left -= 1;
        }
    }
    Some(widths)
}
