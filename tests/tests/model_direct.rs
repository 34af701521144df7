//! Guards the semantics of the vault's file system, and that nothing of it changes by a
//! commit or a remount: random operations are played to it and to a plain model in
//! memory, without a kernel, and every answer, attribute and byte must be the same.

use coffer_tests::engine::Engine;
use coffer_tests::op::Op;
use coffer_tests::play::direct::Direct;
use coffer_tests::play::lockstep::{self, Closeness, Mismatch};
use coffer_tests::reference::bench::ReferenceBench;
use coffer_tests::settings::seeds;
use coffer_tests::stream::generate::{Profile, generate};
use coffer_tests::stream::shrink::{report, shrink};

fn play(ops: &[Op], contents: bool) -> Result<(), Mismatch> {
    let mut model = Direct::new(ReferenceBench::default());
    let mut vault = Direct::new(Engine::default());
    lockstep::run(
        &mut [&mut model, &mut vault],
        ops,
        Closeness {
            contents,
            times: true,
        },
    )
}

#[test]
fn the_vault_is_the_model() {
    let profile = Profile {
        ops: 300,
        direct: true,
        remounts: 3,
    };
    for seed in seeds(200, 2000) {
        let ops = generate(seed, profile);
        if let Err(mismatch) = play(&ops, seed % 4 == 0) {
            let (ops, mismatch) = shrink(ops, mismatch, 300, |ops| play(ops, true).err());
            panic!("{}", report(seed, &ops, &mismatch));
        }
    }
}
