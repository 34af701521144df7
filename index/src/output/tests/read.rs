//! Formats read back, by readers that know nothing of how they were written.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// RFC 4180: rows of fields; none is a field without quotes and without text.
pub(super) fn csv(text: &str) -> Vec<Vec<Option<String>>> {
    let (mut rows, mut row, mut field) = (Vec::new(), Vec::new(), String::new());
    let (mut quoted, mut was) = (false, false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => field.extend(chars.next()),
            '"' => (quoted, was) = (!quoted, true),
            ',' | '\n' if !quoted => {
                let text = std::mem::take(&mut field);
                row.push((was || !text.is_empty()).then_some(text));
                was = false;
                if c == '\n' {
                    rows.push(std::mem::take(&mut row));
                }
            }
            c => field.push(c),
        }
    }
    assert!(
        row.is_empty() && field.is_empty() && !quoted,
        "the last line has an end"
    );
    rows
}

/// What a reader of Markdown shows of the one table: rows of cells, the heads first.
pub(super) fn markdown(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let all = Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_WIKILINKS
        | Options::ENABLE_MATH
        | Options::ENABLE_TASKLISTS;
    for event in Parser::new_ext(text, all) {
        match event {
            Event::Text(text) => cell.push_str(&text),
            Event::InlineHtml(html) => {
                assert_eq!(&*html, "<br>");
                cell.push('\n');
            }
            Event::End(TagEnd::TableCell) => row.push(std::mem::take(&mut cell)),
            Event::End(TagEnd::TableHead | TagEnd::TableRow) => rows.push(std::mem::take(&mut row)),
            Event::Start(Tag::Table(_) | Tag::TableHead | Tag::TableRow | Tag::TableCell)
            | Event::End(TagEnd::Table) => {}
            other => panic!("data became markup: {other:?} in {text}"),
        }
    }
    rows
}

/// A table drawn with lines: rows of cells without the space around them, the heads first; then what is below.
pub(super) fn table(text: &str) -> (Vec<Vec<String>>, String) {
    let inner = |line: &str| line.strip_prefix('│')?.strip_suffix('│').map(str::to_owned);
    let cells = |line: String| line.split('│').map(|cell| cell.trim().to_owned()).collect();
    let rows = text.lines().filter_map(inner).map(cells).collect();
    (rows, text.lines().last().unwrap_or_default().to_owned())
}
