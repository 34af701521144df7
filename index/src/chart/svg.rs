//! A picture as SVG: one file that needs no other, and runs nothing.
//!
//! Guarantees: well-formed XML whatever the data say; no script, no reference to anywhere; a ground of its own, light
//! or dark as the reader prefers; title and description for those who do not see it.

use std::fmt::Write;

use super::Chart;
use super::scene::{Anchor, Paint, SERIES, Scene, Shape, scene};

/// The chart as SVG, so many dots wide and high.
pub fn svg(chart: &Chart, width: u32, height: u32) -> String {
    write(&scene(chart, width, height), true)
}

/// On dark ground; what is light is written to each shape.
const DARK: &str = "@media (prefers-color-scheme: dark) { \
    .ground { fill: #16181d } .ink { fill: #e4e6ea } .faint { fill: #a3a9b4 } \
    .grid { stroke: #2c3038 } .axis { stroke: #6b7280 } \
    .z0 { fill: #262a31 } .z1 { fill: #23466b } .z2 { fill: #2f6ba6 } .z3 { fill: #5a9bd8 } .z4 { fill: #a5d0f7 } }";

const SHADES: [&str; 5] = ["#eceef1", "#bcd6ee", "#7fb1dc", "#4480ba", "#1b4f86"];

/// A picture; without its dark half, if what reads it does not prefer anything.
pub(super) fn write(scene: &Scene, dark: bool) -> String {
    let (width, height) = (dots(scene.width), dots(scene.height));
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" aria-labelledby=\"chart-title chart-desc\" \
         font-family=\"{}\">\n<title id=\"chart-title\">{}</title>\n<desc id=\"chart-desc\">{}</desc>\n",
        if dark { "sans-serif" } else { "Noto Sans" },
        escape(&scene.title),
        escape(&scene.told),
    );
    if dark {
        out = out + "<style>" + DARK + "</style>\n";
    }
    for shape in &scene.shapes {
        // Writing into a string cannot fail.
        let _ = draw(&mut out, shape);
        out.push('\n');
    }
    out + "</svg>\n"
}

fn draw(out: &mut String, shape: &Shape) -> std::fmt::Result {
    match shape {
        Shape::Rect {
            x,
            y,
            width,
            height,
            round,
            paint,
            tip,
        } => {
            let place = format!(
                "x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"",
                dots(*x),
                dots(*y),
                dots(*width),
                dots(*height)
            );
            write!(out, "<rect {place}")?;
            if *round > 0.0 {
                write!(out, " rx=\"{}\"", dots(*round))?;
            }
            write!(out, " {}", colour("fill", *paint))?;
            match tip {
                Some(tip) => write!(out, "><title>{}</title></rect>", escape(tip)),
                None => write!(out, "/>"),
            }
        }
        Shape::Rule { from, to, paint } => write!(
            out,
            "<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" {}/>",
            dots(from.0),
            dots(from.1),
            dots(to.0),
            dots(to.1),
            colour("stroke", *paint)
        ),
        Shape::Line { points, paint } => {
            write!(out, "<polyline points=\"")?;
            for (x, y) in points {
                write!(out, "{},{} ", dots(*x), dots(*y))?;
            }
            let look = "fill=\"none\" stroke-width=\"2\" stroke-linejoin=\"round\" stroke-linecap=\"round\"";
            write!(out, "\" {look} {}/>", colour("stroke", *paint))
        }
        Shape::Dot { x, y, size, paint } => {
            write!(
                out,
                "<circle cx=\"{}\" cy=\"{}\" r=\"{}\" {}/>",
                dots(*x),
                dots(*y),
                dots(*size),
                colour("fill", *paint)
            )
        }
        Shape::Text {
            x,
            y,
            size,
            bold,
            anchor,
            paint,
            text,
        } => {
            let anchor = match anchor {
                Anchor::Start => "",
                Anchor::Middle => " text-anchor=\"middle\"",
                Anchor::End => " text-anchor=\"end\"",
            };
            let bold = if *bold { " font-weight=\"bold\"" } else { "" };
            write!(
                out,
                "<text x=\"{}\" y=\"{}\" font-size=\"{}\"{bold}{anchor} {}>{}</text>",
                dots(*x),
                dots(*y),
                dots(*size),
                colour("fill", *paint),
                escape(text)
            )
        }
    }
}

/// A length with as many decimals as can be seen.
fn dots(length: f64) -> String {
    let text = format!("{length:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}

/// The attributes of a colour: what it is on light ground, and the name by which it changes on dark.
fn colour(attribute: &str, paint: Paint) -> String {
    let (class, light) = match paint {
        Paint::Series(index) => {
            let [red, green, blue] = SERIES[index % SERIES.len()];
            return format!("{attribute}=\"#{red:02x}{green:02x}{blue:02x}\"");
        }
        Paint::Shade(shade) => {
            let shade = shade.min(4);
            return format!("class=\"z{shade}\" {attribute}=\"{}\"", SHADES[shade]);
        }
        Paint::Ground => ("ground", "#ffffff"),
        Paint::Ink => ("ink", "#1f2430"),
        Paint::Faint => ("faint", "#5b6472"),
        Paint::Grid => ("grid", "#e6e8ec"),
        Paint::Axis => ("axis", "#9aa1ad"),
    };
    format!("class=\"{class}\" {attribute}=\"{light}\"")
}

/// A text as XML's content; it holds no control characters, since all texts were cleaned.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            char => out.push(char),
        }
    }
    out
}
