//! The command line about devices and syncing.

use super::{KdfArgs, PasswordArgs};
use crate::units;
use clap::{Args, Subcommand};
use coffer_sync::pairing::TICKET_SECONDS;
use std::path::PathBuf;

#[derive(Args)]
#[allow(missing_docs)]
pub(crate) struct Device {
    #[command(subcommand)]
    pub what: What,
}

/// What to do.
#[derive(Subcommand)]
pub(crate) enum What {
    /// Let another device join: shows a ticket
    ///
    /// The vault must be mounted. The ticket is twelve words, a line, and a QR code; it is good for one
    /// device and 15 minutes. Who has it in that time can join: show it to nobody else.
    Invite(Invite),
    /// Make this machine a device of a vault, by a ticket
    ///
    /// Makes a vault in an empty or new folder, with a password of its own, that is kept like all others of its devices.
    /// The words find the other device in the same network; the line finds it anywhere that the two can reach.
    Join(Join),
    /// List the vault's devices: when they were seen, how they are reached, how far they are
    List,
    /// Give a device another name
    Rename(Rename),
    /// Remove a device: it is told nothing more, by any device
    ///
    /// What is written from now on is sealed with keys that it is not given. What it could read until now it
    /// may have kept; nobody can take that back.
    Remove(Remove),
}

#[derive(Args)]
#[allow(missing_docs)]
pub(crate) struct Invite {
    /// Show the ticket and end, instead of waiting until the device has joined
    #[arg(long)]
    pub no_wait: bool,
    /// How long the ticket is good, 15 minutes at most
    #[arg(long = "for", value_name = "TIME", value_parser = ticket_span)]
    pub seconds: Option<u64>,
}

/// How long a ticket may be good, in seconds.
fn ticket_span(text: &str) -> Result<u64, String> {
    match units::parse_span(text)?.map(|span| span.as_secs()) {
        Some(seconds @ 1..=TICKET_SECONDS) => Ok(seconds),
        _ => Err("a ticket is good for a second at least, and for 15 minutes at most".into()),
    }
}

#[derive(Args)]
#[allow(missing_docs)]
pub(crate) struct Join {
    /// The ticket, its words or its line; asked for if it is not given, and read from standard input where it is “-”
    #[arg(num_args = 0..)]
    pub ticket: Vec<String>,
    /// What this device is called [default: the machine's name]
    #[arg(long)]
    pub name: Option<String>,
    /// An address of the other device
    #[arg(long, value_name = "MULTIADDR")]
    pub peer: Vec<String>,
    /// A relay by which it can be reached
    #[arg(long, value_name = "MULTIADDR")]
    pub relay: Vec<String>,
    #[command(flatten)]
    pub password: PasswordArgs,
    #[command(flatten)]
    pub kdf: KdfArgs,
}

#[derive(Args)]
#[allow(missing_docs)]
pub(crate) struct Rename {
    /// The device: its name, or the first digits of its id
    pub device: String,
    /// Its new name
    pub name: String,
}

#[derive(Args)]
#[allow(missing_docs)]
pub(crate) struct Remove {
    /// The device: its name, or the first digits of its id
    pub device: String,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// Remove it even if bytes that are not on this device may be out of reach then: it was stolen, say
    #[arg(long)]
    pub force: bool,
}

#[derive(Args)]
#[allow(missing_docs)]
pub(crate) struct Sync {
    /// Show it again and again, until Ctrl-C
    #[arg(long)]
    pub watch: bool,
    /// Exchange nothing until --resume
    #[arg(long, conflicts_with_all = ["resume", "watch"])]
    pub pause: bool,
    /// Go on
    #[arg(long, conflicts_with = "watch")]
    pub resume: bool,
    /// Call a device at this address now, and from now on
    #[arg(long, value_name = "MULTIADDR")]
    pub peer: Option<String>,
    /// Exchange what is new through this folder, which is carried or shared: a stick, NFS, a cloud's
    #[arg(long, value_name = "DIR", conflicts_with_all = ["pause", "resume", "peer", "policy", "limit", "metered"])]
    pub via: Option<PathBuf>,
    /// Most that this device's files there may take [default: the setting sync-via-limit]
    #[arg(long, value_name = "SIZE", requires = "via", value_parser = units::parse_size)]
    pub via_limit: Option<u64>,
    /// What this device keeps: everything, or texts alone and other files as they are used
    #[arg(long, value_name = "WHAT", value_parser = ["everything", "texts"], conflicts_with_all = ["watch", "pause", "resume", "peer"])]
    pub policy: Option<String>,
    /// With texts: how much of other files is kept beside them [default: 1GiB]
    #[arg(long, value_name = "SIZE", conflicts_with_all = ["watch", "pause", "resume", "peer"])]
    pub limit: Option<String>,
    /// While on, bytes of files are fetched and given only where somebody waits for them
    #[arg(long, value_name = "on|off", value_parser = ["on", "off"], conflicts_with_all = ["watch", "pause", "resume", "peer"])]
    pub metered: Option<String>,
    #[command(flatten)]
    pub password: PasswordArgs,
}

#[derive(Args)]
#[allow(missing_docs)]
pub(crate) struct Pin {
    /// Files and folders; all pins are listed if there are none
    pub paths: Vec<PathBuf>,
    #[command(flatten)]
    pub password: PasswordArgs,
}

#[derive(Args)]
#[allow(missing_docs)]
pub(crate) struct Unpin {
    /// Files and folders that were pinned
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    #[command(flatten)]
    pub password: PasswordArgs,
}
