//! The front matter of a Markdown note: YAML between lines of `---` at its very start, as JSON.
//!
//! Guarantees: whatever it says, it takes at most [`NODES_MAX`] values and [`DEPTH_MAX`] levels, aliases counted as what
//! they stand for. What YAML cannot say in JSON (a key that is a list, a tag) is said as text.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Number, Value};

const NODES_MAX: usize = 10_000;
const DEPTH_MAX: usize = 32;

/// The front matter's own text, and what stands below it.
pub(super) struct Split<'a> {
    pub(super) yaml: &'a str,
    pub(super) body: &'a str,
}

/// Divides a note; none if it has no front matter.
pub(super) fn split(text: &str) -> Option<Split<'_>> {
    let mut lines = text.split_inclusive('\n');
    let first = lines.next()?;
    if first.trim_end() != "---" {
        return None;
    }
    let mut at = first.len();
    for line in lines {
        if matches!(line.trim_end(), "---" | "...") {
            return Some(Split {
                yaml: &text[first.len()..at],
                body: &text[at + line.len()..],
            });
        }
        at += line.len();
    }
    None
}

/// The YAML as JSON; where and why not, otherwise. The line counts from the front matter's first.
pub(super) fn json(yaml: &str) -> Result<Map<String, Value>, (Option<u32>, String)> {
    let mut reader = Reader {
        parser: Parser::new_from_str(yaml),
        anchors: HashMap::new(),
        nodes: 0,
    };
    loop {
        let (event, line) = reader.next()?;
        match event {
            Event::StreamStart | Event::DocumentStart(_) => {}
            Event::StreamEnd | Event::DocumentEnd => return Ok(Map::new()),
            first => {
                return match reader.value(first, line, 0)? {
                    Value::Object(map) => Ok(map),
                    Value::Null => Ok(Map::new()),
                    _ => Err((
                        Some(line),
                        "The front matter is no list of names and values.".to_owned(),
                    )),
                };
            }
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    anchors: HashMap<usize, (Value, usize)>,
    nodes: usize,
}

type Failure = (Option<u32>, String);

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, u32), Failure> {
        match self.parser.next() {
            Some(Ok((event, span))) => Ok((event, span.start.line() as u32)),
            Some(Err(e)) => {
                let reason = format!("The front matter is no YAML: {}.", e.info());
                Err((Some(e.marker().line() as u32), reason))
            }
            None => Err((None, "The front matter has no end.".to_owned())),
        }
    }

    fn count(&mut self, nodes: usize, line: u32) -> Result<(), Failure> {
        self.nodes += nodes;
        match self.nodes > NODES_MAX {
            true => Err((
                Some(line),
                "The front matter says too much to be read.".to_owned(),
            )),
            false => Ok(()),
        }
    }

    fn value(&mut self, event: Event<'a>, line: u32, depth: usize) -> Result<Value, Failure> {
        if depth > DEPTH_MAX {
            return Err((
                Some(line),
                "The front matter is nested too deeply to be read.".to_owned(),
            ));
        }
        self.count(1, line)?;
        let before = self.nodes;
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => (scalar(&text, style), anchor),
            Event::Alias(anchor) => {
                let (value, nodes) = self.anchors.get(&anchor).cloned().unwrap_or_default();
                self.count(nodes, line)?;
                return Ok(value);
            }
            Event::SequenceStart(anchor, _) => {
                let mut list = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break,
                        (event, line) => list.push(self.value(event, line, depth + 1)?),
                    }
                }
                (Value::Array(list), anchor)
            }
            Event::MappingStart(anchor, _) => {
                let mut map = Map::new();
                loop {
                    let key = match self.next()? {
                        (Event::MappingEnd, _) => break,
                        (Event::Scalar(text, ..), line) => {
                            self.count(1, line)?;
                            text.into_owned()
                        }
                        (event, line) => self.value(event, line, depth + 1)?.to_string(),
                    };
                    let (event, line) = self.next()?;
                    let value = self.value(event, line, depth + 1)?;
                    map.insert(key, value);
                }
                (Value::Object(map), anchor)
            }
            _ => (Value::Null, 0),
        };
        if anchor != 0 {
            self.anchors
                .insert(anchor, (value.clone(), self.nodes - before + 1));
        }
        Ok(value)
    }
}

/// A plain scalar by YAML's core schema (1.2, §10.3.2); a date stays text.
fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::String(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let number = match digits.as_bytes() {
        // 007 is a name, whatever the schema says: as a number it could not be found as written.
        [b'0', b'0'..=b'9', ..] => None,
        [b'0'..=b'9', ..] | [b'.', b'0'..=b'9', ..] => match text.trim_start_matches('+').parse::<i64>() {
            Ok(whole) => Some(Number::from(whole)),
            Err(_)
                if digits.contains(['.', 'e', 'E'])
                    && digits
                        .bytes()
                        .all(|b| b.is_ascii_digit() || b".eE+-".contains(&b)) =>
            {
                text.parse().ok().and_then(Number::from_f64)
            }
            Err(_) => None,
        },
        _ => None,
    };
    number.map_or_else(|| Value::String(text.to_owned()), Value::Number)
}

/// The tags of a front matter: `tags` or `tag`, a list, or words with commas or spaces between them.
pub(super) fn tags(front: &Map<String, Value>) -> Vec<String> {
    let mut tags = Vec::new();
    for (key, value) in front {
        if !["tags", "tag"].contains(&&*key.to_lowercase()) {
            continue;
        }
        match value {
            Value::Array(list) => list
                .iter()
                .filter_map(text)
                .for_each(|tag| super::tag::add(&mut tags, &tag)),
            Value::String(words) => words
                .split([',', ' '])
                .for_each(|tag| super::tag::add(&mut tags, tag)),
            other => text(other).iter().for_each(|tag| super::tag::add(&mut tags, tag)),
        }
    }
    tags
}

/// A value as one would write it.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}
