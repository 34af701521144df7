//! Any text as a recovery phrase, as people type it or a scanner reads it. What is taken
//! is a phrase whose words are taken again, and are the same.
#![no_main]

use coffer_fuzz::fuzz_target;
use coffer_store::keys::RecoveryPhrase;

fuzz_target!(|text: &str| {
    if let Ok(phrase) = RecoveryPhrase::parse(text) {
        let words = phrase.words();
        assert_eq!(words.iter().count(), 24);
        let again =
            RecoveryPhrase::parse(words.as_str()).map(|phrase| phrase.words().as_str() == words.as_str());
        assert_eq!(again, Ok(true), "a phrase whose words are another's");
    }
});
