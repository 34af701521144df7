//! What people and programs do to a folder's files, at random. Whatever the system refuses is refused: nobody insists.

use crate::common::Stage;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// All words that notes say.
pub(crate) const WORDS: [&str; 24] = [
    "garlic", "roses", "compost", "seeds", "spade", "ladder", "bakery", "dentist", "invoice", "train",
    "harbour", "lantern", "violin", "marble", "copper", "willow", "meadow", "pepper", "orchard", "candle",
    "quarry", "saddle", "thimble", "walnut",
];
/// Names of files; some differ by letters' case alone.
const NAMES: [&str; 16] = [
    "One.md",
    "Two.md",
    "two.md",
    "Three.md",
    "Four.md",
    "Plan.md",
    "Five.txt",
    "todo.txt",
    "People.vcf",
    "Days.ics",
    "pic.png",
    "big.bin",
    "data.bin",
    "no ending",
    "old.tar.gz",
    "Ümlaut.md",
];
const FOLDERS: [&str; 6] = ["A", "B", "C", "A/Deep", "B/Deep", "A/Deep/Deeper"];
const TARGETS: [&str; 10] = [
    "One", "Two", "two", "Plan", "A/One", "Deep/Two", "Four.md", "pic.png", "Nowhere", "Five",
];

fn word(rng: &mut StdRng) -> &'static str {
    WORDS.choose(rng).unwrap()
}

/// A line of a note.
fn line(rng: &mut StdRng) -> String {
    let (a, b, c) = (word(rng), word(rng), word(rng));
    let target = TARGETS.choose(rng).unwrap();
    match rng.random_range(0..12) {
        0 => format!("# {a} {b}\n"),
        1 => format!("### {a}\n"),
        2 => format!("- [ ] {a} {b} #{c}\n"),
        3 => format!("- [x] {a}\n"),
        4 => format!("{a} #{b}/{c}\n"),
        5 => format!("{a} [[{target}]] {b}\n"),
        6 => format!("[[{target}|{a}]]\n"),
        7 => format!("{a} [{b}]({target})\n"),
        8 => format!("[{b}](../{target}.md)\n"),
        9 => "\n".to_owned(),
        _ => format!("{a} {b} {c}\n"),
    }
}

fn lines(rng: &mut StdRng) -> String {
    let count = rng.random_range(1..9);
    (0..count).map(|_| line(rng) + "\n").collect()
}

/// Bytes for a file of this name.
fn bytes(rng: &mut StdRng, name: &str) -> Vec<u8> {
    let (a, b) = (word(rng), word(rng));
    let name = name.to_lowercase();
    let text = if rng.random_bool(0.04) {
        String::new()
    } else if name == "todo.txt" {
        format!("(A) {a} +{b} @home due:2026-04-01\nx 2026-01-01 {b}\n")
    } else if name.ends_with(".md") {
        lines(rng)
    } else if name.ends_with(".txt") {
        format!("{a} {b}\n{b} {}\n", word(rng))
    } else if name.ends_with(".vcf") {
        format!(
            "BEGIN:VCARD\r\nVERSION:4.0\r\nFN:{a} {b}\r\nEMAIL:{a}@example.org\r\nCATEGORIES:{b}\r\nEND:VCARD\r\n"
        )
    } else if name.ends_with(".ics") {
        format!(
            "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:1\r\nSUMMARY:{a} {b}\r\nDTSTART:20260301T100000Z\r\nEND:VEVENT\r\nBEGIN:VTODO\r\nUID:2\r\nSUMMARY:{b}\r\nEND:VTODO\r\nEND:VCALENDAR\r\n"
        )
    } else {
        // Few contents, so that some are the same.
        let seed = rng.random_range(0..6u64);
        let len = [0, 9, 5_000, 33_000, 70_000, 300_000].choose(rng).unwrap();
        let mut bytes = vec![0; *len];
        <StdRng as rand::SeedableRng>::seed_from_u64(seed).fill_bytes(&mut bytes);
        return bytes;
    };
    text.into_bytes()
}

/// A folder's names: files of any kind, and folders.
fn listed(root: &Path) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let (mut files, mut folders) = (Vec::new(), vec![root.to_owned()]);
    let mut at = 0;
    while let Some(folder) = folders.get(at).cloned() {
        at += 1;
        let mut below: Vec<PathBuf> = fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .collect();
        below.sort();
        for path in below {
            match fs::symlink_metadata(&path) {
                Ok(meta) if meta.is_dir() => folders.push(path),
                Ok(_) => files.push(path),
                Err(_) => {}
            }
        }
    }
    (files, folders)
}

fn is_regular(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file())
}

/// A name that may be there or not.
fn place(rng: &mut StdRng, root: &Path, folders: &[PathBuf]) -> PathBuf {
    let folder = match rng.random_bool(0.5) {
        true => folders.choose(rng).unwrap().clone(),
        false => root.join(FOLDERS.choose(rng).unwrap()),
    };
    let _ = fs::create_dir_all(&folder);
    folder.join(NAMES.choose(rng).unwrap())
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// Saves as editors do that never write a file in place.
fn save_by_rename(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let draft = path.with_file_name(format!(".{}.swp~", name_of(path)));
    fs::write(&draft, bytes)?;
    fs::rename(&draft, path).inspect_err(|_| drop(fs::remove_file(&draft)))
}

/// Does one thing; what it was.
pub(crate) fn act(rng: &mut StdRng, stage: &Stage) -> String {
    let root = stage.mnt();
    let (files, folders) = listed(&root);
    let regular: Vec<PathBuf> = files.iter().filter(|path| is_regular(path)).cloned().collect();
    let to = place(rng, &root, &folders);
    let (Some(file), Some(any)) = (regular.choose(rng), files.choose(rng)) else {
        let done = fs::write(&to, bytes(rng, &name_of(&to)));
        return format!("write {} {done:?}", to.display());
    };
    let folder = folders.choose(rng).unwrap();
    let shown = |path: &Path| path.strip_prefix(&root).unwrap_or(path).display().to_string();
    let fresh = |rng: &mut StdRng| bytes(rng, &name_of(file));
    let (what, done) = match rng.random_range(0..100) {
        0..18 => {
            // Not through a link to elsewhere.
            if fs::symlink_metadata(&to).is_ok_and(|meta| !meta.is_file()) {
                return "nothing".to_owned();
            }
            (
                format!("write {}", shown(&to)),
                fs::write(&to, bytes(rng, &name_of(&to))),
            )
        }
        18..26 => (format!("overwrite {}", shown(file)), fs::write(file, fresh(rng))),
        26..32 => (
            format!("save by rename {}", shown(file)),
            save_by_rename(file, &fresh(rng)),
        ),
        32..40 => {
            let added = match name_of(file).ends_with(".md") {
                true => line(rng).into_bytes(),
                false => format!("{}\n", word(rng)).into_bytes(),
            };
            let done = OpenOptions::new().append(true).open(file);
            (
                format!("append {}", shown(file)),
                done.and_then(|mut f| f.write_all(&added)),
            )
        }
        40..44 => {
            let len = fs::metadata(file).map_or(0, |meta| meta.len());
            let len = match rng.random_range(0..3) {
                0 => 0,
                1 => rng.random_range(0..=len),
                _ => len + rng.random_range(0..50_000),
            };
            let done = OpenOptions::new().write(true).open(file);
            (
                format!("truncate {} to {len}", shown(file)),
                done.and_then(|f| f.set_len(len)),
            )
        }
        44..47 => {
            let at = rng.random_range(0..60_000);
            let done = OpenOptions::new().write(true).open(file);
            (
                format!("write {} at {at}", shown(file)),
                done.and_then(|f| f.write_all_at(word(rng).as_bytes(), at)),
            )
        }
        47..57 => (
            format!("rename {} to {}", shown(any), shown(&to)),
            fs::rename(any, &to),
        ),
        57..62 => {
            let over = files.choose(rng).unwrap();
            (
                format!("rename {} over {}", shown(any), shown(over)),
                fs::rename(any, over),
            )
        }
        62..68 => {
            let to = folders
                .choose(rng)
                .unwrap()
                .join(["A", "B", "C", "Deep", "Moved"].choose(rng).unwrap());
            (
                format!("move {} to {}", shown(folder), shown(&to)),
                fs::rename(folder, &to),
            )
        }
        68..71 => (
            format!("link {} as {}", shown(file), shown(&to)),
            fs::hard_link(file, &to),
        ),
        71..74 => {
            let leads = ["One.md", "../Two.md", "nowhere", "A"].choose(rng).unwrap();
            (format!("symlink {}", shown(&to)), symlink(leads, &to))
        }
        74..76 => {
            let mode = *[0o644, 0o600, 0o755].choose(rng).unwrap();
            (
                format!("chmod {}", shown(file)),
                fs::set_permissions(file, Permissions::from_mode(mode)),
            )
        }
        76..79 => {
            let when = SystemTime::UNIX_EPOCH + Duration::from_millis(rng.random_range(0..1_700_000_000_000));
            (
                format!("touch {}", shown(file)),
                File::open(file).and_then(|f| f.set_modified(when)),
            )
        }
        79..81 => {
            let done = rustix::fs::setxattr(
                file,
                "user.note",
                word(rng).as_bytes(),
                rustix::fs::XattrFlags::empty(),
            );
            (format!("xattr {}", shown(file)), done.map_err(Into::into))
        }
        81..88 => (format!("remove {}", shown(any)), fs::remove_file(any)),
        88..90 if folder != &root => (
            format!("remove all of {}", shown(folder)),
            fs::remove_dir_all(folder),
        ),
        90..92 => (format!("copy {}", shown(file)), fs::copy(file, &to).map(drop)),
        92..97 => {
            let path = file.to_str().unwrap();
            let said = stage.run(&["restore", &format!("{path}@{}", rng.random_range(1..4))]);
            (format!("restore {}: {}", shown(file), said.code), Ok(()))
        }
        _ => {
            let trash = stage.run(&["--json", "trash"]).out;
            let gone = trash.lines().filter_map(|row| {
                let row: serde_json::Value = serde_json::from_str(row).ok()?;
                Some(row["path"].as_str()?.to_owned())
            });
            let gone: Vec<String> = gone.collect();
            let Some(path) = gone.choose(rng) else {
                return "nothing".to_owned();
            };
            let said = stage.run(&["restore", "--removed", root.join(path).to_str().unwrap()]);
            (format!("bring back {path}: {}", said.code), Ok(()))
        }
    };
    format!(
        "{what} {}",
        done.map_or_else(|e| e.to_string(), |()| String::new())
    )
}

/// Does to one file on both what does not go together.
pub(crate) fn collide(rng: &mut StdRng, one: &Stage, two: &Stage) -> String {
    let (files, _) = listed(&one.mnt());
    let there = |path: &&PathBuf| {
        is_regular(path) && is_regular(&two.mnt().join(path.strip_prefix(one.mnt()).unwrap()))
    };
    let common: Vec<&PathBuf> = files.iter().filter(there).collect();
    let Some(path) = common.choose(rng) else {
        return "nothing".to_owned();
    };
    let name = path.strip_prefix(one.mnt()).unwrap().to_owned();
    let (here, there) = (one.mnt().join(&name), two.mnt().join(&name));
    let what = rng.random_range(0..5);
    match what {
        0 => {
            // Both edit it.
            for at in [&here, &there] {
                let text = fs::read(at).unwrap_or_default();
                let mut added = line(rng).into_bytes();
                match rng.random_bool(0.5) {
                    true => added.extend(text),
                    false => added = [text, added].concat(),
                }
                let _ = fs::write(at, added);
            }
        }
        1 => {
            for at in [&here, &there] {
                let _ = fs::write(at, bytes(rng, &name_of(&name)));
            }
        }
        2 => {
            for at in [&here, &there] {
                let _ = fs::rename(at, at.with_file_name(NAMES.choose(rng).unwrap()));
            }
        }
        3 => {
            let _ = fs::remove_file(&here);
            let _ = fs::write(&there, bytes(rng, &name_of(&name)));
        }
        _ => {
            let new = NAMES.choose(rng).unwrap();
            for at in [&here, &there] {
                let _ = fs::write(at.with_file_name(new), bytes(rng, new));
            }
        }
    }
    format!("both {what} {}", name.display())
}

/// Has bytes come to where they are not kept, and go.
pub(crate) fn fetch(rng: &mut StdRng, partial: &Stage) -> String {
    let (files, _) = listed(&partial.mnt());
    let regular: Vec<&PathBuf> = files.iter().filter(|path| is_regular(path)).collect();
    let Some(file) = regular.choose(rng) else {
        return "nothing".to_owned();
    };
    let shown = file.strip_prefix(partial.mnt()).unwrap().display();
    let path = file.to_str().unwrap();
    match rng.random_range(0..6) {
        0 => {
            let said = partial.run(&["pin", path]);
            format!("pin {shown}: {}", said.code)
        }
        1 => {
            let said = partial.run(&["unpin", path]);
            format!("unpin {shown}: {}", said.code)
        }
        _ => {
            let read = fs::read(file).map(|bytes| bytes.len());
            format!("read {shown}: {read:?}")
        }
    }
}
