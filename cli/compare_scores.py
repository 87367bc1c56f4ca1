"""Scores side by side: whether they may be compared, and differ by more than noise."""

from pathlib import Path
from typing import Any

from gan_nas.cli.printing import remark, show, show_json, table
from gan_nas.errors import InvalidInput
from gan_nas.scoring.comparing import Differences, Mean, compare, holds_scores, read_side
from gan_nas.scoring.protocols import Scores

VERDICTS = {True: "yes", False: "no", None: "unknown"}


def are_scores(first: str, second: str) -> bool:
    """Tell whether both names are files that gan-nas score wrote; raises when only one is."""
    found = [holds_scores(Path(reference)) for reference in (first, second)]
    if any(found) and not all(found):
        raise InvalidInput(
            f"{first if found[0] else second} holds scores and {second if found[0] else first} "
            "does not: compare two genomes, or two files of scores"
        )
    return all(found)


def compare_scores(first: Path, second: Path, *, any_passport: bool, as_json: bool) -> bool:
    """Print both; return whether any value differs by more than its noise.

    That is the noise of training seeds where a side is a folder of several trainings' scores, else
    that of latents.
    """
    a, b = read_side(first), read_side(second)
    found = compare(a, b, any_passport=any_passport, names=(first, second))
    if as_json:
        show_json(
            {
                "a": _dumped(a),
                "b": _dumped(b),
                "differences": found.values,
                "beyond_noise": found.beyond_noise,
                "beyond_seeds": found.beyond_seeds,
                "passports": {name: list(values) for name, values in found.passports.items()},
            }
        )
    else:
        _show(a, b, (first, second), found)
    return any(_verdicts(found).values())


def _dumped(side: list[Scores]) -> Any:
    dumped = [scores.model_dump(mode="json") for scores in side]
    return dumped[0] if len(dumped) == 1 else dumped


def _verdicts(found: Differences) -> dict[str, bool | None]:
    """Tell what differs by more than seeds explain or, where that is unknown, latents."""
    seeds_known = None not in found.beyond_seeds.values()
    return found.beyond_seeds if seeds_known else found.beyond_noise


def _show(
    a: list[Scores],
    b: list[Scores],
    paths: tuple[Path, Path],
    found: Differences,
) -> None:
    names_of = [
        [side[0].name or path.name for side, path in zip((a, b), paths, strict=True)],
        [path.name for path in paths],
        [f"{path.parent.name}/{path.name}" for path in paths],
        ["A", "B"],
    ]
    titles = next(titles for titles in names_of if titles[0] != titles[1])  # short: they share 80
    columns = (*titles, "difference", "beyond the noise")
    rows = table("score", *columns, numbers=columns)
    rows.columns[0].no_wrap = True
    for column in rows.columns[1:3]:
        column.overflow = "fold"  # long names differ at their ends
    verdicts = _verdicts(found)
    for name, difference in found.values.items():
        values = (_value(means[name]) for means in found.means)
        rows.add_row(name, *values, f"{difference:+.4g}", VERDICTS[verdicts[name]])
    if found.passports:
        rows.add_section()
    for field, differing in found.passports.items():
        first, *others = map(str, differing)
        rows.add_row(field, first, ", ".join(others), "", "scored differently")
    show(rows, "")
    remark(_about_noise(found), style="dim")


def _about_noise(found: Differences) -> str:
    """Say which noise is known."""
    if None not in found.beyond_seeds.values():
        numbers = " and ".join(str(next(iter(means.values())).trainings) for means in found.means)
        return (
            f"Noise: what other seeds of the trainings change the difference by, in 19 of 20 "
            f"cases, from {numbers} of them; ± is their standard deviation."
        )
    if None in found.beyond_noise.values():
        known = (
            "Unknown: scored once, so nothing is known of the noise; use gan-nas score --repeats."
        )
    else:
        known = "Noise: what other latents alone change the difference by, in 19 of 20 cases."
    return (
        f"{known} What other training seeds change, usually more, is known where both are folders "
        "with the scores of several trainings each."
    )


def _value(mean: Mean) -> str:
    noise = mean.error if mean.deviation is None else mean.deviation
    return f"{mean.value:.4g}" if noise is None else f"{mean.value:.4g} ± {noise:.2g}"
