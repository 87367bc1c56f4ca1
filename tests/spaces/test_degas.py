import json
import random
from typing import Any

import pytest

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


def test_the_space_is_as_large_as_its_choices() -> None:
    assert SPACE.count() == 9**3 * 4 * 20 * 20 == 1_166_400
    assert DEGASSpace(stem_residual=True).count() == 9**3 * 20**3 == 5_832_000
    for stem in (False, True):
        assert DEGASSpace(stem, final_normal=True).count() == 9 * DEGASSpace(stem).count()


def test_operations_come_back_as_the_same_generator() -> None:
    for stem, final in VARIANTS:
        for generator in generators(50, stem, final):
            found = {place: op for place, op in operations(generator).items() if op is not None}
            assert set(found) <= set(candidates(stem, final))
            assert from_operations(found, 8) == generator
    assert from_operations(PLAIN, 12, latent_dim=7).latent_dim == 7


def test_a_generator_is_said_in_words() -> None:
    assert with_op("1.residual", "deconv_6x6").words == [
        "skip, nearest 1x1",
        "skip, nearest 1x1 + deconv6",
        "skip, nearest 1x1",
    ]
    assert with_op("final_normal", "sep_conv_3x3").words[3:] == ["sep3x3"]


def test_ids_never_change() -> None:
    genome = genome_of(from_operations(PLAIN, 8))
    assert (genome.generator_id, genome.genome_id) == PLAIN_IDS


@pytest.mark.parametrize("place", ["0.normal", "1.up", "1.residual"])
@pytest.mark.parametrize("wrong", ["conv_3x4", "", True, 1.5, ["deconv_4x4"], {}])
def test_what_is_no_operation_of_its_place_is_refused_with_those_that_are(
    place: str, wrong: Any
) -> None:
    stage, name = place.split(".")
    content = content_of(from_operations(PLAIN, 8))
    content["generator"]["stages"][int(stage)][name] = wrong
    value = "" if isinstance(wrong, list | dict) else f" = {wrong!r}"
    ops = in_words(NORMAL_OPS if name == "normal" else UP_OPS)
    assert refusal(content) == f"generator.stages.{place}{value}: must be {ops}"


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
        ([0.2, 0.5, 1], "discriminator.dropout.2 = 1: must be less than 1"),
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
