//! The writers.

use super::{FILES, Kind, SLOT, body, length, slot};
use std::fs::{self, File, OpenOptions};
use std::io::{Result, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Writes until something fails, which is how it ends when the vault is taken from under it.
/// `dir` exists and is empty; acknowledged steps go to `log`, a line each.
///
/// # Errors
/// The failure.
pub fn write(kind: Kind, dir: &Path, log: &Path) -> Result<()> {
    let mut acknowledged = OpenOptions::new().append(true).create(true).open(log)?;
    let mut acknowledge = |step: u64| acknowledged.write_all(format!("{step}\n").as_bytes());
    let mut state = State::new(kind, dir)?;
    for step in 1.. {
        if state.step(step)? {
            acknowledge(step)?;
        }
    }
    Ok(())
}

struct State<'a> {
    kind: Kind,
    dir: &'a Path,
    folder: File,
    /// The one file of those kinds that have one.
    file: Option<File>,
}

impl<'a> State<'a> {
    fn new(kind: Kind, dir: &'a Path) -> Result<State<'a>> {
        let folder = File::open(dir)?;
        let open = |name: &str| -> Result<File> {
            let file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(dir.join(name))?;
            folder.sync_all()?;
            Ok(file)
        };
        let file = match kind {
            Kind::Append => Some(open("log")?),
            Kind::Slots => Some(open("slots")?),
            _ => None,
        };
        Ok(State {
            kind,
            dir,
            folder,
            file,
        })
    }

    /// One step; whether it is acknowledged to be durable.
    fn step(&mut self, step: u64) -> Result<bool> {
        let path = self.dir.join((step % FILES).to_string());
        match (self.kind, &mut self.file) {
            (Kind::Replace, _) => {
                let temporary = self.dir.join(format!("{}.tmp", step % FILES));
                let mut file = File::create(&temporary)?;
                file.write_all(&body(step, length(step)))?;
                file.sync_all()?;
                fs::rename(temporary, path)?;
                self.folder.sync_all()?;
                Ok(true)
            }
            (Kind::Truncate, _) => {
                let mut file = File::create(path)?;
                // In two writes, so that there is something between truncation and close.
                let bytes = body(step, length(step));
                let (first, second) = bytes.split_at(bytes.len() / 2);
                file.write_all(first)?;
                file.write_all(second)?;
                let durable = step.is_multiple_of(7);
                if durable {
                    file.sync_all()?;
                    self.folder.sync_all()?;
                }
                Ok(durable)
            }
            (Kind::Append, Some(file)) => {
                file.write_all(&body(step, length(step) / 4))?;
                synced(file, step)
            }
            (Kind::Slots, Some(file)) => {
                file.write_all_at(&body(step, SLOT), slot(step) * SLOT as u64)?;
                synced(file, step)
            }
            _ => {
                // Steps 1 to 4 make the files, 5 to 8 remove them, and so on.
                if ((step - 1) / FILES).is_multiple_of(2) {
                    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
                    file.write_all(&body(step, length(step) % 5000))?;
                    file.sync_all()?;
                } else {
                    fs::remove_file(path)?;
                }
                self.folder.sync_all()?;
                Ok(true)
            }
        }
    }
}

fn synced(file: &File, step: u64) -> Result<bool> {
    let durable = step.is_multiple_of(16);
    if durable {
        file.sync_data()?;
    }
    Ok(durable)
}
