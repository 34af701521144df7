//! `coffer device join`.

use crate::args::device::Join;
use crate::engine;
use crate::failure::{Failure, Kind};
use crate::instance::Markers;
use crate::password;
use crate::paths;
use crate::secret::Secret;
use crate::settings::Settings;
use crate::ui::{Person, Ui, remark};
use std::path::Path;

/// Makes a replica by a ticket.
///
/// # Errors
/// `Usage` for what is no ticket; `Question` if it is not given and nobody can be asked; or what joining says.
pub(super) fn join(ui: &Ui, dir: &Path, args: &Join) -> Result<(), Failure> {
    // Before anybody is called, or thinks up a password.
    engine::check_empty(dir)?;
    let kdf = args.kdf.over(engine::DEFAULT_KDF).unwrap_or(engine::DEFAULT_KDF);
    engine::check_kdf(kdf)?;
    let ticket = ticket(args)?;
    engine::parse_ticket(&ticket)?;
    remark(&format!("Making a vault in {}.", paths::tilde(dir)));
    let password = password::new(&args.password)?;
    let settings = Settings::usual()
        .with("sync-peers", args.peer.join(","))
        .with("sync-relays", args.relay.join(","));
    remark("Looking for the other device …");
    let (vault, by) = engine::join(dir, &ticket, args.name.as_deref(), (&password, kdf), &settings)?;
    let id = paths::hex(&vault.facts().id);
    Markers::load(&vault.facts().id)?.remember(dir, &vault)?;
    vault.close()?;
    // What was needed to find it is needed again.
    let mut kept = Settings::load(&id)?;
    for (key, given) in [("sync-peers", &args.peer), ("sync-relays", &args.relay)] {
        if !given.is_empty() {
            kept.set(key, &given.join(","))?;
        }
    }
    ui.answer(&serde_json::json!({ "vault": dir, "invited_by": by }), || {
        format!(
            "This machine is a device of the vault now, invited by “{by}”.\n\
             What is in the vault comes while it is mounted: “coffer mount FOLDER”."
        )
    });
    Ok(())
}

/// The ticket, from wherever it is given.
fn ticket(args: &Join) -> Result<Secret, Failure> {
    let given = args.ticket.join(" ");
    if given == "-" {
        return Secret::read_line(&mut std::io::stdin().lock())
            .map_err(|error| Failure::io("read the ticket from standard input", &error));
    }
    if !given.is_empty() {
        return Ok(Secret::new(given.into_bytes()));
    }
    match Person::here() {
        Some(mut person) => Ok(Secret::new(
            person.ask("Ticket, its words or its line:").into_bytes(),
        )),
        None => Err(Failure::new(
            Kind::Question,
            "There is no ticket: name it behind the command, or “-” to read it from standard input.",
        )),
    }
}
