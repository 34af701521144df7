//! The SVG as PNG, so that what does not show SVG shows the chart.
//!
//! Guarantees: the same drawing, on light ground, with a font that is carried; at most [`DOTS_MAX`] dots in memory.
//! What the font lacks is looked for in the system's fonts, and is a box where they lack it, too. Reads no other file.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use resvg::usvg::fontdb::{Database, ID, Style};
use resvg::usvg::{FontResolver, Options, Tree};
use resvg::{tiny_skia, usvg};

use skrifa::{FontRef, MetadataProvider};

use super::scene::{BOLD, REGULAR, Scene, Shape, covers, scene};
use super::{Chart, ChartError, svg};

/// A larger picture would take more than 256 MiB while it is drawn.
const DOTS_MAX: u64 = 64_000_000;

/// The chart as PNG: laid out like the SVG of this width and height, with `scale` dots for one of it (2 for screens of
/// high density).
pub fn png(chart: &Chart, width: u32, height: u32, scale: f32) -> Result<Vec<u8>, ChartError> {
    let scale = if scale.is_finite() {
        scale.clamp(0.1, 16.0)
    } else {
        1.0
    };
    let side = |length: u32| (f64::from(length.max(1)) * f64::from(scale)).round().max(1.0) as u64;
    let (wide, high) = (side(width), side(height));
    let large = || ChartError::TooLarge {
        width: wide,
        height: high,
        most: DOTS_MAX / 1_000_000,
    };
    if wide.saturating_mul(high) > DOTS_MAX {
        return Err(large());
    }
    let sides = u32::try_from(wide).ok().zip(u32::try_from(high).ok());
    let mut dots = sides
        .and_then(|(wide, high)| tiny_skia::Pixmap::new(wide, high))
        .ok_or_else(large)?;
    let scene = scene(chart, width, height);
    // The libraries are not ours, nor are the system's fonts: a panic over them is a picture that cannot be drawn.
    catch_unwind(AssertUnwindSafe(|| draw(&scene, scale, &mut dots)))
        .unwrap_or_else(|_| Err("the drawing library failed".into()))
        .map_err(ChartError::Drawing)
}

/// Draws the picture as SVG says it; gives it as PNG.
fn draw(scene: &Scene, scale: f32, dots: &mut tiny_skia::Pixmap) -> Result<Vec<u8>, String> {
    let tree =
        Tree::from_str(&svg::write(scene, false), &options(scene)).map_err(|error| error.to_string())?;
    // The ground ends where the last dot begins, if the scale leaves a part of one.
    dots.fill(tiny_skia::Color::WHITE);
    resvg::render(
        &tree,
        tiny_skia::Transform::from_scale(scale, scale),
        &mut dots.as_mut(),
    );
    dots.encode_png().map_err(|error| error.to_string())
}

/// How the library reads the SVG: fonts, and nothing from outside.
fn options(scene: &Scene) -> Options<'static> {
    let mut fonts = Database::new();
    fonts.load_font_source(usvg::fontdb::Source::Binary(Arc::new(REGULAR)));
    fonts.load_font_source(usvg::fontdb::Source::Binary(Arc::new(BOLD)));
    let strange = |shape: &Shape| matches!(shape, Shape::Text { text, .. } if !covers(text));
    if scene.shapes.iter().any(strange) {
        fonts.load_system_fonts();
    }
    Options {
        fontdb: Arc::new(fonts),
        font_resolver: FontResolver {
            select_font: FontResolver::default_font_selector(),
            select_fallback: Box::new(|char, used, fonts| {
                let weight = fonts.face(*used.first()?)?.weight.0;
                // Upright before slanted, without serifs before with, and the nearest weight.
                fonts
                    .faces()
                    .filter(|face| !used.contains(&face.id) && has(fonts, face.id, char))
                    .min_by_key(|face| {
                        let sans = face.families.iter().any(|family| family.0.contains("Sans"));
                        (
                            face.style != Style::Normal,
                            face.monospaced,
                            !sans,
                            face.weight.0.abs_diff(weight),
                        )
                    })
                    .map(|face| face.id)
            }),
        },
        ..Options::default()
    }
}

/// Whether a font has a character.
fn has(fonts: &Database, font: ID, char: char) -> bool {
    fonts
        .with_face_data(font, |data, index| {
            FontRef::from_index(data, index).is_ok_and(|font| font.charmap().map(char).is_some())
        })
        .unwrap_or(false)
}
