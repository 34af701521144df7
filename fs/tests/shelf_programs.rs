//! Programs on the shelf with a real kernel: what walks it, editors, and questions that are never answered.

mod shelf_bed;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use shelf_bed::{bed, bed_with, names, possible, until};

/// Guards programs that walk: each file once, no loop, no table made; what is real is copied, and links stay links.
#[test]
fn programs_walk_it() {
    if !possible() {
        return;
    }
    let bed = bed();
    bed.view(
        "Gardens.sql",
        &[
            "SHOW Notes/Garden.md",
            "SHOW Notes",
            "SHOW .",
            "SHOW .coffer/views",
            "SHOW ../..",
        ],
    );
    let found = bed.run("find", &[".", "-name", "Garden.md"]);
    let mut found: Vec<&str> = found.lines().collect();
    found.sort();
    assert_eq!(
        found,
        [
            "./.coffer/views/Gardens/Garden.md",
            "./Notes/Garden.md",
            "./Recipes/Garden.md"
        ]
    );
    assert_eq!(names(&bed.shelf("views/Gardens")), ["Garden.md", "Notes"]);
    let files = bed.run("find", &[".", "-type", "f"]);
    assert_eq!(files.lines().count(), 4, "three notes and the query: {files}");
    bed.run("find", &["-L", "."]);
    assert_eq!(bed.run("grep", &["-rl", "roses", "."]), "./Notes/Garden.md\n");
    assert_eq!(
        bed.run("grep", &["-c", "roses", ".coffer/views/Gardens/Garden.md"]),
        "1\n"
    );
    let copy = bed.outside("copy");
    for _ in 0..2 {
        bed.run("rsync", &["-a", "--delete", "./", copy.to_str().unwrap()]);
        assert_eq!(names(&copy), [".coffer", "Notes", "Recipes"]);
        assert_eq!(names(&copy.join(".coffer")), ["views"]);
        assert!(copy.join(".coffer/views/Gardens.sql").is_file());
        let link = copy.join(".coffer/views/Gardens/Garden.md");
        assert!(link.is_symlink() && fs::read_to_string(link).unwrap() == "roses\n");
    }
    // Not only within the second in which it was answered, nor by that answer.
    let (begun, asked) = (std::time::Instant::now(), bed.asked());
    bed.told.changed();
    until("the answer is old", || {
        begun.elapsed() > Duration::from_millis(1500)
    });
    let again = bed.run("rsync", &["-ai", "--delete", "./", copy.to_str().unwrap()]);
    assert_eq!(again, "", "nothing is copied twice");
    assert!(bed.asked() > asked, "it was asked again");
    bed.run("cp", &["-r", ".", bed.outside("copied").to_str().unwrap()]);
    assert_eq!(
        names(&bed.outside("copied/.coffer/views")),
        ["Gardens", "Gardens.sql"]
    );
    bed.run("tar", &["-cf", bed.outside("tar").to_str().unwrap(), "."]);
    let git = |arguments: &[&str]| {
        let all = [
            &[
                "-c",
                "safe.directory=*",
                "-c",
                "user.name=x",
                "-c",
                "user.email=x@x",
            ],
            arguments,
        ]
        .concat();
        bed.run("git", &all)
    };
    git(&["init", "-q"]);
    git(&["add", "-A"]);
    git(&["commit", "-qm", "x"]);
    assert_eq!(git(&["status", "--porcelain"]), "");
    let tracked = git(&["ls-files"]);
    assert!(
        tracked.contains(".coffer/views/Gardens.sql") && !tracked.contains("history"),
        "{tracked}"
    );
    assert_eq!(
        bed.told.made.load(std::sync::atomic::Ordering::SeqCst),
        0,
        "no table was made"
    );
    bed.run("sh", &["-c", "rm -rf .git"]);
}

/// Guards editors: what they put beside a query, rename and set makes no folder, and what was saved is asked.
#[test]
fn editors_save_queries() {
    if !possible() {
        return;
    }
    let bed = bed();
    let vim = ["-N", "-u", "NONE", "-i", "NONE", "-es", "-c"];
    let vim = |command: &str, file: &str| {
        let arguments = [&vim[..], &[command, "-c", "wq", file]].concat();
        assert!(bed.ends("vim", &arguments).status.success());
    };
    vim("call setline(1, 'SHOW Notes/Bread.md')", ".coffer/views/Vim.sql");
    assert_eq!(names(&bed.shelf("views")), ["Vim", "Vim.sql"]);
    assert_eq!(names(&bed.shelf("views/Vim")), ["Bread.md"]);
    vim(
        "set backup backupskip= backupcopy=no | call setline(1, 'SHOW Notes/Garden.md')",
        ".coffer/views/Vim.sql",
    );
    assert_eq!(names(&bed.shelf("views/Vim")), ["Garden.md"]);
    assert_eq!(names(&bed.shelf("views")), ["Vim", "Vim.sql", "Vim.sql~"]);
    let elisp =
        "(progn (find-file \".coffer/views/Emacs.sql\") (insert \"SHOW Notes/Bread.md\\n\") (save-buffer))";
    bed.run("emacs", &["-Q", "--batch", "--eval", elisp]);
    assert_eq!(names(&bed.shelf("views/Emacs")), ["Bread.md"]);
    let nano = r#"
import os, pty, select, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm"
    os.execvp("nano", ["nano", "-I", ".coffer/views/Nano.sql"])
def drain(wait):
    while select.select([fd], [], [], wait)[0]:
        try:
            if not os.read(fd, 4096): return
        except OSError:
            return
drain(1)
os.write(fd, b"SHOW Notes/Garden.md\r")
drain(0.5)
os.write(fd, b"\x0f\r")
drain(0.5)
os.write(fd, b"\x18")
drain(2)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"#;
    bed.run("python3", &["-c", nano]);
    assert_eq!(names(&bed.shelf("views/Nano")), ["Garden.md"]);
    bed.run("sed", &["-i", "s/Garden/Bread/", ".coffer/views/Nano.sql"]);
    assert_eq!(names(&bed.shelf("views/Nano")), ["Bread.md"]);
    bed.run("chmod", &["600", ".coffer/views/Nano.sql"]);
    bed.run("chmod", &["750", ".coffer/views"]);
    assert_eq!(
        fs::metadata(bed.shelf("views")).unwrap().permissions().mode() & 0o7777,
        0o750
    );
    bed.run("sync", &[".coffer/views/Nano.sql", ".coffer/views"]);
    assert_eq!(bed.here.panics(), 0);
}

/// Guards a question that is never answered: it is given up, everything else goes on, also when many ask at once; and what is
/// asked later is answered.
#[test]
fn what_hangs_holds_up_nobody() {
    if !possible() {
        return;
    }
    let bed = bed_with(true, Duration::from_secs(2));
    bed.view("Hangs.sql", &["HANG", "SHOW Notes/Bread.md"]);
    bed.view("Fine.sql", &["SHOW Notes/Garden.md"]);
    let mut waiting: Vec<_> = (0..100)
        .map(|at| {
            let what = match at % 2 {
                0 => ".coffer/views/Hangs/ERROR.txt",
                _ => ".coffer/tables/hangs.csv",
            };
            let mut cat = Command::new("cat");
            cat.arg(what).current_dir(bed.here.mount.point());
            cat.stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::piped());
            cat.spawn().unwrap()
        })
        .collect();
    until("it hangs", || bed.asked() > 0);
    for at in 0..200 {
        let path = bed.path(&format!("Notes/{at}.md"));
        fs::write(&path, "text").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "text");
    }
    assert_eq!(names(&bed.path("")).len(), 3);
    assert_eq!(
        names(&bed.shelf("views")),
        ["Fine", "Fine.sql", "Hangs", "Hangs.sql"]
    );
    for (at, cat) in waiting.drain(..).enumerate() {
        let ended = cat.wait_with_output().unwrap();
        let said =
            String::from_utf8_lossy(&ended.stderr).into_owned() + &String::from_utf8_lossy(&ended.stdout);
        match at % 2 {
            0 => assert!(said.contains("after 2 seconds"), "{said}"),
            _ => assert!(said.contains("timed out"), "{said}"),
        }
    }
    assert_eq!(names(&bed.shelf("views/Fine")), ["Garden.md"]);
    bed.told.let_go();
    until("it is answered", || {
        names(&bed.shelf("views/Hangs")) == ["Bread.md"]
    });
    until("so is the table", || {
        fs::read(bed.shelf("tables/hangs.csv")).is_ok()
    });
    assert_eq!(bed.here.panics(), 0);
}
/// Guards a source that itself reads the vault, even by the mount, and by a folder whose answer is worked out: nobody waits
/// for himself.
#[test]
fn a_source_may_read_the_vault() {
    if !possible() {
        return;
    }
    let bed = bed_with(true, Duration::from_secs(20));
    *bed.told.point.lock().unwrap() = bed.here.mount.point().to_owned();
    bed.view("Inner.sql", &["SHOW Notes/Bread.md"]);
    bed.view(
        "Outer.sql",
        &[
            "READ .coffer/views/Inner/Bread.md",
            "READ Notes/Garden.md",
            "SHOW Notes/Garden.md",
        ],
    );
    bed.told.write(b"table".to_vec());
    bed.view(
        "Most.sql",
        &[
            "READ .coffer/tables/files.csv",
            "READ .coffer/views/Outer/Garden.md",
            "SHOW Notes",
        ],
    );
    assert_eq!(names(&bed.shelf("views/Most")), ["Notes"]);
    assert_eq!(names(&bed.shelf("views/Outer")), ["Garden.md"]);
}
