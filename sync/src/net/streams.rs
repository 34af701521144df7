//! The two tasks of a session's stream: one reads, one writes.
//!
//! Guarantees: the reader holds one piece of 64 KiB, and takes no more from the stream before that was taken over; the
//! writer holds what the protocol gave it, which the protocol bounds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::Stream;
use tokio::sync::mpsc;

use crate::core::SessionId;

/// The longest piece that is read at a time.
const PIECE: usize = 64 << 10;
/// Pieces of all sessions that wait to be taken over.
pub(super) const PIECES_MAX: usize = 32;
/// How long the last bytes of a session may take.
const LAST: Duration = Duration::from_secs(1);

/// What a stream's tasks say.
pub(super) enum Heard {
    Bytes(SessionId, Vec<u8>),
    /// The other end has ended, or it broke.
    Ended(SessionId),
}

/// What the writer says.
pub(super) enum Written {
    Bytes(SessionId, usize),
    /// It is done with the stream.
    Closed(SessionId),
}

/// Bytes that went through a stream.
#[derive(Default)]
pub(super) struct Meter {
    pub(super) came: AtomicU64,
    pub(super) went: AtomicU64,
}

/// The way to a session's stream. Dropped: the writer ends when it has written what it was given.
pub(super) struct Line {
    pub(super) out: mpsc::UnboundedSender<Vec<u8>>,
    pub(super) meter: Arc<Meter>,
    reader: tokio::task::AbortHandle,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Starts both.
pub(super) fn start(
    session: SessionId,
    stream: Stream,
    heard: mpsc::Sender<Heard>,
    written: mpsc::UnboundedSender<Written>,
) -> Line {
    let (mut from, mut to) = stream.split();
    let (out, mut queue) = mpsc::unbounded_channel::<Vec<u8>>();
    let meter = Arc::new(Meter::default());
    let read = meter.clone();
    let reader = tokio::spawn(async move {
        let mut piece = vec![0; PIECE];
        loop {
            let told = match from.read(&mut piece).await {
                Ok(n @ 1..) => {
                    read.came.fetch_add(n as u64, Relaxed);
                    heard.send(Heard::Bytes(session, piece[..n].to_vec())).await
                }
                _ => {
                    let _ = heard.send(Heard::Ended(session)).await;
                    return;
                }
            };
            if told.is_err() {
                return;
            }
        }
    });
    let wrote = meter.clone();
    tokio::spawn(async move {
        let mut works = true;
        while works && let Some(bytes) = queue.recv().await {
            let n = bytes.len();
            let is_last = queue.is_closed();
            let write = async {
                to.write_all(&bytes).await?;
                // What is small must not wait for more.
                if queue.is_empty() {
                    to.flush().await?;
                }
                std::io::Result::Ok(())
            };
            // When the session is over, its last bytes have a second: whoever does not read is not waited for.
            works = match is_last {
                true => matches!(tokio::time::timeout(LAST, write).await, Ok(Ok(()))),
                false => tokio::select! {
                    done = write => done.is_ok(),
                    () = written.closed() => false,
                },
            };
            if works {
                wrote.went.fetch_add(n as u64, Relaxed);
                let _ = written.send(Written::Bytes(session, n));
            }
        }
        if works {
            let _ = tokio::time::timeout(LAST, to.close()).await;
        }
        let _ = written.send(Written::Closed(session));
    });
    Line {
        out,
        meter,
        reader: reader.abort_handle(),
    }
}
