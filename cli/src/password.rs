//! Where passwords come from: standard input, a file, a command, or a person, who gets advice.
//!
//! Guarantees that a password never stands in arguments, logs or errors. The strength estimate
//! (zxcvbn) and the terminal reader make copies that they do not wipe; they live in the foreground
//! process only, which ends with the command.

use crate::args::PasswordArgs;
use crate::failure::{Failure, Kind};
use crate::secret::Secret;
use crate::ui::{self, Person};
use crate::units;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::ptr;

/// A command whose first line of output is the password.
const COMMAND: &str = "COFFER_PASSWORD_COMMAND";
/// The same for the new password of `passwd` and `recover`.
const NEW_COMMAND: &str = "COFFER_NEW_PASSWORD_COMMAND";
/// Words of a suggested passphrase, from a list of 2,048: 11 bits each.
const WORDS: usize = 6;

/// A password, and whether a person typed it (who may try again).
pub(crate) struct Given {
    /// The password.
    pub password: Secret,
    /// Whether a person typed it.
    pub typed: bool,
}

/// The password that the vault has.
///
/// # Errors
/// `Question` when nobody can be asked; else what went wrong at the source.
pub(crate) fn current(args: &PasswordArgs, prompt: &str) -> Result<Given, Failure> {
    match given(args.password_stdin, args.password_file.as_deref(), COMMAND)? {
        Some(password) => Ok(Given {
            password,
            typed: false,
        }),
        None => Ok(Given {
            password: typed(prompt)?,
            typed: true,
        }),
    }
}

/// A password that the vault is to have, from the same places; a person chooses with advice.
///
/// # Errors
/// `Question` when nobody can be asked; `Usage` if it is empty.
pub(crate) fn new(args: &PasswordArgs) -> Result<Secret, Failure> {
    chosen(given(
        args.password_stdin,
        args.password_file.as_deref(),
        COMMAND,
    )?)
}

/// The new password beside a current one: the next line of standard input, a file of its own,
/// its own command, or a person.
///
/// # Errors
/// As [`new`].
pub(crate) fn replacement(args: &PasswordArgs, file: Option<&Path>) -> Result<Secret, Failure> {
    chosen(given(args.password_stdin && file.is_none(), file, NEW_COMMAND)?)
}

fn given(stdin: bool, file: Option<&Path>, command: &str) -> Result<Option<Secret>, Failure> {
    let (secret, whence) = if stdin {
        let secret = Secret::read_line(&mut RawStdin)
            .map_err(|error| Failure::io("read the password from standard input", &error))?;
        (secret, "standard input".to_owned())
    } else if let Some(path) = file {
        (from_file(path)?, path.display().to_string())
    } else if let Some(line) = std::env::var_os(command).filter(|line| !line.is_empty()) {
        (from_command(command, &line)?, command.to_owned())
    } else {
        return Ok(None);
    };
    if secret.is_empty() {
        return Err(Failure::usage(format!(
            "The password from {whence} is empty; its first line must hold it."
        )));
    }
    Ok(Some(secret))
}

/// Standard input without the library's buffer, which would keep the next line for itself, unwiped.
struct RawStdin;
impl io::Read for RawStdin {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(rustix::stdio::stdin(), out)?)
    }
}

fn from_file(path: &Path) -> Result<Secret, Failure> {
    let what = || format!("read the password file {}", path.display());
    let mut file = File::open(path).map_err(|error| Failure::io(what(), &error))?;
    let meta = file.metadata().map_err(|error| Failure::io(what(), &error))?;
    if meta.is_file() && meta.permissions().mode() & 0o077 != 0 {
        ui::remark(&format!(
            "coffer: Others on this machine may read {}; close it with “chmod 600”.",
            path.display()
        ));
    }
    Secret::read_line(&mut file).map_err(|error| Failure::io(what(), &error))
}

fn from_command(name: &str, line: &std::ffi::OsStr) -> Result<Secret, Failure> {
    let failed = |error: &io::Error| Failure::io(format_args!("run the command in {name}"), error);
    let mut child = Command::new("/bin/sh")
        .arg("-c")
        .arg(line)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(&error))?;
    let mut out = child.stdout.take().expect("standard output was piped above");
    let secret = Secret::read_line(&mut out);
    // What follows the first line is drained, so that the command can end.
    let drained = io::copy(&mut out, &mut io::sink());
    let status = child.wait().map_err(|error| failed(&error))?;
    if !status.success() {
        return Err(Failure::failed(format!(
            "The command in {name} failed ({status}), so there is no password."
        )));
    }
    drained.map_err(|error| failed(&error))?;
    secret.map_err(|error| failed(&error))
}

/// Asks at the terminal, without showing what is typed.
///
/// # Errors
/// `Question` when nobody can be asked.
pub(crate) fn typed(prompt: &str) -> Result<Secret, Failure> {
    if Person::here().is_none() {
        return Err(Failure::new(
            Kind::Question,
            "There is no terminal to ask for the password on; give it with --password-stdin, --password-file or COFFER_PASSWORD_COMMAND.",
        ));
    }
    match uninterrupted(|| rpassword::prompt_password(format!("{prompt} "))) {
        Ok(line) => Ok(Secret::new(line.into_bytes())),
        Err(error) => Err(Failure::io("read the password from the terminal", &error)),
    }
}

/// Holds SIGINT back until `ask` has ended, which at Ctrl-C raises it before it gives the terminal
/// its echo back: the shell would be left typing blindly.
fn uninterrupted<T>(ask: impl FnOnce() -> T) -> T {
    let mut before = MaybeUninit::<libc::sigset_t>::zeroed();
    let mut interrupt = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: the sets are ours, and written before they are read; with arguments that are valid
    // none of these calls fails.
    unsafe {
        libc::sigemptyset(interrupt.as_mut_ptr());
        libc::sigaddset(interrupt.as_mut_ptr(), libc::SIGINT);
        libc::pthread_sigmask(libc::SIG_BLOCK, interrupt.as_ptr(), before.as_mut_ptr());
    }
    let answer = ask();
    // SAFETY: as above. One that was held back arrives here, and ends us as it should.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut()) };
    answer
}

fn chosen(given: Option<Secret>) -> Result<Secret, Failure> {
    if let Some(password) = given {
        if let Some(advice) = weakness(&password) {
            ui::remark(&format!("coffer: This password is weak. {advice}"));
        }
        return Ok(password);
    }
    loop {
        let mut first = typed("New password (leave empty for a suggestion):")?;
        let Some(mut person) = Person::here() else {
            continue;
        };
        if first.is_empty() {
            first = suggestion();
            person.say(&format!(
                "\n    {}\n\n{WORDS} random words, 66 bits: good for a lifetime. Write it down now, then type it to keep it.",
                &*first.to_text()
            ));
        } else if let Some(advice) = weakness(&first) {
            person.say(&format!("This password is weak. {advice}"));
            if !person.agrees("Use it all the same?", false) {
                continue;
            }
        }
        if typed("Again:")?.expose() == first.expose() {
            return Ok(first);
        }
        person.say("The two differ; once more.");
    }
}

/// What is wrong with a password, if it is weak: under 10^8 guesses by zxcvbn's estimate.
pub(crate) fn weakness(password: &Secret) -> Option<String> {
    let text = password.to_text();
    let estimate = zxcvbn::zxcvbn(&text, &["coffer", "vault"]);
    if estimate.score() >= zxcvbn::Score::Three {
        return None;
    }
    // Below 10^8 where the score is less than three, so this neither overflows nor loses anything.
    let guesses = 10f64.powf(estimate.guesses_log10().max(0.0).ceil()) as u64;
    let mut advice = format!("It falls to fewer than {} guesses.", units::count(guesses));
    if let Some(feedback) = estimate.feedback() {
        if let Some(warning) = feedback.warning() {
            advice.push_str(&format!(" {warning}"));
        }
        for suggestion in feedback.suggestions() {
            advice.push_str(&format!(" {suggestion}"));
        }
    }
    Some(advice)
}

/// A passphrase of six random words of BIP-39's English list, whose 2,048 words differ in their
/// first four letters: 66 bits.
pub(crate) fn suggestion() -> Secret {
    let list = bip39::Language::English.word_list();
    let mut text = Vec::with_capacity(WORDS * 9);
    for i in 0..WORDS {
        let mut draw = [0; 2];
        getrandom::fill(&mut draw).expect("the system gives random bytes");
        // 2,048 divides 65,536: every word is equally likely.
        let word = list[usize::from(u16::from_le_bytes(draw)) % list.len()];
        if i > 0 {
            text.push(b' ');
        }
        text.extend_from_slice(word.as_bytes());
    }
    Secret::new(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards that what we suggest is what we say: six words, strong, and never twice the same.
    #[test]
    fn suggestions_are_strong() {
        let (one, two) = (suggestion(), suggestion());
        assert_eq!(one.to_text().split(' ').count(), WORDS);
        assert!(weakness(&one).is_none());
        assert!(one.expose() != two.expose());
    }

    /// Guards that the warning comes for weak passwords and stays away from strong ones.
    #[test]
    fn weak_passwords_are_named() {
        for weak in ["password", "coffer", "abc123", "", "qwertyuiop"] {
            assert!(
                weakness(&Secret::new(weak.as_bytes().to_vec())).is_some(),
                "{weak}"
            );
        }
        assert!(weakness(&Secret::new(b"tR4-unlikely-Zx9%mountains".to_vec())).is_none());
    }

    /// Guards the command: its first line counts, its failure is an error, and it may say more than a pipe holds.
    #[test]
    fn commands_give_their_first_line() {
        let run = |line: &str| from_command("X", line.as_ref());
        assert_eq!(run("printf 'one\\ntwo\\n'").unwrap().expose(), b"one");
        assert_eq!(
            run("echo one; head -c 300000 /dev/zero").unwrap().expose(),
            b"one"
        );
        assert!(run("echo one; exit 3").is_err());
    }

    /// Guards files: the first line, and a clear error that names the file.
    #[test]
    fn files_give_their_first_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p");
        std::fs::write(&path, "one\ntwo").unwrap();
        assert_eq!(given(false, Some(&path), "X").unwrap().unwrap().expose(), b"one");
        std::fs::write(&path, "\n").unwrap();
        let Err(failure) = given(false, Some(&path), "X") else {
            panic!("an empty password was taken")
        };
        assert_eq!(failure.kind, Kind::Usage);
        assert!(given(false, Some(&dir.path().join("none")), "X").is_err());
    }
}
