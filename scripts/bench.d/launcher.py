"""The outer half of scripts/bench: options, building, and a closed room for everything else.

Guarantees: whatever way this process ends (^C, kill, even kill -9), no process and no mount that
it started outlives it: they live in a mount and a PID namespace whose first process the kernel
kills with this one. The work folder is removed too (after a kill -9: by the next run).
Measures nothing itself.
"""
import argparse
import ctypes
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

PREFIX = "coffer-bench-"

# PID 1 of the room: a shell, because it also reaps the daemons that are re-parented to it.
FIRST_PROCESS = 'python3 -B "$1" "$2"; exit $?'


def options(argv=None):
    """Reads the command line."""
    p = argparse.ArgumentParser(
        prog="scripts/bench", description="Compares Coffer with gocryptfs and securefs.",
        epilog="A complete run (both places, all rows, Coffer among the systems) writes "
               "docs/benchmarks.md; any other only prints its tables.")
    p.add_argument("--quick", action="store_true",
                   help="a tenth of the data, two rounds: to see that everything runs")
    p.add_argument("--only", metavar="REGEX", default="", help="only rows whose name "
                   "(write-fsync, ls-cold, …; scale for the large vaults, history) matches")
    p.add_argument("--rounds", type=int, metavar="N", help="rounds (default 5; quick: 2)")
    p.add_argument("--where", choices=("tmpfs", "disk", "both"), default="both",
                   help="where the stores lie (default both)")
    p.add_argument("--peers-only", action="store_true", help="without Coffer and the floor")
    p.add_argument("--systems", metavar="A,B,…", help="only these of coffer,gocryptfs,securefs,"
                   "bare,floor (gocryptfs is what ratios are taken against)")
    p.add_argument("--no-scale", action="store_true", help="without the rows for 100,000 entities")
    p.add_argument("--no-history", action="store_true", help="without the rows of texts and history")
    p.add_argument("--huge", action="store_true", help="also write one file of 10 GiB, on disk")
    p.add_argument("--no-write", action="store_true", help="never write docs/benchmarks.md")
    p.add_argument("--cpus", default="2", metavar="N|LIST",
                   help="run on N processors (default 2), or on those listed, as in 2,3")
    p.add_argument("--disk", type=Path, default=Path("/var/tmp"), metavar="DIR",
                   help="folder on the disk to measure (default /var/tmp)")
    p.add_argument("--repo", type=Path, metavar="DIR", help="git repository to clone; default: one "
                   "made of the crates that this project depends on, always the same")
    p.add_argument("--coffer", type=Path, metavar="FILE", help="the program; default: built now")
    p.add_argument("--floor", type=Path, metavar="FILE", help="the floor; default: built now")
    p.add_argument("--recorded", type=Path, metavar="FILE", help="the program that says when a version "
                   "is recorded; default: built now")
    p.add_argument("--json", type=Path, metavar="FILE", help="also write every single figure there")
    o = p.parse_args(argv)
    o.rounds = o.rounds or (2 if o.quick else 5)
    if o.rounds < 1:
        p.error("--rounds wants at least 1")
    return o


def processors(wanted):
    """The processor numbers that `--cpus` means, out of those allowed here."""
    allowed = sorted(os.sched_getaffinity(0))
    if "," in wanted:
        chosen = sorted({int(x) for x in wanted.split(",")})
        if not set(chosen) <= set(allowed):
            sys.exit(f"bench: of the processors {wanted}, only {allowed} may be used here.")
        return chosen
    return allowed[-int(wanted):]


def build(package, what, result):
    """Builds one program; gives its path, or None and the reason on standard error."""
    if not shutil.which("cargo"):
        print(f"bench: no cargo, so {result} is not built and is left out.", file=sys.stderr)
        return None
    done = subprocess.run(["cargo", "build", "-q", "-p", package, *what, "--message-format=json"],
                          cwd=ROOT, stdout=subprocess.PIPE, text=True)
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == result:
            return Path(message["executable"])
    print(f"bench: {result} could not be built and is left out.", file=sys.stderr)
    return None


def programs(o):
    """The programs of ours to measure: name to path."""
    wanted = o.systems.split(",") if o.systems else ["coffer", "floor"]
    found = {}
    if o.peers_only:
        return found
    if "coffer" in wanted:
        found["coffer"] = o.coffer or build("coffer", ["--bin", "coffer"], "coffer")
    if "coffer" in wanted and not o.no_history:
        found["recorded"] = o.recorded or build("coffer-fs", ["--example", "recorded"], "recorded")
    if "floor" in wanted:
        if not o.floor and not list((ROOT / "fs/examples").glob("floor*")):
            print("bench: fs/examples has no floor, so it is left out.", file=sys.stderr)
        else:
            found["floor"] = o.floor or build("coffer-fs", ["--example", "floor"], "floor")
    return {name: path for name, path in found.items() if path}


def die_with_parent():
    """Asks the kernel (prctl PR_SET_PDEATHSIG) to kill this child with its parent."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def sweep(disk):
    """Removes the work folders of runs that were killed with -9: those whose lock is free."""
    for old in disk.glob(PREFIX + "*/running"):
        with open(old) as mark:
            try:
                fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(old.parent, ignore_errors=True)


def end(*_):
    raise KeyboardInterrupt


def main():
    """Runs it all. The exit status is that of the inner half, or 130 when interrupted."""
    o = options()
    if os.geteuid() != 0:
        sys.exit("bench: dropping the kernel's caches needs root; run it with sudo.")
    for tool in ("unshare", "cc", "tar", "git"):
        if not shutil.which(tool):
            sys.exit(f"bench: {tool} is not installed, and is needed.")
    ours = programs(o)
    sweep(o.disk)
    work = Path(tempfile.mkdtemp(prefix=PREFIX, dir=o.disk))
    mark = open(work / "running", "w")
    fcntl.flock(mark, fcntl.LOCK_EX)
    for s in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(s, end)
    room = None
    try:
        (work / "bin").mkdir()
        for name, path in ours.items():  # a copy: a build during the run must not change it
            shutil.copy2(path, work / "bin" / name)
        (work / "plan.json").write_text(json.dumps({
            **{k: str(v) if isinstance(v, Path) else v for k, v in vars(o).items()},
            "cpus": processors(o.cpus), "root": str(ROOT), "work": str(work),
            "cargo_home": os.environ.get("CARGO_HOME", str(Path.home() / ".cargo")),
        }))
        room = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
             "bash", "-c", FIRST_PROCESS, "bench", str(HERE / "inside.py"), str(work / "plan.json")],
            stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=die_with_parent)
        return room.wait()
    except KeyboardInterrupt:
        print("\nbench: interrupted; cleaning up.", file=sys.stderr)
        return 130
    finally:
        if room and room.poll() is None:
            room.kill()
            room.wait()
        shutil.rmtree(work, ignore_errors=True)
