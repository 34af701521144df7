//! `coffer status`.

use super::sync::kept;
use super::{Reached, reach, understood};
use crate::answers::{Contents, Local, Mounted, Status};
use crate::client::{self, Found};
use crate::engine;
use crate::failure::Failure;
use crate::paths;
use crate::shown::Shown;
use crate::ui::{Ui, note, table};
use crate::units::{counted, size, span};
use crate::wire::{Op, WirePath};
use std::path::Path;
use std::time::Duration;

/// Shows one vault. A locked one shows what stands readable at its head; no password is asked.
///
/// # Errors
/// `NoVault`, `InUse`, `Damaged`.
pub(super) fn status(ui: &Ui, vault: &Path) -> Result<(), Failure> {
    let status = match reach(vault)? {
        Reached::Daemon(found) => ask(&found)?,
        Reached::Sealed(sealed) => {
            let facts = sealed.facts();
            Status {
                vault: WirePath(vault.to_owned()),
                vault_id: paths::hex(&facts.id),
                state: "locked".into(),
                kdf: Some(facts.kdf),
                recovery: Some(facts.recovery),
                mount: None,
                dead_mounts: engine::dead_mounts(vault).into_iter().map(WirePath).collect(),
                contents: None,
                network: Vec::new(),
            }
        }
    };
    ui.answer(&status, || shown(&status));
    Ok(())
}

/// Shows every open vault.
///
/// # Errors
/// None of its own: a daemon that does not answer is noted, and the others are shown.
pub(super) fn all(ui: &Ui) -> Result<(), Failure> {
    let mut open = Vec::new();
    for found in client::daemons(true) {
        let status = match found.if_living() {
            Ok(None) => continue,
            Ok(Some(found)) => ask(&found),
            Err(silent) => Err(silent),
        };
        match status {
            Ok(status) => open.push(status),
            Err(failure) => note(&format!(
                "coffer: {}: {}",
                found.card.vault.0.shown(),
                failure.message
            )),
        }
    }
    ui.answer(&serde_json::json!({ "open": open }), || match open.is_empty() {
        true => "No vault is open.".to_owned(),
        false => open.iter().map(shown).collect::<Vec<_>>().join("\n"),
    });
    Ok(())
}

fn ask(found: &Found) -> Result<Status, Failure> {
    understood(found.ask(Op::Status, &[], &mut |_| {})?.0)
}

fn shown(status: &Status) -> String {
    let mut rows = vec![["Vault".to_owned(), paths::tilde(&status.vault.0)]];
    let mut row = |name: &str, text: String| rows.push([name.to_owned(), text]);
    match &status.mount {
        Some(mount) => row("Open at", mounted(mount)),
        None => row("State", "locked; “coffer mount FOLDER” opens it".into()),
    }
    for dead in &status.dead_mounts {
        row(
            "Dead mount",
            format!(
                "{}, left by a daemon that was killed; “coffer lock” takes it away",
                paths::tilde(&dead.0)
            ),
        );
    }
    if let Some(contents) = &status.contents {
        content_rows(contents, &mut row);
    }
    for said in &status.network {
        row("Devices", said.clone());
    }
    if let Some(kdf) = status.kdf {
        let memory = size(u64::from(kdf.memory_kib) << 10);
        row(
            "Password",
            format!(
                "Argon2id, {memory}, {}",
                counted(u64::from(kdf.passes), "pass", "passes")
            ),
        );
    }
    if let Some(recovery) = status.recovery {
        row(
            "Recovery",
            if recovery {
                "by phrase".into()
            } else {
                "none; “coffer recover --new” makes a phrase".to_owned()
            },
        );
    }
    table(&rows)
}

fn mounted(mount: &Mounted) -> String {
    let mut text = format!(
        "{}, for {}",
        paths::tilde(&mount.mountpoint.0),
        span(Duration::from_secs(mount.mounted_seconds))
    );
    if let Some(after) = mount.locks_after_seconds {
        text.push_str(&format!(
            ", locks after {} without use",
            span(Duration::from_secs(after))
        ));
    }
    text
}

/// The first of them, and how many more.
fn named(files: &[&Local]) -> String {
    const SHOWN: usize = 3;
    let first: Vec<String> = files.iter().take(SHOWN).map(|file| file.path.0.shown()).collect();
    let text = first.join(", ");
    match files.len().saturating_sub(SHOWN) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

fn newer(name: &str) -> String {
    format!("“{name}” uses a newer Coffer and says what this one cannot read; update Coffer on this device")
}

/// What other devices say, and this program does not read.
fn unread_rows(contents: &Contents, row: &mut dyn FnMut(&str, String)) {
    let counted = |count| counted(count, "change", "changes");
    if contents.waits_for_update > 0 {
        row(
            "Unread",
            format!(
                "{} of another device, which this program cannot read yet: update coffer on this device",
                counted(contents.waits_for_update)
            ),
        );
    }
    if contents.set_aside > 0 {
        row(
            "Set aside",
            format!(
                "{} of another device, which this program can make nothing of; a newer one tries again what is of files: update coffer",
                counted(contents.set_aside)
            ),
        );
    }
}

fn content_rows(contents: &Contents, row: &mut dyn FnMut(&str, String)) {
    if !contents.device.is_empty() {
        row("Device", contents.device.clone());
    }
    row(
        "Holds",
        format!(
            "{} in {}",
            counted(contents.files, "file", "files"),
            counted(contents.folders, "folder", "folders")
        ),
    );
    row(
        "Stored",
        format!(
            "{} in packs, {} in the database",
            size(contents.stored_bytes),
            size(contents.database_bytes)
        ),
    );
    row(
        "Saved",
        format!(
            "{} since it was opened, by storing nothing twice",
            size(contents.saved_bytes)
        ),
    );
    row(
        "Pending",
        match contents.pending_seconds {
            None => "nothing; all is durable".to_owned(),
            Some(seconds) if contents.pending_bytes == 0 => {
                format!("names and times, not yet durable, for {seconds:.1} s")
            }
            Some(seconds) => {
                format!(
                    "{} not yet durable, for {seconds:.1} s",
                    size(contents.pending_bytes)
                )
            }
        },
    );
    let here: Vec<&Local> = contents
        .local
        .iter()
        .filter(|local| local.why == "editor")
        .collect();
    if !here.is_empty() {
        row(
            "Stays here",
            format!(
                "{}: what editors keep beside what they edit, until it rests",
                named(&here)
            ),
        );
    }
    let special: Vec<&Local> = contents
        .local
        .iter()
        .filter(|local| local.why == "special")
        .collect();
    if !special.is_empty() {
        row(
            "Stays here",
            format!(
                "{}: special files mean something on one machine only",
                named(&special)
            ),
        );
    }
    if contents.relied_on {
        row(
            "Relied on",
            "other devices gave up bytes that this one keeps: when its disk is full it refuses to write, and lets go of no history early"
                .to_owned(),
        );
    }
    if contents.let_go_early > 0 {
        let count = counted(
            contents.let_go_early,
            "version or removed file",
            "versions and removed files",
        );
        row(
            "Let go",
            format!("{count} before their time, because the disk was full"),
        );
    }
    unread_rows(contents, row);
    for (name, text) in kept(&contents.keeping)
        .into_iter()
        .filter(|_| contents.keeping.kept.is_some())
    {
        row(name, text);
    }
    for failed in &contents.keeping.unreached {
        row(
            "Not reached",
            format!("{}: {}", failed.path.0.shown(), failed.why),
        );
    }
    for aside in &contents.asides {
        row("Kept aside", format!("{}, {}", aside.name, size(aside.bytes)));
    }
    if !contents.asides.is_empty() {
        row("", engine::ASIDE_ADVICE.into());
    }
    if let Some(update) = &contents.update {
        row("Update", update.clone());
    }
    for name in &contents.newer {
        row("Update", newer(name));
    }
    for damage in &contents.damage {
        row("Damaged", damage.clone());
    }
    if !contents.damage.is_empty() {
        row("", "“coffer check” tells more".into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards that what is not read is counted, in a sentence that says what to do; and that nothing is said where all is.
    #[test]
    fn what_is_not_read_is_counted() {
        let shown = |waits_for_update, set_aside| {
            let contents = Contents {
                waits_for_update,
                set_aside,
                ..Contents::default()
            };
            let mut rows = Vec::new();
            unread_rows(&contents, &mut |name, text| rows.push(format!("{name}: {text}")));
            rows
        };
        assert!(shown(0, 0).is_empty());
        assert_eq!(
            shown(1, 2),
            [
                "Unread: 1 change of another device, which this program cannot read yet: update coffer on this device",
                "Set aside: 2 changes of another device, which this program can make nothing of; a newer one tries again what is of files: update coffer",
            ]
        );
    }
}
