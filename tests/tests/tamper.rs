//! Guards what is read against what somebody did to the store: bits flipped, files cut,
//! ranges swapped, zeroed or put back from an earlier day. Reading gives the right bytes or
//! an error, never wrong ones; nothing panics or hangs; what is amiss `check` finds.

use coffer_tests::command::{Ended, run};
use coffer_tests::op::Fill;
use coffer_tests::settings::pick;
use coffer_tests::vault::Vault;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is in the vault: every file's bytes, every symlink's target.
type Contents = BTreeMap<PathBuf, Vec<u8>>;

fn fill_vault(vault: &Vault, day: u32) -> Contents {
    let mut contents = Contents::new();
    let at = &vault.mountpoint;
    for folder in 0..4 {
        fs::create_dir_all(at.join(format!("folder {folder}"))).expect("there is room");
        for file in 0..6_u32 {
            let name = PathBuf::from(format!("folder {folder}/file {file}"));
            let bytes = Fill(day * 100 + folder * 10 + file + 1).bytes(u64::from(1 + file * file * 900));
            fs::write(at.join(&name), &bytes).expect("there is room");
            contents.insert(name, bytes);
        }
    }
    for (name, len) in [("medium", 300_000), ("large", 3_000_000), ("zeros", 500_000)] {
        let bytes = Fill(if name == "zeros" { 0 } else { day + 77 }).bytes(len);
        fs::write(at.join(name), &bytes).expect("there is room");
        contents.insert(name.into(), bytes);
    }
    let target = format!("folder 1/file {day}");
    fs::remove_file(at.join("link")).unwrap_or_default();
    std::os::unix::fs::symlink(&target, at.join("link")).expect("symlinks work");
    contents.insert("link".into(), target.into_bytes());
    contents
}

/// Every way to do harm, by what it does to a file's bytes.
fn harm(how: usize, bytes: &mut Vec<u8>, old: Option<&Vec<u8>>, rng: &mut SmallRng) -> String {
    let at = rng.random_range(0..bytes.len());
    let page = at / 4096 * 4096;
    let end = bytes.len().min(page + 4096);
    match how {
        0 => {
            bytes[at] ^= 1 << rng.random_range(0..8);
            format!("a bit flipped at {at}")
        }
        1 => {
            bytes.truncate(at);
            format!("cut at {at}")
        }
        2 => {
            bytes[page..end].fill(0);
            format!("a page zeroed at {page}")
        }
        3 => {
            let other = rng.random_range(0..bytes.len()) / 4096 * 4096;
            let len = (end - page).min(bytes.len() - other).min(page.abs_diff(other));
            let (low, high) = (page.min(other), page.max(other));
            let (left, right) = bytes.split_at_mut(high);
            left[low..low + len].swap_with_slice(&mut right[..len]);
            format!("{len} bytes swapped between {low} and {high}")
        }
        4 => match old {
            Some(old) if old.len() > page => {
                let end = end.min(old.len());
                bytes[page..end].copy_from_slice(&old[page..end]);
                format!("a page of an earlier day put back at {page}")
            }
            _ => {
                bytes.extend_from_slice(&[0x5a; 4096]);
                "4096 bytes appended".into()
            }
        },
        _ => match old {
            Some(old) => {
                bytes.clone_from(old);
                "the whole file of an earlier day put back".into()
            }
            None => {
                bytes.clear();
                "emptied".into()
            }
        },
    }
}

fn store_files(store: &Path) -> Vec<PathBuf> {
    let listed = coffer_tests::tree::list(store).expect("it is ours");
    let regular = listed
        .into_iter()
        .filter(|(path, stat)| store.join(path).is_file() && stat.st_size > 0);
    regular.map(|(path, _)| path).collect()
}

#[track_caller]
fn assert_calm(ended: &Ended, harm: &str) {
    // A panic that is not caught ends with 101.
    let calm = ended.status.code().is_some_and(|code| code < 100);
    assert!(
        calm,
        "{harm}: {} ends by {}: {}",
        ended.command, ended.status, ended.stderr
    );
    let told = ended.status.success() || !ended.stderr.is_empty();
    assert!(told, "{harm}: {} fails without a word", ended.command);
}

/// Reads all that should be there. Returns what was amiss.
///
/// If everything reads as it was on the earlier day, that is no wrong data: a whole vault put
/// back cannot be told from one that nobody used since, until it meets another device.
fn read_all(vault: &Vault, contents: &Contents, earlier: &Contents, harm: &str) -> Vec<String> {
    let (mut amiss, mut today, mut before) = (Vec::new(), Vec::new(), Vec::new());
    for (path, expected) in contents {
        let at = vault.mountpoint.join(path);
        // By processes with an end, so that a hang is found and not shared.
        let mut command = match path.ends_with("link") {
            true => Command::new("readlink"),
            false => Command::new("cat"),
        };
        if path.ends_with("link") {
            command.arg("-n");
        }
        let ended = run(command.arg(&at), b"");
        let was = &earlier[path];
        match ended.status.success() {
            false => amiss.push(ended.stderr),
            true if ended.stdout == *expected && ended.stdout == *was => {}
            true if ended.stdout == *expected => today.push(path),
            true if ended.stdout == *was => before.push(path),
            true => panic!(
                "{harm}: {} reads {} wrong bytes",
                path.display(),
                ended.stdout.len()
            ),
        }
    }
    assert!(
        today.is_empty() || before.is_empty(),
        "{harm}: the vault mixes ages: {today:?} are of today, {before:?} of an earlier day"
    );
    assert!(
        before.is_empty() || harm.contains("whole file"),
        "{harm}: {before:?} are of an earlier day"
    );
    amiss
}

/// Harm at sampled places in every file of the store.
#[test]
fn harm_gives_errors_and_never_wrong_data() {
    let Some(vault) = Vault::mounted() else { return };
    let earlier = fill_vault(&vault, 1);
    vault.lock();
    let (old, good) = (vault.scratch().join("old"), vault.scratch().join("good"));
    let copy = |from: &Path, to: &Path| {
        fs::remove_dir_all(to).unwrap_or_default();
        run(Command::new("cp").args(["-a"]).args([from, to]), b"").ok();
    };
    copy(&vault.store, &old);
    vault.mount();
    let contents = fill_vault(&vault, 2);
    vault.lock();
    copy(&vault.store, &good);
    let mut rng = SmallRng::seed_from_u64(11);
    let mut seen = (0, 0, 0);
    for round in 0..pick(60, 1200) {
        let files = store_files(&good);
        let file = &files[round % files.len()];
        let mut bytes = fs::read(good.join(file)).expect("it is ours");
        let old = fs::read(old.join(file)).ok();
        let what = harm(round / files.len() % 6, &mut bytes, old.as_ref(), &mut rng);
        let harm = format!("round {round}, {}: {what}", file.display());
        copy(&good, &vault.store);
        // In place: a file of another inode may be taken for a copied vault.
        fs::write(vault.store.join(file), &bytes).expect("it is ours");
        let mounted = vault.try_mount(&coffer_tests::args!["--moved"]);
        assert_calm(&mounted, &harm);
        let mut amiss = !mounted.status.success();
        let mut unread = Vec::new();
        seen.0 += usize::from(amiss);
        if mounted.status.success() {
            unread = read_all(&vault, &contents, &earlier, &harm);
            seen.1 += usize::from(!unread.is_empty());
            amiss |= !unread.is_empty();
            vault.coffer(&coffer_tests::args!["lock"]).ok();
        }
        let check = vault.coffer(&coffer_tests::args![
            "check",
            "--read-data",
            "--json",
            "--password-stdin"
        ]);
        assert_calm(&check, &harm);
        if amiss && check.status.success() {
            // Only the database's count of its own pages was hit, which it made anew when it was
            // opened again: if check says that all is well, then it is.
            vault.try_mount(&coffer_tests::args!["--moved"]).ok();
            let unread_again = read_all(&vault, &contents, &earlier, &harm);
            vault.coffer(&coffer_tests::args!["lock"]).ok();
            assert!(
                unread_again.is_empty() && unread.is_empty(),
                "{harm}: reading fails ({unread:?}, {unread_again:?}), and check finds nothing: {}",
                String::from_utf8_lossy(&check.stdout)
            );
        }
        seen.2 += usize::from(!check.status.success());
    }
    println!(
        "kept from mounting {}, from reading {}, found by check {} times",
        seen.0, seen.1, seen.2
    );
    assert!(seen.2 > 0, "no harm had any effect: the test tests nothing");
    // And the good one is still good.
    copy(&good, &vault.store);
    vault.try_mount(&coffer_tests::args!["--moved"]).ok();
    assert_eq!(
        read_all(&vault, &contents, &earlier, "without harm"),
        Vec::<String>::new()
    );
    vault.assert_sound();
}
