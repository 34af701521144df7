//! `coffer merges` through the built program: what was merged, in a mounted vault and in one that is
//! not, what each side did, and taking it back. What needs a mount is skipped, with a word, where
//! nothing can be mounted.

mod common;

use coffer_store::ids::ROOT;
use coffer_store::keys::Password;
use coffer_store::vault::{Identity, OpenError, Sealed, Vault};
use common::{PASSWORD, Said, Stage, cannot_mount};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const NOTE: &str = "# Garden\n\nPlant the garlic in October.\n\nBuy bread and milk.\n";

fn garlic(text: &str) -> String {
    text.replace("garlic in October", "garlic in late October")
}

fn butter(text: &str) -> String {
    text.replace("bread and milk", "bread, butter and milk")
}

/// JSON, an object a line.
fn lines(said: &Said) -> Vec<Value> {
    let parsed = said.out.lines().map(serde_json::from_str);
    parsed
        .map(|line| line.unwrap_or_else(|error| panic!("{error} in {}", said.out)))
        .collect()
}

/// A program that has read a note, and keeps it until it is told what to write there: one process, as an
/// editor is.
struct Editor {
    shell: Child,
    to: ChildStdin,
    from: BufReader<std::process::ChildStdout>,
}

impl Editor {
    fn open(note: &Path) -> Editor {
        let script = "while IFS= read -r line; do :; done <\"$1\"; echo read
            while IFS= read -r from; do text=$(cat \"$from\"; echo x); printf %s \"${text%x}\" >\"$1\"; echo saved; done";
        let mut shell = Command::new("sh")
            .args(["-c", script, "editor"])
            .arg(note)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let to = shell.stdin.take().unwrap();
        let from = BufReader::new(shell.stdout.take().unwrap());
        let mut editor = Editor { shell, to, from };
        assert_eq!(editor.says(), "read\n");
        editor
    }

    fn says(&mut self) -> String {
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        line
    }

    /// Saves what this file holds.
    fn save(&mut self, from: &Path) {
        writeln!(self.to, "{}", from.display()).unwrap();
        assert_eq!(self.says(), "saved\n");
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

/// Guards the whole of it on one machine: two programs hold a note, both save, both edits are in it; it
/// is listed, shown, taken back, and had again.
#[test]
fn two_programs_and_one_note() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    stage.mount();
    let note = stage.mnt().join("Notes/garden.md");
    fs::write(&note, NOTE).unwrap();
    stage.run(&["log", "mnt/Notes/garden.md"]).gives(0);
    assert!(
        stage
            .run(&["merges", "--vault", "v"])
            .gives(0)
            .out
            .contains("Nothing was merged")
    );
    let (mut one, mut two) = (Editor::open(&note), Editor::open(&note));
    for (editor, name, text) in [(&mut one, "a", garlic(NOTE)), (&mut two, "b", butter(NOTE))] {
        fs::write(stage.path(name), text).unwrap();
        editor.save(&stage.path(name));
        stage.run(&["log", "mnt/Notes/garden.md"]).gives(0);
    }
    common::until("both edits are shown", || {
        fs::read_to_string(&note).unwrap() == garlic(&butter(NOTE))
    });

    let found = lines(&stage.run(&["merges", "mnt/Notes/garden.md", "--json"]).gives(0));
    assert_eq!(found.len(), 1, "{found:?}");
    let (merge, sides) = (&found[0], found[0]["sides"].as_array().unwrap());
    assert_eq!(merge["path"], "Notes/garden.md");
    assert_eq!(
        (&merge["kept"], &merge["overlap"]),
        (&Value::Bool(true), &Value::Bool(false))
    );
    let words: Vec<_> = sides
        .iter()
        .map(|side| (&side["words_added"], &side["words_removed"]))
        .collect();
    assert_eq!(words.len(), 2);
    assert!(
        sides
            .iter()
            .all(|side| side["own"] == true && side["programs"][0] == "sh"),
        "{sides:?}"
    );
    let all = stage.run(&["merges", "--vault", "v"]).gives(0).out;
    let name = format!("Notes/garden.md{}", merge["name"].as_str().unwrap());
    let numbers = [&sides[0]["version"], &sides[1]["version"]];
    assert_eq!(name, format!("Notes/garden.md@{}+{}", numbers[0], numbers[1]));
    assert!(all.starts_with(&format!("{name}  ")), "{all}");
    // Named so that it can be typed where it is shown: in a folder of the mount, and outside.
    let within = stage
        .command(&["merges"])
        .current_dir(stage.mnt().join("Notes"))
        .output()
        .unwrap();
    let within = String::from_utf8(within.stdout).unwrap();
    assert!(within.starts_with("garden.md@"), "{within}");
    let one = stage.run(&["merges", "mnt/Notes/garden.md"]).gives(0).out;
    assert!(one.starts_with(&format!("mnt/{name}  ")), "{one}");

    let shown = stage
        .run(&["merges", "--vault", "v", "--diff", &name])
        .gives(0)
        .out;
    assert!(
        shown.contains("in{+ late+} October") && shown.contains("{+, butter+}"),
        "{shown}"
    );
    assert_eq!(
        stage
            .run(&["merges", "--diff", "mnt/Notes/garden.md"])
            .gives(0)
            .out,
        shown
    );
    let texts = lines(
        &stage
            .run(&["merges", "mnt/Notes/garden.md", "--diff", "--json"])
            .gives(0),
    );
    assert_eq!(texts[0]["texts"]["base"], NOTE);
    assert_eq!(texts[0]["texts"]["merged"], garlic(&butter(NOTE)));

    // Both sides are this device's: which stays must be said.
    let unsaid = stage
        .run(&["merges", "--undo", &format!("mnt/{name}")])
        .gives(2)
        .err;
    assert!(unsaid.contains("--keep"), "{unsaid}");
    // What is no name, or none of this file, or of no file.
    for (bad, code, says) in [
        ("1", 2, "names no merge"),
        ("Notes/garden.md", 2, "names no merge"),
        ("Notes/garden.md@4", 2, "names no merge"),
        ("@2+3", 2, "with its file"),
        ("Notes/none.md@2+3", 1, "There is no Notes/none.md"),
        ("Notes/garden.md@1+99", 1, merge["name"].as_str().unwrap()),
    ] {
        let said = stage.run(&["merges", "--undo", bad, "--vault", "v"]).gives(code);
        assert!(
            said.out.is_empty() && said.err.contains(says),
            "{bad}: {}",
            said.err
        );
    }
    fs::write(&note, garlic(&butter(NOTE)) + "More.\n").unwrap();
    let kept = format!("@{}", sides[1]["version"]);
    let named = format!("mnt/{name}");
    let undo = ["merges", "--undo", &named, "--keep", &kept];
    let said = stage.run(&undo).gives(0).out;
    assert_eq!(
        fs::read_to_string(&note).unwrap(),
        butter(NOTE) + "More.\n",
        "{said}"
    );
    assert!(stage.run(&undo).gives(0).out.contains("already"));
    let listed = stage.run(&["merges", "mnt/Notes/garden.md"]).gives(0).out;
    assert!(listed.contains("taken back: only"), "{listed}");
    // As it says itself.
    let again = said
        .lines()
        .last()
        .unwrap()
        .split_once(": coffer ")
        .unwrap()
        .1
        .to_owned();
    let again: Vec<&str> = again.split(' ').collect();
    stage.run(&again).gives(0);
    assert_eq!(
        fs::read_to_string(&note).unwrap(),
        garlic(&butter(NOTE)) + "More.\n"
    );
    // What was written on stands in the way, and it says what to do.
    let salted = fs::read_to_string(&note)
        .unwrap()
        .replace("butter", "salted butter from Brittany");
    fs::write(&note, &salted).unwrap();
    let keep = format!("@{}", sides[0]["version"]);
    let refused = stage.run(&["merges", "--undo", &named, "--keep", &keep]).gives(1);
    assert!(
        refused.err.contains("coffer merges --diff") && refused.err.contains("coffer restore"),
        "{}",
        refused.err
    );
    assert_eq!(fs::read_to_string(&note).unwrap(), salted);
}

/// A vault of the stage, open here.
fn open(dir: &Path, identity: Identity) -> Arc<Vault> {
    // A child that was just begun beside this may have its lock still, until it is another program.
    let end = Instant::now() + Duration::from_secs(30);
    let sealed = loop {
        match Sealed::open(dir) {
            Err(OpenError::Held(_)) if Instant::now() < end => std::thread::yield_now(),
            opened => break opened.unwrap(),
        }
    };
    sealed
        .unlock(&Password::new(PASSWORD.as_bytes().to_vec()), identity)
        .unwrap()
}

/// Saves as a program that has just read it.
fn save(vault: &Vault, name: &str, text: &str) {
    let ino = vault.lookup(ROOT, name.as_bytes()).unwrap();
    vault.open_by(4_100_001, ino, false, false, false).unwrap();
    vault.release(ino, false);
    vault.open_by(4_100_001, ino, true, true, false).unwrap();
    vault.write(ino, Some(0), text.as_bytes(), false).unwrap();
    vault.release(ino, true);
    vault.commit().unwrap();
}

/// Guards two devices, in a vault that nobody has mounted: ours is told from theirs, the newest merge of
/// all files is the first, and names that would drive a terminal do not.
#[test]
fn two_devices() {
    let stage = Stage::with_vault();
    let names = ["one.md", "two\u{1b}[2J.md"];
    for name in names {
        fs::write(stage.path(name), NOTE).unwrap();
        stage.open(&["import", name]).gives(0);
    }
    let here = open(&stage.vault(), Identity::Same);
    here.backup(&stage.path("elsewhere"), &mut |_, _| {}).unwrap();
    let there = open(&stage.path("elsewhere"), Identity::NewDevice);
    let mut told = 0;
    for name in names {
        save(&here, name, &garlic(NOTE));
        save(&there, name, &butter(NOTE));
        for carried in there.told_after(told).unwrap() {
            here.take_in(&there.device(), &carried).unwrap();
            told = carried.row.last().unwrap();
        }
    }
    here.close().unwrap();
    drop(here);

    let found = lines(&stage.open(&["merges", "--json"]).gives(0));
    let paths: Vec<_> = found
        .iter()
        .map(|merge| merge["path"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(paths, [names[1], names[0]], "the newest first");
    assert_eq!(
        (&found[0]["sides"][0]["own"], &found[0]["sides"][1]["own"]),
        (&true.into(), &false.into())
    );
    assert_eq!(
        stage.open(&["merges", "-n", "1"]).gives(0).out.lines().last(),
        Some("and 1 older one")
    );
    let text = stage.open(&["merges"]).gives(0).out;
    assert!(
        !text.contains('\u{1b}') && text.contains(r"$'two\033[2J.md@2+3'"),
        "{text}"
    );
    // Ours stays, unless something else is said.
    stage.open(&["merges", "--undo", "one.md@2+3"]).gives(0);
    assert_eq!(stage.open(&["show", "one.md"]).gives(0).out, garlic(NOTE));
    stage
        .open(&["merges", "one.md", "--undo", "@2+@3", "--keep", "both"])
        .gives(0);
    assert_eq!(
        stage.open(&["show", "one.md"]).gives(0).out,
        garlic(&butter(NOTE))
    );
    let device = found[1]["sides"][1]["devices"][0].as_str().unwrap();
    let said = stage
        .open(&[
            "merges",
            "one.md",
            "--undo",
            "3+2",
            "--keep",
            &device[..8],
            "--json",
        ])
        .gives(0);
    assert_eq!(
        (&said.json()["path"], &said.json()["unchanged"]),
        (&"one.md".into(), &false.into())
    );
    assert_eq!(stage.open(&["show", "one.md"]).gives(0).out, butter(NOTE));
    // A file without merges, one that there is none of, a version, a folder.
    fs::write(stage.path("three.md"), NOTE).unwrap();
    stage.open(&["import", "three.md"]).gives(0);
    let none = stage.open(&["merges", "three.md"]).gives(0).out;
    assert!(none.starts_with("Nothing was merged in it"), "{none}");
    assert_eq!(stage.open(&["merges", "three.md", "--json"]).gives(0).out, "");
    stage.open(&["merges", "none.md"]).gives(1);
    stage.open(&["merges", "one.md@2"]).gives(2);
    stage.open(&["merges", "Notes"]).gives(1);
    stage.open(&["merges", "--diff", "0"]).gives(1);
    stage
        .open(&["merges", "one.md", "--undo", "three.md@2+3"])
        .gives(2);
    stage.open(&["check"]).gives(0);
}

/// Guards what a merge's name means once others have come: still the same merge; and once somebody has
/// written on in one of its sides: none, and it says what there is instead. Counted from the newest,
/// another one than the one that was seen would be taken back.
#[test]
fn a_name_means_one_merge() {
    let stage = Stage::with_vault();
    let names = ["one.md", "two.md"];
    for name in names {
        fs::write(stage.path(name), NOTE).unwrap();
        stage.open(&["import", name]).gives(0);
    }
    let here = open(&stage.vault(), Identity::Same);
    here.backup(&stage.path("elsewhere"), &mut |_, _| {}).unwrap();
    let there = open(&stage.path("elsewhere"), Identity::NewDevice);
    let mut told = 0;
    let mut meet = |here: &Vault| {
        for carried in there.told_after(told).unwrap() {
            here.take_in(&there.device(), &carried).unwrap();
            told = carried.row.last().unwrap();
        }
    };
    save(&here, "one.md", &garlic(NOTE));
    save(&there, "one.md", &butter(NOTE));
    meet(&here);
    here.close().unwrap();
    drop(here);
    let first = stage.open(&["merges"]).gives(0).out;
    assert!(first.starts_with("one.md@2+3  "), "{first}");

    // Another file's comes since, and another of this one.
    let here = open(&stage.vault(), Identity::Same);
    save(&here, "two.md", &garlic(NOTE));
    save(&there, "two.md", &butter(NOTE));
    meet(&here);
    let both = garlic(&butter(NOTE));
    save(&here, "one.md", &both.replace("# Garden", "# My garden"));
    save(&there, "one.md", &butter(NOTE).replace("milk", "oat milk"));
    meet(&here);
    here.close().unwrap();
    drop(here);
    let listed = stage.open(&["merges"]).gives(0).out;
    let listed: Vec<&str> = listed
        .lines()
        .map(|line| line.split("  ").next().unwrap())
        .collect();
    assert_eq!(listed, ["one.md@4+5", "two.md@2+3", "one.md@2+3"]);
    let shown = stage.open(&["merges", "--diff", "one.md@2+3"]).gives(0).out;
    assert!(shown.contains("late") && !shown.contains("oat"), "{shown}");
    stage.open(&["merges", "--undo", "one.md@2+3"]).gives(0);
    let shown = stage.open(&["show", "one.md"]).gives(0).out;
    assert_eq!(
        shown,
        garlic(NOTE)
            .replace("# Garden", "# My garden")
            .replace("milk", "oat milk")
    );

    // Nobody saved upon the other file's merge, and one side goes on: it is another merge now.
    let here = open(&stage.vault(), Identity::Same);
    save(&there, "two.md", &(butter(NOTE) + "More.\n"));
    meet(&here);
    here.close().unwrap();
    drop(here);
    let before = stage.open(&["show", "two.md"]).gives(0).out;
    let refused = stage.open(&["merges", "--undo", "two.md@2+3"]).gives(1).err;
    assert!(refused.contains("has no merge @2+3; it has @2+4."), "{refused}");
    assert_eq!(stage.open(&["show", "two.md"]).gives(0).out, before);
    stage.open(&["merges", "--undo", "two.md@2+4"]).gives(0);
    assert_eq!(stage.open(&["show", "two.md"]).gives(0).out, garlic(NOTE));
}

/// Guards the list of names that merge: shown, set, put back, kept in the vault, obeyed at once; and that a
/// pattern that is none changes nothing.
#[test]
fn which_names_merge_is_a_setting() {
    if cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    stage.mount();
    let forms = |name: &str| {
        let said = stage.run(&["log", &format!("mnt/{name}"), "--json"]).gives(0);
        lines(&said)
            .iter()
            .map(|version| version["form"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let own = stage.run(&["settings", "texts"]).gives(0).out;
    assert!(
        own.contains("*.md") && own.contains("*.vcf") && own.contains("!cmakelists.txt"),
        "{own}"
    );
    for name in ["a.md", "a.tex"] {
        fs::write(stage.mnt().join(name), "one\n").unwrap();
    }
    assert_eq!(
        (forms("a.md"), forms("a.tex")),
        (vec!["text".to_owned()], vec!["blob".to_owned()])
    );
    for bad in ["a/b", "!", &"x".repeat(300), &vec!["x"; 600].join(" ")] {
        let refused = stage.run(&["settings", "texts", bad]).gives(2).err;
        assert!(refused.contains("pattern"), "{refused}");
    }
    assert_eq!(stage.run(&["settings", "texts"]).gives(0).out, own);
    let said = stage.run(&["settings", "texts", "*.TeX  !x.tex"]).gives(0).out;
    assert_eq!(said, "texts is *.tex !x.tex now.\n");
    for name in ["a.md", "a.tex"] {
        fs::write(stage.mnt().join(name), "two\n").unwrap();
    }
    assert_eq!(
        (forms("a.md"), forms("a.tex")),
        (
            vec!["blob".to_owned(), "text".into()],
            vec!["text".to_owned(), "blob".into()]
        )
    );
    let all = stage.run(&["settings", "--json"]).gives(0).json();
    assert_eq!(all["texts"], "*.tex !x.tex");
    stage.run(&["lock"]).gives(0);
    assert_eq!(stage.open(&["settings", "texts"]).gives(0).out, "*.tex !x.tex\n");
    assert!(
        stage
            .open(&["settings", "texts", "default"])
            .gives(0)
            .out
            .starts_with("texts is the default now: ")
    );
    assert_eq!(stage.open(&["settings", "texts"]).gives(0).out, own);
    stage.mount();
    assert!(
        stage
            .run(&["settings"])
            .gives(0)
            .out
            .contains("texts              default"),
        "{}",
        stage.run(&["settings"]).out
    );
    fs::write(stage.mnt().join("a.md"), "three\n").unwrap();
    assert_eq!(forms("a.md"), ["text", "blob", "text"]);
}
