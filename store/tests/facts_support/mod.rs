//! What the suites of facts share: a mirror of a vault, kept as the feed says that one is to be kept.

#![allow(unreachable_pub, dead_code)] // a module of each test program; each uses a part

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::mpsc::Receiver;

use coffer_store::ids::{EntityId, Ino, NodeNo};
use coffer_store::vault::{Changes, ContentHash, Deed, Facts, HistoryRow, Name, Of, OpError, Subject, Vault};

/// All that is kept of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    pub facts: Facts,
    pub text: Option<Vec<u8>>,
    pub content: Option<ContentHash>,
}

/// See the module.
#[derive(Debug)]
pub struct Mirror {
    feed: Option<Receiver<Changes>>,
    names: BTreeMap<NodeNo, Name>,
    files: BTreeMap<Ino, Kept>,
    history: BTreeMap<EntityId, Vec<HistoryRow>>,
}

fn is_gone(error: &OpError) -> bool {
    error.errno() == libc::ENOENT
}

fn ask(vault: &Vault, ino: Ino) -> Option<Kept> {
    let facts = match vault.facts(ino) {
        Ok(facts) => facts,
        Err(error) if is_gone(&error) => return None,
        Err(error) => panic!("{error}"),
    };
    let text = match vault.text(ino, 64 << 10) {
        Ok(text) => Some(text),
        Err(OpError::Store(error)) if error.absent().is_some() => None,
        Err(error) if [libc::EISDIR, libc::EINVAL].contains(&error.errno()) => None,
        Err(error) => panic!("{error}"),
    };
    Some(Kept {
        facts,
        text,
        content: vault.content(ino).unwrap(),
    })
}

/// Where it was is as of when it was asked for.
fn without_path(mut row: HistoryRow) -> HistoryRow {
    if let Of::Removed { path, .. } = &mut row.of {
        path.clear();
    }
    row
}

impl Mirror {
    /// All that is there, and what comes.
    pub fn new(vault: &Vault) -> Mirror {
        let feed = vault.subscribe();
        let mut mirror = Mirror::from_scratch(vault);
        mirror.feed = Some(feed);
        mirror
    }

    pub fn from_scratch(vault: &Vault) -> Mirror {
        let mut mirror = Mirror {
            feed: None,
            names: BTreeMap::new(),
            files: BTreeMap::new(),
            history: BTreeMap::new(),
        };
        vault.names(&mut |name| {
            assert!(mirror.names.insert(name.no, name).is_none());
            true
        });
        let inos: BTreeSet<Ino> = mirror.names.values().map(|name| name.ino).collect();
        for ino in &inos {
            mirror.files.extend(ask(vault, *ino).map(|kept| (*ino, kept)));
        }
        // Together it is the same as one by one.
        let inos: Vec<Ino> = inos.into_iter().collect();
        let mut asked = 0;
        vault.facts_of(&inos, &mut |ino, facts| {
            assert_eq!(facts.unwrap(), mirror.files[&ino].facts);
            asked += 1;
            true
        });
        assert_eq!(asked, inos.len());
        mirror.read_history(vault);
        mirror
    }

    fn read_history(&mut self, vault: &Vault) {
        self.history.clear();
        vault
            .history(None, &mut |row| {
                if row.of != Of::Nameless {
                    let rows = self.history.entry(row.entity).or_default();
                    rows.push(without_path(row));
                }
                true
            })
            .unwrap();
    }

    pub fn is_here(&self, ino: Ino) -> bool {
        self.files[&ino].facts.here
    }

    /// Takes in what the feed has told; whether that was anything.
    pub fn hear(&mut self, vault: &Vault) -> bool {
        let feed = self.feed.take().unwrap();
        let mut news = false;
        for changes in feed.try_iter() {
            let told = Changes {
                events: (0, 0),
                ..changes.clone()
            };
            news |= told != Changes::default();
            self.take_in(vault, &changes);
        }
        self.feed = Some(feed);
        news
    }

    fn forget(&mut self, ino: Ino) {
        self.files.remove(&ino);
        self.history
            .retain(|_, rows| rows.iter().all(|row| row.of != Of::File(ino)));
    }

    fn take_in(&mut self, vault: &Vault, changes: &Changes) {
        for (no, name) in changes.names.iter() {
            match name {
                Some(name) => drop(self.names.insert(*no, name.clone())),
                None => drop(self.names.remove(no)),
            }
        }
        let inos: BTreeSet<Ino> = changes.inodes.iter().chain(&changes.came).copied().collect();
        let mut subjects: Vec<Subject> = inos.iter().map(|ino| Subject::File(*ino)).collect();
        for ino in inos {
            self.forget(ino);
            self.files.extend(ask(vault, ino).map(|kept| (ino, kept)));
        }
        subjects.extend(changes.removed.iter().map(|node| Subject::Removed(*node)));
        changes.gone.iter().for_each(|ino| self.forget(*ino));
        let named: HashSet<Ino> = self.names.values().map(|name| name.ino).collect();
        self.files.retain(|ino, _| named.contains(ino));
        let (history, files) = (&mut self.history, &self.files);
        let has_file = |entity| files.values().any(|kept| kept.facts.entity == entity);
        vault
            .history_of(&subjects, &mut |_, rows| match rows {
                Ok(rows) => {
                    let rows: Vec<HistoryRow> = rows.into_iter().map(without_path).collect();
                    if let Some(first) = rows.first()
                        && (matches!(first.of, Of::File(_)) || !has_file(first.entity))
                    {
                        history.insert(first.entity, rows);
                    }
                }
                Err(error) => assert!([libc::ENOENT, libc::EINVAL].contains(&error.errno()), "{error}"),
            })
            .unwrap();
        history.retain(|_, rows| match rows[0].of {
            Of::File(ino) => named.contains(&ino),
            _ => true,
        });
        if changes.thinned {
            self.read_history(vault);
            let inos: Vec<Ino> = self.files.keys().copied().collect();
            for ino in inos {
                self.files.insert(ino, ask(vault, ino).unwrap());
            }
        }
        if changes.evicted {
            for (ino, kept) in &mut self.files {
                kept.facts.here = vault.facts(*ino).unwrap().here;
            }
        }
    }

    /// Once all is stored, it is what is there.
    pub fn compare(&mut self, vault: &Vault, when: &str) {
        // A commit may bring names to other places by what others said, which the next one stores.
        let settled = (0..20).any(|_| {
            vault.commit().unwrap();
            !self.hear(vault)
        });
        assert!(settled, "{when}: it goes on changing");
        let anew = Mirror::from_scratch(vault);
        assert_eq!(self.names, anew.names, "{when}: names");
        let inos: BTreeSet<Ino> = self.files.keys().chain(anew.files.keys()).copied().collect();
        for ino in inos {
            let mut kept = self.files.get(&ino).cloned();
            if let (Some(kept), Some(there)) = (&mut kept, anew.files.get(&ino)) {
                // Asked for again when bytes go: what was read of them before is as right as ever.
                if !there.facts.here {
                    (kept.text, kept.content) = (there.text.clone(), there.content);
                }
            }
            assert_eq!(kept.as_ref(), anew.files.get(&ino), "{when}: file {ino}");
        }
        let entities: BTreeSet<EntityId> = self.history.keys().chain(anew.history.keys()).copied().collect();
        for entity in entities {
            assert_eq!(
                self.history.get(&entity),
                anew.history.get(&entity),
                "{when}: history of {entity}"
            );
        }
        // What the list of versions counts.
        for (ino, kept) in &anew.files {
            if let Ok(versions) = vault.recorded_versions(Subject::File(*ino)) {
                assert_eq!(
                    kept.facts.versions,
                    versions.len() as u64,
                    "{when}: versions of {ino}"
                );
                let of = |row: &&HistoryRow| row.deed != Deed::Removed;
                let rows = anew
                    .history
                    .get(&kept.facts.entity)
                    .map_or(0, |rows| rows.iter().filter(of).count());
                assert_eq!(rows, versions.len(), "{when}: rows of {ino}");
            }
        }
    }
}
