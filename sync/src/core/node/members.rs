//! Statements of membership: before anything else is asked of a peer, those that it has are taken in.
//!
//! They are opaque here: which are missing, and what they say, is the store's to know.

use std::sync::Arc;

use super::Node;
use crate::core::limits::{IDS_MAX, QUESTION, STATEMENT_MAX, STATEMENT_MIN, WASTE_MAX, times};
use crate::core::session::Members;
use crate::core::wire::Message;
use crate::core::{Ended, Report, Request, SessionId, StatementId, StatementOutcome};

/// Bytes of statements read at a time.
const READ: usize = 64 << 10;
/// Newest statements that a peer is asked for at a time.
const WANT: usize = IDS_MAX / 2;
/// What is said to be here.
const HAVE: usize = 64;

impl Node {
    /// A peer names its newest statements.
    pub(super) fn peer_heads(&mut self, id: SessionId, heads: Vec<StatementId>) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        if let Some(removal) = session.removal() {
            // What it has is of no interest any more.
            session.knows_removal |= heads.contains(&removal);
            return;
        }
        session.heads = heads;
        match (&mut session.looking, session.members) {
            (Some(again), _) => *again = true,
            // They are looked at when what comes has come.
            (None, Members::Coming { .. }) => {}
            (None, _) => self.look(id),
        }
    }

    fn look(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let heads = session.heads.clone();
        if heads.is_empty() {
            self.settled(id);
            return;
        }
        session.looking = Some(false);
        self.ask(Request::Lacking { session: id, heads });
    }

    pub(super) fn lacking(&mut self, id: SessionId, mut want: Vec<StatementId>, mut have: Vec<StatementId>) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let is_old = session.looking.take() == Some(true);
        session.look_at = None;
        if want.is_empty() {
            match is_old {
                true => self.look(id),
                false => self.settled(id),
            }
            return;
        }
        want.truncate(WANT);
        // They came, and some are still missing that were missing before.
        if session.withheld == want {
            let peer = session.peer;
            session.withheld.clear();
            // What a later program made comes as it is, and is looked at again when it names others.
            if !session.is_newer {
                // Perhaps its store could not: it is asked once more in a while.
                session.look_at = Some(self.ground.now + times::NOWHERE);
                self.report(Report::Withheld { peer });
            }
            self.settled(id);
            return;
        }
        have.truncate(HAVE);
        session.members = Members::Coming {
            open: (0, 0),
            all: false,
        };
        session.withheld.clone_from(&want);
        let said = session.say(&Message::WantStatements { want, have });
        self.or_end(id, said);
    }

    fn settled(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        session.members = Members::Settled;
        if session.is_ready() {
            self.is_ready(id);
        }
    }

    /// A piece of a statement, or that there are no more.
    pub(super) fn statement(
        &mut self,
        id: SessionId,
        total: u32,
        offset: u32,
        data: &[u8],
    ) -> Result<(), Ended> {
        let Some(session) = self.sessions.get_mut(&id) else {
            return Ok(());
        };
        let Members::Coming { open, all, .. } = &mut session.members else {
            return Err(Ended::Order("it sent statements that nobody asked for"));
        };
        if *all {
            return Err(Ended::Order(
                "it sent statements after it had said that there were no more",
            ));
        }
        if total == 0 {
            *all = true;
            self.perhaps_all(id);
            return Ok(());
        }
        let whole = session.statement.add(total, offset, data).map_err(Ended::Order)?;
        session.useful += data.len() as u64;
        if let Some(bytes) = whole {
            if bytes.len() < STATEMENT_MIN {
                return Err(Ended::Order("it sent a statement that is too short to be signed"));
            }
            *open = (open.0 + 1, open.1 + bytes.len() as u64);
            session.pending += bytes.len() as u64;
            session.gave_statements = true;
            self.ask(Request::TakeStatement { session: id, bytes });
        }
        Ok(())
    }

    pub(super) fn statement_taken(&mut self, id: SessionId, outcome: StatementOutcome) {
        if let Some(session) = self.sessions.get_mut(&id)
            && let Members::Coming { open, .. } = &mut session.members
        {
            open.0 = open.0.saturating_sub(1);
            if open.0 == 0 {
                session.pending = session.pending.saturating_sub(std::mem::take(&mut open.1));
            }
        }
        match outcome {
            StatementOutcome::Taken(heads) => {
                self.new_heads(heads);
                // Events may have waited for who is a member.
                self.try_aside();
            }
            StatementOutcome::Known => {}
            StatementOutcome::Failed(why) => {
                self.report(Report::StoreFailed(why));
                if let Some(session) = self.sessions.get_mut(&id) {
                    session.look_at = Some(self.ground.now + times::STORE);
                }
            }
            // Nothing is wrong with the session, nor with the events that it brings.
            StatementOutcome::Newer(why) => {
                if let Some(session) = self.sessions.get_mut(&id)
                    && !std::mem::replace(&mut session.is_newer, true)
                {
                    let peer = session.peer;
                    self.report(Report::Newer { peer, why });
                }
            }
            StatementOutcome::Forged(why) => return self.end(id, Ended::Forged(why)),
        }
        self.perhaps_all(id);
    }

    fn perhaps_all(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        if let Members::Coming {
            open: (0, _),
            all: true,
            ..
        } = session.members
        {
            session.members = Members::Silent;
            match session.look_at {
                // The store could not take some: it may in a while.
                Some(_) => session.withheld.clear(),
                None => self.look(id),
            }
        }
    }

    /// It is asked once more for what it did not give, or the store did not take, if it is time.
    pub(super) fn look_again(&mut self, id: SessionId) {
        let now = self.ground.now;
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let is_free = session.looking.is_none() && !matches!(session.members, Members::Coming { .. });
        if is_free && session.look_at.take_if(|at| *at <= now).is_some() {
            self.look(id);
        }
    }

    pub(super) fn new_heads(&mut self, heads: Vec<StatementId>) {
        if heads != self.ground.heads {
            self.ground.heads = heads;
            self.sessions
                .values_mut()
                .for_each(|session| session.heads_due = true);
        }
    }

    /// A peer wants statements.
    pub(super) fn statements_wanted(
        &mut self,
        id: SessionId,
        mut want: Vec<StatementId>,
        have: Vec<StatementId>,
    ) -> Result<(), Ended> {
        let now = self.ground.now;
        let Some(session) = self.sessions.get_mut(&id) else {
            return Ok(());
        };
        if let Some(removal) = session.removal() {
            // What was said after it is not for a device that was removed.
            want.retain(|id| *id == removal);
        }
        let giving = &mut session.giving;
        if giving.asked.is_some() || giving.is_over || !giving.queue.is_empty() {
            return Err(Ended::Order(
                "it asked for statements before it had got those that it had asked for",
            ));
        }
        giving.asked = Some((want, have, 0));
        session.waste(QUESTION as usize, now);
        Ok(())
    }

    /// Has the next statements read that a peer waits for.
    pub(super) fn serve_statements(&mut self, id: SessionId) {
        let now = self.ground.now;
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let is_patient = session.wasted(now) > WASTE_MAX;
        let giving = &mut session.giving;
        if giving.is_reading || !giving.queue.is_empty() || is_patient {
            return;
        }
        if let Some((want, have, skip)) = giving.asked.clone() {
            giving.is_reading = true;
            self.ask(Request::Statements {
                session: id,
                want,
                have,
                skip,
                most: READ,
            });
        }
    }

    pub(super) fn statements_read(&mut self, id: SessionId, statements: Vec<Arc<[u8]>>, more: bool) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let giving = &mut session.giving;
        giving.is_reading = false;
        if let Some((_, _, skip)) = &mut giving.asked {
            *skip += statements.len();
        }
        if !more || statements.is_empty() {
            giving.asked = None;
            giving.is_over = true;
        }
        let fits = |one: &Arc<[u8]>| (1..=STATEMENT_MAX).contains(&one.len());
        giving.queue.extend(statements.into_iter().filter(fits));
    }
}
