//! What a generator picks: names that collide, files still open after their name is gone,
//! offsets beside the ends of files, pages, segments and chunks.

use super::generate::Generator;
use crate::op::{Fill, Flags, NAMES, Path, SLOTS, Slot};
use crate::play::Place;
use coffer_fs::types::{Kind, Time};
use rand::RngExt;
use rand::seq::IndexedRandom;

const BOUNDARIES: [u64; 9] = [
    4096, 8192, 16384, 32768, 65536, 131_072, 262_144, 524_288, 1_048_576,
];
/// Past 32 bits, so that no offset is cut.
const FAR: u64 = 5 << 30;
/// Before 1970, in its last second, at its beginning, and after 2038, 2106 and 2262.
const TIMES: [(i64, u32); 7] = [
    (-1_000_000_000, 1),
    (-1, 999_999_999),
    (0, 0),
    (1, 500_000_000),
    (2_147_483_648, 123_456_789),
    (4_294_967_296, 7),
    (9_300_000_000, 999_999_999),
];
const PERMS: [u16; 6] = [0o644, 0o600, 0o755, 0o444, 0o777, 0o000];
/// No sticky folder that others may write: the kernel keeps files in those from being opened
/// (protected_regular, protected_symlinks), on every file system alike.
const SPECIAL_PERMS: [u16; 5] = [0o4755, 0o2755, 0o2644, 0o6711, 0o1755];
const XATTRS: [&[u8]; 4] = [b"user.a", b"user.b", b"user.\xc3\xa9", b"user.mime_type"];
const TARGET_LENGTHS: [usize; 8] = [1, 5, 59, 60, 61, 255, 1000, 4095];

impl Generator {
    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_range(0..100) < percent
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        *from
            .choose(&mut self.rng)
            .expect("there is something to choose from")
    }

    /// Any slot, free or not.
    pub(super) fn any_slot(&mut self) -> Slot {
        self.rng.random_range(0..SLOTS as Slot)
    }

    /// Mostly one with an open file.
    pub(super) fn slot(&mut self) -> Slot {
        self.slot_that(|_| true)
    }

    /// Mostly one with a file that was opened so.
    pub(super) fn slot_that(&mut self, suits: impl Fn(&Flags) -> bool) -> Slot {
        let suiting = |slot: &Slot| self.opened[usize::from(*slot)].as_ref().is_some_and(&suits);
        let suiting: Vec<Slot> = (0..SLOTS as Slot).filter(suiting).collect();
        if !suiting.is_empty() && self.chance(93) {
            self.pick(&suiting)
        } else {
            self.any_slot()
        }
    }

    /// A path that probably exists.
    pub(super) fn path(&mut self) -> Path {
        match self.rng.random_range(0..100) {
            0..85 => self.existing(|_| true).unwrap_or_else(|| self.random_path()),
            85..88 => Path(Vec::new()),
            _ => self.random_path(),
        }
    }

    /// A path at which something is to be made, mostly new.
    pub(super) fn new_path(&mut self) -> Path {
        if self.chance(30) {
            self.path()
        } else {
            self.random_path()
        }
    }

    fn existing(&mut self, suits: impl Fn(Kind) -> bool) -> Option<Path> {
        let index = |name: &Vec<u8>| NAMES.iter().position(|known| known == name).map(|at| at as u8);
        let named = self.views.iter().filter_map(|(place, view)| match place {
            Place::Named(names) if !names.is_empty() && suits(view.kind) => {
                names.iter().map(index).collect::<Option<Vec<u8>>>().map(Path)
            }
            _ => None,
        });
        let all: Vec<Path> = named.collect();
        all.choose(&mut self.rng).cloned()
    }

    /// A name in a folder that probably exists, at most four names deep.
    fn random_path(&mut self) -> Path {
        let above = match self.rng.random_range(0..100) {
            0..45 => None,
            45..97 => self.existing(|kind| kind == Kind::Folder),
            _ => self.existing(|_| true),
        };
        let mut path = above.filter(|path| path.0.len() < 4).unwrap_or(Path(Vec::new()));
        path.0.push(match self.rng.random_range(0..100) {
            0..70 => self.rng.random_range(0..4),
            70 => NAMES.len() as u8 - 1,
            _ => self.rng.random_range(4..NAMES.len() as u8 - 1),
        });
        path
    }

    pub(super) fn target(&mut self) -> Vec<u8> {
        vec![b'a' + self.rng.random_range(0..26_u8); self.pick(&TARGET_LENGTHS)]
    }

    pub(super) fn perm(&mut self) -> u16 {
        self.pick(&PERMS)
    }

    /// With set-id and sticky bits too.
    pub(super) fn any_perm(&mut self) -> u16 {
        if self.rng.random() {
            self.perm()
        } else {
            self.pick(&SPECIAL_PERMS)
        }
    }

    pub(super) fn time(&mut self) -> Option<Time> {
        let (sec, nsec) = self.pick(&TIMES);
        Some(Time { sec, nsec }).filter(|_| self.chance(70))
    }

    pub(super) fn xattr(&mut self) -> Vec<u8> {
        self.pick(&XATTRS).to_vec()
    }

    /// Few different ones, so that the same bytes come again.
    pub(super) fn fill(&mut self) -> Fill {
        Fill(self.rng.random_range(0..12))
    }

    /// A size, now and then past 4 GiB.
    pub(super) fn size(&mut self) -> u64 {
        if self.chance(10) {
            FAR + self.rng.random_range(0..3) - 1
        } else {
            self.near()
        }
    }

    /// An offset within that slot's file or at its end, as often as not.
    pub(super) fn offset(&mut self, slot: Slot) -> u64 {
        let size = self.views.get(&Place::Open(slot)).map_or(0, |view| view.size);
        match self.rng.random_range(0..100) {
            0..35 if size > 0 => self.rng.random_range(0..size),
            35..50 => (size + self.rng.random_range(0..3)).saturating_sub(1),
            _ => self.near(),
        }
    }

    fn near(&mut self) -> u64 {
        match self.rng.random_range(0..100) {
            0..20 => 0,
            20..35 => self.rng.random_range(0..100),
            35..75 => self.boundary(70, 6),
            _ => self.rng.random_range(0..400_000),
        }
    }

    pub(super) fn len(&mut self) -> u64 {
        match self.rng.random_range(0..100) {
            0..3 => 0,
            3..45 => self.rng.random_range(1..300),
            45..75 => self.boundary(85, 5),
            75..98 => self.rng.random_range(1..50_000),
            _ => self.rng.random_range(1..1_500_000),
        }
    }

    /// At a boundary or one beside it, `percent` of the time one of the first `low`.
    fn boundary(&mut self, percent: u32, low: usize) -> u64 {
        let below = if self.chance(percent) {
            low
        } else {
            BOUNDARIES.len()
        };
        self.pick(&BOUNDARIES[..below]) + self.rng.random_range(0..3) - 1
    }
}
