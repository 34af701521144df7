//! What a file shows comes to what is newest: a merge, or what another device made.
//!
//! Guarantees: only while nobody has the file open for writing and nothing of it is untold, under
//! its lock, and only what was computed from what it shows by then; what names it changes in the
//! same step. So whoever opens it, a commit that fails and a crash at any point find either what
//! was saved or the merge, named as what it is. It makes no event, and a file stays *behind*, by a
//! note in the database too, until it is done.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::attributes::Attributes;
use super::carry::Carrying;
use super::hot::Hot;
use super::lines::shown_line;
use super::shelf::DocumentError;
use super::{Stand, ToldText};
use crate::core::StoreError;
use crate::event::EventRef;
use crate::ids::{EntityId, Ino};
use crate::keys::Key;
use crate::record::{Time, VersionRecord};
use crate::text::{Document, Heads, TEXT_MAX, TextError, still_whole};
use crate::vault::history::Bytes;
use crate::vault::inode::{State, pending};
use crate::vault::{OpError, Problem, Vault};

/// So many versions in a row a file comes to show at once.
const IN_A_ROW: usize = 16;

/// So many versions a file's row names at most.
const BESIDE_MAX: usize = 1024;

/// Whoever has just opened a file is about to read it: by its size, or to its end. He has so long to do so
/// before it shows something else …
const READING: Duration = Duration::from_millis(10);
/// … and all who do so, of whatever file, while some are looked at, have so long.
const READING_MAX: Duration = Duration::from_millis(50);

/// What a file is to show.
enum Newest {
    /// What it shows.
    Same,
    /// It cannot be had now.
    Later,
    /// This, named so; the bytes, if they are others.
    Other(Option<Bytes>, Vec<EventRef>),
}

impl Newest {
    fn has_bytes(&self) -> bool {
        matches!(self, Newest::Other(Some(_), _))
    }
}

/// What a file shows, of all that is newest.
pub(in crate::vault) struct Shows {
    /// The versions that name it.
    pub(in crate::vault) versions: Vec<EventRef>,
    pub(in crate::vault) bytes: Bytes,
    pub(in crate::vault) attributes: Option<Attributes>,
}

impl Vault {
    /// The versions that name what a file shows; none before it was told.
    ///
    /// # Errors
    /// ENOENT if the file is gone.
    pub fn shows(&self, ino: Ino) -> Result<Vec<EventRef>, OpError> {
        Ok(self.get(ino)?.state.read().named_by())
    }

    /// The same, if it is just what they name, and nothing was written to it since.
    ///
    /// # Errors
    /// As [`Vault::shows`].
    pub fn shows_as_told(&self, ino: Ino) -> Result<Option<Vec<EventRef>>, OpError> {
        let inode = self.get(ino)?;
        let state = inode.state.read();
        let is_told = !state.fresh && state.drafts.is_empty();
        Ok(is_told
            .then(|| state.named_by())
            .filter(|named| !named.is_empty()))
    }

    /// There are newer versions than what a file shows. Its inode is locked.
    pub(in crate::vault) fn be_behind(&self, ino: Ino, state: &mut State) {
        state.behind += 1;
        self.untold.lock().behind.insert(ino);
        self.texts.may_show(ino);
    }

    /// Whether there are files to be looked at.
    pub(in crate::vault) fn is_to_show(&self) -> bool {
        let waits = self.texts.to_retry.load(Ordering::Relaxed);
        waits || !self.texts.to_show.lock().is_empty()
    }

    /// As [`Vault::show_behind`]; a fault in there is noted, and ends nobody.
    pub(in crate::vault) fn show_safely(&self) -> bool {
        self.retry_once();
        self.see_once();
        catch_unwind(AssertUnwindSafe(|| self.show_behind())).unwrap_or_else(|_| {
            self.note_problem(Problem::new(
                None,
                "showing of merges met a fault of this program",
            ));
            false
        })
    }

    /// Lets files that are behind and at rest show what is newest; true if one does.
    fn show_behind(&self) -> bool {
        if self.writable().is_err() {
            return false;
        }
        let mut shown = false;
        let inos = std::mem::take(&mut *self.texts.to_show.lock());
        let until = Instant::now() + READING_MAX;
        for ino in inos {
            for round in 1..=IN_A_ROW {
                match self.show_newest(ino, until) {
                    Ok(true) => {
                        shown = true;
                        if round == IN_A_ROW {
                            self.texts.may_show(ino); // what there is more comes next time
                        }
                    }
                    Ok(false) => break,
                    Err(error) => {
                        match error.is_damage() {
                            true => self.note_damage(ino, &error),
                            false => self.texts.may_show(ino),
                        }
                        break;
                    }
                }
            }
        }
        shown
    }

    /// Lets a file show what is newest, if that is something else and may be; true if so. Until then it
    /// waits for who is about to read it.
    fn show_newest(&self, ino: Ino, until: Instant) -> Result<bool, StoreError> {
        let Some(inode) = self.resident(ino)? else {
            self.untold.lock().behind.remove(&ino);
            return Ok(false);
        };
        let (entity, key, named_by, behind) = {
            let state = inode.state.read();
            if state.behind == 0 || !state.is_at_rest() || state.fetching > 0 {
                return Ok(false); // whoever lets it come to rest says so
            }
            let key = state.binding.key(inode.key()).duplicate();
            (state.binding.entity(), key, state.named_by(), state.behind)
        };
        let mut rows = self.rows_of_versions(&key, &entity)?;
        match self.carry_over(ino, (entity, &key), &rows)? {
            Carrying::Some => rows = self.rows_of_versions(&key, &entity)?,
            Carrying::Nothing => {}
            Carrying::NotNow => {
                self.texts.may_show(ino);
                return Ok(false);
            }
        }
        let mut shown = named_by.clone();
        shown.sort_unstable();
        let name = || self.name_of(ino).unwrap_or_default();
        let newest = match named_by.is_empty() {
            true => Ok(Newest::Same),
            false => self.newest_of((entity, &key), &rows, &name, &shown),
        };
        let newest = match newest {
            Err(DocumentError::Store(e)) if !e.is_damage() => return Err(e),
            Err(e) => {
                self.note_unwoven(ino, &e);
                Newest::Later
            }
            Ok(newest) => newest,
        };
        if matches!(newest, Newest::Later) {
            return Ok(false);
        }
        let attributes = match &newest {
            Newest::Other(_, versions) => self.attributes_of((entity, &key), &rows, versions)?,
            _ => None,
        };
        {
            // A commit sees it before or after: it holds the tree at its instant.
            let (_tree, mut guard) = loop {
                let (tree, guard) = (self.tree.read(), inode.state.write());
                let rest = being_read(&guard).filter(|_| newest.has_bytes() && Instant::now() < until);
                let Some(rest) = rest else { break (tree, guard) };
                drop((tree, guard));
                std::thread::sleep(rest);
            };
            let state = &mut *guard;
            let is_same = state.binding.entity() == entity && state.named_by() == named_by;
            if !is_same || !state.is_at_rest() || state.fetching > 0 {
                return Ok(false);
            }
            let Newest::Other(bytes, versions) = &newest else {
                if state.behind == behind {
                    state.behind = 0;
                    self.untold.lock().behind.remove(&ino);
                }
                let is_noted = state.pending & pending::BEHIND != 0;
                state.meta_dirty |= is_noted;
                drop(guard);
                if is_noted {
                    self.mark_dirty(ino);
                }
                return Ok(false);
            };
            let now = Time::now();
            if let Some(bytes) = bytes {
                let owner = inode.owner(&self.core, &state.binding);
                let Some(content) = state.content.as_mut() else {
                    return Ok(false);
                };
                content.become_whole(owner, &bytes.pieces, &bytes.inline)?;
                state.meta.mtime = now;
                state.was_named.get_or_insert(named_by);
            }
            if let Some((perm, xattrs, mtime)) = attributes {
                (state.meta.perm, state.meta.xattrs) = (perm, xattrs);
                state.meta.mtime = mtime.unwrap_or(state.meta.mtime);
            }
            (state.meta.ctime, state.meta_dirty, state.times_only) = (now, true, false);
            state.published = versions.first().copied();
            state.beside = versions.get(1..).unwrap_or_default().to_vec();
            if bytes.is_some() {
                self.texts.shows((entity, ino), &Stand::Told(versions.clone()));
            }
            // Before anybody can open it: who keeps bytes of it must know that they are the old ones.
            self.feed.shows(ino, bytes.is_some());
            // It stays behind until it was looked at once more: others may have come since.
        }
        self.mark_dirty(ino);
        let Newest::Other(_, versions) = newest else {
            return Ok(false);
        };
        self.texts.tell_document(entity, vec![ToldText::Shows(versions)]);
        Ok(true)
    }

    /// What a file is to show that shows these versions, of the versions that these rows are of.
    fn newest_of(
        &self,
        (entity, key): (EntityId, &Key),
        rows: &[VersionRecord],
        name: &dyn Fn() -> Vec<u8>,
        shown: &[EventRef],
    ) -> Result<Newest, DocumentError> {
        let Some(line) = shown_line(rows).filter(|line| line.heads != shown) else {
            return Ok(Newest::Same);
        };
        if line.is_whole() {
            return Ok(self.newest_whole((entity, key), rows, line.last)?);
        }
        // No lock is taken while a document is held.
        let name = name();
        let newest = self.with_document((entity, key), line.last, |hot| {
            newest_text(hot, &name, shown, line.last)
        })?;
        Ok(newest.unwrap_or(Newest::Later))
    }

    /// What a file of this name shows that has these versions; none if it cannot be had now.
    pub(in crate::vault) fn would_show(
        &self,
        of: (EntityId, &Key),
        rows: &[VersionRecord],
        name: &[u8],
    ) -> Result<Option<Shows>, StoreError> {
        match self.newest_of(of, rows, &|| name.to_vec(), &[]) {
            Ok(Newest::Other(Some(bytes), versions)) => Ok(Some(Shows {
                attributes: self.attributes_of(of, rows, &versions)?,
                versions,
                bytes,
            })),
            Ok(_) => Ok(None),
            Err(DocumentError::Store(e)) if !e.is_damage() => Err(e),
            Err(_) => Ok(None),
        }
    }

    /// The same of a version that has its bytes.
    fn newest_whole(
        &self,
        (entity, key): (EntityId, &Key),
        rows: &[VersionRecord],
        at: EventRef,
    ) -> Result<Newest, StoreError> {
        let Some(row) = rows.iter().find(|row| row.at == at) else {
            return Ok(Newest::Same);
        };
        let bytes = self
            .version_payload(key, entity, row)
            .and_then(|version| self.bytes_of((key, entity), row, &version));
        match bytes {
            Ok(bytes) if self.may_show_bytes(entity, row, &bytes)? => {
                Ok(Newest::Other(Some(bytes), vec![at]))
            }
            // Its chunks are elsewhere.
            Ok(_) => Ok(Newest::Later),
            Err(e) if e.is_damage() => Ok(Newest::Later),
            Err(e) => Err(e),
        }
    }

    /// One of a file's names.
    pub(super) fn name_of(&self, ino: Ino) -> Option<Vec<u8>> {
        let tree = self.tree.read();
        let mut entries = tree.iter().flat_map(|(_, folder)| folder.entries.values());
        entries
            .find(|entry| entry.ino == ino)
            .map(|entry| entry.name.to_vec())
    }

    /// What a file shows to whom opens it now. Its inode is locked.
    pub(in crate::vault) fn stand_of(&self, ino: Ino, state: &State) -> Stand {
        match state.drafts.last() {
            _ if state.fresh => Stand::Next(ino),
            Some(draft) => Stand::Draft(draft.serial),
            None => Stand::Told(state.named_by()),
        }
    }
}

/// How long whoever has just opened a file still has to read it.
fn being_read(state: &State) -> Option<Duration> {
    let found = state.found.filter(|_| state.opens > 0)?;
    READING
        .checked_sub(found.elapsed())
        .filter(|rest| !rest.is_zero())
}

/// What a file is to show of a text whose last version is `last`, if it shows these.
fn newest_text(hot: &Hot, name: &[u8], shown: &[EventRef], last: EventRef) -> Result<Newest, DocumentError> {
    let Some(versions) = hot.newest()? else {
        return Ok(Newest::Later); // it has what is not told yet
    };
    if versions.len() > BESIDE_MAX {
        return Err(TextError::NotText("too many versions of it are concurrent").into());
    }
    if versions == shown {
        return Ok(Newest::Same);
    }
    let heads = hot.doc.heads()?;
    if hot.union(shown).as_ref() == Some(&heads) {
        return Ok(Newest::Other(None, versions));
    }
    let (text, versions) = match merged_text(&hot.doc, &heads, name)? {
        Some(text) => (text, versions),
        None if shown == [last] => return Ok(Newest::Same),
        None => {
            let alone = hot.union(&[last]).ok_or(TextError::NoVersion)?;
            (hot.doc.text_at(&alone)?, vec![last])
        }
    };
    let bytes = Bytes {
        pieces: Vec::new(),
        inline: text.into_bytes(),
    };
    Ok(Newest::Other(Some(bytes), versions))
}

/// The text that the versions of a document come to together; none if that is no text any more, or not
/// as whole as they were: then the last one alone is shown, which is the same on every device, and the
/// others stay in the history.
pub(in crate::vault) fn merged_text(
    doc: &Document,
    heads: &Heads,
    name: &[u8],
) -> Result<Option<String>, TextError> {
    let text = doc.text()?;
    if heads.as_slice().len() < 2 {
        return Ok(Some(text));
    }
    let each = heads.as_slice().iter().map(|change| {
        let alone = [*change].into_iter().collect();
        doc.text_at(&alone)
    });
    let before: Vec<String> = each.collect::<Result<_, _>>()?;
    let before: Vec<&str> = before.iter().map(String::as_str).collect();
    Ok((text.len() <= TEXT_MAX && still_whole(name, &before, &text)).then_some(text))
}
