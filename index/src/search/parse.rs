//! What people type, read as a question.
//!
//! Guarantees: any text is a question or an error that says what is wrong, never a panic; what is not closed is closed at
//! the end, signs that mean nothing are left out. Bounded in length, words and depth. Reads no clock.

use jiff::Zoned;

use super::date;
use super::fold::{WORD_MAX, cut, folded};
use super::query::{Filter, Node, Query, QueryError, Scope, Text, parts};

/// A longer question, in bytes, is refused.
pub const QUERY_MAX: usize = 4096;
/// More words (and filters) are refused.
pub const WORDS_MAX: usize = 128;
/// A phrase whose last word has a `*` counts as so many words more: it looks at many words at once.
const ENDS_COST: usize = 8;
/// Deeper parentheses are refused.
pub const DEPTH_MAX: usize = 32;

impl Query {
    /// Understands what was typed; days are those of `now`'s zone.
    pub fn parse(text: &str, now: &Zoned) -> Result<Query, QueryError> {
        if text.len() > QUERY_MAX {
            return Err(QueryError::TooLong { max: QUERY_MAX });
        }
        let mut parser = Parser {
            text,
            at: 0,
            words: 0,
            now,
        };
        let mut any = Vec::new();
        // What is closed without having been opened is left out.
        while parser.at < text.len() {
            any.extend(parser.any_of(0)?);
            parser.eat(')');
        }
        match and(any) {
            Some(root) => Ok(Query { root }),
            None => Err(QueryError::Empty),
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    words: usize,
    now: &'a Zoned,
}

/// A thing typed: in quotes or without.
struct Piece<'a> {
    text: &'a str,
    is_quoted: bool,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn eat(&mut self, sign: char) -> bool {
        let is_there = self.peek() == Some(sign);
        if is_there {
            self.at += sign.len_utf8();
        }
        is_there
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// `OR` or `AND` as a word of its own, eaten.
    fn eat_word(&mut self, word: &str) -> bool {
        self.skip_space();
        let after = self.rest().strip_prefix(word).filter(|after| {
            after
                .chars()
                .next()
                .is_none_or(|c| c.is_whitespace() || matches!(c, '(' | ')' | '"'))
        });
        let is_there = after.is_some();
        if is_there {
            self.at += word.len();
        }
        is_there
    }

    /// `a b OR c`, up to the end or a closing parenthesis; none if nothing in it says anything.
    fn any_of(&mut self, depth: usize) -> Result<Option<Node>, QueryError> {
        let mut any = Vec::new();
        any.extend(self.all_of(depth)?);
        while self.eat_word("OR") {
            any.extend(self.all_of(depth)?);
        }
        Ok(match any.len() {
            0 | 1 => any.pop(),
            _ => Some(Node::Or(any)),
        })
    }

    /// `a b c`, up to `OR`, the end or a closing parenthesis.
    fn all_of(&mut self, depth: usize) -> Result<Option<Node>, QueryError> {
        let mut all = Vec::new();
        let mut is_first = true;
        while !self.is_end() {
            // With nothing before it or behind it, it is a word.
            if !is_first && self.is_between("OR") {
                break;
            }
            if !is_first && self.is_between("AND") {
                self.eat_word("AND");
            }
            all.extend(self.one(depth)?);
            is_first = false;
        }
        Ok(and(all))
    }

    fn is_end(&mut self) -> bool {
        self.skip_space();
        matches!(self.peek(), None | Some(')'))
    }

    /// Whether this word comes next, and something after it.
    fn is_between(&mut self, word: &str) -> bool {
        let before = self.at;
        let is_there = self.eat_word(word) && !self.is_end();
        self.at = before;
        is_there
    }

    /// A word, a phrase, a filter or a group, perhaps with a `-` before it.
    fn one(&mut self, depth: usize) -> Result<Option<Node>, QueryError> {
        let is_not = self.rest().starts_with('-')
            && self.rest()[1..]
                .chars()
                .next()
                .is_some_and(|c| !c.is_whitespace() && c != '-' && c != ')');
        if is_not {
            self.at += 1;
        }
        let node = if self.eat('(') {
            if depth >= DEPTH_MAX {
                return Err(QueryError::TooDeep { max: DEPTH_MAX });
            }
            let node = self.any_of(depth + 1)?;
            self.eat(')');
            node
        } else {
            self.term()?
        };
        Ok(match (node, is_not) {
            (Some(node), true) => Some(Node::Not(Box::new(node))),
            (node, _) => node,
        })
    }

    /// What stands from here on: a quoted text, or all up to a space, a quote or a parenthesis.
    fn piece(&mut self) -> Piece<'a> {
        let is_quoted = matches!(self.peek(), Some('"' | '“' | '”' | '„' | '«'));
        let rest = self.rest();
        if is_quoted {
            let open = self.peek().map_or(0, char::len_utf8);
            let inside = &rest[open..];
            let end = inside.find(['"', '“', '”', '»']).unwrap_or(inside.len());
            let close = inside[end..].chars().next().map_or(0, char::len_utf8);
            self.at += open + end + close;
            let text = &inside[..end];
            return Piece { text, is_quoted };
        }
        let end = rest
            .find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '"'))
            .unwrap_or(rest.len());
        self.at += end;
        let text = &rest[..end];
        Piece { text, is_quoted }
    }

    fn term(&mut self) -> Result<Option<Node>, QueryError> {
        let from = self.at;
        if let Some(found) = self
            .rest()
            .find(':')
            .and_then(|colon| field(&self.rest()[..colon]).zip(Some(colon)))
        {
            let (field, colon) = found;
            self.at += colon + 1;
            let value = self.piece();
            if let Some(node) = self.field(field, &value)? {
                return Ok(Some(node));
            }
            // A colon with nothing behind it is text.
            self.at = from;
        }
        let piece = self.piece();
        if piece.is_quoted {
            return self.text(piece.text, Scope::Any, false);
        }
        self.word(piece.text)
    }

    fn word(&mut self, text: &str) -> Result<Option<Node>, QueryError> {
        let bare = text.trim_end_matches('*');
        self.text(bare, Scope::Any, bare.len() < text.len())
    }

    fn text(&mut self, text: &str, scope: Scope, is_prefix: bool) -> Result<Option<Node>, QueryError> {
        let Some(text) = Text::of(text, scope, is_prefix) else {
            return Ok(None);
        };
        let is_costly = text.is_prefix && text.words.len() > 1;
        self.count(text.words.len() + if is_costly { ENDS_COST } else { 0 })?;
        Ok(Some(Node::Text(text)))
    }

    fn count(&mut self, words: usize) -> Result<(), QueryError> {
        self.words += words;
        match self.words > WORDS_MAX {
            true => Err(QueryError::TooManyWords { max: WORDS_MAX }),
            false => Ok(()),
        }
    }

    /// A field and its value; none if the value says nothing.
    fn field(&mut self, field: Field, value: &Piece<'_>) -> Result<Option<Node>, QueryError> {
        let text = value.text;
        let bare = if value.is_quoted {
            text
        } else {
            text.trim_end_matches('*')
        };
        let is_prefix = bare.len() < text.len();
        if text.trim().is_empty() {
            return Ok(None);
        }
        let time = |name: &'static str| {
            date::start(text, self.now).ok_or_else(|| QueryError::Date {
                field: name,
                value: text.to_owned(),
            })
        };
        let filter = match field {
            Field::Title => return self.text(bare, Scope::Title, is_prefix),
            Field::Name => return self.text(bare, Scope::Name, is_prefix),
            Field::Tag => {
                let path = tag_path(bare);
                if path.is_empty() {
                    return Ok(None);
                }
                self.count(1)?;
                return Ok(Some(Node::Tag { path, is_prefix }));
            }
            Field::In => Filter::In(parts(text).map(folded).collect()),
            Field::Before => Filter::Before(time("before")?),
            Field::After => Filter::After(time("after")?),
            Field::Kind => Filter::Kind(folded(text)),
            Field::Extension => Filter::Extension(folded(text.trim_start_matches('.'))),
        };
        self.count(1)?;
        Ok(Some(Node::Filter(filter)))
    }
}

#[derive(Clone, Copy)]
enum Field {
    Title,
    Name,
    Tag,
    In,
    Before,
    After,
    Kind,
    Extension,
}

fn field(name: &str) -> Option<Field> {
    const NAMES: [(&str, Field); 8] = [
        ("title", Field::Title),
        ("name", Field::Name),
        ("tag", Field::Tag),
        ("in", Field::In),
        ("before", Field::Before),
        ("after", Field::After),
        ("kind", Field::Kind),
        ("ext", Field::Extension),
    ];
    NAMES
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, field)| *field)
}

/// A tag as it is compared: folded, without `#` and without slashes at its ends.
pub(super) fn tag_path(tag: &str) -> String {
    let tag = tag.trim().trim_start_matches('#');
    parts(cut(tag, WORD_MAX))
        .map(|part| folded(part.trim()))
        .collect::<Vec<_>>()
        .join("/")
}

/// All of these; none if there are none.
fn and(mut all: Vec<Node>) -> Option<Node> {
    match all.len() {
        0 | 1 => all.pop(),
        _ => Some(Node::And(all)),
    }
}
