"""Processes that make one run together: rank 0, which owns its directory, and those beside it.

All of them do the same work on the same numbers, except where a network is split
(training/splitting.py). What only one may do, or what might come out differently, such as a look at
a clock, the first does and tells the others. One process alone is the common case: nothing here
imports torch.distributed, and what is asked of others is answered at once.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from gan_nas.errors import InvalidInput

if TYPE_CHECKING:
    import torch
    from torch import Tensor

T = TypeVar("T")


class Ranks:
    """One process alone; `Group` is several of them."""

    rank = 0
    size = 1

    @property
    def is_first(self) -> bool:
        """Tell whether this is the process that reads, scores, writes and prints."""
        return self.rank == 0

    def first(self, work: Callable[[], T]) -> T:
        """Let the first do some work, and return what came of it, which is JSON, everywhere.

        Within it that process is alone. An error that it meets is raised by all.
        """
        return work()

    def in_turn(self, work: Callable[[], T]) -> T:
        """Do some work after the first has done it, whose caches are then full."""
        return work()

    def told(self, data: Callable[[], bytes]) -> bytes:
        """Return the bytes that the first has."""
        return data()

    def any(self, flag: bool) -> bool:
        """Tell whether some process says so."""
        return flag

    def gathered(self, part: "Tensor") -> "Tensor":
        """Return the parts of all (N, ...), one after the other: (size * N, ...)."""
        return part

    def add(self, tensor: "Tensor") -> None:
        """Replace a tensor by the sum of those of all, in place."""

    def add_gradients(self, weights: "Iterable[Tensor]") -> None:
        """Replace the gradients of weights, where they have some, by the sums of those of all."""

    def asked(self, stop: Callable[[], bool]) -> Callable[[], bool]:
        """Return what tells all whether one of them is to stop; `stop` tells each of itself."""
        return stop

    def check(self, batches: Mapping[str, int], micro_batch: int | None = None) -> None:
        """Raise InvalidInput for batches, by the names of their settings, that cannot be split.

        Nor can those of which one process takes a part after the other.
        """
        if self.size > 1 and micro_batch is not None:
            raise InvalidInput(
                f"micro_batch = {micro_batch} with {self.size} processes, which split a batch "
                "already: leave it out, or start more of them"
            )
        for name, size in batches.items():
            if size % self.size:
                raise InvalidInput(
                    f"{name} = {size} with {self.size} processes: each takes an equal part of a "
                    f"batch, so it must be a multiple of {self.size}"
                )


ALONE = Ranks()


@contextmanager
def launched(device: "torch.device") -> Iterator[Ranks]:
    """Lend the processes that torchrun has started for this command; without it, one."""
    if num_launched() == 1:
        yield ALONE
        return

    from gan_nas.machine.group import joined

    with joined(device) as group:
        yield group


def num_launched() -> int:
    """Count the processes that torchrun has started for one command; one without it."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "TORCHELASTIC_RUN_ID" in os.environ else 1


def launched_rank() -> int:
    """Return the number of this process among them."""
    return int(os.environ["RANK"]) if num_launched() > 1 else 0


def launched_place() -> int:
    """Return the number of this process among those on its machine: that of its GPU."""
    return int(os.environ["LOCAL_RANK"]) if num_launched() > 1 else 0
