//! SQL as a row of tokens: what is a word, what is quoted, where a statement ends. Knows no grammar.
//!
//! Guarantees: any text is scanned, in one pass; tokens lie in order and do not overlap. Quotes and comments are DuckDB's:
//! `'…'`, `e'…'`, `"…"`, `$$…$$`, `$tag$…$tag$`, `--`, and `/* */` within each other.

use std::ops::Range;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Word,
    /// `"…"`
    Name,
    /// `'…'`, `$$…$$`
    Text,
    Comment,
    End,
    /// A letter of its own: operators, brackets.
    Sign,
}

/// One token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub kind: Kind,
    pub at: Range<usize>,
    /// A quote or comment that has not ended. A comment to the line's end never is.
    pub open: bool,
}

/// All tokens of a text; space is none.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut from = 0;
    while let Some(c) = text[from..].chars().next() {
        let rest = &text[from..];
        let (kind, size, open) = match c {
            c if c.is_whitespace() => {
                from += c.len_utf8();
                continue;
            }
            ';' => (Kind::End, 1, false),
            '\'' => quoted(Kind::Text, rest, 1, "'", false),
            'e' | 'E' if rest[1..].starts_with('\'') => quoted(Kind::Text, rest, 2, "'", true),
            '"' => quoted(Kind::Name, rest, 1, "\"", false),
            '-' if rest.starts_with("--") => (Kind::Comment, rest.find('\n').unwrap_or(rest.len()), false),
            '/' if rest.starts_with("/*") => comment(rest),
            '$' => match tag(rest) {
                Some(tag) => match rest[tag.len()..].find(tag) {
                    Some(size) => (Kind::Text, size + 2 * tag.len(), false),
                    None => (Kind::Text, rest.len(), true),
                },
                None => (Kind::Sign, 1, false),
            },
            c if in_word(c) => {
                let size = rest.find(|c| !in_word(c) && c != '$').unwrap_or(rest.len());
                (Kind::Word, size, false)
            }
            c => (Kind::Sign, c.len_utf8(), false),
        };
        let at = from..from + size;
        from = at.end;
        tokens.push(Token { kind, at, open });
    }
    tokens
}

fn in_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// A quote that begins after so many bytes; doubled, its sign stands for itself.
fn quoted(kind: Kind, rest: &str, begin: usize, sign: &str, escapes: bool) -> (Kind, usize, bool) {
    let mut at = begin;
    while let Some(c) = rest[at..].chars().next() {
        at += c.len_utf8();
        if c == '\\' && escapes {
            at += rest[at..].chars().next().map_or(0, char::len_utf8);
        } else if sign.starts_with(c) {
            if !rest[at..].starts_with(sign) {
                return (kind, at, false);
            }
            at += sign.len();
        }
    }
    (kind, rest.len(), true)
}

fn comment(rest: &str) -> (Kind, usize, bool) {
    let (mut depth, mut at) = (0_usize, 0);
    loop {
        // Both are ASCII, so that what is between them is whole letters.
        let Some(next) = rest[at..].find(['/', '*']) else {
            return (Kind::Comment, rest.len(), true);
        };
        at += next;
        match &rest.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] if depth == 1 => return (Kind::Comment, at + 2, false),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
}

/// `$$` or `$tag$`. A number between them is a parameter, and no tag.
fn tag(rest: &str) -> Option<&str> {
    let size = rest[1..].find('$')?;
    let name = &rest[1..=size];
    let is_name = name.chars().all(in_word) && !name.starts_with(|c: char| c.is_ascii_digit());
    is_name.then(|| &rest[..size + 2])
}

/// Whether something is to be done as it stands: its last statement has its `;`, or there is no statement at all.
pub(crate) fn is_whole(text: &str) -> bool {
    let tokens = tokens(text);
    if tokens.last().is_some_and(|token| token.open) {
        return false;
    }
    let last = tokens.iter().rfind(|token| token.kind != Kind::Comment);
    last.is_none_or(|token| token.kind == Kind::End)
}

/// The statements, without their `;`; the last one may have none.
pub(crate) fn statements(text: &str) -> Vec<&str> {
    let (mut found, mut from, mut says) = (Vec::new(), 0, false);
    for token in tokens(text) {
        match token.kind {
            Kind::End => {
                if says {
                    found.push(text[from..token.at.start].trim());
                }
                (from, says) = (token.at.end, false);
            }
            Kind::Comment => {}
            _ => says = true,
        }
    }
    if says {
        found.push(text[from..].trim());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards where a statement ends: not in quotes and comments, whatever stands in them.
    #[test]
    fn a_statement_ends_outside_of_quotes() {
        for (text, whole) in [
            ("", true),
            ("  \n", true),
            ("-- only that", true),
            ("select 1", false),
            ("select 1;", true),
            ("select 1; -- done", true),
            ("select 1; /* done", false),
            ("select 1; select 2", false),
            ("select ';", false),
            ("select ';';", true),
            ("select 'it''s;", false),
            ("select 'it''s';", true),
            (r"select 'a\';", true),
            (r"select e'it\';", false),
            (r"select e'it\'s';", true),
            ("select \"a;", false),
            ("select \"a;\"\"b\";", true),
            ("select 1 -- ;", false),
            ("select 1 -- ;\n;", true),
            ("select /* ; */ 1", false),
            ("/* /* */ ;", false),
            ("/* /* */ */ ;", true),
            ("select $$ ; ' $$", false),
            ("select $$ ; ' $$;", true),
            ("select $a$ $$ ;", false),
            ("select $a$ $$ $a$;", true),
            ("select $1;", true),
            ("select a$$;", true),
            ("select 'ä日", false),
            ("select 'ä日';", true),
        ] {
            assert_eq!(is_whole(text), whole, "{text}");
        }
    }

    /// Guards scripts: each statement once, comments alone none.
    #[test]
    fn statements_are_taken_apart() {
        let text = "select ';' ; -- one; two\n;; select $$;$$;/* no */ select 3";
        assert_eq!(
            statements(text),
            ["select ';'", "select $$;$$", "/* no */ select 3"]
        );
        assert!(statements(" ; -- x").is_empty());
    }

    /// Guards the prompt against what is pasted into it: any text has tokens that lie in order.
    #[test]
    fn any_text_is_scanned() {
        const PARTS: [&str; 16] = [
            "'", "\"", "$", "$$", "$a", "--", "/*", "*/", "\n", ";", "e", "\\", "日", " ", "(", "e\u{301}",
        ];
        let mut seed = 1_u32;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..12 {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                text.push_str(PARTS[(seed >> 28) as usize]);
            }
            let mut end = 0;
            for token in tokens(&text) {
                assert!(token.at.start >= end && token.at.end > token.at.start, "{text:?}");
                end = token.at.end;
                assert!(!token.open || end == text.len(), "{text:?}");
                let _ = &text[token.at];
            }
            let _ = (is_whole(&text), statements(&text));
        }
    }
}
