"""What other distributions add, found by their entry points: spaces, networks, search methods.

A distribution names an object in a group of its metadata, as in pyproject.toml:

    [project.entry-points."gan_nas.spaces"]
    toy = "gan_nas_toy.space:SPACE"

Nothing of it is imported before it is asked for by name.
"""

import sys
from collections.abc import Collection
from functools import cache
from typing import TYPE_CHECKING, Any

from gan_nas.errors import Incompatible

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


def plugin_names(group: str, taken: Collection[str] = ()) -> tuple[str, ...]:
    """List the names that installed distributions add to a group, those taken left out."""
    return tuple(sorted(_entries(group, tuple(sys.path)).keys() - set(taken)))


def load_plugin(group: str, name: str, kind: type, what: str) -> Any:
    """Load the object that a distribution calls `name`; `what` says in errors what it is.

    Raises Incompatible, naming the distribution, where its code raises anything when it is
    imported, where it is of another kind, and where two distributions use the name.
    """
    entries = _entries(group, tuple(sys.path))[name]
    owners = [_owner(entry) for entry in entries]
    if len(entries) > 1:
        raise Incompatible(f"{' and '.join(owners)} both bring {what} {name}: uninstall one")
    try:
        found = entries[0].load()
    except Exception as error:  # a stranger's code may raise anything
        said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise Incompatible(
            f"{what} {name} of {owners[0]} cannot be imported ({said}): repair or uninstall it"
        ) from error
    if not isinstance(found, kind):
        raise Incompatible(
            f"{what} {name} of {owners[0]} is of type {type(found).__name__}, and "
            f"{kind.__name__} is needed: repair or uninstall it"
        )
    return found


@cache
def _entries(group: str, path: tuple[str, ...]) -> "dict[str, list[EntryPoint]]":
    """Find a group's entry points by name; the answer holds for one sys.path."""
    from importlib.metadata import entry_points  # takes 25 ms: not for what needs no plugins

    found: dict[str, list[EntryPoint]] = {}
    for entry in entry_points(group=group):
        found.setdefault(entry.name, []).append(entry)
    return found


def _owner(entry: "EntryPoint") -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
