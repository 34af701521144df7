//! Guards every format against values that nobody thought of: random ones, small and at
//! their limits, come back from their bytes as they went in.

mod format_samples;

use coffer_store::chunk::Place;
use coffer_store::chunk::pack::MAX_PAYLOAD;
use coffer_store::event::{
    BatchHeader, BatchRow, BatchWriter, Body, Digest, Event, EventKind, EventRef, Form, Head, Hole,
    NodeState, Version, hash,
};
use coffer_store::ids::{ChainId, EntityId, NodeId, SpaceId};
use coffer_store::keys::ChunkId;
use coffer_store::members::{SpaceSecrets, StatementId};
use coffer_store::record::{
    BaseRef, BodyRef, ChunkRow, InodeRecord, Kept, LogRecord, ManifestRef, Marks, Meta, NAME_MAX, NodeRecord,
    Time, VersionRecord, Xattrs,
};
use coffer_store::testing;
use coffer_store::tree::{Kind, Told};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const ROUNDS: u64 = 3_000;

/// A source of values; limits come up often.
struct Any(StdRng);

impl Any {
    fn u64(&mut self) -> u64 {
        match self.0.random_range(0..6) {
            0 => 0,
            1 => u64::MAX,
            2 => self.0.random_range(0..300),
            _ => self.0.random(),
        }
    }
    fn u32(&mut self) -> u32 {
        self.u64() as u32
    }
    fn below(&mut self, end: u64) -> u64 {
        self.u64() % end
    }
    fn size(&mut self) -> u64 {
        self.below(1 << 63)
    }
    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let len = self.below(most as u64 + 1) as usize;
        (0..len).map(|_| self.0.random()).collect()
    }
    fn array<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.0.random())
    }
    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.0.random_range(0..from.len())]
    }
    fn maybe<T>(&mut self, make: impl FnOnce(&mut Any) -> T) -> Option<T> {
        self.0.random::<bool>().then(|| make(self))
    }
    fn kind(&mut self) -> Kind {
        use Kind::*;
        self.pick(&[File, Folder, Symlink, Fifo, Socket, CharDevice, BlockDevice])
    }
    fn time(&mut self) -> Time {
        Time {
            sec: self.u64() as i64,
            nsec: self.below(1_000_000_000) as u32,
        }
    }
    fn name(&mut self) -> Vec<u8> {
        let mut name = self.bytes(NAME_MAX - 1);
        name.push(b'x');
        name.iter_mut()
            .filter(|b| matches!(b, b'/' | 0))
            .for_each(|b| *b = b'_');
        name
    }
    fn xattrs(&mut self) -> Option<Box<Xattrs>> {
        let count = self.pick(&[0, 0, 1, 2, 30]);
        let xattrs: Xattrs = (0..count).map(|_| (self.name(), self.bytes(100))).collect();
        (!xattrs.is_empty()).then(|| Box::new(xattrs))
    }
    fn place(&mut self) -> Place {
        let len = self.below(MAX_PAYLOAD as u64 + 1);
        Place {
            pack: self.u32(),
            offset: self.u64().min(u64::MAX - len),
            len: len as u32,
        }
    }
    fn manifest(&mut self) -> ManifestRef {
        ManifestRef {
            id: ChunkId(self.array()),
            sealed: self.array(),
            len: self.u32(),
            depth: self.u32() as u8,
            entries: self.u64(),
        }
    }
    fn at(&mut self) -> EventRef {
        EventRef {
            chain: ChainId(self.array()),
            seq: self.u64(),
        }
    }
}

/// Many values of one kind, each from a seed of its own.
fn many(mut check: impl FnMut(&mut Any)) {
    for seed in 0..ROUNDS {
        check(&mut Any(StdRng::seed_from_u64(seed)));
    }
}

#[test]
fn inodes() {
    many(|any| {
        let meta = Meta {
            kind: any.kind(),
            perm: any.u32() as u16,
            uid: any.u32(),
            gid: any.u32(),
            rdev: any.u32(),
            nlink: any.u32(),
            atime: any.time(),
            mtime: any.time(),
            ctime: any.time(),
            btime: any.time(),
            xattrs: any.xattrs(),
        };
        let body = BaseRef::Body {
            batch: any.u64(),
            offset: any.u32(),
            len: any.u32(),
            at: any.at(),
            generation: any.u32(),
            entity: EntityId(any.array()),
        };
        let manifest = BaseRef::Manifest(any.manifest());
        let (a, b) = (any.u64(), any.u64());
        let base = any.pick(&[BaseRef::Empty, body, manifest]);
        let record = InodeRecord {
            entity: EntityId(any.array()),
            entity_key: any.maybe(Any::array),
            body_key: base.sealed_for().map(|_| any.array()),
            marks: Marks {
                text: any.pick(&[false, true]),
                scratch: any.pick(&[false, true]),
            },
            meta,
            size: any.size(),
            allocated: any.u64(),
            base,
            base_len: any.u64(),
            log_first: a.min(b),
            log_next: a.max(b),
            published: Some(any.at()),
            beside: (0..any.u32() % 4).map(|_| any.at()).collect(),
        };
        assert_eq!(InodeRecord::decode(&record.encode()), Ok(record));
    });
}

#[test]
fn nodes_and_their_states() {
    many(|any| {
        let record = NodeRecord {
            parent: any.u64(),
            ino: any.u64(),
            kind: any.kind(),
            id: NodeId(any.array()),
            told: any.pick(&[Told::Never, Told::Before, Told::Now]),
            name: any.name(),
        };
        assert_eq!(NodeRecord::decode(&record.encode()), Ok(record));
        let state = NodeState {
            parent: NodeId(any.array()),
            entity: any.maybe(|any| EntityId(any.array())),
            perm: any.u32() as u16,
            xattrs: any.xattrs(),
            when: any.time(),
            name: any.name(),
        };
        assert_eq!(NodeState::decode(&state.encode()), Ok(state));
    });
}

#[test]
fn logs_and_chunks() {
    many(|any| {
        let data = any.bytes(5_000);
        let (place, offset) = (any.place(), any.below((1 << 63) - MAX_PAYLOAD as u64));
        let skip = any.below(u64::from(place.len) + 1) as u32;
        let take = any.below(u64::from(place.len - skip) + 1) as u32;
        let stored = LogRecord::Stored {
            offset,
            place,
            serial: any.u64(),
            skip,
            take,
        };
        let hole = any.below((1 << 63) - offset);
        for record in [
            LogRecord::Write(offset, data),
            LogRecord::Zero(offset, hole),
            LogRecord::Truncate(any.size()),
            stored,
        ] {
            assert_eq!(LogRecord::decode(&record.encode()), Ok(record));
        }
        let row = ChunkRow {
            place: any.place(),
            len: any.u32(),
            sealed: any.array(),
            kind: any.u32() as u8,
        };
        assert_eq!(ChunkRow::decode(&row.encode()), Ok(row));
    });
}

/// A whole batch of any events, in their places.
fn any_batch(any: &mut Any) -> (BatchHeader, Vec<Event>) {
    use EventKind::*;
    let count = any.pick(&[1, 1, 2, 3, 9]);
    let header = BatchHeader {
        space: SpaceId(any.array()),
        chain: ChainId(any.array()),
        first: any.u64().clamp(1, u64::MAX - count),
        prev: any.array(),
        ahead: any.u64(),
    };
    let others: [ChainId; 4] = std::array::from_fn(|_| ChainId(any.array()));
    let (mut prev, mut events) = (header.prev, Vec::new());
    for seq in header.first..header.first + count {
        let kind = any.pick(&[Create, Version, Node, NodeGone, Setting]);
        // Only what creates an entity replaces nothing of it.
        let least = usize::from(kind == Version);
        let count = any.pick(&[0, 1, 2, 2, 1024]).max(least);
        let mut replaced = || {
            let chain = any.pick(&[header.chain, others[0], others[1], others[2], others[3]]);
            EventRef { chain, ..any.at() }
        };
        let replaces = (0..count).map(|_| replaced()).collect();
        let mut sealed = any.bytes(2_000);
        sealed.extend([0; 40]);
        let wrapped = (kind == Create).then(|| any.array());
        let head = Head {
            kind,
            space: header.space,
            at: EventRef {
                chain: header.chain,
                seq,
            },
            // The batch begins at the first one's time.
            lamport: match seq == header.first {
                true => seq.wrapping_add(header.ahead),
                false => any.u64(),
            },
            prev,
            subject: any.array(),
            generation: any.u32(),
            replaces,
            sealed: Digest::of(&sealed),
            wrapped: wrapped.as_ref().map(|wrapped: &[u8; 72]| hash(wrapped)),
        };
        let event = Event {
            head,
            wrapped,
            sealed: Some(sealed),
        };
        prev = event.hash();
        events.push(event);
    }
    (header, events)
}

fn written(header: BatchHeader, events: &[Event]) -> (Vec<u8>, Vec<u32>, [u8; 32]) {
    let mut batch = BatchWriter::new(header);
    let places = events.iter().map(|event| batch.push(event)).collect();
    (batch.bytes().to_vec(), places, batch.head())
}

/// Guards batches: what was written is read, whatever of it was let go of; offsets are those of the batch
/// as it was made; and what was cut short or altered is refused, or is something else in its one form.
#[test]
fn events_in_batches() {
    many(|any| {
        let (header, mut events) = any_batch(any);
        let (whole, places, head) = written(header, &events);
        assert_eq!(head, events.last().unwrap().hash());
        for (event, at) in events.iter().zip(&places) {
            let sealed = event.sealed.as_ref().unwrap();
            assert_eq!(&whole[*at as usize..][..sealed.len()], sealed);
        }
        let all = events.clone();
        for event in &mut events {
            event.sealed.take_if(|_| any.0.random());
            event.wrapped.take_if(|_| any.0.random());
        }
        let (bytes, _, same) = written(header, &events);
        assert_eq!(same, head, "what is let go of is not hashed");
        let (begins, found) = testing::events(&bytes).unwrap();
        assert_eq!(begins, header);
        assert!(found.iter().map(|(event, _)| event).eq(&events));
        let (holes, made) = testing::holes(&bytes).unwrap();
        let lens = all.iter().map(|event| event.head.sealed.len);
        assert!(made.iter().copied().eq(places.iter().copied().zip(lens)));
        let row = BatchRow {
            place: Place {
                pack: 1,
                offset: 0,
                len: bytes.len() as u32,
            },
            chain: header.chain,
            first: header.first,
            count: events.len() as u32,
            head,
            signature: any.array(),
            holes,
        };
        assert_eq!(BatchRow::decode(&row.encode()).as_ref(), Ok(&row));
        let gone: u32 = row.holes.iter().map(|hole| hole.len).sum();
        assert_eq!(bytes.len() + gone as usize, whole.len());
        for ((event, at), (at_hand, at_made)) in all.iter().zip(&places).zip(found.iter().zip(&made)) {
            let physical = row.physical(*at, at_made.1).map(|at| at as usize);
            assert_eq!(physical, at_hand.1, "where it is, if it is there");
            if let Some(physical) = physical {
                let sealed = event.sealed.as_ref().unwrap();
                assert_eq!(&bytes[physical..][..sealed.len()], sealed);
            }
        }
        let again = testing::format("events");
        for _ in 0..4 {
            let cut = any.0.random_range(0..bytes.len());
            let mut copy = bytes.clone();
            copy[cut] ^= 1 << any.0.random_range(0..8);
            for bytes in [&bytes[..cut], &copy] {
                assert!(again(bytes).is_none_or(|made| made == bytes), "two forms");
            }
        }
    });
}

#[test]
fn rows_of_batches() {
    many(|any| {
        let count = any.u32().max(1);
        let row = BatchRow {
            place: any.place(),
            chain: ChainId(any.array()),
            first: any.u64().clamp(1, u64::MAX - u64::from(count)),
            count,
            head: any.array(),
            signature: any.array(),
            holes: (0..any.pick(&[0, 1, 2, 500]))
                .map(|i| Hole {
                    offset: 1 + i * 1000 + any.below(400) as u32,
                    len: 1 + any.below(500) as u32,
                })
                .collect(),
        };
        assert_eq!(BatchRow::decode(&row.encode()), Ok(row));
    });
}

#[test]
fn rows_of_versions() {
    many(|any| {
        let creates = any.0.random();
        let kept = any.pick(&[Kept::All, Kept::Listed, Kept::Key]);
        let kept = if creates { kept } else { Kept::All };
        let kind = any.pick(&[Kind::File, Kind::Symlink]);
        let form = if kind == Kind::File { any.pick(&[1, 2]) } else { 1 };
        let body = match any.u32() % 4 {
            _ if kept != Kept::All => BodyRef::Other,
            0 if form == 2 => BodyRef::Change(any.array()),
            0 | 1 => BodyRef::Inline,
            2 => BodyRef::Manifest(any.manifest()),
            _ => BodyRef::Other,
        };
        let at = any.at();
        let near = |any: &mut Any| EventRef {
            chain: at.chain,
            seq: any.u64(),
        };
        let (one, other) = (any.at(), any.at().chain);
        let parents = (0..any.pick(&[0, 1, 2, 1024]))
            .map(|_| match any.u32() % 3 {
                0 => near(any),
                1 => one,
                _ => EventRef {
                    chain: other,
                    ..near(any)
                },
            })
            .collect();
        let record = VersionRecord {
            number: any.u64(),
            kept,
            batch: any.u64(),
            offset: any.u32(),
            len: any.u32(),
            at,
            generation: any.u32(),
            lamport: any.u64(),
            creates,
            foreign: any.0.random(),
            parents,
            recorded: any.time(),
            came: any.u64() as i64,
            modified: any.time(),
            size: any.size(),
            form,
            kind,
            perm: any.u32() as u16,
            program: any.pick(&[None, Some("vim"), Some("ed")]).map(String::from),
            body,
        };
        assert_eq!(VersionRecord::decode(&record.encode()), Ok(record));
    });
}

#[test]
fn versions() {
    many(|any| {
        let of_text = any.0.random();
        let some = |any: &mut Any, max| {
            let mut bytes = any.bytes(max);
            bytes.push(b'.');
            bytes.iter_mut().for_each(|byte| *byte &= 0x7f);
            bytes
        };
        let body = match (any.u32() % if of_text { 5 } else { 2 }, of_text) {
            (0, true) => Body::Inline(some(any, 40_000)),
            (0, false) => Body::Inline(any.bytes(40_000)),
            (1, _) => Body::Manifest(any.manifest()),
            (2, _) => Body::Change {
                serial: any.pick(&[None, Some(1), Some(u64::MAX)]),
                bytes: some(any, 400),
            },
            (3, _) => Body::Carried {
                of: any.at(),
                bytes: any.bytes(400),
            },
            _ => Body::Same,
        };
        let size = match &body {
            Body::Inline(bytes) => bytes.len() as u64,
            _ => any.size().max(1),
        };
        let version = Version {
            kind: match of_text {
                true => Kind::File,
                false => any.pick(&[Kind::File, Kind::Symlink]),
            },
            form: if of_text { Form::Text } else { Form::Blob },
            perm: any.u32() as u16,
            mtime: any.time(),
            recorded: any.time(),
            btime: any.time(),
            size,
            xattrs: any.xattrs(),
            body,
        };
        assert_eq!(Version::decode(&version.encode()), Ok(version));
    });
}

/// Those whose types are private are compared by their bytes: the fields are fixed or
/// follow their lengths, and vectors pin where each stands.
#[test]
fn private_formats() {
    let law = |name: &str, bytes: Vec<u8>| {
        assert!(
            testing::format(name)(&bytes) == Some(bytes),
            "{name} is not read as it was written"
        );
    };
    many(|any| {
        let numbers = std::array::from_fn(|_| any.u64());
        law("counters", testing::counters(numbers, any.array()));
        let epochs = (0..any.pick(&[1, 2, 40]))
            .map(|_| {
                let secrets = SpaceSecrets::take(&any.array());
                (StatementId(any.array()), any.u32(), secrets)
            })
            .collect();
        let chains = (0..any.pick(&[1, 2, 500]))
            .map(|_| (ChainId(any.array()), any.array()))
            .collect();
        law(
            "secrets",
            testing::secrets(
                SpaceId(any.array()),
                StatementId(any.array()),
                epochs,
                [any.array(), any.array()],
                chains,
            ),
        );
        let saw = any.maybe(Any::at).into_iter().collect();
        law("gone", testing::gone(NodeId(any.array()), saw));
        let count = any.pick(&[1, 2, 511, 512]);
        let named = |any: &mut Any, most: u64| (any.array(), any.array(), 1 + any.below(most) as u32);
        let entries: Vec<_> = (0..count)
            .map(|_| match any.0.random() {
                true => Ok(named(any, coffer_store::chunk::MAX as u64)),
                false => Err(any.size().max(1)),
            })
            .collect();
        law("manifest", testing::leaf(&entries));
        let children: Vec<_> = (0..count).map(|_| named(any, 4 + 512 * 69)).collect();
        let level = 1 + any.below(255) as u8;
        law("manifest", testing::branch(level, &children));
    });
}
