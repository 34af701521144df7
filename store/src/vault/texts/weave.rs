//! The step: each version of a text that is not told becomes a change at the version that its
//! editor had.
//!
//! Guarantees: it holds no lock while it works on a document that a writer or a commit waits for.
//! Versions of one file are taken in their order, and none is passed over. Whatever fails in a
//! document, the version is told all the same, with its bytes.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::hot::Hot;
use super::shelf::DocumentError;
use super::shown::Stand;
use super::{Merge, Ready, ToldAs};
use crate::event::{EVENT_MAX, EventRef};
use crate::ids::{EntityId, Ino};
use crate::keys::{Key, random_bytes};
use crate::record::{Kind, Time, XATTRS_MAX};
use crate::text::{ChangeHash, Heads, TEXT_MAX, TextError, nearest, still_whole};
use crate::vault::inode::{Inode, State};
use crate::vault::saves::Draft;
use crate::vault::{Problem, Vault};

/// The longest change that an event carries, with all that can be beside it.
const CHANGE_MAX: usize = EVENT_MAX - XATTRS_MAX - (64 << 10);

/// How long an empty file that nobody has opened yet is not a version.
const FILLED: Duration = Duration::from_secs(2);

/// How a version is told; whether it was made from what the file was before; what the file shows
/// then.
type Woven = (ToldAs, bool, Option<Merge>);

/// A file whose versions are to be told.
struct File {
    ino: Ino,
    entity: EntityId,
    key: Key,
    published: EventRef,
    beside: Vec<EventRef>,
    drafts: Vec<Draft>,
}

impl Vault {
    /// As [`Vault::weave`]; a fault in there is noted, and ends nobody.
    pub(in crate::vault) fn weave_safely(&self) -> bool {
        if self.read_only.load(Ordering::Relaxed) {
            return false;
        }
        catch_unwind(AssertUnwindSafe(|| self.weave())).unwrap_or_else(|_| {
            let mut met = self.met.lock();
            let noted = Problem::new(None, "telling of texts met a fault of this program");
            if !met.contains(&noted) {
                met.push(noted);
            }
            false
        })
    }

    /// Does what there is to do; returns whether something is ready that was not.
    pub(in crate::vault) fn weave(&self) -> bool {
        let _weaving = self.texts.weaving.lock();
        let mut inos: HashSet<Ino> = self.dirty.lock().iter().copied().collect();
        inos.extend(self.untold.lock().inodes.iter());
        let mut inos: Vec<Ino> = inos.into_iter().collect();
        inos.sort_unstable();
        let mut done = false;
        for ino in inos {
            // One that cannot be read is found, and noted, by the commit.
            let Ok(inode) = self.get(ino) else { continue };
            if let Some(file) = self.to_weave(&inode) {
                done |= self.weave_file(file);
            }
        }
        self.tidy_shelf(false);
        done
    }

    /// Whether a file's next version needs the step.
    pub(super) fn needs_weaving(&self, state: &State) -> bool {
        state.meta.kind == Kind::File
            && state.published.is_some()
            && state.meta.nlink > 0
            && (!state.drafts.is_empty()
                || (state.marks.text
                    && !state.anew
                    && state.untold
                    && state.writers == 0
                    && state.size() <= TEXT_MAX as u64))
            && !state.is_scratch()
    }

    /// The versions of a file that are to be told, its present state among them if it is at rest.
    fn to_weave(&self, inode: &Inode) -> Option<File> {
        if !self.needs_weaving(&inode.state.read()) {
            return None;
        }
        let mut guard = inode.state.write();
        let state = &mut *guard;
        if !self.needs_weaving(state) {
            return None;
        }
        self.capture_present(inode, state);
        let published = state.published?;
        let ready = self.texts.ready.lock();
        if state.drafts.iter().all(|draft| ready.contains_key(&draft.serial)) {
            return None;
        }
        drop(ready);
        Some(File {
            ino: inode.ino,
            entity: state.binding.entity(),
            key: state.binding.key(inode.key()).duplicate(),
            published,
            beside: state.beside.clone(),
            drafts: state.drafts.clone(),
        })
    }

    fn weave_file(&self, file: File) -> bool {
        let mut done = false;
        for (i, draft) in file.drafts.iter().enumerate() {
            let serial = draft.serial;
            if let Some(ready) = self.texts.ready.lock().get(&serial) {
                if matches!(ready.told_as, ToldAs::Whole) {
                    return done; // what comes after it begins with its event
                }
                continue;
            }
            let is_last = i + 1 == file.drafts.len();
            let ready = match self.weave_draft(&file, draft, is_last) {
                Ok(ready) => ready,
                Err(DocumentError::Store(e)) if !e.is_damage() => return done,
                // Once more, with a document made anew; then as it is.
                Err(_) => {
                    self.texts.discard(&file.entity);
                    self.forget_stored(file.entity);
                    self.weave_draft(&file, draft, is_last).unwrap_or_else(|e| {
                        self.texts.discard(&file.entity);
                        self.note_unwoven(file.ino, &e);
                        (ToldAs::Whole, true, None)
                    })
                }
            };
            let (told_as, on_stand, shows) = ready;
            let whole = matches!(told_as, ToldAs::Whole);
            let ready = Ready {
                entity: file.entity,
                told_as,
                on_stand,
                shows,
            };
            self.texts.ready.lock().insert(serial, Arc::new(ready));
            done = true;
            if whole {
                return done;
            }
        }
        done
    }

    /// The stored document is not used again.
    fn forget_stored(&self, entity: EntityId) {
        // An empty row opens as none; it is written over with the next document that is stored.
        self.texts.rows.lock().insert(entity, Vec::new());
    }

    pub(super) fn note_unwoven(&self, ino: Ino, error: &DocumentError) {
        let what = format!(
            "the past of the text in file number {ino} cannot be used, {error}: this version of it is kept whole"
        );
        let mut met = self.met.lock();
        let problem = Problem::new(None, what);
        if met.len() < 1000 && !met.contains(&problem) {
            met.push(problem);
        }
    }

    fn weave_draft(&self, file: &File, draft: &Draft, is_last: bool) -> Result<Woven, DocumentError> {
        let new = match std::str::from_utf8(&draft.bytes) {
            Ok(new) if draft.is_text => new,
            _ => return Ok((ToldAs::Whole, true, None)),
        };
        let of = (file.entity, &file.key);
        let woven = self.with_document(of, (file.published, None), |hot| {
            let before = self.stand_before(file, hot);
            let base = match draft.fresh {
                true => self.base(file, draft, hot, new, &before)?,
                false => before.clone(),
            };
            let on_stand = base == before;
            let change = match draft.fresh {
                true => hot.doc.edit(
                    &base,
                    new,
                    self.secrets.chain(),
                    u64::from_le_bytes(random_bytes()),
                )?,
                false => None,
            };
            hot.len = new.len();
            let newest = hot.newest()?;
            let told_as = match change {
                Some(change) if change.bytes().len() > CHANGE_MAX => {
                    return Err(TextError::NotText("its change is too large").into());
                }
                Some(change) => {
                    hot.untold.insert(draft.serial);
                    ToldAs::Change {
                        serial: change.maker().serial,
                        bytes: change.bytes().to_vec(),
                        hash: change.hash(),
                        on: base.as_slice().to_vec(),
                    }
                }
                // Somebody saved again what is an older version by now: that says nothing.
                None if base != newest && draft.fresh => ToldAs::Nothing,
                None => {
                    hot.untold.insert(draft.serial);
                    ToldAs::Same {
                        on: base.as_slice().to_vec(),
                    }
                }
            };
            let its: Heads = match &told_as {
                ToldAs::Change { hash, .. } => [*hash].into_iter().collect(),
                _ => base,
            };
            if draft.fresh {
                let by = (draft.who, draft.order);
                self.texts.shown.lock().saved(file.entity, by, draft.from, &its);
            }
            let born: Vec<(ChangeHash, EventRef)> = match &told_as {
                ToldAs::Change { on, .. } | ToldAs::Same { on } => {
                    let all = on.iter().chain(newest.as_slice());
                    all.filter_map(|change| Some((*change, hot.event(change)?)))
                        .collect()
                }
                _ => {
                    let all = newest.as_slice().iter();
                    all.filter_map(|change| Some((*change, hot.event(change)?)))
                        .collect()
                }
            };
            self.texts.born.lock().extend(born);
            let shows = match is_last && its != newest {
                true => self.merged(file.ino, hot, &newest, new)?,
                false => None,
            };
            Ok((told_as, on_stand, shows))
        });
        match woven {
            Ok(Some(woven)) => Ok(woven),
            Ok(None) => Ok((ToldAs::Whole, true, None)),
            Err(DocumentError::Text(TextError::NotText(_) | TextError::Full)) => {
                self.texts.discard(&file.entity);
                Ok((ToldAs::Whole, true, None))
            }
            Err(e) => Err(e),
        }
    }

    /// What names the version that the file was before this one.
    fn stand_before(&self, file: &File, hot: &Hot) -> Heads {
        let mut told = vec![file.published];
        told.extend_from_slice(&file.beside);
        // Of those that are made and not told, the last.
        let ready = self.texts.ready.lock();
        let mut stand = hot.union(&told).or_else(|| hot.names(&file.published).cloned());
        for draft in &file.drafts {
            match ready.get(&draft.serial).map(|ready| &ready.told_as) {
                Some(ToldAs::Change { hash, .. }) => stand = Some([*hash].into_iter().collect()),
                Some(ToldAs::Nothing) | Some(ToldAs::Same { .. }) => {}
                _ => break,
            }
        }
        stand.unwrap_or_else(|| [hot.doc.first()].into_iter().collect())
    }

    /// What names the version that the editor had who saved this.
    fn base(
        &self,
        file: &File,
        draft: &Draft,
        hot: &mut Hot,
        new: &str,
        before: &Heads,
    ) -> Result<Heads, DocumentError> {
        let stands = match draft.who {
            0 => Vec::new(),
            who => self.texts.shown.lock().to(&file.entity, who, draft.order),
        };
        let mut shown: Vec<Heads> = Vec::new();
        for stand in stands {
            let heads = match stand {
                Stand::Woven(heads) => Some(heads),
                Stand::Told(versions) => self.named(file, hot, &versions)?,
                Stand::Coming(..) => None,
            };
            // What the document does not have was not this text.
            let known = heads.filter(|heads| heads.as_slice().iter().all(|change| hot.doc.has(change)));
            if let Some(heads) = known {
                shown.retain(|other| *other != heads);
                shown.push(heads);
            }
        }
        let is_known = !shown.is_empty();
        if !is_known {
            shown = hot.lately();
            shown.retain(|other| other != before);
            shown.push(before.clone());
        }
        if let [only] = shown.as_slice() {
            return self.or_alike(hot, only.clone(), before);
        }
        let texts: Vec<String> = shown
            .iter()
            .map(|heads| hot.doc.text_at(heads))
            .collect::<Result<_, _>>()?;
        let candidates: Vec<&str> = texts.iter().map(String::as_str).collect();
        let place = nearest(&candidates, new).unwrap_or(shown.len() - 1);
        if !is_known && candidates[place] == new {
            // Somebody of whom nothing is known put an older version back, perhaps by copying it.
            return Ok(before.clone());
        }
        self.or_alike(hot, shown.swap_remove(place), before)
    }

    /// A version, or what the file was before this one if that has the same text: then nobody's words
    /// are in between.
    fn or_alike(&self, hot: &Hot, base: Heads, before: &Heads) -> Result<Heads, DocumentError> {
        let alike = base != *before && hot.doc.text_at(&base)? == hot.doc.text_at(before)?;
        Ok(if alike { before.clone() } else { base })
    }

    /// What names the merge of versions; those that the document does not know by name are asked.
    fn named(
        &self,
        file: &File,
        hot: &mut Hot,
        versions: &[EventRef],
    ) -> Result<Option<Heads>, DocumentError> {
        if let Some(heads) = hot.union(versions) {
            return Ok(Some(heads));
        }
        let missing = versions.iter().filter(|at| hot.names(at).is_none());
        let missing: Vec<EventRef> = missing.copied().collect();
        self.learn(hot, file.entity, &missing)?;
        Ok(hot.union(versions))
    }

    /// What the file comes to show, if what others wrote meanwhile goes together with `new`.
    fn merged(
        &self,
        ino: Ino,
        hot: &mut Hot,
        newest: &Heads,
        new: &str,
    ) -> Result<Option<Merge>, DocumentError> {
        let text = hot.doc.text()?;
        let is_one = newest.as_slice().len() == 1;
        if !is_one && !self.may_show(ino, hot, newest, new, &text)? {
            return Ok(None);
        }
        Ok(Some(Merge {
            text: Arc::new(text.into_bytes()),
            heads: newest.clone(),
        }))
    }

    /// Whether a merge is shown: it is a text still, and as whole as what it was made of.
    pub(super) fn may_show(
        &self,
        ino: Ino,
        hot: &Hot,
        newest: &Heads,
        new: &str,
        text: &str,
    ) -> Result<bool, DocumentError> {
        if text.len() > TEXT_MAX {
            return Ok(false);
        }
        let mut before = vec![new.to_owned()];
        for change in newest.as_slice() {
            before.push(hot.doc.text_at(&[*change].into_iter().collect())?);
        }
        let before: Vec<&str> = before.iter().map(String::as_str).collect();
        Ok(still_whole(&self.name_of(ino).unwrap_or_default(), &before, text))
    }

    /// One of a file's names.
    fn name_of(&self, ino: Ino) -> Option<Vec<u8>> {
        let tree = self.tree.read();
        let mut entries = tree.iter().flat_map(|(_, folder)| folder.entries.values());
        entries
            .find(|entry| entry.ino == ino)
            .map(|entry| entry.name.to_vec())
    }

    /// At rest, a file's present state is a version: kept as the last draft, unless it is.
    fn capture_present(&self, inode: &Inode, state: &mut State) {
        let is_kept = !state.fresh && !state.drafts.is_empty();
        if is_kept || state.writers > 0 || !state.untold || !state.marks.text {
            return;
        }
        let is_new = state
            .made
            .is_some_and(|(at, _)| !state.opened && at.elapsed() < FILLED);
        if state.size() > TEXT_MAX as u64 || (state.size() == 0 && is_new) {
            return; // in the latter case it is about to be filled
        }
        match state.fresh {
            true => self.capture_now(inode, state),
            false => self.push_draft(inode.ino, state, Vec::new(), true, Time::now()),
        }
    }
}
