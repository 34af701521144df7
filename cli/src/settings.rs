//! The settings that this program itself obeys. They are of this device and no secret, so they lie
//! outside the vault, in `$XDG_CONFIG_HOME/coffer/VAULT-ID.json`, and need no password.
//!
//! Guarantees that a value which makes no sense is refused, never ignored; and that a settings file
//! which cannot be read makes a vault lock more readily, not less.

use crate::failure::Failure;
use crate::paths;
use crate::units;
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

/// Lock after this time without use.
const IDLE: &str = "lock-idle";
/// What to do when the system suspends.
const SUSPEND: &str = "lock-suspend";
/// Settings of syncing, and what each is if nobody says otherwise.
const SYNC: [(&str, &str); 14] = [
    ("sync", "on"),
    ("sync-dht", "on"),
    ("sync-keep", "1GiB"),
    ("sync-lan-only", "off"),
    ("sync-limit-in", "none"),
    ("sync-limit-out", "none"),
    ("sync-listen", ""),
    ("sync-mdns", "on"),
    ("sync-metered", "off"),
    ("sync-peers", ""),
    ("sync-policy", "everything"),
    ("sync-relays", ""),
    ("sync-via", ""),
    ("sync-via-limit", "none"),
];

/// What to do when the system suspends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnSuspend {
    /// Stay open.
    Never,
    /// Lock if nobody uses the mount.
    UnlessBusy,
    /// Lock.
    Always,
}

/// One vault's settings on this device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    file: PathBuf,
    values: BTreeMap<String, String>,
}

impl Settings {
    /// Reads those of the vault with this id (in hex); defaults where nothing was set.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub(crate) fn load(vault_id: &str) -> Result<Settings, Failure> {
        Settings::load_from(paths::config_dir()?.join(format!("{vault_id}.json")))
    }

    fn load_from(file: PathBuf) -> Result<Settings, Failure> {
        let broken = || {
            Failure::failed(format!(
                "The settings in {} make no sense; mend or remove that file.",
                file.display()
            ))
        };
        let mut values = defaults();
        match fs::read(&file) {
            Ok(bytes) => {
                let set: BTreeMap<String, String> = serde_json::from_slice(&bytes).map_err(|_| broken())?;
                for (key, value) in set {
                    check(&key, &value).map_err(|_| broken())?;
                    values.insert(key, value);
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                return Err(Failure::io(
                    format_args!("read the settings in {}", file.display()),
                    &error,
                ));
            }
        }
        Ok(Settings { file, values })
    }

    /// Changes one and keeps it.
    ///
    /// # Errors
    /// `Usage` for what is no setting or no value of it; or when it cannot be written.
    pub(crate) fn set(&mut self, key: &str, value: &str) -> Result<(), Failure> {
        check(key, value)?;
        self.values.insert(key.to_owned(), value.to_owned());
        let text = serde_json::to_vec_pretty(&self.values).expect("settings are plain text");
        let part = self.file.with_extension("new");
        self.file
            .parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::write(&part, text))
            .and_then(|()| fs::rename(&part, &self.file))
            .map_err(|error| {
                Failure::io(
                    format_args!("write the settings in {}", self.file.display()),
                    &error,
                )
            })
    }

    /// All, by name.
    pub(crate) fn all(&self) -> &BTreeMap<String, String> {
        &self.values
    }

    /// The idle time in force.
    pub(crate) fn idle(&self) -> Option<Duration> {
        self.values
            .get(IDLE)
            .and_then(|value| units::parse_span(value).ok().flatten())
    }

    /// A value; empty for what is no setting.
    pub(crate) fn get(&self, key: &str) -> &str {
        self.values.get(key).map_or("", String::as_str)
    }

    /// Whether this device syncs.
    pub(crate) fn syncs(&self) -> bool {
        self.get("sync") == "on"
    }

    /// Whether this device keeps names and texts alone, and fetches other bytes when they are read.
    pub(crate) fn keeps_texts(&self) -> bool {
        self.get("sync-policy") == "texts"
    }

    /// Whether each byte costs.
    pub(crate) fn is_metered(&self) -> bool {
        self.get("sync-metered") == "on"
    }

    /// Bytes of other files that are kept beside, where names and texts are.
    pub(crate) fn keep_limit(&self) -> u64 {
        units::parse_size(self.get("sync-keep")).unwrap_or(1 << 30)
    }

    /// A rate in bytes a second, if there is a limit.
    pub(crate) fn rate(&self, key: &str) -> Option<u64> {
        parse_rate(self.get(key)).ok().flatten()
    }

    /// Folders through which devices exchange.
    pub(crate) fn folders(&self) -> Vec<PathBuf> {
        folders(self.get("sync-via")).collect()
    }

    /// Those that count if nothing was ever set: for a vault that is just being made.
    pub(crate) fn usual() -> Settings {
        Settings {
            file: PathBuf::new(),
            values: defaults(),
        }
    }

    /// The same with another value, which is not kept.
    #[must_use]
    pub(crate) fn with(mut self, key: &str, value: String) -> Settings {
        self.values.insert(key.to_owned(), value);
        self
    }

    /// What to do on suspend.
    pub(crate) fn on_suspend(&self) -> OnSuspend {
        self.values
            .get(SUSPEND)
            .and_then(|value| suspend_value(value))
            .unwrap_or(OnSuspend::Always)
    }
}

fn defaults() -> BTreeMap<String, String> {
    let own = [(IDLE, "never"), (SUSPEND, "unless-busy")];
    let all = own.into_iter().chain(SYNC);
    all.map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// Refuses what makes no sense.
///
/// # Errors
/// `Usage`.
fn check(key: &str, value: &str) -> Result<(), Failure> {
    match key {
        IDLE => units::parse_span(value)
            .map(|_| ())
            .map_err(|why| Failure::usage(format!("{why}."))),
        SUSPEND => match suspend_value(value) {
            Some(_) => Ok(()),
            None => Err(Failure::usage(format!(
                "“{value}” is no value of {SUSPEND}; use never, unless-busy or always."
            ))),
        },
        "sync" | "sync-mdns" | "sync-dht" | "sync-lan-only" | "sync-metered" => match value {
            "on" | "off" => Ok(()),
            _ => Err(Failure::usage(format!(
                "“{value}” is no value of {key}; use on or off."
            ))),
        },
        "sync-policy" => match value {
            "everything" | "texts" => Ok(()),
            _ => Err(Failure::usage(format!(
                "“{value}” is no value of {key}; use everything or texts."
            ))),
        },
        "sync-keep" => units::parse_size(value)
            .map(|_| ())
            .map_err(|why| Failure::usage(format!("{why}."))),
        "sync-limit-in" | "sync-limit-out" => parse_rate(value)
            .map(|_| ())
            .map_err(|why| Failure::usage(format!("{why}."))),
        // Whether these are addresses, whoever uses them says.
        "sync-listen" | "sync-peers" | "sync-relays" => Ok(()),
        "sync-via-limit" => parse_rate(value)
            .map(|_| ())
            .map_err(|why| Failure::usage(format!("{why}."))),
        "sync-via" => match folders(value).find(|dir| !dir.is_absolute()) {
            None => Ok(()),
            Some(dir) => Err(Failure::usage(format!(
                "“{}” is no value of {key}; write whole paths, from /, with commas between them.",
                dir.display()
            ))),
        },
        _ => Err(unknown(key)),
    }
}

fn folders(value: &str) -> impl Iterator<Item = PathBuf> + '_ {
    let parts = value.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(PathBuf::from)
}

/// “none”, or bytes a second: 500KiB, 2MiB.
fn parse_rate(value: &str) -> Result<Option<u64>, String> {
    match value.trim().trim_end_matches("/s") {
        "none" | "" => Ok(None),
        size => match units::parse_size(size)? {
            0 => Err("a limit of nothing would be none; use “coffer sync --pause” to stop".into()),
            rate => Ok(Some(rate)),
        },
    }
}

/// There is no such setting.
pub(crate) fn unknown(key: &str) -> Failure {
    Failure::usage(format!(
        "There is no setting “{key}”; “coffer settings” lists them."
    ))
}

fn suspend_value(value: &str) -> Option<OnSuspend> {
    match value {
        "never" => Some(OnSuspend::Never),
        "unless-busy" => Some(OnSuspend::UnlessBusy),
        "always" => Some(OnSuspend::Always),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards defaults, that settings are kept, and that a mistyped safety setting is refused, not ignored.
    #[test]
    fn values_are_judged_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let load = || Settings::load_from(dir.path().join("coffer/id.json"));
        let mut settings = load().unwrap();
        assert_eq!(
            (settings.idle(), settings.on_suspend()),
            (None, OnSuspend::UnlessBusy)
        );
        settings.set(IDLE, "30m").unwrap();
        settings.set(SUSPEND, "always").unwrap();
        for (key, value) in [
            (IDLE, "30"),
            (SUSPEND, "allways"),
            ("something-else", "x"),
            ("sync-via", "/media/stick, cloud"),
            ("sync-via-limit", "much"),
            ("sync-policy", "some"),
            ("sync-keep", "much"),
            ("sync-metered", "yes"),
        ] {
            assert!(settings.set(key, value).is_err(), "{key} {value}");
        }
        let again = load().unwrap();
        assert_eq!(
            (again.idle(), again.on_suspend()),
            (Some(Duration::from_secs(1800)), OnSuspend::Always)
        );
        fs::write(dir.path().join("coffer/id.json"), "{\"lock-idle\": \"30\"}").unwrap();
        assert!(load().is_err());
    }
}
