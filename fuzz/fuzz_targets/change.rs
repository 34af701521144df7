//! Any bytes as a change of a text: as they are, and as a body under a right checksum. What our
//! reader lets through, the document takes or refuses; it can panic inside, but not out, and
//! what it took it can edit and store.
#![no_main]

use std::sync::Once;

use coffer_fuzz::fuzz_target;
use coffer_store::ids::{ChainId, EventRef};
use coffer_store::testing::{change_body, change_chunk};
use coffer_store::text::{Change, Document, Maker, TextError};

/// The text and the events of the frozen changes.
const NOTE: &str = "# Garden\n\nPlant the garlic in October.\n";

fn event(chain: u8, seq: u64) -> EventRef {
    let chain = ChainId([chain; 16]);
    EventRef { chain, seq }
}

fn lawful(bytes: Vec<u8>) {
    let began = event(0xa0, 7);
    for (chain, serial) in [(1, None), (2, Some(9)), (2, None)] {
        let chain = event(chain, 1).chain;
        let maker = Maker {
            chain,
            serial,
            carries: false,
        };
        let Ok(change) = Change::check(bytes.clone(), maker, began) else {
            continue;
        };
        assert!(change.bytes() == bytes);
        let mut doc = Document::genesis(began, NOTE).expect("a text");
        match doc.apply(&[change]) {
            Ok(()) => {
                let heads = doc.heads().expect("it took the change");
                let edited = doc.edit(&heads, "another text\n", event(3, 1).chain, 1);
                assert!(edited.is_ok() || edited == Err(TextError::Discarded));
                if let Ok(saved) = doc.save() {
                    assert!(Document::load(began, &saved).is_ok_and(|again| again.text() == doc.text()));
                }
            }
            Err(TextError::Discarded) => assert_eq!(doc.text(), Err(TextError::Discarded)),
            Err(_) => assert_eq!(doc.text().as_deref(), Ok(NOTE)),
        }
    }
}

/// The fuzzer ends the process at every panic; here those of the library are let through to
/// where they are caught. What goes out of a target still ends it.
fn panics_are_let_through() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            if panic
                .location()
                .is_some_and(|at| at.file().ends_with("fuzz_targets/change.rs"))
            {
                eprintln!("{panic}");
            }
        }));
    });
}

fuzz_target!(|bytes: &[u8]| {
    panics_are_let_through();
    lawful(bytes.to_vec());
    lawful(change_chunk(change_body(bytes).unwrap_or(bytes)));
});
