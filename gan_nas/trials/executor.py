"""The contract of executors: where trials are judged, several at once.

An executor takes an evaluator that can be copied, and as many trials as come; what came of each is
asked for one by one. A trial is the same idempotent call wherever it is made: what an earlier one
has left in its folder it takes up. That of a process which was killed is made once more; an error
of the evaluator's is raised.
"""

import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from importlib.util import find_spec
from traceback import format_exc
from typing import Any, Self

from gan_nas import errors
from gan_nas.errors import GanNasError, InvalidInput, MissingResource
from gan_nas.progress import ENDED, silent
from gan_nas.runs.run import never
from gan_nas.trials import EXECUTORS
from gan_nas.trials.evaluator import Evaluator
from gan_nas.trials.training import TrainEvaluator
from gan_nas.trials.trial import Outcome, Status, Trial

MOST_DEATHS = 2  # of a trial's processes: the second is its outcome


class Begun:
    """A trial that was begun; `row` is what its progress is shown under."""

    def __init__(self, trial: Trial, row: str) -> None:
        self.trial, self.row = trial, row
        self.end: Outcome | Exception | None = None
        self.num_deaths = 0

    def take(self, answer: Mapping[str, Any]) -> None:
        """End as the answer says that `judged` gave."""
        if "outcome" in answer:
            self.end = Outcome.model_validate_json(answer["outcome"])
        else:
            self.end = getattr(errors, answer["error"], RuntimeError)(answer["text"])

    def die(self, how: str, *, asked: bool = False) -> None:
        """Note that its process was lost, as somebody `asked` for; the second time ends it."""
        self.num_deaths += 1
        if self.num_deaths == MOST_DEATHS:
            of = "" if asked else ", as for want of memory"
            why = f"its process ended {MOST_DEATHS} times, at last {how}{of}"
            status: Status = "interrupted" if asked else "out_of_memory"
            self.end = Outcome(trial=self.trial, status=status, why=why)


class Executor(ABC):
    """Judges trials, up to `num` at once."""

    def __init__(self, evaluator: Evaluator, num: int = 1) -> None:
        self.evaluator, self.num = evaluator, num

    @abstractmethod
    def begin(self, trial: Trial, row: str) -> Begun:
        """Judge a trial as soon as there is room."""

    @abstractmethod
    def outcome(self, begun: Begun) -> Outcome:
        """Return what came of a trial, when it has ended.

        Raises what the evaluator raises; Interrupted when all have saved what they do, after the
        evaluator was asked to stop.
        """

    @abstractmethod
    def close(self) -> None:
        """End all that is under way."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _show_end(self, begun: Begun) -> None:
        distance = getattr(begun.end, "distance", None)
        told = {} if distance is None else {"distance": distance}
        self.evaluator.progress(ENDED, 1, 1, told, row=begun.row)


def open_executor(name: str, evaluator: Evaluator, num: int) -> Executor:
    """Return the executor of a name, which was checked."""
    from gan_nas.trials.jobs import Jobs

    if name == "local":
        return Jobs(evaluator, num)

    from gan_nas.trials.engines import load_engine
    from gan_nas.trials.remote import Remote

    assert isinstance(evaluator, TrainEvaluator), "others are not side by side"
    return Remote(evaluator, num, load_engine(name))


def check_executor(name: str) -> None:
    """Raise InvalidInput for an executor that there is not, or whose extra is not installed.

    MissingResource where there is no Slurm.
    """
    if name not in EXECUTORS:
        hint = errors.nearest(name, list(EXECUTORS)) or f"; there are {', '.join(EXECUTORS)}"
        raise InvalidInput(f"unknown executor {name!r}{hint}")
    package = EXECUTORS[name]
    if package is not None and find_spec(package) is None:
        raise InvalidInput(
            f"the executor {name} needs {package}, which is not installed: "
            f"pip install 'gan-nas[{name}]'"
        )
    if name == "slurm" and shutil.which("srun") is None:
        raise MissingResource(
            "the executor slurm needs a machine that submits jobs to Slurm, and there is no srun "
            "here: log in to one, or take local or ray"
        )


def shipped(evaluator: TrainEvaluator) -> TrainEvaluator:
    """Return an evaluator without what belongs to this process, its networks on the CPU."""
    backbone, *judges = (
        replace(judge, network=deepcopy(judge.network).cpu())
        for judge in (evaluator.backbone, *evaluator.judges)
    )
    return replace(evaluator, stop=never, progress=silent, backbone=backbone, judges=tuple(judges))


def judged(evaluator: Callable[[Trial], Outcome], trial: str | bytes) -> dict[str, str]:
    """Judge a trial, which is JSON, in a process of its own; returns what to tell of it."""
    try:
        outcome = evaluator(Trial.model_validate_json(trial))
    except GanNasError as error:
        return {"error": type(error).__name__, "text": str(error)}
    except Exception:
        return {"error": "Exception", "text": f"in a job: {format_exc()}"}
    return {"outcome": outcome.model_dump_json()}
