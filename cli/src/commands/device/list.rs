//! `coffer device list`.

use super::devices;
use crate::answers::devices::Device;
use crate::client::Found;
use crate::failure::Failure;
use crate::ui::{Ui, table};
use crate::units::counted;
use crate::when;
use jiff::Zoned;

/// Digits of an id that are shown.
const DIGITS: usize = 8;

/// Lists the devices, the one that founded the vault first.
///
/// # Errors
/// The daemon's.
pub(super) fn list(ui: &Ui, found: &Found) -> Result<(), Failure> {
    let all = devices(found)?;
    ui.lines(all.iter(), || rows(&all));
    Ok(())
}

fn rows(all: &[Device]) -> String {
    let mut rows = vec![["Name", "Id", "Seen", "Reached", "Up to date"].map(str::to_owned)];
    rows.extend(all.iter().map(|device| {
        [
            device.name.clone(),
            device.id.chars().take(DIGITS).collect(),
            seen(device),
            reached(device),
            how_far(device),
        ]
    }));
    table(&rows)
}

fn seen(device: &Device) -> String {
    match device.seen {
        _ if device.standing != "member" => "removed".into(),
        _ if device.this => "this device".into(),
        _ if device.connected => "now".into(),
        Some(at) => when::local(at, &Zoned::now()),
        None => "never".into(),
    }
}

fn reached(device: &Device) -> String {
    match (&device.reached, &device.address) {
        _ if device.this || device.standing != "member" => String::new(),
        (Some(how), Some(address)) if how == "relay" => {
            // What follows the relay's own address says nothing to a person.
            match address.split("/p2p/").next() {
                Some("") | None => "by a relay".into(),
                Some(relay) => format!("by the relay {relay}"),
            }
        }
        (Some(_), Some(address)) => address.split("/p2p/").next().unwrap_or(address).to_owned(),
        _ => String::new(),
    }
}

fn how_far(device: &Device) -> String {
    if device.this || device.standing != "member" {
        return String::new();
    }
    if !device.heard {
        return "nothing was heard of it since it was added: remove it if that machine has no vault".into();
    }
    match (device.behind, device.ahead) {
        (Some(0), Some(0)) => "yes".into(),
        (Some(behind), Some(0)) => format!("lacks {}", counted(behind, "event", "events")),
        (Some(0), Some(ahead)) => format!("has {} more", counted(ahead, "event", "events")),
        (Some(behind), Some(ahead)) => format!(
            "lacks {}, has {} more",
            counted(behind, "event", "events"),
            counted(ahead, "event", "events")
        ),
        _ => device.error.clone().unwrap_or_else(|| "not known".into()),
    }
}
