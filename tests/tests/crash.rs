//! Guards what a power cut leaves: at whatever call it comes, and whatever of the
//! unsynced bytes is lost, torn or reordered, the vault opens, shows a state that it had,
//! at least as new as what fsync acknowledged, with no half save in it, passes its check,
//! and goes on.
//!
//! The disk is simulated, and looked at before every call that changes it: so one run of
//! a workload gives the power cuts at all of its calls. `COFFER_LONG=1` examines every
//! one, several times; else some are taken by chance. A failure names the seed that
//! repeats the workload and the cut (`COFFER_SEED`).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, OnceLock};

use coffer_store::io::Disk;
use coffer_store::io::sim::{SimDisk, SplitMix64};
use coffer_tests::crash::image::{Image, serve, serve_on};
use coffer_tests::crash::player::{History, Player, Step, locked};
use coffer_tests::crash::watched::Watched;
use coffer_tests::crash::workload;
use coffer_tests::engine;
use coffer_tests::settings::{long, pick, seeds};

/// How a power cut treats what was not synced.
#[derive(Clone, Copy, Debug)]
enum Loss {
    Everything,
    Nothing,
    Chance(u64),
}

fn lose(disk: &SimDisk, loss: Loss) -> SimDisk {
    match loss {
        Loss::Everything => disk.crash_all_lost(),
        Loss::Nothing => disk.crash_all_kept(),
        Loss::Chance(seed) => disk.crash(seed),
    }
}

/// Cuts examined in one run of a workload. A run must be over before the vault takes an
/// unfinished save for good, after 30 seconds.
const RUN: u64 = 80;

/// Plays a workload on a new vault and examines about `cuts` of its power cuts.
fn cut_everywhere(name: &str, steps: &[Step], seed: u64, cuts: u64) {
    let calls = count_calls(steps);
    let all = calls * if long() { 5 } else { 1 };
    let runs = all.min(cuts).div_ceil(RUN).max(1);
    let problems: Mutex<Vec<String>> = Mutex::default();
    let examined = AtomicU64::new(0);
    for run in 0..runs {
        let choice = Choice {
            seed: seed ^ run << 32,
            run,
            runs,
            calls,
            cuts,
        };
        cut_in_one_run(name, steps, seed, choice, &problems, &examined);
    }
    let problems = locked(&problems);
    assert!(
        problems.is_empty(),
        "{} of {} power cuts, the first:\n{}",
        problems.len(),
        examined.load(Ordering::Relaxed),
        problems[..problems.len().min(5)].join("\n")
    );
    assert!(examined.load(Ordering::Relaxed) > 0, "no power cut was examined");
}

fn cut_in_one_run(
    name: &str,
    steps: &[Step],
    seed: u64,
    choice: Choice,
    problems: &Mutex<Vec<String>>,
    examined: &AtomicU64,
) {
    let (send, images) = sync_channel::<Image>(2);
    let images = Mutex::new(images);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| examine_all(&images, problems, examined));
        }
        let disk = engine::empty();
        let history: Arc<OnceLock<Arc<Mutex<History>>>> = Arc::default();
        let watcher = {
            let (disk, history) = (disk.clone(), history.clone());
            let chance = Mutex::new(SplitMix64(choice.seed));
            let name = name.to_owned();
            move || {
                let Some(history) = history.get() else {
                    return;
                };
                let at = disk.ops() + 1;
                for loss in choice.losses(&mut locked(&chance), at) {
                    // First what is acknowledged, then the disk, then what may be shown.
                    let acknowledged = locked(history).acknowledged;
                    let left = lose(&disk, loss);
                    let views = locked(history).views[acknowledged..].to_vec();
                    let image = Image {
                        disk: left,
                        views,
                        name: format!("{name}, COFFER_SEED={seed}, power cut at call {at}, {loss:?}"),
                        seed: seed ^ at,
                    };
                    if send.send(image).is_err() {
                        return;
                    }
                }
            }
        };
        let watched: Arc<dyn Disk> = Arc::new(Watched::new(disk, watcher));
        let mut player = Player::new(Box::new(move || serve_on(watched.clone()))).expect("the vault opens");
        history.get_or_init(|| player.history());
        for (i, step) in steps.iter().enumerate() {
            if let Err(e) = player.play(step) {
                panic!("{name}, seed {seed}: step {i} {step:?} on a healthy disk: {e:?}");
            }
        }
    });
}

fn examine_all(images: &Mutex<Receiver<Image>>, problems: &Mutex<Vec<String>>, examined: &AtomicU64) {
    loop {
        let next = locked(images).recv();
        let Ok(image) = next else { return };
        examined.fetch_add(1, Ordering::Relaxed);
        let examine = std::panic::AssertUnwindSafe(|| image.examine());
        let result = std::panic::catch_unwind(examine).unwrap_or_else(|_| Err("a panic".into()));
        if let Err(what) = result {
            locked(problems).push(format!("{}: {what}", image.name));
        }
    }
}

/// Which power cuts are examined.
#[derive(Clone, Copy)]
struct Choice {
    seed: u64,
    run: u64,
    runs: u64,
    calls: u64,
    cuts: u64,
}

impl Choice {
    /// What is lost at this call, each for one examination: all ways in the long run, else
    /// so that about `cuts` are examined.
    fn losses(self, chance: &mut SplitMix64, at: u64) -> Vec<Loss> {
        let seed = chance.next_u64();
        if long() {
            let more = (1..4).map(|n| Loss::Chance(seed.wrapping_add(n)));
            let mine = at % self.runs == self.run;
            let all = [Loss::Everything, Loss::Nothing].into_iter().chain(more);
            return all.filter(|_| mine).collect();
        }
        if chance.below(self.calls.max(1) * self.runs) >= self.cuts {
            return Vec::new();
        }
        vec![match chance.below(8) {
            0 => Loss::Everything,
            1 => Loss::Nothing,
            _ => Loss::Chance(seed),
        }]
    }
}

/// About how many calls a workload makes.
fn count_calls(steps: &[Step]) -> u64 {
    let disk = engine::empty();
    let opened = disk.clone();
    let mut player = Player::new(Box::new(move || serve(&opened))).expect("the vault opens");
    let before = disk.ops();
    for step in steps {
        player.play(step).expect("a step on a healthy disk");
    }
    disk.ops() - before
}

/// Editors, logs, databases, renames, links, copies, holes: a day's work.
#[test]
fn a_power_cut_in_a_days_work_loses_nothing_that_was_synced() {
    for seed in seeds(1, 3) {
        cut_everywhere(
            "a day's work",
            &workload::day(seed, 16),
            seed,
            pick(250, u64::MAX),
        );
    }
}

/// Random steps, files that stay open, saves that are never finished.
#[test]
fn a_power_cut_in_random_work_loses_nothing_that_was_synced() {
    for seed in seeds(8, 60) {
        cut_everywhere(
            "random work",
            &workload::random(seed, 120),
            seed,
            pick(30, u64::MAX),
        );
    }
}
