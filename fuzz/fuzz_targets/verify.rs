//! Any bytes as a batch of events: with a row before them; with the row that a member would
//! sign for them, who may put in a batch what she likes; and made a chain first. What is
//! believed is a chain, event by event, and nothing besides.
#![no_main]

use coffer_fuzz::fuzz_target;
use coffer_store::chunk::Place;
use coffer_store::event::{BatchRow, Event, EventRef, Hole, Unverified};
use coffer_store::ids::ChainId;
use coffer_store::keys::{Key, SigningKey, labels};

/// Bytes of a row.
const ROW: usize = 1 + 16 + 16 + 8 + 4 + 32 + 32 + 64;

/// The events of a batch, as far as lengths tell them apart.
fn split(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut events = Vec::new();
    while let Some((len, rest)) = bytes.split_first_chunk() {
        let Some((event, rest)) = rest.split_at_checked(u32::from_le_bytes(*len) as usize) else {
            break;
        };
        events.push(event);
        bytes = rest;
    }
    events
}

/// The events of a batch, as a chain from the first on.
fn chained(bytes: &[u8]) -> Vec<u8> {
    let events = split(bytes)
        .into_iter()
        .filter_map(|event| Event::decode(event).ok());
    let mut made = Vec::new();
    let mut before: Option<(EventRef, [u8; 32])> = None;
    for mut event in events {
        if let Some((at, head)) = before {
            let seq = at.seq.wrapping_add(1);
            (event.head.at, event.head.prev) = (EventRef { seq, ..at }, head);
        }
        let bytes = event.encode();
        before = Some((event.head.at, event.hash()));
        made.extend((bytes.len() as u32).to_le_bytes());
        made.extend(bytes);
    }
    made
}

/// The row that fits these bytes best, signed.
fn signed(bytes: &[u8], device: &SigningKey) -> BatchRow {
    let events = split(bytes);
    let first = events.first().and_then(|event| Event::decode(event).ok());
    let last = events.last().and_then(|event| Event::decode(event).ok());
    let head = last.map_or([0; 32], |event| event.hash());
    let (chain, first, prev) = match first {
        Some(event) => (event.head.at.chain, event.head.at.seq, event.head.prev),
        None => (ChainId([0; 16]), 1, [0; 32]),
    };
    let count = events.len() as u32;
    let last = first.saturating_add(u64::from(count)).saturating_sub(1);
    BatchRow {
        place: Place {
            pack: 1,
            offset: 45,
            len: bytes.len() as u32,
        },
        chain,
        first,
        count,
        prev,
        head,
        signature: device.sign(labels::SIGN_HEAD, &BatchRow::signed(chain, last, &head)),
        holes: holes(&events),
    }
}

/// What the events lack, as a row has it.
fn holes(events: &[&[u8]]) -> Vec<Hole> {
    let (mut holes, mut end) = (Vec::<Hole>::new(), 0u32);
    for bytes in events {
        end = end.wrapping_add(4 + bytes.len() as u32);
        let Ok(event) = Event::decode(bytes) else { continue };
        let sealed = event.sealed.as_ref().map_or(0, |sealed| sealed.len() as u32);
        let key = event.wrapped.map_or(0, |key| key.len() as u32);
        let mut at = end.wrapping_sub(sealed + key);
        let mut lacks = |offset: u32, len: u32| match holes.last_mut() {
            Some(last) if last.offset.wrapping_add(last.len) == offset => last.len += len,
            _ => holes.push(Hole { offset, len }),
        };
        if event.head.wrapped.is_some() {
            if key == 0 {
                lacks(at, 72);
                end = end.wrapping_add(72);
            }
            at = at.wrapping_add(72);
        }
        if sealed == 0 {
            lacks(at, event.head.sealed.len);
            end = end.wrapping_add(event.head.sealed.len);
        }
    }
    holes
}

fn lawful(row: &BatchRow, bytes: &[u8], device: &SigningKey) {
    let Ok(events) = (Unverified { row, bytes }).verify(&device.verifying()) else {
        return;
    };
    let (mut made, mut head) = (Vec::new(), row.prev);
    for (event, seq) in events.iter().map(|verified| verified.event()).zip(row.first..) {
        let place = (event.head.at.chain, event.head.at.seq, event.head.prev);
        assert_eq!(place, (row.chain, seq, head));
        head = event.hash();
        let event = event.encode();
        made.extend((event.len() as u32).to_le_bytes());
        made.extend(event);
    }
    assert!(
        head == row.head && made == bytes,
        "a batch is believed that says something else"
    );
}

fuzz_target!(|bytes: &[u8]| {
    // The device of the frozen batch.
    let device = SigningKey::from_seed(Key::take(&mut std::array::from_fn(|i| 0xb0 + i as u8)));
    lawful(&signed(bytes, &device), bytes, &device);
    let chain = chained(bytes);
    lawful(&signed(&chain, &device), &chain, &device);
    if let Some((row, bytes)) = bytes.split_at_checked(ROW)
        && let Ok(row) = BatchRow::decode(row)
    {
        lawful(&row, bytes, &device);
    }
});
