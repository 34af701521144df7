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
    /// Done, but something was left out; the report names it.
    Incomplete = 11,
    /// An earlier trial version of Coffer made this.
    Trial = 12,
}

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

/// A text without Rust's "(os error 13)", wherever it stands in it.
pub(crate) fn without_codes(text: &str) -> String {
    let mut parts = text.split(" (os error ");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(')') {
            Some((code, rest)) if code.bytes().all(|byte| byte.is_ascii_digit()) => plain.push_str(rest),
            _ => {
                plain.push_str(" (os error ");
                plain.push_str(part);
            }
        }
    }
    plain
}

/// An I/O error's reason.
pub(crate) fn reason(error: &std::io::Error) -> String {
    let text = without_codes(&error.to_string());
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => "no reason given".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards that a full disk is told apart and that sentences read like sentences.
    #[test]
    fn io_errors_read_as_sentences() {
        let full = Failure::io("write /x", &std::io::Error::from_raw_os_error(libc::ENOSPC));
        assert_eq!(full.kind, Kind::NoSpace);
        assert_eq!(full.message, "Cannot write /x: no space left on device.");
    }

    /// Guards that a code is taken out of the middle of a sentence, and nothing else.
    #[test]
    fn codes_are_left_out() {
        let text = "cannot write to pack-1: Permission denied (os error 13); free (a) space (os error 28)";
        assert_eq!(
            without_codes(text),
            "cannot write to pack-1: Permission denied; free (a) space"
        );
        assert_eq!(without_codes("x (os error y) z"), "x (os error y) z");
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
