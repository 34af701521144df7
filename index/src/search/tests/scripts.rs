//! Words in all scripts.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use unicode_normalization::UnicodeNormalization;

use super::super::fold::{WORD_MAX, fold, folded};
use super::super::token::{Of, Tokens};
use super::is_found;

fn tokens(text: &str, of: Of) -> Vec<String> {
    let mut tokens = Tokens::new(text, of);
    let mut word = String::new();
    let mut all = Vec::new();
    while let Some(spot) = tokens.next(&mut word) {
        assert!(!text[spot.range].is_empty(), "{text}: {word}");
        all.push(word.clone());
    }
    all
}

/// Guards that two spellings of one word fold to the same, in every script that has several.
#[test]
fn spellings_fold_alike() {
    for (a, b) in [
        ("Straße", "STRASSE"),
        ("STRAẞE", "strasse"),
        ("Müller", "muller"),
        ("Mu\u{308}ller", "MÜLLER"),
        ("élève", "ELEVE"),
        ("Œuvre", "oeuvre"),
        ("garçon", "garcon"),
        ("İstanbul", "istanbul"),
        ("ISTANBUL", "ıstanbul"),
        ("IŞIK", "ışık"),
        ("Łódź", "lodz"),
        ("smørrebrød", "SMORREBROD"),
        ("Þórður", "thordur"),
        ("ΟΔΟΣ", "οδος"),
        ("οδός", "οδοσ"),
        ("Ἀθῆναι", "αθηναι"),
        ("ёлка", "ЕЛКА"),
        ("Толстой", "толстои"),
        ("שָׁלוֹם", "שלום"),
        ("مُحَمَّد", "محمد"),
        ("العـــربية", "العربية"),
        ("أحمد", "احمد"),
        ("Việt", "viet"),
        ("ﬁle", "FILE"),
        ("Ｆｕｌｌ", "full"),
        ("ｶﾞｷﾞ", "ガギ"),
        ("か\u{3099}", "が"),
        ("\u{1112}\u{1161}\u{11AB}", "한"),
        ("क\u{93C}", "\u{958}"),
        ("co\u{AD}operate", "cooperate"),
        ("می\u{200C}خواهم", "میخواهم"),
        ("x²", "x2"),
    ] {
        assert_eq!(folded(a), folded(b), "{a} {b}");
    }
}

/// Guards what must stay apart: signs that carry sound are no accents.
#[test]
fn sound_stays() {
    for (a, b) in [
        ("कि", "की"),
        ("क्या", "कया"),
        ("क\u{93C}", "क"),
        ("தமிழ்", "தமழ"),
        ("が", "か"),
        ("パ", "ハ"),
        ("มา", "ม้า"),
        ("한", "하"),
        ("и", "е"),
    ] {
        assert_ne!(folded(a), folded(b), "{a} {b}");
    }
}

/// Guards that case never matters, that folding twice is folding once, and that the table of single letters says what the
/// rules say, for each character that there is.
#[test]
fn folding_is_settled() {
    for c in (0..=0x10_FFFF).filter_map(char::from_u32) {
        let word = c.to_string();
        let once = folded(&word);
        assert_eq!(folded(&once), once, "{c:?}");
        // The small iota below a Greek letter is an accent, and beside a capital one a letter.
        if word.nfd().any(|c| c == '\u{345}') {
            continue;
        }
        let upper: String = c.to_uppercase().collect();
        let lower: String = c.to_lowercase().collect();
        assert_eq!(folded(&upper), once, "{c:?} {upper}");
        assert_eq!(folded(&lower), once, "{c:?} {lower}");
    }
}

/// Guards that the quick way (letter by letter, from a table) and the rules for whole words agree: a character that only the
/// rules can do, at the end, has the whole word go by them.
#[test]
fn quick_is_as_slow() {
    let mut random = StdRng::seed_from_u64(5);
    let ranges = [
        0x900..0x980,
        0xE00..0xE80,
        0xC0..0x700,
        0x1E00..0x2000,
        0x3041..0x3097,
        0x4E00..0x5000,
        0xAC00..0xD7A4u32,
    ];
    for _ in 0..20_000 {
        let range = ranges[random.random_range(0..ranges.len())].clone();
        let word: String = (0..random.random_range(1..8))
            .filter_map(|_| char::from_u32(random.random_range(range.clone())))
            .collect();
        // Deseret, which composes with nothing.
        let whole = folded(&format!("{word}\u{10428}"));
        assert_eq!(whole, format!("{}\u{10428}", folded(&word)), "{word}");
    }
}

/// Guards the bound of a word: at a character's end, alike in texts and questions.
#[test]
fn long_words_are_cut() {
    for letter in ["a", "ä", "я", "한", "\u{10428}"] {
        let word = letter.repeat(1000);
        let mut out = String::from("before");
        fold(&word, &mut out);
        assert!(
            out.len() <= "before".len() + WORD_MAX && out.len() > WORD_MAX,
            "{letter}"
        );
        assert!(is_found(&word, &word));
    }
    assert!(folded(&"ß".repeat(1000)).len() <= WORD_MAX);
    assert!(folded(&format!("a{}", "\u{301}".repeat(100_000))) == "a");
}

/// Guards how texts and questions are taken apart.
#[test]
fn texts_are_taken_apart() {
    for (text, of_text, of_question) in [
        ("foo_bar", "foo bar", "foo bar"),
        ("don't don’t", "don t don t", "don t don t"),
        ("C++ c# F# a+b", "c c++ c c# f f# a b", "c++ c# f# a b"),
        ("1,234.50", "1 234 50", "1 234 50"),
        ("#tag/sub", "tag sub", "tag sub"),
        ("中国人 x", "中 中国 国 国人 人 x", "中国 国人 x"),
        ("中", "中", "中"),
        (
            "日本語のテスト",
            "日 日本 本 本語 語 語の の のテ テ テス ス スト ト",
            "日本 本語 語の のテ テス スト",
        ),
        ("กา", "ก กา า", "กา"),
        ("ga中b", "ga 中 b", "ga 中 b"),
        ("한국어 문서", "한국어 문서", "한국어 문서"),
        ("👍🏽 ok 👩\u{200D}💻", "👍 ok 👩 💻", "👍 ok 👩 💻"),
        ("… -- !?", "", ""),
    ] {
        assert_eq!(tokens(text, Of::Text).join(" "), of_text, "{text}");
        assert_eq!(tokens(text, Of::Question).join(" "), of_question, "{text}");
    }
}

/// Guards what is found by what, in many scripts.
#[test]
fn every_script_is_found() {
    for (text, query) in [
        ("Die Grüße aus der Straße", "grusse strasse"),
        ("Un élève français", "eleve FRANCAIS"),
        ("İSTANBUL'da kış", "istanbul kis"),
        ("Zażółć gęślą jaźń", "zazolc gesla jazn"),
        ("Ο δρόμος της Αθήνας", "ΔΡΟΜΟΣ αθηνασ"),
        ("Её ёлка и чай", "елка чай"),
        ("שָׁלוֹם עולם", "שלום"),
        ("قَالَ مُحَمَّدٌ", "محمد"),
        ("हिन्दी में लिखा", "हिन्दी"),
        ("தமிழ் மொழி", "தமிழ்"),
        ("ภาษาไทยง่ายมาก", "ภาษาไทย"),
        ("ภาษาไทยง่ายมาก", "ง่าย"),
        ("ພາສາລາວ", "ລາວ"),
        ("ភាសាខ្មែរ", "ខ្មែរ"),
        ("မြန်မာဘာသာ", "မြန်မာ"),
        ("我们在北京吃饭", "北京"),
        ("我们在北京吃饭", "吃"),
        ("我们在北京吃饭", "在北京吃"),
        ("東京タワーへ行きました", "タワー"),
        ("東京タワーへ行きました", "ﾀﾜｰ"),
        ("ひらがなで書く", "がな"),
        ("한국어 문서입니다", "한국어"),
        ("party 🎉 now", "🎉"),
        ("she 👩\u{200D}💻 works", "💻"),
        ("she 👩\u{200D}💻 works", "👩\u{200D}💻"),
        ("flag 🇩🇪 up", "🇩🇪"),
        ("use foo_bar here", "foo_bar"),
        ("use foo_bar here", "bar"),
        ("use foo-bar here", "foo-bar"),
        ("release v1.2 is out", "v1.2"),
        ("release v1.2 is out", "v1"),
        ("I don’t know", "don't"),
        ("L’eau est froide", "eau"),
        ("written in C++.", "C++"),
        ("written in C++.", "c"),
        ("written in C#", "c#"),
        ("mail ann.lee@example.org today", "ann.lee@example.org"),
        ("mail ann.lee@example.org today", "example"),
        (
            "see https://example.org/a/b?c=1#d",
            "https://example.org/a/b?c=1#d",
        ),
        ("see https://example.org/a/b?c=1#d", "example.org"),
        ("costs 1,234.50 EUR", "1,234.50"),
        ("costs 1,234.50 EUR", "234"),
        ("a #garden/roses tag", "#garden/roses"),
        ("a #garden/roses tag", "roses"),
        ("naïve café", "cafe*"),
        ("dentistry", "dent*"),
        ("中国", "中*"),
    ] {
        assert!(is_found(text, query), "{query} in {text}");
    }
    for (text, query) in [
        ("我们在北京吃饭", "京北"),
        ("我们在北京吃饭", "北吃"),
        ("plain C here", "C++"),
        ("v1 and 2", "v1.2"),
        ("foo here bar", "foo-bar"),
        ("dentist", "dent"),
        ("คน", "นค"),
    ] {
        assert!(!is_found(text, query), "{query} in {text}");
    }
}
