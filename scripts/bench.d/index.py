"""`scripts/bench index`: questions to a vault of 100,000 files, half of them notes of 2 KB, beside plain tools over the same files in the same run.

Each question is a run of the program, from its start to its end: the row “nothing” is what that costs by itself. Plain tools read the
same files from the disk's cache on the same file system. Prints a table, and with --write puts it into docs/benchmarks.md between
its marks. Needs root and /dev/fuse.
"""
import argparse
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from launcher import die_with_parent
from sync import QUICK, ROOT, status_of

MARKS = ("<!-- index -->", "<!-- end of index -->")
PASSWORD = "a bench of questions, 7 lanterns"


def words(rng, count=20_000):
    """A vocabulary, the frequent words first."""
    syllables = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "er", "ol")]
    made = set()
    while len(made) < count:
        made.add("".join(rng.choice(syllables) for _ in range(rng.randint(1, 4))))
    made = sorted(made)
    rng.shuffle(made)
    return made


def tree(root, notes, others, rng):
    """A tree of notes with links, tags and tasks, of contacts, and of other small files."""
    vocabulary = words(rng)
    weights = [1 / (rank + 3) for rank in range(len(vocabulary))]
    text = rng.choices(vocabulary, weights, k=400_000)
    at = 0
    for number in range(notes):
        folder = root / "Notes" / f"{number // 500:03}"
        folder.mkdir(parents=True, exist_ok=True)
        body = [f"# Note {number} {text[number % len(text)]}", ""]
        size = 0
        while size < 1800:
            at = (at + 97) % (len(text) - 12)
            line = " ".join(text[at : at + 12])
            size += len(line) + 1
            body.append(line)
        body.append(f"See [[note-{rng.randrange(notes)}]] and #{rng.choice(vocabulary[:200])}")
        if number % 5 == 0:
            body.append(f"- [ ] {text[at]} {text[at + 1]} 📅 2026-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}")
        (folder / f"note-{number}.md").write_text("\n".join(body) + "\n")
    for number in range(others):
        folder = root / "Files" / f"{number // 500:03}"
        folder.mkdir(parents=True, exist_ok=True)
        if number % 50 == 0:
            name = f"{rng.choice(vocabulary)} {rng.choice(vocabulary)}"
            card = f"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:{name}\r\nTEL:+49 {number}\r\nEMAIL:{number}@example.org\r\nEND:VCARD\r\n"
            (folder / f"{number}.vcf").write_text(card)
        else:
            extension = rng.choice(["jpg", "pdf", "csv", "bin"])
            (folder / f"{rng.choice(vocabulary)}-{number}.{extension}").write_bytes(rng.randbytes(rng.randint(100, 600)))


class Vault:
    """A vault with its daemon."""

    def __init__(self, program, base):
        self.program, self.base = program, base
        for name in ("run", "state", "data", "home", "mnt"):
            (base / name).mkdir(mode=0o700)
        self.env = {
            "PATH": os.environ["PATH"], "HOME": str(base / "home"), "COFFER_RUNTIME_DIR": str(base / "run"),
            "XDG_STATE_HOME": str(base / "state"), "XDG_DATA_HOME": str(base / "data"), "COFFER_VAULT": str(base / "vault"),
        }
        (base / "password").write_text(PASSWORD)
        (base / "password").chmod(0o600)
        self.key = ["--password-file", str(base / "password")]

    def run(self, *args, check=True):
        done = subprocess.run([self.program, *args], env=self.env, capture_output=True, text=True)
        if check and done.returncode:
            raise SystemExit(f"bench: coffer {' '.join(args[:2])}: {done.stderr}")
        return done.stdout

    def mount(self):
        self.run("mount", str(self.base / "mnt"), *self.key)

    def processes(self):
        import json
        daemon = json.loads(self.run("status", "--json"))["mount"]["pid"]
        below = Path(f"/proc/{daemon}/task/{daemon}/children").read_text().split()
        children = [int(pid) for task in Path(f"/proc/{daemon}/task").iterdir() for pid in (task / "children").read_text().split()]
        worker = [pid for pid in {*map(int, below), *children} if b"index-worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        return daemon, worker[0]

    def timed(self, *args, times=15):
        """Milliseconds of a command, the median."""
        took = []
        for _ in range(times):
            begun = time.perf_counter()
            self.run(*args)
            took.append((time.perf_counter() - begun) * 1000)
        return statistics.median(took)


def plain(command, times=5):
    took = []
    for _ in range(times):
        begun = time.perf_counter()
        subprocess.run(command, shell=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        took.append((time.perf_counter() - begun) * 1000)
    return statistics.median(took)


def measured(program, base, notes, others, say):
    rows = []

    def row(what, goal, seen, beside=""):
        rows.append((what, goal, seen, beside))
        say(f"{what}: {seen} (goal {goal}) {beside}")

    rng = random.Random(7)
    source = base / "source"
    tree(source, notes, others, rng)
    vault = Vault(program, base)
    vault.run("init", "--no-recovery", *QUICK, *vault.key)
    vault.mount()
    begun = time.perf_counter()
    vault.run("import", str(source) + "/.")
    say(f"import of {notes + others} files: {time.perf_counter() - begun:.1f} s")
    vault.run("sql", "SELECT count(*) FROM files")
    vault.run("lock")

    begun = time.perf_counter()
    vault.mount()
    mounted = time.perf_counter() - begun
    os.listdir(base / "mnt" / "Notes")
    used = time.perf_counter() - begun
    vault.run("sql", "SELECT count(*), sum(words) FROM notes")
    full = time.perf_counter() - begun
    row("unlock → first query answered in full, beyond the mount's own time", "5 s", f"{full - mounted:.1f} s", f"mount usable after {used:.2f} s")
    time.sleep(3)
    daemon, worker = vault.processes()
    memory = [status_of(pid, "VmRSS") >> 20 for pid in (worker, daemon)]
    row("memory for all of it, at rest", "400 MB", f"{memory[0]} MB", f"the daemon beside it {memory[1]} MB")
    row("memory, at most while it was filled", "", f"{status_of(worker, 'VmHWM') >> 20} MB")

    row("nothing: `SELECT 1`", "", f"{vault.timed('sql', 'SELECT 1'):.1f} ms")
    find = plain(f"find {source} -type f -printf '%s %p\\n' | sort -n | tail -10")
    row("sort over `files`", "20 ms", f"{vault.timed('sql', 'SELECT path, size FROM files ORDER BY size DESC LIMIT 10'):.1f} ms", f"find, sort: {find:.0f} ms")
    row("aggregate over `files`", "20 ms", f"{vault.timed('sql', 'SELECT kind, count(*), sum(size), max(modified) FROM files GROUP BY kind'):.1f} ms")
    join = (
        "SELECT count(*), min(t.due), max(n.words) FROM tasks t JOIN notes n USING (path) "
        "LEFT JOIN contacts c ON contains(t.text, c.family) WHERE t.status = 'open' AND t.due < DATE '2026-06-01'"
    )
    row("join of tasks, notes and contacts", "60 ms", f"{vault.timed('sql', join):.1f} ms")
    common = words(random.Random(7))
    two = f"{common[40]} {common[60]}"
    grep = "rg -l" if shutil.which("rg") else "grep -rl"
    seen = plain(f"{grep} {common[40]} {source}/Notes | xargs grep -l {common[60]}")
    row("ranked search, two words, the best 20 with snippets", "15 ms", f"{vault.timed('search', two):.1f} ms", f"{grep.split()[0]}: {seen:.0f} ms")

    note = base / "mnt" / "Notes" / "000" / "note-1.md"
    took = []
    for turn in range(20):
        note.write_text(f"# Turn {turn}\n")
        begun = time.perf_counter()
        title = vault.run("sql", "--format", "csv", "SELECT title FROM notes WHERE path = 'Notes/000/note-1.md'").split("\n")[1]
        took.append((time.perf_counter() - begun) * 1000)
        if title != f"Turn {turn}":
            raise SystemExit(f"bench: a save was not seen: {title}")
    took.sort()
    row("save → visible to a query: median, worst of 20", "100 ms", f"{statistics.median(took):.0f}, {took[-1]:.0f} ms")

    def paired(work):
        """Seconds of the same work with the index's process running, and stopped, in turns: medians, and the median of the ratios."""
        took = {False: [], True: []}
        for turn in range(10):
            is_stopped = turn % 2 == 1
            # What came before is told and tidied.
            vault.run("sql", "SELECT count(*) FROM search('nothing')")
            time.sleep(1)
            if is_stopped:
                os.kill(worker, signal.SIGSTOP)
            begun = time.perf_counter()
            work(turn)
            took[is_stopped].append(time.perf_counter() - begun)
            os.kill(worker, signal.SIGCONT)
        ratio = statistics.median(a / b for a, b in zip(took[False], took[True], strict=True))
        return f"{(ratio - 1) * 100:.0f} %", f"{statistics.median(took[False]):.2f} s and {statistics.median(took[True]):.2f} s"

    def saves(turn):
        for number in range(2000):
            (base / "mnt" / "Notes" / f"new-{turn}-{number}.md").write_text(f"# New {number}\n" + "some words of no use here\n" * 70)

    cost, beside = paired(saves)
    row("what the index costs 2,000 saves (the same with its process stopped)", "10 %", cost, beside)
    part = base / "part"
    tree(part, 5_000, 5_000, rng)

    def imported(turn):
        link = base / f"part-{turn}"
        link.symlink_to(part)
        vault.run("import", str(link))

    imported("first")
    cost, beside = paired(imported)
    row("what the index costs an import of 10,000 files", "10 %", cost, beside)
    vault.run("lock")
    return rows


def main(args):
    parser = argparse.ArgumentParser(prog="scripts/bench index", description=__doc__)
    parser.add_argument("--notes", type=int, default=50_000)
    parser.add_argument("--others", type=int, default=50_000)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args(args)
    die_with_parent()
    target = Path(os.environ.get("CARGO_TARGET_DIR", Path.home() / ".cache/coffer/target"))
    program = str(target / "debug/coffer")
    with tempfile.TemporaryDirectory(prefix="coffer-bench-") as base:
        base = Path(base)
        try:
            rows = measured(program, base, asked.notes, asked.others, lambda text: print(text, flush=True))
        finally:
            subprocess.run(["umount", "-l", str(base / "mnt")], stderr=subprocess.DEVNULL)
    lines = ["| what | goal | seen | |", "| --- | --- | --- | --- |"]
    lines += [f"| {what} | {goal} | {seen} | {beside} |" for what, goal, seen, beside in rows]
    table = "\n".join(lines)
    print(table)
    if asked.write:
        page = ROOT / "docs/benchmarks.md"
        text = page.read_text()
        begin, end = MARKS
        pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.S)
        page.write_text(pattern.sub(lambda _: f"{begin}\n{table}\n{end}", text))
    return 0
