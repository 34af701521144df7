//! A whole pairing, frozen: fixed seeds, and the bytes that they gave when the format was made. A difference here is a new format, and
//! devices that do not pair.

use super::*;

const FROZEN: &str = include_str!("../../../tests/vectors/pairing_v0.txt");

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn made() -> String {
    let hinted = ticket()
        .hinting(vec![1, 2, 3], vec!["/ip4/10.0.0.1/tcp/4001".to_owned()])
        .unwrap();
    let mut lines = vec![
        format!("ticket/words {}", hex(ticket().words().as_bytes())),
        format!("ticket/line {}", hex(hinted.line().as_bytes())),
        format!("ticket/topic {}", hex(&ticket().topic())),
        format!("ticket/tag {}", hex(&ticket().tag())),
    ];
    let mut pair = Pair::new();
    pair.play(usize::MAX, &mut |joiner, _, bytes| {
        if !bytes.is_empty() {
            let way = if joiner { "inviter" } else { "joiner" };
            lines.push(format!("{way}/{}/{} {}", bytes[0], lines.len() - 4, hex(bytes)));
        }
    });
    assert!(pair.done && pair.confirmed.is_some());
    lines.join("\n") + "\n"
}

/// Guards what goes over the wire: today's program says the frozen bytes.
#[test]
fn what_is_said_is_what_was_frozen() {
    let made = made();
    for (now, then) in made.lines().zip(FROZEN.lines()) {
        assert_eq!(now, then);
    }
    assert_eq!(made, FROZEN);
}

/// Prints what would be frozen, for the day when there is a new format.
#[test]
#[ignore = "prints; guards nothing"]
fn show() {
    print!("\n{}", made());
}
