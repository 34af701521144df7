//! Noticing that the vault's own files were deleted or replaced while it is open: the system goes
//! on taking writes to them, and even makes them durable, where nobody will ever find them.
//!
//! Guarantees: once it is noticed, no sync succeeds and no write is taken, until the vault is opened
//! again. What is in memory and in open files can be read on.

use super::{Problem, Vault};
use crate::core::StoreError;
use crate::db::{FILE, JOURNAL};

/// Called once, with what happened.
pub type OnGone = Box<dyn FnOnce(&StoreError) + Send>;

impl Vault {
    /// Has somebody told when the vault's files turn out to be gone.
    pub fn when_gone(&self, tell: OnGone) {
        *self.on_gone.lock() = Some(tell);
    }

    /// What was deleted, once it was noticed.
    pub fn gone(&self) -> Option<String> {
        self.gone.lock().clone()
    }

    /// Looks at the folder, the database and its journal: cheap, for each commit.
    ///
    /// # Errors
    /// [`StoreError::Gone`], from then on always.
    pub(super) fn still_there(&self) -> Result<(), StoreError> {
        self.look(Some(FILE))?;
        self.look(Some(JOURNAL))
    }

    /// Looks at every file that is open.
    ///
    /// # Errors
    /// [`StoreError::Gone`], from then on always.
    pub(super) fn all_there(&self) -> Result<(), StoreError> {
        self.look(None)
    }

    fn look(&self, file: Option<&str>) -> Result<(), StoreError> {
        self.refuse_if_gone()?;
        let Some(name) = self.core.disk.missing(file) else {
            return Ok(());
        };
        let what = match name.as_str() {
            "" => "the vault's folder".to_owned(),
            name => format!("the vault's file {name}"),
        };
        let error = StoreError::Gone { what: what.clone() };
        {
            let mut gone = self.gone.lock();
            if gone.is_some() {
                return Err(error);
            }
            *gone = Some(what);
        }
        self.met.lock().insert(0, Problem::new(None, error.to_string()));
        if let Some(tell) = self.on_gone.lock().take() {
            tell(&error);
        }
        Err(error)
    }

    /// Refuses everything once it was noticed.
    ///
    /// # Errors
    /// [`StoreError::Gone`].
    pub(super) fn refuse_if_gone(&self) -> Result<(), StoreError> {
        match &*self.gone.lock() {
            Some(what) => Err(StoreError::Gone { what: what.clone() }),
            None => Ok(()),
        }
    }
}
