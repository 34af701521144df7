//! `coffer log`.

use super::past::{To, locate, with};
use crate::answers::history::{History, Version};
use crate::args::history::Log;
use crate::failure::Failure;
use crate::shown::Shown;
use crate::ui::{Table, Ui};
use crate::units::{counted, size};
use crate::when::{ago, local};
use crate::wire::history::Past;
use jiff::Zoned;
use std::path::Path;

/// Lists the versions of a file.
///
/// # Errors
/// `Failed` if there is no such file, and none was removed.
pub(super) fn log(ui: &Ui, vault: Option<&Path>, args: &Log) -> Result<(), Failure> {
    let place = locate(vault, &args.path)?;
    let shown = args.count.unwrap_or(u64::MAX);
    let asked = Past::List {
        of: place.named(args.removed),
        // One more, to say by how much the last one differs from it.
        newest: args.count.map(|count| count.saturating_add(1)),
    };
    let history: History = with(&place.vault, &args.password, To::Read, |vault| vault.ask(asked))?;
    let shown = usize::try_from(shown).unwrap_or(usize::MAX);
    ui.lines(history.versions.iter().take(shown), || {
        text(&history, shown, &Zoned::now(), &place.argument(place.typed()))
    });
    Ok(())
}

fn text(history: &History, shown: usize, now: &Zoned, argument: &str) -> String {
    let mut text = String::new();
    if let Some(removed) = history.removed {
        text.push_str(&format!(
            "{} was removed {}; “coffer restore {argument}” brings it back.\n",
            history.path.0.shown(),
            ago(removed, now)
        ));
    }
    if history.unsaved {
        text.push_str(&format!(
            "It is being written to: {} now, and no version yet.\n",
            size(history.size)
        ));
    }
    if let [some @ .., last] = history.merged.as_slice() {
        let some: Vec<String> = some.iter().map(|number| format!("@{number}")).collect();
        text.push_str(&format!(
            "It shows {} and @{last} together, {} now; “coffer merges {argument}” says more.\n",
            some.join(", "),
            size(history.size)
        ));
    }
    if history.versions.is_empty() {
        text.push_str("It has no version yet: what it holds becomes one once the vault is open and nobody writes to it.\n");
        return text;
    }
    let before = history.versions.iter().skip(1).map(Some).chain([None]);
    let mut table = Table::new();
    for (version, before) in history.versions.iter().zip(before).take(shown) {
        row(&mut table, version, before, history.picked, now);
    }
    text.push_str(&table.text());
    let listed = table.len() as u64;
    if !history.picked && listed < history.total {
        let more = counted(history.total - listed, "older one", "older ones");
        text.push_str(&format!("and {more}\n"));
    }
    text
}

fn row(table: &mut Table<6>, version: &Version, before: Option<&Version>, picked: bool, now: &Zoned) {
    let differs = match before {
        Some(before) => difference(before.size, version.size),
        None if version.number == 1 && !picked => "new".to_owned(),
        None => String::new(),
    };
    let mut who = version.device.clone();
    if let Some(program) = &version.program {
        who.push_str(&format!(", {program}"));
    }
    if version.parents.len() > 1 {
        who.push_str(", merged");
    }
    if !version.held {
        who.push_str(", thinned out");
    }
    table.row([
        &format_args!("@{}", version.number),
        &local(version.recorded, now),
        &ago(version.recorded, now),
        &size(version.size),
        &differs,
        &who,
    ]);
}

/// “+12 B”, “−1.2 KiB”, “±0”.
fn difference(before: u64, after: u64) -> String {
    match after.checked_sub(before) {
        Some(0) => "±0".to_owned(),
        Some(more) => format!("+{}", size(more)),
        None => format!("−{}", size(before - after)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::WirePath;
    use crate::wire::history::Whose;

    fn version(number: u64, size: u64) -> Version {
        Version {
            number,
            recorded: "2026-11-22T14:00:00Z".parse().unwrap(),
            modified: "2026-11-22T14:00:00Z".parse().unwrap(),
            size,
            form: "text".into(),
            kind: "file".into(),
            device: "desk".into(),
            program: None,
            held: true,
            parents: Vec::new(),
            events: 1,
        }
    }

    /// Guards the list: differences against the version before, also at the end of a cut list;
    /// marks; and that what is left out is counted.
    #[test]
    fn the_list_says_what_is_known() {
        let now = "2026-11-22T14:02:00Z".parse::<jiff::Timestamp>().unwrap();
        let now = now.to_zoned(jiff::tz::TimeZone::UTC);
        let mut history = History {
            path: WirePath("Notes/a.md".into()),
            whose: Whose::File {
                entity: "5a".repeat(16),
                seen: 7,
            },
            removed: None,
            picked: false,
            total: 3,
            versions: vec![version(4, 12), version(2, 2048), version(1, 5)],
            size: 12,
            unsaved: false,
            merged: Vec::new(),
        };
        history.versions[0].parents = vec![1, 2];
        history.versions[0].program = Some("vim".into());
        history.versions[1].held = false;
        let all = text(&history, usize::MAX, &now, "a.md");
        let lines: Vec<&str> = all.lines().collect();
        assert_eq!(
            lines[0],
            "@4  2026-11-22 14:00  2 minutes ago  12 B     −2.0 KiB  desk, vim, merged"
        );
        assert_eq!(
            lines[1],
            "@2  2026-11-22 14:00  2 minutes ago  2.0 KiB  +2.0 KiB  desk, thinned out"
        );
        assert_eq!(
            lines[2],
            "@1  2026-11-22 14:00  2 minutes ago  5 B      new       desk"
        );
        assert_eq!(lines.len(), 3);
        let cut = text(&history, 1, &now, "a.md");
        assert_eq!(
            cut.lines().collect::<Vec<_>>(),
            [
                lines[0].replace("12 B     ", "12 B  ").as_str(),
                "and 2 older ones"
            ]
        );
        history.removed = Some("2026-11-22T14:01:00Z".parse().unwrap());
        assert!(
            text(&history, 1, &now, "mnt/a.md").starts_with(
                "Notes/a.md was removed 1 minute ago; “coffer restore mnt/a.md” brings it back.\n"
            )
        );
    }
}
