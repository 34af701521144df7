//! Guards the model: what it says is what a real ext4 does, answer by answer. Everything
//! that is compared with the model stands on this.

use coffer_tests::op::Op;
use coffer_tests::play::direct::Direct;
use coffer_tests::play::lockstep::{self, Closeness, Mismatch};
use coffer_tests::play::syscalls::{Plain, Syscalls};
use coffer_tests::reference::bench::ReferenceBench;
use coffer_tests::settings::seeds;
use coffer_tests::stream::generate::Profile;
use coffer_tests::stream::trial::try_seeds;

const PROFILE: Profile = Profile {
    ops: 300,
    direct: false,
    remounts: 1,
};

fn play(seed: u64, ops: &[Op], plain: Plain) -> Result<(), Mismatch> {
    let mut model = Direct::new(ReferenceBench::default());
    let mut plain = Syscalls::new(plain);
    let closeness = Closeness {
        contents: seed.is_multiple_of(2),
        times: plain.has_fine_times(),
    };
    lockstep::run(&mut [&mut model, &mut plain], ops, closeness)
}

/// Every answer, attribute, time, name, byte and extended attribute.
#[test]
fn the_model_does_what_ext4_does() {
    if Plain::on_ext4().is_none() {
        return;
    }
    try_seeds(seeds(40, 2000), PROFILE, 1000, |seed, ops| {
        play(seed, ops, Plain::on_ext4().expect("it was there before"))
    });
}
