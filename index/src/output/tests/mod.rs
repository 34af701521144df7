//! What each type becomes, and that all formats say the same.

mod all; // a result of all types
mod read; // formats read back
mod same; // all formats, one result
mod shapes; // tables, names, ends
mod types; // type by type

use super::{Format, Look, Writer};
use arrow_array::RecordBatch;

/// No terminal, all rows.
pub(super) const PLAIN: Look = Look {
    width: None,
    colour: false,
    rows: usize::MAX,
};

/// The batches in a format.
pub(super) fn bytes(format: Format, look: &Look, batches: &[RecordBatch]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Writer::new(format, &batches[0].schema(), look, &mut out).expect("begun");
    for batch in batches {
        writer.write(batch).expect("written");
    }
    let rows = writer.finish().expect("ended");
    assert_eq!(
        rows,
        batches.iter().map(|batch| batch.num_rows() as u64).sum::<u64>()
    );
    out
}

/// The same, as text.
pub(super) fn text(format: Format, look: &Look, batches: &[RecordBatch]) -> String {
    String::from_utf8(bytes(format, look, batches)).expect("text")
}
