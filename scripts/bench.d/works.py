"""The works measured: scenes of steps, each step in a fresh and then well-used system.

A scene is played on one system after the other, in an order that rotates with the round; within
a scene the steps follow one another, as in a person's day. A step may time itself (a Row's key),
or only prepare the next. Every system gets the same data in a round, and each round other data,
so that nothing is stored already.
"""
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import sources
from systems import Failed


@dataclass(frozen=True)
class Step:
    """One thing to do. `needed`: by later steps, even when its own row is not asked for."""

    key: str | None
    do: Callable
    writes: bool = False
    needed: bool = False
    cold: bool = False  # the kernel's caches are dropped before
    warm_up: tuple = ()  # a program call that brings the program itself into the page cache


@dataclass(frozen=True)
class Scene:
    """Steps that share a freshly made system."""

    name: str
    steps: list
    once: bool = False  # its figure does not vary: one round is enough
    bulky: bool = False  # writes {size}: the machine's memory is touched before


@dataclass(frozen=True)
class Sizes:
    """How much of everything."""

    size: int
    notes: int
    random: int
    saves: int
    renames: int

    def words(self):
        """For the rows' titles."""
        return {"size": f"{self.size >> 20} MiB", "notes": f"{self.notes:,}",
                "random": f"{self.random:,}", "saves": f"{self.saves:,}",
                "renames": f"{self.renames:,}"}


FULL = Sizes(512 << 20, 5000, 3000, 500, 1000)
QUICK = Sizes(64 << 20, 500, 300, 50, 100)


class Turn:
    """One system's turn at one scene: what the steps work with."""

    def __init__(self, load, system, seed, sizes, mem):
        self.load, self.system, self.seed, self.sizes = load, system, seed, sizes
        self.mem = Path(mem)
        self.mnt = system.mnt
        self.first = False  # the first round also compares what was written with its source

    def run(self, *argv, sync=False, status=0):
        """Seconds that a program takes; with `sync`, until everything is durable."""
        more = ["-s", self.mnt, self.system.store] if sync else []
        return self.load("run", *more, "-e", status, *argv)

    def in_mount(self, *names):
        """A path in the mounted folder."""
        return self.mnt.joinpath(*names)


def write_fsync(t):
    return t.load("write", t.in_mount("big"), t.sizes.size, t.seed, "fsync")


def write_only(t):
    return t.load("write", t.in_mount("big"), t.sizes.size, t.seed, "nofsync")


def read(t):
    return t.load("read", t.in_mount("big"))


def check(t):
    t.load("check", t.in_mount("big"), t.sizes.size, t.seed)


def random_reads(t):
    return t.load("pread", t.in_mount("big"), t.sizes.random, t.seed + 1)


def random_writes(t):
    return t.load("pwrite", t.in_mount("big"), t.sizes.random, t.seed + 2)


def untar(t):
    t.in_mount("notes").mkdir()
    # --no-same-owner: what tar does for anybody but root.
    return t.run("tar", "-xf", t.mem / "notes.tar", "--no-same-owner", "-C", t.in_mount("notes"), sync=True)


def compare_tree(t):
    if t.first and subprocess.run(["diff", "-rq", t.mem / "notes", t.in_mount("notes")],
                                  capture_output=True).returncode:
        raise Failed("the untarred notes differ from what the tar holds")


def ls(t):
    return t.run("ls", "-lR", t.in_mount("notes"))


def grep(t):
    return t.run("grep", "-rF", sources.ABSENT, t.in_mount("notes"), status=1)


def cp(t):
    return t.run("cp", "-r", t.in_mount("notes"), t.in_mount("copy"))


def saves(t):
    return t.load("saves", t.in_mount("notes"), t.sizes.saves, t.seed + 3)


def renames(t):
    return t.load("rename", t.in_mount("notes"), t.sizes.renames, t.seed + 4)


def rm(t):
    return t.run("rm", "-rf", t.in_mount("notes"))


def take_in(t):
    """Coffer's import, past the mount; what the others have: cp -r. Both until all is durable."""
    tree = t.mem / "notes"
    if t.system.name == "coffer":
        return t.run(t.system.bin / "coffer", "import", "--vault", t.system.store, tree, sync=True)
    return t.run("cp", "-r", tree, t.in_mount("notes"), sync=True)


def clone(t):
    return t.run("git", "clone", "-q", f"file://{t.mem}/repository.git", t.in_mount("clone"))


def date_index(t):
    """Dates the index after every file. Else git reads again each file as new as its index
    (git's racy-git.txt), which would punish the system whose clone ends within a second."""
    late = time.time() + 2
    os.utime(t.in_mount("clone", ".git", "index"), (late, late))


def status(t):
    return t.run("git", "-C", t.in_mount("clone"), "status")


def twice(t):
    """By how much the store grows, as a share, when the same bytes come again as another file.
    None for a system without a store."""
    t.load("write", t.in_mount("big"), t.sizes.size, t.seed, "fsync")
    t.settle()
    one = t.system.stored()
    if one < t.sizes.size // 2:
        return None
    t.load("write", t.in_mount("big again"), t.sizes.size, t.seed, "fsync")
    t.settle()
    return t.system.stored() / one - 1


SCENES = [
    Scene("one big file", bulky=True, steps=[
        Step("write-fsync", write_fsync, writes=True, needed=True),
        Step("read-cold", read, needed=True, cold=True),
        Step("read-again", read),
        Step(None, check),
        Step("random-reads", random_reads, cold=True),
        Step("random-writes", random_writes, writes=True),
    ]),
    Scene("without fsync", bulky=True, steps=[Step("write", write_only, writes=True)]),
    Scene("notes", steps=[
        Step("untar", untar, writes=True, needed=True, warm_up=("tar", "--version")),
        Step(None, compare_tree),
        Step("ls-cold", ls, needed=True, cold=True, warm_up=("ls", "-lR", "warm")),
        Step("ls-again", ls),
        Step("grep", grep, cold=True, warm_up=("grep", "-rF", "nothing", "warm")),
        Step("cp", cp, writes=True, warm_up=("cp", "-r", "warm", "warmer")),
        Step("saves", saves, writes=True),
        Step("renames", renames, writes=True),
        Step("rm", rm, writes=True, warm_up=("rm", "-rf", "warmer")),
    ]),
    Scene("taking in", steps=[
        Step("import", take_in, writes=True, warm_up=("cp", "-r", "warm", "warmer")),
        Step(None, compare_tree),
    ]),
    Scene("git", steps=[
        Step("git-clone", clone, writes=True, needed=True,
             warm_up=("git", "clone", "-q", "--bare", "file://{mem}/small.git", "warmer")),
        Step(None, date_index),
        Step(None, status),
        Step("git-status", status),
    ]),
    Scene("the same again", once=True, bulky=True, steps=[Step("twice", twice)]),
]
