//! Which statements are let through: one, that reads.
//!
//! One of several walls: the database can reach nothing (`open`), what is no reading statement is refused here, DuckDB's own parser has
//! to see one statement in it, too, and what is let through runs in a transaction that cannot write (`run`).

/// Statements that give rows and that DuckDB lets stand only by themselves or in brackets.
const WRAPPED: [&str; 6] = ["describe", "desc", "show", "summarize", "pivot", "unpivot"];
/// How reading statements begin.
const READING: [&str; 6] = ["select", "from", "with", "values", "explain", "table"];

/// Why a statement is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nothing to be asked.
    #[error("There is no statement: ask something, like SELECT path FROM files.")]
    Empty,
    /// More than one.
    #[error("There is more than one statement; ask one at a time.")]
    Several,
    /// It does not read.
    #[error(
        "A query only reads: it begins with SELECT, FROM, WITH, VALUES, DESCRIBE, SHOW, SUMMARIZE, PIVOT or EXPLAIN, and not with {0}."
    )]
    NotReading(String),
}

/// Skips blanks and comments; what is left.
fn skip(mut text: &str) -> &str {
    loop {
        text = text.trim_start();
        if let Some(rest) = text.strip_prefix("--") {
            text = rest.split_once('\n').map_or("", |(_, rest)| rest);
        } else if let Some(rest) = text.strip_prefix("/*") {
            text = rest.split_once("*/").map_or("", |(_, rest)| rest);
        } else {
            return text;
        }
    }
}

/// The length of a quoted part or comment at the start of a text; none if there is none.
fn quoted(text: &str) -> Option<usize> {
    let until = |end: &str, from: usize| {
        text[from..]
            .find(end)
            .map_or(text.len(), |at| from + at + end.len())
    };
    match text.as_bytes() {
        // E'…\'…': its quotes may be escaped.
        [b'e' | b'E', b'\'', rest @ ..] => {
            let mut escaped = false;
            let end = rest.iter().position(|b| match (escaped, b) {
                (true, _) => {
                    escaped = false;
                    false
                }
                (false, b'\\') => {
                    escaped = true;
                    false
                }
                (false, b) => *b == b'\'',
            });
            Some(end.map_or(text.len(), |at| at + 3))
        }
        [b'\'', ..] => Some(until("'", 1)),
        [b'"', ..] => Some(until("\"", 1)),
        [b'-', b'-', ..] => Some(until("\n", 2)),
        [b'/', b'*', ..] => Some(until("*/", 2)),
        [b'$', ..] => {
            let tag = text[1..].find('$')?;
            let is_tag = text[1..1 + tag].chars().all(|c| c.is_alphanumeric() || c == '_')
                && !text[1..].starts_with(|c: char| c.is_ascii_digit());
            is_tag.then(|| until(&text[..tag + 2], tag + 2))
        }
        _ => None,
    }
}

/// Where the first `;` stands that ends a statement.
fn end(text: &str) -> Option<usize> {
    let mut at = 0;
    while let Some(next) = text[at..].chars().next() {
        match quoted(&text[at..]) {
            Some(len) => at += len,
            None if next == ';' => return Some(at),
            None => at += next.len_utf8(),
        }
    }
    None
}

/// Whether a function of this name may be called in a text.
fn calls(text: &str, name: &str) -> bool {
    let lower = text.to_lowercase();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    lower.match_indices(name).any(|(at, _)| {
        let rest = lower[at + name.len()..].trim_start_matches('"');
        !lower[..at].ends_with(is_word) && skip(rest).starts_with('(')
    })
}

/// The statement as it is to be run.
///
/// # Errors
/// As [`Refused`] says.
pub(super) fn reading(sql: &str) -> Result<String, Refused> {
    let mut text = skip(sql);
    while let Some(rest) = text.strip_prefix(';') {
        text = skip(rest);
    }
    if let Some(at) = end(text) {
        let mut rest = &text[at..];
        while let Some(more) = rest.strip_prefix(';') {
            rest = skip(more);
        }
        if !rest.is_empty() {
            return Err(Refused::Several);
        }
        text = &text[..at];
    }
    let first = text.trim_start_matches('(');
    let first = skip(first);
    let word: String = first
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    let lower = word.to_lowercase();
    if calls(text, "checkpoint") || calls(text, "force_checkpoint") {
        return Err(Refused::NotReading("CHECKPOINT".into()));
    }
    match &*lower {
        "" if text.trim().is_empty() => Err(Refused::Empty),
        // A newline: the statement may end with a comment.
        word if WRAPPED.contains(&word) => Ok(format!("SELECT * FROM ({}\n)", text.trim_end())),
        word if READING.contains(&word) => Ok(text.trim_end().to_owned()),
        "" => Err(Refused::NotReading(format!(
            "“{}”",
            text.chars().take(1).collect::<String>().escape_debug()
        ))),
        _ => Err(Refused::NotReading(
            word.chars().take(30).collect::<String>().to_uppercase(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards which statements are run, and as what.
    #[test]
    fn only_one_reading_statement_passes() {
        for (sql, run) in [
            ("SELECT 1;", "SELECT 1"),
            (" ; -- x\n /* y */ select ';' ; -- z", "select ';'"),
            ("FROM files", "FROM files"),
            ("(SELECT 1) UNION (SELECT 2)", "(SELECT 1) UNION (SELECT 2)"),
            ("SELECT $$;$$", "SELECT $$;$$"),
            ("SELECT $a$;$$;$a$", "SELECT $a$;$$;$a$"),
            ("SELECT '''; drop'", "SELECT '''; drop'"),
            ("SELECT $1", "SELECT $1"),
            ("show tables", "SELECT * FROM (show tables\n)"),
            ("DESCRIBE files -- x", "SELECT * FROM (DESCRIBE files -- x\n)"),
        ] {
            assert_eq!(reading(sql).as_deref(), Ok(run), "{sql}");
        }
        for sql in [
            "SELECT 1; DROP VIEW files",
            "SELECT 1;;SELECT 2",
            "SELECT $1;COMMIT",
            "SELECT '' ; x",
        ] {
            assert_eq!(reading(sql), Err(Refused::Several), "{sql}");
        }
        assert!(reading(r"SELECT E'\'' ; DROP x --'").is_err());
        for sql in ["", " ;", "-- x", "/* x"] {
            assert_eq!(reading(sql), Err(Refused::Empty), "{sql}");
        }
        for sql in [
            "INSERT INTO x VALUES (1)",
            "SET x = 1",
            "COPY x TO 'y'",
            "ATTACH 'x'",
            "CALL x()",
            "PRAGMA x",
            "/* SELECT */ DROP VIEW files",
            "INSTALL icu",
            "CHECKPOINT",
            "ROLLBACK",
            "=",
        ] {
            assert!(matches!(reading(sql), Err(Refused::NotReading(_))), "{sql}");
        }
    }
}
