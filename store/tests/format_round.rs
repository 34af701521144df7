//! Guards every format against values that nobody thought of: random ones, small and at
//! their limits, come back from their bytes as they went in.

mod format_samples;

use coffer_store::chunk::Place;
use coffer_store::chunk::pack::MAX_PAYLOAD;
use coffer_store::event::{
    BatchRow, Body, Digest, Event, EventKind, EventRef, Form, Head, Hole, NodeState, Version, hash,
};
use coffer_store::ids::{ChainId, EntityId, NodeId, SpaceId};
use coffer_store::keys::ChunkId;
use coffer_store::record::{
    BaseRef, ChunkRow, InodeRecord, LogRecord, ManifestRef, Marks, Meta, NAME_MAX, NodeRecord, Time, Xattrs,
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

#[test]
fn events_and_batches() {
    many(|any| {
        use EventKind::*;
        let kind = any.pick(&[Create, Version, Node, NodeGone, Setting]);
        // Only what creates an entity replaces nothing of it.
        let least = usize::from(kind == Version);
        let count = any.pick(&[0, 1, 2, 1024]).max(least);
        let mut sealed = any.bytes(5_000);
        sealed.push(0);
        let wrapped = (kind == Create).then(|| any.array());
        let head = Head {
            kind,
            space: SpaceId(any.array()),
            at: EventRef {
                seq: any.u64().max(1),
                ..any.at()
            },
            lamport: any.u64(),
            prev: any.array(),
            subject: any.array(),
            generation: any.u32(),
            replaces: (0..count).map(|_| any.at()).collect(),
            sealed: Digest::of(&sealed),
            wrapped: wrapped.as_ref().map(|wrapped: &[u8; 72]| hash(wrapped)),
        };
        let event = Event {
            head,
            wrapped: wrapped.filter(|_| any.0.random()),
            sealed: Some(sealed).filter(|_| any.0.random()),
        };
        let whole = Event {
            sealed: None,
            wrapped: None,
            ..event.clone()
        };
        assert_eq!(whole.hash(), event.hash(), "what is let go of is not hashed");
        assert_eq!(Event::decode(&event.encode()), Ok(event));
        let count = any.u32().max(1);
        let row = BatchRow {
            place: any.place(),
            chain: ChainId(any.array()),
            first: any.u64().clamp(1, u64::MAX - u64::from(count)),
            count,
            prev: any.array(),
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
        let keys = std::array::from_fn(|_| any.array());
        let chains = (0..any.pick(&[1, 2, 500]))
            .map(|_| ChainId(any.array()))
            .collect();
        let name = String::from_utf8_lossy(&any.bytes(80)).into_owned();
        law(
            "secrets",
            testing::secrets(SpaceId(any.array()), any.u32(), keys, chains, name),
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
