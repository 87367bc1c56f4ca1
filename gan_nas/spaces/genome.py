"""What an architecture is: typed, versioned, frozen models with JSON in and out (no torch).

One JSON file is one GAN: a generator, its discriminator and where they come from. The resolution
is not part of a genome; the data set gives it (bottom width = resolution / 2**cells).
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import CoreSchema, PydanticKnownError, core_schema, from_json, to_json

from gan_nas.errors import Incompatible, InvalidInput, explain, shorten
from gan_nas.files import read_text, write_text
from gan_nas.spaces import registry
from gan_nas.spaces.schema import DiscriminatorGenome, Frozen, GeneratorGenome

SCHEMA_VERSION = 1
ID_DIGITS = 10
MAX_SOURCE = 300  # characters
MAX_TEXT = 1 << 16  # characters; pydantic keeps some kilobytes for each of a text's mistakes

Role = Literal["generator", "discriminator"]


class OfSpace:
    """Marks a field that is read by the model of its `space`: a union that the registry holds.

    `find` returns the model of a name, or None, and `models` all of them, for errors and schemas.
    """

    def __init__(
        self,
        base: type[Frozen],
        find: Callable[[str], type[Frozen] | None],
        models: Callable[[], Mapping[str, type[Frozen]]],
    ) -> None:
        self.base, self.find, self.models = base, find, models

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Validate by the model that is found, and write what it is."""
        return core_schema.with_info_plain_validator_function(self._read)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Describe the union of all models there are now."""
        models = {name: model.__pydantic_core_schema__ for name, model in self.models().items()}
        return handler(core_schema.tagged_union_schema(models, discriminator="space"))

    def _read(self, value: Any, info: ValidationInfo) -> Frozen:
        if isinstance(value, self.base):
            return value
        if not isinstance(value, dict):
            raise PydanticKnownError("model_attributes_type")
        if "space" not in value:
            raise PydanticKnownError("union_tag_not_found", {"discriminator": "'space'"})
        name = value["space"]
        model = self.find(name) if isinstance(name, str) else None
        if model is None:
            known = ", ".join(map(repr, self.models()))
            context = {"discriminator": "'space'", "tag": str(name), "expected_tags": known}
            raise PydanticKnownError("union_tag_invalid", context)
        if info.mode == "json":  # as JSON again: strictly, a list of Python's is no tuple
            return model.model_validate_json(to_json(value))
        return model.model_validate(value)


AnyGenerator = Annotated[
    GeneratorGenome,
    OfSpace(GeneratorGenome, registry.generator_model, registry.generator_models),
]
AnyDiscriminator = Annotated[
    DiscriminatorGenome,
    OfSpace(DiscriminatorGenome, registry.discriminator_model, registry.discriminator_models),
]


class Source(Frozen):
    """Where a genome comes from and what was reported of it."""

    paper: str | None = Field(default=None, max_length=MAX_SOURCE)
    where: str | None = Field(
        default=None, max_length=MAX_SOURCE, description="figure, file or run"
    )
    note: str | None = Field(default=None, max_length=1000)
    reported: dict[str, dict[str, float]] = Field(
        default={}, description="data set -> score -> value, under the source's own protocol"
    )


def source_text(text: str) -> str:
    """Return a text, such as one with a path in it, as a Source takes it: UTF-8, not too long."""
    return text.encode("utf-8", "backslashreplace").decode()[:MAX_SOURCE]


class Genome(Frozen):
    """One GAN: the only hand-over between search, training and comparison."""

    schema_version: int = Field(default=SCHEMA_VERSION, ge=SCHEMA_VERSION, le=SCHEMA_VERSION)
    name: str | None = Field(default=None, max_length=100, pattern=r"^[A-Za-z0-9._-]+$")
    generator: AnyGenerator
    discriminator: AnyDiscriminator
    source: Source | None = None

    @cached_property
    def generator_id(self) -> str:
        """Identify the generator alone: names, sources and the discriminator don't count."""
        return _digest(_essence(self.generator))

    @cached_property
    def genome_id(self) -> str:
        """Identify generator and discriminator; names and sources don't count."""
        return _digest([_essence(self.generator), _essence(self.discriminator)])

    @property
    def title(self) -> str:
        """Return the name, or the id of a genome that has none."""
        return self.name or self.genome_id

    def words_of(self, role: Role) -> list[str]:
        """Say each cell of a network in a few words."""
        return self.generator.words if role == "generator" else self.discriminator.summary

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Copy without the ids that are remembered: what changes may change them."""
        copied = super().model_copy(update=update, deep=deep)
        for name in ("generator_id", "genome_id"):
            copied.__dict__.pop(name, None)
        return copied

    def to_json(self) -> str:
        """Return indented JSON, short values on one line."""
        version = {"schema_version": self.schema_version}
        return _layout(version | self.model_dump(mode="json", exclude_defaults=True)) + "\n"

    def save(self, path: Path) -> None:
        """Write the genome's JSON file atomically."""
        write_text(path, self.to_json())

    def resized(self, generator_width: int, discriminator_width: int) -> Self:
        """Return the same architecture at other widths, unnamed: its scores were of another net."""
        generator = self.generator.model_copy(update={"width": generator_width})
        discriminator = self.discriminator.model_copy(update={"width": discriminator_width})
        if (generator, discriminator) == (self.generator, self.discriminator):
            return self
        source = Source(where=f"{self.title} at other widths")
        return type(self)(generator=generator, discriminator=discriminator, source=source)


def parse_genome(text: str, where: str = "the genome") -> Genome:
    """Read a genome from JSON text.

    Raises InvalidInput naming field, value and what is allowed; Incompatible for a genome of
    another schema version.
    """
    if len(text) > MAX_TEXT:
        raise InvalidInput(
            f"{where} has {len(text):,} characters, a genome has at most {MAX_TEXT:,}"
        )
    try:
        content = from_json(text)
    except ValueError as error:
        raise InvalidInput(f"{where} is not valid JSON: {error}") from error
    if isinstance(content, dict):
        version = content.get("schema_version", SCHEMA_VERSION)
        if type(version) is int and version != SCHEMA_VERSION:  # a bool is no version
            raise Incompatible(
                f"{where} has schema version {shorten(version)}, this gan-nas reads version "
                f"{SCHEMA_VERSION}; write it again with a matching release"
            )
    try:
        return Genome.model_validate_json(text)
    except ValidationError as error:
        reason = explain(error, field_names())
        raise InvalidInput(f"{where} is not a genome: {reason}") from error


def read_genome(path: Path) -> Genome:
    """Read a genome file."""
    return parse_genome(read_text(path), str(path))


def field_names() -> list[str]:
    """List every field name of the schema, for suggestions after a misspelt one."""
    schema = Genome.model_json_schema()
    return sorted(
        {name for part in (schema, *schema["$defs"].values()) for name in part["properties"]}
    )


def _essence(model: BaseModel) -> dict[str, Any]:
    """Return what identifies a model; fields at their default are left out so ids outlive them."""
    return model.model_dump(mode="json", exclude_defaults=True)


def _digest(value: Any) -> str:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:ID_DIGITS]


def _layout(value: Any, indent: int = 0) -> str:
    """Format JSON like a person: whatever fits a line stands on one line."""
    flat = json.dumps(value)
    if len(flat) + indent <= 96 or not isinstance(value, dict | list):
        return flat
    pad = " " * (indent + 2)
    if isinstance(value, dict):
        items = [f"{pad}{json.dumps(k)}: {_layout(v, indent + 2)}" for k, v in value.items()]
        return "{\n" + ",\n".join(items) + "\n" + " " * indent + "}"
    return (
        "[\n" + ",\n".join(pad + _layout(v, indent + 2) for v in value) + "\n" + " " * indent + "]"
    )
