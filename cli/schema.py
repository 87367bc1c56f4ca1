"""`gan-nas schema`: the JSON Schema of what commands read, write and print."""

from importlib import import_module
from typing import Annotated

import typer
from pydantic import BaseModel

from gan_nas.cli import options
from gan_nas.cli.printing import show_json
from gan_nas.errors import InvalidInput, nearest

# The model that a file, or the output of --json, is a dump of.
MODELS = {
    "genome": "gan_nas.spaces.genome:Genome",
    "generator": "gan_nas.networks.weights:GeneratorFile",
    "exported": "gan_nas.exports.about:Exported",
    "leaderboard": "gan_nas.spaces.leaderboard:Leaderboard",
    "scores": "gan_nas.scoring.protocols:Scores",
    "table": "gan_nas.trials.table:Table",
    "log": "gan_nas.runs.events:LogLine",
    "plan": "gan_nas.runs.results:Plan",
    "search-result": "gan_nas.runs.results:SearchResult",
    "derived-result": "gan_nas.search.retraining:DerivedResult",
    "study-result": "gan_nas.studies.study:StudyResult",
    "training-result": "gan_nas.runs.results:TrainingResult",
    "reconstruction-result": "gan_nas.runs.results:ReconstructionResult",
}


def schema(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help=f"What of: {options.one_of(list(MODELS))}.")
    ],
    as_json: options.Json = False,
) -> None:
    """Print the JSON Schema of a genome, of the metadata in a generator file, or of a result.

    A log is log.jsonl of a run, line by line. Scores are what gan-nas score -o writes, a plan is
    what is told before a run, and results are in result.json of their run; --json prints the same.
    The leaderboard is gan-nas genomes --table, exported the config.json of gan-nas export.

    Example: gan-nas schema scores > scores.schema.json
    """
    del as_json  # a schema is JSON, whether asked for or not
    show_json(model_of(name).model_json_schema())


def model_of(name: str) -> type[BaseModel]:
    """Import the model of this name; raises InvalidInput with the names there are."""
    if name not in MODELS:
        hint = nearest(name, list(MODELS)) or f"; there are {', '.join(MODELS)}"
        raise InvalidInput(f"there is no schema of {name!r}{hint}")
    module, _, kind = MODELS[name].partition(":")
    model: type[BaseModel] = getattr(import_module(module), kind)
    return model
