"""Kill commands, as `kill -9` does, at every boundary of a save, and let the same command go on.

A boundary is before and after each call by which a file or folder is made, written, synced, renamed
or removed. Whatever a command leaves behind in the end, names of files and their content but for
times, has to be what it leaves when nobody kills it. `python tests/torture.py --kills 1000` tries
so many, by seed; the tests try a few.
"""

import argparse
import io
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from shutil import rmtree
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parent))
import tables
import tiny
from commands import sets

from gan_nas.cli import run

RUN = "a run"
TRIALS = {"trials": 2, "trial_images": 32, "derived_width": 4, "derived_discriminator_width": 4}
RETRAIN = ("retrain", "autogan-cifar10-top1", "--width", "4", *sets(tiny.TRAINING), "--run", RUN)
TRAINING = ("--retrain", "--seeds", "2", *sets(tiny.TRAINING))
RANDOM = ("search", "--method", "random", *sets(TRIALS), "--run", RUN)
TABLE = ("table", "make", "tied-digits", *[f"--set={text}" for text in tables.TINY], "--run", RUN)
STUDY = ("study", "strategies", "--set", "strategies=evolution", "--set", "table=made up.json")


def made_up(folder: Path) -> None:
    tables.made_up().save(folder / "made up.json")


# What is done before, and what is killed; all in one folder.
COMMANDS: dict[str, tuple[list[Sequence[str] | Callable[[Path], None]], Sequence[str]]] = {
    "retrain": ([], RETRAIN),
    **{
        name: ([], ("search", "--method", name, *sets(tiny.SETTINGS[name]), "--run", RUN))
        for name in ("autogan", "adversarialnas", "degas")
    },
    "random": ([], RANDOM),
    "halving": ([], (*RANDOM[:2], "halving", *RANDOM[3:])),
    "shared": ([], (*RANDOM, "--evaluator", "shared", "--set", "supernet_images=32")),
    "derive": ([RANDOM], ("derive", RUN, "--top-k", "2", *TRAINING)),
    "table": ([], TABLE),
    "study": ([made_up], (*STUDY, *sets({"runs": 10, "budget": 2}), "--jobs", "1")),
    "stats": ([], ("stats", "digits", "-o", "some stats.npz")),
    "score": ([RETRAIN], ("score", f"{RUN}/generator.safetensors", "-n", "20", "-o", "s.json")),
    "sample": ([RETRAIN], ("sample", f"{RUN}/generator.safetensors", "-o", "some.png")),
    "genomes": ([], ("genomes", "--sample", "degas", "--count", "3", "-o", "drawn")),
}
TIMED = {
    "seconds",
    "time",
    "processor_seconds",
    "images_per_second",
    "images/s",
    "run_id",
    "seal",
    "log_bytes",
}
HASHES = {"files", "sizes"}  # of checkpoints, whose states hold times


class Boundaries:
    """Counts the boundaries of all that is written, and kills the process at one."""

    def __init__(self, last: int | None) -> None:
        self.count, self.last = 0, last

    def _pass(self) -> None:
        self.count += 1
        if self.count == self.last:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, call: Callable[..., Any], when: Callable[..., bool]) -> Callable[..., Any]:
        def watched(*arguments: Any, **options: Any) -> Any:
            if not when(*arguments, **options):
                return call(*arguments, **options)
            self._pass()
            result = call(*arguments, **options)
            self._pass()
            return result

        return watched

    def watch(self) -> None:
        """Look at every call of this process from now on."""

        def always(*_: Any, **__: Any) -> bool:
            return True

        def writes(path: Any, flags: int, *_: Any, **__: Any) -> bool:
            return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))

        def opened(file: Any, mode: str = "r", *_: Any, **__: Any) -> bool:
            return bool(set(mode) & set("wax+")) and file != os.devnull

        for name in (
            "fsync",
            "replace",
            "rename",
            "unlink",
            "mkdir",
            "rmdir",
            "write",
            "ftruncate",
        ):
            setattr(os, name, self.around(getattr(os, name), always))
        os.open = self.around(os.open, writes)  # type: ignore[assignment]
        io.open = self.around(io.open, opened)  # type: ignore[assignment]


def call(arguments: Sequence[str], folder: Path, last: int | None = None) -> tuple[int, int]:
    """Run a command in a process of its own; returns its exit status and the boundaries passed.

    The status is negative where a signal ended it, the number then unknown.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        status = 70
        try:
            os.chdir(folder)
            null = os.open(os.devnull, os.O_RDWR)
            for descriptor in (1, 2):
                os.dup2(null, descriptor)
            boundaries = Boundaries(last)
            tell = os.write
            boundaries.watch()
            status = run(list(arguments))
            tell(writing, str(boundaries.count).encode())
        finally:
            os._exit(status)
    os.close(writing)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with os.fdopen(reading, "rb") as pipe:
        return status, int(pipe.read() or 0)


def left(folder: Path) -> dict[str, Any]:
    """Return what a folder holds, by name: content, times and what hangs on them aside."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_dir():
            found[name] = "a folder"
        elif path.suffix == ".json":
            found[name] = timeless(json.loads(path.read_text()))
        elif path.suffix == ".jsonl":
            found[name] = [timeless(json.loads(line)) for line in path.read_text().splitlines()]
        elif path.name != ".lock":
            found[name] = path.read_bytes()
    return found


def timeless(value: Any) -> Any:
    if isinstance(value, dict):
        hashes = HASHES if "run_id" in value else set()
        return {k: timeless(v) for k, v in value.items() if k not in TIMED | hashes}
    return [timeless(item) for item in value] if isinstance(value, list) else value


class Victim:
    """A command that is killed, and what it leaves when it is not."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.before, self.command = COMMANDS[name]
        status, self.boundaries = self._prepared("whole", self.command)
        assert status == 0, f"{name} ends with {status}"
        assert self.boundaries > 4, name
        self.whole = left(folder / "whole")

    def _prepared(self, where: str, command: Sequence[str] | None) -> tuple[int, int]:
        folder = self.folder / where
        rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for one in self.before:
            if callable(one):
                one(folder)
            else:
                assert call(one, folder)[0] == 0, one
        return call(command, folder) if command else (0, 0)

    def kill(self, *lasts: int) -> None:
        """Kill it at these boundaries, of one start after another, and let it go on to its end."""
        self._prepared("killed", None)
        folder = self.folder / "killed"
        where = f"{self.name} killed at {lasts} of {self.boundaries}"
        for last in lasts:
            status, _ = call(self.command, folder, last)
            assert status in (-signal.SIGKILL, 0), f"{where} ends with {status}"
        status, _ = call(self.command, folder)
        assert status == 0, f"{where} goes on to {status}"
        after = left(folder)
        assert after.keys() == self.whole.keys(), (
            f"{where}: {sorted(after.keys() ^ self.whole.keys())}"
        )
        changed = [name for name, content in self.whole.items() if after[name] != content]
        assert not changed, f"{where}: {changed} differ"


def prepare() -> None:
    """Import here, and not in every child, what commands import late."""
    torch.set_num_threads(1)
    for late in ("torch._dynamo", "matplotlib.figure", "scipy.stats", "gan_nas.search.drive"):
        import_module(late)


def main() -> None:
    """Try so many kills, and say how many there were."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("torture"))
    parser.add_argument("commands", nargs="*", default=list(COMMANDS))
    asked = parser.parse_args()
    prepare()
    draw, begun = random.Random(asked.seed), time.monotonic()
    victims = [Victim(name, asked.folder.resolve() / name) for name in asked.commands]
    killed, failed = 0, 0
    while killed < asked.kills:
        victim = draw.choice(victims)
        lasts = [draw.randint(1, victim.boundaries) for _ in range(draw.choice((1, 1, 2, 3)))]
        killed += len(lasts)
        try:
            victim.kill(*lasts)
        except AssertionError as error:
            failed += 1
            print(error, flush=True)
    seconds = time.monotonic() - begun
    print(f"{killed} kills in {len(victims)} commands, {failed} failures, {seconds:.0f} s")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
