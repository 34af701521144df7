//! Any text as a ticket, as people type it or a scanner reads it. What is taken is written as what is taken again.
#![no_main]

use coffer_fuzz::fuzz_target;
use coffer_sync::pairing::Ticket;

fuzz_target!(|text: &str| {
    if let Ok(ticket) = Ticket::parse(text) {
        let line = ticket.line();
        let again =
            Ticket::parse(&line).map(|again| *again.line() == *line && again.words() == ticket.words());
        assert_eq!(again, Ok(true), "a ticket that is another when it is written");
        let words = Ticket::parse(&ticket.words()).map(|again| again.topic() == ticket.topic());
        assert_eq!(words, Ok(true), "words that are another ticket's");
    }
});
