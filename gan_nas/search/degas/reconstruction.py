"""Reconstruction, iteration by iteration: what DEGAS' search and `reconstruct` have in common."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from pydantic import BaseModel
from torch import Tensor, nn

from gan_nas.data import Images
from gan_nas.data.batches import take
from gan_nas.machine.ranks import ALONE, Ranks
from gan_nas.networks.states import Saved
from gan_nas.runs.ledger import Ledger
from gan_nas.search.degas.config import Config
from gan_nas.search.degas.glo import GLO
from gan_nas.search.logits import Logits

NUM_SHOWN = 32  # pairs of original and reconstruction in a picture


class State(BaseModel):
    """Where it is."""

    step: int = 0
    """Iterations that are done."""


class Reconstruction:
    """A network that learns to reconstruct images, with alpha or without."""

    def __init__(
        self,
        config: Config,
        network: nn.Module,
        alpha: Logits | None,
        images: Images,
        side: int,
        device: torch.device,
        ledger: Ledger,
        state: State | None,
        ranks: Ranks = ALONE,
    ) -> None:
        self.config, self.ledger = config, ledger
        self.state = state or State()
        pixels = _chosen(images, config.num_images).at(side).to(device).train
        self.glo = GLO(config, network, pixels, alpha, ranks)
        self.weight_losses = ledger.window("weight_loss", config.log_every, device)
        if alpha is not None:
            self.alpha_losses = ledger.window("alpha_loss", config.log_every, device)
        if state is None:
            self.glo.start()

    @property
    def step(self) -> int:
        """Count the iterations that are done."""
        return self.state.step

    @property
    def finished(self) -> bool:
        """Tell whether all iterations are made."""
        return self.step == self.config.iterations

    def is_due(self, every: int) -> bool:
        """Tell whether something is done after this step; at the end everything is."""
        return self.step % every == 0 or self.finished

    def advance(self) -> None:
        """Make a step on weights and latents, and one on alpha; log and draw where it is due."""
        self.weight_losses.push(self.glo.step(self.step))
        start = self.config.architecture_start * self.config.iterations
        if self.glo.alpha is not None and self.step >= start:
            self.alpha_losses.push(self.glo.alpha_step(self.step))
        self.state.step += 1
        if self.is_due(self.config.log_every):
            self.log()
        if self.is_due(self.config.derive_every):
            self.draw()

    def log(self) -> None:
        """Write a line of the log and show the progress; raises RunFailed on NaN."""
        losses = self.ledger.losses(self.step)
        images = self.step * self.config.batch_size
        self.ledger.log(step=self.step, images=images, lr=self.glo.lr_at(self.step - 1), **losses)
        what = "search" if self.glo.alpha is not None else "reconstruction"
        self.ledger.show(f"{what} iterations", self.step, self.config.iterations, losses)

    def draw(self) -> None:
        """Draw originals, each beside its reconstruction; raises RunFailed rather than NaN."""
        self.ledger.losses(self.step)
        rows = _evenly(len(self.glo.latents), NUM_SHOWN, self.glo.device)
        made = self.glo.reconstruct(rows, self.glo.mixture())
        made = made.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
        originals = take(self.glo.batches.images, rows, self.glo.device)
        self.ledger.grid(torch.stack([originals, made], 1).flatten(0, 1), self.step)

    def loss(self, weights: Mapping[str, Tensor] | None = None) -> float:
        """Return the mean loss over evenly spaced images; see GLO.loss_of."""
        return self.glo.loss_of(min(self.config.num_scored, len(self.glo.latents)), weights)

    def saved(self) -> dict[str, Saved]:
        """Return what a checkpoint keeps."""
        return self.glo.saved()

    def verify(self) -> None:
        """Raise RunFailed rather than let NaN be saved: a loss can be finite before weights are."""
        self.ledger.losses(self.step)
        if not self.glo.is_finite():
            raise self.ledger.diverged(self.step, "a weight")


def _chosen(images: Images, num: int | None) -> Images:
    """Return the training images that get a latent."""
    size = len(images.train)
    if num is None or num >= size:
        return images
    rows = _evenly(size, num, images.train.device)
    return replace(images, train=images.train[rows], train_labels=None)


def _evenly(size: int, num: int, device: torch.device) -> Tensor:
    """Return `num` of the numbers below `size`, evenly spaced, or all where there are fewer."""
    num = min(num, size)
    return torch.arange(num, device=device) * size // num
