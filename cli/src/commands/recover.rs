//! `coffer recover`: a recovery phrase, used or made.

use super::{Reached, reach, retrying, unlock, within};
use crate::args::Recover;
use crate::engine;
use crate::failure::{Failure, Kind};
use crate::password;
use crate::secret::Secret;
use crate::ui::{Person, Ui, table};
use crate::wire::Op;
use std::fs::File;
use std::path::Path;
use zeroize::Zeroizing;

/// Words of a phrase.
const WORDS: usize = 24;

/// Opens by phrase and sets a new password; or makes a new phrase.
///
/// # Errors
/// `WrongPassword` if phrase or password do not fit, `InUse` while the vault is open.
pub(super) fn recover(ui: &Ui, vault: &Path, args: &Recover) -> Result<(), Failure> {
    if args.new {
        return renew(ui, vault, args);
    }
    let Reached::Sealed(sealed) = reach(vault)? else {
        return Err(Failure::new(
            Kind::InUse,
            "The vault is open; lock it first with “coffer lock”, then recover.",
        ));
    };
    if !sealed.facts().recovery {
        return Err(Failure::new(
            Kind::NotOpen,
            "This vault has no recovery phrase; only its password opens it.",
        ));
    }
    let base = sealed.facts().kdf;
    let kdf = args.kdf.over(base).unwrap_or(base);
    engine::check_kdf(kdf)?;
    let phrase = match &args.phrase_file {
        Some(path) => phrase_in(path)?,
        None => typed_phrase()?,
    };
    // Before anybody thinks up a password.
    sealed.check_phrase(&phrase)?;
    let new = password::new(&args.password)?;
    within(sealed.recover(&phrase, &new, kdf)?, |_| Ok(()))?;
    ui.answer(&serde_json::json!({ "recovered": true }), || {
        "The vault opens with the new password now; the phrase stays valid.".to_owned()
    });
    Ok(())
}

fn renew(ui: &Ui, vault: &Path, args: &Recover) -> Result<(), Failure> {
    let phrase = match reach(vault)? {
        Reached::Daemon(found) => {
            let (mut secrets, _) = retrying(vault, &args.password, |current| {
                Ok(found.ask(Op::RecoverAdd, &[current.duplicate()], &mut |_| {})?.1)
            })?;
            secrets
                .pop()
                .ok_or_else(|| Failure::failed("The daemon made a phrase but did not send it; try again."))?
        }
        Reached::Sealed(sealed) => {
            let (open, current) = unlock(sealed, vault, &args.password)?;
            within(open, |open| open.add_recovery(&current))?
        }
    };
    let answer = serde_json::json!({ "recovery_phrase": words(&phrase).collect::<Vec<_>>() });
    ui.answer(&answer, || sheet(&phrase));
    Ok(())
}

/// The phrase that a file holds.
///
/// # Errors
/// The file's.
pub(super) fn phrase_in(path: &Path) -> Result<Secret, Failure> {
    File::open(path)
        .and_then(|mut file| Secret::read_all(&mut file))
        .map_err(|error| Failure::io(format_args!("read the phrase from {}", path.display()), &error))
}

/// A person types the phrase, over as many lines as they like.
fn typed_phrase() -> Result<Secret, Failure> {
    let Some(mut person) = Person::here() else {
        return Err(Failure::new(
            Kind::Question,
            "There is no terminal to ask for the phrase on; give it with --phrase-file.",
        ));
    };
    person.say("Type the recovery phrase: 24 words, numbers may stay. An empty line ends it.");
    let mut all = Zeroizing::new(String::with_capacity(4096));
    while all
        .split_whitespace()
        .filter(|word| word.chars().any(char::is_alphabetic))
        .count()
        < WORDS
    {
        let line = Zeroizing::new(person.ask(">"));
        if line.is_empty() || all.len() + line.len() + 1 > all.capacity() {
            break;
        }
        all.push_str(&line);
        all.push('\n');
    }
    Ok(Secret::new(all.as_bytes().to_vec()))
}

/// A phrase's words.
pub(super) fn words(phrase: &Secret) -> impl Iterator<Item = String> {
    phrase
        .to_text()
        .split_whitespace()
        .map(str::to_owned)
        .collect::<Vec<_>>()
        .into_iter()
}

/// A phrase to be printed or copied by hand: numbered, in four columns read downwards.
pub(super) fn sheet(phrase: &Secret) -> String {
    let words: Vec<String> = words(phrase).collect();
    let height = words.len().div_ceil(4);
    let cell = |row: usize, column: usize| {
        let i = column * height + row;
        words
            .get(i)
            .map(|word| format!("{:>2} {word}", i + 1))
            .unwrap_or_default()
    };
    let rows: Vec<[String; 5]> = (0..height)
        .map(|row| {
            [
                String::from("  "),
                cell(row, 0),
                cell(row, 1),
                cell(row, 2),
                cell(row, 3),
            ]
        })
        .collect();
    format!(
        "\nRecovery phrase. Write it down and keep it away from this machine; it is shown only now:\n\n{}\nWhoever has it can open the vault, whatever the password.\n\n",
        table(&rows)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards the sheet that people copy by hand: every word once, in order of its number.
    #[test]
    fn sheet_numbers_every_word() {
        let list: Vec<String> = (0..WORDS)
            .map(|i| format!("word{}", (b'a' + i as u8) as char))
            .collect();
        let phrase = Secret::new(list.join(" ").into_bytes());
        let sheet = sheet(&phrase);
        for (i, word) in list.iter().enumerate() {
            assert!(
                sheet.contains(&format!("{:>2} {word}", i + 1)),
                "{word} is missing"
            );
        }
    }
}
