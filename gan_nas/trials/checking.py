"""Checking a table: some of its trials are trained anew and stand beside what is recorded."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import log, sqrt
from pathlib import Path
from random import Random
from typing import NamedTuple

import torch

from gan_nas.data import Images
from gan_nas.errors import Incompatible
from gan_nas.metrics.backbone import Backbone
from gan_nas.progress import Progress, silent
from gan_nas.runs.run import never
from gan_nas.trials.agreement import seed_deviation
from gan_nas.trials.comparison import TINY
from gan_nas.trials.making import evaluator_of
from gan_nas.trials.table import RecordedTrial, Table
from gan_nas.trials.trial import Outcome, Trial

MOST = 3.0  # standard deviations that seeds make: beyond, one of 370 trials is by chance


class Checked(NamedTuple):
    """A recorded trial and the same one trained anew."""

    row: RecordedTrial
    recorded: float | None
    anew: Outcome
    is_equal: bool
    """Whether all scores are the same to the last digit."""
    deviations: float | None
    """How far apart they are, in standard deviations of two seeds' difference; none: unknown."""

    @property
    def holds(self) -> bool:
        """Tell whether nothing speaks against the record: it is as near as another seed's."""
        if self.is_equal:
            return True
        return self.deviations is not None and self.deviations <= MOST


def check(
    table: Table,
    images: Images,
    folder: Path,
    *,
    count: int,
    seed: int,
    judges: Sequence[Backbone],
    device: torch.device,
    cache: Path | None = None,
    stop: Callable[[], bool] = never,
    progress: Progress = silent,
) -> list[Checked]:
    """Train `count` trials of a table, drawn by `seed`, in `folder`, which goes on where it was.

    On the same versions and kind of CPU the scores are the same to the last digit; elsewhere last
    digits of the first steps grow into those of another seed. Raises Incompatible for other images
    or judges than the table's.
    """
    if images.fingerprint != table.data_fingerprint:
        raise Incompatible(f"{images.name} is not what the table {table.name} was trained on")
    for judge, known in zip(judges, table.judges, strict=True):
        if judge.fingerprint != known.passport.weights:
            raise Incompatible(
                f"the judge {judge.name} of the table {table.name} has the fingerprint "
                f"{known.passport.weights}, and this one {judge.fingerprint}: scores of both are "
                "not comparable"
            )
    drawn = Random(seed).sample(table.rows, min(count, len(table.rows)))  # noqa: S311
    checked = []
    for row in drawn:
        where = folder / row.framework
        evaluator = evaluator_of(table.recipe, row.framework, where, images, judges, device)
        evaluator = replace(evaluator, cache=cache, stop=stop, progress=progress)
        genome = table.recipe.genomes()[row.genome]
        trial = Trial(genome=genome, images=table.recipe.images, seed=row.seed)
        checked.append(_beside(table, row, evaluator(trial)))
    return checked


def _beside(table: Table, row: RecordedTrial, anew: Outcome) -> Checked:
    recorded = row.scores[-1][0] if row.status == "completed" else None
    scores = tuple(tuple(score[name] for name in table.measures) for score in anew.scores)
    noise = seed_deviation(table)
    deviations = None
    if recorded is not None and anew.distance is not None and noise:
        logs = [log(max(distance, TINY)) for distance in (recorded, anew.distance)]
        deviations = abs(logs[0] - logs[1]) / (sqrt(2) * noise)
    is_equal = row.status == anew.status and (anew.distance is None or scores == row.scores)
    return Checked(row, recorded, anew, is_equal, deviations)
