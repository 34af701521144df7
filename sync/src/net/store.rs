//! The threads on which the vault is asked, so that the network never waits for a disk.
//!
//! Guarantees: whatever changes the vault is done by one thread, in the order in which it was asked; reads by two others.
//! Answers come back by a queue that is as long as what the protocol has asked, which bounds it.

use std::sync::Arc;
use std::thread::JoinHandle;

use coffer_store::ids::ChainId;
use coffer_store::members::Members;
use coffer_store::vault::Carried;
use crossbeam_channel::{Receiver, Sender, unbounded};
use tokio::sync::mpsc::UnboundedSender;

use crate::core::limits::IDS_MAX;
use crate::core::{Answer, Request, StatementId};
use crate::replica::{Replica, Roster};

/// Threads that read.
const READERS: usize = 2;

/// Something to do with the vault.
type Work = Box<dyn FnOnce(&dyn Replica) + Send>;

enum Job {
    Ask(Request),
    News,
    Members,
    Own,
    Work(Work),
    End,
}

/// What came of it.
pub(super) enum Done {
    Answer(Answer),
    /// What this device told.
    News(Result<Vec<Arc<Carried>>, String>),
    /// Who is who, and the newest statements.
    Members(Roster, Vec<StatementId>),
    /// The chain on which this device tells.
    Own(Result<ChainId, String>),
    /// The vault's own code failed; nothing more can be asked.
    Broken,
}

/// See the module.
pub(super) struct Stores {
    orders: Sender<Job>,
    reads: Sender<Job>,
    threads: Vec<JoinHandle<()>>,
}

/// A way to have things done with the vault.
#[derive(Clone)]
pub(super) struct Desk(Sender<Job>);

impl Stores {
    /// Starts the threads. `told`: the last event of this device's chain that is known.
    pub(super) fn start(
        replica: &Arc<dyn Replica>,
        told: u64,
        done: &UnboundedSender<Done>,
    ) -> std::io::Result<Stores> {
        let (orders, ordered) = unbounded();
        let (reads, asked) = unbounded();
        let mut threads = Vec::new();
        for n in 0..=READERS {
            let (replica, done) = (replica.clone(), done.clone());
            let jobs: Receiver<Job> = if n == 0 { ordered.clone() } else { asked.clone() };
            let name = if n == 0 {
                "net-store".into()
            } else {
                format!("net-read-{n}")
            };
            let work = move || {
                let works = std::panic::AssertUnwindSafe(|| serve(&*replica, &jobs, told, &done));
                if std::panic::catch_unwind(works).is_err() {
                    let _ = done.send(Done::Broken);
                }
            };
            threads.push(std::thread::Builder::new().name(name).spawn(work)?);
        }
        Ok(Stores {
            orders,
            reads,
            threads,
        })
    }

    pub(super) fn ask(&self, request: Request) {
        let reads = matches!(
            request,
            Request::Batches { .. }
                | Request::Statements { .. }
                | Request::Lacking { .. }
                | Request::Chunk { .. }
                | Request::Held { .. }
        );
        let to = if reads { &self.reads } else { &self.orders };
        // The threads live as long as this.
        let _ = to.send(Job::Ask(request));
    }

    pub(super) fn news(&self) {
        let _ = self.orders.send(Job::News);
    }

    pub(super) fn members(&self) {
        let _ = self.orders.send(Job::Members);
    }

    pub(super) fn own(&self) {
        let _ = self.orders.send(Job::Own);
    }

    pub(super) fn desk(&self) -> Desk {
        Desk(self.orders.clone())
    }

    /// Ends the threads when they have done what was asked before.
    pub(super) fn end(&mut self) -> Vec<JoinHandle<()>> {
        let _ = self.orders.send(Job::End);
        for _ in 0..READERS {
            let _ = self.reads.send(Job::End);
        }
        std::mem::take(&mut self.threads)
    }
}

impl Desk {
    /// Has something done, after all that was asked before. None if the service ended meanwhile.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Replica) -> T + Send + 'static,
    ) -> Option<T> {
        let (answer, answered) = tokio::sync::oneshot::channel();
        let work: Work = Box::new(move |replica| drop(answer.send(work(replica))));
        self.0.send(Job::Work(work)).ok()?;
        answered.await.ok()
    }
}

fn serve(replica: &dyn Replica, jobs: &Receiver<Job>, mut told: u64, done: &UnboundedSender<Done>) {
    let tell = |what| drop(done.send(what));
    for job in jobs {
        match job {
            Job::Ask(request) => {
                let answer = replica.answer(request);
                if matches!(answer, Answer::Began(_)) {
                    told = 0;
                }
                tell(Done::Answer(answer));
            }
            Job::News => tell(Done::News(replica.news(&mut told))),
            Job::Members => {
                let mut heads = Vec::new();
                let named = |members: &Members| members.main_heads(IDS_MAX).iter().map(|id| id.0).collect();
                replica.with_members(&mut |members| heads = named(members));
                tell(Done::Members(replica.roster(), heads));
            }
            Job::Own => {
                told = 0;
                tell(Done::Own(replica.config().map(|config| config.own)));
            }
            Job::Work(work) => work(replica),
            Job::End => return,
        }
    }
}
