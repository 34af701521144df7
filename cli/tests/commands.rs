//! The commands on a vault that nobody holds: what they answer, and with which code.

mod common;

use common::{PASSWORD, Stage};
use std::fs;

/// Guards that a vault is never overwritten, nor made over anything else.
#[test]
fn init_refuses_what_is_not_empty() {
    let stage = Stage::with_vault();
    let before = fs::read_dir(stage.vault()).unwrap().count();
    let said = stage
        .open(&["init", "--kdf-memory", "19MiB", "--kdf-passes", "2"])
        .gives(1);
    assert!(said.err.contains("not empty"), "{}", said.err);
    assert_eq!(fs::read_dir(stage.vault()).unwrap().count(), before);
}

/// Guards the floor of the key derivation: a weaker vault cannot be made by mistake.
#[test]
fn init_refuses_a_cheap_password_hash() {
    let stage = Stage::new();
    for cheap in [
        ["--kdf-memory", "18MiB"],
        ["--kdf-passes", "1"],
        ["--kdf-memory", "5GiB"],
    ] {
        stage.open(&["init", cheap[0], cheap[1]]).gives(2);
        assert!(!stage.vault().exists(), "{cheap:?} left something behind");
    }
}

/// Guards the stable codes that scripts test.
#[test]
fn exit_codes_tell_what_went_wrong() {
    let stage = Stage::with_vault();
    stage.run(&["status", "--vault", "nowhere"]).gives(4);
    stage
        .run(&["mount", "--vault", "home", "mnt", "--password-file", "/dev/null"])
        .gives(4);
    stage.run(&["nonsense"]).gives(2);
    stage.run(&["unmount"]).gives(9);
    stage.run(&["unmount", "mnt"]).gives(9);
    stage.run(&["lock"]).gives(0);
    stage.run_with(&["check", "--password-stdin"], "wrong\n").gives(3);
    stage.run_with(&["check", "--password-stdin"], "").gives(2);
    // Detached from any terminal, nobody can be asked.
    let said: common::Said = std::process::Command::new("setsid")
        .arg("-w")
        .arg(env!("CARGO_BIN_EXE_coffer"))
        .args(["check", "--vault"])
        .arg(stage.vault())
        .env_remove("COFFER_PASSWORD_COMMAND")
        .env("XDG_RUNTIME_DIR", stage.path("run"))
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap()
        .into();
    assert!(said.gives(7).err.contains("--password-stdin"));
}

/// Guards that programs get JSON for answers and failures alike, and people sentences.
#[test]
fn json_is_json() {
    let stage = Stage::with_vault();
    let status = stage.run(&["status", "--json"]).gives(0).json();
    assert_eq!(status["state"], "locked");
    assert_eq!(status["kdf"]["memory_kib"], 19 * 1024);
    let said = stage
        .run_with(&["check", "--password-stdin", "--json"], "wrong\n")
        .gives(3);
    let error: serde_json::Value = serde_json::from_str(&said.err).unwrap();
    assert_eq!(
        (&error["error"]["kind"], &error["error"]["code"]),
        (&"wrong_password".into(), &3.into())
    );
    // Advice on a weak password is for people.
    stage.init("other");
    let weak = stage.run_with(
        &["passwd", "--vault", "other", "--password-stdin", "--json"],
        &format!("{PASSWORD}\n1234\n"),
    );
    assert_eq!(weak.gives(0).err, "");
    let usage = stage.run(&["lock", "--nonsense", "--json"]).gives(2);
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&usage.err).unwrap()["error"]["code"],
        2
    );
}

/// Guards that the password changes, all or nothing, and that a wrong one changes nothing.
#[test]
fn passwd_changes_the_password() {
    let stage = Stage::with_vault();
    stage
        .run_with(&["passwd", "--password-stdin"], "wrong\nnew password 1\n")
        .gives(3);
    stage.open(&["check"]).gives(0);
    stage
        .run_with(
            &["passwd", "--password-stdin"],
            &format!("{PASSWORD}\nnew password 1\n"),
        )
        .gives(0);
    stage.open(&["check"]).gives(3);
    stage
        .run_with(&["check", "--password-stdin"], "new password 1\n")
        .gives(0);
}

/// Guards the way back without the password, as people type the phrase: in capitals, numbered, over lines.
#[test]
fn recovery_phrase_brings_back() {
    let stage = Stage::with_vault();
    stage.run_with(&["recover", "--password-stdin"], "x\n").gives(9);
    let made = stage.open(&["recover", "--new", "--json"]).gives(0).json();
    let words: Vec<&str> = made["recovery_phrase"]
        .as_array()
        .unwrap()
        .iter()
        .map(|w| w.as_str().unwrap())
        .collect();
    assert_eq!(words.len(), 24);
    let typed: String = words
        .iter()
        .enumerate()
        .map(|(i, word)| format!("{}. {}\n", i + 1, word.to_uppercase()))
        .collect();
    fs::write(stage.path("phrase"), &typed).unwrap();
    fs::write(stage.path("wrong"), words[..23].join(" ")).unwrap();
    stage
        .run_with(
            &["recover", "--phrase-file", "wrong", "--password-stdin"],
            "new password 2\n",
        )
        .gives(3);
    stage.open(&["check"]).gives(0);
    stage
        .run_with(
            &["recover", "--phrase-file", "phrase", "--password-stdin"],
            "new password 2\n",
        )
        .gives(0);
    stage.open(&["check"]).gives(3);
    stage
        .run_with(&["check", "--password-stdin"], "new password 2\n")
        .gives(0);
}

/// Guards settings: kept, listed, and nonsense refused.
#[test]
fn settings_are_kept() {
    let stage = Stage::with_vault();
    stage.run(&["settings", "lock-idle", "soon"]).gives(2);
    stage.run(&["settings", "lock-idel", "20m"]).gives(2);
    stage.run(&["settings", "lock-idle", "20m"]).gives(0);
    assert_eq!(stage.run(&["settings", "lock-idle"]).gives(0).out, "20m\n");
    let all = stage.run(&["settings", "--json"]).gives(0).json();
    assert_eq!(
        all,
        serde_json::json!({
            "lock-idle": "20m", "lock-suspend": "unless-busy", "sync": "on", "sync-dht": "on",
            "sync-lan-only": "off", "sync-limit-in": "none", "sync-limit-out": "none", "sync-listen": "",
            "sync-mdns": "on", "sync-peers": "", "sync-relays": "", "sync-keep": "1GiB", "sync-metered": "off",
            "sync-policy": "everything", "sync-via": "", "sync-via-limit": "none",
        })
    );
}

/// Guards that a backup is a vault of its own that opens with the same password, and that no backup
/// goes into the vault itself.
#[test]
fn backup_is_a_vault() {
    let stage = Stage::with_vault();
    stage.open(&["backup", "v/inside"]).gives(2);
    stage.open(&["backup", "copy"]).gives(0);
    stage.open(&["check", "--vault", "copy", "--read-data"]).gives(0);
    stage.open(&["backup", "copy"]).gives(0);
    stage.open(&["check", "--vault", "copy", "--read-data"]).gives(0);
}

/// Guards salvage: whole files come out plain, into an empty folder only, and what was damaged is
/// found by `check` and told by its code.
#[test]
fn damage_is_found_and_the_rest_brought_out() {
    let stage = Stage::with_vault();
    stage.open(&["check", "--salvage", "home"]).gives(0);
    assert!(
        fs::read_to_string(stage.path("home/Notes/Welcome.md"))
            .unwrap()
            .starts_with("# Welcome")
    );
    stage.open(&["check", "--salvage", "home"]).gives(1);
    stage
        .run_with(&["check", "--salvage", "data", "--password-stdin"], "wrong\n")
        .gives(3);
    for file in common::files(&stage.vault()) {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        if name.starts_with("vault") || name == "lock" {
            continue;
        }
        let mut bytes = fs::read(&file).unwrap();
        for byte in bytes.iter_mut().skip(64) {
            *byte ^= 0x55;
        }
        fs::write(&file, bytes).unwrap();
    }
    let said = stage.open(&["check", "--read-data", "--json"]).gives(6);
    assert!(!said.json()["problems"].as_array().unwrap().is_empty());
}

/// Guards that pages and completions exist for every command that people see.
#[test]
fn manual_and_completions_are_whole() {
    let stage = Stage::new();
    stage.run(&["man", "--dir", "man"]).gives(0);
    for command in [
        "init", "mount", "unmount", "lock", "status", "passwd", "recover", "check", "backup", "settings",
    ] {
        let page = fs::read_to_string(stage.path(&format!("man/coffer-{command}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{command}");
        assert!(stage.run(&["completions", "bash"]).gives(0).out.contains(command));
    }
    assert!(
        fs::read_to_string(stage.path("man/coffer.1"))
            .unwrap()
            .contains("Exit codes")
    );
    assert!(!stage.path("man/coffer-daemon.1").exists());
}
