//! Shapes, and a picture made of them.
//!
//! Guarantees: every text was cut to its room. Knows no format.

use super::super::text;
use super::font;

/// Colours of series (Paul Tol's “bright”), told apart by colour-blind people, on light and dark ground.
pub(in super::super) const SERIES: [[u8; 3]; 7] = [
    [0x44, 0x77, 0xaa],
    [0xee, 0x66, 0x77],
    [0x22, 0x88, 0x33],
    [0xcc, 0xbb, 0x44],
    [0x66, 0xcc, 0xee],
    [0xaa, 0x33, 0x77],
    [0x99, 0x99, 0x99],
];

/// What a colour is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Paint {
    /// The ground.
    Ground,
    /// Texts.
    Ink,
    /// Texts beside the matter.
    Faint,
    /// Lines behind the drawing.
    Grid,
    /// Lines where zero is.
    Axis,
    /// A series.
    Series(usize),
    /// How much there is on a day: 0 to 4.
    Shade(usize),
}

/// Which end of a text stands where it is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Anchor {
    Start,
    Middle,
    End,
}

/// What a picture is made of.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) enum Shape {
    /// A rectangle with round corners, and what is said when somebody points at it.
    Rect {
        x: f64,
        y: f64,
        width: f64,
        height: f64,
        round: f64,
        paint: Paint,
        tip: Option<String>,
    },
    /// A straight line of one dot.
    Rule {
        from: (f64, f64),
        to: (f64, f64),
        paint: Paint,
    },
    /// A line of a chart.
    Line { points: Vec<(f64, f64)>, paint: Paint },
    /// A point of it.
    Dot { x: f64, y: f64, size: f64, paint: Paint },
    /// Letters on a base line.
    Text {
        x: f64,
        y: f64,
        size: f64,
        bold: bool,
        anchor: Anchor,
        paint: Paint,
        text: String,
    },
}

/// Size of letters at axes, bars and in legends.
pub(super) const SIZE: f64 = 12.0;

impl Shape {
    fn letters(x: f64, y: f64, size: f64, anchor: Anchor, paint: Paint) -> Shape {
        Shape::Text {
            x,
            y,
            size,
            bold: false,
            anchor,
            paint,
            text: String::new(),
        }
    }

    /// A title's place.
    pub(super) fn title(x: f64, y: f64) -> Shape {
        Shape::Text {
            x,
            y,
            size: 17.0,
            bold: true,
            anchor: Anchor::Start,
            paint: Paint::Ink,
            text: String::new(),
        }
    }

    /// A note's.
    pub(super) fn note(x: f64, y: f64) -> Shape {
        Shape::letters(x, y, 11.0, Anchor::Start, Paint::Faint)
    }

    /// That of a sentence alone.
    pub(super) fn centred(x: f64, y: f64) -> Shape {
        Shape::letters(x, y, 14.0, Anchor::Middle, Paint::Faint)
    }

    /// That of a name or a value.
    pub(super) fn label(x: f64, y: f64, anchor: Anchor) -> Shape {
        Shape::letters(x, y, SIZE, anchor, Paint::Ink)
    }

    /// That of a tick's name, or an axis's.
    pub(super) fn mark(x: f64, y: f64, anchor: Anchor) -> Shape {
        Shape::letters(x, y, SIZE, anchor, Paint::Faint)
    }
}

/// A part of a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Area {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

impl Area {
    pub(super) fn width(self) -> f64 {
        (self.right - self.left).max(0.0)
    }

    pub(super) fn height(self) -> f64 {
        (self.bottom - self.top).max(0.0)
    }
}

/// A picture.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct Scene {
    pub(in super::super) width: f64,
    pub(in super::super) height: f64,
    /// What it is called.
    pub(in super::super) title: String,
    /// It in words.
    pub(in super::super) told: String,
    pub(in super::super) shapes: Vec<Shape>,
}

impl Scene {
    pub(super) fn new(width: f64, height: f64, title: String, told: String) -> Scene {
        let ground = Shape::Rect {
            x: 0.0,
            y: 0.0,
            width,
            height,
            round: 0.0,
            paint: Paint::Ground,
            tip: None,
        };
        Scene {
            width,
            height,
            title,
            told,
            shapes: vec![ground],
        }
    }

    /// Letters at a place that one of [`Shape`]'s functions made, in so much room.
    pub(super) fn text(&mut self, mut place: Shape, words: &str, room: f64) {
        if let Shape::Text {
            size, text: letters, ..
        } = &mut place
        {
            *letters = text::fit(words, room, |text| font::width(text, *size));
            if !letters.is_empty() {
                self.shapes.push(place);
            }
        }
    }

    pub(super) fn rule(&mut self, from: (f64, f64), to: (f64, f64), paint: Paint) {
        self.shapes.push(Shape::Rule { from, to, paint });
    }

    /// Which series is which, in rows from the top of an area; gives what is left of it.
    pub(super) fn legend<'a>(&mut self, mut area: Area, names: impl Iterator<Item = &'a str>) -> Area {
        let mut x = area.left;
        for (index, name) in names.enumerate() {
            let room = width(name).min(area.width() - 18.0).max(0.0);
            if x > area.left && x + 18.0 + room > area.right {
                x = area.left;
                area.top += 20.0;
            }
            let paint = Paint::Series(index);
            self.shapes.push(Shape::Rect {
                x,
                y: area.top + 1.0,
                width: 12.0,
                height: 12.0,
                round: 3.0,
                paint,
                tip: None,
            });
            self.text(
                Shape::label(x + 18.0, area.top + 11.0, Anchor::Start),
                name,
                room + 0.5,
            );
            x += 18.0 + room + 18.0;
        }
        area.top += 30.0;
        area
    }
}

/// How wide a name or a value is.
pub(super) fn width(text: &str) -> f64 {
    font::width(text, SIZE)
}
