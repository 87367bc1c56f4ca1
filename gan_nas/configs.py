"""Settings: frozen pydantic models, how values reach them, and how they explain themselves.

A setting comes from, first found first taken: an option, a KEY=VALUE text, a preset, the default.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from gan_nas.errors import InvalidInput, explain, nearest

# The data that presets of these names are made for, of searches and trainings; others have none.
DATA_OF_PRESETS = {
    **dict.fromkeys(("demo", "eagan-demo", "eagan-discriminators-demo"), "digits"),
    "small": "cifar10",
    **dict.fromkeys(("paper", "paper-cifar10", "published", "repo"), "cifar10"),
    **dict.fromkeys(("eagan", "eagan-discriminators"), "cifar10"),
    **dict.fromkeys(("paper-stl10", "published-stl10", "repo-stl10"), "stl10"),
}


class Settings(BaseModel):
    """The base of every method's Config: flat, frozen, unknown keys refused.

    A string below a field is its description.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )


class FieldHelp(NamedTuple):
    """One field of a Config in words."""

    name: str
    type: str
    default: str
    description: str


S = TypeVar("S", bound=Settings)


def find_preset(presets: Mapping[str, Mapping[str, Any]], preset: str) -> dict[str, Any]:
    """Return a preset's values by name."""
    if preset not in presets:
        hint = nearest(preset, list(presets)) or f"; there are {', '.join(presets)}"
        raise InvalidInput(f"unknown preset {preset!r}{hint}")
    return dict(presets[preset])


def resolve(
    model: type[S],
    preset: Mapping[str, Any],
    sets: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
) -> S:
    """Make the settings: options win over KEY=VALUE texts, these over the preset and defaults.

    An option that is None was not given. Of several texts for one key the last counts. Texts are
    read by the field's type: 1e5 is a whole number, none is None, a,b is a tuple.
    Raises InvalidInput with field, value and what is allowed.
    """
    names = list(model.model_fields)
    given = {key: value for key, value in (options or {}).items() if value is not None}
    values = dict(preset)
    for text in sets:
        key, equals, value = text.partition("=")
        key = key.strip()
        if not equals or not key:
            raise InvalidInput(f"{text!r} is not KEY=VALUE, for example {names[0]}=...")
        field = model.model_fields.get(key)
        if field is None:
            raise _unknown(key, names)
        values[key] = _from_text(value.strip(), field.annotation)
    values |= given
    for key in values:
        if key not in model.model_fields:
            raise _unknown(key, names)
    try:
        return model(**values)
    except ValidationError as error:
        raise InvalidInput(explain(error, names)) from error


def defaults(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON values of all fields that have a default."""
    values = {
        name: field.get_default(call_default_factory=True)
        for name, field in model.model_fields.items()
        if not field.is_required()
    }
    return dict(to_jsonable_python(values))


def describe_fields(model: type[Settings]) -> list[FieldHelp]:
    """Describe every field: name, type in words, default, meaning."""
    return [
        FieldHelp(
            name=name,
            type=_type_in_words(field.annotation, field),
            default="required" if field.is_required() else _in_words(field.get_default()),
            description=field.description or "",
        )
        for name, field in model.model_fields.items()
    ]


def _unknown(key: str, names: list[str]) -> InvalidInput:
    hint = nearest(key, names) or f"; known are {', '.join(names)}"
    return InvalidInput(f"unknown setting {key}{hint}")


def _from_text(text: str, annotation: Any) -> Any:
    """Turn a text into what pydantic takes for this type; what does not fit stays a text."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _from_text(text, get_args(annotation)[0])
    if origin in (Union, UnionType):
        readings = (_from_text(text, arm) for arm in get_args(annotation))
        return next((reading for reading in readings if reading != text), text)
    if annotation is NoneType:
        return None if text.lower() == "none" else text
    if annotation is int:
        return _whole_number(text)
    if origin is Literal:
        return next((value for value in get_args(annotation) if str(value) == text), text)
    if origin is tuple:
        parts = [part.strip() for part in text.strip("()[]").split(",")]
        elements = get_args(annotation)
        if elements[-1] is Ellipsis:
            elements = elements[:1] * len(parts)
        given = [part for part in parts if part]
        typed = [_from_text(part, element) for part, element in zip(given, elements, strict=False)]
        return tuple(typed + given[len(typed) :])
    return text


def _whole_number(text: str) -> int | str:
    """Read 100000, 100_000 and 1e5; anything else stays a text for pydantic to refuse."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() and abs(number) < 2**53 else text


def _type_in_words(annotation: Any, field: FieldInfo | None = None) -> str:
    origin = get_origin(annotation)
    arguments = get_args(annotation)
    if origin is Annotated:
        return _type_in_words(arguments[0]) + _bounds_in_words(arguments[1:])
    bounds = _bounds_in_words(field.metadata) if field else ""
    if origin in (Union, UnionType):
        arms = [arm for arm in arguments if arm is not NoneType]
        words = [_type_in_words(arm) for arm in arms]
        return " or ".join(words) + bounds + (" or none" if NoneType in arguments else "")
    if origin is Literal:
        return " | ".join(map(_in_words, arguments))
    if origin is tuple:
        return ", ".join("..." if a is Ellipsis else _type_in_words(a) for a in arguments) + bounds
    names = {bool: "true | false", int: "whole number", float: "number", str: "text", Path: "path"}
    return names.get(annotation, getattr(annotation, "__name__", str(annotation))) + bounds


def _bounds_in_words(metadata: Sequence[Any]) -> str:
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    parts = [part for item in metadata for part in getattr(item, "metadata", [item])]
    bounds = [
        f"{sign} {_in_words(getattr(part, name))}"
        for part in parts
        for name, sign in signs.items()
        if hasattr(part, name)
    ]
    return f" {', '.join(bounds)}" if bounds else ""


def _in_words(value: Any) -> str:
    """Say a value as one would type it."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(_in_words, value))
    return str(value)
