"""The machine: caches, processors, processes, and a description that names no host and no path."""
import os
import re
import subprocess
from pathlib import Path

PROC = Path("/proc")


def drop_caches():
    """Empties the kernel's page, name and inode caches (after writing back what is dirty)."""
    os.sync()
    (PROC / "sys/vm/drop_caches").write_text("3\n")


def processes():
    """Yields (pid, program) of all other processes of this room that still run."""
    for p in PROC.iterdir():
        if p.name.isdigit() and int(p.name) not in (1, os.getpid()):
            try:
                if " Z " not in (p / "stat").read_text().rpartition(")")[2][:3]:
                    yield int(p.name), os.path.basename(os.readlink(p / "exe"))
            except OSError:
                pass  # it ended meanwhile


def running(program):
    """The pids of `program`'s processes, oldest first."""
    return sorted(pid for pid, name in processes() if name == program)


def holds_fuse(pid):
    """Whether this process holds a FUSE descriptor: it is a daemon, not a helper of one."""
    try:
        return any(os.readlink(fd) == "/dev/fuse" for fd in (PROC / str(pid) / "fd").iterdir())
    except OSError:
        return False


def cpu_seconds(pids):
    """User and system time that these processes have used so far."""
    ticks = 0
    for pid in pids:
        try:
            field = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
            ticks += int(field[11]) + int(field[12])
        except OSError:
            pass
    return ticks / os.sysconf("SC_CLK_TCK")


def memory(pids, what="VmRSS"):
    """Resident memory in bytes, added up; `what` may be VmHWM, the most it ever was."""
    total = 0
    for pid in pids:
        try:
            m = re.search(what + r":\s+(\d+) kB", (PROC / str(pid) / "status").read_text())
            total += int(m[1]) * 1024 if m else 0
        except OSError:
            pass
    return total


def reset_peak(pids):
    """Makes VmHWM start again from now (proc(5), clear_refs)."""
    for pid in pids:
        (PROC / str(pid) / "clear_refs").write_text("5\n")


def mounted(at):
    """The kernel's type of what is mounted at `at`, or None."""
    for line in (PROC / "self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        if left.split()[4] == str(at):
            return right.split()[0]
    return None


def file_system(path):
    """The type of the file system under `path`."""
    return first_line("findmnt", "-n", "-o", "FSTYPE", "-T", str(path))


def first_line(*command):
    """The first line that a command prints, or None if there is no such command."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return ((done.stdout or done.stderr).splitlines() or [None])[0]


def package(name):
    """The version of a Debian package, or None."""
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", name], capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else None


def describe(disk):
    """Facts about the machine as (name, value) pairs for the report."""
    cpu = re.search(r"model name\s*:\s*(.*)", (PROC / "cpuinfo").read_text())
    ram = int(re.search(r"MemTotal:\s+(\d+)", (PROC / "meminfo").read_text())[1]) / 2**20
    virtual = first_line("systemd-detect-virt", "--vm") or ("yes" if "hypervisor" in
                                                    (PROC / "cpuinfo").read_text() else "no")
    return [
        ("processor", cpu[1] if cpu else "unknown"),
        ("processors used", f"{len(os.sched_getaffinity(0))} of {os.cpu_count()}, "
                            "by every program measured and the programs that drive them"),
        ("memory", f"{ram:.0f} GiB"),
        ("virtual machine", virtual),
        ("kernel", os.uname().release.split("-")[0]),
        ("disk part's file system", file_system(disk)),
    ]
