"""Runs that nobody named have numbers, and the same command finds its own again."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from gan_nas.files import write_json
from gan_nas.runs.numbering import Asked, new_directory, next_directory, taken_up

SETTINGS = {"method": "walk", "data": "digits", "config": {"seed": 0, "steps": 3}}


def made(folder: Path, name: str, *, ended: bool = False, **changed: Any) -> Path:
    stored = {**SETTINGS, "run_id": "x", "judge": "classifier", "versions": {"threads": 1}}
    folder.mkdir(exist_ok=True)
    if name[0].isdigit():
        directory = folder / name
        directory.mkdir()
    else:
        with new_directory(folder, name) as directory:
            write_json(directory / "config.json", stored | changed)
    write_json(directory / "config.json", stored | changed)
    if ended:
        write_json(directory / "result.json", {})
    return directory


def found(folder: Path, **asked: Any) -> Path | None:
    of_all = {"judges": [{"judge": "classifier"}, {"judge": "rotation"}]} | asked
    return taken_up(folder, "walk-digits", "walk-digits-0", Asked(SETTINGS, **of_all))


def test_numbers_grow_and_none_is_taken_twice(tmp_path: Path) -> None:
    def take(number: int) -> str:
        with new_directory(tmp_path, f"walk-{number % 2}") as directory:
            (directory / "kept").touch()
            return directory.name.partition("-")[0]

    with ThreadPoolExecutor(8) as threads:
        taken = list(threads.map(take, range(16)))
    assert sorted(taken) == [f"{number:05d}" for number in range(1, 17)]
    assert next_directory(tmp_path, "walk").name == "00017-walk"


def test_a_run_into_which_nothing_was_written_leaves_no_directory(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), new_directory(tmp_path, "walk") as directory:
        raise RuntimeError
    assert not directory.exists()


def test_the_same_command_goes_on_with_the_newest_run_that_has_not_ended(tmp_path: Path) -> None:
    assert found(tmp_path / "none") is None
    first, second = (made(tmp_path, "walk-digits") for _ in range(2))
    assert found(tmp_path) == second
    write_json(second / "result.json", {})
    assert found(tmp_path) == first
    write_json(first / "result.json", {})
    assert found(tmp_path) == second  # ended, all of them: the newest is shown


@pytest.mark.parametrize(
    "changed",
    [
        {"config": {"seed": 1, "steps": 3}},
        {"data_fingerprint": "y"},
        {"judge": "residual"},
        {"versions": {"threads": 2}},
    ],
)
def test_a_run_of_other_settings_is_left_alone(tmp_path: Path, changed: dict[str, Any]) -> None:
    made(tmp_path, "walk-digits", **changed)
    assert found(tmp_path, threads=1) is None


def test_a_run_that_another_file_of_weights_judges_is_left_alone(tmp_path: Path) -> None:
    this, other = ({"judge": "classifier", "backbone": name} for name in ("this", "other"))
    run = made(tmp_path, "walk-digits", backbone="this")
    assert found(tmp_path, judges=[this]) == run
    assert found(tmp_path, judges=[other]) is None


def test_a_run_with_a_name_of_before_is_found_and_one_that_the_user_named_is_not(
    tmp_path: Path,
) -> None:
    made(tmp_path, "walk-digits").rename(tmp_path / "first")
    (tmp_path / "00007-walk-digits").mkdir()  # without a config: just being made
    assert found(tmp_path) is None
    (tmp_path / "first").rename(tmp_path / "walk-digits-0")
    assert found(tmp_path) == tmp_path / "walk-digits-0"
