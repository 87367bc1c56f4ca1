"""`gan-nas genomes --table`: the leaderboard as a table, as CSV or as JSON (no torch)."""

from itertools import groupby
from typing import Any

from rich.text import Text

from gan_nas.cli.printing import lines, show, show_csv, show_result, suggest, table
from gan_nas.errors import InvalidInput
from gan_nas.spaces.leaderboard import Leaderboard, Measurement, Reported, Row, read_leaderboard
from gan_nas.spaces.published import published_genome

NOTHING = "not measured here"
SHORT = {"rl": "RL", "generator": "G", "discriminator": "D"}


def show_leaderboard(*, as_csv: bool, as_json: bool) -> None:
    """Print the leaderboard in one of three forms, with the same rows in the same order."""
    if as_csv and as_json:
        raise InvalidInput("the table is printed as CSV or as JSON, not both: leave one out")
    board = read_leaderboard()
    if as_json:
        show_result(board)
    elif as_csv:
        show_csv(_flat(row, board) for row in board.rows)
    else:
        _show(board)


def _flat(row: Row, board: Leaderboard) -> dict[str, Any]:
    """Return a row as columns: scores side by side, genomes and measurements in words."""
    columns: dict[str, Any] = {}
    for name, value in row.model_dump(mode="json").items():
        if name in ("cifar10", "stl10"):
            columns |= {f"{name}_{score}": number for score, number in value.items()}
        else:
            columns[name] = _plain(value)
    measured = [
        f"{_scores(found)} ({_protocol(found)}; {_circumstances(found)})"
        for found in board.measured_of(row)
    ]
    return columns | {"measured_here": "; ".join(measured) or NOTHING}


def _plain(value: Any) -> Any:
    """Return a list as words between spaces and a bool as yes or no."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(value) if isinstance(value, list) else value


def _show(board: Leaderboard) -> None:
    numbers = ["GPU\ndays", "M\npar.", "C10\nIS", "C10\nFID", "STL\nIS", "STL\nFID", "here\nFID"]
    heads = [lines(head.split("\n")) for head in numbers]
    rows = table(lines(["system", "where, how"]), *heads, numbers=heads)
    for row in board.rows:
        rows.add_row(
            Text("\n").join([Text(_title(row), "bold"), Text(_about(row), "dim")]),
            *(f"{number:g}" if number else "-" for number in (row.gpu_days, row.parameters)),
            *_cells(row.cifar10),
            *_cells(row.stl10),
            _inception_here(row, board),
        )
    show(rows, "", _explanation(board), "", _measurements(board))
    suggest(
        all_with_sources=("genomes", "--table", "--csv"),
        show_one=("genomes", board.rows[0].genomes[0]),
    )


def _title(row: Row) -> str:
    return row.name + " *" * bool(row.genomes)


def _about(row: Row) -> str:
    """Say in a line what a row is, and what keeps it from being compared."""
    parts = [f"{row.venue} {row.year}", SHORT.get(row.kind, row.kind)]
    parts += ["".join(SHORT.get(part, part) for part in row.searched)] if row.searched else []
    parts += [row.protocol] if row.protocol != "unstated" else []
    return " ".join([*parts, *["labels"] * row.labels, *["?"] * (not row.verified)])


def _cells(reported: Reported) -> list[Text]:
    """Return the cells of both scores, each above its deviation."""
    pairs = [
        (reported.inception_score, reported.inception_score_deviation),
        (reported.fid, reported.fid_deviation),
    ]
    return [
        lines([f"{value:.2f}" if value else "-", *([f"+-{error:.2f}"] if error else [])])
        for value, error in pairs
    ]


def _inception_here(row: Row, board: Leaderboard) -> str:
    """Return the lowest FID on CIFAR-10 that was measured here, of a genome at its own width."""
    found = [
        measured.scores["fid"]
        for measured in board.measured_of(row)
        if measured.data == "cifar10"
        and "fid" in measured.scores
        and measured.width == published_genome(measured.genome).generator.width
    ]
    return f"{min(found):.2f}" if found else "-"


def _measurements(board: Leaderboard) -> Text:
    """List what was measured here, under what the measurements have in common."""
    said = []
    for shared, found in groupby(board.measured, _circumstances):
        said.append(Text(f"Measured here ({shared}):", "bold"))
        said += [Text(f"{one.genome}: {_scores(one)}; {_protocol(one)}") for one in found]
    return Text("\n").join(said)


def _scores(found: Measurement) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in found.scores.items())


def _protocol(found: Measurement) -> str:
    seeds = f"{'mean of ' * (len(found.seeds) > 1)}seed {' and '.join(map(str, found.seeds))}"
    return (
        f"{found.data}, width {found.width}, {found.framework}, {found.steps:,} steps; "
        f"{found.num_scored:,} samples by {found.backbone}, {seeds}"
    )


def _circumstances(found: Measurement) -> str:
    return f"{found.precision}, {found.hardware}, {found.date}; {found.source}"


def _explanation(board: Leaderboard) -> Text:
    """Say what the table's words mean."""
    unstated = board.protocols["unstated"]
    said = [
        "C10: CIFAR-10, 32 px. STL: STL-10, 48 px. M par.: millions of parameters of the "
        "generator. Numbers are as the sources print them, each under its own protocol and recipe; "
        "+- is over splits of one set of samples, not over trainings.",
        "here FID: measured here, of the packaged genome at its own width; -: not measured here.",
        "*: a packaged genome. G, GD, loss: what was searched. labels: class-conditional, not "
        "comparable. ?: read in an abstract or an index only.",
        *(f"{key}: {words}." for key, words in board.protocols.items() if words != unstated),
        f"Without one of these: {unstated}.",
    ]
    return Text("\n".join(said))
