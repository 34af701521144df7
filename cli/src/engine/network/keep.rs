//! What this device keeps: its settings brought to the vault, and what is to be done for it in the background.
//!
//! Guarantees: nothing is given up but what the vault has planned and a member that keeps everything has confirmed; who waits
//! for bytes is told within moments that nobody is connected any more. It holds no lock while it waits.

use super::Network;
use crate::answers::devices::{Keeping, Unreached};
use crate::engine::Vault;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::units::{counted, size};
use crate::wire::WirePath;
use coffer_store::members::DeviceId;
use coffer_store::vault::{self as store, Why};
use coffer_sync::core::ChunkName;
use coffer_sync::net::{Service, Status};
use jiff::Timestamp;
use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::sync::Weak;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How often somebody looks who is connected, where people may wait for what others hold.
const LOOK: Duration = Duration::from_millis(200);
/// How often it is looked whether something is to be done.
const WORK: Duration = Duration::from_secs(2);
/// How seldom it is looked whether something may go, at least, if nothing may.
const REST_MAX: Duration = Duration::from_secs(60);
/// How long an answer is waited for.
const ANSWER: Duration = Duration::from_secs(2);
/// Names in one question.
const ASK: usize = 1_024;
/// Questions at a time.
const QUESTIONS: usize = 8;
/// Bytes that have to come for something to count as moving: more than what keeps a connection alive.
const MOVES: u64 = 4 << 10;

/// What the settings say.
pub(super) fn chosen(settings: &Settings) -> (store::Keeping, u64) {
    match settings.keeps_texts() {
        true => (store::Keeping::Texts, settings.keep_limit()),
        false => (store::Keeping::Everything, u64::MAX),
    }
}

/// What is kept here, for people.
///
/// # Errors
/// The vault's.
pub(crate) fn keeping(vault: &Vault) -> Result<Keeping, Failure> {
    let store = vault.store();
    let texts = store.keeping() == store::Keeping::Texts;
    let mut shown = Keeping {
        policy: if texts { "texts" } else { "everything" }.into(),
        limit: texts.then(|| store.keeping_limit()),
        ..Keeping::default()
    };
    if !store.is_partial() {
        return Ok(shown);
    }
    let survey = store.survey()?;
    shown.kept = Some(survey.kept_bytes);
    (shown.absent, shown.absent_files) = (survey.absent_bytes, survey.absent_files);
    shown.pinned = survey.pinned_files;
    let failed = store.unreached();
    let files: HashSet<u64> = failed.iter().map(|one| one.ino).collect();
    let paths: HashMap<u64, Vec<u8>> = store.paths_of(&files).into_iter().collect();
    for one in failed {
        let (Some(path), Ok(when)) = (paths.get(&one.ino), Timestamp::try_from(one.when)) else {
            continue;
        };
        shown.unreached.push(Unreached {
            path: WirePath(OsString::from_vec(path.clone()).into()),
            why: match one.why {
                Why::Off => "syncing is off or paused, and its bytes are on other devices",
                Why::Nobody => "no device that has its bytes is connected",
                Why::Slow => "nothing came from other devices for half a minute",
            }
            .into(),
            when,
        });
    }
    Ok(shown)
}

/// When it is looked for what may go.
struct Rest {
    until: Instant,
    last: Duration,
}

/// Works until the network ends.
pub(super) fn work(network: &Weak<Network>) {
    let (mut came, mut due) = (0, Instant::now());
    let mut rest = Rest {
        until: due,
        last: WORK,
    };
    loop {
        let Some(network) = network
            .upgrade()
            .filter(|network| !network.ended.load(Ordering::Acquire))
        else {
            return;
        };
        let status = network.look();
        let sum: u64 = links(&status).map(|link| link.came).sum();
        // Less than before: of connections that are gone.
        if sum > came + MOVES {
            network.vault.store().something_moves();
            came = sum;
            rest.until = Instant::now();
        }
        came = came.min(sum);
        if Instant::now() >= due {
            network.tend(status.as_ref(), &mut rest);
            due = Instant::now() + WORK;
        }
        // Where everything is here nobody waits for what others have.
        let rest = if network.vault.store().is_partial() {
            LOOK
        } else {
            WORK
        };
        drop(network);
        std::thread::sleep(rest);
    }
}

fn links(status: &Option<Status>) -> impl Iterator<Item = &coffer_sync::net::Link> {
    status
        .iter()
        .flat_map(|status| &status.peers)
        .filter_map(|peer| peer.link.as_ref())
}

impl Network {
    /// Says to the vault whether anybody can be asked.
    fn look(&self) -> Option<Status> {
        // With the service held: it is not beginning nor ending.
        let service = self.service.lock();
        let status = service.as_ref().map(|service| service.status());
        let is_up = !self.hurried.load(Ordering::Relaxed)
            && status.as_ref().is_some_and(|status| !status.ended)
            && !self.paused.load(Ordering::Relaxed);
        let is_anybody = links(&status).next().is_some();
        self.vault.store().set_reach(is_up, is_anybody);
        status
    }

    /// Whoever waits for other devices is told that nothing comes, for as long as that is wanted: the mount is about to be ended.
    pub(crate) fn hurry(&self, yes: bool) {
        self.hurried.store(yes, Ordering::Relaxed);
        if yes {
            self.vault.store().set_reach(false, false);
        }
    }

    /// Whether somebody is connected, or may be: where that cannot be seen without waiting.
    pub(super) fn is_anybody(&self) -> bool {
        let Some(service) = self.service.try_lock() else {
            return true;
        };
        let status = service.as_ref().map(|service| service.status());
        links(&status).next().is_some()
    }

    /// Refuses to remove a device on which something may be that is not here, unless another that is connected keeps
    /// everything and has heard all.
    ///
    /// # Errors
    /// `Failed`, with what would be out of reach; the vault's.
    pub(super) fn refuse_out_of_reach(&self, id: DeviceId, named: &str) -> Result<(), Failure> {
        let store = self.vault.store();
        store.lacking(0)?;
        let survey = store.survey()?;
        let bytes = survey.absent_bytes.max(store.lacking_bytes().1);
        if bytes == 0 {
            return Ok(());
        }
        let service = self.service.lock().clone();
        let status = service.map(|service| service.status());
        let mut others = status.iter().flat_map(|status| &status.peers);
        if others.any(|peer| peer.device != id && peer.keeps_everything == Some(true) && peer.behind == 0) {
            return Ok(());
        }
        let of = match survey.absent_files {
            0 => String::new(),
            files => format!(" of {}", counted(files, "file", "files")),
        };
        Err(Failure::failed(format!(
            "{}{of} are not on this device, and no other device that keeps everything and is up to date is connected: once “{named}” is removed, they may be out of reach for good. \
             Fetch them first with “coffer sync --policy everything”, or connect another device that keeps everything. If “{named}” was stolen or is lost, remove it all the same with --force.",
            size(bytes)
        )))
    }

    /// What is due: files that came to be pinned, what is noted, and giving up. What fails is tried again.
    fn tend(&self, status: Option<&Status>, rest: &mut Rest) {
        let store = self.vault.store();
        let _ = store.refresh_pins();
        store.keep_used(false);
        if store.keeping() == store::Keeping::Everything {
            let _ = store.finish_keeping();
            return;
        }
        let keeps = status.is_some_and(|status| {
            status
                .peers
                .iter()
                .any(|peer| peer.keeps_everything == Some(true))
        });
        let service = self.service.lock().clone();
        let Some(service) = service.filter(|_| keeps && !self.paused.load(Ordering::Relaxed)) else {
            rest.until = Instant::now();
            return;
        };
        // Looking round reads the vault's versions: where nothing can go, it is done less and less often.
        if Instant::now() < rest.until && !store.is_full() {
            return;
        }
        rest.last = match self.give_up(&service) {
            Ok(true) => WORK,
            _ => (rest.last * 2).min(REST_MAX),
        };
        rest.until = Instant::now() + rest.last;
    }

    /// Whether something went.
    fn give_up(&self, service: &Service) -> Result<bool, coffer_store::StoreError> {
        let store = self.vault.store();
        let Some(plan) = store.plan_eviction()? else {
            return Ok(false);
        };
        let mut asked = Vec::new();
        for some in plan.pieces.chunks(ASK).take(QUESTIONS) {
            let names: Vec<ChunkName> = some.iter().map(|id| id.0).collect();
            if service.confirm_after(&names, &plan.clock) {
                asked.extend_from_slice(some);
            }
        }
        let until = Instant::now() + ANSWER;
        let mut gone = 0;
        while !asked.is_empty() && gone == 0 && Instant::now() < until && !self.ended.load(Ordering::Acquire)
        {
            std::thread::sleep(LOOK / 2);
            gone = store.evict(&plan)?;
        }
        if gone == 0 {
            store.unconfirmed(&asked);
        }
        Ok(gone > 0)
    }
}
