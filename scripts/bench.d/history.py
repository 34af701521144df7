"""What texts and their history cost: recording a save, storing it, asking for it, taking files in, and
telling the kernel of what came past it.

Absolute figures of Coffer with its store in memory, through a real mount; seen from outside, but for
the moment in which a version is recorded, which an example in fs/ says. Starting the program is part of
what `log` and `show` take.
"""
import ctypes
import os
import random
import shutil
import statistics
import struct
import subprocess
import threading
import time

import machine
import sources
from measure import settle
from systems import Failed, Coffer

WORDS = ("time", "bread", "river", "letter", "and", "the", "of", "window", "to", "garden", "not", "evening")
RECORDED = {"recorded-4k": 4_000, "recorded-200k": 200_000}
ROUNDS, QUICK_ROUNDS = 40, 8
MANY, QUICK_MANY = 10_000, 500
EDITS, QUICK_EDITS = 1_000, 100
ANNOUNCED, QUICK_ANNOUNCED = 1_000, 100
NOTES, QUICK_NOTES = 10_000, 1_000
FIRST = 100          # edits before those whose room is measured
PACE = 250           # saves in a row, as fast as they go
ASKED = 9            # times that log and show are asked; the median is shown
PATIENCE = 60.0      # seconds for anything to show
REST = 0.7           # seconds between two saves by a person who is quick


def prose(rng, size):
    """About `size` bytes of words in lines of ten."""
    words = []
    while sum(map(len, words)) + len(words) < size:
        words.extend([" ".join(rng.choice(WORDS) for _ in range(10)) + "\n"])
    return "".join(words)


def edited(rng, text):
    """The text with one word more, anywhere."""
    at = text.index(" ", rng.randrange(len(text) - 200))
    return f"{text[:at]} {rng.choice(WORDS)}{rng.randrange(1000)}{text[at:]}"


def save(path, text):
    """As an editor that writes over the file."""
    with open(path, "w") as f:
        f.write(text)


def versions(system, name):
    """How many versions of a file are recorded; asking waits for nothing."""
    return len(os.listdir(system.mnt / ".coffer" / "history" / name))


def until(what, done):
    """Waits until `done()`."""
    end = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > end:
            raise Failed(f"{what} took more than {PATIENCE:.0f} s")
        time.sleep(0.0002)


def recorded(system, size, rounds, rest=REST):
    """Seconds from close to a version that is recorded, for each of so many saves. Its own vault lies
    in `store` after that."""
    system.home.mkdir(parents=True)
    system.mnt.mkdir()
    done = subprocess.run([system.bin / "recorded", system.store, system.mnt, str(size), str(rounds),
                           str(round(rest * 1000))], capture_output=True, text=True, timeout=1800)
    if done.returncode:
        raise Failed(f"recorded: {done.stderr.strip()[-300:]}")
    return [int(line) / 1e9 for line in done.stdout.split()]


def room(system, edits):
    """Bytes by which the store has grown after so many small edits of a note of 20 KB, each a version
    by itself, per 1,000 of them; beyond the first, since an empty store has room in its database."""
    stored = []
    for rounds in (FIRST, FIRST + edits):
        recorded(system, 20_000, rounds, rest=0)
        stored.append(sum(p.stat().st_size for p in system.store.rglob("*") if p.is_file()))
        system.remove()
    return (stored[1] - stored[0]) * 1000 / edits


def asked(system, load, many):
    """Seconds of `coffer log` and of `coffer show` of an old version, of a note with so many."""
    rng, name = random.Random(3), "many.md"
    text = prose(rng, 4_000)
    for number in range(many):
        if number % 2_000 == 1_999:
            text = prose(rng, 4_000)
        text = edited(rng, text)
        save(system.mnt / name, text)
        if number % PACE == PACE - 1:  # more at a time are not all kept in memory
            until("recording what was saved", lambda n=number: versions(system, name) == n + 1)
    until("recording what was saved", lambda: versions(system, name) == many)
    settle(load, system)
    coffer, path = system.bin / "coffer", system.mnt / name
    log = [load("run", coffer, "log", path) for _ in range(ASKED)]
    show = [load("run", coffer, "show", f"{path}@{number}")
            for number in (many * (i + 1) // (ASKED + 2) for i in range(ASKED))]
    return {"log": statistics.median(log), "show": statistics.median(show)}


class Watch:
    """An inotify watch on a folder: when it last heard of each name (inotify(7))."""

    MASK = 0x2 | 0x4 | 0x8 | 0x80 | 0x100  # modified, attributes, closed, moved here, created

    def __init__(self, folder):
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.inotify_init1(os.O_CLOEXEC)
        if self.fd < 0 or libc.inotify_add_watch(self.fd, os.fsencode(folder), self.MASK) < 0:
            raise Failed("inotify cannot be had")
        self.heard, self.last = set(), 0.0
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        """Reads events for ever."""
        while data := os.read(self.fd, 1 << 16):
            at = 0
            while at < len(data):
                _, _, _, length = struct.unpack_from("iIII", data, at)
                self.heard.add(data[at + 16:at + 16 + length].rstrip(b"\0"))
                at += 16 + length
            self.last = time.monotonic()


class Touch:
    """Asks the mount for something all the time; the longest answer."""

    def __init__(self, path):
        self.path, self.longest, self.goes_on = path, 0.0, True
        self.thread = threading.Thread(target=self.ask, daemon=True)
        self.thread.start()

    def ask(self):
        """Until it is told to end."""
        while self.goes_on:
            began = time.monotonic()
            with open(self.path, "rb") as f:
                f.read(1)
            self.longest = max(self.longest, time.monotonic() - began)
            time.sleep(0.001)

    def end(self):
        """The longest answer, in seconds."""
        self.goes_on = False
        self.thread.join()
        return self.longest


def announced(system, mem, count):
    """Seconds from the end of an import that changes so many watched files until the last of them was
    heard of by inotify; and the longest that the mount took to answer meanwhile."""
    rng, source = random.Random(4), mem / "announced"
    for turn in range(2):
        shutil.rmtree(source, ignore_errors=True)
        source.mkdir()
        for number in range(count):
            (source / f"{number}.md").write_text(prose(rng, 1_000) + str(turn))
        if turn:
            watch, touch = Watch(system.mnt / "announced"), Touch(system.mnt / "announced" / "0.md")
        began = time.monotonic()
        system.coffer("import", "--vault", system.store, source, *(["--replace"] if turn else []))
    ended = time.monotonic()
    until("announcing", lambda: len(watch.heard) >= count)
    time.sleep(0.05)
    longest = touch.end()
    shutil.rmtree(source)
    return {"announced": max(0.0, watch.last - ended), "announced-all": watch.last - began, "answer": longest}


def imported(system, mem, count):
    """The most memory that an import of so many notes takes, the daemon's and the program's."""
    tar, source = mem / "history.tar", mem / "history"
    sources.notes_tar(tar, count, seed=17)
    source.mkdir()
    subprocess.run(["tar", "-xf", tar, "-C", source], check=True)
    tar.unlink()
    machine.reset_peak(system.daemons())
    most, ended = [0], threading.Event()

    def look():
        while not ended.wait(0.01):
            most[0] = max(most[0], machine.memory(system.daemons(), "VmHWM"))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        system.coffer("import", "--vault", system.store, source)
    finally:
        ended.set()
        watcher.join()
        shutil.rmtree(source)
    return max(most[0], machine.memory(system.daemons(), "VmHWM"))


def run(place, mem, bin_dir, quick, load):
    """Figures by the keys of goals.HISTORY, and failures as (system, what, text)."""
    found, failures = {}, []
    rounds, many, edits, told, notes = (
        (QUICK_ROUNDS, QUICK_MANY, QUICK_EDITS, QUICK_ANNOUNCED, QUICK_NOTES) if quick
        else (ROUNDS, MANY, EDITS, ANNOUNCED, NOTES))
    alone = {  # these make their own vault
        **{key: (lambda s, n=size, k=key: {k: statistics.median(recorded(s, n, rounds))})
           for key, size in RECORDED.items()},
        "room": lambda s: {"room": room(s, edits)},
    }
    parts = {
        **alone,
        "asked": lambda s: asked(s, load, many),
        "announced": lambda s: announced(s, mem, told),
        "imported": lambda s: {"import-memory": imported(s, mem, notes)},
    }
    for name, part in parts.items():
        system = Coffer(place / f"history-{name}", bin_dir)
        try:
            if name not in alone:
                system.create()
                system.mount()
            figures = part(system)
            if name not in alone:
                system.unmount()
            found.update(figures)
            said = ", ".join(f"{k} {v:.4g}" for k, v in figures.items())
        except (Failed, OSError, subprocess.SubprocessError) as e:
            failures.append((Coffer.name, name, str(e).replace(str(system.home), "…")))
            said = f"FAILED: {e}"
        finally:
            system.remove()
        print(f"[history] {name}: {said}", flush=True)
    return found, failures
