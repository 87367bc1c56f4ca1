"""Recorded steps: the numbers of usual ones, on a GPU; what changes between steps comes through."""

from typing import Any

import pytest
import torch
from torch import Tensor

from gan_nas.machine.repeatable import fix_workspaces, repeatable
from gan_nas.networks.states import load_groups, read_groups
from gan_nas.spaces.frameworks import FRAMEWORKS
from gan_nas.spaces.published import load_genome
from gan_nas.training import plan
from gan_nas.training.config import TrainingConfig
from gan_nas.training.gan import GAN
from gan_nas.training.recording import Recorded
from gan_nas.training.steps import Steps

SETTINGS: dict[str, Any] = {
    "steps": 8,
    "batch_size": 8,
    "generator_batch_size": 8,
    "num_critic": 2,
}
CHANGES: dict[str, dict[str, Any]] = {
    **{name: {"framework": name} for name in FRAMEWORKS},
    "bf16": {"precision": "bf16"},
    "diffaugment": {"augment": "diffaugment"},
    "falling rates": {"lr_decay": "linear"},
    "a loss that changes": {"framework": "r3gan", "final_gamma": 0.005, "schedule_images": 256},
}


def trained(
    changes: dict[str, Any], num: int = 8, begun: GAN | None = None
) -> tuple[GAN, list[Tensor]]:
    """Return a GAN after some cycles on a GPU, and their losses; it goes on from one `begun`."""
    device = torch.device("cuda")
    fix_workspaces()
    config = TrainingConfig.model_validate(SETTINGS | changes)
    gan = plan.new_gan(load_genome("sngan-cifar10").resized(16, 16), config, 16, 3, device)
    random = torch.Generator("cpu").manual_seed(0)
    size = (32, 3, 16, 16)
    images = torch.randint(0, 256, size, dtype=torch.uint8, generator=random, device="cpu")
    steps = Steps(gan, config, images.to(device), 128, device)
    if begun is not None:
        load_groups(gan.saved(), read_groups(begun.saved()))
        gan.generator_steps = begun.generator_steps
    losses = []
    with repeatable(device):
        for step in range(gan.generator_steps, num):
            plan.keep_pace(gan, config, step)
            for count in range(step * config.num_critic, (step + 1) * config.num_critic):
                losses += [loss.clone() for loss in steps.make(count) if loss is not None]
    return gan, losses


@pytest.mark.cuda
@pytest.mark.parametrize("changes", CHANGES.values(), ids=list(CHANGES))
def test_recorded_steps_are_the_usual_ones(
    changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded, losses = trained(changes)
    monkeypatch.setattr(GAN, "record", lambda self: None)
    usual, usual_losses = trained(changes)
    assert recorded.warm_up > usual.warm_up == 1
    # A rate is rounded to float32 on the way to a recorded step, and sums may change their order.
    torch.testing.assert_close(losses, usual_losses, rtol=0.02, atol=0.02)
    assert recorded.generator_steps == usual.generator_steps == 8


@pytest.mark.cuda
@pytest.mark.parametrize("changes", CHANGES.values(), ids=list(CHANGES))
def test_a_state_goes_on_recorded(changes: dict[str, Any]) -> None:
    """A run that is resumed records later than one that was not, and ends in the same bytes."""
    whole, losses = trained(changes)
    begun, first = trained(changes, 5)
    resumed, rest = trained(changes, 8, begun)
    assert all(map(torch.equal, losses, first + rest))
    states = [read_groups(gan.saved()) for gan in (resumed, whole)]
    torch.testing.assert_close(*states, rtol=0, atol=0)


@pytest.mark.cuda
def test_what_a_step_depends_on_is_noticed() -> None:
    device, factor = torch.device("cuda"), 1.0

    class Owner:
        """Whose step it is."""

    def scaled(owner: Owner, x: Tensor, random: torch.Generator | None) -> Tensor:
        noise = 0 if random is None else torch.rand(4, generator=random, device=device)
        return x * factor + noise

    owner = Owner()
    recorded = Recorded(owner, scaled, lambda owner: factor)
    x = torch.arange(4.0, device=device)
    for _ in range(6):
        assert torch.equal(recorded(x, None), x)
    for n in range(6):  # a stream, each time another
        seeds = [torch.Generator(device).manual_seed(n) for _ in range(2)]
        assert torch.equal(recorded(x, seeds[0]), scaled(owner, x, seeds[1]))
    factor = 2.0
    for _ in range(6):
        assert torch.equal(recorded(x, None), 2 * x)
    assert recorded(torch.ones(2, device=device), None).shape == (2,)


def test_nothing_is_recorded_on_a_cpu() -> None:
    config = TrainingConfig.model_validate(SETTINGS)
    genome = load_genome("sngan-cifar10").resized(8, 8)
    assert plan.new_gan(genome, config, 16, 3, torch.device("cpu")).warm_up == 1
