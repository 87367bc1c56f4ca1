"""A table of trials: all genomes of a space, trained alike, and what came of each (no torch).

It is one file of JSON with a hash of itself. In the field: NAS-Bench-101 (Ying et al. 2019).
"""

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Self, TypeVar

from pydantic import FailFast, Field, JsonValue, ValidationError, model_validator

from gan_nas.errors import Incompatible, InvalidInput, explain, nearest
from gan_nas.files import read_text, seal, unseal, write_text
from gan_nas.runs.results import Result, Values
from gan_nas.scoring.protocols import Passport, is_frechet
from gan_nas.spaces.frameworks import Framework
from gan_nas.trials.recipes import Recipe
from gan_nas.trials.trial import Status

FORMAT = 1  # raised when older versions cannot read a newer file
LICENCE = "CC-BY-4.0"
LIMIT = 1 << 26  # bytes of a file
T = TypeVar("T")
# The first mistake is told, and no more are collected: each takes some kilobytes.
Many = Annotated[tuple[T, ...], FailFast()]
NAMES = "gan_nas.tables"  # the package that holds those that come with gan-nas


class Judge(Result):
    """Who scores."""

    name: str
    accuracy: float | None = None
    """Share of held-out real images that it gets right."""
    passport: Passport
    """The protocol of its scores; the seed is each trial's."""
    real: Values
    """Scores of real images that were held out."""


class Entry(Result):
    """A genome of a table."""

    id: str
    """Of generator and discriminator, of the recipe's widths."""
    generator_id: str
    """Of the generator alone."""
    words: tuple[str, ...]
    """Its cells in a few words."""
    parameters: int
    """Trained weights of the generator."""
    macs: int
    """Multiply-adds of the generator for an image, in the papers' order."""


class RecordedTrial(Result):
    """What came of a trial."""

    genome: int
    """Number of the genome, from 0."""
    framework: Framework
    seed: int
    status: Status
    why: str | None = None
    """How it failed."""
    seconds: float
    """Until its end, with whatever else the machine did."""
    processor_seconds: float
    """Of the CPU's time in it."""
    micro_batch: int | None = None
    """Images at a time, where memory did not suffice for what the recipe asks for."""
    scores: tuple[tuple[float, ...], ...]
    """Values of the table's measures at each of its moments that was reached."""


class Table(Result):
    """Trials of all genomes of a space."""

    format: int = Field(default=FORMAT, ge=FORMAT, le=FORMAT)
    name: str
    licence: str = LICENCE
    recipe: Recipe
    planned: int
    """Trials of the recipe: what there will be when it is complete."""
    data_fingerprint: str
    made: dict[str, str | int]
    """On which hardware, with which versions, until when."""
    judges: Many[Judge]
    moments: tuple[int, ...]
    """Real images that the discriminator has seen, 0 among them: the untrained generator's."""
    measures: tuple[str, ...]
    """Names of a row's values; the first is the distance that trials are compared by."""
    genomes: Many[Entry]
    """In the order of the space's generators."""
    rows: Many[RecordedTrial]
    """In the order of the recipe's trials, those left out that have not ended yet."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        """Refuse what is no table: names without values, values without names."""
        if not self.genomes or len(self.moments) < 2 or len(self.distances) < 2:
            raise ValueError("it has no genomes, or fewer than two moments or two distances")
        if self.measures[0] != self.distances[0] or len(set(self.measures)) < len(self.measures):
            raise ValueError("its measures do not begin with a distance, or one is there twice")
        if len(set(self.moments)) < len(self.moments) or len(self.judges) != len(self.distances):
            raise ValueError("a moment is there twice, or a distance has no judge of its own")
        for number, row in enumerate(self.rows):
            if not 0 <= row.genome < len(self.genomes):
                raise ValueError(f"row {number} is of a genome that it does not hold")
            sizes = {len(values) for values in row.scores}
            if len(row.scores) > len(self.moments) or sizes - {len(self.measures)}:
                raise ValueError(f"row {number} has other scores than moments and measures")
        return self

    @property
    def is_complete(self) -> bool:
        """Tell whether all trials of the recipe have ended."""
        return len(self.rows) == self.planned

    @property
    def identity(self) -> dict[str, JsonValue]:
        """Return what tells it from other tables, and from itself when it held less."""
        return {"table": self.name, "version": self.recipe.version, "rows": len(self.rows)}

    def rows_of(self, genome: int, framework: Framework | None = None) -> list[RecordedTrial]:
        """Return the rows of a genome in a framework, the first if none is named, by seed."""
        wanted = framework or self.recipe.framework
        found = [row for row in self.rows if (row.genome, row.framework) == (genome, wanted)]
        return sorted(found, key=lambda row: row.seed)

    def value(self, row: RecordedTrial, measure: str, images: int | None = None) -> float | None:
        """Return a row's value of a measure at a moment, the last one unless another is named.

        None where the trial has not come so far.
        """
        place = self.moments.index(self.moments[-1] if images is None else images)
        column = self.measures.index(measure)
        return row.scores[place][column] if place < len(row.scores) else None

    @property
    def distances(self) -> list[str]:
        """Return the distance of each judge."""
        return [name for name in self.measures if is_frechet(name)]

    def save(self, path: Path) -> None:
        """Write the table's file atomically."""
        write_text(path, seal(self.model_dump(mode="json")))


def table_names() -> list[str]:
    """List the tables that come with gan-nas."""
    entries = files(NAMES).iterdir()
    return sorted(e.name.removesuffix(".json") for e in entries if e.name.endswith(".json"))


def read_table(reference: str | Path) -> Table:
    """Read a table by name or from a file; raises InvalidInput where its hash does not hold."""
    names = table_names()
    if str(reference) in names:
        return parse_table((files(NAMES) / f"{reference}.json").read_text("utf-8"), str(reference))
    path = Path(reference)
    if not path.exists():
        raise InvalidInput(
            f"{str(reference)!r} is neither a table's file nor one that comes with gan-nas"
            f"{nearest(str(reference), names) or '; these are ' + ', '.join(names)}"
        )
    return parse_table(read_text(path, LIMIT), str(path))


def parse_table(text: str, where: str) -> Table:
    """Read a table's file; `where` it is from stands in errors."""
    content = unseal(text)
    if content is None:
        raise InvalidInput(f"{where} is damaged, or no table: its hash does not hold, get it anew")
    if content.get("format") != FORMAT:
        raise Incompatible(
            f"{where} is a table of format {content.get('format')!r}, and this version of gan-nas "
            f"reads {FORMAT}: use the version that it was made with"
        )
    try:
        return Table.model_validate(content)
    except ValidationError as error:
        raise InvalidInput(
            f"{where} is no table: {explain(error, list(Table.model_fields))}"
        ) from error
