//! What a file shows of concurrent versions is one answer: salvage without the database, and bringing back
//! what was removed, come to the same as the vault that showed it.

mod texts_support;

use std::path::Path;

use coffer_store::ids::ROOT;
use coffer_store::io::Disk;
use coffer_store::vault::{At, salvage};
use texts_support::pair::Pair;
use texts_support::*;

const NOTE: &str = "# Garden\n\nPlant the garlic in October.\n\nBuy bread and milk.\n";

/// Two devices that wrote concurrently in a file, and the file's name.
fn met(name: &'static str, first: &str, write: impl FnOnce(&mut Pair)) -> (&'static str, Pair) {
    let mut pair = Pair::new(&[(name, first)]);
    write(&mut pair);
    pair.meet();
    (name, pair)
}

fn card(fields: &str) -> String {
    format!("BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Ada\r\n{fields}END:VCARD\r\n")
}

/// Each way in which concurrent versions are shown.
fn scenes() -> Vec<(&'static str, Pair)> {
    vec![
        met("note.md", NOTE, |pair| {
            pair.one
                .save(VIM, "note.md", NOTE.replace("garlic", "late garlic"));
            pair.two
                .save(EMACS, "note.md", NOTE.replace("bread", "butter, bread"));
        }),
        met("data.bin", "first", |pair| {
            pair.one.save(VIM, "data.bin", "by one");
            pair.two.save(EMACS, "data.bin", "by two");
        }),
        // A line of its own that began later than the text, which is edited later than that.
        met("note.md", NOTE, |pair| {
            pair.one.save(VIM, "note.md", b"\xff no text");
            for words in ["one", "two", "three", "four", "five"] {
                pair.two.save(EMACS, "note.md", format!("{NOTE}{words}\n"));
                pair.two.tell();
            }
        }),
        // A merge that is no contact any more: the last one alone is shown.
        met("card.vcf", &card(""), |pair| {
            pair.one.save(VIM, "card.vcf", card("UID:urn:uuid:1\r\n"));
            pair.two.save(EMACS, "card.vcf", card("UID:urn:uuid:2\r\n"));
        }),
    ]
}

/// A disk's files in a folder, without the database.
fn without_database(bench: &Bench, dir: &Path) {
    let disk = bench.disk.crash_all_kept();
    std::fs::create_dir(dir).unwrap();
    for name in disk.list().unwrap() {
        if name == "vault.redb" || name == "vault.journal" {
            continue;
        }
        let file = disk.open(&name).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        file.read_at(0, &mut bytes).unwrap();
        std::fs::write(dir.join(name), bytes).unwrap();
    }
}

/// Salvage took the last version of all, whichever line it was of, and merged what is no merge.
#[test]
fn salvage_shows_the_same() {
    for (scene, (name, pair)) in scenes().into_iter().enumerate() {
        let shown = pair.one.bytes(name);
        assert_eq!(shown, pair.two.bytes(name));
        for bench in [&pair.one, &pair.two] {
            let dir = tempfile::tempdir().unwrap();
            let (from, to) = (dir.path().join("vault"), dir.path().join("out"));
            without_database(bench, &from);
            let report = salvage(&from, &password(), &to, &mut |_| {}).unwrap();
            assert!(report.problems.is_empty(), "scene {scene}: {:?}", report.problems);
            let found = std::fs::read(to.join(name)).unwrap();
            assert_eq!(
                found.escape_ascii().to_string(),
                shown.escape_ascii().to_string(),
                "scene {scene}"
            );
        }
    }
}

/// What was removed came back as the merge of a text's versions also where that is none.
#[test]
fn what_comes_back_shows_the_same() {
    for (scene, (name, pair)) in scenes().into_iter().enumerate() {
        let shown = pair.one.bytes(name);
        for bench in [&pair.one, &pair.two] {
            bench.vault.remove(ROOT, name.as_bytes(), false).unwrap();
            bench.tell();
            let gone = bench.vault.removed().unwrap();
            let at = At {
                folder: ROOT,
                name: name.as_bytes(),
                replace: false,
                keep_times: false,
            };
            bench.vault.bring_back(gone[0].node, None, at).unwrap();
            assert_eq!(bench.bytes(name), shown, "scene {scene}, at once");
            bench.vault.commit().unwrap();
            assert_eq!(bench.bytes(name), shown, "scene {scene}, told");
            bench.check();
        }
    }
}

/// Guards a line that came while the file was in the trash: it brings the file back, which shows what the other
/// device shows, from the first moment on, and no word is there twice once they meet.
#[test]
fn what_came_meanwhile_comes_back_too() {
    let (name, mut pair) = met("note.md", NOTE, |pair| {
        pair.one
            .save(VIM, "note.md", NOTE.replace("garlic", "late garlic"));
    });
    pair.one.vault.remove(ROOT, name.as_bytes(), false).unwrap();
    pair.one.tell();
    pair.two.save(EMACS, name, b"\xff no text");
    assert!(pair.one.vault.lookup(ROOT, name.as_bytes()).is_err());
    pair.carry(false);
    assert_eq!(pair.one.vault.removed().unwrap(), []);
    assert_eq!(pair.one.bytes(name), b"\xff no text");
    pair.meet();
    assert_eq!(pair.one.bytes(name), b"\xff no text");
    assert_eq!(pair.two.bytes(name), b"\xff no text");
    pair.check();
}
