//! Devices for the suites of carried folders: real vaults, with real statements of membership, that have no network at all.
#![allow(dead_code, unreachable_pub, reason = "no suite uses all of it")]

#[path = "../model/mod.rs"]
pub mod model;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use coffer_store::ids::{ChainId, EntityId, ROOT, SpaceId};
use coffer_store::keys::{KdfParams, Key, Password, SigningKey};
use coffer_store::members::{Card, DeviceId, DeviceName, JoinRequest, Members, SpaceSecrets, StatementId};
use coffer_store::record::{Meta, Time};
use coffer_store::tree::Kind;
use coffer_store::vault::{Carried, CheckOptions, Identity, Joined, Sealed, Vault};
use coffer_sync::carrier::{
    CarrierError, Exchange, Folder, Listing, Name, Options, Place, Seen, Shelf, Sink, Source, exchange,
};
use coffer_sync::core::{Answer, ChunkName, ChunkOutcome, Config, Request};
use coffer_sync::replica::{Carries, Change, EachChunk, Lacking, Replica, Roster};
use coffer_sync::vault::VaultReplica;
use tempfile::TempDir;

fn password() -> Password {
    Password::new(b"correct horse battery staple".to_vec())
}

/// A device and its vault.
pub struct Device {
    dir: TempDir,
    pub vault: Arc<Vault>,
    pub replica: Arc<VaultReplica>,
    serial: Cell<u64>,
    seen: RefCell<Seen>,
}

impl Device {
    fn of(dir: TempDir, vault: Arc<Vault>) -> Device {
        vault.stop_keeper();
        let replica = VaultReplica::new(vault.clone()).unwrap();
        Device {
            dir,
            vault,
            replica,
            serial: Cell::new(0),
            seen: RefCell::default(),
        }
    }

    pub fn founded() -> Device {
        let dir = TempDir::new().unwrap();
        let made = Vault::create(&dir.path().join("v"), &password(), KdfParams::FLOOR, false);
        Device::of(dir, made.unwrap().0)
    }

    /// Another device of this vault, which has been told nothing but who there is.
    pub fn with(&self, called: &str) -> Device {
        let (device, transport) = (SigningKey::generate(), SigningKey::generate());
        let card = Card::make(&device, &transport, DeviceName::new(called).unwrap());
        let joining = JoinRequest::make(&device, card, self.vault.space_id(), self.vault.device_id());
        self.vault.add_device(joining).unwrap();
        let mut members = Members::of(self.vault.space_id());
        self.vault.with_members(|all| {
            for said in all.iter() {
                members.insert(said.clone()).unwrap();
            }
        });
        let joined = Joined {
            members,
            device,
            transport,
            keys: self.vault.epoch_secrets(),
        };
        let dir = TempDir::new().unwrap();
        let vault = Vault::join(&dir.path().join("v"), &password(), KdfParams::FLOOR, joined);
        Device::of(dir, vault.unwrap())
    }

    /// Another device of the same vault, which has nothing yet.
    pub fn with_nothing(&self) -> Device {
        let serial = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_nanos();
        self.with(&format!("n{serial}"))
    }

    /// Its vault's bytes, as they lie on the disk.
    pub fn copy(&self) -> TempDir {
        self.vault.commit().unwrap();
        let copy = TempDir::new().unwrap();
        copy_dir(&self.dir.path().join("v"), &copy.path().join("v"));
        copy
    }

    /// A device whose vault is put back as it was when it was copied.
    pub fn put_back(self, copy: TempDir, identity: Identity) -> Device {
        self.vault.close().unwrap();
        drop(self.replica);
        let sealed = Sealed::open(&copy.path().join("v")).unwrap();
        let vault = sealed.unlock(&password(), identity).unwrap();
        Device::of(copy, vault)
    }

    pub fn id(&self) -> DeviceId {
        self.vault.device_id()
    }

    pub fn save(&self, name: &str, bytes: &[u8]) {
        let now = Time::now();
        let meta = Meta {
            kind: Kind::File,
            perm: 0o644,
            uid: 0,
            gid: 0,
            rdev: 0,
            nlink: 1,
            atime: now,
            mtime: now,
            ctime: now,
            btime: now,
            xattrs: None,
        };
        let ino = match self.vault.lookup(ROOT, name.as_bytes()) {
            Ok(ino) => ino,
            Err(_) => self.vault.make(ROOT, name.as_bytes(), meta, b"").unwrap(),
        };
        self.vault.open(ino, true, true, false).unwrap();
        self.vault.write(ino, Some(0), bytes, false).unwrap();
        self.vault.release(ino, true);
        self.vault.commit().unwrap();
    }

    pub fn read(&self, name: &str) -> Option<Vec<u8>> {
        let ino = self.vault.lookup(ROOT, name.as_bytes()).ok()?;
        let mut out = Vec::new();
        self.vault.read(ino, 0, 1 << 30, &mut out).ok()?;
        Some(out)
    }

    pub fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name).unwrap_or_default()).unwrap()
    }

    /// All files of its root.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        self.vault.commit().unwrap();
        let mut names = Vec::new();
        self.vault
            .list(ROOT, 0, &mut |_, _, _, name| {
                names.push(String::from_utf8(name.to_vec()).unwrap());
                true
            })
            .unwrap();
        names
            .into_iter()
            .map(|name| {
                let bytes = self.read(&name).unwrap_or_default();
                (name, bytes)
            })
            .collect()
    }

    /// Exchanges with a carried folder.
    #[track_caller]
    pub fn via(&self, dir: &Path) -> Exchange {
        self.via_with(dir, None).unwrap()
    }

    pub fn via_with(&self, dir: &Path, limit: Option<u64>) -> Result<Exchange, CarrierError> {
        let shelf = Shelf::of(dir, &*self.replica, Place::Make)?;
        self.at(&shelf, limit)
    }

    pub fn at(&self, folder: &dyn Folder, limit: Option<u64>) -> Result<Exchange, CarrierError> {
        let options = Options {
            limit,
            serial: self.serial.get(),
        };
        let done = exchange(&*self.replica, folder, options, &mut self.seen.borrow_mut())?;
        self.serial.set(done.serial);
        Ok(done)
    }

    /// How far it has each chain.
    pub fn clock(&self) -> BTreeMap<[u8; 16], u64> {
        let clock = self.vault.clock().unwrap();
        clock
            .into_iter()
            .map(|(chain, (last, _))| (chain.0, last))
            .collect()
    }

    #[track_caller]
    pub fn is_sound(&self) {
        let report = self
            .vault
            .check(CheckOptions { read_data: true }, &mut |_| {})
            .unwrap();
        assert!(report.problems.is_empty(), "{:?}", report.problems);
    }
}

pub fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_dir(&entry.path(), &to),
            false => {
                fs::copy(entry.path(), to).unwrap();
            }
        }
    }
}

/// Every file below a folder.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(files(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found.sort();
    found
}

/// Devices exchange one after the other until none has anything more to do.
#[track_caller]
pub fn settle(devices: &[&Device], dir: &Path) {
    for _ in 0..20 {
        let before: Vec<PathBuf> = files(dir);
        for device in devices {
            device.via(dir);
        }
        let are_one = devices.iter().all(|device| device.clock() == devices[0].clock());
        let have_all = devices
            .iter()
            .all(|device| device.vault.lacking(1).unwrap().is_empty());
        if are_one && have_all && files(dir) == before {
            return;
        }
    }
    let clocks: Vec<_> = devices.iter().map(|device| device.clock()).collect();
    panic!("they do not come to an end: {clocks:#?}");
}

/// Bytes that no compression makes less.
pub fn noise(seed: u32, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as u8
        })
        .collect()
}

/// A folder that is pulled away after so many calls that change it, in the midst of the last one.
pub struct Pulled<'a> {
    pub folder: &'a dyn Folder,
    pub calls: std::rc::Rc<Cell<u64>>,
    pub errno: i32,
}

impl Pulled<'_> {
    fn may(&self) -> io::Result<()> {
        may(&self.calls, self.errno)
    }
}

fn may(calls: &Cell<u64>, errno: i32) -> io::Result<()> {
    match calls.get().checked_sub(1) {
        Some(left) => {
            calls.set(left);
            Ok(())
        }
        None => Err(io::Error::from_raw_os_error(errno)),
    }
}

struct PulledSink(Box<dyn Sink>, std::rc::Rc<Cell<u64>>, i32);

impl Sink for PulledSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        may(&self.1, self.2).inspect_err(|_| drop(self.0.write(&bytes[..bytes.len() / 2])))?;
        self.0.write(bytes)
    }
    fn finish(self: Box<Self>) -> io::Result<()> {
        may(&self.1, self.2)?;
        self.0.finish()
    }
}

impl Folder for Pulled<'_> {
    fn list(&self) -> io::Result<Listing> {
        self.folder.list()
    }
    fn open(&self, name: &Name) -> io::Result<Box<dyn Source>> {
        self.folder.open(name)
    }
    fn create(&self, name: &Name) -> io::Result<Box<dyn Sink>> {
        self.may()?;
        let sink = self.folder.create(name)?;
        Ok(Box::new(PulledSink(sink, self.calls.clone(), self.errno)))
    }
    fn publish(&self, from: &Name, to: &Name) -> io::Result<()> {
        self.may()?;
        self.folder.publish(from, to)
    }
    fn remove(&self, name: &Name) -> io::Result<()> {
        self.may()?;
        self.folder.remove(name)
    }
    fn room(&self) -> io::Result<u64> {
        self.folder.room()
    }
}

pub fn carries(device: &Device) -> &dyn Carries {
    &*device.replica
}

/// A device whose disk has no room for pieces of files.
pub struct NoRoom(pub Arc<VaultReplica>);

impl Replica for NoRoom {
    fn space(&self) -> SpaceId {
        self.0.space()
    }
    fn device(&self) -> SigningKey {
        self.0.device()
    }
    fn transport(&self) -> Key {
        self.0.transport()
    }
    fn config(&self) -> Result<Config, String> {
        self.0.config()
    }
    fn roster(&self) -> Roster {
        self.0.roster()
    }
    fn answer(&self, request: Request) -> Answer {
        match request {
            Request::TakeChunk { id, .. } => Answer::ChunkTaken {
                id,
                outcome: ChunkOutcome::Failed("there is no room left".into()),
            },
            request => self.0.answer(request),
        }
    }
    fn news(&self, after: &mut u64) -> Result<Vec<Arc<Carried>>, String> {
        self.0.news(after)
    }
    fn rendezvous(&self, period: u64) -> Key {
        self.0.rendezvous(period)
    }
    fn admit(&self, joining: JoinRequest) -> Result<StatementId, String> {
        self.0.admit(joining)
    }
    fn take_back(&self, device: DeviceId) -> Result<(), String> {
        self.0.take_back(device)
    }
    fn keyring(&self) -> Vec<(StatementId, SpaceSecrets)> {
        self.0.keyring()
    }
    fn with_members(&self, look: &mut dyn FnMut(&Members)) {
        self.0.with_members(look);
    }
    fn subscribe(&self, wake: Box<dyn Fn(Change) + Send + Sync>) {
        self.0.subscribe(wake);
    }
}

impl Carries for NoRoom {
    fn settle(&self) -> Result<(), String> {
        self.0.settle()
    }
    fn wanted(&self, most: usize) -> Result<Lacking, String> {
        self.0.wanted(most)
    }
    fn is_bulk(&self, id: &ChunkName) -> bool {
        self.0.is_bulk(id)
    }
    fn chunks_told(
        &self,
        entities: &HashSet<EntityId>,
        after: &HashMap<ChainId, u64>,
        each: EachChunk<'_>,
    ) -> Result<(), String> {
        self.0.chunks_told(entities, after, each)
    }
}
