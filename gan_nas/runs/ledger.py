"""The ledger of a run: losses, scores and time so far, and what is told of them on the way.

Training and every search keep theirs in one: windows of losses whose means go into the log and
must be finite, the scores, grids of samples, genomes of the moment, the seconds of all sittings.
Without a run nothing is written, so that work can go on in memory alone.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from gan_nas.errors import Incompatible, RunFailed
from gan_nas.networks.states import saved_tensors
from gan_nas.progress import AT, LEFT, LEFT_OF_PHASE, Progress, silent
from gan_nas.runs.curves import Course, save_curves
from gan_nas.runs.edge_history import save_edge_history
from gan_nas.runs.events import line_of
from gan_nas.runs.ledger_state import LedgerState
from gan_nas.runs.plots import save_grid, save_trials
from gan_nas.runs.run import Run, finite, read_log
from gan_nas.runs.tensorboard import Board
from gan_nas.scoring.scorer import Scorer
from gan_nas.spaces.genome import Genome
from gan_nas.spaces.picture import save_architecture

COLLAPSED_SPREAD = 0.5  # mean deviation between images, in grey levels, that means collapse
NUM_SHOWN = 64  # images in a sample grid
CURVES_PNG, EDGES_PNG, TRIALS_PNG = "curves.png", "edges.png", "trials.png"
BEST_PNG, BEST_SVG = "best.png", "best.svg"  # of the best architecture: its images, its cells


class Ledger:
    """What work remembers of its way and tells of it; `what` it is called in messages.

    It draws, too, unless it is `plain`, each curve under the `caption`: what, on which data, from
    which seed; and on a `board` for TensorBoard, if there is one.
    """

    def __init__(
        self,
        run: Run | None = None,
        progress: Progress = silent,
        what: str = "the search",
        *,
        plain: bool = False,
        caption: str = "",
        board: Board | None = None,
    ) -> None:
        self.run, self.what, self.plain, self.board = run, what, plain, board
        self.caption = caption
        self.phases: Sequence[str] = ()
        """Those that are shown, in their order, where there are several; the last one scores."""
        self._pace = Pace()
        self.windows: dict[str, LossWindow] = {}
        self.scores: list[dict[str, Any]] = []
        self._progress = progress
        self._seconds_before, self._started = 0.0, time.monotonic()
        self._busy_before, self._began_busy = 0.0, time.process_time()

    @property
    def seconds(self) -> float:
        """Return the time spent so far, earlier sittings included."""
        return self._seconds_before + self.seconds_of_sitting

    @property
    def processor_seconds(self) -> float:
        """Return the time that the CPU was busy with this process, earlier sittings included."""
        return self._busy_before + time.process_time() - self._began_busy

    @property
    def seconds_of_sitting(self) -> float:
        """Return the time since this sitting began."""
        return time.monotonic() - self._started

    def window(self, name: str, size: int, device: torch.device) -> "LossWindow":
        """Open the window of a loss; it is saved and, by `losses`, checked."""
        self.windows[name] = LossWindow(size, device)
        return self.windows[name]

    def losses(self, step: int) -> dict[str, float]:
        """Return the mean of each window that has losses; raises RunFailed unless all are finite.

        `step` is what was reached.
        """
        losses = means(self.windows)
        if not all(map(isfinite, losses.values())):
            raise self.diverged(step)
        return losses

    def diverged(self, step: int, what: str = "a loss") -> RunFailed:
        """Return the error that says that something is not finite any more."""
        where = f"what is saved in {self.run.directory}" if self.run else "what was kept"
        return RunFailed(
            f"{self.what} diverged before step {step:,}: {what} is not finite; {where} is from "
            "before that, try a lower learning rate"
        )

    def log(self, event: str = "losses", /, *, step: int, images: int = 0, **values: Any) -> None:
        """Append a line of this kind to the log, with the time; see events.py."""
        if self.run:
            told = finite({"step": step, "images": images, **values})
            line = line_of(event, self.seconds, told)
            self.run.log(**line)
            if self.board:
                self.board.line(line)

    def show(
        self,
        phase: str,
        done: int,
        total: int,
        values: Mapping[str, float],
        *,
        row: str = "",
        scorings: int = 0,
    ) -> None:
        """Show how far a phase is, with the newest scores, and when they were made, behind others.

        The time left counts as many `scorings` that are still to come.
        """
        beside = {"row": row} if row else {}  # who trains one thing need not know of rows
        left = self._pace.seconds_left(phase, done, total, scorings) if not row else None
        place, number = 0, ""
        if phase in self.phases:
            place = len(self.phases) - 1 - self.phases.index(phase)
            number = f"{len(self.phases) - place}/{len(self.phases)} "
        # The last phase is scoring, which the one before it counts.
        told = {} if left is None else {LEFT_OF_PHASE if place > 1 else LEFT: left}
        step = self.scores[-1]["step"] if self.scores else 0
        scores = {f"{name}{AT}step {step:,}": value for name, value in self.newest.items()}
        self._progress(f"{number}{phase}", done, total, {**values, **told, **scores}, **beside)

    @property
    def newest(self) -> dict[str, float]:
        """Return the newest scores, without when they were made."""
        newest = self.scores[-1] if self.scores else {}
        return {k: v for k, v in newest.items() if k not in ("step", "images")}

    def keep(self, scores: dict[str, Any]) -> None:
        """Add scores, with their `step`; its checkpoint is good, and kept come what may."""
        self.scores.append(scores)
        if self.run:
            self.run.good_step = scores["step"]

    def is_due(self, step: int, every: int, last: int, moments: Sequence[int] = ()) -> bool:
        """Tell whether this step is to be scored, as all `moments` are, and has not been."""
        due = step % every == 0 or step == last or step in moments
        return due and not (self.scores and self.scores[-1]["step"] == step)

    def check_scored(self, steps: Iterable[int]) -> None:
        """Raise Incompatible where scores that were due at these steps are not here."""
        missing = set(steps) - {scores["step"] for scores in self.scores}
        if missing:
            raise Incompatible(
                f"the last checkpoint lacks the scores of step {min(missing):,}, which all have "
                "that gan-nas has written: choose another run directory"
            )

    def num_due(self, step: int, every: int, last: int, moments: Sequence[int] = ()) -> int:
        """Count the scores that are due after this step, up to the last one."""
        later = {moment for moment in (*moments, last) if step < moment <= last and moment % every}
        return last // every - step // every + len(later)

    def score(
        self, scorer: Scorer, batches: Iterable[Tensor], step: int, images: int
    ) -> tuple[dict[str, Any], Tensor]:
        """Score batches of images and draw the first ones; return the scores and the first batch.

        `step` and `images` say when, and stand among the scores; `scores` is left to the caller.
        """
        first: list[Tensor] = []

        def watched() -> Iterator[Tensor]:
            for batch in batches:
                if not first:
                    first.append(batch)
                yield batch

        with self._pace.scoring():
            values = scorer.score(watched())
        self.grid(first[0][:NUM_SHOWN], step)
        return {"step": step, "images": images, **values}, first[0]

    def grid(self, images: Tensor, step: int) -> None:
        """Draw uint8 images (N, C, H, W) of a step."""
        if self.run and not self.plain:
            save_grid(images.cpu(), self.run.path("samples", f"{step:07d}.png"))
        if self.board:
            self.board.grid(images, step)

    def genome(self, genome: Genome, step: int) -> None:
        """Keep the genome of a step, for the history."""
        if self.run:
            genome.save(self.run.path("history", f"{step:07d}.json"))

    def curves(self, real: Mapping[str, float] | None = None) -> None:
        """Draw losses and scores, beside those of `real` images.

        Scores that the log may have lost are still here.
        """
        if not self.run or self.plain:
            return
        log = read_log(self.run.directory)
        scored = {row.get("step") for row in log if self._has_scores(row)}
        lost = [scores for scores in self.scores if scores["step"] not in scored]
        course = Course("", sorted(log + lost, key=_step) if lost else log, real or {})
        save_curves([course], self.run.path(CURVES_PNG), self.caption)

    def _has_scores(self, row: Mapping[str, Any]) -> bool:
        return bool(self.scores) and row.keys() >= self.scores[0].keys()

    def edges(self, genome: Genome) -> None:
        """Draw which operations stood where, from the log's lines of architectures.

        Rows are named by the drawing of the `genome`, which is of the same space.
        """
        if self.run and not self.plain:
            log = read_log(self.run.directory)
            kept = [row for row in log if row.get("event") == "architecture"]
            save_edge_history(kept, self.run.path(EDGES_PNG), genome, self.caption)

    def trials(self, points: Sequence[tuple[float, float, float]], cost: str) -> None:
        """Draw trials: the images spent up to each, its distance, its generator's cost."""
        if self.run and not self.plain:
            save_trials(points, cost, self.run.path(TRIALS_PNG), self.caption)

    def best(self, genome: Genome, images: Tensor | None, side: int, channels: int) -> None:
        """Draw the best architecture for images of a side, and what it makes, if that is known."""
        if self.run and not self.plain:
            save_architecture(genome, self.run.path(BEST_SVG), side, channels)
            if images is not None:
                save_grid(images.cpu(), self.run.path(BEST_PNG))

    def state(self) -> dict[str, Any]:
        """Return what is no tensor, as JSON."""
        counts = {name: window.count for name, window in self.windows.items()}
        return {
            "losses": counts,
            "scores": self.scores,
            "seconds": self.seconds,
            "processor_seconds": self.processor_seconds,
        }

    def load(self, state: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Go on from what `state` and `tensors` returned; windows must be open.

        Raises Incompatible for what no ledger has returned.
        """
        kept = LedgerState.of(state)
        self._seconds_before, self._busy_before = kept.seconds, kept.processor_seconds
        for row in kept.scores:
            self.keep(row)
        for name, window in self.windows.items():
            key = name if name in tensors else f"{name}es"  # the first release: d_losses
            saved_tensors({key: window.values}).load({key: tensors[key]})
            window.count = kept.losses[key]

    def tensors(self) -> dict[str, Tensor]:
        """Return the windows' losses, for a checkpoint."""
        return {name: window.values for name, window in self.windows.items()}


class Pace:
    """How fast a phase goes, apart from scoring, and how long a scoring takes."""

    def __init__(self) -> None:
        self._phase, self._done = "", 0
        self._first, self._began, self._scored = 0, 0.0, 0.0
        self._num_scorings, self._scoring = 0, 0.0

    @contextmanager
    def scoring(self) -> Iterator[None]:
        """Take the time of a scoring."""
        began = time.monotonic()
        yield
        self._num_scorings += 1
        self._scoring += time.monotonic() - began

    def seconds_left(self, phase: str, done: int, total: int, scorings: int) -> float | None:
        """Return the time until a phase ends, None where nothing tells it yet."""
        now = time.monotonic()
        if phase != self._phase or done < self._done:
            self._phase, self._first, self._began, self._scored = phase, done, now, self._scoring
        self._done = done
        spent = now - self._began - (self._scoring - self._scored)
        if done == self._first or spent <= 0:
            return None
        mean = self._scoring / self._num_scorings if self._num_scorings else 0.0
        return spent * (total - done) / (done - self._first) + scorings * mean


class LossWindow:
    """The last `size` losses, kept on the device: pushing never waits for it."""

    def __init__(self, size: int, device: torch.device | str) -> None:
        self.values = torch.zeros(size, device=device)
        self.count = 0

    def push(self, loss: Tensor) -> None:
        """Overwrite the oldest loss."""
        self.values[self.count % len(self.values)].copy_(loss)
        self.count += 1

    def mean(self, num: int | None = None) -> float | None:
        """Return the mean of the last `num` losses, or of all that are here; this waits.

        None where there is no loss yet: a network that has not had its turn has not diverged.
        """
        num = min(num or len(self.values), self.count, len(self.values))
        if not num:
            return None
        rows = torch.arange(self.count - num, self.count, device=self.values.device)
        return float(self.values[rows % len(self.values)].mean())

    def variance(self) -> float:
        """Return the population variance of a full window, infinity before; this waits too."""
        if self.count < len(self.values):
            return float("inf")
        return float(self.values.var(correction=0))

    def stands_still(self, num: int) -> bool:
        """Tell whether the last `num` losses are equal to the last digit; this waits, too.

        Those of networks that learn never are.
        """
        if not 0 < num <= min(self.count, len(self.values)):
            return False
        rows = torch.arange(self.count - num, self.count, device=self.values.device)
        last = self.values[rows % len(self.values)]
        return bool((last == last[0]).all())

    def clear(self) -> None:
        """Forget all losses."""
        self.count = 0


def spread_of(images: Tensor) -> float:
    """Return a pixel's mean deviation over uint8 images (N, C, H, W), in grey levels."""
    return float(images.float().std(0, correction=0).mean())


def check_spread(spread: float, step: int, whose: str = "the generator") -> None:
    """Raise RunFailed where generated images are all the same."""
    if spread < COLLAPSED_SPREAD:
        raise RunFailed(
            f"{whose} has collapsed: at step {step:,} its images differ by {spread:.2f} grey "
            "levels; try a lower learning rate or another seed",
            "collapsed",
        )


def means(windows: Mapping[str, LossWindow], num: int | None = None) -> dict[str, float]:
    """Return by name the mean of the last `num` losses of every window that has any."""
    found = {name: window.mean(num) for name, window in windows.items()}
    return {name: mean for name, mean in found.items() if mean is not None}


def _step(row: Mapping[str, Any]) -> float:
    step = row.get("step")
    return step if isinstance(step, int | float) else 0
