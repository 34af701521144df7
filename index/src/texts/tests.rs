//! Guards that texts stay what they are while others come and go.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use super::*;

fn text(rng: &mut StdRng) -> String {
    let words = ["garden", "häuser", "日本語", "a", " ", "\n", "water"];
    let long = if rng.random_bool(0.02) { 20_000 } else { 300 };
    let many = rng.random_range(0..long);
    (0..many).map(|_| *words.choose(rng).unwrap()).collect()
}

fn is(texts: &Texts, id: u64) -> Option<String> {
    texts.get(id, &mut Page::default()).map(str::to_owned)
}

/// Guards that each number gives its text, whatever is given up around it, and that what is given up leaves its room: by a model, with
/// readers that begin and end anywhere.
#[test]
fn a_number_means_one_text() {
    for seed in 0..12 {
        let mut rng = StdRng::seed_from_u64(seed);
        let texts = Texts::new(64 << 20);
        let mut there: BTreeMap<u64, String> = BTreeMap::new();
        let mut readers: Vec<(Reading, BTreeMap<u64, String>)> = Vec::new();
        let mut page = Page::default();
        for _ in 0..2_000 {
            match rng.random_range(0..10) {
                0..5 => {
                    let text = text(&mut rng);
                    let id = texts.put(&text).unwrap();
                    assert!(there.insert(id, text).is_none());
                }
                5..8 => {
                    let ids: Vec<u64> = there.keys().copied().filter(|_| rng.random_bool(0.01)).collect();
                    ids.iter().for_each(|id| drop(there.remove(id)));
                    texts.give_up(ids);
                }
                8 if readers.len() < 4 => readers.push((texts.reading(), there.clone())),
                _ if !readers.is_empty() => drop(readers.remove(rng.random_range(0..readers.len()))),
                _ => {}
            }
            let known = readers.iter().map(|(_, known)| known).chain([&there]);
            for known in known {
                if let Some((id, text)) = known.iter().nth(rng.random_range(0..known.len().max(1))) {
                    assert_eq!(texts.get(*id, &mut page), Some(&**text), "seed {seed}");
                }
            }
        }
        for (_, known) in readers
            .iter()
            .map(|(r, k)| (r, k))
            .chain([(&texts.reading(), &there)])
        {
            for (id, text) in known {
                assert_eq!(is(&texts, *id).as_ref(), Some(text), "seed {seed}");
            }
        }
        readers.clear();
        texts.give_up(there.into_keys().collect());
        let (many, bytes) = texts.size();
        assert_eq!(many, 0, "seed {seed}");
        assert!(bytes <= BLOCK, "seed {seed}: {bytes} bytes of nothing");
    }
}

/// Guards that what was given up is gone once nobody who may read it is left, and not before.
#[test]
fn readers_keep_what_they_saw() {
    let texts = Texts::new(1 << 20);
    let id = texts.put("seen").unwrap();
    let reading = texts.reading();
    texts.give_up(vec![id]);
    let late = texts.reading();
    assert_eq!(is(&texts, id).as_deref(), Some("seen"));
    drop(reading);
    texts.put("another").unwrap();
    assert_eq!(is(&texts, id), None);
    drop(late);
}

/// Guards the bound: what does not fit is not kept, and what was given up makes room.
#[test]
fn there_is_no_more_than_may_be() {
    let texts = Texts::new(100 << 10);
    let mut rng = StdRng::seed_from_u64(1);
    let mut text = || -> String { (0..8 << 10).map(|_| rng.random_range('a'..='z')).collect() };
    let ids: Vec<u64> = std::iter::from_fn(|| texts.put(&text())).take(1000).collect();
    assert!(ids.len() > 10 && ids.len() < 30, "{}", ids.len());
    assert!(texts.size().1 <= 100 << 10);
    texts.give_up(ids);
    assert!(texts.put(&text()).is_some());
    assert!(Texts::new(0).put("").is_some(), "nothing takes no room");
}
