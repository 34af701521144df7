//! What can go wrong, as a person and a program see it: one sentence and one exit code.
//!
//! Guarantees that a code, once given, keeps its meaning. Never carries a secret: sentences are
//! built from paths, numbers and the errors of the layers below, which hold none.

use serde::{Deserialize, Serialize};
use std::fmt::Display;
use std::process::ExitCode;

/// Kinds of failure. The numbers are the program's exit codes, listed in `coffer --help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub(crate) enum Kind {
    /// Anything without a code of its own.
    Failed = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// The password or recovery phrase does not fit.
    WrongPassword = 3,
    /// There is no vault in that place.
    NoVault = 4,
    /// Another process holds the vault, or programs use the mount.
    InUse = 5,
    /// Stored data is damaged.
    Damaged = 6,
    /// A question must be answered by a flag, because nobody can be asked.
    Question = 7,
    /// The disk is full.
    NoSpace = 8,
    /// Nothing is mounted or open there.
    NotOpen = 9,
    /// A newer Coffer made this.
    TooNew = 10,
}

/// Environment and exit codes, as `--help` and the man page end.
pub(crate) const EPILOGUE: &str = "\
Environment:
  COFFER_VAULT                 the vault, as --vault
  COFFER_MOUNTPOINT            the folder for “coffer mount”
  COFFER_PASSWORD_COMMAND      a command (for sh -c) whose first line of output is the password
  COFFER_NEW_PASSWORD_COMMAND  the same for the new password of “coffer passwd”

Exit codes:
   0  done
   1  failed; the message says why
   2  the command line makes no sense
   3  wrong password or recovery phrase
   4  there is no vault in that place
   5  in use: another process holds the vault, or programs use the mount
   6  damaged: stored data is not what was written
   7  a question needs an answer by flag, because there is no terminal to ask on
   8  no space left on the disk
   9  nothing is mounted or open there
  10  made by a newer Coffer

With --json, answers are one JSON object on standard output, and failures one on standard
error: {\"error\":{\"kind\":…,\"code\":…,\"message\":…}}.";

/// A program that keeps a mount busy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MountUser {
    /// Process id.
    pub pid: u32,
    /// Its command's short name.
    pub command: String,
    /// What it holds there, for people.
    pub what: String,
}

/// One failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    /// Which kind.
    pub kind: Kind,
    /// What happened, to what, and what to do.
    pub message: String,
    /// Who keeps a mount busy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<MountUser>,
}

impl Failure {
    /// A failure of `kind` that says `message`.
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Failure {
        Failure {
            kind,
            message: message.into(),
            users: Vec::new(),
        }
    }

    /// A failure without a code of its own.
    pub(crate) fn failed(message: impl Into<String>) -> Failure {
        Failure::new(Kind::Failed, message)
    }

    /// A command line that makes no sense.
    pub(crate) fn usage(message: impl Into<String>) -> Failure {
        Failure::new(Kind::Usage, message)
    }

    /// An I/O error while doing `what` ("read the password file /x").
    pub(crate) fn io(what: impl Display, error: &std::io::Error) -> Failure {
        let kind = match error.raw_os_error() {
            Some(libc::ENOSPC | libc::EDQUOT) => Kind::NoSpace,
            _ => Kind::Failed,
        };
        Failure::new(kind, format!("Cannot {what}: {}.", reason(error)))
    }

    /// The process's exit code.
    pub(crate) fn exit(&self) -> ExitCode {
        ExitCode::from(self.kind as u8)
    }

    /// The failure as `--json` shows it.
    pub(crate) fn json(&self) -> serde_json::Value {
        let mut error = serde_json::json!({
            "kind": self.kind, "code": self.kind as u8, "message": self.message,
        });
        if !self.users.is_empty() {
            error["users"] = serde_json::json!(self.users);
        }
        serde_json::json!({ "error": error })
    }
}

/// An I/O error's reason without Rust's "(os error 13)".
pub(crate) fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => "no reason given".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards the promise that exit codes are stable: scripts test them.
    #[test]
    fn codes_are_those_in_the_help() {
        for (kind, code) in [
            (Kind::Failed, 1),
            (Kind::Usage, 2),
            (Kind::WrongPassword, 3),
            (Kind::NoVault, 4),
            (Kind::InUse, 5),
            (Kind::Damaged, 6),
            (Kind::Question, 7),
            (Kind::NoSpace, 8),
            (Kind::NotOpen, 9),
            (Kind::TooNew, 10),
        ] {
            assert_eq!(kind as u8, code);
            assert!(
                EPILOGUE.contains(&format!("\n  {code:>2}  ")),
                "{code} is not in the help"
            );
        }
    }

    /// Guards that a full disk is told apart and that sentences read like sentences.
    #[test]
    fn io_errors_read_as_sentences() {
        let full = Failure::io("write /x", &std::io::Error::from_raw_os_error(libc::ENOSPC));
        assert_eq!(full.kind, Kind::NoSpace);
        assert_eq!(full.message, "Cannot write /x: no space left on device.");
    }

    /// Guards that a failure crosses the socket whole.
    #[test]
    fn survives_json() {
        let mut failure = Failure::new(Kind::InUse, "busy");
        failure.users.push(MountUser {
            pid: 7,
            command: "vim".into(),
            what: "works in it".into(),
        });
        let text = serde_json::to_string(&failure).unwrap();
        assert_eq!(serde_json::from_str::<Failure>(&text).unwrap(), failure);
        assert_eq!(failure.json()["error"]["code"], 5);
    }
}
