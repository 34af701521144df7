//! How much text lies between who puts it and the thread that takes it apart; and the tokenizer, which counts it.
//!
//! Guarantees: who puts waits while too much lies there, but never for a thread that does nothing any more.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

use super::token::{Of, Tokens};

/// Bytes that are put and not yet taken apart.
pub(super) struct Flow {
    waiting: Mutex<usize>,
    less: Condvar,
    most: usize,
    patience: Duration,
}

/// What a text costs beside its bytes. So the bound is reached before the library's own, at which it wakes who puts for each
/// single file.
const TEXT_COST: usize = 4096;
/// After so long without a change nobody is waited for: the thread writes a segment, or has died, which the library says.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

impl Flow {
    pub(super) fn new(most: usize, patience: Duration) -> Flow {
        Flow {
            waiting: Mutex::new(0),
            less: Condvar::new(),
            most,
            patience,
        }
    }

    /// Notes what is put: so many texts with so many bytes. Waits first if there is too much, until half of it is done.
    pub(super) fn put(&self, texts: usize, bytes: usize) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if *waiting > self.most {
            let is_more = |waiting: &mut usize| *waiting > self.most / 2;
            let wait = self.less.wait_timeout_while(waiting, self.patience, is_more);
            waiting = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
        *waiting += texts * TEXT_COST + bytes;
    }

    /// Forgets all: nothing is under way.
    pub(super) fn clear(&self) {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = 0;
    }

    /// Notes that a text of so many bytes is taken apart.
    pub(super) fn take(&self, bytes: usize) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *waiting;
        *waiting = before.saturating_sub(TEXT_COST + bytes);
        if before > self.most / 2 && *waiting <= self.most / 2 {
            self.less.notify_all();
        }
    }
}

/// Our tokens, as the library wants them.
#[derive(Clone)]
pub(super) struct Words(pub(super) Arc<Flow>);

impl Tokenizer for Words {
    type TokenStream<'a> = Stream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Stream<'a> {
        self.0.take(text.len());
        Stream {
            tokens: Tokens::new(text, Of::Text),
            token: Token::default(),
        }
    }
}

/// One text's tokens.
pub(super) struct Stream<'a> {
    tokens: Tokens<'a>,
    token: Token,
}

impl TokenStream for Stream<'_> {
    fn advance(&mut self) -> bool {
        let Some(spot) = self.tokens.next(&mut self.token.text) else {
            return false;
        };
        self.token.offset_from = spot.range.start;
        self.token.offset_to = spot.range.end;
        self.token.position = spot.position as usize;
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}
