//! Where links lead: which file a link of a note means, among all files of a vault.
//!
//! Owns the names of all files, by their last part. Guarantees: an answer follows from the files' paths, the note's path and the link
//! alone, whatever came in which order; so whoever keeps answers asks again for those links whose [`Resolver::keys`] meet a name that
//! came or went. Letters' case counts for nothing but to choose between two. Never guesses: of what is not there it says so.
//!
//! A wiki link means, after Obsidian: the file of this path from the vault's root; else one whose path ends so: in the note's own folder
//! first, then the one with the fewest folders, then the first by name. A Markdown link means the file of this path from the note's
//! folder; else from the root. `.md` may be left out of either.

use std::collections::HashMap;

use crate::few::Few;
use crate::rows::{Link, LinkKind};

/// Endings that a link may leave out.
const NOTES: [&str; 2] = [".md", ".markdown"];

/// All files of a vault, by name.
#[derive(Default)]
pub struct Resolver {
    paths: HashMap<u64, Box<str>>,
    by_name: HashMap<Box<str>, Few>,
}

/// What a link leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leads {
    /// To this file.
    To(u64),
    /// To a place in the note itself.
    Here,
    /// To something that is no file of the vault.
    Elsewhere,
    /// To a file that is not there.
    Dangling,
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// A path without `.` and `..`; none if it leads out of the vault.
fn plain(path: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

impl Resolver {
    /// A file is there, at this path from the vault's root, without `/` at its start; in place of where it was.
    pub fn insert(&mut self, file: u64, path: &str) {
        self.remove(file);
        let name = last(path).to_lowercase();
        self.by_name.entry(name.into()).or_default().insert(file);
        self.paths.insert(file, path.into());
    }

    /// A file is gone; its path.
    pub fn remove(&mut self, file: u64) -> Option<String> {
        let path = self.paths.remove(&file)?;
        let name = last(&path).to_lowercase();
        if self.by_name.get_mut(&*name).is_some_and(|few| few.remove(file)) {
            self.by_name.remove(&*name);
        }
        Some(path.into())
    }

    /// A file's path.
    pub fn path(&self, file: u64) -> Option<&str> {
        self.paths.get(&file).map(|path| &**path)
    }

    /// The names, in lower case, on whose coming and going it depends where this link leads; none if on no name.
    pub fn keys(link: &Link) -> Vec<String> {
        let name = last(link.target.trim_end_matches('/')).to_lowercase();
        if link.kind == LinkKind::Web || matches!(&*name, "" | "." | "..") {
            return Vec::new();
        }
        let with = NOTES.iter().map(|ending| format!("{name}{ending}"));
        std::iter::once(name.clone()).chain(with).collect()
    }

    /// Where a link in the note at this path leads.
    pub fn resolve(&self, note: &str, link: &Link) -> Leads {
        if link.kind == LinkKind::Web {
            return Leads::Elsewhere;
        }
        if link.target.is_empty() {
            return Leads::Here;
        }
        let own = folder(note);
        let from_root = plain(&link.target);
        let from_here = match link.target.starts_with('/') {
            true => None,
            false => plain(&format!("{own}/{}", link.target)),
        };
        let is_path = link.target.starts_with("./") || link.target.starts_with("../");
        let found = match link.is_wiki && !is_path {
            true => from_root
                .as_deref()
                .and_then(|path| self.at(path).or_else(|| self.ending(path, own))),
            false => {
                let here = from_here.as_deref().and_then(|path| self.at(path));
                here.or_else(|| {
                    from_root
                        .as_deref()
                        .filter(|_| !is_path)
                        .and_then(|path| self.at(path))
                })
            }
        };
        found.map_or(Leads::Dangling, Leads::To)
    }

    /// Those that a path may name, as it is or without its ending.
    fn named(&self, path: &str) -> impl Iterator<Item = (u64, &str, &str)> {
        let name = last(path).to_lowercase();
        std::iter::once("").chain(NOTES).flat_map(move |ending| {
            let files = self.by_name.get(&*format!("{name}{ending}"));
            let files = files.into_iter().flat_map(Few::all);
            files.filter_map(move |file| Some((*file, self.path(*file)?, ending)))
        })
    }

    /// The file at exactly this path; rather one whose letters have the same case.
    fn at(&self, path: &str) -> Option<u64> {
        let lower = path.to_lowercase();
        let there = self
            .named(path)
            .filter(|(_, known, ending)| known.to_lowercase() == format!("{lower}{ending}"));
        let exact = |known: &str, ending: &str| known.strip_suffix(ending) != Some(path);
        there
            .min_by_key(|(_, known, ending)| (ending.len(), exact(known, ending), *known))
            .map(|(file, ..)| file)
    }

    /// The file whose path ends with this one.
    fn ending(&self, path: &str, own: &str) -> Option<u64> {
        let end = format!("/{}", path.to_lowercase());
        let there = self.named(path).filter(|(_, known, ending)| {
            let known = format!("/{}", known.to_lowercase());
            known
                .strip_suffix(ending)
                .is_some_and(|known| known.ends_with(&end))
        });
        let rank = |known: &str| (folder(known) != own, known.matches('/').count());
        there
            .min_by_key(|(_, known, ending)| (ending.len(), rank(known), *known))
            .map(|(file, ..)| file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(paths: &[&str]) -> Resolver {
        let mut all = Resolver::default();
        for (file, path) in paths.iter().enumerate() {
            all.insert(file as u64, path);
        }
        all
    }

    fn link(is_wiki: bool, target: &str) -> Link {
        Link {
            kind: if is_wiki {
                LinkKind::Wiki
            } else {
                LinkKind::Markdown
            },
            is_wiki,
            target: target.to_owned(),
            ..Link::default()
        }
    }

    fn leads<'a>(all: &'a Resolver, note: &str, is_wiki: bool, target: &str) -> Option<&'a str> {
        match all.resolve(note, &link(is_wiki, target)) {
            Leads::To(file) => all.path(file),
            Leads::Dangling => None,
            other => panic!("{other:?}"),
        }
    }

    const ALL: [&str; 12] = [
        "Home.md",
        "a/Note.md",
        "a/deep/Note.md",
        "b/Note.md",
        "b/note.txt",
        "b/pic.png",
        "c/Übung.md",
        "c/v1.2.md",
        "d/Case.md",
        "d/case.md",
        "e/Note.md.md",
        "b/c/Home.md",
    ];

    /// Guards wiki links: by path, by name, near before shallow before first.
    #[test]
    fn wiki_links_lead_by_name() {
        let all = vault(&ALL);
        for (note, target, expected) in [
            ("x.md", "Home", Some("Home.md")),
            ("x.md", "home", Some("Home.md")),
            ("b/c/x.md", "Home", Some("Home.md")),
            ("b/x.md", "Note", Some("b/Note.md")),
            ("a/deep/x.md", "Note", Some("a/deep/Note.md")),
            ("x.md", "Note", Some("a/Note.md")),
            ("x.md", "b/Note", Some("b/Note.md")),
            ("x.md", "deep/Note", Some("a/deep/Note.md")),
            ("x.md", "/b/Note.md", Some("b/Note.md")),
            ("x.md", "Note.md", Some("a/Note.md")),
            ("x.md", "note.txt", Some("b/note.txt")),
            ("x.md", "pic.png", Some("b/pic.png")),
            ("x.md", "pic", None),
            ("x.md", "übung", Some("c/Übung.md")),
            ("x.md", "v1.2", Some("c/v1.2.md")),
            ("x.md", "Case", Some("d/Case.md")),
            ("x.md", "d/case", Some("d/case.md")),
            ("x.md", "ome", None),
            ("x.md", "nothing/Note", None),
            ("a/deep/x.md", "../Note", Some("a/Note.md")),
            ("x.md", "../Note", None),
        ] {
            assert_eq!(leads(&all, note, true, target), expected, "{target} in {note}");
        }
    }

    /// Guards Markdown links: from the note's folder, then from the root.
    #[test]
    fn markdown_links_lead_by_path() {
        let all = vault(&ALL);
        for (note, target, expected) in [
            ("a/x.md", "Note.md", Some("a/Note.md")),
            ("a/x.md", "Note", Some("a/Note.md")),
            ("a/x.md", "./deep/Note.md", Some("a/deep/Note.md")),
            ("a/x.md", "../b/Note.md", Some("b/Note.md")),
            ("a/x.md", "/b/Note.md", Some("b/Note.md")),
            ("a/x.md", "b/Note.md", Some("b/Note.md")),
            ("a/x.md", "../../b/Note.md", None),
            ("a/x.md", "pic.png", None),
            ("x.md", "b/pic.png", Some("b/pic.png")),
        ] {
            assert_eq!(leads(&all, note, false, target), expected, "{target} in {note}");
        }
    }

    /// Guards the rest: a place in the note itself, other places, and files that come, move and go.
    #[test]
    fn what_is_there_decides() {
        let mut all = vault(&["a.md"]);
        assert_eq!(all.resolve("a.md", &link(true, "")), Leads::Here);
        let web = Link {
            kind: LinkKind::Web,
            ..link(false, "https://a.md")
        };
        assert_eq!(all.resolve("a.md", &web), Leads::Elsewhere);
        assert_eq!(
            (leads(&all, "a.md", true, "b"), Resolver::keys(&web).len()),
            (None, 0)
        );
        all.insert(7, "x/b.md");
        assert_eq!(leads(&all, "a.md", true, "b"), Some("x/b.md"));
        all.insert(7, "c.md");
        assert_eq!(
            (leads(&all, "a.md", true, "b"), leads(&all, "a.md", true, "C")),
            (None, Some("c.md"))
        );
        assert_eq!(all.remove(7).as_deref(), Some("c.md"));
        assert_eq!(leads(&all, "a.md", true, "c"), None);
        assert_eq!(all.remove(7), None);
    }

    /// Guards the promise by which answers are kept: where a link leads changes only when a name among its keys comes or goes.
    #[test]
    fn answers_depend_on_their_keys_alone() {
        let targets = [
            "Note",
            "b/note",
            "a/Note.md",
            "../Note.md",
            "pic.png",
            "x",
            "deep/",
            "Home",
            "v1.2",
        ];
        let mut all = Resolver::default();
        let mut seed = 7u64;
        let mut roll = |n: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % n
        };
        for _ in 0..2_000 {
            let links: Vec<Link> = targets
                .iter()
                .flat_map(|t| [link(true, t), link(false, t)])
                .collect();
            let before: Vec<Leads> = links.iter().map(|l| all.resolve("a/x.md", l)).collect();
            let file = roll(8);
            let was = all.path(file).map(|path| last(path).to_lowercase());
            let to = ALL[roll(12) as usize];
            let is = match roll(3) {
                0 => {
                    all.remove(file);
                    None
                }
                _ => {
                    all.insert(file, to);
                    Some(last(to).to_lowercase())
                }
            };
            for (l, before) in links.iter().zip(before) {
                let touched = Resolver::keys(l)
                    .iter()
                    .any(|key| Some(key) == was.as_ref() || Some(key) == is.as_ref());
                assert!(touched || all.resolve("a/x.md", l) == before, "{l:?}");
            }
        }
    }
}
