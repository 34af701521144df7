//! Any bytes as a batch of events: with a row before them, after its length in a byte; and with the row
//! that a member would sign for them, who may put in a batch what she likes. What is believed is a chain,
//! event by event, and nothing besides.
#![no_main]

use coffer_fuzz::fuzz_target;
use coffer_store::chunk::Place;
use coffer_store::event::{BatchRow, BatchWriter, Unverified};
use coffer_store::keys::{Key, SigningKey, labels};
use coffer_store::testing;

/// The row that fits these bytes, signed; none if they are no batch.
fn signed(bytes: &[u8], device: &SigningKey) -> Option<BatchRow> {
    let (header, events) = testing::events(bytes)?;
    // No device signs a batch in which times go back.
    if !events.is_sorted_by(|(one, _), (next, _)| one.head.lamport < next.head.lamport) {
        return None;
    }
    let (last, _) = events.last()?;
    let head = last.hash();
    Some(BatchRow {
        place: Place {
            pack: 1,
            offset: 45,
            len: bytes.len() as u32,
        },
        chain: header.chain,
        first: header.first,
        count: events.len() as u32,
        head,
        signature: device.sign(
            labels::SIGN_HEAD,
            &BatchRow::signed(header.chain, last.head.at.seq, &head),
        ),
        holes: testing::holes(bytes)?.0,
    })
}

/// Whether a batch is believed; and if it is, it says what it was signed for.
fn lawful(row: &BatchRow, bytes: &[u8], device: &SigningKey) -> bool {
    let Ok(events) = (Unverified { row, bytes }).verify(&device.verifying()) else {
        return false;
    };
    let (header, _) = testing::events(bytes).expect("what is believed can be read");
    let (mut made, mut head) = (BatchWriter::new(header), header.prev);
    for (event, seq) in events.iter().map(|verified| verified.event()).zip(row.first..) {
        let place = (event.head.at.chain, event.head.at.seq, event.head.prev);
        assert_eq!(place, (row.chain, seq, head));
        head = event.hash();
        made.push(event);
    }
    assert!(
        head == row.head && made.bytes() == bytes,
        "a batch is believed that says something else"
    );
    true
}

fuzz_target!(|bytes: &[u8]| {
    // The device of the frozen batch.
    let device = SigningKey::from_seed(Key::take(&mut std::array::from_fn(|i| 0xb0 + i as u8)));
    if let Some(row) = signed(bytes, &device) {
        // Unless no number is left for the next event.
        let believed = lawful(&row, bytes, &device);
        assert!(believed || row.last().is_err(), "a lawful batch is not believed");
    }
    if let Some((len, rest)) = bytes.split_first()
        && let Some((row, bytes)) = rest.split_at_checked(usize::from(*len))
        && let Ok(row) = BatchRow::decode(row)
    {
        lawful(&row, bytes, &device);
    }
});
