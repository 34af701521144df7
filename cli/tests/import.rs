//! `coffer import` and `coffer export` through the built program: what is kept, what is there
//! already, what is left out, what a kill leaves, and what the mount shows. What needs a mount is
//! skipped, with a word, where nothing can be mounted.

mod common;
mod transfer;

use common::{Stage, cannot_mount};
use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;
use transfer::tree::assert_same;
use transfer::{atimes, count, plant, set_times};

/// Guards all that is kept, there and back, without a mount; and that the second time everything is
/// there and nothing is read.
#[test]
fn a_tree_goes_in_and_comes_out_as_it_was() {
    let stage = Stage::with_vault();
    let source = plant(&stage, "source");
    let before = atimes(&source);
    let sum = stage.open(&["import", "source", "--json"]).gives(0).json();
    // Reading changed them.
    transfer::reset_atimes(&source, &before);
    let (files, folders, links) = count(&source);
    assert_eq!(sum["new_files"], files, "{sum}");
    assert_eq!(sum["new_folders"], folders + 1, "{sum}");
    assert_eq!(sum["new_links"], links, "{sum}");
    assert_eq!(sum["skipped"].as_array().unwrap().len(), 0, "{sum}");
    stage.open(&["check", "--read-data"]).gives(0);
    let again = stage.open(&["import", "source", "--json"]).gives(0).json();
    assert_eq!(
        (&again["new_files"], &again["new_folders"], &again["new_links"]),
        (&0.into(), &0.into(), &0.into()),
        "{again}"
    );
    assert_eq!(again["there"], files + links, "{again}");
    assert_eq!(again["read_bytes"], 0, "{again}");
    transfer::reset_atimes(&source, &before);

    let sum = stage.open(&["export", "source", "out", "--json"]).gives(0).json();
    assert_eq!(sum["new_files"], files, "{sum}");
    assert_eq!(atimes(&stage.path("out/source")), before, "access times");
    assert_same(&source, &stage.path("out/source"), "brought out");
    let sparse = fs::metadata(stage.path("out/source/sparse")).unwrap();
    assert!(sparse.blocks() * 512 < sparse.len() / 2, "its holes are kept");
    let again = stage.open(&["export", "source", "out", "--json"]).gives(0).json();
    assert_eq!(
        (&again["there"], &again["new_files"], &again["read_bytes"]),
        (&(files + links).into(), &0.into(), &0.into()),
        "{again}"
    );
    assert_same(&source, &stage.path("out/source"), "brought out twice");
}

/// Guards the same through the daemon; and that names which the kernel knew to be absent, and
/// listings that it had cached, are shown at once.
#[test]
fn the_mount_shows_it_at_once() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    let source = plant(&stage, "source");
    fs::create_dir(stage.path("more")).unwrap();
    for i in 0..300 {
        fs::write(stage.path(&format!("more/{i}")), format!("note {i}")).unwrap();
    }
    stage.mount();
    let mnt = stage.mnt();
    let names = |dir: &Path| -> Vec<_> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    // Each of these is remembered for a day if nobody tells the kernel.
    assert!(fs::symlink_metadata(mnt.join("source")).is_err());
    assert!(fs::symlink_metadata(mnt.join("Notes/7")).is_err());
    assert_eq!(names(&mnt).len(), 4);
    let listed = names(&mnt.join("Notes"));
    let links = fs::metadata(&mnt).unwrap().nlink();
    stage.run(&["import", "source", "--json"]).gives(0);
    let into = mnt.join("Notes");
    stage
        .run(&["import", "more/.", "--into", into.to_str().unwrap()])
        .gives(0);
    assert!(fs::symlink_metadata(mnt.join("source")).unwrap().is_dir());
    assert_eq!(fs::read(mnt.join("Notes/7")).unwrap(), b"note 7");
    assert_eq!(names(&mnt).len(), 5);
    assert_eq!(names(&mnt.join("Notes")).len(), listed.len() + 300);
    assert_eq!(fs::metadata(&mnt).unwrap().nlink(), links + 1);
    assert_same(&source, &mnt.join("source"), "in the mount");
    let sparse = fs::metadata(mnt.join("source/sparse")).unwrap();
    assert!(sparse.blocks() * 512 < sparse.len() / 2, "its holes are kept");

    // What was read before it is replaced is not shown after.
    let path = mnt.join("Notes/7");
    let held = fs::File::open(&path).unwrap();
    fs::write(stage.path("more/7"), "another note").unwrap();
    stage.run(&["import", "more/.", "--into", "Notes"]).gives(11);
    assert_eq!(fs::read(&path).unwrap(), b"note 7", "left alone");
    let sum = stage
        .run(&["import", "more/.", "--into", "Notes", "--replace", "--json"])
        .gives(0)
        .json();
    assert_eq!(
        (&sum["replaced"], &sum["there"]),
        (&1.into(), &299.into()),
        "{sum}"
    );
    assert_eq!(fs::read(&path).unwrap(), b"another note");
    let mut old = [0; 6];
    held.read_exact_at(&mut old, 0).unwrap();
    assert_eq!(&old, b"note 7", "who has it open keeps it");
    assert_eq!(
        held.metadata().unwrap().nlink(),
        0,
        "and sees that its name is gone"
    );
    drop(held);

    stage.run(&["export", "/", "out"]).gives(0);
    assert_same(&mnt, &stage.path("out"), "all of it brought out");
    stage.run(&["lock"]).gives(0);
    stage.open(&["check", "--read-data"]).gives(0);
}

/// Guards what is there already: left alone and listed where it differs, replaced where asked, and
/// a folder never.
#[test]
fn what_differs_is_left_alone_or_replaced() {
    let stage = Stage::with_vault();
    fs::create_dir_all(stage.path("s/was-file")).unwrap();
    fs::write(stage.path("s/a"), "one").unwrap();
    fs::write(stage.path("s/b"), "one").unwrap();
    fs::write(stage.path("s/was-folder"), "file").unwrap();
    std::os::unix::fs::symlink("a", stage.path("s/link")).unwrap();
    stage.open(&["import", "s"]).gives(0);
    // The same size at another time, another size at the same, a file for a folder and so on.
    set_times(&stage.path("s/a"), 1_000_000_000, 5);
    fs::write(stage.path("s/was-folder"), "other file").unwrap();
    fs::remove_file(stage.path("s/link")).unwrap();
    std::os::unix::fs::symlink("b", stage.path("s/link")).unwrap();
    fs::remove_file(stage.path("s/b")).unwrap();
    fs::create_dir(stage.path("s/b")).unwrap();
    fs::write(stage.path("s/b/inside"), "x").unwrap();
    fs::remove_dir(stage.path("s/was-file")).unwrap();
    fs::write(stage.path("s/was-file"), "now a file").unwrap();

    let sum = stage.open(&["import", "s", "--json"]).gives(11).json();
    let left = |sum: &serde_json::Value| -> Vec<String> {
        let skipped = sum["skipped"].as_array().unwrap().iter();
        skipped
            .inspect(|skipped| assert_eq!(skipped["reason"], "differs", "{skipped}"))
            .map(|skipped| {
                skipped["path"]
                    .as_str()
                    .unwrap()
                    .rsplit('/')
                    .next()
                    .unwrap()
                    .to_owned()
            })
            .collect()
    };
    assert_eq!(left(&sum), ["a", "b", "link", "was-file", "was-folder"], "{sum}");
    stage.open(&["export", "s", "old"]).gives(0);
    assert_eq!(fs::read(stage.path("old/s/was-folder")).unwrap(), b"file");
    assert_eq!(fs::read_link(stage.path("old/s/link")).unwrap(), Path::new("a"));

    let sum = stage
        .open(&["import", "s", "--replace", "--json"])
        .gives(11)
        .json();
    assert_eq!(
        left(&sum),
        ["b", "was-file"],
        "a folder is never replaced, nor by one"
    );
    assert_eq!(sum["replaced"], 3, "{sum}");
    stage.open(&["export", "s", "new"]).gives(0);
    assert_eq!(fs::read(stage.path("new/s/was-folder")).unwrap(), b"other file");
    assert_eq!(fs::read_link(stage.path("new/s/link")).unwrap(), Path::new("b"));
    assert_eq!(
        fs::metadata(stage.path("new/s/a")).unwrap().mtime(),
        1_000_000_000
    );
    // The other way by the same rules.
    stage.open(&["export", "s", "old"]).gives(11);
    assert_eq!(fs::read(stage.path("old/s/was-folder")).unwrap(), b"file");
    let sum = stage
        .open(&["export", "s", "old", "--replace", "--json"])
        .gives(0)
        .json();
    assert_eq!(sum["replaced"], 3, "{sum}");
    assert_same(&stage.path("new"), &stage.path("old"), "replaced");
    stage.open(&["check", "--read-data"]).gives(0);
}

/// Guards where things go: under their names, of DIR/. the contents, into folders that are made,
/// and files like folders.
#[test]
fn names_go_along() {
    let stage = Stage::with_vault();
    let long = "x".repeat(255);
    fs::create_dir_all(stage.path("s/d")).unwrap();
    fs::write(stage.path(&format!("s/d/{long}")), "long").unwrap();
    fs::write(stage.path("one"), "1").unwrap();
    std::os::unix::fs::symlink("s", stage.path("by-link")).unwrap();
    stage.open(&["import", "s", "one", "--into", "/a/b"]).gives(0);
    stage.open(&["import", "s/d/.", "--into", "contents"]).gives(0);
    stage.open(&["import", "by-link"]).gives(0);
    stage.open(&["import", "s/d/", "--into", "./"]).gives(0);
    stage.open(&["export", "/", "out"]).gives(0);
    for path in ["a/b/s/d", "contents", "by-link/d", "d"] {
        let path = stage.path(&format!("out/{path}/{long}"));
        assert_eq!(fs::read(&path).unwrap(), b"long", "{}", path.display());
    }
    assert_eq!(fs::read(stage.path("out/a/b/one")).unwrap(), b"1");
    stage.open(&["export", "a/b/.", "contents"]).gives(0);
    stage.open(&["export", "a/b/one", "file"]).gives(0);
    assert!(stage.path("contents/s/d").is_dir());
    assert_eq!(fs::read(stage.path("file/one")).unwrap(), b"1");
    for (args, code) in [
        (&["import", "none"][..], 1),
        (&["import", "one", "--into", "../x"], 2),
        (&["import", "s", "--into", "a/b/one"], 1),
        (&["export", "none", "x"], 1),
        (&["export", "../x", "x"], 2),
        (&["import"], 2),
    ] {
        let said = stage.open(args).gives(code);
        assert!(!said.err.contains("panicked"), "{args:?}: {}", said.err);
    }
}

/// Guards the vault against itself: neither its folder nor its mount is taken in, nor is anything
/// brought out into them; met on the way, they are left out.
#[test]
fn the_vault_is_kept_out_of_itself() {
    let stage = Stage::with_vault();
    fs::create_dir(stage.path("s")).unwrap();
    std::os::unix::fs::symlink(stage.vault(), stage.path("to-vault")).unwrap();
    for path in ["v", "v/.", "v/lock", "to-vault"] {
        let said = stage.open(&["import", path]).gives(2);
        assert!(said.err.contains("vault's own folder"), "{path}: {}", said.err);
    }
    stage.open(&["export", "Notes", "v/out"]).gives(2);
    stage.open(&["export", "Notes", "to-vault/out"]).gives(2);
    let own = |sum: &serde_json::Value| -> Vec<String> {
        let skipped = sum["skipped"].as_array().unwrap().iter();
        let own = skipped.filter(|skipped| skipped["reason"] == "own");
        own.map(|skipped| {
            skipped["path"]
                .as_str()
                .unwrap()
                .rsplit('/')
                .next()
                .unwrap()
                .to_owned()
        })
        .collect()
    };
    let sum = stage
        .open(&["import", ".", "--into", "all", "--json"])
        .gives(0)
        .json();
    assert_eq!(own(&sum), ["v"], "{sum}");
    if cannot_mount() {
        return;
    }
    stage.mount();
    for path in ["mnt", "mnt/.", "mnt/Notes"] {
        let said = stage.run(&["import", path]).gives(2);
        assert!(said.err.contains("mounted vault itself"), "{path}: {}", said.err);
    }
    stage.run(&["export", "Notes", "mnt/out"]).gives(2);
    let sum = stage.run(&["import", ".", "--into", "all2", "--json"]).json();
    assert_eq!(own(&sum), ["mnt", "v"], "{sum}");
    assert!(!stage.mnt().join("all2/mnt").exists() && !stage.mnt().join("all2/v").exists());
}

/// Guards files that cannot be taken in: each is named with its reason, the others go, and the exit
/// code says whether anything is missing.
#[test]
fn what_cannot_go_is_named() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: becoming another user needs root");
        return;
    }
    let stage = Stage::new();
    transfer::give_to_nobody(&stage);
    transfer::as_nobody(&stage, &["init", "--kdf-memory", "19MiB", "--kdf-passes", "2"]).gives(0);
    fs::create_dir_all(stage.path("s/shut")).unwrap();
    fs::write(stage.path("s/good"), "good").unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(stage.path("s/socket")).unwrap();
    let null = rustix::fs::makedev(1, 3);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        stage.path("s/device"),
        rustix::fs::FileType::CharacterDevice,
        rustix::fs::Mode::RUSR,
        null,
    )
    .unwrap();
    let reasons = |sum: &serde_json::Value| -> Vec<(String, String)> {
        let skipped = sum["skipped"].as_array().unwrap().iter();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        skipped
            .inspect(|skipped| assert!(!text(&skipped["why"]).is_empty()))
            .map(|skipped| {
                let path = text(&skipped["path"]);
                (
                    path.rsplit('/').next().unwrap().to_owned(),
                    text(&skipped["reason"]),
                )
            })
            .collect()
    };
    let pair = |one: &str, two: &str| (one.to_owned(), two.to_owned());
    let sum = transfer::as_nobody(&stage, &["import", "s", "--json"])
        .gives(0)
        .json();
    assert_eq!(
        reasons(&sum),
        [pair("device", "special"), pair("socket", "special")],
        "nothing of them could be kept: no failure"
    );
    fs::write(stage.path("s/secret"), "secret").unwrap();
    fs::set_permissions(stage.path("s/secret"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(stage.path("s/shut"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(stage.path("s/suid"), "program").unwrap();
    fs::set_permissions(stage.path("s/suid"), fs::Permissions::from_mode(0o4755)).unwrap();
    let said = transfer::as_nobody(&stage, &["import", "s"]).gives(11);
    assert!(
        said.out.contains("s/secret") && said.out.contains("permission denied"),
        "{}",
        said.out
    );
    let sum = transfer::as_nobody(&stage, &["import", "s", "--into", "again", "--json"])
        .gives(11)
        .json();
    assert_eq!(
        reasons(&sum),
        [
            pair("device", "special"),
            pair("secret", "failed"),
            pair("shut", "failed"),
            pair("socket", "special")
        ]
    );
    assert_eq!(sum["missing"], 2, "{sum}");
    transfer::as_nobody(&stage, &["export", "again/s", "out"]).gives(0);
    assert_eq!(fs::read(stage.path("out/s/good")).unwrap(), b"good");
    let suid = fs::metadata(stage.path("out/s/suid")).unwrap();
    assert_eq!(
        (suid.uid(), suid.mode() & 0o7777),
        (transfer::NOBODY, 0o755),
        "another's program lends nobody's rights"
    );
}

/// Guards a vault that can only be read, and one that may be a copy: nothing is taken in, and the
/// person hears what to do. What is brought out needs neither.
#[test]
fn what_may_not_be_written_to_is_not() {
    let stage = Stage::with_vault();
    fs::write(stage.path("one"), "1").unwrap();
    stage.open(&["import", "one"]).gives(0);
    let copied = std::process::Command::new("cp")
        .args(["-a", "v", "copy"])
        .current_dir(stage.path("."))
        .status();
    assert!(copied.unwrap().success());
    let said = stage.open(&["import", "one", "--vault", "copy"]).gives(7);
    assert!(said.err.contains("coffer mount"), "{}", said.err);
    stage.open(&["export", "one", "out", "--vault", "copy"]).gives(0);
    assert_eq!(fs::read(stage.path("out/one")).unwrap(), b"1");
    if cannot_mount() {
        return;
    }
    stage.open(&["mount", "mnt", "-o", "ro"]).gives(0);
    let said = stage.run(&["import", "one", "--into", "x"]).gives(1);
    assert!(said.err.contains("only be read"), "{}", said.err);
    stage.run(&["export", "one", "out2"]).gives(0);
    assert_eq!(fs::read(stage.path("out2/one")).unwrap(), b"1");
}
