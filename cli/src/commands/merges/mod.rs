//! `coffer merges`.
//!
//! A merge is named by its file and the versions that came together; what is asked of the vault is that
//! very merge, by what was merged: one that comes since is never taken for it.
//!
//! Parts: `name`, `side`, `list`, `compare`.

mod compare;
mod list;
mod name;
mod side;

use super::past::{Answering, Place, To, here, inside, locate, with};
use crate::answers::history::{Merge, Merges, Unmerged};
use crate::args::history::Merges as Args;
use crate::failure::Failure;
use crate::shown::Shown;
use crate::ui::Ui;
use crate::wire::history::{Kept, Past};
use compare::{differences, ids};
use jiff::Zoned;
use list::{From, list};
use name::Asked;
use side::{kept, who};
use std::path::Path;

/// So many are listed unless somebody says how many.
const LISTED: u64 = 20;

/// Lists merges, shows what each side did, or takes one back.
///
/// # Errors
/// `Usage` for what names no merge or no side; `Failed` if there is no such file or merge, or what was
/// written since stands in the way.
pub(super) fn merges(ui: &Ui, vault: Option<&Path>, args: &Args) -> Result<(), Failure> {
    let Asked { path, which } = asked(args)?;
    let place = match &path {
        Some(path) => Some(locate(vault, path)?),
        None => None,
    };
    let vault = match &place {
        Some(place) => place.vault.clone(),
        None => here(vault)?,
    };
    let to = if args.undo.is_some() { To::Write } else { To::Read };
    with(&vault, &args.password, to, |answering| {
        let found: Merges = answering.ask(Past::Merges {
            of: place.as_ref().map(|place| place.named(false)),
            newest: args.count.or((!args.all).then_some(LISTED)),
            which,
        })?;
        if args.undo.is_some() {
            return match (&place, found.merges.as_slice()) {
                (Some(place), [merge]) => undo(ui, answering, merge, args, place),
                _ => Err(Failure::failed("The vault does not know that merge.")),
            };
        }
        if args.diff.is_some() {
            return differences(ui, answering, &found.merges);
        }
        ui.lines(found.merges.iter(), || match &place {
            Some(place) => list(&found, &From::File(place.typed()), &Zoned::now()),
            None => list(&found, &From::Folder(&inside(&vault)), &Zoned::now()),
        });
        Ok(())
    })
}

/// The file that is meant, and which of its merges.
fn asked(args: &Args) -> Result<Asked, Failure> {
    let path = args.path.as_deref();
    match (&args.undo, &args.diff) {
        (Some(name), _) => name::undone(path, name),
        (None, Some(Some(what))) => name::compared(path, what),
        (None, _) => Ok(Asked {
            path: args.path.clone(),
            which: None,
        }),
    }
}

fn undo(ui: &Ui, vault: &Answering, merge: &Merge, args: &Args, place: &Place) -> Result<(), Failure> {
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
    let (file, name) = (place.argument(place.typed()), merge.name.as_deref());
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
        if let (Some(_), Some(name)) = (side, name) {
            text.push_str(&format!(
                "\nTo have both again: coffer merges {file} --undo {name} --keep both"
            ));
        }
        text
    });
    Ok(())
}
