//! Guards a vault's way in over its life: the right password and phrase open, through
//! password changes and new phrases, and no other does.

use coffer_store::keys::*;

fn password(text: &str) -> Password {
    Password::new(text.into())
}

fn reread(header: &Header) -> Header {
    let bytes = header.encode();
    let read = Header::decode(&bytes).unwrap();
    assert_eq!(&read, header);
    assert_eq!(read.encode(), bytes);
    read
}

/// Two master keys are the same if one opens what the other wrapped.
fn same(a: &MasterKey, b: &MasterKey) -> bool {
    b.unwrap(1, &[1; 16], &a.wrap(1, &[1; 16], &Key::random()))
        .is_ok()
}

/// Guards passwords with accents: one keyboard writes é as one character, another as two; bytes that are no text stay.
#[test]
fn a_password_is_the_same_however_it_is_typed() {
    assert_eq!(
        password("cafe\u{301} \u{1f98a}").expose(),
        "caf\u{e9} \u{1f98a}".as_bytes()
    );
    assert_eq!(password("\u{1100}\u{1161}").expose(), "\u{ac00}".as_bytes());
    let line = Password::from_line("e\u{301}\n".into());
    assert_eq!(line.expose(), "\u{e9}".as_bytes());
    for same in [&b"plain"[..], b"", b"e\xcc\x81\xff", "caf\u{e9}".as_bytes()] {
        assert_eq!(Password::new(same.to_vec()).expose(), same);
    }
}

#[test]
fn only_the_password_unlocks() {
    let (header, master) = Header::create([5; 16], &password("right"), KdfParams::FLOOR).unwrap();
    let header = reread(&header);
    assert_eq!(
        (header.vault_id(), header.params(), header.has_recovery()),
        ([5; 16], KdfParams::FLOOR, false)
    );
    assert!(same(&header.unlock(&password("right")).ok().unwrap(), &master));
    for wrong in ["", "Right", "right ", "right\n", "righ"] {
        assert_eq!(
            header.unlock(&password(wrong)).err(),
            Some(UnlockError::WrongPassword),
            "{wrong:?}"
        );
    }
    let (other, other_master) = Header::create([5; 16], &password("right"), KdfParams::FLOOR).unwrap();
    assert!(
        !same(&master, &other_master),
        "the same password in two vaults gives two keys"
    );
    assert_ne!(header, other);
}

#[test]
fn parameters_out_of_bounds_make_no_vault() {
    let weak = KdfParams {
        passes: 1,
        ..KdfParams::FLOOR
    };
    assert!(matches!(
        Header::create([1; 16], &password("x"), weak),
        Err(KdfError::Range { .. })
    ));
    let (header, master) = Header::create([1; 16], &password("x"), KdfParams::FLOOR).unwrap();
    assert!(matches!(
        header.change_password(&master, &password("y"), weak),
        Err(KdfError::Range { .. })
    ));
}

#[test]
fn a_changed_password_replaces_the_old_one() {
    let (header, old) = Header::create([5; 16], &password("old"), KdfParams::FLOOR).unwrap();
    let params = KdfParams {
        passes: 3,
        ..KdfParams::FLOOR
    };
    let (changed, new) = header.change_password(&old, &password("new"), params).unwrap();
    let changed = reread(&changed);
    assert_eq!(
        (changed.vault_id(), changed.params(), changed.has_recovery()),
        ([5; 16], params, false)
    );
    assert!(!same(&old, &new));
    assert!(same(&changed.unlock(&password("new")).ok().unwrap(), &new));
    assert_eq!(
        changed.unlock(&password("old")).err(),
        Some(UnlockError::WrongPassword)
    );
    // The old header goes on leading to the old key: which of them counts is the caller's transaction.
    assert!(same(&header.unlock(&password("old")).ok().unwrap(), &old));
    assert_eq!(
        header.change_password(&new, &password("x"), params).err(),
        Some(KdfError::NotThisHeader)
    );
    // To the same password again: salt and key are new all the same.
    let (again, third) = changed.change_password(&new, &password("new"), params).unwrap();
    assert!(!same(&new, &third));
    assert_ne!(again, changed);
}

#[test]
fn a_phrase_recovers_through_password_changes() {
    let (mut header, first) = Header::create([5; 16], &password("one"), KdfParams::FLOOR).unwrap();
    let stranger = {
        let (mut other, master) = Header::create([5; 16], &password("x"), KdfParams::FLOOR).unwrap();
        other.add_recovery(&master)
    };
    assert_eq!(header.recover(&stranger).err(), Some(RecoverError::NoRecovery));
    let phrase = header.add_recovery(&first);
    let header = reread(&header);
    assert!(header.has_recovery());
    assert!(same(&header.recover(&phrase).ok().unwrap(), &first));
    assert!(same(&header.unlock(&password("one")).ok().unwrap(), &first));
    assert_eq!(header.recover(&stranger).err(), Some(RecoverError::WrongPhrase));

    let (header, second) = header
        .change_password(&first, &password("two"), KdfParams::FLOOR)
        .unwrap();
    let header = reread(&header);
    assert!(same(&header.recover(&phrase).ok().unwrap(), &second));

    // The forgotten password's way: recover, then set a new one with what was recovered.
    let recovered = header.recover(&phrase).ok().unwrap();
    let (mut header, third) = header
        .change_password(&recovered, &password("three"), KdfParams::FLOOR)
        .unwrap();
    assert!(same(&header.unlock(&password("three")).ok().unwrap(), &third));

    let newer = header.add_recovery(&third);
    assert!(same(&header.recover(&newer).ok().unwrap(), &third));
    assert_eq!(header.recover(&phrase).err(), Some(RecoverError::WrongPhrase));
    assert!(same(&header.unlock(&password("three")).ok().unwrap(), &third));
}

#[test]
#[should_panic(expected = "the header's own master key")]
fn a_phrase_is_not_added_with_another_vaults_key() {
    let (mut header, _) = Header::create([1; 16], &password("x"), KdfParams::FLOOR).unwrap();
    let (_, other) = Header::create([1; 16], &password("x"), KdfParams::FLOOR).unwrap();
    header.add_recovery(&other);
}

#[test]
fn a_phrase_is_read_however_it_was_written_down() {
    let (mut header, master) = Header::create([5; 16], &password("x"), KdfParams::FLOOR).unwrap();
    let words = header.add_recovery(&master).words();
    let list: Vec<&str> = words.iter().collect();
    assert_eq!(list.len(), 24);
    assert_eq!(list.join(" "), words.as_str());
    let numbered: Vec<String> = list
        .iter()
        .enumerate()
        .map(|(i, w)| format!("{:2}. {w}", i + 1))
        .collect();
    for text in [
        words.as_str().to_string(),
        words.as_str().to_uppercase(),
        numbered.join("\n"),
        numbered.join("\r\n\r\n"),
        format!("  {}\n", list.join(", ")),
        list.chunks(6)
            .map(|row| row.join("\t"))
            .collect::<Vec<_>>()
            .join("\n"),
    ] {
        let phrase = RecoveryPhrase::parse(&text).ok().unwrap();
        assert!(header.recover(&phrase).is_ok(), "{text:?}");
    }
}

#[test]
fn what_is_no_phrase_says_where() {
    // All-zero entropy, from the BIP39 test vectors: it parses, and is nobody's.
    let good = format!("{}art", "abandon ".repeat(23));
    let parse = |text: &str| RecoveryPhrase::parse(text).err();
    assert_eq!(parse(&good), None);
    assert_eq!(RecoveryPhrase::parse(&good).ok().unwrap().words().as_str(), good);
    assert_eq!(parse(""), Some(PhraseError::Count(0)));
    assert_eq!(parse("abandon about"), Some(PhraseError::Count(2)));
    assert_eq!(parse(&format!("{good} art")), Some(PhraseError::Count(25)));
    assert_eq!(
        parse(&good.replace("art", "arts")),
        Some(PhraseError::Unknown(24))
    );
    assert_eq!(
        parse(&good.replacen("abandon", "abandoné", 1)),
        Some(PhraseError::Unknown(1))
    );
    assert_eq!(parse(&good.replace("art", "about")), Some(PhraseError::Checksum));
    assert_eq!(
        parse(&good.replace("abandon art", "art abandon")),
        Some(PhraseError::Checksum)
    );
}
