//! How a ticket is written: as 12 words of the BIP39 English list, which carry the secret alone; or as one line, `coffer:` and base32
//! (RFC 4648, without padding), which carries everything.
//!
//! ```text
//! version 0 (1) ‖ secret (16) ‖ end, seconds since 1970 (8; 0: not said) ‖ peer id: length (varint), bytes
//! ‖ addresses: how many (varint), each length (varint), bytes ‖ first 4 bytes of BLAKE3 of all before
//! ```
//!
//! In all versions a line is version ‖ anything ‖ these 4 bytes, at most 4,096 together: so a newer program's is told from a mistyped one. In version 0
//! further fields may follow the addresses; they are passed over.
//!
//! Reading forgives what people do to such things: case, spaces, line ends, hyphens, numbers between words, words cut to four letters,
//! which still tell them apart. Both forms have a checksum. No error says what was typed.

use bip39::{Language, Mnemonic};
use coffer_store::codec::{Malformed, Reader, Writer};
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

use super::ticket::{ADDRESS_MAX, ADDRESSES_MAX, PEER_MAX, SECRET, Ticket};

const WORDS: usize = 12;
const SCHEME: &str = "coffer:";
const CHECK: usize = 4;
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// The longest line that is made, in bytes of what it encodes.
const MADE_MAX: usize = 1 + SECRET + 8 + 1 + PEER_MAX + 1 + ADDRESSES_MAX * (2 + ADDRESS_MAX) + CHECK;
/// The longest line of any version.
const LINE_MAX: usize = 4096;

/// Why a text is no ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TicketError {
    /// It has more or fewer words.
    #[error("a ticket has 12 words, and this has {0}")]
    Count(usize),
    /// A word is not on the list.
    #[error("word {0} is not one that a ticket can have; look at its spelling")]
    Unknown(usize),
    /// The words are on the list, but not together.
    #[error("the words do not belong together: one was misread, or two changed places")]
    Words,
    /// A line is damaged.
    #[error("this ticket was cut or mistyped; copy all of it, from “coffer:” to the end")]
    Line,
    /// A line is of another version.
    #[error("this ticket was made by a newer version of coffer: update coffer on this device")]
    Version,
}

impl From<Malformed> for TicketError {
    fn from(_: Malformed) -> TicketError {
        TicketError::Line
    }
}

impl Ticket {
    /// Its words, separated by single spaces.
    pub fn words(&self) -> Zeroizing<String> {
        let secret = &self.secret.expose()[..SECRET];
        let mnemonic = Mnemonic::from_entropy_in(Language::English, secret)
            .expect("128 bits are a length that BIP39 knows");
        // The longest word has 8 letters.
        let mut text = Zeroizing::new(String::with_capacity(WORDS * 9));
        for word in mnemonic.words() {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(word);
        }
        text
    }

    /// Everything in one line, in lower case. In upper case it is the same ticket, and a smaller QR code.
    pub fn line(&self) -> Zeroizing<String> {
        let mut w = Writer(Vec::with_capacity(MADE_MAX));
        w.u8(0)
            .raw(&self.secret.expose()[..SECRET])
            .u64(self.expires.unwrap_or(0));
        w.varint(self.peer.len() as u64).raw(&self.peer);
        w.varint(self.addresses.len() as u64);
        for address in &self.addresses {
            w.varint(address.len() as u64).raw(address.as_bytes());
        }
        let check = blake3::hash(&w.0);
        w.raw(&check.as_bytes()[..CHECK]);
        let bytes = Zeroizing::new(w.0);
        let mut text = Zeroizing::new(String::with_capacity(SCHEME.len() + MADE_MAX * 8 / 5 + 1));
        text.push_str(SCHEME);
        encode32(&bytes, &mut text);
        text
    }

    /// Reads a ticket in either form, as people type it or a scanner reads it.
    ///
    /// # Errors
    /// [`TicketError`] says what is wrong.
    pub fn parse(text: &str) -> Result<Ticket, TicketError> {
        let text = text.trim();
        match text.get(..SCHEME.len()) {
            Some(head) if head.eq_ignore_ascii_case(SCHEME) => parse_line(&text[SCHEME.len()..]),
            _ => parse_words(text),
        }
    }
}

fn parse_words(text: &str) -> Result<Ticket, TicketError> {
    // Room from the start: growing would leave words behind in freed memory.
    let mut letters = Zeroizing::new(String::with_capacity(text.len()));
    for c in text.chars() {
        letters.push(match c {
            'A'..='Z' | 'a'..='z' => c.to_ascii_lowercase(),
            c if c.is_alphabetic() => '?',
            _ => ' ',
        });
    }
    let mut indexes = Zeroizing::new(Vec::with_capacity(WORDS));
    let mut count = 0;
    for word in letters.split_ascii_whitespace() {
        count += 1;
        if count <= WORDS {
            indexes.push(index(word).ok_or(TicketError::Unknown(count))?);
        }
    }
    if count != WORDS {
        return Err(TicketError::Count(count));
    }
    let mut whole = Zeroizing::new(String::with_capacity(WORDS * 9));
    for index in indexes.iter() {
        whole.push_str(Language::English.word_list()[*index]);
        whole.push(' ');
    }
    let mnemonic =
        Mnemonic::parse_in_normalized(Language::English, whole.trim_end()).map_err(|_| TicketError::Words)?;
    let (mut entropy, _) = mnemonic.to_entropy_array();
    let mut secret = [0; SECRET];
    secret.copy_from_slice(&entropy[..SECRET]);
    entropy.zeroize();
    let ticket = Ticket::of(&secret);
    secret.zeroize();
    Ok(ticket)
}

/// A word's place in the list, also if it was cut: four letters tell all apart.
fn index(word: &str) -> Option<usize> {
    let list = Language::English.word_list();
    let whole = list.iter().position(|listed| *listed == word);
    whole.or_else(|| {
        list.iter()
            .position(|listed| word.len() >= 4 && listed.starts_with(word))
    })
}

fn parse_line(text: &str) -> Result<Ticket, TicketError> {
    let bytes = decode32(text).ok_or(TicketError::Line)?;
    let (body, check) = bytes.split_last_chunk::<CHECK>().ok_or(TicketError::Line)?;
    if blake3::hash(body).as_bytes()[..CHECK] != check[..] {
        return Err(TicketError::Line);
    }
    let mut r = Reader::new(body);
    if r.u8()? != 0 {
        return Err(TicketError::Version);
    }
    let mut ticket = Ticket::of(&Zeroizing::new(r.array()?));
    ticket.expires = Some(r.u64()?).filter(|end| *end > 0);
    let peer = bounded(&mut r, PEER_MAX)?.to_vec();
    let count = r.varint()?;
    if count > ADDRESSES_MAX as u64 {
        return Err(TicketError::Line);
    }
    let mut addresses = Vec::new();
    for _ in 0..count {
        let address = std::str::from_utf8(bounded(&mut r, ADDRESS_MAX)?).map_err(|_| TicketError::Line)?;
        addresses.push(address.to_owned());
    }
    ticket.hinting(peer, addresses).map_err(|_| TicketError::Line)
}

fn bounded<'a>(r: &mut Reader<'a>, most: usize) -> Result<&'a [u8], TicketError> {
    match r.varint()? {
        len if len <= most as u64 => Ok(r.raw(len as usize)?),
        _ => Err(TicketError::Line),
    }
}

fn encode32(bytes: &[u8], out: &mut String) {
    let (mut bits, mut count) = (0u32, 0);
    for byte in bytes {
        (bits, count) = (bits << 8 | u32::from(*byte), count + 8);
        while count >= 5 {
            count -= 5;
            out.push(char::from(ALPHABET[(bits >> count & 31) as usize]));
        }
    }
    if count > 0 {
        out.push(char::from(ALPHABET[(bits << (5 - count) & 31) as usize]));
    }
}

/// The inverse, passing over spaces and hyphens. None for anything but what [`encode32`] makes, and what is longer than any ticket.
fn decode32(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(LINE_MAX));
    let (mut bits, mut count) = (0u32, 0);
    for c in text.chars().filter(|c| !c.is_whitespace() && *c != '-') {
        let digit = match c.to_ascii_lowercase() {
            c @ 'a'..='z' => c as u32 - 'a' as u32,
            c @ '2'..='7' => c as u32 - '2' as u32 + 26,
            _ => return None,
        };
        (bits, count) = ((bits & 0xff) << 5 | digit, count + 5);
        if count >= 8 {
            count -= 8;
            if bytes.len() == LINE_MAX {
                return None;
            }
            bytes.push((bits >> count) as u8);
        }
    }
    // What is left fills no byte, and is nothing.
    (count < 5 && bits & ((1 << count) - 1) == 0).then_some(bytes)
}
