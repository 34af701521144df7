//! The formats, frozen: `tests/vectors/carrier_v1.txt`. A difference here is a new format, and folders that other devices cannot read.

use coffer_store::codec::Malformed;
use coffer_store::ids::{ChainId, SpaceId};
use coffer_store::keys::{Key, SigningKey};
use coffer_store::members::{DeviceId, SealingSecret, SpaceSecrets, StatementId};

use super::bundle::{Entry, Toc};
use super::envelope::{Opener, Readers, head};
use super::index::{BundleRef, Index};
use super::name::Name;
use crate::core::Policy;

const FROZEN: &str = include_str!("../../tests/vectors/carrier_v1.txt");
const SPACE: SpaceId = SpaceId([7; 16]);

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn frozen(name: &str) -> Vec<u8> {
    let text = FROZEN
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
        .unwrap_or_else(|| panic!("no vector {name}"));
    (0..text.len() / 2)
        .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
        .collect()
}

fn device(n: u8) -> SigningKey {
    SigningKey::from_seed(Key::take(&mut [n; 32]))
}

fn index() -> Index {
    Index {
        author: DeviceId::of(&device(1)),
        serial: 258,
        policy: Policy::Everything,
        whole: true,
        heads: vec![[1; 32], [2; 32]],
        clock: vec![(ChainId([3; 16]), 1), (ChainId([4; 16]), 300)],
        lacks: vec![[9; 32], [8; 32]],
        lacking: 70_000,
        bundles: vec![
            BundleRef {
                name: Name([5; 16]),
                key: Key::take(&mut [6; 32]),
                segments: 1,
                toc: (1_000, 50),
            },
            BundleRef {
                name: Name([6; 16]),
                key: Key::take(&mut [7; 32]),
                segments: 20,
                toc: (300_000, 2_000),
            },
        ],
        done: [Name([1; 16]), Name([2; 16])].into(),
        broken: [Name([3; 16])].into(),
    }
}

fn toc() -> Toc {
    let batch = Entry::Batch {
        chain: ChainId([3; 16]),
        first: 5,
        last: 300,
        lamport: 1_000,
    };
    Toc(vec![
        (Entry::Statement([1; 32]), 0, 64),
        (batch, 64, 5_000),
        (Entry::Chunk([2; 32]), 5_064, 1_048_576),
    ])
}

fn readers() -> Readers {
    Readers {
        epoch: Some(Key::take(&mut [2; 32])),
        members: vec![
            SealingSecret::of(&device(1)).public(),
            SealingSecret::of(&device(2)).public(),
        ],
    }
}

/// Prints what would be frozen, for the day when there is a new format.
#[test]
#[ignore = "prints"]
fn print() {
    println!("index {}", hex(&index().encode(SPACE, &device(1))));
    println!("toc {}", hex(&toc().encode()));
    println!("head {}", hex(&head(SPACE, &readers(), &Key::take(&mut [8; 32]))));
}

/// Guards the formats themselves.
#[test]
fn formats_are_those_that_were_frozen() {
    assert_eq!(hex(&index().encode(SPACE, &device(1))), hex(&frozen("index")));
    assert_eq!(hex(&toc().encode()), hex(&frozen("toc")));
    let read = Index::decode(SPACE, &frozen("index")).unwrap();
    assert!(read.says(&index()) && read.serial == 258 && read.author == index().author);
    assert_eq!(read.bundles[1].key.expose(), &[7; 32]);
    assert_eq!(Toc::decode(&frozen("toc")), Ok(toc()));
    let head = frozen("head");
    let of = |n: u8| vec![(StatementId([n; 32]), SpaceSecrets::take(&[n; 96]))];
    for (device, keyring) in [(device(1), of(3)), (device(2), of(3)), (device(3), of(2))] {
        let (key, len) = Opener::new(SPACE, &device, &keyring).open(&head).unwrap();
        assert_eq!((key.expose(), len), (&[8; 32], head.len()));
    }
}

/// Guards against what a peer of ill will writes: each cut, and each byte that is another, is refused, in an index by its signature.
#[test]
fn what_was_altered_is_refused() {
    let whole = frozen("index");
    for at in 0..whole.len() {
        assert!(Index::decode(SPACE, &whole[..at]).is_err(), "cut at {at}");
        let mut other = whole.clone();
        other[at] ^= 1;
        assert!(Index::decode(SPACE, &other).is_err(), "altered at {at}");
    }
    assert!(
        Index::decode(SpaceId([8; 16]), &whole).is_err(),
        "of another vault"
    );
    let whole = frozen("toc");
    for at in 0..whole.len() {
        assert!(Toc::decode(&whole[..at]).is_err(), "cut at {at}");
    }
}

/// Guards bounds: what an index says that cannot be is refused, also if its author signed it.
#[test]
fn what_cannot_be_is_refused() {
    type Change = fn(&mut Index);
    let changes: [(Change, &str); 7] = [
        (|index| index.clock.reverse(), "a list is out of order"),
        (|index| index.heads.reverse(), "a list is out of order"),
        (|index| index.bundles.reverse(), "a list is out of order"),
        (|index| index.clock[0].1 = 0, "a chain of which there is nothing"),
        (
            |index| index.bundles[0].segments = 0,
            "a bundle that cannot be so",
        ),
        (
            |index| index.bundles[0].segments = u64::MAX,
            "a bundle that cannot be so",
        ),
        (
            |index| index.bundles[0].toc.0 = u64::MAX,
            "a bundle that cannot be so",
        ),
    ];
    for (change, why) in changes {
        let mut index = index();
        change(&mut index);
        let bytes = index.encode(SPACE, &device(1));
        assert_eq!(Index::decode(SPACE, &bytes).err(), Some(Malformed(why)));
    }
    // A later program may fill a file up otherwise.
    let mut filled = index();
    filled.bundles[0].segments *= 2;
    assert!(Index::decode(SPACE, &filled.encode(SPACE, &device(1))).is_ok());
    // Signed by another than it says.
    let bytes = index().encode(SPACE, &device(2));
    assert!(Index::decode(SPACE, &bytes).is_err());
    let mut long = toc();
    long.0[2].2 = 2 << 20;
    assert!(Toc::decode(&long.encode()).is_err());
    let mut many = vec![0xff, 0xff, 0xff, 0xff, 0x0f];
    many.extend([0; 100]);
    assert!(Toc::decode(&many).is_err());
}
