//! Names of files in a carried folder.
//!
//! ```text
//! name = mark (8) ‖ first 8 bytes of BLAKE3 keyed (what it is (1) ‖ mark), as 32 hexadecimal digits
//! mark = random (8); of an index: random (4) ‖ first 4 bytes of BLAKE3 keyed by the device's own key (4 ‖ random)
//! key  = derive(first epoch's key, CARRIER_NAME, space)             for an index: all members know one when they see it
//!        derive(device's signing seed, CARRIER_NAME, space)         for the rest: the device knows its own
//! folder = first 16 bytes of derive(first epoch's key, CARRIER_FOLDER, space), the same way
//! ```
//!
//! Guarantees: to whoever lacks these keys all names look alike, and like chance. A name is never given twice.

use std::fmt;

use coffer_store::ids::SpaceId;
use coffer_store::keys::{Key, SigningKey, derive, labels, random_bytes};

/// A file's name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(pub [u8; 16]);

impl Name {
    /// The inverse of how it is shown; none for what has another form.
    pub fn parse(text: &[u8]) -> Option<Name> {
        let mut name = [0; 16];
        let digits: &[u8; 32] = text.try_into().ok()?;
        let value = |digit: u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        for (byte, pair) in name.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = value(pair[0])? << 4 | value(pair[1])?;
        }
        Some(Name(name))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a file is; who has the key sees it in the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Is {
    Index = 1,
    Bundle = 2,
    /// On its way to be one of these.
    Temporary = 3,
}

fn tag<const N: usize>(key: &Key, is: u8, mark: &[u8]) -> [u8; N] {
    let mut hasher = blake3::Hasher::new_keyed(key.expose());
    hasher.update(&[is]).update(mark);
    let mut tag = [0; N];
    tag.copy_from_slice(&hasher.finalize().as_bytes()[..N]);
    tag
}

/// The keys behind names.
pub(super) struct Names {
    all: Key,
    own: Key,
    folder: Name,
}

impl Names {
    pub(super) fn new(space: SpaceId, first_epoch: &Key, device: &SigningKey) -> Names {
        let mut folder = [0; 16];
        let named = derive(first_epoch, labels::CARRIER_FOLDER, &space.0);
        folder.copy_from_slice(&named.expose()[..16]);
        Names {
            all: derive(first_epoch, labels::CARRIER_NAME, &space.0),
            own: derive(&device.seed(), labels::CARRIER_NAME, &space.0),
            folder: Name(folder),
        }
    }

    /// The name of the vault's folder.
    pub(super) fn folder(&self) -> Name {
        self.folder
    }

    fn tag(&self, is: Is, mark: &[u8]) -> [u8; 8] {
        match is {
            Is::Index => tag(&self.all, is as u8, mark),
            Is::Bundle | Is::Temporary => tag(&self.own, is as u8, mark),
        }
    }

    fn own_index(&self, random: &[u8]) -> [u8; 4] {
        tag(&self.own, 4, random)
    }

    /// A new one.
    pub(super) fn fresh(&self, is: Is) -> Name {
        self.of(is, random_bytes())
    }

    fn of(&self, is: Is, mut mark: [u8; 8]) -> Name {
        if is == Is::Index {
            let own = self.own_index(&mark[..4]);
            mark[4..].copy_from_slice(&own);
        }
        let mut name = [0; 16];
        name[..8].copy_from_slice(&mark);
        name[8..].copy_from_slice(&self.tag(is, &mark));
        Name(name)
    }

    /// Whether a file is an index of this device, even if it cannot be read.
    pub(super) fn is_own_index(&self, name: &Name) -> bool {
        self.is(name, Is::Index) && name.0[4..8] == self.own_index(&name.0[..4])
    }

    /// Whether a file is this: an index of anybody, or something of this device's own.
    pub(super) fn is(&self, name: &Name, is: Is) -> bool {
        name.0[8..] == self.tag(is, &name.0[..8])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(device: u8) -> Names {
        let device = SigningKey::from_seed(Key::take(&mut [device; 32]));
        Names::new(SpaceId([7; 16]), &Key::take(&mut [9; 32]), &device)
    }

    /// Guards who knows what by its name, against frozen names.
    #[test]
    fn names_are_known_by_who_has_the_key() {
        let (one, two) = (names(1), names(2));
        let index = one.of(Is::Index, [5; 8]);
        let bundle = one.of(Is::Bundle, [5; 8]);
        let part = one.of(Is::Temporary, [5; 8]);
        let all = [one.folder(), index, bundle, part];
        assert_eq!(all.map(|name| name.to_string()), FROZEN);
        assert!(one.is(&index, Is::Index) && two.is(&index, Is::Index));
        assert!(one.is_own_index(&index) && !two.is_own_index(&index));
        assert!(one.is(&bundle, Is::Bundle) && !two.is(&bundle, Is::Bundle));
        assert!(!one.is(&bundle, Is::Index) && !one.is(&part, Is::Bundle));
        assert_ne!(one.fresh(Is::Index), one.fresh(Is::Index));
    }

    /// Guards that a name has one spelling.
    #[test]
    fn names_have_one_form() {
        let name = Name(std::array::from_fn(|n| n as u8 * 17));
        let text = name.to_string();
        assert_eq!(Name::parse(text.as_bytes()), Some(name));
        for bad in [
            &text[..31],
            &text.to_uppercase(),
            &(text.clone() + "0"),
            &text.replace('0', "g"),
        ] {
            assert_eq!(Name::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    const FROZEN: [&str; 4] = [
        "c10540b2110f1c11199adf924493dd51",
        "05050505bf04d99e38a7e1f2dc56b886",
        "0505050505050505fe0c6545a17c9956",
        "0505050505050505c0e798e3f6fc1636",
    ];
}
