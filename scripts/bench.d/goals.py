"""The rows of the table and what is to be reached: median time of Coffer over gocryptfs's.

The goals hold with the stores in memory. On disk the figures are shown beside, except where a
row has goals for the disk too.
"""
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of the table. Goals are ratios to gocryptfs; `space` rows are growth instead."""

    key: str
    title: str
    goal: float
    stretch: float | None
    disk_goal: float | None = None
    disk_stretch: float | None = None
    space: bool = False

    def goals(self, where):
        """(goal, stretch) for the stores `where`; None where there is none."""
        if where == "tmpfs" or self.space:
            return self.goal, self.stretch
        return self.disk_goal, self.disk_stretch


ROWS = [
    Row("write-fsync", "write {size}, then fsync", 0.6, 0.45),
    Row("write", "write {size} without fsync", 0.6, 0.3),
    Row("read-cold", "read it, kernel's cache dropped", 0.8, 0.6),
    Row("read-again", "read it again", 0.3, 0.25),
    Row("random-reads", "{random} random 4 KiB reads, cache dropped", 0.9, 0.7),
    Row("random-writes", "{random} random 4 KiB writes, then fsync", 0.7, 0.5),
    Row("untar", "untar {notes} notes (0.3–16 KiB) + sync", 0.55, 0.4),
    Row("ls-cold", "ls -lR, cache dropped", 0.5, 0.35),
    Row("ls-again", "ls -lR again", 0.15, 0.1),
    Row("grep", "grep -r, cache dropped", 0.7, 0.5),
    Row("cp", "cp -r of that tree", 0.55, 0.4),
    Row("saves", "{saves} saves (temporary file, fsync, rename)", 0.9, 0.7, 0.8, 0.6),
    Row("renames", "{renames} renames", 0.9, 0.7),
    Row("rm", "rm -rf", 0.6, 0.4),
    Row("import", "coffer import of that tree, beside cp -r of it into the others", 0.33, None),
    Row("git-clone", "git clone of a real repository", 0.7, 0.5),
    Row("git-status", "git status in it", 0.25, 0.15),
    Row("twice", "storing the same {size} twice: space", 0.01, None, space=True),
]

MIB, GIB = 2**20, 2**30


@dataclass(frozen=True)
class ScaleGoal:
    """One column of the table of large vaults; the goal is absolute and holds at 100,000."""

    key: str
    title: str
    goal: float | None
    unit: str  # "s" or "B"


SCALE = [
    ScaleGoal("fill", "untar + sync", None, "s"),
    ScaleGoal("mount", "mount after an orderly end", 1.0, "s"),
    ScaleGoal("mount-killed", "mount after kill -9", 1.0, "s"),
    ScaleGoal("passwd", "password change", 1.0, "s"),
    ScaleGoal("memory", "resident after ls -lR", 150e6, "B"),
]

HISTORY = [
    ScaleGoal("recorded-4k", "a save of a 4 KB note: close → version recorded, p50", 0.005, "s"),
    ScaleGoal("recorded-200k", "the same of 200 KB", 0.015, "s"),
    ScaleGoal("room", "stored for 1,000 small edits of a 20 KB note", 400e3, "B"),
    ScaleGoal("log", "`coffer log` of a note with 10,000 versions", 0.1, "s"),
    ScaleGoal("show", "`coffer show` of an old one of them", 0.1, "s"),
    ScaleGoal("announced-all", "importing over 1,000 watched files, until inotify has told of the last", None, "s"),
    ScaleGoal("announced", "of that, after the import has ended", 1.0, "s"),
    ScaleGoal("answer", "the longest that the mount took to answer meanwhile", None, "s"),
    ScaleGoal("import-memory", "most memory while 10,000 notes are imported, daemon and program", 200e6, "B"),
]

HUGE = ScaleGoal("huge", "most memory resident while a file of 10 GiB is written", 200e6, "B")
