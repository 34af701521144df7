//! `coffer_text(number)`: a note's text, of which the tables know the number.

use duckdb::core::{DataChunkHandle, Inserter, LogicalTypeId};
use duckdb::vscalar::{ScalarFunctionSignature, VScalar};
use duckdb::vtab::arrow::WritableVector;

use crate::texts::{Page, Texts};

type Error = Box<dyn std::error::Error>;

/// The text; none of what is no number of a text.
pub(super) struct Text;

impl VScalar for Text {
    type State = Texts;

    fn invoke(
        texts: &Texts,
        input: &mut DataChunkHandle,
        output: &mut dyn WritableVector,
    ) -> Result<(), Error> {
        let len = input.len();
        let numbers = input.flat_vector(0);
        let mut out = output.flat_vector();
        // SAFETY: the column is of whole numbers (signatures), and has so many rows.
        let ids = unsafe { numbers.as_slice_with_len::<i64>(len) };
        let mut page = Page::default();
        for (row, id) in ids.iter().enumerate() {
            let id = (!numbers.row_is_null(row as u64)).then_some(*id as u64);
            match id.and_then(|id| texts.get(id, &mut page)) {
                Some(text) => out.insert(row, text),
                None => out.set_null(row),
            }
        }
        Ok(())
    }

    fn signatures() -> Vec<ScalarFunctionSignature> {
        vec![ScalarFunctionSignature::exact(
            vec![LogicalTypeId::Bigint.into()],
            LogicalTypeId::Varchar.into(),
        )]
    }
}
