//! Markers outside the vault that notice a vault copied or restored from a backup: which copy
//! (by its tag inside) lay where (by its database's inode) when it was last mounted here, and how far
//! it was.
//!
//! Guarantees that a question is asked only on evidence: a known copy in another place, another copy
//! in a known place, or one that is less far than it was, or on another chain. A first visit is none.
//! Blind to anything done on another machine, and to what was restored from within a time after which
//! the program was killed.

use crate::engine::{self, Sealed, Standing, Vault};
use crate::failure::{Failure, Kind};
use crate::paths;
use crate::secret::Secret;
use crate::wire::{Origin, WirePath};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where a database lies. Device numbers change over reboots and file system ids do not
/// everywhere, so either one will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    ino: u64,
    dev: u64,
    fsid: u64,
}

impl Place {
    fn of(database: &Path) -> std::io::Result<Place> {
        let meta = fs::metadata(database)?;
        let fsid = rustix::fs::statvfs(database)?.f_fsid;
        Ok(Place {
            ino: meta.ino(),
            dev: meta.dev(),
            fsid,
        })
    }

    fn is(&self, other: &Place) -> bool {
        self.ino == other.ino && (self.dev == other.dev || (self.fsid == other.fsid && self.fsid != 0))
    }
}

/// One copy of a vault, as last seen here.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Seen {
    tag: String,
    place: Place,
    vault: WirePath,
    /// The chain that it was on; unknown to markers of earlier versions.
    #[serde(default)]
    chain: Option<String>,
    /// How many transactions there had been.
    #[serde(default)]
    commits: u64,
}

/// What the markers say of a vault about to be mounted.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// As it was, or never seen here.
    Fine,
    /// This copy was last seen at that path.
    Elsewhere(PathBuf),
    /// Another copy was in this place.
    Replaced,
    /// It was further, or on another chain.
    Older,
}

/// The markers of one vault id.
pub(crate) struct Markers {
    file: PathBuf,
    seen: Vec<Seen>,
}

impl Markers {
    /// Reads what is remembered; an unreadable marker is an empty one, because a lost marker
    /// must not lock anybody out.
    ///
    /// # Errors
    /// When the state folder cannot be made.
    pub(crate) fn load(vault_id: &[u8; 16]) -> Result<Markers, Failure> {
        Markers::load_in(&paths::state_dir()?.join("instances"), vault_id)
    }

    fn load_in(dir: &Path, vault_id: &[u8; 16]) -> Result<Markers, Failure> {
        fs::create_dir_all(dir)
            .map_err(|error| Failure::io(format_args!("make {}", dir.display()), &error))?;
        let file = dir.join(paths::hex(vault_id));
        let seen = match fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(Failure::io(format_args!("read {}", file.display()), &error)),
        };
        Ok(Markers { file, seen })
    }

    /// Compares a vault's tag and its database's place with what is remembered.
    ///
    /// # Errors
    /// When the database cannot be looked at.
    fn judge(&self, tag: &[u8; 16], database: &Path) -> Result<Verdict, Failure> {
        let place = place(database)?;
        let tag = paths::hex(tag);
        if let Some(seen) = self.seen.iter().find(|seen| seen.tag == tag) {
            return Ok(if seen.place.is(&place) {
                Verdict::Fine
            } else {
                Verdict::Elsewhere(seen.vault.0.clone())
            });
        }
        Ok(if self.seen.iter().any(|seen| seen.place.is(&place)) {
            Verdict::Replaced
        } else {
            Verdict::Fine
        })
    }

    /// Compares how far a vault is with what is remembered of it.
    fn judge_standing(&self, tag: &[u8; 16], now: Standing) -> Verdict {
        let tag = paths::hex(tag);
        let Some(seen) = self.seen.iter().find(|seen| seen.tag == tag) else {
            return Verdict::Fine;
        };
        let same_chain = seen
            .chain
            .as_ref()
            .is_none_or(|chain| *chain == paths::hex(&now.chain));
        match same_chain && now.commits >= seen.commits {
            true => Verdict::Fine,
            false => Verdict::Older,
        }
    }

    /// Remembers that this copy lies here now, and how far it is; whatever was known of the copy or
    /// the place is replaced.
    ///
    /// # Errors
    /// When the marker cannot be written.
    pub(crate) fn remember(self, dir: &Path, vault: &Vault) -> Result<(), Failure> {
        self.note(&vault.instance(), vault.standing(), dir, &engine::database(dir))
    }

    fn note(
        mut self,
        tag: &[u8; 16],
        standing: Standing,
        vault: &Path,
        database: &Path,
    ) -> Result<(), Failure> {
        let place = place(database)?;
        let tag = paths::hex(tag);
        self.seen.retain(|seen| seen.tag != tag && !seen.place.is(&place));
        self.seen.push(Seen {
            tag,
            place,
            vault: WirePath(vault.to_owned()),
            chain: Some(paths::hex(&standing.chain)),
            commits: standing.commits,
        });
        let bytes = serde_json::to_vec(&self.seen).expect("markers are plain data");
        let part = self.file.with_extension("new");
        fs::write(&part, bytes)
            .and_then(|()| fs::rename(&part, &self.file))
            .map_err(|error| Failure::io(format_args!("write {}", self.file.display()), &error))
    }
}

fn place(database: &Path) -> Result<Place, Failure> {
    Place::of(database).map_err(|error| Failure::io(format_args!("look at {}", database.display()), &error))
}

/// Opens a vault as the copy that it is: the one that was here, one that moved, or, where somebody
/// said so (`origin`), a device of its own.
///
/// # Errors
/// `Question` if it may be a copy, `WrongPassword`, or as [`Sealed::key`].
pub(crate) fn take_into_use(
    dir: &Path,
    sealed: Sealed,
    password: &Secret,
    origin: Option<Origin>,
) -> Result<Vault, Failure> {
    if sealed.is_read_only() {
        return Err(Failure::failed(format!(
            "Nothing can be written to {}; mount the vault read-only, with -o ro.",
            dir.display()
        )));
    }
    if origin.is_none()
        && let Some(question) = doubt(dir, &sealed)
    {
        return Err(question);
    }
    let (id, tag) = (sealed.facts().id, sealed.instance());
    let keyed = sealed.key(password)?;
    if origin.is_none()
        && let Some(question) = doubt_standing(dir, &id, &tag, keyed.standing()?)?
    {
        return Err(question);
    }
    let vault = keyed.unlock(origin)?;
    Markers::load(&id)?.remember(dir, &vault)?;
    Ok(vault)
}

/// The question that a vault raises before it is opened; `None` if none.
pub(crate) fn doubt(vault: &Path, sealed: &Sealed) -> Option<Failure> {
    let judged = Markers::load(&sealed.facts().id)
        .and_then(|markers| markers.judge(&sealed.instance(), &engine::database(vault)));
    match judged {
        Ok(verdict) => question(&verdict, vault),
        Err(failure) => Some(failure),
    }
}

/// The question that a vault raises when its password is known and nothing of it is in use; `None`
/// if none.
///
/// # Errors
/// When the markers cannot be read.
fn doubt_standing(
    vault: &Path,
    id: &[u8; 16],
    tag: &[u8; 16],
    standing: Standing,
) -> Result<Option<Failure>, Failure> {
    let verdict = Markers::load(id)?.judge_standing(tag, standing);
    Ok(question(&verdict, vault))
}

/// The question that a verdict raises.
fn question(verdict: &Verdict, vault: &Path) -> Option<Failure> {
    let text = match verdict {
        Verdict::Fine => return None,
        Verdict::Elsewhere(place) if place != vault => format!(
            "The vault {} was last opened as {}. If it was moved (or restored after a loss), say --moved; if this is a copy beside the original, say --copied, and it becomes a device of its own.",
            vault.display(),
            place.display()
        ),
        Verdict::Older => format!(
            "The vault {} is not the state that was last open here: one of another day was put back. If this is the one to go on with, say --moved: what the other left in the folder is kept aside. If the other is still in use elsewhere, say --copied, and this becomes a device of its own.",
            vault.display()
        ),
        Verdict::Elsewhere(_) | Verdict::Replaced => format!(
            "The vault {} is not the copy that was here before: it was put back from elsewhere. If it takes the place of one that is lost, say --moved; if the other is still in use, say --copied, and this becomes a device of its own.",
            vault.display()
        ),
    };
    Some(Failure::new(Kind::Question, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: [u8; 16] = [1; 16];
    const FAR: Standing = Standing {
        chain: [3; 16],
        commits: 100,
    };

    struct Scene(tempfile::TempDir);
    impl Scene {
        fn markers(&self) -> Markers {
            Markers::load_in(&self.0.path().join("state"), &ID).unwrap()
        }
        fn database(&self, name: &str) -> PathBuf {
            let file = self.0.path().join(name);
            if !file.exists() {
                fs::write(&file, name).unwrap();
            }
            file
        }
    }

    /// Guards every way in which a vault comes to another place, and that answers are remembered.
    #[test]
    fn copies_and_moves_are_noticed_once() {
        let scene = Scene(tempfile::tempdir().unwrap());
        let (a, b) = (scene.database("a"), scene.database("b"));
        assert_eq!(
            scene.markers().judge(&[7; 16], &a).unwrap(),
            Verdict::Fine,
            "a first visit"
        );
        scene.markers().note(&[7; 16], FAR, Path::new("/va"), &a).unwrap();
        assert_eq!(
            scene.markers().judge(&[7; 16], &a).unwrap(),
            Verdict::Fine,
            "as it was"
        );
        // A rename keeps the inode: no question.
        fs::rename(&a, scene.0.path().join("a2")).unwrap();
        let a = scene.database("a2");
        assert_eq!(
            scene.markers().judge(&[7; 16], &a).unwrap(),
            Verdict::Fine,
            "renamed"
        );
        // A copy: noticed, made a device of its own, and then both live in peace.
        assert_eq!(
            scene.markers().judge(&[7; 16], &b).unwrap(),
            Verdict::Elsewhere("/va".into())
        );
        scene.markers().note(&[8; 16], FAR, Path::new("/vb"), &b).unwrap();
        assert_eq!(scene.markers().judge(&[8; 16], &b).unwrap(), Verdict::Fine);
        assert_eq!(scene.markers().judge(&[7; 16], &a).unwrap(), Verdict::Fine);
        // An old backup put back over the copy, file content only: another tag in a known place.
        assert_eq!(scene.markers().judge(&[9; 16], &b).unwrap(), Verdict::Replaced);
        // Moved across file systems, and said so: the old place is forgotten.
        scene
            .markers()
            .note(&[7; 16], FAR, Path::new("/vc"), &scene.database("c"))
            .unwrap();
        assert_eq!(
            scene.markers().judge(&[7; 16], &a).unwrap(),
            Verdict::Elsewhere("/vc".into())
        );
    }

    /// Guards that a broken marker locks nobody out.
    #[test]
    fn a_broken_marker_is_an_empty_one() {
        let scene = Scene(tempfile::tempdir().unwrap());
        let a = scene.database("a");
        scene.markers().note(&[7; 16], FAR, Path::new("/va"), &a).unwrap();
        fs::write(scene.0.path().join("state").join(paths::hex(&ID)), b"{nonsense").unwrap();
        assert_eq!(
            scene.markers().judge(&[7; 16], &scene.database("b")).unwrap(),
            Verdict::Fine
        );
    }

    /// Guards that an older state in the same file, of the same tag, is noticed, in whichever
    /// direction it was exchanged; and that what only went on is not.
    #[test]
    fn older_states_are_noticed() {
        let scene = Scene(tempfile::tempdir().unwrap());
        let a = scene.database("a");
        let far = |chain: u8, commits| Standing {
            chain: [chain; 16],
            commits,
        };
        let judged = |standing| scene.markers().judge_standing(&[7; 16], standing);
        assert_eq!(judged(far(3, 1)), Verdict::Fine, "a first visit");
        scene.markers().note(&[7; 16], FAR, Path::new("/va"), &a).unwrap();
        assert_eq!(judged(FAR), Verdict::Fine);
        assert_eq!(judged(far(3, 101)), Verdict::Fine, "after a crash");
        assert_eq!(judged(far(3, 99)), Verdict::Older);
        // Taken into use as it is, on a chain of its own; then the newer one comes back.
        scene
            .markers()
            .note(&[7; 16], far(4, 99), Path::new("/va"), &a)
            .unwrap();
        assert_eq!(judged(far(4, 99)), Verdict::Fine);
        assert_eq!(judged(FAR), Verdict::Older);
        // A marker of an earlier version knows nothing of it.
        let file = scene.0.path().join("state").join(paths::hex(&ID));
        let mut seen: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        for key in ["chain", "commits"] {
            seen[0].as_object_mut().unwrap().remove(key).unwrap();
        }
        fs::write(&file, seen.to_string()).unwrap();
        assert_eq!(judged(far(3, 1)), Verdict::Fine);
    }
}
