//! The seam to syncing: `coffer_sync`.
//!
//! A vault's network is there while the vault is mounted to be written and has other devices, or an invitation is open; alone, it
//! listens nowhere. Guarantees that no type of the crate's is named elsewhere, that its faults end no mount, and that
//! at the end sessions end before the vault closes. A thread notes where other devices were met.
//!
//! Parts: `plan` (settings), `met` (the note), `keep` (what of files is kept here), `join` (a vault by a ticket), `carry`
//! (folders that are carried), `bell` (what wakes that).

mod bell;
mod carry;
mod join;
mod keep;
mod met;
mod plan;

pub(crate) use join::{join, parse_ticket};
pub(crate) use keep::keeping;

use super::Vault;
use crate::answers::devices::{Device, Exchanged, Invited, Sync};
use crate::failure::Failure;
use crate::secret::Secret;
use crate::settings::Settings;
use crate::wire::devices::Devices;
use crate::wire::{self, Plain};
use carry::Carriers;
use coffer_store::members::{DeviceId, DeviceName, Standing};
use coffer_sync::carrier::Place;
use coffer_sync::net::{self, Service, Status};
use coffer_sync::pairing::TICKET_SECONDS;
use coffer_sync::vault::VaultReplica;
use jiff::Timestamp;
use met::AllMet;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often what was met is noted although nothing but the time is new.
const NOTE: Duration = Duration::from_secs(600);
/// How often the network begins anew for what came by a folder.
const PASS_ON: Duration = Duration::from_secs(60);
/// How long an invitation is open, and a little.
const INVITATION: Duration = Duration::from_secs(16 * 60);
/// How often somebody looks whether the service has anything new.
const LOOK: Duration = Duration::from_secs(5);

/// The network of a mounted vault.
pub(crate) struct Network {
    vault: Vault,
    replica: Arc<VaultReplica>,
    service: Mutex<Option<Arc<Service>>>,
    /// What the service was begun with, but for its limits.
    plan: Mutex<Option<net::Settings>>,
    /// Until when an invitation is open.
    invited: Mutex<Option<Instant>>,
    met: Mutex<AllMet>,
    paused: AtomicBool,
    metered: AtomicBool,
    /// Nobody is to wait for other devices any more.
    hurried: AtomicBool,
    ended: AtomicBool,
    trouble: Mutex<Option<String>>,
    carriers: Arc<Carriers>,
    /// Events came by a folder, and connections do not know of them yet.
    news: AtomicBool,
}

fn plain(answer: &impl serde::Serialize) -> Result<(Plain, Option<Secret>), Failure> {
    Ok((wire::plain(answer), None))
}

/// What went wrong below, for a person.
fn sentence(error: impl std::fmt::Display) -> Failure {
    let text = error.to_string();
    let mut letters = text.chars();
    let first = letters
        .next()
        .map(|first| first.to_uppercase().collect::<String>());
    Failure::failed(format!(
        "{}{}.",
        first.unwrap_or_default(),
        letters.as_str().trim_end_matches('.')
    ))
}

/// The same without its limits, and without what only helps to find.
fn unlimited(plan: net::Settings) -> net::Settings {
    net::Settings {
        remembered: Vec::new(),
        limit_out: None,
        limit_in: None,
        ..plan
    }
}

/// The settings, if they say that this device syncs.
fn syncing(settings: Settings) -> Result<Settings, Failure> {
    match settings.syncs() {
        true => Ok(settings),
        false => Err(Failure::failed(
            "Syncing is off on this device; “coffer settings sync on” turns it on.",
        )),
    }
}

/// Refuses settings of the network that make no sense.
///
/// # Errors
/// `Usage`.
pub(crate) fn check_network(settings: &Settings) -> Result<(), Failure> {
    let checked = plan::plan(settings, Vec::new()).check();
    checked.map_err(|error| Failure::usage(sentence(error).message))
}

impl Network {
    /// Of a vault that is mounted there; it begins at once if the vault has other devices and the settings do not say no. That it does not come up ends
    /// nothing: `sync` says why.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn begin(vault: &Vault, mount: &Path, settings: &Settings) -> Result<Arc<Network>, Failure> {
        let threads = |error: std::io::Error| Failure::io("start the network's threads", &error);
        let replica = VaultReplica::new(vault.store_shared()).map_err(threads)?;
        let network = Arc::new(Network {
            vault: vault.clone(),
            carriers: Carriers::new(vault, Some(mount), replica.clone()),
            replica,
            service: Mutex::new(None),
            plan: Mutex::new(None),
            invited: Mutex::new(None),
            met: Mutex::new(AllMet::load(vault.store())),
            paused: AtomicBool::new(false),
            metered: AtomicBool::new(false),
            hurried: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            trouble: Mutex::new(None),
            news: AtomicBool::new(false),
        });
        // What cannot be written now is tried again with the next change of settings; until then all is as it was.
        let (keeping, limit) = keep::chosen(settings);
        let kept = vault.store().set_keeping(keeping, limit);
        *network.trouble.lock() = kept.err().map(|error| sentence(error).message);
        network.replica.set_metered(settings.is_metered());
        network.metered.store(settings.is_metered(), Ordering::Relaxed);
        let _ = vault.store().refresh_pins();
        if settings.syncs() && network.others() > 0 {
            let _ = network.up(settings);
        }
        let passes_on = Arc::downgrade(&network);
        network.carriers.on_news(Box::new(move || {
            if let Some(network) = passes_on.upgrade() {
                network.news.store(true, Ordering::Release);
            }
        }));
        network.carriers.reload(settings);
        let asked = Arc::downgrade(&network);
        let is_anybody = move || asked.upgrade().is_none_or(|network| network.is_anybody());
        vault.store().when_doubtful(is_anybody);
        let kept = Arc::downgrade(&network);
        let spawned = std::thread::Builder::new().name("keep".into());
        spawned.spawn(move || keep::work(&kept)).map_err(threads)?;
        let watched = Arc::downgrade(&network);
        let spawned = std::thread::Builder::new().name("met".into()).spawn(move || {
            let mut noted = Instant::now();
            let mut passed_on: Option<Instant> = None;
            while let Some(network) = watched.upgrade() {
                if network.ended.load(Ordering::Acquire) {
                    return;
                }
                network.pass_on(&mut passed_on);
                let service = network.service.lock().clone();
                let version = service.as_ref().map_or(0, |service| service.status().version);
                network.note(&mut noted);
                drop(network);
                // Nobody is kept alive by this one while it waits.
                match service.map(|service| Arc::downgrade(&service)) {
                    Some(service) => wait(&service, version),
                    None => std::thread::sleep(Duration::from_secs(1)),
                }
            }
        });
        spawned.map_err(threads)?;
        Ok(network)
    }

    fn is_member(&self) -> bool {
        let me = self.vault.store().device_id();
        self.vault
            .store()
            .with_members(|members| members.state().is_member(&me))
    }

    /// Who removed this device, if it may object.
    fn removed_by(&self) -> Vec<String> {
        let me = self.vault.store().device_id();
        self.vault.store().with_members(|members| {
            let state = members.state();
            let by = state.removals(&me).iter().filter(|_| state.may_object(&me));
            let names = by.filter_map(|removal| Some(state.device(&removal.by)?.name.to_string()));
            names.collect()
        })
    }

    /// What there is to say if this device was removed for good, or left: a sentence.
    fn removal(&self) -> Option<String> {
        let me = self.vault.store().device_id();
        self.vault.store().with_members(|members| {
            let state = members.state();
            let Standing::Removed(removal) = state.device(&me)?.standing else {
                return None;
            };
            if state.may_object(&me) {
                return None;
            }
            let by = state.device(&removal.by).map(|device| device.name.to_string());
            let why = match by.filter(|_| removal.by != me) {
                Some(by) => format!("“{by}” removed this device from the vault"),
                None => "this device has left the vault".into(),
            };
            Some(format!(
                "{why}; what is written here reaches no other device, and nothing comes; pair it again, into a new folder, to have it back"
            ))
        })
    }

    fn others(&self) -> usize {
        self.vault
            .store()
            .with_members(|members| members.state().members().count())
            .saturating_sub(1)
    }

    /// The service, made if there is none.
    fn up(&self, settings: &Settings) -> Result<Arc<Service>, Failure> {
        let mut service = self.service.lock();
        if let Some(service) = service.as_ref() {
            return Ok(service.clone());
        }
        if self.ended.load(Ordering::Acquire) {
            return Err(Failure::failed("The vault is being locked."));
        }
        let plan = plan::plan(settings, self.met.lock().addresses());
        let begun = Service::start(self.replica.clone(), &plan).map_err(sentence);
        *self.plan.lock() = Some(unlimited(plan));
        *self.trouble.lock() = begun.as_ref().err().map(|failure| failure.message.clone());
        let begun = Arc::new(begun?);
        begun.pause(self.paused.load(Ordering::Relaxed));
        self.vault
            .store()
            .set_reach(!self.paused.load(Ordering::Relaxed), false);
        *service = Some(begun.clone());
        Ok(begun)
    }

    /// Begins the network anew if events came by a folder: the service reckons with what was here when it began. Not often, and not while
    /// that would cut off somebody who waits for bytes or was invited.
    fn pass_on(&self, last: &mut Option<Instant>) {
        let is_open = |until: &Option<Instant>| until.is_some_and(|until| Instant::now() < until);
        if !self.news.load(Ordering::Acquire)
            || last.is_some_and(|last| last.elapsed() < PASS_ON)
            || is_open(&self.invited.lock())
            || !self.vault.store().waited_for().is_empty()
        {
            return;
        }
        self.news.store(false, Ordering::Release);
        let id = crate::paths::hex(&self.vault.facts().id);
        if let (true, Ok(settings)) = (self.status().is_some(), Settings::load(&id)) {
            *last = Some(Instant::now());
            self.down();
            let _ = self.up(&settings);
        }
    }

    fn note(&self, noted: &mut Instant) {
        let Some(status) = self.status() else { return };
        // Nobody waits while nobody is there.
        let is_met = status.peers.iter().any(|peer| peer.link.is_some());
        self.vault
            .store()
            .set_live(is_met && !self.paused.load(Ordering::Relaxed));
        let over = |until: &Option<Instant>| until.is_none_or(|until| Instant::now() >= until);
        if self.others() == 0 && over(&self.invited.lock()) {
            // Alone, it listens nowhere.
            self.down();
            return;
        }
        // Asked of the vault: the network may not know them yet.
        let members: Vec<String> = self.vault.store().with_members(|members| {
            let all = members.state().members();
            all.map(|device| device.id.to_string()).collect()
        });
        let mut met = self.met.lock();
        let new = met.learn(&status, &members);
        if new || noted.elapsed() >= NOTE {
            *noted = Instant::now();
            met.keep(self.vault.store());
        }
    }

    fn status(&self) -> Option<Status> {
        Some(self.service.lock().as_ref()?.status())
    }

    /// The settings are others now. What concerns the network's form makes it begin anew; its limits count at once.
    ///
    /// # Errors
    /// When it does not come up with these.
    pub(crate) fn reload(&self, settings: &Settings) -> Result<(), Failure> {
        self.carriers.reload(settings);
        let (keeping, limit) = keep::chosen(settings);
        let store = self.vault.store();
        let was_metered = self.metered.swap(settings.is_metered(), Ordering::Relaxed);
        if store.keeping() != keeping || was_metered != settings.is_metered() {
            // Peers are told in new sessions; whatever was confirmed or refused in the old ones counts no more.
            self.down();
            self.replica.set_metered(settings.is_metered());
        }
        let kept = store.set_keeping(keeping, limit);
        let plan = plan::plan(settings, Vec::new());
        let same = self.plan.lock().as_ref() == Some(&unlimited(plan.clone()));
        if let (Some(service), true, true) = (self.service.lock().as_ref(), same, settings.syncs()) {
            service.limit(plan.limit_out, plan.limit_in);
            return Ok(kept?);
        }
        self.down();
        if settings.syncs() && self.others() > 0 {
            self.up(settings)?;
        }
        Ok(kept?)
    }

    fn down(&self) {
        self.vault.store().set_live(false);
        self.vault.store().set_reach(false, false);
        let service = self.service.lock().take();
        if let Some(service) = service {
            service.stop();
        }
    }

    /// Says goodbye to all, and ends.
    pub(crate) fn end(&self) {
        {
            // Nobody is half-way through beginning it.
            let _service = self.service.lock();
            self.ended.store(true, Ordering::Release);
        }
        self.carriers.end();
        self.met.lock().keep(self.vault.store());
        self.down();
    }

    /// Does what is asked about devices.
    ///
    /// # Errors
    /// The vault's and the network's.
    pub(crate) fn answer(
        &self,
        asked: &Devices,
        settings: &dyn Fn() -> Result<Settings, Failure>,
    ) -> Result<(Plain, Option<Secret>), Failure> {
        match asked {
            Devices::List => plain(&self.devices()),
            Devices::Invite { seconds } => self.invite(*seconds, &syncing(settings()?)?),
            Devices::Rename { device, name } => {
                let id = self.find(device)?;
                let name = DeviceName::new(name).map_err(|error| Failure::usage(sentence(error).message))?;
                self.vault.store().rename_device(id, name).map_err(sentence)?;
                self.replica.members_changed();
                plain(&())
            }
            Devices::Remove { device, force } => {
                let id = self.find(device)?;
                if id == self.vault.store().device_id() {
                    return Err(Failure::usage(
                        "This is the device that you are at; remove it from another one, or delete the vault's folder here.",
                    ));
                }
                if !force {
                    self.refuse_out_of_reach(id, device)?;
                }
                self.vault.store().remove_device(id).map_err(sentence)?;
                self.replica.members_changed();
                plain(&())
            }
            Devices::Sync => plain(&self.sync(&settings()?)?),
            Devices::Pause { paused } => {
                self.paused.store(*paused, Ordering::Relaxed);
                self.carriers.pause(*paused);
                if let Some(service) = self.service.lock().as_ref() {
                    service.pause(*paused);
                    // Who waits for bytes waits no more; who comes after the pause may.
                    self.vault.store().set_reach(!*paused, true);
                }
                plain(&())
            }
            Devices::Via { dir, limit, watch } => {
                let done = self.carriers.exchange(&dir.0, *limit, Place::Make)?;
                if *watch {
                    self.carriers.also(&dir.0);
                }
                plain(&done)
            }
            Devices::Call { address } => {
                let service = self.up(&syncing(settings()?)?)?;
                service
                    .add_peer(address)
                    .map_err(|error| Failure::usage(sentence(error).message))?;
                plain(&())
            }
        }
    }

    fn invite(&self, seconds: Option<u64>, settings: &Settings) -> Result<(Plain, Option<Secret>), Failure> {
        *self.invited.lock() = Some(Instant::now() + INVITATION);
        let service = self.up(settings)?;
        // Where it listens is known a moment after it began; a ticket without an address is found in this network alone.
        let until = Instant::now() + Duration::from_secs(3);
        let mut status = service.status();
        while status.listening.is_empty() && Instant::now() < until {
            status = service
                .wait_status_change(status.version, Duration::from_millis(100))
                .unwrap_or(status);
        }
        let ticket = service
            .invite_for(seconds.unwrap_or(TICKET_SECONDS))
            .map_err(sentence)?;
        let expires = ticket
            .expires()
            .and_then(|at| Timestamp::from_second(at as i64).ok());
        let answer = Invited {
            expires: expires.unwrap_or_default(),
            devices: self.others() + 1,
        };
        let (words, line) = (ticket.words(), ticket.line());
        let code = ticket.qr().map_err(sentence)?;
        let text = zeroize::Zeroizing::new(
            [words.as_bytes(), b"\n", line.as_bytes(), b"\n", code.as_bytes()].concat(),
        );
        Ok((wire::plain(&answer), Some(Secret::new(text.to_vec()))))
    }

    /// The device of this name, or whose id begins so.
    fn find(&self, named: &str) -> Result<DeviceId, Failure> {
        let all = self.devices();
        let standing = all.iter().filter(|device| device.standing == "member");
        let by_name: Vec<&Device> = standing.filter(|device| device.name == named).collect();
        let hex = named.len() >= 4 && named.bytes().all(|byte| byte.is_ascii_hexdigit());
        let by_id = || {
            all.iter()
                .filter(|device| hex && device.id.starts_with(&named.to_ascii_lowercase()))
        };
        let found = match by_name.is_empty() {
            false => by_name,
            true => by_id().collect(),
        };
        match found.as_slice() {
            [one] => self.id(&one.id),
            [] => Err(Failure::usage(format!(
                "There is no device “{named}”; “coffer device list” names them."
            ))),
            _ => Err(Failure::usage(format!(
                "Several devices are called “{named}”; say which by the first digits of its id, as “coffer device list” shows them."
            ))),
        }
    }

    fn id(&self, hex: &str) -> Result<DeviceId, Failure> {
        let known = |members: &coffer_store::members::Members| {
            let mut all = members.state().devices().iter().map(|device| device.id);
            all.find(|id| id.to_string() == hex)
        };
        self.vault
            .store()
            .with_members(known)
            .ok_or_else(|| Failure::failed("The device is not known any more."))
    }

    fn devices(&self) -> Vec<Device> {
        let me = self.vault.store().device_id();
        let (status, met) = (self.status().unwrap_or_default(), self.met.lock().clone());
        self.vault.store().with_members(|members| {
            let spoke: HashSet<DeviceId> = members.iter().map(|said| said.statement().author).collect();
            let shown = |device: &coffer_store::members::Device| {
                let peer = status.peers.iter().find(|peer| peer.device == device.id);
                let link = peer.and_then(|peer| peer.link.as_ref());
                let before = met
                    .devices
                    .get(&device.id.to_string())
                    .cloned()
                    .unwrap_or_default();
                let reached = |link: &coffer_sync::net::Link| if link.relayed { "relay" } else { "direct" };
                Device {
                    id: device.id.to_string(),
                    name: device.name.to_string(),
                    this: device.id == me,
                    standing: match device.standing {
                        Standing::Member => "member",
                        Standing::Removed(_) => "removed",
                        Standing::Undone => "undone",
                        Standing::Waiting => "waiting",
                    }
                    .into(),
                    heard: spoke.contains(&device.id),
                    connected: link.is_some(),
                    seen: link.map(|_| Timestamp::now()).or(before.seen),
                    reached: link.map(|link| reached(link).to_owned()).or(before.reached),
                    address: link.map(|link| link.address.clone()).or(before.address),
                    keeps_everything: peer.and_then(|peer| peer.keeps_everything),
                    behind: peer.filter(|_| link.is_some()).map(|peer| peer.behind),
                    ahead: peer.filter(|_| link.is_some()).map(|peer| peer.ahead),
                    came: link.map_or(0, |link| link.came),
                    went: link.map_or(0, |link| link.went),
                    error: peer.and_then(|peer| peer.last_error.clone()),
                }
            };
            members.state().devices().iter().map(shown).collect()
        })
    }

    /// What went wrong with other devices, and who was refused, for a person.
    pub(crate) fn trouble(&self) -> Vec<String> {
        let mut all: Vec<String> = self.removal().into_iter().collect();
        let Some(status) = self.status() else {
            return all;
        };
        let with = |peer: &net::PeerStatus| {
            let error = peer.last_error.as_ref()?;
            Some(format!("“{}”: {error}", peer.name))
        };
        all.extend(status.peers.iter().filter_map(with));
        if status.refused > 0 {
            all.push(format!(
                "{} refused since the network began: with nobody of this vault, or too many at once",
                crate::units::counted(status.refused, "connection", "connections")
            ));
        }
        all
    }

    fn sync(&self, settings: &Settings) -> Result<Sync, Failure> {
        let devices = self.devices();
        let others = devices
            .into_iter()
            .filter(|device| !device.this && device.standing == "member");
        let mut sync = Sync {
            devices: others.collect(),
            error: self.trouble.lock().clone(),
            folders: self.carriers.folders(),
            removed_by: self.removed_by(),
            removal: self.removal(),
            keeping: keeping(&self.vault)?,
            metered: settings.is_metered(),
            ..Sync::default()
        };
        sync.state = match self.status() {
            _ if !settings.syncs() => "off",
            _ if !self.is_member() => "removed",
            _ if self.paused.load(Ordering::Relaxed) => "paused",
            None if sync.devices.is_empty() => "alone",
            _ => "on",
        }
        .into();
        if let Some(status) = self.status() {
            sync.events = status.progress.events;
            sync.chunks = status.progress.chunks;
            sync.bytes = status.progress.bytes;
            (sync.rate_in, sync.rate_out) = status.progress.rate;
            sync.seconds = status.progress.seconds;
            sync.listening = status.listening;
            sync.relays = status.relays;
            sync.refused = status.refused;
            sync.error = sync.error.or(status.last_error);
        }
        Ok(sync)
    }
}

/// Exchanges once with a carried folder, where nobody else holds the vault.
///
/// # Errors
/// The vault's, or the folder's.
pub(crate) fn exchange_via(
    vault: &Vault,
    settings: &Settings,
    dir: &Path,
    limit: Option<u64>,
) -> Result<Exchanged, Failure> {
    let threads = |error: std::io::Error| Failure::io("start a thread", &error);
    let replica = VaultReplica::new(vault.store_shared()).map_err(threads)?;
    let (keeping, most) = keep::chosen(settings);
    vault.store().set_keeping(keeping, most).map_err(sentence)?;
    let limit = limit.or_else(|| settings.rate("sync-via-limit"));
    Carriers::new(vault, None, replica).exchange(dir, limit, Place::Make)
}

fn wait(service: &std::sync::Weak<Service>, version: u64) {
    // Held for a moment at a time, so that whoever ends it is its last owner.
    let until = Instant::now() + LOOK;
    while Instant::now() < until {
        match service.upgrade() {
            Some(service) if service.status().version == version => {}
            _ => break,
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    std::thread::sleep(Duration::from_millis(200));
}
