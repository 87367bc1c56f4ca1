import io
import re

import pytest
from rich.console import Console

from gan_nas.cli import progress
from gan_nas.cli.progress import progress_on_stderr


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
