//! `coffer merges`.
//!
//! Merges are counted as they are listed, the newest first, of one file or of all. Whoever undoes one
//! names it so; what is asked of the vault is that very merge, by what was merged.

use super::diff;
use super::past::{Answering, Place, To, here, locate, with};
use crate::answers::history::{Merge, MergeSide, Merges, Unmerged};
use crate::args::history::Merges as Args;
use crate::failure::Failure;
use crate::shown::{Shown, one_line};
use crate::ui::{Ui, table};
use crate::units::counted;
use crate::when::{ago, local};
use crate::wire::history::{Kept, MergePart, Past};
use jiff::Zoned;
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};

/// So many are listed unless somebody says how many.
const LISTED: u64 = 20;
/// So many letters of a device's number are shown where its name is not known.
const SHORT: usize = 8;

/// Lists merges, shows what each side did, or takes one back.
///
/// # Errors
/// `Usage` for what names no merge or no side; `Failed` if there is no such file, or what was written
/// since stands in the way.
pub(super) fn merges(ui: &Ui, vault: Option<&Path>, args: &Args) -> Result<(), Failure> {
    let (path, number) = asked(args)?;
    let place = match &path {
        Some(path) => Some(locate(vault, path)?),
        None => None,
    };
    let vault = match &place {
        Some(place) => place.vault.clone(),
        None => here(vault)?,
    };
    let to = if args.undo.is_some() { To::Write } else { To::Read };
    with(&vault, &args.password, to, |vault| {
        let newest = match number {
            Some(number) => Some(number),
            None => args.count.or((!args.all).then_some(LISTED)),
        };
        let of = place.as_ref().map(|place| place.named(false));
        let found: Merges = vault.ask(Past::Merges { of, newest })?;
        match (args.undo, &args.diff, number) {
            (Some(_), _, Some(number)) => undo(ui, vault, the(&found, number)?, args, place.as_ref()),
            (_, Some(_), Some(number)) => differences(ui, vault, &[the(&found, number)?]),
            (_, Some(_), None) => differences(ui, vault, &found.merges.iter().collect::<Vec<_>>()),
            _ => {
                ui.lines(found.merges.iter(), || {
                    list(&found, place.is_some(), &Zoned::now())
                });
                Ok(())
            }
        }
    })
}

/// The file that is meant, and which of its merges; behind `--diff` may stand either.
fn asked(args: &Args) -> Result<(Option<PathBuf>, Option<u64>), Failure> {
    let Some(Some(what)) = &args.diff else {
        return Ok((args.path.clone(), args.undo));
    };
    match (what.to_str().and_then(|text| text.parse().ok()), &args.path) {
        (Some(0), _) => Err(Failure::usage("Merges are counted from 1.")),
        (Some(number), path) => Ok((path.clone(), Some(number))),
        (None, None) => Ok((Some(what.clone()), None)),
        (None, Some(_)) => Err(Failure::usage(
            "One file at a time; behind --diff stands a file, or the number of a merge.",
        )),
    }
}

fn the(found: &Merges, number: u64) -> Result<&Merge, Failure> {
    let at = usize::try_from(number - 1).unwrap_or(usize::MAX);
    found.merges.get(at).ok_or_else(|| {
        Failure::usage(match found.total {
            0 => "There are no merges.".to_owned(),
            total => format!("There is no merge {number}: there are {total}; “coffer merges” lists them."),
        })
    })
}

/// A device's name, or the beginning of its number.
fn device(name: &str) -> &str {
    let is_number = name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_number { &name[..SHORT] } else { name }
}

/// “desk @3 (vim)”.
fn who(side: &MergeSide) -> String {
    let devices: Vec<&str> = side.devices.iter().map(|name| device(name)).collect();
    let mut text = devices.join(" and ");
    if let Some(version) = side.version {
        text.push_str(&format!(" @{version}"));
    }
    if !side.programs.is_empty() {
        text.push_str(&format!(" ({})", side.programs.join(", ")));
    }
    one_line(&text)
}

/// The same, and how many words it changed.
fn what(side: &MergeSide) -> String {
    match (side.words_added, side.words_removed) {
        (Some(added), Some(removed)) => format!("{} +{added} −{removed}", who(side)),
        _ => who(side),
    }
}

fn list(found: &Merges, is_of_one: bool, now: &Zoned) -> String {
    if found.merges.is_empty() {
        return match is_of_one {
            true => "Nothing was merged in it: nobody has written to it at the same time as somebody else."
                .to_owned(),
            false => "Nothing was merged: no text was written by two at the same time.".to_owned(),
        };
    }
    let rows: Vec<[String; 6]> = found
        .merges
        .iter()
        .zip(1..)
        .map(|(merge, number)| {
            let when = |how: fn(jiff::Timestamp, &Zoned) -> String| {
                merge
                    .recorded
                    .map(|recorded| how(recorded, now))
                    .unwrap_or_default()
            };
            let sides: Vec<String> = merge.sides.iter().map(what).collect();
            [
                number.to_string(),
                when(local),
                when(ago),
                merge.path.0.shown(),
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

/// What each side of a merge did.
#[derive(Serialize)]
struct Shows<'a> {
    #[serde(flatten)]
    merge: &'a Merge,
    /// What all sides were made from, what each had, and what they came to; none if it is not kept.
    texts: Option<Texts>,
}

#[derive(Serialize)]
struct Texts {
    base: String,
    sides: Vec<String>,
    merged: String,
}

fn texts(vault: &Answering, merge: &Merge) -> Result<Option<Texts>, Failure> {
    if !merge.kept {
        return Ok(None);
    }
    let text = |part| vault.merge_text(&merge.whose, &ids(merge), part);
    let sides = merge
        .sides
        .iter()
        .map(|side| text(MergePart::Side(side.id.clone())));
    Ok(Some(Texts {
        base: text(MergePart::Base)?,
        sides: sides.collect::<Result<_, _>>()?,
        merged: text(MergePart::Merged)?,
    }))
}

fn ids(merge: &Merge) -> Vec<String> {
    merge.sides.iter().map(|side| side.id.clone()).collect()
}

fn differences(ui: &Ui, vault: &Answering, merges: &[&Merge]) -> Result<(), Failure> {
    let now = Zoned::now();
    let mut text = String::new();
    let mut shown = Vec::new();
    for merge in merges {
        let texts = texts(vault, merge)?;
        if !ui.json() {
            text.push_str(&difference(merge, texts.as_ref(), &now));
        } else {
            shown.push(Shows { merge, texts });
        }
    }
    if ui.json() {
        ui.lines(shown.iter(), String::new);
        return Ok(());
    }
    if merges.is_empty() {
        text.push_str("Nothing was merged.\n");
    }
    // Nobody may be listening any more: `| head -1`.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    Ok(())
}

fn difference(merge: &Merge, texts: Option<&Texts>, now: &Zoned) -> String {
    let mut text = merge.path.0.shown();
    if let Some(recorded) = merge.recorded {
        text.push_str(&format!(
            ", merged {} ({})",
            local(recorded, now),
            ago(recorded, now)
        ));
    }
    text.push('\n');
    let Some(texts) = texts else {
        return text + "What was merged is not kept any more.\n";
    };
    for (side, its) in merge.sides.iter().zip(&texts.sides) {
        text.push_str(&format!("{}:\n", what(side)));
        text.push_str(&diff::between(&texts.base, its));
    }
    text
}

/// Which side stays, as it was said.
fn kept(merge: &Merge, said: Option<&str>) -> Result<Kept, Failure> {
    let sides: Vec<String> = merge
        .sides
        .iter()
        .map(|side| format!("“{}”", who(side)))
        .collect();
    let sides = sides.join(" or ");
    let is_meant = |side: &&MergeSide| match said {
        None | Some("mine") => side.own,
        Some("theirs") => !side.own,
        Some(name) => {
            let by_number = side.version.is_some_and(|version| name == format!("@{version}"));
            // Of a number, its beginning.
            let its = |whole: &String| {
                whole == name || (name.len() >= 4 && device(whole) != whole && whole.starts_with(name))
            };
            by_number || side.devices.iter().any(its)
        }
    };
    if said == Some("both") {
        return Ok(Kept::All);
    }
    let meant: Vec<&MergeSide> = merge.sides.iter().filter(is_meant).collect();
    match (meant.as_slice(), said) {
        ([side], _) => Ok(Kept::Side(side.id.clone())),
        (_, None) => Err(Failure::usage(format!(
            "Say with --keep which side stays, by its number as in “--keep @3”: {sides}."
        ))),
        ([], Some(said)) => Err(Failure::usage(format!(
            "“{said}” is no side of that merge; its sides are {sides}, and “--keep both” brings back what was taken back."
        ))),
        (_, Some(said)) => Err(Failure::usage(format!(
            "“{said}” may be each of {sides}; name one by its number, as in “--keep @3”."
        ))),
    }
}

fn undo(
    ui: &Ui,
    vault: &Answering,
    merge: &Merge,
    args: &Args,
    place: Option<&Place>,
) -> Result<(), Failure> {
    let keep = kept(merge, args.keep.as_deref())?;
    let side = match &keep {
        Kept::All => None,
        Kept::Side(id) => merge.sides.iter().find(|side| side.id == *id),
    };
    let unmerged: Unmerged = vault.ask(Past::Unmerge {
        of: merge.whose.clone(),
        path: merge.path.clone(),
        sides: ids(merge),
        keep,
    })?;
    let number = args.undo.unwrap_or(1);
    let file = match place {
        Some(place) => format!(" {}", place.argument(place.typed())),
        None => String::new(),
    };
    ui.answer(&unmerged, || {
        let shown = unmerged.path.0.shown();
        let is = match side {
            Some(side) => format!("as {} had it", who(side)),
            None => "what all sides had".to_owned(),
        };
        if unmerged.unchanged {
            return format!("{shown} is {is} already, but for what was written since; nothing was done.");
        }
        let version = unmerged
            .version
            .map(|version| format!(", version {version},"))
            .unwrap_or_default();
        let mut text = format!("{shown}{version} is {is}, with what was written since.");
        if side.is_some() {
            text.push_str(&format!(
                "\nTo have both again: coffer merges{file} --undo {number} --keep both"
            ));
        }
        text
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::WirePath;
    use crate::wire::history::Whose;

    fn side(version: u64, device: &str, own: bool) -> MergeSide {
        MergeSide {
            id: format!("{device}:{version}"),
            version: Some(version),
            versions: 1,
            devices: vec![device.to_owned()],
            programs: Vec::new(),
            own,
            recorded: None,
            words_added: Some(3),
            words_removed: Some(1),
        }
    }

    fn merge(sides: Vec<MergeSide>) -> Merge {
        Merge {
            path: WirePath("Notes/a.md".into()),
            whose: Whose::Removed(String::new()),
            recorded: None,
            sides,
            kept: true,
            overlap: Some(true),
            saved_as: None,
            only: None,
        }
    }

    /// Guards which side stays: what is not plain is asked, never guessed.
    #[test]
    fn sides_are_named() {
        let phone = "0123456789abcdef0123456789abcdef";
        let two = merge(vec![side(2, "desk", true), side(3, phone, false)]);
        let stays = |merge: &Merge, said: Option<&str>| match kept(merge, said) {
            Ok(Kept::Side(id)) => merge.sides.iter().position(|side| side.id == id),
            _ => None,
        };
        for (said, at) in [
            (None, Some(0)),
            (Some("mine"), Some(0)),
            (Some("theirs"), Some(1)),
            (Some("desk"), Some(0)),
            (Some("des"), None),
            (Some("01234567"), Some(1)),
            (Some("012"), None),
            (Some("@3"), Some(1)),
            (Some("@4"), None),
        ] {
            assert_eq!(stays(&two, said), at, "{said:?}");
        }
        assert!(matches!(kept(&two, Some("both")), Ok(Kept::All)));
        // Two editors on one device.
        let alike = merge(vec![side(2, "desk", true), side(3, "desk", true)]);
        for said in [None, Some("mine"), Some("desk"), Some("theirs")] {
            assert!(kept(&alike, said).is_err(), "{said:?}");
        }
        assert_eq!(stays(&alike, Some("@2")), Some(0));
    }

    /// Guards the list's form: numbers, sides with their words, what is to be known.
    #[test]
    fn merges_are_listed() {
        let mut taken = merge(vec![side(2, "desk", true), side(3, "phone", false)]);
        (taken.only, taken.overlap) = (Some(0), Some(false));
        let found = Merges {
            total: 5,
            merges: vec![merge(vec![side(2, "desk", true), side(3, "phone", false)]), taken],
        };
        let text = list(&found, false, &Zoned::now());
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[0].starts_with("1 ") && lines[0].contains("desk @2 +3 −1, phone @3 +3 −1"),
            "{text}"
        );
        assert!(lines[0].ends_with("in the same place"), "{text}");
        assert!(lines[1].ends_with("taken back: only desk @2"), "{text}");
        assert_eq!(lines[2], "and 3 older ones");
    }
}
