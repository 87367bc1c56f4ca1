"""Search methods: those of this package, a folder or a file each, and those others install.

Another distribution names its methods by entry points of the group `gan_nas.methods`; each leads to
an object that is a Method (method.py). No torch is imported to list them.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from gan_nas.errors import Incompatible, InvalidInput, nearest
from gan_nas.plugins import load_plugin, plugin_names

if TYPE_CHECKING:
    from gan_nas.search.method import Method

GROUP = "gan_nas.methods"
FOLDERS = ("autogan", "adversarialnas", "degas")  # each a folder
STRATEGIES = (
    "random",
    "evolution",
    "nsga2",
    "halving",
    "reinforce",
    "optuna",
)  # a file of strategies/
OWN = (*FOLDERS, *STRATEGIES)


def method_names() -> tuple[str, ...]:
    """List the methods by name: this package's, then installed ones in alphabetical order."""
    return (*OWN, *plugin_names(GROUP, OWN))


def load_method(name: str) -> "Method[Any, Any]":
    """Import a search method by name.

    Raises InvalidInput for one that is not there, Incompatible for one that cannot be used.
    """
    if name in OWN:
        file = f"strategies.{name}" if name in STRATEGIES else f"{name}.method"
        own: Method[Any, Any] = import_module(f"gan_nas.search.{file}").METHOD
        return own
    known = method_names()
    if name not in known:
        hint = nearest(name, list(known))
        raise InvalidInput(f"unknown method {name}{hint}; known are {', '.join(known)}")
    from gan_nas.search.method import Method as Contract

    found: Method[Any, Any] = load_plugin(GROUP, name, Contract, "the method")
    if found.name != name:
        raise Incompatible(
            f"the method {name} that is installed calls itself {found.name}: repair or uninstall it"
        )
    return found


class _Callable(ModuleType):
    """This folder as the function of the public API that has its name: `gan_nas.search(...)`."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Search: see `gan_nas.search.drive.search`."""
        from gan_nas.search.drive import search

        return search(*args, **options)


sys.modules[__name__].__class__ = _Callable
