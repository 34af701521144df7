//! The model as something to play on: remounting it does nothing, because it forgets nothing.

use super::Reference;
use crate::play::direct::Bench;
use std::sync::Arc;

/// The model, to be played on.
#[derive(Debug, Default)]
pub struct ReferenceBench(Arc<Reference>);

impl ReferenceBench {
    /// How many inodes are alive in it.
    pub fn inodes(&self) -> usize {
        self.0.inodes()
    }
}

impl Bench for ReferenceBench {
    type Fs = Reference;

    fn name(&self) -> String {
        "model".into()
    }

    fn fs(&self) -> Arc<Reference> {
        self.0.clone()
    }

    fn sync(&mut self) {}

    fn remount(&mut self) {}
}
