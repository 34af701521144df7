"""How cost grows with the number of entities: mounting, changing the password, memory.

Absolute figures. Mounting and changing the password include the password hashing, for Coffer at
its floor (19 MiB, 2 passes: some hundredths of a second), so they are upper bounds of what the
goals speak of. Caches are dropped before each mount. The peers are shown in memory only: a
hundred thousand files on disk take them minutes.
"""
import os
import statistics
import subprocess

import machine
import sources
from measure import settle
from systems import Failed, Coffer, Gocryptfs, Securefs

COUNTS, QUICK_COUNTS = (1_000, 10_000, 100_000), (1_000,)
TIMES = 3          # mounts of each kind; the median is shown
KILL_SAVES = 200   # saves just before each kill
SYSTEMS = (Coffer, Gocryptfs, Securefs)
HUGE_BYTES = 10 << 30


def mount_cold(system):
    """Seconds from the command to a mount that answers, with nothing in the kernel's caches."""
    machine.drop_caches()
    return system.mount()


def one(system, tar, load):
    """The figures for one system and one number of notes, by the keys of goals.SCALE."""
    figure = {}
    system.create()
    system.mount()
    system.mnt.joinpath("notes").mkdir()
    figure["fill"] = load("run", "-s", system.mnt, system.store, "tar", "-xf", tar,
                          "--no-same-owner", "-C", system.mnt / "notes")
    settle(load, system)
    system.unmount()
    orderly = []
    for _ in range(TIMES):
        orderly.append(mount_cold(system))
        system.unmount()
    figure["mount"] = statistics.median(orderly)
    mount_cold(system)
    load("run", "ls", "-lR", system.mnt)
    settle(load, system)
    figure["memory"] = machine.memory(system.daemons())
    killed = []
    for seed in range(TIMES):
        load("saves", system.mnt / "notes", KILL_SAVES, seed)
        system.kill()
        killed.append(mount_cold(system))
    figure["mount-killed"] = statistics.median(killed)
    system.unmount()
    if isinstance(system, Coffer):
        figure["passwd"] = system.change_password()
        system.mount()
        system.unmount()
    return figure


def run(where, place, mem, bin_dir, classes, counts, load):
    """Figures by count and system's name, and failures as (system, count, text)."""
    found, failures = {}, []
    chosen = [c for c in SYSTEMS if c in classes and (c is Coffer or where == "tmpfs")]
    for count in counts if chosen else ():
        tar = mem / "scale.tar"
        sources.notes_tar(tar, count, seed=count)
        for cls in chosen:
            system = cls(place / f"{cls.name}-{count}", bin_dir)
            try:
                figure = one(system, tar, load)
                found.setdefault(count, {})[cls.name] = figure
                said = ", ".join(f"{k} {v:.4g}" for k, v in figure.items())
            except (Failed, OSError, subprocess.SubprocessError) as e:
                failures.append((cls.name, f"{count:,} entities", str(e)))
                said = f"FAILED: {e}"
            finally:
                system.remove()
            print(f"[{where}] {count:,} entities: {cls.name}: {said}", flush=True)
        tar.unlink()
    return found, failures


def huge(place, bin_dir, classes):
    """The most memory resident while one file of 10 GiB is written: bytes, by system's name."""
    found, failures = {}, []
    for cls in [c for c in SYSTEMS if c in classes]:
        system = cls(place / f"{cls.name}-huge", bin_dir)
        try:
            system.create()
            system.mount()
            machine.reset_peak(system.daemons())
            write_fresh(system.mnt / "huge", HUGE_BYTES)
            found[cls.name] = machine.memory(system.daemons(), "VmHWM")
            system.unmount()
        except (Failed, OSError) as e:
            failures.append((cls.name, "a file of 10 GiB", str(e)))
        finally:
            system.remove()
        print(f"[disk] 10 GiB: {cls.name}: {found.get(cls.name, failures[-1:])}", flush=True)
    return found, failures


def write_fresh(path, size):
    """Writes `size` random bytes with fsync at the end, a MiB at a time."""
    with open(path, "xb", buffering=0) as f:
        for _ in range(size >> 20):
            view = memoryview(os.urandom(1 << 20))
            while view:
                view = view[f.write(view):]
        os.fsync(f.fileno())
