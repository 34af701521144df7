//! Streams of operations from a seed.
//!
//! Guarantees the same stream for the same seed and profile. The stream is played to a
//! model while it is made, so that most operations find something to do.

use crate::op::{Flags, Op, SLOTS};
use crate::play::direct::Direct;
use crate::play::{Outcome, Player, Views};
use crate::reference::bench::ReferenceBench;
use coffer_fs::types::{Allocate, Kind, RenameMode, Seek, XattrMode};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// What a stream may contain.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// How many operations, a few more where several make one pattern.
    pub ops: usize,
    /// What only a caller without a kernel can do: be somebody else, forget, create blindly,
    /// write without CAP_FSETID, and extended attributes larger than ext4 takes.
    pub direct: bool,
    /// Percent of operations that are a remount.
    pub remounts: u32,
}

/// The stream of this seed.
pub fn generate(seed: u64, profile: Profile) -> Vec<Op> {
    let mut made = Generator {
        rng: SmallRng::seed_from_u64(seed),
        profile,
        model: Direct::new(ReferenceBench::default()),
        views: Views::new(),
        opened: [None; SLOTS],
        ops: Vec::new(),
    };
    while made.ops.len() < profile.ops {
        made.step();
    }
    made.ops
}

/// The making of one stream.
pub(super) struct Generator {
    pub(super) rng: SmallRng,
    profile: Profile,
    model: Direct<ReferenceBench>,
    /// What the model shows by now.
    pub(super) views: Views,
    /// How the slots were opened.
    pub(super) opened: [Option<Flags>; SLOTS],
    ops: Vec<Op>,
}

impl Generator {
    pub(super) fn push(&mut self, op: Op) {
        let outcome = self.model.play(&op);
        match &op {
            Op::Open { slot, flags, .. } => {
                self.opened[usize::from(*slot)] = Some(*flags).filter(|_| outcome == Outcome::Done);
            }
            Op::Close { slot } => self.opened[usize::from(*slot)] = None,
            Op::Remount => self.opened = [None; SLOTS],
            _ => {}
        }
        self.views = self.model.views().expect("the model shows all it has");
        self.ops.push(op);
    }

    fn step(&mut self) {
        if self.chance(self.profile.remounts) {
            return self.push(Op::Remount);
        }
        let op = match self.rng.random_range(0..1000_u32) {
            0..260 => self.name_op(),
            260..360 => self.open(),
            360..390 => Op::Close { slot: self.slot() },
            390..835 => self.data_op(),
            835..948 => self.attr_op(),
            948..956 => Op::Sync,
            956..966 if self.profile.direct => Op::Forget,
            966..972 if self.profile.direct => {
                let (uid, gid) = self.pick(&[(0, 0), (1000, 100)]);
                Op::Become { uid, gid }
            }
            _ => return self.save(),
        };
        self.push(op);
    }

    fn name_op(&mut self) -> Op {
        match self.rng.random_range(0..260) {
            0..45 => Op::Mkdir {
                path: self.new_path(),
                perm: self.perm(),
            },
            45..60 => Op::Symlink {
                path: self.new_path(),
                target: self.target(),
            },
            60..70 => {
                let kind = self.pick(&[Kind::Fifo, Kind::Socket, Kind::File]);
                Op::Mknod {
                    path: self.new_path(),
                    kind,
                    perm: self.perm(),
                }
            }
            70..105 => Op::Link {
                from: self.path(),
                to: self.new_path(),
            },
            105..140 => Op::Unlink { path: self.path() },
            140..160 => Op::Rmdir { path: self.path() },
            160..230 => {
                let modes = [RenameMode::Replace, RenameMode::NoReplace, RenameMode::Exchange];
                let mode = modes[[0, 0, 0, 0, 0, 1, 2][self.rng.random_range(0..7_usize)]];
                Op::Rename {
                    from: self.path(),
                    to: self.new_path(),
                    mode,
                }
            }
            230..240 => Op::Readlink { path: self.path() },
            _ => Op::ReadDir {
                path: self.path(),
                batch: self.rng.random_range(1..6),
            },
        }
    }

    fn data_op(&mut self) -> Op {
        match self.rng.random_range(0..445) {
            0..50 => {
                let slot = self.slot_that(|flags| flags.read);
                Op::Read {
                    slot,
                    offset: self.offset(slot),
                    len: self.len(),
                }
            }
            50..210 => {
                let kill_suid = self.profile.direct && self.chance(10);
                let slot = self.slot_that(|flags| flags.write);
                let (offset, len, fill) = (self.offset(slot), self.len(), self.fill());
                Op::Write {
                    slot,
                    offset,
                    len,
                    fill,
                    kill_suid,
                }
            }
            210..230 => {
                let slot = self.slot_that(|flags| flags.read && flags.write);
                Op::MapWrite {
                    slot,
                    offset: self.offset(slot),
                    len: self.len(),
                    fill: self.fill(),
                }
            }
            230..255 => Op::Truncate {
                path: self.path(),
                size: self.size(),
            },
            255..310 => {
                let slot = self.slot_that(|flags| flags.write);
                let size = if self.chance(5) {
                    self.size()
                } else {
                    self.offset(slot)
                };
                Op::FTruncate { slot, size }
            }
            310..360 => self.allocate(),
            360..410 => {
                let from = self.slot_that(|flags| flags.read);
                let to = self.slot_that(|flags| flags.write && !flags.append);
                let (from_offset, to_offset) = (self.offset(from), self.offset(to));
                Op::Copy {
                    from,
                    from_offset,
                    to,
                    to_offset,
                    len: self.len(),
                }
            }
            410..435 => {
                let (slot, seek) = (self.slot(), self.pick(&[Seek::Data, Seek::Hole]));
                Op::Seek {
                    slot,
                    offset: self.offset(slot),
                    seek,
                }
            }
            _ => Op::Fsync { slot: self.slot() },
        }
    }

    fn attr_op(&mut self) -> Op {
        match self.rng.random_range(0..113) {
            0..25 => Op::Chmod {
                path: self.path(),
                perm: self.any_perm(),
            },
            25..32 => Op::FChmod {
                slot: self.slot(),
                perm: self.any_perm(),
            },
            32..50 => {
                let uid = Some(self.pick(&[0, 1000, 2000]));
                let gid = Some(self.pick(&[0, 50, 100]));
                let (uid, gid) = self.pick(&[(uid, gid), (uid, None), (None, gid)]);
                Op::Chown {
                    path: self.path(),
                    uid,
                    gid,
                }
            }
            50..70 => Op::SetTimes {
                path: self.path(),
                atime: self.time(),
                mtime: self.time(),
            },
            70..95 => self.set_xattr(),
            95..103 => Op::GetXattr {
                path: self.path(),
                name: self.xattr(),
            },
            _ => Op::RemoveXattr {
                path: self.path(),
                name: self.xattr(),
            },
        }
    }

    fn open(&mut self) -> Op {
        let create = self.chance(60);
        let path = if create { self.new_path() } else { self.path() };
        let write = self.chance(80);
        let flags = Flags {
            read: !write || self.chance(70),
            write,
            append: write && self.chance(15),
            truncate: write && self.chance(20),
            create,
            exclusive: create && self.chance(15),
        };
        let blind = self.profile.direct && self.chance(10);
        Op::Open {
            slot: self.any_slot(),
            path,
            flags,
            perm: self.perm(),
            blind,
        }
    }

    fn allocate(&mut self) -> Op {
        let keep_size = self.rng.random();
        let modes = [
            Allocate::Reserve { keep_size },
            Allocate::Zero { keep_size },
            Allocate::PunchHole,
        ];
        let mode = self.pick(&modes);
        let slot = self.slot_that(|flags| flags.write);
        Op::Allocate {
            slot,
            offset: self.offset(slot),
            len: self.len(),
            mode,
        }
    }

    fn set_xattr(&mut self) -> Op {
        let mode = self.pick(&[XattrMode::Set, XattrMode::Create, XattrMode::Replace]);
        let longest = if self.profile.direct && self.chance(10) {
            65_530
        } else {
            120
        };
        // No value twice: ext4 does not even touch ctime for the value that is there.
        let mut value = self.ops.len().to_le_bytes().to_vec();
        let len = self.rng.random_range(0..longest);
        value.extend(self.fill().bytes(len));
        Op::SetXattr {
            path: self.path(),
            name: self.xattr(),
            value,
            mode,
        }
    }
}
