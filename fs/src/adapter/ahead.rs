//! Files that show other bytes than the kernel was told of: what it keeps of them is not to be believed.
//!
//! What is shown is published first, and the kernel is told after that, from another thread. Whoever opens
//! such a file in between would be recorded as a reader of the new bytes, and be handed the kept ones, or
//! the new ones cut at the kept size. So an answer that opens such a file, or says how long it is, goes out
//! after the kernel has forgotten the file's pages and attributes, from threads of their own, with attributes that
//! were taken after that. It needs no time limit, because it waits for nothing but reads and writes of that one
//! file that are under way, which are answered without asking here; and nobody who waits for one of these answers
//! holds a page, or keeps one from being written out. (To answer without FOPEN_KEEP_CACHE is not enough: it
//! leaves the size.)
//!
//! An old size may also be on its way to the kernel, in an answer that was right when it was given. Where the
//! kernel has the file, it passes over each size that it asked for before it was last told to forget. Where it has
//! not, telling it does nothing, and the answer brings the file with the old size. So a file stops being ahead only when
//! the kernel forgets it and surely had it ([`Known::Surely`]: who asks has the file itself), or after everybody
//! who was looking into its folders was through (see `announce`). What the kernel takes without asking how
//! old it is (of SETATTR, LINK, CREATE) it is not to keep: see the handlers.
//!
//! Guarantees: from [`Ahead::mark`] until the kernel has forgotten it, a file is ahead. Once somebody has opened it, it
//! is not forgotten again without another mark: a reader who is just asking how long it is would not get
//! the answer, and end at the size before. So one file is forgotten by one thread at a time.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crossbeam_channel::{Receiver, Sender, unbounded};
use fuser::{INodeNo, Notifier};
use parking_lot::{Condvar, Mutex};

use crate::types::Ino;

/// So many files may be waited for at once.
pub(super) const WORKERS: usize = 4;

/// Marks what has become known since it was last called.
type News = Box<dyn Fn() + Send + Sync>;
type Answer = Box<dyn FnOnce(&Notifier) + Send>;

/// A moment in which a file was marked: two of one file are two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark(u64);

/// Whether the kernel has a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It asks for the file itself, or has since been asked in vain whether somebody is about to bring it.
    Surely,
    /// It may be about to learn of it from this answer, or from another.
    Perhaps,
}

#[derive(Default)]
struct Marks {
    /// When each file that is ahead was marked last.
    files: HashMap<Ino, Mark>,
    last: u64,
    /// Files that the kernel is being told to forget.
    going: HashSet<Ino>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Ahead {
    marks: Mutex<Marks>,
    /// One of those that were going is gone.
    gone: Condvar,
    news: OnceLock<News>,
}

/// Where to put answers that wait until files are forgotten.
pub(super) struct Waiting {
    pub(super) ahead: Arc<Ahead>,
    answers: Vec<Sender<Answer>>,
}

/// One of the other ends.
pub(super) struct Forgetter {
    answers: Receiver<Answer>,
    panics: Arc<AtomicU64>,
}

impl Ahead {
    /// This file shows other bytes, from now on or already.
    pub(super) fn mark(&self, ino: Ino) {
        let mut marks = self.marks.lock();
        marks.last += 1;
        let mark = Mark(marks.last);
        marks.files.insert(ino, mark);
    }

    /// When this file was marked, if it is ahead.
    pub(super) fn marked(&self, ino: Ino) -> Option<Mark> {
        self.marks.lock().files.get(&ino).copied()
    }

    /// The kernel keeps nothing of what it had of the file at this mark. One that came since stays.
    pub(super) fn is_forgotten(&self, ino: Ino, mark: Mark) {
        let mut marks = self.marks.lock();
        if marks.files.get(&ino) == Some(&mark) {
            marks.files.remove(&ino);
        }
    }

    /// Has the kernel forget pages and attributes of a file, if it is ahead. Waits for its pages that are being
    /// read or written, and for who does the same.
    pub(super) fn forget(&self, ino: Ino, known: Known, notifier: &Notifier) {
        let Some((mark, _going)) = self.begin(ino) else {
            return;
        };
        // ENOENT: the kernel holds nothing of this file. Any other error comes from a connection
        // that is gone.
        let _ = notifier.inval_inode(INodeNo(ino), 0, 0);
        if known == Known::Surely {
            self.is_forgotten(ino, mark);
        }
    }

    /// The file's mark, once nobody else has the kernel forget it; none if it is not ahead then.
    fn begin(&self, ino: Ino) -> Option<(Mark, Going<'_>)> {
        let mut marks = self.marks.lock();
        loop {
            let mark = marks.files.get(&ino).copied()?;
            if marks.going.insert(ino) {
                return Some((mark, Going { ahead: self, ino }));
            }
            self.gone.wait(&mut marks);
        }
    }

    /// Has this called before each look, on a thread that serves: it is not to wait for anything. Only the
    /// first one counts.
    pub(super) fn look_before(&self, news: News) {
        let _ = self.news.set(news);
    }

    /// How often a file was marked until now. Where it is still as often, what was asked of the file
    /// system since then is true.
    pub(super) fn moment(&self) -> u64 {
        self.marks.lock().last
    }

    /// The moment, after what has become known, and whether this file is ahead in it.
    pub(super) fn look(&self, ino: Ino) -> (u64, bool) {
        self.hear();
        let marks = self.marks.lock();
        (marks.last, marks.files.contains_key(&ino))
    }

    fn hear(&self) {
        if let Some(news) = self.news.get() {
            news();
        }
    }

    /// Which of these files are ahead; to be asked after the file system was, so that what it showed by
    /// then is marked.
    fn among(&self, files: &[Ino]) -> Vec<Ino> {
        self.hear();
        let marks = self.marks.lock();
        if marks.files.is_empty() {
            return Vec::new();
        }
        let ahead = files.iter().filter(|ino| marks.files.contains_key(ino));
        ahead.copied().collect()
    }
}

/// While it is there, nobody else has the kernel forget this file.
struct Going<'a> {
    ahead: &'a Ahead,
    ino: Ino,
}

impl Drop for Going<'_> {
    fn drop(&mut self) {
        self.ahead.marks.lock().going.remove(&self.ino);
        self.ahead.gone.notify_all();
    }
}

impl Waiting {
    /// Both ends. The queues need no bound: each entry is a request that a process waits for, and
    /// the kernel bounds those. `panics` counts the answers that panicked.
    pub(super) fn new(ahead: Arc<Ahead>, panics: &Arc<AtomicU64>) -> (Waiting, Vec<Forgetter>) {
        let ends = (0..WORKERS).map(|_| {
            let (sender, answers) = unbounded();
            let panics = panics.clone();
            (sender, Forgetter { answers, panics })
        });
        let (answers, forgetters) = ends.unzip();
        (Waiting { ahead, answers }, forgetters)
    }

    /// Gives an answer about this file from a thread that may have the kernel forget it.
    pub(super) fn later(&self, ino: Ino, answer: impl FnOnce(&Notifier) + Send + 'static) {
        // All of one file by the same thread: so one that is being read for long holds up no more than that.
        // Only a thread that is gone (its connection with it) takes none; then nobody waits either.
        let _ = self.answers[ino as usize % WORKERS].send(Box::new(answer));
    }

    /// Gives an answer that lets the kernel use these files: at once, or after it has forgotten what it keeps
    /// of them. To be called after the file system was asked.
    pub(super) fn answer(&self, files: &[Ino], known: Known, answer: impl FnOnce() + Send + 'static) {
        let files = self.ahead.among(files);
        let Some(first) = files.first() else {
            return answer();
        };
        let ahead = self.ahead.clone();
        self.later(*first, move |notifier| {
            for ino in files {
                ahead.forget(ino, known, notifier);
            }
            answer();
        });
    }
}

impl Forgetter {
    /// Works until the adapter is gone. An answer that panics is dropped, and says EIO.
    pub(super) fn work(self, notifier: &Notifier) {
        for answer in self.answers {
            if catch_unwind(AssertUnwindSafe(|| answer(notifier))).is_err() {
                self.panics.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards that a mark that came while the kernel forgot stays, that nothing stays otherwise, and that
    /// news are heard before each look.
    #[test]
    fn a_mark_goes_when_it_is_forgotten() {
        let ahead = Arc::new(Ahead::default());
        assert!(ahead.among(&[5]).is_empty());
        let before = ahead.moment();
        ahead.mark(5);
        assert_ne!(ahead.moment(), before);
        let first = ahead.marked(5).unwrap();
        assert_eq!(ahead.among(&[4, 5, 6]), [5]);
        ahead.mark(5);
        ahead.is_forgotten(5, first);
        assert_eq!(ahead.among(&[5]), [5], "it shows other bytes again");
        let marked = ahead.moment();
        ahead.is_forgotten(5, ahead.marked(5).unwrap());
        assert!(ahead.among(&[5]).is_empty());
        assert!(ahead.marks.lock().files.is_empty());
        assert_eq!(ahead.moment(), marked, "to forget is no news");
        let weak = Arc::downgrade(&ahead);
        ahead.look_before(Box::new(move || weak.upgrade().unwrap().mark(7)));
        assert_eq!(ahead.among(&[7]), [7]);
        let moment = ahead.moment();
        assert_eq!(ahead.look(7), (moment + 1, true));
    }

    /// Guards that two threads do not have the kernel forget one file after the other for one mark: who
    /// comes second finds nothing to do. Other files are not waited for.
    #[test]
    fn one_file_is_forgotten_by_one_at_a_time() {
        let ahead = Ahead::default();
        ahead.mark(5);
        ahead.mark(6);
        let (mark, going) = ahead.begin(5).unwrap();
        assert!(ahead.begin(6).is_some());
        std::thread::scope(|scope| {
            let second = scope.spawn(|| ahead.begin(5).is_some());
            ahead.is_forgotten(5, mark);
            drop(going);
            assert!(!second.join().unwrap());
        });
        assert!(ahead.marks.lock().going.is_empty());
    }
}
