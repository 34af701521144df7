//! Programs that people leave open beside a mounted vault: each sees what changed past the kernel.

mod mounted;

use coffer_fs::types::Kind;
use mounted::{Heard, Mounted, PATIENCE, TOP, possible};
use std::fs;
use std::os::fd::FromRawFd;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Guards who follows a file: by its descriptor what is added to it, by its name what takes its place.
#[test]
fn tail_follows() {
    if !possible(&["tail"]) {
        return;
    }
    let here = Mounted::new();
    here.put(TOP, "log", Kind::File, b"first\n");
    here.settle();
    let tail = |how: &str| {
        let mut command = Command::new("tail");
        // On FUSE it does not use inotify, but looks now and then.
        command.args([how, "-s", "0.1", "-n", "+1"]).arg(here.path("log"));
        let mut heard = Heard::start(command);
        heard.until("what is there", |line| line == "first");
        heard
    };
    let (mut by_file, mut by_name) = (tail("-f"), tail("-F"));
    here.rewrite(TOP, "log", 6, b"second\n");
    by_file.until("what was added", |line| line == "second");
    by_name.until("what was added", |line| line == "second");
    here.put(TOP, "log", Kind::File, b"another file\n");
    by_name.until("what took its place", |line| line == "another file");
    let strayed = by_file.so_far();
    assert!(
        strayed.iter().all(|line| !line.contains("another")),
        "{strayed:?}"
    );
}

/// Guards who looks every moment: the next look after the announcement shows the new size, time and
/// bytes, through a descriptor that was open before, too.
#[test]
fn polling_sees_it() {
    if !possible(&[]) {
        return;
    }
    let here = Mounted::new();
    here.put(TOP, "note", Kind::File, b"0");
    here.settle();
    let open = fs::File::open(here.path("note")).unwrap();
    for i in 1..50_u64 {
        let text = "x".repeat(1 + 997 * i as usize % 9000) + &i.to_string();
        let before = fs::metadata(here.path("note")).unwrap();
        assert_eq!(fs::read(here.path("note")).unwrap().len() as u64, before.len());
        let ino = here.vault.lookup(TOP, b"note").unwrap();
        here.vault
            .change(
                ino,
                coffer_store::vault::Change {
                    size: Some(0),
                    ..Default::default()
                },
            )
            .unwrap();
        here.rewrite(TOP, "note", 0, text.as_bytes());
        here.settle();
        assert_eq!(open.metadata().unwrap().len(), text.len() as u64);
        assert_ne!(
            fs::metadata(here.path("note")).unwrap().modified().unwrap(),
            before.modified().unwrap()
        );
        assert_eq!(fs::read(here.path("note")).unwrap(), text.as_bytes());
        let mut bytes = vec![0; text.len()];
        std::os::unix::fs::FileExt::read_exact_at(&open, &mut bytes, 0).unwrap();
        assert_eq!(bytes, text.as_bytes());
    }
}

/// Guards an open editor: vim with autoread takes what changed into its buffer, whether the file was
/// rewritten or replaced.
#[test]
fn vim_reads_again() {
    if !possible(&["vim"]) {
        return;
    }
    let here = Mounted::new();
    here.put(TOP, "note.md", Kind::File, b"as it was\n");
    here.settle();
    let shown = here.outside().join("shown");
    let (person, program) = terminal();
    let script = here.outside().join("vimrc");
    // What its buffer holds is written out whenever it has read the file again.
    let text = format!(
        "set nocompatible noswapfile autoread\n\
         let shown = '{0}'\n\
         autocmd FileChangedShellPost * call writefile(getline(1, '$'), shown)\n\
         autocmd VimEnter * call writefile(getline(1, '$'), shown)\n\
         call timer_start(50, {{-> execute('checktime')}}, {{'repeat': -1}})\n",
        shown.display()
    );
    fs::write(&script, text).unwrap();
    let mut vim = Command::new("vim")
        .args(["-u", script.to_str().unwrap(), "-i", "NONE", "--not-a-term"])
        .arg(here.path("note.md"))
        .env("TERM", "xterm")
        .stdin(Stdio::from(program.try_clone().unwrap()))
        .stdout(Stdio::from(program.try_clone().unwrap()))
        .stderr(Stdio::from(program))
        .spawn()
        .unwrap();
    // Nobody reads the screen, but it must not fill up.
    let screen = std::thread::spawn(move || std::io::copy(&mut &person, &mut std::io::sink()));
    let shows = |wanted: &str| {
        let end = Instant::now() + PATIENCE;
        while fs::read_to_string(&shown).unwrap_or_default() != wanted {
            assert!(Instant::now() < end, "vim shows {:?}", fs::read_to_string(&shown));
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    shows("as it was\n");
    here.rewrite(TOP, "note.md", 0, b"rewritten in place\n");
    shows("rewritten in place\n");
    here.put(TOP, "note.md", Kind::File, b"replaced by import\n");
    shows("replaced by import\n");
    vim.kill().unwrap();
    vim.wait().unwrap();
    let _ = screen.join();
}

/// Measures a thousand announcements of each kind, with somebody who lists and reads meanwhile.
#[test]
fn a_thousand_at_once() {
    if !possible(&["inotifywait"]) {
        return;
    }
    let here = Mounted::new();
    for i in 0..1000 {
        here.put(TOP, &format!("old-{i}"), Kind::File, b"old");
    }
    here.put(TOP, "steady", Kind::File, b"steady");
    here.settle();
    for i in 0..1000 {
        fs::read(here.path(&format!("old-{i}"))).unwrap();
        assert!(fs::metadata(here.path(&format!("new-{i}"))).is_err());
    }
    let mut watcher = Heard::inotify(&here.path(""), &["-e", "create,moved_to,modify,attrib"]);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let (mut worst, mut looks) = (Duration::ZERO, 0);
            while !over.load(Ordering::Relaxed) {
                let begun = Instant::now();
                assert!(fs::read_dir(here.path("")).unwrap().count() > 1000);
                assert_eq!(fs::read(here.path("steady")).unwrap(), b"steady");
                worst = worst.max(begun.elapsed());
                looks += 1;
            }
            (worst, looks)
        });
        let mut measure = |what: &str, last: &str, each: &dyn Fn(usize)| {
            let begun = Instant::now();
            (0..1000).for_each(each);
            here.settle();
            let took = begun.elapsed();
            let heard = watcher.until(what, |line| line == last);
            eprintln!(
                "1,000 announcements, {what}: {:.0} ms with the changes themselves; {} events",
                took.as_secs_f64() * 1e3,
                heard.len()
            );
        };
        measure("made", "CREATE new-999", &|i| {
            here.put(TOP, &format!("new-{i}"), Kind::File, b"new");
        });
        measure("replaced", "MOVED_TO old-999", &|i| {
            here.put(TOP, &format!("old-{i}"), Kind::File, b"replaced");
        });
        measure("rewritten", "MODIFY new-999", &|i| {
            here.rewrite(TOP, &format!("new-{i}"), 0, b"rewritten");
        });
        over.store(true, Ordering::Relaxed);
        let (worst, looks) = looking.join().unwrap();
        eprintln!(
            "meanwhile somebody listed 2,000 names and read {looks} times; the worst took {:.1} ms",
            worst.as_secs_f64() * 1e3
        );
    });
    for i in [0, 500, 999] {
        assert_eq!(fs::read(here.path(&format!("old-{i}"))).unwrap(), b"replaced");
        assert_eq!(fs::read(here.path(&format!("new-{i}"))).unwrap(), b"rewritten");
    }
}

/// A pseudo-terminal: the side of the person, and the program's.
fn terminal() -> (fs::File, fs::File) {
    let (mut person, mut program) = (-1, -1);
    // SAFETY: both places are ours; the other arguments may be null.
    let opened = unsafe {
        libc::openpty(
            &mut person,
            &mut program,
            std::ptr::null_mut(),
            std::ptr::null(),
            std::ptr::null(),
        )
    };
    assert_eq!(opened, 0);
    // SAFETY: both were just opened, and nobody else closes them.
    unsafe { (fs::File::from_raw_fd(person), fs::File::from_raw_fd(program)) }
}
