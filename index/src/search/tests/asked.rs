//! What is typed.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use super::super::query::{Filter, Node, Scope, Text};
use super::super::{DEPTH_MAX, QUERY_MAX, Query, QueryError, WORDS_MAX};
use super::now;

/// A question, written so that one sees how it was understood.
fn drawn(node: &Node) -> String {
    let all = |nodes: &[Node], sign| nodes.iter().map(drawn).collect::<Vec<_>>().join(sign);
    match node {
        Node::And(nodes) => format!("({})", all(nodes, " & ")),
        Node::Or(nodes) => format!("({})", all(nodes, " | ")),
        Node::Not(node) => format!("!{}", drawn(node)),
        Node::Text(Text {
            scope,
            words,
            is_prefix,
        }) => {
            let scope = match scope {
                Scope::Any => "",
                Scope::Title => "title=",
                Scope::Name => "name=",
            };
            let words: Vec<_> = words.iter().map(|(_, word)| &**word).collect();
            format!("{scope}{}{}", words.join("~"), if *is_prefix { "*" } else { "" })
        }
        Node::Tag { path, is_prefix } => format!("tag={path}{}", if *is_prefix { "*" } else { "" }),
        Node::Filter(Filter::In(parts)) => format!("in={}", parts.join("/")),
        Node::Filter(Filter::Before(time)) => format!("before={time}"),
        Node::Filter(Filter::After(time)) => format!("after={time}"),
        Node::Filter(Filter::Kind(kind)) => format!("kind={kind}"),
        Node::Filter(Filter::Extension(extension)) => format!("ext={extension}"),
    }
}

fn understood(text: &str) -> String {
    match Query::parse(text, &now()) {
        Ok(query) => drawn(&query.root),
        Err(error) => error.to_string(),
    }
}

/// Guards the language that people type.
#[test]
fn what_is_typed_is_understood() {
    for (typed, expected) in [
        ("dentist bill", "(dentist & bill)"),
        ("\"exact phrase\"", "exact~phrase"),
        ("“exact phrase” x", "(exact~phrase & x)"),
        ("dent*", "dent*"),
        ("foo-ba*", "foo~ba*"),
        ("a -b", "(a & !b)"),
        ("-b", "!b"),
        ("a -\"b c\"", "(a & !b~c)"),
        ("a -(b OR c)", "(a & !(b | c))"),
        ("a OR b", "(a | b)"),
        ("a b OR c d", "((a & b) | (c & d))"),
        ("a (b OR c) d", "(a & (b | c) & d)"),
        ("a AND b", "(a & b)"),
        ("a or b", "(a & or & b)"),
        ("OR", "or"),
        ("OR a", "(or & a)"),
        ("a OR", "(a & or)"),
        ("a OR OR b", "(a | (or & b))"),
        ("(a OR) b", "((a & or) & b)"),
        ("a OR ... ", "a"),
        ("... OR a", "a"),
        ("ORacle", "oracle"),
        ("\"not closed", "not~closed"),
        ("(a (b", "(a & b)"),
        ("a) b)", "(a & b)"),
        ("() a", "a"),
        ("a(b)", "(a & b)"),
        ("a\"b c\"", "(a & b~c)"),
        (
            ":",
            "There is nothing to search for: give at least one word, or a filter such as in:Notes.",
        ),
        ("a : b", "(a & b)"),
        ("- a", "a"),
        ("--verbose", "verbose"),
        ("tag:garden", "tag=garden"),
        ("tag:#Garden/Rosés/", "tag=garden/roses"),
        ("tag:gar*", "tag=gar*"),
        ("TAG:x", "tag=x"),
        ("-tag:x a", "(!tag=x & a)"),
        ("tag:", "tag"),
        ("tag:\"\"", "tag"),
        ("in:Notes/2024", "in=notes/2024"),
        ("in:/Notes/2024/", "in=notes/2024"),
        ("in:\"My notes\" x", "(in=my notes & x)"),
        ("kind:Note", "kind=note"),
        ("ext:.PDF", "ext=pdf"),
        ("title:bill", "title=bill"),
        ("title:\"the bill\"", "title=the~bill"),
        ("name:2024*", "name=2024*"),
        ("foo:bar", "foo~bar"),
        ("http://a.b", "http~a~b"),
        ("12:30", "12~30"),
        ("before:2026-03-01", "before=2026-02-28T23:00:00Z"),
        ("after:2026-07", "after=2026-06-30T22:00:00Z"),
        ("after:2026", "after=2025-12-31T23:00:00Z"),
        ("after:today", "after=2026-11-23T23:00:00Z"),
        ("before:Yesterday", "before=2026-11-22T23:00:00Z"),
        ("after:7d", "after=2026-11-16T23:00:00Z"),
        ("after:2w", "after=2026-11-09T23:00:00Z"),
        ("after:3m", "after=2026-08-23T22:00:00Z"),
        ("after:1y", "after=2025-11-23T23:00:00Z"),
        ("after: x", "(after & x)"),
    ] {
        assert_eq!(understood(typed), expected, "{typed}");
    }
}

/// Guards that what makes no sense is said, in a sentence of its own.
#[test]
fn what_makes_no_sense_is_said() {
    let error = |text: &str| Query::parse(text, &now()).err();
    for text in ["", "  ", "()", "-", "\"\"", "***", "-()", "((((", "… ! ?"] {
        assert_eq!(error(text), Some(QueryError::Empty), "{text}");
    }
    for value in [
        "soon",
        "2026-13",
        "2026-02-30",
        "26",
        "2026-1-1-1",
        "99999d",
        "d",
        "2026-",
        "99999",
        "-7d",
        "7x",
        "é",
    ] {
        let expected = QueryError::Date {
            field: "before",
            value: value.to_owned(),
        };
        assert_eq!(error(&format!("a before:{value}")), Some(expected), "{value}");
    }
    assert_eq!(
        error(&"x".repeat(QUERY_MAX + 1)),
        Some(QueryError::TooLong { max: QUERY_MAX })
    );
    assert_eq!(error(&"x".repeat(QUERY_MAX)), None);
    assert_eq!(error(&"x ".repeat(WORDS_MAX)), None);
    assert_eq!(
        error(&"x ".repeat(WORDS_MAX + 1)),
        Some(QueryError::TooManyWords { max: WORDS_MAX })
    );
    assert_eq!(
        error(&"中".repeat(WORDS_MAX + 2)),
        Some(QueryError::TooManyWords { max: WORDS_MAX })
    );
    let costly = QueryError::TooManyWords { max: WORDS_MAX };
    assert_eq!(error(&"a-b* ".repeat(13)), Some(costly));
    assert_eq!(error(&"a-b* ".repeat(12)), None);
    let deep = |depth: usize| format!("{}x", "(".repeat(depth));
    assert_eq!(error(&deep(DEPTH_MAX)), None);
    assert_eq!(
        error(&deep(DEPTH_MAX + 1)),
        Some(QueryError::TooDeep { max: DEPTH_MAX })
    );
    assert_eq!(
        error(&"-(".repeat(QUERY_MAX / 2)),
        Some(QueryError::TooDeep { max: DEPTH_MAX })
    );
}

/// Guards that what is asked shows in no log.
#[test]
fn questions_show_nothing() {
    assert_eq!(format!("{:?}", super::asked("secret")), "Query(…)");
}

/// Guards that whatever is typed is understood or refused, and that whatever is understood is answered.
#[test]
fn nothing_typed_panics() {
    const PIECES: [&str; 44] = [
        "a",
        "word",
        "*",
        "\"",
        "“",
        "”",
        "«",
        "(",
        ")",
        "-",
        "OR",
        "AND",
        " ",
        " ",
        " ",
        ":",
        "tag:",
        "in:",
        "before:",
        "after:",
        "title:",
        "name:",
        "kind:",
        "ext:",
        "2026",
        "7d",
        "-03",
        "/",
        "#",
        "+",
        "中",
        "国",
        "กา",
        "é",
        "\u{301}",
        "👩\u{200D}💻",
        "\u{AD}",
        "\0",
        "\n",
        "ß",
        "क्",
        "\u{FDFA}",
        "_",
        "ﬁ",
    ];
    let mut random = StdRng::seed_from_u64(7);
    let mut vault = super::Vault::default();
    let mut index = super::index();
    for file in 0..20 {
        vault.add(&format!("f{file}"), "2026-01-01");
        let body: String = (0..200)
            .filter_map(|_| PIECES.choose(&mut random))
            .copied()
            .collect();
        super::put(&mut index, file, &body);
    }
    index.refresh().expect("refreshed");
    let mut answered = 0;
    for _ in 0..20_000 {
        let typed: String = match random.random_range(0..4) {
            0 => (0..random.random_range(0..20))
                .map(|_| random.random::<char>())
                .collect(),
            _ => (0..random.random_range(0..16))
                .filter_map(|_| PIECES.choose(&mut random))
                .copied()
                .collect(),
        };
        if let Ok(query) = Query::parse(&typed, &now()) {
            let found = index.find(&query, 3, &vault);
            assert!(found.is_ok_and(|found| found.hits.len() <= 3), "{typed}");
            super::super::snippet(&query, &typed, 20);
            answered += 1;
        }
    }
    assert!(answered > 5_000, "{answered}");
}
