"""What is compared: a method in a space, with settings of its own, or genomes that are drawn."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from gan_nas.errors import InvalidInput
from gan_nas.search import load_method
from gan_nas.spaces.registry import space_names

DRAW, RANDOM = "draw", "random"


class Contender(NamedTuple):
    """What is compared: a method in a space, or a draw from it."""

    method: str
    space: str
    sets: tuple[str, ...] = ()
    """Settings of its own, KEY=VALUE."""
    elsewhere: str = ""
    """The data it searches on, where these are others than those of the study."""

    @property
    def name(self) -> str:
        """Return it as it is asked for, and the data where these are others."""
        method = f"{self.method}:{self.space}" if self.method != self.space else self.method
        return "@".join([method, *self.sets]) + (self.elsewhere and f" on {self.elsewhere}")

    def folder(self, ending: object) -> str:
        """Return the name of a folder of its runs."""
        changed = "".join(f"-{re.sub('[^0-9A-Za-z_.]+', '-', text)}" for text in self.sets)
        return f"{self.method}-{self.space}{changed}-{ending}"


def parsed(names: Sequence[str]) -> list[Contender]:
    """Read METHOD, METHOD:SPACE and settings behind it; raises InvalidInput for what is not."""
    searches = []
    for name in names:
        first, *sets = name.split("@")
        method, _, space = first.partition(":")
        if method == DRAW:
            known: Sequence[str] = space_names()
        else:
            chosen = load_method(method)
            known = space_names() if "space" in chosen.Config.model_fields else chosen.spaces
        space = space or known[0]
        if space not in known:
            raise InvalidInput(f"{method} does not search {space!r}; it can be {', '.join(known)}")
        searches.append(Contender(method, space, tuple(sets)))
    return searches
