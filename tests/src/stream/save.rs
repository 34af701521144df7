//! How editors save, as operations.

use super::generate::Generator;
use crate::op::{Flags, Op, Path, Slot};
use coffer_fs::types::RenameMode;
use rand::RngExt;

impl Generator {
    /// How editors save: in place, by a file renamed over the old one, or by moving the
    /// old one to a backup name and writing anew.
    pub(super) fn save(&mut self) {
        let path = self.new_path();
        let Some((beside, _)) = path.split() else { return };
        let named = |index: u8| Path(beside.0.iter().copied().chain([index]).collect());
        let (temporary, backup) = (named(11), named(10));
        match self.rng.random_range(0..3) {
            0 => self.write_anew(path),
            1 => {
                self.write_anew(temporary.clone());
                self.push(Op::Rename {
                    from: temporary,
                    to: path,
                    mode: RenameMode::Replace,
                });
            }
            _ => {
                let mode = RenameMode::Replace;
                self.push(Op::Rename {
                    from: path.clone(),
                    to: backup.clone(),
                    mode,
                });
                self.write_anew(path);
                if self.rng.random() {
                    self.push(Op::Unlink { path: backup });
                }
            }
        }
    }

    fn write_anew(&mut self, path: Path) {
        let slot: Slot = self.any_slot();
        let flags = Flags {
            read: false,
            write: true,
            append: false,
            truncate: true,
            create: true,
            exclusive: false,
        };
        let (len, fill) = (self.len(), self.fill());
        self.push(Op::Open {
            slot,
            path,
            flags,
            perm: 0o644,
            blind: false,
        });
        self.push(Op::Write {
            slot,
            offset: 0,
            len,
            fill,
            kill_suid: false,
        });
        self.push(Op::Fsync { slot });
        self.push(Op::Close { slot });
    }
}
