//! The spelling of mount(8) and fstab: `mount.fuse.coffer VAULT MOUNTPOINT [-sfnv] [-o options]`,
//! and `coffer VAULT MOUNTPOINT -o options`, as mount.fuse calls it.
//!
//! Guarantees mount(8)'s exit codes in this spelling: 0, 1 (usage), 32 (failed). Never takes a
//! password in an option: `passwordfile=` names a file.

use crate::args::{Mount, PasswordArgs};
use crate::failure::Failure;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// What mount(8) asked for.
pub(crate) struct Asked {
    /// The vault.
    pub vault: PathBuf,
    /// The rest, as `coffer mount` would have it.
    pub mount: Mount,
    /// `-f`: everything but mounting.
    pub fake: bool,
}

/// Whether these arguments (with the program's name first) are mount(8)'s: by the program's
/// name, or because a path stands where a command would.
pub(crate) fn is_spelled(args: &[OsString]) -> bool {
    let name = args.first().map(Path::new).and_then(Path::file_name);
    name.is_some_and(|name| name.as_encoded_bytes().starts_with(b"mount."))
        || (args.len() >= 3 && args[1].as_encoded_bytes().first() == Some(&b'/'))
}

/// Reads the arguments after the program's name.
///
/// # Errors
/// `Usage`.
pub(crate) fn parse(args: &[OsString]) -> Result<Asked, Failure> {
    let usage = |what: String| {
        Failure::usage(format!(
            "{what}; the spelling is: mount.fuse.coffer VAULT MOUNTPOINT [-o OPTIONS]."
        ))
    };
    let mut places = Vec::new();
    let mut words = Vec::new();
    let mut fake = false;
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match arg.as_encoded_bytes() {
            b"-o" => words.push(
                rest.next()
                    .ok_or_else(|| usage("-o needs options".into()))?
                    .as_os_str(),
            ),
            // The type and the namespace are mount(8)'s own business.
            b"-t" | b"-N" => drop(rest.next()),
            [b'-', b'o', ..] => words.push(OsStr::new(arg.to_str().map_or("", |arg| &arg[2..]))),
            [b'-', flags @ ..] if !flags.is_empty() && flags.iter().all(|flag| b"sfnvrw".contains(flag)) => {
                fake |= flags.contains(&b'f');
                if flags.contains(&b'r') {
                    words.push(OsStr::new("ro"));
                }
            }
            [b'-', ..] => return Err(usage(format!("“{}” is no option", arg.display()))),
            _ => places.push(PathBuf::from(arg)),
        }
    }
    let [vault, mountpoint] = places
        .try_into()
        .map_err(|_| usage("A vault and a mount point are needed".into()))?;
    let mut mount = Mount {
        mountpoint,
        options: Vec::new(),
        foreground: false,
        idle: None,
        moved: false,
        copied: false,
        detach_if_killed: false,
        threads: None,
        password: PasswordArgs::default(),
    };
    let mut kept = Vec::new();
    for word in &words {
        let word = word
            .to_str()
            .ok_or_else(|| usage("The options are not UTF-8".into()))?;
        for option in word.split(',').filter(|option| !option.is_empty()) {
            match option.split_once('=').unwrap_or((option, "")) {
                ("passwordfile", file) => mount.password.password_file = Some(PathBuf::from(file)),
                ("idle", span) => mount.idle = Some(span.to_owned()),
                ("moved", "") => mount.moved = true,
                ("copied", "") => mount.copied = true,
                ("detach_if_killed", "") => mount.detach_if_killed = true,
                _ => kept.push(option.to_owned()),
            }
        }
    }
    if mount.moved && mount.copied {
        return Err(usage("“moved” and “copied” exclude each other".into()));
    }
    if !kept.is_empty() {
        mount.options.push(kept.join(","));
    }
    Ok(Asked { vault, mount, fake })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    /// Guards all three spellings that reach us, and that commands are not taken for them.
    #[test]
    fn spellings_are_told_apart() {
        for ours in [
            "/sbin/mount.fuse.coffer /v /m",
            "mount.fuse.coffer v m -o rw",
            "coffer /v /m -o rw,dev",
        ] {
            assert!(is_spelled(&args(ours)), "{ours}");
        }
        for other in [
            "coffer mount /m",
            "coffer --vault /v mount /m",
            "coffer",
            "coffer /v",
            "./coffer status",
        ] {
            assert!(!is_spelled(&args(other)), "{other}");
        }
    }

    /// Guards that our own options are taken out and the kernel's are passed on.
    #[test]
    fn options_are_sorted() {
        let asked = parse(&args(
            "/v /m -n -o rw,passwordfile=/etc/k,allow_other -t fuse.coffer -o idle=30m,moved",
        ))
        .unwrap();
        assert_eq!((asked.vault, asked.mount.mountpoint), ("/v".into(), "/m".into()));
        assert_eq!(asked.mount.options, ["rw,allow_other"]);
        assert_eq!(asked.mount.password.password_file, Some("/etc/k".into()));
        assert_eq!(asked.mount.idle.as_deref(), Some("30m"));
        assert!(asked.mount.moved && !asked.fake);
        assert!(parse(&args("/v /m -sfn")).unwrap().fake);
        for bad in [
            "/v",
            "/v /m /x",
            "/v /m -o",
            "/v /m --bogus",
            "/v /m -o moved,copied",
        ] {
            assert!(parse(&args(bad)).is_err(), "{bad}");
        }
    }
}
