//! Which chart suits which data, and what each column of it is there for.
//!
//! Guarantees: the same data have the same kind; what does not suit is said in one sentence. Looks at the types of the
//! columns, and at texts only to see whether they repeat.

use std::collections::HashSet;

use super::ChartError;
use super::data::Data;

/// More series nobody tells apart.
pub(super) const SERIES_MAX: usize = 7;

/// A kind of chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A bar for each row.
    Bars,
    /// Lines along time or numbers.
    Lines,
    /// How often numbers of which size occur.
    Histogram,
    /// The days of years, the fuller the darker.
    Calendar,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 4] = [Kind::Bars, Kind::Lines, Kind::Histogram, Kind::Calendar];

    /// As people name it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Bars => "bars",
            Kind::Lines => "lines",
            Kind::Histogram => "histogram",
            Kind::Calendar => "calendar",
        }
    }

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The kind that suits the data.
    pub fn suits(data: &Data) -> Result<Kind, ChartError> {
        let texts = data.columns.iter().position(|column| column.values.is_text());
        let times = data.columns.iter().position(|column| column.values.is_time());
        let numbers = data
            .columns
            .iter()
            .filter(|column| column.values.is_number())
            .count();
        match (numbers, texts, times) {
            (0, _, Some(_)) => Ok(Kind::Calendar),
            (0, ..) => Err(ChartError::Nothing { given: given(data) }),
            (1, None, None) => Ok(Kind::Histogram),
            (_, None, _) => Ok(Kind::Lines),
            (_, Some(_), None) => Ok(Kind::Bars),
            (_, Some(text), Some(time)) if text < time && distinct(data, text, usize::MAX) == data.rows() => {
                Ok(Kind::Bars)
            }
            (_, Some(_), Some(_)) => Ok(Kind::Lines),
        }
    }

    fn needs(self) -> &'static str {
        match self {
            Kind::Bars => "Bars need a column of labels and one of numbers",
            Kind::Lines => "A line needs a column of times or numbers to run along, and one of numbers",
            Kind::Histogram => "A histogram needs a column of numbers",
            Kind::Calendar => "A calendar needs a column of days or moments",
        }
    }
}

/// Which column is what; by number.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Roles {
    /// What a bar is called, what a line runs along, or a calendar's days.
    pub(super) along: Option<usize>,
    /// The text that tells series apart.
    pub(super) series: Option<usize>,
    /// What is drawn.
    pub(super) values: Vec<usize>,
}

/// What each column is to this kind.
pub(super) fn roles(data: &Data, kind: Kind) -> Result<Roles, ChartError> {
    let of = |is: fn(&super::data::Values) -> bool| -> Vec<usize> {
        (0..data.columns.len())
            .filter(|index| is(&data.columns[*index].values))
            .collect()
    };
    let (texts, times, mut numbers) = (of(|v| v.is_text()), of(|v| v.is_time()), of(|v| v.is_number()));
    let unsuitable = || ChartError::Unsuitable {
        needs: kind.needs(),
        given: given(data),
    };
    let mut roles = Roles::default();
    match kind {
        Kind::Bars => {
            roles.along = texts.first().or(times.first()).copied();
            if roles.along.is_none() && numbers.len() > 1 {
                roles.along = Some(numbers.remove(0));
            }
            // A second text tells series apart, but where each row would be one of its own.
            roles.series = texts.get(1).copied().filter(|series| {
                let label = texts[0];
                distinct(data, *series, SERIES_MAX + 1) <= SERIES_MAX
                    || distinct(data, label, usize::MAX) < data.rows()
            });
        }
        Kind::Lines => {
            roles.along = times.first().copied();
            if roles.along.is_none() && numbers.len() > 1 {
                roles.along = Some(numbers.remove(0));
            }
            roles.series = texts.first().copied();
        }
        Kind::Histogram => numbers.truncate(1),
        Kind::Calendar => {
            roles.along = times.first().copied();
            numbers.truncate(1);
        }
    }
    if roles.series.is_some() {
        numbers.truncate(1);
    }
    if (numbers.is_empty() && kind != Kind::Calendar) || (roles.along.is_none() && kind != Kind::Histogram) {
        return Err(unsuitable());
    }
    roles.values = numbers;
    Ok(roles)
}

/// How many different texts a column has, counted up to `most`.
fn distinct(data: &Data, column: usize, most: usize) -> usize {
    let mut seen = HashSet::new();
    for row in 0..data.rows() {
        seen.insert(data.columns[column].values.text(row));
        if seen.len() >= most {
            break;
        }
    }
    seen.len()
}

/// What the data are, in words: `only text`.
fn given(data: &Data) -> String {
    let count = |is: fn(&super::data::Values) -> bool| data.columns.iter().filter(|c| is(&c.values)).count();
    let (texts, times, numbers) = (
        count(|v| v.is_text()),
        count(|v| v.is_time()),
        count(|v| v.is_number()),
    );
    let mut parts = Vec::new();
    if texts > 0 {
        parts.push("text");
    }
    if times > 0 {
        parts.push("times");
    }
    match numbers {
        0 => {}
        1 => parts.push("one column of numbers"),
        _ => parts.push("numbers"),
    }
    match parts[..] {
        [] => "no column".into(),
        [only] => format!("only {only}"),
        [first, second] => format!("only {first} and {second}"),
        _ => "only text, times and numbers".into(),
    }
}
