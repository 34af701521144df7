//! The past through the built program: versions, differences, what was removed, what is destroyed.
//! What needs a mount is skipped, with a word, where nothing can be mounted.

mod common;
mod mounted;

use common::{PASSWORD, Said, Stage, cannot_mount};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

/// Saves a file in the mount as a program does that writes it whole, and has it recorded: a version
/// each, also where two saves come within one commit.
fn save(stage: &Stage, path: &str, bytes: impl AsRef<[u8]>) {
    fs::write(stage.mnt().join(path), bytes).unwrap();
    versions(stage, path);
}

/// The versions of a file in the mount, the newest first.
fn versions(stage: &Stage, path: &str) -> Vec<Value> {
    lines(&stage.run(&["log", &format!("mnt/{path}"), "--json"]).gives(0))
}

/// JSON, an object a line.
fn lines(said: &Said) -> Vec<Value> {
    let parsed = said.out.lines().map(serde_json::from_str);
    parsed
        .map(|line| line.unwrap_or_else(|error| panic!("{error} in {}", said.out)))
        .collect()
}

/// The numbers of versions.
fn numbers(versions: &[Value]) -> Vec<u64> {
    versions
        .iter()
        .map(|version| version["number"].as_u64().unwrap())
        .collect()
}

/// A command's bytes.
fn bytes(stage: &Stage, args: &[&str]) -> Vec<u8> {
    let out = stage.command(args).output().unwrap();
    assert!(
        out.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    out.stdout
}

/// A stage whose vault is mounted, with a note of four versions.
fn with_note() -> Stage {
    let stage = Stage::with_vault();
    stage.mount();
    for text in ["one\n", "one two\n", "one two three\n", "four\n"] {
        save(&stage, "Notes/a.md", text);
    }
    stage
}

/// Guards the list and the bytes behind it, through a daemon and, locked, by the password.
#[test]
fn versions_are_listed_and_shown() {
    if cannot_mount() {
        return;
    }
    let stage = with_note();
    let told = versions(&stage, "Notes/a.md");
    assert_eq!(numbers(&told), [4, 3, 2, 1]);
    assert_eq!(told[0]["size"], 5);
    assert_eq!(
        (&told[0]["held"], &told[1]["parents"]),
        (&true.into(), &vec![2].into())
    );
    for field in ["recorded", "modified"] {
        let time = told[0][field].as_str().unwrap();
        assert!(
            time.len() >= 20 && time.ends_with('Z') && time.as_bytes()[10] == b'T',
            "{time}"
        );
    }
    let said = stage.run(&["log", "mnt/Notes/a.md", "-n", "2"]).gives(0).out;
    let shown: Vec<&str> = said.lines().collect();
    assert!(
        shown[0].starts_with("@4  20") && shown[0].contains("−9 B"),
        "{said}"
    );
    assert!(
        shown[1].starts_with("@3  20") && shown[1].contains("+6 B"),
        "{said}"
    );
    assert_eq!(shown[2..], ["and 2 older ones"], "{said}");
    for (path, text) in [
        ("mnt/Notes/a.md", "four\n"),
        ("mnt/Notes/a.md@4", "four\n"),
        ("mnt/Notes/a.md@2", "one two\n"),
        ("mnt/Notes/a.md@today", "four\n"),
    ] {
        assert_eq!(bytes(&stage, &["show", path]), text.as_bytes(), "{path}");
    }
    // By time: the newest that was recorded at or before it, to the nanosecond.
    for version in &told {
        let at = format!("mnt/Notes/a.md@{}", version["recorded"].as_str().unwrap());
        let number = format!("mnt/Notes/a.md@{}", version["number"]);
        assert_eq!(
            bytes(&stage, &["show", &at]),
            bytes(&stage, &["show", &number]),
            "{at}"
        );
    }
    stage.run(&["lock"]).gives(0);
    let said = stage.open(&["log", "Notes/a.md", "--json"]).gives(0);
    assert_eq!(lines(&said), told);
    assert_eq!(
        stage.open(&["show", "/Notes/a.md@3"]).gives(0).out,
        "one two three\n"
    );
    stage
        .run_with(&["log", "Notes/a.md", "--password-stdin"], "wrong\n")
        .gives(3);
    stage.open(&["check", "--read-data"]).gives(0);
}

/// Guards large files: shown in steps, each byte, and sparse ones with their holes as zeros.
#[test]
fn large_versions_are_shown_whole() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    stage.mount();
    let mut seed = 1_u32;
    let mut big: Vec<u8> = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    })
    .take((9 << 20) + 17)
    .collect();
    save(&stage, "Files/big", &big);
    let first = big.clone();
    big[5 << 20] ^= 1;
    save(&stage, "Files/big", &big);
    let sparse = fs::File::create(stage.mnt().join("Files/sparse")).unwrap();
    sparse.write_all_at(b"end", 20 << 20).unwrap();
    drop(sparse);
    assert!(bytes(&stage, &["show", "mnt/Files/big@1"]) == first);
    assert!(bytes(&stage, &["show", "mnt/Files/big"]) == big);
    let shown = bytes(&stage, &["show", "mnt/Files/sparse@1"]);
    assert_eq!(shown.len(), (20 << 20) + 3);
    assert!(shown.ends_with(b"end") && shown[..20 << 20].iter().all(|byte| *byte == 0));
    let said = stage.run(&["diff", "mnt/Files/big", "--json"]).gives(0).json();
    assert_eq!(
        (&said["first_difference"], &said["equal_bytes"]),
        (&(5 << 20).into(), &(big.len() - 1).into())
    );
}

/// Guards names: from within the mounted folder, files that are really called like a version,
/// folders, what is in no vault, and what does not exist.
#[test]
fn paths_mean_what_they_name() {
    if cannot_mount() {
        return;
    }
    let stage = with_note();
    let within = |dir: &str, args: &[&str]| -> Said {
        let mut command = stage.command(args);
        command
            .env_remove("COFFER_VAULT")
            .current_dir(stage.mnt().join(dir));
        command.output().unwrap().into()
    };
    assert_eq!(within("Notes", &["show", "a.md@1"]).gives(0).out, "one\n");
    assert_eq!(
        within("Files", &["show", "../Notes/a.md@2"]).gives(0).out,
        "one two\n"
    );
    let absolute = stage.mnt().join("Notes/a.md@3");
    assert_eq!(
        within("", &["show", absolute.to_str().unwrap()]).gives(0).out,
        "one two three\n"
    );
    save(&stage, "Notes/a.md@2", "a real name\n");
    save(&stage, "Notes/a.md@2", "a real name again\n");
    assert_eq!(
        within("Notes", &["show", "a.md@2"]).gives(0).out,
        "a real name again\n"
    );
    assert_eq!(
        within("Notes", &["show", "a.md@2@1"]).gives(0).out,
        "a real name\n"
    );
    let said = within("Notes", &["show", "a.md@9"]).gives(1);
    assert!(said.err.contains("no version 9"), "{}", said.err);
    let said = within("Notes", &["show", "a.md@2001-01-01"]).gives(1);
    assert!(said.err.contains("so old"), "{}", said.err);
    let said = within("", &["log", "Notes"]).gives(1);
    assert!(said.err.contains("is a folder"), "{}", said.err);
    let said = within("", &["log", "Notes/none.md"]).gives(1);
    assert!(
        said.err.contains("There is no Notes/none.md in the vault"),
        "{}",
        said.err
    );
    fs::write(stage.path("outside"), "x").unwrap();
    let outside = stage.path("outside");
    let said = within("", &["log", outside.to_str().unwrap()]).gives(2);
    assert!(
        said.err.contains("does not lie in a mounted vault"),
        "{}",
        said.err
    );
    // A symlink on the way is followed, one at the end is the file.
    std::os::unix::fs::symlink(stage.mnt().join("Notes"), stage.path("way")).unwrap();
    assert_eq!(bytes(&stage, &["show", "way/a.md@1"]), b"one\n");
}

/// Guards going back: the mount shows it at once, what was there stays a version, what is printed
/// as the way to undo it undoes it, and nothing of it happens twice.
#[test]
fn a_version_comes_back_and_goes_again() {
    if cannot_mount() {
        return;
    }
    let stage = with_note();
    let path = stage.mnt().join("Notes/a.md");
    // Who has it open, with its pages in memory, sees it as well.
    let open = fs::File::open(&path).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"four\n");
    let said = stage.run(&["restore", "mnt/Notes/a.md"]).gives(0).out;
    assert_eq!(fs::read(&path).unwrap(), b"one two three\n");
    let mut seen = [0; 14];
    open.read_exact_at(&mut seen, 0).unwrap();
    assert_eq!(&seen, b"one two three\n");
    drop(open);
    assert!(
        said.contains("version 3 (") && said.contains("coffer restore mnt/Notes/a.md@4"),
        "{said}"
    );
    assert_eq!(numbers(&versions(&stage, "Notes/a.md")), [5, 4, 3, 2, 1]);
    let undo = said.rsplit_once("coffer ").unwrap().1.trim();
    stage.run(&undo.split(' ').collect::<Vec<_>>()).gives(0);
    assert_eq!(fs::read(&path).unwrap(), b"four\n");
    let said = stage
        .run(&["restore", "mnt/Notes/a.md@6", "--json"])
        .gives(0)
        .json();
    assert_eq!(said["unchanged"], true, "{said}");
    assert_eq!(versions(&stage, "Notes/a.md").len(), 6);
    // Two states of one size: what was remembered of the pages must not be shown.
    save(&stage, "Notes/a.md", "FOUR\n");
    stage.run(&["restore", "mnt/Notes/a.md@4"]).gives(0);
    assert_eq!(fs::read(&path).unwrap(), b"four\n");
    // What is no version yet would be lost.
    let writing = fs::File::options().append(true).open(&path).unwrap();
    writing.write_all_at(b"half a thought", 0).unwrap();
    let said = stage.run(&["restore", "mnt/Notes/a.md@1"]).gives(1);
    assert!(said.err.contains("written to"), "{}", said.err);
    drop(writing);
    assert_eq!(fs::read(&path).unwrap(), b"four\nhalf a thought");
    // Elsewhere, where nothing is; and not over what is there.
    stage
        .run(&["restore", "mnt/Notes/a.md@1", "--to", "mnt/Files/new/b.md"])
        .gives(0);
    assert_eq!(fs::read(stage.mnt().join("Files/new/b.md")).unwrap(), b"one\n");
    let said = stage
        .run(&["restore", "mnt/Notes/a.md@2", "--to", "mnt/Files/new/b.md"])
        .gives(1);
    assert!(said.err.contains("left alone"), "{}", said.err);
    assert_eq!(fs::read(stage.mnt().join("Files/new/b.md")).unwrap(), b"one\n");
    stage.run(&["lock"]).gives(0);
    stage.open(&["restore", "Notes/a.md@2"]).gives(0);
    assert_eq!(stage.open(&["show", "Notes/a.md"]).gives(0).out, "one two\n");
    stage.open(&["check", "--read-data"]).gives(0);
}

/// Guards mode and attributes of a version, and the present file's while it is only looked at.
#[test]
fn what_is_restored_has_its_mode() {
    if cannot_mount() {
        return;
    }
    let stage = with_note();
    let path = stage.mnt().join("Notes/a.md");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    save(&stage, "Notes/a.md", "private\n");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    save(&stage, "Notes/a.md", "public\n");
    stage.run(&["restore", "mnt/Notes/a.md"]).gives(0);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(
        (fs::read(&path).unwrap().as_slice(), mode(&path)),
        (&b"private\n"[..], 0o600)
    );
    stage
        .run(&["restore", "mnt/Notes/a.md@6", "--to", "mnt/Notes/b.md"])
        .gives(0);
    assert_eq!(mode(&stage.mnt().join("Notes/b.md")), 0o755);
}

/// Guards differences: words for people, lines that patch(1) takes, counts, and one file against
/// another.
#[test]
fn differences_are_shown() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    stage.mount();
    let old = "# Garden\n\nPlant the garlic in October.\nWater it.\n";
    let new = "# Garden\n\nPlant the garlic in November.\nWater it.\nAnd wait.\n";
    save(&stage, "Notes/g.md", old);
    save(&stage, "Notes/g.md", new);
    let said = stage.run(&["diff", "mnt/Notes/g.md"]).gives(0).out;
    assert!(
        said.contains("Plant the garlic in [-October-]{+November+}."),
        "{said}"
    );
    assert!(said.contains("{+And wait.+}"), "{said}");
    assert!(said.starts_with("Notes/g.md: version 1 ("), "{said}");
    let back = stage.run(&["diff", "mnt/Notes/g.md@2", "@1"]).gives(0).out;
    assert!(back.contains("[-November-]{+October+}"), "{back}");
    let stat = stage
        .run(&["diff", "--stat", "mnt/Notes/g.md@1", "--json"])
        .gives(0)
        .json();
    assert_eq!(
        (&stat["lines_added"], &stat["lines_removed"]),
        (&2.into(), &1.into())
    );
    let same = stage.run(&["diff", "mnt/Notes/g.md@2"]).gives(0).out;
    assert!(same.contains("the same"), "{same}");
    assert_eq!(stage.run(&["diff", "-u", "mnt/Notes/g.md@2"]).gives(0).out, "");
    let diff = stage
        .run(&["diff", "--unified", "mnt/Notes/g.md@1", "@2"])
        .gives(0)
        .out;
    fs::create_dir_all(stage.path("p/Notes")).unwrap();
    fs::write(stage.path("p/Notes/g.md"), old).unwrap();
    let patch = Command::new("patch")
        .args(["-p1", "-s"])
        .current_dir(stage.path("p"))
        .stdin(Stdio::piped())
        .spawn();
    match patch {
        Ok(mut patch) => {
            patch.stdin.take().unwrap().write_all(diff.as_bytes()).unwrap();
            assert!(patch.wait().unwrap().success(), "{diff}");
            assert_eq!(fs::read_to_string(stage.path("p/Notes/g.md")).unwrap(), new);
        }
        Err(error) => eprintln!("skipped: patch(1): {error}"),
    }
    save(&stage, "Notes/h.md", "# Garden\n");
    let said = stage
        .run(&["diff", "mnt/Notes/h.md", "mnt/Notes/g.md"])
        .gives(0)
        .out;
    assert!(said.starts_with("Notes/h.md → Notes/g.md: "), "{said}");
    let said = stage.run(&["diff", "mnt/Notes/h.md"]).gives(1);
    assert!(said.err.contains("only one version"), "{}", said.err);
    // What is written to and no version yet is the present.
    let writing = fs::File::options()
        .write(true)
        .open(stage.mnt().join("Notes/h.md"))
        .unwrap();
    writing.write_all_at(b"# Orchard\n", 0).unwrap();
    let said = stage.run(&["diff", "mnt/Notes/h.md"]).gives(0).out;
    assert!(
        said.contains("→ now") && said.contains("[-Garden-]{+Orchard+}"),
        "{said}"
    );
}

/// Guards a removed file: its log, its bytes, and the way back with its history.
#[test]
fn a_removed_file_comes_back() {
    if cannot_mount() {
        return;
    }
    let stage = with_note();
    let path = stage.mnt().join("Notes/a.md");
    fs::remove_file(&path).unwrap();
    assert!(fs::metadata(&path).is_err());
    let said = stage.run(&["log", "mnt/Notes/a.md"]).gives(0).out;
    assert!(said.starts_with("Notes/a.md was removed "), "{said}");
    assert_eq!(numbers(&versions(&stage, "Notes/a.md")), [4, 3, 2, 1]);
    assert_eq!(bytes(&stage, &["show", "mnt/Notes/a.md"]), b"four\n");
    assert_eq!(bytes(&stage, &["show", "mnt/Notes/a.md@2"]), b"one two\n");
    let gone = lines(&stage.run(&["trash", "--json"]).gives(0));
    assert_eq!(gone.len(), 1, "{gone:?}");
    assert_eq!(
        (&gone[0]["path"], &gone[0]["versions"]),
        (&"Notes/a.md".into(), &4.into())
    );
    let said = stage.run(&["restore", "mnt/Notes/a.md"]).gives(0).out;
    assert!(said.contains("is there, as in version 4"), "{said}");
    assert_eq!(fs::read(&path).unwrap(), b"four\n");
    assert_eq!(numbers(&versions(&stage, "Notes/a.md")), [5, 4, 3, 2, 1]);
    assert!(lines(&stage.run(&["trash", "--json"]).gives(0)).is_empty());
    // At one of its versions.
    fs::remove_file(&path).unwrap();
    stage.run(&["restore", "mnt/Notes/a.md@2"]).gives(0);
    assert_eq!(fs::read(&path).unwrap(), b"one two\n");
    // What is made there at once is a save of it.
    fs::remove_file(&path).unwrap();
    save(&stage, "Notes/a.md", "one two\n");
    assert!(lines(&stage.run(&["trash", "--json"]).gives(0)).is_empty());
    // Beside another that took its place, when the removal is not of this moment any more.
    fs::remove_file(&path).unwrap();
    stage.run(&["lock"]).gives(0);
    stage.mount();
    save(&stage, "Notes/a.md", "another\n");
    stage.run(&["restore", "--removed", "mnt/Notes/a.md"]).gives(1);
    stage
        .run(&["restore", "--removed", "mnt/Notes/a.md", "--to", "mnt/Notes/b.md"])
        .gives(0);
    assert_eq!(fs::read(&path).unwrap(), b"another\n");
    assert_eq!(fs::read(stage.mnt().join("Notes/b.md")).unwrap(), b"one two\n");
    stage.run(&["lock"]).gives(0);
    stage.open(&["check", "--read-data"]).gives(0);
}

/// Guards a removed folder: everything that went with it comes back, into the mount at once; the
/// lock between does no harm; and a folder above that is gone too is made again.
#[test]
fn a_removed_folder_comes_back_whole() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    stage.mount();
    let tree = stage.mnt().join("Notes/trip");
    fs::create_dir_all(tree.join("days/empty")).unwrap();
    for (path, text) in [
        ("plan.md", "plan\n"),
        ("days/1.md", "first\n"),
        ("days/2.md", "second\n"),
    ] {
        save(&stage, &format!("Notes/trip/{path}"), text);
    }
    fs::set_permissions(tree.join("days"), fs::Permissions::from_mode(0o750)).unwrap();
    stage.run(&["log", "mnt/Notes/trip/plan.md"]).gives(0);
    fs::remove_dir_all(&tree).unwrap();
    stage.run(&["lock"]).gives(0);
    stage.mount();
    assert!(fs::metadata(&tree).is_err());
    let under = lines(&stage.run(&["trash", "mnt/Notes/trip/days", "--json"]).gives(0));
    assert_eq!(under.len(), 4, "{under:?}");
    let said = stage.run(&["restore", "mnt/Notes/trip"]).gives(0).out;
    assert!(
        said.contains("Notes/trip is back: 3 files and 3 folders."),
        "{said}"
    );
    assert_eq!(fs::read(tree.join("plan.md")).unwrap(), b"plan\n");
    assert_eq!(fs::read(tree.join("days/2.md")).unwrap(), b"second\n");
    assert!(fs::metadata(tree.join("days/empty")).unwrap().is_dir());
    assert_eq!(
        fs::metadata(tree.join("days")).unwrap().permissions().mode() & 0o777,
        0o750
    );
    assert!(lines(&stage.run(&["trash", "--json"]).gives(0)).is_empty());
    fs::remove_dir_all(&tree).unwrap();
    stage.run(&["restore", "mnt/Notes/trip/days/1.md"]).gives(0);
    assert_eq!(fs::read(tree.join("days/1.md")).unwrap(), b"first\n");
    assert!(fs::metadata(tree.join("days/2.md")).is_err());
    stage.run(&["lock"]).gives(0);
    stage.open(&["check", "--read-data"]).gives(0);
}

/// Guards what is destroyed: asked about, only what was named, gone for good, and the rest whole.
#[test]
fn what_is_destroyed_is_gone() {
    if cannot_mount() {
        return;
    }
    let stage = with_note();
    save(&stage, "Notes/b.md", "old b\n");
    save(&stage, "Notes/b.md", "new b\n");
    for name in ["x.md", "y.md"] {
        save(&stage, &format!("Files/{name}"), name);
        fs::remove_file(stage.mnt().join("Files").join(name)).unwrap();
    }
    let detached = |args: &[&str]| -> Said {
        // Without a terminal, whoever runs the tests.
        let mut command = Command::new("setsid");
        let coffer = stage.command(args);
        command
            .arg("--wait")
            .arg(coffer.get_program())
            .args(args)
            .current_dir(stage.path(""));
        for (key, value) in coffer.get_envs() {
            match value {
                Some(value) => command.env(key, value),
                None => command.env_remove(key),
            };
        }
        command.stdin(Stdio::null()).output().unwrap().into()
    };
    detached(&["trash", "--empty"]).gives(7);
    detached(&["purge", "mnt/Notes/a.md"]).gives(7);
    let none = stage
        .run(&["trash", "--empty", "--older-than", "1d", "--yes", "--json"])
        .gives(0)
        .json();
    assert_eq!(none["removed"], 0, "{none}");
    stage
        .run(&["trash", "--empty", "mnt/Files/x.md", "--yes"])
        .gives(0);
    let gone = lines(&stage.run(&["trash", "--json"]).gives(0));
    assert_eq!(gone.len(), 1, "{gone:?}");
    assert_eq!(gone[0]["path"], "Files/y.md");
    stage.run(&["restore", "mnt/Files/x.md"]).gives(1);
    let said = stage
        .run(&["purge", "mnt/Notes/a.md", "--yes", "--json"])
        .gives(0)
        .json();
    assert_eq!(said["versions"], 3, "{said}");
    assert_eq!(numbers(&versions(&stage, "Notes/a.md")).len(), 1);
    assert_eq!(bytes(&stage, &["show", "mnt/Notes/a.md"]), b"four\n");
    stage.run(&["show", "mnt/Notes/a.md@2"]).gives(1);
    assert_eq!(bytes(&stage, &["show", "mnt/Notes/b.md@1"]), b"old b\n");
    stage.run(&["purge", "mnt/Notes", "--yes"]).gives(0);
    assert_eq!(versions(&stage, "Notes/b.md").len(), 1);
    stage.run(&["purge", "mnt/Notes/none", "--yes"]).gives(1);
    stage.run(&["trash", "--empty", "--yes"]).gives(0);
    assert!(lines(&stage.run(&["trash", "--json"]).gives(0)).is_empty());
    assert!(stage.run(&["trash"]).gives(0).out.contains("Nothing"));
    stage.run(&["lock"]).gives(0);
    stage.open(&["check", "--read-data"]).gives(0);
}

/// Guards the vault's own settings and what they do; and that a typing error lets nothing go.
#[test]
fn retention_is_a_setting_of_the_vault() {
    if cannot_mount() {
        return;
    }
    let stage = with_note();
    let all = stage.run(&["settings", "--json"]).gives(0).json();
    assert_eq!(
        (
            &all["retention-all"],
            &all["retention-daily"],
            &all["retention-removed"]
        ),
        (&"30".into(), &"90".into(), &"90".into())
    );
    let kept = stage.run(&["gc", "--json"]).gives(0).json();
    assert_eq!(kept["versions"], 0, "nothing is that old");
    for bad in ["-1", "x", "99999999"] {
        stage.run(&["settings", "retention-all", "--", bad]).gives(2);
    }
    stage.run(&["settings", "retention-all", "0"]).gives(0);
    stage.run(&["settings", "retention-daily", "0d"]).gives(0);
    stage.run(&["lock"]).gives(0);
    assert_eq!(
        stage.open(&["settings", "retention-all"]).gives(0).out.trim(),
        "0"
    );
    stage.run(&["settings", "retention-all"]).gives(7);
    assert!(stage.run(&["settings"]).gives(0).out.contains("lock-idle"));
    stage.open(&["settings", "retention-removed", "7"]).gives(0);
    stage.mount();
    // One a month is kept, and the present one always.
    for text in ["one", "two", "three", "four"] {
        save(&stage, "Notes/a.bin", text);
    }
    let let_go = stage.run(&["gc", "--json"]).gives(0).json();
    assert_eq!(let_go["versions"], 3, "{let_go}");
    let held = |path: &str| -> Vec<Value> {
        let all = versions(&stage, path).into_iter();
        all.filter(|version| version["held"] == true).collect()
    };
    assert_eq!(numbers(&held("Notes/a.bin")), [4]);
    // A text's versions are made from each other: all of them are needed.
    assert_eq!(numbers(&held("Notes/a.md")), [4, 3, 2, 1]);
    assert_eq!(bytes(&stage, &["show", "mnt/Notes/a.md"]), b"four\n");
    assert_eq!(
        stage.run(&["settings", "retention-removed"]).gives(0).out.trim(),
        "7"
    );
    stage.run(&["lock"]).gives(0);
    stage.open(&["check", "--read-data"]).gives(0);
}

/// Guards programs that watch: what a restore changes, inotify tells of.
#[test]
fn whoever_watches_is_told() {
    if cannot_mount() || !mounted::possible(&["inotifywait"]) {
        return;
    }
    let stage = with_note();
    let mut watcher = mounted::Heard::inotify(&stage.mnt().join("Notes"), &[]);
    stage.run(&["restore", "mnt/Notes/a.md@1"]).gives(0);
    watcher.until("the change", |line| line == "MODIFY a.md");
    watcher.until("its end", |line| line == "CLOSE_WRITE,CLOSE a.md");
    fs::remove_file(stage.mnt().join("Notes/a.md")).unwrap();
    watcher.until("the removal", |line| line == "DELETE a.md");
    stage.run(&["restore", "mnt/Notes/a.md"]).gives(0);
    watcher.until("the return", |line| line == "CREATE a.md");
    assert_eq!(fs::read(stage.mnt().join("Notes/a.md")).unwrap(), b"one\n");
    drop(watcher);
}

/// Guards secrets of the past: neither names nor bytes stand readable in the vault's folder.
#[test]
fn nothing_of_the_past_is_readable() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    stage.mount();
    save(&stage, "Notes/canary-name.md", "canary-bytes one\n");
    save(&stage, "Notes/canary-name.md", "canary-bytes two\n");
    fs::remove_file(stage.mnt().join("Notes/canary-name.md")).unwrap();
    stage.run(&["trash"]).gives(0);
    stage.run(&["lock"]).gives(0);
    for file in common::files(&stage.vault())
        .into_iter()
        .chain(common::files(&stage.path("state")))
    {
        let bytes = fs::read(&file).unwrap();
        for canary in [&b"canary-name"[..], b"canary-bytes", PASSWORD.as_bytes()] {
            let found = bytes.windows(canary.len()).any(|window| window == canary);
            assert!(!found, "{}", file.display());
        }
    }
}
