from pathlib import Path

import old_runs
from commands import Command

RUN = old_runs.FIXTURES / "runs-1" / "retrain-interrupted"


def test_report_writes_one_file_and_says_what_it_shows(gan_nas: Command, tmp_path: Path) -> None:
    path = tmp_path / "a report.html"
    assert gan_nas("report", RUN, "-o", path).out == f"{path}\n"
    text = path.read_text()
    said = gan_nas("report", RUN, "-o", path, "--json").json
    assert path.read_text() == text
    assert said["bytes"] == path.stat().st_size
    assert said["runs"] == [
        {"run": str(RUN), "kind": "training", "state": "under way or interrupted"}
    ]


def test_report_refuses_other_files_and_folders(gan_nas: Command, tmp_path: Path) -> None:
    answer = gan_nas("report", RUN, "-o", tmp_path / "report.pdf")
    assert answer.code == 2
    assert "does not end in .html" in answer.err
    answer = gan_nas("report", tmp_path, "-o", tmp_path / "report.html")
    assert answer.code == 2
    assert "is not a run directory" in answer.err
    assert not list(tmp_path.iterdir())
