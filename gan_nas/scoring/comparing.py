"""Two files of scores: whether they may be compared, and differ by more than noise."""

from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from gan_nas.errors import Incompatible, InvalidInput, explain
from gan_nas.files import read_text
from gan_nas.scoring.protocols import (
    Passport,
    Scores,
    by_importance,
    exceeds_noise,
    say_differences,
)

LIMIT = 1 << 20  # bytes of a file


class Differences(NamedTuple):
    """What distinguishes scores b from a, by measure: distances first.

    `beyond_noise` is None where either was scored once. `passports` are what was done differently,
    as field -> both values.
    """

    values: dict[str, float]
    beyond_noise: dict[str, bool | None]
    passports: dict[str, tuple[Any, Any]]


def compare(
    a: Scores,
    b: Scores,
    *,
    any_passport: bool = False,
    names: tuple[Path | str, Path | str] = ("a", "b"),
) -> Differences:
    """Subtract scores a from b; `names` say in errors what they are.

    Raises Incompatible where they were made differently, unless `any_passport`, and InvalidInput
    where they have no measure in common.
    """
    first, second = names
    passports = a.passport.differences(b.passport)
    if passports and not any_passport:
        raise Incompatible(
            f"{first} and {second} were scored differently ({say_differences(passports)}), so "
            "their numbers cannot be compared; score both alike, or allow any passport"
        )
    common = [name for name in by_importance(a.scores) if name in b.scores]
    common = [name for name in common if not name.endswith(("_deviation", "_error"))]
    if not common:
        raise InvalidInput(f"{first} and {second} have no measure in common")
    return Differences(
        {name: b.scores[name] - a.scores[name] for name in common},
        {name: exceeds_noise(a, b, name) for name in common},
        passports,
    )


def read_scores(path: Path) -> Scores:
    """Read a file of scores; raises InvalidInput for anything else."""
    try:
        return Scores.model_validate_json(read_text(path, LIMIT))
    except ValidationError as error:
        fields = [*Scores.model_fields, *Passport.model_fields]
        raise InvalidInput(f"{path} is not a file of scores: {explain(error, fields)}") from error


def holds_scores(path: Path) -> bool:
    """Tell whether a file looks like one of scores."""
    return path.suffix == ".json" and path.is_file() and '"passport"' in read_text(path, LIMIT)
