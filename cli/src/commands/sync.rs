//! `coffer sync`.

use super::device::{ask, daemon};
use super::{Reached, reach};
use crate::answers::devices::{Carrier, Device, Keeping, Sync};
use crate::args::device::Sync as Args;
use crate::client::Found;
use crate::failure::Failure;
use crate::paths;
use crate::settings::Settings;
use crate::shown::Shown;
use crate::ui::{Ui, table};
use crate::units::{count, counted, size, span};
use crate::when;
use crate::wire::Op;
use crate::wire::devices::Devices;
use jiff::Zoned;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

/// How often it is shown anew.
const LOOK: Duration = Duration::from_millis(500);

/// Shows how syncing is, or has it pause, go on, or call somebody.
///
/// # Errors
/// The daemon's.
pub(super) fn sync(ui: &Ui, vault: &Path, args: &Args) -> Result<(), Failure> {
    if args.policy.is_some() || args.limit.is_some() || args.metered.is_some() {
        return choose(ui, vault, args);
    }
    let found = daemon(vault)?;
    if args.pause || args.resume {
        let () = ask(&found, Devices::Pause { paused: args.pause })?;
        ui.answer(&serde_json::json!({ "paused": args.pause }), || {
            match args.pause {
                true => {
                    "Nothing is exchanged until “coffer sync --resume”, or until the vault is locked.".into()
                }
                false => "Devices exchange what is new again.".into(),
            }
        });
        return Ok(());
    }
    if let Some(address) = &args.peer {
        let asked = Devices::Call {
            address: address.clone(),
        };
        let () = ask(&found, asked)?;
        let mut settings = Settings::load(&found.card.vault_id)?;
        let known = settings.get("sync-peers").to_owned();
        if !known.split(',').any(|one| one.trim() == address) {
            let all = [known.as_str(), address.as_str()];
            let all: Vec<&str> = all.into_iter().filter(|one| !one.is_empty()).collect();
            settings.set("sync-peers", &all.join(","))?;
        }
        ui.answer(&serde_json::json!({ "peer": address }), || {
            format!("{address} is called now, and from now on.")
        });
        return Ok(());
    }
    match args.watch {
        true => watch(ui, &found),
        false => {
            let sync = look(&found)?;
            ui.answer(&sync, || shown(&sync));
            Ok(())
        }
    }
}

/// Chooses what this device keeps, and whether each byte costs; a daemon obeys at once.
fn choose(ui: &Ui, vault: &Path, args: &Args) -> Result<(), Failure> {
    let (id, daemon) = match reach(vault)? {
        Reached::Daemon(found) => (found.card.vault_id.clone(), Some(found)),
        Reached::Sealed(sealed) => (paths::hex(&sealed.facts().id), None),
    };
    let mut settings = Settings::load(&id)?;
    // Before sessions begin anew.
    let others = match &daemon {
        Some(found) => look(found).map(|sync| sync.devices).unwrap_or_default(),
        None => Vec::new(),
    };
    let chosen = [
        ("sync-policy", &args.policy),
        ("sync-keep", &args.limit),
        ("sync-metered", &args.metered),
    ];
    for (key, value) in chosen {
        if let Some(value) = value {
            settings.set(key, value)?;
        }
    }
    if let Some(found) = &daemon {
        found.ask(Op::Reload, &[], &mut |_| {})?;
    }
    let kept = others.iter().any(|device| device.keeps_everything == Some(true));
    let answer = serde_json::json!({
        "policy": settings.get("sync-policy"),
        "limit": settings.keeps_texts().then(|| settings.keep_limit()),
        "metered": settings.is_metered(),
        "keeper_connected": daemon.is_some().then_some(kept),
    });
    ui.answer(&answer, || {
        let mut lines = Vec::new();
        if args.policy.is_some() || args.limit.is_some() {
            lines.push(match settings.keeps_texts() {
                true => format!(
                    "This device keeps all names and texts, and up to {} of other files.",
                    size(settings.keep_limit())
                ),
                false => "This device keeps everything; what is not here is fetched.".to_owned(),
            });
            if settings.keeps_texts() && daemon.is_some() && !kept {
                lines.push(
                    "No other device that keeps everything is connected: nothing is given up here until one is.".into(),
                );
            }
        }
        match args.metered.as_deref() {
            Some("on") => lines.push("Bytes of files are fetched and given only where somebody waits for them.".into()),
            Some(_) => lines.push("Bytes of files are fetched and given as ever.".into()),
            None => {}
        }
        if daemon.is_none() {
            lines.push("It counts from the next time that the vault is mounted.".into());
        }
        lines.join("\n")
    });
    Ok(())
}

fn look(found: &Found) -> Result<Sync, Failure> {
    ask(found, Devices::Sync)
}

/// Shows it in one place of a terminal, again and again; to programs, a line whenever something is other.
pub(super) fn watch(ui: &Ui, found: &Found) -> Result<(), Failure> {
    let here = std::io::stdout().is_terminal() && !ui.json();
    let (mut last, mut drawn) = (None, 0);
    loop {
        let sync = look(found)?;
        if last.as_ref() != Some(&sync) {
            if here && drawn > 0 {
                // Up to where the last one began, and away with it.
                let _ = write!(std::io::stdout(), "\x1b[{drawn}A\x1b[J");
            }
            let text = shown(&sync);
            drawn = text.trim_end().lines().count();
            ui.answer(&sync, || text);
            last = Some(sync);
        }
        std::thread::sleep(LOOK);
    }
}

fn shown(sync: &Sync) -> String {
    let mut rows: Vec<[String; 2]> = Vec::new();
    let mut row = |name: &str, text: String| rows.push([name.to_owned(), text]);
    row("Syncing", state(sync));
    for device in &sync.devices {
        row(&device.name, line(device));
    }
    for (name, text) in kept(&sync.keeping) {
        row(name, text);
    }
    if sync.metered {
        row(
            "Metered",
            "yes: bytes of files go only where somebody waits for them".into(),
        );
    }
    if sync.state != "off" && sync.state != "alone" {
        row("To come", to_come(sync));
        if sync.rate_in + sync.rate_out > 0 {
            row(
                "Rate",
                format!("{}/s in, {}/s out", size(sync.rate_in), size(sync.rate_out)),
            );
        }
        let places = places(&sync.listening);
        if !places.is_empty() {
            row("Listens at", places.join(", "));
        }
        for relay in &sync.relays {
            row("Relay", relay.clone());
        }
    }
    for folder in &sync.folders {
        row("Folder", format!("{}: {}", folder.dir.0.shown(), carried(folder)));
    }
    if let Some(error) = &sync.error {
        row("Trouble", error.clone());
    }
    table(&rows)
}

/// How a folder is through which devices exchange.
pub(super) fn carried(folder: &Carrier) -> String {
    let mut said = vec![match folder.last {
        Some(at) => format!("exchanged {}", when::local(at, &Zoned::now())),
        None => "nothing exchanged yet".into(),
    }];
    if !folder.there {
        said.push(match folder.watched {
            true => "not there now, and waited for".into(),
            false => "not there now".into(),
        });
    }
    for one in &folder.waiting {
        let yet = if one.seen { "" } else { ", which was never there" };
        said.push(format!("{} there for {}{yet}", size(one.bytes), one.device));
    }
    if folder.lacking > 0 {
        said.push(format!("{} are yet to come to this device", size(folder.lacking)));
    }
    if folder.left_out > 0 {
        said.push(format!("no room for {}", size(folder.left_out)));
    }
    if folder.read_only {
        said.push("it can only be read, so nothing was put there".into());
    }
    if let Some(error) = &folder.error {
        said.push(error.trim_end_matches('.').to_owned());
    }
    said.join("; ")
}

/// What of files is kept here, as rows of a table.
pub(super) fn kept(keeping: &Keeping) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    let Some(kept) = keeping.kept else {
        return vec![("Keeps", "everything".into())];
    };
    let texts = keeping.policy == "texts";
    rows.push((
        "Keeps",
        match keeping.limit.filter(|_| texts) {
            Some(limit) => format!(
                "names and texts; of other files {} of {} at most",
                size(kept),
                size(limit)
            ),
            None => format!("everything; {} of files so far", size(kept)),
        },
    ));
    rows.push((
        "Not here",
        match keeping.absent {
            0 => "nothing".into(),
            absent => format!(
                "{} of {}",
                size(absent),
                counted(keeping.absent_files, "file", "files")
            ),
        },
    ));
    if keeping.pinned > 0 {
        rows.push(("Pinned", counted(keeping.pinned, "file", "files")));
    }
    rows
}

/// Addresses without what says nothing to a person: who listens there, and those by which nobody else reaches this machine.
fn places(listening: &[String]) -> Vec<String> {
    let bare = |address: &String| address.split("/p2p/").next().unwrap_or(address).to_owned();
    let mut all: Vec<String> = listening.iter().map(bare).collect();
    all.retain(|address| {
        !["/ip4/127.", "/ip6/::1/", "/ip6/fe80:"]
            .iter()
            .any(|own| address.starts_with(own))
    });
    all.sort();
    all.dedup();
    all
}

fn state(sync: &Sync) -> String {
    let here = sync.devices.iter().filter(|device| device.connected).count();
    match sync.state.as_str() {
        "off" => "off; “coffer settings sync on” turns it on".into(),
        "alone" => "nothing to do: this is the only device; “coffer device invite” lets another one join".into(),
        "removed" if !sync.removed_by.is_empty() => {
            let by = &sync.removed_by[0];
            format!(
                "“{by}” removed this device, which was there before it; if that is not as it should be, “coffer device remove {by}” takes it back and removes that one"
            )
        }
        "removed" => match &sync.removal {
            Some(removal) => removal.clone(),
            None => "this device was removed from the vault, and no other one tells it anything; pair it again to have it back".into(),
        },
        "paused" => "paused; “coffer sync --resume” goes on".into(),
        _ => format!(
            "on, with {} of {}",
            count(here as u64),
            counted(sync.devices.len() as u64, "other device", "other devices")
        ),
    }
}

fn line(device: &Device) -> String {
    let how = match device.reached.as_deref() {
        Some("relay") => "by a relay",
        _ => "directly",
    };
    match (device.connected, device.behind, device.ahead) {
        (true, Some(0), Some(0)) => format!("{how}, up to date"),
        (true, behind, ahead) => format!(
            "{how}, lacks {}, has {} more",
            counted(behind.unwrap_or(0), "event", "events"),
            counted(ahead.unwrap_or(0), "event", "events")
        ),
        (false, ..) => match &device.error {
            Some(error) => format!("not reached: {error}"),
            None => "not reached".into(),
        },
    }
}

fn to_come(sync: &Sync) -> String {
    if sync.events == 0 && sync.chunks == 0 {
        return "nothing".into();
    }
    let left = match sync.seconds {
        Some(seconds) => format!(", about {}", span(Duration::from_secs(seconds))),
        None => String::new(),
    };
    format!(
        "{} and {}, {}{left}",
        counted(sync.events, "event", "events"),
        counted(sync.chunks, "piece of a file", "pieces of files"),
        size(sync.bytes)
    )
}
