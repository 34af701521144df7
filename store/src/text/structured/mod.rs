//! Whether a merged text still is what its name says: a contact, a calendar, a note with a
//! front matter.
//!
//! Two edits of a contact can merge, letter by letter, into something that no address book
//! reads. So both versions are kept instead where the merge has a fault that neither version
//! had. Guarantees: a file that had a fault before is never held to more than it was; a text
//! without a structure is always whole. It never repairs, and never changes a byte.

mod cards;
mod front;

/// A set of faults, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Faults(u16);

impl Faults {
    /// A line that is no property.
    const LINE: Faults = Faults(1);
    /// BEGIN and END do not match.
    const NESTING: Faults = Faults(1 << 1);
    /// What must be there once is there never.
    const MISSING: Faults = Faults(1 << 2);
    /// What may be there once is there again.
    const TWICE: Faults = Faults(1 << 3);
    /// A date, a time or a number that is none.
    const VALUE: Faults = Faults(1 << 4);
    /// A front matter without its end, or that does not parse.
    const FRONT: Faults = Faults(1 << 5);

    fn add(&mut self, other: Faults) {
        self.0 |= other.0;
    }

    fn within(self, other: Faults) -> bool {
        self.0 & !other.0 == 0
    }
}

/// What a file's name says about its structure.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Structure {
    Cards,
    Calendar,
    Front,
    None,
}

impl Structure {
    fn of(name: &[u8]) -> Structure {
        let Some(dot) = name.iter().rposition(|byte| *byte == b'.') else {
            return Structure::None;
        };
        match name[dot + 1..].to_ascii_lowercase().as_slice() {
            b"vcf" | b"vcard" => Structure::Cards,
            b"ics" | b"ical" | b"icalendar" | b"ifb" => Structure::Calendar,
            b"md" | b"markdown" | b"mdown" | b"mkd" => Structure::Front,
            _ => Structure::None,
        }
    }

    fn faults(self, text: &str) -> Faults {
        match self {
            Structure::Cards => cards::faults(text, &cards::VCARD),
            Structure::Calendar => cards::faults(text, &cards::ICALENDAR),
            Structure::Front => front::faults(text),
            Structure::None => Faults::default(),
        }
    }
}

/// Whether a merge of the versions `before`, in a file of this name, has no fault that none of
/// them had.
pub fn still_whole(name: &[u8], before: &[&str], merged: &str) -> bool {
    let structure = Structure::of(name);
    let mut known = Faults::default();
    for version in before {
        known.add(structure.faults(version));
    }
    structure.faults(merged).within(known)
}
