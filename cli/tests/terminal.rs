//! At a terminal: what a person's keys do at a prompt, and how progress is shown.

mod common;

use common::Stage;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};

/// A pseudo-terminal: the side of the person, and the program's.
fn terminal() -> (File, File) {
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
    unsafe { (File::from_raw_fd(person), File::from_raw_fd(program)) }
}

fn echoes(terminal: &File) -> bool {
    let modes = rustix::termios::tcgetattr(terminal).unwrap().local_modes;
    modes.contains(rustix::termios::LocalModes::ECHO | rustix::termios::LocalModes::ICANON)
}

/// Guards the shell behind us: Ctrl-C at a password prompt ends the program by that signal, and
/// leaves a terminal that shows what is typed.
#[test]
fn interrupt_leaves_the_terminal_as_it_was() {
    let stage = Stage::new();
    let (mut person, program) = terminal();
    assert!(echoes(&program));
    let mut command = stage.command(&["init"]);
    let fd = program.as_raw_fd();
    // SAFETY: all are system calls that a forked child may make.
    unsafe {
        command.pre_exec(move || {
            // Who runs the tests in the background may have it ignored.
            libc::signal(libc::SIGINT, libc::SIG_DFL);
            if libc::setsid() < 0 || libc::ioctl(fd, libc::TIOCSCTTY, 0) < 0 {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        });
    }
    let mut child = command.spawn().unwrap();
    // Keys count from when the prompt reads them, not from when it is shown.
    while echoes(&program) {
        assert!(child.try_wait().unwrap().is_none(), "it asked for nothing");
        std::thread::yield_now();
    }
    person.write_all(b"half a pass\x03").unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(libc::SIGINT), "{status:?}");
    assert!(echoes(&program), "what is typed now is not shown");
    assert!(!stage.vault().exists());
}

/// Guards the bar: who watches sees how far it is, how fast, and how long it takes; the line is
/// taken away in the end, and where nobody watches nothing is drawn.
#[test]
fn an_import_shows_how_far_it_is() {
    let stage = Stage::with_vault();
    // Long enough to be shown more than once.
    let large: Vec<u8> = (0..300 << 20_u32)
        .map(|i: u32| (i.wrapping_mul(i) >> 7) as u8)
        .collect();
    std::fs::write(stage.path("large"), large).unwrap();
    let (person, program) = terminal();
    std::fs::write(stage.path("password"), common::PASSWORD).unwrap();
    let mut command = stage.command(&["import", "large", "--password-file", "password"]);
    let mut child = command
        .stderr(program)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(command);
    let mut shown = Vec::new();
    let mut part = [0; 4096];
    // At the end of its last writer a terminal answers EIO.
    while let Ok(count @ 1..) = (&person).read(&mut part) {
        shown.extend_from_slice(&part[..count]);
    }
    assert!(child.wait().unwrap().success());
    let shown = String::from_utf8(shown).unwrap();
    assert!(shown.contains("of 1 files"), "{shown:?}");
    assert!(shown.contains('['), "{shown:?}");
    assert!(shown.ends_with("\r\x1b[K"), "{shown:?}");
}

/// What a command shows on a terminal, and its exit code.
fn shown(stage: &Stage, args: &[&str]) -> (String, i32) {
    let (person, program) = terminal();
    let mut command = stage.command(args);
    let mut child = command
        .stdout(program)
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    drop(command);
    let mut shown = Vec::new();
    let mut part = [0; 4096];
    while let Ok(count @ 1..) = (&person).read(&mut part) {
        shown.extend_from_slice(&part[..count]);
    }
    let code = child.wait().unwrap().code().unwrap();
    (String::from_utf8_lossy(&shown).into_owned(), code)
}

/// Guards a terminal against what is no text, and shows differences in colour there and there alone.
#[test]
fn old_versions_do_not_confuse_the_terminal() {
    if common::cannot_mount() {
        return;
    }
    let stage = Stage::with_vault();
    stage.mount();
    for text in ["plant garlic\n", "plant onions\n"] {
        std::fs::write(stage.mnt().join("Notes/g.md"), text).unwrap();
        stage.run(&["log", "mnt/Notes/g.md"]).gives(0);
    }
    std::fs::write(stage.mnt().join("Files/bell"), b"a\x1b[31m\x07\0").unwrap();
    assert_eq!(
        shown(&stage, &["show", "mnt/Notes/g.md@1"]),
        ("plant garlic\r\n".to_owned(), 0)
    );
    assert_eq!(shown(&stage, &["show", "mnt/Files/bell"]), (String::new(), 1));
    assert_eq!(shown(&stage, &["show", "--force", "mnt/Files/bell"]).1, 0);
    let (colours, code) = shown(&stage, &["diff", "mnt/Notes/g.md"]);
    assert!(
        code == 0 && colours.contains("\x1b[31;9mgarlic\x1b[0m\x1b[32;1monions\x1b[0m"),
        "{colours:?}"
    );
    let plain = stage.run(&["diff", "mnt/Notes/g.md"]).gives(0).out;
    assert!(
        plain.contains("[-garlic-]{+onions+}") && !plain.contains('\x1b'),
        "{plain:?}"
    );
}
