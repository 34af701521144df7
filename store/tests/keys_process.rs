//! Guards what the system is asked to do for secrets: their pages are locked, left out of
//! dumps and cleared in forked children; a child never uses a cleared key, nor its
//! parent's nonces. One test, alone in its program, because it forks.

use std::io::{Read, pipe};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::{fs, io::Write};

use coffer_store::keys::*;

const PLACE: Aad = Aad {
    kind: 0,
    id: [0; 16],
    chain: [0; 16],
    version: 0,
    generation: 0,
};

/// The kernel's flags for the mapping that holds an address.
fn flags_of(address: usize) -> Vec<String> {
    let smaps = fs::read_to_string("/proc/self/smaps").unwrap();
    let mut inside = false;
    for line in smaps.lines() {
        if let Some((start, end)) = line.split(' ').next().and_then(|range| range.split_once('-')) {
            let number = |text| usize::from_str_radix(text, 16);
            if let (Ok(start), Ok(end)) = (number(start), number(end)) {
                inside = (start..end).contains(&address);
            }
        }
        if let (true, Some(flags)) = (inside, line.strip_prefix("VmFlags:")) {
            return flags.split_whitespace().map(String::from).collect();
        }
    }
    panic!("no mapping holds the key");
}

/// What the child finds: one byte a check, then a nonce.
fn child(key: &Key, before: &Key) -> Vec<u8> {
    std::panic::set_hook(Box::new(|_| {}));
    let used = catch_unwind(AssertUnwindSafe(|| seal(key, &PLACE, b"x")));
    let fresh = Key::random();
    let mut report = vec![
        u8::from(used.is_err()),
        u8::from(fresh.expose() != &[0; 32]),
        u8::from(catch_unwind(AssertUnwindSafe(|| *before.expose())).is_err()),
    ];
    report.extend_from_slice(&seal(&fresh, &PLACE, b"x")[..24]);
    report
}

#[test]
fn secrets_are_kept_from_dumps_swap_and_children() {
    let key = Key::random();
    let flags = flags_of(key.expose().as_ptr().addr());
    let has = |flag: &str| flags.iter().any(|f| f == flag);
    assert!(has("dd"), "left out of core dumps: {flags:?}");
    assert!(has("wf"), "cleared in forks: {flags:?}");
    assert_eq!(has("lo"), arena_locked(), "locked, or said not to be: {flags:?}");

    // A generator that is seeded before the fork, and a slot that was given back.
    let first = seal(&key, &PLACE, b"x");
    drop(Key::random());
    let before = Key::random();
    let (mut reader, mut writer) = pipe().unwrap();
    // SAFETY: the harness's other thread only waits; the child allocates (glibc allows it), writes and exits.
    match unsafe { libc::fork() } {
        -1 => panic!("fork failed"),
        0 => {
            let report = child(&key, &before);
            let _ = writer.write_all(&report);
            // SAFETY: ends the child without running the harness's exit.
            unsafe { libc::_exit(0) }
        }
        pid => {
            drop(writer);
            let mut report = Vec::new();
            reader.read_to_end(&mut report).unwrap();
            // SAFETY: waits for the child that was just made.
            unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
            assert_eq!(report.len(), 3 + 24, "the child came to its end");
            assert_eq!(
                report[..3],
                [1, 1, 1],
                "cleared keys refused; new ones made; both of before cleared"
            );
            // The child's may have gone a few further along one sequence: none of ours may be its.
            for _ in 0..100 {
                assert_ne!(
                    report[3..],
                    seal(&key, &PLACE, b"x")[..24],
                    "parent and child share nonces"
                );
            }
            assert_eq!(
                open(&key, &PLACE, &first).unwrap(),
                b"x",
                "the parent's keys are as they were"
            );
        }
    }

    assert_eq!(harden_process(), []);
    // SAFETY: reads one attribute of this process, and one limit into a struct of the right type.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_GET_DUMPABLE), 0);
        let mut limit = libc::rlimit {
            rlim_cur: 1,
            rlim_max: 1,
        };
        assert_eq!(libc::getrlimit(libc::RLIMIT_CORE, &mut limit), 0);
        assert_eq!((limit.rlim_cur, limit.rlim_max), (0, 0));
    }
}
