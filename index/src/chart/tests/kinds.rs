//! Which kind is chosen, what each column is in it, and what is said of the rest.

use super::super::model::Body;
use super::*;

fn kind(columns: Vec<(&str, Values)>) -> Result<Kind, String> {
    Kind::suits(&data(columns)).map_err(|error| error.to_string())
}

/// The kind follows from the types of the columns.
#[test]
fn kinds_by_columns() {
    let (text, number, day) = (
        texts(&["a", "b"]),
        numbers(&[1.0, 2.0]),
        days(&["2026-01-01", "2026-01-02"]),
    );
    let same = texts(&["a", "a"]);
    let moments = Values::Moment(vec![Some(moment("2026-01-01T10:00")), None]);
    let cases = [
        (vec![&text, &number], Kind::Bars),
        (vec![&number, &text], Kind::Bars),
        (vec![&text, &text, &number], Kind::Bars),
        (vec![&text, &number, &number], Kind::Bars),
        (vec![&day, &number], Kind::Lines),
        (vec![&moments, &number, &number], Kind::Lines),
        (vec![&day, &text, &number], Kind::Lines),
        (vec![&same, &day, &number], Kind::Lines),
        (vec![&text, &day, &number], Kind::Bars),
        (vec![&number, &number], Kind::Lines),
        (vec![&number], Kind::Histogram),
        (vec![&day], Kind::Calendar),
        (vec![&text, &moments], Kind::Calendar),
    ];
    for (columns, expected) in cases {
        let columns: Vec<_> = columns.into_iter().map(|values| ("c", values.clone())).collect();
        assert_eq!(kind(columns.clone()), Ok(expected), "{columns:?}");
    }
    for kind in Kind::ALL {
        assert_eq!(Kind::named(kind.name()), Some(kind));
    }
    assert_eq!(Kind::named("pie"), None);
}

/// What does not suit is said in one sentence, which names what is there.
#[test]
fn errors_say_what_lacks() {
    let only_text = data(vec![("name", texts(&["a"])), ("path", texts(&["b"]))]);
    let say = |data: &Data, kind| Chart::new(data, kind, None).expect_err("no chart").to_string();
    assert_eq!(
        say(&only_text, None),
        "A chart needs a column of numbers, days or moments; this query gives only text."
    );
    assert_eq!(
        say(&only_text, Some(Kind::Lines)),
        "A line needs a column of times or numbers to run along, and one of numbers; this query gives only text."
    );
    assert_eq!(
        say(&only_text, Some(Kind::Histogram)),
        "A histogram needs a column of numbers; this query gives only text."
    );
    let number = data(vec![("size", numbers(&[1.0]))]);
    assert_eq!(
        say(&number, Some(Kind::Bars)),
        "Bars need a column of labels and one of numbers; this query gives only one column of numbers."
    );
    let both = data(vec![("size", numbers(&[1.0])), ("name", texts(&["a"]))]);
    assert_eq!(
        say(&both, Some(Kind::Calendar)),
        "A calendar needs a column of days or moments; this query gives only text and one column of numbers."
    );
}

/// Neither no rows nor rows without values are an error: the chart says so.
#[test]
fn nothing_is_said() {
    for empty in [
        Data::default(),
        data(vec![("a", texts(&[]))]),
        data(vec![("n", numbers(&[]))]),
    ] {
        for kind in [None, Some(Kind::Lines), Some(Kind::Calendar)] {
            let chart = Chart::new(&empty, kind, None).expect("a chart");
            assert_eq!(chart.body, Body::Nothing("The query gave no rows."));
        }
    }
    let null = chart(&data(vec![
        ("a", texts(&["x"])),
        ("n", Values::Number(vec![None])),
    ]));
    assert!(matches!(null.body, Body::Nothing(why) if why.contains("no row has a value")));
}

/// A second text tells series apart; the same label and series twice is their sum.
#[test]
fn texts_make_series() {
    let chart = chart(&data(vec![
        ("month", texts(&["jan", "jan", "feb", "feb", "feb"])),
        ("list", texts(&["home", "work", "work", "home", "home"])),
        ("tasks", numbers(&[1.0, 2.0, 3.0, 4.0, 5.0])),
    ]));
    let Body::Bars(bars) = &chart.body else {
        panic!("{chart:?}")
    };
    assert_eq!(bars.series, ["home", "work"]);
    let groups: Vec<_> = bars
        .groups
        .iter()
        .map(|group| (&*group.label, &group.values[..]))
        .collect();
    assert_eq!(
        groups,
        [
            ("jan", &[Some(1.0), Some(2.0)][..]),
            ("feb", &[Some(9.0), Some(3.0)][..])
        ]
    );
}

/// Of many series the largest are drawn, and the others counted.
#[test]
fn series_are_bounded() {
    let rows: Vec<String> = (0..40).map(|row| format!("s{row}")).collect();
    let names: Vec<&str> = rows.iter().map(|name| &**name).collect();
    let values: Vec<f64> = (0..40).map(f64::from).collect();
    let day = vec!["2026-01-01"; 40];
    let chart = chart(&data(vec![
        ("day", days(&day)),
        ("path", texts(&names)),
        ("size", numbers(&values)),
    ]));
    let Body::Lines(lines) = &chart.body else {
        panic!("{chart:?}")
    };
    let drawn: Vec<_> = lines.series.iter().map(|series| &*series.name).collect();
    assert_eq!(drawn, ["s33", "s34", "s35", "s36", "s37", "s38", "s39"]);
    assert_eq!(
        chart.notes,
        ["The 7 largest series are drawn; 33 more are left out."]
    );
}

/// What cannot be drawn is counted and said: no numbers, rows without a place, columns without use.
#[test]
fn what_is_left_out_is_said() {
    let chart = chart(&data(vec![
        (
            "x",
            Values::Number(vec![Some(2.0), None, Some(1.0), Some(3.0), Some(4.0)]),
        ),
        ("y", numbers(&[1.0, 2.0, f64::NAN, f64::NEG_INFINITY, 1e305])),
    ]));
    let Body::Lines(lines) = &chart.body else {
        panic!("{chart:?}")
    };
    assert_eq!(
        lines.series[0].points,
        [(1.0, None), (2.0, Some(1.0)), (3.0, None), (4.0, None)]
    );
    assert_eq!(
        chart.notes,
        [
            "3 values are left out: not a number, infinite, or too large to draw.",
            "1 row is left out: nothing says where."
        ]
    );
    let unused = chart_of(
        Kind::Histogram,
        &data(vec![("n", numbers(&[1.0])), ("w\u{1b}[2J", texts(&["a"]))]),
    );
    assert_eq!(unused.notes, ["Not drawn: the column “w\u{fffd}[2J”."]);
}

/// Days are counted, or added up where there are numbers; columns of different lengths end with the shortest.
#[test]
fn days_are_counted() {
    let days = days(&["2026-03-01", "2026-03-01", "2026-03-05", "2026-03-06"]);
    for (values, expected) in [
        (None, [2.0, 1.0, 1.0].to_vec()),
        (Some(numbers(&[2.5, 1.0, 7.0])), vec![3.5, 7.0]),
    ] {
        let mut columns = vec![("day", days.clone())];
        columns.extend(values.map(|values| ("n", values)));
        let chart = chart_of(Kind::Calendar, &data(columns));
        let Body::Calendar(calendar) = &chart.body else {
            panic!("{chart:?}")
        };
        assert_eq!(calendar.days.values().copied().collect::<Vec<_>>(), expected);
    }
}
