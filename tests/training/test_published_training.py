"""Training by the preset `published` computes what the authors' loop computed, step by step."""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from golden_autogan import canonical_discriminator_key
from plain_autogan import PlainDiscriminator, plain_key
from torch import Tensor
from torch.nn import functional as F

from gan_nas.configs import resolve
from gan_nas.metrics.backbone import Backbone
from gan_nas.runs.ledger import Ledger
from gan_nas.runs.run import Run
from gan_nas.scoring.scorer import Scorer
from gan_nas.spaces.published import published_genome
from gan_nas.training.config import TrainingConfig, presets_for
from gan_nas.training.units import Training

SIZES = {"steps": 3, "num_scored": 50, "batch_size": 4, "generator_batch_size": 6, "log_every": 2}
GENOMES = ["autogan-cifar10-top3", "adversarialnas-cifar10"]


@pytest.fixture
def float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


class Doubled:
    """Batches in float64."""

    def __init__(self, batches: Any) -> None:
        self.batches = batches

    def at(self, step: int) -> Tensor:
        return self.batches.at(step).double()


def largest_difference(directory: Path, name: str, **changes: Any) -> float:
    """Train for three cycles; return the largest distance of two weights from the authors' loop's.

    It is written out with a discriminator of stock layers, whose turn comes first in each cycle of
    five, and counted in steps of Adam's rate.
    """
    genome = published_genome(name).resized(4, 4)
    presets = presets_for(genome.generator.space)
    config = resolve(TrainingConfig, presets["published"] | SIZES | changes)
    run = Run.open(directory, config.model_dump(mode="json"))
    network = tiny.Features().float()
    backbone = Backbone("classifier", "tiny", side=8, channels=1, labelled=True, network=network)
    scorer = Scorer(backbone, tiny.digits().at(32), 32)
    training = Training(genome, config, run, Ledger(run), scorer, tiny.CPU, None)
    training.steps.batches = Doubled(training.steps.batches)  # type: ignore[assignment]
    gan = training.gan
    generator, discriminator = deepcopy(gan.generator), PlainDiscriminator(4, 1)
    started = gan.discriminator.state_dict()
    named = {canonical_discriminator_key(key): tensor for key, tensor in started.items()}
    for key, tensor in discriminator.state_dict().items():
        tensor.copy_(named[plain_key(key)])
    average = [p.detach().clone() for p in generator.parameters()]
    of_g, of_d = (
        torch.optim.Adam(network.parameters(), 2e-4, betas=(0.0, 0.9))
        for network in (generator, discriminator)
    )
    g_steps = 0
    for step in range(15):
        real = training.steps.batches.at(step)
        fake = generator(training.steps.latents("discriminator latents", step, 4)).detach()
        loss = F.relu(1 - discriminator(real)).mean() + F.relu(1 + discriminator(fake)).mean()
        of_d.zero_grad()
        loss.backward()
        of_d.step()
        if step % 5 == 0:
            z = training.steps.latents("generator latents", g_steps, 6)
            of_g.zero_grad()
            (-discriminator(generator(z)).mean()).backward()
            of_g.step()
            g_steps += 1
            for mean, p in zip(average, generator.parameters(), strict=True):
                mean.mul_(0.999).add_(p.detach(), alpha=0.001)
    while training.step < 3:
        training.advance()
    ours = [*gan.generator.state_dict().values(), *gan._averages]
    theirs = [*generator.state_dict().values(), *average]
    trained = {plain_key(key): tensor for key, tensor in discriminator.state_dict().items()}
    for key, tensor in gan.discriminator.state_dict().items():
        ours.append(tensor)
        theirs.append(trained[canonical_discriminator_key(key)])
    return max(float((a - b).abs().max()) for a, b in zip(ours, theirs, strict=True)) / 2e-4


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", GENOMES)
def test_published_training_follows_the_authors_loop(tmp_path: Path, name: str) -> None:
    assert largest_difference(tmp_path, name) < 1e-4


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    "change", [{"passes": "together"}, {"generator_turn": "last"}, {"ema_decay": 0.99}], ids=str
)
def test_another_value_of_a_setting_leads_elsewhere(tmp_path: Path, change: dict[str, Any]) -> None:
    assert largest_difference(tmp_path, GENOMES[0], **change) > 0.01
