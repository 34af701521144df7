//! Guards the keys: at whatever call the power goes, or the disk fails, while a password
//! is changed or a vault is made, a password opens everything, or there is no vault yet.

use std::path::PathBuf;
use std::sync::Arc;

use coffer_fs::vaultfs::CofferFs;
use coffer_store::io::Disk;
use coffer_store::io::sim::{Fault, SimDisk};
use coffer_store::keys::{KdfParams, Password};
use coffer_store::vault::{Identity, Sealed, Vault, salvage};
use coffer_tests::crash::image::{serve, sound};
use coffer_tests::crash::look::{difference, look};
use coffer_tests::crash::model::View;
use coffer_tests::crash::player::{Player, Step};
use coffer_tests::crash::workload;
use coffer_tests::engine;
use coffer_tests::settings::long;

fn other() -> Password {
    Password::new(b"another password, and a long one".to_vec())
}

fn open(disk: &SimDisk, password: &Password) -> Result<Arc<Vault>, String> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let sealed = Sealed::open_on(disk, PathBuf::from("sim"), None).map_err(|e| e.to_string())?;
    let vault = sealed
        .unlock(password, Identity::Same)
        .map_err(|e| e.to_string())?;
    vault.stop_keeper();
    Ok(vault)
}

/// A vault with files, and what it shows.
fn filled() -> (SimDisk, View) {
    let disk = engine::empty();
    let opened = disk.clone();
    let mut player = Player::new(Box::new(move || serve(&opened))).expect("the vault opens");
    for step in workload::day(3, 1) {
        player.play(&step).expect("a step on a healthy disk");
    }
    player.play(&Step::Reopen).expect("it closes and opens");
    let view = player.model().present();
    player.fs().vault().close().expect("it closes");
    (disk, view)
}

/// Everything can be read with this password, and the check passes.
fn opens_everything(disk: &SimDisk, password: &Password, view: &View) -> Result<(), String> {
    let vault = open(disk, password)?;
    let fs = CofferFs::new(vault).map_err(|e| e.to_string())?;
    if let Some(what) = difference(view, &look(&fs)?) {
        return Err(what);
    }
    sound(fs.vault())
}

/// What a power cut at a call may leave: each way in the long run, else one in turn.
fn ways(disk: &SimDisk, k: u64) -> Vec<SimDisk> {
    let all = || {
        vec![
            disk.crash(k),
            disk.crash_all_lost(),
            disk.crash(k + 1),
            disk.crash_all_kept(),
        ]
    };
    if long() {
        all()
    } else {
        vec![all().swap_remove(k as usize % 4)]
    }
}

/// One of the two passwords opens everything; both, if neither is known to be in force.
fn one_of_two(disk: &SimDisk, view: &View, changed: bool, at: &str) {
    let new = opens_everything(&disk.crash_all_kept(), &other(), view);
    if new.is_ok() {
        return;
    }
    assert!(!changed, "{at}: the new password does not open it: {new:?}");
    let old = opens_everything(&disk.crash_all_kept(), &engine::password(), view);
    assert!(
        old.is_ok(),
        "{at}: the new password: {new:?}; the old one: {old:?}"
    );
}

fn change(vault: &Vault) -> Result<(), String> {
    vault
        .change_password(&engine::password(), &other(), KdfParams::FLOOR)
        .map_err(|e| e.to_string())
}

/// A power cut at every call of a change of password.
#[test]
fn a_power_cut_while_the_password_changes_leaves_one_that_opens_everything() {
    let (disk, view) = filled();
    let mut k = 1;
    loop {
        let run = disk.crash_all_kept();
        let vault = open(&run, &engine::password()).expect("the vault opens");
        let cut = run.ops() + k;
        run.freeze_at(cut);
        change(&vault).expect("a change of password on a healthy disk");
        let changed = run.ops() < cut;
        for left in ways(&run, k) {
            one_of_two(&left, &view, changed, &format!("power cut at call {k}"));
        }
        if changed {
            break;
        }
        k += 1;
    }
    assert!(k > 5, "a change of password makes only {k} calls");
}

/// A failure at every call of a change of password: it says so, the vault goes on, and
/// the password that the vault takes is the one that opens it after a power cut too.
#[test]
fn a_failure_while_the_password_changes_leaves_one_that_opens_everything() {
    let (disk, view) = filled();
    for turn in [false, true] {
        for k in 1.. {
            // Both ways at each call in the long run, else in turn.
            let sticky = turn ^ (k % 2 == 0);
            let run = disk.crash_all_kept();
            let vault = open(&run, &engine::password()).expect("the vault opens");
            let at = run.ops() + k;
            run.fail_at(at, Fault::Io, sticky);
            let result = change(&vault);
            let reached = run.ops() >= at;
            let what = format!("failure at call {k}, sticky {sticky}");
            one_of_two(&run.crash(k), &view, result.is_ok(), &what);
            run.heal();
            vault.commit().expect("a commit on the mended disk");
            let (now, before) = if vault
                .change_password(&other(), &other(), KdfParams::FLOOR)
                .is_ok()
            {
                (other(), engine::password())
            } else {
                (engine::password(), other())
            };
            let left = run.crash_all_lost();
            opens_everything(&left.crash_all_kept(), &now, &view).unwrap_or_else(|e| panic!("{what}: {e}"));
            assert!(open(&left, &before).is_err(), "{what}: both passwords open it");
            if !reached {
                assert!(result.is_ok(), "a change on a healthy disk: {result:?}");
                break;
            }
        }
        if !long() {
            break;
        }
    }
}

/// After a power cut in a change of password, the copy of the keys that salvage needs if
/// the database is lost takes the password that the vault takes, once it was opened.
#[test]
fn salvage_takes_the_password_in_force_after_a_power_cut() {
    let (disk, view) = filled();
    for k in 1.. {
        let run = disk.crash_all_kept();
        let vault = open(&run, &engine::password()).expect("the vault opens");
        let cut = run.ops() + k;
        run.freeze_at(cut);
        change(&vault).expect("a change of password on a healthy disk");
        let over = run.ops() < cut;
        let left = run.crash(k);
        let password = match open(&left, &other()) {
            Ok(vault) => {
                vault.close().expect("it closes");
                other()
            }
            Err(_) => {
                let vault = open(&left, &engine::password()).expect("one of the two opens it");
                vault.close().expect("it closes");
                engine::password()
            }
        };
        let dir = tempfile::tempdir().expect("a folder");
        let (vault, dest) = (dir.path().join("vault"), dir.path().join("dest"));
        engine::write_out(&left, &vault);
        std::fs::remove_file(vault.join("vault.redb")).expect("the database can be lost");
        let report = salvage(&vault, &password, &dest, &mut |_| {})
            .unwrap_or_else(|e| panic!("power cut at call {k}: {e}"));
        let files = view
            .values()
            .filter(|s| !matches!(s, coffer_tests::crash::model::Shown::Folder));
        assert!(
            report.files >= files.count() as u64,
            "power cut at call {k}: only {} files; {:?}",
            report.files,
            report.problems
        );
        if over {
            break;
        }
    }
}

/// A power cut at every call of the making of a vault: it opens, or says what is missing.
#[test]
fn a_power_cut_while_a_vault_is_made_leaves_a_vault_or_none() {
    for k in 1.. {
        let disk = SimDisk::new();
        disk.freeze_at(k);
        engine::create(&disk).stop_keeper();
        let made = disk.ops() < k;
        for left in ways(&disk, k) {
            let opened = engine::try_open(&left);
            match opened {
                Ok(vault) => sound(&vault).unwrap_or_else(|e| panic!("power cut at call {k}: {e}")),
                Err(what) => assert!(!made, "the vault is made, and does not open: {what}"),
            }
        }
        if made {
            break;
        }
    }
}
