"""Two files of scores side by side: whether they may be compared, and differ by more than noise."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gan_nas.cli.printing import by_importance, remark, show, show_json, table
from gan_nas.errors import Incompatible, InvalidInput, explain
from gan_nas.files import read_text
from gan_nas.scoring.protocols import Passport, Scores, describe, exceeds_noise

VERDICTS = {True: "yes", False: "no", None: "unknown"}


def are_scores(first: str, second: str) -> bool:
    """Tell whether both names are files that gan-nas score wrote; raises when only one is."""
    found = [_holds_scores(reference) for reference in (first, second)]
    if any(found) and not all(found):
        raise InvalidInput(
            f"{first if found[0] else second} holds scores and {second if found[0] else first} "
            "does not: compare two genomes, or two files of scores"
        )
    return all(found)


def compare_scores(first: Path, second: Path, *, any_passport: bool, as_json: bool) -> bool:
    """Print both; return whether any value differs by more than its noise.

    Raises Incompatible for different passports, unless any are allowed: the table then says so.
    """
    a, b = read_scores(first), read_scores(second)
    differences = a.passport.differences(b.passport)
    if differences and not any_passport:
        raise Incompatible(
            f"{first} and {second} were scored differently ({describe(differences)}), so their "
            "numbers cannot be compared; score both alike, or give --any-passport"
        )
    names = [name for name in by_importance(a.scores) if name in b.scores]
    names = [name for name in names if not name.endswith(("_deviation", "_error"))]
    if not names:
        raise InvalidInput(f"{first} and {second} have no measure in common")
    beyond = {name: exceeds_noise(a, b, name) for name in names}
    if as_json:
        show_json(
            {
                "a": a.model_dump(mode="json"),
                "b": b.model_dump(mode="json"),
                "differences": {name: b.scores[name] - a.scores[name] for name in names},
                "beyond_noise": beyond,
                "passports": {name: list(values) for name, values in differences.items()},
            }
        )
    else:
        _show(a, b, (first, second), names, beyond, differences)
    return any(beyond.values())


def read_scores(path: Path) -> Scores:
    """Read a file of gan-nas score."""
    try:
        return Scores.model_validate_json(read_text(path, 1 << 20))
    except ValidationError as error:
        fields = [*Scores.model_fields, *Passport.model_fields]
        raise InvalidInput(f"{path} is not a file of scores: {explain(error, fields)}") from error


def _holds_scores(reference: str) -> bool:
    path = Path(reference)
    if path.suffix != ".json" or not path.is_file():
        return False
    return '"passport"' in read_text(path, 1 << 20)


def _show(
    a: Scores,
    b: Scores,
    paths: tuple[Path, Path],
    names: list[str],
    beyond: dict[str, bool | None],
    differences: dict[str, tuple[Any, Any]],
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
    for name in names:
        difference = b.scores[name] - a.scores[name]
        verdict = VERDICTS[beyond[name]]
        rows.add_row(name, _value(a, name), _value(b, name), f"{difference:+.4g}", verdict)
    if differences:
        rows.add_section()
    for field, values in differences.items():
        rows.add_row(field, *map(str, values), "", "scored differently")
    show(rows, "")
    if None in beyond.values():
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
