//! `coffer settings`.

use super::{Reached, reach};
use crate::args;
use crate::failure::Failure;
use crate::paths;
use crate::settings::{self, Settings};
use crate::ui::{Ui, table};
use crate::wire::Op;
use std::path::Path;

/// Shows all settings or one, or changes one; a daemon obeys at once.
///
/// # Errors
/// `Usage` for an unknown setting or a value that makes no sense.
pub(super) fn settings(ui: &Ui, vault: &Path, args: &args::Settings) -> Result<(), Failure> {
    let (id, daemon) = match reach(vault)? {
        Reached::Daemon(found) => (found.card.vault_id.clone(), Some(found)),
        Reached::Sealed(sealed) => (paths::hex(&sealed.facts().id), None),
    };
    let mut settings = Settings::load(&id)?;
    match (&args.key, &args.value) {
        (Some(key), Some(value)) => {
            settings.set(key, value)?;
            if let Some(found) = daemon {
                found.ask(Op::Reload, &[], &mut |_| {})?;
            }
            ui.answer(&serde_json::json!({ key: value }), || {
                format!("{key} is {value} now.")
            });
        }
        (Some(key), None) => {
            let value = settings.all().get(key).ok_or_else(|| settings::unknown(key))?;
            ui.answer(&serde_json::json!({ key: value }), || value.clone());
        }
        _ => ui.answer(settings.all(), || {
            let rows: Vec<[String; 2]> = settings
                .all()
                .iter()
                .map(|(key, value)| [key.clone(), value.clone()])
                .collect();
            table(&rows)
        }),
    }
    Ok(())
}
