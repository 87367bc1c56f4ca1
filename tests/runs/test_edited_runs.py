"""State on the disk that is not as it was written: a sentence, or the same results."""

import subprocess
import sys
from pathlib import Path

import edited_runs
import pytest
from edited_runs import Kept, interrupted


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return interrupted("reconstruction", tmp_path_factory.mktemp("kept"))


def test_edited_tensors_are_refused_or_change_nothing(kept: Kept) -> None:
    tried = list(edited_runs.tensor_edits(kept, every=25))
    assert len(tried) > 20
    assert [one for one in tried if one.is_fault] == []


def test_edited_json_of_a_checkpoint_is_refused_or_changes_nothing(kept: Kept) -> None:
    tried = list(edited_runs.state_edits(kept, every=11))
    assert len(tried) > 5
    assert [one for one in tried if one.is_fault] == []


def test_edited_files_of_a_run_are_named(tmp_path: Path) -> None:
    tried = list(edited_runs.file_edits("training", tmp_path, every=400))
    assert len(tried) > 5
    assert [one for one in tried if one.is_fault] == []


@pytest.mark.slow
@pytest.mark.parametrize("what", edited_runs.EDITS)
def test_every_seventh_edit_ends_in_a_sentence(what: str) -> None:
    done = subprocess.run(
        [sys.executable, edited_runs.__file__, "--only", what, "--every", "7"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
