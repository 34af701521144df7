//! The step: each version of a text that is not told becomes a change at the version that its
//! editor had.
//!
//! Guarantees: it holds no lock while it works on a document that a writer or a commit waits for,
//! and ends after a moment, so that commits go on. Versions of one file are taken in their order, and
//! none is passed over; each is ready only if the file's past is what it was made from. Whatever
//! fails in a document, the version is told all the same, with its bytes.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::base::{Base, Former};
use super::shelf::DocumentError;
use super::{Name, Ready, ToldAs};
use crate::event::EventRef;
use crate::ids::{EntityId, Ino};
use crate::keys::{Key, random_bytes};
use crate::record::Kind;
use crate::text::{Heads, TEXT_MAX, TextError};
use crate::vault::inode::{Inode, State};
use crate::vault::saves::Draft;
use crate::vault::{Problem, Vault};

/// How long an empty file that nobody has opened yet is not a version.
const FILLED: Duration = Duration::from_secs(2);
/// How long one step takes, about.
const STEP: Duration = Duration::from_millis(50);
/// Bytes of saves that one step takes on, about: their documents stay in memory until they are told.
const STEP_BYTES: u64 = 1 << 20;
/// How often a file's versions are begun again in one step, if what they were made from has changed.
const AGAIN: usize = 6;

/// A file whose versions are to be told.
struct File {
    entity: EntityId,
    key: Key,
    /// The versions that name what it was when it was told last.
    told: Vec<EventRef>,
    drafts: Vec<Draft>,
}

impl File {
    /// Whether the file is still what it was, as far as the draft at this place is concerned.
    fn is_still(&self, state: &State, place: usize) -> bool {
        let serials = |drafts: &[Draft]| -> Vec<u64> { drafts.iter().map(|draft| draft.serial).collect() };
        let now = state.drafts.get(..=place).map(serials);
        state.binding.entity() == self.entity
            && state.named_by() == self.told
            && now.is_some_and(|now| now == serials(&self.drafts[..=place]))
    }
}

/// What came of a file's drafts.
enum Came {
    /// All that can be ready is; whether anything is that was not.
    Ready(bool),
    /// What they were made from has changed.
    Changed,
    /// The document failed at this one.
    Failed(u64, DocumentError),
}

impl Vault {
    /// As [`Vault::weave`]; a fault in there is noted, and ends nobody.
    pub(in crate::vault) fn weave_safely(&self) -> bool {
        if self.read_only.load(Ordering::Relaxed) {
            return false;
        }
        catch_unwind(AssertUnwindSafe(|| self.weave())).unwrap_or_else(|_| {
            self.note_problem(Problem::new(None, "telling of texts met a fault of this program"));
            false
        })
    }

    /// Does some of what there is to do; returns whether something is ready that was not.
    fn weave(&self) -> bool {
        let _weaving = self.texts.weaving.lock();
        let mut inos: HashSet<Ino> = self.dirty.lock().iter().copied().collect();
        inos.extend(self.untold.lock().inodes.iter());
        let mut inos: Vec<Ino> = inos.into_iter().collect();
        inos.sort_unstable();
        let (begun, mut bytes, mut done) = (Instant::now(), 0, false);
        for ino in inos {
            if done && (begun.elapsed() > STEP || bytes > STEP_BYTES) {
                break;
            }
            // One that cannot be read is found, and noted, by the commit.
            let Ok(inode) = self.get(ino) else { continue };
            let (mut failed, mut whole) = (None, None);
            for _ in 0..AGAIN {
                let Some(file) = self.to_weave(&inode) else { break };
                match self.weave_file(&inode, &file, whole) {
                    Came::Changed => self.texts.discard(&file.entity),
                    // Once more, with a document made anew, from the first draft on; then as it is.
                    Came::Failed(serial, error) => {
                        self.texts.discard(&file.entity);
                        self.forget_stored(file.entity);
                        if failed == Some(serial) {
                            self.note_unwoven(ino, &error);
                            whole = failed;
                        }
                        failed = Some(serial);
                    }
                    Came::Ready(some) => {
                        done |= some;
                        bytes += file.drafts.iter().map(|draft| draft.size).max().unwrap_or(0);
                        break;
                    }
                }
            }
        }
        self.tidy_shelf(false);
        done
    }

    /// Whether a file's next version needs the step.
    pub(super) fn needs_weaving(&self, state: &State) -> bool {
        let is_to_be_kept = || {
            state.marks.text
                && state.untold
                && state.fresh
                && state.writers == 0
                && state.size() <= TEXT_MAX as u64
        };
        state.meta.kind == Kind::File
            && state.published.is_some()
            && state.meta.nlink > 0
            && (!state.drafts.is_empty() || is_to_be_kept())
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
        if self.texts.ready_of(&state.drafts).iter().all(Option::is_some) {
            return None;
        }
        Some(File {
            entity: state.binding.entity(),
            key: state.binding.key(inode.key()).duplicate(),
            told: state.named_by(),
            drafts: state.drafts.clone(),
        })
    }

    /// Makes the drafts ready, one after the other; `whole`: this one with its bytes.
    fn weave_file(&self, inode: &Inode, file: &File, whole: Option<u64>) -> Came {
        let mut done = false;
        let taken_back = self.texts.ready.lock().taken_back;
        for (place, draft) in file.drafts.iter().enumerate() {
            let known = self.texts.ready.lock().by_serial.get(&draft.serial).cloned();
            if let Some(ready) = known {
                if ready.is_whole() || ready.aside {
                    break; // what comes after it begins with its event
                }
                continue;
            }
            let woven = match whole == Some(draft.serial) {
                true => Ok(ready_whole(file.entity)),
                false => self.weave_draft(file, place),
            };
            let ready = match woven {
                Ok(ready) => ready,
                Err(DocumentError::Store(e)) if !e.is_damage() => break,
                Err(error) => return Came::Failed(draft.serial, error),
            };
            let is_last = ready.is_whole() || ready.aside;
            {
                let state = inode.state.read();
                let mut all = self.texts.ready.lock();
                if all.taken_back != taken_back || !file.is_still(&state, place) {
                    return Came::Changed;
                }
                all.by_serial.insert(draft.serial, Arc::new(ready));
            }
            done = true;
            if is_last {
                break;
            }
        }
        Came::Ready(done)
    }

    /// The stored document is not used again.
    pub(super) fn forget_stored(&self, entity: EntityId) {
        // An empty row opens as none; it is written over with the next document that is stored.
        self.texts.rows.lock().insert(entity, Vec::new());
    }

    pub(super) fn note_unwoven(&self, ino: Ino, error: &DocumentError) {
        let what = format!(
            "the past of the text in file number {ino} cannot be used, {error}: this version of it is kept whole"
        );
        self.note_problem(Problem::new(None, what));
    }

    /// How the draft at this place is told.
    fn weave_draft(&self, file: &File, place: usize) -> Result<Ready, DocumentError> {
        let (entity, draft) = (file.entity, &file.drafts[place]);
        let Some(new) = std::str::from_utf8(&draft.bytes).ok().filter(|_| draft.is_text) else {
            return Ok(ready_whole(entity));
        };
        let Some(last) = file.told.first() else {
            return Ok(ready_whole(entity));
        };
        let mut woven = self.weave_on((file, place), *last, new, Former::Unasked);
        if let Ok(Some(ready)) = &woven
            && let Some(on) = ready.apart()
            && self.is_of_another((entity, &file.key), *last, on)?
        {
            // Its editor may have had the present text all the same: then it says so.
            let text = self.former_text((entity, &file.key), on)?;
            let former = text.as_deref().map_or(Former::Lost, Former::Text);
            woven = self.weave_on((file, place), *last, new, former);
            if let (Ok(Some(ready)), true) = (&woven, text.is_some()) {
                let ready = ready.clone();
                woven = match ready.apart().is_some() {
                    true => self.weave_aside(file, draft, new, ready).map(Some),
                    false => Ok(Some(ready)),
                };
            }
        }
        match woven {
            Ok(Some(ready)) if is_resolved(&ready, &file.drafts[..place]) => Ok(ready),
            Ok(Some(_)) => Err(TextError::Damaged.into()),
            Ok(None) => Ok(ready_whole(entity)),
            Err(DocumentError::Text(TextError::NotText(_) | TextError::Full)) => Ok(ready_whole(entity)),
            Err(e) => Err(e),
        }
    }
}

impl Vault {
    /// Whether these versions are of another text than this one is; they may stand beside it, too, since a
    /// change would not fit.
    fn is_of_another(
        &self,
        of: (EntityId, &Key),
        last: EventRef,
        on: &[EventRef],
    ) -> Result<bool, DocumentError> {
        let is_here = self.with_document(of, last, |hot| Ok(hot.union(on).is_some()))?;
        Ok(is_here == Some(false))
    }

    /// How the draft at this place, which says this, is told in the text that this version is of; none if
    /// it is of none. `former`: see [`Vault::base`].
    fn weave_on(
        &self,
        (file, place): (&File, usize),
        last: EventRef,
        new: &str,
        former: Former<'_>,
    ) -> Result<Option<Ready>, DocumentError> {
        let (entity, draft) = (file.entity, &file.drafts[place]);
        self.with_document((entity, &file.key), last, |hot| {
            // What names it may be of another text.
            let Some(before) = self.before(hot, &file.told, &file.drafts[..place]) else {
                return Ok(ready_whole(entity));
            };
            let base = match self.base((entity, draft), hot, new, before, former)? {
                Base::Version(base) => base,
                Base::Apart(on) => return Ok(ready_apart(entity, on)),
            };
            let limits = &self.texts.limits;
            let had_all = base.heads == hot.doc.heads()?;
            if hot.doc.ops() > limits.soft() && had_all {
                // Its past is too long, and the editor had all of it: the text begins anew.
                return Ok(ready_whole(entity));
            }
            let serial = u64::from_le_bytes(random_bytes());
            let change = hot.doc.edit(&base.heads, new, self.secrets().chain(), serial)?;
            let newest = hot.doc.heads()?;
            let (told_as, heads) = match change {
                Some(change)
                    if change.bytes().len() > limits.change() || change.last_op() > limits.hard() =>
                {
                    // The document has it, and is made anew once the version is told with its bytes.
                    hot.untold.insert(draft.serial);
                    return Ok(match base.told_names().filter(|_| !had_all) {
                        // Beside what its editor did not have.
                        Some(on) => ready_apart(entity, on),
                        None => ready_whole(entity),
                    });
                }
                Some(change) => {
                    let heads: Heads = [change.hash()].into_iter().collect();
                    let told_as = ToldAs::Change {
                        serial: change.maker().serial,
                        bytes: change.packed(),
                        on: base.names,
                    };
                    (told_as, heads)
                }
                // Somebody saved again what is an older version by now: that says nothing.
                None if base.heads != newest => (ToldAs::Nothing { equal: base.names }, base.heads),
                None => (ToldAs::Same { on: base.names }, base.heads),
            };
            if !matches!(told_as, ToldAs::Nothing { .. }) {
                hot.untold.insert(draft.serial);
            }
            Ok(Ready {
                entity,
                told_as,
                behind: heads != newest,
                heads,
                aside: false,
            })
        })
    }

    /// How a draft is told whose editor had versions of another text of the file: as a change of these, if
    /// that text is there still. It is carried over then, into the text that is shown. Else as it was to be.
    fn weave_aside(
        &self,
        file: &File,
        draft: &Draft,
        new: &str,
        whole: Ready,
    ) -> Result<Ready, DocumentError> {
        let Some((on, first)) = whole.apart().and_then(|on| Some((on, *on.first()?))) else {
            return Ok(whole);
        };
        let woven = self.with_document((file.entity, &file.key), first, |hot| {
            let limits = &self.texts.limits;
            let Some(base) = hot.union(on).filter(|_| hot.untold.is_empty()) else {
                return Ok(None);
            };
            let serial = u64::from_le_bytes(random_bytes());
            let Some(change) = hot.doc.edit(&base, new, self.secrets().chain(), serial)? else {
                return Ok(None);
            };
            hot.untold.insert(draft.serial);
            if change.bytes().len() > limits.change() || change.last_op() > limits.hard() {
                return Ok(None);
            }
            let told_as = ToldAs::Change {
                serial: change.maker().serial,
                bytes: change.packed(),
                on: on.iter().copied().map(Name::Told).collect(),
            };
            Ok(Some(Ready {
                entity: file.entity,
                told_as,
                heads: [change.hash()].into_iter().collect(),
                behind: true,
                aside: true,
            }))
        });
        match woven {
            Ok(woven) => Ok(woven.flatten().unwrap_or(whole)),
            Err(DocumentError::Store(e)) if !e.is_damage() => Err(e.into()),
            // A text of which it is no version any more is none that it is to be told of.
            Err(_) => Ok(whole),
        }
    }
}

/// Whether all that it was made from has an event, or is a draft that comes before it.
fn is_resolved(ready: &Ready, before: &[Draft]) -> bool {
    let is_before = |serial: &u64| before.iter().any(|draft| draft.serial == *serial);
    ready.names().iter().all(|name| match name {
        Name::Told(_) => true,
        Name::Draft(serial) => is_before(serial),
    })
}

fn ready_whole(entity: EntityId) -> Ready {
    Ready {
        entity,
        told_as: ToldAs::Whole,
        heads: Heads::default(),
        behind: false,
        aside: false,
    }
}

/// With its bytes, of these versions.
fn ready_apart(entity: EntityId, on: Vec<EventRef>) -> Ready {
    let told_as = ToldAs::Apart { on };
    Ready {
        told_as,
        ..ready_whole(entity)
    }
}

impl Vault {
    /// At rest, a file's present state is a version: kept as the last draft, unless it is.
    fn capture_present(&self, inode: &Inode, state: &mut State) {
        if !state.fresh || state.writers > 0 || !state.untold || !state.marks.text {
            return;
        }
        let is_new = state
            .made
            .is_some_and(|(at, _)| !state.opened && at.elapsed() < FILLED);
        if state.size() > TEXT_MAX as u64 || (state.size() == 0 && is_new) {
            return; // in the latter case it is about to be filled
        }
        self.capture_now(inode, state);
    }
}
