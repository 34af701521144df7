//! What `--help` and the man pages say beyond the options: environment, exit codes, fstab, settings.

/// Environment and exit codes, as `--help` and the man page end.
pub(crate) const EPILOGUE: &str = "\
Environment:
  COFFER_VAULT                 the vault, as --vault
  COFFER_RUNTIME_DIR           the control socket's folder, the only one
  COFFER_MOUNTPOINT            the folder for “coffer mount”
  COFFER_PASSWORD_COMMAND      a shell command that prints the password
  COFFER_NEW_PASSWORD_COMMAND  one that prints the new password

Exit codes:
   0  done
   1  failed; the message says why
   2  the command line makes no sense
   3  wrong password or recovery phrase
   4  there is no vault in that place
   5  in use: another process holds the vault, or programs use the mount
   6  damaged: stored data is not what was written
   7  a question needs an answer by flag: no terminal to ask on
   8  no space left on the disk
   9  nothing is mounted or open there
  10  made by a newer Coffer
  11  done, but something was left out; it is listed
  12  made by an earlier trial version of Coffer: export its files with that one

With --json, answers are one JSON object on standard output (of log, merges and trash, one a line), and
failures one on standard error: {\"error\":{\"kind\":…,\"code\":…,\"message\":…}}.";

/// Below “coffer mount”.
pub(crate) const FSTAB: &str = "\
By mount(8):
  mount -t fuse.coffer VAULT FOLDER -o noatime
In fstab, for “mount FOLDER”, which asks for the password:
  VAULT FOLDER fuse.coffer noauto,user,noatime 0 0
In fstab, at boot:
  VAULT FOLDER fuse.coffer nofail,passwordfile=/root/coffer.key,allow_other 0 0

Beside mount(8)'s own, these options are known there: passwordfile=FILE, idle=TIME, moved, copied,
detach_if_killed. Whoever can read a password file can open the vault: keep it on another,
encrypted disk, and to root alone (chmod 600).";

/// Below the commands that take versions.
pub(crate) const VERSIONS: &str = "\
PATH is a file in a mounted vault, as any program names it; or, with --vault or where no vault
is mounted, its path from the vault's root.

A version is named behind the path:
  PATH@7                    by its number
  PATH@today @yesterday     as it was at the end of that day
  PATH@30m @2h @3d @2w      as it was so long ago
  PATH@2026-11-20           as it was at the end of that day
  PATH@2026-11-20T15:30     as it was then, in local time
By time, it is the newest version recorded at or before that. A file that is really called so
(“photo@2x”, “notes@today”) is that file, not a version of another.

In the mounted folder, .coffer/history/PATH/ holds the versions as files, for any program.
No listing shows “.coffer”, unless something is saved in .coffer/views.";

/// Below “coffer merges”.
pub(crate) const MERGES: &str = "\
A merge is named by its file and the versions that came together in it, as in note.md@4+5.
Such a name always means that one; a merge that somebody has written on in has a new one.
  coffer merges                     the merges of all files
  coffer merges note.md             those of one file
  coffer merges --diff note.md@4+5  what each side of one did
  coffer merges --undo note.md@4+5  take it back: what this device wrote stays
  coffer merges --undo note.md@4+5 --keep @5
                                    the same, but the side of version 5 stays
  coffer merges --undo note.md@4+5 --keep both
                                    have both sides again
  coffer merges note.md --undo @4+5 the same as with the whole name

Where the words that are to go were written on since, nothing is done.";

/// Below “coffer sync”.
pub(crate) const SYNC: &str = "\
What this device keeps:
  coffer sync --policy texts --limit 2GiB
                           all names and texts; of other files what was used last, up to 2 GiB
  coffer pin Photos        and this folder, with all that comes into it
  coffer sync --policy everything
                           all of it again; the rest is fetched

With texts, every file has its name, size and times; its bytes are fetched from another device when they are
read. If no device that has them is reached, reading fails at once (“No route to host”), and “coffer
status” says which file. Bytes are given up only once a device that keeps everything, and is connected, has
confirmed that it has them: without one, nothing is given up and the limit does not count.";

/// Below “coffer settings”.
pub(crate) const SETTINGS: &str = "\
Settings:
  lock-idle     lock after this time without use: 30m, 2h, never (default)
                A program that keeps reading, such as a file indexer, counts as use; a vault
                whose folder is in use stays open, and is tried again.
  lock-suspend  what to do when the system suspends: never, unless-busy (default), always
                Works where the sleep hook is installed (see coffer-sleep), which runs
                “coffer lock --all --suspend”. With “always”, programs that have files of the
                vault open get errors; all that they wrote before is kept.

  sync-via      folders through which devices exchange by themselves while the vault is open,
                whole paths with commas between them; one that is not there is waited for
  sync-via-limit  most that this device's files in each of them may take: 8GiB, none (default)
  sync-policy   what this device keeps: everything (default) or texts; as “coffer sync --policy”
  sync-keep     with texts, how much of other files is kept: 1GiB (default)
  sync-metered  on: bytes of files are fetched and given only where somebody waits for them (off)

Settings of the vault, on all its devices; times in days:
  retention-all      every version is kept for so long (30)
  retention-daily    then one a day for so long (90), and one a month after
  retention-removed  what was removed can be brought back for so long (90)

  texts  names of files in which edits made at the same time merge, where they are text: patterns
         between spaces in which * stands for anything, and what is not meant after !:
           coffer settings texts '*.md *.txt todo !requirements.txt'
         “default” puts the program's own list back. It counts for what is saved next; source code
         is better kept in two versions, and what lies in a .git never merges.";

#[cfg(test)]
mod tests {
    use super::EPILOGUE;
    use crate::failure::Kind;

    /// Guards the promise that exit codes are stable: scripts test them.
    #[test]
    fn codes_are_those_in_the_help() {
        for (kind, code) in [
            (Kind::Failed, 1),
            (Kind::Usage, 2),
            (Kind::WrongPassword, 3),
            (Kind::NoVault, 4),
            (Kind::InUse, 5),
            (Kind::Damaged, 6),
            (Kind::Question, 7),
            (Kind::NoSpace, 8),
            (Kind::NotOpen, 9),
            (Kind::TooNew, 10),
            (Kind::Incomplete, 11),
            (Kind::Trial, 12),
        ] {
            assert_eq!(kind as u8, code);
            assert!(
                EPILOGUE.contains(&format!("\n  {code:>2}  ")),
                "{code} is not in the help"
            );
        }
    }
}
