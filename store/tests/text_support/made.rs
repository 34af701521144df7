//! Changes of a text, put together by hand: in order, or as nobody's program makes them. It names nothing of the store, so that other crates'
//! suites can use it.
#![allow(dead_code)] // Each suite uses its part.

/// A change's parts, to be put together as they are.
#[derive(Clone)]
pub(crate) struct Made {
    pub(crate) deps: Vec<[u8; 32]>,
    pub(crate) actor: Vec<u8>,
    pub(crate) seq: u64,
    pub(crate) start: u64,
    pub(crate) time: u8,
    pub(crate) message: &'static [u8],
    pub(crate) others: Vec<[u8; 16]>,
    pub(crate) columns: Vec<(u64, Vec<u8>)>,
    pub(crate) after: Vec<u8>,
}

pub(crate) fn leb(mut n: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while n >= 0x80 {
        bytes.push(n as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
    bytes
}

/// A run of one value.
pub(crate) fn run(count: u64, value: u8) -> Vec<u8> {
    // A run's length is signed: its seventh bit must be clear.
    let mut bytes = leb(count);
    if bytes.last().is_some_and(|last| last & 0x40 != 0) {
        *bytes.last_mut().unwrap() |= 0x80;
        bytes.push(0);
    }
    bytes.push(value);
    bytes
}

impl Made {
    /// Inserts one “x” at a text's start, on its first change, whose hash this is: by this actor, in the text of that one, with
    /// the first counter that is free.
    pub(crate) fn insertion(first: [u8; 32], actor: [u8; 16], genesis: [u8; 16], start: u64) -> Made {
        Made {
            deps: vec![first],
            actor: actor.to_vec(),
            seq: 1,
            start,
            time: 0,
            message: b"",
            others: vec![genesis],
            columns: vec![
                (0x01, vec![0x7f, 1]),
                (0x02, vec![0x7f, 1]),
                (0x13, vec![0x7f, 0]),
                (0x34, vec![0, 1]),
                (0x42, vec![0x7f, 1]),
                (0x56, vec![0x7f, 0x16]),
                (0x57, b"x".to_vec()),
                (0x70, vec![0x7f, 0]),
            ],
            after: Vec::new(),
        }
    }

    /// Deletes the text's first character instead.
    pub(crate) fn deleting(mut self) -> Made {
        self.columns = vec![
            (0x01, vec![0x7f, 1]),
            (0x02, vec![0x7f, 1]),
            (0x11, vec![0x7f, 1]),
            (0x13, vec![0x7f, 2]),
            (0x34, vec![1]),
            (0x42, vec![0x7f, 3]),
            (0x56, vec![0x7f, 0]),
            (0x70, vec![0x7f, 1]),
            (0x71, vec![0x7f, 1]),
            (0x73, vec![0x7f, 2]),
        ];
        self
    }

    pub(crate) fn with(mut self, column: u64, bytes: &[u8]) -> Made {
        self.columns.retain(|(number, _)| *number != column);
        self.columns.push((column, bytes.to_vec()));
        self.columns.sort_by_key(|(number, _)| *number);
        self
    }

    pub(crate) fn without(mut self, column: u64) -> Made {
        self.columns.retain(|(number, _)| *number != column);
        self
    }

    pub(crate) fn body(&self) -> Vec<u8> {
        let mut body = leb(self.deps.len() as u64);
        self.deps.iter().for_each(|dep| body.extend(dep));
        body.extend(leb(self.actor.len() as u64));
        body.extend(&self.actor);
        body.extend([leb(self.seq), leb(self.start)].concat());
        body.push(self.time);
        body.extend(leb(self.message.len() as u64));
        body.extend(self.message);
        body.extend(leb(self.others.len() as u64));
        for other in &self.others {
            body.push(16);
            body.extend(other);
        }
        body.extend(self.columns());
        body.extend(&self.after);
        body
    }

    /// Their numbers and lengths, then their bytes.
    fn columns(&self) -> Vec<u8> {
        let mut bytes = leb(self.columns.len() as u64);
        for (number, column) in &self.columns {
            bytes.extend([leb(*number), leb(column.len() as u64)].concat());
        }
        self.columns.iter().for_each(|(_, column)| bytes.extend(column));
        bytes
    }

    /// As an event carries it: without what follows from the event.
    pub(crate) fn packed(&self) -> Vec<u8> {
        let mut packed = leb(self.deps.len() as u64);
        self.deps.iter().for_each(|dep| packed.extend(dep));
        packed.extend([leb(self.seq), leb(self.start)].concat());
        packed.extend(leb(self.others.len() as u64));
        self.others.iter().for_each(|other| packed.extend(other));
        packed.extend(self.columns());
        packed
    }
}
