//! The setuid helper `fusermount3`, which mounts and unmounts for ordinary users.
//!
//! Its protocol: it finds the number of a Unix socket in `_FUSE_COMMFD`, mounts, and sends
//! the descriptor of `/dev/fuse` over that socket (libfuse, `lib/mount.c`). Here the
//! socket is its standard input, which a child inherits without tricks.

use std::ffi::OsStr;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketFlags, SocketType, recvmsg,
    socketpair,
};

/// What went wrong with the helper.
pub(super) enum HelperError {
    /// It is not installed.
    Missing,
    /// It said no, in these words.
    Refused(String),
    /// It could not be run, or what it sent could not be received.
    Io(io::Error),
}

/// Mounts on `point`, and returns the descriptor to serve.
pub(super) fn mount(point: &Path, options: &str) -> Result<OwnedFd, HelperError> {
    let (ours, theirs) = socketpair(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(|error| HelperError::Io(error.into()))?;
    let mut command = command();
    command.arg("-o").arg(options).arg("--").arg(point);
    command.env("_FUSE_COMMFD", "0").stdin(Stdio::from(theirs));
    let said = run(&mut command)?;
    // Our copy of their end goes, so that a helper that sent nothing is seen as an end.
    drop(command);
    match receive(&ours) {
        Ok(Some(fuse)) => Ok(fuse),
        Ok(None) => Err(HelperError::Refused(said)),
        Err(error) => Err(HelperError::Io(error)),
    }
}

/// Unmounts `point`; `lazily`: out of sight at once, gone when nobody uses it any more.
pub(super) fn unmount(point: &Path, lazily: bool) -> Result<(), HelperError> {
    let mut command = command();
    command
        .arg("-u")
        .args(lazily.then_some(OsStr::new("-z")))
        .arg("--")
        .arg(point);
    command.stdin(Stdio::null());
    run(&mut command).map(|_| ())
}

fn command() -> Command {
    let mut command = Command::new("fusermount3");
    // Its words are matched and shown: in one language.
    command
        .env("LC_ALL", "C")
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// Runs the helper to its end; what it said on its standard error, or why it failed.
fn run(command: &mut Command) -> Result<String, HelperError> {
    let spawned = command.spawn().and_then(std::process::Child::wait_with_output);
    let Output { status, stderr, .. } = spawned.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => HelperError::Missing,
        _ => HelperError::Io(error),
    })?;
    let said = clause(&String::from_utf8_lossy(&stderr));
    match status.success() {
        true => Ok(said),
        false if said.is_empty() => Err(HelperError::Refused(format!("fusermount3 ended with {status}"))),
        false => Err(HelperError::Refused(said)),
    }
}

/// What the helper says, over several lines perhaps, as one clause without its name.
fn clause(said: &str) -> String {
    let mut clauses: Vec<&str> = Vec::new();
    for line in said.lines() {
        let line = line.trim();
        let line = line.strip_prefix("fusermount3: ").unwrap_or(line);
        let line = line.trim_end_matches('.');
        if !line.is_empty() && !clauses.contains(&line) {
            clauses.push(line);
        }
    }
    clauses.join("; ")
}

/// Takes the descriptor out of the socket; `None` if none was sent.
fn receive(socket: &OwnedFd) -> io::Result<Option<OwnedFd>> {
    let mut byte = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    // The helper has ended: what it sent is there, or nothing will come.
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut control, flags)?;
    let sent = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    Ok(sent)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards the sentence that the helper's words become a part of.
    #[test]
    fn several_lines_are_one_clause() {
        let said =
            "fusermount3: mounting over filesystem type 0x0a is forbidden.\nfusermount3: mount failed\n\n";
        assert_eq!(
            clause(said),
            "mounting over filesystem type 0x0a is forbidden; mount failed"
        );
        assert_eq!(clause(" \n"), "");
    }
}
