"""What work remembers of its way: windows of losses, scores, seconds, and what is drawn of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from PIL import Image
from tiny import CPU

from gan_nas.errors import RunFailed
from gan_nas.progress import LEFT
from gan_nas.runs import ledger as ledgers
from gan_nas.runs.events import LogLine
from gan_nas.runs.ledger import CURVES_PNG, NUM_SHOWN, Ledger, LossWindow, Pace, means
from gan_nas.runs.run import Run, read_log
from gan_nas.scoring.scorer import Scorer
from gan_nas.spaces.genome import read_genome

SCORES = {"frechet_distance[classifier]": 9.0, "classifier_score": 1.5}


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with Run.open(tmp_path / "run", {}) as run:
        yield run


def push(window: LossWindow, *losses: float) -> None:
    for loss in losses:
        window.push(torch.tensor(loss, device=CPU))


def scored(step: int, **changes: float) -> dict[str, Any]:
    return {"step": step, "images": 8 * step, **SCORES, **changes}


def test_a_window_has_the_variance_and_the_mean_of_its_last_losses() -> None:
    """Of an empty one there is no mean: NaN would read as divergence before the first step."""
    window, empty = LossWindow(4, CPU), LossWindow(4, CPU)
    assert (window.mean(), window.mean(1), window.variance()) == (None, None, float("inf"))
    push(window, 1.0, 2.0)
    assert [window.mean(num) for num in (1, 2, 3, 4, 9, None)] == [2.0, 1.5, 1.5, 1.5, 1.5, 1.5]
    assert means({"full": window, "empty": empty}) == {"full": 1.5}
    push(window, 9.0, 1.0, 2.0, 3.0, 4.0)
    assert (window.variance(), window.mean(2), window.mean()) == pytest.approx((1.25, 3.5, 2.5))
    window.clear()  # what was there before is forgotten
    assert (window.mean(), window.variance()) == (None, float("inf"))


def test_losses_stand_still_when_the_last_ones_are_equal_to_the_last_digit() -> None:
    window = LossWindow(4, CPU)
    assert not window.stands_still(3)
    for loss in (1.0, 2.0, 2.0):
        window.push(torch.tensor(loss, device=CPU))
        assert not window.stands_still(3)
    for _ in range(3):
        window.push(torch.tensor(2.0, device=CPU))
        assert window.stands_still(3)
    window.push(torch.tensor(2.0 + 1e-6, device=CPU))
    assert not window.stands_still(3)


def test_a_window_is_made_where_it_is_told_to_be() -> None:
    """With the default device on meta, a tensor made without its device breaks on a CPU."""
    with torch.device("meta"):
        window = LossWindow(4, CPU)
        push(window, 1.0, 3.0)
        assert window.mean() == 2.0


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_losses_are_means_of_windows_and_must_be_finite(run: Run, bad: float) -> None:
    for ledger, kept in ((Ledger(run, what="the walk"), str(run.directory)), (Ledger(), "kept")):
        d_loss, g_loss = (ledger.window(name, 2, CPU) for name in ("d_loss", "g_loss"))
        assert ledger.losses(0) == {}
        push(d_loss, 5.0, 1.0, 3.0)
        assert ledger.losses(1) == {"d_loss": 2.0}
        push(g_loss, bad)
        with pytest.raises(RunFailed) as caught:
            ledger.losses(1234)
        assert caught.value.outcome == "diverged"
        assert f"{ledger.what} diverged before step 1,234: a loss" in str(caught.value)
        assert kept in str(caught.value)


def test_a_step_is_scored_when_due_and_once() -> None:
    ledger = Ledger()
    due = []
    for step in range(8):
        for _ in range(2):
            if ledger.is_due(step, 3, last=7):
                due.append(step)
                ledger.keep(scored(step))
    assert due == [0, 3, 6, 7]


def test_the_newest_scores_are_shown_with_their_step_whose_checkpoint_is_good(run: Run) -> None:
    shown: list[Any] = []
    ledger = Ledger(run, lambda *what: shown.append(what))
    ledger.show("walking", 1, 9, {"loss": 2.0})
    assert (ledger.newest, run.good_step) == ({}, None)
    ledger.keep(scored(3))
    ledger.keep(scored(6, classifier_score=1.75))
    assert run.good_step == 6
    assert ledger.newest == SCORES | {"classifier_score": 1.75}
    ledger.show("walking", 7, 9, {"loss": 1.0})
    first, last = shown
    assert last[3].pop(LEFT) >= 0
    dated = {f"{name} at step 6": value for name, value in ledger.newest.items()}
    assert first == ("walking", 1, 9, {"loss": 2.0})
    assert last == ("walking", 7, 9, {"loss": 1.0, **dated})


def test_the_time_left_counts_the_scorings_to_come_and_leaves_out_those_that_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr(ledgers.time, "monotonic", lambda: now[0])
    pace = Pace()
    assert pace.seconds_left("walking", 0, 10, 2) is None
    now[0] += 4  # seconds for two steps
    with pace.scoring():
        now[0] += 30
    assert pace.seconds_left("walking", 2, 10, 2) == 2 * 8 + 2 * 30
    assert pace.seconds_left("resting", 0, 10, 0) is None  # each phase has a pace of its own
    now[0] += 1
    assert pace.seconds_left("resting", 1, 10, 1) == 9 + 30


@pytest.mark.parametrize("every", [1, 3, 4, 20])
@pytest.mark.parametrize("moments", [(), (5, 6), (12,)])
def test_the_scores_to_come_are_counted_as_they_fall_due(
    every: int, moments: tuple[int, ...]
) -> None:
    last = 12
    for start in range(last + 1):
        ledger = Ledger()
        due = [
            step for step in range(start + 1, last + 1) if ledger.is_due(step, every, last, moments)
        ]
        assert ledger.num_due(start, every, last, moments) == len(due)


def test_a_score_is_that_of_the_scorer_and_draws_the_first_images(run: Run) -> None:
    images = tiny.digits().at(16)
    batches = list(images.held_out[:200].split(NUM_SHOWN + 8))
    scorer = Scorer(tiny.backbone(), images, 16)
    scores, first = Ledger(run).score(scorer, iter(batches), step=5, images=40)
    assert scores == {"step": 5, "images": 40, **scorer.score(batches)}
    assert torch.equal(first, batches[0])
    Ledger(run).grid(batches[0][:NUM_SHOWN], 6)
    one, other = (run.path("samples", f"000000{step}.png") for step in (5, 6))
    assert one.read_bytes() == other.read_bytes()


def test_without_a_run_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ledger = Ledger()
    tell(ledger)
    assert list(tmp_path.iterdir()) == []
    assert ledger.newest == SCORES


def test_with_a_run_all_is_in_its_directory(run: Run) -> None:
    tell(Ledger(run))
    (row, _) = read_log(run.directory)
    assert LogLine.model_validate(row).root.seconds >= 0
    assert row.keys() - scored(1).keys() == {"event", "seconds", "time"}
    assert row.items() >= scored(1).items()
    assert read_genome(run.path("history", "0000001.json")) == tiny.GENOME
    assert "<svg" in run.path("best.svg").read_text()
    for picture in ("samples/0000001.png", CURVES_PNG, "edges.png", "best.png"):
        with Image.open(run.path(picture)) as image:
            assert image.format == "PNG"


def tell(ledger: Ledger) -> None:
    """Let a ledger do all that leaves files."""
    images = torch.zeros(2, 1, 8, 8, dtype=torch.uint8, device=CPU)
    ledger.log("scores", **scored(1))
    ledger.keep(scored(1))
    ledger.grid(images, 1)
    ledger.genome(tiny.GENOME, 1)
    ledger.curves()
    ledger.log(
        "architecture",
        step=1,
        generator=[{"0-1": "conv_3x3"}],
        entropies={"alpha": {"0: 0-1": 1.0}},
    )
    ledger.edges(tiny.GENOME)
    ledger.best(tiny.GENOME, images, 16, 1)


def test_curves_show_the_scores_that_the_log_has_lost(tmp_path: Path) -> None:
    drawn = []
    for lost in ((), (4,), (2, 4, 6)):
        with Run.open(tmp_path / f"without-{lost}", {}) as run:
            ledger = Ledger(run)
            for step in range(1, 7):
                if step % 2 == 0:
                    ledger.keep(scored(step, classifier_score=1.0 + step))
                    if step not in lost:
                        ledger.log("scores", **ledger.scores[-1], spread=1.0)
                ledger.log(step=step, images=8 * step, d_loss=1 / step, g_loss=0.5)
            ledger.curves()
            drawn.append(run.path(CURVES_PNG).read_bytes())
    assert drawn[1:] == drawn[:1] * 2


def test_a_ledger_goes_on_from_what_it_has_saved(run: Run) -> None:
    first = filled(Ledger(run))
    state, tensors = first.state(), {k: t.clone() for k, t in first.tensors().items()}
    state["seconds"] = 1000.0
    second = opened(Ledger(run))
    second.load(state, tensors)
    assert second.seconds > 1000 > second.seconds_of_sitting
    assert second.scores == first.scores
    assert run.good_step == 4
    for ledger in (first, second):
        push(ledger.windows["d_loss"], 7.0)
    assert second.losses(5) == first.losses(5) == {"d_loss": 5.5, "g_loss": 1.0}


def test_scores_of_children_are_no_scores_of_the_ledger(run: Run) -> None:
    """AutoGAN's search kept its own under the same name: of children, by their tokens."""
    new = filled(Ledger(run))
    old = opened(Ledger(run))
    state = new.state() | {"scores": [[[0, 1, 2], SCORES], [[1, 1, 2], {}]]}
    old.load(state, new.tensors())
    assert (old.scores, old.newest) == ([], {})


def opened(ledger: Ledger) -> Ledger:
    for name in ("d_loss", "g_loss"):
        ledger.window(name, 2, CPU)
    return ledger


def filled(ledger: Ledger) -> Ledger:
    push(opened(ledger).windows["d_loss"], 1.0, 2.0, 4.0)
    push(ledger.windows["g_loss"], 1.0)
    ledger.keep(scored(2))
    ledger.keep(scored(4))
    return ledger
