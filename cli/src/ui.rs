//! How the program speaks: tables and sentences for people, JSON for programs, progress on
//! terminals only.
//!
//! Guarantees that a closed pipe (`coffer status | head -1`) is no panic, and that with `--json`
//! standard output holds JSON and nothing else: one object, or one a line. Nothing that people are
//! told drives their terminal, whatever stands in a name.

use crate::bar;
use crate::failure::Failure;
use crate::shown::{harmless, one_line};
use crate::units;
use crate::wire::Progress;
use serde::Serialize;
use std::borrow::Cow;
use std::fmt::{Display, Write as _};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// Where answers go.
pub(crate) struct Ui {
    json: bool,
    quiet: bool,
    bar: bool,
}

impl Ui {
    /// Speaks JSON or to people.
    pub(crate) fn new(json: bool) -> Ui {
        FOR_PROGRAMS.store(json, Ordering::Relaxed);
        Ui {
            json,
            quiet: false,
            bar: !json && io::stderr().is_terminal(),
        }
    }

    /// Says nothing but failures, as mount(8) does.
    pub(crate) fn quiet() -> Ui {
        Ui {
            json: false,
            quiet: true,
            bar: false,
        }
    }

    /// Whether somebody watches progress.
    pub(crate) fn is_watched(&self) -> bool {
        self.bar
    }

    /// Whether a program reads.
    pub(crate) fn json(&self) -> bool {
        self.json
    }

    /// The answer: `object` for programs, `text` for people.
    pub(crate) fn answer(&self, object: &impl Serialize, text: impl FnOnce() -> String) {
        if self.quiet {
            return;
        }
        let text = if self.json {
            // Our own types have string keys only, so this cannot fail.
            serde_json::to_string(object).expect("answers are plain data")
        } else {
            harmless(text())
        };
        // Nobody may be listening any more: `| head -1`.
        let _ = writeln!(io::stdout().lock(), "{}", text.trim_end());
    }

    /// Lines for people that drive their terminal on purpose: a picture.
    pub(crate) fn raw(&self, text: &str) {
        if !self.quiet && !self.json && io::stdout().is_terminal() {
            let _ = writeln!(io::stdout().lock(), "{text}");
        }
    }

    /// An answer of many: one object a line for programs, `text` for people.
    pub(crate) fn lines<'a, T: Serialize + 'a>(
        &self,
        objects: impl Iterator<Item = &'a T>,
        text: impl FnOnce() -> String,
    ) {
        let mut out = io::BufWriter::new(io::stdout().lock());
        if !self.json {
            let _ = writeln!(out, "{}", harmless(text()).trim_end());
            return;
        }
        for object in objects {
            let line = serde_json::to_string(object).expect("answers are plain data");
            // Nobody may be listening any more.
            if writeln!(out, "{line}").is_err() {
                return;
            }
        }
    }

    /// The failure, on standard error.
    pub(crate) fn fail(&self, failure: &Failure) {
        if self.json {
            let _ = writeln!(io::stderr().lock(), "{}", failure.json());
            return;
        }
        note(&format!("coffer: {}", failure.message));
        // This command may have been started in the folder that it is to close; its shell is named.
        let users = || failure.users.iter().filter(|user| user.pid != std::process::id());
        if users().next().is_some() {
            let rows: Vec<[String; 3]> = users()
                .map(|user| [format!("  {}", user.pid), user.command.clone(), user.what.clone()])
                .collect();
            note(table(&rows).trim_end());
        }
    }

    /// A progress line, redrawn at most ten times a second.
    pub(crate) fn progress(&self) -> impl FnMut(Progress) + use<> {
        let shows = self.bar;
        let begun = Instant::now();
        let mut next = begun;
        let mut clear = ClearLine(false);
        move |progress| {
            if !shows || Instant::now() < next {
                return;
            }
            next = Instant::now() + Duration::from_millis(100);
            let line = bar::line(&progress, begun.elapsed());
            let _ = write!(io::stderr().lock(), "\r\x1b[K{line}");
            clear.drawn();
        }
    }
}

/// Takes the progress line away when the operation ends, however it ends.
struct ClearLine(bool);
impl ClearLine {
    fn drawn(&mut self) {
        self.0 = true;
    }
}
impl Drop for ClearLine {
    fn drop(&mut self) {
        if self.0 {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }
}

/// Whether a program reads: then standard error holds failures only.
static FOR_PROGRAMS: AtomicBool = AtomicBool::new(false);

/// One line on standard error for people; programs are not told.
pub(crate) fn remark(text: &str) {
    if !FOR_PROGRAMS.load(Ordering::Relaxed) {
        note(text);
    }
}

/// One line of a daemon's log, with the time, since who reads it comes later; at a terminal without.
pub(crate) fn log(text: &str) {
    if io::stderr().is_terminal() {
        note(text);
    } else {
        note(&format!("{} {text}", units::utc(SystemTime::now())));
    }
}

/// A text on standard error.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", harmless(text.to_owned()));
}

/// Rows as aligned columns, two spaces apart; the last column is not padded. A cell is one line.
pub(crate) fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let mut table = Table::new();
    for row in rows {
        table.row(row.each_ref().map(|cell| cell as &dyn Display));
    }
    table.text()
}

/// The same, row by row: a list may have ten thousand.
pub(crate) struct Table<const N: usize> {
    /// All cells, one behind the other.
    cells: String,
    /// Of each cell, where it ends and how many letters it has.
    rows: Vec<[(usize, usize); N]>,
}

impl<const N: usize> Table<N> {
    /// Without a row.
    pub(crate) fn new() -> Table<N> {
        let (cells, rows) = (String::new(), Vec::new());
        Table { cells, rows }
    }

    /// One row more.
    pub(crate) fn row(&mut self, row: [&dyn Display; N]) {
        let cells = &mut self.cells;
        self.rows.push(row.map(|cell| {
            let begin = cells.len();
            // Into memory, this cannot fail.
            let _ = write!(cells, "{cell}");
            if let Cow::Owned(line) = one_line(&cells[begin..]) {
                cells.truncate(begin);
                cells.push_str(&line);
            }
            (cells.len(), cells[begin..].chars().count())
        }));
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// All of it.
    pub(crate) fn text(&self) -> String {
        let mut widths = [0; N];
        for row in &self.rows {
            for (widest, (_, width)) in widths.iter_mut().zip(row) {
                *widest = (*widest).max(*width);
            }
        }
        // A letter may take more than a byte; that a line ends early makes up for most of that.
        let line = widths.iter().sum::<usize>() + 2 * N;
        let mut out = String::with_capacity(self.rows.len() * line);
        let mut from = 0;
        for row in &self.rows {
            let begin = out.len();
            for ((end, width), widest) in row.iter().zip(widths) {
                out.push_str(&self.cells[from..*end]);
                out.extend(std::iter::repeat_n(' ', widest - width + 2));
                from = *end;
            }
            out.truncate(begin + out[begin..].trim_end().len());
            out.push('\n');
        }
        out
    }
}

/// A person at a terminal.
pub(crate) struct Person {
    tty: File,
}

impl Person {
    /// The person at the controlling terminal, if there is one.
    pub(crate) fn here() -> Option<Person> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/tty")
            .ok()
            .map(|tty| Person { tty })
    }

    /// Says a line.
    pub(crate) fn say(&mut self, text: &str) {
        let _ = writeln!(self.tty, "{}", harmless(text.to_owned()));
    }

    /// Asks for a line; empty at the end of input.
    pub(crate) fn ask(&mut self, question: &str) -> String {
        let _ = write!(self.tty, "{} ", harmless(question.to_owned()));
        let mut line = String::new();
        let _ = BufReader::new(&self.tty).read_line(&mut line);
        line.trim().to_owned()
    }

    /// Asks yes or no; an empty answer is `default`.
    pub(crate) fn agrees(&mut self, question: &str, default: bool) -> bool {
        loop {
            match self
                .ask(&format!("{question} {}", if default { "[Y/n]" } else { "[y/N]" }))
                .to_lowercase()
                .as_str()
            {
                "" => return default,
                "y" | "yes" => return true,
                "n" | "no" => return false,
                _ => self.say("Please answer y or n."),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards that columns line up, with letters of more than one byte too.
    #[test]
    fn tables_align() {
        let rows = [
            ["a".to_owned(), "b".to_owned()],
            ["Größe".to_owned(), "c".to_owned()],
        ];
        assert_eq!(table(&rows), "a      b\nGröße  c\n");
    }

    /// Guards lists against names and programs that would forge a line of them.
    #[test]
    fn a_cell_is_one_line() {
        let rows = [["a\nb".to_owned(), "\x1b[1A".to_owned()]];
        assert_eq!(table(&rows), "a\u{240a}b  \u{241b}[1A\n");
    }
}
