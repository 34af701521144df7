//! The network: libp2p around the protocol. `docs/network.md` says what goes over the wire, and who sees what.
//!
//! A [`Service`] is one device in the network: it finds the vault's other devices, keeps one connection with each, and runs the
//! protocol of [`core`](crate::core) over it. [`join`] is how a new device becomes one of them.
//!
//! Guarantees: nothing is spoken with who is none of the vault's devices (but the pairing protocol, while an invitation is
//! open); memory is bounded by constants, whoever knocks; the vault is asked on threads of its own. What goes over the wire is
//! encrypted by libp2p (Noise or TLS 1.3), and names neither vault nor device.
//!
//! Modules, each importing only from groups above its own:

mod clock; // seconds that never go back
mod error; // sentences
mod muxer; // streams within bounds
mod patience; // how long a pairing may take
mod peers; // names and addresses

mod book; // where others may be, and when they are called
mod settings; // what a person chooses
mod status; // what a person sees

mod door; // who may come in
mod handler; // the one stream of a connection
mod inner; // what guests may not speak
mod parts; // all that is spoken

mod gave_up; // a device that was added and could not keep what it was given
mod record; // what is left with relays

mod store; // the threads that ask the vault
mod streams; // the tasks of a stream

mod inviting; // pairing, as the member

mod hub; // where all meet

mod service; // the handle

mod join; // pairing, as the new device

pub use error::{InviteError, JoinError, StartError};
pub use join::{Entered, Prepared, join};
pub use service::Service;
pub use settings::Settings;
pub use status::{Link, PeerStatus, Status};
