"""Trials: a genome, how it is judged and from which seed, and what came of it.

What judges is an evaluator, a file of this folder that holds EVALUATOR. No torch is imported to
list them.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from gan_nas.errors import InvalidInput, nearest

if TYPE_CHECKING:
    from gan_nas.trials.evaluator import Evaluator

EXECUTORS = {"local": None, "ray": "ray", "slurm": "submitit"}  # the package that each needs
EVALUATORS = {
    "train": "training",
    "shared": "shared",
    "pairs": "pairs",
    "table": "lookup",
}  # the file of each


def load_evaluator(setting: str) -> "type[Evaluator]":
    """Return the evaluator of a setting: its name, or NAME:WHAT, whose WHAT is its own affair.

    Raises InvalidInput for an unknown name.
    """
    name = setting.partition(":")[0]
    if name not in EVALUATORS:
        hint = nearest(name, list(EVALUATORS)) or f"; there are {', '.join(EVALUATORS)}"
        raise InvalidInput(f"unknown evaluator {name!r}{hint}")
    found: type[Evaluator] = import_module(f"gan_nas.trials.{EVALUATORS[name]}").EVALUATOR
    return found
