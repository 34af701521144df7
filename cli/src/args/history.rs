//! The command line of what is about the past.

use super::PasswordArgs;
use crate::units;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Args)]
#[allow(missing_docs)]
pub(crate) struct Log {
    /// The file
    pub path: PathBuf,
    /// Only so many, the newest
    #[arg(short = 'n', long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Of what was removed there, though something is there again
    #[arg(long)]
    pub removed: bool,
    #[command(flatten)]
    pub password: PasswordArgs,
}

#[derive(Args)]
#[allow(missing_docs)]
pub(crate) struct Show {
    /// The file, and which version; the present one if absent
    #[arg(value_name = "PATH[@VERSION]")]
    pub path: PathBuf,
    /// To a terminal too, whatever is in it
    #[arg(long)]
    pub force: bool,
    /// Of what was removed there, though something is there again
    #[arg(long)]
    pub removed: bool,
    #[command(flatten)]
    pub password: PasswordArgs,
}

#[derive(Args)]
#[allow(missing_docs)]
pub(crate) struct Diff {
    /// The file, and from which version on; if absent, from the one before the present
    #[arg(value_name = "PATH[@VERSION]")]
    pub from: PathBuf,
    /// Up to which version, of this or another file; the present one if absent. “@VERSION” alone means the same file
    #[arg(value_name = "PATH[@VERSION]")]
    pub to: Option<PathBuf>,
    /// By lines, as patch(1) takes it
    #[arg(short, long, conflicts_with = "stat")]
    pub unified: bool,
    /// Only how much changed
    #[arg(long)]
    pub stat: bool,
    #[command(flatten)]
    pub password: PasswordArgs,
}

#[derive(Args)]
#[allow(missing_docs)]
pub(crate) struct Merges {
    /// Only of this file
    pub path: Option<PathBuf>,
    /// Only so many, the newest [default: 20]
    #[arg(short = 'n', long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..), conflicts_with_all = ["all", "undo"])]
    pub count: Option<u64>,
    /// All of them
    #[arg(long, conflicts_with = "undo")]
    pub all: bool,
    /// Show what each side did; of one merge, by its name in the list
    #[arg(long, value_name = "PATH|MERGE", num_args = 0..=1, conflicts_with = "undo")]
    pub diff: Option<Option<PathBuf>>,
    /// Take this merge back, by its name in the list: the file and the versions that came together, as in Notes/Garden.md@4+5; behind PATH, @4+5 will do
    #[arg(long, value_name = "MERGE")]
    pub undo: Option<PathBuf>,
    /// Which side stays: mine, theirs, a device, or @VERSION; both: nothing is taken back any more [default: mine]
    #[arg(long, value_name = "SIDE", requires = "undo")]
    pub keep: Option<String>,
    #[command(flatten)]
    pub password: PasswordArgs,
}

#[derive(Args)]
#[allow(missing_docs)]
pub(crate) struct Restore {
    /// The file, and which version; if absent, the one before the present. Or what was removed
    #[arg(value_name = "PATH[@VERSION]")]
    pub path: PathBuf,
    /// Under this path instead, where nothing is yet
    #[arg(long, value_name = "OTHER")]
    pub to: Option<PathBuf>,
    /// What was removed there, though something is there again
    #[arg(long)]
    pub removed: bool,
    #[command(flatten)]
    pub password: PasswordArgs,
}

#[derive(Args)]
#[allow(missing_docs)]
pub(crate) struct Trash {
    /// Only what lay there or below
    pub path: Option<PathBuf>,
    /// Destroy it for good
    #[arg(long)]
    pub empty: bool,
    /// Only what was removed so long ago: 30d, 12h
    #[arg(long, value_name = "TIME", requires = "empty", value_parser = age)]
    pub older_than: Option<Duration>,
    /// Do not ask
    #[arg(short, long, requires = "empty")]
    pub yes: bool,
    #[command(flatten)]
    pub password: PasswordArgs,
}

#[derive(Args)]
#[allow(missing_docs)]
pub(crate) struct Purge {
    /// The file or folder
    pub path: PathBuf,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    #[command(flatten)]
    pub password: PasswordArgs,
}

#[derive(Args)]
#[allow(missing_docs)]
pub(crate) struct Gc {
    #[command(flatten)]
    pub password: PasswordArgs,
}

fn age(text: &str) -> Result<Duration, String> {
    units::parse_span(text)?.ok_or_else(|| format!("“{text}” is no age; write it like 30d or 12h"))
}
