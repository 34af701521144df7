//! What the commands about the past share: which vault a path lies in, how it is reached, how a
//! version is named.
//!
//! Guarantees that a path which lies in a mounted vault means that file, from whatever folder it
//! is named; and that a vault which nobody holds is opened in place, for as long as the command
//! takes.

use super::{Reached, reach, transfer::open_to_write, understood, unlock};
use crate::args::PasswordArgs;
use crate::client::{self, Found};
use crate::engine::{self, Vault};
use crate::failure::{Failure, Kind};
use crate::instance::Markers;
use crate::paths;
use crate::shown::{Shown, quoted};
use crate::ui::Person;
use crate::when;
use crate::wire::history::{MAX_BYTES, MergePart, Moment, Named, Past, Whose};
use crate::wire::{Op, WirePath};
use jiff::Zoned;
use serde::de::DeserializeOwned;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// A file, as it was named on the command line.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The vault that it lies in.
    pub(super) vault: PathBuf,
    /// Its path from the vault's root.
    pub(super) path: PathBuf,
    /// The vault, if a command that is shown must name it.
    named: Option<PathBuf>,
    /// As it was typed.
    typed: PathBuf,
}

/// What a path stands for: a file in a mounted vault, or in `vault`, from its root.
///
/// # Errors
/// `Usage` for a path that exists, but in no vault.
pub(super) fn locate(vault: Option<&Path>, typed: &Path) -> Result<Place, Failure> {
    let chosen = match vault {
        Some(vault) => Some(paths::absolute(vault)?),
        None => None,
    };
    let place = |vault, path: &Path, named| Place {
        vault,
        path: path.to_owned(),
        named,
        typed: typed.to_owned(),
    };
    let real = whereabouts(typed)?;
    let held_by = client::daemons(false)
        .into_iter()
        .filter(|found| real.starts_with(&found.card.mountpoint.0))
        .max_by_key(|found| found.card.mountpoint.0.as_os_str().len());
    if let Some(found) = held_by {
        let serves =
            |vault: &Path| client::of_vault(vault).is_some_and(|other| other.card.pid == found.card.pid);
        // A path in the mount of another vault than the environment's usual one says which it means.
        if chosen
            .as_deref()
            .is_none_or(|vault| is_usual(vault) || serves(vault))
        {
            let inside = real.strip_prefix(&found.card.mountpoint.0).unwrap_or(&real);
            return Ok(place(found.card.vault.0.clone(), inside, None));
        }
    }
    if chosen.is_none() && std::fs::symlink_metadata(typed).is_ok() {
        return Err(Failure::usage(format!(
            "{} does not lie in a mounted vault; name a file in one, or the vault with --vault and the path from its root.",
            typed.shown()
        )));
    }
    // The environment says it for the next command, too.
    let named = chosen.clone().filter(|vault| !is_usual(vault));
    let vault = match chosen {
        Some(vault) => vault,
        None => paths::default_vault()?,
    };
    Ok(place(vault, typed, named))
}

/// Whether this is the vault that the environment names, for all commands alike.
fn is_usual(vault: &Path) -> bool {
    let usual = std::env::var_os("COFFER_VAULT").map(PathBuf::from);
    usual.is_some_and(|usual| paths::absolute(&usual).is_ok_and(|usual| usual == vault))
}

/// The vault that is named, else the mounted one that this is done in, else the default.
///
/// # Errors
/// When the current folder is gone.
pub(super) fn here(vault: Option<&Path>) -> Result<PathBuf, Failure> {
    match vault {
        Some(vault) => paths::absolute(vault),
        None => match locate(None, Path::new(".")) {
            Ok(place) => Ok(place.vault),
            Err(_) => paths::default_vault(),
        },
    }
}

/// The folder of a vault that this is done in, from its root; the root, where it is done outside its mount.
pub(super) fn inside(vault: &Path) -> PathBuf {
    let place = locate(Some(vault), Path::new("."));
    let path = place.map(|place| place.path).unwrap_or_default();
    path.components()
        .filter(|part| *part != Component::CurDir)
        .collect()
}

/// An absolute form of a path whose end may not exist; its last part is never followed.
fn whereabouts(path: &Path) -> Result<PathBuf, Failure> {
    let absolute = std::path::absolute(path)
        .map_err(|error| Failure::io(format_args!("find {}", path.shown()), &error))?;
    let Some(above) = absolute.parent() else {
        return Ok(absolute);
    };
    let found = above.ancestors().find_map(|dir| {
        let real = std::fs::canonicalize(dir).ok()?;
        Some(real.join(absolute.strip_prefix(dir).ok()?))
    });
    Ok(found.unwrap_or(absolute))
}

impl Place {
    /// As the vault is asked for it; `removed`: for what was removed there.
    pub(super) fn named(&self, removed: bool) -> Named {
        let split = split(&self.path, &Zoned::now());
        Named {
            whole: WirePath(self.path.clone()),
            split: split.map(|(path, moment)| (WirePath(path), moment)),
            removed,
        }
    }

    /// The same file at another version, as the end of a command that can be typed.
    pub(super) fn at(&self, number: u64) -> String {
        let base = split(&self.typed, &Zoned::now()).map_or_else(|| self.typed.clone(), |(path, _)| path);
        let mut text = base.into_os_string();
        text.push(format!("@{number}"));
        self.argument(Path::new(&text))
    }

    /// A path as the end of a command that can be typed.
    pub(super) fn argument(&self, path: &Path) -> String {
        match &self.named {
            Some(vault) => format!("--vault {} {}", quoted(vault), quoted(path)),
            None => quoted(path),
        }
    }

    /// As it was typed.
    pub(super) fn typed(&self) -> &Path {
        &self.typed
    }
}

/// A path, and the version that it ends with.
fn split(path: &Path, now: &Zoned) -> Option<(PathBuf, Moment)> {
    let bytes = path.as_os_str().as_bytes();
    let at = bytes.iter().rposition(|byte| *byte == b'@')?;
    let text = std::str::from_utf8(&bytes[at + 1..]).ok()?;
    let moment = when::moment(text, now)?;
    let base = &bytes[..at];
    (!base.is_empty() && !base.ends_with(b"/")).then(|| (PathBuf::from(OsStr::from_bytes(base)), moment))
}

/// What is done with the vault.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum To {
    Read,
    Write,
}

/// A vault that answers.
pub(super) enum Answering {
    /// Its daemon.
    Daemon(Found),
    /// We opened it.
    Open(Vault),
}

impl Answering {
    /// Asks.
    ///
    /// # Errors
    /// The vault's.
    pub(super) fn ask<T: DeserializeOwned>(&self, asked: Past) -> Result<T, Failure> {
        understood(match self {
            Answering::Daemon(found) => found.ask(Op::Past(asked), &[], &mut |_| {})?.0,
            Answering::Open(vault) => engine::past(vault, None, &asked)?.0,
        })
    }

    /// Bytes of a version from an offset; fewer than a step only at its end.
    ///
    /// # Errors
    /// The vault's.
    pub(super) fn bytes(&self, of: &Whose, number: Option<u64>, offset: u64) -> Result<Vec<u8>, Failure> {
        let asked = Past::Read {
            of: of.clone(),
            number,
            offset,
            len: MAX_BYTES,
        };
        let bytes = match self {
            Answering::Daemon(found) => found.ask(Op::Past(asked), &[], &mut |_| {})?.1.pop(),
            Answering::Open(vault) => engine::past(vault, None, &asked)?.1,
        };
        Ok(bytes.map(|bytes| bytes.expose().to_vec()).unwrap_or_default())
    }
}

impl Answering {
    /// One of a merge's texts.
    ///
    /// # Errors
    /// The vault's.
    pub(super) fn merge_text(
        &self,
        of: &Whose,
        sides: &[String],
        part: MergePart,
    ) -> Result<String, Failure> {
        let asked = Past::MergeText {
            of: of.clone(),
            sides: sides.to_owned(),
            part,
        };
        let text = match self {
            Answering::Daemon(found) => found.ask(Op::Past(asked), &[], &mut |_| {})?.1.pop(),
            Answering::Open(vault) => engine::past(vault, None, &asked)?.1,
        };
        Ok(text.map_or_else(String::new, |text| text.to_text().to_string()))
    }
}

/// Does something with a vault: by its daemon, or opened for it.
///
/// # Errors
/// The vault's, or what is done with it.
pub(super) fn with<T>(
    vault: &Path,
    password: &PasswordArgs,
    to: To,
    work: impl FnOnce(&Answering) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let open = match (reach(vault)?, to) {
        (Reached::Daemon(found), _) => return work(&Answering::Daemon(found)),
        (Reached::Sealed(sealed), To::Read) => unlock(sealed, vault, password)?.0,
        (Reached::Sealed(sealed), To::Write) => open_to_write(vault, sealed, password)?,
    };
    let done = work(&Answering::Open(open.clone()));
    let closed = open.close();
    if to == To::Write {
        // How far it is now: else a restore of an earlier time today is not noticed.
        Markers::load(&open.facts().id)?.remember(vault, &open)?;
    }
    let done = done?;
    closed.map(|()| done)
}

/// Asks a person before something is destroyed.
///
/// # Errors
/// `Question` if there is nobody to ask; `Failed` if the answer is no.
pub(super) fn agreed(yes: bool, question: &str) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    let Some(mut person) = Person::here() else {
        return Err(Failure::new(
            Kind::Question,
            format!("{question} There is no terminal to ask on: say --yes."),
        ));
    };
    match person.agrees(question, false) {
        true => Ok(()),
        false => Err(Failure::failed("Nothing was destroyed.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards which names end with a version.
    #[test]
    fn paths_are_split() {
        let now = Zoned::now();
        let base = |path: &str| split(Path::new(path), &now).map(|(base, _)| base.display().to_string());
        assert_eq!(base("a@b/c.md@3").as_deref(), Some("a@b/c.md"));
        assert_eq!(base("c.md@2h").as_deref(), Some("c.md"));
        for none in [
            "c.md",
            "me@example.org",
            "a@3/c.md",
            "@3",
            "dir/@3",
            "photo@2x.png",
            "c@",
        ] {
            assert_eq!(base(none), None, "{none}");
        }
    }
}
