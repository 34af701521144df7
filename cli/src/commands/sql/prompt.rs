//! The conversation: what is typed is run, statement by statement, until the end.
//!
//! Guarantees: a failing query ends itself and what was typed behind it, never the conversation. Ctrl-C at the line clears it,
//! while a query runs it cancels it, and never ends the program. Knows no database: a [`Runner`] does the work.

use super::dot::{self, Dot};
use super::editor::Terminal;
use super::history::History;
use super::lines::{Lines, Read};
use super::scan::statements;
use super::schema::Schema;
use crate::failure::Failure;
use parking_lot::Mutex;
use signal_hook::consts::SIGINT;
use signal_hook::iterator::{Handle, Signals};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

/// Who does what is asked.
pub(crate) trait Runner {
    /// Runs one statement and shows what comes of it.
    ///
    /// # Errors
    /// The statement's; it is shown.
    fn run(&mut self, sql: &str, format: &str) -> Result<(), Failure>;

    /// What cancels a statement that runs; called from another thread, perhaps when none runs any more.
    fn canceller(&self) -> Box<dyn Fn() + Send>;
}

/// A conversation.
pub(crate) struct Prompt<'a> {
    pub schema: &'a Schema,
    /// The names of formats, as `.format` takes them.
    pub formats: &'a [&'a str],
    /// The one that counts.
    pub format: String,
    /// Whether to say how long each statement took.
    pub timer: bool,
    /// What was asked before, and what is asked now.
    pub history: History,
}

impl Prompt<'_> {
    /// Talks with the person at the terminal until they end it. The history is kept in any case.
    ///
    /// # Errors
    /// The terminal cannot be used.
    pub(crate) fn at_terminal(
        &mut self,
        colour: bool,
        runner: &mut dyn Runner,
        ui: Shows<'_>,
    ) -> Result<(), Failure> {
        let mut terminal = Terminal::new(self.schema, self.formats, colour, &self.history)?;
        let interrupts = Interrupts::new()?;
        self.converse(&mut terminal, &mut Cancelled { runner, interrupts }, ui)
    }

    /// The same, wherever the lines come from.
    ///
    /// # Errors
    /// No more lines can be read.
    pub(crate) fn converse(
        &mut self,
        lines: &mut dyn Lines,
        runner: &mut dyn Runner,
        ui: Shows<'_>,
    ) -> Result<(), Failure> {
        loop {
            let text = match lines.read()? {
                Read::Text(text) => text,
                Read::Cleared => continue,
                Read::End => return Ok(()),
            };
            if self.history.add(&text) {
                lines.keep(text.trim_end());
            }
            if dot::is_dot(&text) {
                match dot::parse(&text, self.formats) {
                    Ok(Dot::Quit) => return Ok(()),
                    Ok(command) => (ui.text)(&self.answer(command)),
                    Err(says) => (ui.text)(&says),
                }
                continue;
            }
            for sql in statements(&text) {
                let begun = Instant::now();
                let result = runner.run(sql, &self.format);
                let took = begun.elapsed();
                if let Err(failure) = result {
                    (ui.failure)(&failure);
                    break;
                }
                if self.timer {
                    (ui.text)(&format!("{:.3} s", took.as_secs_f64()));
                }
            }
        }
    }

    fn answer(&mut self, command: Dot) -> String {
        let schema = self.schema;
        match command {
            Dot::Help => {
                let mut text = "A query ends with “;” and may have several lines. Tab completes, the arrows bring back what was \
                                asked before. What begins with a space is not kept. Ctrl-C cancels.\n\n"
                    .to_owned();
                text.push_str(&aligned(
                    dot::ALL.iter().map(|(name, doc)| (*name, (*doc).to_owned())),
                ));
                text
            }
            Dot::Views => {
                let views = schema
                    .views
                    .iter()
                    .map(|view| (view.name.as_str(), view.doc.clone()));
                aligned(views)
            }
            Dot::Columns(name) => match schema.view(&name) {
                Some(view) => aligned((view.columns.iter()).map(|column| {
                    let doc = format!("{:<12}  {}", column.kind, column.doc);
                    (column.name.as_str(), doc.trim_end().to_owned())
                })),
                None => format!("There is no view “{name}”; .views shows all."),
            },
            Dot::Format(name) => {
                self.format = name;
                format!("Results are shown as {}.", self.format)
            }
            Dot::Timer(on) => {
                self.timer = on;
                format!("The timer is {}.", if on { "on" } else { "off" })
            }
            Dot::Examples => {
                let example = |example: &super::schema::Example| {
                    format!(
                        "-- {}\n{};",
                        example.title,
                        example.sql.trim_end().trim_end_matches(';')
                    )
                };
                schema
                    .examples
                    .iter()
                    .map(example)
                    .collect::<Vec<_>>()
                    .join("\n\n")
            }
            Dot::Quit => String::new(),
        }
    }
}

/// How what is said reaches the person.
pub(crate) struct Shows<'a> {
    /// A text, without the end of its last line.
    pub text: &'a mut dyn FnMut(&str),
    pub failure: &'a mut dyn FnMut(&Failure),
}

/// Names and what is said of them, below each other.
fn aligned<'a>(rows: impl Iterator<Item = (&'a str, String)>) -> String {
    let rows: Vec<_> = rows.collect();
    let widest = rows
        .iter()
        .map(|(name, _)| name.chars().count())
        .max()
        .unwrap_or(0);
    let line = |(name, doc): &(&str, String)| format!("{name:<widest$}  {doc}").trim_end().to_owned();
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// What is to be called when somebody types Ctrl-C; nothing if nothing runs.
type Cancel = Arc<Mutex<Option<Box<dyn Fn() + Send>>>>;

/// Takes Ctrl-C as long as it lives.
struct Interrupts {
    cancel: Cancel,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Interrupts {
    fn new() -> Result<Interrupts, Failure> {
        let failed = |error| Failure::failed(format!("Ctrl-C cannot be taken: {error}."));
        let mut signals = Signals::new([SIGINT]).map_err(failed)?;
        let (handle, cancel) = (signals.handle(), Cancel::default());
        let to_call = cancel.clone();
        let wait = move || {
            for _ in signals.forever() {
                if let Some(cancel) = &*to_call.lock() {
                    cancel();
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("ctrl-c".to_owned())
            .spawn(wait)
            .map_err(failed)?;
        Ok(Interrupts {
            cancel,
            handle,
            thread: Some(thread),
        })
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A runner whose statements Ctrl-C cancels.
struct Cancelled<'a> {
    runner: &'a mut dyn Runner,
    interrupts: Interrupts,
}

impl Runner for Cancelled<'_> {
    fn run(&mut self, sql: &str, format: &str) -> Result<(), Failure> {
        *self.interrupts.cancel.lock() = Some(self.runner.canceller());
        let result = self.runner.run(sql, format);
        *self.interrupts.cancel.lock() = None;
        result
    }

    fn canceller(&self) -> Box<dyn Fn() + Send> {
        self.runner.canceller()
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema::{Column, Example, View};
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    /// Types these, one after the other.
    struct Script(std::vec::IntoIter<Read>);
    impl Lines for Script {
        fn read(&mut self) -> Result<Read, Failure> {
            Ok(self.0.next().unwrap_or(Read::End))
        }
        fn keep(&mut self, _: &str) {}
    }

    /// Notes what it is asked; fails at what holds “bad”.
    #[derive(Default)]
    struct Notes(Vec<String>);
    impl Runner for Notes {
        fn run(&mut self, sql: &str, format: &str) -> Result<(), Failure> {
            self.0.push(format!("{format}: {sql}"));
            match sql.contains("bad") {
                true => Err(Failure::failed("No.")),
                false => Ok(()),
            }
        }
        fn canceller(&self) -> Box<dyn Fn() + Send> {
            Box::new(|| {})
        }
    }

    fn schema() -> Schema {
        let column = Column {
            name: "path".into(),
            kind: "VARCHAR".into(),
            doc: "Where it is.".into(),
        };
        Schema {
            views: vec![View {
                name: "files".into(),
                doc: "All files.".into(),
                columns: vec![column],
            }],
            examples: vec![Example {
                title: "All".into(),
                sql: "FROM files;".into(),
            }],
            ..Schema::default()
        }
    }

    /// What was run, what was said, what was kept.
    fn talk(typed: Vec<Read>) -> (Vec<String>, Vec<String>, Vec<String>) {
        let schema = schema();
        let mut prompt = Prompt {
            schema: &schema,
            formats: &["table", "csv"],
            format: "table".into(),
            timer: false,
            history: History::default(),
        };
        let (mut runner, mut said, mut failures) = (Notes::default(), Vec::new(), Vec::new());
        let shows = Shows {
            text: &mut |text| said.push(text.to_owned()),
            failure: &mut |failure| failures.push(failure.message.clone()),
        };
        prompt
            .converse(&mut Script(typed.into_iter()), &mut runner, shows)
            .expect("a talk");
        said.extend(failures);
        (runner.0, said, prompt.history.into_list())
    }

    fn texts(typed: &[&str]) -> Vec<Read> {
        typed.iter().map(|text| Read::Text((*text).to_owned())).collect()
    }

    /// Guards the conversation: a failure ends the line and not more; commands are no SQL; all is kept.
    #[test]
    fn a_failure_does_not_end_it() {
        let mut typed = texts(&[
            "select 1; bad; select 2;",
            ".format csv",
            "select ';';",
            "",
            "-- x",
        ]);
        typed.insert(1, Read::Cleared);
        let (run, said, kept) = talk(typed);
        assert_eq!(run, ["table: select 1", "table: bad", "csv: select ';'"]);
        assert_eq!(said, ["Results are shown as csv.", "No."]);
        assert_eq!(
            kept,
            ["select 1; bad; select 2;", ".format csv", "select ';';", "-- x"]
        );
        let (run, _, _) = talk(texts(&[".quit", "select 1;"]));
        assert!(run.is_empty());
    }

    /// Guards what the commands say.
    #[test]
    fn commands_answer() {
        let (_, said, _) = talk(texts(&[
            ".views",
            ".columns FILES",
            ".columns x",
            ".examples",
            ".help",
            ".nothing",
        ]));
        assert_eq!(said[0], "files  All files.");
        assert_eq!(said[1], "path  VARCHAR       Where it is.");
        assert_eq!(said[2], "There is no view “x”; .views shows all.");
        assert_eq!(said[3], "-- All\nFROM files;");
        assert!(dot::ALL.iter().all(|(name, _)| said[4].contains(name)));
        assert!(said[5].contains(".nothing"));
        let (_, said, _) = talk(texts(&[".timer on", "select 1;"]));
        assert!(said[1].ends_with(" s"), "{said:?}");
    }

    /// Runs until it is cancelled.
    struct Endless(mpsc::Sender<()>, Option<mpsc::Receiver<()>>);
    impl Runner for Endless {
        fn run(&mut self, _: &str, _: &str) -> Result<(), Failure> {
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::INT)
                .expect("sent");
            let cancelled = self.1.take().expect("once");
            match cancelled.recv_timeout(Duration::from_secs(60)) {
                Ok(()) => Err(Failure::failed("Cancelled.")),
                Err(_) => Ok(()),
            }
        }
        fn canceller(&self) -> Box<dyn Fn() + Send> {
            let sender = self.0.clone();
            Box::new(move || {
                let _ = sender.send(());
            })
        }
    }

    /// Guards Ctrl-C: it cancels what runs, and is nothing to what does not.
    #[test]
    fn an_interrupt_cancels_what_runs() {
        let (sender, receiver) = mpsc::channel();
        let mut runner = Endless(sender, Some(receiver));
        let mut cancelled = Cancelled {
            runner: &mut runner,
            interrupts: Interrupts::new().expect("taken"),
        };
        let failure = cancelled.run("select", "table").expect_err("cancelled");
        assert_eq!(failure.message, "Cancelled.");
        assert!(cancelled.interrupts.cancel.lock().is_none());
    }
}
