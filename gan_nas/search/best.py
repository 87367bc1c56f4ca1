"""What is best within limits: prices of the parts of a generator, and limits on their sum."""

import logging
from typing import NamedTuple

logger = logging.getLogger(__name__)


class Limit(NamedTuple):
    """The most a generator may cost; None is no limit."""

    parameters: int | None = None
    macs: int | None = None

    def keeps(self, parameters: int, macs: int) -> bool:
        """Tell whether a cost is within."""
        return all(
            most is None or spent <= most
            for most, spent in zip(self, (parameters, macs), strict=True)
        )

    @property
    def words(self) -> str:
        """Say what was asked for."""
        names = ("parameters", "multiply-adds")
        given = zip(self, names, strict=True)
        return " and ".join(f"{most:,} {name}" for most, name in given if most is not None)


def say_if_fewer(found: int, asked: int, why: str) -> None:
    """Warn in one sentence when a search or its derivation ends with fewer than were asked for."""
    if found < asked:
        logger.warning(
            "only %d of the %d architectures asked for were found: %s", found, asked, why
        )
