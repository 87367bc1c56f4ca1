"""The schema of each result is printed, and what is written fits the model that it is of."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tables
import tiny
from commands import Command, Studied, sets

from gan_nas.cli.schema import MODELS, model_of
from gan_nas.exports.about import describe, to_text
from gan_nas.networks.weights import load_generator, read_metadata
from gan_nas.spaces.genome import Genome


@pytest.mark.parametrize("name", MODELS)
def test_a_schema_is_of_an_object_that_is_described(gan_nas: Command, name: str) -> None:
    schema = gan_nas("schema", name).json
    assert schema["title"] == model_of(name).__name__
    assert schema["description"].split("\n")[0].endswith((".", ":"))
    for one in objects(schema):
        assert one["type"] == "object"
        assert one["description"]
        assert one["required"]


def objects(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the schemas that an object may be of: lines of a log are of several kinds."""
    if "oneOf" not in schema:
        return [schema]
    kinds = [one["$ref"].rpartition("/")[2] for one in schema["oneOf"]]
    return [schema["$defs"][kind] for kind in kinds]


def test_the_schema_of_a_genome_is_that_of_genomes(gan_nas: Command) -> None:
    printed = gan_nas("schema", "genome")
    assert printed == gan_nas("genomes", "--schema")
    assert printed.json == Genome.model_json_schema()


def test_a_name_without_a_schema_gets_a_suggestion(gan_nas: Command) -> None:
    answer = gan_nas("schema", "score")
    assert (answer.code, answer.out) == (2, "")
    assert "there is no schema of 'score', did you mean scores?" in answer.err
    for name in MODELS:
        assert name in gan_nas("schema", "x").err


def test_what_is_written_fits_its_model(
    gan_nas: Command,
    trained: Path,
    folder: Path,
    finished_search: Path,
    studies: Callable[[str], Studied],
    tmp_path: Path,
) -> None:
    written = tmp_path / "scores.json"
    assert gan_nas("score", trained, "--data", folder, "-n", 20, "-o", written).code == 0
    reconstruct = ("reconstruct", "ctgan-cifar10", "--width", 4, "--run", tmp_path / "run")
    texts = {
        "genome": gan_nas("genomes", "ctgan-cifar10", "--json").out,
        "generator": read_metadata(trained).model_dump_json(),
        "exported": to_text(describe(load_generator(trained))),
        "leaderboard": gan_nas("genomes", "--table", "--json").out,
        "scores": written.read_text(),
        "plan": gan_nas("retrain", "ctgan-cifar10", "--width", 4, "--dry-run", "--json").out,
        "search-result": (finished_search / "result.json").read_text(),
        "derived-result": gan_nas("derive", finished_search, "--top-k", 1, "--json").out,
        "study-result": (studies("noise").run / "study.json").read_text(),
        "training-result": (trained.parent / "result.json").read_text(),
        "reconstruction-result": gan_nas(*reconstruct, *sets(tiny.DEGAS), "--json").out,
    }
    texts["log"] = (finished_search / "log.jsonl").read_text().splitlines()[0]
    texts["table"] = tables.made_up().model_dump_json()
    assert texts.keys() == MODELS.keys()
    for name, text in texts.items():
        schema = gan_nas("schema", name).json
        written_keys = json.loads(text).keys()
        model_of(name).model_validate_json(text)
        schema = objects(schema)[0]  # of a log, its losses come first
        assert set(schema["required"]) <= written_keys, name
        told_of_the_run = {"run", "threads", "data", "resolution"} if name == "plan" else set()
        if "additionalProperties" not in schema or not schema["additionalProperties"]:
            assert written_keys - told_of_the_run <= schema["properties"].keys(), name
