//! Snippets.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use super::super::fold::folded;
use super::super::token::{Of, Tokens};
use super::super::{Query, Snippet, snippet};
use super::{asked, now};

/// A snippet with its marks in brackets.
fn drawn(snippet: &Snippet) -> String {
    let mut out = String::new();
    let mut at = 0;
    for mark in &snippet.marks {
        out += &format!(
            "{}[{}]",
            &snippet.text[at..mark.start],
            &snippet.text[mark.clone()]
        );
        at = mark.end;
    }
    out + &snippet.text[at..]
}

/// Guards what is shown and marked, and on which line it stands.
#[test]
fn the_best_part_is_shown() {
    let far = "x ".repeat(200);
    for (query, text, max, expected, line) in [
        (
            "dentist",
            "Call the Dentist.",
            80,
            "Call the [Dentist].".to_owned(),
            1,
        ),
        (
            "strasse",
            "die Straße\nhier",
            80,
            "die [Straße] hier".to_owned(),
            1,
        ),
        (
            "eleve",
            "un  e\u{301}le\u{300}ve\r\n\r\nici",
            80,
            "un [e\u{301}le\u{300}ve] ici".to_owned(),
            1,
        ),
        (
            "dent*",
            "dentist dental den",
            80,
            "[dentist] [dental] den".to_owned(),
            1,
        ),
        ("\"a b\"", "a x b a b", 80, "a x b [a b]".to_owned(), 1),
        ("\"a b\"", "b x a", 80, "[b] x [a]".to_owned(), 1),
        ("foo-bar", "a foo_bar b", 80, "a [foo_bar] b".to_owned(), 1),
        ("foo-ba*", "a foo_bar b", 80, "a [foo_bar] b".to_owned(), 1),
        ("c++", "C and C++.", 80, "C and [C++].".to_owned(), 1),
        ("北京", "我们在北京吃饭", 80, "我们在[北京]吃饭".to_owned(), 1),
        ("中国人", "中国人民", 80, "[中国人]民".to_owned(), 1),
        (
            "👩\u{200D}💻",
            "x 👩\u{200D}💻 y",
            80,
            "x [👩\u{200D}💻] y".to_owned(),
            1,
        ),
        ("a -b", "b a", 80, "b [a]".to_owned(), 1),
        (
            "tag:a in:b after:7d",
            "\n\n some a text",
            80,
            "some a text".to_owned(),
            3,
        ),
        ("title:a", "a b", 80, "a b".to_owned(), 1),
        ("x", "\u{1B}[31mx", 80, " [31m".to_owned() + "x", 1),
        (
            "needle",
            &format!("{far}\nthe needle in it\n{far}"),
            30,
            "…x the [needle] in it x x x x x…".to_owned(),
            2,
        ),
        (
            "one two",
            &format!("one {far} two {far} two one {far}"),
            20,
            "…x [two] [one] x x x x…".to_owned(),
            1,
        ),
        (
            "\"one two\"",
            &format!("two one {far} one two {far}"),
            20,
            "…x [one two] x x x x…".to_owned(),
            1,
        ),
        (
            "none",
            "some words that are long",
            12,
            "some words…".to_owned(),
            1,
        ),
        ("none", "unbelievable", 5, "unbel…".to_owned(), 1),
        ("none", "", 5, String::new(), 1),
        (
            "unbelievable",
            "an unbelievable x",
            5,
            "…[]".replace("[]", "unbel") + "…",
            1,
        ),
    ] {
        let snippet = snippet(&asked(query), text, max);
        let shown = if expected.contains('[') {
            drawn(&snippet)
        } else {
            snippet.text.clone()
        };
        assert_eq!(shown, expected, "{query} in {text}");
        assert_eq!(snippet.line, line, "{query} in {text}");
    }
}

/// Guards that a snippet keeps its bounds, that its marks lie between characters and apart, and that each matches.
#[test]
fn marks_match() {
    const PIECES: [&str; 30] = [
        "foo",
        "bar",
        "Straße",
        "é",
        "e\u{301}",
        "中",
        "国",
        "กา",
        "ม้า",
        "C++",
        "don't",
        "👩\u{200D}💻",
        "🇩🇪",
        " ",
        " ",
        " ",
        "\n",
        "\r\n",
        "\t",
        "...",
        "-",
        "_",
        "\u{AD}",
        "\u{301}",
        "हिन्दी",
        "한국",
        "a",
        "b",
        "1.5",
        "\0",
    ];
    let mut random = StdRng::seed_from_u64(3);
    let piece = |random: &mut StdRng, most: usize| -> String {
        (0..random.random_range(0..most))
            .filter_map(|_| PIECES.choose(random))
            .copied()
            .collect()
    };
    let mut marked = 0;
    for _ in 0..5_000 {
        let text = piece(&mut random, 120);
        let typed = piece(&mut random, 6);
        let Ok(query) = Query::parse(&typed, &now()) else {
            continue;
        };
        let max = random.random_range(1..60);
        let snippet = snippet(&query, &text, max);
        assert!(
            snippet.text.chars().filter(|c| *c != '…').count() <= max,
            "{:?}",
            snippet.text
        );
        assert!(!snippet.text.contains(['\n', '\0']), "{:?}", snippet.text);
        assert!(snippet.line as usize <= text.matches('\n').count() + 1);
        // All words of the question, beginnings among them.
        let mut words = Vec::new();
        let mut word = String::new();
        let mut tokens = Tokens::new(&typed, Of::Text);
        while tokens.next(&mut word).is_some() {
            words.push(word.clone());
        }
        let mut end = 0;
        for mark in &snippet.marks {
            assert!(mark.start >= end && mark.start < mark.end, "{mark:?}");
            end = mark.end;
            let mut tokens = Tokens::new(&snippet.text[mark.clone()], Of::Text);
            while tokens.next(&mut word).is_some() {
                let is_wanted = words.iter().any(|wanted| word.starts_with(&**wanted));
                assert!(
                    is_wanted || word.chars().count() == 2,
                    "{word:?} of {:?} for {typed:?}",
                    snippet.text
                );
            }
            assert!(!folded(&snippet.text[mark.clone()]).is_empty());
            marked += 1;
        }
    }
    assert!(marked > 1_000, "{marked}");
}

/// Guards that a long text takes time in proportion only (else this takes hours): words that come again and again, phrases
/// that begin everywhere.
#[test]
fn long_texts_are_no_trouble() {
    let text = "a ".repeat(2 << 20);
    let query = asked(&format!("\"{}b\" \"a a\" a* a", "a ".repeat(60)));
    let snippet = snippet(&query, &text, 10_000);
    assert_eq!(snippet.marks.len(), 1);
    let spaces = format!("a{}b", " ".repeat(4 << 20));
    assert_eq!(
        super::super::snippet(&asked("\"a b\""), &spaces, 50).marks.len(),
        1
    );
}
