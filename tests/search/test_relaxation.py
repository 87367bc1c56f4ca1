"""Logits, the weights drawn from them, and how near to a choice these come."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gan_nas.networks.builder import build_supernet
from gan_nas.search.adversarialnas.relaxation import (
    CellLogits,
    Mixture,
    NoiseOn,
    Relaxed,
    noisy_weights,
)
from gan_nas.spaces.adversarialnas import (
    DOWN_CELLS,
    UP_CELLS,
    candidates,
    decode_discriminator,
    decode_generator,
    is_valid,
)
from gan_nas.streams import stream
from gan_nas.training.gan import fresh

CPU = torch.device("cpu")
UP = [[1, 1, 1, 0, 3, 3, 1]] * 3
DOWN = [[1, 1, 1, 3, 3, 2, 2]] + [[3, 3, 3, 3, 3, 2, 2]] * 3
NUM_DRAWS = 20_000


@pytest.fixture
def alpha() -> CellLogits:
    return drawn(CellLogits(UP_CELLS))


@pytest.fixture
def beta() -> CellLogits:
    return drawn(CellLogits(DOWN_CELLS))


def drawn(logits: CellLogits, scale: float = 1.0) -> CellLogits:
    """Give logits a spread that tells their operations apart."""
    random = stream(0, "test")
    for parameter in logits.parameters():
        parameter.data = torch.randn(parameter.shape, generator=random, device=CPU) * scale
    return logits


def relaxed(logits: CellLogits, mixture: Mixture = "gumbel", **options: Any) -> Relaxed:
    return Relaxed(nn.Identity(), logits, mixture=mixture, **options)


def same(first: list[dict[str, Tensor]], second: list[dict[str, Tensor]]) -> bool:
    return all(
        torch.equal(a[edge], b[edge]) for a, b in zip(first, second, strict=True) for edge in a
    )


def gumbel(*shape: int) -> Tensor:
    noise = torch.empty(shape, device=CPU).exponential_(generator=stream(0, "gumbel"))
    return -noise.log()


def test_a_row_of_logits_for_each_edge_in_one_parameter_for_each_candidate_set() -> None:
    def shapes(logits: CellLogits) -> dict[str, tuple[int, ...]]:
        return {name: tuple(p.shape) for name, p in logits.named_parameters()}

    assert shapes(CellLogits(UP_CELLS)) == {"up": (6, 3), "normal": (15, 7)}
    down = {"entry": (3, 5), "normal": (17, 7), "down": (8, 6)}
    assert shapes(CellLogits(DOWN_CELLS)) == down
    assert shapes(CellLogits(DOWN_CELLS, normal_entry=True)) == down | {"entry": (3, 7)}
    assert sum(p.numel() for p in CellLogits(UP_CELLS).parameters()) == 123  # the published number


@pytest.mark.parametrize("normal_entry", [False, True])
@pytest.mark.parametrize("cells", [UP_CELLS, DOWN_CELLS])
def test_rows_reach_every_edge_once_and_hold_its_operations(cells: Any, normal_entry: bool) -> None:
    logits = CellLogits(cells, normal_entry=normal_entry)
    for name, parameter in logits.named_parameters():
        for i, place in enumerate(logits.sets[name]):
            parameter.data[i] = number(place)
    rows = dict(logits.rows(dict(logits.named_parameters())))
    expected = [f"{i}.{edge}" for i, cell in enumerate(cells) for edge in candidates(cell)]
    assert list(rows) == expected
    for place, row in rows.items():
        assert len(row) == len(candidates(cells[int(place[0])])[place[2:]])
        assert set(row.tolist()) == {number(place)}


def number(place: str) -> int:
    return int(place.replace(".", "").replace("-", ""))


def test_the_softmax_mixture_is_the_softmax(alpha: CellLogits) -> None:
    mixture = relaxed(alpha, "softmax")
    first = mixture.draw()
    mixture.restart(0.1, 0, "noise", 5)
    assert same(first, mixture.draw())
    for weights, edges in zip(first, alpha.by_cell(alpha.log_probabilities()), strict=True):
        for edge, row in edges.items():
            torch.testing.assert_close(
                weights[edge].double(), torch.tensor(row, dtype=torch.float64, device=CPU).exp()
            )


@pytest.mark.parametrize("mixture", ["gumbel", "softmax"])
def test_phantom_operations_soak_up_weight(mixture: Mixture) -> None:
    """As in the published code, the operations of a first edge do not sum up to 1."""
    network = relaxed(drawn(CellLogits(DOWN_CELLS, normal_entry=True)), mixture)
    network.restart(1.0, 0, "noise", 0)
    weights = network.draw()
    for index, cell in enumerate(weights):
        for edge, row in cell.items():
            is_entry = index == 0 and edge.startswith("0")
            assert len(row) == len(candidates(DOWN_CELLS[index])[edge])
            assert (row.sum() < 0.999) == is_entry


@pytest.mark.parametrize("noise_on", ["prob", "logprob"])
def test_the_draws_of_a_step_are_those_of_its_stream(beta: CellLogits, noise_on: NoiseOn) -> None:
    def draw(seed: int, purpose: str, step: int) -> list[dict[str, Tensor]]:
        network = relaxed(beta, noise_on=noise_on)
        network.restart(1.0, seed, purpose, step)
        return network.draw()

    first = draw(0, "beta noise", 3)
    assert same(first, draw(0, "beta noise", 3))
    for other in ((1, "beta noise", 3), (0, "alpha noise", 3), (0, "beta noise", 4)):
        assert not same(first, draw(*other))
    network = relaxed(beta, noise_on=noise_on)
    network.restart(1.0, 0, "beta noise", 3)
    assert same(first, network.draw())
    assert not same(first, network.draw())  # a second pass of a step draws anew


@pytest.mark.parametrize(
    ("mixture", "noise_on"), [("softmax", "prob"), ("gumbel", "prob"), ("gumbel", "logprob")]
)
def test_every_logit_gets_a_gradient(
    alpha: CellLogits, mixture: Mixture, noise_on: NoiseOn
) -> None:
    network = relaxed(alpha, mixture, noise_on=noise_on)
    network.restart(1.0, 0, "noise", 0)
    sum((row**2).sum() for cell in network.draw() for row in cell.values()).backward()  # type: ignore[union-attr]
    assert all((p.grad != 0).all() for p in alpha.parameters())


@pytest.mark.parametrize(
    ("noise_on", "best", "leads"),
    [
        # The best of seven operations has probability `best`, the others share the rest.
        ("prob", 1 / 7, 0.14),
        ("prob", 0.5, 0.20),
        ("prob", 1.0, 0.31),
        ("logprob", 1 / 7, 1 / 7),
        ("logprob", 0.5, 0.5),
        ("logprob", 0.9, 0.9),
    ],
)
@pytest.mark.parametrize("tau", [0.1, 5.0])
def test_how_often_the_best_operation_leads(
    noise_on: NoiseOn, best: float, leads: float, tau: float
) -> None:
    """Noise on probabilities hardly lets it: the published choice."""
    probabilities = torch.tensor([best] + [(1 - best) / 6] * 6, device=CPU)
    network = relaxed(CellLogits(UP_CELLS), noise_on=noise_on)
    network.restart(tau, 0, "noise", 0)
    weights = network._soft(probabilities.clamp(min=1e-12).log().expand(NUM_DRAWS, 7))
    share = float((weights.argmax(1) == 0).float().mean())
    assert share == pytest.approx(leads, abs=0.012)


@pytest.mark.parametrize(("tau", "largest"), [(0.1, 0.94), (1.0, 0.51), (5.0, 0.21)])
def test_how_near_to_one_operation_a_temperature_comes(tau: float, largest: float) -> None:
    logits = torch.zeros(NUM_DRAWS, 7, device=CPU)
    weights = noisy_weights(logits, gumbel(NUM_DRAWS, 7), tau, "prob")
    assert float(weights.amax(1).mean()) == pytest.approx(largest, abs=0.01)
    torch.testing.assert_close(weights.sum(1), torch.ones(NUM_DRAWS, device=CPU))


def hard_network(logits: CellLogits) -> Relaxed:
    """Make a supernet of hard draws: a generator of alpha, or a discriminator of beta."""
    is_alpha = logits.cells == UP_CELLS
    sizes = decode_generator(UP, 4) if is_alpha else decode_discriminator(DOWN, 4)
    with torch.device("meta"):
        network = build_supernet(sizes, 16, 1)
    network = fresh(network, 0, "weights", CPU)
    return Relaxed(network, logits, mixture="gumbel", noise_on="logprob", hard=True)


def chosen(network: Relaxed) -> list[dict[str, str]]:
    """Read which operation is active on every edge."""
    cells: Any = network.network.cells
    return [{edge: slot.active for edge, slot in cell.edges.items()} for cell in cells]


@pytest.mark.parametrize("normal_entry", [False, True])
def test_hard_draws_are_valid_cells_of_weight_one(alpha: CellLogits, normal_entry: bool) -> None:
    beta = drawn(CellLogits(DOWN_CELLS, normal_entry=normal_entry))
    for network, cells in ((hard_network(alpha), UP_CELLS), (hard_network(beta), DOWN_CELLS)):
        seen = set()
        for step in range(25):
            network.restart(0.5, 0, "noise", step)
            weights = network.draw()
            assert all(w.dim() == 0 and w.item() == 1 for cell in weights for w in cell.values())
            assert [list(cell) for cell in weights] == [list(candidates(cell)) for cell in cells]
            found = chosen(network)
            assert all(map(is_valid, found))
            seen.add(str(found))
        assert len(seen) == 25


@pytest.mark.parametrize("cells", [UP_CELLS, DOWN_CELLS])
def test_simulated_hard_draws_are_of_all_kinds(cells: Any) -> None:
    """A forecast counts what steps compute on average, and not the first operations alone."""
    with torch.device("meta"):
        logits = CellLogits(cells)
        is_alpha = cells == UP_CELLS
        sizes = decode_generator(UP, 4) if is_alpha else decode_discriminator(DOWN, 4)
        network = Relaxed(build_supernet(sizes, 16, 1), logits, mixture="gumbel", hard=True)
    seen: dict[str, set[str]] = {}
    for step in range(25):
        network.restart(0.5, 0, "noise", step)
        network.draw()
        for edge, op in chosen(network)[0].items():
            seen.setdefault(edge, set()).add(op)
    assert all(len(ops) > 1 for ops in seen.values())


def test_hard_draws_are_the_leading_operations_with_the_soft_weights_gradients(
    beta: CellLogits,
) -> None:
    """Straight through: forward a choice, backward the weight that it had."""
    network = hard_network(beta)
    factors = torch.linspace(-1, 1, 28, device=CPU)
    soft = relaxed(beta, noise_on="logprob")
    num_repaired = 0
    for step in range(8):
        for one in (network, soft):
            one.restart(0.5, 0, "noise", step)
        straight = network.draw()
        sum_of = [w for cell in straight for w in cell.values()]
        got = torch.autograd.grad((torch.stack(sum_of) * factors).sum(), [*beta.parameters()])
        picked = []
        for cell, weights, ops in zip(DOWN_CELLS, soft.draw(), chosen(network), strict=True):
            for edge in weights:
                place = candidates(cell)[edge].index(ops[edge])
                picked.append(weights[edge][place])
                num_repaired += place != int(weights[edge].argmax())
        assert [list(cell) for cell in straight] == [list(cell) for cell in soft.draw()]
        expected = torch.autograd.grad((torch.stack(picked) * factors).sum(), [*beta.parameters()])
        for ours, theirs in zip(got, expected, strict=True):
            torch.testing.assert_close(ours, theirs)
            assert ours.abs().sum() > 0
    assert 0 < num_repaired < 8 * 28 / 4


@pytest.mark.parametrize(("cells", "size"), [(UP_CELLS, (3, 120)), (DOWN_CELLS, (3, 1, 16, 16))])
def test_a_hard_pass_computes_the_chosen_operations_alone(
    cells: Any, size: tuple[int, ...]
) -> None:
    logits = drawn(CellLogits(cells))
    network = hard_network(logits)
    network.restart(0.5, 0, "noise", 0)
    random = stream(0, "input")
    network(torch.randn(size, generator=random, device=CPU)).square().sum().backward()
    ops = chosen(network)
    touched = set()
    for name, parameter in network.network.named_parameters():
        if ".edges." in name:
            _, index, _, edge, op, *_ = name.split(".")
            assert parameter.grad is None or ops[int(index)][edge] == op
            if parameter.grad is not None:
                touched.add((index, edge))
        elif ".skips." not in name:  # a skip may end in a node that nothing uses
            assert parameter.grad is not None
    assert len(touched) > 5
    assert sum(int((p.grad != 0).sum()) for p in logits.parameters() if p.grad is not None) > 30


def test_a_hard_generator_computes_what_it_would_without_weights(alpha: CellLogits) -> None:
    network = hard_network(alpha)
    network.restart(0.5, 0, "noise", 1)
    z = torch.randn(2, 120, generator=stream(0, "input"), device=CPU)
    with torch.no_grad():
        torch.testing.assert_close(network(z), network.network(z))


def test_hard_draws_stay_where_the_logits_are(alpha: CellLogits) -> None:
    """With another default device, as on a machine with a GPU; of soft ones see test_methods.py."""
    network = hard_network(alpha)
    with torch.device("meta"):
        network.restart(1.0, 0, "noise", 0)
        weights = network.draw()
    assert {w.device for cell in weights for w in cell.values()} == {CPU}
