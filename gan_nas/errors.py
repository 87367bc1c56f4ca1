"""The errors a user can cause or meet; each message is one sentence with a way out.

GanNasError
├── InvalidInput         a value, file, genome or configuration that cannot be used
│   └── InUse            a run directory in which another process works
├── MissingResource      a device, data set, weights file, compiler or disk space is not there
├── Incompatible         two good things that do not belong together
├── RunFailed            training diverged or collapsed
├── Interrupted          stopped on request; the same command goes on
└── LostRank             another process of the same run has ended; the same command goes on
"""

import re
from difflib import get_close_matches
from typing import Any, Literal

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gan_nas.escapes import visible


class GanNasError(Exception):
    """Anything gan-nas tells a user in one sentence, in which nothing is invisible."""

    def __str__(self) -> str:
        """Return the sentence; what names of files and the like hide in it is spelled out."""
        return visible(super().__str__())


class InvalidInput(GanNasError, ValueError):
    """A value, a file, a genome or a configuration that cannot be used."""


class InUse(InvalidInput):
    """A run directory in which another process works."""


class MissingResource(GanNasError):
    """A device, a data set, a weights file, a compiler or disk space that is not there."""


class Incompatible(GanNasError):
    """Two things that are fine alone and do not belong together."""


FailedOutcome = Literal["diverged", "collapsed"]


class RunFailed(GanNasError):
    """Training that diverged or collapsed: its outcome."""

    def __init__(self, message: str, outcome: FailedOutcome = "diverged") -> None:
        super().__init__(message)
        self.outcome = outcome


class Interrupted(GanNasError):
    """Work that stopped on request, with its state saved."""


class LostRank(GanNasError):
    """Work of several processes, another of which has ended; what was saved last stays."""


def nearest(name: str, allowed: list[str]) -> str:
    """Return ", did you mean ...?" for a misspelt name, or nothing when none is close."""
    close = get_close_matches(name, allowed, n=1)
    return f", did you mean {close[0]}?" if close else ""


def shorten(value: Any) -> str:
    """Quote a value that came, in at most 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def explain(error: ValidationError, fields: list[str]) -> str:
    """Put pydantic's first complaint into one sentence: field, value, what is allowed.

    `fields` are the known names, for the suggestion after an unknown one.
    """
    complaints = error.errors(include_url=False)
    first = complaints[0]
    path = [_key(part) for part in first["loc"]]
    rule = _rule(first)
    if path and _ARM.match(path[-1]):  # one complaint for each arm of int | Literal["all"]
        arms = [c for c in complaints if c["loc"][:-1] == first["loc"][:-1]]
        rules = dict.fromkeys(_rule(arm).removeprefix("must be ") for arm in arms)
        rule = f"must be {' or '.join(rules)}"
        path = path[:-1]
    where = ".".join(path)
    if first["type"].startswith("union_tag"):
        context = first["ctx"]
        where = f"{where}.{context['discriminator'].strip(chr(39))}"
        if first["type"] == "union_tag_not_found":
            return f"the field {where} is missing"
        return f"{where} = {shorten(context['tag'])}: must be one of {context['expected_tags']}"
    if first["type"] == "extra_forbidden":
        if path[-1] in fields:
            return f"the field {where} does not belong there"
        return f"unknown field {where}" + (
            nearest(path[-1], fields) or f"; known are {', '.join(fields)}"
        )
    if first["type"] == "missing":
        if isinstance(first["loc"][-1], int):
            return f"{'.'.join(path[:-1])} has too few entries"
        return f"the field {where} is missing"
    if first["type"] == "value_error" or isinstance(first["input"], dict | list | tuple):
        if where:
            return f"{where}: {rule}"
        return rule if first["type"] == "value_error" else f"the input {rule}"
    return f"{where or 'the input'} = {shorten(first['input'])}: {rule}"


_ARM = re.compile(r"(int|float|str|bool|none|(literal|tuple|list|constrained|function)\W.*)$")
_SHOULD = re.compile(r"^(Input|String) should")
_RULES = {  # where pydantic's own words are longer, or a programmer's
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "must be a whole number of fewer digits",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text",
    "none_required": "must be none",
    "tuple_type": "must be a list",
    "model_type": "must be an object with named fields",
    "model_attributes_type": "must be an object with named fields",
    "dict_type": "must be an object with named fields",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be at most {le}",
    "too_short": "must have at least {min_length} entries, not {actual_length}",
    "too_long": "must have at most {max_length} entries, not {actual_length}",
    "string_pattern_mismatch": "must match {pattern}",
}


def _rule(complaint: ErrorDetails) -> str:
    """Say what is allowed, in fewer and plainer words than pydantic's."""
    if complaint["type"] in _RULES:
        return _RULES[complaint["type"]].format(**complaint.get("ctx", {}))
    if complaint["type"] == "value_error":
        message = complaint["msg"].removeprefix("Value error, ")
    else:
        message = _SHOULD.sub("must", complaint["msg"]).replace(" a valid ", " a ")
    return message[:1].lower() + message[1:]


def _key(part: int | str) -> str:
    """Return a part of a field's path, quoted and cut where it would spoil the sentence."""
    text = str(part)
    return text if text.isprintable() and len(text) <= 60 else shorten(text)
