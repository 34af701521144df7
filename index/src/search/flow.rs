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

/// What a file costs beside its bytes. So the bound is reached before the library's own, ten thousand files, at which it wakes who puts
/// for each single one.
const FILE_COST: usize = 2048;
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

    /// Notes what is put: a file with so many bytes. Waits first if there is too much, until half of it is done.
    pub(super) fn put(&self, bytes: usize) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if *waiting > self.most {
            let is_more = |waiting: &mut usize| *waiting > self.most / 2;
            let wait = self.less.wait_timeout_while(waiting, self.patience, is_more);
            waiting = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
        *waiting += FILE_COST + bytes;
    }

    /// Forgets all: nothing is under way.
    pub(super) fn clear(&self) {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = 0;
    }

    /// Notes that a file is begun with.
    pub(super) fn begin(&self) {
        self.take(FILE_COST);
    }

    /// Notes that a text of so many bytes is taken apart.
    pub(super) fn take(&self, bytes: usize) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *waiting;
        *waiting = before.saturating_sub(bytes);
        if before > self.most / 2 && *waiting <= self.most / 2 {
            self.less.notify_all();
        }
    }
}

/// Our tokens, as the library wants them.
#[derive(Clone)]
pub(super) struct Words {
    pub(super) flow: Arc<Flow>,
    /// Whether each file has exactly one of these texts.
    pub(super) is_one: bool,
}

impl Tokenizer for Words {
    type TokenStream<'a> = Stream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Stream<'a> {
        self.flow.take(text.len());
        if self.is_one {
            self.flow.begin();
        }
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
