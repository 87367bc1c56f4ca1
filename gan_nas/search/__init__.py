"""Search methods, one a file: each has Config, PRESETS, search, plan, work, phases and derive.

Result is the kind of what `search` returns.
`trained` returns the networks of a finished search, whose weights may be inherited.
SEARCHING_SCORES and DERIVING_SCORES tell whether search and derive need a backbone (derive, then,
images too).
"""

from importlib import import_module
from types import ModuleType

from gan_nas.errors import InvalidInput, nearest

METHODS = ("autogan", "adversarialnas", "degas")


def load_method(name: str) -> ModuleType:
    """Import a search method by name."""
    if name not in METHODS:
        hint = nearest(name, list(METHODS))
        raise InvalidInput(f"unknown method {name}{hint}; known are {', '.join(METHODS)}")
    return import_module(f"gan_nas.search.{name}.search")
