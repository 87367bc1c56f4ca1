import io
import re
from time import sleep

import pytest
from rich.console import Console

from gan_nas.cli import progress
from gan_nas.cli.printing import WARNING, quietly, remark, suggest
from gan_nas.cli.progress import progress_on_stderr
from gan_nas.progress import LEFT, LEFT_OF_PHASE


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_elsewhere_a_line_comes_at_once_now_and_then_and_last(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with progress_on_stderr() as report:
        for done in range(0, 101, 10):  # one report a second
            report("training images", 64 * done, 6400, {"d_loss": 1.25, "broken": float("nan")})
            clock[0] += 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "training  0/6,400 images · d_loss 1.25",
        "training  3,200/6,400 images · 640/s · 5 s left · d_loss 1.25",
        "training  6,400/6,400 images · 640/s · 0 s left · d_loss 1.25",
    ]


def test_scores_of_a_second_judge_bear_its_name(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    names = "frechet_distance[classifier]", "classifier_score"
    others = "frechet_distance[residual]", "classifier_score[residual]"
    with progress_on_stderr() as report:
        report("training images", 1, 4, {f"{name} at step 1": 2.0 for name in (*names, *others)})
    assert capsys.readouterr().err.strip() == (
        "training  1/4 images · distance 2 at step 1 · score 2 at step 1"
        " · distance[residual] 2 at step 1 · score[residual] 2 at step 1"
    )


def test_a_new_phase_ends_the_one_before(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with progress_on_stderr() as report:
        report("classifier images", 1, 4, {})
        clock[0] += 2
        report("classifier images", 3, 4, {})
        report("search at 4 px", 1, 2, {"frechet_distance[classifier]": 3.14159, "images/s": 1234})
    assert capsys.readouterr().err.splitlines() == [
        "classifier  1/4 images",
        "classifier  3/4 images · 1/s · 2 s",
        "search at 4 px  1/2 · 1,234/s · distance 3.14",
    ]


def test_on_a_terminal_one_line_lives(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=60, highlight=False)
    monkeypatch.setattr(progress, "console", lambda *, stderr: terminal)
    with progress_on_stderr() as report:
        for done in range(1001):  # a report each millisecond is shown 8 times a second
            report("training images", done, 1000, {"d_loss": 1.25, "g_loss": 0.5, "d": 1.0})
            clock[0] += 0.001
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())
    pictures = [line for line in re.split(r"[\r\n]+", text) if line.strip()]
    assert 8 <= len(pictures) <= 12
    assert all(len(picture) <= 60 for picture in pictures)
    assert pictures[-1].startswith("training  ━━━━━━━━━━━━━━━━  1,000/1,000 images")


@pytest.mark.slow
def test_a_live_line_moves_while_nothing_reports(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=100, highlight=False)
    monkeypatch.setattr(progress, "console", lambda *, stderr: terminal)
    with progress_on_stderr() as report:
        report("1/2 training images", 0, 100, {"d_loss at step 0": 1.5})
        clock[0] += 2
        before = screen.tell()
        sleep(2.2)  # of the real clock: what is drawn comes from a thread
        drawn = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue()[before:])
    lines = [line for line in re.split(r"[\r\n]+", drawn) if line.strip()]
    assert lines
    assert all("1/2 training" in line and "for 2 s" in line for line in lines)
    assert all("d_loss 1.5 at step 0" in line for line in lines)


def test_the_time_left_is_that_which_the_work_tells_and_passes(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with progress_on_stderr() as report:
        report("1/3 search at 4 px", 0, 10, {})
        clock[0] += 6
        report("1/3 search at 4 px", 2, 10, {LEFT_OF_PHASE: 100.0})
        clock[0] += 6
        report("training images", 3, 10, {LEFT: 90.0})
        clock[0] += 6
        report("training images", 4, 10, {LEFT: 80.0})
    said = capsys.readouterr().err.splitlines()
    assert said[1] == "1/3 search at 4 px  2/10 · 0.333/s · 1 min 40 s left in this phase"
    assert said[-1] == "training  4/10 images · 0.167/s · 1 min 20 s left"


def test_quietly_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with quietly(), progress_on_stderr() as report:
        report("training images", 1, 10, {})
        remark("so")
        suggest(look=("sample", "x"))
        remark("warning: so", style=WARNING)
    assert capsys.readouterr().err == "warning: so\n"
