//! One connected peer: what it said, what it was asked, what it is owed.
//!
//! Guarantees: all that is owed is kept as state and made into bytes only when there is room to send
//! (`out`), so that a peer that does not read costs no memory; what comes is held in at most one
//! part of each kind (`parts`). It decides nothing about other peers: that is the node's.
//! `asked` counts the time that it has for what it was asked.

mod asked;
mod ground;
mod out;
mod parts;

use crate::core::limits::STRANGE_MAX;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use coffer_store::ids::ChainId;

pub(crate) use asked::{AskedChain, AskedChunk, Due};
pub(crate) use ground::{Chain, Ground, PartialBatch};
pub(crate) use parts::{BatchPart, ChunkPart, Of, StatementPart};

use super::limits::{CONTROL_MAX, WINDOW, times};
use super::wire::{Frames, Hello, Message, Parcel, Reach, Resume};
use super::{Access, CertifiedPeer, ChunkName, Ended, Millis, PeerId, SessionId, StatementId};

/// A chain that the peer wants.
pub(crate) struct Sub {
    /// The last event that was given to be sent.
    pub(crate) sent: u64,
    /// The part that the peer has of what follows.
    pub(crate) resume: Option<Resume>,
}

/// A batch that goes out in pieces.
pub(crate) struct Big {
    pub(crate) parcel: Parcel,
    pub(crate) token: [u8; 16],
    pub(crate) at: usize,
}

/// Batches for the peer.
#[derive(Default)]
pub(crate) struct Feed {
    pub(crate) subs: BTreeMap<ChainId, Sub>,
    /// Chains of which there is more than was given to be sent.
    pub(crate) lag: BTreeSet<ChainId>,
    /// Those that the store is reading.
    pub(crate) reading: Option<Vec<ChainId>>,
    pub(crate) queue: VecDeque<Parcel>,
    pub(crate) queued: usize,
    pub(crate) big: Option<Big>,
    /// The store gave nothing, though there is more: not before then again.
    pub(crate) rests_until: Option<Millis>,
}

/// Statements for the peer.
#[derive(Default)]
pub(crate) struct Giving {
    /// What it wants and has, and how many were read for it.
    pub(crate) asked: Option<(Vec<StatementId>, Vec<StatementId>, usize)>,
    pub(crate) is_reading: bool,
    /// All were read: the peer is to be told when they are sent.
    pub(crate) is_over: bool,
    pub(crate) queue: VecDeque<Arc<[u8]>>,
    pub(crate) at: usize,
}

/// Chunks of one urgency for the peer.
#[derive(Default)]
pub(crate) struct Lane {
    pub(crate) queue: VecDeque<(ChunkName, u32)>,
    /// The store reads one at a time, also if it is not wanted any more: then nothing of it goes out.
    pub(crate) reading: Option<(ChunkName, u32)>,
    pub(crate) is_dropped: bool,
    pub(crate) current: Option<(ChunkName, Arc<[u8]>, usize)>,
}

impl Lane {
    pub(crate) fn len(&self) -> usize {
        self.queue.len() + usize::from(self.reading.is_some()) + usize::from(self.current.is_some())
    }

    /// It is not wanted any more; how many bytes were read in vain.
    pub(crate) fn forget(&mut self, id: &ChunkName) -> usize {
        self.queue.retain(|(other, _)| other != id);
        self.is_dropped |= self.reading.is_some_and(|(other, _)| other == *id);
        let current = self.current.take_if(|(other, ..)| other == id);
        current.map_or(0, |(_, bytes, at)| bytes.len() - at)
    }
}

/// Where the exchange of statements is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Members {
    /// The peer has not named its newest.
    Silent,
    /// They come.
    Coming {
        /// How many the store has not answered for, and their bytes.
        open: (usize, u64),
        /// Whether there are no more.
        all: bool,
    },
    /// All are here.
    Settled,
}

pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) peer: PeerId,
    /// What membership says of it.
    pub(crate) certified: CertifiedPeer,
    pub(crate) access: Access,
    /// Whether this side, and the other, said at first that there are to be statements alone.
    pub(crate) said_limited: bool,
    pub(crate) is_limited_there: bool,
    pub(crate) frames: Frames,
    pub(crate) hello: Option<Hello>,
    pub(crate) opened_at: Millis,
    pub(crate) heard_at: Millis,
    pub(crate) is_pinged: bool,

    pub(crate) said_hello: bool,
    control: VecDeque<Vec<u8>>,
    control_bytes: usize,
    pub(crate) unwritten: usize,
    announce: BTreeSet<ChainId>,
    pub(crate) announce_at: Option<Millis>,
    announced_whole: bool,
    pub(crate) heads_due: bool,
    pub(crate) wants_due: BTreeSet<ChainId>,
    pub(crate) stops_due: BTreeSet<ChainId>,
    pub(crate) drops_due: BTreeSet<ChunkName>,
    /// Bytes of objects that the peer takes, and that it was sent, in all.
    pub(crate) credit: u64,
    sent: u64,
    pub(crate) feed: Feed,
    pub(crate) giving: Giving,
    /// Urgent ones, and others.
    pub(crate) lanes: [Lane; 2],
    /// Chunks that the peer was told are not here.
    pub(crate) refused: BTreeSet<ChunkName>,
    /// Its questions that the store has not answered.
    pub(crate) questions: usize,
    /// Bytes that were read for it in vain, and since when they are being forgiven.
    waste: (u64, Millis),

    /// Bytes of objects that the peer may send, and that came, in all.
    granted: u64,
    received: u64,
    /// Bytes of whole objects that the store has not answered for.
    pub(crate) pending: u64,
    pub(crate) unasked: u64,
    /// Bytes of messages of unknown kinds, in all.
    strange: u64,
    /// Bytes of objects that were asked for, in all.
    pub(crate) useful: u64,
    pub(crate) known: BTreeMap<ChainId, Reach>,
    pub(crate) known_whole: bool,
    /// Of these, those that membership does not know, and that are followed all the same.
    pub(crate) unknown: BTreeSet<ChainId>,
    /// Whether it named others that are not.
    pub(crate) is_crowded: bool,
    /// Chains that are told here.
    pub(crate) asked: BTreeMap<ChainId, AskedChain>,
    /// Chains of which nothing is taken from here.
    pub(crate) stopped: BTreeSet<ChainId>,
    /// Chains that it did not give: how often, and until when others are asked first.
    pub(crate) failed: BTreeMap<ChainId, (u32, Millis)>,
    pub(crate) batch: Option<BatchPart>,
    pub(crate) statement: StatementPart,
    pub(crate) members: Members,
    /// The store looks which are missing; and whether the peer has named others since.
    pub(crate) looking: Option<bool>,
    pub(crate) heads: Vec<StatementId>,
    /// Those that it was asked for last.
    pub(crate) withheld: Vec<StatementId>,
    /// When it is asked once more for what it did not give, or the store did not take.
    pub(crate) look_at: Option<Millis>,
    /// Chunks asked here.
    pub(crate) chunks: BTreeMap<ChunkName, AskedChunk>,
    order: u64,
    /// Urgent ones, and others.
    due: [Due; 2],
    /// How often chunks were late, since one came.
    pub(crate) chunks_failed: u32,
    /// Those that are coming: an urgent one, and another.
    pub(crate) begun: [Option<ChunkName>; 2],
    /// What it was asked to confirm.
    pub(crate) asking: BTreeMap<u32, Vec<ChunkName>>,
}

impl Session {
    pub(crate) fn new(
        id: SessionId,
        peer: PeerId,
        (certified, access): (CertifiedPeer, Access),
        ground: &Ground,
    ) -> Session {
        let due = Due {
            since: ground.now,
            from: 0,
        };
        Session {
            id,
            peer,
            certified,
            access,
            said_limited: false,
            is_limited_there: false,
            frames: Frames::default(),
            hello: None,
            opened_at: ground.now,
            heard_at: ground.now,
            is_pinged: false,
            said_hello: false,
            control: VecDeque::new(),
            control_bytes: 0,
            unwritten: 0,
            announce: ground.told().collect(),
            announce_at: Some(ground.now),
            announced_whole: false,
            heads_due: true,
            wants_due: BTreeSet::new(),
            stops_due: BTreeSet::new(),
            drops_due: BTreeSet::new(),
            credit: 0,
            sent: 0,
            feed: Feed::default(),
            giving: Giving::default(),
            lanes: Default::default(),
            refused: BTreeSet::new(),
            questions: 0,
            waste: (0, ground.now),
            granted: WINDOW,
            received: 0,
            pending: 0,
            unasked: 0,
            strange: 0,
            useful: 0,
            known: BTreeMap::new(),
            known_whole: false,
            unknown: BTreeSet::new(),
            is_crowded: false,
            asked: BTreeMap::new(),
            stopped: BTreeSet::new(),
            failed: BTreeMap::new(),
            batch: None,
            statement: StatementPart::default(),
            members: Members::Silent,
            looking: None,
            heads: Vec::new(),
            withheld: Vec::new(),
            look_at: None,
            chunks: BTreeMap::new(),
            order: 0,
            due: [due; 2],
            chunks_failed: 0,
            begun: [None; 2],
            asking: BTreeMap::new(),
        }
    }

    /// Whether things can be asked of it: it has said all that it holds, and its statements are here.
    pub(crate) fn is_ready(&self) -> bool {
        self.hello.is_some() && !self.is_limited() && self.known_whole && self.members == Members::Settled
    }

    /// Whether there are statements alone, for one side or the other.
    pub(crate) fn is_limited(&self) -> bool {
        self.access == Access::Statements || self.is_limited_there
    }

    /// Whether it may say in a moment what it has.
    pub(crate) fn is_coming(&self, now: Millis) -> bool {
        !self.is_ready() && !self.is_limited() && now.saturating_sub(self.opened_at) < times::HELLO
    }

    /// The chain on which it tells, if membership says so.
    pub(crate) fn own(&self) -> Option<ChainId> {
        let own = self.hello.map(|hello| hello.own);
        own.filter(|own| self.certified.owns(own))
    }

    /// How far the peer has a chain, for all that it said.
    pub(crate) fn has(&self, chain: &ChainId) -> u64 {
        self.known.get(chain).map_or(0, |reach| reach.last)
    }

    /// Whether this peer can bring more of a chain than that.
    pub(crate) fn is_ahead(&self, chain: &ChainId, held: u64) -> bool {
        self.is_ready() && self.has(chain) > held && !self.stopped.contains(chain)
    }

    /// Whether as much waits to go out that it had better not be asked anything.
    pub(crate) fn has_much_to_read(&self) -> bool {
        self.control_bytes > CONTROL_MAX / 2
    }

    /// A message goes out as soon as there is room.
    ///
    /// # Errors
    /// [`Ended::Flood`] if the peer does not read what it makes us say.
    pub(crate) fn say(&mut self, message: &Message<'_>) -> Result<(), Ended> {
        let frame = message.encode();
        self.control_bytes += frame.len() + 2;
        if self.control_bytes > CONTROL_MAX {
            return Err(Ended::Flood);
        }
        self.control.push_back(frame);
        Ok(())
    }

    /// The peer is to be told how far this chain is here: at once, if it may be waiting for that.
    pub(crate) fn announce(&mut self, chain: ChainId, due: Millis) {
        self.announce.insert(chain);
        self.announce_at = Some(self.announce_at.map_or(due, |at| at.min(due)));
    }

    /// Bytes of objects came.
    ///
    /// # Errors
    /// [`Ended::Overrun`] if there was no credit for them.
    pub(crate) fn received(&mut self, bytes: usize) -> Result<(), Ended> {
        self.received += bytes as u64;
        match self.received > self.granted {
            true => Err(Ended::Overrun),
            false => Ok(()),
        }
    }

    /// A message of an unknown kind, which is passed over. It is under no credit, and so no object.
    pub(crate) fn passed_over(&mut self, bytes: usize, now: Millis) -> Result<(), Ended> {
        let (least, each) = STRANGE_MAX;
        let seconds = now.saturating_sub(self.opened_at) / 1_000;
        self.strange = self.strange.saturating_add(bytes as u64);
        match self.strange > least.saturating_add(each.saturating_mul(seconds)) {
            true => Err(Ended::TooMany(
                "it says more that this version of coffer does not know than it may",
            )),
            false => Ok(()),
        }
    }

    /// Bytes held for this session.
    pub(crate) fn held_bytes(&self) -> usize {
        let chunks: usize = self
            .chunks
            .values()
            .map(|asked| 96 + asked.part.as_ref().map_or(0, ChunkPart::held))
            .sum();
        let lanes: usize = self
            .lanes
            .iter()
            .map(|lane| lane.queue.len() * 40 + lane.current.as_ref().map_or(0, |(_, bytes, _)| bytes.len()))
            .sum();
        let given: usize = self.giving.queue.iter().map(|one| one.len()).sum();
        let big = self.feed.big.as_ref().map_or(0, |big| big.parcel.total());
        let lists = self.known.len() + self.feed.subs.len() + self.asked.len() + self.announce.len();
        let lists = (lists + self.unknown.len() + self.failed.len() + self.stopped.len()) * 64;
        let names = (self.refused.len() + self.drops_due.len()) * 48;
        let parts = self.batch.as_ref().map_or(0, BatchPart::held) + self.statement.held();
        self.frames.held()
            + self.control_bytes
            + self.feed.queued
            + big
            + given
            + parts
            + chunks
            + lanes
            + lists
            + names
    }
}

impl Feed {
    /// This chain is not told any more; how many bytes were read in vain.
    pub(crate) fn forget(&mut self, chain: &ChainId) -> usize {
        if self.subs.remove(chain).is_none() {
            return 0;
        }
        let before = self.queued + self.big.as_ref().map_or(0, |big| big.parcel.total() - big.at);
        self.lag.remove(chain);
        // What is being read goes on from where it was told to: should it be wanted anew, that is read anew.
        if let Some(reading) = &mut self.reading {
            reading.retain(|other| other != chain);
        }
        if self
            .big
            .as_ref()
            .is_some_and(|big| big.parcel.carried.row.chain == *chain)
        {
            self.big = None;
        }
        self.queue.retain(|parcel| parcel.carried.row.chain != *chain);
        self.queued = self.queue.iter().map(Parcel::total).sum();
        before - self.queued - self.big.as_ref().map_or(0, |big| big.parcel.total() - big.at)
    }
}
