import json
import random
from typing import Any

import pytest
from pydantic import ValidationError

from gan_nas.errors import InvalidInput
from gan_nas.spaces.ctgan import CTGANCritic
from gan_nas.spaces.degas import (
    NORMAL_OPS,
    SHORT,
    SPACE,
    UP_OPS,
    DEGASGenerator,
    DEGASSpace,
    candidates,
    from_operations,
    operations,
)
from gan_nas.spaces.genome import Genome, parse_genome
from gan_nas.spaces.published import published_genome

VARIANTS = [(stem, final) for stem in (False, True) for final in (False, True)]
CRITIC = CTGANCritic(space="ctgan", width=8)
PLAIN = {f"{stage}.normal": "skip_connect" for stage in range(3)} | {
    f"{stage}.up": "nearest_conv_1x1" for stage in range(3)
}

# Generator and genome ids of PLAIN, written into run directories: they must never change.
PLAIN_IDS = ("bccaa80b37", "0f072379f7")


def generators(number: int, stem: bool = True, final: bool = True) -> list[DEGASGenerator]:
    draw = random.Random(4)
    space = DEGASSpace(stem, final)
    return [space.sample(draw, 8) for _ in range(number)]


def with_op(place: str, op: str | None) -> DEGASGenerator:
    return from_operations(PLAIN | {place: op}, 8)


def genome_of(generator: DEGASGenerator) -> Genome:
    return Genome(generator=generator, discriminator=CRITIC)


def content_of(generator: DEGASGenerator) -> Any:
    return json.loads(genome_of(generator).to_json())


def refusal(content: Any) -> str:
    with pytest.raises(InvalidInput) as caught:
        parse_genome(json.dumps(content), "a.json")
    file, _, said = str(caught.value).partition(" is not a genome: ")
    assert file == "a.json"
    return said


def in_words(ops: tuple[str, ...]) -> str:
    *most, last = map(repr, ops)
    return f"{', '.join(most)} or {last}"


def test_the_candidates_are_those_of_the_paper() -> None:
    assert (len(NORMAL_OPS), len(UP_OPS)) == (9, 4)
    assert "none" not in {*NORMAL_OPS, *UP_OPS}
    assert set(SHORT) == {*NORMAL_OPS, *UP_OPS}
    assert len(set(SHORT.values())) == 13
    edges = candidates()
    assert sum(ops == NORMAL_OPS for ops in edges.values()) == 3
    assert sum(ops == UP_OPS for ops in edges.values()) == 5
    assert sum(map(len, edges.values())) == 47  # numbers in alpha
    assert sum(map(len, candidates(stem_residual=True).values())) == 51


@pytest.mark.parametrize(("stem", "final"), VARIANTS)
def test_the_places_are_in_the_order_of_the_network(stem: bool, final: bool) -> None:
    places = list(candidates(stem, final))
    everywhere = list(operations(with_op("0.up", "deconv_4x4")))
    assert places == [
        place
        for place in everywhere
        if (stem or place != "0.residual") and (final or place != "final_normal")
    ]
    assert everywhere[-1] == "final_normal"


def test_the_space_is_as_large_as_its_choices() -> None:
    assert SPACE.count() == 9**3 * 4 * 20 * 20 == 1_166_400
    assert DEGASSpace(stem_residual=True).count() == 9**3 * 20**3 == 5_832_000
    for stem in (False, True):
        assert DEGASSpace(stem, final_normal=True).count() == 9 * DEGASSpace(stem).count()


def test_every_operation_of_every_place_is_accepted() -> None:
    for place, ops in candidates(stem_residual=True, final_normal=True).items():
        for op in ops:
            generator = with_op(place, op)
            assert operations(generator)[place] == op
            genome = genome_of(generator)
            assert parse_genome(genome.to_json()) == genome
            assert SHORT[op] in " ".join(generator.words)


def test_operations_come_back_as_the_same_generator() -> None:
    for generator in generators(200):
        assert from_operations(operations(generator), 8) == generator
    for stem, final in VARIANTS:
        for generator in generators(50, stem, final):
            found = {place: op for place, op in operations(generator).items() if op is not None}
            assert set(found) <= set(candidates(stem, final))
            assert from_operations(found, 8) == generator
    assert from_operations(PLAIN, 12, latent_dim=7).latent_dim == 7


def test_no_map_is_without_its_direct_operation() -> None:
    for place in ("0.normal", "1.up", "2.normal"):
        with pytest.raises(ValidationError):
            with_op(place, None)
        left_out = {other: op for other, op in PLAIN.items() if other != place}
        with pytest.raises(ValidationError):
            from_operations(left_out, 8)


def test_the_words_tell_genomes_apart() -> None:
    drawn = {generator.model_dump_json(): generator for generator in generators(500)}
    assert len({tuple(generator.words) for generator in drawn.values()}) == len(drawn)
    assert with_op("1.residual", "deconv_6x6").words == [
        "skip, nearest 1x1",
        "skip, nearest 1x1 + deconv6",
        "skip, nearest 1x1",
    ]
    assert with_op("final_normal", "sep_conv_3x3").words[3:] == ["sep3x3"]


def test_ids_never_change() -> None:
    genome = genome_of(from_operations(PLAIN, 8))
    assert (genome.generator_id, genome.genome_id) == PLAIN_IDS


@pytest.mark.parametrize(("place", "ops"), candidates(True, True).items())
def test_an_operation_that_is_misspelt_or_of_another_place_is_refused(
    place: str, ops: tuple[str, ...]
) -> None:
    stage, _, name = place.rpartition(".")
    others = set(NORMAL_OPS + UP_OPS) - set(ops)
    for wrong in ("conv_3x4", "Deconv_4x4", "deconv_4", "none", "", *sorted(others)):
        content = content_of(from_operations(PLAIN, 8))
        holder = content["generator"]["stages"][int(stage)] if stage else content["generator"]
        holder[name] = wrong
        where = f"generator.stages.{place}" if stage else f"generator.{place}"
        assert refusal(content) == f"{where} = {wrong!r}: must be {in_words(ops)}"


@pytest.mark.parametrize("wrong", [["deconv_4x4"], {"up": "deconv_4x4"}, [], {}])
def test_a_residual_of_the_wrong_shape_is_refused(wrong: Any) -> None:
    content = content_of(from_operations(PLAIN, 8))
    content["generator"]["stages"][1]["residual"] = wrong
    assert refusal(content) == f"generator.stages.1.residual: must be {in_words(UP_OPS)}"


@pytest.mark.parametrize("wrong", [True, 0, 1.5])
def test_a_residual_of_the_wrong_type_is_refused(wrong: Any) -> None:
    content = content_of(from_operations(PLAIN, 8))
    content["generator"]["stages"][1]["residual"] = wrong
    said = f"generator.stages.1.residual = {wrong!r}: must be {in_words(UP_OPS)}"
    assert refusal(content) == said


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "generator.stages has too few entries"),
        (2, "generator.stages has too few entries"),
        (4, "generator.stages: must have at most 3 entries, not 4"),
    ],
)
def test_a_generator_has_three_stages(number: int, said: str) -> None:
    content = content_of(from_operations(PLAIN, 8))
    content["generator"]["stages"] = (content["generator"]["stages"] * 2)[:number]
    assert refusal(content) == said


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("residuals", "unknown field generator.stages.2.residuals, did you mean residual?"),
        ("skips", "the field generator.stages.2.skips does not belong there"),
    ],
)
def test_a_field_that_does_not_belong_there_is_refused(field: str, said: str) -> None:
    content = content_of(from_operations(PLAIN, 8))
    content["generator"]["stages"][2][field] = "deconv_4x4"
    assert refusal(content) == said


@pytest.mark.parametrize("name", ["normal", "up"])
def test_a_missing_operation_is_refused(name: str) -> None:
    content = content_of(from_operations(PLAIN, 8))
    del content["generator"]["stages"][0][name]
    assert refusal(content) == f"the field generator.stages.0.{name} is missing"


def test_the_schema_says_what_is_allowed() -> None:
    parts = Genome.model_json_schema()["$defs"]
    generator = parts["DEGASGenerator"]["properties"]
    stage = parts["DEGASStage"]["properties"]
    assert generator["space"]["const"] == "degas"
    assert (generator["stages"]["minItems"], generator["stages"]["maxItems"]) == (3, 3)
    assert stage["normal"]["enum"] == list(NORMAL_OPS)
    assert stage["up"]["enum"] == list(UP_OPS)
    for optional, ops in ((stage["residual"], UP_OPS), (generator["final_normal"], NORMAL_OPS)):
        assert optional["default"] is None
        assert optional["anyOf"] == [{"enum": list(ops), "type": "string"}, {"type": "null"}]
    assert parts["DEGASStage"]["required"] == ["normal", "up"]


def test_drawn_genomes_leave_the_places_of_the_variants_empty() -> None:
    for generator in generators(100, stem=False, final=False):
        assert generator.latent_dim == 128
        assert (generator.stages[0].residual, generator.final_normal) == (None, None)


def test_the_critic_of_ctgan_is_read_with_its_dropout() -> None:
    content = content_of(from_operations(PLAIN, 8))
    assert content["discriminator"] == {"space": "ctgan", "width": 8}
    plain = parse_genome(json.dumps(content))
    assert plain.discriminator == published_genome("ctgan-cifar10").resized(8, 8).discriminator
    content["discriminator"]["dropout"] = [0, 0, 0]
    without = parse_genome(json.dumps(content))
    assert without.discriminator.dropout == (0, 0, 0)
    assert without.generator_id == plain.generator_id
    assert without.genome_id != plain.genome_id
    assert parse_genome(without.to_json()) == without


@pytest.mark.parametrize(
    ("dropout", "said"),
    [
        ([0.2, 0.5, 1], "discriminator.dropout.2 = 1: must be less than 1.0"),
        ([-0.1, 0.5, 0.5], "discriminator.dropout.0 = -0.1: must be at least 0.0"),
        ([0.2, "half", 0.5], "discriminator.dropout.1 = 'half': must be a number"),
        ([0.2, 0.5], "discriminator.dropout has too few entries"),
        ([0.2] * 4, "discriminator.dropout: must have at most 3 entries, not 4"),
        (None, "discriminator.dropout = None: must be a list"),
    ],
)
def test_dropout_that_is_no_three_rates_is_refused(dropout: Any, said: str) -> None:
    content = content_of(from_operations(PLAIN, 8))
    content["discriminator"]["dropout"] = dropout
    assert refusal(content) == said
