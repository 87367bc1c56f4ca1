"""The evaluator `table`: a trial is answered by what a table has recorded of it, in no time."""

from collections.abc import Sequence
from dataclasses import dataclass

from gan_nas.errors import InvalidInput
from gan_nas.progress import Progress, silent
from gan_nas.runs.results import Values
from gan_nas.spaces.frameworks import Framework
from gan_nas.spaces.genome import Genome
from gan_nas.trials.table import Row, Table
from gan_nas.trials.trial import Outcome, Trial


@dataclass(frozen=True, kw_only=True)
class TableEvaluator:
    """Answers a trial by what is recorded of it; widths are the table's, whatever is asked for.

    The seeds of a genome that are recorded are taken in turn: a trial's seed, modulo their number,
    is the place of its own. A fidelity between two recorded ones is answered by the lower: nothing
    is told of a longer training than was asked for. Its seconds are the share of the whole
    training's. A trial that failed is answered by its scores as long as there are some.
    """

    table: Table
    framework: Framework | None = None
    """In which trials are looked up; none: the table's first."""
    progress: Progress = silent
    """Not told of anything: a look-up takes no time."""

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

    def _values(self, row: Row, place: int) -> Values:
        named = zip(self.table.measures, row.scores[place], strict=True)
        return {"images": self.table.moments[place], **dict(named)}
