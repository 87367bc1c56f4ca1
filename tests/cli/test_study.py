"""`gan-nas study`: the same command shows a finished study again."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import Command, Studied

from gan_nas.studies.study import StudyResult


@pytest.mark.parametrize("name", ["noise", pytest.param("methods", marks=pytest.mark.slow)])
def test_a_study_ends_in_a_table_and_sentences_which_the_same_command_shows(
    gan_nas: Command, studies: Callable[[str], Studied], name: str
) -> None:
    command, directory = studies(name)
    again = gan_nas(*command)
    report = json.loads((directory / "study.json").read_text())
    assert again.code == 0
    shown = [column["name"] for column in report["columns"]]
    for row in report["rows"]:
        assert str(row[shown[0]]) in again.out
        assert any(f"{row[column]:.4g}" in again.out for column in shown[1:])
    for sentence in report["findings"]:
        assert sentence in again.out.replace("\n", " ")
    assert str(directory / "study.png") in again.out
    placed = StudyResult.model_validate(report).placed(directory)
    assert gan_nas(*command, "--json").json == placed.model_dump(mode="json")


def test_other_settings_and_misspelt_names_are_refused(
    gan_nas: Command, studies: Callable[[str], Studied], folder: Path
) -> None:
    command, _ = studies("noise")
    other = gan_nas(*command, "--set", "difference=0.2")
    assert other.code == 4
    assert "config.difference" in other.err
    assert gan_nas("study", "metods").code == 2
    unknown = gan_nas("study", "methods", "--set", "searches=luck", "--data", folder)
    assert unknown.code == 2
    assert "unknown method luck" in unknown.err
