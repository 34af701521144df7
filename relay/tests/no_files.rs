//! The relay writes no file: by what it asks the kernel for, and by what is in its folders afterwards.

mod common;

use common::device::{Device, pass, through};
use common::relay::Relay;
use std::process::Command;
use tempfile::TempDir;

/// Calls that make, change or open files; what they are told shows whether for writing.
const CALLS: &str = "trace=open,openat,openat2,creat,mknod,mknodat,mkdir,mkdirat,rename,renameat,renameat2,link,\
                     linkat,symlink,symlinkat,unlink,unlinkat,truncate,ftruncate,fallocate,memfd_create";

/// A traced line that could have made or changed a file.
fn writes(line: &str) -> bool {
    let opens = ["open(", "openat(", "openat2("]
        .iter()
        .any(|call| line.contains(call));
    if opens {
        return [
            "O_WRONLY",
            "O_RDWR",
            "O_CREAT",
            "O_TRUNC",
            "O_APPEND",
            "O_TMPFILE",
        ]
        .iter()
        .any(|flag| line.contains(flag));
    }
    // A signal, or the end; any other call would change something.
    line.contains('(') && !line.contains("--- ") && !line.contains("+++ ")
}

#[test]
fn a_line_that_writes_is_known() {
    assert!(writes(
        r#"12 openat(AT_FDCWD, "/tmp/x", O_WRONLY|O_CREAT, 0666) = 3"#
    ));
    assert!(writes(r#"12 mkdir("/tmp/x", 0777) = 0"#));
    assert!(!writes(
        r#"12 openat(AT_FDCWD, "/etc/ld.so.cache", O_RDONLY|O_CLOEXEC) = 3"#
    ));
    assert!(!writes("12 --- SIGTERM {si_signo=SIGTERM} ---"));
}

#[tokio::test]
async fn it_opens_nothing_for_writing_and_leaves_nothing_behind() {
    let folder = TempDir::new().unwrap();
    let (trace, seed) = (folder.path().join("trace"), folder.path().join("seed"));
    let works = Command::new("strace")
        .args(["-f", "-o"])
        .arg(&trace)
        .args(["-e", CALLS, "true"])
        .output();
    if !works.is_ok_and(|output| output.status.success()) {
        return println!(
            "SKIPPED: what the relay opens is not seen, because strace is missing or not permitted"
        );
    }
    std::fs::write(&seed, "11".repeat(32)).unwrap();
    let (to, from) = (trace.to_str().unwrap(), seed.to_str().unwrap());
    // Without -D, a signal to strace would not reach the relay.
    let relay = Relay::start_by(
        &["strace", "-D", "-f", "-o", to, "-e", CALLS],
        &["--seed-file", from],
    )
    .await;
    let (mut a, mut b) = (Device::new(), Device::new());
    b.reserve(&relay.quic).await.unwrap();
    a.connect(&through(&relay.tcp, b.id)).await.unwrap();
    pass(&mut a, &mut b, &vec![3; 4 << 20]).await;
    // What fails could write somewhere, too.
    a.connect(&through(&relay.tcp, libp2p::PeerId::random()))
        .await
        .unwrap_err();
    let files: Vec<_> = std::fs::read_dir(format!("/proc/{}/fd", relay.pid()))
        .unwrap()
        .filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok())
        .filter(|target| {
            target.is_absolute() && !target.starts_with("/dev/null") && !target.starts_with("/proc")
        })
        .collect();
    assert!(files.is_empty(), "it holds files: {files:?}");

    relay.terminate();
    drop((a, b));
    let left: Vec<_> = std::fs::read_dir(relay.home.path()).unwrap().collect();
    assert!(left.is_empty(), "it left {left:?}");
    let (status, log) = relay.ended().await;
    assert_eq!(status.code(), Some(0), "{log}");
    let traced = std::fs::read_to_string(&trace).unwrap();
    assert!(
        traced.contains(from),
        "the trace saw the seed being read:\n{traced}"
    );
    let wrote: Vec<_> = traced.lines().filter(|line| writes(line)).collect();
    assert!(wrote.is_empty(), "it asked to write:\n{}", wrote.join("\n"));
}
