//! What events hold sealed, made by another implementation of the cipher, after the byte
//! table of `docs/format.md`: each in its place, and each as if it had been sealed for
//! another one. Keys and nonces are fixed, for the vectors.

use chacha20poly1305::{AeadInOut, KeyInit, XChaCha20Poly1305};

use super::{removal, states, up, versions};

/// The sequence number and generation that the samples' places have; the id counts up from
/// `e0`, the chain is that of [`super::at`].
pub const SEQ: u64 = 0x1112_1314;
/// See [`SEQ`].
pub const GENERATION: u32 = 0x2122_2324;

/// A place, field by field as the table has them.
#[derive(Clone, Copy)]
pub struct Place {
    format: u8,
    kind: u8,
    id: [u8; 16],
    chain: [u8; 16],
    version: u64,
    generation: u32,
}

impl Place {
    /// The associated data.
    fn bytes(&self) -> Vec<u8> {
        let (version, generation) = (self.version.to_le_bytes(), self.generation.to_le_bytes());
        [
            &[self.format, self.kind][..],
            &self.id,
            &self.chain,
            &version,
            &generation,
        ]
        .concat()
    }
}

/// The key that everything here is sealed under.
pub const KEY: [u8; 32] = [0x42; 32];

fn cipher() -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&KEY.into())
}

fn seal(associated: &[u8], plain: &[u8]) -> Vec<u8> {
    let nonce: [u8; 24] = up(0x90);
    let mut text = plain.to_vec();
    let tag = cipher().encrypt_inout_detached(&nonce.into(), associated, (&mut text[..]).into());
    [&nonce[..], &text, &tag.unwrap()].concat()
}

/// Opens a sealed record as the other implementation does.
pub fn open(associated: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, rest) = sealed.split_first_chunk::<24>()?;
    let (text, tag) = rest.split_last_chunk::<16>()?;
    let mut text = text.to_vec();
    let opened = cipher().decrypt_inout_detached(
        &(*nonce).into(),
        associated,
        (&mut text[..]).into(),
        &(*tag).into(),
    );
    opened.ok().map(|()| text)
}

/// Everything that an event holds sealed: its name among `testing::aads`, place, plaintext.
pub fn samples() -> Vec<(&'static str, Place, Vec<u8>)> {
    let place = |kind| Place {
        format: 0,
        kind,
        id: up(0xe0),
        chain: up(0xc0),
        version: SEQ,
        generation: GENERATION,
    };
    vec![
        ("version-event", place(7), versions()[1].1.encode()),
        ("node-event", place(8), states()[0].1.encode()),
        ("gone-event", place(15), removal().encode()),
        ("key-event", place(11), up::<32>(0x20).to_vec()),
    ]
}

/// A place's associated data, and what it is with one thing about it another.
pub fn moved(place: Place) -> Vec<(&'static str, Vec<u8>)> {
    let kind = if place.kind == 7 { 8 } else { 7 };
    let others = [
        ("format", Place { format: 1, ..place }),
        ("kind", Place { kind, ..place }),
        (
            "id",
            Place {
                id: up(0xe1),
                ..place
            },
        ),
        (
            "chain",
            Place {
                chain: up(0xc1),
                ..place
            },
        ),
        (
            "version",
            Place {
                version: SEQ + 1,
                ..place
            },
        ),
        (
            "generation",
            Place {
                generation: GENERATION + 1,
                ..place
            },
        ),
        (
            "id-and-chain-exchanged",
            Place {
                id: place.chain,
                chain: place.id,
                ..place
            },
        ),
    ];
    let mut all: Vec<_> = others.map(|(what, other)| (what, other.bytes())).into();
    // The form that vaults had before chains were bound.
    let chainless = [&place.bytes()[..18], &place.bytes()[34..]].concat();
    all.push(("no-chain", chainless));
    all
}

/// `sealed/name` in its place, and `hostile/name/what` sealed for another.
pub fn made() -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for (name, place, plain) in samples() {
        all.push((format!("sealed/{name}"), seal(&place.bytes(), &plain)));
        let others = moved(place).into_iter();
        all.extend(others.map(|(what, other)| (format!("hostile/{name}/{what}"), seal(&other, &plain))));
    }
    all
}
