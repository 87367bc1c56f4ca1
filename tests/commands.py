"""How tests call a command: in this process, through the function that `gan-nas` calls."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple


class Answer(NamedTuple):
    """What a command said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Searched(NamedTuple):
    """A finished search, and how it was asked for without its run directory."""

    method: str
    options: list[str]
    run: Path


class Studied(NamedTuple):
    """A finished study, and the command that it came of."""

    command: list[str]
    run: Path


Command = Callable[..., Answer]

COMMANDS = (
    "search",
    "derive",
    "retrain",
    "runs",
    "genomes",
    "build",
    "draw",
    "compare",
    "sample",
    "import",
    "export",
    "score",
    "stats",
    "doctor",
    "bench",
    "bench score",
    "bench load",
    "study",
    "report",
    "table",
    "table make",
    "table show",
    "table pack",
    "table check",
    "table export",
    "reconstruct",
    "schema",
)


# The smallest study.
STUDY = {
    "searches": "draw:autogan,random:autogan",
    "seconds": 0.01,
    "seeds": 2,
    "training_seeds": 1,
    "width": 4,
    "search_set": "trial_images=16",
    "training_set": "steps=1,batch_size=8,generator_batch_size=8,num_scored=50",
}


def sets(settings: dict[str, Any]) -> list[str]:
    """Turn settings into --set options."""

    def word(value: Any) -> str:
        return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)

    return [part for key, value in settings.items() for part in ("--set", f"{key}={word(value)}")]
