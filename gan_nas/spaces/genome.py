"""What an architecture is: typed, versioned, frozen models with JSON in and out (no torch).

One JSON file is one GAN: a generator, its discriminator and where they come from. The resolution
is not part of a genome; the data set gives it (bottom width = resolution / 2**cells).
"""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import from_json

from gan_nas.errors import Incompatible, InvalidInput, explain, shorten
from gan_nas.files import read_text, write_text
from gan_nas.spaces.adversarialnas import (
    AdversarialNASDiscriminator,
    AdversarialNASGenerator,
    DownCell,
    FirstDownCell,
    UpCell,
)
from gan_nas.spaces.autogan import AutoGANCell, AutoGANGenerator
from gan_nas.spaces.ctgan import CTGANCritic
from gan_nas.spaces.degas import DEGASGenerator, DEGASStage
from gan_nas.spaces.schema import Frozen
from gan_nas.spaces.sn_resnet import SNResNetDiscriminator

SCHEMA_VERSION = 1
ID_DIGITS = 10
MAX_SOURCE = 300  # characters
SPACE_TAGS = ("autogan", "adversarialnas", "degas", "sn_resnet", "ctgan")

GeneratorGenome = Annotated[
    AutoGANGenerator | AdversarialNASGenerator | DEGASGenerator, Field(discriminator="space")
]
DiscriminatorGenome = Annotated[
    SNResNetDiscriminator | AdversarialNASDiscriminator | CTGANCritic,
    Field(discriminator="space"),
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
    generator: GeneratorGenome
    discriminator: DiscriminatorGenome
    source: Source | None = None

    @property
    def generator_id(self) -> str:
        """Identify the generator alone: names, sources and the discriminator don't count."""
        return _digest(_essence(self.generator))

    @property
    def genome_id(self) -> str:
        """Identify generator and discriminator; names and sources don't count."""
        return _digest([_essence(self.generator), _essence(self.discriminator)])

    @property
    def title(self) -> str:
        """Return the name, or the id of a genome that has none."""
        return self.name or self.genome_id

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
        reason = explain(error, field_names(), SPACE_TAGS)
        raise InvalidInput(f"{where} is not a genome: {reason}") from error


def read_genome(path: Path) -> Genome:
    """Read a genome file."""
    return parse_genome(read_text(path), str(path))


def field_names() -> list[str]:
    """List every field name of the schema, for suggestions after a misspelt one."""
    generators = (
        AutoGANGenerator,
        AutoGANCell,
        AdversarialNASGenerator,
        UpCell,
        DEGASGenerator,
        DEGASStage,
    )
    discriminators = (
        SNResNetDiscriminator,
        AdversarialNASDiscriminator,
        FirstDownCell,
        DownCell,
        CTGANCritic,
    )
    fields = [model.model_fields for model in (Genome, Source, *generators, *discriminators)]
    return sorted({field.alias or name for model in fields for name, field in model.items()})


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
