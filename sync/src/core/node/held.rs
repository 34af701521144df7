//! Asking those who keep everything whether they hold chunks, so that they may be let go of here.

use coffer_store::ids::ChainId;

use super::Node;
use crate::core::limits::{IDS_MAX, QUESTIONS_MAX};
use crate::core::wire::Message;
use crate::core::{ChunkName, Ended, Policy, Report, SessionId};

impl Node {
    /// Asks those that keep everything and have all that `clock` says.
    pub(super) fn ask_held(&mut self, ids: &[ChunkName], clock: &[(ChainId, u64)]) -> bool {
        let ids = &ids[..ids.len().min(IDS_MAX)];
        if ids.is_empty() {
            return false;
        }
        self.serial = self.serial.wrapping_add(1);
        let (serial, mut said) = (self.serial, false);
        let mut ended = Vec::new();
        for session in self.sessions.values_mut() {
            let keeps = session
                .hello
                .is_some_and(|hello| hello.policy == Policy::Everything);
            // Who has much to read already is asked another time: that is not his fault.
            let is_busy = session.has_much_to_read();
            let is_there = clock.iter().all(|(chain, last)| session.has(chain) >= *last);
            if !keeps || !is_there || session.is_limited() || is_busy || session.asking.len() >= QUESTIONS_MAX
            {
                continue;
            }
            let ids = ids.to_vec();
            session.asking.insert(serial, ids.clone());
            match session.say(&Message::Ask { serial, ids }) {
                Ok(()) => said = true,
                Err(why) => ended.push((session.id, why)),
            }
        }
        for (id, why) in ended {
            self.end(id, why);
        }
        said
    }

    pub(super) fn held_there(&mut self, id: SessionId, serial: u32, bits: &[u8]) -> Result<(), Ended> {
        let Some(session) = self.sessions.get_mut(&id) else {
            return Ok(());
        };
        let Some(asked) = session.asking.remove(&serial) else {
            return Err(Ended::Order("it answered what nobody asked"));
        };
        if bits.len() != asked.len().div_ceil(8) {
            return Err(Ended::Order("its answer has another length than the question"));
        }
        if bits
            .last()
            .is_some_and(|last| u32::from(*last) >> ((asked.len() - 1) % 8 + 1) != 0)
        {
            return Err(Ended::Order("its answer says something of what nobody asked"));
        }
        let is_held = |n: usize| bits[n / 8] >> (n % 8) & 1 == 1;
        let (peer, all) = (session.peer, asked.into_iter().enumerate());
        let ids: Vec<ChunkName> = all.filter(|(n, _)| is_held(*n)).map(|(_, id)| id).collect();
        if !ids.is_empty() {
            self.report(Report::Held { peer, ids });
        }
        Ok(())
    }
}
