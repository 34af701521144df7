//! Which version the editor had who saved this: of those that it may have been shown, the nearest.

use super::hot::Hot;
use super::shelf::DocumentError;
use super::shown::Its;
use super::{Name, Stand, ToldAs};
use crate::event::EventRef;
use crate::ids::EntityId;
use crate::text::{Had, Heads, likeliest};
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
    /// Something came from others, or was merged, since the file showed it, or may have.
    others_since: bool,
}

/// What an editor may have had of a former text of a file, if it was shown that.
#[derive(Clone, Copy)]
pub(super) enum Former<'a> {
    /// Nobody has looked yet.
    Unasked,
    /// It is of none that comes into this one, or cannot be had.
    Lost,
    /// This.
    Text(&'a str),
}

/// What the editor had who saved a version.
pub(super) enum Base {
    /// This version.
    Version(Candidate),
    /// These versions, of another text of the same file: what it saved stands beside this one.
    Apart(Vec<EventRef>),
}

impl Candidate {
    /// The merge of versions that are told; none if it is not of this text.
    pub(super) fn told(hot: &Hot, versions: &[EventRef]) -> Option<Candidate> {
        Some(Candidate {
            names: versions.iter().copied().map(Name::Told).collect(),
            heads: hot.union(versions)?,
            is_its: false,
            others_since: false,
        })
    }

    /// The versions that name it, if all of them are told.
    pub(super) fn told_names(&self) -> Option<Vec<EventRef>> {
        let told = |name: &Name| match name {
            Name::Told(at) => Some(*at),
            Name::Draft(_) => None,
        };
        self.names.iter().map(told).collect()
    }

    /// The other; or this, if that has the same content: it may have been told of once more, with new
    /// attributes.
    fn or(self, other: Candidate) -> Candidate {
        match self.heads == other.heads {
            true => self,
            false => other,
        }
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
            others_since: false,
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

    /// What the editor had who saved `new`, which `draft` is; `before` is what the file was. `former`: what it
    /// was shown last of another text, which that comes into. If all that it was shown is of another text that
    /// does not, such a save stands beside this one.
    pub(super) fn base(
        &self,
        (entity, draft): (EntityId, &Draft),
        hot: &Hot,
        new: &str,
        before: Candidate,
        former: Former<'_>,
    ) -> Result<Base, DocumentError> {
        if draft.on_present {
            return Ok(Base::Version(before));
        }
        let its = match draft.who {
            0 => Its::default(),
            who => self.texts.shown.lock().to(&entity, who, draft.order),
        };
        let mut all = self.may_have(hot, &its, &before);
        let is_known = all.iter().any(|one| one.is_its);
        let mut apart = self.of_another_text(entity, hot, &its.stands)?;
        if is_known && matches!(former, Former::Lost) {
            apart = None;
        }
        if apart.is_none() && all.len() == 1 && (is_known || its.stands.is_empty()) {
            return Ok(Base::Version(before.or(all.swap_remove(0))));
        }
        let was = hot.doc.text_at(&before.heads)?;
        if new == was {
            return Ok(Base::Version(before)); // nobody's words are in between
        }
        let former = match former {
            Former::Text(text) => Some(text),
            _ => None,
        };
        if former.is_none()
            && let Some(on) = apart.take()
        {
            return Ok(Base::Apart(on));
        }
        let texts = all.iter().map(|one| hot.doc.text_at(&one.heads));
        let texts: Vec<String> = texts.collect::<Result<_, _>>()?;
        // What is of a former text is older than all of this one.
        let aside = former.filter(|_| apart.is_some());
        let aside = aside.map(|text| Had { text, shown: true });
        let mut had: Vec<Had<'_>> = aside.into_iter().collect();
        let first = had.len();
        had.extend(all.iter().zip(&texts).map(|(one, text)| Had {
            text,
            shown: one.is_its,
        }));
        let place = likeliest(&had, &hot.doc.text()?, new).unwrap_or(had.len() - 1);
        let Some(place) = place.checked_sub(first) else {
            return Ok(apart.map_or(Base::Version(before), Base::Apart));
        };
        // Somebody put an older version back, which it was not shown, perhaps by copying it. But if
        // another's came since, it may as well be a buffer of old, which says nothing.
        let base = &all[place];
        let is_put_back = !base.is_its && texts[place] == new && !base.others_since;
        Ok(Base::Version(match is_put_back || texts[place] == was {
            true => before,
            false => before.or(all.swap_remove(place)),
        }))
    }

    /// The versions that a process may have had, the oldest first; what it was certainly shown comes
    /// last, and nothing is there twice.
    fn may_have(&self, hot: &Hot, its: &Its, before: &Candidate) -> Vec<Candidate> {
        let mut shown: Vec<Candidate> = Vec::new();
        for stand in &its.stands {
            if let Some(candidate) = self.shown_as(hot, stand) {
                shown.retain(|other| other.heads != candidate.heads);
                shown.push(Candidate {
                    is_its: true,
                    ..candidate
                });
            }
        }
        // What it had before it saved is over: what it takes back of that is gone.
        let saved = its.saved.as_ref().and_then(|stand| self.shown_as(hot, stand));
        let is_since = |one: &Candidate| {
            let saved = saved.as_ref();
            saved.is_none_or(|saved| hot.doc.includes(&one.heads, &saved.heads))
        };
        let mut all: Vec<Candidate> = Vec::new();
        for seen in hot.lately() {
            let others_since = seen.others_since;
            let one = Candidate::told(hot, &seen.versions).filter(is_since);
            all.extend(one.map(|one| Candidate { others_since, ..one }));
        }
        for stand in &its.of_others {
            if let Some(one) = self.shown_as(hot, stand) {
                all.retain(|other| other.heads != one.heads);
                all.push(Candidate {
                    others_since: true,
                    ..one
                });
            }
        }
        all.retain(|one| one.heads != before.heads);
        all.push(before.clone());
        all.retain(|one| shown.iter().all(|other| other.heads != one.heads));
        all.append(&mut shown);
        all
    }

    /// The last of these that was a version of another text of this entity, if it is there still.
    fn of_another_text(
        &self,
        entity: EntityId,
        hot: &Hot,
        stands: &[Stand],
    ) -> Result<Option<Vec<EventRef>>, DocumentError> {
        for stand in stands.iter().rev() {
            let Stand::Told(versions) = stand else { continue };
            if hot.union(versions).is_some() {
                continue; // it is of this one
            }
            let mut are_there = !versions.is_empty();
            for at in versions {
                are_there &= self.row_of(&hot.key, &entity, *at)?.is_some();
            }
            if are_there {
                return Ok(Some(versions.clone()));
            }
        }
        Ok(None)
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
