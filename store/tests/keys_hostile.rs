//! Guards the promise that what was altered never opens: every bit flipped, every
//! truncation and extension, of everything that `keys` seals, signs or decodes, is an
//! error, and never a panic.

use coffer_store::keys::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const PLACE: Aad = Aad {
    kind: 1,
    id: [2; 16],
    chain: [5; 16],
    version: 3,
    generation: 4,
};

/// Every way to alter bytes a little: one bit flipped, cut short, or longer at either end.
fn altered(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let flips = (0..bytes.len() * 8).map(|bit| {
        let mut copy = bytes.to_vec();
        copy[bit / 8] ^= 1 << (bit % 8);
        copy
    });
    let cuts = (0..bytes.len()).flat_map(|n| [bytes[..n].to_vec(), bytes[bytes.len() - n..].to_vec()]);
    let longer = [0u8, 0xff].into_iter().flat_map(move |more| {
        [
            [bytes, &[more]].concat(),
            [&[more], bytes].concat(),
            [bytes, &[more; 64]].concat(),
        ]
    });
    flips.chain(cuts).chain(longer)
}

fn password() -> Password {
    Password::new(b"password".to_vec())
}

#[test]
fn an_altered_record_does_not_open() {
    let key = Key::random();
    for plain in [
        &b""[..],
        b"x",
        b"a record of some length, over more than one block of the cipher......",
    ] {
        let sealed = seal(&key, &PLACE, plain);
        assert_eq!(open(&key, &PLACE, &sealed).unwrap(), plain);
        for bytes in altered(&sealed) {
            assert_eq!(open(&key, &PLACE, &bytes), Err(Tampered));
        }
    }
}

#[test]
fn an_altered_wrap_does_not_open() {
    let (_, master) = Header::create([1; 16], &password(), KdfParams::FLOOR).unwrap();
    let wrapped = master.wrap(1, &[2; 16], &Key::random());
    assert!(master.unwrap(1, &[2; 16], &wrapped).is_ok());
    for bytes in altered(&wrapped) {
        assert!(master.unwrap(1, &[2; 16], &bytes).is_err());
    }
}

#[test]
fn an_altered_chunk_does_not_open() {
    let keys = ChunkKeys::new(Key::random(), Key::random());
    for len in [0, 1, 100] {
        let plain = vec![9; len];
        let (id, mut sealed) = (keys.id(1, &plain), Vec::new());
        keys.seal(1, &id, &plain, &mut sealed);
        assert_eq!(keys.open(1, &id, len, &sealed).unwrap(), plain);
        for mut bytes in altered(&sealed) {
            assert!(keys.open(1, &id, len, &bytes).is_err());
            // Whoever could alter the bytes might also have the length to go with them.
            assert!(
                keys.open(1, &id, bytes.len().saturating_sub(TAG), &bytes)
                    .is_err()
            );
            assert!(keys.open_segments(1, &id, len, 0, &mut bytes).is_err());
            assert!(
                bytes.iter().all(|&b| b == 0),
                "nothing is left of what did not open"
            );
        }
    }
}

/// A header flipped anywhere is refused by the decoder, or by the recovery phrase, which
/// costs no Argon2 and so allows every bit.
#[test]
fn an_altered_header_does_not_recover() {
    let (mut header, master) = Header::create([1; 16], &password(), KdfParams::FLOOR).unwrap();
    let phrase = header.add_recovery(&master);
    let bytes = header.encode();
    assert!(Header::decode(&bytes).unwrap().recover(&phrase).is_ok());
    let mut reached_the_phrase = 0;
    for bytes in altered(&bytes) {
        if let Ok(header) = Header::decode(&bytes) {
            reached_the_phrase += 1;
            assert!(header.recover(&phrase).is_err());
            let new = header.change_password(&master, &password(), KdfParams::FLOOR);
            assert_eq!(new.err(), Some(KdfError::NotThisHeader));
        }
    }
    assert!(
        reached_the_phrase > 1000,
        "most flips pass the decoder, which has no key: {reached_the_phrase}"
    );
}

/// The same for the password, one bit a byte, and every eighth byte where only the mac tells.
/// (Higher bits of a parameter would ask for gigabytes; the test above has them.)
#[test]
fn an_altered_header_does_not_unlock() {
    let (mut header, master) = Header::create([1; 16], &password(), KdfParams::FLOOR).unwrap();
    header.add_recovery(&master);
    let bytes = header.encode();
    assert!(Header::decode(&bytes).unwrap().unlock(&password()).is_ok());
    let (mut wrong, mut noticed) = (0, 0);
    let derived = bytes.len() - 35 - 136 - 3;
    for i in (0..derived).chain((derived..bytes.len()).step_by(8)) {
        let mut copy = bytes.clone();
        copy[i] ^= 1;
        match Header::decode(&copy).map(|header| header.unlock(&password()).err()) {
            Err(_) => {}
            Ok(Some(UnlockError::WrongPassword)) => wrong += 1,
            Ok(Some(UnlockError::Altered)) => noticed += 1,
            Ok(other) => panic!("byte {i}: {other:?}"),
        }
    }
    // Vault id, salt, check and parameters lead to another key; recovery part and mac do not enter
    // the derivation.
    assert!(wrong >= 16 + 16 + 32 + 2, "{wrong}");
    assert!(noticed >= 20, "{noticed}");
}

/// Guards the attack that the header's mac is for: another's recovery key put in place, so
/// that the next password change would hand over the new master key.
#[test]
fn a_planted_recovery_key_is_never_sealed_to() {
    let (mut ours, our_master) = Header::create([1; 16], &password(), KdfParams::FLOOR).unwrap();
    ours.add_recovery(&our_master);
    let (mut theirs, their_master) =
        Header::create([1; 16], &Password::new(b"theirs".to_vec()), KdfParams::FLOOR).unwrap();
    let their_phrase = theirs.add_recovery(&their_master);
    // The part's place: before the mac's field.
    let (mut planted, theirs) = (ours.encode(), theirs.encode());
    let part = planted.len() - 35 - 136..planted.len() - 35;
    planted[part.clone()].copy_from_slice(&theirs[part]);
    let planted = Header::decode(&planted).unwrap();
    assert_eq!(planted.unlock(&password()).err(), Some(UnlockError::Altered));
    assert_eq!(planted.recover(&their_phrase).err(), Some(RecoverError::Altered));
    let change = planted.change_password(&our_master, &password(), KdfParams::FLOOR);
    assert_eq!(change.err(), Some(KdfError::NotThisHeader));
}

/// Guards the decoder's bounds: parameters that would take the machine down are refused by
/// it, before a password is even asked for.
#[test]
fn parameters_out_of_bounds_are_refused_on_reading() {
    let (header, _) = Header::create([1; 16], &password(), KdfParams::FLOOR).unwrap();
    let bytes = header.encode();
    let start = 10 + 3 + 16 + 3 + 1;
    for (at, value) in [
        (0, 0u32),
        (0, KdfParams::FLOOR.memory_kib - 1),
        (0, KdfParams::CEILING.memory_kib + 1),
        (0, u32::MAX),
        (4, 0),
        (4, 1),
        (4, 65),
        (4, u32::MAX),
        (8, 0),
        (8, 65),
        (8, u32::MAX),
    ] {
        let mut copy = bytes.clone();
        copy[start + at..start + at + 4].copy_from_slice(&value.to_le_bytes());
        assert!(
            matches!(
                Header::decode(&copy),
                Err(HeaderError::Kdf(KdfError::Range { .. }))
            ),
            "{at} {value}"
        );
    }
    let mut other = bytes.clone();
    other[start - 1] = 2;
    assert_eq!(Header::decode(&other), Err(HeaderError::UnknownKdf(2)));
    let mut newer = bytes.clone();
    newer[8] += 1;
    assert_eq!(Header::decode(&newer), Err(HeaderError::UnknownVersion(7)));
    newer[9] = 0xff;
    assert_eq!(Header::decode(&newer), Err(HeaderError::UnknownVersion(0xff07)));
    // What a newer program may have put before the MAC.
    let mac = bytes.len() - 35;
    let with = |field: &[u8]| [&bytes[..mac], field, &bytes[mac..]].concat();
    for needs in [1, 1 << 63, u64::MAX] {
        let field = [&[7, 8, 0][..], &u64::to_le_bytes(needs)].concat();
        let asked = Err(HeaderError::Needs { tag: 7, needs });
        assert_eq!(Header::decode(&with(&field)), asked);
    }
    for tag in [8, 9, 255] {
        let asked = Err(HeaderError::Needs { tag, needs: 0 });
        assert_eq!(Header::decode(&with(&[tag, 2, 0, 1, 2])), asked);
        assert_eq!(Header::decode(&with(&[tag, 0, 0])), asked);
    }
    // Another key derivation's parameters are longer, another recovery's part too: told from damage, which is shorter.
    let kdf = 8 + 2 + 3 + 16;
    assert_eq!(bytes[kdf..kdf + 3], [2, 13, 0]);
    let longer = [
        &bytes[..kdf],
        &[2, 14, 0],
        &bytes[kdf + 3..kdf + 16],
        &[0],
        &bytes[kdf + 16..],
    ]
    .concat();
    assert_eq!(
        Header::decode(&longer),
        Err(HeaderError::Needs { tag: 2, needs: 0 })
    );
    let shorter = [
        &bytes[..kdf],
        &[2, 12, 0],
        &bytes[kdf + 3..kdf + 15],
        &bytes[kdf + 16..],
    ]
    .concat();
    assert_eq!(Header::decode(&shorter), Err(HeaderError::BadField { tag: 2 }));
    // One that asks for nothing, is of another length or longer than there is, is damage.
    for field in [
        &[7, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0][..],
        &[7, 1, 0, 1],
        &[8, 255, 255, 1],
    ] {
        let decoded = Header::decode(&with(field));
        assert!(
            matches!(decoded, Err(HeaderError::BadField { .. })),
            "{decoded:?}"
        );
    }
    let mut earlier = bytes.clone();
    earlier[8] -= 1;
    assert_eq!(Header::decode(&earlier), Err(HeaderError::Earlier(5)));
    assert_eq!(Header::decode(b"something else"), Err(HeaderError::NotAHeader));
    assert_eq!(
        Header::decode(&[&bytes[..], b"xy"].concat()),
        Err(HeaderError::TrailingBytes(2))
    );
}

/// Guards the decoder's two laws on bytes that are almost a header: it never panics, and what
/// it takes has exactly one encoding.
#[test]
fn mangled_headers_decode_to_themselves_or_not_at_all() {
    let (mut header, master) = Header::create([1; 16], &password(), KdfParams::FLOOR).unwrap();
    header.add_recovery(&master);
    let (bytes, mut rng) = (header.encode(), StdRng::seed_from_u64(1));
    let mut taken = 0;
    for _ in 0..200_000 {
        let mut copy = bytes.clone();
        for _ in 0..rng.random_range(0..4) {
            let (at, from) = (rng.random_range(0..copy.len()), rng.random_range(0..bytes.len()));
            match rng.random_range(0..4) {
                0 => copy[at] = rng.random(),
                1 => copy[at] = bytes[from],
                2 => copy.truncate(at.max(1)),
                _ => copy.insert(at, rng.random()),
            }
        }
        if let Ok(header) = Header::decode(&copy) {
            taken += 1;
            assert_eq!(header.encode(), copy);
        }
    }
    assert!((10_000..190_000).contains(&taken), "{taken}");
}

#[test]
fn an_altered_signature_or_message_does_not_verify() {
    let key = SigningKey::generate();
    let (public, message) = (key.verifying(), b"what is signed".to_vec());
    let signature = key.sign(labels::SIGN_HEAD, &message);
    public
        .verify_strict(labels::SIGN_HEAD, &message, &signature)
        .unwrap();
    for bytes in altered(&signature).filter_map(|b| <[u8; 64]>::try_from(b).ok()) {
        assert_eq!(
            public.verify_strict(labels::SIGN_HEAD, &message, &bytes),
            Err(BadSignature)
        );
    }
    for bytes in altered(&message) {
        assert_eq!(
            public.verify_strict(labels::SIGN_HEAD, &bytes, &signature),
            Err(BadSignature)
        );
    }
    assert!(
        public
            .verify_strict(labels::SIGN_MEMBER, &message, &signature)
            .is_err()
    );
    assert!(
        SigningKey::generate()
            .verifying()
            .verify_strict(labels::SIGN_HEAD, &message, &signature)
            .is_err()
    );
}

/// Guards the label's boundary: what moves between label and message is another statement.
#[test]
fn a_label_ends_where_it_ends() {
    let key = SigningKey::generate();
    let signature = key.sign("ab", b"c");
    assert!(key.verifying().verify_strict("a", b"bc", &signature).is_err());
    assert!(key.verifying().verify_strict("abc", b"", &signature).is_err());
}

/// Guards against keys under which anything verifies, and devices with two names.
#[test]
fn weak_and_doubly_encoded_public_keys_are_refused() {
    let mut one = [0; 32];
    one[0] = 1;
    let mut minus_one = [0xff; 32];
    (minus_one[0], minus_one[31]) = (0xec, 0x7f);
    for weak in [[0; 32], one, minus_one] {
        assert!(VerifyingKey::from_bytes(&weak).is_err());
    }
    // p + y for the small y: those that are points at all are second names of y's point.
    let mut second_names = 0;
    for y in 0..19u8 {
        let mut bytes = [0xff; 32];
        (bytes[0], bytes[31]) = (0xed + y, 0x7f);
        assert!(VerifyingKey::from_bytes(&bytes).is_err());
        let mut canonical = [0; 32];
        canonical[0] = y;
        second_names += usize::from(VerifyingKey::from_bytes(&canonical).is_ok());
    }
    assert!(second_names > 0);
    let good = SigningKey::generate().verifying();
    assert!(VerifyingKey::from_bytes(good.as_bytes()).unwrap() == good);
}
