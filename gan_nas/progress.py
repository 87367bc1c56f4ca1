"""How long work tells where it is: a function that is called now and then."""

from collections.abc import Mapping
from typing import Protocol


class Progress(Protocol):
    """Hear that `done` of `total` units of a phase are finished, with some current values."""

    def __call__(self, phase: str, done: int, total: int, values: Mapping[str, float]) -> None:
        """Show it, or not."""
        ...


def silent(phase: str, done: int, total: int, values: Mapping[str, float]) -> None:
    """Show nothing."""
    del phase, done, total, values
