//! Any bytes as a stream of a peer, after its first message or before: whatever they are, little is held for it,
//! and nothing is sent after the end.
#![no_main]

use coffer_store::ids::{ChainId, SpaceId};
use coffer_sync::core::wire::{Hello, Message, Reach, VERSION, framed};
use coffer_sync::core::{
    Access, Action, Answer, CertifiedPeer, ChunkOutcome, Config, Node, Outcome, Policy, Request, StatementOutcome, Urgency,
};

const SPACE: SpaceId = SpaceId([7; 16]);
const THEIRS: ChainId = ChainId([3; 16]);

/// A store that has nothing, and takes everything.
fn answer(request: Request) -> Answer {
    match request {
        Request::Batches { session, .. } => Answer::Batches { session, batches: Vec::new() },
        Request::TakeIn(_) => Answer::TakenIn(Outcome::Taken),
        Request::BeginChain => Answer::Began(ChainId([9; 16])),
        Request::Lacking { session, heads } => {
            let want = heads.into_iter().filter(|head| head[0] > 128).collect();
            Answer::Lacking { session, want, have: Vec::new() }
        }
        Request::Statements { session, .. } => {
            let statements = vec![vec![1; 100].into()];
            Answer::Statements { session, statements, more: false }
        }
        Request::TakeStatement { session, bytes } => {
            let outcome = match bytes[0] {
                0xff => StatementOutcome::Newer("a later program made it".into()),
                first => StatementOutcome::Taken(vec![[first; 32]]),
            };
            Answer::StatementTaken { session, outcome }
        }
        Request::ForgetWaiting { .. } => Answer::Forgot,
        Request::Chunk { session, id, .. } => {
            let bytes = (id[0] % 2 == 0).then(|| vec![1; 50_000].into());
            Answer::Chunk { session, id, bytes }
        }
        Request::TakeChunk { id, .. } => Answer::ChunkTaken { id, outcome: ChunkOutcome::Stored },
        Request::Held { session, serial, ids } => {
            let held = vec![true; ids.len()];
            Answer::Held { session, serial, held }
        }
        Request::Wanted { .. } => {
            let chunks = vec![([1; 32], Urgency::Bulk, 100), ([0; 32], Urgency::Open, 100)];
            Answer::Wanted { chunks, beyond: 0 }
        }
    }
}

coffer_fuzz::fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else {
        return;
    };
    let mut node = Node::new(0, Config {
        space: SPACE,
        own: ChainId([1; 16]),
        policy: Policy::Everything,
        clock: vec![(ChainId([1; 16]), 5, [5; 32])],
        heads: vec![[4; 32]],
    });
    // A member, mostly; or one that was removed.
    let access = match first % 16 {
        1 => Access::Statements,
        2 | 3 => Access::Farewell([6; 32]),
        _ => Access::Full,
    };
    let session = node.connect(0, [2; 32], CertifiedPeer::default(), access);
    if first % 2 == 0 {
        let hello = Message::Hello(Hello {
            versions: (VERSION, VERSION),
            space: SPACE,
            own: THEIRS,
            features: 0,
            policy: Policy::Everything,
            credit: 1 << 20,
        });
        let reach = vec![(THEIRS, Reach { last: 9, head: [9; 8] })];
        let said = [hello, Message::Heads(vec![[4; 32]]), Message::Clock { whole: true, reach }];
        let may = if access == Access::Full { 3 } else { 2 };
        for message in said.into_iter().take(may) {
            node.receive(0, session, &framed(&message.encode()));
        }
    }
    let mut is_over = false;
    for (now, piece) in rest.chunks(usize::from(*first) + 1).enumerate() {
        node.receive(now as u64 * 100, session, piece);
        node.tick(now as u64 * 100);
        while let Some(action) = node.poll() {
            match action {
                Action::Send { session, bytes } => {
                    assert!(!is_over, "sent after the end");
                    node.wrote(now as u64 * 100, session, bytes.len());
                }
                Action::Store(request) => node.answer(now as u64 * 100, answer(request)),
                Action::Report(_) => {}
                Action::Close { .. } => is_over = true,
            }
        }
        assert!(node.held_bytes() < 4 << 20, "{} bytes are held", node.held_bytes());
    }
});
