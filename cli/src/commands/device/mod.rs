//! `coffer device`.
//!
//! Parts: `invite`, `join`, `list`.

mod invite;
mod join;
mod list;

use super::past::agreed;
use super::{Reached, reach, understood};
use crate::answers::devices::Device;
use crate::args::device::{Device as Args, What};
use crate::client::Found;
use crate::failure::{Failure, Kind};
use crate::ui::Ui;
use crate::wire::Op;
use crate::wire::devices::Devices;
use std::path::Path;

/// Does what is asked about devices.
///
/// # Errors
/// The command's.
pub(super) fn device(ui: &Ui, vault: &Path, args: &Args) -> Result<(), Failure> {
    match &args.what {
        What::Invite(args) => invite::invite(ui, &daemon(vault)?, args),
        What::Join(args) => join::join(ui, vault, args),
        What::List => list::list(ui, &daemon(vault)?),
        What::Rename(args) => {
            let asked = Devices::Rename {
                device: args.device.clone(),
                name: args.name.clone(),
            };
            let () = ask(&daemon(vault)?, asked)?;
            ui.answer(&serde_json::json!({ "name": args.name }), || {
                format!("“{}” is called “{}” now, on all devices.", args.device, args.name)
            });
            Ok(())
        }
        What::Remove(args) => {
            let found = daemon(vault)?;
            let name = &args.device;
            agreed(
                args.yes,
                &format!("Remove “{name}”? It is told nothing more; what it has by now it may keep."),
            )?;
            let asked = Devices::Remove {
                device: name.clone(),
                force: args.force,
            };
            let () = ask(&found, asked)?;
            ui.answer(&serde_json::json!({ "removed": name }), || {
                format!(
                    "“{name}” is none of the vault's devices any more: no device tells it anything, and what is written from now on is sealed with keys that it has not.\n\
                     What it could read until now it may have kept. It can join again only by a new invitation."
                )
            });
            Ok(())
        }
    }
}

/// The vault's daemon: what concerns other devices happens while it is mounted.
///
/// # Errors
/// `NotOpen` if nobody serves it; as [`reach`].
pub(super) fn daemon(vault: &Path) -> Result<Found, Failure> {
    match reach(vault)? {
        Reached::Daemon(found) => Ok(found),
        Reached::Sealed(_) => Err(Failure::new(
            Kind::NotOpen,
            "The vault is locked, and other devices are met only while it is open; “coffer mount FOLDER” opens it.",
        )),
    }
}

/// Asks the daemon.
///
/// # Errors
/// The daemon's.
pub(super) fn ask<T: serde::de::DeserializeOwned>(found: &Found, asked: Devices) -> Result<T, Failure> {
    understood(found.ask(Op::Devices(asked), &[], &mut |_| {})?.0)
}

/// The devices.
fn devices(found: &Found) -> Result<Vec<Device>, Failure> {
    ask(found, Devices::List)
}
