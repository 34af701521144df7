//! A vault by a ticket.

use super::met::AllMet;
use super::{plan, sentence};
use crate::engine::{self, Vault};
use crate::failure::Failure;
use crate::secret::Secret;
use crate::settings::Settings;
use crate::wire::Kdf;
use coffer_store::keys::SigningKey;
use coffer_store::members::DeviceName;
use coffer_store::vault::{self as store, Joined};
use coffer_sync::net;
use coffer_sync::pairing::Ticket;
use std::path::Path;

/// Whether a text is a ticket.
///
/// # Errors
/// `Usage`, saying what is wrong with it.
pub(crate) fn parse_ticket(text: &Secret) -> Result<(), Failure> {
    ticket(text).map(drop)
}

fn ticket(text: &Secret) -> Result<Ticket, Failure> {
    Ticket::parse(&text.to_text()).map_err(|error| Failure::usage(sentence(error).message))
}

/// Joins the vault that a ticket is of: makes a replica in an empty or new folder. Returns it, and the other device's name.
///
/// # Errors
/// When nobody is found, the ticket is not taken, or the folder cannot be used.
pub(crate) fn join(
    dir: &Path,
    text: &Secret,
    name: Option<&str>,
    (password, kdf): (&Secret, Kdf),
    settings: &Settings,
) -> Result<(Vault, String), Failure> {
    let ticket = ticket(text)?;
    let name = match name {
        Some(name) => DeviceName::new(name).map_err(|error| Failure::usage(sentence(error).message))?,
        None => store::machine_name(),
    };
    let settings = plan::plan(settings, Vec::new());
    let entered = net::join(&ticket, name, &settings, |_| Ok(()), |_| Ok(())).map_err(sentence)?;
    let inviter = entered.joined.members.state().device(&entered.inviter);
    let by = inviter.map_or_else(|| "the other device".into(), |device| device.name.to_string());
    let joined = Joined {
        members: entered.joined.members,
        device: entered.device,
        transport: SigningKey::from_seed(entered.transport),
        keys: entered.joined.keyring,
    };
    let made = store::Vault::join(dir, &engine::vault::typed(password), engine::params(kdf), joined);
    let vault = Vault::of(made.map_err(|error| match error {
        store::JoinError::Create(error) => error.into(),
        error => sentence(error),
    })?, dir, kdf);
    AllMet::only(entered.inviter, entered.addresses).keep(vault.store());
    Ok((vault, by))
}
