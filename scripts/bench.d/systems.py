"""The systems compared: how each is made, mounted, unmounted and, where needed, killed.

Each lives in a folder of its own: `store/` (what it keeps) and `mnt/` (what a person sees). All
have their defaults, except that the password hashing is made cheap: it is no part of any row.
"""
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import machine

PASSWORD = "a password for a bench"
NEW_PASSWORD = "another password for a bench"
PATIENCE = 120.0  # seconds for a mount or an unmount


class Failed(Exception):
    """A system did not do what it was asked; the text says what, in its own words."""


class System:
    """One system in one folder. `bin` is where our own programs lie."""

    name = "?"
    program = None  # the daemon's executable
    title = "?"

    def __init__(self, place, bin_dir):
        self.home, self.bin = Path(place), Path(bin_dir)
        self.store, self.mnt = self.home / "store", self.home / "mnt"
        self.log = self.home / "log"

    def available(self):
        """None, or the reason why it cannot be measured here."""
        return None if shutil.which(self.program) else f"{self.program} is not installed"

    def version(self):
        """Version and settings, for the report."""
        return f"{machine.package(self.program) or machine.first_line(self.program, '--version')}"

    def command(self, *argv, stdin="", timeout=PATIENCE):
        """Runs a program to its end; a daemon that it leaves behind may keep the log open."""
        with open(self.log, "a+") as log:
            start = log.tell()
            try:
                done = subprocess.run([str(a) for a in argv], input=stdin, text=True,
                                      stdout=log, stderr=log, timeout=timeout)
            except subprocess.TimeoutExpired:
                raise Failed(f"{self.name} {argv[1]} did not end in {timeout:.0f} s") from None
            if done.returncode:
                log.seek(start)
                raise Failed(f"{self.name} {argv[1]} ended with {done.returncode}: "
                             f"{log.read().strip()[-300:] or '(it said nothing)'}")

    def create(self):
        """Makes an empty store and mount point."""
        self.home.mkdir(parents=True)
        self.store.mkdir()
        self.mnt.mkdir()
        self.init()

    def init(self):
        """Makes the store's first contents."""

    def start(self):
        """Starts the daemon; it need not be mounted yet on return."""

    def mount(self):
        """Mounts, and gives the seconds from the command to a mount that answers."""
        began = time.monotonic()
        self.start()
        while not machine.mounted(self.mnt):
            if time.monotonic() - began > PATIENCE:
                raise Failed(f"{self.name} was not mounted after {PATIENCE:.0f} s")
            time.sleep(0.001)
        os.listdir(self.mnt)
        return time.monotonic() - began

    def daemons(self):
        """The pids of its daemon and that daemon's helpers."""
        return machine.running(self.program) if self.program else []

    def unmount(self):
        """Ends it in good order, and waits until its processes are gone."""
        self.command("fusermount3", "-u", self.mnt)
        self.wait_gone()

    def wait_gone(self):
        """Waits for the end of its processes."""
        end = time.monotonic() + PATIENCE
        while self.daemons() or machine.mounted(self.mnt):
            if time.monotonic() > end:
                raise Failed(f"{self.name} had not ended {PATIENCE:.0f} s after its unmount")
            time.sleep(0.005)

    def kill(self):
        """kill -9 to the process that serves the mount; then detaches the dead mount."""
        for pid in self.daemons():
            if machine.holds_fuse(pid):
                os.kill(pid, signal.SIGKILL)
        self.detach()
        self.wait_gone()

    def detach(self):
        """Aborts and detaches the mount, dead or alive."""
        for _ in range(8):
            if not machine.mounted(self.mnt):
                return
            subprocess.run(["umount", "-f", "-l", str(self.mnt)], capture_output=True)

    def remove(self):
        """Leaves nothing: for good and bad ends alike."""
        for pid in self.daemons():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if self.program:
            self.detach()
        shutil.rmtree(self.home, ignore_errors=True)

    def change_password(self):
        """Changes the password of the unmounted store; gives the seconds."""
        raise Failed(f"{self.name} is not asked to change passwords here")

    def stored(self):
        """Bytes that the store takes, as allocated."""
        done = subprocess.run(["du", "-s", "--block-size=1", self.store], capture_output=True, text=True)
        return int(done.stdout.split()[0])


class Bare(System):
    """The file system under the others, itself."""

    name, title = "bare", "bare file system"

    def available(self):
        return None

    def version(self):
        return "the file system that holds the stores, without anything above it"

    def mount(self):
        self.mnt.rmdir()
        self.mnt.symlink_to(self.store)
        self.mnt = self.store
        return 0.0

    def unmount(self):
        self.mnt = self.home / "mnt"


class Gocryptfs(System):
    """gocryptfs with its defaults (AES-GCM, encrypted names); scrypt made cheap."""

    name = program = title = "gocryptfs"

    def version(self):
        return f"{machine.package('gocryptfs')}, defaults, -scryptn 10"

    def init(self):
        self.secret = self.home / "password"
        self.secret.write_text(PASSWORD + "\n")
        self.command("gocryptfs", "-init", "-q", "-scryptn", "10", "-passfile", self.secret, self.store)

    def start(self):
        self.command("gocryptfs", "-q", "-passfile", self.secret, self.store, self.mnt)


class Securefs(System):
    """securefs in the format that `securefs create` takes by itself (4, "lite")."""

    name = program = title = "securefs"

    def version(self):
        return f"{machine.package('securefs')}, default format (4, lite), one round of Argon2id"

    def init(self):
        self.command("securefs", "create", "-r", "1", "--pass", PASSWORD, self.store)

    def start(self):
        self.command("securefs", "mount", "-b", "--log", self.home / "securefs.log",
                     "--pass", PASSWORD, self.store, self.mnt)


class Coffer(System):
    """Coffer as built, with the cheapest password hashing that it allows."""

    name, program, title = "coffer", "coffer", "Coffer"
    password = PASSWORD

    def coffer(self, *argv, stdin=""):
        """Runs the program."""
        self.command(self.bin / "coffer", *argv, stdin=stdin)

    def available(self):
        if not (self.bin / "coffer").exists():
            return "it was not built"
        try:
            self.create()
            self.mount()
            self.unmount()
        except (Failed, OSError) as e:
            return str(e)
        finally:
            self.remove()
        return None

    def version(self):
        return f"{machine.first_line(self.bin / 'coffer', '--version')}, --kdf-memory 19MiB --kdf-passes 2"

    def init(self):
        self.store.rmdir()
        self.coffer("init", "--vault", self.store, "--password-stdin", "--kdf-memory", "19MiB",
                    "--kdf-passes", "2", stdin=self.password + "\n")

    def start(self):
        self.coffer("mount", "--vault", self.store, self.mnt, "--password-stdin",
                    stdin=self.password + "\n")
        if not machine.mounted(self.mnt):
            raise Failed("coffer mount ended well, but nothing is mounted")

    def unmount(self):
        self.coffer("unmount", self.mnt)
        self.wait_gone()

    def change_password(self):
        began = time.monotonic()
        self.coffer("passwd", "--vault", self.store, "--password-stdin",
                    stdin=f"{self.password}\n{NEW_PASSWORD}\n")
        self.password = NEW_PASSWORD
        return time.monotonic() - began


class Floor(System):
    """A file system in memory behind the same adapter: no crypto, no store."""

    name, program, title = "floor", "floor", "floor"

    def available(self):
        return None if (self.bin / "floor").exists() else "it was not built"

    def version(self):
        return "Coffer's FUSE adapter over a file system in memory (an example in fs/)"

    def start(self):
        with open(self.log, "a") as log:
            self.child = subprocess.Popen([self.bin / "floor", self.mnt], stdout=log, stderr=log)

    def unmount(self):
        self.command("fusermount3", "-u", self.mnt)
        self.child.wait(PATIENCE)


ALL = [Coffer, Gocryptfs, Securefs, Bare, Floor]
