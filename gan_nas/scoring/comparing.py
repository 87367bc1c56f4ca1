"""Two files of scores: whether they may be compared, and differ by more than noise."""

from collections.abc import Sequence
from contextlib import suppress
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple

from pydantic import ValidationError

from gan_nas.errors import Incompatible, InvalidInput, explain
from gan_nas.files import read_text
from gan_nas.formats.foreign import Kind, identify
from gan_nas.scoring.protocols import (
    Passport,
    Scores,
    by_importance,
    differing,
    exceeds,
    say_differences,
)

LIMIT = 1 << 20  # bytes of a file


class Mean(NamedTuple):
    """The value of a measure, over all trainings that were scored."""

    value: float
    error: float | None
    """What other latents alone would change it by, a standard error; None where nobody knows."""
    deviation: float | None
    """Of the trainings' values: None where there is one only."""
    trainings: int
    """How many were scored."""


class Differences(NamedTuple):
    """What distinguishes scores b from a, by measure: distances first.

    `beyond_noise` tells whether it is more than other latents would make it, None where either was
    scored once; `beyond_seeds` whether it is more than other seeds of the trainings would, None
    where of either only one training was scored. `passports` are what was done differently, as
    field -> the values there are. `means` are both sides.
    """

    values: dict[str, float]
    beyond_noise: dict[str, bool | None]
    beyond_seeds: dict[str, bool | None]
    passports: dict[str, tuple[Any, ...]]
    means: tuple[dict[str, Mean], dict[str, Mean]]


def compare(
    a: Scores | Sequence[Scores],
    b: Scores | Sequence[Scores],
    *,
    any_passport: bool = False,
    names: tuple[Path | str, Path | str] = ("a", "b"),
) -> Differences:
    """Subtract scores a from b; `names` say in errors what they are.

    Either side may be the scores of several trainings of one genome, whose means are compared.
    Raises Incompatible where they were made differently, unless `any_passport`, and InvalidInput
    where they have no measure in common.
    """
    first, second = names
    sides = [[side] if isinstance(side, Scores) else list(side) for side in (a, b)]
    every = [*sides[0], *sides[1]]
    passports = differing([scores.passport for scores in every])
    if passports and not any_passport:
        raise Incompatible(
            f"{first} and {second} were scored differently ({say_differences(passports)}), so "
            "their numbers cannot be compared; score both alike, or allow any passport"
        )
    common = [
        name
        for name in by_importance(every[0].scores)
        if all(name in scores.scores for scores in every)
        and not name.endswith(("_deviation", "_error"))
    ]
    if not common:
        raise InvalidInput(f"{first} and {second} have no measure in common")
    ours, theirs = ({name: _mean(side, name) for name in common} for side in sides)
    repeats = [min(max(2, one.passport.repeats) for one in side) * len(side) for side in sides]
    values = {name: theirs[name].value - ours[name].value for name in common}
    return Differences(
        values,
        {name: _beyond_latents(values[name], ours[name], theirs[name], repeats) for name in common},
        {name: _beyond_seeds(values[name], ours[name], theirs[name]) for name in common},
        passports,
        (ours, theirs),
    )


def _mean(side: Sequence[Scores], name: str) -> Mean:
    values = [scores.scores[name] for scores in side]
    errors = [scores.errors.get(name) for scores in side]
    known = [error for error in errors if error is not None]
    return Mean(
        fmean(values),
        sqrt(sum(error**2 for error in known)) / len(side) if len(known) == len(side) else None,
        stdev(values) if len(values) > 1 else None,
        len(values),
    )


def _beyond_latents(
    difference: float, ours: Mean, theirs: Mean, repeats: Sequence[int]
) -> bool | None:
    if ours.error is None or theirs.error is None:
        return None
    return exceeds(difference, (ours.error, theirs.error), repeats)


def _beyond_seeds(difference: float, ours: Mean, theirs: Mean) -> bool | None:
    if ours.deviation is None or theirs.deviation is None:
        return None
    errors = ours.deviation / sqrt(ours.trainings), theirs.deviation / sqrt(theirs.trainings)
    return exceeds(difference, errors, (ours.trainings, theirs.trainings))


def read_side(path: Path) -> list[Scores]:
    """Read a file of scores, or those in a folder: of as many trainings, seeds of one genome.

    Raises InvalidInput for anything else.
    """
    if not path.is_dir():
        return [read_scores(path)]
    side = []
    for file in sorted(path.glob("*.json")):
        with suppress(InvalidInput):  # a run has other files as well
            side.append(read_scores(file))
    if len(names := {scores.name for scores in side}) > 1:
        raise InvalidInput(
            f"{path} holds scores of {' and '.join(sorted(map(str, names)))}: put those of one "
            "genome's trainings into a folder of their own"
        )
    if not side:
        raise InvalidInput(f"{path} holds no file of scores")
    return side


def read_scores(path: Path) -> Scores:
    """Read a file of scores; raises InvalidInput for anything else."""
    try:
        return Scores.model_validate_json(read_text(path, LIMIT))
    except ValidationError as error:
        fields = [*Scores.model_fields, *Passport.model_fields]
        raise InvalidInput(f"{path} is not a file of scores: {explain(error, fields)}") from error


def holds_scores(path: Path) -> bool:
    """Tell whether a file looks like one of scores, or a folder has one that does.

    A run, its result and an exported generator stand for a genome.
    """
    if identify(path).kind in (Kind.RUN, Kind.RESULT, Kind.GENERATOR):
        return False
    if path.is_dir():
        return any(map(holds_scores, path.glob("*.json")))
    if path.suffix != ".json" or not path.is_file() or path.stat().st_size > LIMIT:
        return False
    try:
        return '"passport"' in read_text(path, LIMIT)
    except InvalidInput:
        return False
