//! What can be asked: views, their columns, functions; as the prompt shows and completes it.
//!
//! Holds words only, given by whoever knows them.

/// A column.
#[derive(Clone, Debug, Default)]
pub(crate) struct Column {
    pub name: String,
    /// Its type.
    pub kind: String,
    /// What it says, in a sentence.
    pub doc: String,
}

/// A view.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    pub name: String,
    /// What its rows are, in a sentence.
    pub doc: String,
    pub columns: Vec<Column>,
}

/// A question that is worth asking.
#[derive(Clone, Debug, Default)]
pub(crate) struct Example {
    pub title: String,
    pub sql: String,
}

/// All that can be asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Schema {
    pub views: Vec<View>,
    /// Names of functions that give a value.
    pub functions: Vec<String>,
    /// Names of functions that give rows, and stand where views do.
    pub tables: Vec<String>,
    pub examples: Vec<Example>,
}

impl Schema {
    /// The view of that name, however it is written.
    pub(crate) fn view(&self, name: &str) -> Option<&View> {
        self.views
            .iter()
            .find(|view| view.name.eq_ignore_ascii_case(name))
    }
}
