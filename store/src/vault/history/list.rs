//! Listing versions.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Subject, VersionInfo};
use crate::core::StoreError;
use crate::event::Form;
use crate::ids::{ChainId, EntityId, Ino};
use crate::keys::Key;
use crate::record::{Kept, VersionRecord};
use crate::tree::TreeError;
use crate::vault::commit::Scope;
use crate::vault::inode::Inode;
use crate::vault::{OpError, Vault};

/// How often a file is looked for that saves go on replacing.
const TRIES: u32 = 16;

/// An entity whose history is asked for.
pub(super) struct Whose {
    pub(super) entity: EntityId,
    pub(super) key: Key,
}

impl VersionInfo {
    /// Its attributes changed.
    fn go_on(&mut self, record: &VersionRecord) {
        self.events.push(record.at);
        (self.modified, self.perm) = (record.modified, record.perm);
        self.held |= record.kept == Kept::All;
    }
}

/// How long a handle may take to be released that somebody has just closed.
const RELEASE: Duration = Duration::from_millis(100);

/// Waits a moment for who has a file open to write: if he has closed it by now, what he wrote is a version.
/// The kernel says so late, and of some files only then.
fn let_release(inode: &Inode) {
    let end = Instant::now() + RELEASE;
    let is_open = || {
        let state = inode.state.read();
        state.writers > 0 && state.untold
    };
    while is_open() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(1));
    }
}

impl Vault {
    /// All versions of a file, the oldest first, those saved just now included. What is being
    /// written while it is asked for is none yet.
    ///
    /// # Errors
    /// As [`OpError`] says; ENOENT if it is not known.
    pub fn versions(&self, of: Subject) -> Result<Vec<VersionInfo>, OpError> {
        self.versions_of(&self.whose_seen(of)?)
    }

    /// Of a file's versions those that nothing replaces and that it does not show: what somebody wrote
    /// beside what is shown, and that could not come together with it. The same on every device that
    /// has the same events, once what is shown is the newest.
    ///
    /// # Errors
    /// As [`Vault::versions`].
    pub fn versions_beside(&self, of: Subject) -> Result<Vec<VersionInfo>, OpError> {
        let whose = self.whose_seen(of)?;
        let shown = match of {
            Subject::Removed(node) => self
                .gone_row(node)?
                .ok_or(TreeError::NotFound)?
                .record
                .saw
                .clone(),
            _ => self.showing(of)?.state.read().named_by(),
        };
        let beside = self.not_shown(&whose.key, &whose.entity, &shown)?;
        let mut versions = self.versions_of(&whose)?;
        versions.retain(|version| version.events.iter().any(|at| beside.contains(at)));
        Ok(versions)
    }

    /// As [`Vault::versions`], but only what is recorded already: for who must wait for no commit.
    ///
    /// # Errors
    /// As [`Vault::versions`].
    pub fn recorded_versions(&self, of: Subject) -> Result<Vec<VersionInfo>, OpError> {
        self.versions_of(&self.whose_recorded(of)?)
    }

    fn versions_of(&self, whose: &Whose) -> Result<Vec<VersionInfo>, OpError> {
        let mut found: Vec<VersionInfo> = Vec::new();
        let mut failed = None;
        self.each_version(&whose.key, &whose.entity, &mut |_, record| match record {
            Ok(record) if record.kept != Kept::Key => {
                match found.last_mut().filter(|last| last.number == record.number) {
                    Some(last) => last.go_on(&record),
                    None => found.push(self.describe(record)),
                }
            }
            Ok(_) => {}
            // `check` names it; it keeps nobody from all others.
            Err(e) => failed = Some(e),
        })?;
        match failed {
            Some(e) if found.is_empty() => Err(e.into()),
            _ => Ok(found),
        }
    }

    /// What of a version is shown.
    pub(super) fn describe(&self, record: VersionRecord) -> VersionInfo {
        VersionInfo {
            number: record.number,
            events: vec![record.at],
            recorded: record.recorded,
            modified: record.modified,
            size: record.size,
            form: match record.form {
                2 => Form::Text,
                _ => Form::Blob,
            },
            kind: record.kind,
            perm: record.perm,
            device: self.device_of(record.at.chain),
            program: record.program,
            held: record.kept == Kept::All,
            parents: record.parents,
        }
    }

    pub(super) fn device_of(&self, chain: ChainId) -> String {
        self.device_named(&chain).unwrap_or_else(|| chain.to_string())
    }

    /// Whose history that is, once all that was saved is in it.
    pub(super) fn whose(&self, of: Subject) -> Result<Whose, OpError> {
        if !self.is_told(of)? {
            self.tell_saved()?;
        }
        self.whose_recorded(of)
    }

    /// The same for who only looks.
    fn whose_seen(&self, of: Subject) -> Result<Whose, OpError> {
        if !self.is_told(of)? {
            self.tell_if_room()?;
        }
        self.whose_recorded(of)
    }

    fn is_told(&self, of: Subject) -> Result<bool, OpError> {
        Ok(match of {
            Subject::File(_) | Subject::Entity { .. } => {
                let inode = self.showing(of)?;
                let_release(&inode);
                let mut state = inode.state.write();
                // While somebody writes, what was saved before that is told, and no more.
                let waits = state.writers == 0 || !state.drafts.is_empty();
                let is_told = !state.untold || !waits || state.meta.kind.is_local();
                // Whoever asks for a file's versions does not take it for one that is about to go.
                state.passing &= is_told;
                is_told
            }
            Subject::Removed(node) => self.gone_row(node)?.is_some(),
        })
    }

    /// Whose history that is, as far as it is recorded.
    pub(super) fn whose_recorded(&self, of: Subject) -> Result<Whose, OpError> {
        match of {
            Subject::File(_) | Subject::Entity { .. } => {
                for _ in 0..TRIES {
                    let inode = self.showing(of)?;
                    let state = inode.state.read();
                    let entity = state.binding.entity();
                    if state.content.is_none() {
                        return Err(OpError::Errno(libc::EINVAL));
                    }
                    // A save may have come in between.
                    if !matches!(of, Subject::Entity { entity: meant, .. } if meant != entity) {
                        let key = state.binding.key(inode.key()).duplicate();
                        return Ok(Whose { entity, key });
                    }
                }
                Err(OpError::Errno(libc::EBUSY))
            }
            Subject::Removed(node) => {
                let gone = self.gone_row(node)?.ok_or(TreeError::NotFound)?;
                let entity = gone.record.entity.ok_or(OpError::Errno(libc::EISDIR))?;
                let key = match &gone.record.key {
                    Some(key) => Key::take(&mut key.clone()),
                    None => self.key_of(entity)?.ok_or(TreeError::NotFound)?,
                };
                Ok(Whose { entity, key })
            }
        }
    }

    /// The file that is there and shows this.
    ///
    /// # Errors
    /// ENOENT if none does.
    pub fn shown_by(&self, of: Subject) -> Result<Ino, OpError> {
        Ok(self.showing(of)?.ino)
    }

    /// Whether somebody has a file open to write, or maps it: what was written may be on its way.
    pub fn is_being_written(&self, ino: Ino) -> bool {
        self.get(ino).is_ok_and(|inode| inode.state.read().writers > 0)
    }

    /// As [`Vault::shown_by`]; a moment later it may be another.
    pub(super) fn showing(&self, of: Subject) -> Result<Arc<Inode>, OpError> {
        let (entity, seen) = match of {
            Subject::File(ino) => return self.get(ino),
            Subject::Entity { entity, seen } => (entity, seen),
            Subject::Removed(_) => return Err(TreeError::NotFound.into()),
        };
        let shows = |inode: &Inode| {
            let state = inode.state.read();
            state.binding.entity() == entity && state.meta.nlink > 0
        };
        if let Some(inode) = self.resident(seen)?.filter(|inode| shows(inode)) {
            return Ok(inode);
        }
        for _ in 0..TRIES {
            let Some(ino) = self.living(entity)? else { break };
            if let Some(inode) = self.resident(ino)?.filter(|inode| shows(inode)) {
                return Ok(inode);
            }
        }
        Err(TreeError::NotFound.into())
    }

    /// Commits and tells what is at rest; half a save is left alone.
    pub(in crate::vault) fn tell_saved(&self) -> Result<(), StoreError> {
        self.commit_all(Scope::Timer)
    }

    /// The same for who only looks: on a full disk what is recorded is all there is to see, and whoever looks for what
    /// could go must see it.
    pub(in crate::vault) fn tell_if_room(&self) -> Result<(), StoreError> {
        match self.tell_saved() {
            Err(full) if matches!(full.errno(), libc::ENOSPC | libc::EDQUOT) => Ok(()),
            told => told,
        }
    }
}
