//! Questions to a mounted vault: SQL, search and the folder `.coffer`, by the built program. Skipped, with a word, where nothing can be
//! mounted.

mod common;

use common::{PASSWORD, Stage, cannot_mount, children, kill, lives, until};
use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What runs until it is ended.
const ENDLESS: &str = "SELECT count(*) FROM range(1000000) a, range(1000000) b, range(1000000) c WHERE a.range + b.range + c.range < 0";

fn mounted() -> Stage {
    let stage = Stage::with_vault();
    stage.mount();
    let write = |path: &str, text: &str| fs::write(stage.mnt().join(path), text).unwrap();
    fs::remove_file(stage.mnt().join("Notes/Welcome.md")).unwrap();
    write(
        "Notes/Garden.md",
        "# The garden\n\nRoses, see [[Plan]]. #green/roses\n- [ ] call Mira 📅 2026-03-01 #phone\n",
    );
    write(
        "Notes/Plan.md",
        "See [[Garden]] and [[Nowhere]].\n- [x] dig ✅ 2026-01-02\n",
    );
    write(
        "Contacts/mira.vcf",
        "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Mira Müller\r\nN:Müller;Mira;;;\r\nTEL:+49 123\r\nEND:VCARD\r\n",
    );
    write("Files/copy.txt", "the same");
    write("Files/copy.bin", "the same");
    stage
}

/// The rows of a query, as CSV.
fn rows(stage: &Stage, query: &str) -> Vec<String> {
    let said = stage.run(&["sql", query, "--format", "csv"]).gives(0);
    said.out.lines().skip(1).map(str::to_owned).collect()
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

/// Guards the commands for common questions, and that each shows what was saved just before.
#[test]
fn questions_are_answered() {
    if cannot_mount() {
        return;
    }
    let stage = mounted();
    let shown = |args: &[&str]| stage.run(&[args, &["--format", "csv"]].concat()).gives(0).out;
    assert_eq!(
        rows(&stage, "SELECT path, kind, size FROM files ORDER BY path"),
        [
            "Contacts/mira.vcf,contacts,86",
            "Files/copy.bin,data,8",
            "Files/copy.txt,note,8",
            "Notes/Garden.md,note,87",
            "Notes/Plan.md,note,57",
        ]
    );
    assert_eq!(
        rows(&stage, "SELECT path, state, to_path FROM links ORDER BY ALL"),
        [
            "Notes/Garden.md,resolved,Notes/Plan.md",
            "Notes/Plan.md,dangling,",
            "Notes/Plan.md,resolved,Notes/Garden.md",
        ]
    );
    assert_eq!(
        shown(&["tasks"]),
        "due,priority,task,project,path,line\n2026-03-01,,call Mira #phone,,Notes/Garden.md,4\n"
    );
    assert_eq!(shown(&["tasks", "--due", "2026-02-28"]).lines().count(), 1);
    assert_eq!(shown(&["tasks", "--all"]).lines().count(), 3);
    assert!(shown(&["contacts", "muller"]).contains("Mira Müller,,+49 123"));
    assert_eq!(shown(&["tags"]), "tag,files\ngreen/roses,1\nphone,1\n");
    assert_eq!(
        shown(&["backlinks", "mnt/Notes/Plan.md"]),
        "path,line,kind,link\nNotes/Garden.md,3,wiki,Plan\n"
    );
    assert_eq!(
        shown(&["dupes"]),
        "size,copies,files\n8,2,Files/copy.bin = Files/copy.txt\n"
    );
    assert_eq!(shown(&["recent", "-n", "2"]).lines().count(), 3);
    let found = stage.run(&["search", "RÖSES"]).gives(0).out;
    assert!(
        found.starts_with("Notes/Garden.md:3  The garden\n") && found.contains("Roses, see"),
        "{found}"
    );
    assert_eq!(shown(&["search", "in:Files", "same"]).lines().count(), 2);
    let bars = stage
        .run(&[
            "chart",
            "SELECT kind, sum(size) AS bytes FROM files GROUP BY kind ORDER BY bytes DESC;",
        ])
        .gives(0)
        .out;
    assert!(
        bars.contains("note") && bars.contains('█') && bars.contains("152"),
        "{bars}"
    );
    stage
        .run(&[
            "chart",
            "SELECT modified FROM files",
            "--svg",
            "c.svg",
            "--png",
            "c.png",
        ])
        .gives(0);
    assert!(fs::read(stage.path("c.png")).unwrap().starts_with(b"\x89PNG"));
    assert!(
        fs::read_to_string(stage.path("c.svg"))
            .unwrap()
            .starts_with("<svg")
    );
    stage
        .run(&["chart", "SELECT modified FROM files", "--svg", "c.svg"])
        .gives(2);
    let wrong = stage
        .run(&["chart", "SELECT path FROM files", "--kind", "lines"])
        .gives(2);
    assert!(wrong.err.contains("A line needs"), "{}", wrong.err);
    let wrong = stage.run(&["sql", "SELECT pth FROM files"]).gives(2);
    assert!(wrong.err.contains("pth") && wrong.out.is_empty(), "{}", wrong.err);
    let wrong = stage.run(&["sql", "DELETE FROM files"]).gives(2);
    assert!(wrong.err.contains("only reads"), "{}", wrong.err);
    stage.run(&["tasks", "--due", "soon"]).gives(2);
}

/// Guards that a query sees each save, rename and removal before it, without waiting for anything.
#[test]
fn each_save_is_seen_by_the_next_query() {
    if cannot_mount() {
        return;
    }
    let stage = mounted();
    // Names of texts that are none.
    std::os::unix::fs::symlink("Plan.md", stage.mnt().join("Notes/Link.md")).unwrap();
    assert_eq!(
        rows(&stage, "SELECT kind FROM files WHERE name = 'Link.md'"),
        ["link"]
    );
    let zones = "SELECT timezone('Asia/Tokyo', TIMESTAMP '2026-01-01 00:00:00') = timezone('Asia/Seoul', TIMESTAMP '2026-01-01 00:00:00')";
    assert_eq!(rows(&stage, zones), ["true"]);
    let note = stage.mnt().join("Notes/Plan.md");
    for turn in 0..10 {
        fs::write(&note, format!("# Turn {turn}\n")).unwrap();
        assert_eq!(
            rows(&stage, "SELECT title FROM notes WHERE path = 'Notes/Plan.md'"),
            [format!("Turn {turn}")]
        );
        assert_eq!(
            rows(&stage, &format!("SELECT path FROM search('\"turn {turn}\"')")),
            ["Notes/Plan.md"]
        );
    }
    fs::rename(stage.mnt().join("Notes"), stage.mnt().join("Old")).unwrap();
    assert_eq!(
        rows(&stage, "SELECT path FROM notes WHERE title = 'Turn 9'"),
        ["Old/Plan.md"]
    );
    fs::remove_file(stage.mnt().join("Old/Plan.md")).unwrap();
    assert_eq!(
        rows(&stage, "SELECT path FROM notes WHERE title = 'Turn 9'"),
        Vec::<String>::new()
    );
    assert_eq!(
        rows(&stage, "SELECT state FROM links WHERE path = 'Old/Garden.md'"),
        ["dangling"]
    );
    assert_eq!(
        rows(
            &stage,
            "SELECT DISTINCT path, removed FROM history WHERE path LIKE '%Plan.md'"
        ),
        ["Old/Plan.md,true"]
    );
}

/// Guards what the folder shows: tables as `coffer sql` gives them, saved queries as folders of links, searches, and why a query fails.
#[test]
fn the_folder_shows_tables_queries_and_searches() {
    if cannot_mount() {
        return;
    }
    let stage = mounted();
    let shelf = stage.mnt().join(".coffer");
    let table = fs::read_to_string(shelf.join("tables/links.csv")).unwrap();
    let query = stage.run(&["sql", "FROM links", "--format", "csv"]).gives(0).out;
    assert_eq!(table, query);
    let parquet = fs::read(shelf.join("tables/files.parquet")).unwrap();
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));
    let names = |folder: &str| {
        let mut names: Vec<String> = fs::read_dir(shelf.join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names("search/roses"), ["Garden.md"]);
    assert!(
        fs::read_to_string(shelf.join("search/roses/Garden.md"))
            .unwrap()
            .contains("Roses")
    );
    fs::write(
        shelf.join("views/Open.sql"),
        "SELECT DISTINCT path FROM tasks WHERE status = 'open'",
    )
    .unwrap();
    assert_eq!(names("views"), ["Open", "Open.sql"]);
    assert_eq!(names("views/Open"), ["Garden.md"]);
    fs::write(shelf.join("views/Bad.sql"), "SELECT\n  nothing FROM files").unwrap();
    until("the error is shown", || names("views/Bad") == ["ERROR.txt"]);
    let error = fs::read_to_string(shelf.join("views/Bad/ERROR.txt")).unwrap();
    assert!(error.contains("nothing"), "{error}");
    // What lies there is no content.
    assert_eq!(
        rows(&stage, "SELECT count(*) FROM files WHERE path LIKE '.coffer%'"),
        ["0"]
    );
}

/// Guards the walls of the process: it can open, connect and start nothing, and what a query tries comes to no such call at all.
#[test]
fn the_process_is_walled_in() {
    if cannot_mount() {
        return;
    }
    let stage = mounted();
    rows(&stage, "SELECT 1");
    let pid = worker(&stage).expect("it runs");
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(
        status.contains("NoNewPrivs:\t1") && status.contains("Seccomp:\t2"),
        "{status}"
    );
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap();
    assert!(
        environment.is_empty() || environment.starts_with(b"TZ"),
        "{}",
        String::from_utf8_lossy(&environment)
    );
    if Command::new("strace").arg("-V").output().is_err() {
        eprintln!("skipped: watching system calls needs strace");
        return;
    }
    let log = stage.path("calls");
    let mut strace = Command::new("strace");
    strace
        .args([
            "-f",
            "-qq",
            "-e",
            "trace=%file,%net,execve,fork,vfork,write,pwrite64",
            "-o",
        ])
        .arg(&log);
    let mut strace = strace
        .args(["-p", &pid.to_string()])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("it is watched", || {
        fs::read_to_string(format!("/proc/{pid}/status"))
            .unwrap()
            .contains(&format!("TracerPid:\t{}", strace.id()))
    });
    for query in [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM 'https://example.org/x.parquet'",
        "COPY (SELECT 1) TO '/tmp/coffer-was-here'",
        "INSTALL httpfs",
        "ATTACH '/tmp/coffer-was-here'",
    ] {
        assert_ne!(stage.run(&["sql", query]).code, 0, "{query}");
    }
    // More than fits: it fails, and spills nothing.
    stage
        .run(&[
            "sql",
            "SELECT md5(range::VARCHAR) m FROM range(1000000000) ORDER BY m",
            "--timeout",
            "30s",
        ])
        .gives(1);
    rows(&stage, "SELECT path FROM search('roses')");
    kill(strace.id(), libc::SIGINT);
    strace.wait().unwrap();
    let calls = fs::read_to_string(&log).unwrap();
    let out = |line: &&str| {
        let call = line.split_once(' ').map_or(*line, |(_, call)| call.trim_start());
        // What it tells goes over the sockets that it has.
        let own = [
            "sendmsg(",
            "recvmsg(",
            "sendto(",
            "recvfrom(",
            "shutdown(",
            "write(",
            "readlink(",
        ];
        !own.iter().any(|own| call.starts_with(own))
            && line.contains(" = ")
            && !line.contains(" = -1 ")
            && call.contains('(')
    };
    let reached: Vec<&str> = calls.lines().filter(out).collect();
    assert_eq!(reached, Vec::<&str>::new());
    assert!(!PathBuf::from("/tmp/coffer-was-here").exists());
}

/// Guards that the vault and questions go on when the process is killed, and that it holds nothing of the mount.
#[test]
fn a_killed_index_comes_back() {
    if cannot_mount() {
        return;
    }
    let stage = mounted();
    for _ in 0..2 {
        rows(&stage, "SELECT 1");
        let pid = worker(&stage).expect("it runs");
        kill(pid, libc::SIGKILL);
        until("it is there again", || {
            worker(&stage).is_some_and(|new| new != pid)
        });
        assert_eq!(
            rows(&stage, "SELECT title FROM notes WHERE path LIKE '%Garden.md'"),
            ["The garden"]
        );
    }
}

/// Guards the ends of queries that run away: their time, ^C, and the lock, which waits for none of them.
#[test]
fn runaway_queries_end() {
    if cannot_mount() {
        return;
    }
    let stage = mounted();
    let late = stage.run(&["sql", ENDLESS, "--timeout", "1s"]).gives(1);
    assert!(late.err.contains("took longer"), "{}", late.err);
    let endless = || {
        let mut command = stage.command(&["sql", ENDLESS, "--timeout", "1h"]);
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let cpu = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let (_, rest) = stat.rsplit_once(") ").unwrap();
        let fields: Vec<i64> = rest.split(' ').filter_map(|field| field.parse().ok()).collect();
        // After the state: ppid … utime is the 11th number, stime the 12th.
        fields[10] + fields[11]
    };
    let pid = worker(&stage).expect("it runs");
    let mut asked = endless();
    let begun = cpu(pid);
    until("it runs", || cpu(pid) > begun + 20);
    kill(asked.id(), libc::SIGINT);
    asked.wait().unwrap();
    until("it has ended", || {
        let before = cpu(pid);
        std::thread::sleep(Duration::from_millis(300));
        cpu(pid) <= before + 2
    });
    assert_eq!(rows(&stage, "SELECT 1"), ["1"]);
    let mut asked = endless();
    until("it runs", || cpu(pid) > begun + 60);
    let begun = Instant::now();
    stage.run(&["lock"]).gives(0);
    assert!(begun.elapsed() < Duration::from_secs(20));
    let mut said = String::new();
    asked.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(!asked.wait().unwrap().success(), "{said}");
    until("its process is gone", || !lives(pid));
}

/// Guards that a vault that is not mounted answers, too, when it is given its password.
#[test]
fn a_locked_vault_is_asked_with_its_password() {
    if cannot_mount() {
        return;
    }
    let stage = mounted();
    stage.run(&["lock"]).gives(0);
    let mut command = stage.command(&[
        "sql",
        "SELECT count(*) FROM notes",
        "--format",
        "csv",
        "--password-stdin",
    ]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), PASSWORD.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(out.stdout).unwrap(), "count_star()\n3\n");
}
