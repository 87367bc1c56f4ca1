"""`gan-nas study`: the same command shows a finished study again."""

import json
from pathlib import Path

from commands import STUDY, Command, sets


def test_a_study_ends_in_a_table_and_sentences_which_the_same_command_shows(
    gan_nas: Command, studied: Path, folder: Path
) -> None:
    options = ("methods", "--data", folder, "--run", studied, *sets(STUDY))
    again = gan_nas("study", *options)
    report = json.loads((studied / "study.json").read_text())
    assert again.code == 0
    for row in report["rows"]:
        assert str(row["search"]) in again.out
        assert f"{row['distance']:.4g}" in again.out
    for sentence in report["findings"]:
        assert sentence in again.out.replace("\n", " ")
    assert str(studied / "study.png") in again.out
    assert gan_nas("study", *options, "--json").json == report


def test_other_settings_and_misspelt_names_are_refused(
    gan_nas: Command, studied: Path, folder: Path
) -> None:
    other = gan_nas("study", "methods", "--data", folder, "--run", studied)
    assert other.code == 4
    assert "config.seconds" in other.err
    assert gan_nas("study", "metods").code == 2
    unknown = gan_nas("study", "methods", "--set", "searches=luck", "--data", folder)
    assert unknown.code == 2
    assert "unknown method luck" in unknown.err
