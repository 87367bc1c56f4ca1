"""What untrained networks tell, against cases that are known."""

import pytest
import torch
from torch import nn

from gan_nas.networks.states import module_state
from gan_nas.spaces.frameworks import FRAMEWORKS, Framework
from gan_nas.spaces.published import load_genome
from gan_nas.studies.zero_cost import effective_rank, gradient_norm, zero_cost_proxies
from gan_nas.training.config import TrainingConfig
from gan_nas.training.plan import new_gan

CONFIG = TrainingConfig(batch_size=8)


@pytest.mark.parametrize(
    ("diagonal", "rank"), [([1.0, 1, 1, 1], 4), ([3.0, 3, 0, 0], 2), ([5.0, 0, 0, 0], 1)]
)
def test_the_effective_rank_of_a_linear_map_is_known(diagonal: list[float], rank: float) -> None:
    linear = nn.Linear(4, 4)
    with torch.no_grad():
        linear.weight.copy_(torch.diag(torch.tensor(diagonal)))
    assert effective_rank(linear, 4, 0) == pytest.approx(rank, rel=1e-4)


def test_proxies_leave_a_network_as_it_was_and_repeat_themselves() -> None:
    genome = load_genome("autogan-cifar10-top1").resized(4, 4)
    gan = new_gan(genome, CONFIG, 16, 1, torch.device("cpu"))
    before = {name: tensor.clone() for name, tensor in module_state(gan.generator).items()}
    rank = effective_rank(gan.generator, 128, 0)
    assert 1 <= rank <= 128
    assert gan.generator.training
    after = module_state(gan.generator)
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert gradient_norm(gan, 128, (1, 16, 16), 0) > 0
    told = zero_cost_proxies(genome, CONFIG, 16, 1)
    assert told == zero_cost_proxies(genome, CONFIG, 16, 1)
    assert told["effective rank"] == pytest.approx(rank)
    other = zero_cost_proxies(load_genome("sngan-cifar10").resized(4, 4), CONFIG, 16, 1)
    assert other.keys() == told.keys()
    assert other != told


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_gradient_is_taken_in_any_framework(framework: Framework) -> None:
    config = TrainingConfig(framework=framework, augment="diffaugment", batch_size=8)
    genome = load_genome("sngan-cifar10").resized(4, 4)
    assert zero_cost_proxies(genome, config, 16, 1)["gradient norm"] > 0
