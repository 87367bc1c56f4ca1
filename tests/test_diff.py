import json
from collections import Counter
from typing import Any

import pytest

from gan_nas.diff import Change, diff
from gan_nas.genome import Genome, Source, parse_genome
from gan_nas.published import published_genome, published_names
from gan_nas.sampling import sample_genomes
from gan_nas.spaces.autogan import CONVS, NORMS, UPS, decode, encode, token_sizes

PUBLISHED = [published_genome(name) for name in published_names()]
RANDOM = sample_genomes("autogan", 40, seed=5)
PAIRS = list(zip([*PUBLISHED, *RANDOM], [*RANDOM, *PUBLISHED], strict=True))
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


@pytest.mark.parametrize("genome", [*PUBLISHED, *RANDOM], ids=lambda g: g.title)
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


@pytest.mark.parametrize("genome", [*PUBLISHED, *RANDOM[:10]], ids=lambda g: g.title)
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


@pytest.mark.parametrize(("a", "b"), PAIRS[:20], ids=lambda g: g.title)
def test_the_changes_turn_a_into_b(a: Genome, b: Genome) -> None:
    content = a.model_dump(mode="json", exclude={"name", "source"})
    for change in diff(a, b):
        *parents, last = change.where.split(".")
        parent: Any = content
        for key in parents:
            parent = parent[int(key) if key.isdigit() else key]
        if change.kind == "changed":
            assert parent[last] == change.before
            parent[last] = change.after
        elif change.kind == "added":
            parent[last] = sorted([*parent[last], change.after])
        else:
            parent[last].remove(change.before)
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
    assert diff(sngan, ctgan) == [Change("generator.width", "changed", 256, 128)]


def test_genomes_of_other_spaces_differ_in_their_space_only() -> None:
    top1 = published_genome("autogan-cifar10-top1")
    critic = top1.discriminator.model_copy(update={"space": "another", "width": 3})
    assert diff(top1, top1.model_copy(update={"discriminator": critic})) == [
        Change("discriminator.space", "changed", "sn_resnet", "another")
    ]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (Change("generator.width", "changed", 256, 64), "generator.width: 256 -> 64"),
        (Change("a.up", "changed", "nearest", "bilinear"), "a.up: nearest -> bilinear"),
        (Change("a.shortcut", "changed", True, False), "a.shortcut: yes -> no"),
        (Change("a.skips", "added", None, 0), "a.skips: added 0"),
        (Change("a.skips", "removed", 1, None), "a.skips: removed 1"),
    ],
)
def test_a_change_is_said_in_a_few_words(change: Change, text: str) -> None:
    assert str(change) == text
