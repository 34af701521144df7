//! `coffer show`.

use super::past::{Answering, To, locate, with};
use crate::answers::history::History;
use crate::args::history::Show;
use crate::failure::Failure;
use crate::shown::Shown;
use crate::ui;
use crate::when::ago;
use crate::wire::history::Past;
use jiff::Zoned;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::Path;

/// How much of a file tells whether it is text.
const LOOK: usize = 64 << 10;

/// Prints a version.
///
/// # Errors
/// `Failed` for one that is not kept, or what is no text on a terminal.
pub(super) fn show(vault: Option<&Path>, args: &Show) -> Result<(), Failure> {
    let place = locate(vault, &args.path)?;
    with(&place.vault, &args.password, To::Read, |vault| {
        let history: History = vault.ask(Past::List {
            of: place.named(args.removed),
            newest: Some(1),
        })?;
        if let Some(removed) = history.removed {
            ui::remark(&format!(
                "{} was removed {}.",
                history.path.0.shown(),
                ago(removed, &Zoned::now())
            ));
        }
        let number = match history.picked {
            true => history.versions.first().map(|version| version.number),
            false => None,
        };
        print(vault, &history, number, args.force)
    })
}

fn print(vault: &Answering, history: &History, number: Option<u64>, force: bool) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let mut offset = 0;
    loop {
        let bytes = vault.bytes(&history.whose, number, offset)?;
        if offset == 0 && !force && io::stdout().is_terminal() && !is_text(&bytes) {
            return Err(Failure::failed(format!(
                "{} is no text, and could confuse the terminal; send it to a file or a program, or say --force.",
                history.path.0.shown()
            )));
        }
        if bytes.is_empty() {
            break;
        }
        match out.write_all(&bytes) {
            Ok(()) => {}
            // Whoever read has seen enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => return Err(Failure::io("write to standard output", &error)),
        }
        offset += bytes.len() as u64;
    }
    out.flush().or_else(|error| match error.kind() {
        ErrorKind::BrokenPipe => Ok(()),
        _ => Err(Failure::io("write to standard output", &error)),
    })
}

/// Whether a file that begins so is text: UTF-8 without control characters that no text holds.
pub(super) fn is_text(bytes: &[u8]) -> bool {
    let look = &bytes[..bytes.len().min(LOOK)];
    let whole = match std::str::from_utf8(look) {
        Ok(text) => text,
        // Cut in the middle of a letter.
        Err(error) if error.error_len().is_none() && look.len() < bytes.len() => {
            std::str::from_utf8(&look[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !whole
        .chars()
        .any(|c| c.is_control() && !"\n\r\t\u{c}".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards the terminal, and texts in any script.
    #[test]
    fn text_is_told_from_data() {
        let mut long = "ä".repeat(LOOK);
        long.insert(0, 'x');
        for text in ["", "a\tb\r\n", "日本語\n", "\u{5d0}\u{301}", &long] {
            assert!(is_text(text.as_bytes()), "{}", text.len());
        }
        for data in [
            &b"\x89PNG\r\n"[..],
            b"a\0b",
            b"\x1b[31m",
            "\u{9b}31m".as_bytes(),
            b"a\xff",
        ] {
            assert!(!is_text(data), "{data:?}");
        }
    }
}
