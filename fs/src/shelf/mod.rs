//! The folder `.coffer` in the mount's root: the past of each file (`history`), tables of what files say (`tables`), saved
//! queries as folders (`views`) and searches as folders (`search`).
//!
//! A layer over the vault's file system: what has a number of the range in `nodes` is answered here, everything else is passed
//! on. Only `views` can hold anything real: files there are files of the vault's real folder `.coffer/views`, made when the first
//! one is saved, and are what they are everywhere else. Guarantees:
//!
//! - Nothing else here can be changed (EROFS). What is shown of folders is remembered by nobody ([`FileSystem::lasts`]).
//! - While there is no real `.coffer`, the root lists none: no program walks in unasked. Where there is one, it is listed, and
//!   lists only what is real in it, and of `views` the folders that the queries make; these hold symlinks alone, none of which leads
//!   back here. The rest is found by its name. So a walk finds each file once, and makes no table.
//! - Whoever may not enter the vault's root does not come in here: it is its owner's alone.
//! - Something real hides what is shown under its name.
//! - No request that serves files waits for an answer ([`crate::patience::LATER`]), and none waits for ever (`asking`).
//!
//! Without a [`Source`] there are `history` and `views` alone, and queries make no folders.
//!
//! Parts, each importing only those above it: `source` (what answers), `place`, `nodes` (numbers), `real` (what of it is real),
//! `entries` (names and links), `asking`, `answers` (queries and searches), `tables`, `history`, `finding` (what a name stands for),
//! `listing`, `content` (attributes and bytes), `changing` (where changes go), `route` (which request is for whom).

mod source;

mod place;

mod nodes;
mod real;

mod asking;
mod entries;

mod answers;
mod history;
mod tables;

mod changing;
mod content;
mod finding;
mod listing;
mod route;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use coffer_store::vault::Vault;
use parking_lot::Mutex;

use crate::types::{Handle, Ino, Time};
use crate::vaultfs::CofferFs;
use answers::Answers;
use content::Opened;
use history::History;
use listing::Listing;
use nodes::Nodes;
use real::Real;
pub use source::{Body, Source, SourceError, Target};
use tables::Tables;

/// The folder's name in the root.
pub const NAME: &[u8] = b".coffer";

/// How long an answer is waited for, if nothing else is said.
pub const LIMIT: Duration = Duration::from_secs(30);

/// Whether something real hides the history: a file called `.coffer`, or anything `history` in a folder of that name.
pub fn is_hidden(vault: &Arc<Vault>) -> bool {
    let real = Real(vault.clone());
    real.hides_all()
        || real
            .top()
            .is_some_and(|top| real.child(top, finding::HISTORY).is_some())
}

/// A vault's file system with the folder `.coffer` in it.
pub struct Shelf {
    inner: Arc<CofferFs>,
    real: Real,
    nodes: Nodes,
    history: History,
    /// Both are there if something answers.
    answers: Option<Answers>,
    tables: Option<Tables>,
    opened: Mutex<HashMap<Handle, Opened>>,
    handles: AtomicU64,
    listings: Mutex<Vec<(Ino, Listing)>>,
    /// What the real folders were last seen to hold, and since when.
    seen: Mutex<HashMap<Ino, (u64, Time)>>,
}

impl Shelf {
    /// Over this one, with what answers; an answer is waited for no longer than [`LIMIT`].
    pub fn new(inner: Arc<CofferFs>, source: Option<Arc<dyn Source>>) -> Shelf {
        Shelf::with_limit(inner, source, LIMIT)
    }

    /// The same with another limit.
    pub fn with_limit(inner: Arc<CofferFs>, source: Option<Arc<dyn Source>>, limit: Duration) -> Shelf {
        let answers = source
            .clone()
            .map(|source| Answers::new(inner.clone(), source, limit));
        Shelf {
            real: Real(inner.vault().clone()),
            nodes: Nodes::default(),
            history: History::new(inner.clone()),
            answers,
            tables: source.map(|source| Tables::new(source, limit)),
            inner,
            opened: Mutex::default(),
            handles: AtomicU64::new(1),
            listings: Mutex::default(),
            seen: Mutex::default(),
        }
    }

    /// How long nobody has asked for anything.
    pub fn idle(&self) -> Duration {
        self.inner.idle()
    }
}
