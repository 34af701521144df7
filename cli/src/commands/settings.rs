//! `coffer settings`: those of this device, which lie outside the vault, and those of the vault, which
//! lie in it and need it open.

use super::past::{To, with};
use super::{Reached, outside, reach};
use crate::args;
use crate::client::Found;
use crate::engine;
use crate::failure::Failure;
use crate::paths;
use crate::settings::{self, Settings};
use crate::ui::{self, Ui, table};
use crate::wire::Op;
use crate::wire::history::{Past, Retention, TextNames};
use std::collections::BTreeMap;
use std::path::Path;

/// Settings of the vault, in days.
const RETENTION: [&str; 3] = ["retention-all", "retention-daily", "retention-removed"];
/// Another: which names are texts.
const TEXTS: &str = "texts";
/// The value that has the program's own list count.
const DEFAULT: &str = "default";
/// The longest time that can be set, in days: a hundred years.
const DAYS_MAX: u32 = 36_500;

/// Shows all settings or one, or changes one; a daemon obeys at once.
///
/// # Errors
/// `Usage` for an unknown setting or a value that makes no sense.
pub(super) fn settings(ui: &Ui, vault: &Path, args: &args::Settings) -> Result<(), Failure> {
    if let Some(key) = args.key.as_deref().filter(|key| RETENTION.contains(key)) {
        return retention(ui, vault, key, args);
    }
    if args.key.as_deref() == Some(TEXTS) {
        return texts(ui, vault, args);
    }
    let (id, daemon) = match reach(vault)? {
        Reached::Daemon(found) => (found.card.vault_id.clone(), Some(found)),
        Reached::Sealed(sealed) => (paths::hex(&sealed.facts().id), None),
    };
    let mut settings = Settings::load(&id)?;
    match (&args.key, &args.value) {
        (Some(key), Some(value)) => {
            if key.starts_with("sync") {
                let new = settings.clone().with(key, value.clone());
                engine::check_network(&new)?;
                for dir in new.folders().iter().filter(|dir| dir.is_absolute()) {
                    outside(dir, vault)?;
                }
            }
            settings.set(key, value)?;
            if let Some(found) = daemon {
                found.ask(Op::Reload, &[], &mut |_| {})?;
            }
            said(ui, key, value, true);
        }
        (Some(key), None) => {
            let value = settings.all().get(key).ok_or_else(|| settings::unknown(key))?;
            said(ui, key, value, false);
        }
        _ => all(ui, &settings, daemon.as_ref())?,
    }
    Ok(())
}

/// All of this device, and those of the vault if it is open.
fn all(ui: &Ui, settings: &Settings, daemon: Option<&Found>) -> Result<(), Failure> {
    let mut all: BTreeMap<String, String> = settings.all().clone();
    if let Some(found) = daemon {
        let asked = Op::Past(Past::Retention { set: None });
        let mut kept: Retention = super::understood(found.ask(asked, &[], &mut |_| {})?.0)?;
        for key in RETENTION {
            all.insert(key.to_owned(), days(&mut kept, key).to_string());
        }
    }
    let mut own_list = false;
    if let Some(found) = daemon {
        let asked = Op::Past(Past::Texts { set: None });
        let names: TextNames = super::understood(found.ask(asked, &[], &mut |_| {})?.0)?;
        all.insert(TEXTS.to_owned(), names.list);
        own_list = names.default;
    }
    ui.answer(&all, || {
        let shown = |key: &String, value: &String| match key == TEXTS && own_list {
            true => format!("{DEFAULT} (“coffer settings {TEXTS}” shows them)"),
            false => value.clone(),
        };
        let rows: Vec<[String; 2]> = all
            .iter()
            .map(|(key, value)| [key.clone(), shown(key, value)])
            .collect();
        table(&rows)
    });
    if daemon.is_none() {
        ui::remark("(retention-… and texts are settings of the vault, and are listed while it is open.)");
    }
    Ok(())
}

/// The days that a setting of the vault stands for.
fn days<'a>(kept: &'a mut Retention, key: &str) -> &'a mut u32 {
    match key {
        "retention-all" => &mut kept.all_days,
        "retention-daily" => &mut kept.daily_days,
        _ => &mut kept.removed_days,
    }
}

fn retention(ui: &Ui, vault: &Path, key: &str, args: &args::Settings) -> Result<(), Failure> {
    let value = match &args.value {
        Some(value) => Some(parsed(key, value)?),
        None => None,
    };
    let to = if value.is_some() { To::Write } else { To::Read };
    let mut kept = with(vault, &args.password, to, |vault| {
        let mut kept: Retention = vault.ask(Past::Retention { set: None })?;
        let Some(value) = value else { return Ok(kept) };
        *days(&mut kept, key) = value;
        vault.ask(Past::Retention { set: Some(kept) })
    })?;
    said(ui, key, &days(&mut kept, key).to_string(), value.is_some());
    Ok(())
}

/// Shows which names are texts, or changes that.
fn texts(ui: &Ui, vault: &Path, args: &args::Settings) -> Result<(), Failure> {
    let set = match args.value.as_deref() {
        None => None,
        Some(DEFAULT) => Some(TextNames {
            list: String::new(),
            default: true,
        }),
        Some(list) => {
            engine::check_text_names(list)?;
            Some(TextNames {
                list: list.to_owned(),
                default: false,
            })
        }
    };
    let (to, now) = if set.is_some() {
        (To::Write, true)
    } else {
        (To::Read, false)
    };
    let names: TextNames = with(vault, &args.password, to, |vault| vault.ask(Past::Texts { set }))?;
    ui.answer(&serde_json::json!({ TEXTS: names.list }), || {
        match (now, names.default) {
            (true, true) => format!("{TEXTS} is the default now: {}", names.list),
            (true, false) if names.list.is_empty() => format!("{TEXTS} is empty now: no file merges."),
            (true, false) => format!("{TEXTS} is {} now.", names.list),
            (false, _) => names.list.clone(),
        }
    });
    Ok(())
}

/// A number of days, with or without the “d”.
fn parsed(key: &str, value: &str) -> Result<u32, Failure> {
    let number = value.strip_suffix('d').unwrap_or(value);
    match number.parse() {
        Ok(days) if days <= DAYS_MAX && number.bytes().all(|byte| byte.is_ascii_digit()) => Ok(days),
        _ => Err(Failure::usage(format!(
            "“{value}” is no value of {key}; write a number of days, up to {DAYS_MAX}."
        ))),
    }
}

fn said(ui: &Ui, key: &str, value: &str, now: bool) {
    ui.answer(&serde_json::json!({ key: value }), || match now {
        true => format!("{key} is {value} now."),
        false => value.to_owned(),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards against a mistyped time that would let history go.
    #[test]
    fn days_are_read() {
        assert_eq!(parsed("k", "30").unwrap(), 30);
        assert_eq!(parsed("k", "90d").unwrap(), 90);
        assert_eq!(parsed("k", "0").unwrap(), 0);
        for bad in ["", "d", "+5", "-1", "1y", "3.5", "36501", "99999999999"] {
            assert!(parsed("k", bad).is_err(), "{bad}");
        }
    }
}
