"""Steps down a loss: Adam, whose gradients are wanted, and what becomes of idle weights."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor

from gan_nas.machine.ranks import ALONE, Ranks
from gan_nas.networks.simulation import Idle

IdleWeights = Literal["skipped", "decayed"]


def adam(
    weights: Sequence[Tensor],
    learning_rate: float,
    betas: tuple[float, float],
    weight_decay: float = 0.0,
) -> torch.optim.Optimizer:
    """Return a fused Adam; on the meta device one that only takes its memory."""
    if any(weight.is_meta for weight in weights):
        return Idle(weights, learning_rate, num_buffers=2)
    return torch.optim.Adam(weights, learning_rate, betas, weight_decay=weight_decay, fused=True)


def capturable(optimizer: torch.optim.Optimizer) -> None:
    """Let an Adam's steps be recorded: its learning rate becomes a tensor beside the weights."""
    group = optimizer.param_groups[0]
    device = group["params"][0].device
    group.update(lr=torch.tensor(group["lr"], device=device), capturable=True)


def descend(
    optimizer: torch.optim.Optimizer,
    loss: Tensor,
    idle_weights: IdleWeights = "skipped",
    ranks: Ranks = ALONE,
) -> None:
    """Take one step of an optimiser down a loss, whose gradients the ranks have parts of."""
    optimizer.zero_grad(set_to_none=idle_weights == "skipped")
    loss.backward()  # type: ignore[no-untyped-call]
    ranks.add_gradients(weight for group in optimizer.param_groups for weight in group["params"])
    optimizer.step()


@contextmanager
def gradients(parameters: Sequence[Tensor], *, needed: bool) -> Iterator[None]:
    """Let parameters require a gradient, or none, for a while; then it is the other way round."""
    for parameter in parameters:
        parameter.requires_grad_(needed)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(not needed)
