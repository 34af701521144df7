//! Common questions, as commands: each is a query that anybody could ask.

use super::{asked, format, none, print, quoted, with};
use crate::args::ask::{Backlinks, Contacts, Format, Plainly, Recent, Search, Tasks};
use crate::commands::past::locate;
use crate::failure::Failure;
use crate::shown::Shown;
use crate::ui::Ui;
use crate::wire::ask::Value;
use serde::Deserialize;
use std::io::Write;
use std::path::Path;

/// Between these stands what was found, in a text for a person: nothing else there is one of them.
const MARKS: [char; 2] = ['\u{2}', '\u{3}'];

/// One hit.
#[derive(Deserialize)]
struct Hit {
    path: String,
    title: Option<String>,
    line: Option<u32>,
    snippet: Option<String>,
}

/// `coffer search`.
///
/// # Errors
/// `Usage` for words that make no sense, or as [`super::print`].
pub(in crate::commands) fn search(ui: &Ui, vault: &Path, args: &Search) -> Result<(), Failure> {
    let words = quoted(&args.words.join(" "));
    let shown = format(ui, &args.how) == Format::Table;
    let (before, after) = match shown {
        true => ("chr(2)", "chr(3)"),
        false => ("'**'", "'**'"),
    };
    let sql = format!(
        "SELECT path, title, score, snippet, line FROM coffer_found({words}, {}, {before}, {after}) ORDER BY rank, path",
        args.count
    );
    with(vault, &args.how, |desk| {
        let mut ask = asked(ui, &args.how, sql, Vec::new(), u64::MAX);
        if !shown {
            return print(ui, desk, ask).map(drop);
        }
        ask.format = "jsonl".into();
        let mut bytes = Vec::new();
        let rows = desk.ask(ask, ui, &Default::default(), &mut |part| {
            bytes.extend_from_slice(part);
            Ok(())
        })?;
        none(ui, &args.how, rows, "Nothing was found.");
        let mut out = std::io::stdout().lock();
        for line in bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            let hit: Hit = serde_json::from_slice(line).map_err(|_| {
                Failure::failed(
                    "The vault's daemon gave an answer that makes no sense; is it another version?",
                )
            })?;
            // Nobody may be listening any more: `| head -1`.
            let _ = out.write_all(text(&hit, super::colours()).as_bytes());
        }
        Ok(())
    })
}

fn text(hit: &Hit, colours: bool) -> String {
    let bold = |text: &str| match colours {
        true => format!("\u{1b}[1m{text}\u{1b}[0m"),
        false => text.to_owned(),
    };
    let path = Path::new(&hit.path).shown();
    let line = hit.line.map_or(String::new(), |line| format!(":{line}"));
    let mut text = format!("{}{line}", bold(&path));
    if let Some(title) = &hit.title {
        text.push_str(&format!("  {}", Path::new(title).shown()));
    }
    text.push('\n');
    if let Some(snippet) = hit.snippet.as_deref().filter(|snippet| !snippet.is_empty()) {
        let (begin, end) = match colours {
            true => ("\u{1b}[1;33m", "\u{1b}[0m"),
            false => ("", ""),
        };
        text.push_str("    ");
        // What stands in a note drives no terminal.
        for piece in snippet.split_inclusive(MARKS) {
            let bare = piece.trim_end_matches(MARKS);
            text.push_str(&Path::new(bare).shown());
            match piece[bare.len()..].chars().next() {
                Some('\u{2}') => text.push_str(begin),
                Some(_) => text.push_str(end),
                None => {}
            }
        }
        text.push('\n');
    }
    text
}

/// `coffer tasks`.
///
/// # Errors
/// `Usage` for a time that is none, or as [`super::print`].
pub(in crate::commands) fn tasks(ui: &Ui, vault: &Path, args: &Tasks) -> Result<(), Failure> {
    let mut values = Vec::new();
    let mut only = Vec::new();
    if !args.all {
        only.push("status IN ('open', 'in progress')".to_owned());
    }
    if let Some(due) = &args.due {
        only.push(match &**due {
            "overdue" => "due < today()".into(),
            "today" => "due <= today()".into(),
            "tomorrow" => "due <= today() + 1".into(),
            // To the end of it: Sunday.
            "week" => "due < date_trunc('week', today()) + INTERVAL 7 DAY".into(),
            "month" => "due < date_trunc('month', today()) + INTERVAL 1 MONTH".into(),
            day => match day.parse::<jiff::civil::Date>() {
                Ok(day) => format!("due <= DATE '{day}'"),
                Err(_) => {
                    return Err(Failure::usage(format!(
                        "“{day}” is no time for --due: write overdue, today, tomorrow, week, month, or a day as 2026-03-01."
                    )));
                }
            },
        });
    }
    if let Some(tag) = &args.tag {
        values.push(Value::Text(tag.trim_start_matches('#').to_lowercase()));
        let at = values.len();
        only.push(format!(
            "len(list_filter(tags, lambda t: lower(t) = ${at} OR starts_with(lower(t), ${at} || '/'))) > 0"
        ));
    }
    if let Some(project) = &args.project {
        values.push(Value::Text(project.trim_start_matches('+').to_lowercase()));
        only.push(format!("lower(project) = ${}", values.len()));
    }
    let only = match only.is_empty() {
        true => String::new(),
        false => format!(" WHERE {}", only.join(" AND ")),
    };
    let status = if args.all { "status, " } else { "" };
    let sql = format!(
        "SELECT due, priority, {status}\"text\" AS task, project, path, line FROM tasks{only}
         ORDER BY due NULLS LAST, priority NULLS LAST, path, line"
    );
    question(ui, vault, &args.how, sql, values, "There are no such tasks.")
}

fn question(
    ui: &Ui,
    vault: &Path,
    how: &crate::args::ask::How,
    sql: String,
    values: Vec<Value>,
    nothing: &str,
) -> Result<(), Failure> {
    with(vault, how, |desk| {
        let rows = print(ui, desk, asked(ui, how, sql, values, 10_000))?;
        none(ui, how, rows, nothing);
        Ok(())
    })
}

/// `coffer contacts`.
///
/// # Errors
/// As [`super::print`].
pub(in crate::commands) fn contacts(ui: &Ui, vault: &Path, args: &Contacts) -> Result<(), Failure> {
    let sql = "SELECT name, organisation, array_to_string(phones, ', ') AS phones, array_to_string(emails, ', ') AS emails,
                array_to_string(addresses, '; ') AS addresses, birthday, path
         FROM contacts
         WHERE contains(strip_accents(lower(concat_ws(' ', name, organisation, title, note, array_to_string(nicknames, ' '), array_to_string(phones, ' '),
                array_to_string(emails, ' '), array_to_string(addresses, ' ')))), strip_accents(lower($1)))
         ORDER BY name, path, line";
    let words = Value::Text(args.name.join(" "));
    question(
        ui,
        vault,
        &args.how,
        sql.into(),
        vec![words],
        "There is no such contact.",
    )
}

/// `coffer recent`.
///
/// # Errors
/// As [`super::print`].
pub(in crate::commands) fn recent(ui: &Ui, vault: &Path, args: &Recent) -> Result<(), Failure> {
    let sql = "SELECT date_trunc('second', modified) AS modified, path, size, versions, device FROM files ORDER BY files.modified DESC, path LIMIT $1";
    let count = Value::Whole(i64::try_from(args.count).unwrap_or(i64::MAX));
    question(
        ui,
        vault,
        &args.how,
        sql.into(),
        vec![count],
        "There are no files.",
    )
}

/// `coffer dupes`.
///
/// # Errors
/// As [`super::print`].
pub(in crate::commands) fn dupes(ui: &Ui, vault: &Path, args: &Plainly) -> Result<(), Failure> {
    let sql =
        "SELECT size, count(DISTINCT id) AS copies, array_to_string(list(path ORDER BY path), ' = ') AS files
         FROM files WHERE duplicates > 0 GROUP BY content_hash, size ORDER BY size DESC, files";
    question(
        ui,
        vault,
        &args.how,
        sql.into(),
        Vec::new(),
        "No two files have the same bytes.",
    )
}

/// `coffer tags`.
///
/// # Errors
/// As [`super::print`].
pub(in crate::commands) fn tags(ui: &Ui, vault: &Path, args: &Plainly) -> Result<(), Failure> {
    let sql = "SELECT tag, count(DISTINCT id) AS files FROM tags GROUP BY tag ORDER BY files DESC, tag";
    question(ui, vault, &args.how, sql.into(), Vec::new(), "No file has a tag.")
}

/// `coffer backlinks`.
///
/// # Errors
/// `Usage` for a path in no vault, or as [`super::print`].
pub(in crate::commands) fn backlinks(ui: &Ui, vault: Option<&Path>, args: &Backlinks) -> Result<(), Failure> {
    let place = locate(vault, &args.note)?;
    let path = place.path.to_string_lossy().trim_matches('/').to_owned();
    let sql = "SELECT path, line, kind, coalesce(\"text\", target) AS link FROM links WHERE to_path = $1 AND path <> $1 ORDER BY path, line";
    let nothing = format!("No note links to {}.", Path::new(&path).shown());
    question(
        ui,
        &place.vault,
        &args.how,
        sql.into(),
        vec![Value::Text(path)],
        &nothing,
    )
}
