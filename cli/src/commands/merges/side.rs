//! The sides of a merge: how they are shown, and which of them somebody means. What is not plain is
//! asked, never guessed.

use crate::answers::history::{Merge, MergeSide};
use crate::failure::Failure;
use crate::shown::one_line;
use crate::wire::history::Kept;

/// So many letters of a device's number are shown where its name is not known.
const SHORT: usize = 8;

/// A device's name, or the beginning of its number.
fn device(name: &str) -> &str {
    let is_number = name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_number { &name[..SHORT] } else { name }
}

/// “desk @3 (vim)”.
pub(super) fn who(side: &MergeSide) -> String {
    let devices: Vec<&str> = side.devices.iter().map(|name| device(name)).collect();
    let mut text = devices.join(" and ");
    if let Some(version) = side.version {
        text.push_str(&format!(" @{version}"));
    }
    if !side.programs.is_empty() {
        text.push_str(&format!(" ({})", side.programs.join(", ")));
    }
    one_line(&text).into_owned()
}

/// The same, and how many words it changed.
pub(super) fn what(side: &MergeSide) -> String {
    match (side.words_added, side.words_removed) {
        (Some(added), Some(removed)) => format!("{} +{added} −{removed}", who(side)),
        _ => who(side),
    }
}

/// Which side stays, as it was said.
///
/// # Errors
/// `Usage` for what is no side, or may be several.
pub(super) fn kept(merge: &Merge, said: Option<&str>) -> Result<Kept, Failure> {
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::wire::WirePath;
    use crate::wire::history::Whose;

    pub(in super::super) fn side(version: u64, device: &str, own: bool) -> MergeSide {
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

    pub(in super::super) fn merge(sides: Vec<MergeSide>) -> Merge {
        Merge {
            path: WirePath("Notes/a.md".into()),
            name: Some("@2+3".into()),
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
}
