//! The database's file, and what it goes back to when a transaction fails.
//!
//! After a failed write or fdatasync nobody knows what of a transaction is on the disk,
//! and the system shows all of it as if it were: pages whose write-back failed count as
//! clean. A transaction that builds on such pages would be lost with them at the next
//! power cut, though its own fdatasync succeeds (Rebello et al., "Can Applications Recover
//! from fsync Failures?", 2020). The library never overwrites what its last transaction
//! needs, but for the first page of the file, which says which transaction that is. So
//! after a failure this page is put back as it was at the last fdatasync that succeeded,
//! and made durable, before anything is read again: the failed transaction has not been.
//!
//! Guarantees: between [`Anchored::fail`] and [`Anchored::restore`] nothing is written;
//! after it the file shows what was there when the mark was taken, and that is durable.
//! It never looks into a page.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::io::DiskFile;

/// The library's first page, in bytes.
const PAGE: usize = 4096;

/// See the module.
#[derive(Debug)]
pub(crate) struct Anchored {
    file: Arc<dyn DiskFile>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    durable: Mark,
    /// The first page as it is now.
    live: Vec<u8>,
    /// Something has failed.
    failed: bool,
}

/// The file as of an fdatasync that succeeded.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    page: Vec<u8>,
    /// In bytes.
    len: u64,
}

impl Anchored {
    /// A file in which nothing has failed yet.
    ///
    /// # Errors
    /// If its first page cannot be read.
    pub(crate) fn new(file: Arc<dyn DiskFile>) -> io::Result<Anchored> {
        let len = file.len()?;
        let mut page = vec![0; len.min(PAGE as u64) as usize];
        file.read_at(0, &mut page)?;
        let state = State {
            live: page.clone(),
            durable: Mark { page, len },
            failed: false,
        };
        Ok(Anchored {
            file,
            state: Mutex::new(state),
        })
    }

    /// Where a transaction that is about to begin can go back to.
    pub(crate) fn mark(&self) -> Mark {
        self.state.lock().durable.clone()
    }

    /// That transaction has failed: from now on nothing is written until [`Anchored::restore`].
    pub(crate) fn fail(&self, mark: Mark) {
        let mut state = self.state.lock();
        state.durable = mark;
        state.failed = true;
    }

    /// If something has failed: goes back. Nobody may use the file meanwhile.
    ///
    /// # Errors
    /// What the system says; then the file is as uncertain as before.
    pub(crate) fn restore(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        if !state.failed {
            return Ok(());
        }
        self.file.write_at(0, &state.durable.page)?;
        self.file.sync_data()?;
        // What was added to the file may not be there after a power cut; nothing needs it.
        if self.file.len()? > state.durable.len {
            self.file.set_len(state.durable.len)?;
        }
        state.live = state.durable.page.clone();
        state.failed = false;
        Ok(())
    }

    /// Refuses what would be written over an uncertain file.
    fn check(&self) -> io::Result<()> {
        match self.state.lock().failed {
            true => Err(io::Error::other("an earlier write failed")),
            false => Ok(()),
        }
    }

    fn noting<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if result.is_err() {
            self.state.lock().failed = true;
        }
        result
    }
}

impl redb::StorageBackend for Anchored {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_at(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check()?;
        self.noting(self.file.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.check()?;
        let len = self.file.len()?;
        self.noting(self.file.sync_data())?;
        let mut state = self.state.lock();
        let page = state.live.clone();
        state.durable = Mark { page, len };
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check()?;
        self.noting(self.file.write_at(offset, data))?;
        if offset < PAGE as u64 {
            let mut state = self.state.lock();
            let (from, to) = (offset as usize, PAGE.min(offset as usize + data.len()));
            if state.live.len() < to {
                state.live.resize(to, 0);
            }
            state.live[from..to].copy_from_slice(&data[..to - from]);
        }
        Ok(())
    }
}

/// The library wants to own its file.
#[derive(Debug)]
pub(crate) struct Shared(pub(crate) Arc<Anchored>);

impl redb::StorageBackend for Shared {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }
}
