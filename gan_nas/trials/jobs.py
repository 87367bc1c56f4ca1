"""Trials side by side: each job is a process of its own, which judges one trial after another.

A job stops when it is asked to, at SIGTERM, and when the process that began it is gone, however it
went. What it was training is then on the disk, and goes on with the same trial.
"""

import json
import os
import signal
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any
from weakref import finalize

import torch

from gan_nas.errors import Interrupted, InvalidInput
from gan_nas.trials.evaluator import Evaluator
from gan_nas.trials.executor import Begun, Executor, judged, shipped
from gan_nas.trials.training import TrainEvaluator
from gan_nas.trials.trial import Outcome, Trial

LOOK_SECONDS = 0.1  # between two looks at whether to stop
STOP = b"stop"
ASKED = {  # signals by which somebody asks for an end
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
}


class Jobs(Executor):
    """Judges trials in processes of this machine; one at a time in this very process.

    Jobs take the visible GPUs in turn, from the evaluator's on; on a CPU each has as many threads
    as this process. What was begun by a job that is killed is begun once more.
    """

    def __init__(self, evaluator: Evaluator, num: int = 1) -> None:
        super().__init__(evaluator, num)
        self._waiting: deque[Begun] = deque()
        self._workers: list[_Worker] = []
        self._release = finalize(self, _end, self._workers)

    def begin(self, trial: Trial, row: str) -> Begun:
        """Judge a trial as soon as there is room."""
        begun = Begun(trial, row)
        if self.num > 1:
            self._waiting.append(begun)
            self._share_out()
        return begun

    def outcome(self, begun: Begun) -> Outcome:
        """Return what came of a trial, when it has ended.

        Raises what the evaluator raises; Interrupted when all jobs have saved what they do.
        """
        if self.num == 1:
            return self._judged_here(begun)
        while begun.end is None:
            self._listen()
        if isinstance(begun.end, Exception):
            raise begun.end
        return begun.end

    def close(self) -> None:
        """End all jobs."""
        self._release()

    def _judged_here(self, begun: Begun) -> Outcome:
        def show(
            phase: str, done: int, total: int, values: Mapping[str, float], *, row: str = ""
        ) -> None:
            del row
            self.evaluator.progress(f"{begun.row}: {phase}", done, total, values)

        return replace(self.evaluator, progress=show)(begun.trial)

    def _share_out(self) -> None:
        """Give every idle job a trial; there are only as many jobs as have something to do.

        None is begun when it is to stop at once.
        """
        while self._waiting and not self.evaluator.stop():
            idle = next((worker for worker in self._workers if worker.task is None), None)
            if idle is None:
                if len(self._workers) == self.num:
                    return
                assert isinstance(self.evaluator, TrainEvaluator), "others are not side by side"
                taken = {worker.number for worker in self._workers}
                number = next(number for number in range(self.num) if number not in taken)
                idle = _Worker(_on_a_gpu_of_its_own(self.evaluator, number), number)
                self._workers.append(idle)
            idle.take(self._waiting.popleft())

    def _listen(self) -> None:
        """Hear what jobs tell; raises Interrupted when they were asked to stop, and have."""
        busy = [worker for worker in self._workers if worker.task]
        if self.evaluator.stop():
            for worker in busy:
                worker.stop()
            for worker in busy:
                while worker.has_begun and "phase" in (worker.message() or {}):
                    pass
            raise Interrupted(
                "stopped on request, the state of all trials is saved; run the same command again "
                "to go on"
            )
        ready = wait([worker.ear for worker in busy], LOOK_SECONDS)
        for worker in busy:
            if worker.ear in ready:
                self._hear(worker)
        self._share_out()

    def _hear(self, worker: "_Worker") -> None:
        """Take in a message of a job."""
        begun, progress = worker.task, self.evaluator.progress
        assert begun is not None
        match worker.message():
            case {"phase": phase, "done": done, "total": total, "values": values}:
                progress(phase, done, total, values, row=begun.row)
                return
            case None:
                self._workers.remove(worker)
                code = worker.end()
                asked = code is not None and -code in ASKED
                begun.die(f"with exit code {code}", asked=asked)
                if begun.end is None:
                    self._waiting.appendleft(begun)
                    return
            case answer:
                begun.take(answer)
        worker.task = None
        self._show_end(begun)


class _Worker:
    """A job, seen from the process that began it."""

    def __init__(self, evaluator: TrainEvaluator, number: int) -> None:
        self.number = number
        self.task: Begun | None = None
        self.has_begun = False
        """Whether it has told anything: until then it only loads, and holds nothing to save."""
        apart = get_context("spawn")
        self.ear, mouth = apart.Pipe()
        arguments = mouth, shipped(evaluator), torch.get_num_threads()
        self.process = apart.Process(target=_work, args=arguments, daemon=True)
        with _deaf():
            try:
                self.process.start()
            except (AttributeError, TypeError) as error:
                raise InvalidInput(
                    f"several jobs need a backbone that can be sent to their processes ({error}): "
                    "use one job, or define its class at the top of a module"
                ) from error
        mouth.close()

    def take(self, begun: Begun) -> None:
        """Judge a trial."""
        self.task = begun
        self._send(begun.trial.model_dump_json().encode())

    def stop(self) -> None:
        """Save what is done, if anything is."""
        if self.has_begun:
            self._send(STOP)
        else:
            self.process.kill()

    def message(self) -> dict[str, Any] | None:
        """Return what it tells, when it does; None when it has died."""
        try:
            content: dict[str, Any] = json.loads(self.ear.recv_bytes())
        except (EOFError, OSError):
            return None
        self.has_begun = True
        return content

    def end(self) -> int | None:
        """End it; returns its exit code."""
        self.ear.close()
        self.process.join()
        return self.process.exitcode

    def _send(self, content: bytes) -> None:
        with suppress(OSError):  # it has died, as its next message will tell
            self.ear.send_bytes(content)


def _end(workers: list[_Worker]) -> None:
    for worker in workers:
        worker.end()
    workers.clear()


def _on_a_gpu_of_its_own(evaluator: TrainEvaluator, number: int) -> TrainEvaluator:
    """Return the evaluator of a job: it takes the next GPU, after the last one the first again."""
    device = evaluator.device
    if device.type != "cuda":
        return evaluator
    index = ((device.index or 0) + number) % torch.cuda.device_count()
    return replace(evaluator, device=torch.device("cuda", index))


@contextmanager
def _deaf() -> Iterator[None]:
    """Let processes that begin meanwhile not hear what a terminal sends to all of its processes.

    Nor SIGTERM, until they can answer it: one that waits is then delivered.
    """
    if sys.platform == "win32":
        yield
    else:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ASKED)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(mouth: Connection, evaluator: TrainEvaluator, num_threads: int) -> None:
    """Judge trials that come through a pipe, in the process of a job, until it is closed."""
    asked, inbox = Event(), SimpleQueue[bytes | None]()

    def stop(*_: object) -> None:
        asked.set()
        inbox.put(None)

    def listen() -> None:
        with suppress(EOFError, OSError):
            while (content := mouth.recv_bytes()) != STOP:
                inbox.put(content)
            stop()
            mouth.recv_bytes()
        os._exit(0)  # nobody is there any more

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, stop)
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    Thread(target=listen, daemon=True).start()
    torch.set_num_threads(num_threads)
    for judge in (evaluator.backbone, *evaluator.judges):
        judge.network.to(evaluator.device)

    def tell(**message: object) -> None:
        mouth.send_bytes(json.dumps(message).encode())

    def show(
        phase: str, done: int, total: int, values: Mapping[str, float], *, row: str = ""
    ) -> None:
        del row
        tell(phase=phase, done=done, total=total, values=dict(values))

    evaluator = replace(evaluator, stop=asked.is_set, progress=show)
    while (content := inbox.get()) is not None:
        tell(**judged(evaluator, content))
