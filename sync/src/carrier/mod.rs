//! A carried folder: devices that never meet exchange through a folder that somebody carries or shares (a stick, NFS, somebody's
//! cloud). docs/carrier.md has the byte tables.
//!
//! In the folder each vault has one of its own, and in that each device writes files of its own: *bundles* (statements, batches,
//! chunks) and one *index*, which says how far it is, what it lacks, and which bundles there are. No file is ever changed once it
//! has its name.
//!
//! Guarantees: whoever is no member learns how many files there are, how long, and when they came and went. A device removes and
//! replaces nothing but its own files. An index names only what was durable before. What lies there is believed no more than
//! what a peer of ill will sends: it is bounded before anything is allocated, opened, and verified by whoever takes it in. Files
//! that are torn, missing, doubled, old or none of ours cost what they would have brought, and nothing else. It never names the network.
//!
//! Parts, each importing only those above it: `name` and `error`; `folder` (files behind a trait); `stream` (sealed bytes),
//! `envelope` (who may read an index); `index`, `bundle`; `report`; `look` (what lies there), `needs` (who lacks what); `take`, `give`; `publish` (this device's index); `exchange`.

mod error;
mod name;

mod folder;

mod envelope;
mod stream;

mod bundle;
mod index;

mod report;

mod look;

mod needs;

mod give;
mod take;

mod publish;

mod exchange;

#[doc(hidden)]
pub mod testing;
#[cfg(test)]
mod vectors;

pub use bundle::{Entry, Toc};
pub use error::CarrierError;
pub use exchange::{exchange, folder_in};
pub use folder::{Folder, Listing, Place, Shelf, Sink, Source};
pub use index::{BundleRef, Index};
pub use name::Name;
pub use report::{Exchange, Options, Seen, Tally, Waiting};

/// The version of all that lies in a folder. Version 0 may still change.
const VERSION: u8 = 0;

/// The bounds of what is read and written there; docs/carrier.md lists them.
pub(crate) mod limits {
    /// Longest bundle, in bytes of what is in it.
    pub(crate) const BUNDLE_MAX: u64 = 64 << 20;
    /// Most things in a bundle.
    pub(crate) const ENTRIES_MAX: usize = 65_536;
    /// Longest list of a bundle's things, in bytes.
    pub(crate) const TOC_MAX: usize = 4 << 20;
    /// Longest index, in bytes of what is in it.
    pub(crate) const INDEX_MAX: usize = 8 << 20;
    /// Most bundles of one device.
    pub(crate) const BUNDLES_MAX: usize = 16_384;
    /// Most chunks that a device says it lacks.
    pub(crate) const LACKS_MAX: usize = 16_384;
    /// Most bundles of others that a device says it is done with.
    pub(crate) const DONE_MAX: usize = 65_536;
    /// Most bundles that a device says it cannot read.
    pub(crate) const BROKEN_MAX: usize = 1_024;
    /// Most files that are looked at in a folder.
    pub(crate) const FILES_MAX: usize = 262_144;
    /// Most newest statements that a device names.
    pub(crate) const HEADS_MAX: usize = 1_024;
    /// Most files that look like indexes and are opened.
    pub(crate) const INDEXES_MAX: usize = 4_096;
    /// Small bundles of this device, of which so many are written anew as few.
    pub(crate) const SMALL: (u64, usize) = (1 << 20, 32);
}
