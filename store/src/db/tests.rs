//! What cannot be seen from outside.

use std::sync::Arc;

use super::{Batch, Db, FILE, Table, forget};
use crate::io::Disk;
use crate::io::sim::SimDisk;

fn image(disk: &SimDisk) -> Vec<u8> {
    let file = disk.open(FILE).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    bytes
}

fn put(db: &Db, word: &str) {
    let mut batch = Batch::new();
    batch.put(Table::Inodes, b"row", word);
    db.apply(&batch).unwrap();
}

/// Where the last transaction is damaged, the library opens the file at the one before. While the
/// database was in use, it so became older, without a word: files that were read first were of
/// today, the others of an earlier day.
#[test]
fn a_database_in_use_never_turns_older() {
    let disk = SimDisk::new();
    let db = Db::create(Arc::new(disk.clone())).unwrap();
    db.keep_sums([7; 32], true).unwrap();
    put(&db, "old");
    forget(&mut db.inner.write(), None);
    let old = image(&disk);
    put(&db, "new");
    forget(&mut db.inner.write(), None);
    let new = image(&disk);
    let set = |bytes: &[u8]| disk.open(FILE).unwrap().write_at(0, bytes).unwrap();
    set(&old);
    assert!(db.get(Table::Inodes, b"row").is_err(), "an older one is refused");
    assert!(db.check_structure().is_err());
    set(&new);
    assert_eq!(db.get(Table::Inodes, b"row").unwrap(), Some(b"new".to_vec()));
    put(&db, "newer");
    assert_eq!(db.verify().unwrap(), []);
}
