//! `coffer import --watch`: keeps an inbox.
//!
//! Guarantees that a file is taken in when it is completely written, never before; that nothing in the
//! vault is replaced; and that a file is removed, if asked for at all, only when the vault holds it
//! durably and its bytes were compared. Whatever fails is tried again and said once. An orderly end
//! (Ctrl-C, SIGTERM) ends at a file's end.
//!
//! Parts, each importing only those above it: `names` (what is not finished), `still` (who writes,
//! removing), `waiting` (what waits), `ears` (what wakes it).

mod ears;
mod names;
mod still;
mod waiting;

use super::import::from_root;
use super::transfer::open_to_write;
use super::{Reached, outside, reach, understood, within};
use crate::answers::{Intake, Reason, Taken};
use crate::args::Import;
use crate::client;
use crate::engine::{self, Stop};
use crate::failure::{Failure, Kind};
use crate::instance::Markers;
use crate::shown::Shown;
use crate::ui::{self, Ui};
use crate::units::{counted, size};
use crate::wire::{self, Item, Op, WirePath};
use ears::{Ears, Word};
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};
use still::Mark;
use waiting::Waiting;

/// Files that are asked for at a time.
const BATCH: usize = 64;
/// How long a daemon whose connection broke may take to be gone.
const FAREWELL: Duration = Duration::from_secs(3);

/// Takes in what appears in a folder, until it is told to end.
///
/// # Errors
/// `Usage` for a folder that cannot be one, `NotOpen` when the vault is locked meanwhile, or the
/// vault's.
pub(super) fn inbox(ui: &Ui, vault: &Path, args: &Import) -> Result<(), Failure> {
    let [dir] = args.sources.as_slice() else {
        return Err(Failure::usage("--watch keeps one folder; name it alone."));
    };
    let root = root(dir, vault)?;
    let into = WirePath(from_root(args.into.as_deref().unwrap_or(Path::new("/")), vault));
    match reach(vault)? {
        Reached::Daemon(found) => {
            let ears = Ears::open(&root, Some(found.card.pid))?;
            let interrupted = ears.interrupted.clone();
            let mut inbox = Inbox::new(ui, root, into, args.remove);
            inbox.keep(&ears, &mut |asked| {
                let mut progress = ui.progress();
                understood(found.ask_until(Op::Intake(asked), &interrupted, &mut progress)?)
            })
        }
        Reached::Sealed(sealed) => {
            let open = open_to_write(vault, sealed, &args.password)?;
            let opened = open.clone();
            let kept = within(open, |open| {
                let ears = Ears::open(&root, None)?;
                let mut inbox = Inbox::new(ui, root, into, args.remove);
                inbox.keep(&ears, &mut |asked| {
                    let stop = Stop::default();
                    let mut progress = ui.progress();
                    engine::intake(open, None, &asked, &stop, &mut |step| {
                        if ears.interrupted.load(Ordering::Relaxed) {
                            stop.ask();
                        }
                        progress(step);
                    })
                })
            });
            // How far it is now: else a restore of an earlier time today is not noticed.
            Markers::load(&opened.facts().id)?.remember(vault, &opened)?;
            kept
        }
    }
}

/// The folder, if it can be an inbox of this vault.
///
/// # Errors
/// `Usage`, or that it is not there.
fn root(dir: &Path, vault: &Path) -> Result<PathBuf, Failure> {
    let root = fs::canonicalize(outside(dir, vault)?)
        .map_err(|error| Failure::io(format_args!("find {}", dir.shown()), &error))?;
    if !root.is_dir() {
        return Err(Failure::usage(format!(
            "{} is no folder that can be watched.",
            dir.shown()
        )));
    }
    let own = fs::canonicalize(vault).unwrap_or_else(|_| vault.to_owned());
    let mount = client::of_vault(vault).map(|found| found.card.mountpoint.0);
    if own.starts_with(&root) || mount.is_some_and(|mount| mount.starts_with(&root)) {
        return Err(Failure::usage(format!(
            "The vault itself lies in {}; watch a folder that does not hold it.",
            dir.shown()
        )));
    }
    Ok(root)
}

/// What came of one file, for programs.
#[derive(Serialize)]
struct Line<'a> {
    path: WirePath,
    taken: &'a Taken,
    removed: bool,
}

/// What came of it all.
#[derive(Default, Serialize)]
struct Sum {
    new_files: u64,
    there: u64,
    removed: u64,
    /// Those that were not taken in, and would be tried again.
    missing: u64,
    bytes: u64,
}

struct Inbox<'a> {
    ui: &'a Ui,
    root: PathBuf,
    into: WirePath,
    remove: bool,
    waiting: Waiting,
    sum: Sum,
}

/// Has the vault take files in.
type Ask<'a> = &'a mut dyn FnMut(wire::Intake) -> Result<Intake, Failure>;

impl<'a> Inbox<'a> {
    fn new(ui: &'a Ui, root: PathBuf, into: WirePath, remove: bool) -> Inbox<'a> {
        Inbox {
            ui,
            waiting: Waiting::new(&root),
            root,
            into,
            remove,
            sum: Sum::default(),
        }
    }

    fn keep(&mut self, ears: &Ears, ask: Ask<'_>) -> Result<(), Failure> {
        ui::remark(&format!("Watching {}; Ctrl-C ends it.", self.root.shown()));
        let mut next_look = Instant::now();
        let ended = loop {
            if ears.interrupted.load(Ordering::Relaxed) {
                break Ok(());
            }
            if Instant::now() >= next_look {
                if !self.root.is_dir() {
                    break Err(Failure::failed(format!(
                        "The folder {} is gone, so nothing more comes from it.",
                        self.root.shown()
                    )));
                }
                self.waiting.look_through();
                next_look = Instant::now() + ears.every;
            }
            let ready = self.waiting.ready(BATCH);
            if !ready.is_empty() {
                match self.take(&ready, ask) {
                    Ok(()) => continue,
                    Err(failure) => break Err(self.or_locked(failure, ears)),
                }
            }
            let until = self.waiting.next().map_or(next_look, |next| next.min(next_look));
            let rest = until.saturating_duration_since(Instant::now());
            match ears.words.recv_timeout(rest.max(Duration::from_millis(10))) {
                Ok(Word::Happened(path, closed)) => self.waiting.happened(&path, closed),
                Ok(Word::Look) => next_look = Instant::now(),
                Ok(Word::Locked) => break Err(locked()),
                Ok(Word::End) | Err(RecvTimeoutError::Timeout) => {}
                // Its senders live as long as this process; were they gone, nothing would be heard.
                Err(RecvTimeoutError::Disconnected) => break Ok(()),
            }
        };
        self.sum.missing = self.waiting.failures();
        self.ui.answer(&self.sum, || summary(&self.sum));
        ended
    }

    /// The failure, or, if the daemon is gone, that.
    fn or_locked(&self, failure: Failure, ears: &Ears) -> Failure {
        let until = Instant::now() + FAREWELL;
        if failure.kind == Kind::NotOpen {
            return locked();
        }
        while let Ok(word) = ears
            .words
            .recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            if matches!(word, Word::Locked) {
                return locked();
            }
        }
        failure
    }

    /// Has these taken in.
    ///
    /// # Errors
    /// When there is no use in going on.
    fn take(&mut self, ready: &[(PathBuf, Mark)], ask: Ask<'_>) -> Result<(), Failure> {
        let items = ready.iter().filter_map(|(path, _)| {
            let below = path.strip_prefix(&self.root).ok()?;
            Some(Item {
                path: WirePath(path.clone()),
                folder: WirePath(below.parent().unwrap_or(Path::new("")).to_owned()),
                name: WirePath(PathBuf::from(below.file_name()?)),
            })
        });
        let asked = wire::Intake {
            items: items.collect(),
            into: self.into.clone(),
            compare: self.remove,
        };
        let answer = match ask(asked) {
            // Somebody may make room.
            Err(failure) if failure.kind == Kind::NoSpace => {
                let mut is_news = true;
                for (path, mark) in ready {
                    is_news &= self.waiting.failed(path, *mark);
                }
                if is_news {
                    ui::remark(&format!("{} It is tried again.", failure.message));
                }
                return Ok(());
            }
            answer => answer?,
        };
        for ((path, mark), taken) in ready.iter().zip(&answer.items) {
            self.came(path, *mark, taken);
        }
        Ok(())
    }

    fn came(&mut self, path: &Path, mark: Mark, taken: &Taken) {
        if let Some((reason, why)) = &taken.left {
            let shown = path.strip_prefix(&self.root).unwrap_or(path).shown();
            match reason {
                Reason::Special | Reason::Own => {
                    self.waiting.done(path, mark);
                    ui::remark(&format!("Left alone: {shown}: {why}."));
                }
                _ if self.waiting.failed(path, mark) => {
                    ui::remark(&format!("Not taken in yet: {shown}: {why}. It is tried again."));
                }
                _ => {}
            }
            return;
        }
        let (sec, nsec) = taken.changed;
        let was: Mark = (mark.0, taken.ino, taken.bytes, (sec, i64::from(nsec)));
        let is_first = self.waiting.done(path, was);
        let removed = self.remove && self.removed(path, was, taken);
        self.sum.new_files += u64::from(taken.is_new);
        self.sum.there += u64::from(!taken.is_new && is_first);
        self.sum.removed += u64::from(removed);
        self.sum.bytes += if taken.is_new { taken.bytes } else { 0 };
        if taken.is_new || removed {
            let line = Line {
                path: WirePath(path.to_owned()),
                taken,
                removed,
            };
            self.ui.answer(&line, || self.line(path, taken));
        }
    }

    fn line(&self, path: &Path, taken: &Taken) -> String {
        let below = path.strip_prefix(&self.root).unwrap_or(path);
        let name = taken.name.as_ref().map_or(below, |name| name.0.as_path());
        let renamed = match name == below {
            true => String::new(),
            false => format!(" as {}", name.shown()),
        };
        let how = if taken.is_new { "Taken in" } else { "There already" };
        format!("{how}: {}{renamed} ({})", below.shown(), size(taken.bytes))
    }

    /// Removes what the vault has by now.
    fn removed(&mut self, path: &Path, was: Mark, taken: &Taken) -> bool {
        let shown = path.strip_prefix(&self.root).unwrap_or(path).shown().to_string();
        if !taken.same {
            // It changed after it was taken in, and comes again; or the one in the vault did.
            return false;
        }
        match still::remove(path, was) {
            Ok(true) => {
                self.waiting.removed(was);
                return true;
            }
            // Somebody has it open: the next time it is there already, and goes.
            Ok(false) => drop(self.waiting.failed(path, was)),
            Err(error) => {
                if self.waiting.failed(path, was) {
                    let why = crate::failure::reason(&error);
                    ui::remark(&format!(
                        "Taken in, but not removed yet: {shown}: {why}. It is tried again."
                    ));
                }
            }
        }
        false
    }
}

fn locked() -> Failure {
    Failure::new(
        Kind::NotOpen,
        "The vault was locked, so nothing more is taken in; what was taken in before is kept. Open it with “coffer mount”, and start this again.",
    )
}

fn summary(sum: &Sum) -> String {
    let mut text = format!(
        "Taken in: {} new ({})",
        counted(sum.new_files, "file", "files"),
        size(sum.bytes)
    );
    for (count, how) in [
        (sum.there, "there already"),
        (sum.removed, "removed from the folder"),
        (sum.missing, "not taken in"),
    ] {
        if count > 0 {
            text.push_str(&format!(", {count} {how}"));
        }
    }
    text.push('.');
    text
}
