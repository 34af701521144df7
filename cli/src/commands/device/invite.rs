//! `coffer device invite`.

use super::{ask, devices, understood};
use crate::answers::devices::{Invited, Sync};
use crate::args::device::Invite;
use crate::client::Found;
use crate::failure::Failure;
use crate::ui::{Ui, remark};
use crate::wire::Op;
use crate::wire::devices::Devices;
use jiff::{Timestamp, Zoned};
use std::time::Duration;

/// How often it is looked whether the device has come.
const LOOK: Duration = Duration::from_millis(300);
/// And how many times between two looks at what went wrong.
const LOOKS: u32 = 3;

/// The last thing that went wrong while syncing, or pairing.
fn trouble(found: &Found) -> Result<Option<String>, Failure> {
    let sync: Sync = ask(found, Devices::Sync)?;
    Ok(sync.error)
}

/// A remark of it: a whole sentence.
fn sentence(error: &str) -> String {
    let mut letters = error.chars();
    let first = letters
        .next()
        .map(|first| first.to_uppercase().collect::<String>());
    format!(
        "{}{}.",
        first.unwrap_or_default(),
        letters.as_str().trim_end_matches('.')
    )
}

/// Shows a ticket, and waits until a device has joined by it.
///
/// # Errors
/// The daemon's; `Failed` if nobody has come in time.
pub(super) fn invite(ui: &Ui, found: &Found, args: &Invite) -> Result<(), Failure> {
    let before = devices(found)?;
    let asked = Devices::Invite {
        seconds: args.seconds,
    };
    let (answer, mut secrets) = found.ask(Op::Devices(asked), &[], &mut |_| {})?;
    let invited: Invited = understood(answer)?;
    let ticket = secrets.pop().map(|secret| secret.to_text());
    let ticket = ticket.ok_or_else(|| Failure::failed("The vault's daemon gave no ticket; try again."))?;
    let mut lines = ticket.splitn(3, '\n');
    let (words, line, code) = (
        lines.next().unwrap_or_default(),
        lines.next().unwrap_or_default(),
        lines.next().unwrap_or_default(),
    );
    let until = crate::when::local(invited.expires, &Zoned::now());
    // It is a program that asks: what is secret goes where it was asked for, and nowhere else.
    let object = serde_json::json!({ "ticket": line, "words": words, "expires": invited.expires });
    if ui.json() {
        ui.answer(&object, String::new);
        return Ok(());
    }
    ui.raw(code);
    ui.answer(&object, || {
        format!(
            "On the other machine, “coffer device join” asks for this ticket. In the same network, its words will do:\n\n    {words}\n\n\
             From elsewhere, give it the whole ticket:\n\n    {line}\n\n\
             It is good for one device, until {until}. Show it to nobody else."
        )
    });
    if args.no_wait {
        return Ok(());
    }
    remark("Waiting for the device; Ctrl-C leaves the invitation open.");
    let mut said = trouble(found)?;
    for look in 1u32.. {
        if Timestamp::now() >= invited.expires {
            break;
        }
        std::thread::sleep(LOOK);
        // Why a device that tried has not joined.
        if look.is_multiple_of(LOOKS) {
            let now = trouble(found)?;
            if let Some(error) = now.as_ref().filter(|_| now != said) {
                remark(&sentence(error));
            }
            said = now;
        }
        let new = devices(found)?
            .into_iter()
            .find(|device| before.iter().all(|known| known.id != device.id));
        if let Some(new) = new {
            ui.answer(&object, || format!("“{}” has joined.", new.name));
            return Ok(());
        }
    }
    Err(Failure::failed(
        "No device has joined in time, and the ticket is void; “coffer device invite” makes a new one.",
    ))
}
