//! `coffer chart`: what a query gives, drawn.

use super::{asked, colours, width, with};
use crate::args::ask::DrawArgs;
use crate::engine::Drawing;
use crate::failure::Failure;
use crate::ui::Ui;
use crate::wire::ask::Ask;
use serde_json::{Map, Value};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

/// Rows that are drawn, at most.
const ROWS_MAX: usize = 1_000_000;
/// Columns of what is no terminal.
const WIDTH: u32 = 80;

/// Draws.
///
/// # Errors
/// What is wrong with the query or the file, or `Usage` for data that cannot be drawn so.
pub(in crate::commands) fn chart(ui: &Ui, vault: &Path, args: &DrawArgs) -> Result<(), Failure> {
    // One statement by itself: what ends it must not end what is around it.
    let query = args.query.trim().trim_end_matches(';');
    let rows = with(vault, &args.how, |desk| {
        let ask = |sql: String| -> Result<Vec<Map<String, Value>>, Failure> {
            let ask = Ask {
                format: "jsonl".into(),
                ..asked(ui, &args.how, sql, Vec::new(), u64::MAX)
            };
            let mut bytes = Vec::new();
            desk.ask(ask, ui, &Default::default(), &mut |part| {
                bytes.extend_from_slice(part);
                Ok(())
            })?;
            let lines = bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty());
            let rows = lines.take(ROWS_MAX).map(serde_json::from_slice);
            rows.collect::<Result<_, _>>().map_err(|_| {
                Failure::failed(
                    "The vault's daemon gave an answer that makes no sense; is it another version?",
                )
            })
        };
        let types = ask(format!(
            "SELECT column_name AS name, column_type AS kind FROM (DESCRIBE SELECT * FROM ({query}\n))"
        ))?;
        Ok((types, ask(format!("SELECT * FROM ({query}\n)"))?))
    });
    let (types, rows) = rows?;
    let text = |row: &Map<String, Value>, key: &str| {
        row.get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let columns: Vec<(String, String)> = types
        .iter()
        .map(|row| (text(row, "name"), text(row, "kind")))
        .collect();
    let drawing = Drawing::new(&columns, &rows, args.kind.as_deref(), args.title.as_deref())?;
    if let Some(path) = &args.svg {
        write(path, &drawing.svg(args.width, args.height), args.force)?;
    }
    if let Some(path) = &args.png {
        write(path, &drawing.png(args.width, args.height)?, args.force)?;
    }
    if args.svg.is_none() && args.png.is_none() {
        let columns = width().unwrap_or(WIDTH) as usize;
        // Nobody may be listening any more: `| head -1`.
        let _ = std::io::stdout()
            .lock()
            .write_all(drawing.terminal(columns, colours()).as_bytes());
    }
    Ok(())
}

/// Writes a file that is not there yet, unless it may be replaced.
fn write(path: &Path, bytes: &[u8], force: bool) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options
        .write(true)
        .truncate(true)
        .create(force)
        .create_new(!force);
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::AlreadyExists => Failure::usage(format!(
            "{} is there already; choose another name, or say --force.",
            path.display()
        )),
        _ => Failure::io(format!("write {}", path.display()), &error),
    };
    let mut file = options.open(path).map_err(failed)?;
    file.write_all(bytes).map_err(failed)
}
