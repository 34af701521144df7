//! SVG and PNG: well-formed, harmless, of the asked size, not empty; names that do not overlap.

use resvg::tiny_skia::Pixmap;
use resvg::usvg::roxmltree::Document;

use super::super::scene::{Anchor, Shape, scene, text_width};
use super::super::{ChartError, png, svg};
use super::*;

/// What an attacker would have stand in a name.
const HOSTILE: [&str; 6] = [
    "<script>alert(1)</script>",
    "\"/><image href='https://example.org/x'/>",
    "&amp; &#0; ]]> <!-- <![CDATA[",
    "\u{1b}]0;title\u{7}\u{0}\u{fffe}",
    "' onload='x",
    "url(#a); } .ground { display: none }",
];

fn all_kinds(name: &str) -> Vec<Chart> {
    let labels = texts(&[name, "b", "c"]);
    let numbers = numbers(&[1.0, -2.0, 30_000.0]);
    let days = days(&["2026-01-31", "2026-02-01", "2026-02-28"]);
    let bars = data(vec![(name, labels.clone()), (name, numbers.clone())]);
    let lines = data(vec![
        (name, days.clone()),
        (name, labels),
        (name, numbers.clone()),
    ]);
    let calendar = data(vec![(name, days), (name, numbers.clone())]);
    let numbers = data(vec![(name, numbers)]);
    [
        (Kind::Bars, bars),
        (Kind::Lines, lines),
        (Kind::Histogram, numbers),
        (Kind::Calendar, calendar),
    ]
    .into_iter()
    .map(|(kind, data)| Chart::new(&data, Some(kind), Some(name)).expect("a chart"))
    .collect()
}

/// Names of all sorts stay texts: the SVG parses, and holds no element and no attribute that we did not write.
#[test]
fn svg_is_well_formed_and_harmless() {
    const ELEMENTS: [&str; 9] = [
        "svg", "title", "desc", "style", "rect", "line", "polyline", "circle", "text",
    ];
    for name in HOSTILE {
        for chart in all_kinds(name) {
            let picture = svg(&chart, 640, 400);
            let document = Document::parse(&picture).unwrap_or_else(|error| panic!("{error}: {picture}"));
            let root = document.root_element();
            assert_eq!(
                (root.attribute("width"), root.attribute("height")),
                (Some("640"), Some("400"))
            );
            for node in document.descendants().filter(|node| node.is_element()) {
                assert!(ELEMENTS.contains(&node.tag_name().name()), "{node:?}");
                for attribute in node.attributes() {
                    assert!(!attribute.name().starts_with("on") && !attribute.name().contains("href"));
                    assert!(!attribute.value().contains("url("), "{attribute:?}");
                }
                // Text of the data stands in texts and titles alone.
                assert!(node.tag_name().name() != "style" || !node.text().unwrap_or("").contains("display"));
            }
            let title = root
                .children()
                .find(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "title")));
            let title = title.and_then(|title| title.text()).expect("a title");
            assert_eq!(title, super::super::text::clean(name));
            assert!(!picture.chars().any(|char| char.is_control() && char != '\n'));
        }
    }
}

/// The PNG has the asked size, times the scale, and something is drawn on it.
#[test]
fn png_has_its_size_and_is_not_blank() {
    for chart in all_kinds("Žluť — ελλάδα & кириллица") {
        for (width, height, scale) in [(400, 300, 1.0), (320, 200, 2.0), (33, 7, 0.5), (1, 1, 1.0)] {
            let bytes = png(&chart, width, height, scale).expect("a picture");
            let picture = Pixmap::decode_png(&bytes).expect("PNG");
            let side = |length: u32| (f64::from(length) * f64::from(scale)).round() as u32;
            assert_eq!((picture.width(), picture.height()), (side(width), side(height)));
            let first = picture.pixels()[0];
            assert!(
                picture.pixels().iter().all(|dot| dot.is_opaque()),
                "a ground of its own"
            );
            assert!(
                width < 100 || picture.pixels().iter().any(|dot| *dot != first),
                "{:?} is blank",
                chart.kind()
            );
        }
    }
}

/// Letters are drawn, with no font but the carried one: a title changes the picture.
#[test]
fn png_has_letters() {
    let data = data(vec![("n", numbers(&[1.0, 2.0]))]);
    let draw = |title| {
        let chart = Chart::new(&data, Some(Kind::Histogram), Some(title)).expect("a chart");
        png(&chart, 300, 200, 1.0).expect("a picture")
    };
    assert_ne!(draw("Aaaa"), draw("Aaab"));
    assert_eq!(draw("Aaaa"), draw("Aaaa"));
}

/// A picture that would take too much memory is refused, and says which size is not.
#[test]
fn png_is_bounded() {
    let chart = chart(&data(vec![("n", numbers(&[1.0]))]));
    for (width, height, scale) in [
        (u32::MAX, u32::MAX, 16.0),
        (100_000, 1_000, 1.0),
        (8_000, 8_001, 1.0),
    ] {
        let error = png(&chart, width, height, scale).expect_err("too large");
        assert!(matches!(error, ChartError::TooLarge { most: 64, .. }), "{error}");
    }
}

/// Titles, labels, values, ticks, legends and notes keep clear of each other, in pictures of ordinary sizes.
#[test]
fn texts_do_not_overlap() {
    let mut random = super::hostile::Random(7);
    for round in 0..600 {
        let data = random.sane_data();
        let Ok(chart) = Chart::new(&data, None, (round % 2 == 0).then_some("A title")) else {
            continue;
        };
        let width = 420 + random.below(800) as u32;
        let heights = [chart.natural_height(width), 320 + random.below(600) as u32];
        for height in heights {
            let scene = scene(&chart, width, height);
            let boxes: Vec<_> = scene.shapes.iter().filter_map(text_box).collect();
            for (index, (words, a)) in boxes.iter().enumerate() {
                assert!(
                    a[0] >= -1.0 && a[2] <= f64::from(width) + 1.0,
                    "{words} leaves {width}: {a:?}"
                );
                assert!(
                    a[1] >= -1.0 && a[3] <= f64::from(height) + 1.0,
                    "{words} leaves {height}: {a:?}"
                );
                for (others, b) in &boxes[index + 1..] {
                    let apart = a[2] <= b[0] || b[2] <= a[0] || a[3] <= b[1] || b[3] <= a[1];
                    assert!(
                        apart,
                        "round {round}, {width}×{height}: “{words}” {a:?} over “{others}” {b:?}"
                    );
                }
            }
        }
    }
}

/// A text, and left, top, right and bottom of it.
fn text_box(shape: &Shape) -> Option<(String, [f64; 4])> {
    let Shape::Text {
        x,
        y,
        size,
        anchor,
        text,
        ..
    } = shape
    else {
        return None;
    };
    let width = text_width(text, *size) / 1.08;
    let left = match anchor {
        Anchor::Start => *x,
        Anchor::Middle => x - width / 2.0,
        Anchor::End => x - width,
    };
    Some((
        text.clone(),
        [left, y - size * 0.75, left + width, y + size * 0.1],
    ))
}
