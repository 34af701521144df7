//! What is asked about devices and syncing.

use crate::wire::WirePath;
use serde::{Deserialize, Serialize};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub(crate) enum Devices {
    /// All of them.
    List,
    /// Opens an invitation. Its secret comes back: words, line and code.
    Invite {
        /// How long it is good at most; as long as can be if absent.
        #[serde(default)]
        seconds: Option<u64>,
    },
    /// Another name for one.
    Rename {
        /// Which: its name, or the first digits of its id.
        device: String,
        /// What it is called from now on.
        name: String,
    },
    /// Removes one.
    Remove {
        /// Which: its name, or the first digits of its id.
        device: String,
        /// Even if bytes may be out of reach then.
        #[serde(default)]
        force: bool,
    },
    /// How syncing is.
    Sync,
    /// No exchange until it is told to go on; or go on.
    Pause {
        /// Whether to pause.
        paused: bool,
    },
    /// Calls a device, or whatever is at this address.
    Call {
        /// The address.
        address: String,
    },
    /// Exchanges through a folder.
    Via {
        /// The folder, absolute.
        dir: WirePath,
        /// Most bytes that this device's files there may take; as the setting says if absent.
        limit: Option<u64>,
        /// Whether to go on with it until the vault is locked.
        watch: bool,
    },
}
