//! Markdown notes.

use super::*;

fn note(text: &str) -> Extract {
    of(Format::Markdown, text)
}

/// Guards front matter of every kind, and titles.
#[test]
fn front_matter_is_json() {
    let text = "---\ntitle: Soup\ntags: [food, \"winter/warm\"]\nserves: 4\nprice: 2.5\nraw: 007\nwhen: 2026-01-31\nnone:\nyes: true\nquoted: \"12\"\nbase: &b {a: 1}\nagain: *b\nlong: |\n  two\n  lines\n---\n# Heading\nText\n";
    let read = note(text);
    assert_eq!(read.problems, []);
    let note = read.note.unwrap();
    assert_eq!(note.title.as_deref(), Some("Soup"));
    assert_eq!(note.tags, ["food", "winter/warm"]);
    assert_eq!(note.body, "# Heading\nText\n");
    assert_eq!(note.headings[0].line, 17);
    let front: serde_json::Value = serde_json::from_str(&note.front_matter.unwrap()).unwrap();
    assert_eq!(
        front,
        serde_json::json!({"title": "Soup", "tags": ["food", "winter/warm"], "serves": 4, "price": 2.5, "raw": "007",
            "when": "2026-01-31", "none": null, "yes": true, "quoted": "12", "base": {"a": 1}, "again": {"a": 1},
            "long": "two\nlines\n"})
    );
}

/// Guards front matter that is none: it is text, and listed with its line.
#[test]
fn broken_front_matter_is_listed_and_stays_text() {
    let read = note("---\ntitle: [a\nb: {\n---\nText\n");
    let note = read.note.unwrap();
    assert!(note.body.starts_with("---\n") && note.front_matter.is_none());
    assert_eq!(read.problems.len(), 1);
    assert!(read.problems[0].line.unwrap() <= 4, "{:?}", read.problems);
    for none in [
        "---\n\ntext, and a rule above\n",
        "text\n---\na: b\n---\n",
        " ---\na: b\n---\n",
    ] {
        let read = super::of(Format::Markdown, none);
        assert_eq!(
            (read.problems.len(), read.note.unwrap().front_matter),
            (0, None),
            "{none}"
        );
    }
    let list = super::of(Format::Markdown, "---\n- a\n- b\n---\n");
    assert_eq!(list.problems.len(), 1);
}

/// Guards against aliases that stand for aliases, and against depth.
#[test]
fn front_matter_that_explodes_is_refused() {
    let mut bomb = "---\na0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..20 {
        let list = vec![format!("*a{}", i - 1); 9].join(", ");
        bomb.push_str(&format!("a{i}: &a{i} [{list}]\n"));
    }
    bomb.push_str("---\ntext\n");
    let deep = format!("---\na: {}{}\n---\n", "[".repeat(5000), "]".repeat(5000));
    for text in [bomb, deep] {
        let read = note(&text);
        assert_eq!(read.problems.len(), 1, "{:?}", read.problems);
        assert!(read.note.unwrap().front_matter.is_none());
    }
}

/// Guards tags: where they may stand, and what is none.
#[test]
fn tags_are_words_and_not_headings_or_code() {
    let read = note(
        "# Heading #inheading\n#first word#no #two/parts, (#three) #día #日本語 #🎉 #123 #1a \\#escaped `#code`\n\n```\n#fenced\n```\n\n    #indented\n\n[#label](http://x.y/#fragment) https://x.y/#frag #FIRST #snake_case_tag #end.\n<!-- #comment -->\n",
    );
    let expected = [
        "inheading",
        "first",
        "two/parts",
        "three",
        "día",
        "日本語",
        "🎉",
        "1a",
        "snake_case_tag",
        "end",
    ];
    assert_eq!(read.note.unwrap().tags, expected);
}

/// Guards links of every form, with their lines.
#[test]
fn links_are_found_in_every_form() {
    let text = "[[Wiki]] [[Folder/Wiki#Heading|shown]] ![[picture.png]] [[#Here]]\n[inline](Other%20note.md#part \"title\") <https://example.org> [ref][r] ![alt](img/a.png)\nbare https://example.com/a_b(c), and mailto <ada@example.org>\n`[[code]]`\n\n[r]: ../up.md\n[web](https://example.net/x#y) [[ spaced ]] [drive](c:/x)\n";
    let found: Vec<_> = note(text)
        .links
        .into_iter()
        .map(|l| (l.kind, l.target, l.fragment, l.text, l.line))
        .collect();
    let link = |kind, target: &str, fragment: Option<&str>, text: Option<&str>, line| {
        (
            kind,
            target.to_owned(),
            fragment.map(str::to_owned),
            text.map(str::to_owned),
            line,
        )
    };
    use LinkKind::*;
    let expected = [
        link(Wiki, "Wiki", None, Some("Wiki"), 1),
        link(Wiki, "Folder/Wiki", Some("Heading"), Some("shown"), 1),
        link(Embed, "picture.png", None, Some("picture.png"), 1),
        link(Wiki, "", Some("Here"), Some("#Here"), 1),
        link(Markdown, "Other note.md", Some("part"), Some("inline"), 2),
        link(Web, "https://example.org", None, Some("https://example.org"), 2),
        link(Markdown, "../up.md", None, Some("ref"), 2),
        link(Embed, "img/a.png", None, Some("alt"), 2),
        link(Web, "https://example.com/a_b(c)", None, None, 3),
        link(Web, "mailto:ada@example.org", None, Some("ada@example.org"), 3),
        link(Web, "https://example.net/x#y", None, Some("web"), 7),
        link(Wiki, "spaced", None, Some(" spaced "), 7),
        link(Markdown, "c:/x", None, Some("drive"), 7),
    ];
    assert_eq!(found, expected);
}

/// Guards links in front matter, as Obsidian writes them.
#[test]
fn front_matter_has_links() {
    let read = note("---\nup: \"[[Home]]\"\nrelated: [\"[[A|a]]\", \"[[B#c]]\"]\n---\n");
    let targets: Vec<_> = read
        .links
        .iter()
        .map(|l| (&*l.target, l.fragment.as_deref()))
        .collect();
    assert_eq!(
        targets,
        [("A", None), ("B", Some("c")), ("Home", None)],
        "by property"
    );
}

/// Guards words and titles: by Unicode, without markup; the first heading of the first level.
#[test]
fn words_and_titles() {
    let note_of = |text: &str| note(text).note.unwrap();
    assert_eq!(note_of("**Two** [words](x.md)\n").words, 2);
    assert_eq!(note_of("don't stop").words, 2);
    assert_eq!(note_of("日本").words, 2);
    assert_eq!(
        note_of("## Second\n# *The* `title`\n").title.as_deref(),
        Some("The title")
    );
    assert_eq!(note_of("no heading").title, None);
    assert_eq!(
        note_of("---\ntitle: \"\"\n---\n# H\n").title.as_deref(),
        Some("H")
    );
    assert_eq!(note_of("Under\n=====\n").title.as_deref(), Some("Under"));
}

/// Guards links with shown text in tables, where the bar must be escaped, and tags that are none in tasks.
#[test]
fn tables_and_tasks_hold_links() {
    let read = of(
        Format::Markdown,
        "| a | b |\n| - | - |\n| [[Note\\|alias]] | ![[img.png\\|100]] |\n\n- [ ] see [sec](#install) `a #incode` #real\n",
    );
    let targets: Vec<_> = read.links.iter().map(|l| &*l.target).collect();
    assert_eq!(targets[..2], ["Note", "img.png"]);
    assert_eq!(read.tasks[0].tags, ["real"]);
}
