//! Messages as bytes. docs/protocol.md has the tables.
//!
//! Guarantees: decoding takes just what encoding makes, allocates no more than the frame is long, and
//! never panics. It decides nothing.
//!
//! Parts: `frame` (where a message ends), `message` (what is said), `encode` and `decode`, `fields` (lists and
//! pieces), `parcel` (a batch as one run of bytes).

mod decode;
mod encode;
mod fields;
mod frame;
mod message;
mod parcel;

pub use frame::{EmptyFrame, Frames, framed};
pub use message::{CRITICAL, Goodbye, Heard, Hello, LIMITED, Message, Reach, Resume, VERSION, Wanted};
pub(crate) use parcel::token_of;
pub use parcel::{Parcel, unpack};
