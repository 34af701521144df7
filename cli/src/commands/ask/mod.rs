//! What is asked of the index: `coffer sql`, `coffer search`, and common questions.
//!
//! Guarantees that a question changes nothing, that ^C ends it, and that an answer comes out as it is computed. Works the same whether the vault is
//! mounted or not: then it is opened for the question alone.

mod chart;
mod questions;
mod sql;

use super::{Reached, reach, unlock, within};
use crate::args::ask::{Format, How};
use crate::client::Found;
use crate::engine::{Index, Part, Vault};
use crate::failure::Failure;
use crate::ui::{self, Ui};
use crate::wire::Op;
use crate::wire::ask::{Answered, Ask, Asked, Value};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) use chart::chart;
pub(super) use questions::{backlinks, contacts, dupes, recent, search, tags, tasks};
pub(super) use sql::sql;

/// Who answers.
enum Desk {
    /// The daemon of a mounted vault.
    Daemon(Found),
    /// An index of our own, over a vault that nobody else holds.
    Own(Index, Vault),
}

impl Desk {
    /// Gives or keeps what was asked at the prompt.
    fn asked(&self, asked: Asked) -> Result<Vec<String>, Failure> {
        match self {
            Desk::Daemon(found) => {
                let (answer, _) = found.ask(Op::Asked(asked), &[], &mut |_| {})?;
                super::understood(answer)
            }
            Desk::Own(_, vault) => vault.asked(&asked),
        }
    }

    /// Asks; `part` is given the answer's bytes as they come. How many rows there were.
    fn ask(
        &self,
        ask: Ask,
        ui: &Ui,
        stop: &AtomicBool,
        part: &mut dyn FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<u64, Failure> {
        let mut progress = ui.progress();
        match self {
            Desk::Daemon(found) => {
                let answer = found.ask_parts(Op::Ask(ask), stop, &mut progress, part)?;
                super::understood::<Answered>(answer).map(|answered| answered.rows)
            }
            Desk::Own(index, _) => {
                index.ask(&ask, &|| stop.load(Ordering::Relaxed), &mut |piece| match piece {
                    Part::Filling(step) => {
                        progress(step);
                        Ok(())
                    }
                    Part::Bytes(bytes) => part(bytes),
                })
            }
        }
    }
}

/// Does `work` with who answers for a vault.
fn with<T>(vault: &Path, how: &How, work: impl FnOnce(&Desk) -> Result<T, Failure>) -> Result<T, Failure> {
    match reach(vault)? {
        Reached::Daemon(found) => work(&Desk::Daemon(found)),
        Reached::Sealed(sealed) => {
            let (opened, _) = unlock(sealed, vault, &how.password)?;
            within(opened, |opened: &Vault| {
                let desk = Desk::Own(Index::begin(opened)?, opened.clone());
                let done = work(&desk);
                if let Desk::Own(index, _) = &desk {
                    index.end();
                }
                done
            })
        }
    }
}

fn at_terminal() -> bool {
    io::stdout().is_terminal()
}

fn colours() -> bool {
    at_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// The columns of the terminal that the answer is for.
fn width() -> Option<u32> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col > 0).then(|| u32::from(size.ws_col))
}

/// The format that was asked for.
fn format(ui: &Ui, how: &How) -> Format {
    let default = match ui.json() {
        true => Format::Json,
        false => Format::Table,
    };
    how.format.unwrap_or(default)
}

/// A question as it was asked on the command line.
fn asked(ui: &Ui, how: &How, sql: String, values: Vec<Value>, rows: u64) -> Ask {
    Ask {
        sql,
        values,
        format: format(ui, how).name().into(),
        width: width(),
        colour: colours(),
        rows,
        limit_ms: how.timeout.as_millis().try_into().unwrap_or(u64::MAX),
        partial: how.partial,
    }
}

/// Asks, and writes the answer to standard output.
fn print(ui: &Ui, desk: &Desk, ask: Ask) -> Result<u64, Failure> {
    print_until(ui, desk, ask, &AtomicBool::new(false))
}

/// The same, until `stop` is set.
fn print_until(ui: &Ui, desk: &Desk, ask: Ask, stop: &AtomicBool) -> Result<u64, Failure> {
    if ask.format == "parquet" && at_terminal() {
        return Err(Failure::usage(
            "Parquet is no text; send it to a file: coffer sql --format parquet QUERY > FILE",
        ));
    }
    let mut out = io::stdout().lock();
    let rows = desk.ask(ask, ui, stop, &mut |bytes| match out.write_all(bytes) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(stopped()),
        Err(error) => Err(Failure::io("write the answer", &error)),
    });
    match rows {
        // Whoever read has seen enough.
        Err(failure) if failure.message == stopped().message => Ok(0),
        rows => {
            let rows = rows?;
            out.flush()
                .map_err(|error| Failure::io("write the answer", &error))?;
            Ok(rows)
        }
    }
}

fn stopped() -> Failure {
    Failure::failed("The output was closed.")
}

/// A text in SQL.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Says that nothing was found, to a person.
fn none(ui: &Ui, how: &How, rows: u64, what: &str) {
    if rows == 0 && format(ui, how) == Format::Table {
        ui::note(what);
    }
}
