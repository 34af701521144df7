//! Draws lines of tab-separated values, the first of which names the columns:
//!
//!     cargo run -p coffer-index --example chart -- [KIND] [FILE.svg|FILE.png] <values.tsv
//!
//! For looking at charts while working on them; `COLOUR=16|256|all` and `COLUMNS` are heeded. Not part of the program.

use std::error::Error;
use std::io::Read;

use coffer_index::chart::{Chart, Colour, Column, Data, Kind, Values, png, svg, terminal};

fn main() -> Result<(), Box<dyn Error>> {
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input)?;
    let mut rows = input.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let names = rows.next().unwrap_or_default();
    let rows: Vec<_> = rows.collect();
    let column = |(index, name): (usize, &&str)| {
        let cells = rows
            .iter()
            .map(|row| row.get(index).copied().filter(|cell| !cell.is_empty()))
            .collect();
        Column {
            name: (*name).into(),
            values: values(cells),
        }
    };
    let data = Data {
        columns: names.iter().enumerate().map(column).collect(),
    };
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let kind = arguments.iter().find_map(|argument| Kind::named(argument));
    let title = std::env::var("TITLE").ok();
    let chart = Chart::new(&data, kind, title.as_deref())?;
    let width = std::env::var("COLUMNS").ok().and_then(|width| width.parse().ok());
    match arguments.iter().find(|argument| argument.contains('.')) {
        None => {
            let colour = match std::env::var("COLOUR").as_deref() {
                Ok("16") => Colour::Ansi16,
                Ok("256") => Colour::Ansi256,
                Ok("all") => Colour::TrueColor,
                _ => Colour::None,
            };
            print!("{}", terminal(&chart, width.unwrap_or(80), colour));
        }
        Some(file) => {
            let width = width.unwrap_or(800) as u32;
            let height = chart.natural_height(width);
            let bytes = if file.ends_with("png") {
                png(&chart, width, height, 2.0)?
            } else {
                svg(&chart, width, height).into()
            };
            std::fs::write(file, bytes)?;
        }
    }
    Ok(())
}

/// Numbers, days or moments, if all are; else texts.
fn values(cells: Vec<Option<&str>>) -> Values {
    fn all<T: std::str::FromStr>(cells: &[Option<&str>]) -> Option<Vec<Option<T>>> {
        cells
            .iter()
            .map(|cell| {
                cell.map(|cell| cell.parse().ok())
                    .map_or(Some(None), |cell| cell.map(Some))
            })
            .collect()
    }
    if let Some(numbers) = all(&cells) {
        Values::Number(numbers)
    } else if let Some(days) = all(&cells).filter(|_| cells.iter().flatten().all(|cell| cell.len() == 10)) {
        Values::Day(days)
    } else if let Some(moments) = all(&cells) {
        Values::Moment(moments)
    } else {
        Values::Text(cells.into_iter().map(|cell| cell.map(str::to_owned)).collect())
    }
}
