//! Members that lie about chunks beside honest ones, or make a device read for nothing.

mod model;

use coffer_sync::core::wire::{Hello, Message};
use coffer_sync::core::{Answer, ChunkOutcome, Ended, Outcome, Policy, SessionId, Urgency};
use model::Dice;
use model::lies::live;
use model::lone::{Lone, THEIRS, hello};
use model::store::Store;

/// A peer that has a chunk and does not send it has it taken away, whatever else it sends; saying that it has it now
/// does not help it.
#[test]
fn a_withheld_chunk_is_asked_of_another() {
    let mut dice = Dice(4);
    let mut has = Store::new(THEIRS, Policy::Everything);
    let root = has.add_file(&mut dice, &[50_000; 40]);
    let batch = has.tell(&mut dice, 5, &[root]);
    let mut lone = Lone::new(Policy::Everything);
    assert_eq!(lone.store.take_in(&batch), Outcome::Taken);
    lone.store.chunks.insert(root, has.chunks[&root].clone());
    let mut lone = Lone::of(lone.store, dice);
    let liar = lone.session;
    lone.open(&[]);
    let asked = |lone: &mut Lone, session| {
        let wants = lone.told(session, |message| match message {
            Message::WantChunks { chunks, .. } => Some(chunks),
            _ => None,
        });
        wants.concat().into_iter().map(|(id, _)| id).collect::<Vec<_>>()
    };
    let first = asked(&mut lone, liar);
    assert_eq!(first.len(), 32);
    let honest = lone.connect([9; 32]);
    lone.open(&[]);
    let rest = asked(&mut lone, honest);
    assert_eq!(rest.len(), 8);
    // It trickles the first, and sends others whole.
    let (held, others) = (first[0], &first[1..]);
    let sent = |id: &[u8; 32]| has.chunks[id].clone();
    for n in 0..80 {
        if let Some(id) = others.get(n) {
            let (total, data) = (sent(id).len() as u32, sent(id));
            lone.say_in(
                liar,
                &Message::Chunk {
                    id: *id,
                    total,
                    offset: 0,
                    data: &data,
                },
            );
        }
        lone.say_in(liar, &Message::Here(vec![held]));
        live(&mut lone, 1);
    }
    let mut moved = asked(&mut lone, honest);
    assert!(moved.contains(&held));
    assert!(!asked(&mut lone, liar).contains(&held));
    moved.extend(rest);
    for id in moved {
        let bytes = sent(&id);
        lone.say_in(
            honest,
            &Message::Chunk {
                id,
                total: bytes.len() as u32,
                offset: 0,
                data: &bytes,
            },
        );
    }
    assert!(lone.store.chunks.contains_key(&held));
    assert!(lone.closed.is_empty());
}

fn wants_chunk(lone: &mut Lone, session: SessionId) -> Vec<u32> {
    lone.told(session, |message| match message {
        Message::WantChunks { chunks, .. } => Some(chunks[0].1),
        _ => None,
    })
}

/// The same of chunks: who goes on with what a liar left is not ended for it, and is then asked for all of it.
#[test]
fn false_parts_of_chunks_end_nobody_else() {
    let mut dice = Dice(4);
    let mut has = Store::new(THEIRS, Policy::Everything);
    let id = has.add_file(&mut dice, &[1; 3_000]);
    let bytes = has.chunks[&id].clone();
    let len = bytes.len();
    for (total, sent) in [(len, 50_000), (len + 9, 50_000), (len + 50_000, len + 20_000)] {
        let mut lone = Lone::new(Policy::Everything);
        let liar = lone.session;
        lone.open(&[]);
        lone.node.want(lone.now, id, Urgency::Pinned, len as u32);
        lone.settle();
        for at in (0..sent).step_by(50_000) {
            let data = vec![0xbb; 50_000.min(sent - at)];
            let (total, offset) = (total as u32, at as u32);
            lone.say(&Message::Chunk {
                id,
                total,
                offset,
                data: &data,
            });
        }
        lone.node.disconnected(lone.now, liar);
        lone.settle();
        let honest = lone.connect([9; 32]);
        lone.open(&[]);
        for round in 0..3 {
            let wants = wants_chunk(&mut lone, honest);
            let Some(from) = wants.last().copied() else {
                break;
            };
            assert!(round < 2, "again and again");
            // It begins at its beginning if it has not so much.
            let from = if (from as usize) < len { from as usize } else { 0 };
            for at in (from..len).step_by(50_000) {
                let data = &bytes[at..(at + 50_000).min(len)];
                lone.say(&Message::Chunk {
                    id,
                    total: len as u32,
                    offset: at as u32,
                    data,
                });
            }
        }
        assert!(lone.store.chunks.contains_key(&id), "{total} {sent}");
        assert_eq!(lone.closed.len(), 1, "{:?}", lone.closed);
    }
}

/// A device that was told a false length asks for bytes beyond a chunk's end: it is sent from its beginning.
#[test]
fn a_chunk_wanted_beyond_its_end_is_sent_from_its_beginning() {
    let mut lone = Lone::new(Policy::Everything);
    lone.store.chunks.insert([4; 32], vec![4; 1_000].into());
    lone.open(&[]);
    lone.say(&Message::WantChunks {
        urgent: true,
        chunks: vec![([4; 32], 5_000)],
    });
    let sent = lone.take(|message| match message {
        Message::Chunk {
            total, offset, data, ..
        } => Some((total, offset, data.len())),
        _ => None,
    });
    assert_eq!(sent, [(1_000, 0, 1_000)]);
}

/// What nobody has, or one peer that is busy alone, does not keep what others have from coming.
#[test]
fn chunks_that_nobody_has_block_nothing() {
    let mut dice = Dice(4);
    let mut has = Store::new(THEIRS, Policy::Everything);
    let mut lost = has.clone();
    let mut roots: Vec<[u8; 32]> = (0..25).map(|_| lost.add_file(&mut dice, &[20; 250])).collect();
    let there = has.add_file(&mut dice, &[20; 5]);
    roots.push(there);
    has.chunks.extend(
        lost.chunks
            .iter()
            .filter(|(id, _)| roots.contains(id))
            .map(|(id, b)| (*id, b.clone())),
    );
    let batch = has.tell(&mut dice, 5, &roots);
    let mut lone = Lone::new(Policy::Everything);
    assert_eq!(lone.store.take_in(&batch), Outcome::Taken);
    for root in &roots {
        lone.store.chunks.insert(*root, has.chunks[root].clone());
    }
    // 6,250 chunks that nobody has come before the five that somebody has.
    assert_eq!(lone.store.missing().len(), 25 * 250 + 5);
    let mut lone = Lone::of(lone.store, dice);
    lone.open(&[]);
    let peer = lone.session;
    for _ in 0..2_000 {
        let wants = lone.told(peer, |message| match message {
            Message::WantChunks { chunks, .. } => Some(chunks),
            _ => None,
        });
        let wants = wants.concat();
        if wants.is_empty() {
            break;
        }
        for (id, _) in wants {
            match has.chunks.get(&id) {
                Some(data) => {
                    let total = data.len() as u32;
                    lone.say(&Message::Chunk {
                        id,
                        total,
                        offset: 0,
                        data,
                    });
                }
                None => lone.say(&Message::NotHere(vec![id])),
            }
        }
    }
    assert_eq!(lone.store.missing().len(), 25 * 250);
    assert!(lone.now < 1_000 && lone.closed.is_empty());
}

/// A peer that keeps everything has as much to do as it may; what it does not have, and another one has, comes.
#[test]
fn a_busy_peer_blocks_nothing() {
    let mut lone = Lone::new(Policy::NamesAndTexts);
    let keeper = lone.session;
    lone.open(&[]);
    let other = lone.connect([9; 32]);
    let heads = lone.store.heads();
    lone.say(&Message::Hello(Hello {
        policy: Policy::NamesAndTexts,
        ..hello()
    }));
    lone.say(&Message::Heads(heads));
    lone.say(&Message::Clock {
        whole: true,
        reach: vec![],
    });
    // The keeper says of one that it does not have it.
    let last = *blake3::hash(b"the last").as_bytes();
    lone.node.want(lone.now, last, Urgency::Bulk, 10);
    lone.settle();
    lone.node.unwant(lone.now, last);
    for n in 0..100u8 {
        lone.node.want(lone.now, [n; 32], Urgency::Pinned, 10);
    }
    lone.node.want(lone.now, last, Urgency::Bulk, 10);
    lone.settle();
    lone.told.clear();
    // It answers for one, which is the other's turn then; it stays as busy as may be.
    lone.say_in(keeper, &Message::NotHere(vec![[0; 32]]));
    let asked = lone.told(other, |message| match message {
        Message::WantChunks { chunks, .. } => Some(chunks[0].0),
        _ => None,
    });
    assert_eq!(asked, [[0; 32]]);
}

/// A chunk that is called off while it is being stored, and wanted again, is not asked for twice; what it took of
/// credit is given back, and what it turns out to be is booked on who sent it.
#[test]
fn credit_of_a_chunk_called_off_is_given_back() {
    let mut lone = Lone::new(Policy::NamesAndTexts);
    let liar = lone.session;
    lone.open(&[]);
    let bad = [5; 32];
    lone.is_stuck = true;
    let len = 1_000_000u32;
    for _ in 0..2 {
        lone.node.want(lone.now, bad, Urgency::Pinned, len);
        lone.settle();
        let wants = wants_chunk(&mut lone, liar);
        if wants.is_empty() {
            break;
        }
        for offset in (0..len).step_by(50_000) {
            lone.say_in(
                liar,
                &Message::Chunk {
                    id: bad,
                    total: len,
                    offset,
                    data: &[1; 50_000],
                },
            );
        }
        lone.node.unwant(lone.now, bad);
        lone.settle();
    }
    lone.is_stuck = false;
    let honest = lone.connect([9; 32]);
    lone.open(&[]);
    assert!(
        wants_chunk(&mut lone, honest).is_empty(),
        "it is asked for while the store has it"
    );
    let outcome = ChunkOutcome::Damaged;
    lone.node
        .answer(lone.now, Answer::ChunkTaken { id: bad, outcome });
    lone.settle();
    assert!(matches!(lone.closed.get(&liar), Some(Ended::Forged(_))));
    assert_eq!(lone.closed.len(), 1);
    assert_eq!(wants_chunk(&mut lone, honest), [0]);
    // And credit: the same with a good one, again and again, in one session.
    let mut lone = Lone::new(Policy::NamesAndTexts);
    lone.open(&[]);
    for n in 0..20u8 {
        let data = vec![n; 1_000_000];
        let id = model::store::name_of(&data);
        lone.is_stuck = true;
        lone.node.want(lone.now, id, Urgency::Pinned, len);
        lone.settle();
        for at in (0..1_000_000).step_by(50_000) {
            let (offset, data) = (at as u32, &data[at..at + 50_000]);
            lone.say(&Message::Chunk {
                id,
                total: len,
                offset,
                data,
            });
        }
        lone.node.unwant(lone.now, id);
        lone.is_stuck = false;
        lone.node.answer(
            lone.now,
            Answer::ChunkTaken {
                id,
                outcome: ChunkOutcome::Stored,
            },
        );
        lone.settle();
        assert_eq!(lone.why(), None, "after {n}");
    }
}

/// A want that is dropped and said again: one read at a time, and then only as fast as time allows.
#[test]
fn dropped_wants_cost_no_reads() {
    let mut lone = Lone::new(Policy::Everything);
    lone.store.chunks.insert([4; 32], vec![4; 1_000_000].into());
    lone.open(&[]);
    lone.is_stuck = true;
    let flood = |lone: &mut Lone| {
        lone.say(&Message::WantChunks {
            urgent: true,
            chunks: vec![([4; 32], 0)],
        });
        lone.say(&Message::DropChunks(vec![[4; 32]]));
    };
    let before = lone.requests;
    for _ in 0..500 {
        flood(&mut lone);
    }
    assert!(
        lone.requests <= before + 1,
        "{} reads at a time",
        lone.requests - before
    );
    // The store answers at once, and the peer takes nothing.
    let mut lone = Lone::new(Policy::Everything);
    lone.store.chunks.insert([4; 32], vec![4; 1_000_000].into());
    lone.is_deaf = true;
    lone.open(&[]);
    let before = lone.requests;
    for _ in 0..500 {
        flood(&mut lone);
    }
    assert!(lone.requests - before <= 10, "{} reads", lone.requests - before);
    assert_eq!(lone.why(), None);
    lone.pass(8_000);
    flood(&mut lone);
    assert!(lone.requests - before <= 14);
}

/// Bits that stand for nothing that was asked are refused.
#[test]
fn unused_bits_in_an_answer_are_refused() {
    for (bits, is_good) in [(0b101, true), (0b1000, false), (0x80, false)] {
        let mut lone = Lone::new(Policy::NamesAndTexts);
        lone.open(&[]);
        assert!(lone.node.confirm(lone.now, &[[1; 32], [2; 32], [3; 32]]));
        lone.settle();
        let serial = lone.take(|message| match message {
            Message::Ask { serial, .. } => Some(serial),
            _ => None,
        });
        lone.say(&Message::Held {
            serial: serial[0],
            bits: vec![bits],
        });
        assert_eq!(lone.why().is_none(), is_good, "{bits:b}");
    }
}
