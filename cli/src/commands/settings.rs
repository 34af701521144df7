//! `coffer settings`.

use super::{Reached, reach, understood, unlock, within};
use crate::answers::Setting;
use crate::args::Settings;
use crate::failure::Failure;
use crate::settings;
use crate::ui::{Ui, table};
use crate::wire::Op;
use std::path::Path;

/// Shows all settings or one, or changes one.
///
/// # Errors
/// `Usage` for an unknown setting or a value that makes no sense.
pub(super) fn settings(ui: &Ui, vault: &Path, args: &Settings) -> Result<(), Failure> {
    if let (Some(key), Some(value)) = (&args.key, &args.value) {
        // Before anybody types a password.
        settings::check(key, value)?;
        match reach(vault)? {
            Reached::Daemon(found) => {
                let op = Op::Set {
                    key: key.clone(),
                    value: value.clone(),
                };
                found.ask(op, &[], &mut |_| {}).map(drop)?;
            }
            Reached::Sealed(sealed) => {
                let (open, _) = unlock(sealed, vault, &args.password)?;
                within(open, |open| open.set(key, value))?;
            }
        }
        let setting = Setting {
            key: key.clone(),
            value: value.clone(),
        };
        ui.answer(&setting, || format!("{key} is {value} now."));
        return Ok(());
    }
    let mut known: Vec<Setting> = match reach(vault)? {
        Reached::Daemon(found) => understood(found.ask(Op::Settings, &[], &mut |_| {})?.0)?,
        Reached::Sealed(sealed) => {
            let (open, _) = unlock(sealed, vault, &args.password)?;
            within(open, |open| open.settings())?
        }
    };
    for (key, default) in [(settings::IDLE, "never"), (settings::SUSPEND, "unless-busy")] {
        if !known.iter().any(|setting| setting.key == key) {
            known.push(Setting {
                key: key.into(),
                value: default.into(),
            });
        }
    }
    known.sort_by(|a, b| a.key.cmp(&b.key));
    if let Some(key) = &args.key {
        let Some(setting) = known.iter().find(|setting| setting.key == *key) else {
            return Err(Failure::usage(format!(
                "There is no setting “{key}”; “coffer settings” lists them."
            )));
        };
        ui.answer(setting, || setting.value.clone());
    } else {
        ui.answer(&known, || {
            let rows: Vec<[String; 2]> = known
                .iter()
                .map(|setting| [setting.key.clone(), setting.value.clone()])
                .collect();
            table(&rows)
        });
    }
    Ok(())
}
