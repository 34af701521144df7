//! What another device does to names reaches the programs that work in the mounted folder, though it
//! did not come through the kernel: what it remembers of names, and who watches folders.

mod mounted;

use coffer_store::ids::ROOT;
use coffer_store::tree::Kind;
use mounted::device::Device;
use mounted::{Heard, Mounted, PATIENCE, meta, possible};
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| name.to_string()).collect()
}

/// Guards what the kernel remembers of names, those that it found missing too, and those who watch: a folder with
/// a note in it that came, a note that was moved, one that went, and a folder's mode.
#[test]
fn names_of_another_device_reach_who_works_here() {
    if !possible(&["inotifywait"]) {
        return;
    }
    let here = Mounted::new();
    for note in ["Garden.md", "Old.md"] {
        fs::write(here.path(note), format!("{note}\n")).unwrap();
    }
    fs::create_dir(here.path("Box")).unwrap();
    let mut other = Device::of(&here);
    // What is there, and what is not, is in the kernel's memory from here on.
    let missing = |name: &str| fs::metadata(here.path(name)).unwrap_err().kind() == ErrorKind::NotFound;
    assert!(missing("Trip") && missing("Trip/Rome.md") && missing("Beds.md") && missing("Box/Beds.md"));
    assert_eq!(names(&here.path("")), set(&["Box", "Garden.md", "Old.md"]));
    let open = fs::File::open(here.path("Old.md")).unwrap();
    let mut watcher = Heard::inotify(
        &here.path(""),
        &["-e", "create,delete,moved_from,moved_to,attrib"],
    );

    let there = &other.vault;
    let trip = there.make(ROOT, b"Trip", meta(Kind::Folder), b"").unwrap();
    let rome = there.make(trip, b"Rome.md", meta(Kind::File), b"").unwrap();
    there.open(rome, true, false, false).unwrap();
    there.write(rome, Some(0), b"go there\n", false).unwrap();
    there.release(rome, true);
    let the_box = there.lookup(ROOT, b"Box").unwrap();
    there
        .rename((ROOT, b"Garden.md"), (the_box, b"Beds.md"), false)
        .unwrap();
    there.remove(ROOT, b"Old.md", false).unwrap();
    let change = coffer_store::vault::Change {
        perm: Some(0o700),
        ..Default::default()
    };
    there.change(the_box, change).unwrap();
    there.end_graces();
    other.send(&here);

    // Attributes are told last.
    let mut heard = watcher.until("the folder's mode", |line| line == "ATTRIB,ISDIR Box");
    here.settle();
    assert_eq!(names(&here.path("")), set(&["Box", "Trip"]));
    assert_eq!(names(&here.path("Trip")), set(&["Rome.md"]));
    assert_eq!(
        fs::read_to_string(here.path("Trip/Rome.md")).unwrap(),
        "go there\n"
    );
    assert_eq!(
        fs::read_to_string(here.path("Box/Beds.md")).unwrap(),
        "Garden.md\n"
    );
    assert!(missing("Garden.md") && missing("Old.md"));
    let mode = fs::metadata(here.path("Box")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o700);
    // Who has what went still open reads it.
    assert_eq!(std::io::read_to_string(open).unwrap(), "Old.md\n");
    fs::write(here.path("the end"), "").unwrap();
    heard.extend(watcher.until("the end", |line| line == "CREATE the end"));
    for event in ["CREATE,ISDIR Trip", "DELETE Old.md", "MOVED_FROM Garden.md"] {
        assert!(heard.iter().any(|line| line == event), "{event} in {heard:?}");
    }

    // What is done here to what came goes back.
    fs::rename(here.path("Trip"), here.path("Journey")).unwrap();
    fs::write(here.path("Journey/Rome.md"), "go there by train\n").unwrap();
    fs::write(here.path("Journey/Paris.md"), "and there\n").unwrap();
    here.vault.end_graces();
    let ours = here.vault.lookup(ROOT, b"Journey").unwrap();
    let end = Instant::now() + PATIENCE;
    for name in [b"Rome.md", &b"Paris.md"[..]] {
        // The kernel says late that who has just written has closed.
        while here
            .vault
            .is_being_written(here.vault.lookup(ours, name).unwrap())
        {
            assert!(Instant::now() < end, "a file is never released");
            std::thread::yield_now();
        }
    }
    other.hear(&here);
    let journey = other.vault.lookup(ROOT, b"Journey").unwrap();
    for (name, text) in [("Rome.md", "go there by train\n"), ("Paris.md", "and there\n")] {
        let ino = other.vault.lookup(journey, name.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        other.vault.read(ino, 0, 100, &mut bytes).unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), text);
    }
}
