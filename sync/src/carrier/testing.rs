//! A door for tests: writing what a member of ill will would write.

use super::bundle::{Bundler, Entry};
use super::envelope::Readers;
use super::error::CarrierError;
use super::exchange::names_of;
use super::folder::Folder;
use super::index::{BundleRef, Index};
use super::name::Is;
use crate::replica::Carries;

/// Puts a bundle of just these things there, whatever they are.
///
/// # Errors
/// As [`CarrierError`] says.
pub fn bundle(
    replica: &dyn Carries,
    folder: &dyn Folder,
    things: &[(Entry, Vec<u8>)],
) -> Result<BundleRef, CarrierError> {
    let name = names_of(replica)?.fresh(Is::Bundle);
    let write = || {
        let mut bundler = Bundler::new(folder.create(&name)?);
        for (entry, bytes) in things {
            bundler.add(*entry, bytes)?;
        }
        bundler.finish(name)
    };
    let (bundle, _) = write().map_err(CarrierError::io("write"))?;
    Ok(bundle)
}

/// Puts this index there, signed by this device, for all members.
///
/// # Errors
/// As [`CarrierError`] says.
pub fn index(replica: &dyn Carries, folder: &dyn Folder, index: &Index) -> Result<(), CarrierError> {
    let name = names_of(replica)?.fresh(Is::Index);
    let (mut readers, keyring) = (None, replica.keyring());
    replica.with_members(&mut |members| readers = Some(Readers::of(members, &keyring)));
    let readers = readers.ok_or(CarrierError::NoKeys)?;
    let write = || {
        let mut sink = folder.create(&name)?;
        index.write((replica.space(), &replica.device()), &readers, &mut *sink)?;
        sink.finish()
    };
    write().map_err(CarrierError::io("write"))
}
