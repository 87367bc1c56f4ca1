"""From scores to architectures: as published, bit by bit; the best K against counting them all."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pytest
from golden_adversarialnas import GOLDEN
from numpy.typing import NDArray

from gan_nas.search.adversarialnas.derivation import (
    ScoredArchitecture,
    best_architectures,
    derive_cell,
    derive_published,
)
from gan_nas.spaces.adversarialnas import (
    DOWN_CELLS,
    UP_CELLS,
    CellType,
    DownCell,
    FirstDownCell,
    UpCell,
    candidates,
    is_valid,
)

Rows = dict[str, list[float]]


def golden(name: str) -> NDArray[Any]:
    return GOLDEN[f"derive/{name}"]


def numbers(cells: Sequence[CellType], derived: Sequence[Mapping[str, str]]) -> list[list[int]]:
    """Write architectures as the published files do."""
    return [
        [ops.index(edges[edge]) for edge, ops in candidates(cell).items()]
        for cell, edges in zip(cells, derived, strict=True)
    ]


def log_softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def random_rows(rng: np.random.Generator, cell: CellType) -> Rows:
    """Draw log-probabilities of each edge's operations."""
    return {
        edge: log_softmax(rng.normal(size=len(ops))).tolist()
        for edge, ops in candidates(cell).items()
    }


def total(cells: Sequence[CellType], rows: Sequence[Rows], found: ScoredArchitecture) -> float:
    return sum(
        row[edge][ops.index(edges[edge])]
        for cell, row, edges in zip(cells, rows, found.cells, strict=True)
        for edge, ops in candidates(cell).items()
    )


def all_scores(cell: CellType, row: Rows) -> NDArray[np.float64]:
    """Score every valid cell, best first: the rules written anew, no cell left out."""
    ops = candidates(cell)
    picked = np.indices([len(names) for names in ops.values()]).reshape(len(ops), -1)
    scores = sum(np.asarray(row[edge])[i] for edge, i in zip(ops, picked, strict=True))
    has = {
        edge: ops[edge][0] != "none" or i != 0 for edge, i in zip(ops, picked, strict=True)
    }  # an edge that is there
    if cell is UpCell:
        valid = (has["1-3"] | has["2-3"]) & (has["1-4"] | has["2-4"] | has["3-4"])
    else:
        valid = (has["0-2"] | has["1-2"]) & (has["0-3"] | has["1-3"])
        valid &= has["0-1"] | ~(has["1-2"] | has["1-3"])
    return np.sort(scores[valid])[::-1]


@pytest.mark.parametrize("case", range(8))
def test_generators_are_derived_as_published(case: int) -> None:
    normal, ups = golden("alphas_normal")[case], golden("alphas_up")[case]
    expected = golden("genotype_G")[case].tolist()
    assert numbers(UP_CELLS, derive_published(UP_CELLS, normal, ups)) == expected


@pytest.mark.parametrize("case", range(8))
@pytest.mark.parametrize(
    ("softmax_over", "name"),
    [("operations", "genotype_D_dimlast"), ("edges", "genotype_D_ref_dim1bug")],
)
def test_discriminators_are_derived_as_published_with_and_without_the_wrong_softmax(
    case: int, softmax_over: Literal["operations", "edges"], name: str
) -> None:
    normal, downs = golden("betas_normal")[case], golden("betas_down")[case]
    derived = derive_published(DOWN_CELLS, normal, downs, softmax_over=softmax_over)
    assert numbers(DOWN_CELLS, derived) == golden(name)[case].tolist()


def prefer(cell: CellType, chosen: Mapping[str, Mapping[str, float]]) -> Rows:
    """Score operations: those given, and on the other edges the first real one with 1."""
    return {
        edge: [chosen[edge].get(op, -1.0) for op in ops]
        if edge in chosen
        else [float(op == next(op for op in ops if op != "none")) for op in ops]
        for edge, ops in candidates(cell).items()
    }


NONE_LAST = {"none": 0.5, "conv_5x5": 0.3, "dil_conv_5x5": 0.3}
NONE_FIRST = {"none": 0.4, "conv_3x3": 0.2}


@pytest.mark.parametrize(
    ("cell", "chosen", "expected"),
    [
        pytest.param(UpCell, {"1-3": NONE_LAST}, {"1-3": "none"}, id="nothing to repair"),
        pytest.param(
            UpCell,
            {"1-3": NONE_LAST, "2-3": NONE_FIRST},
            {"1-3": "none", "2-3": "conv_3x3"},
            id="node 3: the lesser none gives way",
        ),
        pytest.param(
            UpCell,
            {"1-3": NONE_LAST, "2-3": NONE_LAST},
            {"1-3": "conv_5x5", "2-3": "none"},
            id="ties of edges and of operations: the first",
        ),
        pytest.param(
            UpCell,
            {"1-4": NONE_LAST, "2-4": NONE_LAST, "3-4": NONE_FIRST},
            {"1-4": "none", "2-4": "none", "3-4": "conv_3x3"},
            id="node 4: the lesser none gives way",
        ),
        pytest.param(
            UpCell,
            {"1-4": NONE_LAST, "2-4": NONE_FIRST, "3-4": NONE_FIRST},
            {"1-4": "none", "2-4": "conv_3x3", "3-4": "none"},
            id="node 4: a tie goes to the first",
        ),
        pytest.param(
            UpCell,
            dict.fromkeys(("1-3", "2-3", "1-4", "2-4", "3-4"), NONE_LAST),
            {"1-3": "conv_5x5", "2-3": "none", "1-4": "conv_5x5", "2-4": "none", "3-4": "none"},
            id="both nodes",
        ),
        pytest.param(
            DownCell,
            {"0-2": NONE_LAST, "1-2": NONE_FIRST},
            {"0-2": "none", "1-2": "conv_3x3"},
            id="node 2",
        ),
        pytest.param(
            DownCell,
            {"0-3": NONE_FIRST, "1-3": NONE_FIRST},
            {"0-3": "conv_3x3", "1-3": "none"},
            id="node 3 of a discriminator",
        ),
        pytest.param(
            DownCell,
            {"0-1": NONE_FIRST, "0-2": NONE_LAST, "1-2": NONE_FIRST, "1-3": NONE_FIRST},
            {"0-1": "conv_3x3", "0-2": "none", "1-2": "conv_3x3", "1-3": "none"},
            id="a repair of node 2 makes node 1 needed",
        ),
        pytest.param(
            DownCell,
            {"0-1": NONE_FIRST, "1-2": NONE_FIRST, "1-3": NONE_FIRST},
            {"0-1": "none", "1-2": "none", "1-3": "none"},
            id="node 1 is not needed",
        ),
        pytest.param(
            FirstDownCell,
            {"1-2": NONE_FIRST, "1-3": NONE_FIRST},
            {"0-1": "conv_1x1", "1-2": "none", "1-3": "none"},
            id="edges from the image are never none",
        ),
    ],
)
def test_a_node_without_input_is_repaired(
    cell: CellType, chosen: dict[str, dict[str, float]], expected: dict[str, str]
) -> None:
    rows = prefer(cell, chosen)
    derived = derive_cell(cell, rows)
    untouched = {edge: ops[int(np.argmax(rows[edge]))] for edge, ops in candidates(cell).items()}
    assert derived == untouched | expected
    assert is_valid(derived)


def test_phantom_operations_are_never_chosen() -> None:
    rows = prefer(FirstDownCell, {})
    for edge in ("0-1", "0-2", "0-3"):
        rows[edge] = [0.1, 0.1, 0.3, 0.2, 0.1, 0.9, 0.9]  # of seven, as in the published code
    derived = derive_cell(FirstDownCell, rows)
    assert {derived[edge] for edge in ("0-1", "0-2", "0-3")} == {"conv_5x5"}


@pytest.mark.parametrize("cell", [UpCell, DownCell, FirstDownCell])
def test_the_best_cells_are_the_best_of_all_valid_ones(cell: CellType) -> None:
    rng = np.random.default_rng(0)
    rows = random_rows(rng, cell)
    with_ties = {
        edge: rng.integers(0, 3, len(row)).astype(float).tolist() for edge, row in rows.items()
    }
    for row in (rows, with_ties):
        found = best_architectures((cell,), [row], 50)
        scores = [one.log_probability for one in found]
        np.testing.assert_allclose(scores, all_scores(cell, row)[:50], rtol=1e-12)
        check((cell,), [row], found, 50)


def check(
    cells: Sequence[CellType], rows: Sequence[Rows], found: list[ScoredArchitecture], num: int
) -> None:
    """Hold what holds for every list of architectures: valid, distinct, best first, scored."""
    assert len({str(one.cells) for one in found}) == len(found) == num
    scores = [one.log_probability for one in found]
    assert scores == sorted(scores, reverse=True)
    for one in found:
        assert all(map(is_valid, one.cells))
        assert one.log_probability == pytest.approx(total(cells, rows, one), rel=1e-12)


def test_the_best_architecture_is_the_published_derivation_where_nothing_needs_repair() -> None:
    rng = np.random.default_rng(4)
    repaired = 0
    for cell in (UpCell,) * 25 + (DownCell,) * 5:
        rows = random_rows(rng, cell)
        first_choice = {
            edge: ops[int(np.argmax(rows[edge]))] for edge, ops in candidates(cell).items()
        }
        (best,) = best_architectures((cell,), [rows], 1)
        if is_valid(first_choice):
            assert best.cells == (derive_cell(cell, rows),) == (first_choice,)
        else:
            repaired += 1
            derived = ScoredArchitecture((derive_cell(cell, rows),), 0)
            assert total((cell,), [rows], derived) <= best.log_probability + 1e-12
    assert 0 < repaired < 25


def test_the_published_repair_is_not_always_the_best_cell() -> None:
    """It looks at `none` alone, and may take the edge whose other operations are all unlikely."""
    rows = prefer(UpCell, {})
    rows["1-3"] = np.log([0.50, 0.10, 0.08, 0.08, 0.08, 0.08, 0.08]).tolist()
    rows["2-3"] = np.log([0.52, 0.43, 0.01, 0.01, 0.01, 0.01, 0.01]).tolist()
    published = derive_cell(UpCell, rows)
    (best,) = best_architectures((UpCell,), [rows], 1)
    assert (published["1-3"], published["2-3"]) == ("identity", "none")
    assert (best.cells[0]["1-3"], best.cells[0]["2-3"]) == ("none", "identity")
    lost = best.log_probability - total((UpCell,), [rows], ScoredArchitecture((published,), 0))
    assert lost == pytest.approx(np.log(0.50 * 0.43) - np.log(0.10 * 0.52))
