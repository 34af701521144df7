//! The tables, and changes of their rows.

use redb::TableDefinition;

/// The tables. Keys are big-endian numbers or fixed bytes, so that they sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Table {
    /// Name → parameters and secrets of the store itself.
    Meta = 0,
    /// Inode → its entity's wrapped key.
    Wraps = 1,
    /// Inode → sealed inode record.
    Inodes = 2,
    /// Node number → sealed node record.
    Nodes = 3,
    /// (inode, sequence) → sealed change of content that is not yet part of a version.
    Log = 4,
    /// Chunk id → where it lies.
    Chunks = 5,
    /// Batch number → where a batch of events lies.
    Batches = 6,
    /// What is committed and not yet published.
    Pending = 7,
    /// Pack → its committed length.
    Packs = 8,
    /// (entity, number) → sealed record of a version.
    Versions = 9,
    /// Node → sealed record of a removed one.
    Removed = 10,
    /// Entity → the document of a text, sealed: made again from its events if it is missing.
    Documents = 11,
    /// What was said of names, on every device; and keys of entities that have no name here.
    Moves = 12,
    /// Number → a sealed statement about the space's devices, in an order in which they can be taken in.
    Members = 13,
}

impl Table {
    /// All of them.
    pub const ALL: [Table; 14] = [
        Table::Meta,
        Table::Wraps,
        Table::Inodes,
        Table::Nodes,
        Table::Log,
        Table::Chunks,
        Table::Batches,
        Table::Pending,
        Table::Packs,
        Table::Versions,
        Table::Removed,
        Table::Documents,
        Table::Moves,
        Table::Members,
    ];

    pub(super) fn definition(self) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
        TableDefinition::new(self.name())
    }

    /// Its name in the file.
    pub fn name(self) -> &'static str {
        match self {
            Table::Meta => "meta",
            Table::Wraps => "wraps",
            Table::Inodes => "inodes",
            Table::Nodes => "nodes",
            Table::Log => "log",
            Table::Chunks => "chunks",
            Table::Batches => "batches",
            Table::Pending => "pending",
            Table::Packs => "packs",
            Table::Versions => "versions",
            Table::Removed => "removed",
            Table::Documents => "documents",
            Table::Moves => "moves",
            Table::Members => "members",
        }
    }
}

/// A change of rows, applied in order.
#[derive(Default)]
pub struct Batch(pub(super) Vec<Change>);

/// A row, and what it is to hold; nothing to remove it.
pub(super) type Change = (Table, Vec<u8>, Option<Vec<u8>>);

/// The same of somebody else's bytes.
pub type ChangeOf<'a> = (Table, &'a [u8], Option<&'a [u8]>);

impl Batch {
    /// Nothing yet.
    pub fn new() -> Batch {
        Batch::default()
    }
    /// Writes a row over what is there.
    pub fn put(&mut self, table: Table, key: impl AsRef<[u8]>, value: impl Into<Vec<u8>>) {
        self.0.push((table, key.as_ref().to_vec(), Some(value.into())));
    }
    /// Removes a row, if it is there.
    pub fn delete(&mut self, table: Table, key: impl AsRef<[u8]>) {
        self.0.push((table, key.as_ref().to_vec(), None));
    }
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// Bytes of keys and values.
    pub(super) fn bytes(&self) -> usize {
        let of = |(_, key, value): &Change| key.len() + value.as_ref().map_or(0, Vec::len);
        self.0.iter().map(of).sum()
    }
    /// How many changes.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}
