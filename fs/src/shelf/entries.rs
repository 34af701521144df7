//! What the entries of a smart folder are called, and where they point: pure.
//!
//! Guarantees: names are unique, at most 255 bytes, never `.` or `..`, and depend on what is shown alone, not on its order.
//! A path that leads out of the vault, or into `.coffer`, is none: a program that follows links comes round to none of them.

use std::collections::{HashMap, HashSet};

use coffer_store::record::NAME_MAX;

use super::source::Target;

/// Entries of one folder; what is beyond is not shown.
pub(super) const MOST: usize = 100_000;
/// The longest path, so that links have room for where they lie.
const LONGEST: usize = 3000;
/// What stands for `/` in a name.
pub(super) const SLASH: &str = "∕";

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    /// From the vault's root.
    pub(super) path: Vec<u8>,
}

/// A path as it is walked, without what means nothing; `None`: not one of a thing that is shown.
pub(super) fn plain(path: &[u8], hidden: &[u8]) -> Option<Vec<u8>> {
    let parts = path.split(|byte| *byte == b'/');
    let parts: Vec<&[u8]> = parts.filter(|part| !matches!(*part, b"" | b".")).collect();
    let first = parts.first()?;
    let bad = |part: &&[u8]| *part == b".." || part.contains(&0) || part.len() > NAME_MAX;
    let fits = *first != hidden && path.len() <= LONGEST && !parts.iter().any(bad);
    fits.then(|| parts.join(&b'/'))
}

/// A name that can be one: without slashes, and what terminals would obey.
fn clean(name: &[u8]) -> Vec<u8> {
    let mut cleaned = Vec::with_capacity(name.len());
    for byte in name {
        match byte {
            b'/' => cleaned.extend_from_slice(SLASH.as_bytes()),
            0..=31 | 127 => cleaned.push(b' '),
            byte => cleaned.push(*byte),
        }
    }
    match &cleaned[..] {
        b"" | b"." | b".." => b"untitled".to_vec(),
        _ => cleaned,
    }
}

fn last(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

fn folder(path: &[u8]) -> &[u8] {
    path.iter()
        .rposition(|byte| *byte == b'/')
        .map_or(b"", |at| &path[..at])
}

/// A name with something in parentheses before its extension: “Garden (Notes).md”.
fn marked(name: &[u8], mark: &[u8]) -> Vec<u8> {
    let dot = name.iter().rposition(|byte| *byte == b'.');
    let dot = dot
        .filter(|dot| *dot > 0 && name.len() - dot <= 32)
        .unwrap_or(name.len());
    let (stem, extension) = name.split_at(dot);
    let mark = match mark {
        b"" => Vec::new(),
        mark => [b" (", &clean(mark)[..], b")"].concat(),
    };
    let mark = match mark.len() + 32 + extension.len() > NAME_MAX {
        true => Vec::new(),
        false => mark,
    };
    let room = NAME_MAX - mark.len() - extension.len();
    [shortened(stem, room), &mark, extension].concat()
}

/// So many bytes, and no half letters.
fn shortened(name: &[u8], most: usize) -> &[u8] {
    let mut end = name.len().min(most);
    while end < name.len() && end > 0 && name[end] & 0b1100_0000 == 0b1000_0000 {
        end -= 1;
    }
    &name[..end]
}

/// The entries for what is to be shown, in its order: each thing once. Where two are called the same, each says which folder
/// it lies in: that folder's name, else its whole path; what lies in the root says nothing.
pub(super) fn entries(targets: Vec<(Vec<u8>, Option<Vec<u8>>)>) -> Vec<Entry> {
    let mut seen = HashSet::new();
    let mut shown: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    for (path, name) in targets {
        if shown.len() < MOST && seen.insert(path.clone()) {
            let name = marked(&clean(name.as_deref().unwrap_or_else(|| last(&path))), b"");
            shown.push((name, path));
        }
    }
    let mut same: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
    for (at, (name, _)) in shown.iter().enumerate() {
        same.entry(name.clone()).or_default().push(at);
    }
    for group in same.values().filter(|group| group.len() > 1) {
        let mut near = HashSet::new();
        let differ = group
            .iter()
            .all(|at| near.insert(last(folder(&shown[*at].1)).to_vec()));
        for at in group {
            let (name, path) = &shown[*at];
            let within = folder(path);
            let mark = if differ { last(within) } else { within };
            shown[*at].0 = marked(name, mark);
        }
    }
    // What is still the same is counted, in the order of its path.
    let mut order: Vec<usize> = (0..shown.len()).collect();
    order.sort_by(|a, b| shown[*a].1.cmp(&shown[*b].1));
    let mut taken: HashSet<Vec<u8>> = HashSet::new();
    let mut counts: HashMap<Vec<u8>, u64> = HashMap::new();
    for at in order {
        let plain = shown[at].0.clone();
        while !taken.insert(shown[at].0.clone()) {
            let count = counts.entry(plain.clone()).or_insert(1);
            *count += 1;
            shown[at].0 = marked(&plain, count.to_string().as_bytes());
        }
    }
    shown
        .into_iter()
        .map(|(name, path)| Entry { name, path })
        .collect()
}

/// The targets that have a path that can be shown.
pub(super) fn walkable(
    targets: Vec<Target>,
    hidden: &[u8],
) -> impl Iterator<Item = (Vec<u8>, Option<Vec<u8>>)> {
    let hidden = hidden.to_vec();
    let paths = targets.into_iter();
    paths.filter_map(move |target| Some((plain(&target.path, &hidden)?, target.name)))
}

/// Where an entry points, from a folder so deep below the root.
pub(super) fn link(depth: usize, path: &[u8]) -> Vec<u8> {
    [&b"../".repeat(depth)[..], path].concat()
}

/// The path in that, from the root.
pub(super) fn pointed(mut link: &[u8]) -> &[u8] {
    while let Some(rest) = link.strip_prefix(b"../") {
        link = rest;
    }
    link
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(paths: &[&str]) -> Vec<String> {
        let targets = paths
            .iter()
            .map(|path| (path.as_bytes().to_vec(), None))
            .collect();
        let named = entries(targets).into_iter();
        named
            .map(|entry| String::from_utf8(entry.name).unwrap())
            .collect()
    }

    /// Guards names where two are the same: told apart by the folder, as far as that tells, and whatever the order.
    #[test]
    fn same_names_are_told_apart() {
        assert_eq!(
            names(&["b/Garden.md", "a.md", "b/Garden.md"]),
            ["Garden.md", "a.md"]
        );
        assert_eq!(
            names(&["Notes/Garden.md", "x/Recipes/Garden.md", "Garden.md"]),
            ["Garden (Notes).md", "Garden (Recipes).md", "Garden.md"]
        );
        assert_eq!(names(&["a/x/n.md", "b/x/n.md"]), ["n (a∕x).md", "n (b∕x).md"]);
        let (one, other) = (
            ["a/n (b).md", "b/n.md", "c/n.md"],
            ["c/n.md", "b/n.md", "a/n (b).md"],
        );
        let mut turned = names(&other);
        turned.reverse();
        assert_eq!(names(&one), turned);
        assert_eq!(names(&one), ["n (b).md", "n (b) (2).md", "n (c).md"]);
        let long = format!("{}.md", "ä".repeat(126));
        let named = names(&[&format!("a/{long}"), &format!("b/{long}")]);
        assert!(
            named[0] != named[1]
                && named
                    .iter()
                    .all(|name| name.len() <= NAME_MAX && name.ends_with(".md"))
        );
    }

    /// Guards what a source says a thing is to be called, whatever that is.
    #[test]
    fn names_given_are_made_fit() {
        for (given, named) in [
            ("a/b", "a∕b"),
            ("..", "untitled"),
            ("", "untitled"),
            ("x\n\x1b[2J", "x  [2J"),
        ] {
            let target = (b"n.md".to_vec(), Some(given.as_bytes().to_vec()));
            assert_eq!(entries(vec![target])[0].name, named.as_bytes());
        }
    }

    /// Guards against loops, and against ways out of the vault.
    #[test]
    fn only_what_lies_in_the_vault_is_shown() {
        assert_eq!(plain(b"/Notes//./a.md", b".coffer"), Some(b"Notes/a.md".to_vec()));
        for none in [
            &b""[..],
            b"/",
            b".",
            b"../x",
            b"a/../../x",
            b".coffer/views",
            b".coffer",
            b"a\0b",
        ] {
            assert_eq!(plain(none, b".coffer"), None);
        }
        let to = link(3, b"Notes/a.md");
        assert_eq!(
            (&to[..], pointed(&to)),
            (&b"../../../Notes/a.md"[..], &b"Notes/a.md"[..])
        );
    }
}
