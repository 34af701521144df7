//! Tries to take a POSIX record lock on a whole file and, if it gets it, holds it until its
//! standard input ends: `coffer-hold FILE`. Prints `held` or `busy`.

use rustix::fs::{FlockOperation, fcntl_lock};
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1) else {
        eprintln!("usage: coffer-hold FILE");
        return ExitCode::from(2);
    };
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let word = match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => "held",
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => "busy",
        Err(errno) => {
            eprintln!("{errno}");
            return ExitCode::FAILURE;
        }
    };
    println!("{word}");
    let said = std::io::stdout().flush();
    if word == "held" {
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap_or_default();
    }
    if said.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
