//! Guards who may do what on a mount that only its mounter can enter, where the kernel does
//! not check: an ordinary user is refused what a disk's file system refuses it, with the same
//! errno, whatever the owner and mode; also what the kernel knows from before it was shut.

use std::path::PathBuf;
use std::process::Command;

use coffer_tests::command::{has, run};
use coffer_tests::settings::skip;

/// Makes the same tree in a vault and beside it, as root; tries everything, as nobody; and
/// compares. In a mount namespace of its own, where everybody may open /dev/fuse.
const COMPARE: &str = r#"
mknod -m 666 "$WORK/fuse" c 10 229 && mount --bind "$WORK/fuse" /dev/fuse
chmod 755 "$WORK"; mkdir "$WORK/vault" "$WORK/mnt" "$WORK/plain" "$WORK/run" "$WORK/home"
cp "$COFFER" "$WORK/coffer"; cp "$PROBE" "$WORK/probe.py"; cd "$WORK"
as_user() { setpriv --reuid 65534 --regid 65534 --groups 65534,2000 -- env PATH=/usr/bin:/bin "$@"; }
export HOME="$WORK/home" XDG_STATE_HOME="$WORK/home/state" XDG_CONFIG_HOME="$WORK/home/config" \
    XDG_DATA_HOME="$WORK/home/data" COFFER_VAULT="$WORK/vault/v" COFFER_PASSWORD_COMMAND="echo correct horse battery"
export COFFER_RUNTIME_DIR="$WORK/run/root"
./coffer init --kdf-memory 19MiB --kdf-passes 2 --no-recovery
./coffer mount -o allow_other mnt
python3 probe.py make "$WORK/mnt/tree"; python3 probe.py make "$WORK/plain/tree"
./coffer lock
rm -rf home/*; chown -R 65534:65534 vault mnt run home
export COFFER_RUNTIME_DIR="$WORK/run/user"
as_user ./coffer mount mnt
as_user timeout 120 python3 probe.py ask "$WORK/mnt/tree" > in-vault
as_user timeout 120 python3 probe.py ask "$WORK/plain/tree" > beside
as_user ./coffer lock
sed -i "s#$WORK/mnt#ROOT#g" in-vault; sed -i "s#$WORK/plain#ROOT#g" beside
wc -l < beside
diff beside in-vault | head -60
test "$(wc -l < beside)" -gt 5000
cmp beside in-vault
"#;

/// See the module.
#[test]
fn an_ordinary_user_is_refused_what_a_disk_refuses() {
    if !rustix::process::geteuid().is_root() || std::fs::File::open("/dev/fuse").is_err() {
        return skip("needs root and /dev/fuse");
    }
    if !["python3", "setpriv", "unshare", "fusermount3"]
        .iter()
        .all(|name| has(name))
    {
        return skip("needs python3, setpriv, unshare and fusermount3");
    }
    // On a disk's file system; mode bits mean the same on all that are.
    let work = tempfile::tempdir().expect("there is room");
    let probe = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/permissions/probe.py");
    run(
        Command::new("unshare")
            .args(["--mount", "bash", "-euo", "pipefail", "-c", COMPARE])
            .env("WORK", work.path().canonicalize().expect("it was just made"))
            .env("COFFER", coffer_tests::vault::program())
            .env("PROBE", probe),
        b"",
    )
    .ok();
}
