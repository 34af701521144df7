//! What the index is told, as it comes: read and understood while the tables are still busy with what came before.
//!
//! Guarantees that it is handed on in its order, and that only some messages wait: whoever tells then waits, too.

use std::io::{self, BufReader};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use crate::said::{Tell, receive};

/// Messages that wait, at most; one has some 4 MiB if there is much to be told.
const WAITING: usize = 3;

/// The messages.
pub(super) struct Incoming(Receiver<io::Result<Tell>>);

/// What comes next.
pub(super) enum Next {
    Told(Tell),
    /// Nothing, for that long.
    Quiet,
    /// Nothing any more.
    End,
}

impl Incoming {
    pub(super) fn from(told: UnixStream) -> io::Result<Incoming> {
        let (hand, taken) = sync_channel(WAITING);
        let listen = move || {
            let mut from = BufReader::with_capacity(1 << 20, &told);
            while let Some(next) = receive::<Tell>(&mut from).transpose() {
                let is_last = next.is_err();
                if hand.send(next).is_err() || is_last {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("told".into()).spawn(listen)?;
        Ok(Incoming(taken))
    }

    /// Waits for the next message, at most this long, if it says how long.
    pub(super) fn next(&self, patience: Option<Duration>) -> io::Result<Next> {
        let next = match patience {
            Some(patience) => self.0.recv_timeout(patience),
            None => self.0.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match next {
            Ok(told) => told.map(Next::Told),
            Err(RecvTimeoutError::Timeout) => Ok(Next::Quiet),
            Err(RecvTimeoutError::Disconnected) => Ok(Next::End),
        }
    }
}
