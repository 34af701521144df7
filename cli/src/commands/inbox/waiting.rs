//! What waits in an inbox: which files were seen, which of them are completely written, and which
//! have been taken in or failed.
//!
//! A file is ready when its writer closed it, or it was renamed into place, and nothing more came for
//! a moment; or when its size and time have not changed for [`QUIET`] and nobody has it open to write.
//! Guarantees that one that was taken in is not taken again while it is the same file, and that one
//! that failed is tried again, ever less often. Keeps nothing on disk.

use super::names::is_passing;
use super::still::{Mark, is_being_written, mark};
use std::collections::{BTreeMap, HashMap};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// Without a word that it is closed, a file is left alone so long after its last change.
pub(super) const QUIET: Duration = Duration::from_secs(2);
/// After such a word, so long.
const CLOSED: Duration = Duration::from_millis(200);
/// The first pause before something is tried again, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));
/// How often a file that is open is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// One that waits.
struct Seen {
    mark: Mark,
    /// Nothing changed since.
    since: Instant,
    /// Its writer has closed it, or it came by a rename.
    closed: bool,
    /// Not to be looked at before.
    not_before: Option<Instant>,
}

/// One that failed.
struct Failed {
    pause: Duration,
    again: Instant,
    mark: Mark,
}

/// See the module.
pub(super) struct Waiting {
    root: PathBuf,
    /// The root's device: what is mounted in it is another's.
    device: u64,
    seen: BTreeMap<PathBuf, Seen>,
    /// By device and inode, so that a rename takes nothing in twice.
    done: HashMap<(u64, u64), Mark>,
    failed: BTreeMap<PathBuf, Failed>,
}

impl Waiting {
    /// An inbox of which nothing is known.
    pub(super) fn new(root: &Path) -> Waiting {
        Waiting {
            root: root.to_owned(),
            device: root.metadata().map_or(0, |meta| meta.dev()),
            seen: BTreeMap::new(),
            done: HashMap::new(),
            failed: BTreeMap::new(),
        }
    }

    /// Looks through all of it.
    pub(super) fn look_through(&mut self) {
        let mut present = HashMap::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            // One that is gone, or may not be read, holds nothing now.
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let Ok(meta) = entry.metadata() else { continue };
                if meta.dev() != self.device || is_passing(entry.file_name().as_bytes()) {
                    continue;
                }
                let path = entry.path();
                if meta.is_dir() {
                    folders.push(path);
                } else if meta.is_file() {
                    let mark = mark(&meta);
                    present.insert((mark.0, mark.1), mark);
                    self.note(path, mark, meta.modified().ok(), None);
                }
            }
        }
        // Their numbers are soon another's.
        self.done.retain(|file, _| present.contains_key(file));
        self.failed.retain(|path, _| path.symlink_metadata().is_ok());
    }

    /// Something happened to a path; `closed`: what its writer did last.
    pub(super) fn happened(&mut self, path: &Path, closed: bool) {
        let Ok(below) = path.strip_prefix(&self.root) else {
            return;
        };
        if below.iter().any(|part| is_passing(part.as_bytes())) {
            return;
        }
        if let Ok(meta) = path.symlink_metadata()
            && meta.is_file()
            && meta.dev() == self.device
        {
            self.note(path.to_owned(), mark(&meta), None, Some(closed));
        }
    }

    fn note(&mut self, path: PathBuf, mark: Mark, modified: Option<SystemTime>, closed: Option<bool>) {
        if self.done.get(&(mark.0, mark.1)) == Some(&mark) {
            return;
        }
        if let Some(failed) = self.failed.get(&path) {
            if failed.mark == mark && closed.is_none() {
                return;
            }
            // It changed: a new chance.
            self.failed.remove(&path);
        }
        let now = Instant::now();
        // One that lies there for long has been quiet for long.
        let age = modified.and_then(|time| time.elapsed().ok()).unwrap_or_default();
        let since = now.checked_sub(age.min(QUIET)).unwrap_or(now);
        let seen = self.seen.entry(path).or_insert(Seen {
            mark,
            since,
            closed: false,
            not_before: None,
        });
        if let Some(closed) = closed {
            (seen.closed, seen.since, seen.mark) = (closed, now, mark);
        } else if seen.mark != mark {
            (seen.closed, seen.since, seen.mark) = (false, now, mark);
        }
    }

    /// Those that are to be taken in now, at most so many, each as it is.
    pub(super) fn ready(&mut self, most: usize) -> Vec<(PathBuf, Mark)> {
        let now = Instant::now();
        let again: Vec<PathBuf> = self
            .failed
            .iter()
            .filter(|(_, failed)| failed.again <= now)
            .map(|(path, _)| path.clone())
            .collect();
        let mut ready: Vec<(PathBuf, Mark)> = Vec::new();
        for path in again {
            match path.symlink_metadata() {
                Ok(meta) if ready.len() < most => ready.push((path, mark(&meta))),
                Ok(_) => {}
                Err(_) => drop(self.failed.remove(&path)),
            }
        }
        let mut gone = Vec::new();
        for (path, seen) in &mut self.seen {
            if ready.len() >= most {
                break;
            }
            if now.duration_since(seen.since) < seen.rest() || seen.not_before.is_some_and(|then| now < then)
            {
                continue;
            }
            match path.symlink_metadata().map(|meta| mark(&meta)) {
                Err(_) => gone.push(path.clone()),
                Ok(mark) if mark != seen.mark => (seen.closed, seen.since, seen.mark) = (false, now, mark),
                Ok(_) if is_being_written(path) => seen.not_before = Some(now + LOOK),
                Ok(mark) => ready.push((path.clone(), mark)),
            }
        }
        for path in gone {
            self.seen.remove(&path);
        }
        ready
    }

    /// Until when nothing can be due.
    pub(super) fn next(&self) -> Option<Instant> {
        let seen = self.seen.values().map(|seen| {
            let quiet = seen.since + seen.rest();
            seen.not_before.map_or(quiet, |then| then.max(quiet))
        });
        let failed = self.failed.values().map(|failed| failed.again);
        seen.chain(failed).min()
    }

    /// It was taken in as this, or is left alone for good. Whether that is new.
    pub(super) fn done(&mut self, path: &Path, mark: Mark) -> bool {
        self.seen.remove(path);
        self.failed.remove(path);
        self.done.insert((mark.0, mark.1), mark) != Some(mark)
    }

    /// How many wait to be tried again.
    pub(super) fn failures(&self) -> u64 {
        self.failed.len() as u64
    }

    /// It was removed.
    pub(super) fn removed(&mut self, mark: Mark) {
        self.done.remove(&(mark.0, mark.1));
    }

    /// It was not taken in; whether that is to be said, since it is the first time.
    pub(super) fn failed(&mut self, path: &Path, mark: Mark) -> bool {
        self.seen.remove(path);
        let (first, longest) = PAUSES;
        let is_news = !self.failed.contains_key(path);
        let failed = self.failed.entry(path.to_owned()).or_insert(Failed {
            pause: first,
            again: Instant::now(),
            mark,
        });
        failed.again = Instant::now() + failed.pause;
        failed.pause = (failed.pause * 2).min(longest);
        failed.mark = mark;
        is_news
    }
}

impl Seen {
    fn rest(&self) -> Duration {
        if self.closed { CLOSED } else { QUIET }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn set_age(path: &Path, age: Duration) {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }

    fn names(ready: &[(PathBuf, Mark)]) -> Vec<String> {
        let name = |(path, _): &(PathBuf, Mark)| path.file_name().unwrap().to_str().unwrap().to_owned();
        ready.iter().map(name).collect()
    }

    /// Guards what is found by looking alone, where nobody tells: what has lain there for long at once,
    /// what was just written later, what passes through and what somebody writes to never; and nothing
    /// twice, under another name either, until it changes.
    #[test]
    fn looking_is_enough() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in ["old", "new", "open", "x.part", ".#old"] {
            fs::write(at(name), name).unwrap();
            if name != "new" {
                set_age(&at(name), Duration::from_secs(60));
            }
        }
        let writer = fs::File::options().append(true).open(at("open")).unwrap();
        let mut waiting = Waiting::new(dir.path());
        waiting.look_through();
        let ready = waiting.ready(9);
        assert_eq!(names(&ready), ["old"]);
        assert!(waiting.done(&ready[0].0, ready[0].1));
        assert!(
            waiting.next().is_some_and(|next| next > Instant::now()),
            "of the other two"
        );
        drop(writer);
        fs::rename(at("old"), at("renamed")).unwrap();
        waiting.look_through();
        assert_eq!(names(&waiting.ready(9)), Vec::<String>::new());
        fs::write(at("renamed"), "other bytes").unwrap();
        set_age(&at("renamed"), Duration::from_secs(60));
        waiting.look_through();
        assert_eq!(names(&waiting.ready(9)), ["renamed"]);
    }

    /// Guards who fails: said once, and not asked again at once; a change is a new chance.
    #[test]
    fn failures_wait() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "x").unwrap();
        set_age(&path, Duration::from_secs(60));
        let mut waiting = Waiting::new(dir.path());
        waiting.look_through();
        let ready = waiting.ready(9);
        let (path, mark) = &ready[0];
        assert!(waiting.failed(path, *mark));
        assert!(!waiting.failed(path, *mark), "said already");
        assert_eq!(waiting.failures(), 1);
        let paused = waiting.next().unwrap().saturating_duration_since(Instant::now());
        assert!(paused > PAUSES.0, "the second pause is longer");
        waiting.look_through();
        assert!(waiting.ready(9).is_empty());
        fs::write(path, "more").unwrap();
        waiting.happened(path, true);
        assert_eq!(waiting.failures(), 0);
    }
}
