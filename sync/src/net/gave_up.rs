//! A device that was added and says in the same conversation that it could not keep what it was given.
//!
//! Guarantees: only such a one is taken back by the program. One that says nothing more may have made its vault, and work with others of whom nothing
//! is known here: who is removed may not object, and what it removed or added would count no more. So a person decides, and the list of
//! devices says of whom nothing was heard yet.

use coffer_store::members::DeviceId;

use crate::replica::Replica;

/// It has nothing, and never will: it is removed at once. What a person should know.
pub(super) fn take_back(replica: &dyn Replica, device: DeviceId) -> String {
    let mut name = None;
    replica.with_members(&mut |members| {
        name = members
            .state()
            .device(&device)
            .map(|known| known.name.to_string())
    });
    let name = name.unwrap_or_else(|| "a device".into());
    match replica.take_back(device) {
        Ok(()) => format!(
            "“{name}” was added and could not keep what it was given, so it was removed again; it needs a new invitation"
        ),
        Err(why) => format!(
            "“{name}” was added and could not keep what it was given, and could not be removed again ({why}): do that with coffer device remove"
        ),
    }
}
