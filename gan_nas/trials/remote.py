"""Trials judged by an engine that others have built: Ray's tasks, Slurm's jobs.

An engine knows nothing of trials, and this file nothing of engines but their contract.
"""

import json
import signal
import threading
import time
import warnings
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from threading import Event
from typing import Any
from weakref import finalize

import torch

from gan_nas.errors import Interrupted, InUse
from gan_nas.trials.executor import Begun, Executor, judged, shipped
from gan_nas.trials.training import TrainEvaluator
from gan_nas.trials.trial import Outcome, Trial

LOOK_SECONDS = 0.2  # between two looks at whether to stop
SAVING_SECONDS = 120.0  # that tasks which were asked to stop have to save what they do
IN_USE_SECONDS = 2.0  # between two looks at a folder where an earlier task still works


class WorkerLost(Exception):
    """The process that made a task has died."""


class Engine(ABC):
    """What runs functions in other processes, perhaps on other machines that see the same files."""

    @abstractmethod
    def start(self, work: "Judge", num: int) -> None:
        """Be ready to run `work` up to `num` times at once."""

    @abstractmethod
    def submit(self, content: str) -> Hashable:
        """Begin to call `work` with a text; returns a ticket."""

    @abstractmethod
    def ended(self, tickets: Sequence[Any], seconds: float) -> Sequence[Any]:
        """Return those tickets whose call has ended, waiting for one as long as this."""

    @abstractmethod
    def answer(self, ticket: Any) -> str:
        """Return what a call that has ended returned; raises WorkerLost where it did not."""

    @abstractmethod
    def cancel(self, ticket: Any) -> None:
        """Send SIGINT or SIGTERM to a call's process."""

    @abstractmethod
    def close(self) -> None:
        """End what is under way, and the engine where it was started here."""


class Remote(Executor):
    """Judges trials by an engine."""

    def __init__(self, evaluator: TrainEvaluator, num: int, engine: Engine) -> None:
        super().__init__(evaluator, num)
        self.engine = engine
        self._waiting: deque[Begun] = deque()
        self._running: dict[Hashable, Begun] = {}
        engine.start(Judge(evaluator, torch.get_num_threads()), num)
        self._release = finalize(self, engine.close)

    def begin(self, trial: Trial, row: str) -> Begun:
        """Judge a trial as soon as there is room."""
        begun = Begun(trial, row)
        self._waiting.append(begun)
        self._share_out()
        return begun

    def outcome(self, begun: Begun) -> Outcome:
        """Return what came of a trial, when it has ended."""
        while begun.end is None:
            self._listen()
        if isinstance(begun.end, Exception):
            raise begun.end
        return begun.end

    def close(self) -> None:
        """End all that is under way."""
        self._release()

    def _share_out(self) -> None:
        while self._waiting and len(self._running) < self.num:
            begun = self._waiting.popleft()
            self._running[self.engine.submit(begun.trial.model_dump_json())] = begun

    def _listen(self) -> None:
        if self.evaluator.stop():
            self._stop()
        for ticket in self.engine.ended(list(self._running), LOOK_SECONDS):
            begun = self._running.pop(ticket)
            try:
                begun.take(json.loads(self.engine.answer(ticket)))
            except WorkerLost as error:
                begun.die(f"as {error}")
            if begun.end is None:
                self._waiting.appendleft(begun)
            else:
                self._show_end(begun)
        self._share_out()

    def _stop(self) -> None:
        """Let all save what they do; raises Interrupted."""
        left: list[Hashable] = list(self._running)
        for ticket in left:
            self.engine.cancel(ticket)
        begun = time.monotonic()
        while left and time.monotonic() - begun < SAVING_SECONDS:
            ended = set(self.engine.ended(left, LOOK_SECONDS))
            left = [ticket for ticket in left if ticket not in ended]
        raise Interrupted(
            "stopped on request, the state of all trials is saved; run the same command again to "
            "go on"
        )


class Judge:
    """What is called elsewhere: it judges a trial, and saves what it does when it is to stop."""

    def __init__(self, evaluator: TrainEvaluator, num_threads: int) -> None:
        folder = evaluator.folder.absolute()  # another process may be in another folder
        cache = evaluator.cache and evaluator.cache.absolute()
        self.evaluator = replace(shipped(evaluator), folder=folder, cache=cache)
        self.num_threads = num_threads

    def __call__(self, trial: str) -> str:
        """Judge a trial, which is JSON; returns what to tell of it, in JSON."""
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        torch.set_num_threads(self.num_threads)
        evaluator = self.evaluator
        if evaluator.device.type == "cuda":  # the one that the engine lets it see
            evaluator = replace(evaluator, device=torch.device("cuda", 0))
        for judge in (evaluator.backbone, *evaluator.judges):
            judge.network.to(evaluator.device)
        with _heeding_signals() as asked:
            return json.dumps(judged(_patient(replace(evaluator, stop=asked), asked), trial))


def _patient(evaluator: TrainEvaluator, asked: Callable[[], bool]) -> Callable[[Trial], Outcome]:
    """Return what judges a trial once nobody else is at it: a task that outlived who asked for it.

    What that one has done is then taken up.
    """

    def judge(trial: Trial) -> Outcome:
        while True:
            try:
                return evaluator(trial)
            except InUse:
                if asked():
                    raise
                time.sleep(IN_USE_SECONDS)

    return judge


@contextmanager
def _heeding_signals() -> Iterator[Callable[[], bool]]:
    """Lend what tells whether SIGINT or SIGTERM has come; in the main thread, which gets them."""
    asked = Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: asked.set()) for number in numbers}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
