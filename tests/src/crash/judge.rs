//! What a harmed store may show: right data, or an error; never wrong data, and what is
//! amiss the check finds. Salvage brings what can still be read, and nothing wrong.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use coffer_fs::types::Kind;
use coffer_store::io::sim::SimDisk;
use coffer_store::vault::salvage;

use super::image::serve;
use super::look::{Found, difference, look};
use super::model::{Shown, View};
use crate::engine;

/// What is true, for a harmed store.
#[derive(Clone, Debug)]
pub struct Truth {
    /// What it shows unharmed.
    pub view: Arc<View>,
    /// What it showed, ever.
    pub past: Vec<Arc<View>>,
    /// How many of these were before the earlier day.
    pub early: usize,
}

/// What a harmed store has shown.
#[derive(Debug, Default)]
pub struct Verdict {
    /// It opened.
    pub opened: bool,
    /// It showed what it shows unharmed; where old bytes are allowed, or as a whole what
    /// it once showed.
    pub same: bool,
    /// What the check found.
    pub problems: Vec<String>,
    /// Paths of files that read right.
    pub whole: BTreeSet<String>,
}

impl Truth {
    /// What a file at this path may hold: what it holds now or, with `past`, ever held.
    fn may_be(&self, path: &str, bytes: &[u8], past: bool) -> bool {
        let holds = |view: &View| match view.get(path) {
            Some(Shown::File { bytes: right, .. }) => right.as_slice() == bytes,
            Some(Shown::Symlink(target)) => target == bytes,
            _ => false,
        };
        holds(&self.view) || (past && self.past.iter().any(|view| holds(view)))
    }

    /// Paths of files that have not changed since the earlier day.
    pub fn steady(&self) -> BTreeSet<String> {
        let same = |path: &String, shown: &Shown| {
            matches!(shown, Shown::File { .. })
                && self.past[self.early..]
                    .iter()
                    .all(|view| view.get(path) == Some(shown))
        };
        let steady = self.view.iter().filter(|(path, shown)| same(path, shown));
        steady.map(|(path, _)| path.clone()).collect()
    }

    /// Opens a harmed store, reads everything, checks it. `past` allows what was true on
    /// an earlier day, where old bytes were put back.
    ///
    /// # Errors
    /// Wrong data.
    pub fn read(&self, disk: &SimDisk, past: bool) -> Result<Verdict, String> {
        let mut verdict = Verdict::default();
        let Ok(fs) = serve(&disk.crash_all_kept()) else {
            return Ok(verdict);
        };
        verdict.opened = true;
        let found = look(&fs).unwrap_or_default();
        let once = self.past.iter().filter(|_| past);
        verdict.same = once
            .chain([&self.view])
            .any(|view| difference(view, &found).is_none());
        for (path, one) in &found {
            if self.is_right(path, one, past)? {
                verdict.whole.insert(path.clone());
            }
        }
        let report = fs
            .vault()
            .check(coffer_store::vault::CheckOptions { read_data: true }, &mut |_| {});
        verdict.problems = match report {
            Ok(report) => report.problems.iter().map(|p| p.to_string()).collect(),
            Err(e) => vec![format!("the check ends early: {e}")],
        };
        Ok(verdict)
    }

    /// Whether a file reads right; an error to read it is no wrong data.
    fn is_right(&self, path: &str, one: &Found, past: bool) -> Result<bool, String> {
        let known = self.view.contains_key(path) || (past && self.past.iter().any(|v| v.contains_key(path)));
        if !known {
            return Err(format!("{path} was never there"));
        }
        match (&one.bytes, one.kind) {
            (Ok(_), Kind::Folder) | (Err(_), _) => Ok(false),
            (Ok(bytes), _) if self.may_be(path, bytes, past) => Ok(true),
            (Ok(bytes), _) => Err(format!("{path} reads {} bytes that it never held", bytes.len())),
        }
    }

    /// Salvages a harmed store: brings what `whole` names, and nothing wrong.
    ///
    /// # Errors
    /// Wrong data, or what is missing.
    pub fn salvage(&self, disk: &SimDisk, whole: &BTreeSet<String>) -> Result<(), String> {
        let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
        let (vault, dest) = (dir.path().join("vault"), dir.path().join("dest"));
        engine::write_out(disk, &vault);
        let report =
            salvage(&vault, &engine::password(), &dest, &mut |_| {}).map_err(|e| format!("salvage: {e}"))?;
        let mut brought = BTreeSet::new();
        walk(&dest, &mut |path, bytes| {
            // By events alone, what was published last comes, perhaps under an older name.
            if !self.ever_held(&bytes) {
                return Err(format!(
                    "salvage brings {path} with {} bytes that no file ever held",
                    bytes.len()
                ));
            }
            brought.insert(path);
            Ok(())
        })?;
        match whole.iter().find(|path| !brought.contains(*path)) {
            Some(path) => Err(format!(
                "salvage does not bring {path}; it says {:?}",
                report.problems
            )),
            None => Ok(()),
        }
    }

    fn ever_held(&self, bytes: &[u8]) -> bool {
        self.past.iter().chain([&self.view]).any(|view| {
            view.values().any(|shown| match shown {
                Shown::File { bytes: held, .. } => held.as_slice() == bytes,
                Shown::Symlink(target) => target == bytes,
                Shown::Folder => false,
            })
        })
    }
}

fn walk(root: &Path, each: &mut dyn FnMut(String, Vec<u8>) -> Result<(), String>) -> Result<(), String> {
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|e| e.to_string())? {
            let path = entry.map_err(|e| e.to_string())?.path();
            let name = format!(
                "/{}",
                path.strip_prefix(root).map_err(|e| e.to_string())?.display()
            );
            let meta = path.symlink_metadata().map_err(|e| e.to_string())?;
            if meta.is_dir() {
                folders.push(path);
            } else if meta.is_symlink() {
                let target = fs::read_link(&path).map_err(|e| e.to_string())?;
                each(name, target.into_os_string().into_encoded_bytes())?;
            } else {
                each(name, fs::read(&path).map_err(|e| e.to_string())?)?;
            }
        }
    }
    Ok(())
}
