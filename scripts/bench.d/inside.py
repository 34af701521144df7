"""The inner half of scripts/bench: runs in its own namespaces, started by launcher.py.

Makes the sources, finds out which systems can be measured, plays both parts, writes the page.
Ends with 0 when every system did everything, 1 otherwise. It cleans up nothing that the end of
the namespaces cleans up by itself.
"""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import history
import machine
import report
import scale
import sources
import systems
import works
from measure import Load, run_part

NEEDED_MEMORY = 6 << 30  # bytes: sources, stores in memory, and the data about to be written


def environment(work):
    """A person's surroundings without the person: no settings of whoever runs this are used."""
    home = work / "home"
    for name in ("", "run", "state", "data", "cache", "config"):
        (home / name).mkdir(mode=0o700, exist_ok=True)
    os.environ.update(
        HOME=str(home), LC_ALL="C", TMPDIR=str(home), GIT_CONFIG_GLOBAL="/dev/null",
        GIT_CONFIG_NOSYSTEM="1", XDG_RUNTIME_DIR=str(home / "run"), XDG_STATE_HOME=str(home / "state"),
        XDG_DATA_HOME=str(home / "data"), XDG_CACHE_HOME=str(home / "cache"),
        XDG_CONFIG_HOME=str(home / "config"))
    for name in [n for n in os.environ if n.startswith("COFFER_")]:
        del os.environ[name]


def memory_place(work):
    """Mounts the tmpfs that holds sources and stores."""
    mem = work / "mem"
    mem.mkdir()
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if pages < NEEDED_MEMORY:
        sys.exit(f"bench: {NEEDED_MEMORY >> 30} GiB of memory are needed; try --quick elsewhere.")
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={pages * 3 // 4}", "bench", mem], check=True)
    return mem


def make_sources(plan, mem, sizes):
    """Compiles load.c and makes the notes and the repositories; gives the report's notes."""
    load = mem / "load"
    subprocess.run(["cc", "-O2", "-o", load, Path(__file__).with_name("load.c")], check=True)
    (mem / "warm").mkdir()
    (mem / "warm/file").write_text("warm\n")
    sources.notes_tar(mem / "notes.tar", sizes.notes)
    (mem / "notes").mkdir()
    subprocess.run(["tar", "-xf", mem / "notes.tar", "-C", mem / "notes"], check=True)
    print("bench: making a repository to clone …", flush=True)
    what = sources.git_repository(mem / "repository.git", plan["root"], plan["cargo_home"], plan["repo"])
    subprocess.run([*sources.GIT, "init", "-q", "--bare", mem / "small.git"], check=True)
    return Load(load), what


def choose(plan, work):
    """The classes to measure, and (name, reason) of those left out."""
    names = plan["systems"].split(",") if plan["systems"] else [c.name for c in systems.ALL]
    if plan["peers_only"]:
        names = [n for n in names if n not in ("coffer", "floor")]
    chosen, skipped = [], []
    for cls in systems.ALL:
        if cls.name not in names:
            continue
        why = cls(work / "probe", work / "bin").available()
        if why:
            skipped.append((cls.title, why))
            print(f"bench: {cls.title} is left out, because {why}", flush=True)
        else:
            chosen.append(cls)
    return chosen, skipped


def main():
    """See the head of this file."""
    plan = json.loads(Path(sys.argv[1]).read_text())
    work, root = Path(plan["work"]), Path(plan["root"])
    os.sched_setaffinity(0, plan["cpus"])
    busy = f"{os.getloadavg()[0]:.1f} (load average over the minute before)"
    environment(work)
    mem, disk = memory_place(work), work / "disk"
    disk.mkdir()
    sizes = works.QUICK if plan["quick"] else works.FULL
    chosen, skipped = choose(plan, work)
    load, repository = make_sources(plan, mem, sizes)
    scenes = works.SCENES
    if not repository:
        print("bench: there are no crates to make a repository of (cargo fetch), "
              "and no --repo: the git rows are left out.", flush=True)
        skipped.append(("git", "there was no repository to clone"))
        scenes = [s for s in scenes if s.name != "git"]
    results = {}
    for where, place in (("tmpfs", mem), ("disk", disk)):
        if plan["where"] not in (where, "both"):
            continue
        result = {"figures": run_part(where, place, mem, work / "bin", chosen, scenes, sizes,
                                      plan["rounds"], plan["only"], load)}
        if not plan["no_scale"] and re.search(plan["only"], "scale"):
            counts = scale.QUICK_COUNTS if plan["quick"] else scale.COUNTS
            result["scale"], result["failures"] = scale.run(where, place, mem, work / "bin", chosen,
                                                            counts, load)
        asked = not plan["no_history"] and re.search(plan["only"], "history")
        if where == "tmpfs" and asked and systems.Coffer in chosen:
            result["history"], failures = history.run(place, mem, work / "bin", plan["quick"], load)
            result.setdefault("failures", []).extend(failures)
        if where == "disk" and plan["huge"]:
            result["huge"], failures = scale.huge(place, work / "bin", chosen)
            result.setdefault("failures", []).extend(failures)
        results[where] = result
    versions = [(c.title, c(work / "probe", work / "bin").version()) for c in chosen]
    text = report.page(plan, machine.describe(disk), versions, results, sizes.words(), chosen,
                       skipped, [("repository", repository or "none"),
                                 ("other work on the machine", busy)])
    print("\n" + text)
    complete = (plan["where"] == "both" and not plan["only"] and not plan["quick"]
                and not plan["no_scale"] and not plan["no_history"]
                and any(c.name == "coffer" for c in chosen))
    if complete and not plan["no_write"]:
        (root / "docs").mkdir(exist_ok=True)
        (root / "docs/benchmarks.md").write_text(text)
        print("bench: docs/benchmarks.md is written.")
    else:
        print("bench: docs/benchmarks.md is left as it was (not a complete run).")
    if plan["json"]:
        Path(root, plan["json"]).write_text(json.dumps(
            {w: {**r, "figures": r["figures"].plain()} for w, r in results.items()}, indent=1))
    return 1 if any(r["figures"].failures or r.get("failures") for r in results.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
