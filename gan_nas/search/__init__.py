"""Search methods, one a file: each has Config, PRESETS, search, plan, time_search and derive.

DERIVING_SCORES tells whether derive needs images and a backbone.
"""

from importlib import import_module
from types import ModuleType

from gan_nas.errors import InvalidInput, nearest

METHODS = ("autogan", "adversarialnas")


def load_method(name: str) -> ModuleType:
    """Import a search method by name."""
    if name not in METHODS:
        hint = nearest(name, list(METHODS))
        raise InvalidInput(f"unknown method {name}{hint}; known are {', '.join(METHODS)}")
    return import_module(f"gan_nas.search.{name}")
