//! What people are told and spared when things are damaged, held or read-only. Through the
//! built program; what needs a mount is skipped, with a word, where nothing can be mounted.

mod common;

use common::{PASSWORD, Stage, cannot_mount, files, kill, until};
use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::time::{Duration, Instant};

/// Guards that a damaged database is code 6 and one sentence, whatever its first bytes are,
/// and that nothing of the library's own alarm reaches the person.
#[test]
fn a_damaged_database_is_damage() {
    let stage = Stage::with_vault();
    let path = stage.vault().join("vault.redb");
    let whole = fs::read(&path).unwrap();
    let mut harms = [whole.clone(), whole.clone(), whole[..4000].to_vec(), Vec::new()];
    harms[0][..9].fill(b'x');
    for (i, byte) in harms[1].iter_mut().enumerate().skip(4096) {
        *byte ^= i as u8;
    }
    for (i, harm) in harms.iter().enumerate() {
        fs::write(&path, harm).unwrap();
        let said = stage.open(&["check"]).gives(6);
        assert!(!said.err.contains("panicked"), "{i}: {}", said.err);
        assert!(said.err.contains("salvage"), "{i}: {}", said.err);
        assert_eq!(said.err.lines().count(), 1, "{i}: {}", said.err);
        let out = format!("out{i}");
        // Everything comes back by events, and that is a success.
        let said = stage.open(&["check", "--salvage", &out]).gives(0);
        assert!(!said.err.contains("panicked"), "{i}: {}", said.err);
        assert!(said.out.contains("database"), "{i}: {}", said.out);
        assert!(stage.path(&out).join("Notes/Welcome.md").is_file());
    }
    fs::remove_file(&path).unwrap();
    let said = stage.run(&["status"]).gives(6);
    assert!(said.err.contains("salvage"), "{}", said.err);
    stage.open(&["check", "--salvage", "out-none"]).gives(0);
    stage
        .open(&["check", "--vault", "nowhere", "--salvage", "x"])
        .gives(4);
    assert!(!stage.path("x").exists());
}

/// Guards that a backup of a damaged vault says what it lacks, and by its code.
#[test]
fn a_backup_that_lacks_something_says_so() {
    let stage = Stage::with_vault();
    let pack = stage.vault().join("pack-00000001");
    let len = fs::metadata(&pack).unwrap().len();
    fs::File::options()
        .write(true)
        .open(&pack)
        .unwrap()
        .set_len(len / 2)
        .unwrap();
    let said = stage.open(&["backup", "copy"]).gives(6);
    assert!(said.out.contains("pack-00000001"), "{}", said.out);
    let said = stage.open(&["backup", "copy", "--json"]).gives(6);
    assert!(!said.json()["problems"].as_array().unwrap().is_empty());
}

/// Guards a backup that is itself mounted: it is in use, and not called something else.
#[test]
fn a_mounted_backup_is_in_use() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    stage.open(&["backup", "copy"]).gives(0);
    // To be read, a copy raises no question.
    stage
        .open(&["mount", "--vault", "copy", "mnt", "-o", "ro"])
        .gives(0);
    let said = stage.open(&["backup", "copy"]).gives(5);
    assert!(said.err.contains("in use"), "{}", said.err);
    stage.run(&["lock", "--vault", "copy"]).gives(0);
    stage.open(&["backup", "copy"]).gives(0);
}

/// Guards the files of a vault against other users of the machine, and plaintext more so.
#[test]
fn nothing_is_open_to_others() {
    let stage = Stage::with_vault();
    stage.open(&["backup", "copy"]).gives(0);
    stage.open(&["check"]).gives(0);
    stage.open(&["check", "--vault", "copy"]).gives(0);
    stage.open(&["check", "--salvage", "out"]).gives(0);
    for dir in ["v", "copy", "out"] {
        let mode = |path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(stage.path(dir)), 0o700, "{dir}");
        for file in files(&stage.path(dir)).into_iter().filter(|_| dir != "out") {
            assert_eq!(mode(file.clone()), 0o600, "{}", file.display());
        }
    }
}

/// Guards `recover --new`: it asks for the password, and changes nothing but the phrase.
#[test]
fn a_new_phrase_changes_no_key() {
    let stage = Stage::with_vault();
    let salt = |stage: &Stage| stage.run(&["status", "--json"]).gives(0).json()["kdf"].clone();
    let before = salt(&stage);
    stage
        .run_with(&["recover", "--new", "--password-stdin"], "wrong\n")
        .gives(3);
    stage.open(&["recover", "--new"]).gives(0);
    assert_eq!(salt(&stage), before);
    stage.open(&["check"]).gives(0);
}

/// Guards who has only the phrase left, and a vault whose database is lost with the password.
#[test]
fn the_phrase_salvages_too() {
    let stage = Stage::with_vault();
    let made = stage.open(&["recover", "--new", "--json"]).gives(0).json();
    let words = made["recovery_phrase"].as_array().unwrap();
    let phrase: Vec<&str> = words.iter().map(|word| word.as_str().unwrap()).collect();
    fs::write(stage.path("phrase"), phrase.join(" ")).unwrap();
    fs::write(stage.path("wrong"), "abandon ".repeat(23) + "art").unwrap();
    fs::write(stage.vault().join("vault.redb"), b"nothing of it is left").unwrap();
    stage
        .run(&["check", "--salvage", "out", "--phrase-file", "wrong"])
        .gives(3);
    assert!(!stage.path("out").exists());
    stage
        .run(&["check", "--salvage", "out", "--phrase-file", "phrase"])
        .gives(0);
    assert!(stage.path("out/Notes/Welcome.md").is_file());
    stage.run(&["check", "--phrase-file", "phrase"]).gives(2);
}

/// A vault's folder, seen through a mount that cannot be written to.
struct ReadOnly(std::path::PathBuf);

impl ReadOnly {
    fn of(stage: &Stage, name: &str) -> ReadOnly {
        let point = stage.path(name);
        fs::create_dir(&point).unwrap();
        let bind = |args: &[&str]| {
            let mut mount = Command::new("mount");
            mount.args(args);
            if args.contains(&"--bind") {
                mount.arg(stage.vault());
            }
            assert!(mount.arg(&point).status().unwrap().success());
        };
        bind(&["--bind"]);
        bind(&["-o", "remount,bind,ro"]);
        ReadOnly(point)
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH);
    }
}

/// Guards a vault on a disk that cannot be written to: it is shown, checked, backed up,
/// mounted read-only and salvaged from; what would write says why it cannot.
#[test]
fn a_read_only_disk_can_be_read() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    let fixed = ReadOnly::of(&stage, "cdrom");
    let before: Vec<Vec<u8>> = files(&stage.vault())
        .iter()
        .map(|f| fs::read(f).unwrap())
        .collect();
    let vault = ["--vault", "cdrom"];
    let with = |args: &[&str]| stage.open(&[args, &vault[..]].concat());
    stage.run(&["status", "--vault", "cdrom"]).gives(0);
    with(&["check", "--read-data"]).gives(0);
    with(&["backup", "copy"]).gives(0);
    with(&["check", "--salvage", "out"]).gives(0);
    assert!(stage.path("out/Notes/Welcome.md").is_file());
    let said = with(&["mount", "mnt"]).gives(1);
    assert!(said.err.contains("-o ro"), "{}", said.err);
    let said = stage
        .run_with(
            &["passwd", "--vault", "cdrom", "--password-stdin"],
            &format!("{PASSWORD}\nnew password 5\n"),
        )
        .gives(1);
    assert!(said.err.to_lowercase().contains("read-only"), "{}", said.err);
    with(&["recover", "--new"]).gives(1);
    with(&["mount", "mnt", "-o", "ro"]).gives(0);
    assert!(
        fs::read_to_string(stage.mnt().join("Notes/Welcome.md"))
            .unwrap()
            .starts_with("# Welcome")
    );
    assert!(fs::write(stage.mnt().join("Notes/new"), "x").is_err());
    stage
        .run_with(
            &["passwd", "--vault", "cdrom", "--password-stdin"],
            &format!("{PASSWORD}\nnew password 5\n"),
        )
        .gives(1);
    stage.run(&["lock", "--vault", "cdrom"]).gives(0);
    drop(fixed);
    let after: Vec<Vec<u8>> = files(&stage.vault())
        .iter()
        .map(|f| fs::read(f).unwrap())
        .collect();
    assert!(before == after);
    stage.open(&["check", "--vault", "copy", "--read-data"]).gives(0);
}

/// Guards that `-o ro` writes nothing even where it could.
#[test]
fn a_read_only_mount_writes_nothing() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    let before: Vec<Vec<u8>> = files(&stage.vault())
        .iter()
        .map(|f| fs::read(f).unwrap())
        .collect();
    stage.open(&["mount", "mnt", "-o", "ro"]).gives(0);
    assert!(stage.mnt().join("Notes/Welcome.md").is_file());
    stage.run(&["lock"]).gives(0);
    let after: Vec<Vec<u8>> = files(&stage.vault())
        .iter()
        .map(|f| fs::read(f).unwrap())
        .collect();
    assert!(before == after);
    stage.open(&["mount", "--copied", "mnt", "-o", "ro"]).gives(2);
}

/// Guards against a daemon that was killed and whose socket still takes calls: it is waited for,
/// and the vault is truly mounted then.
#[test]
fn a_dying_daemon_is_no_mount() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    let dying = Dying::of(&stage);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // It takes one call, and dies without a word.
            let call = dying.0.accept().unwrap();
            std::thread::sleep(Duration::from_millis(300));
            drop(dying);
            drop(call);
        });
        let said = stage.open(&["mount", "mnt", "--json"]).gives(0);
        assert!(said.json()["already"].is_null(), "{}", said.out);
    });
    assert!(stage.is_mounted() && stage.mnt().join("Notes").is_dir());
}

/// Guards against a daemon that was killed and whose socket still takes calls, again: whoever asks
/// for its end, or what it serves, is told what is true once it is gone.
#[test]
fn a_dying_daemon_is_not_asked() {
    if cannot_mount() {
        return;
    }
    for ask in [
        &["unmount", "mnt"][..],
        &["unmount"],
        &["lock"],
        &["lock", "--all"],
        &["status"],
        &["status", "--all"],
    ] {
        let stage = Stage::with_vault();
        let pid = stage.mount();
        kill(pid, libc::SIGKILL);
        until("the mount is dead", || fs::read_dir(stage.mnt()).is_err());
        let dying = Dying::of(&stage);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                dying.0.set_nonblocking(true).unwrap();
                let until = Instant::now() + Duration::from_millis(300);
                while Instant::now() < until {
                    drop(dying.0.accept());
                    std::thread::sleep(Duration::from_millis(1));
                }
                drop(dying);
            });
            let said = stage.run(ask).gives(0);
            assert_eq!(said.err, "", "{ask:?}");
        });
        let takes_away = !ask.contains(&"status") && !ask.contains(&"--all");
        assert_eq!(stage.is_mounted(), !takes_away, "{ask:?}");
    }
}

/// The socket of a stage's vault as a daemon leaves it that was killed a moment ago.
struct Dying(UnixListener);

impl Dying {
    fn of(stage: &Stage) -> Dying {
        let run = stage.path("run/coffer");
        let _ = fs::remove_dir_all(&run);
        fs::create_dir(&run).unwrap();
        fs::set_permissions(&run, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        let meta = fs::metadata(stage.vault()).unwrap();
        let card = serde_json::json!({
            "pid": std::process::id(), "vault": stage.vault(), "dev": meta.dev(), "ino": meta.ino(),
            "vault_id": "00", "mountpoint": fs::canonicalize(stage.path("")).unwrap().join("mnt"),
        });
        let socket = UnixListener::bind(run.join("00.sock")).unwrap();
        fs::write(run.join("00.json"), card.to_string()).unwrap();
        Dying(socket)
    }
}

/// Guards that a fault of ours is one sentence for the person and a place in the log.
#[test]
fn what_is_read_from_a_damaged_vault_is_said_in_sentences() {
    let stage = Stage::with_vault();
    let database = fs::File::options()
        .read(true)
        .write(true)
        .open(stage.vault().join("vault.redb"))
        .unwrap();
    for step in 1..12 {
        let at = database.metadata().unwrap().len() / 12 * step;
        let mut before = [0; 512];
        database.read_exact_at(&mut before, at).unwrap();
        database.write_all_at(&[0xAB; 512], at).unwrap();
        let said = stage.open(&["check", "--read-data"]);
        assert!([0, 6].contains(&said.code), "{}: {}", said.code, said.err);
        assert!(
            !said.err.contains("panicked") && !said.err.contains("RUST_BACKTRACE"),
            "{}",
            said.err
        );
        database.write_all_at(&before, at).unwrap();
    }
}
