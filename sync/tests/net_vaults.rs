//! Real vaults and real sockets: one invites, the other joins, and from then on both have one content. Guards all parts together, but for
//! the mounted folder: statements, epochs, events, texts, chunks.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coffer_store::ids::ROOT;
use coffer_store::keys::{KdfParams, Password, SigningKey};
use coffer_store::members::DeviceName;
use coffer_store::record::{Meta, Time};
use coffer_store::tree::Kind;
use coffer_store::vault::{Joined, Vault};
use coffer_sync::net::{Service, Settings, join};
use coffer_sync::vault::VaultReplica;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

fn password() -> Password {
    Password::new(b"correct horse battery staple".to_vec())
}

fn quiet() -> Settings {
    Settings {
        listen: vec![
            "/ip4/127.0.0.1/tcp/0".into(),
            "/ip4/127.0.0.1/udp/0/quic-v1".into(),
        ],
        mdns: false,
        dht: false,
        ..Settings::default()
    }
}

fn save(vault: &Vault, name: &str, bytes: &[u8]) {
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
    let ino = match vault.lookup(ROOT, name.as_bytes()) {
        Ok(ino) => ino,
        Err(_) => vault.make(ROOT, name.as_bytes(), meta, b"").unwrap(),
    };
    vault.open(ino, true, true, false).unwrap();
    vault.write(ino, Some(0), bytes, false).unwrap();
    vault.release(ino, true);
}

fn read(vault: &Vault, name: &str) -> Option<Vec<u8>> {
    let ino = vault.lookup(ROOT, name.as_bytes()).ok()?;
    let mut out = Vec::new();
    vault.read(ino, 0, 1 << 30, &mut out).ok()?;
    Some(out)
}

/// Waits for a condition, and says what it was if it never comes.
fn until(what: impl Fn() -> String, mut holds: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "never: {}", what());
        std::thread::sleep(Duration::from_millis(1));
    }
    begun.elapsed()
}

/// A vault whose service runs.
struct Device {
    _dir: TempDir,
    vault: Arc<Vault>,
    service: Service,
}

fn serve(dir: TempDir, vault: Arc<Vault>, settings: &Settings) -> Device {
    vault.set_live(true);
    let replica = VaultReplica::new(vault.clone()).unwrap();
    let service = Service::start(replica, settings).unwrap();
    Device {
        _dir: dir,
        vault,
        service,
    }
}

fn founded() -> Device {
    let dir = TempDir::new().unwrap();
    let made = Vault::create(&dir.path().join("vault"), &password(), KdfParams::FLOOR, false);
    serve(dir, made.unwrap().0, &quiet())
}

fn invited(by: &Device, name: &str) -> Device {
    let ticket = by.service.invite().unwrap();
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("vault");
    let name = DeviceName::new(name).unwrap();
    let entered = join(&ticket, name, &quiet(), |_| Ok(()), |_| Ok(())).unwrap();
    let mut settings = quiet();
    settings.peers = entered.addresses.clone();
    serve(dir, replica(&path, entered), &settings)
}

fn replica(path: &Path, entered: coffer_sync::net::Entered) -> Arc<Vault> {
    let joined = Joined {
        members: entered.joined.members,
        device: entered.device,
        transport: SigningKey::from_seed(entered.transport),
        keys: entered.joined.keyring,
    };
    Vault::join(path, &password(), KdfParams::FLOOR, joined).unwrap()
}

/// An invitation, a device that joins, and edits both ways, of notes and of a file of many chunks.
#[test]
fn a_device_that_was_invited_has_the_vault() {
    let desk = founded();
    save(&desk.vault, "Garden.md", b"roses\n");
    let photo: Vec<u8> = (0..3_000_000u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    save(&desk.vault, "photo.jpg", &photo);
    let laptop = invited(&desk, "laptop");
    until(
        || "the note".into(),
        || read(&laptop.vault, "Garden.md").as_deref() == Some(b"roses\n"),
    );
    until(
        || "the photo".into(),
        || read(&laptop.vault, "photo.jpg").as_deref() == Some(&photo[..]),
    );
    let mut times: Vec<Duration> = Vec::new();
    for n in 0..40u8 {
        let (from, to) = if n % 2 == 0 {
            (&desk, &laptop)
        } else {
            (&laptop, &desk)
        };
        // No text is nearer to another than to the one before it: whoever saves has read that.
        let lines: String = (0..=n)
            .map(|n| format!("line {}\n", (b'a' + n % 26) as char))
            .collect();
        let text = format!("roses\n{lines}");
        save(&from.vault, "Garden.md", text.as_bytes());
        let shows = || String::from_utf8_lossy(&read(&to.vault, "Garden.md").unwrap()).into_owned();
        let what = || {
            format!(
                "edit {n}; it shows {:?} and {:?}",
                shows(),
                to.service.status().last_error
            )
        };
        times.push(until(what, || shows() == text));
    }
    times.sort_unstable();
    println!(
        "saved here, read there: median {:?}, worst {:?}",
        times[times.len() / 2],
        times[times.len() - 1]
    );
}
