"""Some of many rows, evenly spaced since sets may be sorted by class: the i-th is i total / num."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor


def even_places(num: int, total: int) -> Tensor:
    """Return the places (num,) of `num` of `total` rows, all where there are fewer."""
    num = min(num, total)
    return torch.arange(num, device="cpu") * total // max(1, num)


def evenly(rows: Tensor, num: int) -> Tensor:
    """Return `num` rows, or all where there are fewer."""
    return rows if num >= len(rows) else rows[even_places(num, len(rows)).to(rows.device)]


def at_places(part: Tensor, start: int, places: Tensor) -> Tensor:
    """Return those rows of a part, the first of which is number `start`, that have a place."""
    inside = places[(places >= start) & (places < start + len(part))] - start
    return part.index_select(0, inside.to(part.device))


def evenly_of_parts(parts: Iterable[Tensor], num: int, total: int) -> Iterator[Tensor]:
    """Yield `num` of the `total` rows that come in parts, as they come; empty ones are left out."""
    places, start = even_places(num, total), 0
    for part in parts:
        if len(rows := at_places(part, start, places)):
            yield rows
        start += len(part)
