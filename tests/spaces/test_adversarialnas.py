import itertools
import json
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from gan_nas.errors import InvalidInput
from gan_nas.spaces.adversarialnas import (
    DOWN_CELLS,
    SPACE,
    UP_CELLS,
    AdversarialNASDiscriminator,
    AdversarialNASGenerator,
    DownCell,
    FirstDownCell,
    UpCell,
    candidates,
    count,
    decode_discriminator,
    decode_generator,
    encode,
    is_valid,
    sample_discriminator,
)
from gan_nas.spaces.genome import Genome, parse_genome
from gan_nas.spaces.published import published_genome

FOUND = [[1, 1, 1, 0, 3, 3, 1], [1, 1, 0, 1, 3, 3, 3], [0, 1, 0, 3, 3, 0, 3]]
PLAIN = [[1, 1, 1, 1, 1, 0, 0]] * 4  # a discriminator
NORMAL = (
    "none",
    "identity",
    "conv_1x1",
    "conv_3x3",
    "conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
CELLS = (UpCell, DownCell, FirstDownCell)


Cell = type[UpCell] | type[DownCell] | type[FirstDownCell]


def generators(number: int) -> list[AdversarialNASGenerator]:
    draw = random.Random(4)
    return [SPACE.sample(draw, 8) for _ in range(number)]


def discriminators(number: int) -> list[AdversarialNASDiscriminator]:
    draw = random.Random(4)
    return [sample_discriminator(draw, 8) for _ in range(number)]


def genomes(number: int) -> list[Genome]:
    pairs = zip(generators(number), discriminators(number), strict=True)
    return [Genome(generator=g, discriminator=d) for g, d in pairs]


def kept_or_none(cell: Cell) -> Iterator[tuple[dict[str, str], int]]:
    """Yield every choice of which edges are there, with the number of cells that have them."""
    ops = candidates(cell)
    for presence in itertools.product((True, False), repeat=len(ops)):
        number, edges = 1, {}
        for (edge, known), is_there in zip(ops.items(), presence, strict=True):
            number *= len(set(known) - {"none"}) if is_there else known.count("none")
            edges[edge] = "identity" if is_there else "none"
        yield edges, number


def test_the_candidates_are_those_of_the_authors_in_their_order() -> None:
    up, down = ("nearest", "bilinear", "deconv"), ("avg_pool", "max_pool", *NORMAL[3:])
    assert candidates(UpCell) == {
        "0-1": up,
        "0-2": up,
        **dict.fromkeys(("1-3", "2-3", "1-4", "2-4", "3-4"), NORMAL),
    }
    inner = {"1-2": NORMAL, "1-3": NORMAL, "2-4": down, "3-4": down}
    assert candidates(DownCell) == dict.fromkeys(("0-1", "0-2", "0-3"), NORMAL) | inner
    assert candidates(FirstDownCell) == dict.fromkeys(("0-1", "0-2", "0-3"), NORMAL[2:]) | inner
    for cell, order in ((UpCell, "01 02 13 23 14 24 34"), (DownCell, "01 02 03 12 13 24 34")):
        assert " ".join(edge.replace("-", "") for edge in candidates(cell)) == order


def test_the_space_is_as_large_as_the_paper_says() -> None:
    assert SPACE.count() == count() == (3**2 * 7**5) ** 3
    assert count(DOWN_CELLS) == (5**3 * 7**2 * 6**2) * (7**5 * 6**2) ** 3
    assert f"{count():.3e}" == "3.461e+15"
    valid = sum(n for edges, n in kept_or_none(UpCell) if is_valid(edges))
    assert valid == 9 * (7**2 - 1) * (7**3 - 1)
    assert f"{count(DOWN_CELLS):.3e}" == "4.884e+22"
    assert f"{count() * count(DOWN_CELLS):.2e}" == "1.69e+38"


@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_is_valid_where_its_model_says_so(cell: Cell) -> None:
    """Every cell with at most three operations an edge is tried, one by one."""
    few = {edge: (*ops[:2], *ops[-1:]) for edge, ops in candidates(cell).items()}
    for ops in itertools.product(*few.values()):
        edges = dict(zip(few, ops, strict=True))
        try:
            cell.model_validate(edges)
        except ValidationError:
            assert not is_valid(edges)
        else:
            assert is_valid(edges)


def test_random_networks_survive_the_codec_and_json() -> None:
    for genome in genomes(200):
        assert decode_generator(encode(genome.generator), 8) == genome.generator
        assert decode_discriminator(encode(genome.discriminator), 8) == genome.discriminator
        again = parse_genome(genome.to_json())
        assert again == genome
        assert again.genome_id == genome.genome_id
        assert [type(cell) for cell in again.discriminator.cells] == list(DOWN_CELLS)


@pytest.mark.parametrize("cell", CELLS)
def test_every_operation_has_the_number_of_its_place(cell: Cell) -> None:
    row = 1 if cell is DownCell else 0
    for column, ops in enumerate(candidates(cell).values()):
        for number, op in enumerate(ops):
            usual = [0, 0, 3, 3, 3, 3, 3] if cell is UpCell else [3, 3, 3, 3, 3, 0, 0]
            matrix = [[*usual] for _ in range(3 if cell is UpCell else 4)]
            matrix[row][column] = number
            if cell is DownCell and column == 0 and op == "none":
                continue  # node 1 has outputs
            network: Any = (decode_generator if cell is UpCell else decode_discriminator)(matrix, 8)
            assert list(network.cells[row].edges.values())[column] == op
            assert encode(network) == matrix


@pytest.mark.parametrize(
    ("matrix", "shape"),
    [
        ([], "0x0"),
        (FOUND[:2], "2x7"),
        ([*FOUND, FOUND[0]], "4x7"),
        ([row[:6] for row in FOUND], "3x6"),
        ([[*row, 0] for row in FOUND], "3x8"),
        ([[], [], []], "3x0"),
    ],
)
def test_a_matrix_of_another_shape_is_refused(matrix: list[list[int]], shape: str) -> None:
    for decode, rows in ((decode_generator, 3), (decode_discriminator, 4)):
        if len(matrix) != rows or shape[2] != "7":
            with pytest.raises(InvalidInput) as caught:
                decode(matrix, 8)
            assert str(caught.value) == f"a matrix of {rows}x7 is needed, this one is {shape}"


@pytest.mark.parametrize("column", range(7))
@pytest.mark.parametrize("row", range(4))
def test_a_number_beyond_the_operations_is_refused(row: int, column: int) -> None:
    for decode, cells, matrix in (
        (decode_generator, UP_CELLS, FOUND),
        (decode_discriminator, DOWN_CELLS, PLAIN),
    ):
        if row == len(cells):
            continue
        edge, ops = list(candidates(cells[row]).items())[column]
        for number in (-1, len(ops), 10**9):
            wrong = [list(numbers) for numbers in matrix]
            wrong[row][column] = number
            with pytest.raises(InvalidInput) as caught:
                decode(wrong, 8)
            assert str(caught.value) == (
                f"edge {edge} of cell {row} is {number}, allowed are 0 to {len(ops) - 1}"
            )


def test_a_row_that_leaves_a_node_without_input_is_refused() -> None:
    for row in range(3):
        wrong = [*FOUND[:row], [1, 1, 1, 1, 0, 0, 0], *FOUND[row + 1 :]]
        with pytest.raises(InvalidInput, match=f"row {row} leaves a node of its cell without any"):
            decode_generator(wrong, 8)


@pytest.mark.parametrize(
    ("cell", "absent", "said"),
    [
        (UpCell, "1-3 2-3", "node 3 of a cell has no input: 1-3 and 2-3 are none"),
        (UpCell, "1-4 2-4 3-4", "node 4 of a cell has no input: 1-4 and 2-4 and 3-4 are none"),
        (DownCell, "0-2 1-2", "node 2 of a cell has no input: 0-2 and 1-2 are none"),
        (DownCell, "0-3 1-3", "node 3 of a cell has no input: 0-3 and 1-3 are none"),
        (DownCell, "0-1", "node 1 of a cell has no input: edge 0-1 is none"),
        (DownCell, "0-1 1-3", "node 1 of a cell has no input: edge 0-1 is none"),
        (DownCell, "0-1 1-2", "node 1 of a cell has no input: edge 0-1 is none"),
    ],
)
def test_a_node_without_input_is_named(cell: Cell, absent: str, said: str) -> None:
    edges = {edge: ops[-1] for edge, ops in candidates(cell).items()}
    cell.model_validate(edges)
    broken = edges | dict.fromkeys(absent.split(), "none")
    assert not is_valid(broken)
    with pytest.raises(ValidationError) as caught:
        cell.model_validate(broken)
    assert said in str(caught.value)
    genome = genomes(1)[0]
    content = json.loads(genome.to_json())
    part = "generator" if cell is UpCell else "discriminator"
    content[part]["cells"][1] = broken
    with pytest.raises(InvalidInput) as refused:
        parse_genome(json.dumps(content), "a.json")
    assert str(refused.value) == f"a.json is not a genome: {part}.cells.1: {said}"


@pytest.mark.parametrize(
    ("cell", "absent"),
    [
        (UpCell, "1-3"),
        (UpCell, "2-3 1-4 2-4"),
        (UpCell, "1-3 3-4 2-4"),  # node 3 still hands on its skip
        (DownCell, "0-1 1-2 1-3"),  # node 1 is left out
        (DownCell, "0-2 0-3"),
        (FirstDownCell, "1-2 1-3"),
    ],
)
def test_edges_may_be_absent_where_every_node_keeps_an_input(cell: Cell, absent: str) -> None:
    edges = {edge: ops[-1] for edge, ops in candidates(cell).items()}
    made = cell.model_validate(edges | dict.fromkeys(absent.split(), "none"))
    assert {edge for edge, op in made.edges.items() if op == "none"} == set(absent.split())
    assert all(edge not in made.words for edge in absent.split())


def test_the_generator_for_stl10_is_that_of_cifar10_at_other_sizes() -> None:
    cifar10, stl10 = (
        published_genome(f"adversarialnas-{data}").generator for data in ("cifar10", "stl10")
    )
    assert stl10 == decode_generator(FOUND, 270, num_latent_parts=2)
    assert cifar10.cells == stl10.cells
    assert '"num_latent_parts": 2' in published_genome("adversarialnas-stl10").to_json()


@pytest.mark.parametrize(
    ("latent_dim", "parts", "said"),
    [
        (121, 3, "latent_dim 121 cannot be split in 3 equal parts; use a multiple of 3"),
        (121, 2, "latent_dim 121 cannot be split in 2 equal parts; use a multiple of 2"),
        (120, 4, "Input should be 1, 2 or 3"),
        (120, 0, "Input should be 1, 2 or 3"),
    ],
)
def test_latents_that_cannot_be_split_are_refused(latent_dim: int, parts: int, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        decode_generator(FOUND, 8, latent_dim, parts)
    assert said in str(caught.value)


def test_a_discriminator_has_four_cells() -> None:
    for number in (3, 5):
        content = json.loads(genomes(1)[0].to_json())
        content["discriminator"]["cells"] = (content["discriminator"]["cells"] * 2)[-number:]
        with pytest.raises(InvalidInput, match=r"discriminator\.cells"):
            parse_genome(json.dumps(content))


@pytest.mark.parametrize("networks", [generators(2000), discriminators(2000)], ids=["G", "D"])
def test_operations_are_drawn_uniformly_from_valid_cells(networks: list[Any]) -> None:
    """The share of an op is the share of valid cells that have it, for it decides what is valid."""
    for index, kind in enumerate(map(type, networks[0].cells)):
        valid = sum(n for edges, n in kept_or_none(kind) if is_valid(edges))
        for edge, ops in candidates(kind).items():
            seen = Counter(network.cells[index].edges[edge] for network in networks)
            assert set(seen) == set(ops)
            absent = sum(n for e, n in kept_or_none(kind) if is_valid(e) and e[edge] == "none")
            for op in ops:
                others = len(set(ops) - {"none"})
                share = absent / valid if op == "none" else (1 - absent / valid) / others
                expected = len(networks) * share
                assert abs(seen[op] - expected) < 4.5 * (expected * (1 - share)) ** 0.5
