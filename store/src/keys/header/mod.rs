//! What stands in clear at the head of a vault: all that is needed to get from a
//! password, or a recovery phrase, to the master key, and nothing else.
//!
//! ```text
//! master = derive(Argon2id(password, salt, params), MASTER, version ‖ vault id ‖ params ‖ salt)
//! check  = derive(master, CHECK)             commits to the key: no second one has it
//! mac    = BLAKE3 keyed by derive(master, HEADER) over every byte before it
//! ```
//!
//! Why vault id, parameters and salt enter the derivation although Argon2 takes salt and
//! parameters itself: the master key is then bound to this very header, so that no part
//! of one vault's header, and no cheaper parameters, can be put into another and still
//! lead to a key that is in use. An altered parameter is a wrong password.
//!
//! Why a check besides the mac: it tells a wrong password from an altered header. Both
//! are compared in constant time. Guarantees: a master key is given out only for a
//! header in which no byte was changed. Never tells that an older header of the same
//! vault was put back: the database knows which key its rows are wrapped under.

mod codec;

use thiserror::Error;

use super::kdf::argon2id;
use super::recovery::Part;
use super::{KdfError, KdfParams, Key, MasterKey, Password, RecoveryPhrase, derive, labels, random_bytes};

pub use codec::HeaderError;

/// The clear head of a vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    vault: [u8; 16],
    params: KdfParams,
    salt: [u8; 16],
    check: [u8; 32],
    recovery: Option<Part>,
    mac: [u8; 32],
}

/// Why a vault could not be unlocked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UnlockError {
    /// The password does not lead to the vault's key.
    #[error("this is not the vault's password")]
    WrongPassword,
    /// The password could not be tried.
    #[error(transparent)]
    Kdf(#[from] KdfError),
    /// The password is right, but the header was changed by somebody who has not got it.
    #[error("the password is right, but the vault's header was damaged or altered; restore it from a backup")]
    Altered,
}

/// Why a phrase did not recover a vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RecoverError {
    /// None was ever made.
    #[error("this vault has no recovery phrase")]
    NoRecovery,
    /// The phrase is well formed, but not this vault's.
    #[error("this is not the vault's recovery phrase; a newer one may have taken its place")]
    WrongPhrase,
    /// The phrase is right, but the header was changed.
    #[error("the phrase is right, but the vault's header was damaged or altered; restore it from a backup")]
    Altered,
}

impl Header {
    /// The header of a new vault, without a recovery phrase, and its master key.
    ///
    /// # Errors
    /// [`KdfError`] if the parameters are out of range or the system refuses memory or threads.
    pub fn create(
        vault: [u8; 16],
        password: &Password,
        params: KdfParams,
    ) -> Result<(Header, MasterKey), KdfError> {
        Header::create_salted(vault, password, params, random_bytes())
    }

    /// The seam for vectors: a salt may be given. Outside tests it is always random.
    pub(super) fn create_salted(
        vault: [u8; 16],
        password: &Password,
        params: KdfParams,
        salt: [u8; 16],
    ) -> Result<(Header, MasterKey), KdfError> {
        let mut header = Header {
            vault,
            params,
            salt,
            check: [0; 32],
            recovery: None,
            mac: [0; 32],
        };
        let master = header.stretch(password)?;
        header.check = check_of(&master);
        header.mac = header.mac_under(&master);
        Ok((header, master))
    }

    /// Reads a header. Authenticates nothing yet: that takes the password.
    ///
    /// # Errors
    /// [`HeaderError`] for anything but exactly one header of a version known here, with
    /// KDF parameters within their bounds.
    pub fn decode(bytes: &[u8]) -> Result<Header, HeaderError> {
        codec::decode(bytes)
    }

    /// The header's bytes.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// The vault's random id.
    pub fn vault_id(&self) -> [u8; 16] {
        self.vault
    }

    /// What a guess at the password costs.
    pub fn params(&self) -> KdfParams {
        self.params
    }

    /// Whether a recovery phrase was made.
    pub fn has_recovery(&self) -> bool {
        self.recovery.is_some()
    }

    /// The master key, if this is the password. Takes the time that its parameters ask for.
    ///
    /// # Errors
    /// [`UnlockError`]; parameters are refused before memory is taken.
    pub fn unlock(&self, password: &Password) -> Result<MasterKey, UnlockError> {
        let master = self.stretch(password)?;
        if !self.knows(&master) {
            return Err(UnlockError::WrongPassword);
        }
        if !self.authentic(&master) {
            return Err(UnlockError::Altered);
        }
        Ok(master)
    }

    /// A header for another password, with a new salt and so a new master key, for the same
    /// vault. A recovery phrase stays good: the new master key is sealed to it. The caller
    /// re-wraps all keys and stores them together with the new header, in one transaction.
    ///
    /// # Errors
    /// [`KdfError`]; `NotThisHeader` if `old` is not the key that this header leads to, or
    /// the header was altered since.
    pub fn change_password(
        &self,
        old: &MasterKey,
        password: &Password,
        params: KdfParams,
    ) -> Result<(Header, MasterKey), KdfError> {
        // Before anything is sealed to the recovery key, it must be known to be ours.
        if !self.knows(old) || !self.authentic(old) {
            return Err(KdfError::NotThisHeader);
        }
        let (mut header, master) = Header::create(self.vault, password, params)?;
        if let Some(part) = &self.recovery {
            let part = Part::seal(&self.vault, part.public, &master).ok_or(KdfError::NotThisHeader)?;
            header.recovery = Some(part);
            header.mac = header.mac_under(&master);
        }
        Ok((header, master))
    }

    /// Makes a recovery phrase, in the place of an older one if there was any. The phrase is
    /// kept nowhere: show it once.
    ///
    /// # Panics
    /// If `master` is not the key that this header leads to: the header would open no more.
    pub fn add_recovery(&mut self, master: &MasterKey) -> RecoveryPhrase {
        let phrase = RecoveryPhrase::random();
        let part = Part::seal(&self.vault, phrase.public(&self.vault), master);
        self.set_recovery(
            master,
            part.expect("a clamped secret's public key is never of small order"),
        );
        phrase
    }

    pub(super) fn set_recovery(&mut self, master: &MasterKey, part: Part) {
        assert!(
            self.knows(master),
            "a recovery phrase is added with the header's own master key"
        );
        self.recovery = Some(part);
        self.mac = self.mac_under(master);
    }

    /// The master key, if this is the vault's phrase. A new password should be set with it.
    ///
    /// # Errors
    /// [`RecoverError`].
    pub fn recover(&self, phrase: &RecoveryPhrase) -> Result<MasterKey, RecoverError> {
        let part = self.recovery.as_ref().ok_or(RecoverError::NoRecovery)?;
        if phrase.public(&self.vault) != part.public {
            return Err(RecoverError::WrongPhrase);
        }
        let master = part
            .open(&self.vault, phrase)
            .map_err(|_| RecoverError::Altered)?;
        if !self.knows(&master) || !self.authentic(&master) {
            return Err(RecoverError::Altered);
        }
        Ok(master)
    }

    fn stretch(&self, password: &Password) -> Result<MasterKey, KdfError> {
        let stretched = argon2id(password, &self.salt, self.params)?;
        Ok(MasterKey::new(derive(
            &stretched,
            labels::MASTER,
            &codec::bound(self),
        )))
    }

    fn knows(&self, master: &MasterKey) -> bool {
        same(&check_of(master), &self.check)
    }

    fn authentic(&self, master: &MasterKey) -> bool {
        same(&self.mac_under(master), &self.mac)
    }

    fn mac_under(&self, master: &MasterKey) -> [u8; 32] {
        let key = master.subkey(labels::HEADER);
        *blake3::keyed_hash(key.expose(), &codec::authenticated(self)).as_bytes()
    }
}

fn check_of(master: &MasterKey) -> [u8; 32] {
    let check: Key = master.subkey(labels::CHECK);
    *check.expose()
}

/// Equality in constant time, which is what BLAKE3's hash type has.
fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    blake3::Hash::from_bytes(*a) == blake3::Hash::from_bytes(*b)
}
