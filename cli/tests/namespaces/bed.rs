//! Hosts of their own on one machine: network namespaces, cables, switches, and routers with NAT.
//!
//! Guarantees that one bed is laid at a time, that it touches nothing of this machine's own network, that all it made is gone at
//! its end, also after a panic, and that what killed runs left is removed at the next beginning. Names begin with the test's pid.

use rustix::process::Signal;
use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const NETS: &str = "/run/netns";
const PREFIX: &str = "coffer";
static ONE: Mutex<()> = Mutex::new(());

/// See the module. Declare it before whatever runs in it: it goes last.
pub(crate) struct Bed {
    hosts: RefCell<Vec<Host>>,
    _one: MutexGuard<'static, ()>,
}

/// A host: a network namespace.
#[derive(Clone)]
pub(crate) struct Host {
    pub(crate) net: String,
}

/// How a router gives out ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ports {
    /// The same outside as inside, wherever the packets go (endpoint-independent mapping), as most routers at home.
    Kept,
    /// Another one by chance for each destination (endpoint-dependent mapping, “symmetric”).
    ByChance,
}

/// Whether there can be hosts here, with these programs; says why not.
fn possible(programs: &[&str]) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root
        || fs::File::options()
            .read(true)
            .write(true)
            .open("/dev/fuse")
            .is_err()
    {
        eprintln!("SKIPPED: hosts of their own need /dev/fuse and root");
        return false;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    for program in ["ip", "nsenter"].iter().chain(programs) {
        let mut dirs = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
        if !dirs.any(|dir| dir.join(program).is_file()) {
            eprintln!("SKIPPED: {program} is not installed");
            return false;
        }
    }
    let probe = format!("{PREFIX}{}-probe", std::process::id());
    if !Command::new("ip")
        .args(["netns", "add", &probe])
        .output()
        .is_ok_and(|o| o.status.success())
    {
        eprintln!("SKIPPED: this system gives no network namespaces");
        return false;
    }
    run("ip", &["netns", "del", &probe]);
    true
}

/// Runs a program of the system's, which must succeed; its output.
#[track_caller]
pub(crate) fn run(program: &str, args: &[&str]) -> String {
    let out = Command::new(program).args(args).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{program} {args:?}: {said}");
    String::from_utf8(out.stdout).unwrap()
}

/// Waits until something is so, at most so many seconds; else says how things are.
#[track_caller]
pub(crate) fn until(what: &str, seconds: u64, shown: impl Fn() -> String, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(seconds);
    while !so() {
        assert!(
            Instant::now() < end,
            "waited {seconds} s in vain until {what}\n{}",
            shown()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What folders of this run's devices begin with.
pub(crate) fn prefix() -> String {
    format!("{PREFIX}{}-", std::process::id())
}

/// The pid of the run that made something of this name.
fn maker(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.split_once('-')?.0.parse().ok()
}

/// What lies in a folder and was made by a run that is no more.
fn orphans(dir: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir(dir).into_iter().flatten().flatten();
    let gone = |name: &str| maker(name).is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists());
    all.filter(|entry| entry.file_name().to_str().is_some_and(gone))
        .map(|entry| entry.path())
        .collect()
}

impl Bed {
    /// None where there can be no hosts, or a program is missing; why, it says.
    pub(crate) fn new(programs: &[&str]) -> Option<Bed> {
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        if !possible(programs) {
            return None;
        }
        for net in orphans(Path::new(NETS)) {
            Host {
                net: net.file_name().unwrap().to_str().unwrap().into(),
            }
            .remove();
        }
        for dir in orphans(&std::env::temp_dir()) {
            let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
            for point in table.lines().filter_map(|line| line.split(' ').nth(4)) {
                if Path::new(point).starts_with(&dir) {
                    let _ = rustix::mount::unmount(point, rustix::mount::UnmountFlags::DETACH);
                }
            }
            let _ = fs::remove_dir_all(dir);
        }
        Some(Bed {
            hosts: RefCell::default(),
            _one: one,
        })
    }

    /// A host without any cable.
    pub(crate) fn host(&self, name: &str) -> Host {
        let host = Host {
            net: format!("{}{name}", prefix()),
        };
        run("ip", &["netns", "add", &host.net]);
        self.hosts.borrow_mut().push(host.clone());
        host.ip(&["link", "set", "lo", "up"]);
        host
    }

    /// A switch: whoever is plugged in sees everybody.
    pub(crate) fn switch(&self, name: &str) -> Host {
        let host = self.host(name);
        host.ip(&["link", "add", "name", "switch", "type", "bridge"]);
        host.ip(&["link", "set", "switch", "up"]);
        host
    }

    /// A cable between two hosts, by these interfaces; each with its address, as “10.0.0.1/24”.
    pub(crate) fn cable(&self, (one, at_one, address_one): End<'_>, (two, at_two, address_two): End<'_>) {
        let pair = [
            "link", "add", "dev", at_one, "type", "veth", "peer", "name", at_two, "netns", &two.net,
        ];
        one.ip(&pair);
        for (host, port, address) in [(one, at_one, address_one), (two, at_two, address_two)] {
            if !address.is_empty() {
                host.ip(&["address", "add", address, "dev", port]);
            }
            host.ip(&["link", "set", port, "up"]);
        }
    }

    /// Plugs a host into a switch by the interface `port`.
    pub(crate) fn plug(&self, host: &Host, port: &str, address: &str, switch: &Host) {
        let count = switch
            .ip(&["-o", "link", "show", "master", "switch"])
            .lines()
            .count();
        let socket = format!("socket{count}");
        self.cable((host, port, address), (switch, &socket, ""));
        switch.ip(&["link", "set", &socket, "master", "switch"]);
    }

    /// A household: a host at 192.168.1.2 behind a router that has `outside` in the network of `switch`. All households have the
    /// same numbers inside, as in life.
    pub(crate) fn household(&self, name: &str, outside: &str, switch: &Host, ports: Ports) -> (Host, Host) {
        let (host, router) = (self.host(name), self.host(&format!("{name}-router")));
        self.cable(
            (&host, "eth0", "192.168.1.2/24"),
            (&router, "inside", "192.168.1.1/24"),
        );
        host.ip(&["route", "add", "default", "via", "192.168.1.1"]);
        self.plug(&router, "outside", outside, switch);
        router.within("sh", &["-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"]);
        let random = if ports == Ports::ByChance {
            "fully-random"
        } else {
            ""
        };
        // What comes from outside without having been asked for is dropped, in silence: an answer would take the place in the
        // table that the household's own packet needs.
        let rules = format!(
            "table ip home {{
                chain out {{ type nat hook postrouting priority srcnat; oifname \"outside\" masquerade {random}; }}
                chain through {{ type filter hook forward priority filter; policy drop;
                    ct state established,related accept; iifname \"inside\" ip daddr 198.51.100.0/24 accept; }}
                chain here {{ type filter hook input priority filter; policy drop;
                    ct state established,related accept; iifname \"inside\" accept; }}
            }}"
        );
        router.within("nft", &[&rules]);
        (host, router)
    }
}

/// A host, its interface, and its address there; empty for none.
pub(crate) type End<'a> = (&'a Host, &'a str, &'a str);

impl Drop for Bed {
    fn drop(&mut self) {
        self.hosts.borrow().iter().for_each(Host::remove);
    }
}

impl Host {
    /// The namespace's file.
    pub(crate) fn file(&self) -> PathBuf {
        Path::new(NETS).join(&self.net)
    }

    /// `ip`, in there.
    #[track_caller]
    pub(crate) fn ip(&self, args: &[&str]) -> String {
        run("ip", &[&["-n", self.net.as_str()], args].concat())
    }

    /// A command of the system's, in there: with the mounts of this machine.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", self.file().display()))
            .arg("--")
            .arg(program);
        command
    }

    /// Runs one, which must succeed.
    #[track_caller]
    pub(crate) fn within(&self, program: &str, args: &[&str]) -> String {
        let out = self.command(program).args(args).output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{program} {args:?}: {said}");
        String::from_utf8(out.stdout).unwrap()
    }

    /// Bytes that came in and went out by an interface.
    pub(crate) fn bytes(&self, port: &str) -> (u64, u64) {
        let said: serde_json::Value =
            serde_json::from_str(&self.ip(&["-s", "-j", "link", "show", "dev", port])).unwrap();
        let count = |way: &str| said[0]["stats64"][way]["bytes"].as_u64().unwrap();
        (count("rx"), count("tx"))
    }

    /// Ends what still runs in there, and removes it with its interfaces. Never panics.
    fn remove(&self) {
        let pids = || {
            let out = Command::new("ip").args(["netns", "pids", &self.net]).output();
            let out = out
                .map(|out| String::from_utf8_lossy(&out.stdout).into_owned())
                .unwrap_or_default();
            let all: Vec<i32> = out.lines().filter_map(|line| line.trim().parse().ok()).collect();
            all
        };
        let end = Instant::now() + Duration::from_secs(5);
        loop {
            let left = pids();
            if left.is_empty() || Instant::now() >= end {
                break;
            }
            for pid in left.into_iter().filter_map(rustix::process::Pid::from_raw) {
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = Command::new("ip").args(["netns", "del", &self.net]).output();
    }
}
