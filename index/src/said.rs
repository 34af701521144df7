//! What is said between who holds a vault and its index: what is there, what changed, what is asked and answered.
//!
//! Plain data in a compact form (postcard), each message behind its length. Guarantees that a length is bounded before memory is
//! taken for it. Knows no vault, no SQL and no process.

use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The longest message, in bytes.
pub const MESSAGE_MAX: usize = 64 << 20;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A device, pipe or socket.
    Special,
}

/// A name. Files and folders are told by numbers, the root by 1; names have numbers of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    /// The name's number.
    pub node: u64,
    /// The folder that it stands in.
    pub parent: u64,
    /// The name.
    pub name: Vec<u8>,
    /// What it names.
    pub file: u64,
    /// What that is.
    pub kind: Kind,
}

/// A moment: seconds since 1970 and nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// Whole seconds, before 1970 negative.
    pub seconds: i64,
    /// And nanoseconds.
    pub nanoseconds: u32,
}

/// What is known of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Its number.
    pub file: u64,
    /// What it is on all devices.
    pub id: [u8; 16],
    /// Bytes.
    pub size: u64,
    /// When it was made.
    pub created: Moment,
    /// When its content was last changed.
    pub modified: Moment,
    /// When its newest version was recorded.
    pub recorded: Option<Moment>,
    /// How many versions are known.
    pub versions: u64,
    /// The device that made the newest, by its id.
    pub device: Vec<u8>,
    /// Equal for equal bytes.
    pub content: Option<[u8; 16]>,
    /// Why it wants to be looked at.
    pub conflict: Option<String>,
    /// Whether its bytes are here.
    pub here: bool,
}

/// A file: what is known of it, and its bytes if they were looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// What is known of it.
    pub facts: Facts,
    /// Its bytes.
    pub text: Text,
}

/// A file's bytes, as they are told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Text {
    /// Not looked at.
    #[default]
    Unread,
    /// These.
    Bytes(#[serde(with = "serde_bytes")] Vec<u8>),
    /// They are not here.
    Absent,
    /// There are more than are read.
    TooLong,
    /// They cannot be read, for this reason: one sentence.
    Failed(String),
}

/// A device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Its id.
    pub id: Vec<u8>,
    /// Its name.
    pub name: String,
    /// Whether it is this one.
    pub is_this: bool,
    /// Whether it belongs to the vault's devices.
    pub is_member: bool,
}

/// A version of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The file, if it is there.
    pub file: Option<u64>,
    /// Where it was, of a removed one.
    pub path: Vec<u8>,
    /// What it is on all devices.
    pub id: [u8; 16],
    /// Its number; none of a removal.
    pub number: Option<u64>,
    /// When it was recorded.
    pub recorded: Moment,
    /// The file's time of modification.
    pub modified: Moment,
    /// `created`, `edited`, `merged`, `removed`.
    pub action: String,
    /// The device, by its id.
    pub device: Vec<u8>,
    /// What wrote it.
    pub program: Option<String>,
    /// Bytes.
    pub size: u64,
    /// Of the version that it was made from.
    pub before: Option<u64>,
    /// Whether its bytes can be had.
    pub kept: bool,
}

/// A stored piece of content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blob {
    /// By what it is told from others.
    pub id: [u8; 16],
    /// Bytes before sealing.
    pub size: u64,
    /// Bytes on the disk.
    pub stored: u64,
    /// How often it is named.
    pub refs: u64,
    /// Whether it is here.
    pub here: bool,
}

/// What is told only when somebody asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Lazy {
    /// [`Version`]s.
    History,
    /// [`Blob`]s.
    Blobs,
}

/// To the index, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tell {
    /// Names are there, each in place of where it was.
    Names(Vec<Name>),
    /// Names are gone.
    Unnamed(Vec<u64>),
    /// Files are so now.
    Files(Vec<File>),
    /// Files are gone.
    Gone(Vec<u64>),
    /// All devices.
    Devices(Vec<Device>),
    /// How many files there are to be told of, at first.
    Known(u64),
    /// All was told that there is.
    Filled,
    /// All that was done before this was asked for has been told.
    Mark(u64),
    /// Some versions; of the first ones, those that were told before are forgotten.
    History(bool, Vec<Version>),
    /// Some blobs; the same.
    Blobs(bool, Vec<Blob>),
    /// That was all of these.
    Whole(Lazy),
    /// All of these are what was told last.
    Still(Lazy),
}

/// From the index, beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Say {
    /// These files' bytes are wanted.
    Want(Vec<u64>),
    /// All of these are wanted.
    Need(Lazy),
}

/// How an answer is to look.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// `table`, `markdown`, `csv`, `json`, `jsonl`, `parquet`.
    pub format: String,
    /// Columns of the terminal; none: as wide as it comes.
    pub width: Option<u32>,
    /// Whether colours may be used.
    pub colour: bool,
    /// Rows that are shown of a table, at most.
    pub rows: u64,
}

/// A question: one on each connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// What was told up to this mark is in the answer.
    pub mark: u64,
    /// Not to wait for all files being read.
    pub partial: bool,
    /// It may take this long, in milliseconds.
    pub limit_ms: u64,
    /// What is asked.
    pub ask: Ask,
    /// How the answer is to look.
    pub look: Look,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// A statement that reads, with values for `$1`, `$2`, ….
    Sql(String, Vec<Value>),
}

/// A value for a statement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// Nothing.
    Null,
    /// A text.
    Text(String),
    /// A number.
    Whole(i64),
}

impl Eq for Value {}

/// A part of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Files read so far, and how many there are: it is being waited for them.
    Filling(u64, u64),
    /// The next bytes.
    Bytes(#[serde(with = "serde_bytes")] Vec<u8>),
    /// That was all: so many rows.
    End(u64),
    /// It did not work.
    Failed(Why, String),
}

/// Why a question was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Why {
    /// The question itself.
    Question,
    /// It took too long.
    Time,
    /// It took too much memory.
    Memory,
    /// Who asked has gone.
    Cancelled,
    /// The index.
    Index,
}

/// Writes a message.
///
/// # Errors
/// The stream's; `InvalidInput` if it is longer than [`MESSAGE_MAX`].
pub fn send(to: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    let mut bytes = vec![0; 4];
    bytes =
        postcard::to_extend(message, bytes).map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
    let len = bytes.len() - 4;
    if len > MESSAGE_MAX {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a message is too long",
        ));
    }
    bytes[..4].copy_from_slice(&(len as u32).to_le_bytes());
    to.write_all(&bytes)
}

/// Reads the next message; none at the stream's end.
///
/// # Errors
/// The stream's; `InvalidData` for what is no such message.
pub fn receive<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<T>> {
    let mut len = [0; 4];
    match from.read(&mut len[..1])? {
        0 => return Ok(None),
        _ => from.read_exact(&mut len[1..])?,
    }
    let len = u32::from_le_bytes(len) as usize;
    if len > MESSAGE_MAX {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "a message is too long",
        ));
    }
    let mut bytes = vec![0; len];
    from.read_exact(&mut bytes)?;
    let message = postcard::from_bytes(&bytes);
    message
        .map(Some)
        .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards that what is said arrives, and that a length out of bounds takes no memory.
    #[test]
    fn messages_arrive() {
        let said = [
            Tell::Names(vec![Name {
                node: 2,
                parent: 1,
                name: b"\xff".to_vec(),
                file: 3,
                kind: Kind::File,
            }]),
            Tell::Files(vec![File {
                text: Text::Bytes(vec![7; 300]),
                ..File::default()
            }]),
            Tell::Mark(9),
        ];
        let mut stream = Vec::new();
        for message in &said {
            send(&mut stream, message).unwrap();
        }
        let mut from = &stream[..];
        for message in said {
            assert_eq!(receive::<Tell>(&mut from).unwrap(), Some(message));
        }
        assert_eq!(receive::<Tell>(&mut from).unwrap(), None);
        for hostile in [
            &b"\xff\xff\xff\xff"[..],
            b"\x01\0\0\0",
            b"\x02",
            b"\x01\0\0\0\xff",
        ] {
            assert!(receive::<Tell>(&mut &hostile[..]).is_err());
        }
    }
}
