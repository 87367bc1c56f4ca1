"""EAGAN's discriminators as architectures: rules, places, variation."""

import itertools
import json
from collections import Counter
from random import Random
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from gan_nas.errors import InvalidInput
from gan_nas.spaces.diff import diff
from gan_nas.spaces.eagan import KEEP, SPACE, EAGANDiscriminator, decode
from gan_nas.spaces.genome import Genome, parse_genome
from gan_nas.spaces.published import published_genome

FOUND = published_genome("eagan-cifar10")
CIFAR = ((3, 0, 3, 0, 2, 0, 0), (1, 0, 3, 0, 1, -1, -1), (3, 0, 3, 0, 1, -1, -1))


def drawn(number: int = 30, seed: int = 0) -> list[EAGANDiscriminator]:
    random = Random(seed)
    return [SPACE.sample(random, 8) for _ in range(number)]


def genome(discriminator: EAGANDiscriminator) -> Genome:
    return Genome(generator=FOUND.generator, discriminator=discriminator)


def differing(a: EAGANDiscriminator, b: EAGANDiscriminator) -> set[str]:
    """Return the places where two differ, which are those that `diff` tells."""
    ours, theirs = SPACE.values(a), SPACE.values(b)
    places = {place for place, value in ours.items() if theirs[place] != value}
    told = {one.where.removeprefix("discriminator.") for one in diff(genome(a), genome(b))}
    assert told == places
    return places


def is_a_step(a: EAGANDiscriminator, b: EAGANDiscriminator) -> bool:
    """Tell whether two differ at one place, or at both edges to an output one of which is kept."""
    places = differing(a, b)
    cells = {place.split(".")[1] for place in places}
    both = {place.split(".")[2] for place in places} == {"2-4", "3-4"} and len(cells) == 1
    kept = [SPACE.values(one).get(min(places)) == KEEP for one in (a, b)]
    return len(places) == 1 or (both and kept[0] != kept[1])


def test_json_comes_back_as_the_same_discriminator_and_says_itself() -> None:
    known = drawn(200)
    accepts = Draft202012Validator(Genome.model_json_schema()).is_valid
    for one in known:
        text = genome(one).to_json()
        again = parse_genome(text)
        assert again == genome(one)
        assert type(again.discriminator) is EAGANDiscriminator
        assert accepts(json.loads(text))
    assert len({genome(one).genome_id for one in known}) == len(set(known))
    assert len({tuple(one.summary) for one in known}) == len(set(known))
    for one in known:  # a drawing holds all edges, and sizes go down where a cell halves
        parts = one.drawing.parts
        assert {edge.where for part in parts for edge in part.edges} == set(SPACE.places(one))
        halved = [part.nodes[0].scale / part.nodes[4].scale == 2 for part in parts]
        assert halved == [cell.halves for cell in one.cells]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ((0, 0, 3, 0, 2, 0, 0), "node 1 of a cell has no input: edge 0-1 is none"),
        ((0, 3, 0, 0, 2, 0, 0), "node 1 of a cell has no input: edge 0-1 is none"),
        ((3, 0, 0, 0, 2, 0, 0), "node 2 of a cell has no input: 0-2 and 1-2 are none"),
        ((3, 0, 3, 0, 0, 0, 0), "node 3 of a cell has no input: 0-3 and 1-3 are none"),
        ((3, 0, 3, 0, 2, -1, 0), "2-4 and 3-4 of a cell are identity and avg_pool: both halve"),
        ((3, 0, 3, 0, 2, 5, -1), "are dil_conv_5x5 and identity: both halve the size, or both are"),
    ],
)
def test_what_is_no_cell_of_theirs_is_refused(row: tuple[int, ...], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        decode((*CIFAR[:2], row), 8)


@pytest.mark.parametrize("column", range(7))
@pytest.mark.parametrize("number", [-2, 7])
def test_a_number_of_no_operation_is_refused(column: int, number: int) -> None:
    row = list(CIFAR[0])
    row[column] = number
    least, most = (-1, 5) if column > 4 else (0, 6)
    with pytest.raises(InvalidInput, match=f"is {number}, allowed are {least} to {most}"):
        decode((*CIFAR[:2], row), 8)


def test_values_come_back_from_places_which_are_counted() -> None:
    for one in drawn():
        values, places = SPACE.values(one), SPACE.places(one)
        assert list(values) == list(places)
        assert all(value in places[place] for place, value in values.items())
        assert SPACE.changed(SPACE.example(8), values) == one
    assert len(SPACE.places(SPACE.example(8))) == 21
    assert SPACE.count() == (7**5 * 37) ** 3


def test_operations_are_drawn_uniformly_and_a_cell_keeps_its_size_once_in_seven() -> None:
    cells = [cell for one in drawn(400) for cell in one.cells]
    for edge, others in (("0-1", 6), ("2-4", 7)):
        seen = Counter(cell.edges[edge] for cell in cells)
        expected, share = len(cells) / others, 1 / others
        assert len(seen) == others
        deviation = (expected * (1 - share)) ** 0.5
        assert all(abs(times - expected) < 4.5 * deviation for times in seen.values())
    # None of the published search was born with an edge 0-2: it is as likely as 1-2.
    absent = [sum(cell.edges[edge] == "none" for cell in cells) for edge in ("0-2", "1-2")]
    assert min(absent) > 100


def test_mutations_grafts_and_neighbours_are_single_steps_to_valid_ones() -> None:
    random = Random(1)
    kept, steps = 0, Counter[str]()
    for a, b in itertools.pairwise(drawn(60)):
        mutated, grafted = SPACE.mutate(a, random), SPACE.graft(a, b, random)
        assert is_a_step(a, mutated)
        steps.update(place.split(".")[2] for place in differing(a, mutated))
        kept += [cell.halves for cell in a.cells] != [cell.halves for cell in mutated.cells]
        assert grafted is not None
        theirs, values = SPACE.values(b), SPACE.values(grafted)
        assert is_a_step(a, grafted)
        assert all(values[place] == theirs[place] for place in differing(a, grafted))
        assert SPACE.graft(a, a, random) is None
        assert parse_genome(genome(mutated).to_json()).discriminator == mutated
    assert kept
    assert len(steps) == 7
    (one,) = drawn(1, seed=5)
    neighbours = list(SPACE.neighbours(one))
    assert len(set(neighbours)) == len(neighbours)
    assert all(is_a_step(one, other) for other in neighbours)
    assert all(one in SPACE.neighbours(other) for other in neighbours[::9])
    assert {SPACE.mutate(one, random) for _ in range(300)} <= set(neighbours)


def test_a_crossover_has_each_value_of_a_parent_but_for_what_is_repaired() -> None:
    random, alike = Random(1), 0
    for a, b in itertools.pairwise(drawn(60)):
        child = SPACE.crossover(a, b, random)
        ours, theirs, found = map(SPACE.values, (a, b, child))
        alike += all(value in (ours[place], theirs[place]) for place, value in found.items())
        assert SPACE.crossover(a, a, random) == a
    assert alike > 20


def test_a_repair_makes_any_values_valid_and_leaves_valid_ones_alone() -> None:
    random, broken = Random(3), 0
    example = SPACE.example(8)
    for _ in range(200):
        values: dict[str, Any] = {
            place: random.choice(ops) for place, ops in SPACE.places(example).items()
        }
        repaired = SPACE.repair(example, values, random)
        if SPACE.is_valid(example, values):
            assert SPACE.values(repaired) == values
        else:
            broken += 1
        assert SPACE.repair(example, SPACE.values(repaired), random) == repaired
    assert 100 < broken < 200
