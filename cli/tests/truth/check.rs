//! What the index of a device says: compared with one that was filled anew, with a plain reading of the files, and with another device's.

use super::act::WORDS;
use super::pair::moving;
use super::plain::{self, Name, Note};
use crate::common::{Stage, children, kill, until};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant};

/// How long a vault may go on moving by itself.
const PATIENCE: Duration = Duration::from_secs(60);
/// After this long it rests, if nothing is seen to move.
const LONG: Duration = Duration::from_secs(10);

/// All views that say what is in a vault.
const VIEWS: [&str; 11] = [
    "files", "notes", "links", "tasks", "contacts", "events", "tags", "history", "devices", "blobs",
    "problems",
];
/// Those of them that are the same on all devices, as far as these columns go: a merge is of the moment at which each device made it.
const SHARED: [(&str, &str); 9] = [
    (
        "files",
        "path, folder, name, extension, kind, size, tags, links, id FROM files WHERE kind <> 'special'",
    ),
    ("notes", "* EXCLUDE (created, modified) FROM notes"),
    ("links", "* FROM links"),
    ("tasks", "* FROM tasks"),
    ("contacts", "* FROM contacts"),
    ("events", "* FROM events"),
    ("tags", "* FROM tags"),
    ("problems", "* FROM problems"),
    ("devices", "name, state, device_id FROM devices"),
];

/// A query's rows.
pub(crate) fn rows(stage: &Stage, sql: &str) -> Vec<Value> {
    let said = stage.run(&["sql", "--format", "jsonl", sql]).gives(0);
    said.out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn text(row: &Value, column: &str) -> String {
    row[column].as_str().unwrap_or_default().to_owned()
}

/// Selects of several views as one query: `view` and `row`.
fn together<'a>(selects: impl Iterator<Item = (&'a str, String)>) -> String {
    let each: Vec<String> = selects
        .map(|(view, select)| {
            format!("SELECT '{view}' AS view, to_json(t)::VARCHAR AS row FROM (SELECT {select}) t")
        })
        .collect();
    format!("{} ORDER BY ALL", each.join(" UNION ALL "))
}

/// Which files each word finds.
fn searches() -> impl Iterator<Item = (&'static str, String)> {
    let words = WORDS.iter().chain(&["md", "pic", "deep"]);
    words.map(|word| ("search", format!("'{word}' AS word, path FROM search('{word}')")))
}

fn dumped(stage: &Stage, selects: impl Iterator<Item = (&'static str, String)>) -> Vec<String> {
    let row = |row: &Value| format!("{} {}", text(row, "view"), text(row, "row"));
    rows(stage, &together(selects)).iter().map(row).collect()
}

/// All that the index of a device says.
pub(crate) fn all(stage: &Stage) -> Vec<String> {
    let views = VIEWS.iter().map(|view| (*view, format!("* FROM {view}")));
    dumped(stage, views.chain(searches()))
}

/// What it says of what devices share, but for these files.
fn shared(stage: &Stage, but: &BTreeSet<String>) -> Vec<String> {
    let views = SHARED.iter().map(|(view, select)| (*view, (*select).to_owned()));
    let found = searches().map(|(view, select)| {
        (
            view,
            format!("s.*, id FROM (SELECT {select}) s JOIN files USING (path)"),
        )
    });
    let mut rows = dumped(stage, views.chain(found));
    rows.retain(|row| {
        let id = row
            .rsplit_once("\"id\":\"")
            .map_or("", |(_, rest)| rest.trim_end_matches("\"}"));
        !but.contains(id)
    });
    rows
}

/// Files of which two devices may say different things: those whose bytes are not here, those of which one of several versions is
/// shown, and what has the names of such on the other.
fn own(one: &Stage, two: &Stage) -> BTreeSet<String> {
    let ask = "SELECT path, id, NOT here OR coalesce(conflict LIKE '%versions%', false) AS own FROM files";
    let all: Vec<Value> = [one, two].iter().flat_map(|stage| rows(stage, ask)).collect();
    let is_own = |row: &&Value| row["own"] == true;
    let mut own: BTreeSet<String> = all.iter().filter(is_own).map(|row| text(row, "id")).collect();
    loop {
        let is_known = |row: &&Value| own.contains(&text(row, "id"));
        let paths: BTreeSet<String> = all.iter().filter(is_known).map(|row| text(row, "path")).collect();
        let named = all.iter().filter(|row| paths.contains(&text(row, "path")));
        let more: BTreeSet<String> = named.map(|row| text(row, "id")).collect();
        if more == own {
            return own;
        }
        own = more;
    }
}

fn differences(one: &[String], two: &[String]) -> String {
    let sets: [BTreeSet<&String>; 2] = [one.iter().collect(), two.iter().collect()];
    let mut said = String::new();
    for (mark, here, there) in [('-', &sets[0], &sets[1]), ('+', &sets[1], &sets[0])] {
        for row in here.difference(there) {
            let row: String = row.chars().take(700).collect();
            said += &format!("{mark} {row}\n");
        }
    }
    said
}

/// Waits until nothing of the vault moves, and large files have their hashes: what the index says then.
fn at_rest(stage: &Stage, when: &str) -> Vec<String> {
    let hashless =
        "SELECT path FROM files WHERE content_hash IS NULL AND here AND kind NOT IN ('link', 'special')";
    let mut last = Vec::new();
    let begun = Instant::now();
    loop {
        let (moves, waits) = (moving(stage), rows(stage, hashless));
        let now = all(stage);
        // What waits for the other device, and for its like, waits as long as they are apart.
        let rests = moves.is_none() || begun.elapsed() > LONG;
        if rests && waits.is_empty() && now == last {
            return last;
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "{when}: the vault waits for {moves:?}; without a hash: {waits:?}; what moves:\n{}",
            differences(&last, &now)
        );
        last = now;
    }
}

/// The index's process, below the daemon of this stage's vault.
fn worker(stage: &Stage) -> Option<u32> {
    let daemon = stage.run(&["status", "--json"]).gives(0).json();
    let daemon = daemon["mount"]["pid"].as_u64().unwrap();
    let is_it = |pid: &u32| {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.contains("index-worker")
    };
    children(daemon as u32).into_iter().find(is_it)
}

fn anew(stage: &Stage, when: &str) -> Vec<String> {
    let pid = worker(stage).expect("it runs");
    kill(pid, libc::SIGKILL);
    until("it is there again", || {
        worker(stage).is_some_and(|new| new != pid)
    });
    at_rest(stage, when)
}

/// What the index says is what one says that was filled anew.
pub(crate) fn as_from_scratch(stage: &Stage, when: &str) {
    let mut before = at_rest(stage, when);
    for _ in 0..3 {
        let after = anew(stage, when);
        if before == after {
            return;
        }
        // Unless the vault itself moved meanwhile: then a second one differs, too.
        let again = anew(stage, when);
        assert!(
            after != again,
            "{when}: the index says what one that was filled anew does not (-), and not what that says (+):\n{}",
            differences(&before, &after)
        );
        before = again;
    }
    panic!("{when}: the vault never rests");
}

/// Both devices say the same of what they share.
pub(crate) fn agree(one: &Stage, two: &Stage, when: &str) {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let but = own(one, two);
        let (here, there) = (shared(one, &but), shared(two, &but));
        if here == there {
            return;
        }
        assert!(
            Instant::now() < end,
            "{when}: the first device (-) and the second (+) say:\n{}",
            differences(&here, &there)
        );
    }
}

/// What a plain reading says of a device's files, for one by one comparison.
struct Plain {
    names: BTreeMap<String, Name>,
    are_notes: BTreeSet<String>,
    notes: BTreeMap<String, Note>,
}

/// The index says what a plain reading of the files says. `is_whole`: all bytes are here, and may be read.
pub(crate) fn as_plain(stage: &Stage, is_whole: bool, when: &str) -> usize {
    at_rest(stage, when);
    let names = plain::walk(&stage.mnt(), is_whole);
    let (are_notes, notes) = plain::notes(&names);
    let plain = Plain {
        names,
        are_notes,
        notes,
    };
    plain.files(stage, is_whole, when);
    if is_whole {
        plain.notes(stage, when);
        plain.searched(stage, when);
    }
    plain.notes.len()
}

impl Plain {
    fn first_names(&self) -> BTreeMap<u64, &str> {
        let mut first = BTreeMap::new();
        for (path, name) in &self.names {
            first.entry(name.ino()).or_insert(path.as_str());
        }
        first
    }

    fn files(&self, stage: &Stage, is_whole: bool, when: &str) {
        let ask = "SELECT path, folder, name, extension, kind, size, strftime(modified, '%Y-%m-%d %H:%M:%S.%f') AS modified, links, \
                   content_hash, duplicates, tags, here FROM files ORDER BY path";
        let told: BTreeMap<String, Value> = rows(stage, ask)
            .into_iter()
            .map(|row| (text(&row, "path"), row))
            .collect();
        let paths = |all: Vec<&String>| all.into_iter().cloned().collect::<Vec<_>>();
        assert_eq!(
            paths(told.keys().collect()),
            paths(self.names.keys().collect()),
            "{when}: paths of files"
        );
        let mut same: BTreeMap<&[u8], BTreeSet<u64>> = BTreeMap::new();
        for name in self.names.values().filter(|name| name.is_regular()) {
            let bytes = name.bytes.as_deref().unwrap_or_default();
            same.entry(bytes).or_default().insert(name.ino());
        }
        let mut hashes: BTreeMap<String, &[u8]> = BTreeMap::new();
        for (path, name) in &self.names {
            use std::os::unix::fs::MetadataExt;
            let row = &told[path];
            let context = format!("{when}: {row}");
            assert_eq!(text(row, "folder"), name.folder(), "{context}");
            assert_eq!(text(row, "name"), name.name(), "{context}");
            assert_eq!(
                row["extension"].as_str(),
                name.extension().as_deref(),
                "{context}"
            );
            assert_eq!(text(row, "kind"), name.kind(), "{context}");
            assert_eq!(row["size"], name.meta.size(), "{context}");
            assert_eq!(row["links"], name.meta.nlink(), "{context}");
            let modified = jiff::Timestamp::new(name.meta.mtime(), name.meta.mtime_nsec() as i32).unwrap();
            let modified = modified.to_zoned(jiff::tz::TimeZone::system());
            assert_eq!(
                text(row, "modified"),
                modified.strftime("%Y-%m-%d %H:%M:%S.%6f").to_string(),
                "{context}"
            );
            if let Some(note) = self.notes.get(path) {
                let tags: BTreeSet<String> = row["tags"].as_array().unwrap().iter().map(tag).collect();
                assert_eq!(tags, note.tags, "{context}");
            }
            if !is_whole || !name.is_regular() {
                continue;
            }
            assert_eq!(row["here"], true, "{context}");
            let bytes = name.bytes.as_deref().unwrap_or_default();
            let others = same[bytes].len() as u64 - 1;
            assert_eq!(
                row["duplicates"],
                if bytes.is_empty() { 0 } else { others },
                "{context}"
            );
            let known = hashes.insert(text(row, "content_hash"), bytes);
            assert!(
                known.is_none_or(|known| known == bytes),
                "{context}: one hash for two"
            );
        }
        let contents: BTreeSet<&[u8]> = hashes.values().copied().collect();
        assert_eq!(contents.len(), hashes.len(), "{when}: two hashes for one content");
    }

    fn notes(&self, stage: &Stage, when: &str) {
        let mut told: BTreeMap<String, Value> = BTreeMap::new();
        for row in rows(stage, "SELECT * FROM notes") {
            told.insert(text(&row, "path"), row);
        }
        let paths: BTreeSet<String> = told.keys().cloned().collect();
        assert_eq!(paths, self.are_notes, "{when}: paths of notes");
        let mut tasks: BTreeSet<(String, u64, String)> = BTreeSet::new();
        for row in rows(stage, "SELECT path, line, status FROM tasks") {
            tasks.insert((
                text(&row, "path"),
                row["line"].as_u64().unwrap(),
                text(&row, "status"),
            ));
        }
        let mut links: Vec<(String, u64, String, String, String, Option<String>)> = Vec::new();
        for row in rows(
            stage,
            "SELECT path, line, kind, target, state, to_path FROM links",
        ) {
            let line = row["line"].as_u64().unwrap();
            let [path, kind, target, state] = ["path", "kind", "target", "state"].map(|c| text(&row, c));
            links.push((
                path,
                line,
                kind,
                target,
                state,
                row["to_path"].as_str().map(str::to_owned),
            ));
        }
        let first = self.first_names();
        for (path, note) in &self.notes {
            let row = &told[path];
            let context = format!("{when}: {row}");
            assert_eq!(row["words"], note.words, "{context}");
            let headings = row["headings"].as_array().unwrap().iter().map(|heading| {
                let number = |what: &str| heading[what].as_u64().unwrap() as usize;
                (number("level"), text(heading, "text"), number("line"))
            });
            assert_eq!(headings.collect::<Vec<_>>(), note.headings, "{context}");
            let told: Vec<_> = tasks.iter().filter(|task| &task.0 == path).collect();
            let wanted = note.tasks.iter().map(|(line, is_done)| {
                let status = if *is_done { "done" } else { "open" };
                (path.clone(), *line as u64, status.to_owned())
            });
            assert_eq!(
                told,
                wanted.collect::<Vec<_>>().iter().collect::<Vec<_>>(),
                "{context}"
            );
            let own = first[&self.names[path].ino()];
            let mut wanted: Vec<_> = note
                .links
                .iter()
                .map(|link| {
                    let leads = plain::lead(&self.names, own, link);
                    let kind = if link.is_wiki { "wiki" } else { "markdown" };
                    let state = if leads.is_some() { "resolved" } else { "dangling" };
                    let line = link.line as u64;
                    let leads = leads.map(str::to_owned);
                    (
                        path.clone(),
                        line,
                        kind.to_owned(),
                        link.target.clone(),
                        state.to_owned(),
                        leads,
                    )
                })
                .collect();
            let mut told: Vec<_> = links.iter().filter(|link| &link.0 == path).cloned().collect();
            told.sort();
            wanted.sort();
            assert_eq!(told, wanted, "{context}");
            assert_eq!(row["links"], note.links.len(), "{context}");
            assert_eq!(row["tasks"], note.tasks.len(), "{context}");
        }
    }

    /// Each word finds all notes in which it stands, and nothing that is not there.
    fn searched(&self, stage: &Stage, when: &str) {
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let words = searches().filter(|(_, select)| WORDS.iter().any(|word| select.contains(word)));
        for row in rows(stage, &together(words)) {
            let row: Value = serde_json::from_str(&text(&row, "row")).unwrap();
            found
                .entry(text(&row, "word"))
                .or_default()
                .insert(text(&row, "path"));
        }
        for word in WORDS {
            let found = found.remove(word).unwrap_or_default();
            for path in &found {
                assert!(
                    self.names.contains_key(path),
                    "{when}: {word} finds {path}, which is gone"
                );
            }
            for (path, name) in &self.names {
                if !self.notes.contains_key(path) {
                    continue;
                }
                let bytes = name.bytes.as_deref().unwrap_or_default();
                let says = plain::words(std::str::from_utf8(bytes).unwrap()).any(|said| said == word);
                assert_eq!(found.contains(path), says, "{when}: {word} finds {path}");
            }
        }
    }
}

fn tag(tag: &Value) -> String {
    tag.as_str().unwrap_or_default().to_owned()
}
