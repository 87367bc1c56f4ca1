import json
import random
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from gan_nas.spaces import degas
from gan_nas.spaces.adversarialnas import (
    DOWN_CELLS,
    UP_CELLS,
    candidates,
    is_valid,
    sample_discriminator,
)
from gan_nas.spaces.autogan import CONVS, NORMS, UPS, decode, encode, token_sizes
from gan_nas.spaces.ctgan import CTGANCritic
from gan_nas.spaces.diff import Change, diff
from gan_nas.spaces.genome import Genome, Source, parse_genome
from gan_nas.spaces.published import published_genome, published_names
from gan_nas.spaces.random_genomes import sample_genomes

PUBLISHED = [published_genome(name) for name in published_names()]
LISTED = [genome for genome in PUBLISHED if genome.generator.space == "autogan"]
GRAPHS = [genome for genome in PUBLISHED if genome.generator.space == "adversarialnas"]
RANDOM = sample_genomes("autogan", 40, seed=5)


def random_graphs(number: int) -> list[Genome]:
    """Draw genomes both of whose networks have an operation on every edge."""
    draw = random.Random(2)
    return [
        genome.model_copy(update={"discriminator": sample_discriminator(draw, 128)})
        for genome in sample_genomes("adversarialnas", number, seed=5)
    ]


def random_stages(number: int) -> list[Genome]:
    """Draw genomes of DEGAS' space with every variant, and critics of every dropout."""
    draw = random.Random(3)
    genomes = []
    for _ in range(number):
        rates = (draw.choice((0.0, 0.2, 0.5)), draw.choice((0.2, 0.5)), 0.5)
        space = degas.DEGASSpace(stem_residual=True, final_normal=draw.random() < 0.5)
        critic = CTGANCritic(space="ctgan", width=8, dropout=rates)
        genomes.append(Genome(generator=space.sample(draw, 8), discriminator=critic))
    return genomes


RANDOM_GRAPHS = random_graphs(20)
RANDOM_STAGES = random_stages(20)
PAIRS = [
    *zip([*LISTED, *RANDOM], [*RANDOM, *LISTED], strict=True),
    *pairwise(GRAPHS),
    *pairwise(RANDOM_GRAPHS),
    *pairwise(RANDOM_STAGES),
]
LINED_UP = [(a, b) for a, b in PAIRS if a.discriminator.space == b.discriminator.space]
MIRROR = {"changed": "changed", "added": "removed", "removed": "added"}
FIELDS = (("conv", CONVS), ("norm", NORMS), ("up", UPS), ("shortcut", (False, True)))


def with_tokens(genome: Genome, tokens: list[int]) -> Genome:
    generator = decode(tokens, genome.generator.width, genome.generator.latent_dim)
    return Genome(generator=generator, discriminator=genome.discriminator)


def expected(cell: int, place: int, before: int, after: int) -> Counter[Change]:
    """Say what the change of one token must look like."""
    where = f"generator.cells.{cell}"
    if place < len(FIELDS):
        field, words = FIELDS[place]
        return Counter([Change(f"{where}.{field}", "changed", words[before], words[after])])
    old, new = (
        {source for source in range(cell) if token >> (cell - 1 - source) & 1}
        for token in (before, after)
    )
    removed = [Change(f"{where}.skips", "removed", source, None) for source in old - new]
    added = [Change(f"{where}.skips", "added", None, source) for source in new - old]
    return Counter(removed + added)


@pytest.mark.parametrize(
    "genome", [*PUBLISHED, *RANDOM, *RANDOM_GRAPHS, *RANDOM_STAGES], ids=lambda g: g.title
)
def test_a_genome_does_not_differ_from_itself(genome: Genome) -> None:
    assert diff(genome, genome) == []
    assert diff(genome, parse_genome(genome.to_json())) == []


def test_names_and_sources_are_no_difference() -> None:
    top1 = published_genome("autogan-cifar10-top1")
    source = Source(note="found again")
    other = top1.model_copy(update={"name": "mine", "source": source})
    assert diff(top1, other) == []


@pytest.mark.parametrize(("a", "b"), PAIRS, ids=lambda g: g.title)
def test_the_way_back_mirrors_the_way_there(a: Genome, b: Genome) -> None:
    there, back = diff(a, b), diff(b, a)
    mirrored = [Change(c.where, MIRROR[c.kind], c.after, c.before) for c in there]  # type: ignore[arg-type]
    assert Counter(mirrored) == Counter(back)
    assert bool(there) == (a.genome_id != b.genome_id)


@pytest.mark.parametrize("genome", [*LISTED, *RANDOM[:10]], ids=lambda g: g.title)
def test_every_change_of_one_token_is_told_exactly(genome: Genome) -> None:
    tokens = list(encode(genome.generator))
    start = 0
    for cell in range(3):
        sizes = token_sizes(cell)
        for place, size in enumerate(sizes):
            before = tokens[start + place]
            for after in set(range(size)) - {before}:
                mutated = [*tokens]
                mutated[start + place] = after
                changes = diff(genome, with_tokens(genome, mutated))
                assert Counter(changes) == expected(cell, place, before, after)
        start += len(sizes)


def expected_of_an_edge(where: str, before: str | None, after: str | None) -> Change:
    """Say what the change of one operation must look like."""
    if before in ("none", None):
        return Change(where, "added", None, after)
    if after in ("none", None):
        return Change(where, "removed", before, None)
    return Change(where, "changed", before, after)


@pytest.mark.parametrize("genome", [*GRAPHS, *RANDOM_GRAPHS[:3]], ids=lambda g: g.title)
def test_every_change_of_one_operation_is_told_exactly(genome: Genome) -> None:
    for part, kinds in (("generator", UP_CELLS), ("discriminator", DOWN_CELLS)):
        network = getattr(genome, part)
        if network.space != "adversarialnas":
            continue  # a discriminator of other cells
        for index, (kind, cell) in enumerate(zip(kinds, network.cells, strict=True)):
            for edge, ops in candidates(kind).items():
                for op in set(ops) - {cell.edges[edge]}:
                    edges = cell.edges | {edge: op}
                    if not is_valid(edges):
                        continue
                    cells = list(network.cells)
                    cells[index] = kind.model_validate(edges)
                    other = network.model_copy(update={"cells": tuple(cells)})
                    where = f"{part}.cells.{index}.{edge}"
                    change = expected_of_an_edge(where, cell.edges[edge], op)
                    assert diff(genome, genome.model_copy(update={part: other})) == [change]


@pytest.mark.parametrize("genome", RANDOM_STAGES[:5], ids=lambda g: g.title)
def test_every_change_of_an_operation_of_a_stage_is_told_exactly(genome: Genome) -> None:
    ops = degas.operations(genome.generator)
    for place, known in degas.candidates(stem_residual=True, final_normal=True).items():
        optional = place == "final_normal" or place.endswith("residual")
        for op in {*known, *([None] if optional else [])} - {ops[place]}:
            other = degas.from_operations(ops | {place: op}, 8)
            where = f"generator.{place}" if place == "final_normal" else f"generator.stages.{place}"
            change = expected_of_an_edge(where, ops[place], op)
            assert diff(genome, genome.model_copy(update={"generator": other})) == [change]


@pytest.mark.parametrize(("a", "b"), [*LINED_UP[:20], *LINED_UP[-40:]], ids=lambda g: g.title)
def test_the_changes_turn_a_into_b(a: Genome, b: Genome) -> None:
    content = a.model_dump(mode="json", exclude={"name", "source"})
    for change in diff(a, b):
        *parents, last = change.where.split(".")
        parent: Any = content
        for key in parents:
            parent = parent[int(key) if key.isdigit() else key]
        if "-" in last:  # an edge, on which an operation takes the place of another
            assert parent[last] == (change.before or "none")
            parent[last] = change.after or "none"
        elif last == "skips":
            kept = {*parent[last], change.after} - {change.before, None}
            parent[last] = sorted(kept)
        else:
            key = int(last) if last.isdigit() else last
            assert parent[key] == change.before
            parent[key] = change.after
    assert parse_genome(json.dumps(content)).genome_id == b.genome_id


def test_widths_and_other_sizes_are_told_with_their_network() -> None:
    top1 = published_genome("autogan-cifar10-top1")
    assert diff(top1, top1.resized(64, 32)) == [
        Change("generator.width", "changed", 256, 64),
        Change("discriminator.width", "changed", 128, 32),
    ]
    assert diff(top1, top1.resized(256, 64)) == [Change("discriminator.width", "changed", 128, 64)]
    generator = top1.generator.model_copy(update={"latent_dim": 64, "skip_tap": "pre"})
    assert diff(top1, top1.model_copy(update={"generator": generator})) == [
        Change("generator.latent_dim", "changed", 128, 64),
        Change("generator.skip_tap", "changed", "post", "pre"),
    ]


def test_the_published_differences_are_those_of_their_papers() -> None:
    top1, top3, sngan, ctgan = (
        published_genome(name)
        for name in (
            "autogan-cifar10-top1",
            "autogan-cifar10-top3",
            "sngan-cifar10",
            "ctgan-cifar10",
        )
    )
    assert diff(top1, top3) == [Change("generator.cells.0.norm", "changed", "none", "batch")]
    assert diff(sngan, ctgan) == [
        Change("generator.width", "changed", 256, 128),
        Change("discriminator.space", "changed", "sn_resnet", "ctgan"),
    ]


def test_rates_of_dropout_are_told_by_their_place() -> None:
    usual, other, off = (
        RANDOM_STAGES[0].model_copy(
            update={"discriminator": CTGANCritic(space="ctgan", width=8, dropout=rates)}
        )
        for rates in ((0.2, 0.5, 0.5), (0.5, 0.2, 0.5), (0.0, 0.0, 0.0))
    )
    assert [str(change) for change in diff(usual, other)] == [
        "discriminator.dropout.0: 0.2 -> 0.5",
        "discriminator.dropout.1: 0.5 -> 0.2",
    ]
    assert [change.before for change in diff(usual, off)] == [0.2, 0.5, 0.5]


def test_genomes_of_other_spaces_differ_in_their_space_only() -> None:
    top1 = published_genome("autogan-cifar10-top1")
    critic = sample_discriminator(random.Random(0), 3)
    assert diff(top1, top1.model_copy(update={"discriminator": critic})) == [
        Change("discriminator.space", "changed", "sn_resnet", "adversarialnas")
    ]
    assert diff(top1, published_genome("adversarialnas-cifar10")) == [
        Change("generator.space", "changed", "autogan", "adversarialnas")
    ]


def test_no_operation_and_no_normalisation_are_not_the_same_none() -> None:
    top1, top3 = (published_genome(f"autogan-cifar10-top{place}") for place in (1, 3))
    assert [change.kind for change in diff(top1, top3)] == ["changed"]


def test_the_variant_for_stl10_differs_in_its_sizes_only() -> None:
    cifar10, stl10 = (published_genome(f"adversarialnas-{data}") for data in ("cifar10", "stl10"))
    assert diff(cifar10, stl10) == [
        Change("generator.width", "changed", 256, 270),
        Change("generator.num_latent_parts", "changed", 3, 2),
    ]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (Change("generator.width", "changed", 256, 64), "generator.width: 256 -> 64"),
        (Change("a.up", "changed", "nearest", "bilinear"), "a.up: nearest -> bilinear"),
        (Change("a.shortcut", "changed", True, False), "a.shortcut: yes -> no"),
        (Change("a.skips", "added", None, 0), "a.skips: added 0"),
        (Change("a.1.1-3", "added", None, "conv_3x3"), "a.1.1-3: added conv_3x3"),
        (Change("a.1.2-3", "removed", "identity", None), "a.1.2-3: removed identity"),
        (Change("a.skips", "removed", 1, None), "a.skips: removed 1"),
        (Change("a.1.residual", "added", None, "deconv_4x4"), "a.1.residual: added deconv_4x4"),
    ],
)
def test_a_change_is_said_in_a_few_words(change: Change, text: str) -> None:
    assert str(change) == text
