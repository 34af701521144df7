//! How large a text's changes, and its past, may be.
//!
//! A document takes some [`OP_BYTES`] of memory for each character that was ever inserted or deleted,
//! and for a moment three times that while it is loaded; how long its text is says little. So its
//! operations are counted.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::event::EVENT_MAX;
use crate::record::XATTRS_MAX;
use crate::text::{Split, one_step, splices};
use crate::vault::Vault;

/// Bytes of memory that an operation takes, about: 36 were measured where a text was rewritten again and again, 65
/// where it had only begun.
pub(super) const OP_BYTES: u64 = 64;

/// The longest change that an event carries, with all that can be beside it, in bytes.
const CHANGE_MAX: u64 = (EVENT_MAX - XATTRS_MAX - (64 << 10)) as u64;
/// Operations in a text's past beyond which the next version that is saved here begins the text anew:
/// three halves of what the longest text begins with.
const PAST_SOFT: u64 = 3 << 19;
/// The highest number of an operation that is taken from another device. A device that keeps to the
/// limit above ends below: there, and a text of the largest size rewritten. It is counted along
/// what a change builds on, so that every device refuses the same changes.
const PAST_HARD: u64 = PAST_SOFT + (2 << 20) + (1 << 19);
/// Operations that a document may come to by changes from other devices that do not build on each
/// other. Beyond, they wait.
const DOCUMENT_MAX: u64 = 8 << 20;

/// See the constants. Tests set others.
pub(super) struct Limits {
    change: AtomicU64,
    soft: AtomicU64,
    hard: AtomicU64,
    document: AtomicU64,
    coarse: AtomicBool,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            change: AtomicU64::new(CHANGE_MAX),
            soft: AtomicU64::new(PAST_SOFT),
            hard: AtomicU64::new(PAST_HARD),
            document: AtomicU64::new(DOCUMENT_MAX),
            coarse: AtomicBool::new(false),
        }
    }
}

impl Limits {
    /// Bytes of a change.
    pub(super) fn change(&self) -> usize {
        self.change.load(Ordering::Relaxed) as usize
    }

    /// Operations beyond which a text begins anew.
    pub(super) fn soft(&self) -> u64 {
        self.soft.load(Ordering::Relaxed)
    }

    /// The highest number of an operation.
    pub(super) fn hard(&self) -> u64 {
        self.hard.load(Ordering::Relaxed)
    }

    /// How a version that is carried over is divided into steps.
    pub(super) fn split(&self) -> Split {
        match self.coarse.load(Ordering::Relaxed) {
            true => one_step,
            false => splices,
        }
    }

    /// Operations of a document.
    pub(super) fn document(&self) -> u64 {
        self.document.load(Ordering::Relaxed)
    }
}

impl Vault {
    /// From now on, what is carried over is divided as a program might do it that has other tables of words. For tests.
    #[doc(hidden)]
    pub fn carry_otherwise(&self) {
        self.texts.limits.coarse.store(true, Ordering::Relaxed);
    }

    /// From now on, changes have so many bytes at most, a text's past so many operations before it
    /// begins anew, before changes are refused, and before they wait. For tests.
    #[doc(hidden)]
    pub fn limit_texts(&self, change: u64, soft: u64, hard: u64, document: u64) {
        let limits = &self.texts.limits;
        limits.change.store(change, Ordering::Relaxed);
        limits.soft.store(soft, Ordering::Relaxed);
        limits.hard.store(hard, Ordering::Relaxed);
        limits.document.store(document, Ordering::Relaxed);
    }
}
