"""What holds of every space: ours, their variants and a stranger's."""

import itertools
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from fnmatch import fnmatchcase
from math import prod
from pathlib import Path
from random import Random
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from gan_nas.errors import InvalidInput
from gan_nas.spaces.degas import DEGASSpace
from gan_nas.spaces.diff import diff
from gan_nas.spaces.frameworks import framework_of
from gan_nas.spaces.genome import Genome, parse_genome
from gan_nas.spaces.random_genomes import sample_genomes
from gan_nas.spaces.registry import BUILT_IN, PARTS, load_space
from gan_nas.spaces.schema import GeneratorGenome
from gan_nas.spaces.space import Space

SPACES: dict[str, Callable[[], Space[Any]]] = {
    **{name: lambda name=name: load_space(name) for name in (*BUILT_IN, *PARTS, "toy")},
    "degas with all places": lambda: DEGASSpace(stem_residual=True, final_normal=True),
}
CONSTRAINED = ("adversarialnas", "toy")  # not all values of their places go together
NUM = 30

pytestmark = pytest.mark.usefixtures("plugin")


@pytest.fixture(params=SPACES)
def space(request: pytest.FixtureRequest) -> Space[Any]:
    return SPACES[request.param]()


@pytest.fixture(params=(*BUILT_IN, *PARTS, "toy"))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def drawn(space: Space[Any], number: int = NUM, seed: int = 0) -> list[GeneratorGenome]:
    random = Random(seed)
    return [space.sample(random, 8) for _ in range(number)]


def genome(space: Space[Any], generator: GeneratorGenome) -> Genome:
    return Genome(generator=generator, discriminator=space.discriminator(4))


def unchecked(space: Space[Any], random: Random) -> dict[str, Any]:
    """Draw what stands at each place, valid or not."""
    places = space.places(space.example(8))
    return {place: random.choice(values) for place, values in places.items()}


def changed_places(space: Space[Any], a: GeneratorGenome, b: GeneratorGenome) -> set[str]:
    """Return the places where two generators differ; a tied one where all three cells do."""
    changes = diff(genome(space, a), genome(space, b))
    fields = {change.where.removeprefix("generator.") for change in changes}
    places = {p for p in space.places(a) if any(fnmatchcase(field, p) for field in fields)}
    assert len(fields) == sum(3 if "*" in place else 1 for place in places)
    return places


# Models


def test_json_comes_back_as_the_same_genome(space: Space[Any]) -> None:
    for generator in drawn(space, 100):
        known = genome(space, generator)
        again = parse_genome(known.to_json())
        assert again == known
        assert type(again.generator) is space.Generator
        assert (again.generator_id, again.genome_id) == (known.generator_id, known.genome_id)
        assert Genome.model_validate(known.model_dump()) == known


def test_different_generators_have_different_ids_and_words(space: Space[Any]) -> None:
    known = {generator.model_dump_json(): generator for generator in drawn(space, 500)}
    assert len({genome(space, g).generator_id for g in known.values()}) == len(known)
    assert len({tuple(g.words) for g in known.values()}) == len(known)
    assert all(word.isprintable() for g in known.values() for word in (*g.words, *g.summary))


def test_ids_do_not_depend_on_stated_defaults(space: Space[Any]) -> None:
    for generator in drawn(space):
        known = genome(space, generator)
        stated = parse_genome(json.dumps(known.model_dump(mode="json")))
        assert (stated.generator_id, stated.genome_id) == (known.generator_id, known.genome_id)


def test_the_json_schema_accepts_what_the_model_accepts(space: Space[Any]) -> None:
    schema = Genome.model_json_schema()
    accepts = Draft202012Validator(schema).is_valid
    assert {space.genome_space} < set(schema["properties"]["generator"]["discriminator"]["mapping"])
    for generator in drawn(space):
        known = genome(space, generator)
        for content in (known.model_dump(mode="json"), json.loads(known.to_json())):
            assert accepts(content)


def test_model_and_json_schema_refuse_the_same_faults(space: Space[Any]) -> None:
    schema = Genome.model_json_schema()
    accepts = Draft202012Validator(schema).is_valid
    fine = genome(space, space.example(8)).model_dump(mode="json")
    faults: list[dict[str, Any]] = [{"colour": "red"}, {"width": 0}, {"width": "8"}, {"space": "x"}]
    contents = [fine | {"generator": fine["generator"] | fault} for fault in faults]
    contents += [
        fine | {"generator": {k: v for k, v in fine["generator"].items() if k != left_out}}
        for left_out in ("space", "width", "latent_dim")
    ]
    contents += [
        fine | {"generator": fine["generator"] | {field: (value * 2)[:number]}}
        for field, value in fine["generator"].items()
        for number in (0, 2, 4)
        if isinstance(value, list) and number != len(value) and space.name != "toy"
    ]
    for place in space.places(space.example(8)):
        content = json.loads(json.dumps(fine))
        *path, last = place.replace("*", "0").split(".")
        holder = content["generator"]
        for key in path:
            holder = holder[int(key) if isinstance(holder, list) else key]
        holder[last] = "conv_4x4"
        contents.append(content)
    for content in contents:
        assert not accepts(content), content
        with pytest.raises(InvalidInput) as caught:
            parse_genome(json.dumps(content), "a.json")
        said = str(caught.value)
        assert said.startswith("a.json is not a genome: ")
        assert said.isprintable()


def test_other_widths_keep_the_architecture(space: Space[Any]) -> None:
    for generator in drawn(space):
        other = genome(space, generator).resized(16, 6)
        assert (other.generator.width, other.discriminator.width) == (16, 6)
        assert space.values(other.generator) == space.values(generator)


def test_sizes_are_attributes_that_no_place_holds(space: Space[Any]) -> None:
    fields = {place.partition(".")[0] for place in space.places(space.example(8))}
    assert all(hasattr(space.example(8), size) for size in space.sizes)
    assert not fields & set(space.sizes)
    assert fields | set(space.sizes) | {"space"} >= space.Generator.model_fields.keys() - {
        "final_normal"
    }


def test_a_space_is_trained_in_the_framework_of_its_discriminator(name: str) -> None:
    space = load_space(name)
    assert space.name == name
    assert (space.genome_space == name) == (name not in PARTS)
    for width in (4, 6):
        assert space.discriminator(width).width == width
        assert framework_of(space.discriminator(width)) == space.framework


# Drawing


def test_values_come_back_from_places(space: Space[Any]) -> None:
    for generator in drawn(space):
        values = space.values(generator)
        places = space.places(generator)
        assert list(values) == list(places)
        assert all(value in places[place] for place, value in values.items())
        assert space.changed(space.example(8), values) == generator


def test_a_space_counts_its_choices(space: Space[Any]) -> None:
    places = space.places(space.example(1))
    assert all(len(values) == len(set(values)) > 1 for values in places.values())
    assert space.count() == prod(map(len, places.values()))


def test_a_small_space_is_enumerated_and_drawn_uniformly() -> None:
    toy = load_space("toy")
    valid = list(toy.generators(8))
    assert (toy.count(), len(valid)) == (81, 81 - 9)
    number = 72 * 200
    seen = Counter(drawn(toy, number))
    assert set(seen) == set(valid)
    expected, share = number / 72, 1 / 72
    deviation = (expected * (1 - share)) ** 0.5
    assert all(abs(times - expected) < 4.5 * deviation for times in seen.values())


@pytest.mark.parametrize("name", [*PARTS, "toy"])
def test_a_small_space_is_enumerated_in_one_order_and_is_closed(name: str) -> None:
    space = load_space(name)
    generators = list(space.generators(8))
    assert len(set(generators)) == len({genome(space, g).genome_id for g in generators})
    assert generators == list(space.generators(8))
    assert [g.model_copy(update={"width": 6}) for g in generators] == list(space.generators(6))
    assert len(generators) == space.count() or name in CONSTRAINED
    known = set(generators)
    for generator in generators:
        assert set(space.neighbours(generator)) < known
    assert set(drawn(space, 100)) < known


def test_every_place_is_drawn_uniformly(space: Space[Any]) -> None:
    """Where all values of a place are valid beside the others, each is as likely as the others."""
    generators = drawn(space, 500)
    places = space.places(generators[0])
    for place, values in itertools.islice(places.items(), 0, None, max(1, len(places) // 7)):
        free = [
            space.values(g)[place]
            for g in generators
            if all(space.is_valid(g, {place: value}) for value in values)
        ]
        expected, share = len(free) / len(values), 1 / len(values)
        assert expected > 50
        for value in values:
            assert abs(free.count(value) - expected) < 4.5 * (expected * (1 - share)) ** 0.5


def test_the_same_seed_draws_the_same_genomes(name: str) -> None:
    assert sample_genomes(name, 20, 7) == sample_genomes(name, 20, 7)
    assert sample_genomes(name, 5, 7) == sample_genomes(name, 20, 7)[:5]
    draws = [tuple(g.genome_id for g in sample_genomes(name, 3, seed)) for seed in range(20)]
    assert len(set(draws)) == 20
    assert sample_genomes(name, 0, 0) == []


def test_sampled_genomes_are_unnamed_valid_and_of_the_widths_asked_for(name: str) -> None:
    for known in sample_genomes(name, 10, 0, width=12, discriminator_width=6):
        assert (known.generator.width, known.discriminator.width) == (12, 6)
        assert (known.name, known.source) == (None, None)
        assert known.discriminator == load_space(name).discriminator(6)
        assert parse_genome(known.to_json()) == known
    default = sample_genomes(name, 1, 0)[0]
    assert (default.generator.width, default.discriminator.width) == (256, 128)
    small = sample_genomes(name, 1, 0, width=12, discriminator_width=6)[0]
    assert default.resized(12, 6).genome_id == small.genome_id


def test_an_unknown_space_is_refused_with_those_known() -> None:
    said = "unknown space biggan; known are autogan, adversarialnas, degas, autogan-tied, toy"
    with pytest.raises(InvalidInput, match=said):
        sample_genomes("biggan", 1, 0)
    with pytest.raises(InvalidInput, match="unknown space toys, did you mean toy"):
        load_space("toys")


# Variation


def test_neighbours_are_all_valid_generators_with_one_place_changed(space: Space[Any]) -> None:
    for generator in drawn(space, 3):
        neighbours = list(space.neighbours(generator))
        assert len(set(neighbours)) == len(neighbours)
        assert generator not in neighbours
        for neighbour in neighbours:
            (place,) = changed_places(space, generator, neighbour)
            assert place in space.places(generator)
            assert parse_genome(genome(space, neighbour).to_json()).generator == neighbour
        invalid = sum(
            not space.is_valid(generator, {place: value})
            for place, values in space.places(generator).items()
            for value in values
        )
        others = sum(len(values) - 1 for values in space.places(generator).values())
        assert len(neighbours) == others - invalid


def test_a_neighbours_neighbours_have_the_generator_among_them(space: Space[Any]) -> None:
    (generator,) = drawn(space, 1)
    for neighbour in itertools.islice(space.neighbours(generator), 0, None, 5):
        assert generator in space.neighbours(neighbour)


def test_a_crossover_has_each_value_of_a_parent(space: Space[Any]) -> None:
    random = Random(1)
    mothers = fathers = 0
    for a, b in itertools.pairwise(drawn(space, 60)):
        child = space.crossover(a, b, random)
        ours, theirs, found = map(space.values, (a, b, child))
        strange = {p for p, value in found.items() if value not in (ours[p], theirs[p])}
        if strange:  # repaired
            assert space.name in CONSTRAINED
        else:
            differ = [p for p in found if ours[p] != theirs[p]]
            mothers += sum(found[p] == ours[p] for p in differ)
            fathers += sum(found[p] == theirs[p] for p in differ)
        assert child.width == a.width
    assert abs(mothers - fathers) < 5 * (mothers + fathers) ** 0.5


def test_a_graft_has_one_value_of_the_other_and_equal_ones_have_none(space: Space[Any]) -> None:
    random = Random(3)
    for _ in range(10):
        a, b = (space.sample(random, 8) for _ in range(2))
        grafted = space.graft(a, b, random)
        if grafted is not None:
            ours, theirs, values = map(space.values, (a, b, grafted))
            (place,) = [place for place, value in values.items() if value != ours[place]]
            assert values[place] == theirs[place]
        assert space.graft(a, a, random) is None


def test_a_crossover_of_equal_parents_is_the_parent(space: Space[Any]) -> None:
    for generator in drawn(space):
        assert space.crossover(generator, generator, Random(2)) == generator


def test_crossovers_and_repairs_follow_the_random_stream(space: Space[Any]) -> None:
    a, b = drawn(space, 2)
    children = [space.crossover(a, b, Random(seed)) for seed in range(20)]
    assert children == [space.crossover(a, b, Random(seed)) for seed in range(20)]
    assert len(set(children)) > 1


def test_a_repair_makes_any_values_valid_and_leaves_valid_ones_alone(space: Space[Any]) -> None:
    random = Random(3)
    example = space.example(8)
    broken = 0
    for _ in range(200):
        values = unchecked(space, random)
        repaired = space.repair(example, values, random)
        assert parse_genome(genome(space, repaired).to_json()).generator == repaired
        assert space.repair(repaired, space.values(repaired), random) == repaired
        if space.is_valid(example, values):
            assert space.values(repaired) == values
        else:
            broken += 1
            assert space.values(repaired) != values
    assert (broken > 0) == (space.name in CONSTRAINED)


def test_what_is_no_value_of_a_place_is_refused(space: Space[Any]) -> None:
    """Nor is what only other places may hold, nothing among it."""
    example = space.example(8)
    places = space.places(example)
    for place, values in places.items():
        others = {"conv_4x4", *itertools.chain(*places.values())} - set(values)
        for wrong in others - ({None} if place == "final_normal" else set()):  # which may be absent
            assert not space.is_valid(example, {place: wrong})
            with pytest.raises(ValidationError):
                space.changed(example, {place: wrong})


# Graphs


def test_every_operation_is_in_the_drawing(space: Space[Any]) -> None:
    """Whatever changes is seen; an edge that is a field has the field's value."""
    for generator in drawn(space, 3):
        pictures = {repr(neighbour.drawing) for neighbour in space.neighbours(generator)}
        assert len(pictures) == len(list(space.neighbours(generator)))
        assert repr(generator.drawing) not in pictures
        values = space.values(generator)
        edges = [edge for part in generator.drawing.parts for edge in part.edges]
        fields = {edge.where: edge.op for edge in edges if edge.where}
        for place, value in values.items():
            if generator.drawing.is_graph:
                assert fields[place] == (value or "none")


def test_edges_of_a_drawing_join_its_nodes_and_every_part_doubles_the_size(
    space: Space[Any],
) -> None:
    for generator in drawn(space):
        parts = generator.drawing.parts
        for index, part in enumerate(parts):
            scales = {node.name: node.scale for node in part.nodes}
            for edge in part.edges:
                source = scales if edge.part is None else {n.name for n in parts[edge.part].nodes}
                assert edge.source in source
                assert edge.target in scales
                assert edge.part is None or edge.part < index
                assert len(edge.op) <= generator.drawing.op_columns
            assert scales["0"] == 2**index
            assert part.title == "final" or max(scales.values()) == 2 ** (index + 1)


# The rest of the library


def test_the_difference_of_a_genome_to_itself_is_nothing(space: Space[Any]) -> None:
    for a, b in itertools.pairwise(drawn(space)):
        assert not changed_places(space, a, a)
        assert changed_places(space, a, b) == {
            place for place, value in space.values(a).items() if value != space.values(b)[place]
        }


def test_all_of_this_does_without_torch(plugin_folder: Path) -> None:
    code = f"""
import sys
sys.path.append({str(plugin_folder)!r})
from random import Random
from gan_nas.spaces.diff import diff
from gan_nas.spaces.published import load_genome
from gan_nas.spaces.random_genomes import sample_genomes
from gan_nas.spaces.registry import load_space, space_names
for name in space_names():
    a, b = sample_genomes(name, 2, 0)
    diff(a, b), list(load_space(name).neighbours(a.generator)), a.generator.drawing
load_genome('adversarialnas-cifar10')
sys.exit(bool({{'torch', 'numpy'}} & set(sys.modules)))
"""
    subprocess.run([sys.executable, "-P", "-c", code], check=True)


def test_a_stranger_is_not_imported_before_it_is_asked_for(plugin_folder: Path) -> None:
    code = f"""
import sys
sys.path.append({str(plugin_folder)!r})
from gan_nas.spaces.genome import parse_genome
from gan_nas.spaces.published import load_genome
from gan_nas.spaces.random_genomes import sample_genomes
parse_genome(sample_genomes('degas', 1, 0)[0].to_json())
load_genome('adversarialnas-cifar10')
sys.exit('gan_nas_toy' in sys.modules)
"""
    subprocess.run([sys.executable, "-P", "-c", code], check=True)
