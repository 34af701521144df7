//! `coffer sql`: one query, a file, or a conversation.

use super::{Desk, asked, at_terminal, colours, print, print_until, with};
use crate::args::ask::Sql;
use crate::commands::sql::{Column, Example, History, Prompt, Runner, Schema, Shows, View};
use crate::failure::Failure;
use crate::ui::Ui;
use crate::wire::ask::{Ask, Asked};
use std::io::{self, IsTerminal, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The longest query, in bytes.
const QUERY_MAX: u64 = 1 << 20;
/// Formats that a terminal can show.
const FORMATS: [&str; 5] = ["table", "markdown", "csv", "json", "jsonl"];
/// Queries that are worth asking.
const EXAMPLES: &str = include_str!("examples.sql");

/// Asks.
///
/// # Errors
/// What is wrong with the query, or as [`super::with`].
pub(in crate::commands) fn sql(ui: &Ui, vault: &Path, args: &Sql) -> Result<(), Failure> {
    if args.examples {
        ui.raw(EXAMPLES);
        return Ok(());
    }
    let query = match (&args.query, &args.file) {
        (Some(query), _) => Some(query.clone()),
        (None, Some(file)) => Some(read_file(file)?),
        (None, None) if !io::stdin().is_terminal() => Some(read(io::stdin().lock(), "standard input")?),
        (None, None) => None,
    };
    with(vault, &args.how, |desk| match query {
        Some(query) => print(ui, desk, asked(ui, &args.how, query, Vec::new(), args.rows)).map(drop),
        None => converse(ui, desk, args),
    })
}

fn read_file(path: &Path) -> Result<String, Failure> {
    let named = path.display().to_string();
    let file = std::fs::File::open(path).map_err(|error| Failure::io(format!("read {named}"), &error))?;
    read(file, &named)
}

fn read(from: impl Read, named: &str) -> Result<String, Failure> {
    let mut text = String::new();
    let read = from.take(QUERY_MAX + 1).read_to_string(&mut text);
    read.map_err(|error| Failure::io(format!("read {named}"), &error))?;
    match text.len() as u64 > QUERY_MAX {
        true => Err(Failure::usage(format!(
            "The query in {named} is longer than 1 MiB."
        ))),
        false => Ok(text),
    }
}

/// Runs what a person types.
struct Running<'a> {
    ui: &'a Ui,
    desk: &'a Desk,
    args: &'a Sql,
    stop: Arc<AtomicBool>,
}

impl Runner for Running<'_> {
    fn run(&mut self, sql: &str, format: &str) -> Result<(), Failure> {
        let ask = Ask {
            format: format.into(),
            ..asked(self.ui, &self.args.how, sql.into(), Vec::new(), self.args.rows)
        };
        self.stop.store(false, Ordering::Relaxed);
        print_until(self.ui, self.desk, ask, &self.stop).map(drop)
    }

    fn canceller(&self) -> Box<dyn Fn() + Send> {
        let stop = Arc::clone(&self.stop);
        Box::new(move || stop.store(true, Ordering::Relaxed))
    }
}

/// What can be asked, as the index says.
fn schema(ui: &Ui, desk: &Desk, args: &Sql) -> Result<Schema, Failure> {
    let ask = |sql: &str| Ask {
        format: "json".into(),
        partial: true,
        ..asked(ui, &args.how, sql.into(), Vec::new(), u64::MAX)
    };
    let rows = |sql: &str| -> Result<Vec<[String; 3]>, Failure> {
        let mut bytes = Vec::new();
        desk.ask(ask(sql), ui, &Default::default(), &mut |part| {
            bytes.extend_from_slice(part);
            Ok(())
        })?;
        #[derive(serde::Deserialize)]
        struct Row {
            a: String,
            b: String,
            c: String,
        }
        let rows: Vec<Row> = serde_json::from_slice(&bytes).unwrap_or_default();
        Ok(rows.into_iter().map(|row| [row.a, row.b, row.c]).collect())
    };
    let mut views: Vec<View> = Vec::new();
    let columns = "SELECT table_name AS a, column_name AS b, data_type AS c FROM duckdb_columns() WHERE schema_name = 'main' AND database_name = 'vault' ORDER BY table_name, column_index";
    for [view, name, kind] in rows(columns)? {
        if views.last().is_none_or(|last| last.name != view) {
            views.push(View {
                name: view,
                ..View::default()
            });
        }
        if let Some(last) = views.last_mut() {
            last.columns.push(Column {
                name,
                kind,
                ..Column::default()
            });
        }
    }
    let functions = "SELECT DISTINCT function_name AS a, '' AS b, '' AS c FROM duckdb_functions() WHERE regexp_matches(function_name, '^[a-z][a-z0-9_]*$') AND function_type IN ('scalar', 'aggregate', 'macro') ORDER BY 1";
    let functions = rows(functions)?.into_iter().map(|[name, ..]| name).collect();
    let examples = EXAMPLES.split("\n\n").filter_map(|example| {
        let (title, sql) = example.trim().strip_prefix("-- ")?.split_once('\n')?;
        Some(Example {
            title: title.into(),
            sql: sql.trim().into(),
        })
    });
    Ok(Schema {
        views,
        functions,
        tables: vec!["search".into(), "range".into(), "unnest".into()],
        examples: examples.collect(),
    })
}

fn converse(ui: &Ui, desk: &Desk, args: &Sql) -> Result<(), Failure> {
    let schema = schema(ui, desk, args)?;
    let mut prompt = Prompt {
        schema: &schema,
        formats: &FORMATS,
        format: super::format(ui, &args.how).name().into(),
        timer: false,
        history: History::new(desk.asked(Asked::Get).unwrap_or_default()),
    };
    let mut runner = Running {
        ui,
        desk,
        args,
        stop: Arc::default(),
    };
    let mut text = |text: &str| ui.raw(&format!("{text}\n"));
    let mut failure = |failure: &Failure| ui.fail(failure);
    let shows = Shows {
        text: &mut text,
        failure: &mut failure,
    };
    let talked = prompt.at_terminal(colours() && at_terminal(), &mut runner, shows);
    // On a disk that is full, or a vault that is only read, it is not kept.
    let _ = desk.asked(Asked::Keep(prompt.history.into_list()));
    talked
}
