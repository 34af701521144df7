//! Text that cannot confuse a terminal: what stands in names, and what others wrote, as people are
//! shown it.
//!
//! Guarantees that nothing which comes out of here drives a terminal, and that a name is one line,
//! whatever it holds: control characters are shown by their pictures. Never touches what programs
//! read (`--json`).

use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What has a form for people.
pub(crate) trait Shown {
    /// On one line.
    fn shown(&self) -> String;
}

impl Shown for Path {
    fn shown(&self) -> String {
        one_line(&self.to_string_lossy()).into_owned()
    }
}

fn picture(c: char) -> char {
    match u32::from(c) {
        low @ ..0x20 => char::from_u32(0x2400 + low).unwrap_or('\u{fffd}'),
        0x7f => '\u{2421}',
        0x80..0xa0 => '\u{fffd}',
        // Others than the control characters that end a line somewhere.
        0x2028 | 0x2029 => '\u{fffd}',
        _ => c,
    }
}

/// A name or a word of others, on one line.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    match text.chars().all(|c| picture(c) == c) {
        true => Cow::Borrowed(text),
        false => text.chars().map(picture).collect(),
    }
}

/// A text of several lines.
pub(crate) fn harmless(text: String) -> String {
    let stays = |c: char| !c.is_control() || "\n\r\t".contains(c);
    if text.chars().all(stays) {
        return text;
    }
    text.chars()
        .map(|c| if stays(c) { c } else { picture(c) })
        .collect()
}

/// A path as a shell takes it: also bytes that are no text, and names that would be an option.
pub(crate) fn quoted(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes();
    if bytes.starts_with(b"-") {
        return quoted(Path::new(OsStr::from_bytes(&[b"./", bytes].concat())));
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => text,
        _ => return escaped(bytes),
    };
    let plain = |c: char| c.is_alphanumeric() || "/._-+:@,~".contains(c);
    match !text.is_empty() && !text.starts_with('~') && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// `$'…'`, as bash, zsh and POSIX of 2024 read it.
fn escaped(bytes: &[u8]) -> String {
    let mut out = "$'".to_owned();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\'' | '\\' => out.extend(['\\', c]),
                c if c.is_control() => {
                    let mut buf = [0; 4];
                    for byte in c.encode_utf8(&mut buf).bytes() {
                        out.push_str(&format!("\\{byte:03o}"));
                    }
                }
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\{byte:03o}"));
        }
    }
    out.push('\'');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards the terminal against what stands in a file.
    #[test]
    fn control_characters_are_shown_by_pictures() {
        let plain = "a\tb\r\nä 日本語\n";
        assert_eq!(harmless(plain.into()), plain);
        assert_eq!(
            harmless("\x1b[2J\x7f\u{9b}x".into()),
            "\u{241b}[2J\u{2421}\u{fffd}x"
        );
    }

    /// Guards lists against a name that would be two lines of them.
    #[test]
    fn a_name_is_one_line() {
        let name = Path::new("a\nb\t\x1b]0;x\u{2028}");
        assert_eq!(name.shown(), "a\u{240a}b\u{2409}\u{241b}]0;x\u{fffd}");
    }

    /// Guards that what is shown can be typed.
    #[test]
    fn arguments_are_quoted() {
        for (path, text) in [
            (&b"Notes/a.md@3"[..], "Notes/a.md@3"),
            (b"My Notes/a.md", "'My Notes/a.md'"),
            (b"it's", r"'it'\''s'"),
            (b"~x", "'~x'"),
            (b"", "''"),
            (b"-rf", "./-rf"),
            (b"- x", "'./- x'"),
            (b"a\xff b'\\", r"$'a\377 b\'\\'"),
            (b"\x1b[2J\n1", r"$'\033[2J\0121'"),
        ] {
            assert_eq!(quoted(Path::new(OsStr::from_bytes(path))), text);
        }
    }

    /// Guards against a form that a shell reads otherwise.
    #[test]
    fn a_shell_reads_what_was_quoted() {
        let path = b"-it's \\ \xff\x01\x1b\n9\xc3\xa4";
        let quoted = quoted(Path::new(OsStr::from_bytes(path)));
        let said = std::process::Command::new("bash")
            .args(["-c", &format!("printf %s {quoted}")])
            .output();
        let Ok(said) = said else {
            println!("skipped: there is no bash");
            return;
        };
        assert_eq!(said.stdout, [b"./", &path[..]].concat());
    }
}
