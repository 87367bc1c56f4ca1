"""What a GPU leaves to chance: no published genome's training, in any framework, rests on it."""

import pytest
import torch
from torch import Tensor, nn

from gan_nas.networks import layers
from gan_nas.spaces.frameworks import FRAMEWORKS, suited
from gan_nas.spaces.published import load_genome, published_names
from gan_nas.training.config import TrainingConfig
from gan_nas.training.determinism import look_at_operations


@pytest.mark.parametrize("name", published_names())
def test_every_published_genomes_training_repeats_itself_on_a_gpu(name: str) -> None:
    genome = load_genome(name).resized(8, 8)
    config = TrainingConfig(batch_size=4, generator_batch_size=4)
    looked = look_at_operations(genome, config, 48, 3)
    assert looked.by_chance == ()
    assert looked.operations > 20


@pytest.mark.parametrize("framework", sorted(FRAMEWORKS))
def test_every_frameworks_training_repeats_itself_on_a_gpu(framework: str) -> None:
    genome = suited(load_genome("adversarialnas-cifar10").resized(8, 8), framework)  # type: ignore[arg-type]
    sizes = {"batch_size": 4, "generator_batch_size": 4}
    config = TrainingConfig.model_validate({"framework": framework} | sizes)
    assert look_at_operations(genome, config, 32, 3).by_chance == ()


def test_an_operation_without_a_deterministic_kernel_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Bicubic(nn.Module):
        def __init__(self, mode: str, factor: int) -> None:
            super().__init__()
            self.factor = factor

        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.interpolate(x, scale_factor=self.factor, mode="bicubic")

    monkeypatch.setattr(layers.Interpolate, "forward", Bicubic.forward)
    config = TrainingConfig(batch_size=4, generator_batch_size=4)
    looked = look_at_operations(load_genome("autogan-cifar10-top1").resized(8, 8), config, 32, 3)
    assert looked.by_chance == ("upsample_bicubic2d_backward",)
    assert not torch.are_deterministic_algorithms_enabled()
