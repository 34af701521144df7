//! Order, filters and updates.

use tantivy::tokenizer::{TextAnalyzer, Token, TokenStream, Tokenizer};

use super::super::fields::WORDS;
use super::super::{Doc, Finder, Found, Index, Query, SearchError};
use super::{Vault, find, index, numbers, put};

/// Guards that a word in title, name, tags or headings counts more than in the text, and what is longer less.
#[test]
fn places_count() {
    let mut vault = Vault::default();
    let mut index = index();
    let tags = ["roses".to_owned()];
    let filler = "word ".repeat(30);
    let body = format!("{filler} roses");
    let docs = [
        Doc {
            title: Some("Roses"),
            body: &filler,
            ..Doc::default()
        },
        Doc {
            tags: &tags,
            body: &filler,
            ..Doc::default()
        },
        Doc {
            headings: &["roses"],
            body: &filler,
            ..Doc::default()
        },
        Doc {
            body: &body,
            ..Doc::default()
        },
        Doc {
            body: &filler,
            ..Doc::default()
        },
    ];
    for doc in docs {
        let file = vault.add("note.md", "2026-01-01");
        index.put(&Doc { file, ..doc }).expect("put");
    }
    index.refresh().expect("refreshed");
    let found = find(&index, &vault, "roses");
    assert_eq!(found.total, 4);
    assert_eq!(found.hits.last().map(|hit| hit.file), Some(3));
    assert_eq!(numbers(&index, &vault, "title:roses"), [0]);
    assert!(numbers(&index, &vault, "name:roses").is_empty());
}

/// Guards that equals come newest first, then by path, and that so does what filters alone let pass.
#[test]
fn equals_come_newest_first() {
    let mut vault = Vault::default();
    let mut index = index();
    for (path, day) in [
        ("b.md", "2026-01-02"),
        ("a.md", "2026-01-02"),
        ("c.md", "2026-01-03"),
        ("d.md", "2026-01-01"),
    ] {
        let file = vault.add(path, day);
        put(&mut index, file, "same words");
    }
    index.refresh().expect("refreshed");
    let newest = [2, 1, 0, 3];
    for query in [
        "same",
        "\"same words\"",
        "sam*",
        "in:/",
        "-other",
        "kind:note",
        "in:/ OR same in:/",
    ] {
        let found = find(&index, &vault, query);
        assert_eq!(
            found.hits.iter().map(|hit| hit.file).collect::<Vec<_>>(),
            newest,
            "{query}"
        );
    }
    for limit in 0..5 {
        let found = index.find(&super::asked("same"), limit, &vault).expect("found");
        assert_eq!(
            found.hits.iter().map(|hit| hit.file).collect::<Vec<_>>(),
            newest[..limit.min(4)]
        );
        assert_eq!(found.total, 4);
    }
}

/// Guards the filters, alone, together, under a not and in an or with words.
#[test]
fn filters_filter() {
    let mut vault = Vault::default();
    let mut index = index();
    let tag = |tag: &str| vec![tag.to_owned()];
    for (path, day, tags, body) in [
        ("Notes/2024/Bill.md", "2026-11-23", tag("garden"), "dentist bill"),
        (
            "Notes/2024-old/x.md",
            "2026-11-01",
            tag("#Garden/Rosés"),
            "dentist",
        ),
        ("notes/2025/y.pdf", "2025-05-05", tag("gardening"), "bill"),
        ("Ärzte/z.txt", "2024-02-29", tag("a/b/c"), "dentist"),
    ] {
        let file = vault.add(path, day);
        let doc = Doc {
            file,
            tags: &tags,
            body,
            ..Doc::default()
        };
        index.put(&doc).expect("put");
    }
    if let Some(file) = vault.0.get_mut(&2) {
        file.2 = "document";
    }
    index.refresh().expect("refreshed");
    for (query, expected) in [
        ("in:notes", &[0, 1, 2][..]),
        ("in:Notes/2024", &[0]),
        ("in:notes/2024/bill.MD", &[0]),
        ("in:2024", &[]),
        ("in:ärzte", &[3]),
        ("in:\"A\u{308}RZTE/\"", &[3]),
        ("-in:notes", &[3]),
        ("ext:md", &[0, 1]),
        ("ext:.PDF", &[2]),
        ("kind:Document", &[2]),
        ("kind:note dentist", &[0, 1, 3]),
        ("after:2026-11-23", &[0]),
        ("before:2026-11-23", &[1, 2, 3]),
        ("after:2025 before:2026", &[2]),
        ("after:yesterday", &[0]),
        ("tag:garden", &[0, 1]),
        ("tag:garden/roses", &[1]),
        ("tag:roses", &[]),
        ("tag:gard*", &[0, 1, 2]),
        ("tag:a tag:a/b", &[3]),
        ("tag:b", &[]),
        ("dentist -tag:garden", &[3]),
        ("bill OR in:ärzte", &[0, 2, 3]),
        ("(in:notes/2025 bill) OR (ext:md -bill)", &[1, 2]),
        ("dentist (in:ärzte OR after:2026-11-10)", &[0, 3]),
        ("-(dentist in:notes)", &[2, 3]),
        ("-(dentist OR in:ärzte)", &[2]),
        ("dentist ext:pdf", &[]),
    ] {
        let mut found = numbers(&index, &vault, query);
        found.sort_unstable();
        assert_eq!(found, expected, "{query}");
    }
    // What the vault does not show is not found, and not counted.
    vault.0.remove(&0);
    assert_eq!(find(&index, &vault, "dentist").total, 2);
    // What was moved is found where it is now, and nothing was told to the index.
    if let Some(file) = vault.0.get_mut(&1) {
        file.0 = "Elsewhere/x.md".to_owned();
    }
    assert_eq!(numbers(&index, &vault, "in:elsewhere dentist"), [1]);
}

/// Guards that a file is in it once, and that nothing is found before `refresh` and everything after it.
#[test]
fn a_file_is_replaced() {
    let mut vault = Vault::default();
    vault.add("a", "2026-01-01");
    let mut index = index();
    index.refresh().expect("nothing to do");
    assert!(index.is_empty());
    put(&mut index, 0, "first");
    assert_eq!(find(&index, &vault, "first"), Found::default());
    index.refresh().expect("refreshed");
    put(&mut index, 0, "second");
    put(&mut index, 0, "third");
    assert_eq!(find(&index, &vault, "first").total, 1);
    let finder = index.finder();
    index.refresh().expect("refreshed");
    for (word, total) in [("first", 0), ("second", 0), ("third", 1)] {
        assert_eq!(find(&index, &vault, word).total, total, "{word}");
        let found = finder.find(&super::asked(word), 1, &vault).expect("found");
        assert_eq!(found.total, total, "{word}");
    }
    assert_eq!(index.len(), 1);
    index.remove(0).expect("removed");
    index.remove(7).expect("was not there");
    put(&mut index, 0, "fourth");
    index.remove(0).expect("removed");
    index.refresh().expect("refreshed");
    assert_eq!(find(&index, &vault, "in:/").total, 0);
}

/// Guards that saves, one after the other, leave neither many segments nor many deleted documents behind.
#[test]
fn many_saves_leave_few_segments() {
    let mut vault = Vault::default();
    let mut index = index();
    for file in 0..2000 {
        vault.add(&format!("{file}"), "2026-01-01");
        put(&mut index, file, "some words to begin with");
    }
    index.refresh().expect("refreshed");
    for save in 0..300u64 {
        put(&mut index, save * 7 % 40, &format!("save{save}"));
        index.refresh().expect("refreshed");
    }
    // Merging goes on in a thread of its own: what it has done is seen by the next refresh.
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while index.size().0 > 16 {
        assert!(std::time::Instant::now() < end, "{} segments", index.size().0);
        std::thread::yield_now();
        index.refresh().expect("refreshed");
    }
    assert_eq!(find(&index, &vault, "in:/").total, 2000);
    assert_eq!(find(&index, &vault, "save*").total, 40);
    assert_eq!(find(&index, &vault, "save299").total, 1);
}

fn strs(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

/// Guards the bounds of what is put: long texts, many tags, and nothing at all.
#[test]
fn anything_can_be_put() {
    let mut vault = Vault::default();
    let mut index = index();
    let long = "long ".repeat(4 << 20);
    let tags: Vec<_> = (0..20_000)
        .map(|tag| format!("t{tag}/{}", "x/".repeat(tag % 300)))
        .collect();
    let odd: Vec<_> = ["", "#", "/", "//", "a//b", " ", "\0"].map(str::to_owned).into();
    let docs = [
        Doc {
            body: &long,
            name: &long,
            title: Some(&long),
            ..Doc::default()
        },
        Doc {
            tags: &tags,
            headings: &strs(&tags),
            ..Doc::default()
        },
        Doc {
            tags: &odd,
            headings: &strs(&odd),
            ..Doc::default()
        },
        Doc::default(),
    ];
    for doc in docs {
        let file = vault.add("x", "2026-01-01");
        index.put(&Doc { file, ..doc }).expect("put");
    }
    index.refresh().expect("refreshed");
    assert_eq!(find(&index, &vault, "in:/").total, 4);
    assert_eq!(numbers(&index, &vault, "long"), [0]);
    assert_eq!(numbers(&index, &vault, "tag:t7/x"), [1]);
    assert_eq!(numbers(&index, &vault, "tag:a/b"), [2]);
}

/// A tokenizer that panics.
#[derive(Clone)]
struct Panics;

impl Tokenizer for Panics {
    type TokenStream<'a> = Words;

    fn token_stream<'a>(&'a mut self, _: &'a str) -> Words {
        panic!("as the test wants it")
    }
}

struct Words(Token);

impl TokenStream for Words {
    fn advance(&mut self) -> bool {
        false
    }

    fn token(&self) -> &Token {
        &self.0
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.0
    }
}

/// Guards that a panic in the library's thread comes out as an error, that the index says so from then on, and that what was
/// found before is found still.
#[test]
fn a_panic_is_an_error() {
    let mut vault = Vault::default();
    vault.add("a", "2026-01-01");
    let mut index = index();
    put(&mut index, 0, "word");
    index.refresh().expect("refreshed");
    index
        .writer
        .index()
        .tokenizers()
        .register(WORDS, TextAnalyzer::from(Panics));
    let doc = Doc {
        file: 1,
        body: "word",
        ..Doc::default()
    };
    let done = index.put(&doc).and_then(|()| index.refresh());
    assert!(matches!(done, Err(SearchError::Change(_))));
    assert!(matches!(index.put(&doc), Err(SearchError::Change(_))));
    assert!(matches!(index.remove(0), Err(SearchError::Change(_))));
    assert!(matches!(index.refresh(), Err(SearchError::Change(_))));
    assert_eq!(find(&index, &vault, "word").total, 1);
}

/// Guards that an index can be filled in one thread and asked from others.
#[test]
fn threads_can_share() {
    fn sent<T: Send>() {}
    fn shared<T: Send + Sync + Clone>() {}
    sent::<Index>();
    shared::<Finder>();
    shared::<Query>();
}
