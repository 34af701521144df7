//! One power cut, examined: the vault opens, shows one of the states that it may show,
//! passes its check, goes on working, and survives the next power cut.

use std::collections::BTreeMap;
use std::sync::Arc;

use coffer_fs::types::{Caller, FileSystem, OpenMode, ROOT};
use coffer_fs::vaultfs::CofferFs;
use coffer_store::io::Disk;
use coffer_store::io::sim::{SimDisk, SplitMix64};
use coffer_store::vault::Vault;

use super::look::{Found, difference, look};
use super::model::{Shown, View};
use crate::engine;

/// Where packs end, in bytes, so that there are several.
const PACK: u64 = 512 << 10;

/// A disk as a power cut left it.
pub struct Image {
    /// The disk.
    pub disk: SimDisk,
    /// What it may show: the state acknowledged last, and those after it.
    pub views: Vec<Arc<View>>,
    /// Which one it is, for reports.
    pub name: String,
    /// For the chances of the next power cut.
    pub seed: u64,
}

/// Opens a vault whose only commits are those that are asked for.
///
/// # Errors
/// What opening said.
pub fn serve(disk: &SimDisk) -> Result<Arc<CofferFs>, String> {
    serve_on(Arc::new(disk.clone()))
}

/// The same on any disk.
///
/// # Errors
/// What opening said.
pub fn serve_on(disk: Arc<dyn Disk>) -> Result<Arc<CofferFs>, String> {
    let vault = engine::try_open_on(disk)?;
    vault.stop_keeper();
    vault.limit_packs(PACK);
    CofferFs::new(vault).map(Arc::new).map_err(|e| e.to_string())
}

/// A vault's check, as a result.
///
/// # Errors
/// What it found.
pub fn sound(vault: &Vault) -> Result<(), String> {
    let problems = engine::check(vault).problems;
    match problems.is_empty() {
        true => Ok(()),
        false => Err(format!("check finds {problems:?}")),
    }
}

/// Which of the views is shown.
///
/// # Errors
/// How it differs from the first and from the last.
pub fn which(views: &[Arc<View>], found: &BTreeMap<String, Found>) -> Result<Arc<View>, String> {
    if let Some(view) = views.iter().find(|view| difference(view, found).is_none()) {
        return Ok(view.clone());
    }
    let said = |view: Option<&Arc<View>>| view.and_then(|v| difference(v, found)).unwrap_or_default();
    Err(format!(
        "it shows none of {} states; from the acknowledged one it differs: {}; from the latest: {}",
        views.len(),
        said(views.first()),
        said(views.last())
    ))
}

impl Image {
    /// See the module.
    ///
    /// # Errors
    /// What is wrong.
    pub fn examine(&self) -> Result<(), String> {
        let say = |when: &'static str| move |what: String| format!("{when}: {what}");
        // A vault's threads may outlive it for a moment: each is given a disk of its own.
        let fs = serve(&self.disk.crash_all_kept()).map_err(say("after the power cut"))?;
        let shown = which(&self.views, &look(&fs)?).map_err(say("after the power cut"))?;
        sound(fs.vault()).map_err(say("after the power cut"))?;
        drop(fs);
        self.go_on(&shown).map_err(say("going on"))
    }

    /// Opens the disk anew and writes, while the power goes again somewhere.
    fn go_on(&self, shown: &Arc<View>) -> Result<(), String> {
        let mut rng = SplitMix64(self.seed);
        let before = self.disk.ops();
        let cut = before + 1 + rng.below(40);
        self.disk.freeze_at(cut);
        let fs = serve(&self.disk)?;
        let data = rng.bytes(70_000);
        let mut more = (**shown).clone();
        let file = Shown::File {
            id: u64::MAX,
            bytes: Arc::new(data.clone()),
            xattrs: BTreeMap::new(),
        };
        more.insert("/later".into(), file);
        write_file(&fs, b"later", &data)?;
        let acknowledged = self.disk.ops() < cut;
        drop(fs);
        let mut views = vec![Arc::new(more)];
        if !acknowledged {
            views.push(shown.clone());
        }
        let next = self.disk.crash(self.seed);
        let fs = serve(&next)?;
        which(&views, &look(&fs)?)?;
        sound(fs.vault())
    }
}

/// Makes a file in the root and syncs it.
///
/// # Errors
/// What failed.
pub fn write_file(fs: &CofferFs, name: &[u8], data: &[u8]) -> Result<(), String> {
    let mode = OpenMode {
        read: true,
        write: true,
        ..OpenMode::default()
    };
    let failed = |what: &'static str| move |e| format!("{what}: {e:?}");
    let (attr, handle) = fs
        .create(Caller::default(), ROOT, name, 0o644, mode, true)
        .map_err(failed("create"))?;
    fs.write(attr.ino, handle, 0, data, false)
        .map_err(failed("write"))?;
    let (say, said) = std::sync::mpsc::channel();
    fs.fsync(
        attr.ino,
        Box::new(move |result| {
            let _ = say.send(result);
        }),
    );
    said.recv().map_err(|e| e.to_string())?.map_err(failed("fsync"))?;
    fs.release(attr.ino, handle);
    fs.forget(attr.ino, 1);
    Ok(())
}
