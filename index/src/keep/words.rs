//! What of a file is searched, and its tags.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::rows::Extract;

/// The last part of a path.
pub(super) fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A file's names, without folders.
pub(super) fn names(paths: &[(u64, String)]) -> Box<str> {
    let names: Vec<&str> = paths.iter().map(|(_, path)| last(path)).collect();
    names.join(" / ").into()
}

/// All tags of a file, each once.
pub(super) fn tags(extract: &Extract) -> Vec<String> {
    let note = extract.note.iter().flat_map(|note| &note.tags);
    let tasks = extract.tasks.iter().flat_map(|task| &task.tags);
    let contacts = extract.contacts.iter().flat_map(|contact| &contact.categories);
    let events = extract.events.iter().flat_map(|event| &event.categories);
    let mut seen = HashSet::new();
    note.chain(tasks)
        .chain(contacts)
        .chain(events)
        .filter(|tag| seen.insert(*tag))
        .cloned()
        .collect()
}

/// What is searched of a file beside its names and tags: its text, and its headings.
pub(super) fn words(extract: &Extract) -> (Cow<'_, str>, Vec<&str>) {
    if let Some(note) = &extract.note {
        let headings = note.headings.iter().map(|heading| &*heading.text);
        let body = match &note.front_matter {
            Some(front) => format!("{}\n{front}", note.body).into(),
            None => Cow::from(&note.body),
        };
        return (body, headings.collect());
    }
    let mut lines: Vec<&str> = extract.tasks.iter().map(|task| &*task.raw).collect();
    for contact in &extract.contacts {
        lines.push(&contact.name);
        let lists = [
            &contact.nicknames,
            &contact.emails,
            &contact.phones,
            &contact.addresses,
            &contact.urls,
        ];
        lines.extend(lists.into_iter().flatten().map(String::as_str));
        lines.extend(
            [&contact.organisation, &contact.title, &contact.note]
                .into_iter()
                .flatten()
                .map(String::as_str),
        );
    }
    for event in &extract.events {
        lines.push(&event.summary);
        lines.extend(
            [&event.description, &event.location, &event.organizer]
                .into_iter()
                .flatten()
                .map(String::as_str),
        );
        lines.extend(event.attendees.iter().map(String::as_str));
    }
    (lines.join("\n").into(), Vec::new())
}
