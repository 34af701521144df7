//! How wide texts are in the carried font, which shows Latin, Greek and Cyrillic.
//!
//! Guarantees: a width for every text; what the font lacks is counted as wide as it is in a terminal.

use std::sync::OnceLock;

use skrifa::instance::{LocationRef, Size};
use skrifa::{FontRef, MetadataProvider};
use unicode_width::UnicodeWidthChar;

/// The font: Noto Sans, under the SIL Open Font License (index/LICENSE-NotoSans).
pub(in super::super) const REGULAR: &[u8] = notosans::REGULAR_TTF;

/// The same for titles.
pub(in super::super) const BOLD: &[u8] = notosans::BOLD_TTF;

/// A browser takes another font for `sans-serif`, which may be wider.
const SLACK: f64 = 1.08;

fn font() -> Option<&'static FontRef<'static>> {
    static FONT: OnceLock<Option<FontRef<'static>>> = OnceLock::new();
    FONT.get_or_init(|| FontRef::new(REGULAR).ok()).as_ref()
}

/// How wide a text is, in dots, with letters of this size.
pub(in super::super) fn width(text: &str, size: f64) -> f64 {
    let known = font().map(|font| {
        (
            font.charmap(),
            font.glyph_metrics(Size::unscaled(), LocationRef::default()),
            {
                f64::from(
                    font.metrics(Size::unscaled(), LocationRef::default())
                        .units_per_em,
                )
            },
        )
    });
    let ems: f64 = text
        .chars()
        .map(|char| {
            let exact = known.as_ref().and_then(|(charmap, metrics, em)| {
                Some(f64::from(metrics.advance_width(charmap.map(char)?)?) / em)
            });
            exact.unwrap_or_else(|| char.width().unwrap_or(0) as f64 * 0.62)
        })
        .sum();
    ems * size * SLACK
}

/// Whether the carried font shows all of a text.
pub(in super::super) fn covers(text: &str) -> bool {
    font().is_some_and(|font| {
        let charmap = font.charmap();
        text.chars().all(|char| charmap.map(char).is_some())
    })
}
