//! What goes out next: messages first, then small batches, then pieces of what is large, the most
//! urgent first.
//!
//! Guarantees: no frame is made for which the peer gave no credit, or which the transport has no room for.

use coffer_store::ids::ChainId;

use super::{Big, Ground, Session};
use crate::core::limits::{IDS_MAX, PIECE_MAX, UNWRITTEN_MAX, WINDOW};
use crate::core::wire::{Hello, LIMITED, Message, Resume, VERSION, Wanted, framed};
use crate::core::{Access, Ended};

/// Entries of a clock, and of a list of wanted chains, that surely fit a frame.
const ENTRIES: usize = 1_300;
/// Bytes of a frame's own fields, beside the piece.
const FIELDS: u64 = 64;
/// The shortest piece that is worth a frame, in bytes, if more is left.
const LEAST: u64 = 1 << 10;
/// Frames are sent together up to so many bytes.
const TOGETHER: usize = 64 << 10;

/// How long the Statement is that says that there are no more, as credit counts.
const ENDING: u64 = 3;

impl Session {
    /// Some frames to send; none if there are none, or no room.
    pub(crate) fn next_bytes(&mut self, ground: &mut Ground) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        while self.unwritten + bytes.len() < UNWRITTEN_MAX && bytes.len() < TOGETHER {
            let Some(message) = self.next_message(ground) else {
                break;
            };
            bytes.extend(framed(&message));
        }
        self.unwritten += bytes.len();
        ground.went.add(ground.now, bytes.len() as u64);
        (!bytes.is_empty()).then_some(bytes)
    }

    fn next_message(&mut self, ground: &mut Ground) -> Option<Vec<u8>> {
        if !self.said_hello {
            self.said_hello = true;
            self.said_limited = self.access != Access::Full;
            return Some(self.hello_of(ground).encode());
        }
        // Nothing else is said to somebody of another space or version.
        self.hello?;
        let limited = self.is_limited();
        if let Some(message) = self.control.pop_front() {
            self.control_bytes -= message.len() + 2;
            return Some(message);
        }
        if std::mem::take(&mut self.heads_due) {
            let heads = match self.removal() {
                Some(removal) => vec![removal],
                None => ground.heads.iter().copied().take(IDS_MAX).collect(),
            };
            return Some(Message::Heads(heads).encode());
        }
        let message = match limited {
            true => None,
            false => self.positions(ground).or_else(|| self.calls(ground)),
        };
        message
            .or_else(|| self.credit(ground))
            .or_else(|| self.data(ground))
    }

    fn hello_of(&self, ground: &Ground) -> Message<'static> {
        Message::Hello(Hello {
            versions: (VERSION, VERSION),
            space: ground.space,
            own: ground.own,
            features: if self.said_limited { LIMITED } else { 0 },
            policy: ground.policy,
            credit: self.granted,
        })
    }

    fn positions(&mut self, ground: &Ground) -> Option<Vec<u8>> {
        self.announce_at.filter(|at| *at <= ground.now)?;
        let mut reach = Vec::new();
        while reach.len() < ENTRIES
            && let Some(chain) = self.announce.pop_first()
        {
            reach.extend(ground.reach(&chain).map(|reach| (chain, reach)));
        }
        let whole = self.announce.is_empty();
        if whole {
            self.announce_at = None;
        }
        if reach.is_empty() && (!whole || self.announced_whole) {
            return None;
        }
        self.announced_whole |= whole;
        Some(Message::Clock { whole, reach }.encode())
    }

    /// What is asked of the peer, or not any more.
    fn calls(&mut self, ground: &Ground) -> Option<Vec<u8>> {
        if let Some(chains) = some(&mut self.stops_due, ENTRIES) {
            return Some(Message::Stop(chains).encode());
        }
        if let Some(chunks) = some(&mut self.drops_due, IDS_MAX) {
            return Some(Message::DropChunks(chunks).encode());
        }
        let chains = some(&mut self.wants_due, ENTRIES)?;
        let (asked, peer) = (&mut self.asked, self.peer);
        let wanted = |chain: ChainId| {
            let after = ground.clock.get(&chain).map_or(0, |chain| chain.held);
            let resume = ground.part_for(&chain, after, peer).map(|part| Resume {
                token: part.token,
                offset: part.bytes.len() as u32,
            });
            if let Some(asked) = asked.get_mut(&chain) {
                asked.resumes = resume.is_some();
            }
            Wanted { chain, after, resume }
        };
        Some(Message::Want(chains.into_iter().map(wanted).collect()).encode())
    }

    /// More credit, when there is much more; with a limit on what comes, as much as that lets pass.
    fn credit(&mut self, ground: &mut Ground) -> Option<Vec<u8>> {
        if ground.is_paused {
            return None;
        }
        let mut more = self.grantable();
        if ground.coming.is_limited() {
            more = more.min(ground.coming.left(ground.now).max(0) as u64);
            if more < (16 << 10) {
                return None;
            }
        } else if more < WINDOW / 4 {
            return None;
        }
        ground.coming.take(more);
        self.granted += more;
        Some(Message::Credit(self.granted).encode())
    }

    fn data(&mut self, ground: &mut Ground) -> Option<Vec<u8>> {
        if ground.is_paused || ground.going.left(ground.now) <= 0 {
            return None;
        }
        let left = self.credit.saturating_sub(self.sent);
        let message = self
            .statement(left)
            .or_else(|| self.small_batch(left))
            .or_else(|| self.chunk(0, left))
            .or_else(|| self.big_batch(left))
            .or_else(|| self.chunk(1, left))?;
        self.sent += message.len() as u64;
        self.waste.0 = self.waste.0.saturating_sub(message.len() as u64);
        ground.going.take(message.len() as u64);
        Some(message)
    }

    fn statement(&mut self, left: u64) -> Option<Vec<u8>> {
        let Some(one) = self.giving.queue.front() else {
            if left < ENDING {
                return None;
            }
            // All were read, and sent.
            return std::mem::take(&mut self.giving.is_over).then(|| {
                self.knows_removal |= self.removal().is_some();
                let (total, offset, data) = (0, 0, &[][..]);
                Message::Statement { total, offset, data }.encode()
            });
        };
        let (from, total) = (self.giving.at, one.len());
        let size = piece(total - from, left)?;
        let message = Message::Statement {
            total: total as u32,
            offset: from as u32,
            data: &one[from..from + size],
        };
        let message = message.encode();
        self.giving.at += size;
        if self.giving.at == total {
            self.giving.queue.pop_front();
            self.giving.at = 0;
        }
        Some(message)
    }

    /// A batch that fits a frame; one that is small need not wait for a large one of another chain.
    fn small_batch(&mut self, left: u64) -> Option<Vec<u8>> {
        let feed = &mut self.feed;
        let front = feed.queue.front()?;
        let row = &front.carried.row;
        if feed
            .big
            .as_ref()
            .is_some_and(|big| big.parcel.carried.row.chain == row.chain)
        {
            return None;
        }
        let total = front.total();
        if total > PIECE_MAX {
            if feed.big.is_none() {
                let parcel = feed.queue.pop_front()?;
                feed.queued -= total;
                let token = parcel.token();
                let resume = feed.subs.get_mut(&parcel.carried.row.chain);
                let resume = resume.and_then(|sub| sub.resume.take());
                let at = resume.filter(|resume| resume.token == token && (resume.offset as usize) < total);
                let at = at.map_or(0, |resume| resume.offset as usize);
                feed.big = Some(Big { parcel, token, at });
            }
            return None;
        }
        if total as u64 + FIELDS > left {
            return None;
        }
        let parcel = feed.queue.pop_front()?;
        feed.queued -= total;
        let row = &parcel.carried.row;
        let message = Message::Batch {
            chain: row.chain,
            first: row.first,
            parcel: &parcel.piece(0, total),
        };
        Some(message.encode())
    }

    fn big_batch(&mut self, left: u64) -> Option<Vec<u8>> {
        let big = self.feed.big.as_mut()?;
        let total = big.parcel.total();
        let size = piece(total - big.at, left)?;
        let row = &big.parcel.carried.row;
        let message = Message::BatchPiece {
            chain: row.chain,
            first: row.first,
            token: big.token,
            total: total as u32,
            offset: big.at as u32,
            data: &big.parcel.piece(big.at, size),
        };
        let message = message.encode();
        big.at += size;
        if big.at == total {
            self.feed.big = None;
        }
        Some(message)
    }

    fn chunk(&mut self, lane: usize, left: u64) -> Option<Vec<u8>> {
        let lane = &mut self.lanes[lane];
        let (id, bytes, at) = lane.current.as_mut()?;
        let size = piece(bytes.len() - *at, left)?;
        let message = Message::Chunk {
            id: *id,
            total: bytes.len() as u32,
            offset: *at as u32,
            data: &bytes[*at..*at + size],
        };
        let message = message.encode();
        *at += size;
        if *at == bytes.len() {
            lane.current = None;
        }
        Some(message)
    }

    /// Says goodbye, for the last bytes of a session.
    pub(crate) fn farewell(&self, why: &Ended) -> Option<Vec<u8>> {
        let message = Message::Goodbye(why.goodbye()?);
        self.said_hello.then(|| framed(&message.encode()))
    }

    /// How many more bytes it may be allowed to send.
    pub(crate) fn grantable(&self) -> u64 {
        let upto = self.received + WINDOW.saturating_sub(self.pending);
        upto.saturating_sub(self.granted)
    }

    /// Whether anything waits that is no matter of time.
    pub(crate) fn owes(&self) -> bool {
        let feed = &self.feed;
        !feed.queue.is_empty() || feed.big.is_some() || self.lanes.iter().any(|lane| lane.len() > 0)
    }
}

/// How much of what is left of an object goes into a frame; none if there is too little credit.
fn piece(rest: usize, credit: u64) -> Option<usize> {
    let most = credit.checked_sub(FIELDS)?;
    let size = (rest as u64).min(PIECE_MAX as u64).min(most);
    (size > 0 && (size == rest as u64 || size >= LEAST)).then_some(size as usize)
}

/// Takes some entries of a set; none if there are none.
fn some<T: Ord>(set: &mut std::collections::BTreeSet<T>, most: usize) -> Option<Vec<T>> {
    let mut taken = Vec::new();
    while taken.len() < most
        && let Some(one) = set.pop_first()
    {
        taken.push(one);
    }
    (!taken.is_empty()).then_some(taken)
}
