//! What a chart shows, free of how it is drawn: bars with names, lines with points, counts, days.
//!
//! Guarantees: every text in it is harmless ([`text::clean`]); every number is finite and drawable; what is left out is
//! counted and said in `notes`. Keeps the order of the query, but for lines, which run along their axis.

use std::collections::{BTreeMap, HashMap};

use jiff::civil::Date;

use super::bins::Bins;
use super::data::{Data, Values};
use super::kind::{Kind, Roles, SERIES_MAX};
use super::scale::drawable;
use super::{number, text, time};

/// What is drawn.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Body {
    /// Nothing, and why.
    Nothing(&'static str),
    Bars(Bars),
    Lines(Lines),
    Histogram {
        name: String,
        bins: Bins,
    },
    Calendar(Calendar),
}

/// Bars, in groups of one for each series.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bars {
    /// What the values are; empty with several series.
    pub(super) name: String,
    /// What the bars of each group stand for.
    pub(super) series: Vec<String>,
    pub(super) groups: Vec<Group>,
    pub(super) format: number::Format,
}

/// Bars of one label.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Group {
    pub(super) label: String,
    /// One for each series.
    pub(super) values: Vec<Option<f64>>,
}

/// Lines along one axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Lines {
    /// What the axis is.
    pub(super) along: String,
    /// What lies along it: times in seconds since 1970.
    pub(super) kind: time::Along,
    pub(super) series: Vec<Series>,
}

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Series {
    pub(super) name: String,
    /// By rising place; none is a gap.
    pub(super) points: Vec<(f64, Option<f64>)>,
}

/// Days and what is on them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Calendar {
    /// What the values are; none if the rows were counted.
    pub(super) name: Option<String>,
    pub(super) days: BTreeMap<Date, f64>,
}

/// What was left out of a body, while it is made.
#[derive(Default)]
struct Lost {
    odd: usize,
    placeless: usize,
    series: usize,
}

const NO_ROWS: &str = "The query gave no rows.";
const NO_VALUES: &str = "There is nothing to draw: no row has a value.";

/// What the data show as this kind, and notes on what is left out.
pub(super) fn body(data: &Data, kind: Kind, roles: &Roles) -> (Body, Vec<String>) {
    if data.rows() == 0 {
        return (Body::Nothing(NO_ROWS), Vec::new());
    }
    let mut lost = Lost::default();
    let body = match kind {
        Kind::Bars => bars(data, roles, &mut lost),
        Kind::Lines => lines(data, roles, &mut lost),
        Kind::Histogram => histogram(data, roles, &mut lost),
        Kind::Calendar => calendar(data, roles, &mut lost),
    };
    (body, notes(data, roles, &lost))
}

fn notes(data: &Data, roles: &Roles, lost: &Lost) -> Vec<String> {
    let mut notes = Vec::new();
    if lost.odd > 0 {
        let what = text::count(lost.odd, "value is", "values are");
        notes.push(format!(
            "{what} left out: not a number, infinite, or too large to draw."
        ));
    }
    if lost.placeless > 0 {
        notes.push(format!(
            "{} left out: nothing says where.",
            text::count(lost.placeless, "row is", "rows are")
        ));
    }
    if lost.series > 0 {
        notes.push(format!(
            "The {SERIES_MAX} largest series are drawn; {} left out.",
            text::count(lost.series, "one is", "more are").replace("1 one is", "one is")
        ));
    }
    let used = |index: &usize| {
        roles.along == Some(*index) || roles.series == Some(*index) || roles.values.contains(index)
    };
    let unused: Vec<usize> = (0..data.columns.len()).filter(|index| !used(index)).collect();
    match unused[..] {
        [] => {}
        [index] => notes.push(format!("Not drawn: the column “{}”.", name(data, index))),
        _ => notes.push(format!("Not drawn: {} further columns.", unused.len())),
    }
    notes
}

fn name(data: &Data, column: usize) -> String {
    text::clean(&data.columns[column].name)
}

/// A value that can be drawn; what cannot is counted.
fn value(data: &Data, column: usize, row: usize, lost: &mut Lost) -> Option<f64> {
    let value = data.columns[column].values.number(row)?;
    if !drawable(value) {
        lost.odd += 1;
        return None;
    }
    Some(value)
}

/// What a bar is called.
fn label(values: &Values, row: usize) -> String {
    let label = match values {
        Values::Text(_) => values.text(row).map(text::clean),
        Values::Number(_) => values
            .number(row)
            .map(|value| number::Format::of([value].into_iter()).write(value)),
        Values::Day(_) => values.moment(row).map(|at| at.date().to_string()),
        Values::Moment(_) => values
            .moment(row)
            .map(|at| format!("{} {:02}:{:02}", at.date(), at.hour(), at.minute())),
    };
    label.unwrap_or_else(|| "NULL".into())
}

/// The names of the series of a column, the largest ones, each with the numbers by which texts are found.
fn named_series(
    data: &Data,
    roles: &Roles,
    column: usize,
    lost: &mut Lost,
) -> (Vec<String>, HashMap<String, usize>) {
    let values = &data.columns[column].values;
    let mut sizes: Vec<(String, f64)> = Vec::new();
    let mut places = HashMap::new();
    for row in 0..data.rows() {
        let name = label(values, row);
        let place = *places.entry(name.clone()).or_insert_with(|| {
            sizes.push((name, 0.0));
            sizes.len() - 1
        });
        let value = data.columns[roles.values[0]].values.number(row).unwrap_or(0.0);
        if drawable(value) {
            sizes[place].1 += value.abs();
        }
    }
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by(|a, b| sizes[*b].1.total_cmp(&sizes[*a].1));
    lost.series = order.len().saturating_sub(SERIES_MAX);
    order.truncate(SERIES_MAX);
    order.sort_unstable();
    let names: Vec<String> = order.into_iter().map(|place| sizes[place].0.clone()).collect();
    let places = names.iter().cloned().zip(0..).collect();
    (names, places)
}

/// Series of several columns of numbers: the first ones.
fn column_series(data: &Data, roles: &Roles, lost: &mut Lost) -> Vec<usize> {
    lost.series = roles.values.len().saturating_sub(SERIES_MAX);
    roles.values[..roles.values.len().min(SERIES_MAX)]
        .iter()
        .copied()
        .filter(|c| *c < data.columns.len())
        .collect()
}

fn bars(data: &Data, roles: &Roles, lost: &mut Lost) -> Body {
    let labels = &data.columns[roles.along.unwrap_or(0)].values;
    let mut groups: Vec<Group> = Vec::new();
    let series = if let Some(column) = roles.series {
        let (names, places) = named_series(data, roles, column, lost);
        let mut found: HashMap<String, usize> = HashMap::new();
        for row in 0..data.rows() {
            let Some(place) = places.get(&label(&data.columns[column].values, row)).copied() else {
                continue;
            };
            let label = label(labels, row);
            let group = *found.entry(label.clone()).or_insert_with(|| {
                groups.push(Group {
                    label,
                    values: vec![None; names.len()],
                });
                groups.len() - 1
            });
            // The same place twice is one bar of both.
            if let Some(value) = value(data, roles.values[0], row, lost) {
                let bar = &mut groups[group].values[place];
                *bar = Some(bar.unwrap_or(0.0) + value).filter(|sum| drawable(*sum));
            }
        }
        names
    } else {
        let columns = column_series(data, roles, lost);
        for row in 0..data.rows() {
            let values = columns
                .iter()
                .map(|column| value(data, *column, row, lost))
                .collect();
            groups.push(Group {
                label: label(labels, row),
                values,
            });
        }
        columns.into_iter().map(|column| name(data, column)).collect()
    };
    let all = || {
        groups
            .iter()
            .flat_map(|group| group.values.iter().flatten().copied())
    };
    if all().next().is_none() {
        return Body::Nothing(NO_VALUES);
    }
    Body::Bars(Bars {
        name: name(data, roles.values[0]),
        format: number::Format::of(all()),
        series,
        groups,
    })
}

fn lines(data: &Data, roles: &Roles, lost: &mut Lost) -> Body {
    let along = &data.columns[roles.along.unwrap_or(0)];
    let place = |row: usize| match &along.values {
        Values::Number(_) => along.values.number(row).filter(|at| drawable(*at)),
        values => values.moment(row).map(time::seconds),
    };
    lost.placeless = (0..data.rows()).filter(|row| place(*row).is_none()).count();
    let mut series: Vec<Series>;
    if let Some(column) = roles.series {
        let (names, places) = named_series(data, roles, column, lost);
        series = names
            .into_iter()
            .map(|name| Series {
                name,
                points: Vec::new(),
            })
            .collect();
        for row in 0..data.rows() {
            let found = places.get(&label(&data.columns[column].values, row));
            if let (Some(at), Some(found)) = (place(row), found) {
                series[*found]
                    .points
                    .push((at, value(data, roles.values[0], row, lost)));
            }
        }
    } else {
        series = Vec::new();
        for column in column_series(data, roles, lost) {
            let points =
                (0..data.rows()).filter_map(|row| Some((place(row)?, value(data, column, row, lost))));
            series.push(Series {
                points: points.collect(),
                name: name(data, column),
            });
        }
    }
    for series in &mut series {
        series.points.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    if series
        .iter()
        .all(|series| series.points.iter().all(|point| point.1.is_none()))
    {
        return Body::Nothing(NO_VALUES);
    }
    Body::Lines(Lines {
        along: text::clean(&along.name),
        kind: match along.values {
            Values::Day(_) => time::Along::Days,
            Values::Moment(_) => time::Along::Moments,
            _ => time::Along::Numbers,
        },
        series,
    })
}

fn histogram(data: &Data, roles: &Roles, lost: &mut Lost) -> Body {
    let column = roles.values[0];
    let values: Vec<f64> = (0..data.rows())
        .filter_map(|row| value(data, column, row, lost))
        .collect();
    if values.is_empty() {
        return Body::Nothing(NO_VALUES);
    }
    Body::Histogram {
        name: name(data, column),
        bins: Bins::of(values),
    }
}

fn calendar(data: &Data, roles: &Roles, lost: &mut Lost) -> Body {
    let column = &data.columns[roles.along.unwrap_or(0)].values;
    let mut days: BTreeMap<Date, f64> = BTreeMap::new();
    for row in 0..data.rows() {
        let Some(at) = column.moment(row) else {
            lost.placeless += 1;
            continue;
        };
        let value = match roles.values.first() {
            None => Some(1.0),
            Some(values) => value(data, *values, row, lost),
        };
        if let Some(value) = value {
            let day = days.entry(at.date()).or_insert(0.0);
            *day = Some(*day + value).filter(|sum| drawable(*sum)).unwrap_or(*day);
        }
    }
    if days.is_empty() {
        return Body::Nothing(NO_VALUES);
    }
    Body::Calendar(Calendar {
        name: roles.values.first().map(|column| name(data, *column)),
        days,
    })
}
