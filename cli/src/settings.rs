//! The settings that this program itself obeys; the vault keeps them, and has others of its own.

use crate::answers::Setting;
use crate::failure::Failure;
use crate::units;
use std::time::Duration;

/// Lock after this time without use.
pub(crate) const IDLE: &str = "lock-idle";
/// What to do when the system suspends.
pub(crate) const SUSPEND: &str = "lock-suspend";

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

/// Refuses values of our own settings that make no sense; others are the vault's to judge.
///
/// # Errors
/// `Usage`.
pub(crate) fn check(key: &str, value: &str) -> Result<(), Failure> {
    match key {
        IDLE => units::parse_span(value)
            .map(|_| ())
            .map_err(|why| Failure::usage(format!("{why}."))),
        SUSPEND if suspend_value(value).is_none() => Err(Failure::usage(format!(
            "“{value}” is no value of {SUSPEND}; use never, unless-busy or always."
        ))),
        _ => Ok(()),
    }
}

/// The idle time in force.
pub(crate) fn idle(settings: &[Setting]) -> Option<Duration> {
    let value = settings.iter().find(|setting| setting.key == IDLE)?;
    units::parse_span(&value.value).ok().flatten()
}

/// What to do on suspend.
pub(crate) fn on_suspend(settings: &[Setting]) -> OnSuspend {
    settings
        .iter()
        .find(|setting| setting.key == SUSPEND)
        .and_then(|setting| suspend_value(&setting.value))
        .unwrap_or(OnSuspend::UnlessBusy)
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

    /// Guards defaults, and that a mistyped safety setting is refused, not ignored.
    #[test]
    fn values_are_judged() {
        assert_eq!(idle(&[]), None);
        assert_eq!(on_suspend(&[]), OnSuspend::UnlessBusy);
        let set = |key: &str, value: &str| {
            [Setting {
                key: key.into(),
                value: value.into(),
            }]
        };
        assert_eq!(idle(&set(IDLE, "30m")), Some(Duration::from_secs(1800)));
        assert_eq!(on_suspend(&set(SUSPEND, "always")), OnSuspend::Always);
        assert!(check(IDLE, "30").is_err());
        assert!(check(SUSPEND, "allways").is_err());
        assert!(check("something-else", "x").is_ok());
    }
}
