"""The run of several processes: the first has the directory, and tells the others what is in it.

The others neither read nor write there, so that they may be on machines that do not see it.
"""

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from torch import Tensor

from gan_nas.machine.ranks import ALONE, Ranks
from gan_nas.networks.states import pack, unpack
from gan_nas.runs.checkpoints import Checkpoint
from gan_nas.runs.results import Result
from gan_nas.runs.run import Length, Run

R = TypeVar("R", bound=Result)


def open_run(
    directory: Path,
    config: Mapping[str, Any],
    stop: Callable[[], bool],
    ranks: Ranks,
    *,
    absent: Mapping[str, Any] | None = None,
    length: Length | None = None,
) -> Run:
    """Open a run as `Run.open` does: alone, or together with other processes.

    What is not the same for any number of processes, the last digits, stands among the versions.
    """
    if ranks.size == 1:
        return Run.open(directory, config, stop, absent=absent, length=length)
    config = {**config, "versions": {**config["versions"], "processes": ranks.size}}
    opened: list[SharedRun] = []

    def begin() -> str:
        run = SharedRun.open(directory, config, stop, absent=absent, length=length)
        opened.append(run)
        return run.run_id

    run_id = ranks.first(begin)
    nothing = os.open(os.devnull, os.O_RDONLY)  # where the first has a lock
    run = opened[0] if opened else SharedRun(directory, run_id, stop, nothing)
    if opened:
        os.close(nothing)
    run.ranks, run.stop = ranks, ranks.asked(stop)
    return run


class SharedRun(Run):
    """A run, as each of the processes that make it has it."""

    ranks: Ranks = ALONE

    def log(self, **values: Any) -> None:
        """Append one line to the log, once."""
        if self.ranks.is_first:
            super().log(**values)

    def save(
        self,
        step: int,
        state: Mapping[str, Any],
        tensors: Mapping[str, Mapping[str, Tensor]],
    ) -> None:
        """Write a checkpoint, once; the others wait for its end."""
        self.ranks.first(partial(super().save, step, state, tensors))

    def latest(self) -> Checkpoint | None:
        """Take up the newest whole checkpoint, everywhere."""
        latest, found = super().latest, list[Checkpoint]()

        def read() -> dict[str, Any] | None:
            checkpoint = latest()
            if checkpoint is None:
                return None
            found.append(checkpoint)
            return {
                "step": checkpoint.step,
                "state": checkpoint.state,
                "groups": list(checkpoint.tensors),
            }

        told = self.ranks.first(read)
        if told is None:
            return None

        def packed(group: str) -> bytes:
            return pack(found[0].tensors[group])

        groups = {group: self.ranks.told(partial(packed, group)) for group in told["groups"]}
        tensors = {group: unpack(data) for group, data in groups.items()}
        return found[0] if found else Checkpoint(told["step"], told["state"], tensors)

    def begin(self, *, again: bool = False) -> None:
        """Raise RunFailed, as it did, for a run that has failed, unless it is to run `again`."""
        self.ranks.first(partial(super().begin, again=again))

    @property
    def finished(self) -> bool:
        """Tell whether the run has come to its end."""
        return self.ranks.any(self.ranks.is_first and super().finished)

    def finish(self, result: R) -> R:
        """Write the result, once."""
        write = super().finish
        self.ranks.first(lambda: write(result) and None)
        return result

    def result(self, kind: type[R]) -> R:
        """Return the result of a finished run."""
        read = super().result
        return kind.model_validate_json(self.ranks.first(lambda: read(kind).model_dump_json()))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Keep on the disk how the run failed, once, and let go of the directory."""
        if self.ranks.is_first:
            super().__exit__(kind, error, traceback)
        else:
            self.close()
