//! `floor MOUNTPOINT [--threads N] [--clone-fd] [--readdirplus never|auto|always]
//! [--no-negative] [--cached] [-o OPTIONS]`: mounts a file system in memory through the
//! adapter, in the foreground, until it is unmounted. The benches' floor: what a vault
//! would cost if encryption and storage were free.

mod memory;

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use coffer_fs::adapter::{ReaddirPlus, ServeOptions, serve};
use coffer_fs::mount::{MountOptions, mount};

fn main() -> Result<(), Box<dyn Error>> {
    let mut point = None;
    let mut threads = 3;
    let mut serving = ServeOptions::default();
    let mut mounting = MountOptions {
        fsname: "floor".to_owned(),
        ..MountOptions::default()
    };
    let mut arguments = std::env::args_os().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || {
            let value = arguments.next().and_then(|value| value.into_string().ok());
            value.ok_or_else(|| format!("{argument:?} takes a value"))
        };
        match argument.to_str() {
            Some("--threads") => threads = value()?.parse()?,
            Some("--clone-fd") => serving.clone_fd = true,
            Some("--no-negative") => serving.negative_ttl = Duration::ZERO,
            Some("--cached") => serving.direct_writes = false,
            Some("--readdirplus") => {
                serving.readdir_plus = match value()?.as_str() {
                    "never" => ReaddirPlus::Never,
                    "auto" => ReaddirPlus::Auto,
                    "always" => ReaddirPlus::Always,
                    other => return Err(format!("--readdirplus {other}?").into()),
                }
            }
            Some("-o") => mounting.parse(&value()?)?,
            Some(unknown) if unknown.starts_with('-') => return Err(format!("{unknown}?").into()),
            _ => point = Some(PathBuf::from(argument)),
        }
    }
    let point = point.ok_or("floor MOUNTPOINT [--threads N] …")?;
    // As the program does it: only root is served here, who is refused nothing.
    serving.kernel_checks = mounting.kernel_checks();
    let (fuse, mounted) = mount(&point, &mounting)?;
    let session = serve(Arc::new(memory::Memory::default()), fuse, threads, serving)?;
    if let Err(error) = mounted.raise_readahead() {
        eprintln!("reading ahead stays as it is: {error}");
    }
    session.join()?;
    Ok(())
}
