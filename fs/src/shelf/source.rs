//! What the shelf shows that is no file of the vault, behind a trait: tables, what queries return, what searches find.
//!
//! Nothing here names what keeps the index. What implements it is called on threads that may wait, never on those that serve
//! files, and may itself read the vault.

use std::sync::Arc;

/// What answers. Everything but [`Source::generation`] and [`Source::tables`] may take a while.
pub trait Source: Send + Sync + 'static {
    /// A number that grows when what is answered may have changed. Does not wait.
    fn generation(&self) -> u64;
    /// The names of the files in `tables`. Does not wait.
    fn tables(&self) -> Vec<String>;
    /// Makes one of them: all of it as of one moment.
    ///
    /// # Errors
    /// [`SourceError::TooLarge`] if it would take more than `most` bytes, before it does.
    fn table(&self, name: &str, most: u64) -> Result<Arc<dyn Body>, SourceError>;
    /// What a query returns: `name` is what its file is called, without `.sql`.
    ///
    /// # Errors
    /// What is wrong with the query, or with the index.
    fn view(&self, name: &str, sql: &str) -> Result<Vec<Target>, SourceError>;
    /// What a search finds, the best first.
    ///
    /// # Errors
    /// What is wrong with the words, or with the index.
    fn search(&self, words: &str) -> Result<Vec<Target>, SourceError>;
}

/// The bytes of a table, in memory: they never change.
pub trait Body: Send + Sync {
    /// How many.
    fn size(&self) -> u64;
    /// Appends up to `size` bytes from `offset` on to `out`; fewer only at the end.
    fn read(&self, offset: u64, size: usize, out: &mut Vec<u8>);
}

impl Body for Vec<u8> {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read(&self, offset: u64, size: usize, out: &mut Vec<u8>) {
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(self.len());
        let to = from.saturating_add(size).min(self.len());
        out.extend_from_slice(&self[from..to]);
    }
}

/// Something in the vault that is to be shown in a smart folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its path from the vault's root, with `/` between the names.
    pub path: Vec<u8>,
    /// What it is to be called there; `None`: as it is called.
    pub name: Option<Vec<u8>>,
}

/// Why there is no answer. What it says is shown to people as it is: one sentence that names the cause and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The question is wrong.
    #[error("{sentence}")]
    Refused {
        /// What is wrong with it.
        sentence: String,
        /// In which of its lines, counted from 1.
        line: Option<usize>,
    },
    /// A table would take more than it may.
    #[error("The table “{name}” is larger than the {} MiB that may be made at once; ask for less of it with “coffer sql”.", most >> 20)]
    TooLarge {
        /// The table.
        name: String,
        /// What it might have taken, in bytes.
        most: u64,
    },
    /// It cannot be answered now.
    #[error("{0}")]
    Unavailable(String),
}
