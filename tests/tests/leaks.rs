//! Guards what must not be seen: names, contents, attributes and passwords are in no file
//! that the program leaves, no argument or environment of its processes, and no core dump;
//! after `lock` no process of ours is left.

use coffer_tests::command::{process_state, run, until, wait};
use coffer_tests::vault::Vault;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Strings that occur nowhere by chance, one for each place where they are put.
struct Canaries(Vec<(&'static str, String)>);

impl Canaries {
    fn new(places: &[&'static str]) -> Canaries {
        let random = fs::read("/proc/sys/kernel/random/uuid").expect("Linux tells");
        let run = String::from_utf8_lossy(&random)
            .replace('-', "")
            .trim()
            .to_owned();
        Canaries(
            places
                .iter()
                .map(|place| (*place, format!("CaNaRy{}{run}", place.replace(' ', ""))))
                .collect(),
        )
    }

    fn of(&self, place: &str) -> &str {
        let found = self.0.iter().find(|(name, _)| *name == place);
        &found.unwrap_or_else(|| panic!("no canary for {place}")).1
    }

    /// Which of them these bytes hold, plainly, in hex, in UTF-16, or reversed.
    fn within(&self, bytes: &[u8]) -> Option<&'static str> {
        let holds = |text: &str| {
            let plain = text.as_bytes();
            let hex: String = plain.iter().map(|byte| format!("{byte:02x}")).collect();
            let wide: Vec<u8> = plain.iter().flat_map(|byte| [*byte, 0]).collect();
            let reversed: Vec<u8> = plain.iter().rev().copied().collect();
            let upper = hex.to_uppercase();
            [plain, hex.as_bytes(), upper.as_bytes(), &wide, &reversed]
                .iter()
                .any(|needle| find(bytes, needle))
        };
        self.0
            .iter()
            .find(|(_, text)| holds(text))
            .map(|(place, _)| *place)
    }
}

/// Whether `bytes` hold `needle`. Looks for its first byte only, which is rare enough.
fn find(bytes: &[u8], needle: &[u8]) -> bool {
    let mut at = 0;
    while let Some(step) = bytes[at..].iter().position(|byte| *byte == needle[0]) {
        at += step;
        if bytes[at..].starts_with(needle) {
            return true;
        }
        at += 1;
    }
    false
}

/// All regular files below, the mount and the test's own scratch left out.
fn files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let kind = entry.file_type().expect("it was just listed");
            if kind.is_dir() && !["mnt", "scratch"].iter().any(|name| path == root.join(name)) {
                folders.push(path);
            } else if kind.is_file() {
                found.push(path);
            }
        }
    }
    found
}

/// Looks through all that the program left on disk, names of files too.
#[track_caller]
fn assert_hidden(vault: &Vault, canaries: &Canaries, when: &str) {
    let all = files(vault.surroundings());
    assert!(
        all.iter().any(|path| path.starts_with(&vault.store)),
        "the vault's folder holds no file"
    );
    for path in all {
        let bytes = fs::read(&path).expect("it is ours");
        let leak = canaries
            .within(&bytes)
            .or(canaries.within(path.as_os_str().as_encoded_bytes()));
        assert!(
            leak.is_none(),
            "{when}: the canary of the {} is in {}",
            leak.unwrap_or_default(),
            path.display()
        );
    }
    for pid in vault.processes() {
        for what in ["cmdline", "environ", "comm"] {
            let bytes = fs::read(format!("/proc/{pid}/{what}")).unwrap_or_default();
            let leak = canaries.within(&bytes);
            assert!(
                leak.is_none(),
                "{when}: the canary of the {} is in a {what}",
                leak.unwrap_or_default()
            );
        }
    }
}

/// Canaries in every place where a person can put a secret.
#[test]
fn secrets_are_in_no_file() {
    let Some(mut vault) = Vault::mounted() else { return };
    let canaries = Canaries::new(&[
        "file name",
        "folder name",
        "text",
        "large content",
        "repeated content",
        "attribute name",
        "attribute value",
        "symlink",
        "deleted file",
        "deleted text",
        "overwritten text",
        "appended text",
        "password",
        "new password",
        "wrong password",
    ]);
    let c = |place: &str| canaries.of(place).to_owned();
    vault.change_password(&c("password"));
    let at = vault.mountpoint.join(c("folder name"));
    fs::create_dir(&at).expect("the vault is new");
    let file = at.join(c("file name"));
    fs::write(&file, c("overwritten text")).expect("there is room");
    vault.settle();
    fs::write(&file, c("text")).expect("there is room");
    fs::write(
        at.join("large"),
        [
            vec![b'.'; 900_000],
            c("large content").into_bytes(),
            vec![b'.'; 900_000],
        ]
        .concat(),
    )
    .expect("there is room");
    fs::write(at.join("repeated"), c("repeated content").repeat(60_000)).expect("there is room");
    let attribute = format!("user.{}", c("attribute name"));
    rustix::fs::setxattr(
        &file,
        &attribute[..],
        c("attribute value").as_bytes(),
        rustix::fs::XattrFlags::empty(),
    )
    .expect("user attributes work");
    std::os::unix::fs::symlink(c("symlink"), at.join("link")).expect("symlinks work");
    fs::write(at.join(c("deleted file")), c("deleted text")).expect("there is room");
    vault.settle();
    fs::remove_file(at.join(c("deleted file"))).expect("it is there");
    run(
        Command::new("tee").arg("-a").arg(&file).stdout(Stdio::null()),
        c("appended text").as_bytes(),
    )
    .ok();
    vault.settle();
    assert_hidden(&vault, &canaries, "while mounted");
    // A refused password may be almost the right one.
    let refused = vault.coffer_with(
        &coffer_tests::args!["passwd", "--password-stdin"],
        format!("{}\nx\n", c("wrong password")).as_bytes(),
    );
    assert!(!refused.status.success(), "a wrong password is taken");
    vault.change_password(&c("new password"));
    for text in [&refused.stderr, &refused.text()] {
        assert!(
            canaries.within(text.as_bytes()).is_none(),
            "an error shows a secret"
        );
    }
    vault.kill();
    assert_hidden(&vault, &canaries, "after a kill");
    vault.mount();
    assert_eq!(
        fs::read_to_string(&file).expect("it was durable"),
        c("text") + &c("appended text"),
        "the canaries were not where they were to be looked for"
    );
    vault.lock();
    assert_hidden(&vault, &canaries, "after lock");
}

/// The search itself finds what is there to be found.
#[test]
fn a_planted_canary_is_found() {
    let canaries = Canaries::new(&["text", "name"]);
    let text = canaries.of("text");
    let hex: String = text.bytes().map(|byte| format!("{byte:02X}")).collect();
    for bytes in [
        format!("..{text}.."),
        hex,
        text.chars().rev().collect(),
        format!("C{text}"),
    ] {
        assert_eq!(canaries.within(bytes.as_bytes()), Some("text"), "{bytes}");
    }
    assert_eq!(canaries.within(&text.as_bytes()[..text.len() - 1]), None);
}

/// After lock nothing of ours runs; before, something does.
#[test]
fn lock_leaves_no_process() {
    let Some(vault) = Vault::mounted() else { return };
    let before = vault.processes();
    assert!(
        before.contains(&vault.daemon()),
        "the search for our processes finds none"
    );
    vault.lock();
    // A zombie has no memory any more.
    until("the last of our processes ends", || {
        let left = before
            .iter()
            .any(|pid| !matches!(process_state(*pid), None | Some('Z')));
        (!left && vault.processes().is_empty()).then_some(())
    });
}

/// No process of a mounted vault may dump core, whatever the shell allows; and a daemon that
/// dies of a signal leaves none.
#[test]
fn no_core_is_dumped() {
    let Some(vault) = Vault::init() else { return };
    let unlimited = rustix::process::Rlimit {
        current: None,
        maximum: None,
    };
    rustix::process::setrlimit(rustix::process::Resource::Core, unlimited).expect("root may");
    vault.mount();
    let processes = vault.processes();
    assert!(!processes.is_empty());
    for pid in &processes {
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).expect("it runs");
        let core = limits
            .lines()
            .find(|line| line.starts_with("Max core file size"))
            .unwrap_or_default();
        let numbers: Vec<&str> = core.split_whitespace().skip(4).take(2).collect();
        assert_eq!(numbers, ["0", "0"], "process {pid} may dump core: {core}");
    }
    vault.lock();
    // As our own child, so that its end can be seen.
    let mut daemon = vault.foreground();
    until("it is mounted", || vault.is_mounted().then_some(()));
    let pid = rustix::process::Pid::from_child(&daemon);
    rustix::process::kill_process(pid, rustix::process::Signal::ABORT).expect("it is alive");
    let status = wait(&mut daemon, "a daemon after SIGABRT");
    assert!(!status.core_dumped(), "a core was dumped: {status}");
    // Others may dump here, so that it was up to the daemon.
    let other = run(
        Command::new("sh")
            .args(["-c", "kill -ABRT $$"])
            .current_dir(vault.scratch()),
        b"",
    );
    if !other.status.core_dumped() {
        coffer_tests::settings::skip(
            "nothing dumps core on this machine, so the daemon's not doing so says little",
        );
    }
}
