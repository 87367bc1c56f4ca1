"""GLO: a generator, and a latent of its own for every image, trained by reconstruction alone.

Bojanowski et al. 2018, as DEGAS (Doveh & Giryes 2019, sec. 3.2) uses it: one SGD step on weights
and latents from one backward pass, latents brought back to the unit ball; then, while the network
is a supernet, one first-order Adam step on alpha. No discriminator is needed.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import cos, pi

import torch
from torch import Tensor, nn

from gan_nas.data.batches import Batches
from gan_nas.machine.ranks import ALONE, Ranks
from gan_nas.networks.simulation import Idle
from gan_nas.networks.states import Saved, saved_module, saved_optimizer, saved_tensors
from gan_nas.search.degas.config import Config
from gan_nas.search.degas.latents import initial_latents, project
from gan_nas.search.degas.losses import reconstruction_loss
from gan_nas.search.logits import Logits
from gan_nas.training.descent import adam, gradients
from gan_nas.training.losses import full
from gan_nas.training.precision import autocast
from gan_nas.training.splitting import split


class GLO:
    """The state of a search, or of one network's training where there is no alpha.

    images: uint8 (n, C, S, S), on the network's device or the host; the network is in float32. The
    `ranks` share the work of each step.
    """

    def __init__(
        self,
        config: Config,
        network: nn.Module,
        images: Tensor,
        alpha: Logits | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        self.config, self.network, self.alpha = config, network.train(), alpha
        self.ranks, self._split = ranks, split(network, ranks)
        self.weights = list(network.parameters())
        self.device = self.weights[0].device
        self.optimizer = self._sgd()
        if alpha is not None:
            alpha.requires_grad_(False)
            self.alpha_optimizer = self._adam(list(alpha.parameters()))
        self.batches = Batches(images, config.batch_size, config.seed, device=self.device)
        self.alpha_batches = Batches(
            images, config.batch_size, config.seed, "alpha data order", device=self.device
        )
        self.latents = torch.empty(len(images), config.latent_dim, device=self.device)

    def _sgd(self) -> torch.optim.Optimizer:
        config = self.config
        if self.device.type == "meta":
            return Idle(self.weights, config.lr, num_buffers=1)
        return torch.optim.SGD(
            self.weights, config.lr, config.momentum, weight_decay=config.weight_decay, fused=True
        )

    def _adam(self, alpha: list[nn.Parameter]) -> torch.optim.Optimizer:
        config = self.config
        return adam(
            alpha,
            config.architecture_lr,
            (config.architecture_beta1, config.architecture_beta2),
            config.architecture_weight_decay,
        )

    def start(self) -> None:
        """Give every image its first latent."""
        config = self.config
        images = self.batches.images
        self.latents = initial_latents(
            images, config.latent_dim, config.latent_start, config.seed, self.device
        )
        if config.latent_space == "sphere":
            self.latents = nn.functional.normalize(self.latents)

    def lr_at(self, step: int) -> float:
        """Return the weights' learning rate: a cosine from lr to lr_last, in steps (DARTS)."""
        config = self.config
        level = step * config.lr_levels // config.iterations
        return (
            config.lr_last
            + (config.lr - config.lr_last) * (1 + cos(pi * level / config.lr_levels)) / 2
        )

    def step(self, step: int) -> Tensor:
        """Update the weights and the latents of batch `step`; returns the loss."""
        lr = self.lr_at(step)
        indices = self.batches.indices(step)
        z = self.latents[indices].requires_grad_()
        loss = self._loss(z, indices)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.ranks.add_gradients(self.weights)
        nn.utils.clip_grad_norm_(self.weights, self.config.clip_norm)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.step()
        assert z.grad is not None
        # Added, not written: an image may be in a batch twice, at an epoch's border.
        self.latents.index_add_(0, indices, z.grad, alpha=-lr * self.config.latent_lr_ratio)
        self.latents[indices] = self._projected(self.latents[indices])
        return loss.detach()

    def alpha_step(self, step: int) -> Tensor:
        """Update alpha with weights, latents and norms as they are; returns the loss."""
        assert self.alpha is not None
        same = self.config.alpha_data == "same"
        indices = (self.batches if same else self.alpha_batches).indices(step)
        alpha = list(self.alpha.parameters())
        frozen = gradients(self.weights, needed=False), batch_statistics(self.network)
        with frozen[0], frozen[1], gradients(alpha, needed=True):
            loss = self._loss(self.latents[indices], indices)
            self.alpha_optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.ranks.add_gradients(alpha)
            self.alpha_optimizer.step()
        return loss.detach()

    @torch.no_grad()
    def reconstruct(self, indices: Tensor, weights: Mapping[str, Tensor] | None = None) -> Tensor:
        """Return float32 images (N, C, S, S) in [-1, 1] of the latents of these images.

        Norms use the batch's statistics and remember nothing. `weights` replace alpha's; without
        any a supernet computes the architecture it is set to.
        """
        with batch_statistics(self.network):
            return self._generate(self.network, self.latents[indices], weights)

    def loss_of(self, num: int, weights: Mapping[str, Tensor] | None = None) -> float:
        """Return the mean loss of `num` images, evenly spaced over the set.

        In batches of nearly the same size, none smaller than those of a step if `num` allows: norms
        use the statistics of each, and know none of a single pixel.
        """
        rows = torch.linspace(0, len(self.latents) - 1, num, device=self.device).round().long()
        batches = torch.tensor_split(rows, max(1, num // self.config.batch_size))
        losses = [
            len(batch) * self._compare(self.reconstruct(batch, weights), batch) for batch in batches
        ]
        return float(torch.stack(losses).sum() / num)

    def mixture(self) -> dict[str, Tensor]:
        """Return the weights of all operations, or none where there is no alpha."""
        return self.alpha.weights() if self.alpha is not None else {}

    def is_finite(self) -> bool:
        """Tell whether weights, latents and alpha hold finite numbers alone; waits for the device.

        A loss can be finite though the gradients after it were not.
        """
        tensors = [*self.weights, self.latents]
        if self.alpha is not None:
            tensors.extend(self.alpha.parameters())
        return bool(torch.stack([tensor.detach().isfinite().all() for tensor in tensors]).all())

    def saved(self) -> dict[str, Saved]:
        """Return what a checkpoint keeps."""
        groups = {
            "network": saved_module(self.network),
            "optimizer": saved_optimizer(self.optimizer, self.network),
            "latents": saved_tensors({"latents": self.latents}),
        }
        if self.alpha is not None:
            groups["alpha"] = saved_module(self.alpha)
            groups["alpha_optimizer"] = saved_optimizer(self.alpha_optimizer, self.alpha)
        return groups

    def _loss(self, z: Tensor, indices: Tensor) -> Tensor:
        return self._compare(self._generate(self._split, z, self.mixture()), indices)

    def _generate(
        self, network: nn.Module, z: Tensor, weights: Mapping[str, Tensor] | None
    ) -> Tensor:
        with autocast(self.device, self.config.precision):
            images: Tensor = network(z, weights) if weights else network(z)
        return full(images)

    def _compare(self, images: Tensor, indices: Tensor) -> Tensor:
        config = self.config
        target = self.batches.of(indices)
        return reconstruction_loss(images, target, config.l2_weight, config.laplacian_weight)

    def _projected(self, z: Tensor) -> Tensor:
        return nn.functional.normalize(z) if self.config.latent_space == "sphere" else project(z)


@contextmanager
def batch_statistics(network: nn.Module) -> Iterator[None]:
    """Let batch norms use the statistics of what they see for a while, and keep none of it."""
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    kept = [(norm.running_mean, norm.running_var) for norm in norms]
    network.eval()
    for norm in norms:
        norm.running_mean = norm.running_var = None
    try:
        yield
    finally:
        for norm, (mean, variance) in zip(norms, kept, strict=True):
            norm.running_mean, norm.running_var = mean, variance
        network.train()
