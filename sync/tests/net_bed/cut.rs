//! A link between two ends of a TCP connection that stops after so many bytes: it is cut, or holds what comes.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What becomes of it then.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Both ends hear that it is over.
    Cut,
    /// Neither hears anything any more.
    Hold,
}

/// See the module.
pub struct Link {
    /// Where who calls finds it.
    pub port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    went: [AtomicUsize; 2],
    stopped: AtomicBool,
}

impl Link {
    /// To this port, for one caller: `most` bytes go to the caller, and from it.
    pub fn to(port: u16, most: [usize; 2], then: Then) -> Link {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let link = Link {
            port: listener.local_addr().unwrap().port(),
            state: Arc::default(),
        };
        let state = link.state.clone();
        std::thread::spawn(move || {
            let (caller, _) = listener.accept().unwrap();
            let called = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let ways = [(&called, &caller), (&caller, &called)];
            for (way, (from, to)) in ways.into_iter().enumerate() {
                let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                let state = state.clone();
                std::thread::spawn(move || carry(&state, way, (from, to), most[way], then));
            }
        });
        link
    }

    /// How many bytes went to the caller, and from it.
    pub fn went(&self) -> [usize; 2] {
        [0, 1].map(|way| self.state.went[way].load(Ordering::SeqCst))
    }

    /// Whether it has stopped.
    pub fn has_stopped(&self) -> bool {
        self.state.stopped.load(Ordering::SeqCst)
    }
}

fn carry(state: &State, way: usize, (mut from, mut to): (TcpStream, TcpStream), most: usize, then: Then) {
    let mut piece = [0; 512];
    loop {
        let went = state.went[way].load(Ordering::SeqCst);
        let left = most - went;
        if left == 0 {
            state.stopped.store(true, Ordering::SeqCst);
        }
        if state.stopped.load(Ordering::SeqCst) {
            match then {
                Then::Cut => break,
                // Both sockets stay open for as long as the test runs.
                Then::Hold => loop {
                    std::thread::park();
                },
            }
        }
        let Ok(n @ 1..) = from.read(&mut piece[..left.min(512)]) else {
            break;
        };
        if to.write_all(&piece[..n]).is_err() {
            break;
        }
        state.went[way].fetch_add(n, Ordering::SeqCst);
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
