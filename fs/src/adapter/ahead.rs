//! Files that show other bytes than the kernel was told of: what it keeps of them is not to be believed.
//!
//! What is shown is published first, and the kernel is told after that, from another thread. Whoever opens
//! such a file in between would be recorded as a reader of the new bytes, and be handed the kept ones, or
//! the new ones cut at the kept size. So an answer that opens such a file, or says how long it is, goes out
//! after the kernel has forgotten the file's pages and attributes, from a thread of its own. That needs no time
//! limit, because it waits for nothing but reads and writes of that one file that are under way, which are
//! answered without asking here; and nobody who waits for one of these answers holds a page, or keeps one from being
//! written out. (To answer without FOPEN_KEEP_CACHE is not enough: it leaves the size.)
//!
//! Guarantees: from [`Ahead::mark`] until the kernel has forgotten it, a file is ahead. It is forgotten once
//! for each mark, by whoever comes first, because the kernel passes over all sizes that it asked for
//! before it was last told to forget.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::OnceLock;

use crossbeam_channel::{Receiver, Sender, unbounded};
use fuser::{INodeNo, Notifier};
use parking_lot::Mutex;

use crate::types::Ino;

/// Marks what has become known since it was last called.
type News = Box<dyn Fn() + Send + Sync>;
type Answer = Box<dyn FnOnce() + Send>;

/// A moment in which a file was marked: two of one file are two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark(u64);

#[derive(Default)]
struct Marks {
    /// When each file that is ahead was marked last.
    files: HashMap<Ino, Mark>,
    last: u64,
}

/// See the module.
#[derive(Default)]
pub(super) struct Ahead {
    marks: Mutex<Marks>,
    news: OnceLock<News>,
}

/// Where to put answers that wait until files are forgotten.
pub(super) struct Waiting {
    ahead: Arc<Ahead>,
    answers: Sender<(Vec<Ino>, Answer)>,
}

/// The other end.
pub(super) struct Forgetter {
    ahead: Arc<Ahead>,
    answers: Receiver<(Vec<Ino>, Answer)>,
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

    /// Has the kernel forget pages and attributes of a file, if it is ahead. Waits for its pages that are being read or written.
    pub(super) fn forget(&self, ino: Ino, notifier: &Notifier) {
        if let Some(mark) = self.marked(ino) {
            // ENOENT: the kernel holds nothing of this file, which is what was wanted. Any other
            // error comes from a connection that is gone.
            let _ = notifier.inval_inode(INodeNo(ino), 0, 0);
            self.is_forgotten(ino, mark);
        }
    }

    /// Has this called before each look, on a thread that serves: it is not to wait for anything. Only the
    /// first one counts.
    pub(super) fn look_before(&self, news: News) {
        let _ = self.news.set(news);
    }

    /// Which of these files are ahead; to be asked after the file system was, so that what it showed by
    /// then is marked.
    fn among(&self, files: &[Ino]) -> Vec<Ino> {
        if let Some(news) = self.news.get() {
            news();
        }
        let marks = self.marks.lock();
        if marks.files.is_empty() {
            return Vec::new();
        }
        let ahead = files.iter().filter(|ino| marks.files.contains_key(ino));
        ahead.copied().collect()
    }
}

impl Waiting {
    /// Both ends. The queue needs no bound: each entry is a request that a process waits for, and
    /// the kernel bounds those.
    pub(super) fn new(ahead: Arc<Ahead>) -> (Waiting, Forgetter) {
        let (sender, receiver) = unbounded();
        let forgetter = Forgetter {
            ahead: ahead.clone(),
            answers: receiver,
        };
        (
            Waiting {
                ahead,
                answers: sender,
            },
            forgetter,
        )
    }

    /// Gives an answer that lets the kernel use these files, or says how long they are: at once, or after it
    /// has forgotten what it keeps of them. To be called after the file system was asked.
    pub(super) fn answer(&self, files: &[Ino], answer: impl FnOnce() + Send + 'static) {
        let ahead = self.ahead.among(files);
        if ahead.is_empty() {
            return answer();
        }
        // Only a thread that is gone (its connection with it) takes none; then nobody waits either.
        let _ = self.answers.send((ahead, Box::new(answer)));
    }
}

impl Forgetter {
    /// Works until the adapter is gone.
    pub(super) fn work(self, notifier: &Notifier) {
        for (files, answer) in self.answers {
            for ino in files {
                self.ahead.forget(ino, notifier);
            }
            answer();
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
        ahead.mark(5);
        let first = ahead.marked(5).unwrap();
        assert_eq!(ahead.among(&[4, 5, 6]), [5]);
        ahead.mark(5);
        ahead.is_forgotten(5, first);
        assert_eq!(ahead.among(&[5]), [5], "it shows other bytes again");
        ahead.is_forgotten(5, ahead.marked(5).unwrap());
        assert!(ahead.among(&[5]).is_empty());
        assert!(ahead.marks.lock().files.is_empty());
        let weak = Arc::downgrade(&ahead);
        ahead.look_before(Box::new(move || weak.upgrade().unwrap().mark(7)));
        assert_eq!(ahead.among(&[7]), [7]);
    }
}
