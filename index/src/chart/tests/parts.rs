//! Scales, ticks, numbers, texts and bins, by tables.

use super::super::bins::Bins;
use super::super::number::{self, Format};
use super::super::scale::{Scale, Tick};
use super::super::{reduce, text, time, weeks};
use super::*;

fn labels(ticks: Vec<Tick>) -> Vec<String> {
    ticks.into_iter().map(|tick| tick.label).collect()
}

/// Ticks stand at round values, as many as there is room for.
#[test]
fn ticks_are_round() {
    let cases: [(f64, f64, usize, &[&str]); 10] = [
        (0.0, 10.0, 6, &["0", "2", "4", "6", "8", "10"]),
        (0.0, 1.0, 3, &["0", "0.5", "1.0"]),
        (-7.0, 13.0, 6, &["-5", "0", "5", "10"]),
        (0.0, 9_000.0, 5, &["0", "5000"]),
        (0.0, 100_000.0, 6, &["0", "20k", "40k", "60k", "80k", "100k"]),
        (0.0, 3_000_000.0, 4, &["0", "1M", "2M", "3M"]),
        (0.0, 1_500_000.0, 4, &["0", "0.5M", "1.0M", "1.5M"]),
        (1e-7, 3e-7, 3, &["1e-7", "2e-7", "3e-7"]),
        (-1e300, 1e300, 3, &["-1e300", "0", "1e300"]),
        (2001.0, 2004.0, 4, &["2001", "2002", "2003", "2004"]),
    ];
    for (from, to, count, expected) in cases {
        assert_eq!(
            labels(Scale { from, to }.ticks(count)),
            expected,
            "{from} to {to}"
        );
    }
}

/// A scale is never empty and never infinite, and holds its values.
#[test]
fn scales_hold_their_values() {
    let cases: [&[f64]; 12] = [
        &[],
        &[0.0],
        &[5.0],
        &[-5.0, -5.0],
        &[1e300, -1e300],
        &[f64::NAN, f64::INFINITY, 3.0],
        &[5e-324],
        &[5e-324, 1e-310],
        &[1e15, 1e15 + 0.125],
        &[1e300],
        &[0.1, 0.2, 0.3],
        &[-3.0, 1e9],
    ];
    for values in cases {
        for scale in [
            Scale::over(values.iter().copied()),
            Scale::from_zero(values.iter().copied()),
            Scale::over(values.iter().copied()).with_near_zero(),
        ] {
            let (rounded, marks) = scale.rounded(5);
            for scale in [scale, rounded] {
                assert!(
                    scale.from < scale.to && (scale.to - scale.from).is_finite(),
                    "{values:?} {scale:?}"
                );
                for value in values.iter().filter(|value| value.abs() <= 1e300) {
                    assert!(scale.from <= *value && *value <= scale.to, "{value} {scale:?}");
                    assert!((0.0..=1.0).contains(&scale.place(*value)));
                }
                let ticks = scale.ticks(5);
                assert!(ticks.len() <= 5, "{scale:?} {ticks:?}");
                for pair in ticks.windows(2) {
                    assert!(pair[0].at < pair[1].at, "{scale:?} {ticks:?}");
                }
            }
            assert!((1..=7).contains(&marks.len()), "{values:?} {rounded:?} {marks:?}");
        }
    }
}

/// Ticks of time begin seconds, hours, days, Mondays, months and years; the first says all.
#[test]
fn ticks_of_time() {
    let cases: [(&str, &str, usize, &[&str]); 9] = [
        (
            "2026-11-24T10:00:00",
            "2026-11-24T10:00:04",
            5,
            &[
                "24 Nov 2026 10:00:00",
                "10:00:01",
                "10:00:02",
                "10:00:03",
                "10:00:04",
            ],
        ),
        (
            "2026-11-23T21:00",
            "2026-11-24T10:00",
            6,
            &["23 Nov 2026 21:00", "24 Nov", "03:00", "06:00", "09:00"],
        ),
        (
            "2026-12-30T00:00",
            "2027-01-02T00:00",
            4,
            &["30 Dec 2026", "31 Dec", "1 Jan 2027", "2 Jan"],
        ),
        (
            "2026-11-01T00:00",
            "2026-11-30T00:00",
            5,
            &["2 Nov 2026", "9 Nov", "16 Nov", "23 Nov", "30 Nov"],
        ),
        (
            "2026-01-01T00:00",
            "2026-03-31T00:00",
            4,
            &["Jan 2026", "Feb", "Mar"],
        ),
        (
            "2025-06-02T00:00",
            "2026-09-01T00:00",
            6,
            &["Jul 2025", "Oct", "2026", "Apr", "Jul"],
        ),
        (
            "2019-03-01T00:00",
            "2026-03-01T00:00",
            7,
            &["2020", "2021", "2022", "2023", "2024", "2025", "2026"],
        ),
        (
            "1815-03-01T00:00",
            "2026-03-01T00:00",
            5,
            &["1850", "1900", "1950", "2000"],
        ),
        (
            "-009999-01-01T00:00",
            "9999-12-31T23:59:59",
            5,
            &["-5000", "0", "5000"],
        ),
    ];
    for (from, to, count, expected) in cases {
        let scale = Scale {
            from: time::seconds(moment(from)),
            to: time::seconds(moment(to)),
        };
        let ticks = time::Along::Moments.ticks(scale, count);
        for tick in &ticks {
            assert!(scale.from <= tick.at && tick.at <= scale.to);
        }
        assert_eq!(labels(ticks), expected, "{from} to {to}");
    }
}

/// Whatever the span, there are ticks, and no more than asked for.
#[test]
fn every_span_of_time_has_ticks() {
    let from = time::seconds(moment("2024-02-29T13:37:11"));
    for power in 1..38 {
        let to = from + 2f64.powi(power);
        for count in 2..12 {
            let ticks = time::Along::Moments.ticks(Scale { from, to }, count);
            assert!(ticks.len() <= count, "{power} {count} {ticks:?}");
            assert!(!ticks.is_empty() || count < 4, "{power} {count}");
        }
    }
}

/// Numbers are written with as many decimals as tell them apart, and never too long.
#[test]
fn numbers_for_people() {
    let cases: [(&[f64], &[&str]); 9] = [
        (&[1.0, 1234567.0, -5.0], &["1", "1,234,567", "-5"]),
        (&[120.5, -40.25], &["120.50", "-40.25"]),
        (&[1.0 / 3.0, 2.0], &["0.33", "2.00"]),
        (&[1000.0 / 3.0], &["333"]),
        (&[0.0, -0.0], &["0", "0"]),
        (&[1e15, 3.0], &["1e15", "3e0"]),
        (&[1e-9], &["1e-9"]),
        (&[-0.0004, 5.0], &["0.00", "5.00"]),
        (&[-1.25e299], &["-1.25e299"]),
    ];
    for (values, expected) in cases {
        let format = Format::of(values.iter().copied());
        assert_eq!(
            values
                .iter()
                .map(|value| format.write(*value))
                .collect::<Vec<_>>(),
            expected
        );
    }
    assert_eq!(number::grouped(u64::MAX), "18,446,744,073,709,551,615");
}

/// What a terminal obeys, what turns text round, and what XML forbids, does not get through; nor do heaps of marks.
#[test]
fn texts_are_made_harmless() {
    let cases = [
        ("plain", "plain"),
        (" a\tb\r\nc ", "a b c"),
        ("\u{1b}[31mred\u{7}\u{9b}2J", "\u{fffd}[31mred\u{fffd}\u{fffd}2J"),
        ("\u{202e}txt.exe\u{2066}", "\u{fffd}txt.exe\u{fffd}"),
        ("\u{0}\u{ffff}\u{fdd0}", "\u{fffd}\u{fffd}\u{fffd}"),
        ("👩‍👩‍👧 שלום नमस्ते", "👩‍👩‍👧 שלום नमस्ते"),
    ];
    for (dirty, clean) in cases {
        assert_eq!(text::clean(dirty), clean);
    }
    let heap = format!("a{}b", "\u{301}".repeat(100_000));
    assert!(text::clean(&heap).len() < 100 && text::clean(&heap).ends_with('b'));
    assert!(text::clean(&"x".repeat(1_000_000)).len() < 300);
}

/// Texts are cut between what people take for one character, by the columns they take.
#[test]
fn texts_are_cut_to_fit() {
    let cases = [
        ("hello", 5, "hello"),
        ("hello", 4, "hel…"),
        ("hello", 1, "…"),
        ("hello", 0, ""),
        ("日本語", 5, "日本…"),
        ("日本語", 4, "日…"),
        ("e\u{301}e\u{301}e\u{301}", 2, "e\u{301}…"),
        ("📚📚📚", 3, "📚…"),
        ("a b c", 3, "a…"),
    ];
    for (words, columns, expected) in cases {
        assert_eq!(text::cut(words, columns), expected, "{words} in {columns}");
        assert_eq!(text::width(&text::left(words, columns)), columns);
        assert_eq!(text::width(&text::right(words, columns)), columns);
    }
}

/// Bins are round, hold every value once, and are few.
#[test]
fn bins_hold_every_value() {
    let whole: Vec<f64> = (0..100).map(|value| f64::from(value % 7)).collect();
    let bins = Bins::of(whole);
    assert_eq!((bins.edges[0], bins.counts.len()), (0.0, 7));
    assert_eq!((bins.label(3), bins.counts[3]), ("3".into(), 14));
    let bins = Bins::of((0..1000).map(f64::from).collect());
    assert_eq!(bins.label(0), "0 – 99");
    assert_eq!(bins.counts, [100; 10]);
    let cases: [&[f64]; 8] = [
        &[3.0],
        &[0.25; 9],
        &[1e300, -1e300],
        &[0.0, 5e-324],
        &[1e15, 1e15 + 0.5],
        &[0.1, 0.2, 0.3, 1e9],
        &[1e14, 1e14 + 1.0],
        &[-0.5, -0.25, -0.125],
    ];
    for values in cases {
        let bins = Bins::of(values.to_vec());
        assert_eq!(bins.counts.iter().sum::<u64>(), values.len() as u64);
        assert!(
            bins.counts.len() <= 32 && bins.edges.len() == bins.counts.len() + 1,
            "{bins:?}"
        );
        let (first, last) = (bins.edges[0], *bins.edges.last().expect("edges"));
        for value in values {
            assert!(first <= *value && *value <= last, "{value} {bins:?}");
        }
    }
}

/// Many points become few, of which none higher or lower is missing; gaps stay.
#[test]
fn lines_keep_peaks_and_gaps() {
    let mut points: Vec<(f64, Option<f64>)> = (0..100_000).map(|x| (f64::from(x), Some(0.0))).collect();
    points[31_415].1 = Some(9.0);
    points[92_653].1 = Some(-9.0);
    for point in &mut points[50_000..60_000] {
        point.1 = None;
    }
    let stretches = reduce::reduce(&points, Scale { from: 0.0, to: 1e5 }, 100);
    assert_eq!(stretches.len(), 2);
    let all: Vec<_> = stretches.into_iter().flatten().collect();
    assert!(all.len() <= 400);
    assert!(all.contains(&(31_415.0, 9.0)) && all.contains(&(92_653.0, -9.0)));
    assert!(all.windows(2).all(|pair| pair[0].0 <= pair[1].0));
}

/// Weeks begin on Monday, and every day of every kind of year has a place of its own.
#[test]
fn days_have_places() {
    assert_eq!(weeks::place(day("2026-01-01")), (0, 3));
    assert_eq!(weeks::place(day("2026-01-05")), (1, 0));
    assert_eq!(weeks::place(day("2028-12-31")), (52, 6));
    for year in [-9999, 0, 1, 2000, 2024, 2025, 2028, 2040, 9999] {
        let places: std::collections::BTreeSet<_> = weeks::days(year).map(weeks::place).collect();
        assert!([365, 366].contains(&places.len()), "{year}");
        assert!(places.iter().all(|(week, weekday)| *week < 54 && *weekday < 7));
        assert_eq!(weeks::months(year).len(), 12);
    }
}
