//! The seam to the vault itself: `coffer_store::vault`, and the file system over it.

use super::index::{Index, Shown};
use super::mount::Mount;
use super::{Facts, OnProgress, Standing, kdf, params};
use crate::answers::{Aside, Backup, Check, Contents, Local, Problem, Salvage};
use crate::failure::{Failure, Kind, without_codes};
use crate::secret::Secret;
use crate::welcome;
use crate::wire::ask::Asked;
use crate::wire::{Kdf, Origin, Progress, WirePath};
use coffer_fs::follow::Follow;
use coffer_fs::shelf::{self, Shelf, Source};
use coffer_fs::vaultfs::CofferFs;
use coffer_store::db::DbError;
use coffer_store::keys::{Header, Password, RecoveryPhrase};
use coffer_store::vault::{self as store, CheckOptions, Identity, OpenError, Opener};
use parking_lot::Mutex;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Under what it is kept what was asked at the prompt, and how much of it, in bytes.
const ASKED: &str = "asked";
const ASKED_MAX: usize = 1 << 20;
/// How long a lock is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// A vault held by this process alone, still locked.
pub(crate) struct Sealed(Box<store::Sealed>);

pub(super) fn typed(secret: &Secret) -> Password {
    Password::new(secret.expose().to_vec())
}

fn facts(header: &Header) -> Facts {
    Facts {
        id: header.vault_id(),
        kdf: kdf(header.params()),
        recovery: header.has_recovery(),
    }
}

fn parsed(phrase: &Secret) -> Result<RecoveryPhrase, Failure> {
    RecoveryPhrase::parse(&phrase.to_text())
        .map_err(|error| Failure::new(Kind::WrongPassword, super::sentence(&error)))
}

fn shown(phrase: &RecoveryPhrase) -> Secret {
    Secret::new(phrase.words().as_str().as_bytes().to_vec())
}

impl Sealed {
    /// Takes the vault's lock and reads its head. A process that is just ending, killed perhaps,
    /// holds the lock until its last thread is gone: that is waited for. One that lies where
    /// nothing can be written is opened to be read only.
    ///
    /// # Errors
    /// `NoVault`, `InUse`, `TooNew`, `Damaged`, or an I/O failure.
    pub(crate) fn open(dir: &Path) -> Result<Sealed, Failure> {
        match patiently(|| store::Sealed::open(dir)) {
            Err(error) if cannot_write(&error) => Sealed::open_read_only(dir),
            opened => Ok(Sealed(Box::new(opened.map_err(refused)?))),
        }
    }

    /// The same to be read only: not a byte of it is changed, and its folder need not be writable.
    ///
    /// # Errors
    /// As [`Sealed::open`].
    pub(crate) fn open_read_only(dir: &Path) -> Result<Sealed, Failure> {
        let opened = patiently(|| store::Sealed::open_read_only(dir));
        Ok(Sealed(Box::new(opened.map_err(refused)?)))
    }

    /// Whether it can only be read.
    pub(crate) fn is_read_only(&self) -> bool {
        self.0.is_read_only()
    }

    /// What stands readable at its head.
    pub(crate) fn facts(&self) -> Facts {
        facts(self.0.header())
    }

    /// The tag that tells this copy of the vault from others.
    pub(crate) fn instance(&self) -> [u8; 16] {
        self.0.instance()
    }

    /// Tries the password; nothing of the vault is changed.
    ///
    /// # Errors
    /// `WrongPassword`, `Damaged`, or an I/O failure.
    pub(crate) fn key(self, password: &Secret) -> Result<Keyed, Failure> {
        let (dir, facts) = (self.0.dir().to_owned(), self.facts());
        let keyed = self.0.key(&typed(password))?;
        Ok(Keyed { keyed, dir, facts })
    }

    /// Whether this is its recovery phrase.
    ///
    /// # Errors
    /// `WrongPassword` if it is not.
    pub(crate) fn check_phrase(&self, phrase: &Secret) -> Result<(), Failure> {
        Ok(self.0.header().recover(&parsed(phrase)?).map(drop)?)
    }

    /// Opens it by its recovery phrase and gives it a new password.
    ///
    /// # Errors
    /// `WrongPassword` if the phrase does not fit, else as `unlock`.
    pub(crate) fn recover(self, phrase: &Secret, new: &Secret, kdf: Kdf) -> Result<Vault, Failure> {
        let phrase = parsed(phrase)?;
        let (dir, facts) = (self.0.dir().to_owned(), self.facts());
        let vault = self.0.recover(&phrase, &typed(new), params(kdf))?;
        Ok(Vault::new(vault, dir, Facts { kdf, ..facts }))
    }
}

/// A vault whose password is known, and that nobody uses yet.
pub(crate) struct Keyed {
    keyed: store::Keyed,
    dir: PathBuf,
    facts: Facts,
}

impl Keyed {
    /// How far it is.
    ///
    /// # Errors
    /// `Damaged`, or an I/O failure.
    pub(crate) fn standing(&self) -> Result<Standing, Failure> {
        Ok(standing(self.keyed.standing()?))
    }

    /// Opens it for what changes no content: to be checked or copied, or for other keys.
    ///
    /// # Errors
    /// `Damaged`, or an I/O failure.
    pub(crate) fn visit(self) -> Result<Vault, Failure> {
        Ok(Vault::new(self.keyed.visit()?, self.dir, self.facts))
    }

    /// Takes it into use: as the one that was here, or as what somebody said it is.
    ///
    /// # Errors
    /// `Damaged`, or an I/O failure.
    pub(crate) fn unlock(self, origin: Option<Origin>) -> Result<Vault, Failure> {
        let identity = match origin {
            None => Identity::Same,
            Some(Origin::Moved) => Identity::NewChain,
            Some(Origin::Copied) => Identity::NewDevice,
        };
        Ok(Vault::new(self.keyed.unlock(identity)?, self.dir, self.facts))
    }
}

fn standing(standing: store::Standing) -> Standing {
    Standing {
        chain: standing.chain.0,
        commits: standing.commits,
    }
}

fn local(found: store::Local) -> Local {
    Local {
        path: WirePath(OsString::from_vec(found.path).into()),
        why: match found.special {
            true => "special".into(),
            false => "editor".into(),
        },
    }
}

fn asides(found: Vec<store::Aside>) -> Vec<Aside> {
    let aside = |aside: store::Aside| Aside {
        name: aside.name,
        bytes: aside.bytes,
    };
    found.into_iter().map(aside).collect()
}

/// Tries again while somebody holds the vault, for a while.
fn patiently(mut open: impl FnMut() -> Result<store::Sealed, OpenError>) -> Result<store::Sealed, OpenError> {
    let until = Instant::now() + PATIENCE;
    loop {
        match open() {
            Err(OpenError::Held(_)) if Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(10));
            }
            opened => return opened,
        }
    }
}

/// Why it was not opened; if somebody holds it, who, and what to do.
fn refused(error: OpenError) -> Failure {
    let OpenError::Held(dir) = &error else {
        return error.into();
    };
    let text = match super::holder(dir) {
        Some(holder) if holder.is_ours() => format!(
            "The vault in {} is in use by another coffer (process {}): wait until that is done, or, if it is mounted, lock it first.",
            dir.display(),
            holder.pid
        ),
        Some(holder) => format!(
            "The vault in {} is in use by “{}” (process {}), which keeps its lock; wait for it, or end it.",
            dir.display(),
            holder.command,
            holder.pid
        ),
        None => format!(
            "The vault in {} is in use by another process, perhaps another user's or another machine's; lock it there first.",
            dir.display()
        ),
    };
    Failure::new(Kind::InUse, text)
}

fn cannot_write(error: &OpenError) -> bool {
    let (OpenError::Io(_, error) | OpenError::Db(DbError::Io(error))) = error else {
        return false;
    };
    matches!(
        error.raw_os_error(),
        Some(libc::EROFS | libc::EACCES | libc::EPERM)
    )
}

/// Brings out what is whole of the vault in `dir`, as plain files under `dest`, reading around
/// damage. Nobody may hold the vault. It opens by its password, or, `by_phrase`, by its recovery
/// phrase.
///
/// # Errors
/// `WrongPassword`, or when nothing can be had at all.
pub(crate) fn salvage(
    dir: &Path,
    secret: &Secret,
    by_phrase: bool,
    dest: &Path,
    progress: OnProgress<'_>,
) -> Result<Salvage, Failure> {
    let (password, phrase);
    let opener = if by_phrase {
        phrase = parsed(secret)?;
        Opener::Phrase(&phrase)
    } else {
        password = typed(secret);
        Opener::Password(&password)
    };
    let mut files = 0;
    let report = store::salvage_by(dir, opener, dest, &mut |bytes| {
        files += 1;
        progress(Progress {
            what: "files".into(),
            done: files,
            total: None,
            bytes,
            total_bytes: None,
        });
    })?;
    Ok(Salvage {
        files: report.files,
        bytes: report.bytes,
        problems: problems(report.problems),
        notes: problems(report.notes),
        newer: problems(report.newer),
    })
}

fn problems(found: Vec<store::Problem>) -> Vec<Problem> {
    found
        .into_iter()
        .map(|problem| Problem {
            path: problem
                .path
                .map(|path| WirePath(PathBuf::from(OsString::from_vec(path)))),
            what: without_codes(&problem.what),
        })
        .collect()
}

/// An open vault.
#[derive(Clone)]
pub(crate) struct Vault(Arc<Open>);

struct Open {
    vault: Arc<store::Vault>,
    dir: PathBuf,
    /// The store gives its head away only while locked; we follow what changes it.
    facts: Mutex<Facts>,
}

impl Vault {
    fn new(vault: Arc<store::Vault>, dir: PathBuf, facts: Facts) -> Vault {
        Vault(Arc::new(Open {
            vault,
            dir,
            facts: Mutex::new(facts),
        }))
    }

    /// Makes a vault in an empty or absent folder; with `recovery`, its phrase comes back, the
    /// words separated by single spaces.
    ///
    /// # Errors
    /// When the folder is not empty or cannot be written.
    pub(crate) fn create(
        dir: &Path,
        password: &Secret,
        kdf: Kdf,
        recovery: bool,
    ) -> Result<(Vault, Option<Secret>), Failure> {
        let (vault, phrase) = store::Vault::create(dir, &typed(password), params(kdf), recovery)?;
        let facts = Facts {
            id: vault.id().0,
            kdf,
            recovery,
        };
        Ok((
            Vault::new(vault, dir.to_owned(), facts),
            phrase.as_ref().map(shown),
        ))
    }

    /// One that was just made, which has no recovery phrase.
    pub(super) fn of(vault: Arc<store::Vault>, dir: &Path, kdf: Kdf) -> Vault {
        let facts = Facts {
            id: vault.id().0,
            kdf,
            recovery: false,
        };
        Vault::new(vault, dir.to_owned(), facts)
    }

    /// The store's own.
    pub(super) fn store(&self) -> &store::Vault {
        &self.0.vault
    }

    /// The same, for whoever keeps it.
    pub(super) fn store_shared(&self) -> Arc<store::Vault> {
        Arc::clone(&self.0.vault)
    }

    /// Its folder.
    pub(super) fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// What stands readable at its head.
    pub(crate) fn facts(&self) -> Facts {
        *self.0.facts.lock()
    }

    /// The tag that tells this copy of the vault from others.
    pub(crate) fn instance(&self) -> [u8; 16] {
        self.0.vault.instance()
    }

    /// How far it is.
    pub(crate) fn standing(&self) -> Standing {
        standing(self.0.vault.standing())
    }

    /// What is in it.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn contents(&self) -> Result<Contents, Failure> {
        let status = self.0.vault.status()?;
        Ok(Contents {
            device: status.device,
            files: status.files,
            // The root is where one stands, not something in it.
            folders: status.folders.saturating_sub(1),
            entities: status.entities,
            chunks: status.chunks,
            chunk_bytes: status.chunk_bytes,
            stored_bytes: status.stored,
            database_bytes: status.database,
            saved_bytes: status.saved,
            pending_bytes: status.pending,
            pending_seconds: status.pending_ms.map(|ms| ms as f64 / 1000.0),
            pending_events: status.untold,
            events: status.events,
            keeping: super::keeping(self)?,
            newer: status.newer,
            update: status.update,
            damage: status.damage.iter().map(|what| without_codes(what)).collect(),
            asides: asides(status.asides),
            let_go_early: status.early,
            relied_on: status.relied_on,
            waits_for_update: status.unreadable.newer,
            set_aside: status.unreadable.aside,
            local: status.local.into_iter().map(local).collect(),
        })
    }

    /// Has somebody told, in a sentence, when the vault's own files turn out to be deleted.
    pub(crate) fn when_gone(&self, tell: impl FnOnce(String) + Send + 'static) {
        self.0
            .vault
            .when_gone(Box::new(move |error| tell(super::sentence(error))));
    }

    /// What of the vault's own files was deleted while it was open, once that was noticed.
    pub(crate) fn gone(&self) -> Option<String> {
        self.0.vault.gone()
    }

    /// Makes everything durable.
    ///
    /// # Errors
    /// `NoSpace`, or an I/O failure: then everything is still in memory, and can be tried again.
    pub(crate) fn commit(&self) -> Result<(), Failure> {
        Ok(self.0.vault.commit()?)
    }

    /// Verifies every record and, with `read_data`, every byte.
    ///
    /// # Errors
    /// When the check itself cannot go on; damage is in the answer.
    pub(crate) fn check(&self, read_data: bool, progress: OnProgress<'_>) -> Result<Check, Failure> {
        let report = self.0.vault.check(CheckOptions { read_data }, &mut |step| {
            progress(Progress {
                what: "files".into(),
                done: step.done,
                total: Some(step.total),
                bytes: step.bytes,
                total_bytes: None,
            });
        })?;
        Ok(Check {
            records: report.records,
            files: report.files,
            chunks: report.chunks,
            events: report.events,
            bytes: report.bytes,
            absent_bytes: report.absent_bytes,
            problems: problems(report.problems),
            skipped: report.skipped,
            asides: asides(report.asides),
        })
    }

    /// Copies what is new into `dest`: a vault of its own, consistent as of one instant.
    ///
    /// # Errors
    /// As the vault or the destination says; an earlier backup there stays whole.
    pub(crate) fn backup(&self, dest: &Path, progress: OnProgress<'_>) -> Result<Backup, Failure> {
        let report = self.0.vault.backup(dest, &mut |done, total| {
            progress(Progress {
                what: "MiB".into(),
                done: done >> 20,
                total: Some(total >> 20),
                bytes: done,
                total_bytes: Some(total),
            });
        })?;
        Ok(Backup {
            copied_bytes: report.copied,
            kept_bytes: report.kept,
            records: report.records,
            absent_files: report.absent_files,
            absent_bytes: report.absent_bytes,
            problems: problems(report.problems),
        })
    }

    /// Whether this is the password.
    ///
    /// # Errors
    /// `WrongPassword` if it is not.
    pub(crate) fn verify_password(&self, current: &Secret) -> Result<(), Failure> {
        Ok(self.0.vault.verify_password(&typed(current))?)
    }

    /// Replaces the password, all or nothing.
    ///
    /// # Errors
    /// `WrongPassword` if `current` does not fit.
    pub(crate) fn change_password(&self, current: &Secret, new: &Secret, kdf: Kdf) -> Result<(), Failure> {
        self.0
            .vault
            .change_password(&typed(current), &typed(new), params(kdf))?;
        self.0.facts.lock().kdf = kdf;
        Ok(())
    }

    /// Makes a new recovery phrase; an older one stops working.
    ///
    /// # Errors
    /// `WrongPassword` if `current` does not fit.
    pub(crate) fn add_recovery(&self, current: &Secret) -> Result<Secret, Failure> {
        // A phrase opens the vault for ever: whoever finds it open must not get one without the
        // password.
        self.0.vault.verify_password(&typed(current))?;
        let phrase = self.0.vault.add_recovery()?;
        self.0.facts.lock().recovery = true;
        Ok(shown(&phrase))
    }

    /// The folders and the note that a new vault starts with.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn welcome(&self) -> Result<(), Failure> {
        let failed = |error: &std::io::Error| Failure::io("fill the new vault", error);
        let fs = CofferFs::new(Arc::clone(&self.0.vault)).map_err(|error| failed(&error))?;
        welcome::fill(&fs).map_err(|errno| failed(&std::io::Error::from_raw_os_error(errno.0)))
    }

    /// Whether something real has the name of the folder of history, which is then not in the mount.
    pub(crate) fn hides_history(&self) -> bool {
        shelf::is_hidden(&self.0.vault)
    }

    /// Gives or keeps what was asked at the prompt: sealed, on this device alone.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn asked(&self, asked: &Asked) -> Result<Vec<String>, Failure> {
        match asked {
            Asked::Get => {
                let kept = self.0.vault.note(ASKED)?.unwrap_or_default();
                // What another version kept, and cannot be read, is no history.
                Ok(serde_json::from_slice(&kept).unwrap_or_default())
            }
            Asked::Keep(list) => {
                let mut from = 0;
                let mut bytes = serde_json::to_vec(list).unwrap_or_default();
                // The newest that fit.
                while bytes.len() > ASKED_MAX && from < list.len() {
                    from += 1 + (list.len() - from) / 8;
                    bytes = serde_json::to_vec(&list[from.min(list.len())..]).unwrap_or_default();
                }
                self.0.vault.set_note(ASKED, &bytes)?;
                Ok(Vec::new())
            }
        }
    }

    /// Commits, wipes keys, lets go of the vault.
    ///
    /// # Errors
    /// If the last commit fails; it is closed all the same.
    pub(crate) fn close(&self) -> Result<(), Failure> {
        Ok(self.0.vault.close()?)
    }

    /// Mounts it; `ended` is called from another thread when the kernel ends the mount.
    ///
    /// # Errors
    /// When the place is not fit, or mounting is not permitted.
    pub(crate) fn mount(
        &self,
        point: &Path,
        options: &str,
        threads: Option<usize>,
        index: Option<&Arc<Index>>,
        ended: Box<dyn FnOnce() + Send>,
    ) -> Result<Mount, Failure> {
        let failed = |error: &std::io::Error| Failure::io("start the file system", error);
        let fs = CofferFs::new(Arc::clone(&self.0.vault)).map_err(|error| failed(&error))?;
        let source = index.map(|index| Arc::new(Shown(Arc::clone(index))) as Arc<dyn Source>);
        let fs = Arc::new(Shelf::new(Arc::new(fs), source));
        let watched = Arc::clone(&fs);
        let follow = Follow::new(&self.0.vault);
        let mount = Mount::new(
            fs,
            &self.0.dir,
            point,
            options,
            threads,
            Box::new(move || watched.idle()),
            ended,
        )?;
        // Without it no more is wrong than that programs see merges late: no reason to end the mount.
        let _ = follow.announce(mount.announcer());
        Ok(mount)
    }
}
