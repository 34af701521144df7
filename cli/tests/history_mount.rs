//! The folder of history in a real mount: what any program sees of it, and cannot do to it. Skipped,
//! with a word, where nothing can be mounted.

mod common;

use common::{Stage, cannot_mount, until};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of a file's versions, in the mount.
fn history(stage: &Stage, path: &str) -> PathBuf {
    stage.mnt().join(".coffer/history").join(path)
}

/// Names in a folder, sorted.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Saves, and has it recorded.
fn save(stage: &Stage, path: &str, text: &str) {
    fs::write(stage.mnt().join(path), text).unwrap();
    stage.run(&["log", &format!("mnt/{path}")]).gives(0);
}

fn with_note() -> Stage {
    let stage = Stage::with_vault();
    stage.mount();
    for text in ["one\n", "two\n", "three\n"] {
        save(&stage, "Notes/a.md", text);
    }
    stage
}

/// Waits until a file's folder holds so many entries; what is shown may be a moment old.
fn grows_to(dir: &Path, count: usize) -> Vec<String> {
    until("the versions are shown", || names(dir).len() == count);
    names(dir)
}

/// Guards what programs see: one file a version, in order, with its ending, bytes, size, times and
/// mode; a new one without a remount; and the same from diff and cp.
#[test]
fn versions_are_files() {
    if cannot_mount() {
        return;
    }
    let stage = with_note();
    let dir = history(&stage, "Notes/a.md");
    let found = grows_to(&dir, 3);
    for (i, (name, text)) in found.iter().zip(["one\n", "two\n", "three\n"]).enumerate() {
        assert!(
            name.starts_with(&format!("000{} 20", i + 1)) && name.ends_with(".md"),
            "{name}"
        );
        let path = dir.join(name);
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        assert_eq!(fs::metadata(&path).unwrap().len(), text.len() as u64);
    }
    let real = fs::metadata(stage.mnt().join("Notes/a.md")).unwrap();
    let last = fs::metadata(dir.join(&found[2])).unwrap();
    assert_eq!(
        (last.mtime(), last.mtime_nsec()),
        (real.mtime(), real.mtime_nsec())
    );
    assert_eq!((last.mode(), last.uid()), (real.mode(), real.uid()));
    assert!(last.ino() > 1 << 61 && fs::metadata(&dir).unwrap().ino() != last.ino());
    save(&stage, "Notes/a.md", "four\n");
    let found = grows_to(&dir, 4);
    // Opened once, read for ever: also after more versions came.
    let open = File::open(dir.join(&found[0])).unwrap();
    save(&stage, "Notes/a.md", "five\n");
    let mut bytes = [0; 4];
    open.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"one\n");
    let out = stage.path("out");
    let copied = Command::new("cp")
        .arg("-a")
        .arg(history(&stage, "Notes"))
        .arg(&out)
        .status();
    assert!(copied.unwrap().success());
    let same = Command::new("diff")
        .arg("-r")
        .arg(history(&stage, "Notes"))
        .arg(&out)
        .output()
        .unwrap();
    assert!(same.status.success(), "{}", String::from_utf8_lossy(&same.stdout));
    assert!(names(&out).contains(&"Welcome.md".to_owned()));
    let copy = fs::metadata(out.join("a.md").join(&found[2])).unwrap();
    assert_eq!(copy.mtime(), real.mtime());
    fs::remove_dir_all(&out).unwrap();
}

/// Guards a difference viewer over two versions: it must end by itself, and change nothing.
#[test]
fn vimdiff_reads_versions() {
    if cannot_mount() {
        return;
    }
    let stage = with_note();
    let dir = history(&stage, "Notes/a.md");
    let found = grows_to(&dir, 3);
    let out = stage.path("said");
    let vim = Command::new("vimdiff")
        .args(["-es", "-u", "NONE", "-i", "NONE", "-n"])
        .arg("-c")
        .arg(format!(
            "redir! > {} | echo &diff getline(1) | wincmd w | echo &diff getline(1) | redir END | qall!",
            out.display()
        ))
        .args([dir.join(&found[0]), dir.join(&found[2])])
        .output();
    let Ok(vim) = vim else {
        eprintln!("skipped: there is no vimdiff(1)");
        return;
    };
    let said = fs::read_to_string(&out).unwrap_or_default();
    assert!(
        said.contains("1 one") && said.contains("1 three"),
        "{said:?} {vim:?}"
    );
    assert_eq!(names(&dir), found);
}

/// Guards that it is found only by its name: no program that walks the vault walks into its past.
#[test]
fn nobody_walks_into_it() {
    if cannot_mount() {
        return;
    }
    let stage = with_note();
    grows_to(&history(&stage, "Notes/a.md"), 3);
    assert_eq!(names(&stage.mnt()), ["Contacts", "Files", "Notes", "Tasks"]);
    let walked = Command::new("grep")
        .args(["-rl", "two", "."])
        .current_dir(stage.mnt())
        .output()
        .unwrap();
    assert_eq!(walked.stdout, b"", "an old version's bytes");
    let found = Command::new("find").arg(stage.mnt()).output().unwrap();
    assert!(!String::from_utf8(found.stdout).unwrap().contains(".coffer"));
    let size = Command::new("du").arg("-s").arg(stage.mnt()).output().unwrap();
    assert!(size.status.success() && size.stderr.is_empty());
}

/// Guards that nothing there can be changed, in any way that programs have, and that the names
/// in the root stay free of accidents.
#[test]
fn nothing_there_can_be_changed() {
    if cannot_mount() {
        return;
    }
    let stage = with_note();
    let dir = history(&stage, "Notes/a.md");
    let found = grows_to(&dir, 3);
    let version = dir.join(&found[1]);
    let mine = stage.mnt().join("Notes/mine");
    fs::write(&mine, "mine").unwrap();
    let fixed = |what: &str, done: std::io::Result<()>| {
        let error = done.expect_err(what);
        assert_eq!(error.raw_os_error(), Some(libc::EROFS), "{what}: {error}");
    };
    fixed("write", File::options().write(true).open(&version).map(drop));
    fixed("append", File::options().append(true).open(&version).map(drop));
    fixed("truncate", rustix_truncate(&version));
    fixed("create", File::create(dir.join("new")).map(drop));
    fixed("mkdir", fs::create_dir(dir.join("new")));
    fixed("mkdir below history", fs::create_dir(history(&stage, "new")));
    fixed("symlink", std::os::unix::fs::symlink("x", dir.join("new")));
    fixed("unlink", fs::remove_file(&version));
    fixed("rmdir", fs::remove_dir(&dir));
    fixed("rename in it", fs::rename(&version, dir.join("new")));
    fixed(
        "chmod",
        fs::set_permissions(&version, fs::Permissions::from_mode(0o777)),
    );
    fixed(
        "chmod of a folder",
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)),
    );
    fixed(
        "link out of it",
        fs::hard_link(&version, stage.mnt().join("Notes/link")),
    );
    fixed("rename into it", fs::rename(&mine, dir.join("mine")));
    fixed(
        "rename out of it",
        fs::rename(&version, stage.mnt().join("Notes/out")),
    );
    fixed("rmdir of the top", fs::remove_dir(stage.mnt().join(".coffer")));
    fixed(
        "rename over the top",
        fs::rename(stage.mnt().join("Tasks"), stage.mnt().join(".coffer")),
    );
    let taken = fs::create_dir(stage.mnt().join(".coffer")).expect_err("mkdir");
    assert_eq!(taken.kind(), ErrorKind::AlreadyExists);
    assert_eq!(grows_to(&dir, 3), found);
    assert_eq!(fs::read(&version).unwrap(), b"two\n");
    assert_eq!(fs::read(&mine).unwrap(), b"mine");
    let listed = Command::new("getfattr").arg("-d").arg(&version).output();
    assert!(listed.is_err() || listed.unwrap().status.success());
    stage.run(&["lock"]).gives(0);
    stage.open(&["check", "--read-data"]).gives(0);
}

fn rustix_truncate(path: &Path) -> std::io::Result<()> {
    let path = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).unwrap();
    // SAFETY: the path is a string that ends with NUL.
    match unsafe { libc::truncate(path.as_ptr(), 0) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// Guards removed files: under their old path, below folders that are gone too, and beside what
/// took their place; and that what comes back is where it is now.
#[test]
fn removed_files_are_under_their_old_path() {
    if cannot_mount() {
        return;
    }
    let stage = with_note();
    fs::create_dir(stage.mnt().join("Notes/trip")).unwrap();
    save(&stage, "Notes/trip/plan.md", "plan\n");
    fs::remove_dir_all(stage.mnt().join("Notes/trip")).unwrap();
    let plan = history(&stage, "Notes/trip/plan.md");
    stage.run(&["trash"]).gives(0);
    until("the removed is shown", || plan.is_dir());
    let found = grows_to(&plan, 1);
    assert_eq!(fs::read(plan.join(&found[0])).unwrap(), b"plan\n");
    assert!(names(&history(&stage, "Notes")).contains(&"trip".to_owned()));
    assert_eq!(names(&history(&stage, "Notes/trip")), ["plan.md"]);
    // One after another at the same path; what is made there at once would be a save of it.
    let path = stage.mnt().join("Notes/a.md");
    fs::remove_file(&path).unwrap();
    stage.run(&["lock"]).gives(0);
    stage.mount();
    save(&stage, "Notes/a.md", "a new beginning\n");
    let dir = history(&stage, "Notes/a.md");
    let found = grows_to(&dir, 2);
    assert!(
        found[0].starts_with("0001 ") && found[1].starts_with("removed 20"),
        "{found:?}"
    );
    let earlier = names(&dir.join(&found[1]));
    assert_eq!(earlier.len(), 3);
    assert_eq!(
        fs::read(dir.join(&found[1]).join(&earlier[2])).unwrap(),
        b"three\n"
    );
    stage.run(&["restore", "mnt/Notes/trip"]).gives(0);
    // With its history, and the version that it came back as.
    grows_to(&plan, 2);
    stage.run(&["purge", "mnt/Notes/a.md", "--yes"]).gives(0);
    until("what was destroyed is not shown", || names(&dir).len() == 1);
}

/// Guards a real file of that name: it is what is shown, and the commands still know the past. In a real
/// folder of that name the past is found all the same.
#[test]
fn a_real_one_is_what_is_shown() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    fs::create_dir(stage.path("in")).unwrap();
    fs::write(stage.path("in/.coffer"), "mine").unwrap();
    stage.open(&["import", "in/."]).gives(0);
    let said = stage.open(&["mount", "mnt"]).gives(0);
    assert!(said.err.contains(".coffer"), "it is said: {}", said.err);
    save(&stage, "Notes/a.md", "one\n");
    assert_eq!(fs::read(stage.mnt().join(".coffer")).unwrap(), b"mine");
    assert!(!stage.mnt().join(".coffer/history").exists());
    assert_eq!(stage.run(&["show", "mnt/Notes/a.md@1"]).gives(0).out, "one\n");
    fs::rename(stage.mnt().join(".coffer"), stage.mnt().join("dotcoffer")).unwrap();
    assert_eq!(grows_to(&history(&stage, "Notes/a.md"), 1).len(), 1);
    assert_eq!(fs::read(stage.mnt().join("dotcoffer")).unwrap(), b"mine");
    stage.run(&["lock"]).gives(0);
    fs::remove_file(stage.path("in/.coffer")).unwrap();
    fs::create_dir(stage.path("in/.coffer")).unwrap();
    fs::write(stage.path("in/.coffer/mine"), "also mine").unwrap();
    stage.open(&["import", "in/."]).gives(0);
    let said = stage.open(&["mount", "mnt"]).gives(0);
    assert!(!said.err.contains(".coffer"), "nothing is hidden: {}", said.err);
    assert_eq!(fs::read(stage.mnt().join(".coffer/mine")).unwrap(), b"also mine");
    assert_eq!(grows_to(&history(&stage, "Notes/a.md"), 1).len(), 1);
}

/// Guards the terminal and the lists: a name that holds an escape sequence and a line's end drives the
/// one and forges a line of the others nowhere.
#[test]
fn names_cannot_drive_a_terminal() {
    if cannot_mount() {
        return;
    }
    let stage = with_note();
    let name = "x\n2026-11-22 00:00  forged\x1b[2J";
    let path = format!("mnt/{name}");
    save(&stage, name, "text\n");
    let log = stage.run(&["log", &path]).gives(0).out;
    stage.run(&["diff", &path, "@1"]).gives(0);
    fs::remove_file(stage.mnt().join(name)).unwrap();
    let trash = stage.run(&["trash"]).gives(0).out;
    let restored = stage.run(&["restore", &path]).gives(0).out;
    let again = stage.run(&["restore", &path, "--to", "mnt/Notes/a.md"]);
    for said in [&log, &trash, &restored, &again.out, &again.err] {
        assert!(!said.contains('\x1b'), "{said:?}");
        assert!(!said.contains("\n2026-11-22 00:00  forged"), "{said:?}");
    }
    assert!(
        trash.contains("x\u{240a}2026-11-22 00:00  forged\u{241b}[2J"),
        "{trash:?}"
    );
}

/// Bytes that a program has put into mapped memory are in no version, and not even with the daemon: a
/// restore wrote over them.
#[test]
fn mapped_memory_is_written_out_before_a_restore() {
    if cannot_mount() {
        return;
    }
    let stage = with_note();
    let path = stage.mnt().join("Notes/a.md");
    let file = File::options().read(true).write(true).open(&path).unwrap();
    // Opened and quiet: that hinders nothing.
    stage.run(&["restore", "mnt/Notes/a.md@1"]).gives(0);
    drop(file);
    save(&stage, "Notes/a.md", "five\n");
    let file = File::options().read(true).write(true).open(&path).unwrap();
    // SAFETY: a new mapping of a file that is longer than what is written, and it is unmapped below.
    let map = unsafe {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let fd = std::os::fd::AsRawFd::as_raw_fd(&file);
        libc::mmap(std::ptr::null_mut(), 5, protection, libc::MAP_SHARED, fd, 0)
    };
    assert_ne!(map, libc::MAP_FAILED);
    // SAFETY: see above.
    unsafe { map.cast::<u8>().write_volatile(b'F') };
    let refused = stage.run(&["restore", "mnt/Notes/a.md@1"]).gives(1);
    assert!(refused.err.contains("is being written to"), "{}", refused.err);
    // SAFETY: see above.
    unsafe { libc::munmap(map, 5) };
    drop(file);
    assert_eq!(fs::read_to_string(&path).unwrap(), "Five\n");
}
