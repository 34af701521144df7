//! The command line: the one definition behind parsing, `--help`, completions and man pages.
//!
//! Never takes a secret: anybody on the machine can read a process's arguments.

pub(crate) mod ask;
pub(crate) mod device;
pub(crate) mod history;

use crate::help;
use crate::units;
use crate::wire::Kdf;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// A folder that is yours: encrypted, stored once, mounted as plain files.
#[derive(Parser)]
#[command(name = "coffer", version, after_help = help::EPILOGUE, disable_help_subcommand = true, max_term_width = 96)]
pub(crate) struct Cli {
    /// The vault's folder [default: $XDG_DATA_HOME/coffer/default]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "COFFER_VAULT",
        hide_env_values = true
    )]
    pub vault: Option<PathBuf>,
    /// Answer in JSON, for programs
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make a new vault
    ///
    /// Makes a vault with the folders Notes, Contacts, Tasks and Files. The folder must be empty
    /// or absent; nothing is ever overwritten.
    Init(Init),
    /// Open the vault and mount it as a folder
    ///
    /// Asks for the password, mounts, and goes to the background. A dead mount of a killed
    /// daemon is replaced. A vault that was copied or restored is noticed: say --moved if it only
    /// changed its place, --copied if this is another copy, which then becomes a device of its own.
    #[command(after_help = help::FSTAB)]
    Mount(Mount),
    /// Unmount, finish pending work, wipe keys
    ///
    /// Names the mount by its folder, or takes the vault's. Also takes a dead mount away.
    #[command(visible_alias = "umount")]
    Unmount(Unmount),
    /// Lock the vault: unmount, finish pending work, wipe keys
    ///
    /// Keys and the password live only in the daemon's memory, which is wiped and then given
    /// back. Not promised: what other programs read from the vault stays in their memory and
    /// files, and what the kernel cached of it may stay in RAM until it is used again.
    Lock(Lock),
    /// Show what is in the vault and how it is
    Status(Status),
    /// Change the password
    ///
    /// With --password-stdin the first line is the current password and the second the new one.
    /// A recovery phrase stays valid.
    Passwd(Passwd),
    /// Open the vault with its recovery phrase, or make a new phrase
    ///
    /// Asks for the phrase and sets a new password. With --new: asks for the password and makes a
    /// new phrase; an older one stops working.
    Recover(Recover),
    /// Verify that everything stored is as it was written
    ///
    /// Every record is verified, and with --read-data every byte. What is damaged is named by path;
    /// what is whole stays readable. Ends with code 6 if anything is damaged.
    Check(Check),
    /// Copy what is new into a backup, while mounted
    ///
    /// The backup is a vault of its own, encrypted alike: mount it with --vault to look into it.
    Backup(Backup),
    /// Take files and folders into the vault
    ///
    /// Each goes under its own name; of DIR/. what is in it. Folders merge with those that are there. A file that is there with
    /// the same size and time counts as taken in, so an import that was interrupted goes on when it
    /// is started again; one that differs is left alone and listed. Times, modes, symlinks, hard
    /// links, user attributes and holes are kept. Works while the vault is mounted, or asks for the password.
    /// Ctrl-C ends it at a file's end. Ends with code 11 if anything was left out.
    ///
    /// With --watch, DIR is an inbox: files that appear in it, in folders too, are taken in once they
    /// are completely written, and one whose name is taken gets a number. Names of unfinished files
    /// (.part, .crdownload, .tmp, ~ and the like) wait for their real name. What lies in DIR stays there
    /// unless --remove is given. What fails is tried again.
    Import(Import),
    /// Bring files and folders out of the vault, as plain files
    ///
    /// The other way of “coffer import”, by the same rules. What is brought out is not encrypted.
    Export(Export),
    /// List the versions of a file
    ///
    /// The newest first: its number, when it was saved, its size and by how much that differs, the
    /// device and, where that was seen, the program that made it. Of a removed file too.
    #[command(after_help = help::VERSIONS)]
    Log(history::Log),
    /// Print a version of a file
    #[command(after_help = help::VERSIONS)]
    Show(history::Show),
    /// Show what changed in a file between two versions
    ///
    /// Word by word; of what is no text, a summary.
    #[command(after_help = help::VERSIONS)]
    Diff(history::Diff),
    /// List edits that were made at the same time and merged, or take one back
    ///
    /// Where two devices, or two programs, changed a text at once, both edits are in it. The newest
    /// first: when, which file, and for each side its device, its version and how many words it added
    /// and removed. What is taken back is a version more, with all that was written since.
    #[command(after_help = help::MERGES)]
    Merges(history::Merges),
    /// Bring a version, or something removed, back
    ///
    /// What the file is until then stays a version, so nothing is lost by it. A removed folder comes
    /// back with everything that was removed with it. Nothing that is there is ever replaced by
    /// something removed: choose another name with --to.
    #[command(after_help = help::VERSIONS)]
    Restore(history::Restore),
    /// List what was removed and can be brought back, or destroy it
    Trash(history::Trash),
    /// Destroy the history of a file or folder, for good
    ///
    /// Of what is there, all versions but the present one; of what was removed there, everything.
    /// Keys and bytes are destroyed; what a backup holds is not.
    Purge(history::Purge),
    /// Let go of old versions, as the settings say, and give room back
    ///
    /// Happens by itself as well, while the vault is open and nobody works in it.
    Gc(history::Gc),
    /// Let other devices join the vault; list, rename and remove them
    ///
    /// Each device has the whole vault, under a password of its own. They tell each other what is new directly, in the
    /// background, as long as the vault is mounted.
    Device(device::Device),
    /// Show how syncing with other devices is, or choose what this one keeps
    ///
    /// “coffer settings” turns it, and each way of finding devices, on and off.
    ///
    /// With --via, devices that never meet exchange through a folder that somebody carries or shares: once, or
    /// with --watch until the vault is locked. What lies there tells a stranger nothing but sizes and times. Works
    /// while the vault is mounted, or asks for the password.
    #[command(after_help = help::SYNC)]
    Sync(device::Sync),
    /// Keep files and folders on this device, whatever it keeps else
    ///
    /// Of a folder, all that is in it and that will come to be. What is not here is fetched in the background. A pin
    /// stays with its file, whatever it is called. Without a path, all pins are listed.
    Pin(device::Pin),
    /// Take pins away: the bytes may go when room is needed
    Unpin(device::Unpin),
    /// Ask anything of the vault, in SQL
    ///
    /// Views: files, notes, links, tasks, contacts, events, tags, history, devices, blobs, problems; “DESCRIBE files” lists columns,
    /// --examples prints queries. Queries only read, and reach nothing but the vault's index, which is in memory. Without a query,
    /// a prompt; Tab completes.
    Sql(ask::Sql),
    /// Search in names and texts, the best first
    ///
    /// All words must be there; “\"two words\"” is a phrase, “gar*” a beginning, “-word” must not be there, “a OR b” one of the two.
    /// Fields: tag:garden, in:Notes/2026, before:2026-03-01, after:7d, title:word, name:word, kind:note, ext:pdf. Case and
    /// accents count for nothing.
    Search(ask::Search),
    /// Draw what a query gives: bars, lines, histograms, calendars
    ///
    /// In the terminal, or as SVG or PNG. What suits the columns is drawn: a text and numbers are bars, times and numbers lines,
    /// numbers alone a histogram, days alone a calendar.
    Chart(ask::DrawArgs),
    /// List tasks: checkboxes in notes, todo.txt, to-dos of calendars
    Tasks(ask::Tasks),
    /// Find contacts
    Contacts(ask::Contacts),
    /// List the files that were changed last
    Recent(ask::Recent),
    /// List files that have the same bytes
    Dupes(ask::Plainly),
    /// List tags, and how many files have them
    Tags(ask::Plainly),
    /// List the notes that link to a note
    Backlinks(ask::Backlinks),
    /// Show or change settings
    ///
    /// Those of this device lie outside the vault and need no password; those of the vault
    /// (retention-…, texts) lie in it.
    #[command(after_help = help::SETTINGS)]
    Settings(Settings),
    /// Print the completions for a shell
    Completions(Completions),
    /// Print the manual, or write all its pages into a folder
    Man(Man),
    /// (internal) Serve a mount; started by `coffer mount`
    #[command(hide = true)]
    Daemon(Daemon),
    /// (internal) Watch over a daemon; started by it
    #[command(hide = true)]
    Guardian,
    /// (internal) Repeat changes in a mount, for those who watch it; started by a daemon
    #[command(hide = true)]
    Announce,
    /// (internal) Write out mapped memory of a mount; started by a daemon
    #[command(hide = true)]
    SyncMount {
        /// The mount
        point: PathBuf,
    },
}

/// How a password is stretched.
#[derive(Args, Clone, Copy)]
pub(crate) struct KdfArgs {
    /// Memory that one guess costs, at least 19MiB [default: 256MiB]
    #[arg(long, value_name = "SIZE", value_parser = units::parse_size)]
    pub kdf_memory: Option<u64>,
    /// Passes over that memory, at least 2 [default: 3]
    #[arg(long, value_name = "N")]
    pub kdf_passes: Option<u32>,
    /// Lanes computed in parallel [default: 4]
    #[arg(long, value_name = "N")]
    pub kdf_lanes: Option<u32>,
}

impl KdfArgs {
    /// The parameters asked for, the rest from `base`; `None` if none was asked for.
    pub(crate) fn over(&self, base: Kdf) -> Option<Kdf> {
        if self.kdf_memory.is_none() && self.kdf_passes.is_none() && self.kdf_lanes.is_none() {
            return None;
        }
        Some(Kdf {
            // Beyond u32 the vault's ceiling refuses it, by name.
            memory_kib: self.kdf_memory.map_or(base.memory_kib, |bytes| {
                u32::try_from(bytes >> 10).unwrap_or(u32::MAX)
            }),
            passes: self.kdf_passes.unwrap_or(base.passes),
            lanes: self.kdf_lanes.unwrap_or(base.lanes),
        })
    }
}

/// Where the password comes from, if not from COFFER_PASSWORD_COMMAND or the terminal.
#[derive(Args, Clone, Default)]
pub(crate) struct PasswordArgs {
    /// Read the password from the first line of standard input
    #[arg(long, conflicts_with = "password_file")]
    pub password_stdin: bool,
    /// Read the password from the first line of a file
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

#[derive(Args)]
#[allow(missing_docs)]
pub(crate) struct Init {
    #[command(flatten)]
    pub password: PasswordArgs,
    #[command(flatten)]
    pub kdf: KdfArgs,
    /// Print a recovery phrase: 24 words that open the vault if the password is forgotten
    #[arg(long, overrides_with = "no_recovery")]
    pub recovery: bool,
    /// Make no recovery phrase, and do not ask
    #[arg(long, overrides_with = "recovery")]
    pub no_recovery: bool,
}

#[derive(Args)]
#[allow(missing_docs)]
pub(crate) struct Mount {
    /// An empty folder
    #[arg(env = "COFFER_MOUNTPOINT", hide_env_values = true)]
    pub mountpoint: PathBuf,
    /// Mount options as in mount(8): ro, noexec, nosuid, nodev, noatime, allow_other, …
    #[arg(short, long, value_name = "OPTIONS")]
    pub options: Vec<String>,
    /// Stay in the foreground
    #[arg(short, long)]
    pub foreground: bool,
    /// Lock after this time without use: 30m, 2h, never [default: the setting lock-idle]
    #[arg(long, value_name = "TIME")]
    pub idle: Option<String>,
    /// The vault was moved, or restored in the place of the lost one
    #[arg(long, conflicts_with = "copied")]
    pub moved: bool,
    /// This is a copy beside the original: make it a device of its own
    #[arg(long)]
    pub copied: bool,
    /// If the daemon is killed, take the dead mount away at once
    #[arg(long)]
    pub detach_if_killed: bool,
    /// Threads that serve the mount [default: by the number of processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub threads: Option<u16>,
    #[command(flatten)]
    pub password: PasswordArgs,
}

#[derive(Args)]
#[allow(missing_docs)]
pub(crate) struct Unmount {
    /// The mounted folder [default: that of the vault]
    pub mountpoint: Option<PathBuf>,
    /// Even if programs use it: they get errors; all that they wrote before is kept
    #[arg(long)]
    pub force: bool,
}

#[derive(Args)]
#[allow(missing_docs)]
pub(crate) struct Lock {
    /// Every open vault of yours; as root, of everybody
    #[arg(long)]
    pub all: bool,
    /// Even if programs use it: they get errors; all that they wrote before is kept
    #[arg(long, conflicts_with = "suspend")]
    pub force: bool,
    /// Do as each vault's setting lock-suspend says
    #[arg(long)]
    pub suspend: bool,
}

#[derive(Args)]
#[allow(missing_docs)]
pub(crate) struct Status {
    /// Every open vault of yours
    #[arg(long)]
    pub all: bool,
}

#[derive(Args)]
#[allow(missing_docs)]
pub(crate) struct Passwd {
    #[command(flatten)]
    pub password: PasswordArgs,
    /// Read the new password from the first line of a file
    #[arg(long, value_name = "FILE")]
    pub new_password_file: Option<PathBuf>,
    #[command(flatten)]
    pub kdf: KdfArgs,
}

#[derive(Args)]
#[allow(missing_docs)]
pub(crate) struct Recover {
    /// Make a new recovery phrase instead; asks for the password
    #[arg(long, conflicts_with = "phrase_file")]
    pub new: bool,
    /// Read the phrase from a file
    #[arg(long, value_name = "FILE")]
    pub phrase_file: Option<PathBuf>,
    #[command(flatten)]
    pub password: PasswordArgs,
    #[command(flatten)]
    pub kdf: KdfArgs,
}

#[derive(Args)]
#[allow(missing_docs)]
pub(crate) struct Check {
    /// Read and verify every byte of every file
    #[arg(long)]
    pub read_data: bool,
    /// Bring out what is whole as plain, unencrypted files into this empty folder
    #[arg(long, value_name = "DIR", conflicts_with = "read_data")]
    pub salvage: Option<PathBuf>,
    /// Salvage by the recovery phrase in a file, where the password is forgotten
    #[arg(long, value_name = "FILE", requires = "salvage")]
    pub phrase_file: Option<PathBuf>,
    #[command(flatten)]
    pub password: PasswordArgs,
}

#[derive(Args)]
#[allow(missing_docs)]
pub(crate) struct Backup {
    /// The backup's folder: empty, absent, or an earlier backup of this vault
    pub dest: PathBuf,
    #[command(flatten)]
    pub password: PasswordArgs,
}

#[derive(Args)]
#[allow(missing_docs)]
pub(crate) struct Import {
    /// Folders or files; a symlink is followed
    #[arg(required = true, value_name = "DIR")]
    pub sources: Vec<PathBuf>,
    /// The folder in the vault that receives them; made if it is missing [default: its root]
    #[arg(long, value_name = "PATH")]
    pub into: Option<PathBuf>,
    /// Replace files that differ from what is taken in; never folders
    #[arg(long)]
    pub replace: bool,
    /// Keep an inbox: take in what appears in DIR, once it is written, until Ctrl-C
    #[arg(long, conflicts_with = "replace")]
    pub watch: bool,
    /// Remove each file from the watched folder once the vault has it: durable, and compared
    #[arg(long, requires = "watch")]
    pub remove: bool,
    #[command(flatten)]
    pub password: PasswordArgs,
}

#[derive(Args)]
#[allow(missing_docs)]
pub(crate) struct Export {
    /// What to bring out, from the vault's root; / is all of it, and of PATH/. what is in it
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
    /// The folder that receives it; made if it is missing
    pub dest: PathBuf,
    /// Replace files that differ from what is brought out; never folders
    #[arg(long)]
    pub replace: bool,
    #[command(flatten)]
    pub password: PasswordArgs,
}

#[derive(Args)]
#[allow(missing_docs)]
pub(crate) struct Settings {
    /// The setting; all of them if absent
    pub key: Option<String>,
    /// Its new value; shows it if absent
    pub value: Option<String>,
    #[command(flatten)]
    pub password: PasswordArgs,
}

#[derive(Args)]
#[allow(missing_docs)]
pub(crate) struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

#[derive(Args)]
#[allow(missing_docs)]
pub(crate) struct Man {
    /// Write every page into this folder
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

#[derive(Args)]
#[allow(missing_docs)]
pub(crate) struct Daemon {
    /// What it serves: shown by ps, otherwise unused
    #[arg(num_args = 0..)]
    pub shown: Vec<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    /// Guards the definition itself: clashing names, missing help and the like.
    #[test]
    fn definition_is_sound() {
        Cli::command().debug_assert();
    }

    /// Guards the spelling that the issue promises.
    #[test]
    fn documented_init_parses() {
        let cli = Cli::try_parse_from([
            "coffer",
            "init",
            "--vault",
            "/v",
            "--password-stdin",
            "--kdf-memory",
            "19MiB",
            "--kdf-passes",
            "2",
        ])
        .unwrap_or_else(|error| panic!("{error}"));
        let Command::Init(init) = cli.command else {
            panic!("not init")
        };
        let base = Kdf {
            memory_kib: 1,
            passes: 3,
            lanes: 4,
        };
        assert_eq!(
            init.kdf.over(base),
            Some(Kdf {
                memory_kib: 19 << 10,
                passes: 2,
                lanes: 4
            })
        );
    }

    /// Guards that no option takes a password itself.
    #[test]
    fn no_password_in_arguments() {
        assert!(Cli::try_parse_from(["coffer", "mount", "--password", "x", "/m"]).is_err());
    }
}
