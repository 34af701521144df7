"""`scripts/bench sync`: two devices on this machine's loopback, beside Syncthing in the same run.

Each row is measured on both in turns. Coffer's two devices are two daemons with mounts of their own, found by address; Syncthing's
are two folders on the same disk, its watcher's delay at the least that it takes, found by address, local discovery, relays and NAT
off. What Syncthing does not do (a mount, encryption at rest) is not charged to it, nor taken off.
Prints a table, and with --write puts it into docs/benchmarks.md between its marks. Needs root, /dev/fuse, and Debian's
package syncthing for the other column.
"""
import argparse
import hashlib
import json
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from launcher import die_with_parent

ROOT = Path(__file__).resolve().parent.parent.parent
QUICK = ["--kdf-memory", "19MiB", "--kdf-passes", "2", "--kdf-lanes", "1"]
PATIENCE = 600


def until(what, so, limit=PATIENCE, step=0.0005):
    """Seconds until it is so."""
    begun = time.perf_counter()
    while not so():
        if time.perf_counter() - begun > limit:
            raise SystemExit(f"bench: waited {limit} s in vain until {what}")
        time.sleep(step)
    return time.perf_counter() - begun


def reads(path, wanted):
    try:
        return path.read_bytes() == wanted
    except OSError:
        return False


def status_of(pid, field):
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"{field}:\s+(\d+) kB", text)[1]) * 1024


def cpu_of(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Coffer:
    """One device of a vault."""

    def __init__(self, program, base, name):
        self.program, self.base, self.name = program, base / name, name
        self.mnt = self.base / "mnt"
        self.mnt.mkdir(parents=True)
        (self.base / "run").mkdir(mode=0o700)
        self.pid = None
        self.env = dict(os.environ, HOME=str(self.base), XDG_STATE_HOME=str(self.base / "state"),
                        XDG_CONFIG_HOME=str(self.base / "config"), COFFER_RUNTIME_DIR=str(self.base / "run"),
                        COFFER_VAULT=str(self.base / "vault"), COFFER_PASSWORD_COMMAND="echo a password for benches")

    def run(self, *args):
        done = subprocess.run([self.program, *args], env=self.env, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"bench: coffer {' '.join(args)}: {done.stderr}")
        return done.stdout

    def settings(self):
        for key, value in (("sync-listen", "/ip4/127.0.0.1/tcp/0,/ip4/127.0.0.1/udp/0/quic-v1"), ("sync-mdns", "off"), ("sync-dht", "off")):
            self.run("settings", key, value)

    def init(self):
        self.run("init", "--no-recovery", *QUICK)
        self.settings()
        return self

    def mount(self):
        self.pid = json.loads(self.run("--json", "mount", str(self.mnt)))["pid"]
        return self

    def lock(self):
        self.run("lock", "--force")

    def invite(self):
        return json.loads(self.run("--json", "device", "invite"))["ticket"]

    def join(self, ticket):
        self.run("device", "join", ticket, "--name", self.name, *QUICK)
        self.settings()
        return self

    def sync(self):
        return json.loads(self.run("--json", "sync"))

    def bytes(self):
        """That came and went since the link is there."""
        devices = self.sync()["devices"]
        return sum(device["came"] + device["went"] for device in devices)


class Syncthing:
    """One device of Syncthing."""

    def __init__(self, base, name, port):
        self.home, self.folder = base / f"st-{name}", base / f"st-{name}-folder"
        self.folder.mkdir(parents=True)
        self.port, self.gui = port, port + 1
        subprocess.run(["syncthing", "generate", "--home", str(self.home), "--skip-port-probing"], check=True, capture_output=True)
        self.config = self.home / "config.xml"
        text = self.config.read_text()
        self.id = re.search(r'<device id="([^"]+)"', text)[1]
        self.key = re.search(r"<apikey>([^<]+)", text)[1]
        self.process = None

    def start(self, other=None, share=True):
        folder = ""
        devices = f'<device id="{self.id}" name="self"><address>dynamic</address></device>'
        if other:
            devices += f'<device id="{other.id}" name="other"><address>tcp://127.0.0.1:{other.port}</address></device>'
            if share:
                folder = (f'<folder id="f" label="f" path="{self.folder}" type="sendreceive" rescanIntervalS="86400" fsWatcherEnabled="true" '
                          f'fsWatcherDelayS="1" autoNormalize="true"><device id="{self.id}"></device><device id="{other.id}"></device></folder>')
        self.config.write_text(f"""<configuration version="36">{folder}{devices}
<gui enabled="true" tls="false"><address>127.0.0.1:{self.gui}</address><apikey>{self.key}</apikey></gui>
<options><listenAddress>tcp://127.0.0.1:{self.port}</listenAddress><globalAnnounceEnabled>false</globalAnnounceEnabled>
<localAnnounceEnabled>false</localAnnounceEnabled><relaysEnabled>false</relaysEnabled><natEnabled>false</natEnabled><urAccepted>-1</urAccepted>
<crashReportingEnabled>false</crashReportingEnabled><autoUpgradeIntervalH>0</autoUpgradeIntervalH><startBrowser>false</startBrowser><reconnectionIntervalS>1</reconnectionIntervalS></options></configuration>""")
        self.process = subprocess.Popen(["syncthing", "serve", "--home", str(self.home), "--no-browser", "--no-upgrade", "--no-restart"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
        until("Syncthing answers", lambda: self.ask("system/ping"), 60, 0.05)
        return self

    def ask(self, what):
        request = urllib.request.Request(f"http://127.0.0.1:{self.gui}/rest/{what}", headers={"X-API-Key": self.key})
        try:
            return json.load(urllib.request.urlopen(request, timeout=5))
        except OSError:
            return None

    def bytes(self):
        total = self.ask("system/connections")["total"]
        return total["inBytesTotal"] + total["outBytesTotal"]

    def idle(self):
        state = self.ask("db/status?folder=f")
        return state and state["state"] == "idle" and state["needTotalItems"] == 0

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)
            self.process = None


def latencies(write_to, read_from, count, rng):
    """Seconds from a save here to its bytes read there; saves a third of a second apart, and more."""
    taken, text = [], ""
    for n in range(count):
        time.sleep(0.3 + rng.random() * 0.2)
        text += f"line {n} {rng.random()}\n"
        begun = time.perf_counter()
        write_to.write_text(text)
        until("a save is there", lambda: reads(read_from, text.encode()), 60)
        taken.append(time.perf_counter() - begun)
    return taken


def notes(folder, count, rng):
    words = [hashlib.sha256(str(n).encode()).hexdigest()[:8] for n in range(500)]
    for n in range(count):
        if n % 100 == 0:
            (folder / f"n{n // 100}").mkdir(parents=True, exist_ok=True)
        (folder / f"n{n // 100}" / f"{n}.md").write_text(" ".join(rng.choices(words, k=rng.randint(20, 800))))


def walk(folder):
    """Its folders and their files, without what Syncthing puts there for itself."""
    for at, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != ".stfolder"]
        yield at, files


def there(folder, count):
    return sum(len(files) for _, files in walk(folder)) >= count


def all_same(one, two):
    for folder, files in walk(one):
        for name in files:
            path = Path(folder) / name
            if not reads(two / path.relative_to(one), path.read_bytes()):
                return False
    return True


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


class Run:
    def __init__(self, o, base):
        self.o, self.base, self.rng = o, base, random.Random(1)
        self.rows, self.number, self.left = [], 0, []

    def row(self, work, goal, coffer, syncthing, met):
        self.rows.append((work, goal, coffer, syncthing, met))
        print(f"{work}: {coffer}; Syncthing {syncthing}; goal {goal}: {'met' if met else 'NOT met' if met is not None else '–'}", flush=True)

    def pair(self, fill=None, join=True):
        """A desk with something in it, and a laptop that has joined, and is not mounted yet."""
        self.number += 1
        base = self.base / f"pair{self.number}"
        desk = Coffer(self.o.coffer, base, "desk").init().mount()
        self.left.append(desk)
        if fill:
            fill(desk.mnt / "Notes")
            desk.run("lock")
            desk.mount()
        laptop = Coffer(self.o.coffer, base, "laptop")
        if join:
            laptop.join(desk.invite())
        self.left.append(laptop)
        return desk, laptop

    def others(self, fill=None):
        if not self.o.syncthing:
            return None, None
        self.number += 1
        base = self.base / f"st{self.number}"
        one, two = Syncthing(base, "one", 23000 + 10 * self.number), Syncthing(base, "two", 23005 + 10 * self.number)
        self.left += [one, two]
        if fill:
            fill(one.folder)
        one.start(two)
        until("the first scan", lambda: (one.ask("db/status?folder=f") or {}).get("state") == "idle", 300, 0.05)
        return one, two

    def end(self):
        for one in reversed(self.left):
            try:
                one.lock() if isinstance(one, Coffer) else one.stop()
            except (SystemExit, subprocess.TimeoutExpired):
                pass
        self.left = []

    # The rows.

    def saves(self):
        count = 20 if self.o.quick else 200
        desk, laptop = self.pair()
        laptop.mount()
        until("the laptop has it", lambda: (laptop.mnt / "Notes").is_dir(), 60, 0.01)
        ours = latencies(desk.mnt / "Notes/lat.md", laptop.mnt / "Notes/lat.md", count, self.rng)
        one, two = self.others()
        theirs = "–"
        if one:
            two.start(one)
            theirs = latencies(one.folder / "lat.md", two.folder / "lat.md", max(10, count // 10), self.rng)
            theirs = f"{percentile(theirs, .5) * 1e3:.0f} / {percentile(theirs, .99) * 1e3:.0f} ms"
        p50, p99 = percentile(ours, .5), percentile(ours, .99)
        self.row("save on A → new bytes read on B's mount: p50 / p99", "20 / 60 ms", f"{p50 * 1e3:.1f} / {p99 * 1e3:.1f} ms", theirs, p50 <= .02 and p99 <= .06)
        self.end()

    def first_sync(self):
        count = 500 if self.o.quick else 5000
        fill = lambda folder: notes(folder, count, random.Random(2))
        desk, laptop = self.pair(fill)
        begun = time.perf_counter()
        laptop.mount()
        until("all notes are there", lambda: there(laptop.mnt / "Notes", count), step=0.02)
        until("they are the same", lambda: all_same(desk.mnt / "Notes", laptop.mnt / "Notes"), step=0.02)
        ours = time.perf_counter() - begun
        one, two = self.others(fill)
        theirs = None
        if one:
            begun = time.perf_counter()
            two.start(one)
            until("all notes are there", lambda: there(two.folder, count), step=0.02)
            until("they are the same", lambda: all_same(one.folder, two.folder), step=0.02)
            theirs = time.perf_counter() - begun
        share = ours / theirs if theirs else None
        self.row(f"first sync of {count:,} notes", "≤ 0.5 of Syncthing's time", f"{ours:.2f} s" + (f" ({share:.2f})" if share else ""), f"{theirs:.2f} s" if theirs else "–", share <= .5 if share else None)
        self.end()

    def large(self):
        size = (64 if self.o.quick else 1024) << 20
        data = self.base / "large"
        with open(data, "wb") as out:
            rng = random.Random(3)
            for _ in range(size >> 20):
                out.write(rng.randbytes(1 << 20))
        fill = lambda folder: (folder.mkdir(parents=True, exist_ok=True), shutil.copy(data, folder / "large"))
        desk, laptop = self.pair(fill)
        begun = time.perf_counter()
        laptop.mount()
        there_now = lambda path: path.exists() and path.stat().st_size == size
        until("it is there", lambda: there_now(laptop.mnt / "Notes/large"), step=0.01)
        ours = time.perf_counter() - begun
        peak = status_of(laptop.pid, "VmHWM") >> 20
        same = subprocess.run(["cmp", str(laptop.mnt / "Notes/large"), str(data)]).returncode == 0
        assert same, "the file is another"
        one, two = self.others(fill)
        theirs = None
        if one:
            begun = time.perf_counter()
            two.start(one)
            until("it is there", lambda: there_now(two.folder / "large"), step=0.01)
            theirs = time.perf_counter() - begun
        rate = size / ours / 1e6
        share = ours / theirs if theirs else None
        self.row(f"first sync of one {size >> 20} MiB file (receiver's peak memory {peak} MiB)", "≥ 150 MB/s, ≤ 1.0 of Syncthing's time",
                 f"{rate:.0f} MB/s" + (f" ({share:.2f})" if share else ""), f"{size / theirs / 1e6:.0f} MB/s" if theirs else "–", rate >= 150 and (not share or share <= 1))
        # 4 KiB in the middle of it.
        until("nothing is under way", lambda: laptop.sync()["chunks"] == 0 and laptop.sync()["events"] == 0, step=0.2)
        time.sleep(2)
        before, patch = laptop.bytes(), random.Random(4).randbytes(4096)
        with open(desk.mnt / "Notes/large", "r+b") as out:
            out.seek(size // 2 + 12345)
            out.write(patch)

        def patched():
            with open(laptop.mnt / "Notes/large", "rb") as file:
                file.seek(size // 2 + 12345)
                return file.read(4096) == patch
        until("the change is there", patched, step=0.01)
        time.sleep(1.5)
        wire = laptop.bytes() - before
        theirs = "–"
        if one:
            until("Syncthing is idle", lambda: one.idle() and two.idle(), step=0.2)
            before = two.bytes()
            with open(one.folder / "large", "r+b") as out:
                out.seek(size // 2 + 12345)
                out.write(patch)

            def patched_there():
                # It is not there for a moment, while it takes the other's place.
                try:
                    with open(two.folder / "large", "rb") as file:
                        file.seek(size // 2 + 12345)
                        return file.read(4096) == patch
                except FileNotFoundError:
                    return False
            until("the change is there", patched_there, step=0.05)
            theirs = f"{(two.bytes() - before) / 1e3:.0f} KB"
        self.row(f"4 KiB changed in it: on the wire", "≤ 1 MB", f"{wire / 1e3:.0f} KB", theirs, wire <= 1e6)
        self.end()

    def word(self):
        desk, laptop = self.pair()
        laptop.mount()
        words = [hashlib.sha256(str(n).encode()).hexdigest()[:7] for n in range(3000)]
        text = " ".join(self.rng.choices(words, k=25000))[:200_000]
        lines = [text[at:at + 80] for at in range(0, len(text), 80)]
        path, copy = desk.mnt / "Notes/long.md", laptop.mnt / "Notes/long.md"
        path.write_text("\n".join(lines))
        until("the note is there", lambda: reads(copy, "\n".join(lines).encode()), step=0.01)
        # The first change carries what makes the text one that merges.
        taken = []
        for n in range(5):
            time.sleep(2)
            before = laptop.bytes()
            lines[200 + 300 * n] = "another " + lines[200 + 300 * n]
            path.write_text("\n".join(lines))
            until("the word is there", lambda: reads(copy, "\n".join(lines).encode()), step=0.01)
            time.sleep(1.5)
            taken.append(laptop.bytes() - before)
        wire = statistics.median(taken)
        self.row("one word changed in a 200 KB note: on the wire", "≤ 2 KB", f"{wire / 1e3:.1f} KB", "–", wire <= 2000)
        self.end()

    def again(self):
        count = 2000 if self.o.quick else 100_000
        fill = lambda folder: notes(folder, count, random.Random(5))
        desk, laptop = self.pair(fill)
        laptop.mount()
        begun = time.perf_counter()
        until("all is there", lambda: there(laptop.mnt / "Notes", count), 3600, 1)
        until("nothing is under way", lambda: laptop.sync()["events"] == 0 and laptop.sync()["chunks"] == 0, 600, 1)
        taken, peak = time.perf_counter() - begun, status_of(laptop.pid, "VmHWM") / 1e6
        self.row(f"memory while taking in {count:,} notes (in {taken:.0f} s)", "≤ 250 MB", f"{peak:.0f} MB", "–", peak <= 250)
        laptop.run("settings", "sync", "off")
        time.sleep(1)
        begun = time.perf_counter()
        # One command's start, and one's or two's that ask, are in what is measured.
        laptop.run("settings", "sync", "on")
        until("they met", lambda: any(d["connected"] and d["ahead"] == 0 and d["behind"] == 0 for d in laptop.sync()["devices"]), 60, 0.005)
        met = time.perf_counter() - begun
        time.sleep(2)
        wire = laptop.bytes()
        self.row(f"reconnecting with nothing new, {count:,} notes: bytes; time until both know", "≤ 2 KB; ≤ 100 ms", f"{wire / 1e3:.1f} KB; {met * 1e3:.0f} ms", "–", wire <= 2000 and met <= .1)
        self.end()

    def rest(self):
        desk = Coffer(self.o.coffer, self.base / "rest", "desk").init().mount()
        self.left.append(desk)
        for n in range(5):
            other = Coffer(self.o.coffer, self.base / "rest", f"peer{n}")
            other.join(desk.invite()).mount()
            self.left.append(other)
        until("all are there", lambda: sum(d["connected"] for d in desk.sync()["devices"]) == 5, 60, 0.1)
        time.sleep(5)
        seconds = 5 if self.o.quick else 30
        before = cpu_of(desk.pid)
        time.sleep(seconds)
        share = (cpu_of(desk.pid) - before) / seconds
        self.row("idle, mounted, 5 peers: share of a core", "< 0.5 %", f"{share * 100:.2f} %", "–", share < .005)
        self.end()


def table(rows):
    lines = ["| work | goal | Coffer | Syncthing | met? |", "| --- | --- | --- | --- | --- |"]
    for work, goal, coffer, syncthing, met in rows:
        lines.append(f"| {work} | {goal} | {coffer} | {syncthing} | {'yes' if met else '**no**' if met is not None else '–'} |")
    return "\n".join(lines)


def write(rows):
    page = ROOT / "docs/benchmarks.md"
    text = page.read_text()
    begin, end = "<!-- sync: written by scripts/bench sync -->", "<!-- end of sync -->"
    section = f"{begin}\n## Syncing\n\nTwo devices on one machine's loopback, beside Syncthing in the same run. Run on {time.strftime('%Y-%m-%d')}.\n\n{table(rows)}\n\n{end}"
    if begin in text:
        text = text[:text.index(begin)] + section + text[text.index(end) + len(end):]
    else:
        text = text.rstrip() + "\n\n" + section + "\n"
    page.write_text(text)


def main(argv):
    p = argparse.ArgumentParser(prog="scripts/bench sync", description="Two devices that sync, beside Syncthing.")
    p.add_argument("--quick", action="store_true", help="a tenth of the data")
    p.add_argument("--only", default="", metavar="REGEX", help="only rows whose name matches: saves, first_sync, large, word, again, rest")
    p.add_argument("--coffer", type=Path, help="the program; default: built now")
    p.add_argument("--dir", type=Path, default=Path("/var/tmp"), help="where all of it lies (default /var/tmp)")
    p.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    o = p.parse_args(argv)
    if not o.coffer:
        from launcher import build
        o.coffer = build("coffer", ["--bin", "coffer"], "coffer") or sys.exit("bench: coffer could not be built.")
    o.syncthing = shutil.which("syncthing") is not None
    if not o.syncthing:
        print("bench: no syncthing (Debian's package), so its column stays empty.")
    base = Path(tempfile.mkdtemp(prefix="coffer-bench-sync-", dir=o.dir))
    run = Run(o, base)
    try:
        for name in ("saves", "first_sync", "large", "word", "rest", "again"):
            if re.search(o.only, name):
                getattr(run, name)()
    finally:
        run.end()
        shutil.rmtree(base, ignore_errors=True)
    print("\n" + table(run.rows))
    if o.write:
        write(run.rows)
    return 0
