//! Changes for programs: the unified format of diff(1), which patch(1) takes.
//!
//! As POSIX specifies it for diff -u: files named with their times, hunks with three lines
//! around, and a line of its own where a text ends without a line's end.

use super::Side;
use super::pieces::Group;
use crate::shown::Shown;
use jiff::Zoned;
use std::path::Path;

/// Lines around a change.
const AROUND: usize = 3;

/// The two lines that it begins with.
pub(super) struct Heads {
    old: String,
    new: String,
}

impl Heads {
    /// Of the two sides, in the time zone of now.
    pub(super) fn of(old: &Side, new: &Side, now: &Zoned) -> Heads {
        let head = |prefix: &str, side: &Side| {
            let time = side.time().to_zoned(now.time_zone().clone());
            let time = time.strftime("%Y-%m-%d %H:%M:%S.%9f %z");
            format!("{}\t{time}", named(prefix, &side.path))
        };
        Heads {
            old: head("a", old),
            new: head("b", new),
        }
    }
}

/// A file's name as patch(1) reads it: in quotes, as in C, where it holds what would end it.
fn named(prefix: &str, path: &Path) -> String {
    let path = path.shown();
    let name = format!("{prefix}/{}", path.trim_start_matches('/'));
    if !name.contains(['\t', '\n', '"', '\\']) {
        return name;
    }
    let mut quoted = String::from("\"");
    for c in name.chars() {
        match c {
            '\t' => quoted.push_str("\\t"),
            '\n' => quoted.push_str("\\n"),
            '"' | '\\' => quoted.extend(['\\', c]),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// The difference; empty if there is none.
pub(super) fn text(heads: &Heads, old: &str, new: &str, groups: &[Group]) -> String {
    if groups.is_empty() {
        return String::new();
    }
    let (a, b): (Vec<&str>, Vec<&str>) = (lines(old), lines(new));
    let mut out = format!("--- {}\n+++ {}\n", heads.old, heads.new);
    let changes = by_lines(old, new, groups);
    let mut rest = &changes[..];
    while let Some(first) = rest.first() {
        // What is no further apart than the lines around both is one hunk.
        let near = rest
            .windows(2)
            .take_while(|pair| pair[1].old.0 - pair[0].old.1 <= 2 * AROUND);
        let (hunk, after) = rest.split_at(near.count() + 1);
        rest = after;
        let last = &hunk[hunk.len() - 1];
        let before = first.old.0.min(AROUND);
        let behind = (a.len() - last.old.1).min(AROUND);
        let from = (first.old.0 - before, last.old.1 + behind);
        let to = (first.new.0 - before, last.new.1 + behind);
        out.push_str(&format!("@@ -{} +{} @@\n", range(from), range(to)));
        let mut at = from.0;
        for change in hunk {
            put(&mut out, ' ', &a[at..change.old.0]);
            put(&mut out, '-', &a[change.old.0..change.old.1]);
            put(&mut out, '+', &b[change.new.0..change.new.1]);
            at = change.old.1;
        }
        put(&mut out, ' ', &a[at..from.1]);
    }
    out
}

fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// A group, by the numbers of its lines.
struct Change {
    old: (usize, usize),
    new: (usize, usize),
}

/// Groups by lines; what is the same at a group's beginning and end is left out of it.
fn by_lines(old: &str, new: &str, groups: &[Group]) -> Vec<Change> {
    let (mut at, mut line) = ((0, 0), (0, 0));
    let mut changes = Vec::new();
    for group in groups {
        line.0 += lines(&old[at.0..group.old.start]).len();
        line.1 += lines(&new[at.1..group.new.start]).len();
        let (a, b) = (lines(&old[group.old.clone()]), lines(&new[group.new.clone()]));
        let head = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
        let (x, y) = (&a[head..], &b[head..]);
        let tail = x
            .iter()
            .rev()
            .zip(y.iter().rev())
            .take_while(|(x, y)| x == y)
            .count();
        changes.push(Change {
            old: (line.0 + head, line.0 + a.len() - tail),
            new: (line.1 + head, line.1 + b.len() - tail),
        });
        line = (line.0 + a.len(), line.1 + b.len());
        at = (group.old.end, group.new.end);
    }
    changes
}

/// “3,4”, “3”, and of no lines the one before them, “2,0”.
fn range((start, end): (usize, usize)) -> String {
    match end - start {
        0 => format!("{start},0"),
        1 => format!("{}", start + 1),
        count => format!("{},{count}", start + 1),
    }
}

fn put(out: &mut String, sign: char, lines: &[&str]) {
    for line in lines {
        out.push(sign);
        out.push_str(line);
        if !line.ends_with('\n') {
            out.push_str("\n\\ No newline at end of file\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::pieces::groups;
    use super::*;
    use std::fs;
    use std::process::Command;

    fn unified(old: &str, new: &str) -> String {
        let heads = Heads {
            old: "a/f".into(),
            new: "b/f".into(),
        };
        text(&heads, old, new, &groups(old, new))
    }

    /// Guards the form, where it is easy to get wrong: empty sides, no last line's end, hunks that
    /// touch.
    #[test]
    fn the_form_is_that_of_diff() {
        assert_eq!(unified("", "a\n"), "--- a/f\n+++ b/f\n@@ -0,0 +1 @@\n+a\n");
        assert_eq!(unified("a\n", ""), "--- a/f\n+++ b/f\n@@ -1 +0,0 @@\n-a\n");
        assert_eq!(
            unified("a\nb", "a\nb\n"),
            "--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+b\n"
        );
        assert_eq!(unified("a\n", "a\n"), "");
        let old: String = (1..=20).map(|i| format!("{i}\n")).collect();
        let near = old.replace("\n5\n", "\nfive\n").replace("\n12\n", "\n");
        assert_eq!(
            unified(&old, &near).matches("@@ -").count(),
            1,
            "six lines between are one hunk"
        );
        let far = old.replace("\n5\n", "\nfive\n").replace("\n13\n", "\n");
        assert_eq!(unified(&old, &far).matches("@@ -").count(), 2);
        assert_eq!(named("a", Path::new("x\"y")), "\"a/x\\\"y\"");
    }

    /// Guards the promise: patch(1) makes the new text of the old one, whatever was edited.
    #[test]
    fn patch_takes_it() {
        if Command::new("patch").arg("--version").output().is_err() {
            eprintln!("skipped: there is no patch(1)");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let mut seed = 7_u64;
        let mut next = |n: u64| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % n
        };
        for round in 0..60 {
            let mut text = || -> Vec<String> {
                (0..next(30))
                    .map(|_| format!("word{} and {}\n", next(4), next(3)))
                    .collect()
            };
            let old = text();
            let mut edited = old.clone();
            for line in text().into_iter().take(4) {
                match edited.len() {
                    0 => edited.push(line),
                    len => {
                        let at = line.len() * 7 % len;
                        match line.len() % 3 {
                            0 => edited[at] = line,
                            1 => edited.insert(at, line),
                            _ => drop(edited.remove(at)),
                        }
                    }
                }
            }
            let (old, mut new) = (old.concat(), edited.concat());
            if round % 5 == 0 {
                new = new.trim_end().to_owned();
            }
            let (file, diff) = (dir.path().join("f"), dir.path().join("d"));
            fs::write(&file, &old).unwrap();
            fs::write(&diff, unified(&old, &new)).unwrap();
            if old == new {
                continue;
            }
            let patched = Command::new("patch")
                .args(["-s", "-p1", "-o", "out", "f", "d"])
                .current_dir(&dir)
                .output();
            let patched = patched.unwrap();
            assert!(patched.status.success(), "{old:?} → {new:?}: {patched:?}");
            assert_eq!(
                fs::read_to_string(dir.path().join("out")).unwrap(),
                new,
                "{round}"
            );
        }
    }
}
