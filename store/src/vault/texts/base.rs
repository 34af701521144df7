//! Which version the editor had who saved this: of those that it may have been shown, the nearest.

use super::hot::Hot;
use super::shelf::DocumentError;
use super::{Name, Stand, ToldAs};
use crate::event::EventRef;
use crate::ids::EntityId;
use crate::text::{Heads, nearest};
use crate::vault::Vault;
use crate::vault::saves::Draft;

/// A version that an editor may have had.
#[derive(Clone)]
pub(super) struct Candidate {
    pub(super) names: Vec<Name>,
    /// The changes that name it.
    pub(super) heads: Heads,
    /// The process that saved was shown it.
    is_its: bool,
}

impl Candidate {
    /// The merge of versions that are told; none if it is not of this text.
    pub(super) fn told(hot: &Hot, versions: &[EventRef]) -> Option<Candidate> {
        Some(Candidate {
            names: versions.iter().copied().map(Name::Told).collect(),
            heads: hot.union(versions)?,
            is_its: false,
        })
    }

    /// The version that a draft is, if it is ready.
    fn draft(serial: u64, told_as: &ToldAs, heads: &Heads) -> Candidate {
        let names = match told_as {
            ToldAs::Nothing { equal } => equal.clone(),
            _ => vec![Name::Draft(serial)],
        };
        Candidate {
            names,
            heads: heads.clone(),
            is_its: false,
        }
    }
}

impl Vault {
    /// What the file was before a draft: these versions, or the last of the drafts before it.
    pub(super) fn before(&self, hot: &Hot, told: &[EventRef], drafts: &[Draft]) -> Option<Candidate> {
        let mut before = Candidate::told(hot, told)?;
        for (draft, ready) in drafts.iter().zip(self.texts.ready_of(drafts)) {
            let ready = ready.filter(|ready| !ready.is_whole())?;
            before = Candidate::draft(draft.serial, &ready.told_as, &ready.heads);
        }
        Some(before)
    }

    /// The version that the editor had who saved `new`, which `draft` is; `before` is what the file
    /// was.
    pub(super) fn base(
        &self,
        (entity, draft): (EntityId, &Draft),
        hot: &Hot,
        new: &str,
        before: &Candidate,
    ) -> Result<Candidate, DocumentError> {
        if draft.on_present {
            return Ok(before.clone());
        }
        let known = match draft.who {
            0 => Default::default(),
            who => self.texts.shown.lock().to(&entity, who, draft.order),
        };
        let mut its: Vec<Candidate> = Vec::new();
        for stand in &known.stands {
            if let Some(candidate) = self.shown_as(hot, stand) {
                its.retain(|other| other.heads != candidate.heads);
                its.push(Candidate {
                    is_its: true,
                    ..candidate
                });
            }
        }
        let is_known = !its.is_empty();
        let mut all: Vec<Candidate> = Vec::new();
        if !is_known || !known.has_saved {
            let lately = hot.lately();
            all.extend(lately.iter().filter_map(|state| Candidate::told(hot, state)));
        }
        if !is_known {
            its.push(before.clone());
        }
        all.retain(|one| its.iter().all(|other| other.heads != one.heads));
        all.append(&mut its);
        let place = match all.len() {
            1 => 0,
            _ => {
                let texts = all.iter().map(|one| hot.doc.text_at(&one.heads));
                let texts: Vec<String> = texts.collect::<Result<_, _>>()?;
                let candidates: Vec<&str> = texts.iter().map(String::as_str).collect();
                let place = nearest(&candidates, new).unwrap_or(all.len() - 1);
                if !all[place].is_its && candidates[place] == new {
                    // Somebody put an older version back, which it was not shown, perhaps by copying it.
                    return Ok(before.clone());
                }
                place
            }
        };
        let base = all.swap_remove(place);
        // What has the same text as what the file was: then nobody's words are in between.
        let is_alike =
            base.heads != before.heads && hot.doc.text_at(&base.heads)? == hot.doc.text_at(&before.heads)?;
        Ok(if is_alike || base.heads == before.heads {
            before.clone()
        } else {
            base
        })
    }

    /// What was shown, if it is of this text and can be named.
    fn shown_as(&self, hot: &Hot, stand: &Stand) -> Option<Candidate> {
        match stand {
            Stand::Told(versions) => Candidate::told(hot, versions),
            Stand::Draft(serial) => {
                let ready = self.texts.ready.lock().by_serial.get(serial).cloned()?;
                let heads = &ready.heads;
                let is_of_it = !ready.is_whole() && heads.as_slice().iter().all(|change| hot.doc.has(change));
                is_of_it.then(|| Candidate::draft(*serial, &ready.told_as, heads))
            }
            Stand::Next(_) => None,
        }
    }
}
