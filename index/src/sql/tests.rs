//! Guards what queries may and may not do.

use super::*;
use crate::catalog::SCHEMA;
use duckdb::arrow::array::RecordBatch;
use duckdb::arrow::datatypes::SchemaRef;
use duckdb::arrow::util::display::array_value_to_string;

struct Nothing;

impl Search for Nothing {
    fn search(&self, words: &str, best: usize) -> Result<Vec<(u64, f32)>, String> {
        match words {
            "bad" => Err("Bad words.".into()),
            _ => Ok([(7, 1.5), (8, 0.5)].into_iter().take(best).collect()),
        }
    }
}

#[derive(Default)]
struct Rows(Vec<Vec<String>>, Option<SchemaRef>);

impl Sink for Rows {
    fn begin(&mut self, schema: SchemaRef) -> Result<(), String> {
        self.1 = Some(schema);
        Ok(())
    }

    fn take(&mut self, batch: &RecordBatch) -> Result<(), String> {
        for row in 0..batch.num_rows() {
            let cells = batch
                .columns()
                .iter()
                .map(|column| array_value_to_string(column, row));
            self.0
                .push(cells.collect::<Result<_, _>>().map_err(|e| e.to_string())?);
        }
        Ok(())
    }
}

fn open() -> Database {
    let search: Arc<dyn Search> = Arc::new(Nothing);
    Database::open(200 << 20, SCHEMA, &search, &Texts::new(1 << 20)).unwrap()
}

fn ask(db: &Database, sql: &str) -> Result<Vec<Vec<String>>, String> {
    let mut rows = Rows::default();
    let now = jiff::civil::datetime(2026, 3, 29, 1, 30, 0, 500_000_000);
    db.query(sql, &[], now, &Stop::default(), &mut rows)
        .map_err(|e| e.to_string())?;
    Ok(rows.0)
}

/// Guards that no statement reaches a file, an extension, a setting or the tables themselves.
#[test]
fn nothing_but_reading_is_let_through() {
    let db = open();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.csv");
    std::fs::write(&file, "a\n1\n").unwrap();
    let file = file.to_str().unwrap();
    let made = folder.path().join("made");
    let made = made.to_str().unwrap();
    let vectors = [
        format!("SELECT * FROM read_csv('{file}')"),
        format!("SELECT * FROM read_text('{file}')"),
        format!("SELECT * FROM read_blob('{file}')"),
        format!("SELECT * FROM read_json('{file}')"),
        format!("SELECT * FROM glob('{}/*')", folder.path().display()),
        format!("SELECT * FROM '{file}'"),
        format!("FROM \"{file}\""),
        format!("SELECT * FROM sniff_csv('{file}')"),
        format!("SELECT * FROM query('SELECT * FROM read_csv(''{file}'')')"),
        format!("SELECT * FROM query_table('{file}')"),
        format!("SELECT * FROM read_duckdb('{file}')"),
        format!("COPY (SELECT 1) TO '{made}'"),
        format!("COPY files FROM '{file}'"),
        format!("EXPORT DATABASE '{made}'"),
        format!("ATTACH '{made}'"),
        format!("IMPORT DATABASE '{made}'"),
        "SELECT * FROM read_parquet('https://example.org/x.parquet')".into(),
        "SELECT * FROM 'https://example.org/x.csv'".into(),
        "INSTALL icu".into(),
        "LOAD icu".into(),
        "FORCE INSTALL httpfs FROM community".into(),
        "SET enable_external_access = true".into(),
        "RESET enable_external_access".into(),
        "SET temp_directory = '/tmp'".into(),
        "PRAGMA enable_profiling".into(),
        format!("CALL enable_logging(storage = 'file', storage_path = '{made}')"),
        format!("SELECT * FROM enable_logging(storage = 'file', storage_path = '{made}')"),
        format!("SELECT * FROM enable_profiling(save_location = '{made}')"),
        "CREATE TABLE x(a INT)".into(),
        "CREATE TEMP TABLE x(a INT)".into(),
        "INSERT INTO base.files(node) VALUES (1)".into(),
        "DELETE FROM base.files".into(),
        "UPDATE base.files SET path = ''".into(),
        "WITH x AS (SELECT 1) INSERT INTO base.files(node) FROM x".into(),
        "WITH x AS (DELETE FROM base.files RETURNING *) FROM x".into(),
        "EXPLAIN ANALYZE DELETE FROM base.files".into(),
        "SELECT 1; DROP VIEW files".into(),
        r"SELECT E'\''; ROLLBACK; DROP VIEW files; --'".into(),
        "SELECT 1; ROLLBACK; SELECT 2".into(),
        "DROP VIEW files".into(),
        "CHECKPOINT".into(),
        "BEGIN".into(),
        "DETACH vault".into(),
        "USE memory".into(),
        "CREATE SECRET s (TYPE s3)".into(),
        "PREPARE x AS SELECT 1".into(),
        "VACUUM".into(),
        "SELECT * FROM checkpoint('vault')".into(),
        "FROM \"force_checkpoint\" ('vault')".into(),
    ];
    for sql in &vectors {
        let refused = ask(&db, sql);
        assert!(refused.is_err(), "{sql}: {refused:?}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(ask(&db, "SELECT count(*) FROM files").unwrap(), [["0"]]);
    let on = "SELECT name, value FROM duckdb_settings() WHERE name IN ('enable_external_access', 'lock_configuration', 'autoload_known_extensions', 'autoinstall_known_extensions', 'temp_directory') ORDER BY name";
    let set: Vec<String> = ask(&db, on)
        .unwrap()
        .into_iter()
        .map(|row| row.join("="))
        .collect();
    assert_eq!(
        set,
        [
            "autoinstall_known_extensions=false",
            "autoload_known_extensions=false",
            "enable_external_access=false",
            "lock_configuration=true",
            "temp_directory=",
        ]
    );
}

/// Guards what reads and is no SELECT.
#[test]
fn what_reads_is_let_through() {
    let db = open();
    for sql in [
        "FROM files",
        "DESCRIBE files",
        "SHOW TABLES",
        "SUMMARIZE files",
        "EXPLAIN SELECT * FROM files",
        "PIVOT files ON kind USING count(*)",
        "WITH a AS (SELECT 1) FROM a",
        "VALUES (1)",
        "SELECT NULL, [NULL], {'a': NULL}",
        "SELECT 1 -- x",
    ] {
        assert!(ask(&db, sql).is_ok(), "{sql}: {:?}", ask(&db, sql));
    }
    let tables: Vec<String> = ask(&db, "SHOW TABLES").unwrap().concat();
    assert_eq!(
        tables,
        [
            "about", "blobs", "contacts", "devices", "events", "files", "history", "links", "notes",
            "problems", "tags", "tasks"
        ]
    );
}

/// Guards local time without ICU: what clocks show here, standing still, and dates that can be reckoned with.
#[test]
fn the_clock_is_local() {
    let db = open();
    for (sql, expected) in [
        ("SELECT current_date", "2026-03-29"),
        ("SELECT today()", "2026-03-29"),
        ("SELECT now()", "2026-03-29T01:30:00.500"),
        ("SELECT current_timestamp", "2026-03-29T01:30:00.500"),
        ("SELECT localtimestamp", "2026-03-29T01:30:00.500"),
        ("SELECT current_time", "01:30:00.500"),
        ("SELECT localtime", "01:30:00.500"),
        ("SELECT now() - INTERVAL 1 MONTH", "2026-02-28T01:30:00.500"),
        ("SELECT current_date + 7", "2026-04-05"),
        ("SELECT date_trunc('week', current_date)", "2026-03-23T00:00:00"),
        ("SELECT date_diff('day', DATE '2026-01-01', current_date)", "87"),
        ("SELECT extract('isodow' FROM current_date)", "7"),
        ("SELECT strftime(now(), '%A %d %B')", "Sunday 29 March"),
        (
            "SELECT (current_date BETWEEN DATE '2026-03-01' AND today() + INTERVAL 1 DAY)::VARCHAR",
            "true",
        ),
        (
            "SELECT count(*) FROM files WHERE modified > now() - INTERVAL 3 DAY",
            "0",
        ),
        ("SELECT (now() = (SELECT now()))::VARCHAR", "true"),
    ] {
        assert_eq!(ask(&db, sql).unwrap(), [[expected]], "{sql}");
    }
    let there = functions::shown(
        0,
        &jiff::tz::TimeZone::get("Europe/Berlin").unwrap(),
        &jiff::tz::TimeZone::get("Asia/Tokyo").unwrap(),
    );
    assert_eq!(there, Some(8 * 3_600_000_000));
    let same = "SELECT (timezone('UTC', t) = t AT TIME ZONE 'UTC')::VARCHAR, timezone(NULL, t) FROM (SELECT now() AS t)";
    assert_eq!(ask(&db, same).unwrap(), [["true", ""]]);
    assert!(
        ask(&db, "SELECT now() AT TIME ZONE 'Nowhere'")
            .unwrap_err()
            .contains("There is no time zone “Nowhere”")
    );
}

/// Guards that a query that runs away is ended: by who asked, by its time, by its memory.
#[test]
fn a_runaway_query_is_ended() {
    let db = Arc::new(open());
    let endless = "SELECT count(*) FROM range(1000000) a, range(1000000) b, range(1000000) c WHERE a.range + b.range + c.range < 0";
    type End = fn(&Stop);
    for (end, expected) in [(Stop::cancel as End, "was ended."), (Stop::late, "took longer")] {
        let stop = Stop::default();
        let (other, asked) = (stop.clone(), Arc::clone(&db));
        let run = std::thread::spawn(move || {
            let now = jiff::civil::datetime(2026, 1, 1, 0, 0, 0, 0);
            asked
                .query(endless, &[], now, &other, &mut Rows::default())
                .unwrap_err()
                .to_string()
        });
        // It is ended whenever this comes: before it began, while it binds, or in its midst.
        end(&stop);
        let said = run.join().unwrap();
        assert!(said.contains(expected), "{said}");
    }
    let much =
        "SELECT max(length(s)) FROM (SELECT string_agg(repeat('x', 1000), '') AS s FROM range(10000000))";
    let said = ask(&db, much).unwrap_err();
    assert!(said.contains("more memory"), "{said}");
    let sorted = "SELECT md5(range::VARCHAR) m FROM range(100000000) ORDER BY m";
    let said = ask(&db, sorted).unwrap_err();
    assert!(said.contains("more memory"), "{said}");
    assert!(ask(&db, "SELECT 1").is_ok());
}

/// Guards search as a table, its errors, and values for a statement.
#[test]
fn search_is_a_table() {
    let db = open();
    let writer = db.connect().unwrap();
    writer
        .execute_batch("INSERT INTO base.files(node, file, path, name, id) VALUES (1, 7, 'a.md', 'a.md', 'x'), (2, 9, 'b.md', 'b.md', 'y'), (3, 7, 'c/d.md', 'd.md', 'x')")
        .unwrap();
    assert_eq!(
        ask(
            &db,
            "SELECT path, score, rank FROM search('x') JOIN files USING (path)"
        )
        .unwrap(),
        [["a.md", "1.5", "1"], ["c/d.md", "1.5", "1"]]
    );
    assert_eq!(ask(&db, "FROM search('bad')").unwrap_err(), "Bad words.");
    let mut rows = Rows::default();
    let now = jiff::civil::datetime(2026, 1, 1, 0, 0, 0, 0);
    let values = [Value::Text("a.md".into()), Value::Whole(1)];
    let mut query = |sql: &str, values: &[Value]| {
        db.query(sql, values, now, &Stop::default(), &mut rows)
            .map_err(|e| e.to_string())
    };
    assert_eq!(
        query("SELECT path FROM files WHERE path = $1 AND $2 = 1", &values),
        Ok(1)
    );
    assert!(
        query("SELECT $1, $2", &values[..1])
            .unwrap_err()
            .contains("asks for 2 values")
    );
    assert!(
        query("SELECT pth FROM files", &[])
            .unwrap_err()
            .contains("Candidate bindings")
    );
}

/// Guards that the views are what docs/views.md says: their columns, in this order, of these types.
#[test]
fn the_views_are_as_documented() {
    let db = open();
    let text = include_str!("../../../docs/views.md");
    let mut said = Vec::new();
    let mut view = "";
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("## ") {
            view = name;
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, columns, kinds, ..] = cells[..] else {
            continue;
        };
        if view.contains(['(', ' ']) || !columns.starts_with('`') {
            continue;
        }
        let names: Vec<&str> = columns.split(", ").map(|name| name.trim_matches('`')).collect();
        let kinds: Vec<&str> = match kinds.starts_with("STRUCT") {
            true => vec![kinds],
            false => kinds.split(", ").collect(),
        };
        for (at, name) in names.iter().enumerate() {
            let kind = kinds.get(at).unwrap_or(&kinds[0]);
            said.push(format!("{view}.{name} {kind}"));
        }
    }
    let mut is = Vec::new();
    for view in ask(&db, "SHOW TABLES").unwrap().concat() {
        for column in ask(&db, &format!("DESCRIBE {view}")).unwrap() {
            is.push(format!(
                "{view}.{} {}",
                column[0],
                column[1]
                    .replace("\"level\"", "level")
                    .replace("\"line\"", "line")
            ));
        }
    }
    let order = |list: &[String]| {
        let mut list = list.to_vec();
        // Views in any order, columns in theirs.
        list.sort_by_key(|line| line.split('.').next().unwrap_or_default().to_owned());
        list
    };
    assert_eq!(order(&is), order(&said));
}

/// Guards that a note's text is what its number says, and that a search's columns follow: the best, with what was found.
#[test]
fn texts_are_shown_by_number() {
    let search: Arc<dyn Search> = Arc::new(Nothing);
    let texts = Texts::new(1 << 20);
    let db = Database::open(200 << 20, SCHEMA, &search, &texts).unwrap();
    let id = texts.put("the garden\nat night").unwrap();
    let write = db.connect().unwrap();
    for (file, body) in [(7, id.to_string()), (8, "NULL".to_owned())] {
        let sql = format!(
            "INSERT INTO base.files(node, file, path, name, extension, id) VALUES ({file}, {file}, 'a/{file}.md', '{file}.md', 'md', '{file}');
             INSERT INTO base.notes(file, body) VALUES ({file}, {body})"
        );
        write.execute_batch(&sql).unwrap();
    }
    assert_eq!(
        ask(&db, "SELECT title, body FROM notes ORDER BY path").unwrap(),
        [["7", "the garden\nat night"], ["8", ""]]
    );
    assert_eq!(
        ask(&db, "SELECT path, rank, snippet, line FROM search('night')").unwrap(),
        [
            ["a/7.md", "1", "the garden at **night**", "2"],
            ["a/8.md", "2", "", ""]
        ]
    );
    assert_eq!(
        ask(&db, "SELECT path FROM search('night', 1)").unwrap(),
        [["a/7.md"]]
    );
    assert!(ask(&db, "SELECT * FROM search('night', 0)").unwrap().is_empty());
    assert!(ask(&db, "SELECT * FROM search('night', -1)").is_err());
}
