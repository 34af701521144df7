//! Whether another device's version of a text can be taken: its document must take the change first.
//!
//! Guarantees: what is refused leaves the document as it was; one that fails at it is discarded, and
//! made anew from what was taken before.

use super::shelf::DocumentError;
use crate::core::StoreError;
use crate::event::{Body, EventRef, Head, Version};
use crate::ids::EntityId;
use crate::keys::Key;
use crate::text::{Change, ChangeHash, Document, Maker, TextError};
use crate::vault::Vault;
use crate::vault::history::change_name;

/// A version as it came.
pub(in crate::vault) type Came<'a> = (&'a Head, &'a Version);

fn change_of((head, version): Came<'_>, genesis: EventRef) -> Option<Result<Change, TextError>> {
    let Body::Change { serial, bytes } = &version.body else {
        return None;
    };
    let maker = Maker {
        chain: head.at.chain,
        serial: *serial,
    };
    let change = Change::open(bytes, maker, genesis);
    Some(change.map_err(|_| TextError::Damaged))
}

fn hash_of((head, version): Came<'_>) -> Option<ChangeHash> {
    change_name(version, head.at.chain)
}

/// Takes in what came before, as far as it is not here, and then this.
fn apply(
    document: &mut Document,
    genesis: EventRef,
    before: &[Came<'_>],
    came: Came<'_>,
) -> Result<(), TextError> {
    let is_missing = |came: &Came<'_>| hash_of(*came).is_some_and(|hash| !document.has(&hash));
    let missing: Vec<Came<'_>> = match before.last() {
        Some(last) if !is_missing(last) => Vec::new(),
        _ => before.iter().copied().filter(is_missing).collect(),
    };
    let changes = missing.into_iter().filter_map(|came| change_of(came, genesis));
    document.apply(&changes.collect::<Result<Vec<_>, _>>()?)?;
    match change_of(came, genesis) {
        Some(change) => document.apply(&[change?]),
        None => Ok(()),
    }
}

impl Vault {
    /// Whether a version that goes on from others can be taken, after those of its entity that came
    /// with it, `before`, were.
    pub(in crate::vault) fn goes_on(
        &self,
        (entity, key): (EntityId, &Key),
        before: &[Came<'_>],
        came: Came<'_>,
    ) -> Result<bool, StoreError> {
        let with = |at: &EventRef| before.iter().position(|(head, _)| head.at == *at);
        // Back to what is here, or to where a text begins.
        let Some(mut at) = came.0.replaces.first().copied() else {
            return Ok(false);
        };
        while let Some(place) = with(&at) {
            let (head, version) = before[place];
            let goes_on = matches!(version.body, Body::Change { .. } | Body::Same);
            if !goes_on {
                return Ok(self.goes_on_anew((head, version), before, came));
            }
            // Parents come before their children: this ends.
            match head.replaces.first() {
                Some(parent) => at = *parent,
                None => return Ok(false),
            }
        }
        let taken = self.with_document((entity, key), at, |hot| {
            let is_of_it = |at: &EventRef| hot.names(at).is_some() || with(at).is_some();
            if !came.0.replaces.iter().all(is_of_it) {
                return Ok(false);
            }
            apply(&mut hot.doc, hot.genesis, before, came)?;
            Ok(true)
        });
        match taken {
            Ok(taken) => Ok(taken == Some(true)),
            Err(DocumentError::Store(e)) if !e.is_damage() => Err(e),
            Err(_) => Ok(false),
        }
    }

    /// The same of a text that began with another version that came with it.
    fn goes_on_anew(&self, first: Came<'_>, before: &[Came<'_>], came: Came<'_>) -> bool {
        let (head, version) = first;
        // A long text's bytes are in chunks, which do not come with events.
        let Body::Inline(bytes) = &version.body else {
            return false;
        };
        let text = std::str::from_utf8(bytes).ok();
        let document = text.and_then(|text| Document::genesis(head.at, text).ok());
        document.is_some_and(|mut document| {
            let after = before.iter().filter(|(other, _)| other.at.seq > head.at.seq);
            let after: Vec<Came<'_>> = after.copied().collect();
            apply(&mut document, head.at, &after, came).is_ok()
        })
    }
}
