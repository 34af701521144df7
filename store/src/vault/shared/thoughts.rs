//! What this device has not told of names: it stands last among all operations until it is.

use super::Shared;
use super::keep::Removals;
use crate::event::EventRef;
use crate::ids::{Ino, NodeId, NodeNo};
use crate::moves::{Op, Place, Stamp, Step, Target};
use crate::record::{Kind, Time, Told};
use crate::tree::Tree;
use crate::vault::Vault;

impl Vault {
    /// What is to be told of names; of removals, whether they lose was asked but of the newest. In an order in which no folder is moved into one that is still to be
    /// moved out of it. The tree is locked.
    pub(super) fn thoughts(&self, tree: &Tree, shared: &mut Shared, asked: &Removals) -> Vec<Op> {
        let mut nodes: Vec<(usize, NodeNo, Ino)> = Vec::new();
        let mut gone: Vec<(NodeId, Box<[EventRef]>)> = Vec::new();
        {
            let untold = self.untold.lock();
            let known = untold.nodes.iter().map(|(no, folder)| (*no, *folder));
            for (no, was) in known.chain(tree.dirty_nodes()) {
                // It may have moved since the note was made.
                let Some(folder) = tree.folder_of(no, was) else {
                    continue;
                };
                nodes.push((tree.depth(folder), no, folder));
            }
            gone.extend(
                untold
                    .gone
                    .values()
                    .map(|gone| (gone.id, gone.saw.clone().into())),
            );
        }
        nodes.sort_unstable();
        nodes.dedup();
        let now = Time::now().sec;
        let mut steps: Vec<(NodeId, Step)> = Vec::new();
        for (_, no, folder) in nodes {
            let entry = tree.folder(folder).and_then(|folder| folder.entries.get(&no));
            let Some(entry) = entry.filter(|entry| entry.told != Told::Now) else {
                continue;
            };
            let (Some(parent), Ok(inode)) = (tree.node_of(folder), self.get(entry.ino)) else {
                continue;
            };
            let state = inode.state.read();
            let is_folder = entry.kind == Kind::Folder;
            let place = Place {
                parent,
                name: entry.name.clone(),
                target: match is_folder {
                    true => Target::Folder,
                    false => Target::Entity(state.binding.entity()),
                },
                perm: if is_folder { state.meta.perm } else { 0 },
                xattrs: state.meta.xattrs.clone().filter(|_| is_folder),
                when: now,
            };
            drop(state);
            // First the one that stands for them: it goes on doing so.
            steps.push((entry.id, Step::Place(place.clone())));
            if is_folder {
                for other in shared.seen_as_one(entry.id) {
                    steps.push((other, Step::Place(place.clone())));
                }
            }
        }
        let new = gone.iter().filter(|(node, _)| !asked.contains_key(node));
        let removed: Vec<(NodeId, bool)> = new.map(|(node, _)| (*node, false)).collect();
        let _ = shared
            .shown
            .keep(&removed, &|stamp, when| self.label(stamp, when));
        for (node, saw) in gone {
            for other in shared.seen_as_one(node) {
                steps.push((other, Step::Gone(saw.clone(), None)));
            }
            steps.push((node, Step::Gone(saw, None)));
        }
        let chain = self.secrets().chain();
        let stamped = steps.into_iter().zip(1..).map(|((node, step), seq)| Op {
            stamp: Stamp {
                lamport: Stamp::LAST.lamport,
                at: EventRef { chain, seq },
            },
            node,
            step,
        });
        stamped.collect()
    }
}
