"""How a command settles the number of CPU threads, and says so."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from gan_nas.cli.printing import remark
from gan_nas.machine.cores import available_cores
from gan_nas.machine.threads import number_is_given, time_threads, worthwhile

if TYPE_CHECKING:
    import torch

    from gan_nas.training.forecast import Work

MOST = 1024  # as --threads allows


def settle_threads(
    asked: int | None,
    device: "torch.device",
    runs: Iterable[Path],
    work: "Work | None" = None,
    jobs: int = 1,
) -> None:
    """Set the CPU threads of a run, unless `asked` or a GPU computes.

    They are those that the first of `runs` was made with, so that it goes on to the same bytes;
    else those of the environment; else one, or more where steps of `work` are then clearly faster,
    of those cores that each of `jobs` has.
    """
    if asked is not None or device.type != "cpu":
        return

    import torch

    stored = next((number for run in runs if (number := stored_threads(run))), None)
    if stored is not None:
        torch.set_num_threads(stored)
    elif work is not None and not number_is_given() and not work.simulated:
        torch.set_num_threads(1)  # nothing is foretold: there is nothing to time
    elif work is not None and not number_is_given():
        step, whole = work.step()
        cores = max(1, available_cores() // jobs)
        seconds = {threads: whole * each for threads, each in time_threads(step, cores).items()}
        torch.set_num_threads(worthwhile(seconds))
        if len(seconds) > 1:
            remark(in_words(seconds), style="dim")


def stored_threads(run: Path) -> int | None:
    """Return the number of CPU threads a run was made with; None where there is none yet."""
    from gan_nas.runs.folders import CONFIG
    from gan_nas.runs.stored import stored_config

    if not (run / CONFIG).is_file():
        return None
    versions = stored_config(run).get("versions")
    threads = versions.get("threads") if isinstance(versions, dict) else None
    return threads if type(threads) is int and 1 <= threads <= MOST else None


def in_words(seconds: dict[int, float]) -> str:
    """Say which number is taken, and what the others were like: 2 CPU threads: 43 ms a step."""
    best = worthwhile(seconds)
    others = ", ".join(f"{n} {_milliseconds(s)}" for n, s in seconds.items() if n != best)
    plural = "" if best == 1 else "s"
    return f"{best} CPU thread{plural}: {_milliseconds(seconds[best])} a step (with {others})"


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:,.0f} ms" if seconds < 10 else f"{seconds:,.0f} s"
