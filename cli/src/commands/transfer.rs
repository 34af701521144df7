//! What `coffer import` and `coffer export` share: reaching the vault for them, ^C, the summary.
//!
//! Guarantees that the first ^C ends at a file's end, with the summary of what was done, and that
//! the second ends at once; and that whatever was left out is told, also by the exit code.

use super::{Reached, understood, within};
use crate::answers::Transfer;
use crate::args::PasswordArgs;
use crate::client::Found;
use crate::engine::{OnProgress, Sealed, Stop, Vault};
use crate::failure::{Failure, Kind};
use crate::instance;
use crate::shown::Shown;
use crate::ui::{Ui, table};
use crate::units::{counted, size};
use crate::wire::Op;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How many of those that were left out are named to a person.
const NAMED: usize = 10;

/// Does it: by the daemon that holds the vault, or in this process. `sealed` says how a vault that
/// nobody holds is opened for it.
///
/// # Errors
/// As `op` or `work` say, or the vault's.
pub(super) fn carry(
    ui: &Ui,
    reached: Reached,
    op: Op,
    open: impl FnOnce(Sealed) -> Result<Vault, Failure>,
    work: impl FnOnce(&Vault, &Stop, OnProgress<'_>) -> Result<Transfer, Failure>,
) -> Result<Transfer, Failure> {
    match reached {
        Reached::Daemon(found) => ask(ui, &found, op),
        Reached::Sealed(sealed) => {
            let open = open(sealed)?;
            let interrupted = on_interrupt()?;
            let stop = Stop::default();
            let mut progress = ui.progress();
            within(open, |open| {
                work(open, &stop, &mut |step| {
                    if interrupted.load(Ordering::Relaxed) {
                        stop.ask();
                    }
                    progress(step);
                })
            })
        }
    }
}

fn ask(ui: &Ui, found: &Found, op: Op) -> Result<Transfer, Failure> {
    let interrupted = on_interrupt()?;
    let mut progress = ui.progress();
    understood(found.ask_until(op, &interrupted, &mut progress)?)
}

/// Set by the first ^C; the second ends the program.
fn on_interrupt() -> Result<Arc<AtomicBool>, Failure> {
    use signal_hook::consts::SIGINT;
    let set = Arc::new(AtomicBool::new(false));
    let failed = |error: std::io::Error| Failure::io("listen for ^C", &error);
    // In this order: the second finds it set.
    signal_hook::flag::register_conditional_default(SIGINT, Arc::clone(&set)).map_err(failed)?;
    signal_hook::flag::register(SIGINT, Arc::clone(&set)).map_err(failed)?;
    Ok(set)
}

/// Opens a vault that nobody holds, to be written to.
///
/// # Errors
/// `Question` for one that may be a copy: “coffer mount” settles that; else as `take_into_use`.
pub(super) fn open_to_write(vault: &Path, sealed: Sealed, args: &PasswordArgs) -> Result<Vault, Failure> {
    let mut sealed = Some(sealed);
    let opened = super::retrying(vault, args, |password| {
        let held = match sealed.take() {
            Some(held) => held,
            None => Sealed::open(vault)?,
        };
        instance::take_into_use(vault, held, password, None)
    });
    opened
        .map(|(open, _)| open)
        .map_err(|failure| match failure.kind {
            Kind::Question => Failure {
                message: format!("{} Say so to “coffer mount”, once.", failure.message),
                ..failure
            },
            _ => failure,
        })
}

/// Tells what was done.
///
/// # Errors
/// `Incomplete` if something was left out that could have gone, `Failed` if it was stopped.
pub(super) fn tell(ui: &Ui, sum: &Transfer, done: &str) -> Result<(), Failure> {
    ui.answer(sum, || summary(sum, done));
    if sum.stopped {
        return Err(Failure::failed(
            "Stopped before the end; what was done is kept, and the same command goes on from there.",
        ));
    }
    if sum.missing > 0 {
        let what = counted(sum.missing, "thing was left out", "things were left out");
        return Err(Failure::new(
            Kind::Incomplete,
            format!("{what}; the report says why."),
        ));
    }
    Ok(())
}

fn summary(sum: &Transfer, done: &str) -> String {
    let mut text = String::new();
    let skipped = sum.skipped.len() as u64 + sum.more_skipped;
    if skipped > 0 {
        let rows: Vec<[String; 2]> = sum
            .skipped
            .iter()
            .take(NAMED)
            .map(|skipped| [format!("  {}", skipped.path.0.shown()), skipped.why.clone()])
            .collect();
        text.push_str("Left out:\n");
        text.push_str(&table(&rows));
        if skipped > NAMED as u64 {
            let more = counted(skipped - NAMED as u64, "other", "others");
            text.push_str(&format!("  and {more}; --json names them.\n"));
        }
    }
    let mut counts = vec![format!(
        "{} and {} new",
        counted(sum.new_files, "file", "files"),
        counted(sum.new_folders, "folder", "folders")
    )];
    let further = [
        (sum.new_links, "hard link", "hard links", ""),
        (sum.replaced, "file", "files", " replaced"),
        (sum.there, "file", "files", " there already"),
        (skipped, "thing", "things", " left out"),
    ];
    for (count, one, many, how) in further {
        if count > 0 {
            counts.push(format!("{}{how}", counted(count, one, many)));
        }
    }
    let mut read = format!("{} read", size(sum.read_bytes));
    if sum.saved_bytes > 0 {
        read.push_str(&format!(", {} of it stored before", size(sum.saved_bytes)));
    }
    let rate = (sum.read_bytes as f64 / sum.seconds.max(0.001)) as u64;
    text.push_str(&format!(
        "{done}: {}. {read}, in {:.1} s ({}/s).",
        counts.join(", "),
        sum.seconds,
        size(rate)
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::{Reason, Skipped};
    use crate::wire::WirePath;

    /// Guards the summary: what is zero is not said, and not everything is named.
    #[test]
    fn a_summary_says_what_matters() {
        let mut sum = Transfer {
            new_files: 1,
            new_folders: 2,
            read_bytes: 2048,
            seconds: 2.0,
            ..Transfer::default()
        };
        assert_eq!(
            summary(&sum, "Taken in"),
            "Taken in: 1 file and 2 folders new. 2.0 KiB read, in 2.0 s (1.0 KiB/s)."
        );
        for i in 0..12 {
            sum.skipped.push(Skipped {
                path: WirePath(format!("/x/{i}").into()),
                reason: Reason::Differs,
                why: "it differs".into(),
            });
        }
        let text = summary(&sum, "Taken in");
        assert!(
            text.contains("  /x/9  it differs\n  and 2 others; --json names them.\n"),
            "{text}"
        );
        assert!(
            !text.contains("/x/10") && text.contains(", 12 things left out."),
            "{text}"
        );
    }
}
