//! Guards that what queries see follows from what is there, and not from how it came to be.

use std::collections::BTreeMap;

use duckdb::arrow::array::RecordBatch;
use duckdb::arrow::datatypes::SchemaRef;
use duckdb::arrow::util::display::array_value_to_string;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};

use super::*;
use crate::catalog::SCHEMA;
use crate::said::{Kind, Moment};
use crate::sql::{Database, Sink, Stop};

struct Rows(Vec<String>);

impl Sink for Rows {
    fn begin(&mut self, _: SchemaRef) -> Result<(), String> {
        Ok(())
    }

    fn take(&mut self, batch: &RecordBatch) -> Result<(), String> {
        for row in 0..batch.num_rows() {
            let cells = batch
                .columns()
                .iter()
                .map(|column| array_value_to_string(column, row));
            let cells: Vec<String> = cells.collect::<Result<_, _>>().map_err(|e| e.to_string())?;
            self.0.push(cells.join("|"));
        }
        Ok(())
    }
}

struct Kept {
    db: Database,
    keeper: Keeper,
}

impl Kept {
    fn new() -> Kept {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let searched = Searched::new(15_000_000).unwrap();
        let texts = Texts::new(64 << 20);
        let db = Database::open(500 << 20, SCHEMA, &searched.answers(&zone), &texts).unwrap();
        let catalog = Catalog::new(db.connect().unwrap(), zone.clone());
        Kept {
            keeper: Keeper::new(catalog, searched, texts, zone),
            db,
        }
    }

    fn tell(&mut self, tell: Tell, vault: &Vault) {
        let mut wants = BTreeSet::new();
        self.keeper.tell(tell, &mut wants).unwrap();
        self.give(wants, vault);
    }

    /// Settles, and tells what is wanted, until nothing is.
    fn settle(&mut self, vault: &Vault) {
        for _ in 0..3 {
            let mut wants = BTreeSet::new();
            self.keeper.settle(&mut wants).unwrap();
            if wants.is_empty() {
                return self.keeper.show().unwrap();
            }
            self.give(wants, vault);
        }
        panic!("it wants more and more");
    }

    fn give(&mut self, wants: BTreeSet<u64>, vault: &Vault) {
        let files = wants
            .into_iter()
            .filter_map(|file| vault.told(file, true))
            .collect();
        let mut more = BTreeSet::new();
        self.keeper.tell(Tell::Files(files), &mut more).unwrap();
    }

    fn ask(&self, sql: &str) -> Vec<String> {
        let mut rows = Rows(Vec::new());
        let now = jiff::civil::datetime(2026, 1, 1, 0, 0, 0, 0);
        self.db.query(sql, &[], now, &Stop::default(), &mut rows).unwrap();
        rows.0
    }

    /// All that can be seen.
    fn all(&self) -> BTreeMap<String, Vec<String>> {
        let mut all = BTreeMap::new();
        for view in [
            "files", "notes", "links", "tasks", "contacts", "events", "problems", "tags", "devices",
        ] {
            all.insert(
                view.to_owned(),
                self.ask(&format!("SELECT * FROM {view} ORDER BY ALL")),
            );
        }
        for words in [
            "garden",
            "\"two words\"",
            "tag:a",
            "in:x garden",
            "md",
            "ext:ics",
            "before:2027",
            "todo OR mira",
        ] {
            let ask = format!("SELECT path FROM search('{words}') ORDER BY path");
            all.insert(words.to_owned(), self.ask(&ask));
        }
        all
    }
}

/// A vault as it is: what a keeper should know.
#[derive(Default, Clone)]
struct Vault {
    names: BTreeMap<u64, Name>,
    files: BTreeMap<u64, (Facts, Vec<u8>)>,
    next: u64,
}

const TEXTS: [&str; 12] = [
    "# Garden\n#a/b two words [[Note]] and [x](../x/Note.md)\n- [ ] water it 📅 2026-03-01 #c\n",
    "---\ntitle: T\ntags: [a]\n---\n[[y/Other|shown]] ![[pic.png]] [[nothing]] https://example.org\n",
    "two words apart: two, words. [[../Other]] [[Note#Head]] [[#here]]\n",
    "BEGIN:VCARD\nVERSION:4.0\nFN:Mira\nEMAIL:m@example.org\nCATEGORIES:a,z\nEND:VCARD\n",
    "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:1\nSUMMARY:garden party\nDTSTART:20260301T100000Z\nEND:VEVENT\nBEGIN:VTODO\nSUMMARY:todo\nEND:VTODO\nEND:VCALENDAR\n",
    "(A) call Mira +p @home due:2026-04-01\nx done\n",
    "BEGIN:VCARD\nno end",
    "---\n: : [\n---\nbroken",
    "\u{feff}é 日本語 garden",
    "",
    "\0\u{1}",
    "same",
];
const NAMES: [&str; 14] = [
    "Note.md",
    "note.md",
    "Other.md",
    "a.txt",
    "todo.txt",
    "c.vcf",
    "c.ics",
    "pic.png",
    "x",
    "y",
    ".coffer",
    "no ending",
    "Ü.markdown",
    "b.md.bak",
];

impl Vault {
    fn told(&self, file: u64, with_text: bool) -> Option<File> {
        let (facts, text) = self.files.get(&file)?;
        let text = match (with_text, facts.here) {
            (false, _) => Text::Unread,
            (_, false) => Text::Absent,
            _ => Text::Bytes(text.clone()),
        };
        let facts = facts.clone();
        Some(File { facts, text })
    }

    fn folders(&self) -> Vec<u64> {
        let folders = self.names.values().filter(|name| name.kind == Kind::Folder);
        std::iter::once(1).chain(folders.map(|name| name.file)).collect()
    }

    fn is_below(&self, folder: u64, above: u64) -> bool {
        let mut at = folder;
        while at != 1 {
            if at == above {
                return true;
            }
            at = self
                .names
                .values()
                .find(|name| name.file == at)
                .map_or(1, |name| name.parent);
        }
        above == 1
    }

    fn facts(&self, rng: &mut StdRng, file: u64, text: &[u8]) -> Facts {
        let hash = blake3::hash(text);
        let moment = |rng: &mut StdRng| Moment {
            seconds: rng.random_range(-10_000_000_000..10_000_000_000),
            nanoseconds: rng.random_range(0..1_000_000_000),
        };
        Facts {
            file,
            id: [file as u8; 16],
            size: text.len() as u64,
            created: moment(rng),
            modified: moment(rng),
            recorded: rng.random_bool(0.5).then(|| moment(rng)),
            versions: rng.random_range(0..9),
            device: vec![rng.random_range(0..3)],
            content: rng
                .random_bool(0.9)
                .then(|| hash.as_bytes()[..16].try_into().unwrap()),
            conflict: rng.random_bool(0.1).then(|| "Beside".to_owned()),
            here: rng.random_bool(0.9),
        }
    }

    /// Does something at random, and says what it touched.
    fn step(&mut self, rng: &mut StdRng) -> Vec<Tell> {
        self.next += 1;
        let number = self.next + 1;
        let folders = self.folders();
        let folder = *folders.choose(rng).unwrap();
        let name = NAMES.choose(rng).unwrap().as_bytes().to_vec();
        let some = |rng: &mut StdRng, map: Vec<u64>| map.choose(rng).copied();
        let node = some(rng, self.names.keys().copied().collect());
        let file = some(rng, self.files.keys().copied().collect());
        let text = TEXTS.choose(rng).unwrap().as_bytes().to_vec();
        let roll = rng.random_range(0..100);
        match (roll, node, file) {
            (0..35, ..) | (_, None, _) | (_, _, None) => {
                let kind = match rng.random_range(0..8) {
                    0..2 => Kind::Folder,
                    2 => Kind::Link,
                    _ => Kind::File,
                };
                let made = Name {
                    node: number + 1_000_000,
                    parent: folder,
                    name,
                    file: number,
                    kind,
                };
                self.names.insert(made.node, made.clone());
                let mut told = vec![Tell::Names(vec![made])];
                if kind != Kind::Folder {
                    let facts = self.facts(rng, number, &text);
                    self.files.insert(number, (facts, text));
                    let with_text = rng.random_bool(0.5);
                    told.push(Tell::Files(vec![self.told(number, with_text).unwrap()]));
                    if rng.random_bool(0.3) {
                        told.reverse();
                    }
                }
                told
            }
            (35..55, _, Some(file)) => {
                let facts = self.facts(rng, file, &text);
                self.files.insert(file, (facts, text));
                vec![Tell::Files(vec![self.told(file, true).unwrap()])]
            }
            (55..80, Some(node), _) => {
                let moved = self.names[&node].clone();
                if moved.kind == Kind::Folder && self.is_below(folder, moved.file) {
                    return Vec::new();
                }
                let moved = Name {
                    parent: folder,
                    name: if rng.random_bool(0.5) {
                        name
                    } else {
                        moved.name.clone()
                    },
                    ..moved
                };
                self.names.insert(node, moved.clone());
                vec![Tell::Names(vec![moved])]
            }
            (80..88, _, Some(file)) => {
                let kind = self.names.values().find(|name| name.file == file);
                let Some(kind) = kind.map(|name| name.kind) else {
                    return Vec::new();
                };
                let made = Name {
                    node: number + 1_000_000,
                    parent: folder,
                    name,
                    file,
                    kind,
                };
                self.names.insert(made.node, made.clone());
                vec![Tell::Names(vec![made])]
            }
            (_, Some(node), _) => {
                let gone = self.names[&node].clone();
                if gone.kind == Kind::Folder && self.names.values().any(|name| name.parent == gone.file) {
                    return Vec::new();
                }
                self.names.remove(&node);
                let mut told = vec![Tell::Unnamed(vec![node])];
                if !self.names.values().any(|name| name.file == gone.file) {
                    self.files.remove(&gone.file);
                    told.push(Tell::Gone(vec![gone.file]));
                }
                told
            }
        }
    }

    fn fresh(&self, rng: &mut StdRng) -> Kept {
        let mut kept = Kept::new();
        let mut told: Vec<Tell> = self
            .names
            .values()
            .map(|name| Tell::Names(vec![name.clone()]))
            .collect();
        for file in self.files.keys() {
            told.push(Tell::Files(vec![self.told(*file, true).unwrap()]));
        }
        told.shuffle(rng);
        told.into_iter().for_each(|tell| kept.tell(tell, self));
        kept.settle(self);
        kept
    }
}

fn play(seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let (mut vault, mut kept) = (Vault::default(), Kept::new());
    let devices = |kept: &mut Kept, vault: &Vault| {
        let device = |id: u8| Device {
            id: vec![id],
            name: format!("device {id}"),
            is_member: true,
            ..Device::default()
        };
        kept.tell(Tell::Devices((0..3).map(device).collect()), vault);
        kept.settle(vault);
    };
    for _ in 0..rng.random_range(1..6) {
        for _ in 0..rng.random_range(1..25) {
            for tell in vault.step(&mut rng) {
                kept.tell(tell, &vault);
            }
            if rng.random_bool(0.2) {
                kept.settle(&vault);
            }
        }
        kept.settle(&vault);
        devices(&mut kept, &vault);
        let mut fresh = vault.fresh(&mut rng);
        devices(&mut fresh, &vault);
        let (is, should) = (kept.all(), fresh.all());
        for (view, rows) in &should {
            assert_eq!(&is[view], rows, "seed {seed}: {view}");
        }
        if rng.random_bool(0.3) {
            kept.keeper.tidy().unwrap();
        }
    }
}

/// Guards the promise of the index: after any sequence of edits, renames, hard links, moves of folders and removals, told in any
/// order, every view and every search is as in one that was told the present state alone.
#[test]
fn views_follow_from_what_is_there() {
    let from: u64 = std::env::var("COFFER_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(0);
    let many = std::env::var("COFFER_SEEDS")
        .ok()
        .and_then(|many| many.parse().ok())
        .unwrap_or(20);
    (from..from + many).for_each(play);
}

/// Guards what a person sees of one small vault: paths, links, tags, copies.
#[test]
fn a_small_vault_is_seen() {
    let (mut vault, mut kept) = (Vault::default(), Kept::new());
    let mut rng = StdRng::seed_from_u64(1);
    let mut add = |node: u64, parent: u64, name: &str, file: u64, text: Option<&str>| {
        let kind = if text.is_some() { Kind::File } else { Kind::Folder };
        let name = Name {
            node,
            parent,
            name: name.into(),
            file,
            kind,
        };
        vault.names.insert(node, name.clone());
        kept.tell(Tell::Names(vec![name]), &vault);
        if let Some(text) = text {
            let facts = Facts {
                here: true,
                content: Some([text.len() as u8; 16]),
                ..vault.facts(&mut rng, file, text.as_bytes())
            };
            vault.files.insert(file, (facts, text.into()));
            kept.tell(Tell::Files(vec![vault.told(file, true).unwrap()]), &vault);
        }
    };
    add(11, 1, "Notes", 2, None);
    add(
        12,
        2,
        "Garden.md",
        3,
        Some("# The garden\n[[Plan]] #green\n- [ ] dig"),
    );
    add(13, 2, "Plan.md", 4, Some("see [[Garden]] and [[Gone]]"));
    add(14, 1, "copy", 5, Some("see [[Garden]] and [[Gone]]"));
    kept.settle(&vault);
    assert_eq!(
        kept.ask("SELECT path, title, tags FROM notes ORDER BY path"),
        ["Notes/Garden.md|The garden|[green]", "Notes/Plan.md|Plan|[]"]
    );
    assert_eq!(
        kept.ask("SELECT path, target, state, to_path FROM links ORDER BY ALL"),
        [
            "Notes/Garden.md|Plan|resolved|Notes/Plan.md",
            "Notes/Plan.md|Garden|resolved|Notes/Garden.md",
            "Notes/Plan.md|Gone|dangling|",
        ]
    );
    assert_eq!(
        kept.ask("SELECT path, folder, kind, duplicates FROM files ORDER BY path"),
        [
            "Notes/Garden.md|Notes|note|0",
            "Notes/Plan.md|Notes|note|1",
            "copy||other|1"
        ]
    );
    assert_eq!(
        kept.ask("SELECT path FROM search('green dig')"),
        ["Notes/Garden.md"]
    );
    let renamed = Name {
        node: 11,
        parent: 1,
        name: "Old".into(),
        file: 2,
        kind: Kind::Folder,
    };
    kept.tell(Tell::Names(vec![renamed]), &vault);
    kept.settle(&vault);
    assert_eq!(
        kept.ask("SELECT to_path FROM links WHERE target = 'Plan'"),
        ["Old/Plan.md"]
    );
    assert_eq!(
        kept.ask("SELECT path FROM search('in:old dig')"),
        ["Old/Garden.md"]
    );
}

/// Guards that a damaged file is listed, be it a note or a picture, until it is told of again.
#[test]
fn what_is_damaged_is_a_problem() {
    let (mut vault, mut kept) = (Vault::default(), Kept::new());
    let mut rng = StdRng::seed_from_u64(1);
    for (file, name) in [(3, "a.md"), (4, "b.png")] {
        let name = Name {
            node: file + 10,
            parent: 1,
            name: name.into(),
            file,
            kind: Kind::File,
        };
        kept.tell(Tell::Names(vec![name]), &vault);
        let facts = Facts {
            here: true,
            ..vault.facts(&mut rng, file, b"bytes")
        };
        vault.files.insert(file, (facts.clone(), b"bytes".to_vec()));
        let text = Text::Failed("It is damaged.".into());
        kept.tell(Tell::Files(vec![File { facts, text }]), &vault);
    }
    kept.settle(&vault);
    let problems = |kept: &Kept| kept.ask("SELECT path, reason FROM problems ORDER BY path");
    assert_eq!(problems(&kept), ["a.md|It is damaged.", "b.png|It is damaged."]);
    let told = [3, 4].map(|file| vault.told(file, file == 3).unwrap());
    kept.tell(Tell::Files(told.to_vec()), &vault);
    kept.settle(&vault);
    assert!(problems(&kept).is_empty());
}
