"""What an architecture is: typed, versioned, frozen models with JSON in and out (no torch).

One JSON file is one GAN: a generator, its discriminator and where they come from. The resolution
is not part of a genome; the data set gives it (bottom width = resolution / 2**cells).
"""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import from_json

from gan_nas.errors import Incompatible, InvalidInput, explain, shorten
from gan_nas.files import read_text, write_text

SCHEMA_VERSION = 1
ID_DIGITS = 10

Conv = Literal["post", "pre"]
Norm = Literal["none", "batch", "instance"]
Up = Literal["bilinear", "nearest", "deconv"]
Width = Annotated[int, Field(ge=1, le=2048, description="channels of every cell")]
LatentDim = Annotated[int, Field(ge=1, le=2048, description="length of the latent vector z")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class AutoGANCell(_Frozen):
    """One up-sampling cell: AutoGAN (Gong et al. 2019), sec. 3.1."""

    conv: Conv = Field(description="pre- or post-activation convolution blocks")
    norm: Norm = Field(description="normalisation in both blocks")
    up: Up = Field(description="up-sampling of the block, the shortcut and the incoming skips")
    shortcut: bool = Field(description="whether a 1x1 convolution joins input and output")
    skips: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        max_length=8, description="earlier cells whose middle features are added, ascending"
    )

    @property
    def words(self) -> str:
        """Say the cell in a few words, for tables."""
        norm = {"none": "", "batch": " batch-norm", "instance": " instance-norm"}[self.norm]
        shortcut = " shortcut" if self.shortcut else ""
        skips = f" skips {','.join(map(str, self.skips))}" if self.skips else ""
        return f"{self.conv}{norm} {self.up}{shortcut}{skips}"


class AutoGANGenerator(_Frozen):
    """A generator of AutoGAN's space: linear stem, three cells, to-RGB."""

    space: Literal["autogan"]
    width: Width
    latent_dim: LatentDim
    cells: tuple[AutoGANCell, ...] = Field(min_length=3, max_length=3)
    skip_tap: Literal["post", "pre"] = Field(
        default="post",
        description="where a cell's skip feature is read: after its own skips were added, as in "
        "the published code (post), or before, as drawn in Fig. 2 (pre)",
    )

    @field_validator("cells")
    @classmethod
    def _skips_come_from_earlier_cells(
        cls, cells: tuple[AutoGANCell, ...]
    ) -> tuple[AutoGANCell, ...]:
        for index, cell in enumerate(cells):
            if list(cell.skips) != sorted(set(cell.skips) & set(range(index))):
                allowed = (
                    f"earlier cells, each once and ascending, from {list(range(index))}"
                    if index
                    else "none, as no cell is earlier"
                )
                raise ValueError(
                    f"cell {index} has skips {shorten(list(cell.skips))}, allowed are {allowed}"
                )
        return cells


class SNResNetDiscriminator(_Frozen):
    """SN-GAN's residual discriminator for small images: AutoGAN's, in search and training."""

    space: Literal["sn_resnet"]
    width: Width


# A new space joins here: Annotated[AutoGANGenerator | NewGenerator, Field(discriminator="space")].
GeneratorGenome = AutoGANGenerator
DiscriminatorGenome = SNResNetDiscriminator


class Source(_Frozen):
    """Where a genome comes from and what was reported of it."""

    paper: str | None = Field(default=None, max_length=300)
    where: str | None = Field(default=None, max_length=300, description="figure, file or run")
    note: str | None = Field(default=None, max_length=1000)
    reported: dict[str, dict[str, float]] = Field(
        default={}, description="data set -> score -> value, under the source's own protocol"
    )


class Genome(_Frozen):
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
        raise InvalidInput(f"{where} is not a genome: {explain(error, field_names())}") from error


def read_genome(path: Path) -> Genome:
    """Read a genome file."""
    return parse_genome(read_text(path), str(path))


def field_names() -> list[str]:
    """List every field name of the schema, for suggestions after a misspelt one."""
    models = (Genome, AutoGANGenerator, AutoGANCell, SNResNetDiscriminator, Source)
    return sorted({name for model in models for name in model.model_fields})


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
