"""Passes of a critic made together are those made apart: values, and all gradients."""

import pytest
import torch
from torch import Tensor

from gan_nas.networks.builder import build_discriminator
from gan_nas.networks.ctgan import Critic, Verdict
from gan_nas.spaces.ctgan import CTGANCritic
from gan_nas.streams import stream
from gan_nas.training.gan import fresh
from gan_nas.training.merged import both_scores, three_verdicts

CPU = torch.device("cpu")


def critic(dropout: tuple[float, float, float]) -> Critic:
    with torch.device("meta"):
        genome = CTGANCritic(space="ctgan", width=8, dropout=dropout)
        network = build_discriminator(genome, 16, 3)
    network = fresh(network, 0, "critic", CPU, "he").double()
    assert isinstance(network, Critic)
    return network


def images(name: str) -> Tensor:
    drawn = torch.rand(4, 3, 16, 16, generator=stream(0, name), device=CPU)
    return (drawn.double() * 2 - 1).requires_grad_()


def with_gradients(network: Critic, outputs: list[Tensor], *inputs: Tensor) -> list[Tensor]:
    weights = [torch.linspace(-1, 1, y.numel(), device=CPU).view_as(y) for y in outputs]
    loss = torch.stack([(y * w).sum() for y, w in zip(outputs, weights, strict=True)]).sum()
    trained = [*inputs, *network.parameters()]
    return [
        *outputs,
        *torch.autograd.grad(loss, trained, allow_unused=True, materialize_grads=True),
    ]


@pytest.mark.parametrize(
    "dropout", [(0.0, 0.0, 0.0), (0.3, 0.0, 0.0), (0.0, 0.3, 0.0), (0.0, 0.0, 0.3)]
)
def test_passes_together_are_passes_apart(dropout: tuple[float, float, float]) -> None:
    network, real, fake = critic(dropout), images("real"), images("fake")
    random = stream(0, "dropout")
    apart = [network.verdict(network.look(x), random) for x in (real, real, fake)]
    joined = three_verdicts(network, real, fake, stream(0, "dropout"))
    assert torch.equal(apart[0].scores, apart[1].scores) == (not any(dropout))

    def flat(verdicts: list[Verdict] | tuple[Verdict, ...]) -> list[Tensor]:
        return [part for verdict in verdicts for part in verdict]

    pairs = zip(
        with_gradients(network, flat(joined), real, fake),
        with_gradients(network, flat(apart), real, fake),
        strict=True,
    )
    for ours, theirs in pairs:
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_scores_together_are_scores_apart() -> None:
    network, real, fake = critic((0.2, 0.5, 0.5)), images("real"), images("fake")
    together = with_gradients(network, list(both_scores(network, real, fake)), real, fake)
    apart = with_gradients(network, [network(real), network(fake)], real, fake)
    for ours, theirs in zip(together, apart, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
