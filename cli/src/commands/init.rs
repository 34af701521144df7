//! `coffer init`.

use super::recover;
use crate::args::Init;
use crate::engine::{self, Vault};
use crate::failure::Failure;
use crate::instance::Markers;
use crate::password;
use crate::paths;
use crate::ui::{Person, Ui, remark};
use crate::welcome;
use std::path::Path;

/// Makes a vault.
///
/// # Errors
/// When the folder is not empty, the parameters are out of bounds, or nobody gives a password.
pub(super) fn init(ui: &Ui, dir: &Path, args: &Init) -> Result<(), Failure> {
    // Before anybody thinks up a password.
    engine::check_empty(dir)?;
    let kdf = args.kdf.over(engine::DEFAULT_KDF).unwrap_or(engine::DEFAULT_KDF);
    engine::check_kdf(kdf)?;
    remark(&format!("Making a vault in {}.", paths::tilde(dir)));
    let password = password::new(&args.password)?;
    let from_person = !args.password.password_stdin && args.password.password_file.is_none();
    let recovery = args.recovery
        || (!args.no_recovery
            && from_person
            && !ui.json()
            && std::env::var_os("COFFER_PASSWORD_COMMAND").is_none()
            && Person::here().is_some_and(|mut person| {
                person.say(
                    "A forgotten password loses everything, unless you have a recovery phrase on paper.",
                );
                person.agrees("Make a recovery phrase?", true)
            }));
    let (vault, phrase) = Vault::create(dir, &password, kdf, recovery)?;
    drop(password);
    let id = vault.facts().id;
    super::within(vault.clone(), Vault::welcome)?;
    Markers::load(&id)?.remember(dir, &vault)?;
    let mut answer = serde_json::json!({
        "vault": crate::wire::WirePath(dir.to_owned()),
        "vault_id": paths::hex(&id),
        "folders": welcome::FOLDERS,
    });
    if let Some(phrase) = &phrase {
        answer["recovery_phrase"] = recover::words(phrase).collect();
    }
    ui.answer(&answer, || {
        let mut text = format!("The vault is ready: {}.\n", paths::tilde(dir));
        if let Some(phrase) = &phrase {
            text.push_str(&recover::sheet(phrase));
        }
        text.push_str("Open it with “coffer mount FOLDER”.");
        text
    });
    Ok(())
}
