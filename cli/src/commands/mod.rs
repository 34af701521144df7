//! The commands, one file each; this one says which is which, and how a command reaches its vault.
//!
//! Guarantees that a command works the same whether a daemon holds the vault or nobody does.

mod ask;
mod backup;
mod check;
mod device;
mod diff;
mod export;
mod generate;
mod import;
mod inbox;
mod init;
mod lock;
mod log;
mod merges;
mod mount;
mod passwd;
mod past;
mod pin;
mod recover;
mod restore;
mod settings;
mod show;
mod sql;
mod status;
mod sync;
mod transfer;
mod trash;
mod via;

use crate::args::{Cli, Command, PasswordArgs};
use crate::client::{self, Found};
use crate::engine::{self, Sealed, Vault};
use crate::failure::{Failure, Kind};
use crate::helper::Asked;
use crate::password::{self, Given};
use crate::paths;
use crate::secret::Secret;
use crate::ui::Ui;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::path::{Path, PathBuf};

/// Tries that a person has at typing the password.
const TRIES: u32 = 3;

/// Does what the command line says.
///
/// # Errors
/// The command's.
pub(crate) fn run(cli: Cli, ui: &Ui) -> Result<(), Failure> {
    // These need no vault.
    match &cli.command {
        Command::Completions(args) => return generate::completions(args),
        Command::Man(args) => return generate::man(args),
        Command::SyncMount { point } => return engine::sync_mount(point),
        Command::Announce => {
            engine::announce();
            return Ok(());
        }
        Command::Guardian => {
            crate::daemon::guardian::run();
            return Ok(());
        }
        Command::Daemon(_) => return mount::daemon(),
        Command::Lock(args) if args.all => return lock::all(ui, args),
        Command::Status(args) if args.all => return status::all(ui),
        // These look at the path first: it says which vault.
        Command::Log(args) => return log::log(ui, cli.vault.as_deref(), args),
        Command::Show(args) => return show::show(cli.vault.as_deref(), args),
        Command::Diff(args) => return diff::diff(ui, cli.vault.as_deref(), args),
        Command::Merges(args) => return merges::merges(ui, cli.vault.as_deref(), args),
        Command::Restore(args) => return restore::restore(ui, cli.vault.as_deref(), args),
        Command::Trash(args) => return trash::trash(ui, cli.vault.as_deref(), args),
        Command::Purge(args) => return trash::purge(ui, cli.vault.as_deref(), args),
        Command::Gc(args) => return trash::gc(ui, cli.vault.as_deref(), args),
        Command::Pin(args) => return pin::pin(ui, cli.vault.as_deref(), args),
        Command::Backlinks(args) => return ask::backlinks(ui, cli.vault.as_deref(), args),
        Command::Unpin(args) => return pin::unpin(ui, cli.vault.as_deref(), args),
        _ => {}
    }
    let vault = match cli.vault {
        Some(vault) => paths::absolute(&vault)?,
        None => paths::default_vault()?,
    };
    match cli.command {
        Command::Init(args) => init::init(ui, &vault, &args),
        Command::Mount(args) => mount::mount(ui, &vault, &args),
        Command::Unmount(args) => lock::unmount(ui, &vault, &args),
        Command::Lock(args) => lock::lock(ui, &vault, &args),
        Command::Status(_) => status::status(ui, &vault),
        Command::Passwd(args) => passwd::passwd(ui, &vault, &args),
        Command::Recover(args) => recover::recover(ui, &vault, &args),
        Command::Check(args) => check::check(ui, &vault, &args),
        Command::Backup(args) => backup::backup(ui, &vault, &args),
        Command::Import(args) if args.watch => inbox::inbox(ui, &vault, &args),
        Command::Import(args) => import::import(ui, &vault, &args),
        Command::Export(args) => export::export(ui, &vault, &args),
        Command::Settings(args) => settings::settings(ui, &vault, &args),
        Command::Sql(args) => ask::sql(ui, &vault, &args),
        Command::Chart(args) => ask::chart(ui, &vault, &args),
        Command::Search(args) => ask::search(ui, &vault, &args),
        Command::Tasks(args) => ask::tasks(ui, &vault, &args),
        Command::Contacts(args) => ask::contacts(ui, &vault, &args),
        Command::Recent(args) => ask::recent(ui, &vault, &args),
        Command::Dupes(args) => ask::dupes(ui, &vault, &args),
        Command::Tags(args) => ask::tags(ui, &vault, &args),
        Command::Device(args) => device::device(ui, &vault, &args),
        Command::Sync(args) => match &args.via {
            Some(dir) => via::via(ui, &vault, dir, &args),
            None => sync::sync(ui, &vault, &args),
        },
        Command::Log(_)
        | Command::Show(_)
        | Command::Diff(_)
        | Command::Merges(_)
        | Command::Restore(_)
        | Command::Trash(_)
        | Command::Purge(_)
        | Command::Gc(_)
        | Command::Backlinks(_)
        | Command::Pin(_)
        | Command::Unpin(_)
        | Command::Completions(_)
        | Command::Man(_)
        | Command::SyncMount { .. }
        | Command::Announce
        | Command::Guardian
        | Command::Daemon(_) => Ok(()),
    }
}

/// Does what mount(8) asked for.
///
/// # Errors
/// As `coffer mount`.
pub(crate) fn run_helper(asked: &Asked, ui: &Ui) -> Result<(), Failure> {
    let vault = paths::absolute(&asked.vault)?;
    if asked.fake {
        return Sealed::open(&vault).map(drop);
    }
    mount::mount(ui, &vault, &asked.mount)
}

/// A vault, however it can be reached.
enum Reached {
    /// Its daemon.
    Daemon(Found),
    /// Nobody holds it; now we do.
    Sealed(Sealed),
}

/// Reaches a vault: its daemon if one holds it, else the vault itself.
///
/// # Errors
/// `NoVault`, `InUse` by a process that is no daemon of ours, or as [`Sealed::open`].
fn reach(vault: &Path) -> Result<Reached, Failure> {
    if let Some(found) = client::living(vault)? {
        return Ok(Reached::Daemon(found));
    }
    paths::identity(vault)?;
    match Sealed::open(vault) {
        Ok(sealed) => Ok(Reached::Sealed(sealed)),
        // Mounted in this very moment?
        Err(failure) if failure.kind == Kind::InUse => {
            client::living(vault)?.map(Reached::Daemon).ok_or(failure)
        }
        Err(failure) => Err(failure),
    }
}

/// Opens a sealed vault for what changes no content; a person who mistypes may try again.
///
/// # Errors
/// `WrongPassword`, or as [`Sealed::key`].
fn unlock(sealed: Sealed, vault: &Path, args: &PasswordArgs) -> Result<(Vault, Secret), Failure> {
    let mut sealed = Some(sealed);
    retrying(vault, args, |password| {
        let held = match sealed.take() {
            Some(held) => held,
            None => Sealed::open(vault)?,
        };
        held.key(password)?.visit()
    })
}

/// Asks for the password and tries it; a person may try [`TRIES`] times.
///
/// # Errors
/// The last try's, or any that is not about the password.
fn retrying<T>(
    vault: &Path,
    args: &PasswordArgs,
    mut with: impl FnMut(&Secret) -> Result<T, Failure>,
) -> Result<(T, Secret), Failure> {
    let mut left = TRIES;
    loop {
        let Given { password, typed } =
            password::current(args, &format!("Password of {}:", paths::tilde(vault)))?;
        left -= 1;
        match with(&password) {
            Ok(done) => return Ok((done, password)),
            Err(failure) if failure.kind == Kind::WrongPassword && typed && left > 0 => {
                crate::ui::note("That is not the password; try again.");
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// Does `work` on an open vault and closes it, whatever comes of the work.
///
/// # Errors
/// The work's, else the closing's.
fn within<T>(vault: Vault, work: impl FnOnce(&Vault) -> Result<T, Failure>) -> Result<T, Failure> {
    let done = work(&vault);
    let closed = vault.close();
    let done = done?;
    closed.map(|()| done)
}

/// A daemon's answer as our own type.
///
/// # Errors
/// When the daemon is of another mind about its shape.
fn understood<T: DeserializeOwned>(answer: impl AsRef<RawValue>) -> Result<T, Failure> {
    serde_json::from_str(answer.as_ref().get()).map_err(|_| {
        Failure::failed("The vault's daemon gave an answer that makes no sense; is it another version?")
    })
}

/// A place that receives something or gives it: absolute, and neither in the vault nor in its mount.
///
/// # Errors
/// `Usage`.
fn outside(dest: &Path, vault: &Path) -> Result<PathBuf, Failure> {
    let dest = paths::absolute(dest)?;
    // The folder itself may not exist yet; its nearest parent that does tells where it will lie.
    let real = dest
        .ancestors()
        .find_map(|dir| std::fs::canonicalize(dir).ok().map(|found| (dir, found)))
        .map(|(dir, found)| found.join(dest.strip_prefix(dir).unwrap_or(Path::new(""))))
        .unwrap_or_else(|| dest.clone());
    let own = std::fs::canonicalize(vault).unwrap_or_else(|_| vault.to_owned());
    if real.starts_with(&own) {
        return Err(Failure::usage(format!(
            "{} lies in the vault's own folder; choose one outside.",
            dest.display()
        )));
    }
    if let Some(found) = client::of_vault(vault)
        && real.starts_with(&found.card.mountpoint.0)
    {
        return Err(Failure::usage(format!(
            "{} lies in the mounted vault itself; choose a folder outside.",
            dest.display()
        )));
    }
    Ok(dest)
}
