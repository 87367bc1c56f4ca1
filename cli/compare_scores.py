"""Two files of scores side by side: whether they may be compared, and differ by more than noise."""

from pathlib import Path

from gan_nas.cli.printing import remark, show, show_json, table
from gan_nas.errors import InvalidInput
from gan_nas.scoring.comparing import Differences, compare, holds_scores, read_scores
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
    """Print both; return whether any value differs by more than its noise."""
    a, b = read_scores(first), read_scores(second)
    found = compare(a, b, any_passport=any_passport, names=(first, second))
    if as_json:
        show_json(
            {
                "a": a.model_dump(mode="json"),
                "b": b.model_dump(mode="json"),
                "differences": found.values,
                "beyond_noise": found.beyond_noise,
                "passports": {name: list(values) for name, values in found.passports.items()},
            }
        )
    else:
        _show(a, b, (first, second), found)
    return any(found.beyond_noise.values())


def _show(
    a: Scores,
    b: Scores,
    paths: tuple[Path, Path],
    found: Differences,
) -> None:
    names_of = [
        [one.name or path.name for one, path in zip((a, b), paths, strict=True)],
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
    for name, difference in found.values.items():
        verdict = VERDICTS[found.beyond_noise[name]]
        rows.add_row(name, _value(a, name), _value(b, name), f"{difference:+.4g}", verdict)
    if found.passports:
        rows.add_section()
    for field, values in found.passports.items():
        rows.add_row(field, *map(str, values), "", "scored differently")
    show(rows, "")
    if None in found.beyond_noise.values():
        remark(
            "Unknown: scored once, so nothing is known of the noise; use gan-nas score --repeats.",
            style="dim",
        )
    else:
        remark(
            "Noise: what other latents alone change the difference by, in 19 of 20 cases.",
            style="dim",
        )


def _value(scores: Scores, name: str) -> str:
    error = f" ± {scores.errors[name]:.2g}" if name in scores.errors else ""
    return f"{scores.scores[name]:.4g}{error}"
