"""What a command spends on a hostile file: seconds and memory beyond those of an honest one.

`python tests/costs.py` runs each through its command, in a process of its own.
"""

import argparse
import os
import resource
import shutil
import sys
import tempfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import torch
from hostile import HOSTILE, READERS
from hostile_files import GENOME, MIB, honest_generator, honest_statistics

from gan_nas.cli import run

MOST_MEMORY, MOST_SECONDS = 200 * MIB, 2.0  # beyond the honest file's
CAP = 3 << 30  # bytes of a child's memory, lest a fault takes the machine's


class Cost(NamedTuple):
    """How a command ended, what it said at the end, and what it took."""

    code: int
    said: str
    seconds: float
    memory: int
    """Bytes, at most at a time."""


def cost(words: Sequence[str], folder: Path) -> Cost:
    """Run a command in a folder and a process of its own."""
    said = folder / "said.txt"
    pid = os.fork()
    if not pid:
        status = 70
        try:
            os.chdir(folder)
            now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (now + CAP, now + CAP))
            resource.setrlimit(resource.RLIMIT_CPU, (6, 6))
            null, err = os.open(os.devnull, os.O_RDWR), os.open(said, os.O_WRONLY | os.O_CREAT)
            os.dup2(null, 1)
            os.dup2(err, 2)
            status = run(list(words))
        finally:
            os._exit(status)
    _, status, used = os.wait4(pid, 0)
    lines = said.read_text().splitlines() or [""]
    said.unlink()
    seconds = used.ru_utime + used.ru_stime
    errors = [line for line in lines if line.startswith("error")]
    text = " ".join(lines[lines.index(errors[0]) :] if errors else lines[-1:])
    return Cost(os.waitstatus_to_exitcode(status), text, seconds, used.ru_maxrss * 1024)


def beyond(name: str, folder: Path, base: Cost) -> Cost:
    """Return how a command ends on a hostile file, and what that took beyond the honest one."""
    hostile = HOSTILE[name]
    path = folder / hostile.name
    hostile.make(path)
    try:
        found = cost([word.format(path) for word in READERS[hostile.reader][0]], folder)
    finally:
        remove(path)
    return Cost(found.code, found.said, found.seconds - base.seconds, found.memory - base.memory)


def honest(reader: str, folder: Path) -> Cost:
    """Return how a command ends on an honest file, and what that took."""
    command, make, name = READERS[reader]
    GENOME.save(folder / "g.json")
    honest_generator(folder / "g.safetensors")
    honest_statistics(folder / "r.npz")
    path = folder / name
    if not path.exists():
        make(path)
    return cost([word.format(path) for word in command], folder)


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def prepare() -> None:
    """Import here, and not in every child, what commands import late."""
    torch.set_num_threads(1)
    for late in ("torch._dynamo", "scipy.stats", "gan_nas.scoring.score", "gan_nas.training.loop"):
        import_module(late)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="of names; without, all are tried")
    asked = parser.parse_args()
    prepare()
    bases: dict[str, Cost] = {}
    bad = 0
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        for name, hostile in HOSTILE.items():
            if asked.words and not any(word in name for word in asked.words):
                continue
            if hostile.reader not in bases:
                bases[hostile.reader] = honest(hostile.reader, folder)
                print(f"-- {hostile.reader}: {bases[hostile.reader]}", flush=True)
            found = beyond(name, folder, bases[hostile.reader])
            wrong = (
                found.code not in hostile.codes
                or found.seconds > MOST_SECONDS
                or found.memory > MOST_MEMORY
            )
            bad += wrong
            print(
                f"{'BAD' if wrong else 'ok '} {name}: {found.code}, {found.seconds:.1f} s, "
                f"{found.memory / MIB:.0f} MiB; {found.said[:150]}",
                flush=True,
            )
    print(f"{bad} bad")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
