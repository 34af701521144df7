//! Commands to the prompt itself: `.help` and its like. They are words, no SQL.
//!
//! Guarantees: a line that begins with a dot is one of these or an error that says what there is.

/// What a person asks of the prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Dot {
    Help,
    Views,
    Columns(String),
    Format(String),
    Timer(bool),
    Examples,
    Quit,
}

/// Each with what it is for.
pub(crate) const ALL: [(&str, &str); 7] = [
    (".help", "what can be done here"),
    (".views", "the views, and what their rows are"),
    (".columns VIEW", "the columns of a view"),
    (".format NAME", "how results are shown"),
    (".timer on|off", "whether to say how long a question took"),
    (".examples", "questions that are worth asking"),
    (".quit", "the end; so is Ctrl-D"),
];

/// Whether a text is for the prompt.
pub(crate) fn is_dot(text: &str) -> bool {
    text.trim_start().starts_with('.')
}

/// Reads a line.
///
/// # Errors
/// A sentence.
pub(crate) fn parse(text: &str, formats: &[&str]) -> Result<Dot, String> {
    // Many write the `;` out of habit.
    let text = text.trim().trim_end_matches(';').trim_end();
    let mut words = text.split_whitespace();
    let (name, argument) = (words.next().unwrap_or_default(), words.next());
    let need = |what: &str| format!("{name} needs {what}.");
    let known = match name {
        ".help" | ".views" | ".examples" | ".quit" | ".exit" => {
            if argument.is_some() {
                return Err(format!("{name} takes nothing more."));
            }
            match name {
                ".help" => Dot::Help,
                ".views" => Dot::Views,
                ".examples" => Dot::Examples,
                _ => Dot::Quit,
            }
        }
        ".columns" => Dot::Columns(
            argument
                .ok_or_else(|| need("the name of a view: .columns files"))?
                .to_owned(),
        ),
        ".format" => match argument {
            Some(format) if formats.contains(&format) => Dot::Format(format.to_owned()),
            _ => return Err(need(&format!("one of these: {}", formats.join(", ")))),
        },
        ".timer" => match argument {
            Some("on") => Dot::Timer(true),
            Some("off") => Dot::Timer(false),
            _ => return Err(need("“on” or “off”")),
        },
        _ => return Err(format!("There is no command “{name}”; .help shows all.")),
    };
    match words.next() {
        Some(more) => Err(format!("{name} takes no “{more}”.")),
        None => Ok(known),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards the commands, and that a wrong one says what is right.
    #[test]
    fn commands_are_read() {
        let formats = ["table", "csv"];
        let read = |text| parse(text, &formats);
        assert_eq!(read(".help"), Ok(Dot::Help));
        assert_eq!(read("  .quit;"), Ok(Dot::Quit));
        assert_eq!(read(".columns  files ;"), Ok(Dot::Columns("files".into())));
        assert_eq!(read(".format csv"), Ok(Dot::Format("csv".into())));
        assert_eq!(read(".timer off"), Ok(Dot::Timer(false)));
        for (text, says) in [
            (".format xml", "table, csv"),
            (".format", "table, csv"),
            (".timer", "“on” or “off”"),
            (".columns", ".columns files"),
            (".columns a b", "“b”"),
            (".help me", "nothing more"),
            (".open x", ".help"),
            (".", ".help"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(says), "{text}: {error}");
        }
        for (name, _) in ALL {
            let filled = name
                .replace("VIEW", "files")
                .replace("NAME", "csv")
                .replace("on|off", "on");
            assert!(parse(&filled, &formats).is_ok(), "{name}");
        }
    }
}
