//! Devices that were added here and have not said that they have what a member has: a note of them, and taking them back.
//!
//! ```text
//! note = version 0 (1) ‖ for each: device (32) ‖ seconds since 1970 when it was added (8) ‖ minutes for which this device was there since (4)
//! ```
//!
//! Guarantees: the note is durable before the device is added, and stays until the device has said that it has all, is heard of, or is no
//! member: so wherever either side ends, there is a device, or soon none. Who has said anything as a device of the vault is never taken
//! back, nor who may have made a vault and had no chance to be heard of: a day, of which this one was there for an hour.

use coffer_store::codec::{Malformed, Reader, Writer};
use coffer_store::members::{DeviceId, Members};

use crate::replica::Replica;

/// Seconds until one that is not heard of is taken back.
pub(super) const WAIT: u64 = 24 * 3_600;
/// Minutes of these in which this device must have been there to be called.
pub(super) const THERE: u32 = 60;
/// Most that are noted; of more, the oldest are left to a person.
const MOST: usize = 256;
const VERSION: u8 = 0;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Guest {
    device: DeviceId,
    since: u64,
    there: u32,
}

fn decode(note: &[u8]) -> Result<Vec<Guest>, Malformed> {
    let mut r = Reader::new(note);
    if note.is_empty() {
        return Ok(Vec::new());
    }
    if r.u8()? != VERSION {
        return Err(Malformed("a note of another version"));
    }
    let mut all = Vec::new();
    while r.remaining() > 0 && all.len() < MOST {
        all.push(Guest {
            device: DeviceId(r.array()?),
            since: r.u64()?,
            there: r.u32()?,
        });
    }
    r.end()?;
    Ok(all)
}

fn encode(all: &[Guest]) -> Vec<u8> {
    let mut w = Writer::new();
    w.u8(VERSION);
    for guest in &all[all.len().saturating_sub(MOST)..] {
        w.raw(&guest.device.0).raw(&guest.since.to_le_bytes());
        w.raw(&guest.there.to_le_bytes());
    }
    w.0
}

/// A note that cannot be read is none: who it was of is left to a person.
fn noted(replica: &dyn Replica) -> Vec<Guest> {
    decode(&replica.unfinished()).unwrap_or_default()
}

fn note(replica: &dyn Replica, all: &[Guest]) -> Result<(), String> {
    replica.note_unfinished(&encode(all))
}

/// This device is about to be added.
pub(super) fn begins(replica: &dyn Replica, device: DeviceId, now: u64) -> Result<(), String> {
    let mut all = noted(replica);
    all.retain(|guest| guest.device != device);
    all.push(Guest {
        device,
        since: now,
        there: 0,
    });
    note(replica, &all)
}

/// It has all that a member has, or was not added.
pub(super) fn is_done(replica: &dyn Replica, device: &DeviceId) {
    let mut all = noted(replica);
    let before = all.len();
    all.retain(|guest| guest.device != *device);
    if all.len() < before {
        // If this fails, it is heard of later.
        let _ = note(replica, &all);
    }
}

/// It has nothing, and never will: it is removed at once. What a person should know.
pub(super) fn gave_up(replica: &dyn Replica, device: DeviceId) -> String {
    let name = named(replica, &device);
    match replica.take_back(device) {
        Ok(()) => {
            is_done(replica, &device);
            format!(
                "“{name}” was added and could not keep what it was given, so it was removed again; it needs a new invitation"
            )
        }
        Err(why) => format!(
            "“{name}” was added and could not keep what it was given, but could not be removed again, which is tried later: {why}"
        ),
    }
}

fn named(replica: &dyn Replica, device: &DeviceId) -> String {
    let mut name = None;
    replica.with_members(&mut |members| {
        name = members.state().device(device).map(|known| known.name.to_string())
    });
    name.unwrap_or_else(|| "a device".into())
}

/// Whether it is a member, and whether anything was heard of it.
fn standing(members: &Members, device: &DeviceId) -> (bool, bool) {
    let spoke = members.iter().any(|said| said.statement().author == *device);
    (members.state().is_member(device), spoke)
}

/// Takes back those of which nothing was heard for long, and forgets those that are devices now. `passed`: so many minutes more this device was
/// there. What a person should know.
pub(super) fn tend(replica: &dyn Replica, now: u64, passed: u32) -> Vec<String> {
    let before = noted(replica);
    if before.is_empty() {
        return Vec::new();
    }
    let (mut left, mut said) = (Vec::new(), Vec::new());
    for mut guest in before.iter().copied() {
        let (mut is_member, mut spoke) = (false, false);
        replica.with_members(&mut |members| (is_member, spoke) = standing(members, &guest.device));
        if !is_member || spoke {
            continue;
        }
        guest.there = guest.there.saturating_add(passed).min(THERE);
        // A clock that was set back by years keeps nobody listed for so long.
        guest.since = guest.since.min(now);
        if now - guest.since < WAIT || guest.there < THERE {
            left.push(guest);
            continue;
        }
        let name = named(replica, &guest.device);
        match replica.take_back(guest.device) {
            Ok(()) => said.push(format!(
                "“{name}” was added and never heard of, so it was removed again; if it is to be one of this vault's devices, invite it anew"
            )),
            Err(why) => {
                said.push(format!("“{name}” was added and never heard of, and could not be removed again: {why}"));
                left.push(guest);
            }
        }
    }
    if left != before {
        // What is not noted is found again the next time.
        let _ = note(replica, &left);
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards the note: what was written is read; what was altered is no more than a note that is not there.
    #[test]
    fn a_note_is_read_as_it_was_written() {
        let guest = |n: u8| Guest {
            device: DeviceId([n; 32]),
            since: 1_800_000_000 + u64::from(n),
            there: u32::from(n),
        };
        let all: Vec<Guest> = (0..3).map(guest).collect();
        let bytes = encode(&all);
        assert_eq!(bytes.len(), 1 + 3 * 44);
        assert_eq!(decode(&bytes), Ok(all));
        assert_eq!(decode(&[]), Ok(Vec::new()));
        for at in 2..bytes.len() {
            assert!((at - 1) % 44 == 0 || decode(&bytes[..at]).is_err(), "cut at {at}");
        }
        assert!(decode(&[1]).is_err());
        let many: Vec<Guest> = (0..=255).chain(0..=9).map(guest).collect();
        let kept = decode(&encode(&many)).unwrap();
        assert_eq!((kept.len(), kept[0], kept[255]), (MOST, guest(10), guest(9)));
    }
}
