//! Tables in terminals of all widths; names, ends, and what is refused.

use super::all::batch;
use super::{Format, Look, PLAIN, bytes, text};
use crate::output::{Error, Writer};
use arrow_array::*;
use arrow_schema::{DataType, Field, Schema};
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::io;
use std::sync::Arc;
use unicode_width::UnicodeWidthStr;

fn files() -> RecordBatch {
    let paths = ["Notes/a.md", "Notes/Größe der 日本語.md", ""];
    let columns: [(&str, ArrayRef); 4] = [
        ("path", Arc::new(StringArray::from(paths.to_vec()))),
        (
            "size",
            Arc::new(Int64Array::from(vec![Some(12), Some(1_234_567), None])),
        ),
        (
            "modified",
            Arc::new(TimestampSecondArray::from(vec![
                Some(1_772_373_909),
                None,
                Some(0),
            ])),
        ),
        (
            "title",
            Arc::new(StringArray::from(vec![Some("One\nline"), None, Some("\x1b[2J")])),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true)))
        .expect("a batch")
}

fn table(look: Look, batch: &RecordBatch) -> String {
    text(Format::Table, &look, std::slice::from_ref(batch))
}

/// Guards the looks of a table, and what is shown of no value, of an empty text and of control characters.
#[test]
fn a_table_looks_so() {
    assert_eq!(
        table(PLAIN, &files()),
        "\
┌───────────────────────────┬─────────┬─────────────────────┬───────────┐
│ path                      │    size │ modified            │ title     │
├───────────────────────────┼─────────┼─────────────────────┼───────────┤
│ Notes/a.md                │      12 │ 2026-03-01 14:05:09 │ One⏎line  │
│ Notes/Größe der 日本語.md │ 1234567 │ NULL                │ NULL      │
│                           │    NULL │ 1970-01-01 00:00:00 │ \\u{1b}[2J │
└───────────────────────────┴─────────┴─────────────────────┴───────────┘
3 rows
"
    );
    assert_eq!(
        table(
            Look {
                width: Some(50),
                ..PLAIN
            },
            &files()
        ),
        "\
┌────────┬─────────┬─────────────────────┬───────┐
│ path   │    size │ modified            │ title │
├────────┼─────────┼─────────────────────┼───────┤
│ Notes… │      12 │ 2026-03-01 14:05:09 │ One⏎… │
│ Notes… │ 1234567 │ NULL                │ NULL  │
│        │    NULL │ 1970-01-01 00:00:00 │ \\u{1… │
└────────┴─────────┴─────────────────────┴───────┘
3 rows
"
    );
    assert_eq!(
        table(
            Look {
                width: Some(30),
                rows: 1,
                ..PLAIN
            },
            &files()
        ),
        "\
─ 1 ────────
\x20path     │ Notes/a.md
\x20size     │ 12
\x20modified │ 2026-03-01 14:05:09
\x20title    │ One⏎line
… 2 more rows (3 in all)
"
    );
}

/// Guards terminals of every width: no line is wider, no number or date is cut, nothing panics.
#[test]
fn no_line_is_wider_than_the_terminal() {
    let mut rng = StdRng::seed_from_u64(7);
    let all = batch(&mut rng, 9);
    for width in 0..200 {
        let shown = table(
            Look {
                width: Some(width),
                ..PLAIN
            },
            &files(),
        );
        assert!(shown.contains("1234567") && shown.contains("2026-03-01 14:05:09"));
        for line in shown.lines().filter(|_| width >= 33) {
            assert!(line.width() <= width, "{width}: {line}");
        }
        // 49 columns: one record below the other; its dates are longer than any of the terminals' widths below 80.
        let shown = table(
            Look {
                width: Some(width),
                ..PLAIN
            },
            &all,
        );
        assert!(shown.starts_with("─ 1 "), "{width}");
        for line in shown.lines().filter(|_| width >= 80) {
            assert!(line.width() <= width, "{width}: {line}");
        }
    }
}

/// Guards colours: only where they are wanted, and each one ended on its line.
#[test]
fn colours_are_ended() {
    let shown = table(
        Look {
            width: Some(80),
            colour: true,
            rows: 9,
        },
        &files(),
    );
    assert!(
        shown.contains("\x1b[2mNULL\x1b[0m") && shown.contains("\x1b[1mpath\x1b[0m"),
        "{shown:?}"
    );
    for line in shown.lines() {
        assert_eq!(
            line.matches("\x1b[1m").count() + line.matches("\x1b[2m").count(),
            line.matches("\x1b[0m").count()
        );
    }
}

/// Guards memory: a table counts what it does not show, and does not hold a text that nobody sees.
#[test]
fn a_table_holds_what_it_shows() {
    let many =
        RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from_iter_values(0..1000)) as ArrayRef)]);
    let shown = text(
        Format::Table,
        &Look { rows: 40, ..PLAIN },
        &vec![many.expect("a batch"); 100],
    );
    assert!(
        shown.ends_with("… 99,960 more rows (100,000 in all)\n"),
        "{shown}"
    );
    assert_eq!(shown.lines().count(), 45);
    let long: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(10_000_000)]));
    let shown = table(
        PLAIN,
        &RecordBatch::try_from_iter([("body", long)]).expect("a batch"),
    );
    assert!(shown.len() < 5 * 3 * 4200, "{}", shown.len());
}

/// Guards results without rows: their columns are still said, and each format is whole.
#[test]
fn no_rows_are_a_result() {
    let empty = [files().slice(0, 0)];
    let text = |format| text(format, &PLAIN, &empty);
    assert_eq!(text(Format::Csv), "path,size,modified,title\n");
    assert_eq!(text(Format::Json), "[]\n");
    assert_eq!(text(Format::JsonLines), "");
    assert_eq!(text(Format::Markdown).lines().count(), 2);
    assert!(text(Format::Table).ends_with("\n0 rows\n"));
    assert!(bytes(Format::Parquet, &PLAIN, &empty).ends_with(b"PAR1"));
}

/// Guards equal names, as DuckDB's shell tells them apart.
#[test]
fn equal_names_keep_their_values() {
    let fields = ["a", "a"].map(|name| Field::new(name, DataType::Int64, true));
    let arrays = [1, 2].map(|number| Arc::new(Int64Array::from(vec![number])) as ArrayRef);
    let batch =
        [RecordBatch::try_new(Arc::new(Schema::new(fields.to_vec())), arrays.into()).expect("a batch")];
    assert_eq!(text(Format::Json, &PLAIN, &batch), "[\n{\"a\":1,\"a_1\":2}\n]\n");
    assert_eq!(text(Format::Csv, &PLAIN, &batch), "a,a_1\n1,2\n");
}

/// Guards terminals: CSV that is looked at drives none; a pipe gets the data as it is.
#[test]
fn csv_at_a_terminal_is_harmless() {
    let batch = [files()];
    let at = |width| text(Format::Csv, &Look { width, ..PLAIN }, &batch);
    assert!(at(None).contains("\x1b[2J") && at(None).contains("\"One\nline\""));
    assert!(at(Some(80)).contains("\\u{1b}[2J") && !at(Some(80)).contains('\x1b'));
}

/// Guards names of formats.
#[test]
fn formats_have_names() {
    for format in Format::ALL {
        assert_eq!(format.name().parse(), Ok(format));
    }
    let error = "xml".parse::<Format>().expect_err("no format").to_string();
    assert!(error.contains("“xml”") && error.contains("jsonl"), "{error}");
}

/// Nobody takes more than so many bytes.
struct Pipe(usize);
impl io::Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0 {
            0 => Err(io::ErrorKind::BrokenPipe.into()),
            room => {
                let taken = bytes.len().min(room);
                self.0 -= taken;
                Ok(taken)
            }
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Guards that a closed pipe is told apart in each format, wherever it closes; and that batches of another result, and
/// types without end, are refused.
#[test]
fn failures_have_their_words() {
    let batch = files();
    for format in Format::ALL {
        let whole = bytes(format, &PLAIN, std::slice::from_ref(&batch)).len();
        for room in [0, 1, whole / 2, whole - 1] {
            let result = Writer::new(format, &batch.schema(), &PLAIN, Pipe(room)).and_then(|mut writer| {
                writer.write(&batch)?;
                writer.finish()
            });
            match result {
                Err(Error::Write(error)) => assert_eq!(error.kind(), io::ErrorKind::BrokenPipe),
                other => panic!("{format}, {room} of {whole}: {other:?}"),
            }
        }
    }
    let mut writer = Writer::new(Format::Csv, &batch.schema(), &PLAIN, io::sink()).expect("begun");
    let other = batch.project(&[0, 1]).expect("columns");
    assert!(matches!(writer.write(&other), Err(Error::Columns)));
    let deep = (0..100).fold(DataType::Int64, |kind, _| DataType::new_list(kind, true));
    let deep = Arc::new(Schema::new(vec![Field::new("x", deep, true)]));
    assert!(matches!(
        Writer::new(Format::Json, &deep, &PLAIN, io::sink()),
        Err(Error::Deep(_))
    ));
}
