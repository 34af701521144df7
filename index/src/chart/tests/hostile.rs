//! Random data of all sizes and kinds, with whatever numbers and texts can be, in every width.

use super::super::{Colour, png, svg, text};
use super::*;

/// A generator of numbers by a seed (SplitMix64).
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn number(&mut self, wild: bool) -> f64 {
        match self.below(if wild { 8 } else { 3 }) {
            0 => self.below(1000) as f64 - 300.0,
            1 => self.below(1_000_000) as f64 / 997.0,
            2 => (self.below(40) as f64 - 10.0) * 1e5,
            3 => self.pick(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY]),
            4 => self.pick(&[
                f64::MAX,
                f64::MIN,
                f64::MIN_POSITIVE,
                5e-324,
                1e300,
                -1e300,
                1e301,
            ]),
            5 => self.pick(&[0.0, -0.0, 1e15, 1e15 + 0.125, 9_007_199_254_740_993.0]),
            _ => f64::from_bits(self.next()),
        }
    }

    fn day(&mut self, wild: bool) -> Date {
        let (least, span) = if wild { (-9999, 19_999) } else { (2023, 4) };
        let year = (least + self.below(span) as i32) as i16;
        let date = Date::new(year, 1 + self.below(12) as i8, 1 + self.below(28) as i8).expect("a day");
        if wild && self.below(50) == 0 {
            self.pick(&[Date::MIN, Date::MAX])
        } else {
            date
        }
    }

    fn text(&mut self, wild: bool) -> String {
        const WORDS: [&str; 8] = [
            "notes",
            "Recipes of 2025",
            "a",
            "x-ray",
            "Garden & house",
            "日本語",
            "Žluť",
            "📚 read",
        ];
        const WILD: [&str; 8] = [
            "",
            "\u{1b}[31m",
            "\n\r\t",
            "\u{202e}abc",
            "e\u{301}\u{301}\u{301}",
            "👩‍👩‍👧‍👦",
            "\u{200b}\u{200d}",
            "<&\"'>",
        ];
        let words = 1 + self.below(if wild { 12 } else { 4 });
        let word = |random: &mut Random| {
            if wild && random.below(2) == 0 {
                random.pick(&WILD)
            } else {
                random.pick(&WORDS)
            }
        };
        (0..words)
            .map(|_| word(self))
            .collect::<Vec<_>>()
            .join(if self.below(2) == 0 { " " } else { "" })
    }

    fn column(&mut self, rows: usize, wild: bool) -> Column {
        fn cells<T>(random: &mut Random, rows: usize, of: impl Fn(&mut Random) -> T) -> Vec<Option<T>> {
            let holes = random.pick(&[2, 10, usize::MAX]);
            (0..rows)
                .map(|_| (random.below(holes) > 0).then(|| of(random)))
                .collect()
        }
        let few = self.below(2) == 0;
        let some: Vec<String> = (0..3).map(|_| self.text(wild)).collect();
        let values = match self.below(5) {
            0 => Values::Text(cells(self, rows, |random| {
                if few {
                    some[random.below(3)].clone()
                } else {
                    random.text(wild)
                }
            })),
            1 | 2 => Values::Number(cells(self, rows, |random| random.number(wild))),
            3 => Values::Day(cells(self, rows, |random| random.day(wild))),
            _ => Values::Moment(cells(self, rows, |random| {
                let (hour, minute) = (random.below(24) as i8, random.below(60) as i8);
                random.day(wild).at(hour, minute, 0, 0)
            })),
        };
        Column {
            name: self.text(wild),
            values,
        }
    }

    fn data(&mut self, wild: bool) -> Data {
        let rows = self.pick(&[0, 1, 2, 5, 40, 400, 2000]);
        let rows = self.below(rows + 1);
        let columns = self.below(5);
        Data {
            columns: (0..columns).map(|_| self.column(rows, wild)).collect(),
        }
    }

    /// Data as queries give them.
    pub(super) fn sane_data(&mut self) -> Data {
        self.data(false)
    }
}

/// Lines without our own colours, each of which must end where its line does.
fn plain(line: &str) -> String {
    let mut out = String::new();
    let mut open = false;
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        out.push_str(before);
        let (code, after) = after.split_once('m').expect("a colour");
        assert!(
            code.bytes().all(|byte| byte.is_ascii_digit() || byte == b';'),
            "{line:?}"
        );
        open = code != "0";
        rest = after;
    }
    assert!(!open, "a colour goes on: {line:?}");
    out + rest
}

/// Whatever the data and the width, there is a drawing within its width or one sentence: no panic, no control
/// character, well-formed XML.
#[test]
fn any_data_are_drawn() {
    for seed in 0..1500 {
        let mut random = Random(seed);
        let data = random.data(seed % 3 > 0);
        for kind in [None, Some(random.pick(&Kind::ALL))] {
            let title = random.text(true);
            let chart = match Chart::new(&data, kind, Some(&title)) {
                Ok(chart) => chart,
                Err(error) => {
                    assert!(error.to_string().ends_with('.'));
                    continue;
                }
            };
            let width = 1 + random.below(300);
            let colour = random.pick(&[Colour::None, Colour::Ansi16, Colour::Ansi256, Colour::TrueColor]);
            let drawn = super::super::terminal(&chart, width, colour);
            // Twelve years of a calendar, in pieces of a week each, are the longest.
            let most = if width < 40 { 10_000 } else { 400 };
            assert!(
                drawn.ends_with('\n') && drawn.lines().count() < most,
                "seed {seed}, {width} columns"
            );
            for line in drawn.lines() {
                let line = if colour == Colour::None {
                    line.into()
                } else {
                    plain(line)
                };
                assert!(
                    text::width(&line) <= width,
                    "seed {seed}: {} > {width}: {line:?}",
                    text::width(&line)
                );
                assert!(!line.chars().any(char::is_control), "seed {seed}: {line:?}");
            }
            let (wide, high) = (1 + random.below(1500) as u32, 1 + random.below(1500) as u32);
            let picture = svg(&chart, wide, high);
            let parsed = resvg::usvg::roxmltree::Document::parse(&picture);
            let parsed = parsed.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            for attribute in parsed.descendants().flat_map(|node| node.attributes()) {
                let value = attribute.value();
                assert!(
                    !value.contains("NaN") && !value.contains("inf"),
                    "seed {seed}: {attribute:?}"
                );
                assert!(
                    !["width", "height", "r"].contains(&attribute.name()) || !value.starts_with('-'),
                    "seed {seed}"
                );
            }
            assert!(picture.len() < 3_000_000, "seed {seed}: {}", picture.len());
            assert!((1..5_000).contains(&chart.natural_height(wide)), "seed {seed}");
            if seed % 50 == 0 {
                assert!(
                    png(&chart, wide.min(400), high.min(400), 1.0).is_ok(),
                    "seed {seed}"
                );
            }
        }
    }
}

/// A hundred thousand points cost what a picture costs, not what they are.
#[test]
fn many_points_become_few() {
    let values =
        |step: f64| Values::Number((0..100_000).map(|x| Some((f64::from(x) * step).sin())).collect());
    let along = Values::Number((0..100_000).map(|x| Some(f64::from(x))).collect());
    let chart = chart(&data(vec![("x", along), ("a", values(0.01)), ("b", values(1.0))]));
    assert!(svg(&chart, 800, 400).len() < 200_000);
    assert!(super::super::terminal(&chart, 100, Colour::Ansi256).len() < 30_000);
}
