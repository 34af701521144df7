//! Guards the mount against what was written to break file systems: fsx, fio with
//! verification, and stress-ng's file-system stressors; `check --read-data` after each.

use coffer_tests::command::{has, run};
use coffer_tests::settings::{pick, skip};
use coffer_tests::vault::Vault;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// fsx, where scripts/test puts it: `tools/bin` in the target directory, or on the PATH.
fn fsx() -> Option<PathBuf> {
    let test = std::env::current_exe().expect("Linux tells");
    // target/debug/deps/test-… → target/tools/bin/fsx
    let built = test.ancestors().nth(3).map(|target| target.join("tools/bin/fsx"));
    if let Some(built) = built.filter(|path| path.is_file()) {
        return Some(built);
    }
    if has("fsx") { Some("fsx".into()) } else { None }
}

/// So many operations from each seed: in a long run a million of each kind.
fn exercise(vault: &Vault, name: &str, config: &str, operations: u32) {
    let Some(fsx) = fsx() else { return };
    let file = vault.scratch().join(format!("{name}.toml"));
    fs::write(&file, config).expect("there is room");
    for seed in 1..=pick(1, 8) {
        let ended = run(
            Command::new(&fsx)
                .arg("-f")
                .arg(&file)
                .args(["-N", &operations.to_string(), "-S", &seed.to_string(), "-P"])
                .arg(vault.scratch())
                .arg(vault.mountpoint.join(name)),
            b"",
        );
        assert!(
            ended.status.success(),
            "fsx {name}, seed {seed}: {}\n{}",
            ended.stderr,
            tail(&ended.text())
        );
    }
    vault.lock();
    vault.mount();
    vault.assert_sound();
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

/// By calls alone: reads, writes, truncations, fallocate, holes, sendfile, copies within the file,
/// syncs, and closing and opening again.
#[test]
fn fsx_buffered() {
    let Some(vault) = Vault::mounted() else { return };
    let config = "flen = 1100000
        [opsize]
        min = 1 # it asks for fallocate of nothing else, which no file system grants
        max = 140000
        [weights]
        close_open = 0.2
        mapread = 0.0
        mapwrite = 0.0
        read = 1.0
        write = 1.0
        truncate = 0.4
        fsync = 0.01
        fdatasync = 0.01
        posix_fallocate = 0.2
        punch_hole = 0.4
        sendfile = 0.2
        posix_fadvise = 0.2
        copy_file_range = 0.5
        ";
    exercise(&vault, "buffered", config, pick(100_000, 125_000));
}

/// Shared mappings, not synced after a write, beside reads, writes, truncations, holes and copies.
#[test]
fn fsx_mapped() {
    let Some(vault) = Vault::mounted() else { return };
    let config = "flen = 600000
        nomsyncafterwrite = true
        [opsize]
        max = 70000
        [weights]
        close_open = 0.2
        invalidate = 0.02
        mapread = 1.0
        mapwrite = 1.0
        read = 1.0
        write = 1.0
        truncate = 0.5
        fsync = 0.01
        punch_hole = 0.3
        copy_file_range = 0.3
        ";
    exercise(&vault, "mapped", config, pick(100_000, 125_000));
}

/// fio writes patterns at random and reads them back, by calls, directly, and by mapping.
#[test]
fn fio_verifies() {
    let (Some(vault), true) = (Vault::mounted(), has("fio")) else {
        return;
    };
    let size = pick("48m", "1g");
    for (name, more) in [
        ("buffered", "--ioengine=psync --bsrange=512-256k --rw=randwrite"),
        ("direct", "--ioengine=psync --direct=1 --bs=4k --rw=randwrite"),
        ("mapped", "--ioengine=mmap --bs=4k --rw=randwrite"),
        ("stream", "--ioengine=psync --bs=1m --rw=write --end_fsync=1"),
        (
            "mixed",
            "--ioengine=psync --bsrange=4k-64k --rw=randrw --fsync=64",
        ),
    ] {
        let ended = run(
            Command::new("fio")
                .args([
                    "--minimal",
                    "--verify=crc32c",
                    "--do_verify=1",
                    "--verify_fatal=1",
                    "--numjobs=2",
                ])
                .args([format!("--name={name}"), format!("--size={size}")])
                .arg(format!("--directory={}", vault.mountpoint.display()))
                .args(more.split(' '))
                .current_dir(vault.scratch()),
            b"",
        );
        assert!(
            ended.status.success(),
            "fio {name}: {}\n{}",
            ended.stderr,
            ended.text()
        );
    }
    vault.lock();
    vault.mount();
    vault.assert_sound();
}

/// The stressors that work on files, each for a while.
const STRESSORS: [&str; 33] = [
    "access",
    "chdir",
    "chmod",
    "chown",
    "copy-file",
    "dentry",
    "dir",
    "dirdeep",
    "dirmany",
    "fallocate",
    "fcntl",
    "filename",
    "flock",
    "fpunch",
    "fstat",
    "getdent",
    "hdd",
    "iomix",
    "lease",
    "link",
    "lockf",
    "lockofd",
    "metamix",
    "mknod",
    "mmap",
    "msync",
    "open",
    "readahead",
    "rename",
    "seek",
    "symlink",
    "utime",
    "xattr",
];

/// stress-ng's exit codes for what this machine cannot do: no resources, not implemented.
const NOT_HERE: [i32; 2] = [3, 4];

/// Each of them finishes, and finds nothing wrong.
#[test]
fn stress_ng_finds_nothing() {
    let (Some(vault), true) = (Vault::mounted(), has("stress-ng")) else {
        return;
    };
    let seconds = pick(1, 30);
    for stressor in STRESSORS {
        let within = vault.mountpoint.join(stressor);
        fs::create_dir(&within).expect("the vault is new");
        let ended = stress(&within, stressor, seconds);
        match ended.status.code() {
            Some(0) => {}
            Some(code) if NOT_HERE.contains(&code) || ended.stderr.contains("unrecognized option") => {
                skip(&format!("stress-ng {stressor} cannot run here"))
            }
            _ => panic!(
                "stress-ng {stressor}: {}\n{}\n{}",
                ended.status,
                ended.stderr,
                ended.text()
            ),
        }
        fs::remove_dir_all(&within).unwrap_or_else(|error| panic!("after {stressor}: {error}"));
    }
    vault.lock();
    vault.mount();
    vault.assert_sound();
}

fn stress(within: &Path, stressor: &str, seconds: u32) -> coffer_tests::command::Ended {
    let mut command = Command::new("stress-ng");
    command
        .arg(format!("--{stressor}"))
        .arg("2")
        .args(["--timeout", &format!("{seconds}s"), "--verify", "--temp-path"])
        .arg(within)
        .current_dir(within);
    match stressor {
        // Their defaults fill gigabytes.
        "hdd" => command.args(["--hdd-bytes", "32m"]),
        "iomix" => command.args(["--iomix-bytes", "32m"]),
        "fallocate" => command.args(["--fallocate-bytes", "32m"]),
        "copy-file" => command.args(["--copy-file-bytes", "128m"]),
        "readahead" => command.args(["--readahead-bytes", "32m"]),
        "seek" => command.args(["--seek-size", "32m"]),
        "dirmany" => command.args(["--dirmany-bytes", "0"]),
        "mmap" => command.args(["--mmap-bytes", "16m", "--mmap-file"]),
        _ => &mut command,
    };
    run(&mut command, b"")
}
