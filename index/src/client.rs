//! The other end of the index: starts its process, tells it things, asks it questions.
//!
//! Guarantees that the process ends when this does. Knows nothing of what it tells.

use std::io::{self, BufWriter, IoSlice, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use parking_lot::Mutex;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

use crate::said::{Answer, Question, Say, Tell, receive, send};

/// The process.
pub struct Client {
    child: Mutex<Child>,
    told: Mutex<BufWriter<UnixStream>>,
    said: Mutex<UnixStream>,
    questions: Mutex<UnixStream>,
}

impl Client {
    /// Starts it by this command, which has to call [`crate::worker::run`] with its standard input and standard output.
    ///
    /// # Errors
    /// The system's.
    pub fn start(mut command: Command) -> io::Result<Client> {
        let (told, theirs) = UnixStream::pair()?;
        let (questions, handed) = UnixStream::pair()?;
        let child = command
            .stdin(OwnedFd::from(theirs))
            .stdout(OwnedFd::from(handed))
            .stderr(Stdio::inherit())
            .spawn()?;
        let said = told.try_clone()?;
        Ok(Client {
            child: Mutex::new(child),
            told: Mutex::new(BufWriter::with_capacity(256 << 10, told)),
            said: Mutex::new(said),
            questions: Mutex::new(questions),
        })
    }

    /// Tells it something, perhaps later.
    ///
    /// # Errors
    /// The stream's: the process has ended.
    pub fn tell(&self, tell: &Tell) -> io::Result<()> {
        send(&mut *self.told.lock(), tell)
    }

    /// Tells all that waits.
    ///
    /// # Errors
    /// As [`Client::tell`].
    pub fn flush(&self) -> io::Result<()> {
        self.told.lock().flush()
    }

    /// What it says next; none when it has ended. One thread has to listen all the time.
    ///
    /// # Errors
    /// The stream's.
    pub fn listen(&self) -> io::Result<Option<Say>> {
        receive(&mut *self.said.lock())
    }

    /// Asks it something; where the answer comes. Closing it ends the question.
    ///
    /// # Errors
    /// The stream's: the process has ended.
    pub fn ask(&self, question: &Question) -> io::Result<Answers> {
        let (ours, mut theirs) = UnixStream::pair()?;
        {
            let fds = [theirs.as_fd()];
            let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut hand = SendAncillaryBuffer::new(&mut space);
            hand.push(SendAncillaryMessage::ScmRights(&fds));
            let to = self.questions.lock();
            rustix::net::sendmsg(&*to, &[IoSlice::new(&[0])], &mut hand, SendFlags::NOSIGNAL)?;
        }
        theirs.flush()?;
        drop(theirs);
        send(&mut &ours, question)?;
        Ok(Answers(ours))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.lock().id()
    }

    /// Ends it, and waits until it is gone.
    pub fn end(&self) {
        let mut child = self.child.lock();
        // One that has ended already is only waited for.
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.end();
    }
}

/// An answer, as it comes.
pub struct Answers(UnixStream);

impl Answers {
    /// The next part; none if the process ended.
    ///
    /// # Errors
    /// The stream's.
    pub fn receive(&mut self) -> io::Result<Option<Answer>> {
        receive(&mut self.0)
    }

    /// On what it comes, to be waited for.
    pub fn stream(&self) -> &UnixStream {
        &self.0
    }
}
