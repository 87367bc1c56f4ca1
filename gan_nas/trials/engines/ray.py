"""Ray's tasks (extra gan-nas[ray]): on this machine's cores and GPUs, or on a cluster.

A cluster is the one that RAY_ADDRESS names; without it a small one is started here, which ends with
this process, however that ends. Not Ray Tune: its record of trials would be a second one.
"""

import logging
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import ray
from ray import exceptions

from gan_nas.trials.remote import Engine, Judge, WorkerLost

SPARE_BYTES = 100 << 20  # of the object store: Ray takes no fewer than 75 MiB


class RayEngine(Engine):
    """Runs each call as a task, on one GPU or so many cores as it has threads."""

    def __init__(self) -> None:
        self._is_ours = False

    def start(self, work: Judge, num: int) -> None:
        """Connect, or start a cluster of `num` places, and put `work` where all tasks see it."""
        on_gpu = work.evaluator.device.type == "cuda"
        cores = 1
        if not ray.is_initialized():
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # as will be usual
            self._is_ours = True
            with _own_signals():
                if os.environ.get("RAY_ADDRESS"):
                    cores = work.num_threads
                    ray.init(log_to_driver=False, logging_level=logging.ERROR)
                else:
                    images = work.evaluator.images
                    pixels = images.train.nbytes + images.held_out.nbytes
                    ray.init(
                        num_cpus=num,
                        object_store_memory=SPARE_BYTES + 2 * pixels,
                        include_dashboard=False,
                        log_to_driver=False,
                        logging_level=logging.ERROR,
                    )
        # Whom to try again is decided in one place, for all engines.
        task = ray.remote(max_retries=0, num_cpus=cores, num_gpus=int(on_gpu))(_call)
        self._task, self._work = task, ray.put(work)

    def submit(self, content: str) -> Any:
        """Begin to call the work; returns a reference to what it will return."""
        return self._task.remote(self._work, content)

    def ended(self, tickets: Sequence[Any], seconds: float) -> Sequence[Any]:
        """Return those whose call has ended."""
        if not tickets:
            return []
        found, _ = ray.wait(list(tickets), num_returns=1, timeout=seconds)
        return list(found)

    def answer(self, ticket: Any) -> str:
        """Return what a call returned."""
        try:
            answer: str = ray.get(ticket)
        except (exceptions.RayTaskError, exceptions.RaySystemError):
            raise  # a bug, or a class that the workers do not know
        except exceptions.RayError as error:
            raise WorkerLost(f"Ray says {type(error).__name__}") from error
        return answer

    def cancel(self, ticket: Any) -> None:
        """Interrupt a call; those that have not begun end at once."""
        with suppress(exceptions.RayError):
            ray.cancel(ticket)

    def close(self) -> None:
        """End a cluster that was started here, or the connection to another."""
        if self._is_ours and ray.is_initialized():
            with _own_signals():
                ray.shutdown()


def _call(work: Judge, content: str) -> str:
    return work(content)


@contextmanager
def _own_signals() -> Iterator[None]:
    """Put back what Ray replaces: our answer to SIGTERM, which saves and exits with 75."""
    is_main = threading.current_thread() is threading.main_thread()
    numbers = (signal.SIGINT, signal.SIGTERM) if is_main else ()
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


ENGINE = RayEngine
