//! Guards what people do with a folder: git, SQLite, tar, rsync and cp, editors, and locks
//! between processes, each on a mounted vault as on ext4.

use coffer_tests::command::{has, run, shell, until, wait};
use coffer_tests::settings::pick;
use coffer_tests::tree::assert_same;
use coffer_tests::vault::Vault;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A repository worked in: commits, a branch merged, history packed, cloned, and all of it
/// still sound after a remount.
#[test]
fn git_works_in_it() {
    let (Some(vault), true) = (Vault::mounted(), has("git")) else {
        return;
    };
    let at = &vault.mountpoint;
    let commits = pick(300, 2000);
    fs::create_dir(at.join("repo")).expect("the vault is new");
    let git = "export HOME=$PWD GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b \
               GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b";
    let repo = at.join("repo");
    shell(
        &repo,
        &format!(
            "{git}
            git init -q -b main .
            # In the background it locks HEAD now and then, on any file system.
            git config gc.autoDetach false; git config maintenance.autoDetach false
            for i in $(seq {commits}); do
                d=d$((i % 7)); mkdir -p $d
                echo \"line $i\" >> $d/f$((i % 23)); seq $i > $d/new$((i % 41))
                git add -A; git commit -q -m \"commit $i\"
                if [ $((i % 50)) = 25 ]; then git checkout -q -b side$i; fi
                if [ $((i % 50)) = 40 ]; then b=$(git branch --show-current); git checkout -q main; git merge -q --no-edit $b; fi
            done
            git checkout -q main
            git stash list; git gc -q; git fsck --full --strict
            test -z \"$(git status --porcelain)\""
        ),
    );
    shell(
        at,
        &format!("{git}; git clone -q repo clone; git clone -q --no-local repo far"),
    );
    let head = shell(
        &repo,
        &format!("{git}; git rev-parse HEAD; git rev-list --all --count"),
    );
    vault.lock();
    vault.mount();
    for copy in ["repo", "clone", "far"] {
        shell(
            &at.join(copy),
            &format!("{git}; git fsck --full --strict; test -z \"$(git status --porcelain)\""),
        );
    }
    assert_eq!(
        shell(
            &repo,
            &format!("{git}; git rev-parse HEAD; git rev-list --all --count")
        ),
        head
    );
    vault.assert_sound();
}

/// A database in WAL mode, written while another process reads it: the reader sees whole
/// transactions only, and the database is sound then and after a remount.
#[test]
fn sqlite_works_in_it() {
    let (Some(vault), true) = (Vault::mounted(), has("sqlite3")) else {
        return;
    };
    let at = &vault.mountpoint;
    let transactions = pick(300, 3000);
    let made = shell(
        at,
        "sqlite3 db 'PRAGMA journal_mode=WAL; CREATE TABLE t(batch INTEGER, n INTEGER, body BLOB); CREATE INDEX i ON t(batch);'",
    );
    assert_eq!(made, "wal");
    let write: String = (0..transactions)
        .map(|batch| {
            let rows: String = (0..10)
                .map(|n| format!("INSERT INTO t VALUES({batch},{n},randomblob({}));", n * 300))
                .collect();
            format!("BEGIN;{rows}COMMIT;\n")
        })
        .collect();
    let script = vault.scratch().join("write.sql");
    fs::write(
        &script,
        format!(".timeout 60000\nPRAGMA synchronous=FULL;\n{write}"),
    )
    .expect("there is room");
    let mut writer = Command::new("sqlite3")
        .arg(at.join("db"))
        .stdin(fs::File::open(&script).expect("just written"))
        .stdout(Stdio::null())
        .spawn()
        .expect("it is installed");
    let mut looks = 0;
    let status = until("the writer ends", || {
        let torn = shell(
            at,
            "sqlite3 -cmd '.timeout 60000' db 'SELECT count(*) FROM (SELECT batch FROM t GROUP BY batch HAVING count(*) <> 10)'",
        );
        assert_eq!(torn, "0", "a reader saw part of a transaction");
        looks += 1;
        writer.try_wait().expect("it is our child")
    });
    assert!(status.success() && looks > 0);
    let sound = |when: &str| {
        let checked = shell(
            at,
            "sqlite3 db 'PRAGMA integrity_check; SELECT count(*), sum(n) FROM t;'",
        );
        assert_eq!(
            checked,
            format!("ok\n{}|{}", transactions * 10, transactions * 45),
            "{when}"
        );
    };
    sound("after writing");
    vault.lock();
    vault.mount();
    sound("after a remount");
    vault.assert_sound();
}

/// All that an archive keeps: hard links, symlinks, FIFOs, xattrs, holes, odd names, modes,
/// owners, and times before 1970 and after 2038.
fn make_tree(at: &Path) {
    fs::create_dir(at).expect("it is new");
    shell(
        at,
        r#"mkdir -p a/b/c empty; seq 10000 > a/numbers; ln a/numbers a/b/linked; ln a/numbers again
        ln -s a/numbers symlink; ln -s /nowhere/at/all dangling; mkfifo fifo
        truncate -s 1G sparse; printf data | dd of=sparse bs=1 seek=500000000 conv=notrunc status=none
        head -c 3000000 /dev/urandom > a/random; : > nothing
        printf odd > $'new\nline'; printf odd > $'not\xff\xfetext'; printf odd > "$(printf 'n%.0s' $(seq 255))"
        chmod 4755 a/random; chmod 2775 a/b; chmod 000 nothing; chown 1234:4321 a/b/c symlink -h
        setfattr -n user.mime_type -v text/plain a/numbers; setfattr -n user.bin -v 0sAP8BAg== a/b
        touch -d '1950-06-01 12:00:00.123456789 UTC' a/numbers; touch -d '2199-12-31 23:59:59.987654321 UTC' a/random
        touch -h -d '1969-12-31 23:59:59.5 UTC' symlink; touch -d '2001-01-01 UTC' a/b/c a/b empty a fifo"#,
    );
}

/// tar, rsync and cp -a bring such a tree in and out with nothing lost.
#[test]
fn archives_keep_everything() {
    let (Some(vault), true) = (Vault::mounted(), has("rsync") && has("setfattr") && has("tar")) else {
        return;
    };
    let source = vault.scratch().join("source");
    make_tree(&source);
    let (out, inside) = (vault.scratch().join("out"), vault.mountpoint.join("in"));
    fs::create_dir(&inside).expect("the vault is new");
    let ways = [
        (
            "tar",
            "mkdir {to} && tar -C {from} --xattrs --sparse -cf - . | tar -C {to} --xattrs --numeric-owner -xpf -",
        ),
        ("rsync", "rsync -aHXS --numeric-ids {from}/ {to}/"),
        ("cp", "cp -a --sparse=always {from} {to}"),
    ];
    let copy = |how: &str, from: &Path, to: &Path| {
        let line = how
            .replace("{from}", &from.to_string_lossy())
            .replace("{to}", &to.to_string_lossy());
        shell(Path::new("/"), &line);
    };
    for (name, how) in ways {
        copy(how, &source, &inside.join(name));
        assert_same(&source, &inside.join(name), &format!("{name} into the vault"));
        let sparse = fs::metadata(inside.join(name).join("sparse")).expect("it was compared");
        assert!(
            sparse.blocks() * 512 < 16 << 20,
            "{name}: the hole takes {} blocks",
            sparse.blocks()
        );
    }
    vault.lock();
    vault.mount();
    for (name, how) in ways {
        assert_same(&source, &inside.join(name), &format!("{name} after a remount"));
        copy(how, &inside.join(name), &out);
        assert_same(&source, &out, &format!("{name} out of the vault"));
        fs::remove_dir_all(&out).expect("it is ours");
    }
    fs::remove_dir_all(inside.join("tar")).expect("a tree can be removed");
    vault.assert_sound();
}

/// The three ways in which vim saves, and emacs with its backups: the new text is there, the
/// old one where the editor keeps it, and nothing else is left behind.
#[test]
fn editors_save() {
    let (Some(vault), true) = (Vault::mounted(), has("vim") && has("emacs")) else {
        return;
    };
    let at = &vault.mountpoint.join("notes");
    fs::create_dir(at).expect("the vault is new");
    for (count, how) in ["yes", "no", "auto"].into_iter().enumerate() {
        let name = format!("vim-{how}.md");
        fs::write(at.join(&name), "first\n").expect("there is room");
        fs::hard_link(at.join(&name), at.join("other-name")).expect("links work");
        let before = fs::metadata(at.join(&name)).expect("just written").ino();
        for line in ["second", "third"] {
            let edit = format!(
                "vim -es -u NONE -i NONE -N -c 'set backupcopy={how} writebackup nobackup backupskip= undofile undodir=. swapfile' -c '$put =\\\"{line}\\\"' -c wq {name} </dev/null"
            );
            shell(at, &edit);
        }
        let text = fs::read_to_string(at.join(&name)).expect("it was saved");
        assert_eq!(text, "first\nsecond\nthird\n", "backupcopy={how}");
        let other = fs::read_to_string(at.join("other-name")).expect("it is still there");
        // Renaming leaves the old file under its other name; vim itself writes in place
        // where that would break a link, unless told not to.
        let in_place = how != "no";
        assert_eq!(other == text, in_place, "backupcopy={how}: {other:?}");
        assert_eq!(
            fs::metadata(at.join(&name)).expect("it was saved").ino() == before,
            in_place
        );
        fs::remove_file(at.join("other-name")).expect("it is there");
        let names = fs::read_dir(at).expect("it is there").count();
        assert_eq!(names, 2 * (count + 1), "swap files or backups are left");
    }
    fs::write(at.join("emacs.org"), "first\n").expect("there is room");
    let save = |text: &str, rename: bool| {
        let copying = if rename { "nil" } else { "t" };
        let lisp = format!(
            "(progn (setq backup-by-copying {copying} make-backup-files t backup-enable-predicate (lambda (_) t)) (find-file \"emacs.org\") (goto-char (point-max)) (insert \"{text}\\n\") (save-buffer))"
        );
        let ended = run(
            Command::new("emacs")
                .args(["-Q", "--batch", "--eval", &lisp])
                .current_dir(at)
                .env("HOME", at),
            b"",
        );
        ended.ok();
    };
    save("second", true);
    assert_eq!(
        fs::read_to_string(at.join("emacs.org~")).expect("emacs makes a backup"),
        "first\n"
    );
    fs::remove_file(at.join("emacs.org~")).expect("it is there");
    save("third", false);
    assert_eq!(
        fs::read_to_string(at.join("emacs.org~")).expect("emacs makes a backup"),
        "first\nsecond\n"
    );
    let saved = |when: &str| {
        let text = fs::read_to_string(at.join("emacs.org")).expect("it was saved");
        assert_eq!(text, "first\nsecond\nthird\n", "{when}");
    };
    saved("after saving");
    vault.lock();
    vault.mount();
    saved("after a remount");
    vault.assert_sound();
}

/// flock(2) and POSIX record locks exclude other processes, and end with their holder.
#[test]
fn locks_exclude_other_processes() {
    let (Some(vault), true) = (Vault::mounted(), has("flock")) else {
        return;
    };
    let file = vault.mountpoint.join("locked");
    fs::write(&file, "x").expect("there is room");
    let record_lock = || Command::new(env!("CARGO_BIN_EXE_coffer-hold")).arg(&file).piped();
    let file_lock = || {
        let line = "flock -n 9 || { echo busy; exit; }; echo held; cat";
        Command::new("bash")
            .args(["-c", &format!("exec 9<>\"$0\"; {line}")])
            .arg(&file)
            .piped()
    };
    let ways: [(&str, &dyn Fn() -> Child); 2] = [("fcntl", &record_lock), ("flock", &file_lock)];
    for (name, take) in ways {
        let mut first = take();
        assert_eq!(word(&mut first), "held", "{name}: nobody else has it");
        let mut second = take();
        assert_eq!(word(&mut second), "busy", "{name}: two hold it at once");
        end(&mut second);
        end(&mut first);
        let mut third = take();
        assert_eq!(word(&mut third), "held", "{name}: it outlives its holder");
        end(&mut third);
    }
}

trait Piped {
    fn piped(&mut self) -> Child;
}

impl Piped for Command {
    fn piped(&mut self) -> Child {
        self.stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it is installed")
    }
}

fn word(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().expect("it is piped"))
        .read_line(&mut line)
        .expect("it speaks");
    line.trim_end().to_owned()
}

fn end(child: &mut Child) {
    drop(child.stdin.take());
    wait(child, "a holder of a lock");
}
