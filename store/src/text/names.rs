//! Which files are texts: by name, then by what is in them.
//!
//! The author of a version decides with this, once; nobody judges it again, so a setting that
//! changes touches no version that is there. Guarantees: nothing in a version control's own
//! folder is ever a text; however a list is written, a name takes at most some 300,000 steps. It never
//! reads a file.

use std::fmt;
use std::str::FromStr;

use super::glob::Glob;

/// The longest text, in bytes: 1 MiB. A document of twice that was measured to take four seconds to
/// build and fifteen to be rewritten; what is that long is a log or an export, which nobody edits
/// from two sides.
pub const TEXT_MAX: usize = 1 << 20;

/// What people write in: notes, lists, contacts, calendars. Not source code, for which a merge
/// that compiles by chance is worse than two versions; hence the exceptions.
const DEFAULT: &str = "*.md *.markdown *.mdown *.mkd *.txt *.text *.org *.rst *.adoc *.asciidoc \
    *.textile *.wiki *.mediawiki *.fountain *.vcf *.vcard *.ics *.ical *.icalendar *.ifb *.todo \
    *.taskpaper todo notes readme !cmakelists.txt !*requirements*.txt !*constraints*.txt \
    !meson_options.txt";

/// Folders that belong to a program for versions: a merged reference is a broken one.
const CLOSED: [&[u8]; 5] = [b".git", b".hg", b".svn", b".bzr", b".jj"];

/// Most patterns in a setting, and bytes in each.
const PATTERNS_MAX: usize = 512;
const PATTERN_MAX: usize = 255;

/// What a version of a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// A text: concurrent edits merge.
    Text(&'a str),
    /// Every version is whole, and two concurrent ones are both kept.
    Blob,
    /// No bytes yet: it becomes one or the other with its first.
    Empty,
}

/// A setting's pattern that says nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPattern {
    /// The pattern, and what is wrong with it.
    #[error("“{0}” is no pattern for file names: {1}")]
    Pattern(String, &'static str),
    /// The list.
    #[error("a list of text names has at most {PATTERNS_MAX} patterns")]
    TooMany,
}

/// The names of texts: patterns between white space, as in `*.md todo.txt !CMakeLists.txt`.
///
/// `*` stands for any bytes, ASCII letters are the same in both cases, and a pattern after `!`
/// is an exception that holds wherever it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextNames {
    patterns: Vec<Pattern>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    except: bool,
    glob: Glob,
}

impl Default for TextNames {
    fn default() -> TextNames {
        DEFAULT.parse().expect("a test parses the list that is built in")
    }
}

impl FromStr for TextNames {
    type Err = BadPattern;

    fn from_str(list: &str) -> Result<TextNames, BadPattern> {
        let patterns = list.split_whitespace().map(Pattern::parse);
        let patterns = patterns.take(PATTERNS_MAX + 1).collect::<Result<Vec<_>, _>>()?;
        if patterns.len() > PATTERNS_MAX {
            return Err(BadPattern::TooMany);
        }
        Ok(TextNames { patterns })
    }
}

impl fmt::Display for TextNames {
    /// The list, as it is parsed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, pattern) in self.patterns.iter().enumerate() {
            if i > 0 {
                f.write_str(" ")?;
            }
            if pattern.except {
                f.write_str("!")?;
            }
            f.write_str(pattern.glob.as_str())?;
        }
        Ok(())
    }
}

impl TextNames {
    /// Whether a file of this path (folders before `/`, relative to the vault) is a text by its
    /// name.
    pub fn cover(&self, path: &[u8]) -> bool {
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
        let mut parts = path.split(|byte| *byte == b'/');
        let name = name.to_ascii_lowercase();
        let taken = |except: bool| {
            let mut patterns = self.patterns.iter();
            patterns.any(|pattern| pattern.except == except && pattern.glob.takes(&name))
        };
        !parts.any(|part| CLOSED.contains(&part)) && taken(false) && !taken(true)
    }

    /// Whether a folder of this name holds no texts, nor does anything below it.
    pub fn is_closed(folder: &[u8]) -> bool {
        CLOSED.contains(&folder)
    }

    /// What a version with these bytes is, at this path.
    pub fn kind<'a>(&self, path: &[u8], bytes: &'a [u8]) -> Kind<'a> {
        if bytes.is_empty() {
            return Kind::Empty;
        }
        if bytes.len() > TEXT_MAX || !self.cover(path) {
            return Kind::Blob;
        }
        std::str::from_utf8(bytes).map_or(Kind::Blob, Kind::Text)
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Pattern, BadPattern> {
        let (except, glob) = match text.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let bad = |why| Err(BadPattern::Pattern(text.chars().take(64).collect(), why));
        if glob.is_empty() {
            return bad("it is empty");
        }
        if glob.len() > PATTERN_MAX {
            return bad("it is longer than a file's name can be");
        }
        if glob.contains('/') {
            return bad("it may name a file, not a folder");
        }
        let glob = Glob::new(glob);
        Ok(Pattern { except, glob })
    }
}
