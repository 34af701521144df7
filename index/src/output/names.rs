//! Names of columns, each once: what a program looks up by name must be there once.

use arrow_schema::Schema;
use std::collections::HashSet;

/// The names, where `a`, `a` become `a`, `a_1`, as in DuckDB's shell; a name that is there already is not given again.
pub(super) fn unique(schema: &Schema) -> Vec<String> {
    let there: HashSet<&str> = schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    let mut given: HashSet<String> = HashSet::new();
    let mut last = std::collections::HashMap::new();
    let name = |name: &String| {
        if given.insert(name.clone()) {
            return name.clone();
        }
        // Where the last one of this name ended, so that a thousand equal ones are no million tries.
        let number: &mut usize = last.entry(name.clone()).or_default();
        loop {
            *number += 1;
            let other = format!("{name}_{number}");
            if !there.contains(other.as_str()) && given.insert(other.clone()) {
                return other;
            }
        }
    };
    schema
        .fields()
        .iter()
        .map(|field| field.name())
        .map(name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_schema::{DataType, Field};

    /// Guards that no value is lost behind another of the same name, also where the new name is taken.
    #[test]
    fn equal_names_are_told_apart() {
        let names = ["a", "a", "a_1", "b", "a", ""];
        let fields: Vec<Field> = names.map(|name| Field::new(name, DataType::Int64, true)).into();
        assert_eq!(unique(&Schema::new(fields)), ["a", "a_2", "a_1", "b", "a_3", ""]);
    }
}
