"""Edited state of runs through what reads it: refused in a sentence, or the same results.

`python tests/edited_runs.py` tries every edit of every tensor and every JSON value that the tiny
runs keep, under hashes that fit, and says how each ended; words pick kinds of runs. With --every N
it tries one in N; the tests try a few.
"""

import argparse
import io
import json
import logging
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from functools import partial
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import old_runs
import tables
import tiny
import torch
from commands import sets
from safetensors.torch import load_file, save_file
from torch import Tensor

from gan_nas.cli import run as run_command
from gan_nas.cli.commands import code_and_sentence
from gan_nas.errors import Interrupted, shorten
from gan_nas.files import seal, unseal
from gan_nas.networks.states import OVERFLOWING
from gan_nas.runs import loop
from gan_nas.runs.checkpoints import Checkpoint

RUNS = tiny.RUNS | {"trials": partial(tiny.run_search, "halving")}
SHARED = ("generator", "discriminator", "averages", "losses")
OPTIMIZERS = ("generator_optimizer", "discriminator_optimizer")
MAY_DIVERGE = {"autogan": SHARED + OPTIMIZERS}  # which its own reset is for
GOOD = (2, 4)  # what may be said of edited state

Tensors = dict[str, Tensor]
Edit = Callable[[Tensors, str], Tensors]


def without(tensors: Tensors, name: str) -> Tensors:
    return {key: value for key, value in tensors.items() if key != name}


def replaced(change: Callable[[Tensor], Tensor]) -> Edit:
    return lambda tensors, name: tensors | {name: change(tensors[name])}


def spoilt(value: float) -> Callable[[Tensor], Tensor]:
    def change(tensor: Tensor) -> Tensor:
        if not tensor.is_floating_point() or not tensor.numel():
            return tensor
        copy = tensor.clone()
        copy.view(-1)[0] = value
        return copy

    return change


TENSOR_EDITS: dict[str, Edit] = {
    "removed": without,
    "renamed": lambda tensors, name: without(tensors, name) | {f"{name}x": tensors[name]},
    "an extra one": lambda tensors, name: tensors | {f"x.{name}": tensors[name]},
    "another shape": replaced(lambda tensor: torch.stack([tensor, tensor])),
    "without elements": replaced(lambda tensor: tensor.new_zeros(0)),
    "whole numbers": replaced(lambda tensor: tensor.to(torch.int32)),
    "float16": replaced(lambda tensor: tensor.half()),
    "float64": replaced(lambda tensor: tensor.double()),
    "complex": replaced(lambda tensor: tensor.to(torch.complex64)),
    "NaN": replaced(spoilt(float("nan"))),
    "infinite": replaced(spoilt(float("inf"))),
}


class Kept(NamedTuple):
    """An interrupted run with one checkpoint, and what it leaves where nobody interrupts it."""

    kind: str
    run: Path
    traces: dict[str, Any]

    @property
    def checkpoint(self) -> Path:
        (folder,) = (self.run / "checkpoint").iterdir()
        return folder


def interrupted(kind: str, folder: Path, share: float = 0.6) -> Kept:
    """Make a run, and the same one interrupted at a share of its looks."""
    looks = tiny.Looks()
    RUNS[kind](folder / "whole", looks)
    with suppress(Interrupted):
        RUNS[kind](folder / "half", tiny.Looks(int(looks.count * share)))
    newest = sorted((folder / "half" / "checkpoint").iterdir())[-1]
    for other in newest.parent.iterdir():
        if other != newest:
            shutil.rmtree(other)
    return Kept(kind, folder / "half", tiny.traces(folder / "whole"))


def sealed(checkpoint: Path) -> None:
    """Write the manifest anew, so that sizes and hashes fit."""
    manifest = unseal((checkpoint / "manifest.json").read_text())
    assert manifest is not None
    data = {path.name: path.read_bytes() for path in checkpoint.iterdir()}
    del data["manifest.json"]
    manifest["files"] = {name: sha256(content).hexdigest() for name, content in data.items()}
    manifest["sizes"] = {name: len(content) for name, content in data.items()}
    (checkpoint / "manifest.json").write_text(seal(manifest))


def ended(call: Callable[[], object]) -> tuple[int, str]:
    """Return the exit code a command would end with, and its sentence."""
    try:
        call()
    except Exception as error:  # whatever it is: that is the question
        return code_and_sentence(error)
    return 0, ""


class Stored:
    """Stands for a run in what reads a checkpoint: this one, which is on no disk."""

    def __init__(self, directory: Path, checkpoint: Checkpoint) -> None:
        self.directory, self.checkpoint = directory, checkpoint

    def latest(self) -> Checkpoint:
        return self.checkpoint


class Captured(Exception):
    """What goes on from a checkpoint, before it has read it."""


def reader(kept: Kept) -> Callable[[Checkpoint], object]:
    """Return what a run does with a checkpoint, its networks made once."""
    found: list[Any] = []
    whole = loop._restored

    def capture(run: Any, ledger: Any, state: Any, start: Any) -> Any:
        found.extend((run.directory, ledger, state, whole(run, ledger, state, start)))
        raise Captured

    loop._restored = capture
    try:
        with suppress(Captured):
            RUNS[kept.kind](_copied(kept, kept.run.with_name("captured")))
    finally:
        loop._restored = whole
    directory, ledger, state, work = found
    return lambda checkpoint: whole(Stored(directory, checkpoint), ledger, state, lambda _: work)


def _copied(kept: Kept, to: Path) -> Path:
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(kept.run, to)
    return to


def to_the_end(kept: Kept, run: Path) -> tuple[int, str]:
    """Go on with a copy of a run: the same results count as 0, others as a fault."""
    code, said = ended(lambda: RUNS[kept.kind](run))
    if code == 0 and tiny.traces(run) != kept.traces:
        return -1, "other results"
    return code, said


class Tried(NamedTuple):
    """How an edit ended: with 0 and the same results, 2 or 4; anything else is a fault."""

    what: str
    code: int
    said: str

    @property
    def is_fault(self) -> bool:
        return self.code not in (0, *GOOD) or not self.said.isprintable() or len(self.said) > 900


def tensor_edits(kept: Kept, every: int = 1) -> Iterator[Tried]:
    """Try the edits of every tensor; of those that are read one of each sort to the run's end."""
    content = json.loads((kept.checkpoint / "state.json").read_text())
    groups = {path.stem: load_file(path) for path in kept.checkpoint.glob("*.safetensors")}
    read = reader(kept)
    going_on: set[tuple[str, str, str]] = set()
    places = [(group, name) for group in sorted(groups) for name in sorted(groups[group])]
    for group, name in places[::every]:
        for how, edit in TENSOR_EDITS.items():
            edited = edit(groups[group], name)
            diverged = how in ("infinite", "NaN")
            is_honest = diverged and group in MAY_DIVERGE.get(kept.kind, ())
            is_honest |= how == "infinite" and name.endswith(OVERFLOWING)
            same = edited.keys() == groups[group].keys() and edited[name] is groups[group][name]
            if is_honest or same:
                continue
            what = f"{kept.kind}: {group}/{name} {how}"
            changed = groups | {group: edited}
            checkpoint = Checkpoint(content["step"], content["state"], changed)
            code, said = ended(lambda checkpoint=checkpoint: read(checkpoint))  # type: ignore[misc]
            sort = group, name.rpartition(".")[2], how
            if code == 0 and sort not in going_on:
                going_on.add(sort)
                run = _copied(kept, kept.run.with_name("edited"))
                (folder,) = (run / "checkpoint").iterdir()
                plain = {key: value.contiguous().clone() for key, value in edited.items()}
                save_file(plain, folder / f"{group}.safetensors")
                sealed(folder)
                code, said = to_the_end(kept, run)
            yield Tried(what, code, said)


REMOVED = object()
VALUES = (REMOVED, None, [], {}, "", "x" * 5000, 1e308, -1, 10**399)


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield where values are in JSON; of a list its first and its last."""
    if path:
        yield path
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*path, key))
    elif isinstance(value, list) and value:
        for index in sorted({0, len(value) - 1}):
            yield from places(value[index], (*path, index))


def with_value(content: Any, path: tuple[str | int, ...], value: Any) -> Any:
    """Return JSON with another value at a place, or without it."""
    if not path:
        return value
    first, *rest = path
    if value is REMOVED and not rest:
        if isinstance(content, list):
            return [one for index, one in enumerate(content) if index != first]
        return {key: one for key, one in content.items() if key != first}
    changed = with_value(content[first], tuple(rest), value)
    if isinstance(content, list):
        return [changed if index == first else one for index, one in enumerate(content)]
    return content | {first: changed}


def is_plausible(path: tuple[str | int, ...], value: object) -> bool:
    """Tell numbers in the place of others that nothing tells from them: scores, measurements."""
    is_measured = "scores" in path or path[-1] in ("distance", "score", "why")
    return is_measured and path[-1] not in ("step", "images") and isinstance(value, int | float)


def json_edits(content: Any) -> Iterator[tuple[str, str]]:
    """Yield JSON texts in each of which one value is another, and what that is."""
    for path in places(content):
        for value in VALUES:
            if is_plausible(path, value):
                continue
            how = "removed" if value is REMOVED else shorten(value)
            yield f"{'.'.join(map(str, path))} {how}", text_of(with_value(content, path, value))
    for text in ("", "null", "[]", "{}", "[" * 5000, "1" * 5000, '"', "\0", "{" * 3):
        yield f"is {shorten(text)}", text


def text_of(value: Any) -> str:
    """Return JSON, with numbers of any length."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        return json.dumps(value)
    finally:
        sys.set_int_max_str_digits(before)


def state_edits(kept: Kept, every: int = 1) -> Iterator[Tried]:
    """Try the edits of a checkpoint's JSON; what is read goes on to the run's end."""
    content = json.loads((kept.checkpoint / "state.json").read_text())
    for how, text in list(json_edits(content))[::every]:
        run = _copied(kept, kept.run.with_name("edited"))
        (folder,) = (run / "checkpoint").iterdir()
        (folder / "state.json").write_text(text)
        sealed(folder)
        yield Tried(f"{kept.kind}: state.json {how}", *to_the_end(kept, run))


class Read(NamedTuple):
    """A run directory, and commands that read it: {} is where it is, < what else they write."""

    make: Callable[[Path], object]
    commands: tuple[tuple[str, ...], ...]


def command(*words: str | Path) -> None:
    assert run_command([str(word) for word in words]) == 0, words


def trials(run: Path) -> None:
    settings = tiny.SETTINGS["random"] | {"trials": 2}
    command("search", "--method", "random", *sets(settings), "--run", run)


def table(run: Path) -> None:
    command("table", "make", "tied-digits", "--run", run, *(f"--set={one}" for one in tables.TINY))


def study(run: Path) -> None:
    made = run.with_name("made-up.json")
    tables.made_up().save(made)
    command("study", "noise", "--set", f"table={made}", "--run", run)


ANY = (("runs", "{}"), ("report", "{}", "-o", "<.html"))
FOUND = (*ANY, ("build", "{}"), ("derive", "{}", "--top-k", "1"), ("table", "pack", "{}"))
READ = {
    "training": Read(
        partial(old_runs.copy, "retrain-finished"),
        (*ANY, ("build", "{}"), ("sample", "{}", "-n", "1", "-o", "<.png"), ("export", "{}", "<")),
    ),
    "search": Read(partial(old_runs.copy, "degas-finished"), FOUND),
    "trials": Read(trials, FOUND),
    "table": Read(
        table,
        (
            *ANY,
            ("table", "pack", "{}", "-o", "<.json"),
            (
                "table",
                "make",
                "tied-digits",
                "--run",
                "{}",
                *(f"--set={one}" for one in tables.TINY),
            ),
        ),
    ),
    "study": Read(study, (*ANY, ("study", "noise", "--set", "table=made-up.json", "--run", "{}"))),
}


def said_by(words: Sequence[str], run: Path, folder: Path) -> tuple[int, str]:
    """Return how a command on a run ends; what it writes besides goes into a folder."""
    with tempfile.TemporaryDirectory(dir=folder) as other:
        said = io.StringIO()
        filled = [
            word.format(run).replace("<", f"{other}/x").replace("made-up", f"{folder}/made-up")
            for word in words
        ]
        with redirect_stderr(said), redirect_stdout(io.StringIO()):
            code = run_command(filled)
    lines = said.getvalue().splitlines()
    errors = [number for number, line in enumerate(lines) if line.startswith("error")]
    return code, " ".join(lines[errors[0] :]) if errors else ""


def file_edits(name: str, folder: Path, every: int = 1) -> Iterator[Tried]:
    """Try edits of all JSON files of a run, and folders for files and files for folders."""
    whole, run = folder / "whole", folder / "run"
    READ[name].make(whole)
    edits: list[tuple[Path, str, str | None]] = []
    for path in sorted(whole.rglob("*")):
        inside = path.relative_to(whole)
        edits.append((inside, "is a folder, or a file", None))
        if path.suffix == ".json" and inside.parts[0] != "checkpoint":
            found = json_edits(json.loads(path.read_text()))
            edits += [(inside, how, text) for how, text in found]
    for (inside, how, text), words in list(product(edits, READ[name].commands))[::every]:
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(whole, run)
        if text is not None:
            (run / inside).write_text(text)
        elif (run / inside).is_dir():
            shutil.rmtree(run / inside)
            (run / inside).touch()
        else:
            (run / inside).unlink()
            (run / inside).mkdir()
        what = f"{name}: {inside} {how}: {' '.join(words)}"
        yield Tried(what, *said_by(words, run, folder))


EDITS: dict[str, Callable[[str, Path, int], Iterator[Tried]]] = {
    "tensors": lambda kind, folder, every: tensor_edits(interrupted(kind, folder), every),
    "states": lambda kind, folder, every: state_edits(interrupted(kind, folder), every),
    "files": file_edits,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", help="of runs; without, all")
    parser.add_argument("--only", choices=["tensors", "states", "files"])
    parser.add_argument("--every", type=int, default=1, help="so many of them one is tried")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable()
    counts: Counter[int] = Counter()
    wrong, begun = 0, time.monotonic()
    for what, edits in EDITS.items():
        if asked.only not in (None, what):
            continue
        for kind in READ if what == "files" else sorted(RUNS):
            if asked.kinds and kind not in asked.kinds:
                continue
            with tempfile.TemporaryDirectory() as folder:
                for tried in edits(kind, Path(folder), asked.every):
                    counts[tried.code] += 1
                    if tried.is_fault:
                        wrong += 1
                        print(f"{tried.what}: {tried.code}, {tried.said[:300]}", flush=True)
            print(
                f"-- {what} of {kind}: {dict(counts)}, {time.monotonic() - begun:.0f} s", flush=True
            )
    print(f"{counts.total():,} edits, {wrong} wrong: {dict(counts)}")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
