//! The control socket: how commands reach the daemon.
//!
//! Guarantees that only this user and root are answered (by the kernel's word on the peer, beside
//! the 0600 socket in its 0700 folder), that a silent or talkative peer holds up nobody else, and
//! that the socket is gone after an orderly end. What cannot be read is answered by an error.

use super::jobs::Shared;
use crate::failure::{Failure, Kind};
use crate::frame::{self, Reader};
use crate::paths;
use crate::secret;
use crate::wire::{self, Reply, Request, WirePath};
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How long a peer may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(10);
/// Conversations at once.
const MAX_PEERS: usize = 64;

/// What stands beside a socket, so that commands find the daemon of a vault or a mount.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Published {
    /// The daemon's process.
    pub pid: u32,
    /// The vault's folder.
    pub vault: WirePath,
    /// Its device number.
    pub dev: u64,
    /// Its inode.
    pub ino: u64,
    /// The vault's id, in hex.
    pub vault_id: String,
    /// The mount point.
    pub mountpoint: WirePath,
}

/// A bound socket; removes itself.
pub(crate) struct Socket {
    listener: UnixListener,
    path: PathBuf,
    card: PathBuf,
}

/// Binds or connects by a short path, whatever the folder's length: a socket address holds 107 bytes.
pub(crate) fn short<T>(path: &Path, with: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    if path.as_os_str().len() <= 100 {
        return with(path);
    }
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let dir = rustix::fs::open(
        dir,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    with(
        &Path::new("/proc/self/fd")
            .join(dir.as_raw_fd().to_string())
            .join(name),
    )
}

impl Socket {
    /// Binds this vault's socket. One left by a dead daemon is replaced; where a living daemon
    /// serves another copy of the same vault, the process id is added to the name.
    ///
    /// # Errors
    /// When there is no safe folder for it.
    pub(crate) fn bind(published: &Published) -> Result<Socket, Failure> {
        let dir = paths::runtime_dir()?;
        let failed = |path: &Path, error: io::Error| {
            Failure::io(format_args!("open the control socket {}", path.display()), &error)
        };
        let mut path = dir.join(format!("{}.sock", published.vault_id));
        if fs::symlink_metadata(&path).is_ok() {
            if short(&path, |path| UnixStream::connect(path)).is_ok() {
                path = dir.join(format!("{}-{}.sock", published.vault_id, published.pid));
            } else {
                fs::remove_file(&path).map_err(|error| failed(&path, error))?;
            }
        }
        let listener = short(&path, |path| UnixListener::bind(path)).map_err(|error| failed(&path, error))?;
        let card = path.with_extension("json");
        let socket = Socket { listener, path, card };
        let close = fs::Permissions::from_mode(0o600);
        fs::set_permissions(&socket.path, close.clone()).map_err(|error| failed(&socket.path, error))?;
        // Written aside and renamed: a command never reads half of it.
        let part = socket.card.with_extension("new");
        let bytes = serde_json::to_vec(published).expect("the card is plain data");
        fs::write(&part, bytes)
            .and_then(|()| fs::set_permissions(&part, close))
            .and_then(|()| fs::rename(&part, &socket.card))
            .map_err(|error| failed(&socket.card, error))?;
        Ok(socket)
    }

    /// Answers requests, each in a thread of its own, until the process ends.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn serve(&self, shared: Arc<Shared>) -> io::Result<()> {
        let listener = self.listener.try_clone()?;
        let peers = Arc::new(AtomicUsize::new(0));
        std::thread::Builder::new()
            .name("control".into())
            .spawn(move || {
                for stream in listener.incoming() {
                    let Ok(stream) = stream else {
                        // Out of descriptors, say: the next may be luckier, but not by spinning.
                        std::thread::sleep(Duration::from_millis(50));
                        continue;
                    };
                    if peers.fetch_add(1, Ordering::AcqRel) >= MAX_PEERS {
                        peers.fetch_sub(1, Ordering::AcqRel);
                        continue;
                    }
                    let (shared, leaving) = (Arc::clone(&shared), Leaving(Arc::clone(&peers)));
                    let spawned = std::thread::Builder::new().name("request".into()).spawn(move || {
                        let _leaving = leaving;
                        converse(stream, &shared);
                    });
                    // Without a thread the peer sees the connection close, and says so.
                    drop(spawned);
                }
            })?;
        Ok(())
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.card);
        let _ = fs::remove_file(&self.path);
    }
}

/// Counts a peer out, however its thread ends.
struct Leaving(Arc<AtomicUsize>);
impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// One conversation.
fn converse(mut stream: UnixStream, shared: &Shared) {
    let request = match hear(&stream) {
        Ok(Some(request)) => request,
        Ok(None) => return,
        Err(failure) => {
            let _ = frame::send(&mut stream, &Reply::Failed(failure), &[]);
            return;
        }
    };
    shared.answer(request.0.op, &request.1, stream);
}

type Heard = (Request, Vec<crate::secret::Secret>);

/// Reads the request of a peer that may ask; `None` if it left without a word.
fn hear(stream: &UnixStream) -> Result<Option<Heard>, Failure> {
    let odd =
        |error: io::Error| Failure::usage(format!("The daemon did not understand the request: {error}."));
    let peer = rustix::net::sockopt::socket_peercred(stream).map_err(|error| odd(error.into()))?;
    if peer.uid != rustix::process::getuid() && !peer.uid.is_root() {
        return Err(Failure::failed(
            "This vault is open for another user, and answers only to them.",
        ));
    }
    stream.set_read_timeout(Some(PATIENCE)).map_err(odd)?;
    // A peer that does not read its answer must not hold a thread for ever either.
    stream.set_write_timeout(Some(PATIENCE)).map_err(odd)?;
    let mut reader = Reader::new(stream);
    let Some(value) = reader
        .message::<serde_json::Value>(wire::MAX_REQUEST)
        .map_err(odd)?
    else {
        return Ok(None);
    };
    // The version first: a request of another version need not look like ours.
    if value["coffer"] != wire::VERSION {
        return Err(Failure::new(
            Kind::Failed,
            "The vault was opened by another version of Coffer; lock it with that one, or stop its daemon (SIGTERM), and open it anew.",
        ));
    }
    let request: Request = serde_json::from_value(value).map_err(|error| odd(error.into()))?;
    let secrets = reader.secrets(&request.secrets, secret::MAX).map_err(odd)?;
    Ok(Some((request, secrets)))
}
