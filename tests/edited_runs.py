"""Edited state of runs through what reads it: refused in a sentence, or the same results.

`python tests/edited_runs.py` tries every edit of every tensor and every JSON value that the tiny
runs keep, under hashes that fit, and says how each ended; words pick kinds of runs. The tests try
a few.
"""

import argparse
import json
import logging
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import tiny
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from gan_nas.cli.commands import code_and_sentence
from gan_nas.errors import Interrupted
from gan_nas.files import seal, unseal
from gan_nas.networks.states import OVERFLOWING
from gan_nas.runs import loop
from gan_nas.runs.checkpoints import Checkpoint

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
        copy.view(-1)[-1] = value
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


class Looks:
    """Says that it is to stop at the look of this number, and counts them."""

    def __init__(self, place: float = float("inf")) -> None:
        self.place, self.count = place, 0

    def __call__(self) -> bool:
        self.count += 1
        return self.count >= self.place


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
    looks = Looks()
    tiny.RUNS[kind](folder / "whole", looks)
    try:
        tiny.RUNS[kind](folder / "half", Looks(int(looks.count * share)))
    except Interrupted:
        pass
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


class Captured(Exception):  # noqa: N818 - it says what happened
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
        tiny.RUNS[kept.kind](_copied(kept, kept.run.with_name("captured")))
    except Captured:
        pass
    finally:
        loop._restored = whole
    directory, ledger, state, work = found
    return lambda checkpoint: whole(
        Stored(directory, checkpoint), ledger, state, lambda _: work
    )


def _copied(kept: Kept, to: Path) -> Path:
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(kept.run, to)
    return to


def to_the_end(kept: Kept, run: Path) -> tuple[int, str]:
    """Go on with a copy of a run: the same results count as 0, others as a fault."""
    code, said = ended(lambda: tiny.RUNS[kept.kind](run))
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
            is_honest = how == "infinite" and name.endswith(OVERFLOWING)
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", help="of runs; without, all")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable()
    counts: Counter[int] = Counter()
    wrong, begun = 0, time.monotonic()
    for kind in asked.kinds or sorted(tiny.RUNS):
        with tempfile.TemporaryDirectory() as folder:
            kept = interrupted(kind, Path(folder))
            for tried in tensor_edits(kept):
                counts[tried.code] += 1
                if tried.is_fault:
                    wrong += 1
                    print(f"{tried.what}: {tried.code}, {tried.said[:300]}", flush=True)
        print(f"-- {kind}: {dict(counts)}, {time.monotonic() - begun:.0f} s", flush=True)
    print(f"{counts.total():,} edits, {wrong} wrong: {dict(counts)}")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
