//! The relay, as a process of its own: started with arguments, its lines read, ended with the test.

use super::within;
use libp2p::{Multiaddr, PeerId, multiaddr::Protocol};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// A running relay.
pub struct Relay {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    readers: Vec<tokio::task::JoinHandle<()>>,
    /// Where it thinks its home and its place for temporary files are.
    pub home: TempDir,
    pub tcp: Multiaddr,
    pub quic: Multiaddr,
    pub id: PeerId,
}

/// The program, with a home of its own and nothing of this environment.
pub fn command(wrapped_by: &[&str], home: &TempDir) -> Command {
    let program = env!("CARGO_BIN_EXE_coffer-relay");
    let mut command = match wrapped_by {
        [] => Command::new(program),
        [wrapper, rest @ ..] => {
            let mut command = Command::new(wrapper);
            command.args(rest).arg(program);
            command
        }
    };
    command
        .env_clear()
        .kill_on_drop(true)
        .current_dir(home)
        .stdin(Stdio::null());
    for variable in [
        "HOME",
        "TMPDIR",
        "TMP",
        "XDG_RUNTIME_DIR",
        "XDG_STATE_HOME",
        "XDG_CACHE_HOME",
    ] {
        command.env(variable, home.path());
    }
    command
}

impl Relay {
    pub async fn start(args: &[&str]) -> Self {
        Self::start_by(&[], args).await
    }

    /// Started by another program, such as strace.
    pub async fn start_by(wrapper: &[&str], args: &[&str]) -> Self {
        let home = TempDir::new().expect("a folder");
        let mut child = command(wrapper, &home)
            .args([
                "--listen",
                "/ip4/127.0.0.1/tcp/0",
                "--listen",
                "/ip4/127.0.0.1/udp/0/quic-v1",
            ])
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the relay starts");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (out, err) = (
            child.stdout.take().expect("piped"),
            child.stderr.take().expect("piped"),
        );
        let readers = vec![read(out, lines.clone()), read(err, lines.clone())];
        let [tcp, quic] = ["/tcp/", "/udp/"].map(|kind| {
            let lines = lines.clone();
            async move {
                loop {
                    let found = lines.lock().unwrap().iter().find_map(|line: &String| {
                        line.strip_prefix("Listening on ")
                            .filter(|address| address.contains(kind))
                            .map(str::to_owned)
                    });
                    match found {
                        Some(address) => return address.parse::<Multiaddr>().expect("a multiaddress"),
                        None => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
                    }
                }
            }
        });
        let (tcp, quic) = (
            within("TCP address", tcp).await,
            within("QUIC address", quic).await,
        );
        let id = tcp.iter().find_map(|part| {
            if let Protocol::P2p(id) = part {
                Some(id)
            } else {
                None
            }
        });
        Self {
            child,
            lines,
            readers,
            home,
            id: id.expect("a peer id"),
            tcp,
            quic,
        }
    }

    /// The TCP port.
    pub fn port(&self) -> u16 {
        let port = self.tcp.iter().find_map(|part| {
            if let Protocol::Tcp(port) = part {
                Some(port)
            } else {
                None
            }
        });
        port.expect("a TCP address")
    }

    /// An address of the relay by way of another port, such as a wire's.
    pub fn by(&self, port: u16) -> Multiaddr {
        format!("/ip4/127.0.0.1/tcp/{port}/p2p/{}", self.id)
            .parse()
            .expect("a multiaddress")
    }

    pub fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// All that it has said.
    pub fn log(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        signal(self.pid());
    }

    /// How it ended, and all that it said.
    pub async fn ended(mut self) -> (ExitStatus, String) {
        let status = within("the relay's end", self.child.wait())
            .await
            .expect("a child's end");
        for reader in self.readers.drain(..) {
            within("the relay's last lines", reader)
                .await
                .expect("reading does not fail");
        }
        (status, self.log())
    }

    /// What of it is resident (bytes).
    pub fn resident(&self) -> u64 {
        resident(self.pid())
    }
}

/// Sends SIGTERM to a process.
pub fn signal(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid.cast_signed()).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
}

/// What of a process is resident (bytes).
pub fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .expect("a line");
    line.trim()
        .trim_end_matches(" kB")
        .parse::<u64>()
        .expect("a number")
        << 10
}

fn read(
    from: impl tokio::io::AsyncRead + Unpin + Send + 'static,
    into: Arc<Mutex<Vec<String>>>,
) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let mut lines = BufReader::new(from).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            into.lock().unwrap().push(line);
        }
    })
}
