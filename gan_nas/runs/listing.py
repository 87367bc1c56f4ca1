"""Which runs there are in a folder, how far each is and how good, as the disk tells (no torch).

A run is running while a process holds its lock. How far it is and its time left are those of the
last line of its log; logs of older versions tell less, and what cannot be read is listed, too.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

from filelock import lock_descriptor
from pydantic import BaseModel, ConfigDict

from gan_nas.errors import GanNasError
from gan_nas.files import NO_FOLLOW, NO_WAIT
from gan_nas.formats.left import is_run, read_object
from gan_nas.runs import logs
from gan_nas.runs.folders import CONFIG, LOCK, LOG, OUTCOME, RESULT
from gan_nas.scoring.protocols import is_distance

State = Literal["running", "stopped", "finished", "failed", "damaged"]
# What a line of a log counts, and the setting that says how much of it there will be: the first
# that both have. AutoGAN's lines have steps, too, whose number depends on resets.
LENGTHS = (
    ("iteration", "iterations"),
    ("trial", "trials"),
    ("step", "steps"),
    ("step", "iterations"),
    ("images", "images"),
    ("seconds", "seconds"),
)
DEPTH = 3  # folders that are looked into
LARGEST = 1e300  # of a number that is taken from a log


class Listed(BaseModel):
    """A run, in a row of a table."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    run: str
    """Path of its directory."""
    method: str = ""
    data: str = ""
    state: State
    step: int | None = None
    steps: int | None = None
    """As its method counts: steps, iterations, trials, images or seconds."""
    score: str | None = None
    """What the best score is called: a distance where it has one, else what its method ranks by."""
    best: float | None = None
    seconds: float | None = None
    """Spent so far, in all its sittings."""
    seconds_left: float | None = None
    """Of a run that is not finished, at the pace of all its steps so far, scoring included."""
    changed: str | None = None
    """When it last told of itself, in UTC; runs of older versions do not say."""
    why: str | None = None
    """How it failed, or what is damaged."""


def list_runs(folder: Path) -> list[Listed]:
    """List the runs in a folder by name, or a run and those inside it."""
    inside = [folder, *_runs_in(folder)] if is_run(folder) else _runs_in(folder)
    return [_listed(run) for run in inside]


def _runs_in(folder: Path, depth: int = DEPTH) -> list[Path]:
    """Find runs below a folder, but not those inside other runs, unless it is a run itself."""
    found: list[Path] = []
    with suppress(OSError):
        for entry in sorted(folder.iterdir()):
            if not entry.is_dir() or entry.name.startswith("."):
                continue
            if is_run(entry):
                found.append(entry)
            elif depth > 1:
                found += _runs_in(entry, depth - 1)
    return found


def _listed(run: Path) -> Listed:
    try:
        config = read_object(run / CONFIG)
        known: dict[str, Any] = {
            "run": str(run),
            "method": _text(config, "method"),
            "data": _text(config, "data"),
        }
        if (run / RESULT).exists():
            return Listed(**known, state="finished", **_of_result(read_object(run / RESULT)))
        lines = logs.read(run / LOG, warns=False)
        state: State = "running" if is_held(run) else "stopped"
        told = _progress(config, lines)._asdict() | _best(lines)
        if state == "stopped" and (run / OUTCOME).exists():
            state, told["why"] = "failed", _text(read_object(run / OUTCOME), "why")
            told["seconds_left"] = None
        if state == "running":
            told["seconds_left"] = _since(told)
        return Listed(**known, state=state, **told)
    except (GanNasError, OSError) as error:
        return Listed(run=str(run), state="damaged", why=str(error))


def is_held(run: Path) -> bool:
    """Tell whether a process works in a run: whether its lock is held."""
    try:
        descriptor = os.open(run / LOCK, os.O_RDWR | NO_FOLLOW | NO_WAIT)
    except OSError:
        return False
    try:
        return not lock_descriptor(descriptor, blocking=False)
    except OSError:
        return False
    finally:
        os.close(descriptor)


class Progress(NamedTuple):
    """How far a run is by its log."""

    step: int | None = None
    steps: int | None = None
    seconds: float | None = None
    seconds_left: float | None = None
    changed: str | None = None


def _progress(config: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> Progress:
    """Return how far the last line is that tells."""
    settings = config.get("config")
    settings = settings if isinstance(settings, dict) else {}
    for line in reversed(lines):
        seconds, stamp = _number(line, "seconds"), line.get("time")
        changed = stamp if isinstance(stamp, str) else None
        for counted, length in LENGTHS:
            done, total = _number(line, counted), _number(settings, length)
            if done is not None and total and total > 0:
                left = None
                if seconds is not None and done > 0:
                    left = seconds * max(0.0, total - done) / done
                return Progress(int(done), int(total), seconds, left, changed)
    return Progress()


def _since(told: Mapping[str, Any]) -> float | None:
    """Return the time left now, which has passed since the last line, too."""
    left, changed = told["seconds_left"], told["changed"]
    if left is None or changed is None:
        return left
    with suppress(ValueError):
        passed = time.time() - datetime.fromisoformat(changed).timestamp()
        return max(0.0, float(left) - max(0.0, passed))
    return left


def _best(lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the lowest distance of a log; without any the highest reward or the lowest loss."""
    for of, best in ((_distances, min), (_rewards, max), (_losses, min)):
        found = [one for line in lines for one in of(line)]
        if found:
            name, value = best(found, key=lambda one: one[1])
            return {"score": name, "best": value}
    return {}


def _distances(line: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name in line:
        if (is_distance(name) or name == "distance") and (value := _number(line, name)) is not None:
            yield name, value
            return


def _rewards(line: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    if (value := _number(line, "reward")) is not None:
        yield "reward", value


def _losses(line: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    if (value := _number(line, "loss")) is not None:
        yield "loss", value


def _of_result(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a finished run's result tells: its time, and its best score."""
    told: dict[str, Any] = {"seconds": _number(result, "seconds")}
    steps = next((n for name in ("steps", "iterations") if (n := _number(result, name))), None)
    if steps is not None:
        told |= {"step": int(steps), "steps": int(steps)}
    genomes = result.get("genomes")
    first = genomes[0] if isinstance(genomes, list) and genomes else None
    best = result.get("best") if first is None else first
    if isinstance(best, dict):
        values = best.get("values")
        rows: list[Any] = [best, best.get("scores"), values]
        told |= _best([row for row in rows if isinstance(row, dict)])
        if "best" not in told and isinstance(values, dict):
            named = [(name, n) for name in values if (n := _number(values, name)) is not None]
            told |= {"score": named[0][0], "best": named[0][1]} if named else {}
    elif "loss" in result:
        told |= _best([result])
    return told


def _number(values: Mapping[str, Any], name: str) -> float | None:
    value = values.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return value if abs(value) <= LARGEST else None  # nor NaN, nor infinity


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    return value if isinstance(value, str) else ""
