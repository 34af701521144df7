"""Turns figures into docs/benchmarks.md: ratios and goals first, then the absolute figures.

Misses are included and named. Nothing here names a host or a path.
"""
import datetime
import statistics

from goals import HISTORY, HUGE, ROWS, SCALE

BASE = "gocryptfs"
PLACES = {"tmpfs": "Stores in memory (tmpfs)", "disk": "Stores on disk"}
NOTHING = "–"


def ratio(figures, key, system):
    """Median over the rounds of `system`'s time over gocryptfs's in the same round, or None."""
    of, base = figures.value[key].get(system, {}), figures.value[key].get(BASE, {})
    paired = [of[r] / base[r] for r in of if r in base and base[r] > 0]
    return statistics.median(paired) if paired else None


def figure_of(row, figures, system):
    """What is compared with the row's goal: a ratio, or for space the store's growth."""
    if row.space:
        values = figures.value[row.key].get(system, {}).values()
        return statistics.median(values) if values else None
    return ratio(figures, row.key, system)


def show(row, value):
    """A figure or a goal of this row, for people."""
    if value is None:
        return NOTHING
    return f"{value:+.1%}" if row.space else f"{value:.2f}"


def show_goal(row, value):
    """A goal of this row."""
    return NOTHING if value is None else (f"< {value:.0%}" if row.space else f"{value:g}")


def verdict(value, goal, stretch):
    """Whether a figure reaches its goals."""
    if goal is None:
        return NOTHING
    if value is None:
        return "not measured"
    if stretch is not None and value <= stretch:
        return "yes, stretch"
    return "yes" if value <= goal else "**no**"


def seconds(value):
    """Seconds, to three digits."""
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def table(head, lines):
    """A Markdown table."""
    return ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head),
            *("| " + " | ".join(line) + " |" for line in lines), ""]


def ratios(where, figures, rows, words):
    """The first table, and the misses in it."""
    lines, misses = [], []
    for row in rows:
        goal, stretch = row.goals(where)
        value = figure_of(row, figures, "coffer")
        if value is None and goal is None and not figures.value[row.key]:
            continue
        title = row.title.format(**words)
        lines.append([title, show_goal(row, goal), show_goal(row, stretch), show(row, value),
                      *(show(row, figure_of(row, figures, s)) for s in ("securefs", "bare", "floor")),
                      verdict(value, goal, stretch)])
        if verdict(value, goal, stretch) == "**no**":
            misses.append(f"{title}: {show(row, value)}, goal {show_goal(row, goal)}")
    head = ["work", "goal", "stretch", "Coffer / gocryptfs", "securefs / gocryptfs",
            "bare / gocryptfs", "floor / gocryptfs", "met?"]
    return table(head, lines), misses


def absolutes(figures, rows, words, systems):
    """The second table: medians, and the least and the most in brackets."""
    lines = []
    for row in (r for r in rows if not r.space):
        cells = []
        for cls in systems:
            v = list(figures.value[row.key].get(cls.name, {}).values())
            cells.append(f"{seconds(statistics.median(v))} ({seconds(min(v))}–{seconds(max(v))})"
                         if v else NOTHING)
        if any(c != NOTHING for c in cells):
            put_off = figures.after[row.key].get("coffer", [])
            off = statistics.median(put_off) if put_off else 0.0
            lines.append([row.title.format(**words), *cells, seconds(off) if off >= 0.01 else NOTHING])
    return table(["seconds: median (least–most)", *(c.title for c in systems),
                  "Coffer's processor time after"], lines)


def amount(goal, value):
    """Seconds or bytes, for people."""
    if value is None:
        return NOTHING
    if goal.unit == "B":
        return f"{value / 1e6:.0f} MB" if value >= 1e7 else f"{value / 1e3:.0f} KB"
    return f"{value:.2f} s" if value >= 0.995 or goal.goal == 1.0 else f"{value * 1000:.1f} ms"


def scale_table(found):
    """The table of large vaults, and Coffer's misses at the largest that was measured."""
    lines, misses = [], []
    for count, by_system in found.items():
        for name, figure in by_system.items():
            lines.append([f"{count:,}", name, *(amount(g, figure.get(g.key)) for g in SCALE)])
    largest = max(found, default=0)
    mine = found.get(largest, {}).get("coffer")
    for g in SCALE if mine else ():
        if g.goal and mine.get(g.key, 0) > g.goal:
            misses.append(f"{g.title} with {largest:,} entities: {amount(g, mine[g.key])}, "
                          f"goal {amount(g, g.goal)}")
    goals = ["goal", "coffer", *(amount(g, g.goal) if g.goal else NOTHING for g in SCALE)]
    return table(["entities", "system", *(g.title for g in SCALE)], [goals, *lines]), misses


def history_table(found):
    """The table of history, and its misses."""
    lines = [[g.title, amount(g, g.goal), amount(g, found[g.key]),
              NOTHING if g.goal is None else "yes" if found[g.key] <= g.goal else "**no**"]
             for g in HISTORY if g.key in found]
    misses = [f"{title}: {value}, goal {goal}" for title, goal, value, met in lines if met == "**no**"]
    return table(["work", "goal", "Coffer", "met?"], lines), misses


def part(where, result, words, systems):
    """One part of the page."""
    out = [f"## {PLACES[where]}", ""]
    figures = result["figures"]
    rows = [r for r in ROWS if figures.value[r.key]]
    misses = []
    if rows:
        lines, misses = ratios(where, figures, rows, words)
        out += lines + absolutes(figures, rows, words, systems)
    if result.get("scale"):
        lines, more = scale_table(result["scale"])
        out += ["### Larger and larger vaults", ""] + lines
        misses += more
    if result.get("history"):
        lines, more = history_table(result["history"])
        out += ["### Texts and their history", ""] + lines
        misses += more
    if result.get("huge"):
        out += [f"{HUGE.title}: " + ", ".join(f"{name} {amount(HUGE, value)}"
                                             for name, value in result["huge"].items())
                + f" (goal for Coffer: {amount(HUGE, HUGE.goal)}).", ""]
        if result["huge"].get("coffer", 0) > HUGE.goal:
            misses.append(f"{HUGE.title}: {amount(HUGE, result['huge']['coffer'])}")
    if any("coffer" in by for by in figures.value.values()):
        out += ["Misses: none." if not misses else "Misses:"] + [f"- {m}" for m in misses] + [""]
    failures = [f"- {name}, {what}: {text}" for name, what, text in
                [*figures.failures, *result.get("failures", [])]]
    if failures:
        out += ["Failed, and so not in the tables:"] + failures + [""]
    return out


METHOD = """\
Ratios are medians of paired ratios: in each round every system does the same work with the same
data, and its time is divided by gocryptfs's of that round; the order of the systems rotates. In
every scene each system starts from an empty store, and only one is mounted at a time. Sources lie
in memory; programs are in the page cache before they are timed. Loops of system calls run in a
small C program (`scripts/bench.d/load.c`), which also times the other programs from fork to exit.

- Big files are written and read 1 MiB at a time; their bytes are random, and new in each round.
- "+ sync" is syncfs on the mount, fsync of its root, and syncfs on the store's file system.
- "cache dropped" is `drop_caches` 3 just before. In memory, that empties the caches above the
  store, not the store itself; the daemons stay as they are.
- The tree is copied within the mounted folder. `git status` is the second one after the clone,
  with an index dated after all files, so that git looks at their times only.
- After each writing step a system gets time to finish what it put off; the last column of the
  tables of seconds shows the processor time that Coffer took for that.
- Of history: a save writes over the note, 0.7 s after the one before, and its version is recorded
  when the vault's feed of changes says so. `log` and `show` are the program from start to end. Stored bytes
  are the lengths of all files, unmounted, before and after; each edit is a version by itself.
- Mounting and changing a password include password hashing (Coffer: 19 MiB, 2 passes).
"""


def page(plan, machine_facts, versions, results, words, systems, skipped, notes):
    """The whole page as text."""
    today = datetime.date.today().isoformat()
    out = ["# Benchmarks", "",
           "Written by `scripts/bench`; do not edit. Median time, ours over gocryptfs's: less is "
           "better. The goals hold with the stores in memory; on disk, the disk's own noise is large.",
           "", f"Run on {today}, {plan['rounds']} rounds"
           + (", with a fraction of the data (`--quick`)" if plan["quick"] else "") + ".", ""]
    for where, result in results.items():
        out += part(where, result, words, systems)
    out += ["## How it is measured", "", METHOD, "## With what", ""]
    out += [f"- {name}: {value}" for name, value in [*machine_facts, *versions, *notes]]
    out += [f"- left out: {name}, because {why}" for name, why in skipped]
    return "\n".join(out).rstrip() + "\n"
