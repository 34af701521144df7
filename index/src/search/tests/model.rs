//! The index against a plain scan over the same words, after any edits.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use super::super::token::{Of, Tokens};
use super::super::{Doc, Files};
use super::{Vault, find, index};

/// What a file says, in the fields in which words are looked for.
#[derive(Clone, Default)]
struct File {
    name: String,
    title: Option<String>,
    tags: Vec<String>,
    headings: Vec<String>,
    body: String,
}

impl File {
    fn texts(&self) -> impl Iterator<Item = &String> {
        let short = [&self.name, &self.body].into_iter().chain(&self.title);
        short.chain(&self.tags).chain(&self.headings)
    }

    /// Whether the words stand in a row in one of its texts; the last may be the beginning of one.
    fn has(&self, words: &[(u32, String)], is_prefix: bool) -> bool {
        let last = words.len() - 1;
        self.texts().any(|text| {
            let there = placed(text, Of::Text);
            let is_at = |from: u32, nth: usize| {
                there.iter().any(|(at, word)| {
                    let fits = if is_prefix && nth == last {
                        word.starts_with(&words[nth].1)
                    } else {
                        *word == words[nth].1
                    };
                    fits && *at == from + (words[nth].0 - words[0].0)
                })
            };
            there
                .iter()
                .any(|(from, _)| (0..words.len()).all(|nth| is_at(*from, nth)))
        })
    }
}

fn placed(text: &str, of: Of) -> Vec<(u32, String)> {
    let mut tokens = Tokens::new(text, of);
    let mut word = String::new();
    let mut all = Vec::new();
    while let Some(spot) = tokens.next(&mut word) {
        all.push((spot.position, word.clone()));
    }
    all
}

const WORDS: [&str; 24] = [
    "a",
    "b",
    "foo",
    "bar",
    "foo_bar",
    "bar-foo",
    "Straße",
    "strasse",
    "中国",
    "国中",
    "中",
    "国中国",
    "กา",
    "มา",
    "C++",
    "C",
    "don't",
    "t",
    "fo",
    "é",
    "E",
    "👍",
    "1.5",
    "5",
];

fn text(random: &mut StdRng, most: usize) -> String {
    let count = random.random_range(0..=most);
    let words: Vec<_> = (0..count).filter_map(|_| WORDS.choose(random)).copied().collect();
    words.join([" ", "\n", ", ", ""][random.random_range(0..4)])
}

fn file(random: &mut StdRng) -> File {
    File {
        name: text(random, 2),
        title: random.random_bool(0.3).then(|| text(random, 3)),
        tags: (0..random.random_range(0..3)).map(|_| text(random, 2)).collect(),
        headings: (0..random.random_range(0..3)).map(|_| text(random, 3)).collect(),
        body: text(random, 30),
    }
}

/// Guards that after any sequence of edits exactly those files are found that have the words: single ones, in a row,
/// beginnings, and none of them.
#[test]
fn found_is_what_a_scan_finds() {
    let mut random = StdRng::seed_from_u64(11);
    let mut vault = Vault::default();
    for file in 0..60 {
        vault.add(&format!("{file}"), "2026-01-01");
    }
    let mut index = index();
    let mut there: BTreeMap<u64, File> = BTreeMap::new();
    let (mut asked, mut found_some) = (0, 0);
    for _ in 0..120 {
        for _ in 0..random.random_range(0..12) {
            let number = random.random_range(0..60);
            if random.random_bool(0.25) {
                there.remove(&number);
                index.remove(number).expect("removed");
                continue;
            }
            let file = file(&mut random);
            index
                .put(&Doc {
                    file: number,
                    name: &file.name,
                    title: file.title.as_deref(),
                    tags: &file.tags,
                    headings: &file.headings.iter().map(String::as_str).collect::<Vec<_>>(),
                    body: &file.body,
                })
                .expect("put");
            there.insert(number, file);
        }
        index.refresh().expect("refreshed");
        assert_eq!(index.len(), there.len());
        for _ in 0..20 {
            let phrase = text(&mut random, 3);
            let words = placed(&phrase, Of::Question);
            if words.is_empty() || phrase.contains('"') {
                continue;
            }
            let is_not = random.random_bool(0.2);
            let not = if is_not { "-" } else { "" };
            let expected: BTreeSet<u64> = there
                .iter()
                .filter(|(_, file)| file.has(&words, false) != is_not)
                .map(|(file, _)| *file)
                .collect();
            let found = find(&index, &vault, &format!("{not}\"{phrase}\""));
            let numbers: BTreeSet<u64> = found.hits.iter().map(|hit| hit.file).collect();
            assert_eq!(numbers, expected, "{not}{phrase:?}");
            assert_eq!(found.total, expected.len(), "{phrase}");
            asked += 1;
            found_some += usize::from(!expected.is_empty() && expected.len() < there.len());
        }
        // Several in a row, of which the last is a beginning.
        for prefix in [
            "f*", "foo*", "foo_b*", "bar-f*", "str*", "c*", "C++*", "中*", "z*", "don't*",
        ] {
            let words = placed(prefix, Of::Question);
            let is_prefix = !prefix.starts_with('中');
            let expected: BTreeSet<u64> = there
                .iter()
                .filter(|(_, file)| file.has(&words, is_prefix))
                .map(|(file, _)| *file)
                .collect();
            let found = find(&index, &vault, prefix);
            assert_eq!(
                found.hits.iter().map(|hit| hit.file).collect::<BTreeSet<_>>(),
                expected,
                "{prefix}"
            );
        }
    }
    assert!(asked > 1000 && found_some > 500, "{asked} {found_some}");
    assert!(vault.facts(0).is_some());
}
