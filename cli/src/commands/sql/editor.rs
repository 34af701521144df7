//! The line at the terminal, over rustyline: several lines until the last `;`, completion, colours, what was asked before.
//!
//! Guarantees: touches no file. Colours only what is typed, and only where colours are wanted.

use super::complete::{KEYWORDS, complete};
use super::dot::is_dot;
use super::history::{ENTRIES_MAX, History};
use super::lines::{Lines, Read};
use super::scan::{Kind, is_whole, tokens};
use super::schema::Schema;
use crate::failure::Failure;
use rustyline::completion::Completer;
use rustyline::config::{ColorMode, CompletionType};
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Config, Context, Editor, Helper};
use std::borrow::Cow;

const PROMPT: &str = "coffer> ";
/// What is longer, somebody has pasted: colouring it anew at each key would be slow.
const COLOURED_MAX: usize = 1 << 14;

/// The terminal's line.
pub(crate) struct Terminal<'a> {
    editor: Editor<Sql<'a>, MemHistory>,
}

impl<'a> Terminal<'a> {
    /// With what was asked before.
    ///
    /// # Errors
    /// The terminal cannot be used.
    pub(crate) fn new(
        schema: &'a Schema,
        formats: &'a [&'a str],
        colour: bool,
        history: &History,
    ) -> Result<Terminal<'a>, Failure> {
        let config = Config::builder()
            .max_history_size(ENTRIES_MAX)
            .map_err(|error| failed(&error))?
            .completion_type(CompletionType::List)
            .color_mode(if colour {
                ColorMode::Enabled
            } else {
                ColorMode::Disabled
            })
            .build();
        let memory = MemHistory::with_config(&config);
        let mut editor = Editor::with_history(config, memory).map_err(|error| failed(&error))?;
        editor.set_helper(Some(Sql { schema, formats }));
        let mut terminal = Terminal { editor };
        for entry in history.entries() {
            terminal.keep(entry);
        }
        Ok(terminal)
    }
}

impl Lines for Terminal<'_> {
    fn read(&mut self) -> Result<Read, Failure> {
        match self.editor.readline(PROMPT) {
            Ok(text) => Ok(Read::Text(text)),
            Err(ReadlineError::Interrupted) => Ok(Read::Cleared),
            Err(ReadlineError::Eof) => Ok(Read::End),
            Err(error) => Err(failed(&error)),
        }
    }

    fn keep(&mut self, entry: &str) {
        // In memory; what it does not take is only not offered again.
        let _ = self.editor.add_history_entry(entry);
    }
}

fn failed(error: &ReadlineError) -> Failure {
    Failure::failed(format!(
        "The terminal cannot be read ({error}); give the query on the command line instead."
    ))
}

/// What rustyline asks about what is typed.
struct Sql<'a> {
    schema: &'a Schema,
    formats: &'a [&'a str],
}

impl Helper for Sql<'_> {}

impl Hinter for Sql<'_> {
    type Hint = String;
}

impl Completer for Sql<'_> {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(complete(self.schema, self.formats, line, at))
    }
}

impl Validator for Sql<'_> {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let text = context.input();
        Ok(match is_dot(text) || is_whole(text) {
            true => ValidationResult::Valid(None),
            false => ValidationResult::Incomplete,
        })
    }
}

impl Highlighter for Sql<'_> {
    fn highlight<'l>(&self, line: &'l str, at: usize) -> Cow<'l, str> {
        match line.len() <= COLOURED_MAX {
            true => Cow::Owned(coloured(line, at)),
            false => Cow::Borrowed(line),
        }
    }

    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        Cow::Owned(format!("\x1b[1m{prompt}\x1b[0m"))
    }

    fn highlight_char(&self, line: &str, _: usize, _: CmdKind) -> bool {
        line.len() <= COLOURED_MAX
    }
}

/// The text with keywords, quotes and comments in colours, and the two brackets of a pair if the cursor is at one.
fn coloured(text: &str, at: usize) -> String {
    let tokens = tokens(text);
    let pair = pair(text, at);
    let mut out = String::with_capacity(2 * text.len());
    let mut from = 0;
    for token in tokens {
        let word = &text[token.at.clone()];
        let colour = match token.kind {
            Kind::Word if KEYWORDS.iter().any(|keyword| keyword.eq_ignore_ascii_case(word)) => "1",
            Kind::Text => "32",
            Kind::Comment => "2",
            Kind::Sign if pair.is_some_and(|pair| pair.contains(&token.at.start)) => "1;36",
            _ => continue,
        };
        out.push_str(&text[from..token.at.start]);
        out.push_str("\x1b[");
        out.push_str(colour);
        out.push('m');
        out.push_str(word);
        out.push_str("\x1b[0m");
        from = token.at.end;
    }
    out.push_str(&text[from..]);
    out
}

/// Where the bracket under or before the cursor stands, and its other one.
fn pair(text: &str, at: usize) -> Option<[usize; 2]> {
    let mut open: Vec<(usize, char)> = Vec::new();
    let mut under = None;
    for token in tokens(text).iter().filter(|token| token.kind == Kind::Sign) {
        let here = token.at.start;
        match text[here..].chars().next()? {
            c @ ('(' | '[' | '{') => open.push((here, c)),
            c @ (')' | ']' | '}') => {
                let fits = |(_, opened): &(usize, char)| {
                    matches!((*opened, c), ('(', ')') | ('[', ']') | ('{', '}'))
                };
                let Some((there, _)) = open.pop_if(|last| fits(last)) else {
                    continue;
                };
                let both = [there, here];
                if both.contains(&at) {
                    return Some(both);
                }
                if at > 0 && both.contains(&(at - 1)) {
                    under = Some(both);
                }
            }
            _ => {}
        }
    }
    under
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards that colours change no letter, and that they end.
    #[test]
    fn colours_change_no_letter() {
        let text = "select 'from', (a[1]) -- x\nfrom \"select\";";
        let shown = coloured(text, 15);
        assert_eq!(
            shown,
            "\x1b[1mselect\x1b[0m \x1b[32m'from'\x1b[0m, \x1b[1;36m(\x1b[0ma[1]\x1b[1;36m)\x1b[0m \
             \x1b[2m-- x\x1b[0m\n\x1b[1mfrom\x1b[0m \"select\";"
        );
        assert_eq!(coloured("", 0), "");
    }

    /// Guards brackets: the one under the cursor before the one behind it, none in quotes, none that do not fit.
    #[test]
    fn brackets_find_each_other() {
        assert_eq!(pair("f((a))", 1), Some([1, 5]));
        assert_eq!(pair("f((a))", 2), Some([2, 4]));
        assert_eq!(pair("f((a))", 6), Some([1, 5]));
        assert_eq!(pair("(')')", 0), Some([0, 4]));
        assert_eq!(pair("(]", 0), None);
        assert_eq!(pair("(日)", 4), Some([0, 4]));
    }
}
