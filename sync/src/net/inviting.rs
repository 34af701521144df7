//! The inviter's end of a pairing, over a stream with a guest.
//!
//! Guarantees: a guest holds this task and its stream for 40 seconds at most, and one piece of bytes at a time; the vault is asked on its
//! own thread, and the one place where a device is added is here.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::Stream;
use parking_lot::Mutex;
use zeroize::Zeroizing;

use super::store::Desk;
use crate::pairing::{InviterStep, Inviting, PairError, Seeds, Tickets};

/// How often whoever waits for a turn asks again.
const TURN: std::time::Duration = std::time::Duration::from_millis(250);
/// The longest piece that is read at a time.
const PIECE: usize = 4 << 10;
/// How long all of it may take.
const MOST: Duration = Duration::from_secs(38);

/// How long the last word has to arrive.
const LAST: Duration = Duration::from_secs(1);

/// Seconds since 1970.
pub(super) fn seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// Speaks with a guest until the device has joined, or the conversation ended.
///
/// # Errors
/// A sentence, where a person should know.
pub(super) async fn converse(
    stream: Stream,
    ours: [u8; 32],
    theirs: [u8; 32],
    tickets: Arc<Mutex<Tickets>>,
    desk: Desk,
) -> Result<(), String> {
    let talk = talk(stream, ours, theirs, tickets, desk);
    match tokio::time::timeout(MOST, talk).await {
        Ok(ended) => ended,
        Err(_) => Err(PairError::TooLate.to_string()),
    }
}

async fn talk(
    mut stream: Stream,
    ours: [u8; 32],
    theirs: [u8; 32],
    tickets: Arc<Mutex<Tickets>>,
    desk: Desk,
) -> Result<(), String> {
    // Whoever comes while others talk waits, as long as a guest may stay.
    let turn = loop {
        let turn = tickets.lock().turn(seconds());
        match turn {
            Ok(turn) => break turn,
            Err(_) => tokio::time::sleep(TURN).await,
        }
    };
    let begun = desk
        .call(move |replica| {
            let (device, space) = (replica.device(), replica.space());
            Inviting::begin(seconds(), turn, &device, space, ours, theirs, Seeds::random())
        })
        .await;
    let Some(mut inviting) = begun else {
        return Ok(());
    };
    let mut piece = vec![0; PIECE];
    let mut ended: Option<PairError> = None;
    loop {
        while let Some(step) = inviting.poll() {
            match step {
                InviterStep::Send(bytes) => {
                    let bytes = Zeroizing::new(bytes);
                    let wrote = async {
                        stream.write_all(&bytes).await?;
                        stream.flush().await
                    };
                    if wrote.await.is_err() {
                        return Ok(());
                    }
                }
                InviterStep::Admit(request) => {
                    // The one place where a device is added, and given what a member has.
                    let added = desk
                        .call(move |replica| {
                            let added = replica.admit(*request);
                            let told = added.and_then(|added| {
                                let mut told = Err(PairError::NotReady);
                                replica.with_members(&mut |members| {
                                    told = inviting.admitted(members, added);
                                });
                                told.map_err(|why| why.to_string())
                            });
                            (inviting, told)
                        })
                        .await;
                    let Some((back, told)) = added else {
                        return Ok(());
                    };
                    inviting = back;
                    told.map_err(|why| format!("a device could not be added: {why}"))?;
                }
                InviterStep::Confirmed(_) => {
                    let _ = stream.close().await;
                    return Ok(());
                }
            }
        }
        if let Some(why) = ended {
            // Closing the connection would cut the last word off: the other end closes first, or a second passes.
            let _ = stream.close().await;
            let gone = async { while matches!(stream.read(&mut piece).await, Ok(1..)) {} };
            let _ = tokio::time::timeout(LAST, gone).await;
            return Err(why.to_string());
        }
        let n = match stream.read(&mut piece).await {
            Ok(n @ 1..) => n,
            _ if inviting.admitted_device().is_some() => {
                return Err(
                    "a device was added, and left before it had said that it has its keys; it gets the rest when it is next there"
                        .into(),
                );
            }
            _ => return Ok(()),
        };
        let mut tickets = tickets.lock();
        ended = inviting.receive(seconds(), &piece[..n], &mut tickets).err();
    }
}
