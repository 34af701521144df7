"""What is written into the systems: notes and a git repository, the same on every run.

They lie in memory, so that reading them costs the same nothing for every system. The 512 MiB of
incompressible data are made by load.c just before they are written.
"""
import io
import os
import random
import re
import subprocess
import tarfile
from pathlib import Path

FOLDERS = 50          # at least; a folder holds at most NOTES_PER_FOLDER
NOTES_PER_FOLDER = 200
LEAST, MOST = 300, 16 * 1024
SYLLABLES = ("ba be bi bo da de di do fa fe ga go ha he ka ke ko la le li lo ma me mi mo na ne no "
             "pa pe po ra re ri ro sa se si so ta te ti to va ve wa we za ze an en in on ar er or "
             "al el ul ast est ing ung ent ion").split()
ABSENT = "quixotry-of-no-note"  # grep's pattern: letters that no syllable has


def sentences(rng, count):
    """Sentences of invented words: text-like, and free of any real text's licence."""
    words = ["".join(rng.choices(SYLLABLES, k=rng.randint(1, 4))) for _ in range(6000)]
    for _ in range(count):
        s = " ".join(rng.choices(words, k=rng.randint(4, 16)))
        yield s.capitalize() + rng.choice(".....?!") + rng.choice(("\n", " ", " ", "\n\n- ", "\n\n"))


def notes_tar(path, count, seed=1):
    """Writes a tar of `count` Markdown notes in folders, sizes log-uniform from 0.3 to 16 KiB."""
    rng = random.Random(seed)
    pool = list(sentences(rng, 20_000))
    folders = max(FOLDERS, -(-count // NOTES_PER_FOLDER))
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        made = set()
        for i in range(count):
            f = i % folders
            for folder in (f"area-{f % 10}", f"area-{f % 10}/topic-{f}"):
                if folder not in made:
                    made.add(folder)
                    entry = tarfile.TarInfo(folder)
                    entry.type, entry.mode, entry.mtime = tarfile.DIRTYPE, 0o755, 1_700_000_000
                    tar.addfile(entry)
            size = int(LEAST * (MOST / LEAST) ** rng.random())
            text = f"# Note {i}\n\n" + "".join(rng.choices(pool, k=size // 45 + 1))
            body = text.encode("ascii")[:size - 1] + b"\n"
            entry = tarfile.TarInfo(f"area-{f % 10}/topic-{f}/note-{i}.md")
            entry.size, entry.mode, entry.mtime = len(body), 0o644, 1_700_000_000 + i
            tar.addfile(entry, io.BytesIO(body))


GIT = ["git", "-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "gc.auto=0",
       "-c", "core.autocrlf=false", "-c", "init.defaultBranch=main"]
GIT_FILES, GIT_CRATE_BYTES = 3000, 8 << 20


def crates(root, cargo_home):
    """Folders of the crates that the lock file names, as far as Cargo has them here."""
    sources = sorted(Path(cargo_home, "registry/src").glob("*/"))
    lock = Path(root, "Cargo.lock").read_text()
    for name, version in re.findall(r'^name = "(.+)"\nversion = "(.+)"\nsource', lock, re.M):
        for source in sources:
            crate = source / f"{name}-{version}"
            if crate.is_dir():
                yield crate
                break


def git_repository(into, root, cargo_home, given=None):
    """A bare repository at `into`; gives a line that describes it, or None if there is no source.

    Without `given`: real sources, those of this project's dependencies in the order of the lock
    file, a commit a crate, until there are some thousand files. Dates and names are fixed, so the
    same crates give the same commits.
    """
    def git(*argv, cwd=None, **more):
        return subprocess.run([*GIT, *map(str, argv)], cwd=cwd, check=True,
                              capture_output=True, text=True, **more).stdout

    if given:
        git("clone", "-q", "--bare", Path(given).resolve(), into)
        what = "a given repository"
    else:
        tree = Path(f"{into}.tree")
        tree.mkdir()
        git("init", "-q", cwd=tree)
        files = commits = 0
        for crate in crates(root, cargo_home):
            all_files = [f for f in crate.rglob("*") if f.is_file() and not f.is_symlink()
                         and not f.name.startswith(".git") and f.name != ".cargo-ok"]
            if sum(f.stat().st_size for f in all_files) > GIT_CRATE_BYTES:
                continue
            for f in all_files:
                to = tree / crate.name / f.relative_to(crate)
                to.parent.mkdir(parents=True, exist_ok=True)
                to.write_bytes(f.read_bytes())
                to.chmod(0o644)
            commits += 1
            date = f"{1_700_000_000 + commits * 3600} +0000"
            git("add", "-A", "-f", cwd=tree)
            git("commit", "-q", "-m", f"Add {crate.name}", cwd=tree,
                env={**os.environ, "GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date})
            files += len(all_files)
            if files >= GIT_FILES:
                break
        if not commits:
            return None
        git("clone", "-q", "--bare", tree, into)
        subprocess.run(["rm", "-rf", str(tree)], check=True)
        what = "sources of this project's dependencies, a commit a crate"
    git("-c", "pack.threads=1", "repack", "-a", "-d", "-q", cwd=into)
    tracked = len(git("ls-tree", "-r", "--name-only", "HEAD", cwd=into).splitlines())
    commits = git("rev-list", "--count", "HEAD", cwd=into).strip()
    pack = sum(f.stat().st_size for f in Path(into).glob("objects/pack/*.pack"))
    return f"{what}: {tracked:,} files, {commits} commits, a pack of {pack / 2**20:.0f} MiB"
