//! The inviter's end of a pairing, over a stream with a guest.
//!
//! Guarantees: a guest without a ticket holds this task and its stream for 40 seconds at most, one with a ticket as long as something moves ([`Patience`]); both one piece of bytes at a time; the vault is asked on its
//! own thread, and the one place where a device is added is here; one that says that it cannot keep what it was given is removed again ([`gave_up`]).

use std::sync::Arc;
use std::time::Duration;

use coffer_store::members::JoinRequest;
use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::Stream;
use parking_lot::Mutex;
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use super::clock::seconds;
use super::gave_up;
use super::patience::Patience;
use super::store::Desk;
use crate::pairing::{InviterStep, Inviting, PairError, Seeds, Tickets};
use crate::replica::Replica;

/// How often whoever waits for a turn asks again.
const TURN: Duration = Duration::from_millis(250);
/// The longest piece that is read at a time.
const PIECE: usize = 4 << 10;
/// How long the last word has to arrive.
const LAST: Duration = Duration::from_secs(1);

/// What a person should know of a guest that was added and has not said that it has all.
const LEFT: &str = "a device was added, and left before it had said that it has its keys; if that machine has no vault, remove it with coffer device remove, and invite it anew";

/// Speaks with a guest until the device has joined, or the conversation ended. `proved` is called once the guest has shown
/// that it has the ticket: from then on it may take its time.
///
/// # Errors
/// A sentence, where a person should know.
pub(super) async fn converse(
    mut stream: Stream,
    ours: [u8; 32],
    theirs: [u8; 32],
    tickets: Arc<Mutex<Tickets>>,
    desk: Desk,
    proved: impl FnOnce(),
) -> Result<(), String> {
    let mut proved = Some(proved);
    let mut patience = Patience::new(Instant::now());
    // Whoever comes while others talk waits, as long as a guest may stay.
    let turn = loop {
        let turn = tickets.lock().turn(seconds());
        match turn {
            Ok(turn) => break turn,
            Err(_) if Instant::now() >= patience.until() => return Err(PairError::TooLate.to_string()),
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
                    for part in bytes.chunks(PIECE) {
                        match timeout_at(patience.until(), stream.write_all(part)).await {
                            Ok(Ok(())) => patience.wrote(Instant::now(), part.len()),
                            Ok(Err(_)) => return left(&inviting),
                            Err(_) => return slow(&inviting),
                        }
                    }
                    match timeout_at(patience.until(), stream.flush()).await {
                        Ok(Ok(())) => {}
                        Ok(Err(_)) => return left(&inviting),
                        Err(_) => return slow(&inviting),
                    }
                }
                InviterStep::Admit(request) => {
                    // The one place where a device is added, and given what a member has.
                    let added = desk
                        .call(move |replica| {
                            let told = admit(replica, *request, &mut inviting);
                            (inviting, told)
                        })
                        .await;
                    let Some((back, told)) = added else {
                        return Ok(());
                    };
                    inviting = back;
                    told.map_err(|why| format!("a device could not be added: {why}"))?;
                    patience.wrote(Instant::now(), 0);
                }
                InviterStep::Confirmed(_) => {
                    let _ = stream.close().await;
                    return Ok(());
                }
            }
        }
        if let (Some(PairError::GaveUp), Some(device)) = (ended, inviting.admitted_device()) {
            let _ = stream.close().await;
            let said = desk
                .call(move |replica| gave_up::take_back(replica, device))
                .await;
            return said.map_or(Ok(()), Err);
        }
        if let Some(why) = ended {
            // Closing the connection would cut the last word off: the other end closes first, or a second passes.
            let _ = stream.close().await;
            let gone = async { while matches!(stream.read(&mut piece).await, Ok(1..)) {} };
            let _ = tokio::time::timeout(LAST, gone).await;
            return Err(why.to_string());
        }
        let n = match timeout_at(patience.until(), stream.read(&mut piece)).await {
            Ok(Ok(n @ 1..)) => n,
            Ok(_) => return left(&inviting),
            Err(_) => return slow(&inviting),
        };
        let was_proved = inviting.is_proved();
        ended = inviting
            .receive(seconds(), &piece[..n], &mut tickets.lock())
            .err();
        match !was_proved && inviting.is_proved() {
            true => {
                patience.proved(Instant::now());
                proved.take().into_iter().for_each(|proved| proved());
            }
            false => patience.heard(Instant::now()),
        }
    }
}

/// Adds a device.
fn admit(replica: &dyn Replica, request: JoinRequest, inviting: &mut Inviting) -> Result<(), String> {
    let device = request.device;
    let added = replica.admit(request)?;
    let mut told = Err(PairError::NotReady);
    replica.with_members(&mut |members| told = inviting.admitted(members, added));
    // It is given nothing, and perhaps it said itself that it will not have it: nobody waits for it.
    told.map_err(|why| format!("{why}; {}", gave_up::take_back(replica, device)))
}

/// The guest has gone before the end.
fn left(inviting: &Inviting) -> Result<(), String> {
    match inviting.admitted_device() {
        Some(_) => Err(LEFT.into()),
        None => Ok(()),
    }
}

/// Nothing moves any more.
fn slow(inviting: &Inviting) -> Result<(), String> {
    left(inviting).and(Err(PairError::TooLate.to_string()))
}
