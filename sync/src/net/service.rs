//! The service: a thread with a runtime of its own, in which the [hub](super::hub) works; and the handle by which others ask it.
//!
//! Guarantees: no method but [`Service::stop`], [`Service::invite`] and [`Service::wait_status_change`] waits for anything.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use coffer_store::ids::ChainId;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};

use super::door::Door;
use super::error::{InviteError, StartError};
use super::hub::{Command, Hub};
use super::parts::swarm;
use super::peers::keypair;
use super::settings::{Settings, address};
use super::status::{Board, Status};
use super::store::Stores;
use parking_lot::Mutex;

use crate::core::{ChunkName, Report, Urgency};
use crate::pairing::{TICKET_SECONDS, Ticket};
use crate::replica::{Change, Replica};

/// Threads that serve the network.
const WORKERS: usize = 2;
/// How long an end may take, once sessions were said goodbye to.
const ENDING: Duration = Duration::from_millis(300);

pub(super) fn runtime() -> Result<Runtime, StartError> {
    Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_name("net-io")
        .enable_all()
        .build()
        .map_err(|error| StartError::System(error.to_string()))
}

/// Says that it has ended, however that came.
struct End(Arc<Board>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// A device in the network, for as long as this lives.
pub struct Service {
    commands: mpsc::UnboundedSender<Command>,
    board: Arc<Board>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Service {
    /// Starts to serve a vault. It listens when this returns; others are called at once.
    ///
    /// # Errors
    /// [`StartError`]; then nothing was left running.
    pub fn start(replica: Arc<dyn Replica>, settings: &Settings) -> Result<Service, StartError> {
        let plan = settings.read()?;
        let keys = keypair(&replica.transport()).ok_or(StartError::Key)?;
        let config = replica.config().map_err(StartError::Replica)?;
        let own = config.clock.iter().find(|(chain, ..)| *chain == config.own);
        let told = own.map_or(0, |(_, last, _)| *last);
        let roster = replica.roster();
        let runtime = runtime()?;
        let (commands, asked) = mpsc::unbounded_channel();
        let (done_in, done) = mpsc::unbounded_channel();
        let board = Arc::new(Board::default());
        let door = Door::default();
        let (mut swarm, why) = runtime.block_on(async { swarm(keys, &door, plan.mdns) })?;
        for address in &plan.listen {
            let listens = runtime.block_on(async { swarm.listen_on(address.clone()) });
            // A machine without IPv6 does without.
            if let Err(error) = listens
                && !address.to_string().starts_with("/ip6/::/")
            {
                return Err(StartError::Listen(address.to_string(), error.to_string()));
            }
        }
        let system = |error: std::io::Error| StartError::System(error.to_string());
        let stores = Stores::start(&replica, told, &done_in).map_err(system)?;
        let wake = commands.clone();
        replica.subscribe(Box::new(move |change: Change| {
            drop(wake.send(Command::Changed(change)))
        }));
        let shown = board.clone();
        let work = move || {
            let _end = End(shown.clone());
            runtime.block_on(async {
                let mut hub = Hub::new(swarm, door, plan, config, stores, roster, (shown, replica));
                if let Some(why) = why {
                    hub.note(why);
                }
                hub.run(asked, done).await;
            });
            runtime.shutdown_timeout(ENDING);
        };
        let thread = std::thread::Builder::new()
            .name("net".into())
            .spawn(work)
            .map_err(system)?;
        Ok(Service {
            commands,
            board,
            thread: Mutex::new(Some(thread)),
        })
    }

    fn ask(&self, command: Command) {
        // Nobody hears it when it has ended, and the status says so.
        let _ = self.commands.send(command);
    }

    /// How things are.
    pub fn status(&self) -> Status {
        self.board.get()
    }

    /// Waits until the status is another than the one of this version; none if it has not changed in this time.
    pub fn wait_status_change(&self, version: u64, most: Duration) -> Option<Status> {
        self.board.wait(version, most)
    }

    /// What happened that is worth telling, since it was last asked.
    pub fn reports(&self) -> Vec<Report> {
        self.board.reports()
    }

    /// While paused, connections stay, and nothing is exchanged over them.
    pub fn pause(&self, is_paused: bool) {
        self.ask(Command::Pause(is_paused));
    }

    /// At most so many bytes a second go out, and come in; none: any number.
    pub fn limit(&self, out: Option<u64>, incoming: Option<u64>) {
        self.ask(Command::Limit(out, incoming));
    }

    /// Opens an invitation, and returns the ticket to carry to the new device. Waits for the vault.
    ///
    /// # Errors
    /// [`InviteError`].
    pub fn invite(&self) -> Result<Ticket, InviteError> {
        self.invite_for(TICKET_SECONDS)
    }

    /// The same, good for so many seconds, [`TICKET_SECONDS`] at most.
    ///
    /// # Errors
    /// [`InviteError`].
    pub fn invite_for(&self, seconds: u64) -> Result<Ticket, InviteError> {
        let (answer, answered) = oneshot::channel();
        self.ask(Command::Invite(seconds, answer));
        answered.blocking_recv().unwrap_or(Err(InviteError::Ended))
    }

    /// Another device's address, known by hand.
    ///
    /// # Errors
    /// [`StartError::Address`].
    pub fn add_peer(&self, text: &str) -> Result<(), StartError> {
        self.ask(Command::AddPeer(address(text)?));
        Ok(())
    }

    /// Somebody waits for a chunk; `len` is its length, about.
    pub fn want(&self, id: ChunkName, urgency: Urgency, len: u32) {
        self.ask(Command::Want(id, urgency, len));
    }

    /// Nobody waits for a chunk any more.
    pub fn unwant(&self, id: ChunkName) {
        self.ask(Command::Unwant(id));
    }

    /// Asks the members that keep everything whether they hold these durably; whether somebody could be asked. The answer is a
    /// [`Report::Held`]. Waits for the service.
    pub fn confirm(&self, ids: &[ChunkName]) -> bool {
        self.confirm_after(ids, &[])
    }

    /// The same, asked only of those that have all chains up to these events: so who confirms knows what needs the chunks,
    /// too. The vault hears the answer by [`Replica::heard`].
    pub fn confirm_after(&self, ids: &[ChunkName], clock: &[(ChainId, u64)]) -> bool {
        let (answer, answered) = oneshot::channel();
        self.ask(Command::Confirm(ids.to_vec(), clock.to_vec(), answer));
        answered.blocking_recv().unwrap_or(false)
    }

    /// Ends the service: sessions say goodbye. Takes two seconds at most.
    pub fn stop(&self) {
        self.ask(Command::Stop);
        // Whoever else ends it waits as well.
        let mut thread = self.thread.lock();
        if let Some(thread) = thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop();
    }
}
