"""The one loop of all that takes long: go on from a checkpoint, advance, save, stop when asked.

Training, reconstruction and every search are driven by it. What they are made of is their own
affair: plain state in a typed record, tensors in groups, and a unit that can be repeated.
"""

import json
import time
from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from pydantic import AliasChoices, BaseModel, ValidationError

from gan_nas.errors import Incompatible, Interrupted, RunFailed, explain, shorten
from gan_nas.machine.ranks import ALONE, Ranks
from gan_nas.networks.states import Saved, check_finite, load_groups, read_groups
from gan_nas.runs.ledger import Ledger
from gan_nas.runs.run import Run
from gan_nas.runs.stored import as_written

MOST_SECONDS = 30.0  # of work that a crash may lose where steps take long
SAVING = 20.0  # times as long as it takes, at least, passes between checkpoints made for that


class Resumable(Protocol):
    """Work in small units that goes on from what it has saved."""

    @property
    def state(self) -> BaseModel:
        """Return where it is, without tensors."""
        ...

    @property
    def step(self) -> int:
        """Count the units that are done: a number that only grows."""
        ...

    @property
    def finished(self) -> bool:
        """Tell whether nothing is left to do."""
        ...

    def advance(self) -> None:
        """Do one unit; when it raises Interrupted it can be done again."""
        ...

    def saved(self) -> Mapping[str, Saved]:
        """Return the tensors that a checkpoint keeps, in groups."""
        ...

    def verify(self) -> None:
        """Raise RunFailed rather than let be saved what is not finite."""
        ...


W = TypeVar("W", bound=Resumable)
S = TypeVar("S", bound=BaseModel)


def work_through(
    run: Run,
    ledger: Ledger,
    state: type[S],
    start: Callable[[S | None], W],
    *,
    save_every: int,
    clock: Callable[[], float] = time.monotonic,
    ranks: Ranks = ALONE,
) -> W:
    """Start work or go on with it, come to its end, and return it.

    `start` makes it at a state, which is None at the very beginning, and opens the ledger's
    windows; tensors are loaded afterwards. A checkpoint is written whenever a multiple of
    `save_every` steps was passed, after half a minute of slow ones by the `clock`, in seconds, at
    the end and on request. The `ranks` do the same work, each of them all of it, at one pace.
    Raises Interrupted with all state saved; Incompatible for a checkpoint of another version.
    """
    work = _restored(run, ledger, state, start)
    saved_step, saved_at, took = work.step, clock(), 0.0

    def save() -> None:
        nonlocal saved_step, saved_at, took
        work.verify()
        begun = clock()
        content = work.state.model_dump(mode="json") | {"ledger": ledger.state()}
        tensors = read_groups(work.saved()) | {"losses": ledger.tensors()}
        run.save(work.step, content, tensors)
        saved_step, saved_at = work.step, clock()
        took = saved_at - begun
        run.stop_if_asked()

    while not work.finished:
        try:
            work.advance()
        except Interrupted:
            save()
            raise
        passed = work.step // save_every > saved_step // save_every
        late = ranks.any(clock() - saved_at > max(MOST_SECONDS, SAVING * took))
        new = work.step > saved_step
        if (new and (passed or late or work.finished)) or run.stop():
            save()
    return work


def _restored(run: Run, ledger: Ledger, state: type[S], start: Callable[[S | None], W]) -> W:
    checkpoint = run.latest()
    if checkpoint is None:
        return start(None)
    with as_written(run.directory):
        work = start(read_state(state, checkpoint.state | {"step": checkpoint.step}))
        check_step(work.step, checkpoint.step)
        ledger.load(checkpoint.state.get("ledger", checkpoint.state), checkpoint.tensors["losses"])
        load_groups(work.saved(), checkpoint.tensors)
        check_finite(work.saved(), checkpoint.tensors)
        try:
            work.verify()
        except RunFailed as error:
            raise Incompatible(
                f"the last checkpoint of {run.directory} holds numbers that are not finite, which "
                "none does that gan-nas has written: choose another run directory"
            ) from error
    return work


def check_step(found: int, stated: int) -> None:
    """Raise Incompatible for work that is at another step than its checkpoint states."""
    if found != stated:
        raise Incompatible(
            f"the state of a checkpoint of step {stated:,} is that of another, {shorten(found)}: "
            "choose another run directory"
        )


def read_state(state: type[S], content: Mapping[str, object]) -> S:
    """Read the plain state of a checkpoint; what belongs to others is left out.

    A field that had another name before lists it in its `validation_alias`; one that older versions
    did not write is given by a validator of the model. Raises Incompatible for what is not state.
    """
    names: set[object] = set(state.model_fields)
    for field in state.model_fields.values():
        if isinstance(field.validation_alias, AliasChoices):
            names.update(field.validation_alias.choices)
    known = {name: value for name, value in content.items() if name in names}
    try:
        read = state.model_validate_json(json.dumps(known))  # strictly, a list is no tuple else
    except ValidationError as error:
        raise _unknown_state(explain(error, list(state.model_fields))) from error
    if absent := state.model_fields.keys() - read.model_fields_set:
        raise _unknown_state(f"it lacks {', '.join(sorted(absent))}")
    return read


def _unknown_state(what: str) -> Incompatible:
    return Incompatible(
        f"the state of a checkpoint is not as this version of gan-nas writes it: {what}; use the "
        "version it was made with"
    )
