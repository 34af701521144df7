//! Drawings for the terminal, as they were found good by eye.

use super::super::{Colour, terminal};
use super::*;

/// Compares, and prints what is drawn where it is another.
fn check(chart: &Chart, width: usize, expected: &str) {
    let drawn = terminal(chart, width, Colour::None);
    assert!(
        drawn == expected.trim_start_matches('\n'),
        "drawn:\n{drawn}\nexpected:{expected}"
    );
}

/// Labels are cut and aligned by the columns they take; values stand right; zero has no bar.
#[test]
fn bars() {
    let data = data(vec![
        (
            "folder",
            texts(&[
                "Recipes",
                "日本旅行",
                "Reading 📚",
                "A name that is too long to be read",
                "None",
            ]),
        ),
        ("notes", numbers(&[1412.0, 700.0, 64.0, 12.0, 0.0])),
    ]);
    check(
        &Chart::new(&data, None, Some("Notes")).expect("a chart"),
        44,
        BARS,
    );
}

const BARS: &str = "
Notes

                                       notes
Recipes           █████████████████████ 1412
日本旅行          ██████████▍            700
Reading 📚        █                       64
A name that is t… ▏                       12
None                                       0
";

/// What is below zero goes left; a value that is NULL is a dash.
#[test]
fn bars_below_zero() {
    let values = Values::Number(vec![Some(120.5), Some(-40.25), None, Some(-1e-3)]);
    check(
        &chart(&data(vec![
            ("month", texts(&["Jan", "Feb", "Mar", "Apr"])),
            ("balance", values),
        ])),
        40,
        BELOW,
    );
}

const BELOW: &str = "
                                 balance
Jan        ██████████████████████ 120.50
Feb ███████                       -40.25
Mar                                    –
Apr       ▐                         0.00
";

/// Series of one label stand together, each with its name.
#[test]
fn bars_in_groups() {
    let chart = chart(&data(vec![
        ("month", texts(&["Jan", "Jan", "Feb", "Feb"])),
        ("list", texts(&["home", "work", "home", "work"])),
        ("tasks", numbers(&[3.0, 8.0, 5.0, 1.0])),
    ]));
    check(&chart, 36, GROUPS);
}

const GROUPS: &str = "
Jan home █████████▍                3
    work █████████████████████████ 8
Feb home ███████████████▋          5
    work ███▏                      1
";

/// Of very many bars the largest are drawn, in the order of the query, and the others counted.
#[test]
fn many_bars() {
    let names: Vec<String> = (0..1027).map(|row| format!("n{row}")).collect();
    let values: Vec<f64> = (0..1027).map(|row| f64::from(row * 7919 % 1027)).collect();
    let names: Vec<&str> = names.iter().map(|name| &**name).collect();
    let drawn = terminal(
        &chart(&data(vec![("n", texts(&names)), ("v", numbers(&values))])),
        60,
        Colour::None,
    );
    assert_eq!(drawn.lines().last(), Some("… and 977 more."));
    assert_eq!(drawn.lines().count(), 1 + 50 + 1);
    let shown: Vec<usize> = drawn
        .lines()
        .filter_map(|line| line.strip_prefix('n')?.split(' ').next()?.parse().ok())
        .collect();
    assert!(shown.is_sorted());
    assert!(shown.iter().all(|row| row * 7919 % 1027 >= 977), "{shown:?}");
}

/// Dots between two axes, with a gap where there is none, and months below.
#[test]
fn lines() {
    let first = day("2026-01-20");
    let at = |step: i32| {
        first
            .checked_add(jiff::Span::new().days(step * 3))
            .expect("a day")
    };
    let value = |step: i32| (!(20..24).contains(&step)).then(|| 20.0 + 15.0 * (f64::from(step) / 6.0).sin());
    let days = Values::Day((0..40).map(|step| Some(at(step))).collect());
    let values = Values::Number((0..40).map(value).collect());
    check(&chart(&data(vec![("day", days), ("notes", values)])), 60, LINES);
}

const LINES: &str = "
notes
40 ┤
   │           ⣀⣀⠤⢄⣀⡀
   │       ⣀⠔⠊⠉     ⠈⠑⠢⢄
30 ┤    ⢀⡠⠊             ⠉⠢⡀
   │   ⡠⠊                 ⠈⢆
   │ ⡠⠎                     ⠉⢢                             ⡔
20 ┤⠜                         ⠙⠄                         ⡰⠊
   │                                                   ⡠⠚
   │                                                 ⢀⠔⠁
10 ┤                                               ⡠⠒⠁
   │                                  ⠑⠢⢄⡀     ⣀⡠⠔⠉
   │                                     ⠈⠉⠉⠒⠊⠉
 0 ┤
   └──────┬────────────┬─────────────┬─────────────┬────────
       Feb 2026       Mar           Apr           May
";

/// Without colours, several lines are of different signs.
#[test]
fn lines_of_signs() {
    let steps = || (0..12).map(f64::from);
    let chart = chart(&data(vec![
        ("x", numbers(&steps().collect::<Vec<_>>())),
        ("up", numbers(&steps().collect::<Vec<_>>())),
        ("down", numbers(&steps().map(|x| 11.0 - x).collect::<Vec<_>>())),
    ]));
    check(&chart, 40, SIGNS);
}

const SIGNS: &str = "
• up   + down
15 ┤
   │
   │+                                  •
10 ┤ ++++++                      ••••••
   │      +++++              •••••
   │           ++++++  ••••••
 5 ┤              •••+++++
   │         •••••        +++++
   │   ••••••                  ++++++
 0 ┤•••                              +++
   └┬───────────────────────────────┬───
    0                               10
                                       x
";

/// A value alone is seen, in the middle of its day; all values equal make a level line.
#[test]
fn a_point_and_a_level() {
    check(
        &chart(&data(vec![
            ("day", days(&["2026-11-24"])),
            ("n", numbers(&[5.0])),
        ])),
        40,
        POINT,
    );
    let days = days(&["2026-11-23", "2026-11-24", "2026-11-25"]);
    check(
        &chart(&data(vec![("day", days), ("n", numbers(&[7.0; 3]))])),
        40,
        LEVEL,
    );
}

const POINT: &str = "
n
10 ┤
   │
   │
   │
 5 ┤                  ⣤
   │
   │
   │
 0 ┤
   └┬─────────────────┬────────────────┬
    23 Nov 2026     24 Nov        25 Nov
";

const LEVEL: &str = "
n
15 ┤
   │
   │
10 ┤
   │
   │⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒
 5 ┤
   │
   │
 0 ┤
   └┬─────────────────┬────────────────┬
    23 Nov 2026     24 Nov        25 Nov
";

/// A bar for each bin, with where it begins and ends.
#[test]
fn histogram() {
    let values: Vec<f64> = (0..500).map(|x| (f64::from(x) / 500.0).powi(2) * 60.0).collect();
    check(&chart(&data(vec![("size", numbers(&values))])), 44, HISTOGRAM);
}

const HISTOGRAM: &str = "
size
 0 – 10 ████████████████████████████████ 205
10 – 20 █████████████▏                    84
20 – 30 ██████████▏                       65
30 – 40 ████████▋                         55
40 – 50 ███████▌                          48
50 – 60 ██████▊                           43
";

/// Weeks from Monday on, months above, the more the darker.
#[test]
fn calendar() {
    let first = day("2026-01-01");
    let mut all = Vec::new();
    for step in 0..200 {
        let at = first.checked_add(jiff::Span::new().days(step)).expect("a day");
        let times = if at.weekday() == jiff::civil::Weekday::Sunday {
            0
        } else {
            step as usize * step as usize % 9
        };
        all.extend(vec![Some(at); times]);
    }
    check(
        &chart(&data(vec![("day", Values::Day(all.clone()))])),
        60,
        CALENDAR,
    );
    check(&chart(&data(vec![("day", Values::Day(all))])), 34, NARROW);
}

const CALENDAR: &str = "
2026 Jan Feb Mar  Apr May  Jun Jul Aug  Sep Oct Nov  Dec
Mon   █▓·▓█·▒▒·█▓·▓█·▒▒·█▓·▓█·▒▒·█························
      █·▒▒·█▓·▓█·▒▒·█▓·▓█·▒▒·█▓·▓█························
Wed   ·█▓·▓█·▒▒·█▓·▓█·▒▒·█▓·▓█·▒▒·························
     ·▓█·▒▒·█▓·▓█·▒▒·█▓·▓█·▒▒·█▓·▓························
Fri  ▒▒·█▓·▓█·▒▒·█▓·▓█·▒▒·█▓·▓█·▒▒·······················
     ▓·▓█·▒▒·█▓·▓█·▒▒·█▓·▓█·▒▒·█▓························
     ····················································

rows
· none   ▒ 1+   ▓ 4+   █ 7+
";

const NARROW: &str = "
2026 Jan Feb Mar  Apr May  Jun
Mon   █▓·▓█·▒▒·█▓·▓█·▒▒·█▓·▓█·▒▒
      █·▒▒·█▓·▓█·▒▒·█▓·▓█·▒▒·█▓·
Wed   ·█▓·▓█·▒▒·█▓·▓█·▒▒·█▓·▓█·▒
     ·▓█·▒▒·█▓·▓█·▒▒·█▓·▓█·▒▒·█▓
Fri  ▒▒·█▓·▓█·▒▒·█▓·▓█·▒▒·█▓·▓█·
     ▓·▓█·▒▒·█▓·▓█·▒▒·█▓·▓█·▒▒·█
     ···························

2026    Aug  Sep Oct Nov  Dec
Mon  ·█························
     ▓█························
Wed  ▒·························
     ·▓························
Fri  ▒▒·······················
     ▓························
     ·························

rows
· none   ▒ 1+   ▓ 4+   █ 7+
";

/// No rows, and what is left out, are said below in plain sentences.
#[test]
fn sentences() {
    check(
        &chart(&data(vec![("n", numbers(&[]))])),
        40,
        "The query gave no rows.\n",
    );
    let odd = chart(&data(vec![("n", numbers(&[1.0, 1.0, f64::NAN]))]));
    check(&odd, 40, ODD);
}

const ODD: &str = "
n
1 ████████████████████████████████████ 2
1 value is left out: not a number,
infinite, or too large to draw.
";

/// With colours the text is the same, and each colour ends in its line.
#[test]
fn colours() {
    let data = data(vec![("a", texts(&["x\u{1b}[2J"])), ("n", numbers(&[1.0]))]);
    let draw = |colour| terminal(&chart(&data), 14, colour);
    assert_eq!(draw(Colour::None), "             n\nx\u{fffd}[2J ██████ 1\n");
    assert_eq!(
        draw(Colour::Ansi16),
        "             \u{1b}[2mn\u{1b}[0m\nx\u{fffd}[2J \u{1b}[34m██████\u{1b}[0m 1\n"
    );
    assert!(draw(Colour::Ansi256).contains("\u{1b}[38;5;68m██████\u{1b}[0m"));
    assert!(draw(Colour::TrueColor).contains("\u{1b}[38;2;68;119;170m██████\u{1b}[0m"));
}
