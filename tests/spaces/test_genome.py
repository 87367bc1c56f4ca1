import json
import math
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from gan_nas.errors import GanNasError, Incompatible, InvalidInput
from gan_nas.spaces.autogan import AutoGANCell, AutoGANGenerator
from gan_nas.spaces.genome import (
    ID_DIGITS,
    SCHEMA_VERSION,
    Genome,
    Source,
    field_names,
    parse_genome,
    read_genome,
    source_text,
)
from gan_nas.spaces.published import published_genome, published_names
from gan_nas.spaces.random_genomes import sample_genomes
from gan_nas.spaces.sn_resnet import SNResNetDiscriminator

PUBLISHED = {name: published_genome(name) for name in published_names()}
TOP1 = PUBLISHED["autogan-cifar10-top1"]
RANDOM = sample_genomes("autogan", 20, seed=0)
CELLS = ("generator", "cells")

# Generator and genome ids, written into run directories and lineages: they must never change.
IDS = {
    "adversarialnas-cifar10": ("1c48b452ab", "7c172b347b"),
    "adversarialnas-stl10": ("1283710b39", "4e735a5350"),
    "mmd-adversarialnas-cifar10": ("fd6ceb9d5c", "8076d6812c"),
    "autogan-cifar10-top1": ("582ec628ab", "90b0e9f7cd"),
    "autogan-cifar10-top2": ("0d43baf085", "64d286d4d2"),
    "autogan-cifar10-top3": ("61b3a43a1c", "a8e9b98cc1"),
    "ctgan-cifar10": ("403e169114", "42fa3947d2"),
    "sngan-cifar10": ("6858c78d01", "61f8e73e52"),
    "cagan-stl10-top1": ("0bf093f2b6", "1b97589abd"),
    "cagan-stl10-top2": ("5249ab7f50", "5eb4922aff"),
    "e2gan-cifar10": ("5585ff93fd", "4ccbe55b33"),
    "eagan-cifar10": ("f19598b960", "319f3a4617"),
    "eagan-stl10": ("f19598b960", "ad6a76a636"),
    "ewsgan-cifar10": ("e1572bc4fc", "a7401a2484"),
    "scgan-cifar10": ("b66538f01a", "110a9cf0a3"),
    "scgan1-cifar10": ("0703e15f6f", "04bea2b705"),
}


def changed(*path: str | int, to: Any) -> str:
    """Return top1's JSON with another value at a path."""
    content = json.loads(TOP1.to_json())
    *parents, last = path
    parent = content
    for key in parents:
        parent = parent[key]
    parent[last] = to
    return json.dumps(content)


def without(*path: str | int) -> str:
    """Return top1's JSON with nothing at a path."""
    content = json.loads(TOP1.to_json())
    *parents, last = path
    parent = content
    for key in parents:
        parent = parent[key]
    del parent[last]
    return json.dumps(content)


def refusal(text: str, kind: type[GanNasError] = InvalidInput) -> str:
    """Return the sentence with which a text is refused."""
    with pytest.raises(GanNasError) as caught:
        parse_genome(text, "a.json")
    assert type(caught.value) is kind
    said = str(caught.value)
    assert said.isprintable()  # one line
    assert len(said) < 450
    assert said.startswith("a.json ")
    return said.removeprefix("a.json is not a genome: ")


@pytest.mark.parametrize("genome", [*PUBLISHED.values(), *RANDOM], ids=lambda g: g.title)
def test_json_comes_back_as_the_same_genome(genome: Genome) -> None:
    text = genome.to_json()
    again = parse_genome(text)
    assert again == genome
    assert again.to_json() == text
    assert (again.generator_id, again.genome_id) == (genome.generator_id, genome.genome_id)
    assert json.loads(text)["schema_version"] == SCHEMA_VERSION
    assert max(map(len, text.splitlines())) <= 400
    assert text.endswith("}\n")


def test_what_is_not_at_its_default_comes_back_too() -> None:
    generator = TOP1.generator.model_copy(update={"skip_tap": "pre"})
    source = Source(note='quotes " and \n lines, ä', reported={"digits": {"fid": 1.5, "is": -2}})
    genome = Genome(generator=generator, discriminator=TOP1.discriminator, source=source)
    assert parse_genome(genome.to_json()) == genome
    assert genome.generator_id != TOP1.generator_id


def test_the_ids_of_published_genomes_never_change() -> None:
    assert {name: (g.generator_id, g.genome_id) for name, g in PUBLISHED.items()} == IDS


@pytest.mark.parametrize("genome", [*PUBLISHED.values(), *RANDOM[:2]], ids=lambda g: g.title)
def test_ids_depend_on_neither_name_nor_source(genome: Genome) -> None:
    other = Genome(
        name="renamed",
        generator=genome.generator,
        discriminator=genome.discriminator,
        source=Source(note="found again"),
    )
    assert (other.generator_id, other.genome_id) == (genome.generator_id, genome.genome_id)
    assert len(genome.generator_id) == len(genome.genome_id) == ID_DIGITS


def test_ids_depend_on_neither_order_nor_layout_nor_stated_defaults() -> None:
    content = json.loads(TOP1.to_json())
    content["generator"] = dict(reversed(content["generator"].items())) | {"skip_tap": "post"}
    again = parse_genome(json.dumps(dict(reversed(content.items()))))
    assert (again.generator_id, again.genome_id) == IDS["autogan-cifar10-top1"]


def test_the_discriminator_counts_for_the_genome_and_not_for_the_generator() -> None:
    critic = SNResNetDiscriminator(space="sn_resnet", width=64)
    other = Genome(generator=TOP1.generator, discriminator=critic)
    assert other.generator_id == TOP1.generator_id
    assert other.genome_id != TOP1.genome_id


def test_a_resized_genome_is_the_same_architecture_without_its_scores() -> None:
    small = TOP1.resized(32, 16)
    assert (small.generator.width, small.discriminator.width) == (32, 16)
    assert small.generator.cells == TOP1.generator.cells
    assert small.generator.latent_dim == TOP1.generator.latent_dim
    assert small.name is None
    assert small.title == small.genome_id
    assert small.source == Source(where="autogan-cifar10-top1 at other widths")
    assert small.genome_id not in {TOP1.genome_id, TOP1.resized(32, 8).genome_id}
    assert parse_genome(small.to_json()) == small
    assert small.resized(256, 128).genome_id == TOP1.genome_id


def test_resizing_to_the_same_widths_changes_nothing() -> None:
    assert TOP1.resized(256, 128) == TOP1


def test_a_cell_is_said_in_words() -> None:
    assert TOP1.generator.cells[2].words == "pre nearest skips 0,1"
    assert PUBLISHED["sngan-cifar10"].generator.cells[0].words == "pre batch-norm nearest shortcut"


def test_the_json_schema_states_every_limit() -> None:
    schema = Genome.model_json_schema()
    parts = {name: part["properties"] for name, part in schema["$defs"].items()}
    generator, cell = parts["AutoGANGenerator"], parts["AutoGANCell"]

    def limits(field: dict[str, Any]) -> tuple[int, int]:
        return field["minimum"], field["maximum"]

    assert limits(generator["width"]) == (1, 2048)
    assert limits(generator["latent_dim"]) == (1, 2048)
    assert limits(parts["SNResNetDiscriminator"]["width"]) == (1, 2048)
    assert limits(schema["properties"]["schema_version"]) == (SCHEMA_VERSION, SCHEMA_VERSION)
    assert (generator["cells"]["minItems"], generator["cells"]["maxItems"]) == (3, 3)
    assert cell["skips"]["maxItems"] == 8
    assert cell["conv"]["enum"] == ["post", "pre"]
    assert cell["norm"]["enum"] == ["none", "batch", "instance"]
    assert cell["up"]["enum"] == ["bilinear", "nearest", "deconv"]
    assert generator["space"]["const"] == "autogan"
    texts = [schema["properties"]["name"], *parts["Source"].values()]
    assert all(t["anyOf"][0]["maxLength"] <= 1000 for t in texts if "anyOf" in t)
    objects = [schema, *schema["$defs"].values()]
    assert all(part["additionalProperties"] is False for part in objects)
    assert {name for part in objects for name in part["properties"]} == set(field_names())


@pytest.mark.parametrize(
    ("model", "field", "value"),
    [
        (TOP1, "name", "other"),
        (TOP1, "schema_version", 2),
        (TOP1.generator, "width", 1),
        (TOP1.generator.cells[0], "up", "deconv"),
        (TOP1.discriminator, "width", 1),
        (TOP1.source, "paper", "other"),
        (TOP1, "colour", "red"),
    ],
    ids=str,
)
def test_genomes_are_frozen(model: BaseModel, field: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        setattr(model, field, value)


def test_equal_generators_are_one_key() -> None:
    again = parse_genome(TOP1.to_json())
    assert {TOP1.generator, again.generator} == {TOP1.generator}


EARLIER = "allowed are earlier cells, each once and ascending, from"


@pytest.mark.parametrize(
    ("where", "value", "said"),
    [
        ("generator.cells.1.up", "bicubic", "must be 'bilinear', 'nearest' or 'deconv'"),
        ("generator.cells.0.norm", 3, "must be 'none', 'batch' or 'instance'"),
        ("generator.cells.2.skips", 1, "must be a list"),
        ("generator.cells.0.shortcut", 1, "must be true or false"),
        ("generator.cells.0", "pre", "must be an object with named fields"),
        ("generator.width", 10**9, "must be at most 2048"),
        ("generator.width", 0, "must be at least 1"),
        *(("generator.width", w, "must be a whole number") for w in (True, "256", 256.0, None)),
        ("generator.latent_dim", 2049, "must be at most 2048"),
        ("discriminator.width", 10**9, "must be at most 2048"),
        ("generator.skip_tap", "both", "must be 'post' or 'pre'"),
        ("generator.space", "autogam", "must be one of 'autogan', 'adversarialnas', 'degas'"),
        (
            "discriminator.space",
            "x",
            "must be one of 'sn_resnet', 'adversarialnas', 'ctgan', 'eagan'",
        ),
        ("name", "a/b", "must match ^[A-Za-z0-9._-]+$"),
        ("name", "a\n", "must match ^[A-Za-z0-9._-]+$"),
        ("name", "", "must match ^[A-Za-z0-9._-]+$"),
        *(("schema_version", v, "must be a whole number") for v in ("1", 1.0, True)),
    ],
)
def test_a_bad_field_is_named_with_its_value_and_what_is_allowed(
    where: str, value: Any, said: str
) -> None:
    path = [int(key) if key.isdigit() else key for key in where.split(".")]
    assert refusal(changed(*path, to=value)) == f"{where} = {value!r}: {said}"


@pytest.mark.parametrize(
    ("index", "skips", "said"),
    [
        (1, [2], f": cell 1 has skips [2], {EARLIER} [0]"),
        (2, [2], f": cell 2 has skips [2], {EARLIER} [0, 1]"),
        (0, [0], ": cell 0 has skips [0], allowed are none, as no cell is earlier"),
        (2, [0, 0], f": cell 2 has skips [0, 0], {EARLIER} [0, 1]"),
        (2, [1, 0], f": cell 2 has skips [1, 0], {EARLIER} [0, 1]"),
        (2, [-1], ".2.skips.0 = -1: must be at least 0"),
        (2, [0] * 9, ".2.skips: must have at most 8 entries, not 9"),
        (2, [False], ".2.skips.0 = False: must be a whole number"),
    ],
)
def test_bad_skips_are_named_with_those_allowed(index: int, skips: list[int], said: str) -> None:
    assert refusal(changed(*CELLS, index, "skips", to=skips)) == f"generator.cells{said}"


@pytest.mark.parametrize(
    ("reported", "said"),
    [
        ({"digits": {"fid": math.nan}}, "digits.fid = nan: must be a finite number"),
        ({"digits": {"fid": 0.5}}, "digits.fid = inf: must be a finite number"),
        ({"digits": {"fid": "12"}}, "digits.fid = '12': must be a number"),
        ({"fid": 12}, "fid = 12: must be an object with named fields"),
    ],
)
def test_bad_scores_are_named(reported: Any, said: str) -> None:
    text = changed("source", "reported", to=reported).replace("0.5", "1e999")
    assert refusal(text) == f"source.reported.{said}"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (changed(*CELLS, to=[]), "generator.cells: must have at least 3 entries, not 0"),
        (without(*CELLS, 2), "generator.cells: must have at least 3 entries, not 2"),
        (
            changed(*CELLS, to=json.loads(TOP1.to_json())["generator"]["cells"] * 2),
            "generator.cells: must have at most 3 entries, not 6",
        ),
        (
            changed("generator", "widht", to=1),
            "unknown field generator.widht, did you mean width?",
        ),
        (changed("width", to=1), "the field width does not belong there"),
        (changed("zzz", to=1), f"unknown field zzz; known are {', '.join(field_names())}"),
        (without("generator", "space"), "the field generator.space is missing"),
        (without(*CELLS, 1, "up"), "the field generator.cells.1.up is missing"),
        ("{}", "the field generator is missing"),
        (changed("generator", to=[]), "generator: must be an object with named fields"),
        (f"[{TOP1.to_json()}]", "the input must be an object with named fields"),
        ("null", "the input = None: must be an object with named fields"),
        (changed("name", to="a" * 101), f"name = '{'a' * 56}...: must have at most 100 characters"),
    ],
)
def test_what_is_missing_unknown_or_too_much_is_named(text: str, sentence: str) -> None:
    assert refusal(text) == sentence


@pytest.mark.parametrize("version", [0, 2, -1, 10**200])
def test_another_schema_version_is_incompatible(version: int) -> None:
    text = changed("schema_version", to=version)
    assert f"schema version {str(version)[:50]}" in refusal(text, Incompatible)
    assert "version" in refusal(json.dumps({"schema_version": version}), Incompatible)


def test_a_genome_without_a_version_has_the_first() -> None:
    assert parse_genome(without("schema_version")) == TOP1


@pytest.mark.parametrize(
    "make",
    [
        lambda: "[" * 100_000,
        lambda: "[" * 100_000 + "]" * 100_000,
        lambda: '{"generator":' * 100_000,
        lambda: changed("source", to=0).replace('"source": 0', '"source": ' + "[" * 100_000),
        lambda: changed("generator", "width", to=0).replace("0", "9" * 100_000, 1),
        lambda: changed(*CELLS, 2, "skips", to=[10**4000]),
        lambda: changed(*CELLS, 2, "skips", to=[0] * 200_000),
        lambda: changed("name", to="a" * 1_000_000),
        lambda: changed("a" * 1_000_000, to=0),
        lambda: json.dumps(dict.fromkeys(map(str, range(50_000)))),
    ],
    ids=[
        "open brackets",
        "nested lists",
        "nested objects",
        "nested source",
        "long number",
        "long skip",
        "many skips",
        "long name",
        "long key",
        "many keys",
    ],
)
def test_a_hostile_text_is_refused_within_a_second(make: Callable[[], str]) -> None:
    text = make()
    start = time.process_time()
    refusal(text)
    assert time.process_time() - start < 1


def test_a_genome_cut_anywhere_is_refused() -> None:
    text = TOP1.to_json().rstrip()
    for end in [0, 1, *random.Random(0).sample(range(2, len(text)), 40), len(text) - 1]:
        assert "is not valid JSON" in refusal(text[:end])


def refused_file(path: Path) -> str:
    with pytest.raises(InvalidInput) as caught:
        read_genome(path)
    assert str(path) in str(caught.value)
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_a_file_of_ten_megabytes_is_not_even_read(tmp_path: Path) -> None:
    path = tmp_path / "g.json"
    path.write_text(TOP1.to_json() + " " * 10_000_000)
    start = time.process_time()
    assert "larger than 1,048,576 bytes" in refused_file(path)
    assert time.process_time() - start < 0.1


@pytest.mark.parametrize(
    "data", [b"\xff\xfe{", b'{"name": "\xe4"}', TOP1.to_json().encode("utf-16")]
)
def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "g.json"
    path.write_bytes(data)
    assert "not UTF-8" in refused_file(path)


def test_a_file_is_named_in_what_is_wrong_with_it(tmp_path: Path) -> None:
    path = tmp_path / "g.json"
    path.write_text(TOP1.to_json()[:200])
    assert "is not valid JSON" in refused_file(path)
    path.write_text(changed("generator", "width", to=0))
    assert "generator.width = 0" in refused_file(path)
    assert "cannot be read" in refused_file(tmp_path)
    assert "cannot be read" in refused_file(tmp_path / "absent.json")


def test_models_are_as_strict_as_their_json() -> None:
    cell = {"conv": "pre", "norm": "none", "up": "nearest", "shortcut": True, "skips": ()}
    cells = (AutoGANCell.model_validate(cell),) * 3
    assert AutoGANGenerator(space="autogan", width=1, latent_dim=1, cells=cells).width == 1
    for width in (0, 2049, 1.0, True, "1"):
        with pytest.raises(ValidationError):
            AutoGANGenerator(space="autogan", width=width, latent_dim=1, cells=cells)  # type: ignore[arg-type]
    with pytest.raises(ValidationError):
        AutoGANCell.model_validate(cell | {"shortcut": 1})


@pytest.mark.parametrize("text", ["a" * 1000, "\udcff" * 200, "data in ünï\n\x1b"])
def test_a_source_takes_any_text_that_was_prepared(text: str) -> None:
    where = Source(where=source_text(text)).where
    assert where is not None
    assert where == text or len(where) == 300
