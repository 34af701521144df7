//! What somebody may do to a store at rest: to one row of the database, to one record of
//! a pack, to pages of the database's file.
//!
//! Rows are changed behind the vault's back, without the sum that is kept over them.

use std::collections::BTreeMap;
use std::sync::Arc;

use coffer_store::chunk::Place;
use coffer_store::chunk::pack::{HEADER, Packs, ScanItem, pack_number};
use coffer_store::db::{Batch, Db, JOURNAL, Table};
use coffer_store::io::sim::{SimDisk, SplitMix64};
use coffer_store::io::{Disk, DiskFile};

/// Ways to harm a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowHarm {
    /// One bit is another.
    Flip,
    /// Its end is missing.
    Cut,
    /// A byte more.
    Longer,
    /// The value of another row of the table.
    Swap,
    /// The value that it had on an earlier day.
    Old,
    /// It is gone.
    Remove,
}

impl RowHarm {
    /// All of them.
    pub const ALL: [RowHarm; 6] = [
        RowHarm::Flip,
        RowHarm::Cut,
        RowHarm::Longer,
        RowHarm::Swap,
        RowHarm::Old,
        RowHarm::Remove,
    ];
}

/// A table's rows.
pub type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// A row's table, key and new value; `None` removes it.
pub type RowChange = (Table, Vec<u8>, Option<Vec<u8>>);

/// All rows of a database.
pub fn rows(disk: &SimDisk) -> Vec<(Table, Rows)> {
    let db = Db::open(Arc::new(disk.crash_all_kept())).expect("a whole database");
    let mut tables = Vec::new();
    for table in Table::ALL {
        let mut rows = Rows::new();
        db.scan(table, b"", &mut |key, value| {
            rows.insert(key.to_vec(), value.to_vec());
            true
        })
        .expect("a whole database");
        tables.push((table, rows));
    }
    db.close();
    tables
}

/// A copy of a disk, with other rows: in the database's own file, where the journal mends nothing.
pub fn with_rows(disk: &SimDisk, changes: &[RowChange]) -> SimDisk {
    let harmed = disk.crash_all_kept();
    let db = Db::open(Arc::new(harmed.clone())).expect("a whole database");
    let mut batch = Batch::new();
    for (table, key, value) in changes {
        match value {
            Some(value) => batch.put(*table, key, value.clone()),
            None => batch.delete(*table, key),
        }
    }
    db.apply(&batch).expect("a healthy disk");
    db.close();
    if harmed.open(JOURNAL).is_ok() {
        harmed.remove(JOURNAL).expect("it is there");
    }
    harmed
}

/// What a harm makes of a row; nothing if it makes no difference.
pub fn harm_row(
    harm: RowHarm,
    (key, value): (&Vec<u8>, &Vec<u8>),
    table: &Rows,
    old: &Rows,
    rng: &mut SplitMix64,
) -> Option<Option<Vec<u8>>> {
    let mut harmed = value.clone();
    match harm {
        RowHarm::Remove => return Some(None),
        RowHarm::Flip => {
            let at = rng.below(value.len() as u64) as usize;
            *harmed.get_mut(at)? ^= 1 << rng.below(8);
        }
        RowHarm::Cut => harmed.truncate(rng.below(value.len() as u64) as usize),
        RowHarm::Longer => harmed.push(rng.below(256) as u8),
        RowHarm::Swap => {
            let others: Vec<&Vec<u8>> = table.iter().filter(|(k, _)| *k != key).map(|(_, v)| v).collect();
            harmed = (*others.get(rng.below(others.len().max(1) as u64) as usize)?).clone();
        }
        RowHarm::Old => harmed = old.get(key)?.clone(),
    }
    (harmed != *value).then_some(Some(harmed))
}

/// One record of a pack.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// As its header says.
    pub kind: u8,
    /// Where its payload lies.
    pub place: Place,
}

/// All records of all packs.
pub fn records(disk: &SimDisk) -> Vec<Record> {
    let names = disk.list().expect("a simulated disk lists its files");
    let mut numbers: Vec<u32> = names.iter().filter_map(|name| pack_number(name)).collect();
    numbers.sort_unstable();
    let lengths: Vec<(u32, u64)> = numbers
        .iter()
        .map(|n| {
            (
                *n,
                bytes(disk, &coffer_store::chunk::pack::pack_name(*n)).len() as u64,
            )
        })
        .collect();
    let packs = Packs::open(Arc::new(disk.clone()), &lengths).expect("the packs open");
    let mut records = Vec::new();
    for number in numbers {
        packs
            .scan(number, &mut |item| {
                if let ScanItem::Record { kind, place, .. } = item {
                    records.push(Record { kind, place });
                }
            })
            .expect("the pack is there");
    }
    records
}

/// Ways to harm a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordHarm {
    /// A bit of its header is another.
    Header,
    /// A bit of its payload is another.
    Payload,
    /// It is zeros.
    Zero,
    /// The bytes of another record of its pack.
    Swap,
    /// The pack ends in its middle.
    Cut,
}

impl RecordHarm {
    /// All of them.
    pub const ALL: [RecordHarm; 5] = [
        RecordHarm::Header,
        RecordHarm::Payload,
        RecordHarm::Zero,
        RecordHarm::Swap,
        RecordHarm::Cut,
    ];
}

/// A copy of a disk with one record harmed.
pub fn harm_record(
    disk: &SimDisk,
    harm: RecordHarm,
    record: Record,
    other: Record,
    rng: &mut SplitMix64,
) -> SimDisk {
    let name = coffer_store::chunk::pack::pack_name(record.place.pack);
    let mut pack = bytes(disk, &name);
    let (start, len) = (record.place.offset as usize, record.place.len as usize);
    let header = start - HEADER;
    match harm {
        RecordHarm::Header => pack[header + rng.below(HEADER as u64) as usize] ^= 1 << rng.below(8),
        RecordHarm::Payload => pack[start + rng.below(len as u64) as usize] ^= 1 << rng.below(8),
        RecordHarm::Zero => pack[header..start + len].fill(0),
        RecordHarm::Swap => {
            let from = bytes(disk, &coffer_store::chunk::pack::pack_name(other.place.pack));
            let take = len.min(other.place.len as usize);
            let at = other.place.offset as usize;
            pack[start..start + take].copy_from_slice(&from[at..at + take]);
        }
        RecordHarm::Cut => pack.truncate(start + len / 2),
    }
    with_file(disk, &name, &pack)
}

/// A file's bytes.
pub fn bytes(disk: &SimDisk, name: &str) -> Vec<u8> {
    let file = disk.open(name).expect("the file is there");
    let mut bytes = vec![0; file.len().expect("it has a length") as usize];
    file.read_at(0, &mut bytes).expect("it is as long as it says");
    bytes
}

/// A copy of a disk with one file another.
pub fn with_file(disk: &SimDisk, name: &str, bytes: &[u8]) -> SimDisk {
    let harmed = disk.crash_all_kept();
    let file: Arc<dyn DiskFile> = harmed.open(name).expect("the file is there");
    file.set_len(0).expect("a healthy disk");
    file.write_at(0, bytes).expect("a healthy disk");
    harmed
}
