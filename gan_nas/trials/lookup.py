"""The evaluator `table`: a trial is answered by what a table has recorded of it, in no time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

from gan_nas.errors import Incompatible, InvalidInput
from gan_nas.runs.results import Values
from gan_nas.spaces.frameworks import Framework
from gan_nas.spaces.genome import Genome
from gan_nas.training.forecast import Work
from gan_nas.trials.evaluator import Evaluator, Means, Shared, Terms
from gan_nas.trials.table import RecordedTrial, Table, read_table, table_names
from gan_nas.trials.trial import Outcome, Trial


@dataclass(frozen=True, kw_only=True)
class TableEvaluator(Evaluator):
    """Answers a trial by what is recorded of it; widths are the table's, whatever is asked for.

    The seeds of a genome that are recorded are taken in turn: a trial's seed, modulo their number,
    is the place of its own. A fidelity between two recorded ones is answered by the lower: nothing
    is told of a longer training than was asked for. Its seconds are the share of the whole
    training's. A trial that failed is answered by its scores as long as there are some.
    """

    table: Table
    framework: Framework | None = None
    """In which trials are looked up; none: the table's first."""

    needs_backbone = False
    rests_on = "one recorded seed"

    @classmethod
    def implied(cls, setting: str) -> Mapping[str, Any]:
        """Return the data, space and resolution of the table."""
        recipe = table_of(setting).recipe
        return {"data": recipe.data, "space": recipe.space, "resolution": recipe.resolution}

    @classmethod
    def begin(cls, terms: Terms, means: Means, folder: Callable[[], Path], shared: Shared) -> Self:
        """Return what looks trials up; raises Incompatible for other images than the table's."""
        del folder, shared
        table = table_of(terms.evaluator)
        images = means.pixels(terms.side)
        if images.fingerprint != table.data_fingerprint:
            raise Incompatible(
                f"the table {table.name} is of {table.recipe.data}, and {images.name} is searched "
                "on: name the table's data"
            )
        return cls(table=table, stop=means.stop, progress=means.ledger.show)

    @classmethod
    def check(cls, terms: Terms) -> None:
        """Refuse another space than the table's, another side, and images that it does not hold."""
        table = table_of(terms.evaluator)
        recipe = table.recipe
        for name, asked, known in (
            ("space", terms.space.name, recipe.space),
            ("resolution", terms.side, recipe.resolution),
        ):
            if asked != known:
                raise InvalidInput(
                    f"{name} = {asked} and evaluator = {terms.evaluator}, a table of {name} "
                    f"{known}: they must be the same"
                )
        cls(table=table)._reached(terms.fidelities[0])

    @classmethod
    def whole(cls, setting: str, images: int) -> int:
        """Return no more than the table's trials have seen."""
        return min(images, table_of(setting).moments[-1])

    @classmethod
    def work(cls, terms: Terms, images: int) -> Work:
        """Return no work: nothing is trained."""
        del images
        return Work(lambda scale, on: [], side=terms.side, batch_size=1, device=terms.device)

    def __call__(self, trial: Trial) -> Outcome:
        """Look a trial up; raises InvalidInput for what no row can answer."""
        table = self.table
        number = self._number(trial.genome)
        rows = table.rows_of(number, self.framework)
        if not rows:
            why = f"the table {table.name} holds {len(table.rows)} of {table.planned} trials, none"
            return Outcome(trial=trial, status="interrupted", why=f"{why} of this genome")
        row, entry = rows[trial.seed % len(rows)], table.genomes[number]
        reached = self._reached(trial.images)
        share = table.moments[reached] / table.moments[-1]
        known = [self._values(row, place) for place in range(min(reached + 1, len(row.scores)))]
        is_there = reached < len(row.scores)
        judge = table.judges[0]
        return Outcome(
            trial=trial,
            status="completed" if is_there else row.status,
            why=None if is_there else row.why,
            distance=row.scores[reached][0] if is_there else None,
            scores=tuple(known),
            parameters=entry.parameters,
            macs=entry.macs,
            seconds=share * row.seconds,
            processor_seconds=share * row.processor_seconds,
            micro_batch=row.micro_batch,
            passport=judge.passport.model_copy(update={"seed": row.seed}),
        )

    def _number(self, genome: Genome) -> int:
        recipe = self.table.recipe
        known = genome.resized(recipe.width, recipe.discriminator_width)
        ids = [entry.generator_id for entry in self.table.genomes]
        if known.generator_id not in ids:
            raise InvalidInput(
                f"the table {self.table.name} holds no genome {genome.title}: its genomes are "
                f"those of the space {recipe.space}"
            )
        return ids.index(known.generator_id)

    def _reached(self, images: int) -> int:
        """Return the place of the highest recorded moment that is not above these images."""
        moments: Sequence[int] = self.table.moments
        lowest, highest = next(filter(None, moments)), moments[-1]
        if not lowest <= images <= highest:
            raise InvalidInput(
                f"a trial of {images:,} images is not in the table {self.table.name}: allowed are "
                f"{lowest:,} to {highest:,}"
            )
        return max(place for place, moment in enumerate(moments) if moment <= images)

    def _values(self, row: RecordedTrial, place: int) -> Values:
        named = zip(self.table.measures, row.scores[place], strict=True)
        return {"images": self.table.moments[place], **dict(named)}


@lru_cache(maxsize=4)
def table_of(setting: str) -> Table:
    """Return the table of a setting, table:NAME or table:FILE."""
    _, _, reference = setting.partition(":")
    if not reference:
        known = ", ".join(table_names()) or "none comes along"
        raise InvalidInput(
            f"evaluator = {setting}: name a table, table:NAME or table:FILE ({known})"
        )
    return read_table(reference)


EVALUATOR = TableEvaluator
