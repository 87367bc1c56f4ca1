"""How long work tells where it is: a function that is called now and then."""

from collections.abc import Mapping
from typing import Protocol

ENDED = "ended"  # the phase that ends a row


class Progress(Protocol):
    """Hear that `done` of `total` units of a phase are finished, with some current values."""

    def __call__(
        self, phase: str, done: int, total: int, values: Mapping[str, float], *, row: str = ""
    ) -> None:
        """Show it, or not.

        Work that goes on beside other work has a `row` of its own, which the phase ENDED ends.
        """
        ...


def silent(
    phase: str, done: int, total: int, values: Mapping[str, float], *, row: str = ""
) -> None:
    """Show nothing."""
    del phase, done, total, values, row
