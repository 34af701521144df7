//! The list of merges: each by its name, as it can be typed where it is shown.

use super::name::{from_here, typed};
use super::side::{what, who};
use crate::answers::history::{Merge, Merges};
use crate::ui::table;
use crate::units::counted;
use crate::when::{ago, local};
use jiff::Zoned;
use std::path::Path;

/// How files are named.
pub(super) enum From<'a> {
    /// One file, as it was typed.
    File(&'a Path),
    /// All files, as they are typed in this folder, from the vault's root.
    Folder(&'a Path),
}

impl From<'_> {
    fn name(&self, merge: &Merge) -> String {
        match self {
            From::File(path) => typed(path, merge.name.as_deref()),
            From::Folder(inside) => typed(&from_here(&merge.path.0, inside), merge.name.as_deref()),
        }
    }
}

/// The list, for people; `from` says whose names are shown.
pub(super) fn list(found: &Merges, from: &From<'_>, now: &Zoned) -> String {
    if found.merges.is_empty() {
        return match from {
            From::File(_) => {
                "Nothing was merged in it: nobody has written to it at the same time as somebody else."
                    .to_owned()
            }
            From::Folder(_) => "Nothing was merged: no text was written by two at the same time.".to_owned(),
        };
    }
    let rows: Vec<[String; 5]> = found
        .merges
        .iter()
        .map(|merge| {
            let when = |how: fn(jiff::Timestamp, &Zoned) -> String| {
                merge
                    .recorded
                    .map(|recorded| how(recorded, now))
                    .unwrap_or_default()
            };
            let sides: Vec<String> = merge.sides.iter().map(what).collect();
            [
                from.name(merge),
                when(local),
                when(ago),
                sides.join(", "),
                remarks(merge),
            ]
        })
        .collect();
    let mut text = table(&rows);
    let listed = rows.len() as u64;
    if listed < found.total {
        let more = counted(found.total - listed, "older one", "older ones");
        text.push_str(&format!("and {more}\n"));
    }
    text
}

fn remarks(merge: &Merge) -> String {
    let mut remarks = Vec::new();
    if !merge.kept {
        remarks.push("not kept any more".to_owned());
    }
    if merge.overlap == Some(true) {
        remarks.push("in the same place".to_owned());
    }
    if let Some(side) = merge.only.and_then(|at| merge.sides.get(at)) {
        remarks.push(format!("taken back: only {}", who(side)));
    }
    remarks.join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::side::tests::{merge, side};
    use super::*;

    /// Guards the list's form: names, sides with their words, what is to be known.
    #[test]
    fn merges_are_listed() {
        let mut taken = merge(vec![side(2, "desk", true), side(3, "phone", false)]);
        (taken.only, taken.overlap) = (Some(0), Some(false));
        let found = Merges {
            total: 5,
            merges: vec![merge(vec![side(2, "desk", true), side(3, "phone", false)]), taken],
        };
        let text = list(&found, &From::Folder(Path::new("Files")), &Zoned::now());
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[0].starts_with("../Notes/a.md@2+3  ") && lines[0].contains("desk @2 +3 −1, phone @3 +3 −1"),
            "{text}"
        );
        assert!(lines[0].ends_with("in the same place"), "{text}");
        assert!(lines[1].ends_with("taken back: only desk @2"), "{text}");
        assert_eq!(lines[2], "and 3 older ones");
    }

    /// Guards names of one file's merges, and of what is gone so far that it has none.
    #[test]
    fn merges_of_one_file_are_listed() {
        let mut gone = merge(vec![side(2, "desk", true), side(3, "phone", false)]);
        (gone.name, gone.kept, gone.sides[1].version) = (None, false, None);
        let found = Merges {
            total: 1,
            merges: vec![gone],
        };
        let text = list(&found, &From::File(Path::new("my a.md")), &Zoned::now());
        assert!(
            text.starts_with("'my a.md'  ") && text.contains("not kept any more"),
            "{text}"
        );
    }
}
