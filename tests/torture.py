"""End commands before their time, and let the same command go on: as if nobody had ended it.

Half of all kills, `kill -9`, are at boundaries of writing: before and after each call by which a
file or folder is made, written, synced, renamed or removed. The others come from outside, at any
moment. Between a kill and what goes on a run may be moved or copied to another place, where the
clock of the machine may be wrong by a day. Whatever a command leaves behind in the end, names of
files and their content but for times, has to be what it leaves when nobody kills it.

`python tests/torture.py --kills 1000` tries so many, by seed; with --signals politely, by SIGTERM,
SIGINT and SIGHUP, some of them twice. The tests try a few.
"""

import argparse
import csv
import datetime
import io
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from importlib.util import find_spec
from math import inf
from pathlib import Path
from shutil import copytree, rmtree
from tempfile import TemporaryDirectory
from typing import Any, Literal, NamedTuple

import torch

sys.path.insert(0, str(Path(__file__).parent))
from victims import CACHE, COMMANDS, RUN

from gan_nas.cli import run
from gan_nas.cli.signals import ignore, obey
from gan_nas.runs.curves import Course, save_curves
from gan_nas.search.strategies.optuna import JOURNAL

DAY = 86_400.0
LONGEST = 900  # seconds of a command: longer is never
POLITE = 2.0  # CPU seconds from a signal to the end
ELSEWHERE = "moved to here"  # a run, or its copy
INTERRUPTED, KILLED = 75, 130
TIMED = {
    "seconds",
    "time",
    "date",
    "processor_seconds",
    "images_per_second",
    "images/s",
    "run_id",
    "seal",
    "log_bytes",
    *("datetime_start", "datetime_complete", "worker_id"),  # of Optuna's journal
}
HASHES = {"files", "sizes"}  # of checkpoints, whose states hold times


class Blow(NamedTuple):
    """A signal at a boundary, or after so many seconds; perhaps another one so much later."""

    boundary: int | None = None
    seconds: float | None = None
    number: signal.Signals = signal.SIGKILL
    second: tuple[float, signal.Signals] | None = None

    @property
    def codes(self) -> set[int]:
        """Return how a command may end by it; 0 where it was at its end already."""
        if self.number == signal.SIGKILL:
            return {0, -signal.SIGKILL}
        gives_up = self.second is not None and {self.number, self.second[1]} == {signal.SIGINT}
        return {0, INTERRUPTED} | ({KILLED} if gives_up else set())


class Ended(NamedTuple):
    """How a command ended: exit status, what it said, boundaries and seconds passed.

    The status is negative where a signal ended it, the number of boundaries then unknown. `busy`
    are CPU seconds from a signal of others to the end.
    """

    status: int
    said: str
    boundaries: int = 0
    seconds: float = 0.0
    busy: float = 0.0


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


def turn_clock(ahead: float) -> None:
    """Let this process believe that it is so many seconds later, on a machine just started."""
    clock, since_boot, begun = time.time, time.monotonic, time.monotonic()
    time.time = lambda: clock() + ahead
    time.monotonic = lambda: since_boot() - begun
    true = datetime.datetime

    class Turned(true):  # type: ignore[misc, valid-type]
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
            return true.fromtimestamp(time.time(), tz)

    for module in list(sys.modules.values()):
        if getattr(module, "datetime", None) is true:
            module.datetime = Turned  # type: ignore[attr-defined]


def call(
    words: Sequence[str], folder: Path, blow: Blow | None = None, *, ahead: float = 0.0
) -> Ended:
    """Run a command in a process of its own, whose clock may be ahead, and hit it."""
    heard = folder.with_name(f"{folder.name} said")
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        status = 70
        try:
            signal.alarm(LONGEST)
            os.chdir(folder)
            if Path(CACHE).is_dir():
                os.environ["GAN_NAS_CACHE"] = CACHE
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            for descriptor in (1, 2):
                os.dup2(os.open(heard, os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
            if ahead:
                turn_clock(ahead)
            boundaries, tell = Boundaries(blow.boundary if blow else None), os.write
            obey()
            tell(writing, b"\n")
            boundaries.watch()
            status = run(list(words))
            ignore()
            tell(writing, str(boundaries.count).encode())
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        pipe.readline()
        begun = time.monotonic()
        busy = hit(pid, blow) if blow and blow.seconds is not None else 0.0
        _, status, used = os.wait4(pid, 0)
        seconds = time.monotonic() - begun
        count = int(pipe.read() or 0) if os.WIFEXITED(status) else 0
    said = heard.read_text()
    heard.unlink()
    busy = used.ru_utime + used.ru_stime - busy
    return Ended(os.waitstatus_to_exitcode(status), said, count, seconds, busy)


def hit(pid: int, blow: Blow) -> float:
    """Send a process its signals; return what CPU seconds it had used at the first one."""
    assert blow.seconds is not None
    time.sleep(blow.seconds)
    used = 0.0
    if sys.platform == "linux":
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
        used = sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
    os.kill(pid, blow.number)
    if blow.second:
        time.sleep(blow.second[0])
        os.kill(pid, blow.second[1])
    return used


def left(folder: Path) -> dict[str, Any]:
    """Return what a folder holds, by name: content, times and what hangs on them aside."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_dir():
            found[name] = "a folder"
        elif path.suffix == ".json":
            found[name] = timeless(json.loads(path.read_text()))
        elif path.suffix == ".jsonl" or path.name == JOURNAL:
            found[name] = [timeless(json.loads(line)) for line in path.read_text().splitlines()]
        elif path.suffix == ".csv":
            found[name] = timeless(list(csv.DictReader(path.read_text().splitlines())))
        elif path.name != ".lock":
            found[name] = path.read_bytes()
    return found


def timeless(value: Any) -> Any:
    if isinstance(value, dict):
        hashes = HASHES if "run_id" in value else set()
        return {k: timeless(v) for k, v in value.items() if k not in TIMED | hashes}
    return [timeless(item) for item in value] if isinstance(value, list) else value


def suggestions(said: str) -> list[str]:
    return [line for line in said.splitlines() if "  gan-nas " in line]


class Plan(NamedTuple):
    """Blows, one start after another, and what happens after the first."""

    blows: tuple[Blow, ...]
    then: Literal["nothing", "a move", "a copy"] = "nothing"
    ahead: float = 0.0
    """Seconds by which the clock jumps."""


class Victim:
    """A command that is killed, and what it leaves when it is not."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder, self.command = name, folder, COMMANDS[name]
        before = folder / "before"
        rmtree(folder, ignore_errors=True)
        before.mkdir(parents=True)
        for one in self.command.before:
            if callable(one):
                one(before)
            else:
                done = call(one, before)
                assert done.status == 0, f"{one} before {name} ends with {done}"
        self.done = call(self.command.words, copytree(before, folder / "whole"))
        assert self.done.status == 0, f"{name} ends with {self.done}"
        assert self.done.boundaries > 4, name
        self.whole = left(folder / "whole")

    def plan(self, draw: random.Random, *, politely: bool = False) -> Plan:
        """Draw blows, and what is between them."""
        blows = [self.blow(draw, politely=politely) for _ in range(draw.choice((1, 2, 3, 4)))]
        then = draw.choice(("nothing", "nothing", "nothing", "a move", "a copy"))
        ahead = draw.choice((0.0, 0.0, 0.0, -DAY, DAY))
        return Plan(tuple(blows), then if self.command.works_in_a_run else "nothing", ahead)

    def blow(self, draw: random.Random, *, politely: bool = False) -> Blow:
        """Draw a kill, or a signal that asks politely, perhaps twice."""
        seconds = draw.uniform(0, self.done.seconds)
        if politely:
            numbers = signal.SIGTERM, signal.SIGTERM, signal.SIGINT, signal.SIGHUP
            again = draw.uniform(0, 0.2), draw.choice(numbers)
            return Blow(
                seconds=seconds,
                number=draw.choice(numbers),
                second=again if draw.random() < 0.5 else None,
            )
        if draw.random() < 0.5:
            return Blow(seconds=seconds)
        return Blow(boundary=draw.randint(1, self.done.boundaries))

    def suffer(self, plan: Plan, call: Callable[..., Ended] = call) -> list[int]:
        """End it as planned and let it go on to its end; return the status after each blow."""
        folder, where = self.folder / "killed", f"{self.name}, {self.done.seconds:.1f} s, {plan}"
        rmtree(folder, ignore_errors=True)
        copytree(self.folder / "before", folder)
        place, statuses = RUN, []
        for number, blow in enumerate(plan.blows):
            ended = call(self._words(place), folder, blow, ahead=plan.ahead if number else 0.0)
            assert ended.status in blow.codes, f"{where} ends with {ended}"
            assert "Traceback" not in ended.said, f"{where}: {ended.said}"
            if blow.number != signal.SIGKILL and "--jobs" not in self.command.words:
                assert ended.busy < POLITE, f"{where} takes {ended.busy:.1f} s to end"
            statuses.append(ended.status)
            if not number and plan.then != "nothing":
                place = ELSEWHERE
                if plan.then == "a copy" and (folder / RUN).exists():
                    copytree(folder / RUN, folder / place)
                elif (folder / RUN).exists():
                    (folder / RUN).rename(folder / place)
        ended = call(self._words(place), folder, ahead=plan.ahead)
        assert ended.status == 0, f"{where} goes on to {ended}"
        polite = any(blow.number != signal.SIGKILL for blow in plan.blows)
        self._check(folder, place, ended.said, where, polite=polite)
        return statuses

    def _words(self, place: str) -> list[str]:
        return [word.replace(RUN, place) for word in self.command.words]

    def _check(self, folder: Path, place: str, said: str, where: str, *, polite: bool) -> None:
        """Compare what it left, and suggested, with what it does when nobody ends it.

        Who is asked `polite`ly to stop saves there and then: other checkpoints than usual are
        left, of which comes the same.
        """
        if place != RUN:
            rmtree(folder / RUN, ignore_errors=True)  # as it was when a copy of it went on
        after = left(folder)
        if place != RUN:
            assert RUN not in said, f"{where}: {said}"
        whole = {name.replace(RUN, place): one for name, one in self.whole.items()}
        if polite:
            after, whole = (
                {name: one for name, one in found.items() if "checkpoint" not in name.split("/")}
                for found in (after, whole)
            )
        assert after.keys() == whole.keys(), f"{where}: {sorted(after.keys() ^ whole.keys())}"
        changed = [name for name, content in whole.items() if after[name] != content]
        assert not changed, f"{where}: {changed} differ"
        wanted = [line.replace(RUN, place) for line in suggestions(self.done.said)]
        assert sorted(suggestions(said)) == sorted(wanted), f"{where}: {suggestions(said)}"


def prepare() -> None:
    """Do here, and not in every child, what takes time once in each process.

    Nothing that has a gradient: autograd's thread would be missing in what is forked.
    """
    torch.set_num_threads(1)
    extras = [name for name in ("optuna", "cmaes") if find_spec(name)]
    for late in (
        *("torch._dynamo", "scipy.stats", *extras),
        "gan_nas.cli.commands",
        "gan_nas.studies.methods",
        "gan_nas.trials.making",
        "gan_nas.scoring.score",
        "gan_nas.exports.hub",
        "gan_nas.reports.report",
    ):
        import_module(late)
    with TemporaryDirectory() as folder:  # what a plan and a picture need
        save_curves([Course("", [{"step": 1, "loss": 1.0}])], Path(folder) / "curves.png", "")
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        for name in ("autogan-cifar10-top1", "adversarialnas-cifar10"):
            assert run(["build", name]) == 0


def main() -> None:
    """Try so many kills, and say how many there were of each command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=inf, help="begin no other after so long")
    parser.add_argument("--signals", action="store_true", help="ask politely instead")
    parser.add_argument("--folder", type=Path, default=Path("torture"))
    parser.add_argument("commands", nargs="*", default=list(COMMANDS))
    asked = parser.parse_args()
    prepare()
    draw, begun = random.Random(asked.seed), time.monotonic()
    victims: dict[str, Victim] = {}
    ended, failed = Counter[str](), Counter[str]()
    while ended.total() < asked.kills and time.monotonic() - begun < asked.seconds:
        name = draw.choice(asked.commands)
        try:
            if name not in victims:
                victims[name] = Victim(name, asked.folder.resolve() / name)
            plan = victims[name].plan(draw, politely=asked.signals)
            statuses = victims[name].suffer(plan)
            ended[name] += sum(status != 0 for status in statuses)
        except AssertionError as error:
            ended[name] += 1
            failed[name] += 1
            print(error, flush=True)
    for name in asked.commands:
        print(f"{name:24} {ended[name]:5} ended, {failed[name]} failures")
    seconds = time.monotonic() - begun
    print(f"{ended.total()} ended, {failed.total()} failures, {seconds:.0f} s")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
