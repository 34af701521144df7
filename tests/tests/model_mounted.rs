//! Guards the mounted vault against differences from ext4: random streams of real system
//! calls (openat2, renameat2, pwrite, mmap, copy_file_range, fallocate, …), with remounts,
//! are played to a mounted vault, to a plain directory on ext4 and to the model, and every
//! answer, attribute, time, name and byte is compared.

use coffer_fs::types::RenameMode;
use coffer_tests::op::Op;
use coffer_tests::play::direct::Direct;
use coffer_tests::play::lockstep::{self, Closeness, Mismatch};
use coffer_tests::play::syscalls::{Plain, Site, Syscalls};
use coffer_tests::play::{Outcome, Place, Player, Seen, Views};
use coffer_tests::reference::bench::ReferenceBench;
use coffer_tests::settings::seeds;
use coffer_tests::stream::generate::{Profile, generate};
use coffer_tests::stream::shrink::{report, shrink};
use coffer_tests::vault::{Vault, VaultSite};
use std::collections::BTreeMap;
use std::ops::Range;

const PROFILE: Profile = Profile {
    ops: 300,
    direct: false,
    remounts: 1,
};

fn play(site: &VaultSite, seed: u64, ops: &[Op]) -> Result<(), Mismatch> {
    let mut model = Direct::new(ReferenceBench::default());
    let mut mounted = Syscalls::new(site);
    let mut plain = Plain::on_ext4().map(Syscalls::new);
    let closeness = Closeness {
        contents: seed.is_multiple_of(2),
        times: true,
    };
    let mut players: Vec<&mut dyn Player> = vec![&mut model, &mut mounted];
    if let Some(plain) = plain.as_mut().filter(|plain| plain.has_fine_times()) {
        players.push(plain);
    }
    let result = lockstep::run(&mut players, ops, closeness);
    drop(mounted);
    site.clear();
    result
}

/// A mounted vault cannot be told from ext4 by what it answers.
#[test]
fn a_mounted_vault_is_like_ext4() {
    let Some(vault) = Vault::mounted() else { return };
    let site = VaultSite::new(vault);
    for seed in seeds(40, 1000) {
        let ops = generate(seed, PROFILE);
        if let Err(mismatch) = play(&site, seed, &ops) {
            let (ops, mismatch) = shrink(ops, mismatch, 200, |ops| play(&site, seed, ops).err());
            panic!("{}", report(seed, &ops, &mismatch));
        }
    }
    site.vault().lock();
    site.vault().mount();
    site.vault().assert_sound();
}

/// A plain directory that gets one thing wrong: an exchange becomes two renames that lose one.
struct Wrong<S: Site>(Syscalls<S>);

impl<S: Site> Player for Wrong<S> {
    fn name(&self) -> String {
        "wrong directory".into()
    }

    fn play(&mut self, op: &Op) -> Outcome {
        match op {
            Op::Rename {
                from,
                to,
                mode: RenameMode::Exchange,
            } => self.0.play(&Op::Rename {
                from: from.clone(),
                to: to.clone(),
                mode: RenameMode::Replace,
            }),
            _ => self.0.play(op),
        }
    }

    fn views(&mut self) -> Seen<Views> {
        self.0.views()
    }

    fn read(&mut self, place: &Place, offset: u64, len: u64) -> Seen<Vec<u8>> {
        self.0.read(place, offset, len)
    }

    fn data(&mut self, place: &Place, size: u64) -> Seen<Vec<Range<u64>>> {
        self.0.data(place, size)
    }

    fn xattrs(&mut self, path: &[Vec<u8>]) -> Seen<BTreeMap<Vec<u8>, Vec<u8>>> {
        self.0.xattrs(path)
    }
}

/// The comparison by system calls finds nothing between two plain directories, and finds a
/// planted difference.
#[test]
fn a_planted_difference_is_found() {
    let (Some(_), Some(_)) = (Plain::on_ext4(), Plain::on_ext4()) else {
        return;
    };
    let plain = || Syscalls::new(Plain::on_ext4().expect("it was there before"));
    let closeness = Closeness {
        contents: true,
        times: plain().has_fine_times(),
    };
    let mut found = 0;
    for seed in 0..10 {
        let ops = generate(seed, PROFILE);
        // The model first: it never gives an inode number to a second file.
        let model = || Direct::new(ReferenceBench::default());
        lockstep::run(&mut [&mut model(), &mut plain(), &mut plain()], &ops, closeness)
            .unwrap_or_else(|mismatch| panic!("seed {seed}: plain directories differ {mismatch}"));
        let wrong = lockstep::run(&mut [&mut model(), &mut Wrong(plain())], &ops, closeness);
        found += usize::from(wrong.is_err());
    }
    assert!(
        found > 5,
        "the planted difference showed in {found} of 10 streams only"
    );
}
