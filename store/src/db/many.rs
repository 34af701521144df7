//! Reading many rows in one go: one view of the database for all of them, and of one instant.

use redb::ReadableDatabase;

#[cfg(test)]
use super::counted;
use super::{Db, DbError, Table};

/// Called with the place of a prefix among all, and a row: its key and value; none at the end of each prefix.
pub(crate) type EachOfMany<'a> = &'a mut dyn FnMut(usize, Option<(&[u8], &[u8])>);

impl Db {
    /// Reads several rows in one go.
    ///
    /// # Errors
    /// As [`DbError`] says.
    pub fn get_many<K: AsRef<[u8]>>(
        &self,
        table: Table,
        keys: &[K],
    ) -> Result<Vec<Option<Vec<u8>>>, DbError> {
        #[cfg(test)]
        counted::add(keys.len());
        self.with(|db| {
            let tx = db.begin_read()?;
            let rows = tx.open_table(table.definition())?;
            keys.iter()
                .map(|key| Ok(rows.get(key.as_ref())?.map(|v| v.value().to_vec())))
                .collect()
        })
    }

    /// Calls `each` with all rows whose keys begin with one of these, prefix by prefix: which prefix, and the row; none at the
    /// end of each prefix. All of one instant, in one go: for many that have few rows. What is called must not ask the database.
    ///
    /// # Errors
    /// As [`DbError`] says.
    pub(crate) fn scan_many<P: AsRef<[u8]>>(
        &self,
        table: Table,
        prefixes: &[P],
        each: EachOfMany<'_>,
    ) -> Result<(), DbError> {
        self.with(|db| {
            let tx = db.begin_read()?;
            let rows = tx.open_table(table.definition())?;
            for (n, prefix) in prefixes.iter().enumerate() {
                let prefix = prefix.as_ref();
                for row in rows.range(prefix..)? {
                    let (key, value) = row?;
                    #[cfg(test)]
                    counted::add(1);
                    if !key.value().starts_with(prefix) {
                        break;
                    }
                    each(n, Some((key.value(), value.value())));
                }
                each(n, None);
            }
            Ok(())
        })
    }
}
