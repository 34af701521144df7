//! `recorded VAULT MOUNTPOINT BYTES ROUNDS REST`: makes a vault in the folder VAULT, which must not be
//! there yet, mounts it, and saves a note of so many bytes again and again, each time with another word in it,
//! REST milliseconds after the version before was recorded. Prints for each the nanoseconds from the
//! close to the version that is recorded, as the vault's own feed of changes says it. For the benches:
//! from outside nobody can see that moment.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coffer_fs::adapter::{ServeOptions, serve};
use coffer_fs::mount::{MountOptions, mount};
use coffer_fs::vaultfs::CofferFs;
use coffer_store::io::real::RealDisk;
use coffer_store::keys::{KdfParams, Password};
use coffer_store::vault::Vault;

/// How long a version may take.
const PATIENCE: Duration = Duration::from_secs(60);

const WORDS: [&str; 8] = [
    "time", "bread", "river", "letter", "and", "window", "garden", "evening",
];

/// Lines of ten words, of about so many bytes.
fn prose(bytes: usize) -> String {
    let mut text = String::new();
    for number in 0.. {
        if text.len() >= bytes {
            break;
        }
        text.push_str(WORDS[(number * number + number / 7) % WORDS.len()]);
        text.push(if number % 10 == 9 { '\n' } else { ' ' });
    }
    text
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, point, bytes, rounds, rest] = arguments.as_slice() else {
        return Err("recorded VAULT MOUNTPOINT BYTES ROUNDS REST".into());
    };
    let (folder, point) = (PathBuf::from(folder), PathBuf::from(point));
    let (bytes, rounds): (usize, usize) = (bytes.parse()?, rounds.parse()?);
    let rest = Duration::from_millis(rest.parse()?);
    std::fs::create_dir(&folder)?;
    let disk = Arc::new(RealDisk::open(&folder)?);
    let password = Password::new("a password for a bench".into());
    let (vault, _) = Vault::create_on(disk, &password, KdfParams::FLOOR, false, None)?;
    let changes = vault.subscribe();
    let options = MountOptions::default();
    let (fuse, mounted) = mount(&point, &options)?;
    let serving = ServeOptions {
        kernel_checks: options.kernel_checks(),
        ..ServeOptions::default()
    };
    let session = serve(Arc::new(CofferFs::new(vault.clone())?), fuse, 3, serving)?;
    let (note, mut text) = (point.join("note.md"), prose(bytes));
    let recorded = || -> Result<(), Box<dyn Error>> {
        while changes.recv_timeout(PATIENCE)?.events.1 == 0 {}
        Ok(())
    };
    std::fs::write(&note, &text)?;
    recorded()?;
    for round in 0..rounds {
        std::thread::sleep(rest);
        while changes.try_recv().is_ok() {}
        // One word becomes another: the note stays about as long as it is.
        let at = round * 7919 % (text.len() - 100);
        let at = at + text[at..].find(' ').ok_or("the text is too short")? + 1;
        let end = at + text[at..].find([' ', '\n']).ok_or("the text is too short")?;
        text.replace_range(at..end, &format!("{}{round}", WORDS[round % WORDS.len()]));
        std::fs::write(&note, &text)?;
        let begun = Instant::now();
        recorded()?;
        println!("{}", begun.elapsed().as_nanos());
    }
    mounted.unmount()?;
    session.join()?;
    vault.close()?;
    Ok(())
}
