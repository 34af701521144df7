//! What other devices say, and giving it on.

use std::collections::HashSet;

use crate::core::StoreError;
use crate::members::{Inserted, Members, NAMED_MAX, NotVerified, Refused, StatementId, Verified};
use crate::vault::Vault;

/// Most names of statements by which somebody says what is here.
const HAVE_MAX: usize = 64;

/// What came of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakenStatement {
    /// It is here, durably.
    Taken,
    /// It was here, or waits in memory for what it stands on.
    Known,
}

/// Why a statement was not taken.
#[derive(Debug, thiserror::Error)]
pub enum TakeStatementError {
    /// It is not what its author signed.
    #[error(transparent)]
    NotVerified(#[from] NotVerified),
    /// It cannot be taken.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Vault {
    /// Takes in what a device has said of the space's devices.
    ///
    /// # Errors
    /// As [`TakeStatementError`] says.
    pub fn take_statement(&self, bytes: &[u8]) -> Result<TakenStatement, TakeStatementError> {
        self.take_statement_from(bytes, 0)
    }

    /// The same, of somebody who may go without sending what it stands on ([`forget_waiting_of`](Vault::forget_waiting_of)).
    ///
    /// # Errors
    /// As [`TakeStatementError`] says.
    pub fn take_statement_from(&self, bytes: &[u8], from: u64) -> Result<TakenStatement, TakeStatementError> {
        let said = Verified::decode(bytes)?;
        let learnt = {
            let _committer = self.committer.lock();
            let clock = self.clock()?;
            let mut devices = self.devices.write();
            match devices.members.insert_from(said, from)? {
                Inserted::Taken(_) => {}
                Inserted::Known | Inserted::Waits => return Ok(TakenStatement::Known),
            }
            self.keep_statements(&mut devices, &clock, false)?
        };
        if learnt {
            self.has_learnt();
        }
        Ok(TakenStatement::Taken)
    }

    /// Statements that somebody brought, and that wait in memory for what they stand on, are forgotten.
    pub fn forget_waiting_of(&self, from: u64) {
        self.devices.write().members.forget_waiting(from);
    }

    /// The newest statements, as far as they are named: [`NAMED_MAX`] at most, those that matter first if there are more.
    pub fn statement_heads(&self) -> Vec<StatementId> {
        self.with_members(|members| members.main_heads(NAMED_MAX))
    }

    /// Which of these are not here; and what is: the newest, and some of what they follow, farther and farther back.
    pub fn lacking_statements(&self, heads: &[StatementId]) -> (Vec<StatementId>, Vec<StatementId>) {
        self.with_members(|members| {
            let want = heads.iter().filter(|id| members.get(id).is_none()).copied();
            let mut have = members.main_heads(HAVE_MAX / 2);
            let all: Vec<StatementId> = members.iter().map(Verified::id).collect();
            let mut step = 1;
            while step <= all.len() && have.len() < HAVE_MAX {
                have.push(all[all.len() - step]);
                step *= 2;
            }
            let mut seen = HashSet::new();
            have.retain(|id| seen.insert(*id));
            (want.collect(), have)
        })
    }

    /// The statements `want` and all that they follow, without `have` and what those follow, in an order in which they can be taken in:
    /// from number `skip` on, together about `most` bytes, one at least if there is any. And whether there are more.
    pub fn statements(
        &self,
        want: &[StatementId],
        have: &[StatementId],
        skip: usize,
        most: usize,
    ) -> (Vec<Vec<u8>>, bool) {
        self.with_members(|members| {
            let had = with_ancestors(members, have);
            let wanted = with_ancestors(members, want);
            let (mut given, mut bytes) = (Vec::new(), 0);
            let lacking = |said: &&Verified| wanted.contains(&said.id()) && !had.contains(&said.id());
            for said in members.iter().filter(lacking).skip(skip) {
                let encoded = said.statement().encode();
                if bytes > 0 && bytes + encoded.len() > most {
                    return (given, true);
                }
                bytes += encoded.len();
                given.push(encoded);
            }
            (given, false)
        })
    }
}

/// These, as far as they are here, and all that they follow.
fn with_ancestors(members: &Members, of: &[StatementId]) -> HashSet<StatementId> {
    let mut found = HashSet::new();
    let mut open: Vec<StatementId> = of.to_vec();
    while let Some(id) = open.pop() {
        if let Some(said) = members.get(&id)
            && found.insert(id)
        {
            open.extend(&said.statement().parents);
        }
    }
    found
}
