//! A vault by a ticket.

use super::met::AllMet;
use super::{plan, sentence};
use crate::engine::{self, Vault};
use crate::failure::Failure;
use crate::secret::Secret;
use crate::settings::Settings;
use crate::wire::Kdf;
use coffer_store::keys::{Key, SigningKey};
use coffer_store::members::{DeviceName, Members};
use coffer_store::vault::{self as store, Joined};
use coffer_sync::net;
use coffer_sync::pairing::{Joined as Given, Ticket};
use std::cell::Cell;
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
    let (keys, vault) = (Cell::new(None), Cell::new(None));
    let keep = |prepared: &net::Prepared<'_>| {
        keys.set(Some((prepared.device.seed(), prepared.transport.seed())));
        Ok(())
    };
    // Before the other device is told that all is here, it is, durably.
    let store = |given: &Given| {
        let made = made(dir, (password, kdf), given, keys.take());
        let said = made.as_ref().map(drop).map_err(|failure| failure.message.clone());
        vault.set(Some(made));
        said
    };
    let entered = net::join(&ticket, name, &settings, keep, store);
    // What was made is a device's, whatever was said of it afterwards.
    let vault = match (vault.take(), &entered) {
        (Some(made), _) => made?,
        (None, Err(error)) => return Err(sentence(error)),
        (None, Ok(_)) => {
            return Err(Failure::failed(
                "The other device gave nothing; invite this one again.",
            ));
        }
    };
    let by = vault.store().with_members(|members| {
        let state = members.state();
        let me = state.device(&vault.store().device_id());
        let inviter = me.and_then(|device| state.device(&device.added_by?));
        inviter.map(|device| (device.id, device.name.to_string()))
    });
    let (inviter, by) = by.ok_or_else(|| Failure::failed("The other device is not known any more."))?;
    let addresses = entered.map_or_else(|_| ticket.addresses().to_vec(), |entered| entered.addresses);
    AllMet::only(inviter, addresses).keep(vault.store());
    Ok((vault, by))
}

/// The vault of what a device was given.
fn made(
    dir: &Path,
    (password, kdf): (&Secret, Kdf),
    given: &Given,
    keys: Option<(Key, Key)>,
) -> Result<Vault, Failure> {
    let (device, transport) = keys.ok_or_else(|| Failure::failed("This device has no keys; try again."))?;
    let mut members = Members::of(given.members.space());
    for said in given.members.iter() {
        members.insert(said.clone()).map_err(sentence)?;
    }
    let joined = Joined {
        members,
        device: SigningKey::from_seed(device),
        transport: SigningKey::from_seed(transport),
        keys: given
            .keyring
            .iter()
            .map(|(id, keys)| (*id, keys.duplicate()))
            .collect(),
    };
    let made = store::Vault::join(dir, &engine::vault::typed(password), engine::params(kdf), joined);
    let made = made.map_err(|error| match error {
        store::JoinError::Create(error) => error.into(),
        error => sentence(error),
    })?;
    Ok(Vault::of(made, dir, kdf))
}
