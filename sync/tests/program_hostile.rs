//! A member gone bad, whose keys the test holds, against the built program with a mount: what it says ends its own session with a reason,
//! the daemon's memory stays bounded, the mount is usable and a save crosses meanwhile, and `coffer status` says what happened.
//! Skipped, with a word, where nothing can be mounted.

mod program_bed;

use std::fs;
use std::time::Duration;

use coffer_store::ids::ROOT;
use coffer_store::keys::{KdfParams, Password, SigningKey};
use coffer_store::members::DeviceName;
use coffer_store::record::{Meta, Time};
use coffer_store::tree::Kind;
use coffer_store::vault::{Identity, Joined, Sealed, Vault};
use coffer_sync::net::{Service, join};
use coffer_sync::vault::VaultReplica;
use futures::AsyncWriteExt;
use program_bed::common::until;
use program_bed::net_bed::flood::flood;
use program_bed::net_bed::raw::{Raw, peer};
use program_bed::net_bed::{TCP, quiet};
use program_bed::{Town, hello, invite, member, say};

/// Guards against a member gone bad: frames that are none, lengths that are not true, streams without end, events that are none, and
/// a history told twice. Its own session ends with a reason; nothing else does.
#[test]
fn a_member_gone_bad_harms_nobody() {
    let Some(mut town) = Town::new() else { return };
    let thief = member(&town.desk, "thief");
    let key = &thief.transport;
    town.under("garbage frames", |town| {
        say(&town.tcp, key, &[0xa5; 200_000]);
    });
    town.says("“thief”: ");
    let hello = hello(&thief);
    for (what, tail) in [
        // A statement of 4 GiB, as its first piece claims; a list that is not there.
        (
            "an inflated statement",
            vec![12, 0, 0x84, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 1, 2, 3, 4, 5],
        ),
        ("an inflated clock", vec![5, 0, 0x85, 1, 9, 9, 9]),
        ("a hello said twice", hello.clone()),
    ] {
        let bytes = [hello.clone(), tail].concat();
        town.under(what, |town| {
            say(&town.tcp, key, &bytes);
        });
    }
    town.under("streams without end", |town| {
        let mut raws: Vec<Raw> = (0..4).map(|_| Raw::new(Some(key))).collect();
        let mut streams = Vec::new();
        for raw in &mut raws {
            raw.dial(&town.tcp);
            for n in 0..200 {
                let control = raw.control.clone();
                let to = peer(&town.tcp);
                let name = [
                    "/coffer/sync/1",
                    "/coffer/pair/1",
                    "/ipfs/id/1.0.0",
                    "/coffer/kad/1",
                ][n % 4];
                streams.push(raw.runtime.spawn(async move {
                    let mut control = control;
                    let open = control.open_stream(to, libp2p::StreamProtocol::new(name));
                    if let Ok(Ok(mut stream)) = tokio::time::timeout(Duration::from_secs(5), open).await {
                        let fill = async { while stream.write_all(&[0x33; 16 << 10]).await.is_ok() {} };
                        let _ = tokio::time::timeout(Duration::from_secs(2), fill).await;
                    }
                }));
            }
        }
        for (n, task) in streams.into_iter().enumerate() {
            let _ = raws[n / 200].runtime.block_on(task);
        }
    });
    // At 64 MiB a connection, and four connections, it would be 256 MiB.
    let sent = town.under("streams that are filled, and that nobody reads", |town| {
        flood(&town.tcp, key, 4)
    });
    assert!(sent > 64 << 20, "the flood is none: {sent} bytes");
    // Batches with good signatures over events that are none: they were made by a model of the store.
    town.under("events that are none", |town| {
        let mut settings = quiet(&[TCP]);
        settings.peers.push(town.tcp.clone());
        thief.tell_with(100, &[50_000; 8]);
        (0..20).for_each(|n| thief.tell(200 + n));
        let service = thief.start(&settings);
        town.says("“thief”: the other device sent what was altered after it was signed");
        service.stop();
    });
    town.works();
    town.desk.run(&["lock"]).gives(0);
    town.laptop.run(&["lock"]).gives(0);
    for stage in [&town.desk, &town.laptop] {
        stage.open(&["check", "--read-data"]).gives(0);
    }
}

/// One history told twice, as by a vault that was copied file by file: what came first stays, of the other nothing is taken in, and
/// the status says why. Nobody was told before.
#[test]
fn a_copied_vault_that_both_use_is_said_and_spoils_nothing() {
    let Some(mut town) = Town::new() else { return };
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let entered = join(
        &invite(&town.desk),
        DeviceName::new("copied").unwrap(),
        &quiet(&[]),
        |_| Ok(()),
        |_| Ok(()),
    );
    let entered = entered.unwrap();
    let joined = Joined {
        members: entered.joined.members,
        device: entered.device,
        transport: SigningKey::from_seed(entered.transport),
        keys: entered.joined.keyring,
    };
    let password = Password::new(b"correct horse battery staple".to_vec());
    let vault = Vault::join(&dirs[0].path().join("vault"), &password, KdfParams::FLOOR, joined).unwrap();
    vault.close().unwrap();
    drop(vault);
    let mut copy = std::process::Command::new("cp");
    copy.arg("-a")
        .arg(dirs[0].path().join("vault"))
        .arg(dirs[1].path());
    assert!(copy.status().unwrap().success());
    let mut settings = quiet(&[TCP]);
    settings.peers.push(town.tcp.clone());
    for (dir, name) in dirs.iter().zip(["first.md", "second.md"]) {
        let sealed = Sealed::open(&dir.path().join("vault")).unwrap();
        // As if nobody had copied it.
        let vault = sealed.unlock(&password, Identity::Same).unwrap();
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
        let ino = vault.make(ROOT, name.as_bytes(), meta, b"").unwrap();
        vault.open(ino, true, false, false).unwrap();
        vault.write(ino, Some(0), name.as_bytes(), false).unwrap();
        vault.release(ino, true);
        vault.commit().unwrap();
        let service = Service::start(VaultReplica::new(vault.clone()).unwrap(), &settings).unwrap();
        let there = town.desk.mnt().join(name);
        match name {
            "first.md" => until("the first history", || there.exists()),
            _ => town.says("that device's vault was copied"),
        }
        town.works();
        service.stop();
        vault.close().unwrap();
    }
    let first = fs::read(town.desk.mnt().join("first.md")).unwrap();
    assert_eq!(first, b"first.md");
    town.desk.run(&["lock"]).gives(0);
    town.desk.open(&["check", "--read-data"]).gives(0);
}
