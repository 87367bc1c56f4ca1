"""Results: what is read back is what was written, their schema describes it, and old ones read."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from old_runs import FIXTURES, LAYOUTS, SEARCHES
from pydantic import ValidationError

from gan_nas.networks.cost import Cost
from gan_nas.runs.results import (
    Conclusion,
    Found,
    Plan,
    ReconstructionResult,
    Result,
    SearchResult,
    TrainingResult,
    Values,
)
from gan_nas.scoring.protocols import Compared, Passport
from gan_nas.search.retraining import DerivedResult, Retrained, Retraining
from gan_nas.trials.comparison import Standing

SCORES = {"frechet_distance[classifier]": 9.5, "classifier_score": 2.0}
PASSPORT = Passport(
    backbone="classifier",
    weights="0123456789abcdef",
    backbone_side=8,
    resize="bilinear",
    image_side=16,
    quantise="floor",
    num_fake=150,
    num_real=360,
    num_splits=1,
    reference="digits",
    reference_fingerprint="fedcba9876543210",
    seed=0,
    precision="float32",
    torch="2.11",
    gan_nas="0.2.0",
)
TOLD: dict[str, Any] = {
    "supernet": SCORES,
    "deviations": {"reward": 0.25},
    "real": SCORES,
    "compared": Compared(num=6, scores=SCORES),
    "passport": PASSPORT,
    "facts": {"entropy": {"alpha": 1.5}, "resets": 2, "reward": "score", "none": None},
}
FOUND = Found(
    id="41dc9435fb",
    file="runs/a b/genomes/41dc9435fb.json",
    words=["pre nearest", "post deconv"],
    parameters=483,
    macs=20784,
    values={"reward": 1.5, "loss": 2},
    scores=SCORES,
)
SEARCHED: dict[str, Any] = {
    "method": "autogan",
    "run": "runs/a b",
    "resolution": 16,
    "genomes": [FOUND, FOUND.model_copy(update={"scores": {}})],
    "seconds": 3.25,
}
TRAINED = TrainingResult(
    genome_id="31f0c7e3a2",
    name="autogan-cifar10-top1",
    inherited_from={"method": "autogan", "networks": ["generator"]},
    steps=5,
    images=80,
    seconds=0.5,
    images_per_second=160.0,
    first={"step": 0, "images": 0, **SCORES},
    best={"step": 5, "images": 80, **SCORES},
    last={"step": 5, "images": 80, **SCORES},
    real=SCORES,
    compared=Compared(num=6, scores=SCORES),
    passport=PASSPORT,
    files={"last": "generator.safetensors", "best": "best.safetensors"},
)
FAILED = Retrained(id="5a3ea9e240", seed=0, outcome="diverged", why="a loss is not finite")
RANKED = Standing(id="x", name="x", completed=3, failed=0, images=80, mean=9.5, deviation=0.5)
RETRAINED = Retraining(
    trials=[Retrained(id="x", name="x", seed=0, outcome="completed", result=TRAINED), FAILED],
    ranking=[
        RANKED,
        Standing(id="y", name="y", completed=0, failed=3, images=80, p_value=None),
    ],
    best="x",
    winner="x",
    ranked_by="last frechet_distance[classifier]",
    scored_differently={"resize": ["bilinear", "TF1"], "seed": [0, None]},
)
# At least one of every model; an optional part is there, and is not.
EXAMPLES: list[Result] = [
    FOUND,
    Conclusion(**TOLD),
    Conclusion(),
    SearchResult(**SEARCHED, **TOLD),
    SearchResult(**SEARCHED),
    DerivedResult(**SEARCHED, **TOLD, retraining=RETRAINED),
    DerivedResult(**SEARCHED),
    TRAINED,
    TRAINED.model_copy(update={"inherited_from": None, "compared": None}),
    FAILED,
    RANKED,
    RETRAINED,
    Retraining(trials=[FAILED], ranking=[], best=None, winner=None, ranked_by="last fid"),
    ReconstructionResult(genome_id="x", name="x", loss=0.5, iterations=3, seconds=0.5),
    Plan(
        config={"steps": 3, "grow_at": [1, 2], "resolution": None},
        sizes={"space": 373_248, "generator": Cost(483, 20784, 20000, 64)._asdict()},
        steps=3,
        images=48,
        memory_bytes=1 << 33,
        predicted_seconds=0.5,
    ),
]


def test_there_is_an_example_of_every_result() -> None:
    def kinds(base: type[Result]) -> Iterator[type[Result]]:
        for kind in base.__subclasses__():
            if kind.__module__ in (base.__module__, Retraining.__module__, Standing.__module__):
                yield from (kind, *kinds(kind))

    assert set(kinds(Result)) == {type(example) for example in EXAMPLES}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: type(example).__name__)
def test_a_dump_fits_its_schema_and_reads_back_equal(example: Result) -> None:
    text = json.dumps(example.model_dump(mode="json"), allow_nan=False)
    kind = type(example)
    schema = kind.model_json_schema(mode="serialization")
    accepts = Draft202012Validator(schema).is_valid
    assert accepts(json.loads(text))
    assert schema["description"]
    assert kind.model_validate_json(text) == example
    assert kind.model_validate_json(text).model_dump_json() == example.model_dump_json()
    for name in schema.get("required", ()):
        lacking = {key: value for key, value in json.loads(text).items() if key != name}
        assert not accepts(lacking)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: type(example).__name__)
def test_a_result_never_changes_and_has_only_finite_numbers(example: Result) -> None:
    for name, field in type(example).model_fields.items():
        with pytest.raises(ValidationError, match="frozen"):
            setattr(example, name, getattr(example, name))
        bad: Any = {float: float("nan"), Values: {"bad": float("inf")}}.get(field.annotation)
        if bad is not None:
            with pytest.raises(ValidationError, match="finite"):
                type(example).model_validate(example.model_dump() | {name: bad})


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("method", SEARCHES)
def test_a_search_of_a_released_layout_is_read_with_all_it_told(layout: str, method: str) -> None:
    told, result = read(SearchResult, f"{method}-finished", layout)
    for row, found in zip(told.pop("genomes"), result.genomes, strict=True):
        said = found.model_dump()
        assert row == {key: said[key] for key in row.keys() & said.keys()} | said["values"]
        assert said["values"]
    passport, supernet = told.pop("passport", {}), told.pop("supernet", {})
    if passport:
        assert result.passport.model_dump().items() >= passport.items()
    assert result.supernet.items() >= supernet.items() - {"step": 4, "images": 32}.items()
    now = result.model_dump() | result.facts
    now["loss"] = result.supernet.get("loss")
    now["reward_deviation"] = result.deviations.get("reward")
    assert {name: now[name] for name in told} == told


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_training_of_a_released_layout_is_read_with_all_it_told(layout: str) -> None:
    told, result = read(TrainingResult, "retrain-finished", layout)
    passport = told.pop("passport")
    assert result.passport.model_dump().items() >= passport.items()
    assert result.model_dump(include=set(told)) == told
    assert result.compared is None  # it came later


def read(kind: Any, name: str, layout: str) -> tuple[dict[str, Any], Any]:
    """Return what a fixture's result says, as it stands and as it is read."""
    text = Path(FIXTURES / layout / name / "result.json").read_text()
    result = kind.model_validate_json(text)
    assert kind.model_validate_json(result.model_dump_json()) == result
    return json.loads(text), result
