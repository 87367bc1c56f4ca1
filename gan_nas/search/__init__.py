"""Search methods: those of this package, a folder each, and those that others install.

A package of one's own names its methods by entry points of the group `gan_nas.methods`; each
leads to an object that is a Method (method.py). No torch is imported to list them.
"""

from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from gan_nas.errors import InvalidInput, MissingResource, nearest

if TYPE_CHECKING:
    from gan_nas.search.method import Method

GROUP = "gan_nas.methods"
OWN = ("autogan", "adversarialnas", "degas")


def method_names() -> list[str]:
    """List the methods by name: this package's, then installed ones in alphabetical order."""
    return [*OWN, *sorted(_installed().keys() - set(OWN))]


def load_method(name: str) -> "Method[Any, Any]":
    """Import a search method by name; raises InvalidInput for one that is not there."""
    if name in OWN:
        method: Method[Any, Any] = import_module(f"gan_nas.search.{name}.method").METHOD
        return method
    installed = _installed()
    if name not in installed:
        known = method_names()
        hint = nearest(name, known)
        raise InvalidInput(f"unknown method {name}{hint}; known are {', '.join(known)}")
    from gan_nas.search.method import Method as Contract

    point = installed[name]
    try:
        found = point.load()
    except Exception as error:  # a stranger's code
        raise MissingResource(
            f"the method {name} of {_package(point)} cannot be loaded ({type(error).__name__}: "
            f"{error}): mend or uninstall that package"
        ) from error
    if not isinstance(found, Contract):
        raise MissingResource(
            f"the method {name} of {_package(point)} is no gan_nas.search.method.Method but "
            f"{type(found).__name__}: mend or uninstall that package"
        )
    return found


def _installed() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.value
