//! A device that lies: what its node says goes out altered, left out, or with more beside it.

use coffer_store::ids::ChainId;
use coffer_sync::core::wire::{Frames, Heard, Message, Reach, Wanted, framed};

use super::Dice;

/// What a device lies about; some of it.
#[derive(Clone, Copy, Debug)]
pub enum Lie {
    /// It says that it has more of chains than there is, and chains that are not.
    Claims,
    /// It sends no events, no chunks, no statements, and no word of it.
    Withholds,
    /// It sends a byte of what it should send.
    Trickles,
    /// It says other lengths than things have.
    Totals,
    /// It sends other bytes.
    Damages,
    /// It says other hashes of chains than they have.
    Forks,
    /// It wants things, and does not, and does.
    Floods,
}

const LIES: [Lie; 7] = [
    Lie::Claims,
    Lie::Withholds,
    Lie::Trickles,
    Lie::Totals,
    Lie::Damages,
    Lie::Forks,
    Lie::Floods,
];

/// Some lies, decided by a seed.
pub fn some(dice: &mut Dice) -> Vec<Lie> {
    let count = 1 + dice.below(3);
    (0..count).map(|_| LIES[dice.below(7) as usize]).collect()
}

/// What goes out in the place of these frames.
pub fn lie(dice: &mut Dice, lies: &[Lie], bytes: &[u8]) -> Vec<u8> {
    let (mut frames, mut rest, mut out) = (Frames::default(), bytes, Vec::new());
    while let Ok(Some(frame)) = frames.next(&mut rest) {
        let lie = lies[dice.below(lies.len() as u64) as usize];
        let Ok(Heard::Message(message)) = Message::decode(&frame) else {
            continue;
        };
        if dice.one_in(3) {
            out.extend(framed(&frame));
            continue;
        }
        for message in tell(dice, lie, &message) {
            out.extend(framed(&message));
        }
    }
    out
}

/// One message, with a lie.
fn tell(dice: &mut Dice, lie: Lie, message: &Message<'_>) -> Vec<Vec<u8>> {
    let one = |message: &Message<'_>| vec![message.encode()];
    match (lie, message.clone()) {
        (Lie::Claims, Message::Clock { whole, mut reach }) => {
            for (_, reach) in &mut reach {
                reach.last = reach
                    .last
                    .saturating_add(1 + dice.below(1 << 40))
                    .min(u64::MAX - 1);
                reach.head = dice.bytes();
            }
            for _ in 0..dice.below(40) {
                let (last, head) = (1 + dice.below(50), dice.bytes());
                reach.push((ChainId(dice.bytes()), Reach { last, head }));
            }
            one(&Message::Clock { whole, reach })
        }
        (Lie::Forks, Message::Clock { whole, mut reach }) => {
            reach.iter_mut().for_each(|(_, reach)| reach.head = dice.bytes());
            one(&Message::Clock { whole, reach })
        }
        (Lie::Withholds, message) if message.is_data() => Vec::new(),
        (Lie::Withholds, Message::NotHere(_) | Message::Held { .. }) => Vec::new(),
        (
            Lie::Trickles,
            Message::Chunk {
                id,
                total,
                offset,
                data,
            },
        ) => one(&Message::Chunk {
            id,
            total,
            offset,
            data: &data[..1],
        }),
        (Lie::Trickles, Message::Batch { chain, first, parcel }) => one(&Message::BatchPiece {
            chain,
            first,
            token: dice.bytes(),
            total: parcel.len() as u32,
            offset: 0,
            data: &parcel[..1],
        }),
        (
            Lie::Trickles | Lie::Totals | Lie::Damages,
            Message::BatchPiece {
                chain,
                first,
                token,
                total,
                offset,
                data,
            },
        ) => {
            let (mut total, mut data) = (total, data.to_vec());
            match lie {
                Lie::Trickles => data.truncate(1),
                Lie::Totals => total += 1 + dice.below(1_000) as u32,
                _ => data[0] ^= 1,
            }
            let data = &data[..];
            one(&Message::BatchPiece {
                chain,
                first,
                token,
                total,
                offset,
                data,
            })
        }
        (
            Lie::Totals,
            Message::Chunk {
                id,
                total,
                offset,
                data,
            },
        ) => {
            let total = total + 1 + dice.below(1_000) as u32;
            one(&Message::Chunk {
                id,
                total,
                offset,
                data,
            })
        }
        (
            Lie::Damages,
            Message::Chunk {
                id,
                total,
                offset,
                data,
            },
        ) => {
            let mut data = data.to_vec();
            data[0] ^= 1;
            one(&Message::Chunk {
                id,
                total,
                offset,
                data: &data,
            })
        }
        (Lie::Damages, Message::Batch { chain, first, parcel }) if dice.one_in(4) => {
            let mut parcel = parcel.to_vec();
            if let Some(byte) = parcel.last_mut() {
                *byte ^= 1;
            }
            one(&Message::Batch {
                chain,
                first,
                parcel: &parcel,
            })
        }
        (Lie::Floods, Message::WantChunks { urgent, chunks }) => {
            let names: Vec<[u8; 32]> = chunks.iter().map(|(id, _)| *id).collect();
            let want = Message::WantChunks { urgent, chunks }.encode();
            let drop = Message::DropChunks(names.clone()).encode();
            let here = Message::Here(names).encode();
            vec![want.clone(), drop.clone(), want.clone(), drop, here, want]
        }
        (Lie::Floods, Message::Want(wanted)) => {
            let chains = wanted.iter().map(|one| one.chain).collect();
            let again = wanted.iter().map(|one| Wanted { after: 0, ..*one }).collect();
            let want = Message::Want(wanted).encode();
            vec![
                want.clone(),
                Message::Want(again).encode(),
                Message::Stop(chains).encode(),
                want,
            ]
        }
        (_, message) => one(&message),
    }
}
