//! A set of numbers that mostly has one: without memory of its own then.

/// The set, sorted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Few {
    /// One number.
    One(u64),
    /// Any others.
    Many(Vec<u64>),
}

impl Default for Few {
    fn default() -> Few {
        Few::Many(Vec::new())
    }
}

impl Few {
    /// The numbers, the lowest first.
    pub(crate) fn all(&self) -> &[u64] {
        match self {
            Few::One(one) => std::slice::from_ref(one),
            Few::Many(many) => many,
        }
    }

    /// Adds a number, if it is not there.
    pub(crate) fn insert(&mut self, number: u64) {
        match self {
            Few::Many(none) if none.is_empty() => *self = Few::One(number),
            Few::One(one) if *one == number => {}
            Few::One(one) => *self = Few::Many(vec![number.min(*one), number.max(*one)]),
            Few::Many(many) => {
                if let Err(at) = many.binary_search(&number) {
                    many.insert(at, number);
                }
            }
        }
    }

    /// Removes a number; whether none is left.
    pub(crate) fn remove(&mut self, number: u64) -> bool {
        match self {
            Few::One(one) if *one == number => *self = Few::default(),
            Few::One(_) => {}
            Few::Many(many) => {
                if let Ok(at) = many.binary_search(&number) {
                    many.remove(at);
                }
                if let [one] = many[..] {
                    *self = Few::One(one);
                }
            }
        }
        self.all().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    /// Guards that it is a set: by the standard one, as a model.
    #[test]
    fn it_is_a_set() {
        let mut rng = StdRng::seed_from_u64(3);
        let (mut few, mut model) = (Few::default(), BTreeSet::new());
        for _ in 0..20_000 {
            let number = rng.random_range(0..5);
            if rng.random_bool(0.5) {
                few.insert(number);
                model.insert(number);
            } else {
                model.remove(&number);
                assert_eq!(few.remove(number), model.is_empty());
            }
            assert!(few.all().iter().eq(&model));
            assert_eq!(matches!(few, Few::One(_)), model.len() == 1);
        }
    }
}
