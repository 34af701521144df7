//! `snippet(words, text)`, `snippet(words, text, before, after)` and `snippet_line(words, text)`: the part of a text that a search found.

use duckdb::core::{DataChunkHandle, LogicalTypeHandle, LogicalTypeId};
use duckdb::ffi::duckdb_string_t;
use duckdb::types::DuckString;
use duckdb::vscalar::{ScalarFunctionSignature, VScalar};
use duckdb::vtab::arrow::WritableVector;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::search::{Query, Snippet, snippet};

type Error = Box<dyn std::error::Error>;

/// Characters of a snippet, at most.
const LENGTH: usize = 160;

/// The snippet of each row; none where a value is NULL, or the words make no sense.
fn each(input: &DataChunkHandle, mut give: impl FnMut(usize, Option<(Snippet, [String; 2])>)) {
    let len = input.len();
    let columns: Vec<_> = (0..input.num_columns())
        .map(|column| input.flat_vector(column))
        .collect();
    let cell = |column: usize, row: usize| -> Option<String> {
        let column = columns.get(column)?;
        if column.row_is_null(row as u64) {
            return None;
        }
        // SAFETY: all columns are texts (signatures), and have so many rows.
        let mut text = unsafe { column.as_slice_with_len::<duckdb_string_t>(len)[row] };
        Some(DuckString::new(&mut text).as_str().into_owned())
    };
    // Days mean nothing here: what is found was filtered before.
    let now = Timestamp::now().to_zoned(TimeZone::UTC);
    let mut last: Option<(String, Option<Query>)> = None;
    for row in 0..len {
        let (Some(words), Some(text)) = (cell(0, row), cell(1, row)) else {
            give(row, None);
            continue;
        };
        if last.as_ref().is_none_or(|(known, _)| *known != words) {
            let query = Query::parse(&words, &now).ok();
            last = Some((words, query));
        }
        let query = last.as_ref().and_then(|(_, query)| query.as_ref());
        let marks = [2, 3].map(|column| cell(column, row).unwrap_or_else(|| "**".to_owned()));
        give(row, query.map(|query| (snippet(query, &text, LENGTH), marks)));
    }
}

fn texts(many: usize) -> Vec<LogicalTypeHandle> {
    (0..many).map(|_| LogicalTypeId::Varchar.into()).collect()
}

/// The text, with what was found between marks.
pub(super) struct Shown;

impl VScalar for Shown {
    type State = ();

    fn invoke(_: &(), input: &mut DataChunkHandle, output: &mut dyn WritableVector) -> Result<(), Error> {
        let mut out = output.flat_vector();
        each(input, |row, found| match found {
            None => out.set_null(row),
            Some((found, [before, after])) => {
                let (mut text, mut done) = (String::new(), 0);
                for mark in &found.marks {
                    text.push_str(&found.text[done..mark.start]);
                    text.push_str(&before);
                    text.push_str(&found.text[mark.clone()]);
                    text.push_str(&after);
                    done = mark.end;
                }
                text.push_str(&found.text[done..]);
                duckdb::core::Inserter::insert(&out, row, text.as_str());
            }
        });
        Ok(())
    }

    fn signatures() -> Vec<ScalarFunctionSignature> {
        let signature = |many| ScalarFunctionSignature::exact(texts(many), LogicalTypeId::Varchar.into());
        vec![signature(2), signature(4)]
    }
}

/// The line in which the first match stands.
pub(super) struct Line;

impl VScalar for Line {
    type State = ();

    fn invoke(_: &(), input: &mut DataChunkHandle, output: &mut dyn WritableVector) -> Result<(), Error> {
        let len = input.len();
        let mut out = output.flat_vector();
        each(input, |row, found| match found {
            None => out.set_null(row),
            // SAFETY: the column is of numbers (signatures), and has so many rows.
            Some((found, _)) => unsafe {
                out.as_mut_slice_with_len::<i32>(len)[row] = i32::try_from(found.line).unwrap_or(i32::MAX);
            },
        });
        Ok(())
    }

    fn signatures() -> Vec<ScalarFunctionSignature> {
        vec![ScalarFunctionSignature::exact(
            texts(2),
            LogicalTypeId::Integer.into(),
        )]
    }
}
