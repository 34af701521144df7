//! Guards the difference between two saves: it gives the new text, in few splices of whole
//! words, and tears nothing that a reader sees as one character.

use coffer_store::text::{Had, Splice, likeliest, nearest, splices};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// The new text, from the old one and the splices.
fn applied(old: &str, splices: &[Splice<'_>]) -> String {
    let old: Vec<char> = old.chars().collect();
    let (mut new, mut at) = (String::new(), 0);
    for splice in splices {
        assert!(splice.at >= at, "splices are in order");
        new.extend(&old[at..splice.at]);
        new.push_str(splice.insert);
        at = splice.at + splice.delete;
    }
    new.extend(&old[at..]);
    new
}

/// The splices, as (at, deleted text, inserted text), after they were tried.
fn steps(old: &str, new: &str) -> Vec<(usize, String, String)> {
    let splices = splices(old, new);
    assert_eq!(applied(old, &splices), new, "from {old:?}");
    let deleted = |splice: &Splice<'_>| old.chars().skip(splice.at).take(splice.delete).collect();
    splices
        .iter()
        .map(|splice| (splice.at, deleted(splice), splice.insert.to_string()))
        .collect()
}

fn step(at: usize, deleted: &str, inserted: &str) -> (usize, String, String) {
    (at, deleted.to_string(), inserted.to_string())
}

/// Guards the granularity: a word that changed is replaced, its neighbours stay.
#[test]
fn words_are_replaced_and_nothing_besides() {
    let old = "# Plan\n\nBuy milk, bread and eggs.\nCall Ada.\n";
    assert_eq!(steps(old, old), []);
    assert_eq!(
        steps(old, "# Plan\n\nBuy oats, bread and eggs.\nCall Grace.\n"),
        [step(12, "milk", "oats"), step(39, "Ada", "Grace")]
    );
    assert_eq!(
        steps(old, "# Plan\n\nBuy milk, bread and eggs.\nWrite.\nCall Ada.\n"),
        [step(34, "", "Write.\n")]
    );
    assert_eq!(
        steps(old, "# Plan\n\nCall Ada.\n"),
        [step(8, "Buy milk, bread and eggs.\n", "")]
    );
    assert_eq!(steps("", "a"), [step(0, "", "a")]);
    assert_eq!(steps("a", ""), [step(0, "a", "")]);
    // Neighbours that changed together are one step.
    assert_eq!(
        steps("red big house", "blue tiny house"),
        [step(0, "red big", "blue tiny")]
    );
}

/// Guards against a word that is made of two: a letter changed in it, and it is replaced whole.
#[test]
fn a_word_is_never_cut() {
    assert_eq!(
        steps("phone 5551234 ok", "phone 5559234 ok"),
        [step(6, "5551234", "5559234")]
    );
    assert_eq!(
        steps("REV:20250101T000000Z\n", "REV:20260203T000000Z\n"),
        [step(4, "20250101T000000Z", "20260203T000000Z")]
    );
    // But for words that nobody types.
    let (old, new) = (
        format!("{}x{}", "a".repeat(90), "b".repeat(90)),
        format!("{}y{}", "a".repeat(90), "b".repeat(90)),
    );
    assert_eq!(steps(&old, &new), [step(90, "x", "y")]);
}

/// Guards where an insertion stands that could stand at two places: before the space.
#[test]
fn an_added_word_takes_the_space_before_it() {
    assert_eq!(steps("one two", "one and two"), [step(3, "", " and")]);
    assert_eq!(steps("one and two", "one two"), [step(3, " and", "")]);
    assert_eq!(steps("one", "one two"), [step(3, "", " two")]);
}

/// Guards line endings: a CR stays with its LF.
#[test]
fn a_line_ending_is_one() {
    let (unix, dos) = ("a b\nc d\ne\n", "a b\r\nc d\r\ne\r\n");
    for (old, new) in [(unix, dos), (dos, unix)] {
        for (_, deleted, inserted) in steps(old, new) {
            assert!(!deleted.contains('\r') || deleted.contains("\r\n"), "{deleted:?}");
            assert!(
                !inserted.contains('\r') || inserted.contains("\r\n"),
                "{inserted:?}"
            );
        }
        assert_eq!(steps(old, new).len(), 3, "the words stay");
    }
    assert_eq!(steps("a\r\nb\r\n", "a\r\nx\r\nb\r\n"), [step(3, "", "x\r\n")]);
}

/// Guards what a reader sees as one: families, flags, skin tones, accents, Hangul, Devanagari.
#[test]
fn a_cluster_is_never_torn() {
    let family = "👨\u{200d}👩\u{200d}👧";
    let more = "👨\u{200d}👩\u{200d}👧\u{200d}👦";
    assert_eq!(
        steps(&format!("a {family} b"), &format!("a {more} b")),
        [step(2, family, more)]
    );
    assert_eq!(steps("🇩🇪 x", "🇩🇰 x"), [step(0, "🇩🇪", "🇩🇰")]);
    assert_eq!(steps("👍", "👍🏽"), [step(0, "👍", "👍🏽")]);
    assert_eq!(
        steps("cafe ok", "cafe\u{301} ok"),
        [step(0, "cafe", "cafe\u{301}")]
    );
    assert_eq!(steps("คำ", "คา"), [step(0, "คำ", "คา")]);
    assert_eq!(steps("각", "갂"), [step(0, "각", "갂")]);
    // Right to left: nothing special, and nothing torn.
    assert_eq!(steps("שלום עולם", "שלום חבר"), [step(5, "עולם", "חבר")]);
    assert_eq!(steps("مرحبا بالعالم", "مرحبا يا بالعالم").len(), 1);
}

/// Guards all of it against texts that nobody thought of: pieces that combine with their
/// neighbours, in random order.
#[test]
fn random_texts_come_out_right() {
    let pieces = [
        "a",
        "b",
        " ",
        " ",
        "\n",
        "\r\n",
        "\r",
        "word",
        "Wörter",
        "é",
        "e\u{301}",
        "\u{301}",
        "\u{200d}",
        "👩",
        "👩\u{200d}💻",
        "🇩",
        "🇪",
        "क्ष",
        "ा",
        "한",
        "\u{1112}",
        "שלום",
        "0",
        "12.5",
        "-",
        "。",
        "漢字",
        "\u{feff}",
        "\0",
    ];
    let mut rng = StdRng::seed_from_u64(1);
    let text = |rng: &mut StdRng| -> Vec<&str> {
        (0..rng.random_range(0..30))
            .map(|_| pieces[rng.random_range(0..pieces.len())])
            .collect()
    };
    for _ in 0..20_000 {
        let old = text(&mut rng);
        let mut new = old.clone();
        for _ in 0..rng.random_range(0..4) {
            let at = rng.random_range(0..=new.len());
            let to = (at + rng.random_range(0..4)).min(new.len());
            let come = text(&mut rng)
                .into_iter()
                .take(rng.random_range(0..4))
                .collect::<Vec<_>>();
            new.splice(at..to, come);
        }
        let (old, new) = (old.concat(), new.concat());
        let splices = splices(&old, &new);
        assert_eq!(applied(&old, &splices), new, "from {old:?}");
        whole(&old, &new, &splices);
    }
}

/// That every splice begins and ends between clusters, of both texts.
fn whole(old: &str, new: &str, splices: &[Splice<'_>]) {
    let places = |text: &str| {
        let clusters = unicode_segmentation::UnicodeSegmentation::graphemes(text, true);
        let ends = clusters.scan(0, |at, cluster| {
            *at += cluster.chars().count();
            Some(*at)
        });
        std::iter::once(0)
            .chain(ends)
            .collect::<std::collections::BTreeSet<_>>()
    };
    let (before, after) = (places(old), places(new));
    let mut shift = 0isize;
    for splice in splices {
        let start = splice.at.saturating_add_signed(shift);
        let end = start + splice.insert.chars().count();
        let touched = before.contains(&splice.at) && before.contains(&(splice.at + splice.delete));
        assert!(touched, "{splice:?} tears {old:?}");
        assert!(
            after.contains(&start) && after.contains(&end),
            "{splice:?} tears {new:?}"
        );
        shift = end as isize - (splice.at + splice.delete) as isize;
    }
}

/// Guards the time that hostile or odd texts take: that they end at all, soon, and right.
#[test]
fn odd_texts_end() {
    let mut rng = StdRng::seed_from_u64(2);
    let mut noise = |alphabet: &[&str], pieces: usize| -> String {
        (0..pieces)
            .map(|_| alphabet[rng.random_range(0..alphabet.len())])
            .collect()
    };
    let cases = [
        (
            "lines of one letter",
            noise(&["a\n", "b\n"], 200_000),
            noise(&["a\n", "b\n"], 200_000),
        ),
        (
            "one line of short words",
            noise(&["a ", "b "], 200_000),
            noise(&["a ", "b "], 200_000),
        ),
        ("empty lines", "\n".repeat(1_000_000), "\n".repeat(999_000)),
        ("flags", "🇩".repeat(100_000), "🇪".repeat(100_000)),
        (
            "one word",
            "x".repeat(1_000_000),
            format!("{}y{}", "x".repeat(500_000), "x".repeat(400_000)),
        ),
        (
            "line ends",
            "some words\n".repeat(90_000),
            "some words\r\n".repeat(90_000),
        ),
    ];
    for (name, old, new) in cases {
        let start = std::time::Instant::now();
        let count = steps(&old, &new).len();
        println!(
            "{name}: {count} splices of {} bytes in {:?}",
            old.len(),
            start.elapsed()
        );
    }
}

/// Guards the choice of base: the nearest, and the newest of those that are equally near.
#[test]
fn the_nearest_version_is_the_base() {
    let one = "Groceries\n\nmilk\nbread\n";
    let two = "Groceries\n\nmilk\nbread\neggs, from the farm by the river\n";
    assert_eq!(nearest(&[], "x"), None);
    assert_eq!(nearest(&["y"], "x"), Some(0));
    // It adds to the first, though the second is newer.
    assert_eq!(nearest(&[one, two], "Groceries\n\nmilk\nbread\nsalt\n"), Some(0));
    assert_eq!(
        nearest(
            &[one, two],
            "Groceries\n\nmilk\neggs, from the farm by the river\n"
        ),
        Some(1)
    );
    // The same as one: that one. Equally near: the newest.
    assert_eq!(nearest(&[one, two, one], one), Some(2));
    assert_eq!(nearest(&["a b", "a c", "a d"], "a x"), Some(2));
    // Edits at both ends hide what is the same between, not from this.
    let long = "a line that stays\n".repeat(50);
    let (base, far) = (
        format!("top\n{long}end\n"),
        format!("other\n{}", "another line\n".repeat(50)),
    );
    assert_eq!(nearest(&[&base, &far], &format!("TOP\n{long}END\n")), Some(0));
    // In one long line, every candidate looks the same by lines: words decide.
    let line = |word: &str| {
        format!(
            "{} {word} {}",
            "so many words ".repeat(20),
            "and more ".repeat(20)
        )
    };
    let candidates: Vec<String> = (0..50).map(|n| line(&format!("v{n} v{n} v{n}"))).collect();
    let shown: Vec<&str> = candidates.iter().map(String::as_str).collect();
    assert_eq!(nearest(&shown, &line("v7 v7 v7 too")), Some(7));
}

/// Guards the weight of what an editor was shown: neither a chance likeness nor words that both may
/// have typed make it one with another version; words that it can have from there alone do.
#[test]
fn what_an_editor_was_shown_weighs_more() {
    let place = |shown: &str, other: &str, new: &str| {
        let had = |text, shown| Had { text, shown };
        likeliest(&[had(other, false), had(shown, true)], other, new)
    };
    let (shown, other) = (Some(1), Some(0));
    let now = "Groceries\n\nmilk\nbread\neggs\n";
    let was = "Groceries\n\nmilk\nbread\na long line that goes\n";
    // Both took the same out: that says nothing, and what the other put in would be lost.
    assert_eq!(place(was, now, "Groceries\n\nmilk and tea\nbread\n"), shown);
    // It has what the other put in: else that would be there twice.
    assert_eq!(place(was, now, "Groceries\n\nmilk\nbread\neggs\njam\n"), other);
    // The same heading typed by both: what stands below it would be lost.
    let daily = |line: &str| format!("{was}\n## Monday, the ninth\n- {line}\n");
    assert_eq!(place(was, &daily("call Ada"), &daily("buy eggs")), shown);
    // It changed one word of many that came: it had them.
    let came =
        format!("{was}The letter to the landlord is on the table by the door, for somebody to post.\n");
    assert_eq!(place(was, &came, &came.replace("table", "chair")), other);
    // What it saved is exactly one of them: that one, and rather the one that it was shown.
    assert_eq!(place(was, now, now), other);
    assert_eq!(place(now, was, now), shown);
    assert_eq!(place(was, was, was), shown);
    // Of those it was shown, or was not, the nearest.
    let all = [was, now].map(|text| Had { text, shown: false });
    assert_eq!(likeliest(&all, now, &format!("{was}More.\n")), Some(0));
    assert_eq!(likeliest(&[], now, now), None);
}

/// Guards the time of the choice among many large ones; prints it.
#[test]
fn the_choice_among_fifty_megabytes_ends() {
    let base: String = (0..20_000)
        .map(|n| format!("line {n} of a long note that somebody wrote\n"))
        .collect();
    let candidates: Vec<String> = (0..50)
        .map(|n| {
            base.replace(&format!("line {} ", n * 300), &format!("LINE {n} {n} "))
                .replacen("line 1 ", &format!("x{n} "), 1)
        })
        .collect();
    let shown: Vec<&str> = candidates.iter().map(String::as_str).collect();
    let new = candidates[17].replace("line 9000 ", "line nine thousand ");
    let start = std::time::Instant::now();
    assert_eq!(nearest(&shown, &new), Some(17));
    println!("50 candidates of {} bytes: {:?}", base.len(), start.elapsed());
}

/// Guards the choice between two versions that an editor was certainly shown: the nearer one, but not where
/// words that came with the newer one would be there twice; and never so that words would be lost.
#[test]
fn the_nearer_one_doubles_nothing() {
    let place = |all: &[&str], now: &str, new: &str| {
        let had: Vec<Had<'_>> = all.iter().map(|text| Had { text, shown: true }).collect();
        likeliest(&had, now, new)
    };
    let long = "A paragraph that is so long that it is more than what took its place.\n";
    let was = format!("Groceries\n\n{long}\nEnd\n");
    let now = "Groceries\n\nBuy eggs.\n\nEnd\n";
    // The paragraph is put back beside what took its place.
    let both = format!("Groceries\n\n{long}Buy eggs.\n\nEnd\n");
    assert_eq!(place(&[&was, now], now, &both), Some(1));
    // Whoever never had the newer one: what it has of its own would be lost.
    let more = was.replace("End", "The end");
    assert_eq!(place(&[&was, now], now, &more), Some(0));
    // Others took something out, and this one says nothing of it: it stays out.
    let shorter = "Groceries\n\nEnd\n";
    assert_eq!(place(&[&was, shorter], shorter, &more), Some(0));
    // Of two that are as near, the newest.
    assert_eq!(place(&["a b\n", "a c\n"], "a c\n", "a d\n"), Some(1));
    assert_eq!(place(&["a c\n", "a b\n"], "a b\n", "a d\n"), Some(1));
}
