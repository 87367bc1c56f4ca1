"""The errors a user can cause or meet; each message is one sentence with a way out.

GanNasError
├── InvalidInput         a value, file, genome or configuration that cannot be used
├── MissingResource      a device, data set, weights file, compiler or disk space is not there
├── Incompatible         two good things that do not belong together
├── RunFailed            training diverged or collapsed
└── Interrupted          stopped on request; the same command goes on
"""

from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError


class GanNasError(Exception):
    """Anything gan-nas tells a user in one sentence."""


class InvalidInput(GanNasError, ValueError):
    """A value, a file, a genome or a configuration that cannot be used."""


class MissingResource(GanNasError):
    """A device, a data set, a weights file, a compiler or disk space that is not there."""


class Incompatible(GanNasError):
    """Two things that are fine alone and do not belong together."""


class RunFailed(GanNasError):
    """Training that diverged or collapsed."""


class Interrupted(GanNasError):
    """Work that stopped on request, with its state saved."""


def nearest(name: str, allowed: list[str]) -> str:
    """Return ", did you mean ...?" for a misspelt name, or nothing when none is close."""
    close = get_close_matches(name, allowed, n=1)
    return f", did you mean {close[0]}?" if close else ""


def explain(error: ValidationError, fields: list[str]) -> str:
    """Put pydantic's first complaint into one sentence: field, value, what is allowed.

    `fields` are the known names, for the suggestion after an unknown one.
    """
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        name = str(first["loc"][-1])
        return f"unknown field {where}{nearest(name, fields)}"
    if first["type"] == "missing":
        return f"the field {where} is missing"
    message = first["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    return f"{where or 'input'} = {_shorten(first['input'])}: {message}"


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
