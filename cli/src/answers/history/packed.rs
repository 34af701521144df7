//! A list of versions as it crosses the socket: each a row of numbers, and words of which there are few
//! once for all of them.
//!
//! A note may have ten thousand versions, and names of fields, words and written-out times are most of
//! what is said of each. Guarantees that what is read is what was written; what is out of bounds is an
//! error, never a panic. Never seen by people or other programs: `--json` spells everything out.

use super::Version;
use jiff::Timestamp;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment, in seconds since 1970 and nanoseconds more.
type Moment = (i64, i32);

/// One version: number, recorded, modified, size, form, kind, device, program, held, parents, events. Words are
/// places in the list of words.
type Row = (
    u64,
    Moment,
    Moment,
    u64,
    usize,
    usize,
    usize,
    Option<usize>,
    bool,
    Vec<u64>,
    u64,
);

#[derive(Serialize, Deserialize)]
struct Packed<W> {
    words: Vec<W>,
    rows: Vec<Row>,
}

/// The place of a word among those that were said.
fn place<'a>(words: &mut Vec<&'a str>, word: &'a str) -> usize {
    // The last are the likeliest, and there are few.
    let known = words.iter().rposition(|known| *known == word);
    known.unwrap_or_else(|| {
        words.push(word);
        words.len() - 1
    })
}

fn moment(at: Timestamp) -> Moment {
    (at.as_second(), at.subsec_nanosecond())
}

fn row<'a>(words: &mut Vec<&'a str>, version: &'a Version) -> Row {
    (
        version.number,
        moment(version.recorded),
        moment(version.modified),
        version.size,
        place(words, &version.form),
        place(words, &version.kind),
        place(words, &version.device),
        version.program.as_deref().map(|name| place(words, name)),
        version.held,
        version.parents.clone(),
        version.events,
    )
}

pub(super) fn serialize<S: Serializer>(versions: &[Version], to: S) -> Result<S::Ok, S::Error> {
    let mut words = Vec::new();
    let rows = versions.iter().map(|version| row(&mut words, version)).collect();
    Packed { words, rows }.serialize(to)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Version>, D::Error> {
    let Packed { words, rows } = Packed::<String>::deserialize(from)?;
    let word = |place: usize| {
        let word = words.get(place).cloned();
        word.ok_or_else(|| D::Error::custom("a word that was not said"))
    };
    let moment = |(second, nanos): Moment| Timestamp::new(second, nanos).map_err(D::Error::custom);
    let version =
        |(number, recorded, modified, size, form, kind, device, program, held, parents, events): Row| {
            Ok(Version {
                number,
                recorded: moment(recorded)?,
                modified: moment(modified)?,
                size,
                form: word(form)?,
                kind: word(kind)?,
                device: word(device)?,
                program: program.map(word).transpose()?,
                held,
                parents,
                events,
            })
        };
    rows.into_iter().map(version).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct List(#[serde(with = "super")] Vec<Version>);

    /// Guards what is said of versions on its way: times at both ends of the calendar, words that are the
    /// same, and none.
    #[test]
    fn versions_cross_the_socket() {
        let version = |number, device: &str, program: Option<&str>, at: Timestamp| Version {
            number,
            recorded: at,
            modified: "1969-12-31T23:59:59.25Z".parse().unwrap(),
            size: u64::MAX,
            form: "text".into(),
            kind: "file".into(),
            device: device.into(),
            program: program.map(str::to_owned),
            held: number % 2 == 0,
            parents: (0..number).collect(),
            events: 1,
        };
        let list = List(vec![
            version(3, "desk", Some("vim"), Timestamp::MAX),
            version(2, "text", Some("desk"), Timestamp::MIN),
            version(1, "desk \"ä\"\n", None, Timestamp::UNIX_EPOCH),
        ]);
        let text = serde_json::to_string(&list).unwrap();
        assert_eq!(serde_json::from_str::<List>(&text).unwrap(), list);
        let empty = serde_json::to_string(&List(Vec::new())).unwrap();
        assert_eq!(serde_json::from_str::<List>(&empty).unwrap(), List(Vec::new()));
    }

    /// Guards against a daemon of another mind: what makes no sense is an error.
    #[test]
    fn nonsense_is_refused() {
        let row = |second: &str, word: &str| {
            format!(r#"{{"words":["a"],"rows":[[1,[{second},0],[0,0],5,0,0,{word},null,true,[],1]]}}"#)
        };
        assert!(serde_json::from_str::<List>(&row("0", "0")).is_ok());
        for bad in [
            row("0", "1"),
            row("9223372036854775807", "0"),
            row("0", "-1"),
            "{}".into(),
        ] {
            assert!(serde_json::from_str::<List>(&bad).is_err(), "{bad}");
        }
    }
}
