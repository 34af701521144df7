//! What a new vault holds: four folders, and one note that teaches by being a note.

use coffer_fs::types::{Caller, FileSystem, NewNode, OpenMode, ROOT, Result};
use std::sync::mpsc;

/// The folders of a new vault.
pub(crate) const FOLDERS: [&str; 4] = ["Notes", "Contacts", "Tasks", "Files"];

/// The note.
pub(crate) const NOTE: &str = include_str!("welcome.md");

/// Makes the folders and the note, owned by the caller, and waits until they are durable.
///
/// # Errors
/// The file system's.
pub(crate) fn fill<F: FileSystem>(fs: &F) -> Result<()> {
    let who = Caller {
        uid: rustix::process::getuid().as_raw(),
        gid: rustix::process::getgid().as_raw(),
        pid: 0,
    };
    for (i, name) in FOLDERS.iter().enumerate() {
        let folder = fs.make(who, ROOT, name.as_bytes(), NewNode::Folder, 0o755)?;
        if i == 0 {
            let mode = OpenMode {
                write: true,
                ..OpenMode::default()
            };
            let (note, handle) = fs.create(who, folder.ino, b"Welcome.md", 0o644, mode, true)?;
            let written = fs.write(note.ino, handle, 0, NOTE.as_bytes(), false);
            fs.release(note.ino, handle);
            written?;
            let (done, answer) = mpsc::channel();
            fs.fsync(
                note.ino,
                Box::new(move |result| {
                    // The receiver waits below; it cannot be gone.
                    let _ = done.send(result);
                }),
            );
            answer.recv().unwrap_or(Err(coffer_fs::types::Errno(libc::EIO)))?;
            fs.forget(note.ino, 1);
        }
        fs.forget(folder.ino, 1);
    }
    Ok(())
}
