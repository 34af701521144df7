//! Which entity a file stands for. A POSIX file has a key of its own, under which everything lies
//! that is this store's alone; the entity that it shows may be another's, taken over when an editor
//! saved by putting a new file in the place of an old one. Then its key is kept here.
//!
//! Guarantees: a body that was sealed for an entity which the file stood for before can be opened
//! as long as the file is that body.

use crate::ids::EntityId;
use crate::keys::Key;
use crate::record::BaseRef;

/// See the module.
pub(crate) struct Binding {
    entity: EntityId,
    /// None: the file's own.
    key: Option<Key>,
    /// Entities that it stood for, with their keys.
    former: Vec<(EntityId, Key)>,
}

impl Binding {
    /// Of a file that shows the entity that was made with it.
    pub(crate) fn own(entity: EntityId) -> Binding {
        Binding {
            entity,
            key: None,
            former: Vec::new(),
        }
    }

    /// As it is stored: the entity, its key unless that is the file's own, and who sealed the body
    /// if that was another.
    pub(crate) fn stored(
        entity: EntityId,
        key: Option<[u8; 32]>,
        body: Option<(EntityId, [u8; 32])>,
    ) -> Binding {
        let take = |mut bytes: [u8; 32]| Key::take(&mut bytes);
        Binding {
            entity,
            key: key.map(take),
            former: body
                .into_iter()
                .map(|(entity, key)| (entity, take(key)))
                .collect(),
        }
    }

    /// The entity.
    pub(crate) fn entity(&self) -> EntityId {
        self.entity
    }

    /// Whether it is another than the one that was made with the file.
    pub(crate) fn is_taken_over(&self) -> bool {
        self.key.is_some()
    }

    /// Its key; `own` is the file's.
    pub(crate) fn key<'a>(&'a self, own: &'a Key) -> &'a Key {
        self.key.as_ref().unwrap_or(own)
    }

    /// The key of an entity that it stands for, or stood for.
    pub(crate) fn key_of<'a>(&'a self, own: &'a Key, entity: EntityId) -> Option<&'a Key> {
        if entity == self.entity {
            return Some(self.key(own));
        }
        let former = self.former.iter().find(|(former, _)| *former == entity);
        former.map(|(_, key)| key)
    }

    /// Stands for another entity from now on. The former one's key is kept until [`Binding::forget`].
    pub(crate) fn bind(&mut self, own: &Key, entity: EntityId, key: Key) {
        let before = (self.entity, self.key(own).duplicate());
        self.former.retain(|(former, _)| *former != entity);
        self.former.push(before);
        (self.entity, self.key) = (entity, Some(key));
    }

    /// Forgets the keys of entities that it stood for, but the one that this base is sealed for.
    pub(crate) fn forget(&mut self, base: BaseRef) {
        if !self.former.is_empty() {
            self.former
                .retain(|(entity, _)| base.sealed_for() == Some(*entity));
        }
    }

    /// What is to be stored of it, with a file whose base is this.
    pub(crate) fn to_store(&self, base: BaseRef) -> (Option<[u8; 32]>, Option<[u8; 32]>) {
        let former = |entity| self.former.iter().find(|(former, _)| *former == entity);
        let body = base
            .sealed_for()
            .filter(|entity| *entity != self.entity)
            .and_then(former);
        (
            self.key.as_ref().map(|key| *key.expose()),
            body.map(|(_, key)| *key.expose()),
        )
    }

    /// The same, of its own.
    pub(crate) fn duplicate(&self) -> Binding {
        let former = self.former.iter().map(|(entity, key)| (*entity, key.duplicate()));
        Binding {
            entity: self.entity,
            key: self.key.as_ref().map(Key::duplicate),
            former: former.collect(),
        }
    }
}
