//! What many statements cost.

use std::time::{Duration, Instant};

use super::*;

/// Measures 20,000 statements of each of two stories: an ordinary one by ten devices, and one of removals and epochs on any ground.
#[test]
#[ignore = "measures: run alone, with nothing beside it"]
fn twenty_thousand_statements_take_less_than_a_second() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    let devs: [Dev; 10] = std::array::from_fn(|n| Dev::new(n as u8 + 1, names[n]));
    for hostile in [false, true] {
        let mut all = founded(&devs[0]);
        for who in &devs[1..] {
            add(&mut all, &devs[0], who);
        }
        let space = all.space();
        let mut epoch = 0;
        let began = Instant::now();
        for n in all.len()..20_000 {
            let by = &devs[n * 7 % 10];
            let device = devs[n % 10].id();
            let back = if hostile && n > 50 { 1 + n * 31 % 10 } else { 1 };
            let ground = all.iter().nth(all.len() - back).unwrap().clone();
            let body = match (hostile, n % 4) {
                (true, 0) if n % 10 > 4 => Body::Removed { device },
                (true, 1) => {
                    epoch = all.place(&ground.id()).map_or(0, |node| node.epoch) + 1;
                    Body::Epoch {
                        number: epoch,
                        commitment: [0; 32],
                        shares: Vec::new(),
                    }
                }
                (true, 2) => Body::Shared {
                    epoch: ground.id(),
                    shares: Vec::new(),
                },
                _ => later(12, &device.0),
            };
            hear(&mut all, vec![forge(by, &[&ground], space, body)]);
        }
        let taken = began.elapsed();
        let began = Instant::now();
        let members = all.state().members().count();
        let evaluated = began.elapsed();
        println!(
            "hostile {hostile}: taken in {taken:?}, evaluated {evaluated:?}, {members} members, epoch {epoch}"
        );
        assert!(evaluated < Duration::from_secs(1));
    }
}
