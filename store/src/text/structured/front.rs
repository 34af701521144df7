//! The front matter of a Markdown note: YAML between lines of `---`, TOML between lines of
//! `+++`, at the note's very start.
//!
//! Of YAML it asks that it parses and that no name stands twice at the top; of TOML, that it
//! has an end. What stands below the front matter is nobody's business here.

use std::panic::{AssertUnwindSafe, catch_unwind};

use saphyr_parser::{Event, Parser};

use super::Faults;

/// A longer front matter, in bytes, is not looked into.
const FRONT_MAX: usize = 64 << 10;

pub(super) fn faults(text: &str) -> Faults {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.split_inclusive('\n');
    let first = lines.next().unwrap_or_default();
    let ends: &[&str] = match first.trim_end() {
        "---" => &["---", "..."],
        "+++" => &["+++"],
        _ => return Faults::default(),
    };
    let mut len = first.len();
    for line in lines {
        if ends.contains(&line.trim_end()) {
            let front = &text[first.len()..len];
            let whole = ends.len() == 1 || front.len() > FRONT_MAX || yaml(front);
            return if whole { Faults::default() } else { Faults::FRONT };
        }
        len += line.len();
    }
    // A rule at the top of a note looks the same: it had this fault before, and may keep it.
    Faults::FRONT
}

/// Whether it is YAML, with different names at the top.
fn yaml(front: &str) -> bool {
    // The parser is not ours: a panic of its is a front matter that does not parse.
    catch_unwind(AssertUnwindSafe(|| names_differ(front))).unwrap_or(false)
}

fn names_differ(front: &str) -> bool {
    let mut names = Vec::new();
    // How deep; and whether a name is next, at the top.
    let (mut depth, mut mapping, mut name) = (0usize, false, true);
    for event in Parser::new_from_str(front) {
        let Ok((event, _)) = event else {
            return false;
        };
        match event {
            Event::MappingStart(..) | Event::SequenceStart(..) => {
                if depth == 0 {
                    mapping = matches!(event, Event::MappingStart(..));
                }
                depth += 1;
                continue;
            }
            Event::MappingEnd | Event::SequenceEnd => depth = depth.saturating_sub(1),
            Event::Scalar(ref value, ..) if depth == 1 && mapping && name => names.push(value.to_string()),
            Event::Scalar(..) | Event::Alias(..) => {}
            _ => continue,
        }
        if depth == 1 {
            name = !name;
        }
    }
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    names.len() == count
}
