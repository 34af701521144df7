//! The handshake: what the kernel offers, and what of it is taken.
//!
//! Guarantees: asks for nothing that was not offered, so that older kernels serve too.
//! Not taken on purpose: DONT_MASK (the kernel applies the umask), WRITEBACK_CACHE (a
//! write is the file system's when it returns), and the locks (the kernel keeps them).

use std::io;

use fuser::{InitFlags, KernelConfig};

use super::{ReaddirPlus, ServeOptions};

/// The most bytes in one write or read request.
pub(super) const MAX_REQUEST: u32 = 1 << 20;
/// Requests of the kernel's own (read-ahead, asynchronous I/O) that may wait at once: many more than may wait for other
/// devices, lest those of files that are here wait behind them.
const MAX_BACKGROUND: u16 = 512;

/// What was agreed on.
#[derive(Clone, Copy, Default)]
pub(super) struct Agreed {
    /// Write-only handles may be direct: wished for, and possible.
    pub(super) direct_writes: bool,
    /// The kernel can do without opendir.
    pub(super) no_opendir: bool,
}

/// Settles the connection's terms.
pub(super) fn agree(config: &mut KernelConfig, options: &ServeOptions) -> io::Result<Agreed> {
    let mut wanted = InitFlags::FUSE_ASYNC_READ
        | InitFlags::FUSE_ASYNC_DIO
        | InitFlags::FUSE_ATOMIC_O_TRUNC
        | InitFlags::FUSE_PARALLEL_DIROPS
        // Without it, each buffered write asks for an attribute first.
        | InitFlags::FUSE_HANDLE_KILLPRIV_V2
        | InitFlags::FUSE_CACHE_SYMLINKS
        // Pages go when told to, not when a time or size looks different: nothing
        // changes behind the kernel's back.
        | InitFlags::FUSE_EXPLICIT_INVAL_DATA
        | InitFlags::FUSE_NO_OPENDIR_SUPPORT
        | InitFlags::FUSE_DIRECT_IO_ALLOW_MMAP;
    wanted |= match options.readdir_plus {
        ReaddirPlus::Never => InitFlags::empty(),
        ReaddirPlus::Auto => InitFlags::FUSE_DO_READDIRPLUS | InitFlags::FUSE_READDIRPLUS_AUTO,
        ReaddirPlus::Always => InitFlags::FUSE_DO_READDIRPLUS,
    };
    let granted = config.capabilities() & wanted;
    let refused = |what: &str| io::Error::other(format!("the kernel and the library disagree about {what}"));
    config
        .add_capabilities(granted)
        .map_err(|_| refused("capabilities"))?;
    config
        .set_max_write(MAX_REQUEST)
        .map_err(|_| refused("the size of a write"))?;
    config
        .set_max_background(MAX_BACKGROUND)
        .map_err(|_| refused("background requests"))?;
    Ok(Agreed {
        // Since 6.6 mappings and direct handles on one file go together.
        direct_writes: options.direct_writes && granted.contains(InitFlags::FUSE_DIRECT_IO_ALLOW_MMAP),
        no_opendir: granted.contains(InitFlags::FUSE_NO_OPENDIR_SUPPORT),
    })
}
