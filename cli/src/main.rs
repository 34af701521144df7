//! The program `coffer`: the commands, and the daemon in which the parts meet.
//!
//! Guarantees that every process of ours forbids core dumps before it does anything else, that
//! every failure, a fault of our own too, is one sentence and a stable exit code, and that no secret stands in arguments,
//! environment, logs or errors.
//!
//! Modules, each importing only those above it:

mod failure;
mod shown;
mod units;

mod secret;
mod wire;

mod frame;

mod answers;
mod help;

mod args;
mod bar;
mod paths;
mod when;

mod ui;

mod fault;

mod password;
mod settings;
mod welcome;

mod engine;
mod helper;

mod instance;

mod daemon;

mod client;

mod commands;

use clap::Parser;
use failure::{Failure, Kind};
use std::ffi::OsString;
use std::process::ExitCode;
use ui::Ui;

fn main() -> ExitCode {
    fault::to_log();
    for exposed in engine::harden() {
        ui::note(&format!("coffer: {exposed}"));
    }
    // Started through /proc/self/exe, it would be “exe” in ps and top.
    let _ = rustix::thread::set_name(c"coffer");
    let args: Vec<OsString> = std::env::args_os().collect();
    if helper::is_spelled(&args) {
        return mount_helper(&args[1..]);
    }
    if args.get(1).is_some_and(|first| first == engine::WORKER) {
        return index_worker();
    }
    let wants_json = args.iter().any(|arg| arg == "--json");
    let cli = match args::Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) if wants_json && error.use_stderr() => {
            // What is wrong, without the usage that follows an empty line.
            let text = error.to_string();
            let wrong: Vec<&str> = text
                .lines()
                .map(str::trim)
                .take_while(|line| !line.is_empty())
                .collect();
            let failure = Failure::usage(wrong.join(" ").trim_start_matches("error: "));
            Ui::new(true).fail(&failure);
            return failure.exit();
        }
        // clap's own: help and version are 0, mistakes are 2.
        Err(error) => error.exit(),
    };
    let ui = Ui::new(cli.json);
    match fault::told(|| commands::run(cli, &ui)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            ui.fail(&failure);
            failure.exit()
        }
    }
}

/// The index's process, which only a daemon starts.
fn index_worker() -> ExitCode {
    match engine::work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            ui::log(&format!("coffer: {}", failure.message));
            failure.exit()
        }
    }
}

/// mount(8)'s spelling has mount(8)'s exit codes.
fn mount_helper(args: &[OsString]) -> ExitCode {
    let ui = Ui::quiet();
    match helper::parse(args).and_then(|asked| fault::told(|| commands::run_helper(&asked, &ui))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            ui.fail(&failure);
            ExitCode::from(if failure.kind == Kind::Usage { 1 } else { 32 })
        }
    }
}
