//! The bytes of messages: frozen, and one encoding for each.

use coffer_store::chunk::Place;
use coffer_store::event::{BatchRow, Hole};
use coffer_store::ids::{ChainId, SpaceId};
use coffer_store::vault::Carried;
use coffer_sync::core::Policy;
use coffer_sync::core::wire::{Goodbye, Heard, Hello, Message, Parcel, Reach, Resume, Wanted, unpack};

/// One of each, by name.
fn samples() -> Vec<(&'static str, Message<'static>)> {
    let (chain, other) = (ChainId([0xc1; 16]), ChainId([0xc2; 16]));
    let hello = Hello {
        versions: (0, 3),
        space: SpaceId([0x5a; 16]),
        own: chain,
        features: 300,
        policy: Policy::NamesAndTexts,
        credit: 2 << 20,
    };
    let reach = |last| Reach { last, head: [7; 8] };
    let resume = Some(Resume {
        token: [0x70; 16],
        offset: 123_456,
    });
    vec![
        ("hello", Message::Hello(hello)),
        ("heads", Message::Heads(vec![[1; 32], [2; 32]])),
        ("heads-none", Message::Heads(vec![])),
        (
            "want-statements",
            Message::WantStatements {
                want: vec![[1; 32]],
                have: vec![[2; 32]],
            },
        ),
        (
            "statement",
            Message::Statement {
                total: 300,
                offset: 100,
                data: &[5; 200],
            },
        ),
        (
            "statement-end",
            Message::Statement {
                total: 0,
                offset: 0,
                data: &[],
            },
        ),
        (
            "clock",
            Message::Clock {
                whole: false,
                reach: vec![(chain, reach(1)), (other, reach(1 << 40))],
            },
        ),
        (
            "clock-none",
            Message::Clock {
                whole: true,
                reach: vec![],
            },
        ),
        (
            "want",
            Message::Want(vec![
                Wanted {
                    chain,
                    after: 0,
                    resume: None,
                },
                Wanted {
                    chain: other,
                    after: 70_000,
                    resume,
                },
            ]),
        ),
        ("stop", Message::Stop(vec![chain, other])),
        (
            "batch",
            Message::Batch {
                chain,
                first: 128,
                parcel: &[9; 40],
            },
        ),
        (
            "batch-piece",
            Message::BatchPiece {
                chain,
                first: 1,
                token: [3; 16],
                total: 70_000,
                offset: 61_440,
                data: &[4; 20],
            },
        ),
        ("credit", Message::Credit(1 << 33)),
        (
            "want-chunks",
            Message::WantChunks {
                urgent: true,
                chunks: vec![([8; 32], 0), ([9; 32], 500)],
            },
        ),
        ("drop-chunks", Message::DropChunks(vec![[8; 32]])),
        (
            "chunk",
            Message::Chunk {
                id: [8; 32],
                total: 400_000,
                offset: 122_880,
                data: &[6; 30],
            },
        ),
        ("not-here", Message::NotHere(vec![[8; 32]])),
        ("here", Message::Here(vec![[8; 32]])),
        (
            "ask",
            Message::Ask {
                serial: 200,
                ids: vec![[8; 32], [9; 32]],
            },
        ),
        (
            "held",
            Message::Held {
                serial: 200,
                bits: vec![2],
            },
        ),
        ("ping", Message::Ping),
        ("pong", Message::Pong),
        ("goodbye", Message::Goodbye(Goodbye::Forged)),
    ]
}

fn parcel() -> Carried {
    let bytes = vec![0xb7; 50];
    let place = Place {
        pack: 1,
        offset: 0,
        len: 50,
    };
    let row = BatchRow {
        place,
        chain: ChainId([0xc1; 16]),
        first: 128,
        count: 3,
        head: [0x4e; 32],
        signature: [0x51; 64],
        holes: vec![Hole { offset: 10, len: 200 }, Hole { offset: 400, len: 5 }],
    };
    Carried { row, bytes }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Guards the bytes: a device of another day must understand them. `COFFER_FREEZE` writes them anew, for a new trial.
#[test]
fn messages_are_frozen() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/messages_v1.txt");
    let mut made: String = samples()
        .iter()
        .map(|(name, message)| format!("message/{name} {}\n", hex(&message.encode())))
        .collect();
    let whole = Parcel::new(parcel().into());
    made += &format!("parcel/holes {}\n", hex(&whole.piece(0, usize::MAX)));
    made += &format!("token/holes {}\n", hex(&whole.token()));
    if std::env::var_os("COFFER_FREEZE").is_some() {
        std::fs::write(path, &made).unwrap();
    }
    assert_eq!(made, std::fs::read_to_string(path).unwrap());
}

/// Guards against a second encoding, a message that is read beyond its end, and panics: cut at every byte, longer by one,
/// and with each bit flipped, a message is refused or is another, which has just these bytes.
#[test]
fn each_message_has_one_encoding() {
    let law = |bytes: &[u8]| match Message::decode(bytes) {
        Ok(Heard::Message(message)) => assert_eq!(message.encode(), counted_as(bytes)),
        Ok(Heard::Unknown) => assert!(bytes[0] < 0x80 && bytes[0] != 0x0e),
        Err(_) => {}
    };
    for (name, message) in samples() {
        let bytes = message.encode();
        assert_eq!(Message::decode(&bytes), Ok(Heard::Message(message)), "{name}");
        for len in 0..bytes.len() {
            law(&bytes[..len]);
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[len] ^= 1 << bit;
                law(&flipped);
            }
        }
        law(&[&bytes[..], &[0]].concat());
    }
    for kind in [
        "hello",
        "credit",
        "ping",
        "goodbye",
        "heads",
        "not-here",
        "statement-end",
    ] {
        let (_, message) = samples().into_iter().find(|(name, _)| *name == kind).unwrap();
        let longer = [message.encode(), vec![0]].concat();
        assert!(Message::decode(&longer).is_err(), "{kind} may be longer");
    }
}

/// The bytes of a message in which a later version's policy, or its reason to say goodbye, is what it counts as here.
fn counted_as(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    match bytes[0] {
        0x81 => {
            let features = bytes[37..].iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
            let policy = &mut bytes[37 + features];
            *policy = if *policy == 1 { 1 } else { 2 };
        }
        0x93 if bytes[1] > 6 => bytes[1] = 0,
        _ => {}
    }
    bytes
}

/// Guards what a later version may say in messages that this one knows, by bytes built by hand: a policy counts as the least, a goodbye as one without a reason, and a
/// feature is left alone.
#[test]
fn what_a_newer_program_says_of_itself_counts_as_the_least() {
    let sample = |name: &str| samples().into_iter().find(|(of, _)| *of == name).unwrap().1;
    let bytes = sample("hello").encode();
    for policy in [0, 3, 0x7f, 0xff] {
        let mut newer = bytes.clone();
        // Kind, two versions, two ids, and features of two bytes stand before it.
        newer[1 + 4 + 32 + 2] = policy;
        let Ok(Heard::Message(Message::Hello(hello))) = Message::decode(&newer) else {
            panic!("it is a hello")
        };
        assert_eq!((hello.policy, hello.features), (Policy::NamesAndTexts, 300));
    }
    let bytes = sample("hello").encode();
    let mut featured = bytes[..37].to_vec();
    featured.extend_from_slice(&[0xfe, 0xff, 0xff, 0xff, 0x0f, 1, 0x05]);
    let Ok(Heard::Message(Message::Hello(hello))) = Message::decode(&featured) else {
        panic!("it is a hello")
    };
    assert_eq!((hello.features, hello.policy), (0xffff_fffe, Policy::Everything));
    for reason in [7, 0x7f, 0xff] {
        let bytes = [0x93, reason];
        let heard = Message::decode(&bytes);
        assert_eq!(heard, Ok(Heard::Message(Message::Goodbye(Goodbye::Done))));
    }
}

/// The same of batches as they travel; pieces of any length make the whole.
#[test]
fn parcels_come_back_whole() {
    let carried = parcel();
    let (chain, first) = (carried.row.chain, carried.row.first);
    let sent = Parcel::new(carried.clone().into());
    let whole = sent.piece(0, usize::MAX);
    assert_eq!(whole.len(), sent.total());
    for size in [1, 7, 97, 98, 99, 1_000] {
        let pieces: Vec<u8> = (0..whole.len())
            .step_by(size)
            .flat_map(|at| sent.piece(at, size))
            .collect();
        assert_eq!(pieces, whole, "in pieces of {size}");
    }
    let back = unpack(chain, first, &whole).unwrap();
    assert_eq!((&back.row, &back.bytes), (&carried.row, &carried.bytes));
    for len in 0..whole.len() {
        for bit in 0..8 {
            let mut flipped = whole.clone();
            flipped[len] ^= 1 << bit;
            if let Ok(other) = unpack(chain, first, &flipped) {
                assert_eq!(Parcel::new(other.into()).piece(0, usize::MAX), flipped);
            }
        }
    }
    assert!(unpack(chain, u64::MAX, &whole).is_err());
}
