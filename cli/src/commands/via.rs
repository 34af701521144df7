//! `coffer sync --via`: exchanging through a folder that is carried or shared.
//!
//! Guarantees that it works the same whether a daemon holds the vault or nobody does.

use super::device::ask;
use super::sync::{carried, watch};
use super::transfer::open_to_write;
use super::{Reached, outside, reach, within};
use crate::answers::devices::{Exchanged, Moved};
use crate::args::device::Sync as Args;
use crate::engine;
use crate::failure::{Failure, Kind};
use crate::instance::Markers;
use crate::paths;
use crate::settings::Settings;
use crate::shown::{Shown, one_line};
use crate::ui::{Ui, table};
use crate::units::{counted, size};
use crate::wire::WirePath;
use crate::wire::devices::Devices;
use std::path::Path;

/// Exchanges, and says what was given and taken, and for whom something is still there.
///
/// # Errors
/// `NotOpen` if the folder is not there, `NoSpace` after the report if there was no room for all; what the vault says.
pub(super) fn via(ui: &Ui, vault: &Path, dir: &Path, args: &Args) -> Result<(), Failure> {
    let dir = outside(dir, vault)?;
    // A stick is not made by asking for it; and its name is the same from wherever it is called.
    let real = std::fs::canonicalize(&dir).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Failure::new(
            Kind::NotOpen,
            format!(
                "There is no folder {}; plug in what it lies on, or make it.",
                dir.shown()
            ),
        ),
        _ => Failure::io(format_args!("find {}", dir.shown()), &error),
    })?;
    let done: Exchanged = match reach(vault)? {
        Reached::Daemon(found) => {
            let asked = Devices::Via {
                dir: WirePath(real.clone()),
                limit: args.via_limit,
                watch: args.watch,
            };
            let done = ask(&found, asked)?;
            if args.watch {
                say(ui, &real, &done);
                return watch(ui, &found);
            }
            done
        }
        Reached::Sealed(_) if args.watch => {
            return Err(Failure::new(
                Kind::NotOpen,
                "The vault is locked, and a folder is looked after only while it is open; “coffer mount FOLDER” opens it.",
            ));
        }
        Reached::Sealed(sealed) => {
            let open = open_to_write(vault, sealed, &args.password)?;
            let settings = Settings::load(&paths::hex(&open.facts().id))?;
            let done = within(open.clone(), |open| {
                engine::exchange_via(open, &settings, &real, args.via_limit)
            });
            // How far it is now: else a restore of an earlier time today is not noticed.
            Markers::load(&open.facts().id)?.remember(vault, &open)?;
            done?
        }
    };
    say(ui, &real, &done);
    match done.folder.left_out {
        0 => Ok(()),
        bytes => Err(Failure::new(
            Kind::NoSpace,
            format!(
                "There was no room for {} in {}; what is there is whole, and the same command goes on once there is more.",
                size(bytes),
                real.shown()
            ),
        )),
    }
}

fn say(ui: &Ui, dir: &Path, done: &Exchanged) {
    ui.answer(done, || {
        let mut rows = vec![
            ["Folder".to_owned(), dir.shown()],
            ["Taken".to_owned(), went(&done.took)],
            ["Given".to_owned(), went(&done.gave)],
            ["Now".to_owned(), carried(&done.folder)],
        ];
        rows.extend(
            done.notes
                .iter()
                .map(|note| ["Note".to_owned(), one_line(note).into_owned()]),
        );
        table(&rows)
    });
}

fn went(moved: &Moved) -> String {
    if *moved == Moved::default() {
        return "nothing".into();
    }
    format!(
        "{} and {}, {}",
        counted(moved.events, "event", "events"),
        counted(moved.chunks, "piece of a file", "pieces of files"),
        size(moved.bytes)
    )
}
