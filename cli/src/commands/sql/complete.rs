//! What a word may become: views where views stand, columns of the views that are named, functions, keywords.
//!
//! Guarantees: light on the context, and never in quotes or comments. A name that SQL would read as something else comes in quotes.

use super::dot;
use super::scan::{Kind, Token, tokens};
use super::schema::Schema;

/// Words of SQL, by what people ask for.
pub(crate) const KEYWORDS: [&str; 66] = [
    "ALL",
    "AND",
    "ANTI",
    "ANY",
    "AS",
    "ASC",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "CROSS",
    "CURRENT_DATE",
    "DATE",
    "DESC",
    "DESCRIBE",
    "DISTINCT",
    "ELSE",
    "END",
    "EXCEPT",
    "EXISTS",
    "EXPLAIN",
    "FALSE",
    "FILTER",
    "FROM",
    "FULL",
    "GROUP",
    "HAVING",
    "ILIKE",
    "IN",
    "INNER",
    "INTERSECT",
    "INTERVAL",
    "IS",
    "JOIN",
    "LATERAL",
    "LEFT",
    "LIKE",
    "LIMIT",
    "NATURAL",
    "NOT",
    "NULL",
    "NULLS",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "OUTER",
    "OVER",
    "PARTITION",
    "PIVOT",
    "QUALIFY",
    "RIGHT",
    "SELECT",
    "SEMI",
    "SIMILAR",
    "SUMMARIZE",
    "THEN",
    "TIMESTAMP",
    "TRUE",
    "UNION",
    "UNNEST",
    "USING",
    "VALUES",
    "WHEN",
    "WHERE",
    "WITH",
];

/// Words that are no names without quotes: DuckDB's own list.
const RESERVED: [&str; 75] = [
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "both",
    "case",
    "cast",
    "check",
    "collate",
    "column",
    "constraint",
    "create",
    "default",
    "deferrable",
    "desc",
    "describe",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "false",
    "fetch",
    "for",
    "foreign",
    "from",
    "group",
    "having",
    "in",
    "initially",
    "intersect",
    "into",
    "lambda",
    "lateral",
    "leading",
    "limit",
    "not",
    "null",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "pivot",
    "pivot_longer",
    "pivot_wider",
    "placing",
    "primary",
    "qualify",
    "references",
    "returning",
    "select",
    "show",
    "some",
    "summarize",
    "symmetric",
    "table",
    "then",
    "to",
    "trailing",
    "true",
    "union",
    "unique",
    "unpivot",
    "using",
    "variadic",
    "when",
    "where",
    "window",
    "with",
];

/// Where the word at `at` begins, and what it may become.
pub(crate) fn complete(schema: &Schema, formats: &[&str], text: &str, at: usize) -> (usize, Vec<String>) {
    let Some(before) = text.get(..at) else {
        return (at, Vec::new());
    };
    if dot::is_dot(text) {
        return dot_command(schema, formats, before);
    }
    let all = tokens(text);
    let inside = |token: &&Token| match token.kind {
        Kind::Text | Kind::Name => token.at.start < at && (at < token.at.end || token.open),
        // To the end of its line, too.
        Kind::Comment => token.at.start < at && at <= token.at.end,
        _ => false,
    };
    if all.iter().any(|token| inside(&token)) {
        return (at, Vec::new());
    }
    let statement = statement(&all, at);
    let said: Vec<&Token> = statement
        .iter()
        .filter(|token| token.kind != Kind::Comment)
        .collect();
    let mut left: Vec<&Token> = said.iter().copied().filter(|token| token.at.start < at).collect();
    let start = match left.last() {
        Some(word) if word.kind == Kind::Word && word.at.end >= at => {
            let start = word.at.start;
            left.pop();
            start
        }
        _ => at,
    };
    let prefix = &text[start..at];
    let word = |token: &Token| text[token.at.clone()].trim_matches('"').to_owned();
    let is = |token: &Token, words: &[&str]| {
        token.kind == Kind::Word
            && words
                .iter()
                .any(|word| text[token.at.clone()].eq_ignore_ascii_case(word))
    };

    // “view.” or “alias.”
    if let [.., owner, point] = &left[..]
        && &text[point.at.clone()] == "."
        && point.at.end == start
    {
        let name = word(owner);
        let of = schema.view(&name).or_else(|| {
            let named = |at: &usize| word(said[*at]).eq_ignore_ascii_case(&name);
            // What stands before the name, “as” or not.
            let before = |at: usize| match is(said[at - 1], &["as"]) {
                true => said.get(at.checked_sub(2)?),
                false => said.get(at - 1),
            };
            let view = |at: usize| schema.view(&word(before(at)?));
            (1..said.len()).filter(named).find_map(view)
        });
        let columns = of
            .iter()
            .flat_map(|view| &view.columns)
            .map(|column| column.name.as_str());
        return (start, matching(columns, prefix, true));
    }

    let from = ["from", "join", "describe", "summarize", "into", "table"];
    let rows = match left.last() {
        Some(token) if is(token, &from) => true,
        // “FROM a, b”
        Some(token) if &text[token.at.clone()] == "," => {
            let clauses = [
                "select", "from", "where", "by", "on", "using", "having", "limit", "join",
            ];
            left.iter()
                .rfind(|token| is(token, &clauses))
                .is_some_and(|token| is(token, &["from"]))
        }
        _ => false,
    };
    let views = schema.views.iter().map(|view| view.name.as_str());
    let tables = schema.tables.iter().map(String::as_str);
    if rows {
        let mut found = matching(views, prefix, true);
        found.extend(matching(tables, prefix, false));
        return (start, found);
    }
    let named: Vec<_> = said
        .iter()
        .filter_map(|token| schema.view(&word(token)))
        .collect();
    let asked = if named.is_empty() {
        schema.views.iter().collect()
    } else {
        named
    };
    let columns = asked
        .iter()
        .flat_map(|view| &view.columns)
        .map(|column| column.name.as_str());
    let mut found = matching(columns, prefix, true);
    // Without a letter, all functions and keywords would only hide the columns.
    if !prefix.is_empty() {
        found.extend(matching(
            schema.functions.iter().map(String::as_str),
            prefix,
            false,
        ));
        let small = prefix.chars().all(|c| !c.is_uppercase());
        let keywords = matching(KEYWORDS.into_iter(), prefix, false);
        found.extend(
            keywords
                .into_iter()
                .map(|word| if small { word.to_lowercase() } else { word }),
        );
        found.extend(matching(views, prefix, true));
        let mut seen = std::collections::HashSet::new();
        found.retain(|word| seen.insert(word.clone()));
    }
    (start, found)
}

/// The tokens of the statement in which `at` lies.
fn statement(all: &[Token], at: usize) -> &[Token] {
    let end = |token: &Token| token.kind == Kind::End;
    let from = all
        .iter()
        .rposition(|token| end(token) && token.at.end <= at)
        .map_or(0, |last| last + 1);
    let size = all[from..].iter().position(end).unwrap_or(all.len() - from);
    &all[from..from + size]
}

/// Those that begin so, each once and in order.
fn matching<'a>(words: impl Iterator<Item = &'a str>, prefix: &str, names: bool) -> Vec<String> {
    let begins = |word: &&str| {
        let head = word.get(..prefix.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(prefix))
    };
    let mut found: Vec<&str> = words.filter(begins).collect();
    found.sort_unstable();
    found.dedup();
    found
        .into_iter()
        .map(|word| if names { name(word) } else { word.to_owned() })
        .collect()
}

/// As SQL reads it for a name.
fn name(word: &str) -> String {
    let plain = word.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && word
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    match plain && !RESERVED.contains(&word) {
        true => word.to_owned(),
        false => format!("\"{}\"", word.replace('"', "\"\"")),
    }
}

fn dot_command(schema: &Schema, formats: &[&str], before: &str) -> (usize, Vec<String>) {
    let start = before.rfind(char::is_whitespace).map_or(0, |space| space + 1);
    let (head, prefix) = before.split_at(start);
    let found = match head.trim() {
        "" => matching(
            dot::ALL.iter().filter_map(|(name, _)| name.split(' ').next()),
            prefix,
            false,
        ),
        ".columns" => matching(schema.views.iter().map(|view| view.name.as_str()), prefix, false),
        ".format" => matching(formats.iter().copied(), prefix, false),
        ".timer" => matching(["off", "on"].into_iter(), prefix, false),
        _ => Vec::new(),
    };
    (start, found)
}

#[cfg(test)]
mod tests {
    use super::super::schema::{Column, View};
    use super::*;

    fn schema() -> Schema {
        let view = |name: &str, columns: &[&str]| View {
            name: name.into(),
            columns: columns
                .iter()
                .map(|name| Column {
                    name: (*name).into(),
                    ..Column::default()
                })
                .collect(),
            ..View::default()
        };
        Schema {
            views: vec![
                view("files", &["path", "size", "modified"]),
                view("tasks", &["path", "due", "text"]),
                view("links", &["from", "to"]),
            ],
            functions: vec!["date_trunc".into(), "sum".into()],
            tables: vec!["search".into()],
            ..Schema::default()
        }
    }

    /// What the word before `|` may become.
    fn at(text: &str) -> Vec<String> {
        let at = text.find('|').expect("a cursor");
        let (start, found) = complete(&schema(), &["table", "csv"], &text.replacen('|', "", 1), at);
        assert!(start <= at, "{text}");
        found
    }

    /// Guards completion by what is said before the word, and by the views that stand behind it, too.
    #[test]
    fn words_are_completed() {
        assert_eq!(at("select * from |"), ["files", "links", "tasks", "search"]);
        assert_eq!(at("select * from f|"), ["files"]);
        assert_eq!(at("select * from files, t|"), ["tasks"]);
        assert_eq!(at("SELECT * FROM files JOIN s|"), ["search"]);
        assert_eq!(at("select |, from tasks"), ["due", "path", "text"]);
        assert_eq!(
            at("select d| from tasks"),
            ["due", "date_trunc", "date", "desc", "describe", "distinct"]
        );
        assert_eq!(at("select siz| "), ["size"]);
        assert_eq!(
            at("select S| from files").first().map(String::as_str),
            Some("size")
        );
        assert!(at("select S| from files").contains(&"SELECT".to_owned()));
        assert_eq!(at("select t.d| from tasks t"), ["due"]);
        assert_eq!(
            at("select t.| from tasks as t where true"),
            ["due", "path", "text"]
        );
        assert_eq!(at("select tasks.te|"), ["text"]);
        assert_eq!(at("select x.| from tasks t"), Vec::<String>::new());
        assert_eq!(at("from tasks; select mod| from files; from links"), ["modified"]);
        assert_eq!(at("select \"|"), Vec::<String>::new());
    }

    /// Guards names that SQL would take for its own words.
    #[test]
    fn names_are_quoted() {
        assert_eq!(at("select l.| from links l"), ["\"from\"", "\"to\""]);
    }

    /// Guards quotes and comments: nothing is put in there.
    #[test]
    fn quotes_are_left_alone() {
        for text in [
            "select 'f|",
            "select 'f|'",
            "-- f|",
            "select 1 /* f|",
            "select $$ f| $$",
            "select \"f|\"",
        ] {
            assert_eq!(at(text), Vec::<String>::new(), "{text}");
        }
        assert_eq!(at("select 'x', siz|"), ["size"]);
        assert_eq!(at("-- note\nselect siz|"), ["size"]);
    }

    /// Guards the prompt's own commands.
    #[test]
    fn commands_are_completed() {
        assert_eq!(at(".f|"), [".format"]);
        assert_eq!(at(".format c|"), ["csv"]);
        assert_eq!(at(".columns ta|"), ["tasks"]);
        assert_eq!(at(".timer |"), ["off", "on"]);
        assert_eq!(at(".quit |"), Vec::<String>::new());
    }
}
