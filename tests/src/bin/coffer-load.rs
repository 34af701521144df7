//! One writer of the kill suite, as a process of its own: `coffer-load KIND DIR LOG`. Ends
//! when writing fails, and says how.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [kind, dir, log] = &args[..] else {
        eprintln!("usage: coffer-load KIND DIR LOG");
        return ExitCode::from(2);
    };
    let kind = match kind.parse() {
        Ok(kind) => kind,
        Err(what) => {
            eprintln!("{what}");
            return ExitCode::from(2);
        }
    };
    match coffer_tests::load::write(kind, Path::new(dir), Path::new(log)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
