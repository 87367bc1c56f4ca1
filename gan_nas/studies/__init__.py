"""Studies: the papers' comparisons, and those they leave out, as commands; a file each."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gan_nas.errors import InvalidInput, nearest

if TYPE_CHECKING:
    from gan_nas.studies.study import Study

STUDIES = (
    *("strategies", "noise", "proxy", "methods"),
    *("reward", "reset", "levels", "discriminator", "leaderboard", "scaling", "transfer"),
)


def load_study(name: str) -> "Study[Any]":
    """Import a study by name; raises InvalidInput for one that is not there."""
    if name not in STUDIES:
        hint = nearest(name, list(STUDIES)) or f"; there are {', '.join(STUDIES)}"
        raise InvalidInput(f"unknown study {name!r}{hint}")
    found: Study[Any] = import_module(f"gan_nas.studies.{name}").STUDY
    return found
