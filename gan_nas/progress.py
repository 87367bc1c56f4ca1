"""How long work tells where it is: a function that is called now and then."""

from collections.abc import Mapping
from typing import Protocol

LEFT = "seconds left"  # among the values: the time left, where the work knows better than the pace
LEFT_OF_PHASE = "seconds left in this phase"  # where nobody knows of those that follow
AT = " at "  # in the name of a value: it is of an earlier moment, which follows
ENDED = "ended"  # the phase that ends a row


class Progress(Protocol):
    """Hear that `done` of `total` units of a phase are finished, with some current values."""

    def __call__(
        self, phase: str, done: int, total: int, values: Mapping[str, float], *, row: str = ""
    ) -> None:
        """Show it, or not.

        A phase of several begins with its number and theirs, as in "2/3 training images".
        Work that goes on beside other work has a `row` of its own, which the phase ENDED ends.
        """
        ...


def silent(
    phase: str, done: int, total: int, values: Mapping[str, float], *, row: str = ""
) -> None:
    """Show nothing."""
    del phase, done, total, values, row
