//! A plain reading of a folder's files, which knows nothing of how the index does it: names by walking, notes line by line, links by
//! the rule that docs/views.md names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// A name that is no folder's.
pub(crate) struct Name {
    pub(crate) path: String,
    pub(crate) meta: Metadata,
    /// The file's bytes, if they were to be read.
    pub(crate) bytes: Option<Vec<u8>>,
}

/// As what a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Markdown,
    Text,
    Todo,
    Other,
}

/// A link of a note.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) line: usize,
    pub(crate) is_wiki: bool,
    pub(crate) target: String,
}

/// What a note says.
#[derive(Debug, Default)]
pub(crate) struct Note {
    pub(crate) words: usize,
    /// Level, text and line.
    pub(crate) headings: Vec<(usize, String, usize)>,
    pub(crate) tags: BTreeSet<String>,
    /// Line, and whether it is done.
    pub(crate) tasks: Vec<(usize, bool)>,
    pub(crate) links: Vec<Link>,
}

/// All names below a folder, by their paths. Of files that are read, the bytes.
pub(crate) fn walk(root: &Path, reads: bool) -> BTreeMap<String, Name> {
    let mut all = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let at = entry.unwrap().path();
            let meta = fs::symlink_metadata(&at).unwrap();
            if meta.is_dir() {
                folders.push(at);
                continue;
            }
            let path = at.strip_prefix(root).unwrap().as_os_str().as_bytes();
            let path = String::from_utf8_lossy(path).into_owned();
            let bytes = (reads && meta.is_file()).then(|| fs::read(&at).unwrap());
            all.insert(path.clone(), Name { path, meta, bytes });
        }
    }
    all
}

impl Name {
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap()
    }

    pub(crate) fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    pub(crate) fn extension(&self) -> Option<String> {
        let (stem, extension) = self.name().rsplit_once('.')?;
        (!stem.is_empty() && !extension.is_empty()).then(|| extension.to_lowercase())
    }

    pub(crate) fn is_regular(&self) -> bool {
        self.meta.is_file()
    }

    /// The kind, of names that are given in these tests.
    pub(crate) fn kind(&self) -> &'static str {
        let is = self.meta.file_type();
        if is.is_symlink() {
            return "link";
        }
        if is.is_fifo() {
            return "special";
        }
        if self.name().to_lowercase() == "todo.txt" {
            return "tasks";
        }
        match self.extension().as_deref() {
            Some("md" | "txt") => "note",
            Some("vcf") => "contacts",
            Some("ics") => "calendar",
            Some("png") => "picture",
            Some("bin") => "data",
            Some("gz") => "archive",
            _ => "other",
        }
    }

    /// As what a file is read that has this name.
    fn format(&self) -> Option<Format> {
        if !self.is_regular() {
            return None;
        }
        match (self.kind(), self.extension().as_deref()) {
            ("note", Some("md")) => Some(Format::Markdown),
            ("note", _) => Some(Format::Text),
            ("tasks", _) => Some(Format::Todo),
            ("contacts" | "calendar", _) => Some(Format::Other),
            _ => None,
        }
    }

    pub(crate) fn ino(&self) -> u64 {
        self.meta.ino()
    }
}

/// Which of these are notes, and what those say that leave nothing to argue about. A file with several names is read by the first that says as what.
pub(crate) fn notes(all: &BTreeMap<String, Name>) -> (BTreeSet<String>, BTreeMap<String, Note>) {
    let mut formats: BTreeMap<u64, Format> = BTreeMap::new();
    for name in all.values() {
        if let Some(format) = name.format() {
            formats.entry(name.ino()).or_insert(format);
        }
    }
    let (mut are, mut read) = (BTreeSet::new(), BTreeMap::new());
    for (path, name) in all {
        let Some(format) = formats.get(&name.ino()).filter(|is| **is != Format::Other) else {
            continue;
        };
        are.insert(path.clone());
        let text = name
            .bytes
            .as_deref()
            .and_then(|bytes| std::str::from_utf8(bytes).ok());
        let note = text.and_then(|text| match format {
            Format::Markdown => markdown(text),
            _ => (*format == Format::Text && is_plain(text)).then(|| Note {
                words: runs(text),
                ..Note::default()
            }),
        });
        read.extend(note.map(|note| (path.clone(), note)));
    }
    (are, read)
}

/// Runs of letters; by Unicode's rules a dot between two letters parts no words.
fn runs(text: &str) -> usize {
    words(&text.replace('.', "")).count()
}

pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
}

/// Whether words are no matter of opinion.
fn is_plain(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_lowercase() || "\n ".contains(c))
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase())
}

/// A note in which every line is of a form that leaves nothing to argue about; else nothing.
fn markdown(text: &str) -> Option<Note> {
    let mut note = Note::default();
    for (at, line) in text.lines().enumerate() {
        let line_number = at + 1;
        let level = line.len() - line.trim_start_matches('#').len();
        let rest = if level > 0 && line[level..].starts_with(' ') {
            let rest = &line[level + 1..];
            if level > 6 || rest.is_empty() || !rest.split(' ').all(is_word) {
                return None;
            }
            note.headings.push((level, rest.to_owned(), line_number));
            rest
        } else if let Some(rest) = line.strip_prefix("- [ ] ") {
            note.tasks.push((line_number, false));
            rest
        } else if let Some(rest) = line.strip_prefix("- [x] ") {
            note.tasks.push((line_number, true));
            // The sign is a letter, too.
            note.words += 1;
            rest
        } else if line.is_empty() {
            continue;
        } else {
            line
        };
        for part in rest.split(' ') {
            let shown = if let Some(tag) = part.strip_prefix('#') {
                if !tag.split('/').all(is_word) {
                    return None;
                }
                note.tags.insert(tag.to_owned());
                tag
            } else if let Some(inner) = part.strip_prefix("[[").and_then(|p| p.strip_suffix("]]")) {
                let (target, shown) = inner.split_once('|').unwrap_or((inner, inner));
                if target.is_empty() || target.contains(['[', ']', '#', '(', ')', '|']) || shown.is_empty() {
                    return None;
                }
                note.links.push(Link {
                    line: line_number,
                    is_wiki: true,
                    target: target.to_owned(),
                });
                shown
            } else if let Some((shown, target)) = part
                .strip_prefix('[')
                .and_then(|p| p.strip_suffix(')'))
                .and_then(|p| p.split_once("]("))
            {
                if !is_word(shown) || target.is_empty() || target.contains(['[', ']', '#', '(', ')', '<']) {
                    return None;
                }
                note.links.push(Link {
                    line: line_number,
                    is_wiki: false,
                    target: target.to_owned(),
                });
                shown
            } else if is_word(part) {
                part
            } else {
                return None;
            };
            note.words += runs(shown);
        }
    }
    Some(note)
}

/// Where a link in the note of this path leads, among these paths.
pub(crate) fn lead<'a>(all: &'a BTreeMap<String, Name>, note: &str, link: &Link) -> Option<&'a str> {
    let own = note.rsplit_once('/').map_or("", |(folder, _)| folder);
    let plain = |path: &str| -> Option<String> {
        let mut parts = Vec::new();
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()?),
                part => parts.push(part),
            }
        }
        Some(parts.join("/"))
    };
    // Letters' case chooses only between two; so do endings that are left out.
    let best = |fits: &dyn Fn(&str, &str) -> bool, rank: &dyn Fn(&str) -> (bool, usize)| {
        let mut found: Vec<_> = Vec::new();
        for path in all.keys() {
            for ending in ["", ".md", ".markdown"] {
                if fits(&path.to_lowercase(), ending) {
                    found.push((ending.len(), rank(path), path.as_str()));
                }
            }
        }
        found.into_iter().min().map(|(_, _, path)| path)
    };
    let at = |path: String| {
        let low = path.to_lowercase();
        let fits = |known: &str, ending: &str| known == format!("{low}{ending}");
        let rank = |known: &str| {
            let exact = ["", ".md", ".markdown"]
                .iter()
                .any(|ending| known.strip_suffix(ending) == Some(&*path));
            (!exact, 0)
        };
        best(&fits, &rank)
    };
    let from_root = plain(&link.target);
    if !link.is_wiki {
        let from_here = plain(&format!("{own}/{}", link.target));
        let is_path = link.target.starts_with("../");
        return from_here
            .and_then(at)
            .or_else(|| from_root.filter(|_| !is_path).and_then(at));
    }
    let path = from_root?;
    at(path.clone()).or_else(|| {
        let end = format!("/{}", path.to_lowercase());
        let fits = |known: &str, ending: &str| {
            let known = format!("/{known}");
            known
                .strip_suffix(ending)
                .is_some_and(|known| known.ends_with(&end))
        };
        let rank = |known: &str| {
            let folder = known.rsplit_once('/').map_or("", |(folder, _)| folder);
            (folder != own, known.matches('/').count())
        };
        best(&fits, &rank)
    })
}
