"""Who may do what. `make TREE`, as root: files and folders of all owners and modes.
`ask TREE`, as somebody else: tries everything on each of them, and prints what came of it.

Two file systems that print the same refuse the same. What is tried changes the tree, in the
same way if the same is permitted. Inode numbers, times and sizes of folders are not printed.
"""
import ctypes
import errno
import os
import sys
import time

# The helper that mounts wants a user that the system knows: nobody.
ME, MY_GROUP, MY_OTHER_GROUP, OTHER, NO_GROUP = 65534, 65534, 2000, 77, 88
NOW, OMIT = (1 << 30) - 1, (1 << 30) - 2
OWNERS = {"mine": (ME, MY_GROUP), "my-other-group": (ME, MY_OTHER_GROUP), "lent": (ME, NO_GROUP),
          "group": (OTHER, MY_GROUP), "other-group": (OTHER, MY_OTHER_GROUP), "others": (OTHER, NO_GROUP)}
MODES = [0o000, 0o100, 0o200, 0o300, 0o400, 0o500, 0o600, 0o700, 0o070, 0o007, 0o050, 0o020, 0o030,
         0o005, 0o002, 0o003, 0o644, 0o755, 0o775, 0o777, 0o1777, 0o2775, 0o4711]


def make(tree):
    os.umask(0)
    os.mkdir(tree, 0o777)
    os.mkdir(f"{tree}/home", 0o700)
    os.chown(f"{tree}/home", ME, MY_GROUP)
    for who, (uid, gid) in OWNERS.items():
        for mode in MODES:
            folder = f"{tree}/{who}-{mode:04o}"
            os.mkdir(folder)
            for name in ["file", "gone", "moves", "over"]:
                with open(f"{folder}/{name}", "w") as f:
                    f.write("some text\n")
                os.chmod(f"{folder}/{name}", 0o666)
            for name in ["folder", "folder2"]:
                os.mkdir(f"{folder}/{name}", 0o777)
                os.chmod(f"{folder}/{name}", 0o777)
            os.chown(folder, uid, gid)
            os.chmod(folder, mode)
            file = f"{tree}/{who}-{mode:04o}.txt"
            with open(file, "w") as f:
                f.write("#!/bin/sh\nexit 0\n")
            os.setxattr(file, "user.k", b"v")
            os.chown(file, uid, gid)
            os.chmod(file, mode)


def tried(what, call):
    try:
        got = call()
    except OSError as e:
        got = errno.errorcode[e.errno]
    print(what, "ok" if got is None else got)


def opened(path, flags):
    os.close(os.open(path, flags, 0o644))


def touched(path, atime, mtime):
    """utimensat(2) by nanoseconds alone: UTIME_NOW or UTIME_OMIT for each."""
    times = (ctypes.c_long * 4)(0, atime, 0, mtime)
    if ctypes.CDLL(None, use_errno=True).utimensat(-100, path.encode(), times, 0):
        raise OSError(ctypes.get_errno(), path)


def shut_while_open(path):
    """What was opened stays open."""
    fd = os.open(path, os.O_RDWR)
    try:
        os.chmod(path, 0)
        os.ftruncate(fd, 1)
        os.write(fd, b"x")
        os.fchmod(fd, 0o6777)
        os.write(fd, b"x")
        os.posix_fallocate(fd, 0, 10)
    finally:
        os.close(fd)


def run(path):
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            os.execv(path, [path])
        except OSError as e:
            os._exit(e.errno)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return errno.errorcode[code] if code else None


def shown(path):
    s = os.lstat(path)
    return f"{s.st_mode:o} {s.st_uid} {s.st_gid}"


def on_file(path, home):
    def t(what, call):
        tried(f"{path} {what}", call)
    t("stat", lambda: shown(path))
    for name, want in [("R", os.R_OK), ("W", os.W_OK), ("X", os.X_OK), ("RW", os.R_OK | os.W_OK)]:
        t(f"access {name}", lambda: None if os.access(path, want) else "refused")
    t("open for reading", lambda: opened(path, os.O_RDONLY))
    t("open for writing", lambda: opened(path, os.O_WRONLY))
    t("open for both", lambda: opened(path, os.O_RDWR))
    t("open for neither", lambda: opened(path, 3))
    t("open as a folder", lambda: opened(path, os.O_RDONLY | os.O_DIRECTORY))
    t("open to append", lambda: opened(path, os.O_WRONLY | os.O_APPEND))
    t("open with O_CREAT", lambda: opened(path, os.O_WRONLY | os.O_CREAT))
    t("getxattr", lambda: os.getxattr(path, "user.k").decode())
    t("setxattr", lambda: os.setxattr(path, "user.n", b"1"))
    t("removexattr", lambda: os.removexattr(path, "user.k"))
    t("listxattr", lambda: sorted(os.listxattr(path)))
    t("run", lambda: run(path))
    t("touch now", lambda: os.utime(path))
    t("touch -a", lambda: touched(path, NOW, OMIT))
    t("touch -m", lambda: touched(path, OMIT, NOW))
    t("touch -am", lambda: touched(path, NOW, NOW))
    t("touch at", lambda: os.utime(path, (1, 1)))
    t("link", lambda: os.link(path, f"{home}/{os.path.basename(path)}"))
    t("truncate", lambda: os.truncate(path, 3))
    t("after", lambda: shown(path))
    t("open to truncate", lambda: opened(path, os.O_RDONLY | os.O_TRUNC))
    t("chown to myself", lambda: os.chown(path, ME, -1))
    t("chgrp to my other group", lambda: os.chown(path, -1, MY_OTHER_GROUP))
    t("chgrp away", lambda: os.chown(path, -1, NO_GROUP))
    t("chown away", lambda: os.chown(path, OTHER, -1))
    t("after", lambda: shown(path))
    t("chmod", lambda: os.chmod(path, 0o2755))
    t("after", lambda: shown(path))
    t("shut while open", lambda: shut_while_open(path))
    t("after", lambda: shown(path))


def on_folder(path, home):
    def t(what, call):
        tried(f"{path} {what}", call)
    base = os.path.basename(path)
    t("stat", lambda: shown(path))
    for name, want in [("R", os.R_OK), ("W", os.W_OK), ("X", os.X_OK)]:
        t(f"access {name}", lambda: None if os.access(path, want) else "refused")
    t("list", lambda: sorted(os.listdir(path)))
    t("enter", lambda: (os.chdir(path), os.chdir("/"))[2:] or None)
    t("stat within", lambda: shown(f"{path}/file"))
    t("stat of nothing", lambda: shown(f"{path}/nothing"))
    t("open within", lambda: opened(f"{path}/file", os.O_RDWR))
    t("create", lambda: opened(f"{path}/new", os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    t("created", lambda: shown(f"{path}/new"))
    t("create to run as its group", lambda: os.mknod(f"{path}/lent", 0o102771 & 0o7777 | 0o100000))
    t("lent", lambda: shown(f"{path}/lent"))
    t("create shut", lambda: os.close(os.open(f"{path}/shut", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0)))
    t("create again", lambda: opened(f"{path}/shut", os.O_RDWR | os.O_CREAT))
    t("link within", lambda: os.link(f"{path}/file", f"{path}/linked"))
    t("link in", lambda: os.link(f"{home}/mine", f"{path}/mine"))
    t("rename over", lambda: os.rename(f"{path}/new", f"{path}/gone2"))
    t("rename over another's", lambda: os.rename(f"{home}/over", f"{path}/over"))
    t("mkdir over", lambda: os.mkdir(f"{path}/file"))
    t("rmdir of nothing", lambda: os.rmdir(f"{path}/nothing"))
    t("rmdir", lambda: os.rmdir(f"{path}/folder2"))
    t("mkdir", lambda: os.mkdir(f"{path}/made"))
    t("made", lambda: shown(f"{path}/made"))
    t("symlink", lambda: os.symlink("x", f"{path}/link"))
    t("mkfifo", lambda: os.mkfifo(f"{path}/fifo"))
    t("unlink", lambda: os.unlink(f"{path}/gone"))
    t("rename within", lambda: os.rename(f"{path}/file", f"{path}/file2"))
    t("move out", lambda: os.rename(f"{path}/moves", f"{home}/{base}-moved"))
    t("move a folder out", lambda: os.rename(f"{path}/folder", f"{home}/{base}-folder"))
    t("move in", lambda: os.rename(f"{home}/in", f"{path}/in"))
    t("itself home", lambda: os.rename(path, f"{home}/{base}-itself"))
    t("setxattr", lambda: os.setxattr(path, "user.n", b"1"))


def shows_more(folder, mode):
    """Whether a folder of mine still shows what its mode forbids."""
    try:
        listed = os.listdir(folder)
    except PermissionError:
        listed = []
    return (mode & 0o400 == 0 and listed) or (mode & 0o100 == 0 and os.path.exists(f"{folder}/a"))


def on_what_i_shut(home):
    """What the kernel knows of a folder must not outlive the right to see it."""
    shut = f"{home}/shut"
    os.mkdir(shut)
    os.mkdir(f"{shut}/deep")
    for path in [f"{shut}/a", f"{shut}/deep/b"]:
        with open(path, "w") as f:
            f.write("secret\n")

    def look(when):
        for what, call in [("list", lambda: sorted(os.listdir(shut))), ("stat", lambda: shown(f"{shut}/a")),
                           ("deep", lambda: shown(f"{shut}/deep/b")),
                           ("open", lambda: opened(f"{shut}/a", os.O_RDWR)),
                           ("create", lambda: opened(f"{shut}/n{when}", os.O_WRONLY | os.O_CREAT)),
                           ("unlink", lambda: os.unlink(f"{shut}/n{when}"))]:
            tried(f"{when}: {what}", call)

    look("open")
    for mode in [0o000, 0o300, 0o500, 0o400, 0o100, 0o700]:
        os.chmod(shut, mode)
        # A moment after the answer the kernel is told to forget; for good if not within this.
        end = time.monotonic() + 5
        while shows_more(shut, mode) and time.monotonic() < end:
            time.sleep(0.01)
        look(f"{mode:o}")
    os.chmod(f"{shut}/a", 0)
    tried("a file without a right", lambda: opened(f"{shut}/a", os.O_RDONLY))


def ask(tree):
    home = f"{tree}/home"
    os.umask(0o022)
    os.chdir(tree)
    for entry in sorted(os.listdir(".")):
        if entry.endswith(".txt"):
            on_file(entry, "home")
    for entry in sorted(os.listdir(".")):
        if os.path.isdir(entry) and entry != "home":
            os.makedirs("home/in", exist_ok=True)
            for name in ["mine", "over"]:
                os.close(os.open(f"home/{name}", os.O_WRONLY | os.O_CREAT, 0o644))
            os.chdir("/")
            name = f"{tree}/{entry}"
            print(entry)
            on_folder(name, home)
            os.chdir(tree)
    on_what_i_shut("home")


if __name__ == "__main__":
    {"make": make, "ask": ask}[sys.argv[1]](sys.argv[2])
