use super::*;
use crate::db::{Batch, Db, DbError, FILE};
use crate::io::sim::{Fault, SimDisk};

const OURS: Epoch = [1; 16];
const LATER: Epoch = [2; 16];

fn change(n: u8, len: usize) -> Change {
    (Table::Log, vec![n; 4], Some(vec![n; len]))
}

/// A file of records of these lengths, of one epoch, written over `before`.
fn file(before: &[u8], epoch: Epoch, lens: &[usize]) -> Vec<u8> {
    let mut bytes = before.to_vec();
    let mut at = 0;
    for (i, len) in lens.iter().enumerate() {
        let mut record = encode(&epoch, i as u32, &[&change(i as u8, *len)]);
        record.resize(record.len().next_multiple_of(PAGE as usize), 0);
        bytes.resize(bytes.len().max(at + record.len()), 0);
        bytes[at..at + record.len()].copy_from_slice(&record);
        at += record.len();
    }
    bytes
}

/// Guards against a save that was torn counting, or one that was whole not counting.
#[test]
fn a_torn_last_record_has_not_been() {
    let whole = file(&[], OURS, &[10, 9000, 5000]);
    let two = read(&file(&[], OURS, &[10, 9000]), &OURS).unwrap();
    assert_eq!(read(&whole, &OURS).unwrap().count, 3);
    let end = usize::try_from(two.end).unwrap();
    for at in [end, end + 40, end + 50, end + 60, end + 4096, end + 5000] {
        let mut torn = whole.clone();
        torn[at] ^= 1;
        assert_eq!(read(&torn, &OURS).unwrap(), two, "{at}");
        assert_eq!(read(&whole[..at], &OURS).unwrap(), two, "{at}");
    }
}

/// Guards against saves that are lost in silence because one before them has rotted.
#[test]
fn a_rotten_record_before_a_whole_one_is_damage() {
    let whole = file(&[], OURS, &[10, 9000, 5000]);
    for at in [0, 35, 49, 53, 60, 4096, 4096 + 8000] {
        let mut rotten = whole.clone();
        rotten[at] ^= 1;
        assert!(read(&rotten, &OURS).is_err(), "{at}");
    }
}

/// Guards against what is left of an earlier epoch behind the records of a later one: it is
/// neither done again nor taken for damage, whichever of the two the database names.
#[test]
fn epochs_do_not_mix() {
    let both = file(&file(&[], OURS, &[10, 10, 10, 10]), LATER, &[9000]);
    assert_eq!(read(&both, &LATER).unwrap().count, 1);
    assert_eq!(read(&both, &OURS).unwrap(), Found::default());
    assert_eq!(read(&both, &[3; 16]).unwrap(), Found::default());
}

/// Guards against rows that say something else than was written, and against a panic over bad ones.
#[test]
fn changes_come_back_as_they_were() {
    let changes = [change(1, 0), (Table::Packs, Vec::new(), None), change(2, 300)];
    let record = encode(&OURS, 0, &changes.each_ref());
    assert_eq!(read(&record, &OURS).unwrap().changes, changes);
    let mut unknown = record[HEADER..].to_vec();
    unknown[5] = 200;
    assert!(decode(&unknown, &mut Vec::new()).is_err());
}

fn put(db: &Db, key: &[u8], value: u8, quickly: bool) {
    let mut batch = Batch::new();
    batch.put(Table::Log, key, vec![value; 100]);
    match quickly {
        true => db.apply_quickly(&batch).unwrap(),
        false => db.apply(&batch).unwrap(),
    }
}

fn open_again(disk: &SimDisk) -> Db {
    let db = Db::open(Arc::new(disk.crash_all_lost())).unwrap();
    db.keep_sums([7; 32], false).unwrap();
    assert_eq!(db.verify().unwrap(), []);
    db
}

fn value(db: &Db, key: &[u8]) -> Option<u8> {
    db.get(Table::Log, key).unwrap().map(|value| value[0])
}

/// Guards that what was applied quickly is there after a power cut, again after a second one, and
/// that a transaction on the disk ends it: also one too large, and when the file is full.
#[test]
fn quick_batches_are_durable_until_they_are_in_the_file() {
    let disk = SimDisk::new();
    let db = Db::create(Arc::new(disk.clone())).unwrap();
    db.keep_sums([7; 32], true).unwrap();
    put(&db, b"a", 1, false);
    for n in 2..=250 {
        put(&db, b"a", n, true);
        put(&db, &[n], n, true);
        if n % 50 == 0 {
            let again = open_again(&disk);
            assert_eq!((value(&again, b"a"), value(&again, &[n])), (Some(n), Some(n)));
            put(&again, b"b", n, true);
        }
    }
    put(&db, b"a", 251, false);
    put(&db, b"c", 1, true);
    let again = open_again(&disk);
    assert_eq!((value(&again, b"a"), value(&again, b"c")), (Some(251), Some(1)));
    let mut large = Batch::new();
    large.put(Table::Log, b"large", vec![9; RECORD_MAX + 1]);
    db.apply_quickly(&large).unwrap();
    assert_eq!(value(&open_again(&disk), b"large"), Some(9));
}

/// Guards against a journal that is needed after an orderly end: who copies the database alone has all.
#[test]
fn a_closed_database_needs_no_journal() {
    let disk = SimDisk::new();
    let db = Db::create(Arc::new(disk.clone())).unwrap();
    db.keep_sums([7; 32], true).unwrap();
    put(&db, b"a", 1, false);
    put(&db, b"a", 2, true);
    db.close();
    disk.remove(JOURNAL).unwrap();
    assert_eq!(value(&open_again(&disk), b"a"), Some(2));
    assert!(disk.open(FILE).is_ok());
}

/// Guards against a disk that fails while the journal is written: the batch goes to the disk by the
/// other way, or is refused and has not been; what was applied before stays, whatever follows.
#[test]
fn a_journal_that_cannot_be_written_costs_nothing() {
    for call in 0..40 {
        for forever in [false, true] {
            let disk = SimDisk::new();
            let db = Db::create(Arc::new(disk.clone())).unwrap();
            db.keep_sums([7; 32], true).unwrap();
            put(&db, b"a", 1, false);
            put(&db, b"a", 2, true);
            disk.fail_at(disk.ops() + call, Fault::Io, forever);
            let mut expected = 2;
            for n in 3..8 {
                let mut batch = Batch::new();
                batch.put(Table::Log, b"a", vec![n; 100]);
                if db.apply_quickly(&batch).is_ok() {
                    expected = n;
                }
            }
            disk.heal();
            assert_eq!(value(&db, b"a"), Some(expected), "{call} {forever}");
            put(&db, b"b", 1, true);
            let again = open_again(&disk);
            assert_eq!(
                (value(&again, b"a"), value(&again, b"b")),
                (Some(expected), Some(1))
            );
        }
    }
}

/// A database with a journal that is ready, and `a` = 1 in its file.
fn ready(disk: &SimDisk) -> Db {
    let db = Db::create(Arc::new(disk.clone())).unwrap();
    db.keep_sums([7; 32], true).unwrap();
    put(&db, b"a", 0, false);
    put(&db, b"a", 0, true);
    put(&db, b"a", 1, false);
    db
}

fn try_put(db: &Db, key: &[u8], value: u8) -> Result<(), DbError> {
    let mut batch = Batch::new();
    batch.put(Table::Log, key, vec![value; 100]);
    db.apply_quickly(&batch)
}

/// As after an orderly end of the program, or a kill: the system's memory is still there.
fn reopen(disk: &SimDisk) -> Db {
    let db = Db::open(Arc::new(disk.clone())).unwrap();
    db.keep_sums([7; 32], false).unwrap();
    assert_eq!(db.verify().unwrap(), []);
    db
}

/// Lets the library's view of the file be dropped, as any damage that a reader meets does.
fn upset(db: &Db) {
    let _ = db.scan(Table::Meta, b"", &mut |_, _| panic!("a damaged page"));
}

/// A record was written, its fdatasync failed, and so did the transaction in the file: the batch was
/// refused. Nothing else lay in the journal, so that closing did not void it, and the next opening
/// took the record for one that counts.
#[test]
fn a_refused_batch_is_not_there_after_an_orderly_end() {
    let disk = SimDisk::new();
    let db = ready(&disk);
    disk.fail_at(disk.ops() + 2, Fault::Io, true);
    try_put(&db, b"a", 2).unwrap_err();
    disk.heal();
    assert_eq!(value(&db, b"a"), Some(1));
    db.close();
    assert_eq!(value(&reopen(&disk), b"a"), Some(1));
}

/// A record whose fdatasync failed is shown whole by the system and is not on the disk. A program
/// that was started anew believed it and appended to it; after a power cut the one that followed
/// was behind a hole, and the database refused to open.
#[test]
fn nothing_is_appended_to_a_record_that_may_not_be_on_the_disk() {
    for before in 0..40 {
        let disk = SimDisk::new();
        let db = ready(&disk);
        (0..before % 4).for_each(|n| put(&db, b"b", n, true));
        // The number of the call makes the chance by which it comes to the disk or not.
        (0..before).for_each(|_| disk.sync_dir().unwrap());
        disk.fail_at(disk.ops() + 2, Fault::Io, true);
        try_put(&db, b"a", 2).unwrap_err();
        drop(db);
        disk.heal();
        let db = reopen(&disk);
        put(&db, b"c", 3, true);
        put(&db, b"c", 4, true);
        assert_eq!(value(&open_again(&disk), b"c"), Some(4), "{before}");
    }
}

/// The file's name was not saved when it was made: the folder's fsync failed, or the program was
/// killed before it. It was used all the same by the next epoch, or the next program, and a power
/// cut took it with all that fsync had answered for.
#[test]
fn a_journal_whose_name_was_never_saved_is_made_anew() {
    for anew in [false, true] {
        for call in 1..=5 {
            for seed in 0..8 {
                let disk = SimDisk::new();
                let mut db = Db::create(Arc::new(disk.clone())).unwrap();
                db.keep_sums([7; 32], true).unwrap();
                put(&db, b"a", 1, false);
                (0..seed).for_each(|_| disk.sync_dir().unwrap());
                disk.fail_at(disk.ops() + call, Fault::Io, false);
                put(&db, b"a", 2, true);
                if anew {
                    drop(db);
                    db = reopen(&disk);
                }
                for n in 3..6 {
                    put(&db, b"a", n, true);
                }
                assert_eq!(value(&open_again(&disk), b"a"), Some(5), "{anew} {call} {seed}");
            }
        }
    }
}

/// A record that the disk has lost while the database is open was left out in silence when the
/// library's file was opened anew within the program: what fsync had answered for was gone.
#[test]
fn a_record_that_is_lost_while_it_is_needed_is_damage() {
    let disk = SimDisk::new();
    let db = ready(&disk);
    put(&db, b"a", 2, true);
    put(&db, b"b", 3, true);
    let file = disk.open(JOURNAL).unwrap();
    file.write_at(PAGE + 40, &[0; 100]).unwrap();
    // What the library still has in memory, it cannot write either.
    disk.fail_at(disk.ops() + 1, Fault::Io, true);
    upset(&db);
    disk.heal();
    let error = db.get(Table::Log, b"b").unwrap_err();
    assert!(matches!(error, DbError::Damaged(_)), "{error}");
}

/// The journal's file took the last room of a disk that was nearly full, as much of it as there was,
/// and kept it: a transaction for which there had been room was refused.
#[test]
fn a_full_disk_keeps_its_last_room_for_the_database() {
    let disk = SimDisk::new();
    let db = Db::create(Arc::new(disk.clone())).unwrap();
    db.keep_sums([7; 32], true).unwrap();
    put(&db, b"a", 1, false);
    disk.set_free(Some(SIZE - 1));
    for n in 0..100 {
        let before = disk.space().unwrap().available;
        put(&db, b"a", n, true);
        assert!(disk.space().unwrap().available >= before, "{n}");
    }
    disk.set_free(None);
    put(&db, b"a", 200, true);
    put(&db, b"a", 201, true);
    assert!(disk.open(JOURNAL).is_ok());
    assert_eq!(value(&open_again(&disk), b"a"), Some(201));
}

/// Of two copies of a vault that was closed, each wrote records of the epoch that both had: the
/// records of one, beside the file of the other, were done over rows that they did not follow.
#[test]
fn records_are_not_done_over_another_copy() {
    let disk = SimDisk::new();
    ready(&disk).close();
    let (ours, theirs) = (disk.crash_all_kept(), disk.crash_all_kept());
    let db = reopen(&ours);
    (0..2).for_each(|_| put(&db, b"ours", 2, true));
    upset(&db);
    assert_eq!(value(&db, b"ours"), Some(2));
    let ours = ours.crash_all_kept();
    let db = reopen(&theirs);
    (0..2).for_each(|_| put(&db, b"theirs", 3, true));
    let theirs = theirs.crash_all_kept();
    let from = theirs.open(JOURNAL).unwrap();
    let mut bytes = vec![0; SIZE as usize];
    from.read_at(0, &mut bytes).unwrap();
    ours.open(JOURNAL).unwrap().write_at(0, &bytes).unwrap();
    let db = reopen(&ours);
    assert_eq!((value(&db, b"ours"), value(&db, b"theirs")), (Some(2), None));
}
