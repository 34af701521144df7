//! Devices that have the same text, and what travels between them.
#![allow(dead_code)] // Each suite uses its part.

pub(crate) mod made;

use coffer_store::ids::{ChainId, EventRef};
use coffer_store::text::{Change, Document, Heads, Maker};

/// An event of the chain `chain`.
pub(crate) fn event(chain: u8, seq: u64) -> EventRef {
    let chain = ChainId([chain; 16]);
    EventRef { chain, seq }
}

/// Who makes changes at all that the chain `chain` knows.
pub(crate) fn newest(chain: u8) -> Maker {
    let chain = ChainId([chain; 16]);
    Maker {
        chain,
        serial: None,
        carries: false,
    }
}

/// Who makes a change at an older version.
pub(crate) fn older(chain: u8, serial: u64) -> Maker {
    Maker {
        serial: Some(serial),
        ..newest(chain)
    }
}

/// The event that every text of these suites begins with.
pub(crate) fn began() -> EventRef {
    event(0xa0, 7)
}

/// A change as an event carries it.
#[derive(Clone)]
pub(crate) struct Sent {
    pub(crate) maker: Maker,
    pub(crate) bytes: Vec<u8>,
}

impl Sent {
    /// What a device makes of it that receives it.
    pub(crate) fn received(&self) -> Change {
        Change::open(&self.bytes, self.maker, began()).expect("our own changes pass")
    }
}

/// One device: its document, its chain, and what it sent and has.
pub(crate) struct Device {
    pub(crate) doc: Document,
    chain: u8,
    serial: u64,
    /// What it made, in order.
    pub(crate) sent: Vec<Sent>,
}

impl Device {
    /// A device that has the text's first version.
    pub(crate) fn new(chain: u8, text: &str) -> Device {
        Device {
            doc: Document::genesis(began(), text).expect("a text"),
            chain,
            serial: 0,
            sent: Vec::new(),
        }
    }

    pub(crate) fn text(&self) -> String {
        self.doc.text().expect("whole")
    }

    pub(crate) fn heads(&self) -> Heads {
        self.doc.heads().expect("whole")
    }

    /// An editor that had `base` saves `new`. The version that it has then.
    pub(crate) fn save(&mut self, base: &Heads, new: &str) -> Heads {
        self.serial += 1;
        let chain = ChainId([self.chain; 16]);
        let change = self.doc.edit(base, new, chain, self.serial).expect("an edit");
        let Some(change) = change else {
            return base.clone();
        };
        let (maker, bytes) = (change.maker(), change.packed());
        self.sent.push(Sent { maker, bytes });
        let after: Heads = [change.hash()].into_iter().collect();
        assert_eq!(
            self.doc.text_at(&after).as_deref(),
            Ok(new),
            "an edit is what was saved"
        );
        after
    }

    /// Saves over the newest version.
    pub(crate) fn save_newest(&mut self, new: &str) -> Heads {
        let heads = self.heads();
        self.save(&heads, new)
    }

    pub(crate) fn receive(&mut self, sent: &[Sent]) {
        let changes: Vec<Change> = sent.iter().map(Sent::received).collect();
        self.doc.apply(&changes).expect("what others made is taken");
    }

    /// Takes in everything that the others made.
    pub(crate) fn receive_all(devices: &mut [Device]) {
        let all: Vec<Sent> = devices.iter().flat_map(|device| device.sent.clone()).collect();
        for device in devices {
            device.receive(&all);
        }
    }
}
