//! The document of a text: all its versions, and how to merge them. Hides Automerge.
//!
//! A document is derived, whole, from the events of its text: the first one's plain bytes
//! ([`Document::genesis`]) and the changes that the others carry ([`Document::apply`]), in
//! whatever order they come, as long as each comes after what it builds on. Two documents with
//! the same changes have the same text.
//!
//! Guarantees: what fails in the library, by an error or a panic, comes out as an error, and a
//! document that failed while it was changed is discarded: it says [`TextError::Discarded`] from
//! then on. A change that is refused, or comes too early, leaves the document as it was.

mod graph;
mod library;

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::actor::{Actor, Maker};
use super::change::{Change, ChangeHash, Heads};
use super::diff;
use super::error::TextError;
use super::guard::{self, COUNTER_MAX, OPS_MAX};
use super::names::TEXT_MAX;
use crate::ids::{ChainId, EventRef};
use graph::Graph;
use library::Library;

/// The steps from an old text to a new one.
pub(crate) type Split = for<'a> fn(&str, &'a str) -> Vec<diff::Splice<'a>>;

/// A text, with its past.
pub struct Document {
    event: EventRef,
    genesis: Actor,
    first: ChangeHash,
    /// None once it was discarded.
    state: Option<State>,
}

struct State {
    library: Library,
    graph: Graph,
    /// A document as an editor has it that saves at older heads: it saves there again.
    side: Option<Library>,
}

impl Document {
    /// The document of a text whose first version, these bytes, came with this event. Any two
    /// devices make the same; `store/tests/vectors/text_v1.txt` pins it.
    ///
    /// # Errors
    /// [`TextError::NotText`] if it is empty or longer than [`TEXT_MAX`] bytes.
    pub fn genesis(event: EventRef, text: &str) -> Result<Document, TextError> {
        if text.is_empty() {
            return Err(TextError::NotText("it is empty"));
        }
        if text.len() > TEXT_MAX {
            return Err(TextError::NotText("it is too large"));
        }
        let genesis = Actor::of_genesis(event);
        let (state, first) = caught(|| {
            let (library, first) = Library::genesis(genesis, text)?;
            Ok((State::of(library)?, first))
        })?;
        Ok(Document {
            event,
            genesis,
            first,
            state: Some(state),
        })
    }

    /// A document that [`save`](Self::save) wrote, of the text that began with this event.
    ///
    /// # Errors
    /// [`TextError::Damaged`] for anything else.
    pub fn load(event: EventRef, bytes: &[u8]) -> Result<Document, TextError> {
        let genesis = Actor::of_genesis(event);
        let loaded = caught(|| {
            let state = State::of(Library::load(bytes, genesis)?)?;
            let first = state.graph.first(genesis).ok_or(TextError::Damaged)?;
            Ok((state, first))
        });
        let (state, first) = loaded.map_err(|_| TextError::Damaged)?;
        Ok(Document {
            event,
            genesis,
            first,
            state: Some(state),
        })
    }

    /// The document's bytes, for [`load`](Self::load) on this device: compressed, without what
    /// only this process knows. Never to be read from a peer: its changes are, one by one.
    ///
    /// # Errors
    /// [`TextError::Discarded`].
    pub fn save(&self) -> Result<Vec<u8>, TextError> {
        self.look(|state| Ok(state.library.save()))
    }

    /// The name of the genesis change, which the first change event carries: a device that
    /// derives another must not go on.
    pub fn first(&self) -> ChangeHash {
        self.first
    }

    /// The newest version.
    ///
    /// # Errors
    /// [`TextError::Discarded`].
    pub fn heads(&self) -> Result<Heads, TextError> {
        self.look(|state| Ok(state.library.heads().into_iter().collect()))
    }

    /// The text of the newest version.
    ///
    /// # Errors
    /// [`TextError::Discarded`].
    pub fn text(&self) -> Result<String, TextError> {
        self.look(|state| state.library.text())
    }

    /// The text of a version.
    ///
    /// # Errors
    /// [`TextError::Missing`] if a change of it is not here; [`TextError::NoVersion`];
    /// [`TextError::Discarded`].
    pub fn text_at(&self, heads: &Heads) -> Result<String, TextError> {
        self.look(|state| {
            state.graph.version(heads.as_slice())?;
            state.library.text_at(heads.as_slice())
        })
    }

    /// Whether a change is in here.
    pub fn has(&self, change: &ChangeHash) -> bool {
        let state = self.state.as_ref();
        state.is_some_and(|state| state.graph.has(change))
    }

    /// Whether all of a version is in another: the same, or one that came after it.
    pub fn includes(&self, version: &Heads, other: &Heads) -> bool {
        let state = self.state.as_ref();
        state.is_some_and(|state| {
            let mut changes = other.as_slice().iter();
            changes.all(|change| state.graph.covers(version.as_slice(), change))
        })
    }

    /// Characters that were ever inserted or deleted, and the text itself: what it takes of memory goes
    /// with that.
    pub fn ops(&self) -> u64 {
        self.state.as_ref().map_or(0, |state| state.graph.ops())
    }

    /// Whether an edit of the newest version works: it is tried, and taken back.
    ///
    /// # Errors
    /// [`TextError::Discarded`] if it does not.
    pub fn try_edit(&mut self) -> Result<(), TextError> {
        let began = self.event;
        self.change(|state| state.library.try_edit(Actor::of_edit(began.chain, began.seq)))
    }

    /// The same version by its newest changes alone: none of them builds on another.
    pub fn newest_of(&self, heads: Heads) -> Heads {
        match &self.state {
            Some(state) if heads.as_slice().len() > 1 => {
                state.graph.newest(heads.as_slice()).into_iter().collect()
            }
            _ => heads,
        }
    }

    /// Turns what an editor saved into a change, which an event of `chain` will carry: the
    /// difference between the version that it had, `base`, and `new`, applied at that version. None
    /// if there is no difference. The document then has the change; [`text`](Self::text) is the
    /// merge. A change at older heads takes the number `serial`, which must be random, for its
    /// actor, and the event carries it: see [`Change::maker`].
    ///
    /// # Errors
    /// [`TextError::Missing`] if a change of `base` is not here; [`TextError::NoVersion`];
    /// [`TextError::NotText`] if `new` is longer than [`TEXT_MAX`] bytes; [`TextError::Full`];
    /// [`TextError::Discarded`].
    pub fn edit(
        &mut self,
        base: &Heads,
        new: &str,
        chain: ChainId,
        serial: u64,
    ) -> Result<Option<Change>, TextError> {
        if new.len() > TEXT_MAX {
            return Err(TextError::NotText("it is too large"));
        }
        let began = self.event;
        self.change(|state| state.edit(base, new, (chain, serial), began))
    }

    /// Makes the change that carries a version over, of a text that was begun anew as this one: `new` is
    /// what this text's version `base` comes to with it. It follows from these alone, so that whoever
    /// carries it over makes the same, by the same actor; a program that makes another does so by another actor, and
    /// both are taken. None if there is no difference.
    ///
    /// # Errors
    /// As [`edit`](Self::edit).
    pub fn carry(&mut self, base: &Heads, new: &str, of: EventRef) -> Result<Option<Change>, TextError> {
        self.carry_as(base, new, of, diff::splices)
    }

    /// The same, by other steps from the one text to the other.
    pub(crate) fn carry_as(
        &mut self,
        base: &Heads,
        new: &str,
        of: EventRef,
        split: Split,
    ) -> Result<Option<Change>, TextError> {
        if new.len() > TEXT_MAX {
            return Err(TextError::NotText("it is too large"));
        }
        let began = self.event;
        self.change(|state| state.carry(base, new, (of, began), split))
    }

    /// Takes in changes of other devices, in whatever order; those that are here already are
    /// passed over. All of them or, if there is an error, none.
    ///
    /// # Errors
    /// [`TextError::Missing`] if one builds on a change that is neither here nor among them;
    /// [`TextError::Refused`] if one contradicts what is here; [`TextError::Discarded`].
    pub fn apply(&mut self, changes: &[Change]) -> Result<(), TextError> {
        if let Some(change) = changes.iter().find(|change| change.genesis() != self.genesis) {
            let (change, why) = (change.hash(), "it is of another text");
            return Err(TextError::Refused { change, why });
        }
        self.change(|state| state.apply(changes))
    }

    /// Reads the document. A panic changes nothing here.
    fn look<T>(&self, work: impl FnOnce(&State) -> Result<T, TextError>) -> Result<T, TextError> {
        let state = self.state.as_ref().ok_or(TextError::Discarded)?;
        caught(|| work(state))
    }

    /// Changes the document, which is discarded if that fails half-way.
    fn change<T>(&mut self, work: impl FnOnce(&mut State) -> Result<T, TextError>) -> Result<T, TextError> {
        let state = self.state.as_mut().ok_or(TextError::Discarded)?;
        let done = caught(|| work(state));
        if matches!(done, Err(TextError::Discarded)) {
            // Dropping what is broken must not fail either.
            let broken = self.state.take();
            let _ = caught(|| {
                drop(broken);
                Ok(())
            });
        }
        done
    }
}

impl State {
    fn of(library: Library) -> Result<State, TextError> {
        let mut graph = Graph::default();
        for facts in library.facts()? {
            graph.add(&facts);
        }
        Ok(State {
            library,
            graph,
            side: None,
        })
    }

    fn edit(
        &mut self,
        base: &Heads,
        new: &str,
        (chain, serial): (ChainId, u64),
        began: EventRef,
    ) -> Result<Option<Change>, TextError> {
        self.graph.version(base.as_slice())?;
        if self.graph.max_op(base.as_slice()) + OPS_MAX > COUNTER_MAX {
            return Err(TextError::Full);
        }
        let newest: Heads = self.library.heads().into_iter().collect();
        let serial = (*base != newest).then_some(serial);
        let maker = Maker {
            chain,
            serial,
            carries: false,
        };
        let checked = |bytes: Option<Vec<u8>>| match bytes {
            // What does not pass here is not ours, nor would it pass anywhere.
            Some(bytes) => Change::check(bytes, maker, began)
                .map(Some)
                .map_err(|_| TextError::Discarded),
            None => Ok(None),
        };
        if *base == newest {
            let old = self.library.text()?;
            let splices = diff::splices(&old, new);
            let change = checked(self.library.edit(&splices, Actor::of(maker, &[]))?)?;
            if let Some(change) = &change {
                self.agreed(change)?;
                self.side = None;
            }
            return Ok(change);
        }
        let mut side = match self.side.take() {
            Some(side) if side.heads().into_iter().collect::<Heads>() == *base => side,
            _ => self.library.fork(base.as_slice())?,
        };
        let old = side.text()?;
        let splices = diff::splices(&old, new);
        let change = checked(side.edit(&splices, Actor::of(maker, &[]))?)?;
        if let Some(change) = &change {
            self.agreed(change)?;
            self.library.apply(std::iter::once(change.bytes()))?;
        }
        self.side = Some(side);
        Ok(change)
    }

    fn carry(
        &mut self,
        base: &Heads,
        new: &str,
        (of, began): (EventRef, EventRef),
        split: Split,
    ) -> Result<Option<Change>, TextError> {
        self.graph.version(base.as_slice())?;
        if self.graph.max_op(base.as_slice()) + OPS_MAX > COUNTER_MAX {
            return Err(TextError::Full);
        }
        let maker = Maker::carried(of);
        // Whatever else this document has.
        let mut side = self.library.fork(base.as_slice())?;
        let old = side.text()?;
        // By nobody, until it is known what it is: its actor follows from that.
        let Some(bytes) = side.edit(&split(&old, new), Actor::of(maker, &[]))? else {
            return Ok(None);
        };
        let packed = guard::pack(&bytes).map_err(|_| TextError::Discarded)?;
        let change = Change::open(&packed, maker, began).map_err(|_| TextError::Discarded)?;
        if !self.graph.has(&change.hash()) {
            self.agreed(&change)?;
            self.library.apply(std::iter::once(change.bytes()))?;
            self.side = None;
        }
        Ok(Some(change))
    }

    /// Adds a change of our own, which must be one that others take.
    fn agreed(&mut self, change: &Change) -> Result<(), TextError> {
        self.graph
            .agree(change.facts())
            .map_err(|_| TextError::Discarded)?;
        self.graph.add(change.facts());
        Ok(())
    }

    fn apply(&mut self, changes: &[Change]) -> Result<(), TextError> {
        let new = changes.iter().filter(|change| !self.graph.has(&change.hash()));
        let mut new: Vec<&Change> = new.collect();
        // A change that is agreed to has a higher counter than what it builds on: so this is an
        // order in which each comes after those.
        new.sort_by_key(|change| (change.facts().start_op, change.hash()));
        new.dedup_by_key(|change| change.hash());
        for (i, change) in new.iter().enumerate() {
            if let Err(error) = self.graph.agree(change.facts()) {
                for added in new[..i].iter().rev() {
                    self.graph.remove(&added.hash());
                }
                return Err(error);
            }
            self.graph.add(change.facts());
        }
        if new.is_empty() {
            return Ok(());
        }
        self.library.apply(new.iter().map(|change| change.bytes()))
    }
}

/// Does what may panic in the library.
fn caught<T>(work: impl FnOnce() -> Result<T, TextError>) -> Result<T, TextError> {
    // What a panic leaves half-done is discarded by whoever lent it.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(TextError::Discarded))
}
