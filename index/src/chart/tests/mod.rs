//! Charts, tested: what the parts compute, what is drawn, and what hostile data reach.

mod kinds; // which chart, which column, what is left out

mod hostile; // random data of all sizes, hostile texts
mod parts; // scales, ticks, numbers, texts, bins
mod pictures; // SVG and PNG
mod text; // drawings for the terminal

use jiff::civil::{Date, DateTime};

use super::{Chart, Column, Data, Kind, Values};

fn data(columns: Vec<(&str, Values)>) -> Data {
    let columns = columns.into_iter().map(|(name, values)| Column {
        name: name.into(),
        values,
    });
    Data {
        columns: columns.collect(),
    }
}

fn texts(values: &[&str]) -> Values {
    Values::Text(values.iter().map(|value| Some((*value).into())).collect())
}

fn numbers(values: &[f64]) -> Values {
    Values::Number(values.iter().copied().map(Some).collect())
}

fn days(values: &[&str]) -> Values {
    Values::Day(values.iter().map(|value| Some(day(value))).collect())
}

fn day(text: &str) -> Date {
    text.parse().expect("a day")
}

fn moment(text: &str) -> DateTime {
    text.parse().expect("a moment")
}

fn chart(data: &Data) -> Chart {
    Chart::new(data, None, None).expect("a chart")
}

fn chart_of(kind: Kind, data: &Data) -> Chart {
    Chart::new(data, Some(kind), None).expect("a chart")
}
