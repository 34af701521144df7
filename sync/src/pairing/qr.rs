//! A text as a QR code for a terminal.
//!
//! Source: ISO/IEC 18004, by the crate `qrcode`; error correction of level L, as for a screen, and the quiet zone of four modules.

use std::fmt::Write as _;

use qrcode::{Color, EcLevel, QrCode};
use zeroize::Zeroizing;

use super::ticket::Ticket;

/// Light modules around the code, which scanners need.
const QUIET: isize = 4;

/// A text has no room in any QR code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is too long for a QR code; use the words instead")]
pub struct TooLongForQr;

/// Draws a text as lines of half blocks, two modules above each other in a character. Colours are set by escape sequences, black on white,
/// so that it can be scanned from dark and light terminals alike.
///
/// # Errors
/// [`TooLongForQr`].
pub fn qr(text: &str) -> Result<String, TooLongForQr> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).map_err(|_| TooLongForQr)?;
    let (width, colors) = (code.width() as isize, code.to_colors());
    let dark = |x: isize, y: isize| {
        let inside = (0..width).contains(&x) && (0..width).contains(&y);
        inside && colors[(y * width + x) as usize] == Color::Dark
    };
    let mut out = String::new();
    for y in (-QUIET..width + QUIET).step_by(2) {
        out.push_str("\x1b[38;5;16;48;5;231m");
        for x in -QUIET..width + QUIET {
            out.push(match (dark(x, y), dark(x, y + 1)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        let _infallible = writeln!(out, "\x1b[0m");
    }
    Ok(out)
}

impl Ticket {
    /// Its line as a QR code: in capitals, which take less room in one. It holds the secret: it is to be shown, and not kept.
    ///
    /// # Errors
    /// [`TooLongForQr`], which no ticket is.
    pub fn qr(&self) -> Result<Zeroizing<String>, TooLongForQr> {
        let line = Zeroizing::new(self.line().to_ascii_uppercase());
        qr(&line).map(Zeroizing::new)
    }
}
