//! What the head of an event may say, besides what its payload does: what every writer keeps to.
//!
//! Guarantees: it looks at nothing but the event and what this replaces, so that every device finds the same. Of what
//! only a newer program can read it says nothing.

use std::collections::HashMap;

use crate::core::StoreError;
use crate::event::{EventKind, EventRef, Head};
use crate::vault::Vault;

/// Whether a head says what one of its kind can, as far as it says so by itself.
fn is_lawful(head: &Head) -> bool {
    let mut replaces = head.replaces.clone();
    replaces.sort_unstable();
    let is_list = replaces.windows(2).all(|two| two[0] != two[1]) && replaces.iter().all(|at| at.seq > 0);
    match head.kind {
        EventKind::Version | EventKind::NodeGone => is_list,
        // What is new, or says all there is to say, replaces nothing.
        EventKind::Acknowledge => replaces.is_empty() && head.subject == [0; 16],
        EventKind::Create | EventKind::Node | EventKind::Setting => replaces.is_empty(),
        EventKind::Lapse | EventKind::Admit => replaces.is_empty(),
        EventKind::Other(_) => true,
    }
}

impl Vault {
    /// The same, and whether a version replaces such of its own entity alone. `now`: of the events that came with it,
    /// the entities that they may be versions of.
    pub(super) fn keeps_rules(
        &self,
        head: &Head,
        now: &HashMap<EventRef, Option<[u8; 16]>>,
    ) -> Result<bool, StoreError> {
        if !is_lawful(head) {
            return Ok(false);
        }
        if head.kind != EventKind::Version {
            return Ok(true);
        }
        for at in &head.replaces {
            let is_another = match now.get(at) {
                Some(entity) => *entity != Some(head.subject),
                None => self.core.is_of_another(*at, &head.subject)?,
            };
            if is_another {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
