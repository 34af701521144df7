//! Tests of the search: what its parts share.

mod asked; // what is typed
mod flows; // how much waits
mod model; // against a plain scan
mod ranked; // order, filters, updates
mod scripts; // words in all scripts
mod shown; // snippets

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::{Timestamp, Zoned};

use super::{Doc, Facts, Files, Found, Index, Query};

/// What a made-up vault knows of its files: path, time of the last change, kind.
#[derive(Default)]
struct Vault(BTreeMap<u64, (String, Timestamp, &'static str)>);

impl Files for Vault {
    fn facts(&self, file: u64) -> Option<Facts<'_>> {
        let (path, modified, kind) = self.0.get(&file)?;
        let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
        Some(Facts {
            modified: *modified,
            kind,
            extension,
        })
    }

    fn path(&self, file: u64) -> Cow<'_, str> {
        Cow::Borrowed(self.0.get(&file).map_or("", |(path, ..)| path))
    }
}

impl Vault {
    /// A note, changed at noon of a day, and its number.
    fn add(&mut self, path: &str, day: &str) -> u64 {
        let file = self.0.len() as u64;
        let modified = format!("{day}T12:00:00Z").parse().expect("a time");
        self.0.insert(file, (path.to_owned(), modified, "note"));
        file
    }
}

/// The day of all tests: a Tuesday.
fn now() -> Zoned {
    "2026-11-24T15:30:00+01:00[Europe/Berlin]"
        .parse()
        .expect("a time")
}

fn asked(text: &str) -> Query {
    Query::parse(text, &now()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn index() -> Index {
    Index::new(0).expect("an index")
}

fn put(index: &mut Index, file: u64, body: &str) {
    let doc = Doc {
        file,
        body,
        ..Doc::default()
    };
    index.put(&doc).expect("put");
}

fn find(index: &Index, vault: &Vault, query: &str) -> Found {
    index.find(&asked(query), 1000, vault).expect("found")
}

/// The numbers of what is found, best first.
fn numbers(index: &Index, vault: &Vault, query: &str) -> Vec<u64> {
    find(index, vault, query)
        .hits
        .iter()
        .map(|hit| hit.file)
        .collect()
}

/// Whether a text is found by a question.
fn is_found(body: &str, query: &str) -> bool {
    let mut vault = Vault::default();
    vault.add("a", "2026-01-01");
    let mut index = index();
    put(&mut index, 0, body);
    index.refresh().expect("refreshed");
    find(&index, &vault, query).total == 1
}
