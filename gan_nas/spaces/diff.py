"""The structural difference of two genomes: what changed, edge by edge and op by op (no torch)."""

import re
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from gan_nas.spaces.drawing import ABSENT
from gan_nas.spaces.genome import Genome

EDGE = re.compile(r"\.\d+-\d+$")  # the end of a place that holds an edge's operation
SET = re.compile(r"\.skips$")  # the end of a place that holds a list whose order says nothing


class Change(NamedTuple):
    """One difference; an edge or an operation that was added or removed has only one side."""

    where: str
    kind: Literal["changed", "added", "removed"]
    before: Any
    after: Any

    def __str__(self) -> str:
        if self.kind == "changed":
            return f"{self.where}: {_word(self.before)} -> {_word(self.after)}"
        edge = self.after if self.kind == "added" else self.before
        return f"{self.where}: {self.kind} {_word(edge)}"


def diff(a: Genome, b: Genome) -> list[Change]:
    """List what turns genome a into genome b; names and sources don't count."""
    return [
        change
        for part in ("generator", "discriminator")
        for change in _walk(
            part, getattr(a, part).model_dump(mode="json"), getattr(b, part).model_dump(mode="json")
        )
    ]


def _walk(where: str, a: Any, b: Any) -> Iterator[Change]:
    if isinstance(a, dict) and isinstance(b, dict):
        if a.get("space") != b.get("space"):  # nothing below can be lined up
            yield Change(f"{where}.space", "changed", a.get("space"), b.get("space"))
            return
        for key in a:
            yield from _walk(f"{where}.{key}", a[key], b[key])
    elif isinstance(a, list) and isinstance(b, list):
        if SET.search(where):
            yield from (Change(where, "removed", x, None) for x in a if x not in b)
            yield from (Change(where, "added", None, y) for y in b if y not in a)
            return
        for index, (x, y) in enumerate(zip(a, b, strict=False)):
            yield from _walk(f"{where}.{index}", x, y)
        both = min(len(a), len(b))
        for index in range(both, max(len(a), len(b))):
            x, y = (side[index] if index < len(side) else None for side in (a, b))
            yield Change(f"{where}.{index}", "added" if x is None else "removed", x, y)
    elif a == b:
        return
    elif _is_absent(where, a):
        yield Change(where, "added", None, b)
    elif _is_absent(where, b):
        yield Change(where, "removed", a, None)
    else:
        yield Change(where, "changed", a, b)


def _is_absent(where: str, value: Any) -> bool:
    """Tell whether nothing is there; a cell's normalisation may be "none" as well."""
    return value is None or (value == ABSENT and EDGE.search(where) is not None)


def _word(value: Any) -> str:
    if isinstance(value, dict):  # a whole cell
        return ", ".join(f"{key} {_word(part)}" for key, part in value.items())
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
