//! What each side of a merge did: by words for people, whole texts for programs.

use super::super::diff;
use super::super::past::Answering;
use super::side::what;
use crate::answers::history::Merge;
use crate::failure::Failure;
use crate::shown::Shown;
use crate::ui::Ui;
use crate::when::{ago, local};
use crate::wire::history::MergePart;
use jiff::Zoned;
use serde::Serialize;
use std::io::Write;

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

/// A merge's name on the wire: its sides.
pub(super) fn ids(merge: &Merge) -> Vec<String> {
    merge.sides.iter().map(|side| side.id.clone()).collect()
}

/// Shows what the sides of each of these did.
///
/// # Errors
/// The vault's.
pub(super) fn differences(ui: &Ui, vault: &Answering, merges: &[Merge]) -> Result<(), Failure> {
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
