//! Notes that real editors edit on a mounted vault, and what is to be true of them afterwards:
//! one entity, a version for each save, byte for byte, and no event of anything else.
//!
//! Expected texts are computed, never read back from the mount while editors work: whoever reads a
//! file there takes part in what is tested.

mod desk;
mod terminal;

pub use desk::{Desk, Note};
pub use terminal::Terminal;
