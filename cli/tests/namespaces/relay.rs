//! The built relay on a host, and somebody who listens in on a cable.

use super::bed::{Host, until};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

/// The relay; ends with the value.
pub(crate) struct Relay {
    process: Child,
    /// Where devices find it.
    pub(crate) address: String,
}

impl Relay {
    /// Starts it, at this address of the host's, with a seed file if it is to be the same one again.
    pub(crate) fn start(host: &Host, ip: &str, seed: Option<&Path>) -> Relay {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_coffer")).with_file_name("coffer-relay");
        assert!(
            program.is_file(),
            "the relay is not built: “cargo build --workspace --bins” first"
        );
        let mut command = host.command(&program);
        command.args(["--listen", &format!("/ip4/{ip}/tcp/4001")]);
        if let Some(seed) = seed {
            command.arg("--seed-file").arg(seed);
        }
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(process.stdout.take().unwrap());
        let mut relay = Relay {
            process,
            address: String::new(),
        };
        let (tell, heard) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            // To its end, so that it never waits for a reader.
            for line in said.lines().map_while(Result::ok) {
                let word = line
                    .split_whitespace()
                    .find(|word| word.contains("/p2p/"))
                    .map(str::to_owned);
                word.map(|word| tell.send(word));
            }
        });
        let limit = std::time::Duration::from_secs(20);
        relay.address = heard
            .recv_timeout(limit)
            .expect("the relay says where it listens");
        relay
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// tcpdump on an interface; ends with the value.
pub(crate) struct Capture {
    process: Child,
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl Capture {
    /// Returns once it listens.
    pub(crate) fn start(host: &Host, port: &str) -> Capture {
        let mut command = host.command("tcpdump");
        command.args(["-i", port, "-n", "-U", "-s", "0", "-w", "-"]);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let (mut out, said) = (process.stdout.take().unwrap(), process.stderr.take().unwrap());
        let capture = Capture {
            process,
            bytes: Arc::default(),
        };
        let bytes = capture.bytes.clone();
        std::thread::spawn(move || {
            let mut piece = vec![0; 64 << 10];
            while let Ok(n @ 1..) = out.read(&mut piece) {
                bytes.lock().unwrap().extend_from_slice(&piece[..n]);
            }
        });
        let (tell, heard) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(said).lines().map_while(Result::ok) {
                let _ = tell.send(line);
            }
        });
        let limit = std::time::Duration::from_secs(20);
        loop {
            let line = heard.recv_timeout(limit).expect("tcpdump listens");
            if line.contains("listening on") {
                return capture;
            }
        }
    }

    /// Whether these bytes went by.
    pub(crate) fn has(&self, wanted: &[u8]) -> bool {
        let bytes = self.bytes.lock().unwrap();
        bytes
            .windows(wanted.len())
            .any(|window| window.eq_ignore_ascii_case(wanted))
    }

    /// How many bytes went by.
    pub(crate) fn len(&self) -> usize {
        self.bytes.lock().unwrap().len()
    }

    /// Sends a word in the clear from a host to an address on the cable, and waits until it is seen: so that what went by before is
    /// seen, too, and so that a capture that sees nothing cannot pass.
    pub(crate) fn catches_up(&self, from: &Host, address: &str) {
        let word = format!("in the clear {}", self.len());
        from.within(
            "bash",
            &["-c", &format!("printf '%s' '{word}' >/dev/udp/{address}/9")],
        );
        until("the capture sees a word in the clear", 10, String::new, || {
            self.has(word.as_bytes())
        });
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
