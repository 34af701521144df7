//! What a newer program tells: kept, given on, noted as waiting, and read by a program that reads more; nothing else
//! suffers meanwhile.

use super::*;
use crate::keys::KdfParams;
use crate::members::{Card, DeviceName, JoinRequest, Members};
use crate::vault::Joined;

/// A payload that nobody here can open.
pub(super) fn opaque(n: u8) -> Vec<u8> {
    vec![n; 64]
}

/// What a program of the next level would write: this payload, of version 1.
pub(super) fn of_version_1(mut payload: Vec<u8>) -> Vec<u8> {
    payload[0] = 1;
    payload
}

impl Bed {
    pub(super) fn unread(&self) -> (u64, u64) {
        let unread = self.vault.unreadable().unwrap();
        (unread.newer, unread.aside)
    }

    /// What its chain tells after so many, as this vault gives it on.
    fn given(&self, after: u64) -> Vec<Carried> {
        self.vault
            .batches_after(&[(self.chain, after)], usize::MAX)
            .unwrap()
    }
}

/// Every kind that is yet to come, and every kind in a later form: hashed, stored, and given on byte for byte,
/// also when its batches were joined.
#[test]
fn kinds_to_come_are_kept_and_given_on() {
    let mut bed = Bed::new();
    let mut kinds: Vec<u8> = (9..=15).collect();
    kinds.extend((9..=15).flat_map(|kind| [kind | 0x40, kind | 0x80, kind | 0xc0]));
    kinds.extend((1..=8).flat_map(|kind| [kind | 0x40, kind | 0x80, kind | 0xc0]));
    let mut sent = Vec::new();
    for (n, kind) in (0..).zip(&kinds) {
        let (of, at) = ((EventKind::Other(*kind), [*kind; 16]), bed.next(1));
        let replaces = vec![bed.at()];
        let carried = bed.raw(&[(of, (replaces, 10 + n, opaque(*kind)))]);
        let taken = bed.take_carried(carried.clone()).unwrap();
        assert_eq!((taken.newer, taken.set_aside), (vec![at], vec![]), "kind {kind}");
        sent.push(carried);
    }
    assert_eq!(bed.unread(), (kinds.len() as u64, 0));
    let given = bed.given(0);
    assert_eq!(given.len(), sent.len());
    for (given, sent) in given.iter().zip(&sent) {
        assert_eq!((&given.bytes, given.row.head), (&sent.bytes, sent.row.head));
    }
    bed.vault.join_batches().unwrap();
    let fewer = bed.given(0);
    assert!(fewer.len() < sent.len(), "{} batches", fewer.len());
    // Another device takes what was joined, and its end; the events are the same.
    for after in [0, 5] {
        let there = joined(&bed.vault).0;
        give(&bed.vault, &there, Some(bed.chain));
        if after > 0 {
            sent[..after].iter().for_each(|one| {
                there.take_in(&bed.signing.verifying(), one).unwrap();
            });
        }
        for carried in &bed.given(after as u64) {
            there.take_in(&bed.signing.verifying(), carried).unwrap();
        }
        let clock = there.clock().unwrap();
        assert_eq!(
            clock[&bed.chain],
            (sent.len() as u64, sent.last().unwrap().row.head)
        );
        assert_eq!(there.unreadable().unwrap().newer, kinds.len() as u64);
    }
    // Nobody who joined them altered one and made it fit: the hashes are over their kinds, flags and all.
    let mut altered = sent[0].clone();
    let kind = altered.bytes.iter().position(|byte| *byte == 9 | 0x10).unwrap();
    altered.bytes[kind] |= 0x40;
    let verified = Unverified {
        row: &altered.row,
        bytes: &altered.bytes,
    };
    let why = verified.verify(&bed.signing.verifying()).unwrap_err();
    assert_eq!(why, VerifyError::Altered);
}

/// A device that this one adds, with its key.
pub(super) fn joined(by: &Vault) -> (Arc<Vault>, SigningKey) {
    let (device, transport) = (SigningKey::generate(), SigningKey::generate());
    let card = Card::make(&device, &transport, DeviceName::new("new").unwrap());
    let joining = JoinRequest::make(&device, card, by.space_id(), by.device_id());
    by.add_device(joining).unwrap();
    let mut members = Members::of(by.space_id());
    by.with_members(|known| {
        for said in known.iter() {
            members.insert(said.clone()).unwrap();
        }
    });
    let copy = SigningKey::from_seed(device.seed());
    let joined = Joined {
        members,
        device,
        transport,
        keys: Vec::new(),
    };
    let vault = Vault::join_on(Arc::new(SimDisk::new()), &password(), KdfParams::FLOOR, joined).unwrap();
    vault.stop_keeper();
    (vault, copy)
}

/// All that one has comes to another, but for this chain.
pub(super) fn give(from: &Vault, to: &Vault, but: Option<ChainId>) {
    from.commit().unwrap();
    let (want, have) = to.lacking_statements(&from.statement_heads());
    for bytes in from.statements(&want, &have, 0, usize::MAX).0 {
        to.take_statement(&bytes).unwrap();
    }
    let had = to.clock().unwrap();
    let clock = from.clock().unwrap();
    let after = clock
        .keys()
        .map(|chain| (*chain, had.get(chain).map_or(0, |(last, _)| *last)));
    let after: Vec<_> = after
        .filter(|(chain, _)| *chain != to.own_chain() && Some(*chain) != but)
        .collect();
    for carried in from.batches_after(&after, usize::MAX).unwrap() {
        to.take_in_told(&carried).unwrap();
    }
}

/// A batch of a version that is not known is refused as a newer program's, and so is no forgery; other chains go on.
#[test]
fn a_batch_of_a_version_to_come_is_no_forgery() {
    let mut bed = Bed::new();
    let plain = version(Body::Inline(b"more\n".to_vec()), 5).encode();
    let says = [(vec![bed.at()], 9, plain.clone())];
    let mut carried = bed.batch(&says);
    carried.bytes[0] = 1;
    let taken = bed.vault.take_in(&bed.signing.verifying(), &carried);
    assert!(
        matches!(taken, Err(TakeInError::Verify(VerifyError::Newer))),
        "{taken:?}"
    );
    let said = taken.unwrap_err().to_string();
    assert!(
        said.contains("newer version of coffer") && said.contains("update"),
        "{said}"
    );
    // The signature comes first: who did not sign it is not believed to be newer.
    carried.row.signature[0] ^= 1;
    let taken = bed.vault.take_in(&bed.signing.verifying(), &carried);
    assert!(
        matches!(taken, Err(TakeInError::Verify(VerifyError::BadSignature))),
        "{taken:?}"
    );
    bed.chain = ChainId::random();
    bed.take(&says).unwrap();
    assert_eq!(bed.text(), "more\n");
}

/// Payloads that only a newer program reads wait for it, and so does what is made from them; what has its bytes,
/// and all that stands beside them, is taken. A program of the next level takes them once it opens the vault.
#[test]
fn payloads_to_come_wait_for_a_program_that_reads_them() {
    let mut bed = Bed::new();
    let first = bed.at();
    let whole = |text: &str| version(Body::Inline(text.into()), text.len() as u64).encode();
    let same = |text: &str| version(Body::Same, text.len() as u64).encode();
    // A version of another version, one with a body and one with a flag that are not given yet.
    let (mut body, mut flag) = (whole("later\n"), whole("later\n"));
    (body[1], flag[1]) = (body[1] & !7 | 6, flag[1] | 0x80);
    let newer = [1, 2, 3, 4].map(|n| bed.next(n));
    let taken = bed
        .take(&[
            (vec![first], 5, of_version_1(whole("of the next\n"))),
            (vec![first], 6, body),
            (vec![first], 7, flag),
            (vec![newer[0]], 8, same("of the next\n")),
            (vec![first], 9, whole("as ever\n")),
        ])
        .unwrap();
    assert_eq!((taken.newer, taken.set_aside), (newer.to_vec(), vec![]));
    assert_eq!((bed.text().as_str(), bed.unread()), ("as ever\n", (4, 0)));
    // They are tried by no program that reads as much as this one, and taking others in goes on.
    assert!(bed.vault.due(Which::All, true).unwrap().is_empty());
    let fifth = bed.next(0);
    bed.take(&[(vec![fifth], 10, whole("and more\n"))]).unwrap();
    assert_eq!(bed.unread(), (4, 0));
    let again = reopened(&bed);
    assert!(!again.is_to_show(), "nothing is due for the same program");
    again.open_as(2);
    again.retry_once();
    // What it reads it has; of the others it has said that it cannot.
    let unread = again.unreadable().unwrap();
    assert_eq!((unread.newer, unread.aside), (2, 0));
    let mut here = Vec::new();
    let each = &mut |_, row: Result<crate::record::VersionRecord, StoreError>| here.push(row.unwrap().at);
    again.each_version(&bed.key, &bed.entity, each).unwrap();
    assert!(here.contains(&newer[0]) && here.contains(&newer[3]), "{here:?}");
    assert!(again.due(Which::All, true).unwrap().is_empty(), "tried once");
    again.open_as(3);
    assert!(again.is_to_show(), "a program that reads more tries once more");
}

pub(super) fn reopened(bed: &Bed) -> Arc<Vault> {
    bed.vault.commit().unwrap();
    let disk = bed.disk.crash_all_kept();
    let sealed = crate::vault::Sealed::open_on(Arc::new(disk), "sim".into(), None).unwrap();
    let vault = sealed.unlock(&password(), crate::vault::Identity::Same).unwrap();
    vault.stop_keeper();
    vault
}

/// What was set aside is tried once by a program that reads more, with what builds on it; and by none that does not.
#[test]
fn what_was_set_aside_is_tried_once_after_an_upgrade() {
    let mut bed = Bed::new();
    let first = bed.at();
    let mut document = Document::genesis(first, NOTE).unwrap();
    let base = document.heads().unwrap();
    let long = "one two three and a word more\n";
    let change = bed.change(&mut document, &base, long);
    let (bad, child, none) = (bed.next(1), bed.next(2), bed.next(3));
    let limit = 1 << 40;
    // This program takes shorter pasts than the next one.
    bed.vault.limit_texts(limit, limit, 4, limit);
    let taken = bed
        .take(&[
            (vec![first], 5, changed(&change, long)),
            (vec![bad], 6, version(Body::Same, long.len() as u64).encode()),
            (vec![first], 7, NO_VERSION.to_vec()),
        ])
        .unwrap();
    assert_eq!((taken.set_aside, bed.unread()), (vec![bad, child, none], (0, 3)));
    bed.vault.limit_texts(limit, limit, limit, limit);
    let again = bed.vault.retry_waiting().unwrap();
    assert_eq!(
        (again.entities.len(), bed.unread()),
        (0, (0, 3)),
        "not by the same program"
    );
    bed.vault.open_as(2);
    assert!(bed.vault.is_to_show());
    let again = bed.vault.retry_waiting().unwrap();
    assert_eq!((again.entities, again.set_aside), (vec![bed.entity], vec![none]));
    assert_eq!((bed.text().as_str(), bed.unread()), (long, (0, 1)));
    bed.vault.open_as(2);
    assert!(!bed.vault.is_to_show(), "tried once");
}
