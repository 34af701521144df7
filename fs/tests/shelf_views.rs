//! Smart folders and searches with a real kernel: what is shown, what is real, and what is refused.

mod shelf_bed;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::sync::Arc;
use std::time::Duration;

use coffer_fs::patience::LATER;
use coffer_fs::permit::{Permit, User};
use coffer_fs::shelf::Shelf;
use coffer_fs::types::{Caller, Errno, FileSystem, NewNode, OpenMode, ROOT, SetAttr};
use coffer_fs::vaultfs::CofferFs;
use coffer_store::keys::{KdfParams, Password};
use coffer_store::vault::Vault;
use shelf_bed::{Told, bed, bed_with, listed, names, possible, until};

/// Guards the way of a query: saved as a file, it makes a folder; changed, removed and renamed, it takes it along; and what
/// it shows are links to the files, in its order, under their names.
#[test]
fn a_query_makes_a_folder() {
    if !possible() {
        return;
    }
    let bed = bed();
    assert_eq!(names(&bed.path("")), ["Notes", "Recipes"], "nothing to walk into");
    assert_eq!(names(&bed.shelf("")), ["history", "search", "tables", "views"]);
    bed.view(
        "Overdue.sql",
        &["SHOW Recipes/Garden.md", "SHOW Notes/Bread.md", "SHOW gone.md"],
    );
    assert_eq!(
        names(&bed.path("")),
        [".coffer", "Notes", "Recipes"],
        "it holds files now"
    );
    assert_eq!(names(&bed.shelf("")), ["views"], "what is real");
    assert!(bed.shelf("history").is_dir() && bed.shelf("tables").is_dir() && bed.shelf("search").is_dir());
    assert_eq!(names(&bed.shelf("views")), ["Overdue", "Overdue.sql"]);
    let folder = bed.shelf("views/Overdue");
    assert_eq!(
        listed(&folder),
        ["Garden.md", "Bread.md"],
        "in order, without what is gone"
    );
    assert_eq!(fs::read_to_string(folder.join("Garden.md")).unwrap(), "salad\n");
    let link = fs::read_link(folder.join("Bread.md")).unwrap();
    assert_eq!(link.to_str(), Some("../../../Notes/Bread.md"));
    fs::write(folder.join("Bread.md"), "more bread\n").unwrap();
    assert_eq!(
        fs::read_to_string(bed.path("Notes/Bread.md")).unwrap(),
        "more bread\n"
    );
    // Another query, at once.
    bed.view(
        "Overdue.sql",
        &[
            "SHOW Notes/Garden.md",
            "SHOW Recipes/Garden.md",
            "SHOW Notes/Bread.md AS First/one",
        ],
    );
    assert_eq!(
        listed(&folder),
        ["Garden (Notes).md", "Garden (Recipes).md", "First∕one"]
    );
    assert!(!folder.join("Garden.md").exists());
    fs::rename(bed.shelf("views/Overdue.sql"), bed.shelf("views/Late.sql")).unwrap();
    assert_eq!(names(&bed.shelf("views")), ["Late", "Late.sql"]);
    assert_eq!(listed(&bed.shelf("views/Late")).len(), 3);
    fs::remove_file(bed.shelf("views/Late.sql")).unwrap();
    assert_eq!(names(&bed.shelf("views")), [""; 0]);
    assert!(!bed.shelf("views/Late").exists());
    // In a folder of their own; and what is real hides what is not.
    fs::create_dir(bed.shelf("views/home")).unwrap();
    bed.view("home/Deep.sql", &["SHOW Notes/Bread.md"]);
    assert_eq!(names(&bed.shelf("views/home")), ["Deep", "Deep.sql"]);
    assert_eq!(
        fs::read_to_string(bed.shelf("views/home/Deep/Bread.md")).unwrap(),
        "more bread\n"
    );
    fs::create_dir(bed.path("made")).unwrap();
    fs::rename(bed.path("made"), bed.shelf("views/made")).unwrap();
    bed.view("made/Deeper.sql", &["SHOW Notes/Bread.md"]);
    until("a folder that was moved here makes folders", || {
        bed.shelf("views/made/Deeper/Bread.md").exists()
    });
    bed.view("real.sql", &["SHOW Notes/Bread.md"]);
    assert_eq!(names(&bed.shelf("views")), ["home", "made", "real", "real.sql"]);
    fs::write(bed.path("x"), "mine").unwrap();
    fs::rename(bed.path("x"), bed.shelf("views/Other")).unwrap();
    bed.view("Other.sql", &["SHOW Notes/Bread.md"]);
    assert_eq!(fs::read_to_string(bed.shelf("views/Other")).unwrap(), "mine");
    // Without all of it, it is as at the beginning.
    for name in ["real.sql", "Other.sql", "Other"] {
        fs::remove_file(bed.shelf("views").join(name)).unwrap();
    }
    for name in ["home", "made"] {
        fs::rename(bed.shelf("views").join(name), bed.path(name)).unwrap();
    }
    until("outside, a query is a file", || {
        !bed.path("made/Deeper").exists() && bed.path("made/Deeper.sql").exists()
    });
    fs::remove_dir(bed.shelf("views")).unwrap();
    fs::remove_dir(bed.shelf("")).unwrap();
    assert_eq!(names(&bed.path("")), ["Notes", "Recipes", "home", "made"]);
    assert_eq!(names(&bed.shelf("")), ["history", "search", "tables", "views"]);
    assert_eq!(bed.here.panics(), 0);
}

/// Guards one question for a listing, whoever looks at each entry; that what changed is seen by the next; and an entry that is
/// looked up by its name alone.
#[test]
fn a_listing_asks_once() {
    if !possible() {
        return;
    }
    let bed = bed();
    let shown: Vec<String> = (0..1000).map(|at| format!("SHOW Notes/n{at}.md")).collect();
    for at in 0..1000 {
        fs::write(bed.path(&format!("Notes/n{at}.md")), "x").unwrap();
    }
    bed.view("All.sql", &shown.iter().map(String::as_str).collect::<Vec<_>>());
    bed.told.changed();
    let begun = std::time::Instant::now();
    let out = bed.run("ls", &["-l", ".coffer/views/All/"]);
    assert_eq!(out.lines().count(), 1001);
    let most = 1 + begun.elapsed().as_secs() as usize;
    assert!(
        (1..=most).contains(&bed.asked()),
        "{} times in {most} s",
        bed.asked()
    );
    fs::remove_file(bed.path("Notes/n7.md")).unwrap();
    bed.told.changed();
    until("what went is not listed", || {
        listed(&bed.shelf("views/All")).len() == 999
    });
    let before = fs::metadata(bed.shelf("views/All")).unwrap().mtime_nsec();
    bed.told.changed();
    bed.view("All.sql", &["SHOW Notes/n1.md"]);
    assert_ne!(fs::metadata(bed.shelf("views/All")).unwrap().mtime_nsec(), before);
    bed.view("One.sql", &["SHOW Notes/Bread.md"]);
    assert_eq!(
        fs::read_to_string(bed.shelf("views/One/Bread.md")).unwrap(),
        "bread\n"
    );
    let asked = bed.asked();
    assert_eq!(names(&bed.shelf("views")).len(), 4);
    bed.run("ls", &["-l", ".coffer/views"]);
    assert_eq!(bed.asked(), asked, "looking at the folders runs no query");
}

/// Guards searches: any words, found by name and listed nowhere.
#[test]
fn words_make_a_folder() {
    if !possible() {
        return;
    }
    let bed = bed();
    assert_eq!(names(&bed.shelf("search")), [""; 0]);
    assert_eq!(
        names(&bed.shelf("search/Garden")),
        ["Garden (Notes).md", "Garden (Recipes).md"]
    );
    assert_eq!(names(&bed.shelf("search/Notes Garden")), ["Garden.md"]);
    assert_eq!(names(&bed.shelf("search/Notes∕Bread")), ["Bread.md"], "a slash");
    assert_eq!(
        fs::read_to_string(bed.shelf("search/Bread/Bread.md")).unwrap(),
        "bread\n"
    );
    assert_eq!(names(&bed.shelf("search/nothing at all")), [""; 0]);
    for none in [".git", ".hidden", "Bread/.directory"] {
        let asked = bed.asked();
        assert!(!bed.shelf("search").join(none).exists(), "{none}");
        assert_eq!(bed.asked(), asked, "nobody searched for it");
    }
    let found = bed.run("sh", &["-c", "cd .coffer/search/Bread && ls && cat *"]);
    assert_eq!(found, "Bread.md\nbread\n");
}

/// Guards a text where there is no answer, for a query that is wrong, none at all, and one that is no text.
#[test]
fn a_bad_query_says_so() {
    if !possible() {
        return;
    }
    let bed = bed();
    bed.view("Bad.sql", &["NOTHING", "WRONG"]);
    let folder = bed.shelf("views/Bad");
    assert_eq!(names(&folder), ["ERROR.txt"]);
    let text = bed.run("cat", &[".coffer/views/Bad/ERROR.txt"]);
    assert_eq!(
        text,
        "The query has no column “path”; name the one that holds it.\n\nLine 2: WRONG\n"
    );
    assert_eq!(
        fs::metadata(folder.join("ERROR.txt")).unwrap().len(),
        text.len() as u64
    );
    assert!(!folder.join("x").exists());
    bed.view("Bad.sql", &["SHOW Notes/Bread.md"]);
    assert_eq!(names(&folder), ["Bread.md"], "mended");
    fs::write(bed.shelf("views/Bytes.sql"), [0xff, 0xfe, b'\n']).unwrap();
    assert!(
        fs::read_to_string(bed.shelf("views/Bytes/ERROR.txt"))
            .unwrap()
            .contains("UTF-8")
    );
    fs::write(bed.shelf("views/Long.sql"), "SHOW x\n".repeat(20_000)).unwrap();
    assert!(
        fs::read_to_string(bed.shelf("views/Long/ERROR.txt"))
            .unwrap()
            .contains("64 KiB")
    );
}

/// Guards what is not real: nothing of it can be made, changed, moved or removed, and everybody is told by the same word.
#[test]
fn what_is_shown_cannot_be_changed() {
    if !possible() {
        return;
    }
    let bed = bed();
    bed.view("V.sql", &["SHOW Notes/Bread.md"]);
    let fixed = |what: &str, done: std::io::Result<()>| {
        let code = done.expect_err(what).raw_os_error();
        assert_eq!(code, Some(libc::EROFS), "{what}");
    };
    for folder in ["", "tables", "search/x", "views/V", "history"] {
        let at = |name: &str| bed.shelf(folder).join(name);
        fixed(&format!("touch in {folder}"), fs::write(at("new"), "x"));
        fixed(&format!("mkdir in {folder}"), fs::create_dir(at("new")));
        fixed(&format!("link in {folder}"), symlink("x", at("new")));
        fixed(
            &format!("into {folder}"),
            fs::rename(bed.path("Notes/Bread.md"), at("new")),
        );
    }
    fixed("unlink", fs::remove_file(bed.shelf("views/V/Bread.md")));
    fixed(
        "rename",
        fs::rename(bed.shelf("views/V/Bread.md"), bed.path("Bread.md")),
    );
    fixed("rmdir of a smart folder", fs::remove_dir(bed.shelf("views/V")));
    fixed("rmdir of a search", fs::remove_dir(bed.shelf("search/x")));
    fixed(
        "rename of a smart folder",
        fs::rename(bed.shelf("views/V"), bed.shelf("views/W")),
    );
    fixed(
        "unlink of a table",
        fs::remove_file(bed.shelf("tables/files.csv")),
    );
    fixed(
        "truncate of a table",
        fs::write(bed.shelf("tables/files.csv"), ""),
    );
    let mode = fs::Permissions::from_mode(0o777);
    fixed(
        "chmod of a smart folder",
        fs::set_permissions(bed.shelf("views/V"), mode),
    );
    assert_eq!(
        fs::metadata(bed.shelf("")).unwrap().mode() & 0o077,
        0,
        "its owner's alone"
    );
    assert_eq!(names(&bed.shelf("views/V")), ["Bread.md"]);
    assert_eq!(fs::read_to_string(bed.path("Notes/Bread.md")).unwrap(), "bread\n");
}

/// Guards a folder `.coffer` that another device made: all that is real in it is there, and hides what has its name.
#[test]
fn a_real_one_is_shown_with_it() {
    if !possible() {
        return;
    }
    let bed = bed();
    bed.view("V.sql", &["SHOW Notes/Bread.md"]);
    // As it would come from elsewhere: past the mount.
    let fs_there = CofferFs::new(bed.vault.clone()).unwrap();
    let who = Caller::default();
    let top = bed.vault.lookup(ROOT, b".coffer").unwrap();
    let views = bed.vault.lookup(top, b"views").unwrap();
    let make =
        |parent, name: &[u8], node: NewNode<'_>| fs_there.make(who, parent, name, node, 0o755).unwrap().ino;
    make(top, b"mine", NewNode::File);
    let tables = make(top, b"tables", NewNode::Folder);
    make(tables, b"table.txt", NewNode::File);
    make(views, b"from there.sql", NewNode::File);
    assert_eq!(names(&bed.shelf("")), ["mine", "tables", "views"]);
    assert_eq!(names(&bed.shelf("tables")), ["table.txt"]);
    assert_eq!(
        names(&bed.shelf("views")),
        ["V", "V.sql", "from there", "from there.sql"]
    );
    fs::write(bed.shelf("mine"), "changed").unwrap();
    fs::remove_dir_all(bed.shelf("tables")).unwrap();
    assert!(bed.shelf("tables/files.csv").is_file());
    fs_there.unlink(who, views, b"V.sql").unwrap();
    assert_eq!(names(&bed.shelf("views")), ["from there", "from there.sql"]);
    assert!(!bed.shelf("views/V.sql").exists());
    bed.vault.commit().unwrap();
    until("the past is there", || {
        listed(&bed.shelf("history/Notes/Bread.md")).len() == 1
    });
    // It can be put elsewhere, and then all is as at the beginning.
    fs::rename(bed.shelf(""), bed.path("dotcoffer")).unwrap();
    assert_eq!(names(&bed.path("dotcoffer")), ["mine", "views"]);
    assert_eq!(names(&bed.shelf("")), ["history", "search", "tables", "views"]);
    assert_eq!(names(&bed.path("")), ["Notes", "Recipes", "dotcoffer"]);
    make(ROOT, b".coffer", NewNode::File);
    assert!(bed.path(".coffer").is_file() && !bed.shelf("history").exists());
    assert!(coffer_fs::shelf::is_hidden(&bed.vault));
}

/// Guards a vault without an index: its queries are files, and its past is there.
#[test]
fn without_a_source_there_is_the_past() {
    if !possible() {
        return;
    }
    let bed = bed_with(false, Duration::from_secs(30));
    assert_eq!(names(&bed.shelf("")), ["history", "views"]);
    bed.view("V.sql", &["SHOW Notes/Bread.md"]);
    assert_eq!(names(&bed.shelf("views")), ["V.sql"]);
    for none in ["tables", "search", "search/x", "views/V"] {
        assert!(!bed.shelf(none).exists(), "{none}");
    }
}

/// Guards an ordinary user's vault: what is made here for the first file is the owner's alone, whoever asked; what cannot be
/// changed is refused as that; and nobody else comes in.
#[test]
fn an_ordinary_owner_saves_queries() {
    let dir = tempfile::tempdir().unwrap();
    let password = Password::new(b"a password for tests alone".to_vec());
    let vault = Vault::create(&dir.path().join("v"), &password, KdfParams::FLOOR, false);
    let vault = vault.unwrap().0;
    let shelf = Arc::new(Shelf::new(
        Arc::new(CofferFs::new(vault.clone()).unwrap()),
        Some(Arc::new(Told::default())),
    ));
    let owned = SetAttr {
        uid: Some(1000),
        gid: Some(1000),
        ..SetAttr::default()
    };
    shelf.setattr(Caller::default(), ROOT, None, owned).unwrap();
    let user = |uid| {
        let groups = vec![uid];
        Permit::new(shelf.clone(), User { uid, groups })
    };
    let (owner, stranger) = (user(1000), user(1001));
    let who = Caller {
        uid: 1000,
        gid: 1000,
        pid: 0,
    };
    let top = owner.lookup(ROOT, b".coffer").unwrap().ino;
    let views = owner.lookup(top, b"views").unwrap().ino;
    let write = OpenMode {
        write: true,
        ..OpenMode::default()
    };
    let (made, handle) = owner.create(who, views, b"Mine.sql", 0o644, write, true).unwrap();
    owner.release(made.ino, handle);
    let real = vault.lookup(ROOT, b".coffer").unwrap();
    for folder in [real, vault.lookup(real, b"views").unwrap()] {
        let meta = vault.stat(folder).unwrap().meta;
        assert_eq!((meta.uid, meta.gid, meta.perm), (1000, 1000, 0o700));
    }
    let smart = owner.lookup(views, b"Mine").unwrap().ino;
    for folder in [smart, owner.lookup(top, b"tables").unwrap().ino] {
        let refused = owner.make(who, folder, b"x", NewNode::Folder, 0o755);
        assert_eq!(refused.err(), Some(Errno(libc::EROFS)));
    }
    for folder in [top, views, smart] {
        assert_eq!(
            stranger.readdir(folder, 0, &mut |_| true),
            Err(Errno(libc::EACCES))
        );
        let refused = stranger.create(who, folder, b"x.sql", 0o644, write, true);
        assert_eq!(refused.err(), Some(Errno(libc::EACCES)));
    }
    assert_eq!(stranger.lookup(top, b"views").err(), Some(Errno(libc::EACCES)));
    assert_eq!(
        owner.lookup(smart, b"x").err(),
        Some(LATER),
        "nobody who serves waits"
    );
}
