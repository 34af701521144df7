//! At a terminal: what a person's keys do at a prompt.

mod common;

use common::Stage;
use std::fs::File;
use std::io::Write;
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
