"""`gan-nas genomes --table`: three forms of the same rows."""

import csv
import io
import os
import subprocess
import sys

import pytest
from commands import Command

from gan_nas.spaces.leaderboard import Leaderboard, read_leaderboard

BOARD = read_leaderboard()


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_table_csv_and_json_have_the_same_rows_in_the_same_order(gan_nas: Command) -> None:
    names = [row.name for row in BOARD.rows]
    as_json = gan_nas("genomes", "--table", "--json").json
    assert [row["name"] for row in as_json["rows"]] == names
    assert [row["name"] for row in rows_of(gan_nas("genomes", "--table", "--csv").out)] == names
    lines = gan_nas("genomes", "--table").out.splitlines()
    at = 0
    for row in BOARD.rows:
        while not lines[at].startswith(row.name + " "):
            at += 1
        fids = [f"{data.fid:.2f}" if data.fid else "-" for data in (row.cifar10, row.stl10)]
        scores = lines[at].removeprefix(row.name).removeprefix(" *").split()
        assert len(scores) == 7, lines[at]
        assert [scores[3], scores[5], scores[6]] == [*fids, "-"]
        at += 1


def test_the_csv_is_that_of_the_standard_and_has_every_number(gan_nas: Command) -> None:
    out = gan_nas("genomes", "--csv").out
    assert out.isascii()
    assert out.count("\r\n") == len(BOARD.rows) + 1 == out.count("\n")
    for row, read in zip(BOARD.rows, rows_of(out), strict=True):
        for data in ("cifar10", "stl10"):
            for score, value in getattr(row, data).model_dump().items():
                assert read[f"{data}_{score}"] == ("" if value is None else str(value))
        assert read["genomes"].split() == list(row.genomes)
        assert read["labels"] == ("yes" if row.labels else "no")
        assert (read["measured_here"] == "not measured here") == (not BOARD.measured_of(row))


def test_the_json_is_the_leaderboard(gan_nas: Command) -> None:
    assert Leaderboard.model_validate_json(gan_nas("genomes", "--table", "--json").out) == BOARD


def test_only_what_was_measured_with_inception_stands_beside_the_papers_fid(
    gan_nas: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = BOARD.measured[0].model_copy(
        update={"backbone": "inception", "scores": {"fid": 12.34, "inception_score": 8.1}}
    )
    for width, shown in ((256, "12.34"), (32, "-")):
        measured = real.model_copy(update={"width": width})
        board = BOARD.model_copy(update={"measured": (*BOARD.measured, measured)})
        monkeypatch.setattr("gan_nas.cli.leaderboard.read_leaderboard", lambda b=board: b)
        out = gan_nas("genomes", "--table").out
        (line,) = (line for line in out.splitlines() if line.startswith("SN-GAN "))
        assert line.split()[-1] == shown
        assert "fid 12.34, inception_score 8.1" in out


def test_the_table_fits_into_eighty_columns_and_explains_its_words(gan_nas: Command) -> None:
    answer = gan_nas("genomes", "--table")
    assert max(map(len, answer.out.splitlines())) <= 80
    assert "…" not in answer.out
    said = " ".join(answer.out.split())
    for words in (*BOARD.protocols.values(), "not measured here", "class-conditional", "splits"):
        assert words in said
    for measured in BOARD.measured:
        assert f"{measured.hardware}, {measured.date}" in said
    assert "gan-nas genomes --table --csv" in answer.err


def test_a_stdout_of_ascii_gets_ascii_without_torch() -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-P", "-c"),
            "import sys; from gan_nas.cli import run; run(['genomes', '--table'])\n"
            "assert not {'torch', 'numpy'} & sys.modules.keys()",
        ],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    assert b"\\" not in done.stdout


def test_csv_and_json_at_once_are_refused(gan_nas: Command) -> None:
    answer = gan_nas("genomes", "--table", "--csv", "--json")
    assert (answer.code, answer.out) == (2, "")
    assert "as CSV or as JSON, not both" in answer.err
