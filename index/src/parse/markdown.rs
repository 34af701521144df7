//! Markdown: CommonMark and GitHub's, with what Obsidian adds: wiki links, embeds, tags, tasks with any sign.

use pulldown_cmark::{Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd, TextMergeWithOffset};
use serde_json::Value;

use super::decode::Lines;
use super::{front, plain, tag, task};
use crate::rows::{Extract, Heading, Link, LinkKind, Note};

/// What a note of everyday size does not have more of.
const ROWS_MAX: usize = 50_000;

pub(super) fn read(text: &str, out: &mut Extract) {
    let lines = Lines::of(text);
    let mut note = Note {
        format: "markdown",
        ..Note::default()
    };
    let mut body = text;
    if let Some(split) = front::split(text) {
        match front::json(split.yaml) {
            Ok(map) => {
                note.title = map
                    .get("title")
                    .and_then(front::text)
                    .filter(|t| !t.trim().is_empty());
                note.tags = front::tags(&map);
                for value in map.values() {
                    front_links(value, out);
                }
                note.front_matter = Some(Value::Object(map).to_string());
                body = split.body;
            }
            // As Obsidian shows it: what is no front matter is text.
            Err((line, reason)) => out.problem(line.map_or(1, |line| line + 1), reason),
        }
    }
    let begin = text.len() - body.len();
    let mut walk = Walk {
        body,
        begin,
        lines: &lines,
        note: &mut note,
        out,
        heading: None,
        links: Vec::new(),
        code: 0,
    };
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_MATH
        | Options::ENABLE_GFM
        | Options::ENABLE_WIKILINKS;
    let parser = Parser::new_ext(body, options).into_offset_iter();
    for (event, range) in TextMergeWithOffset::new(parser) {
        walk.event(event, range);
    }
    let first = |level| {
        note.headings
            .iter()
            .find(|h| h.level <= level && !h.text.is_empty())
    };
    let heading = first(1).map(|h| h.text.clone());
    note.title = note.title.or(heading);
    note.body = body.to_owned();
    out.note = Some(note);
}

/// The wiki links in a front matter's values.
fn front_links(value: &Value, out: &mut Extract) {
    match value {
        Value::String(text) => {
            let mut rest = &**text;
            while let Some((_, inner)) = rest.split_once("[[") {
                let Some((link, after)) = inner.split_once("]]") else {
                    return;
                };
                let (target, shown) = link.split_once('|').map_or((link, None), |(t, s)| (t, Some(s)));
                let shown = shown.map(str::to_owned);
                push(out, self::link(LinkKind::Wiki, true, target, shown, 1));
                rest = after;
            }
        }
        Value::Array(list) => list.iter().for_each(|value| front_links(value, out)),
        Value::Object(map) => map.values().for_each(|value| front_links(value, out)),
        _ => {}
    }
}

fn push(out: &mut Extract, link: Link) {
    if out.links.len() < ROWS_MAX {
        out.links.push(link);
    }
}

/// A link by what is written as its target.
fn link(kind: LinkKind, is_wiki: bool, target: &str, text: Option<String>, line: u32) -> Link {
    let text = text.filter(|text| !text.trim().is_empty());
    if kind == LinkKind::Web {
        return Link {
            kind,
            target: target.to_owned(),
            text,
            line,
            ..Link::default()
        };
    }
    let (target, fragment) = match target.split_once('#') {
        Some((target, fragment)) => (target, Some(fragment)),
        None => (target, None),
    };
    let decode = |part: &str| match is_wiki {
        true => part.trim().to_owned(),
        false => percent(part),
    };
    Link {
        kind,
        is_wiki,
        target: decode(target),
        fragment: fragment.map(decode).filter(|f| !f.is_empty()),
        text,
        line,
    }
}

/// Whether a target lies elsewhere: it begins with a scheme (RFC 3986), or with `//`.
fn is_elsewhere(target: &str) -> bool {
    let scheme = |(scheme, _): (&str, &str)| {
        // One letter is a drive, and no scheme.
        scheme.len() > 1
            && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    };
    target.starts_with("//") || target.split_once(':').is_some_and(scheme)
}

/// Decodes `%20` and the like; what is no such sign stays.
fn percent(text: &str) -> String {
    let hex = |b: u8| (b as char).to_digit(16).map(|digit| digit as u8);
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        match (first, after) {
            (b'%', [a, b, after @ ..]) if hex(*a).is_some() && hex(*b).is_some() => {
                bytes.push(hex(*a).unwrap_or(0) << 4 | hex(*b).unwrap_or(0));
                rest = after;
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// A link whose text is being read.
struct Open {
    kind: LinkKind,
    is_wiki: bool,
    target: String,
    text: String,
    line: u32,
}

struct Walk<'a> {
    body: &'a str,
    /// How much stands before the body.
    begin: usize,
    lines: &'a Lines,
    note: &'a mut Note,
    out: &'a mut Extract,
    heading: Option<Heading>,
    links: Vec<Open>,
    code: usize,
}

impl Walk<'_> {
    fn line(&self, at: usize) -> u32 {
        self.lines.line(self.begin + at)
    }

    fn event(&mut self, event: Event<'_>, range: std::ops::Range<usize>) {
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                self.heading = Some(Heading {
                    level: match level {
                        HeadingLevel::H1 => 1,
                        HeadingLevel::H2 => 2,
                        HeadingLevel::H3 => 3,
                        HeadingLevel::H4 => 4,
                        HeadingLevel::H5 => 5,
                        HeadingLevel::H6 => 6,
                    },
                    text: String::new(),
                    line: self.line(range.start),
                });
            }
            Event::End(TagEnd::Heading(_)) => {
                if let Some(heading) = self.heading.take()
                    && self.note.headings.len() < ROWS_MAX
                {
                    self.note.headings.push(heading);
                }
            }
            Event::Start(Tag::Item) => self.item(range.start),
            Event::Start(Tag::CodeBlock(_)) => self.code += 1,
            Event::End(TagEnd::CodeBlock) => self.code -= 1,
            Event::Start(Tag::Link {
                link_type, dest_url, ..
            }) => self.begin_link(link_type, &dest_url, false, range.start),
            Event::Start(Tag::Image {
                link_type, dest_url, ..
            }) => self.begin_link(link_type, &dest_url, true, range.start),
            Event::End(TagEnd::Link | TagEnd::Image) => {
                if let Some(open) = self.links.pop() {
                    // What a link shows is shown by what holds it, too: a picture in a link.
                    if let Some(around) = self.links.last_mut() {
                        around.text.push_str(&open.text);
                    }
                    let link = link(open.kind, open.is_wiki, &open.target, Some(open.text), open.line);
                    push(self.out, link);
                }
            }
            Event::Text(text) => self.text(&text, range),
            Event::Code(text) | Event::InlineMath(text) => {
                self.shown(&text);
                self.note.words += plain::words(&text);
            }
            Event::SoftBreak | Event::HardBreak => self.shown(" "),
            _ => {}
        }
    }

    fn shown(&mut self, text: &str) {
        if let Some(heading) = &mut self.heading {
            heading.text.push_str(text);
        }
        if let Some(link) = self.links.last_mut() {
            link.text.push_str(text);
        }
    }

    fn text(&mut self, text: &str, range: std::ops::Range<usize>) {
        self.note.words += plain::words(text);
        self.shown(text);
        if self.code > 0 || !self.links.is_empty() {
            return;
        }
        // By the source: \# is no tag, and what an entity stands for is none.
        let source = &self.body[range.clone()];
        let before = self.body[..range.start].chars().next_back();
        let line = self.line(range.start);
        let mut task = self.out.tasks.last_mut().filter(|task| task.line == line);
        tag::each(source, before, &mut |tag| {
            tag::add(&mut self.note.tags, tag);
            if let Some(task) = &mut task {
                tag::add(&mut task.tags, tag);
            }
        });
        self.bare(source, range.start);
    }

    /// Addresses that stand in a text as such.
    fn bare(&mut self, source: &str, at: usize) {
        let mut from = 0;
        while let Some(found) = source[from..].find("://") {
            let colon = from + found;
            let scheme = ["https", "http"]
                .into_iter()
                .find(|s| source[..colon].ends_with(s));
            let rest = &source[colon + 3..];
            let len = rest
                .find(|c: char| c.is_whitespace() || "<>\"`|".contains(c))
                .unwrap_or(rest.len());
            let mut address = &rest[..len];
            loop {
                address = address.trim_end_matches(['.', ',', ';', ':', '!', '?', '\'', '*', '_']);
                // A bracket that the address itself opens belongs to it (GFM).
                let ends = address.matches(')').count() > address.matches('(').count();
                match address.strip_suffix(')').filter(|_| ends) {
                    Some(shorter) => address = shorter,
                    None => break,
                }
            }
            from = colon + 3 + address.len();
            if let Some(scheme) = scheme.filter(|_| !address.is_empty()) {
                let start = colon - scheme.len();
                let line = self.line(at + start);
                push(
                    self.out,
                    link(LinkKind::Web, false, &source[start..from], None, line),
                );
            }
        }
    }

    fn begin_link(&mut self, link_type: LinkType, target: &str, is_shown: bool, at: usize) {
        let is_wiki = matches!(link_type, LinkType::WikiLink { .. });
        // In a table the sign before the shown text is escaped: [[note\|shown]].
        let target = match link_type {
            LinkType::WikiLink { has_pothole: true } => target.strip_suffix('\\').unwrap_or(target),
            _ => target,
        };
        let (kind, target) = match link_type {
            LinkType::Email => (LinkKind::Web, format!("mailto:{target}")),
            _ if !is_wiki && is_elsewhere(target) => (LinkKind::Web, target.to_owned()),
            _ if is_shown => (LinkKind::Embed, target.to_owned()),
            _ if is_wiki => (LinkKind::Wiki, target.to_owned()),
            _ => (LinkKind::Markdown, target.to_owned()),
        };
        self.links.push(Open {
            kind,
            is_wiki,
            target,
            text: String::new(),
            line: self.line(at),
        });
    }

    fn item(&mut self, at: usize) {
        let raw = self.body[at..].split('\n').next().unwrap_or_default();
        let Some((sign, text)) = task::split(raw) else {
            return;
        };
        if self.out.tasks.len() < ROWS_MAX {
            let mut task = task::of(sign, text, raw.trim_end_matches('\r'), self.line(at));
            task.section = self.note.headings.last().map(|heading| heading.text.clone());
            self.out.tasks.push(task);
        }
    }
}
