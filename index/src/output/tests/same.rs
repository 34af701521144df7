//! One result through all formats.

use super::super::cell::{Cell, cell};
use super::super::harmless::fit;
use super::super::json::{json, plain};
use super::all::batch;
use super::{Format, PLAIN, bytes, read, text};
use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::Field;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use std::sync::Arc;

fn batches(seed: u64) -> Vec<RecordBatch> {
    let mut rng = StdRng::seed_from_u64(seed);
    [17, 0, 5].map(|rows| batch(&mut rng, rows)).into()
}

/// What stands in each row and column, by a reading of the arrays.
fn cells<T>(batches: &[RecordBatch], of: impl Fn(&Field, &Cell<'_>) -> T) -> Vec<Vec<T>> {
    let mut rows = Vec::new();
    for batch in batches {
        let schema = batch.schema();
        for row in 0..batch.num_rows() {
            let columns = schema.fields().iter().zip(batch.columns());
            rows.push(
                columns
                    .map(|(field, array)| of(field, &cell(array.as_ref(), field, row)))
                    .collect(),
            );
        }
    }
    rows
}

fn as_json(cell: &Cell<'_>) -> String {
    let mut out = String::new();
    json(cell, &mut out);
    out
}

/// Guards that JSON, JSON Lines, CSV, Markdown and the table say the same of every type, value by value, be it none, empty,
/// or made to break out of its format.
#[test]
fn all_texts_say_the_same() {
    for seed in 0..40 {
        let batches = batches(seed);
        let array: Vec<Value> = serde_json::from_str(&text(Format::Json, &PLAIN, &batches)).expect("JSON");
        let lines = text(Format::JsonLines, &PLAIN, &batches);
        let lines: Vec<Value> = lines
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        assert_eq!(array, lines);
        let mut csv = read::csv(&text(Format::Csv, &PLAIN, &batches));
        let mut markdown = read::markdown(&text(Format::Markdown, &PLAIN, &batches));
        let (mut table, footer) = read::table(&text(Format::Table, &PLAIN, &batches));
        assert_eq!(footer, "22 rows");
        let heads = markdown.remove(0);
        assert_eq!(csv.remove(0).into_iter().flatten().collect::<Vec<_>>(), heads);
        assert_eq!(table.remove(0), heads);
        assert_eq!(
            (array.len(), csv.len(), markdown.len(), table.len()),
            (22, 22, 22, 22)
        );

        for (row, expected) in cells(&batches, |_, cell| said(cell)).into_iter().enumerate() {
            assert_eq!(expected.len(), heads.len());
            let object = array[row].as_object().expect("an object");
            for (column, (head, said)) in heads.iter().zip(expected).enumerate() {
                let at = format!("{head}, row {row}, seed {seed}");
                assert_eq!(object[head], said.json, "JSON: {at}");
                assert_eq!(csv[row][column], said.text, "CSV: {at}");
                let shown = said.text.clone().unwrap_or_default();
                let lines: Vec<String> = shown
                    .split('\n')
                    .map(|line| fit(line.strip_suffix('\r').unwrap_or(line), usize::MAX).text)
                    .collect();
                assert_eq!(markdown[row][column], lines.join("\n"), "Markdown: {at}");
                let shown = said
                    .text
                    .map_or("NULL".to_owned(), |text| fit(&text, usize::MAX).text);
                // Its data has no such line in it.
                assert_eq!(table[row][column], shown.trim(), "table: {at}");
            }
        }
    }
}

struct Said {
    json: Value,
    text: Option<String>,
}

fn said(cell: &Cell<'_>) -> Said {
    Said {
        json: serde_json::from_str(&as_json(cell)).expect("JSON"),
        text: (!matches!(cell, Cell::Null)).then(|| plain(cell).into_owned()),
    }
}

/// Guards Parquet: what is read back says the same, but for what docs/output.md names as text there.
#[test]
fn parquet_says_the_same() {
    for seed in 0..20 {
        let batches = batches(seed);
        let written = bytes(Format::Parquet, &PLAIN, &batches);
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes_of(written)).expect("Parquet");
        let back: Vec<RecordBatch> = reader
            .build()
            .expect("a reader")
            .map(|batch| batch.expect("rows"))
            .collect();
        let text = |field: &Field, cell: &Cell<'_>| (field.name().clone(), as_json(cell));
        let as_there = |(name, json): (String, String)| match name.as_str() {
            // More digits than any number of Parquet's.
            "uhugeint" if json != "null" => (name, format!("\"{json}\"")),
            _ => (name, json),
        };
        let (before, after) = (cells(&batches, text), cells(&back, text));
        assert_eq!(before.len(), after.len());
        for (before, after) in before
            .into_iter()
            .flatten()
            .map(as_there)
            .zip(after.into_iter().flatten())
        {
            assert_eq!(before, after, "seed {seed}");
        }
    }
}

fn bytes_of(written: Vec<u8>) -> impl ::parquet::file::reader::ChunkReader + 'static {
    let mut file = tempfile::tempfile().expect("a file");
    std::io::Write::write_all(&mut file, &written).expect("written");
    file
}

/// Guards memory: a row group ends at its rows and at its bytes, however much a batch holds.
#[test]
fn row_groups_are_bounded() {
    let numbers = |range: std::ops::Range<i64>| Arc::new(Int64Array::from_iter_values(range)) as ArrayRef;
    let batch = |array| RecordBatch::try_from_iter([("x", array)]).expect("a batch");
    let many: Vec<RecordBatch> = (0..13)
        .map(|at| batch(numbers(at * 10_000..(at + 1) * 10_000)))
        .collect();
    let mut rng = StdRng::seed_from_u64(1);
    let mut long = || {
        (0..40 << 10)
            .map(|_| rng.random_range('a'..='z'))
            .collect::<String>()
    };
    // 40 MiB, which do not compress to less than half.
    let long: Vec<RecordBatch> = (0..32)
        .map(|_| batch(Arc::new(StringArray::from_iter_values((0..32).map(|_| long()))) as ArrayRef))
        .collect();
    for (batches, groups) in [(many, 2..3), (long, 2..10)] {
        let written = bytes(Format::Parquet, &PLAIN, &batches);
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes_of(written)).expect("Parquet");
        let there = reader.metadata().num_row_groups();
        assert!(groups.contains(&there), "{there}");
    }
}
