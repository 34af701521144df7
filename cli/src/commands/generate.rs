//! `coffer completions` and `coffer man`: made from the command line's one definition.

use crate::args::{Cli, Completions, Man};
use crate::failure::Failure;
use clap::CommandFactory;
use clap_mangen::Man as Page;
use std::io::{self, Write};
use std::path::Path;

/// Prints a shell's completions.
///
/// # Errors
/// None but I/O; a closed pipe is none.
pub(super) fn completions(args: &Completions) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "coffer", &mut text);
    print(&text)
}

/// Prints coffer(1), or writes every page into a folder.
///
/// # Errors
/// When the folder cannot be written.
pub(super) fn man(args: &Man) -> Result<(), Failure> {
    let mut command = Cli::command().name("coffer");
    // `build` makes the subcommands' full names, for their synopses.
    command.build();
    let failed = |error: io::Error| Failure::io("write the manual", &error);
    let Some(dir) = &args.dir else {
        return print(&page(command).map_err(failed)?);
    };
    std::fs::create_dir_all(dir).map_err(failed)?;
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        let name = format!("coffer-{}", sub.get_name());
        write(dir, &name, sub.clone().name(leaked(&name))).map_err(failed)?;
    }
    write(dir, "coffer", command).map_err(failed)
}

/// clap wants names that live for ever; a dozen short ones, in a process that ends here, may.
fn leaked(name: &str) -> &'static str {
    Box::leak(name.to_owned().into_boxed_str())
}

fn write(dir: &Path, name: &str, command: clap::Command) -> io::Result<()> {
    std::fs::write(dir.join(format!("{name}.1")), page(command)?)
}

fn page(command: clap::Command) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    Page::new(command).manual("Coffer").render(&mut text)?;
    Ok(text)
}

fn print(text: &[u8]) -> Result<(), Failure> {
    match io::stdout().lock().write_all(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::io("write to standard output", &error))
        }
        _ => Ok(()),
    }
}
