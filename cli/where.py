"""Where a command works: in the run that --run names, one it finds again, or a new one."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gan_nas.cli.printing import remark

if TYPE_CHECKING:
    from gan_nas.machine.ranks import Ranks
    from gan_nas.runs.numbering import Asked

RUNS = Path("runs")  # where runs are that nobody named


class RunChoice(NamedTuple):
    """Where a command works: a run that is there already, or a new one of this name."""

    name: str
    there: Path | None
    """Named by --run, or found again."""
    has_ended: bool = False

    @property
    def planned(self) -> Path:
        """Return the directory, which is made by `begun`."""
        from gan_nas.runs.numbering import next_directory

        return self.there or next_directory(RUNS, self.name)

    @property
    def known(self) -> list[Path]:
        """List the directory, if it is known already."""
        return [self.there] if self.there else []

    @property
    def is_new(self) -> bool:
        """Tell whether a run is still to be made."""
        return self.there is None or not self.there.exists()

    @contextmanager
    def begun(self) -> Iterator[Path]:
        """Lend the directory; one that was made for it goes again where nothing came into it."""
        if self.there is not None:
            yield self.there
            return
        from gan_nas.runs.numbering import new_directory

        with new_directory(RUNS, self.name) as directory:
            yield directory


@contextmanager
def begun_by_first(choice: RunChoice, ranks: "Ranks") -> Iterator[Path]:
    """Lend the directory that the first of several processes makes, if it is not there."""
    with choice.begun() if ranks.is_first else nullcontext() as run:
        yield Path(ranks.first(lambda: str(run)))


def choose_run(
    directory: Path | None, what: str, data: str, seed: int, asked: "Asked"
) -> RunChoice:
    """Choose where to work: in `directory`, or in the newest run that was asked for like this.

    Without either a new one gets the next number. What is chosen is said.
    """
    from gan_nas.runs.folders import RESULT
    from gan_nas.runs.numbering import taken_up

    name = f"{what}-{Path(data).stem}"
    if directory is not None:
        return RunChoice(name, directory)
    found = taken_up(RUNS, name, f"{name}-{seed}", asked)
    has_ended = found is not None and (found / RESULT).exists()
    if has_ended:
        remark(f"The same was asked for before and has ended: this is {found}; --run names another")
    elif found is not None:
        remark(f"The same was asked for before: goes on in {found}; --run names another")
    return RunChoice(name, found, has_ended)
