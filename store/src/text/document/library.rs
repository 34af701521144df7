//! The only file that names Automerge: its documents, as far as we use them.
//!
//! Guarantees: a transaction that panics is not rolled back while it unwinds, which in a broken
//! document would panic again and abort the process: it is left to its document, and that is
//! discarded. Times are 0, there are no messages and no authors, positions are code points.

use std::mem::ManuallyDrop;

use automerge::transaction::{CommitOptions, Transactable, Transaction};
use automerge::{
    ActorId, Automerge, AutomergeError, LoadOptions, ObjId, ObjType, ROOT, ReadDoc, TextEncoding, Value,
};

use crate::text::actor::Actor;
use crate::text::change::ChangeHash;
use crate::text::diff::Splice;
use crate::text::error::TextError;
use crate::text::guard::{Facts, TEXT_COUNTER};

/// At so many places of a text an edit is tried: each takes some 20 µs.
const TRIED: usize = 32;

/// Where in the root object the text is.
const KEY: &str = "text";

/// A document with one text.
pub(super) struct Library {
    doc: Automerge,
    text: ObjId,
}

impl Library {
    /// The document of a new text, and its only change's hash.
    pub(super) fn genesis(actor: Actor, text: &str) -> Result<(Library, ChangeHash), TextError> {
        let mut doc = Automerge::new_with_encoding(TextEncoding::UnicodeCodePoint).with_actor(id(actor));
        let (object, hash) = commit(&mut doc, |tx| {
            let object = tx.put_object(ROOT, KEY, ObjType::Text)?;
            tx.splice_text(&object, 0, 0, text)?;
            Ok(object)
        })?;
        let hash = hash.ok_or(TextError::Discarded)?;
        Ok((Library { doc, text: object }, hash))
    }

    /// A document that was saved.
    pub(super) fn load(bytes: &[u8], genesis: Actor) -> Result<Library, TextError> {
        let options = LoadOptions::new().text_encoding(TextEncoding::UnicodeCodePoint);
        let doc = Automerge::load_with_options(bytes, options).map_err(|_| TextError::Damaged)?;
        match doc.get(ROOT, KEY) {
            Ok(Some((Value::Object(ObjType::Text), text))) => match &text {
                ObjId::Id(TEXT_COUNTER, actor, _) if *actor == id(genesis) => Ok(Library { doc, text }),
                _ => Err(TextError::Damaged),
            },
            _ => Err(TextError::Damaged),
        }
    }

    /// The document, in the library's own format.
    pub(super) fn save(&self) -> Vec<u8> {
        self.doc.save()
    }

    /// What all its changes say about themselves, each after what it builds on.
    pub(super) fn facts(&self) -> Result<Vec<Facts>, TextError> {
        let metas = self.doc.get_changes_meta(&[]).into_iter();
        let facts = metas.map(|meta| {
            Ok(Facts {
                hash: ChangeHash(meta.hash.0),
                deps: meta.deps.iter().map(|hash| ChangeHash(hash.0)).collect(),
                actor: actor(&meta.actor)?,
                seq: meta.seq,
                start_op: meta.start_op,
                ops: (meta.max_op + 1).saturating_sub(meta.start_op),
            })
        });
        facts.collect()
    }

    pub(super) fn heads(&self) -> Vec<ChangeHash> {
        let heads = self.doc.get_heads().into_iter();
        heads.map(|hash| ChangeHash(hash.0)).collect()
    }

    pub(super) fn text(&self) -> Result<String, TextError> {
        self.doc.text(&self.text).map_err(|_| TextError::Discarded)
    }

    /// The text at heads that the document holds.
    pub(super) fn text_at(&self, heads: &[ChangeHash]) -> Result<String, TextError> {
        let text = self.doc.text_at(&self.text, &hashes(heads));
        text.map_err(|_| TextError::Discarded)
    }

    /// The document as it was at heads that it holds.
    pub(super) fn fork(&self, heads: &[ChangeHash]) -> Result<Library, TextError> {
        let doc = self
            .doc
            .fork_at(&hashes(heads))
            .map_err(|_| TextError::Discarded)?;
        let text = self.text.clone();
        Ok(Library { doc, text })
    }

    /// Makes one change, at the newest heads; its bytes.
    pub(super) fn edit(
        &mut self,
        splices: &[Splice<'_>],
        actor: Actor,
    ) -> Result<Option<Vec<u8>>, TextError> {
        self.doc.set_actor(id(actor));
        let text = &self.text;
        let ((), hash) = commit(&mut self.doc, |tx| {
            // From the end, so that the places of the others stay what they are.
            for splice in splices.iter().rev() {
                put(tx, text, splice)?;
            }
            Ok(())
        })?;
        let Some(hash) = hash else {
            return Ok(None);
        };
        let change = self.doc.get_change_by_hash(&automerge::ChangeHash(hash.0));
        let change = change.ok_or(TextError::Discarded)?;
        Ok(Some(change.raw_bytes().to_vec()))
    }

    /// Inserts and deletes at both ends and at places in between, and takes that back.
    pub(super) fn try_edit(&mut self, actor: Actor) -> Result<(), TextError> {
        self.doc.set_actor(id(actor));
        let (doc, text) = (&mut self.doc, &self.text);
        let len = doc.length(text);
        let mut transaction = ManuallyDrop::new(doc.transaction());
        let mut work = || -> Result<(), AutomergeError> {
            transaction.splice_text(text, len, 0, "x")?;
            for place in (0..TRIED.min(len)).rev() {
                transaction.splice_text(text, place * len / TRIED, 1, "x")?;
            }
            Ok(())
        };
        let done = work();
        ManuallyDrop::into_inner(transaction).rollback();
        done.map_err(|_| TextError::Discarded)
    }

    /// Takes changes in, each of which is agreed to.
    pub(super) fn apply<'a>(&mut self, changes: impl Iterator<Item = &'a [u8]>) -> Result<(), TextError> {
        let changes = changes.map(automerge::Change::try_from);
        let changes = changes
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| TextError::Discarded)?;
        self.doc.apply_changes(changes).map_err(|_| TextError::Discarded)
    }
}

/// Applies one splice. What replaces characters stands behind the first of them: so whatever
/// somebody else put directly before them stays before it, and what directly behind, behind.
/// (The library would put it before them, as a neighbour of both.)
fn put(tx: &mut Transaction<'_>, text: &ObjId, splice: &Splice<'_>) -> Result<(), AutomergeError> {
    let (at, delete) = (splice.at, splice.delete as isize);
    if delete < 2 || splice.insert.is_empty() {
        return tx.splice_text(text, at, delete, splice.insert);
    }
    tx.splice_text(text, at + 1, 0, splice.insert)?;
    tx.splice_text(text, at, 1, "")?;
    let behind = at + splice.insert.chars().count();
    tx.splice_text(text, behind, delete - 1, "")
}

/// One change, of what `work` does.
fn commit<T>(
    doc: &mut Automerge,
    work: impl FnOnce(&mut Transaction<'_>) -> Result<T, AutomergeError>,
) -> Result<(T, Option<ChangeHash>), TextError> {
    let mut transaction = ManuallyDrop::new(doc.transaction());
    let done = work(&mut transaction);
    let transaction = ManuallyDrop::into_inner(transaction);
    match done {
        Ok(done) => {
            let (hash, _) = transaction.commit_with(CommitOptions::default().with_time(0));
            Ok((done, hash.map(|hash| ChangeHash(hash.0))))
        }
        Err(_) => {
            transaction.rollback();
            Err(TextError::Discarded)
        }
    }
}

fn id(actor: Actor) -> ActorId {
    ActorId::from(*actor.bytes())
}

fn actor(id: &ActorId) -> Result<Actor, TextError> {
    let bytes = id.to_bytes().try_into().map_err(|_| TextError::Damaged)?;
    Ok(Actor::from_bytes(bytes))
}

fn hashes(hashes: &[ChangeHash]) -> Vec<automerge::ChangeHash> {
    hashes.iter().map(|hash| automerge::ChangeHash(hash.0)).collect()
}
