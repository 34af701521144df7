//! Guards what is read against what somebody did to the store's records: every kind of
//! row and of pack record, flipped, cut, swapped, put back from an earlier day, removed;
//! and pages of the database's file. Reading gives right data or an error, the check
//! finds it, nothing panics, and salvage brings the rest.
//!
//! `COFFER_LONG=1` harms every row and record; else some of each kind, from `COFFER_SEED`.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use coffer_store::db::{FILE, Table};
use coffer_store::io::sim::{SimDisk, SplitMix64};
use coffer_tests::crash::harm::{
    RecordHarm, RowHarm, bytes, harm_record, harm_row, records, rows, with_file, with_rows,
};
use coffer_tests::crash::image::serve;
use coffer_tests::crash::judge::Truth;
use coffer_tests::crash::player::{Player, Step, locked};
use coffer_tests::crash::workload;
use coffer_tests::engine;
use coffer_tests::settings::{long, pick, seeds};

/// A store at rest that was in use when the power went, so that it has records of every
/// kind; the same store on an earlier day; and what is true of it.
struct Case {
    now: SimDisk,
    old: SimDisk,
    truth: Truth,
}

fn case() -> &'static Case {
    static CASE: OnceLock<Case> = OnceLock::new();
    CASE.get_or_init(|| {
        let disk = engine::empty();
        let opened = disk.clone();
        let mut player = Player::new(Box::new(move || serve(&opened))).expect("the vault opens");
        let steps = workload::day(5, 4);
        // Half a day, up to the names; the log and the database are still open.
        let half = steps
            .iter()
            .position(|step| matches!(step, Step::Link(..)))
            .expect("the day has a link");
        let (mut old, mut early) = (None, 0);
        for (i, step) in steps[..half].iter().enumerate() {
            if matches!(step, Step::Close { .. }) && i + 4 > half {
                continue;
            }
            player.play(step).expect("a step on a healthy disk");
            if i == half / 2 {
                old = Some(disk.crash_all_lost());
                early = locked(&player.history()).views.len();
            }
        }
        for path in ["/notes/new", "/notes/b"] {
            let slot = 9000 + path.len() as u32;
            let open = Step::Open {
                slot,
                path: path.into(),
                truncate: false,
            };
            let data = Arc::new(SplitMix64(1).bytes(100_000));
            player.play(&open).expect("a step on a healthy disk");
            player
                .play(&Step::Append { slot, data })
                .expect("a step on a healthy disk");
            player
                .play(&Step::Fsync { slot })
                .expect("a step on a healthy disk");
        }
        player
            .play(&Step::Remove("/notes/empty".into()))
            .expect("a step on a healthy disk");
        player
            .play(&Step::Fsync { slot: 9008 })
            .expect("a step on a healthy disk");
        let history = player.history();
        let history = locked(&history);
        Case {
            now: disk.crash_all_lost(),
            old: old.expect("the day has a middle"),
            truth: Truth {
                view: history.views[history.acknowledged].clone(),
                past: history.views.clone(),
                early,
            },
        }
    })
}

/// Runs harmed stores on two threads; panics and reports become one failure.
fn judge_all<T: Sync>(
    harms: &[T],
    name: impl Fn(&T) -> String + Sync,
    judge: impl Fn(&T) -> Result<(), String> + Sync,
) {
    let next = AtomicUsize::new(0);
    let problems: Mutex<Vec<String>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(harm) = harms.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let judged = catch_unwind(AssertUnwindSafe(|| judge(harm)));
                    if let Err(what) = judged.unwrap_or_else(|_| Err("a panic".into())) {
                        locked(&problems).push(format!("{}: {what}", name(harm)));
                    }
                }
            });
        }
    });
    let problems = locked(&problems);
    assert!(
        problems.is_empty(),
        "{} of {} harms, the first:\n{}",
        problems.len(),
        harms.len(),
        problems[..problems.len().min(12)].join("\n")
    );
    assert!(!harms.is_empty());
}

/// What must hold of any harm that changes something that counts: right data or an
/// error, and the check says so; salvage brings all that reads right, and if nothing
/// opens any more, what was published and has not changed since.
fn judge(case: &Case, harmed: &SimDisk, past: bool, counts: bool) -> Result<(), String> {
    let verdict = case.truth.read(harmed, past)?;
    if verdict.opened && verdict.problems.is_empty() && (counts || !verdict.same) {
        return Err(format!(
            "the check finds nothing (all data right: {})",
            verdict.same
        ));
    }
    if verdict.opened {
        return case.truth.salvage(harmed, &verdict.whole);
    }
    case.truth.salvage(harmed, &case.truth.steady())
}

/// The unharmed store shows what is true, and has rows of every kind.
#[test]
fn an_unharmed_store_is_whole() {
    let case = case();
    let verdict = case.truth.read(&case.now, false).expect("nothing is wrong");
    assert!(verdict.same && verdict.problems.is_empty(), "{verdict:?}");
    case.truth
        .salvage(&case.now, &verdict.whole)
        .expect("salvage brings all");
    // Nothing writes documents yet, and no other device has told anything of names.
    for (table, rows) in rows(&case.now)
        .into_iter()
        .filter(|(t, _)| !matches!(t, Table::Documents | Table::Moves))
    {
        assert!(!rows.is_empty(), "no row in {table:?}");
    }
    let mut kinds: BTreeMap<u8, usize> = BTreeMap::new();
    for record in records(&case.now) {
        *kinds.entry(record.kind).or_default() += 1;
    }
    assert!(kinds.len() >= 4, "only records of the kinds {kinds:?}");
    assert!(case.truth.steady().len() >= 2, "{:?}", case.truth.steady());
}

/// Any row of any table, harmed in any way.
#[test]
fn a_harmed_row_is_found_and_never_shows_wrong_data() {
    let case = case();
    let old = rows(&case.old);
    for seed in seeds(1, 4) {
        let mut rng = SplitMix64(seed);
        let mut harms = Vec::new();
        for ((table, now), (_, old)) in rows(&case.now).iter().zip(&old) {
            let keep = if long() || *table == Table::Meta {
                1
            } else {
                now.len().div_ceil(2) as u64
            };
            for (key, value) in now {
                if rng.below(keep) > 0 {
                    continue;
                }
                for harm in RowHarm::ALL {
                    if let Some(harmed) = harm_row(harm, (key, value), now, old, &mut rng) {
                        harms.push((*table, harm, key.clone(), harmed));
                    }
                }
            }
            // A row of an earlier day that is gone today.
            for (key, value) in old
                .iter()
                .filter(|(key, _)| !now.contains_key(*key))
                .take(pick(2, 100))
            {
                harms.push((*table, RowHarm::Old, key.clone(), Some(value.clone())));
            }
        }
        judge_all(
            &harms,
            |(table, harm, key, _)| format!("COFFER_SEED={seed} {harm:?} of {table:?} {}", hex(key)),
            |(table, harm, key, value)| {
                let harmed = with_rows(&case.now, &[(*table, key.clone(), value.clone())]);
                judge(case, &harmed, *harm == RowHarm::Old, true)
            },
        );
    }
}

fn hex(key: &[u8]) -> String {
    match std::str::from_utf8(key) {
        Ok(text) if text.chars().all(|c| c.is_ascii_graphic() || c == ' ') => text.into(),
        _ => key.iter().map(|b| format!("{b:02x}")).collect(),
    }
}

/// Any record of any pack, harmed in any way.
#[test]
fn a_harmed_pack_is_found_and_never_shows_wrong_data() {
    let case = case();
    let all = records(&case.now);
    for seed in seeds(1, 4) {
        let mut rng = SplitMix64(seed);
        let mut harms = Vec::new();
        for record in &all {
            for harm in RecordHarm::ALL {
                if long() || rng.below(1 + all.len() as u64 / 12) == 0 {
                    let other = all[rng.below(all.len() as u64) as usize];
                    harms.push((harm, *record, other, rng.next_u64()));
                }
            }
        }
        judge_all(
            &harms,
            |(harm, record, _, _)| format!("COFFER_SEED={seed} {harm:?} of {record:?}"),
            |(harm, record, other, chance)| {
                let harmed = harm_record(&case.now, *harm, *record, *other, &mut SplitMix64(*chance));
                judge(case, &harmed, false, false)
            },
        );
    }
}

/// Whole packs: missing, empty, from an earlier day.
#[test]
fn a_missing_or_older_pack_is_found_and_never_shows_wrong_data() {
    use coffer_store::io::Disk;
    let case = case();
    let names = case.now.list().expect("a simulated disk lists its files");
    let mut harms = Vec::new();
    for name in names.iter().filter(|name| name.starts_with("pack-")) {
        let gone = case.now.crash_all_kept();
        gone.remove(name).expect("it is there");
        harms.push((format!("{name} is gone"), gone));
        harms.push((format!("{name} is empty"), with_file(&case.now, name, b"")));
        if case.old.open(name).is_ok() {
            let old = bytes(&case.old, name);
            if old != bytes(&case.now, name) {
                harms.push((format!("{name} is old"), with_file(&case.now, name, &old)));
            }
        }
    }
    judge_all(
        &harms,
        |(what, _)| what.clone(),
        |(_, harmed)| judge(case, harmed, false, true),
    );
}

/// The database of an earlier day, with the packs of today: it shows that day.
#[test]
fn an_older_database_shows_its_day() {
    let case = case();
    let harmed = with_file(&case.now, FILE, &bytes(&case.old, FILE));
    let verdict = case.truth.read(&harmed, true).expect("no wrong data");
    assert!(
        verdict.opened && verdict.same && verdict.problems.is_empty(),
        "{verdict:?}"
    );
}

/// Opening a store in which a row is missing throws nothing away: with the row put back,
/// everything is there.
#[test]
fn opening_a_store_without_a_row_destroys_nothing() {
    let case = case();
    let mut harms = Vec::new();
    for (table, rows) in rows(&case.now) {
        if table != Table::Meta {
            harms.extend(rows.into_iter().map(|(key, value)| (table, key, value)));
        }
    }
    let every = pick(harms.len().div_ceil(30), 1);
    let harms: Vec<_> = harms.into_iter().step_by(every).collect();
    judge_all(
        &harms,
        |(table, key, _)| format!("{table:?} {}", hex(key)),
        |(table, key, value)| {
            let harmed = with_rows(&case.now, &[(*table, key.clone(), None)]);
            let fs = serve(&harmed)?;
            let closed = fs.vault().close();
            let again = with_rows(&harmed, &[(*table, key.clone(), Some(value.clone()))]);
            let verdict = case.truth.read(&again, false)?;
            match verdict.same {
                true => Ok(()),
                false => Err(format!("{verdict:?}; it was closed with {closed:?}")),
            }
        },
    );
}

/// Pages of the database's file: flipped bits, zeros, pages of an earlier day or from
/// elsewhere in the file, a shorter file. After a power cut, damage to the last
/// transaction looks like a transaction that was never finished: the one before it shows.
#[test]
fn a_harmed_database_file_is_found_and_never_shows_wrong_data() {
    let case = case();
    let (now, old) = (bytes(&case.now, FILE), bytes(&case.old, FILE));
    for seed in seeds(1, 8) {
        let mut rng = SplitMix64(seed);
        let mut harms = Vec::new();
        for n in 0..pick(90, 1500) {
            let mut file = now.clone();
            let page = rng.below(file.len() as u64 / 4096) as usize * 4096;
            let what = match n % 6 {
                0 | 1 => {
                    let at = rng.below(file.len() as u64) as usize;
                    file[at] ^= 1 << rng.below(8);
                    format!("a flipped bit at {at}")
                }
                2 => {
                    file[page..page + 4096].fill(0);
                    format!("zeros at {page}")
                }
                3 => {
                    let from = rng.below(file.len() as u64 / 4096) as usize * 4096;
                    file.copy_within(from..from + 4096, page);
                    format!("the page {from} at {page}")
                }
                4 => {
                    let page = page.min(old.len() - 4096);
                    file[page..page + 4096].copy_from_slice(&old[page..page + 4096]);
                    format!("an old page at {page}")
                }
                _ => {
                    let len = rng.below(file.len() as u64) as usize;
                    file.truncate(len);
                    format!("cut at {len}")
                }
            };
            harms.push((what, file));
        }
        judge_all(
            &harms,
            |(what, _)| format!("COFFER_SEED={seed} {what}"),
            |(_, file)| judge(case, &with_file(&case.now, FILE, file), true, false),
        );
    }
}
