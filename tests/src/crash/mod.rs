//! Power cuts, faults and tampering under the whole engine, without a kernel: a workload
//! played to the vault's file system and to a model of what a crash may leave.
//!
//! Modules, each importing only those above it:

pub mod harm; // what somebody may do to a store at rest
pub mod image;
pub mod judge;
pub mod look; // what a vault shows
pub mod model; // what there is, and what a crash may leave of it
pub mod player; // steps, played to both
pub mod watched; // a simulated disk that tells before each change
pub mod workload; // what people and programs do // one power cut, examined // what a harmed store may show
