//! Where streams of system calls are played.

use rustix::fs;

/// A directory to play in.
pub trait Site {
    /// What to call it in a report.
    fn name(&self) -> String;
    /// Its path.
    fn root(&self) -> &std::path::Path;
    /// Makes everything durable.
    fn sync(&mut self);
    /// Unmounts in order and mounts again, where there is something mounted. No file is open.
    fn remount(&mut self);
}

/// A plain directory, which is never unmounted.
#[derive(Debug)]
pub struct Plain(tempfile::TempDir);

impl Plain {
    /// A new one on ext4, where the tests are built or where temporary files go. `None`, said
    /// aloud, if there is no ext4: others differ in a few answers that nobody is wrong about.
    pub fn on_ext4() -> Option<Plain> {
        const EXT4_SUPER_MAGIC: u64 = 0xef53;
        let built = std::env::current_exe()
            .ok()
            .and_then(|exe| exe.parent().map(|dir| dir.to_owned()));
        for place in built.into_iter().chain([std::env::temp_dir(), "/var/tmp".into()]) {
            if fs::statfs(&place).is_ok_and(|stat| stat.f_type as u64 == EXT4_SUPER_MAGIC)
                && let Ok(dir) = tempfile::Builder::new().prefix("plain-").tempdir_in(&place)
            {
                return Some(Plain(dir));
            }
        }
        crate::settings::skip("there is no ext4 to compare with");
        None
    }
}

impl Site for Plain {
    fn name(&self) -> String {
        "plain directory".into()
    }

    fn root(&self) -> &std::path::Path {
        self.0.path()
    }

    fn sync(&mut self) {}

    fn remount(&mut self) {}
}
