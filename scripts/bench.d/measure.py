"""Plays the scenes on the systems in turns and keeps every figure.

Between two timed steps a system gets time to finish what it put off (`settle`), so that no work
is charged to the next row; the processor time that it takes for that is kept and shown.
"""
import re
import shutil
import subprocess
import time
from collections import defaultdict
from pathlib import Path

import machine
from systems import Failed
from works import Turn

STEP_LIMIT = 900.0   # seconds that one step may take
QUIET = 0.15         # seconds without processor time that count as idle
SETTLE_LIMIT = 20.0


class Load:
    """Calls load.c's program; gives seconds."""

    def __init__(self, program):
        self.program = program

    def __call__(self, *argv):
        try:
            done = subprocess.run([self.program, *map(str, argv)], capture_output=True, text=True,
                                  timeout=STEP_LIMIT)
        except subprocess.TimeoutExpired:
            raise Failed(f"{argv[0]} took longer than {STEP_LIMIT:.0f} s") from None
        if done.returncode:
            raise Failed(done.stderr.strip()[-300:] or f"{argv[0]} ended with {done.returncode}")
        return int(done.stdout) / 1e9


class Figures:
    """All figures of one part: seconds (or shares), by row, system and round."""

    def __init__(self):
        self.value = defaultdict(lambda: defaultdict(dict))  # row -> system -> round -> figure
        self.after = defaultdict(lambda: defaultdict(list))  # row -> system -> CPU seconds put off
        self.failures = []

    def plain(self):
        """For JSON."""
        return {"figures": self.value, "processor time put off": self.after,
                "failures": self.failures}


def settle(load, system):
    """Waits until everything is durable and the daemon idle; gives its processor seconds."""
    pids = system.daemons()
    before = last = machine.cpu_seconds(pids)
    load("sync", system.mnt, system.store)
    quiet_since, end = time.monotonic(), time.monotonic() + SETTLE_LIMIT
    while pids and time.monotonic() - quiet_since < QUIET and time.monotonic() < end:
        time.sleep(0.03)
        used = machine.cpu_seconds(pids)
        if used != last:
            last, quiet_since = used, time.monotonic()
    return last - before


def wanted_steps(scene, only):
    """The steps needed for the rows that match: up to the last of them, without idle ones."""
    asked = [bool(s.key and re.search(only, s.key)) for s in scene.steps]
    if not any(asked):
        return []
    last = len(asked) - 1 - asked[::-1].index(True)
    return [(s, a) for s, a in zip(scene.steps[:last + 1], asked) if a or s.needed or not s.key]


def warm_up(step, mem):
    """Runs the step's program on next to nothing: its own pages are no part of what is measured."""
    if step.warm_up:
        if step.warm_up[0] != "rm":
            shutil.rmtree(mem / "warmer", ignore_errors=True)
        subprocess.run([a.replace("{mem}", str(mem)) for a in step.warm_up], cwd=mem,
                       capture_output=True)


def play(turn, scene, only, figures, round_no, say):
    """One scene on one system. A failure ends the scene for this system, and is kept."""
    system = turn.system
    if scene.bulky:  # a virtual machine's memory costs much more at the first touch
        filler = turn.mem / "filler"
        turn.load("write", filler, 3 * turn.sizes.size, 0, "nofsync")
        filler.unlink()
    try:
        system.create()
        system.mount()
        turn.mnt = system.mnt
        turn.settle = lambda: settle(turn.load, system)
        turn.settle()
        for step, asked in wanted_steps(scene, only):
            if step.cold:
                machine.drop_caches()
            warm_up(step, turn.mem)
            figure = step.do(turn)
            put_off = turn.settle() if step.writes else 0.0
            if asked and figure is not None:
                figures.value[step.key][system.name][round_no] = figure
                figures.after[step.key][system.name].append(put_off)
                say(f"{step.key} {figure:.4g}")
        system.unmount()
    except (Failed, OSError, subprocess.SubprocessError) as e:
        figures.failures.append((system.name, scene.name, str(e).replace(str(system.home), "…")))
        say(f"FAILED: {e}")
    finally:
        system.remove()


def run_part(where, place, mem, bin_dir, classes, scenes, sizes, rounds, only, load):
    """One part of the bench: all scenes, `rounds` times, on systems whose stores lie in `place`."""
    figures = Figures()
    for round_no in range(rounds):
        for number, scene in enumerate(scenes):
            if not wanted_steps(scene, only) or (scene.once and round_no):
                continue
            shift = (round_no + number) % len(classes)
            for cls in classes[shift:] + classes[:shift]:
                print(f"[{where} {round_no + 1}/{rounds}] {scene.name}: {cls.name}:", end="", flush=True)
                system = cls(Path(place) / f"{cls.name}-{round_no}", bin_dir)
                turn = Turn(load, system, 1000 * round_no + 10 * number + 7, sizes, mem)
                turn.first = round_no == 0
                play(turn, scene, only, figures, round_no,
                     lambda text: print(f" {text};", end="", flush=True))
                print(flush=True)
    return figures
