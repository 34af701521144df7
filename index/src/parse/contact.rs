//! Contacts: vCard 2.1, 3 and 4, several in a file.

use calcard::common::PartialDateTime;
use calcard::vcard::{VCard, VCardEntry, VCardParameterName, VCardParameterValue, VCardProperty, VCardValue};
use calcard::{Entry, Parser};
use jiff::civil;

use super::properties::{self, Block};
use super::tag;
use crate::rows::{Contact, Extract};

pub(super) fn read(text: &str, out: &mut Extract) {
    for block in properties::blocks(text, &["VCARD"], out) {
        match Parser::new(&block.text).entry() {
            Entry::VCard(card) => {
                let contact = contact(&card, &block, out);
                out.contacts.push(contact);
            }
            _ => out.problem(block.line, "The contact could not be read."),
        }
    }
}

/// What a value says, if it is text.
fn text(value: &VCardValue) -> String {
    match value {
        VCardValue::Text(text) => text.trim().to_owned(),
        VCardValue::Component(parts) => parts.join(" ").trim().to_owned(),
        VCardValue::Integer(number) => number.to_string(),
        VCardValue::Float(number) => number.to_string(),
        VCardValue::Boolean(yes) => yes.to_string(),
        VCardValue::PartialDateTime(when) => spelled(when),
        _ => String::new(),
    }
}

/// A partial date as vCard spells it: 1985-04-12, --04-12.
fn spelled(when: &PartialDateTime) -> String {
    let year = when.year.map_or("-".to_owned(), |year| format!("{year:04}"));
    match (when.month, when.day) {
        (Some(month), Some(day)) => format!("{year}-{month:02}-{day:02}"),
        (Some(month), None) => format!("{year}-{month:02}"),
        _ => year,
    }
}

/// A property's values, those without words left out.
fn values(entry: &VCardEntry) -> Vec<String> {
    entry
        .values
        .iter()
        .map(text)
        .filter(|text| !text.is_empty())
        .collect()
}

/// Lower goes first: PREF, TYPE=pref, and what has neither.
fn rank(entry: &VCardEntry) -> u32 {
    let ranks = entry
        .params
        .iter()
        .filter_map(|param| match (&param.name, &param.value) {
            (VCardParameterName::Pref, VCardParameterValue::Integer(rank)) => Some(*rank),
            (VCardParameterName::Pref, _) => Some(1),
            (_, VCardParameterValue::Text(text)) if text.eq_ignore_ascii_case("pref") => Some(1),
            _ => None,
        });
    ranks.min().unwrap_or(u32::MAX)
}

/// All values of a property, the preferred ones first, each once.
fn all(card: &VCard, property: &VCardProperty, tidy: fn(&str) -> String) -> Vec<String> {
    let mut entries: Vec<_> = card.properties(property).collect();
    entries.sort_by_key(|entry| rank(entry));
    let mut found = Vec::new();
    for value in entries.into_iter().flat_map(values).map(|value| tidy(&value)) {
        if !value.is_empty() && !found.contains(&value) {
            found.push(value);
        }
    }
    found
}

fn as_is(text: &str) -> String {
    text.to_owned()
}

/// Without the scheme that vCard 4 writes before numbers and addresses.
fn bare(text: &str) -> String {
    let (scheme, rest) = text.split_once(':').unwrap_or(("", text));
    let rest = match ["tel", "mailto"].iter().any(|s| scheme.eq_ignore_ascii_case(s)) {
        true => rest,
        false => text,
    };
    rest.trim().to_owned()
}

fn first(card: &VCard, property: &VCardProperty) -> Option<String> {
    all(card, property, as_is).into_iter().next()
}

/// The parts of a property, joined.
fn joined(entry: &VCardEntry, between: &str) -> Option<String> {
    Some(values(entry).join(between)).filter(|text| !text.is_empty())
}

fn contact(card: &VCard, block: &Block, out: &mut Extract) -> Contact {
    let name = card.property(&VCardProperty::N);
    let part = |at: usize| {
        let part = name.and_then(|name| name.values.get(at)).map(text);
        part.filter(|part| !part.is_empty())
    };
    let (family, given) = (part(0), part(1));
    let organisation = card
        .property(&VCardProperty::Org)
        .and_then(|org| joined(org, ", "));
    let emails = all(card, &VCardProperty::Email, bare);
    let both = [given.as_deref(), family.as_deref()];
    let both = both.into_iter().flatten().collect::<Vec<_>>().join(" ");
    let shown = first(card, &VCardProperty::Fn)
        .or((!both.is_empty()).then_some(both))
        .or_else(|| organisation.clone())
        .or_else(|| emails.first().cloned());
    if shown.is_none() {
        out.problem(block.line, "The contact has no name.");
    }
    let mut categories = Vec::new();
    for category in all(card, &VCardProperty::Categories, as_is) {
        tag::add(&mut categories, &category);
    }
    let mut addresses: Vec<_> = card.properties(&VCardProperty::Adr).collect();
    addresses.sort_by_key(|entry| rank(entry));
    let (birthday, birth_day) = card
        .properties(&VCardProperty::Bday)
        .zip(block.written("BDAY"))
        .map(|(entry, written)| birthday(entry, written))
        .find(|(_, day)| day.is_some())
        .unwrap_or_default();
    Contact {
        name: shown.unwrap_or_default(),
        given,
        family,
        nicknames: all(card, &VCardProperty::Nickname, as_is),
        emails,
        phones: all(card, &VCardProperty::Tel, bare),
        addresses: addresses
            .into_iter()
            .filter_map(|address| {
                // Seven parts (RFC 6350 §6.3.1); what others write behind them says the same once more (Google, RFC 9554).
                let part = |value: &VCardValue| match value {
                    VCardValue::Component(parts) => parts.join(", "),
                    value => text(value),
                };
                let parts: Vec<_> = address
                    .values
                    .iter()
                    .take(7)
                    .map(part)
                    .filter(|p| !p.is_empty())
                    .collect();
                Some(parts.join(", ")).filter(|text| !text.is_empty())
            })
            .map(|address| address.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect(),
        organisation,
        title: first(card, &VCardProperty::Title),
        birthday,
        birth_day,
        categories,
        note: Some(all(card, &VCardProperty::Note, as_is).join("\n")).filter(|note| !note.is_empty()),
        urls: all(card, &VCardProperty::Url, as_is),
        uid: first(card, &VCardProperty::Uid),
        properties: block.json(),
        line: block.line,
    }
}

/// Year, month and day as vCard writes them, basic or extended: 19801130, 1980-11-30, --1130, --11-30; a time may follow.
fn written_day(text: &str) -> Option<(Option<u16>, u8, u8)> {
    let date = text.trim().split(['T', 't', ' ']).next()?;
    let (year, rest) = match date.strip_prefix("--") {
        Some(rest) => (None, rest),
        None => (Some(date.get(..4)?.parse().ok()?), date.get(4..)?),
    };
    let digits: String = rest.chars().filter(|c| !"-/".contains(*c)).collect();
    let is_day = digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_digit());
    is_day.then(|| Some((year, digits[..2].parse().ok()?, digits[2..].parse().ok()?)))?
}

/// The day of birth, if its year is known; month and day.
fn birthday(entry: &VCardEntry, written: &str) -> (Option<civil::Date>, Option<(u8, u8)>) {
    // By what is written first: of 1980-11-30 in vCard 4 the library reads no day.
    let (year, month, day) = match (written_day(written), entry.values.first()) {
        (Some((year, month, day)), _) => (year, Some(month), Some(day)),
        (None, Some(VCardValue::PartialDateTime(when))) => (when.year, when.month, when.day),
        _ => (None, None, None),
    };
    // Apple's programs write a year where none is known, and say so beside it.
    let omitted = entry.params.iter().any(|param| {
        matches!(&param.name, VCardParameterName::Other(name) if name.eq_ignore_ascii_case("X-APPLE-OMIT-YEAR"))
    });
    let Some((month, day)) = month.zip(day) else {
        return (None, None);
    };
    let leap = civil::Date::new(2000, month as i8, day as i8).ok();
    let year = year.filter(|_| !omitted);
    let date = year.and_then(|year| civil::Date::new(year as i16, month as i8, day as i8).ok());
    (date, leap.map(|_| (month, day)))
}
