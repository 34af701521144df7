//! The lines that vCard and iCalendar share (RFC 6350 §3.2, RFC 5545 §3.1): blocks between BEGIN and END, folded lines
//! in them, each a name, parameters and a value.
//!
//! Guarantees: each block is given, with the line in which it begins, be it closed or not; what stands outside all
//! blocks, closes none or is no property is listed.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use crate::rows::Extract;

/// A longer value, in bytes, is told by its length: pictures.
const VALUE_MAX: usize = 2048;
/// Deeper ones are no blocks.
const DEPTH_MAX: usize = 16;

/// One block, with all that is nested in it.
pub(super) struct Block {
    /// In capitals.
    pub(super) name: String,
    /// Where it begins.
    pub(super) line: u32,
    /// Its lines, BEGIN and END too.
    pub(super) text: String,
    /// Its own properties, without those of blocks in it.
    properties: Vec<Value>,
}

impl Block {
    /// The values of its own properties of this name, as written, be they grouped or not.
    pub(super) fn written<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.properties.iter().filter_map(move |line| {
            let says = line["name"].as_str()?;
            let says = says.rsplit_once('.').map_or(says, |(_, says)| says);
            (says == name).then(|| line["value"].as_str())?
        })
    }

    /// Its properties as JSON: name, value as written, and parameters if there are any.
    pub(super) fn json(&self) -> String {
        Value::Array(self.properties.clone()).to_string()
    }
}

/// One line, unfolded.
struct Line {
    number: u32,
    text: String,
    /// As it stands in the file.
    raw: String,
}

fn lines(text: &str) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut soft = false;
    for (number, raw) in text.split_inclusive('\n').enumerate() {
        let line = raw.trim_end_matches(['\r', '\n']);
        let more = line.strip_prefix([' ', '\t']);
        match (lines.last_mut(), more) {
            (Some(last), Some(more)) if !soft && !last.text.is_empty() => {
                last.text.push_str(more);
                last.raw.push_str(raw);
            }
            // A soft line break of quoted-printable (vCard 2.1) says = at its end.
            (Some(last), _) if soft => {
                last.text.pop();
                last.text.push_str(line);
                last.raw.push_str(raw);
            }
            _ => lines.push(Line {
                number: number as u32 + 1,
                text: line.to_owned(),
                raw: raw.to_owned(),
            }),
        }
        soft = lines.last().is_some_and(|last| {
            let head = last.text.split(':').next().unwrap_or_default();
            last.text.ends_with('=') && head.to_ascii_uppercase().contains("QUOTED-PRINTABLE")
        });
    }
    lines
}

/// All blocks of these names, wherever they are nested.
pub(super) fn blocks(text: &str, wanted: &[&str], out: &mut Extract) -> Vec<Block> {
    let (mut open, mut done) = (Vec::<Block>::new(), Vec::new());
    for line in lines(text) {
        let end = |open: &mut Vec<Block>, done: &mut Vec<Block>| {
            if let Some(block) = open.pop() {
                // A card in a card (AGENT of vCard 2.1) is one of its own: its END must not end the outer one.
                if let Some(around) = open.last_mut().filter(|around| around.name != block.name) {
                    around.text.push_str(&block.text);
                }
                if wanted.contains(&&*block.name) {
                    done.push(block);
                }
            }
        };
        if line.text.trim().is_empty() {
            continue;
        }
        let Some((name, parameters, value)) = property(&line.text) else {
            out.problem(
                line.number,
                "The line is no property: it has no name and no colon.",
            );
            continue;
        };
        match &*name {
            "BEGIN" if open.len() < DEPTH_MAX => open.push(Block {
                name: value.trim().to_ascii_uppercase(),
                line: line.number,
                text: line.raw,
                properties: Vec::new(),
            }),
            "END" => {
                let name = value.trim().to_ascii_uppercase();
                let Some(at) = open.iter().rposition(|block| block.name == name) else {
                    out.problem(line.number, format!("END:{name} closes nothing."));
                    continue;
                };
                while open.len() > at + 1 {
                    if let Some(block) = open.last_mut() {
                        unclosed(block, out);
                    }
                    end(&mut open, &mut done);
                }
                if let Some(block) = open.last_mut() {
                    block.text.push_str(&line.raw);
                }
                end(&mut open, &mut done);
            }
            _ => match open.last_mut() {
                Some(block) => {
                    block.text.push_str(&decodable(&line.raw));
                    block.properties.push(told(&name, parameters, value));
                }
                None => out.problem(line.number, format!("{name} stands outside of every block.")),
            },
        }
    }
    while let Some(mut block) = open.pop() {
        unclosed(&mut block, out);
        if let Some(around) = open.last_mut() {
            around.text.push_str(&block.text);
        }
        if wanted.contains(&&*block.name) {
            done.push(block);
        }
    }
    done.sort_by_key(|block| block.line);
    done
}

/// A line of vCard 2.1 as the library can decode it: with the name of its encoding's parameter, which may be left out, and
/// as UTF-8 if it says no character set and is UTF-8: else it would be read as Latin-1.
fn decodable(raw: &str) -> Cow<'_, str> {
    let Some((head, value)) = raw.split_once(':') else {
        return raw.into();
    };
    let head_upper = head.to_ascii_uppercase();
    if !head_upper.contains("QUOTED-PRINTABLE") {
        return raw.into();
    }
    let mut parts: Vec<_> = head.split(';').map(str::to_owned).collect();
    for part in parts
        .iter_mut()
        .filter(|part| part.eq_ignore_ascii_case("QUOTED-PRINTABLE"))
    {
        part.insert_str(0, "ENCODING=");
    }
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after
            .first_chunk::<2>()
            .and_then(|two| u8::from_str_radix(str::from_utf8(two).ok()?, 16).ok());
        match hex.filter(|_| *first == b'=') {
            Some(byte) => (bytes.push(byte), rest = &after[2..]).1,
            // Soft breaks: a character may stand on both sides of one.
            None if *first == b'=' && after.starts_with(b"\r\n") => rest = &after[2..],
            None if *first == b'=' && after.starts_with(b"\n") => rest = &after[1..],
            None => (bytes.push(*first), rest = after).1,
        }
    }
    if !head_upper.contains("CHARSET=") && str::from_utf8(&bytes).is_ok() {
        parts.push("CHARSET=UTF-8".to_owned());
    }
    Cow::Owned(format!("{}:{value}", parts.join(";")))
}

fn unclosed(block: &mut Block, out: &mut Extract) {
    out.problem(block.line, format!("BEGIN:{} has no END.", block.name));
    if !block.text.ends_with('\n') {
        block.text.push('\n');
    }
    block.text.push_str(&format!("END:{}\r\n", block.name));
}

/// A line's name in capitals, its parameters, and its value; none if it is no property.
fn property(line: &str) -> Option<(String, &str, &str)> {
    let mut quoted = false;
    let colon = line.char_indices().find_map(|(at, c)| {
        quoted ^= c == '"';
        (c == ':' && !quoted).then_some(at)
    });
    // A quote that never closes is a program's fault, and the line still a property.
    let (head, value) = line.split_at(colon.or_else(|| line.find(':'))?);
    let (name, parameters) = head.split_once(';').unwrap_or((head, ""));
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let name = name.trim();
    (!name.is_empty() && name.chars().all(is_name))
        .then(|| (name.to_ascii_uppercase(), parameters, &value[1..]))
}

fn told(name: &str, parameters: &str, value: &str) -> Value {
    let mut map = Map::new();
    map.insert("name".to_owned(), json!(name));
    if !parameters.is_empty() {
        map.insert("parameters".to_owned(), json!(parameters));
    }
    match value.len() > VALUE_MAX {
        true => map.insert("bytes".to_owned(), json!(value.len())),
        false => map.insert("value".to_owned(), json!(value)),
    };
    Value::Object(map)
}
