//! A program at a terminal of its own, and the person who types.

use crate::command::{until, wait};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

/// A program at a terminal. It is killed with it, if it has not ended.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    shown: String,
    person: File,
    program: File,
    screen: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// Starts a program; returns once it reads keys as they are typed.
    ///
    /// # Panics
    /// If it does not start, or never does.
    pub fn start(command: &mut Command) -> Terminal {
        let (person, program) = pair();
        let size = rustix::termios::Winsize {
            ws_row: 24,
            ws_col: 80,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        rustix::termios::tcsetwinsize(&program, size).expect("it is a terminal");
        let end = || Stdio::from(program.try_clone().expect("descriptors are left"));
        command
            .env("TERM", "linux")
            .stdin(end())
            .stdout(end())
            .stderr(end());
        let fd = program.as_raw_fd();
        // SAFETY: both are system calls that a forked child may make.
        unsafe {
            command.pre_exec(move || {
                if libc::setsid() < 0 || libc::ioctl(fd, libc::TIOCSCTTY, 0) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let shown = format!("{command:?}");
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{shown} cannot be started: {error}"));
        let screen = Arc::new(Mutex::new(Vec::new()));
        let (mut from, to) = (person.try_clone().expect("descriptors are left"), screen.clone());
        // It ends with the terminal.
        std::thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut part) {
                to.lock().expect("nobody panics with it").extend(&part[..count]);
            }
        });
        let mut terminal = Terminal {
            child,
            shown,
            person,
            program,
            screen,
        };
        until("it reads keys", || {
            terminal.assert_runs();
            let modes = rustix::termios::tcgetattr(&terminal.program).expect("it is a terminal");
            (!modes.local_modes.contains(rustix::termios::LocalModes::ICANON)).then_some(())
        });
        terminal
    }

    /// Types. Ctrl-S is typed only once the terminal no longer takes it for a wish to stop the
    /// screen: nano reads single keys before it says so, and a key in between was lost.
    ///
    /// # Panics
    /// If the program ends before, or never takes the key.
    #[track_caller]
    pub fn keys(&mut self, keys: &str) {
        if keys.contains('\x13') {
            until("it takes Ctrl-S", || {
                self.assert_runs();
                let modes = rustix::termios::tcgetattr(&self.program).expect("it is a terminal");
                (!modes.input_modes.contains(rustix::termios::InputModes::IXON)).then_some(())
            });
        }
        self.person.write_all(keys.as_bytes()).expect("somebody reads");
    }

    /// Waits until something is so, while the program runs.
    ///
    /// # Panics
    /// If the program ends before, or it never is; with the end of what the screen shows.
    #[track_caller]
    pub fn until(&mut self, what: &str, mut is_so: impl FnMut() -> bool) {
        let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while !is_so() {
            self.assert_runs();
            assert!(
                std::time::Instant::now() < end,
                "waited in vain: {what}; the screen: {}",
                self.screen()
            );
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    /// Waits for its end.
    #[track_caller]
    pub fn end(mut self) -> ExitStatus {
        wait(&mut self.child, &self.shown)
    }

    /// Kills it, as a power cut would.
    pub fn kill(mut self) {
        self.child.kill().expect("it is our child");
        wait(&mut self.child, &self.shown);
    }

    #[track_caller]
    fn assert_runs(&mut self) {
        let status = self.child.try_wait().expect("it is our child");
        assert!(
            status.is_none(),
            "{} has ended ({status:?}); its screen: {}",
            self.shown,
            self.screen()
        );
    }

    fn screen(&self) -> String {
        let screen = self.screen.lock().expect("nobody panics with it");
        String::from_utf8_lossy(&screen[screen.len().saturating_sub(2000)..])
            .escape_debug()
            .to_string()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // One that has ended already is fine.
        self.child.kill().unwrap_or_default();
        let _ = self.child.wait();
    }
}

/// The side of the person, and the program's.
fn pair() -> (File, File) {
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
    assert_eq!(opened, 0, "{}", std::io::Error::last_os_error());
    for fd in [person, program] {
        // SAFETY: it was just opened. Other programs that tests start must not hold it open.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    // SAFETY: both were just opened, and nobody else closes them.
    unsafe { (File::from_raw_fd(person), File::from_raw_fd(program)) }
}
