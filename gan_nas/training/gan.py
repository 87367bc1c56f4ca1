"""A GAN in training: networks, optimisers and moving average; one state, two steps."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal

import torch
from torch import Tensor, nn

from gan_nas.machine.ranks import ALONE, Ranks
from gan_nas.networks.initialisation import Initialisation, initialise
from gan_nas.networks.spectral import power_iteration_held
from gan_nas.networks.states import Saved, saved_module, saved_optimizer, saved_tensors
from gan_nas.streams import stream
from gan_nas.training.descent import IdleWeights, adam, capturable, descend, gradients
from gan_nas.training.losses import full
from gan_nas.training.objectives import Hinge, Objective, Random
from gan_nas.training.precision import Autocast, Precision, autocast
from gan_nas.training.recording import WARM_UP, Recorded
from gan_nas.training.splitting import split

Turn = Literal["last", "first"]
Augment = Callable[[Tensor, torch.Generator], Tensor]
HINGE = Hinge()


class GAN:
    """Trains a generator against a discriminator.

    Both networks lie on one device, in float32. Trained is what requires a gradient when the GAN
    is made; the moving average covers the generator's other parameters too. `precision` bf16
    computes forward passes under autocast; weights, spectral norm, losses and the moving average
    stay float32. `ema_decay` 0 keeps no average; `ema_warm_start` lowers the decay to
    (1 + n) / (10 + n) in the first steps n.
    `idle_weights` skipped leaves weights that a step did not use, and their moments, alone; decayed
    gives them zero gradients, from their first use on, so that Adam's moments of them decay, as
    PyTorch did by default before version 2.0.
    `objective` holds the losses; those with a penalty between images or dropout need a stream of
    random numbers in every step, and some need real images in the generator's (`Objective.reals`).
    `augment` is what happens to all images before the discriminator sees them, by that stream too.
    `micro_batch` is how many images of either kind pass the networks at once; see `_descend`. The
    `ranks` are the processes that share the work of each step, all of which get the whole batches.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        generator_lr: float,
        discriminator_lr: float,
        betas: tuple[float, float],
        ema_decay: float,
        ema_warm_start: bool,
        precision: Precision,
        objective: Objective = HINGE,
        augment: Augment | None = None,
        idle_weights: IdleWeights = "skipped",
        micro_batch: int | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        self.micro_batch, self.ranks = micro_batch, ranks
        self.generator = generator.train()
        self.discriminator = discriminator.train()
        self.generator_weights = [p for p in generator.parameters() if p.requires_grad]
        self.discriminator_weights = [p for p in discriminator.parameters() if p.requires_grad]
        self.generator_optimizer = adam(self.generator_weights, generator_lr, betas)
        self.discriminator_optimizer = adam(self.discriminator_weights, discriminator_lr, betas)
        self.ema_decay, self.ema_warm_start = ema_decay, ema_warm_start
        self.precision, self.objective, self.augment = precision, objective, augment
        self.idle_weights = idle_weights
        self._learning_rates, self._beta1 = (generator_lr, discriminator_lr), betas[0]
        self.generator_steps = 0
        self._averages = [p.detach().clone() for p in generator.parameters()] if ema_decay else []
        # What a step calls; `compile` replaces them.
        self._generate: Callable[[Tensor], Tensor] = split(generator, ranks)
        self._discriminate = split(discriminator, ranks)
        self._recorded: tuple[Recorded[GAN], Recorded[GAN]] | None = None

    @property
    def device(self) -> torch.device:
        """Return where the networks are."""
        return next(self.generator.parameters()).device

    def compile(self) -> None:
        """Let torch.compile fuse both networks' training passes."""
        self._generate = torch.compile(self.generator)
        self._discriminate = torch.compile(self.discriminator)  # type: ignore[assignment]

    def record(self) -> None:
        """Let a GPU record the kernels of both steps and repeat them at one launch (`Recorded`).

        The networks then have to compute the same way in every step: no paths that change, and
        `idle_weights` skipped. To be called before the first step.
        """
        for optimizer in self._optimizers:
            capturable(optimizer)
        self._recorded = (
            Recorded(self, GAN._descend_discriminator, GAN._constants),
            Recorded(self, GAN._descend_generator, GAN._constants),
        )

    @property
    def warm_up(self) -> int:
        """Return how many first steps take another time than those after them."""
        return WARM_UP + 1 if self._recorded else 1

    def set_rates(self, lr_factor: float, beta2: float) -> None:
        """Set both learning rates to their first values times a factor, and Adam's second decay."""
        for optimizer, first in zip(self._optimizers, self._learning_rates, strict=True):
            group, rate = optimizer.param_groups[0], lr_factor * first
            group["betas"] = self._beta1, beta2
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def discriminator_step(self, real: Tensor, z: Tensor, random: Random = None) -> Tensor:
        """Update the discriminator; returns its loss as a scalar on the device.

        real: float32 (N, C, S, S) in [-1, 1]; z: (M, latent_dim).
        """
        if self._recorded:
            return self._recorded[0](real, z, random)
        return self._descend_discriminator(real, z, random)

    def generator_step(
        self, z: Tensor, random: Random = None, real: Tensor | None = None
    ) -> Tensor:
        """Update the generator and its average; returns its loss as a scalar on the device.

        `real` are real images, for objectives that need some. The discriminator is frozen: its
        weights get no gradient, its power iteration goes on.
        """
        if self._recorded:
            loss = self._recorded[1](z, random, real)
        else:
            loss = self._descend_generator(z, random, real)
        self._update_averages()
        self.generator_steps += 1
        return loss

    def discriminator_loss(self, real: Tensor, z: Tensor, random: Random = None) -> Tensor:
        """Return the discriminator's loss; the generator's graph is never built."""
        with self._autocast(), torch.no_grad():
            fake = self._generate(z)
        real = self._shown(_like_weights(real, fake), random)
        fake = self._shown(full(fake), random)
        with self._autocast() if self.objective.half_precision else nullcontext():
            return self.objective.discriminator_loss(self._discriminate, real, fake, random)

    def generator_loss(
        self, z: Tensor, random: Random = None, real: Tensor | None = None
    ) -> Tensor:
        """Return the generator's loss."""
        with self._autocast():
            fake = self._generate(z)
            if real is not None:
                real = self._shown(_like_weights(real, fake), random)
            fake = self._shown(fake, random)
            return self.objective.generator_loss(self._discriminate, real, fake, random)

    @contextmanager
    def averaged(self) -> Iterator[nn.Module]:
        """Lend the generator with its averaged weights, in eval mode; buffers are the live ones."""
        self._swap()
        self.generator.eval()
        try:
            yield Autocast(self.generator, self.precision).eval()
        finally:
            self.generator.train()
            self._swap()

    @torch.no_grad()
    def take_average(self) -> None:
        """Replace the generator's weights by their average, which goes on from where it is."""
        for parameter, average in zip(self.generator.parameters(), self._averages, strict=False):
            parameter.copy_(average)

    def is_finite(self) -> bool:
        """Tell whether all weights are finite numbers; waits for the device.

        A loss can be finite though the gradients after it were not.
        """
        weights = (*self.generator.parameters(), *self.discriminator.parameters())
        return bool(torch.stack([weight.detach().isfinite().all() for weight in weights]).all())

    def saved(self) -> dict[str, Saved]:
        """Return what a checkpoint keeps; `generator_steps` is apart."""
        names = [name for name, _ in self.generator.named_parameters()]
        return {
            "generator": saved_module(self.generator),
            "discriminator": saved_module(self.discriminator),
            "averages": saved_tensors(dict(zip(names, self._averages, strict=False))),
            "generator_optimizer": self._saved(self.generator_optimizer, self.generator),
            "discriminator_optimizer": self._saved(
                self.discriminator_optimizer, self.discriminator
            ),
        }

    @property
    def _optimizers(self) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
        return self.generator_optimizer, self.discriminator_optimizer

    def _constants(self) -> object:
        """Return what the steps depend on that is no tensor, and may change between them."""
        return self.objective, *(opt.param_groups[0]["betas"] for opt in self._optimizers)

    def _descend_discriminator(self, real: Tensor, z: Tensor, random: Random) -> Tensor:
        return self._descend(
            self.discriminator_optimizer,
            lambda real, z: self.discriminator_loss(real, z, random),
            (real, z),
        )

    def _descend_generator(self, z: Tensor, random: Random, real: Tensor | None) -> Tensor:
        with gradients(self.discriminator_weights, needed=False):
            given = (z,) if real is None else (z, real)
            return self._descend(
                self.generator_optimizer,
                lambda z, real=None: self.generator_loss(z, random, real),
                given,
            )

    def _descend(
        self,
        optimizer: torch.optim.Optimizer,
        loss_of: Callable[..., Tensor],
        given: tuple[Tensor, ...],
    ) -> Tensor:
        """Take one step of an optimiser down the loss of these tensors; returns the loss.

        With a `micro_batch` their gradients are those of parts, one after the other, and added up:
        equal to the whole batch's up to rounding, with memory for one part. Batch norms, however,
        know but the statistics of a part, and what each part draws (dropout, DiffAugment) is other
        than for all at once. There is one power iteration, in the first part, unless a pass makes
        more.
        """
        num, size = len(given[0]), self.micro_batch
        if size is None or size >= num:
            loss = loss_of(*given)
            descend(optimizer, loss, self.idle_weights, self.ranks)
            return loss.detach()
        assert self.ranks.size == 1, "the parts of a batch are those of the processes"
        optimizer.zero_grad(set_to_none=self.idle_weights == "skipped")
        shares = []
        for number, part in enumerate(zip(*(torch.split(x, size) for x in given), strict=True)):
            first = number == 0
            networks = self.generator, self.discriminator
            with nullcontext() if first else power_iteration_held(*networks):
                share = loss_of(*part) * (len(part[0]) / num)
                share.backward()  # type: ignore[no-untyped-call]
            shares.append(share.detach())
        optimizer.step()
        return torch.stack(shares).sum()

    def _saved(self, optimizer: torch.optim.Optimizer, network: nn.Module) -> Saved:
        saved = saved_optimizer(optimizer, network)
        if self.idle_weights == "skipped":
            return saved

        def load(tensors: Mapping[str, Tensor]) -> None:
            saved.load(tensors)
            for parameter in optimizer.state:
                parameter.grad = torch.zeros_like(parameter, requires_grad=False)

        return saved._replace(load=load)

    def _update_averages(self) -> None:
        if self._averages:
            decay, n = self.ema_decay, self.generator_steps
            if self.ema_warm_start:
                decay = min(decay, (1 + n) / (10 + n))
            live = [p.detach() for p in self.generator.parameters()]
            torch._foreach_lerp_(self._averages, live, 1 - decay)

    def _swap(self) -> None:
        """Exchange live and averaged weights, without copying."""
        for parameter, average in zip(self.generator.parameters(), self._averages, strict=False):
            parameter.data, average.data = average.data, parameter.data

    def _shown(self, images: Tensor, random: Random) -> Tensor:
        """Return images as the discriminator sees them."""
        if self.augment is None:
            return images
        assert random is not None, "augmentation needs a stream of random numbers"
        return self.augment(full(images), random)

    def _autocast(self) -> AbstractContextManager[object]:
        return autocast(self.device, self.precision)


def generator_moves(step: int, num_critic: int, turn: Turn) -> bool:
    """Tell whether the generator is updated right after the discriminator's step, counted from 0.

    It has one turn in a cycle of `num_critic` steps: after the last of them, or after the first, as
    in AutoGAN's and AdversarialNAS' published loops, which ask whether the count divides by five.
    """
    return step % num_critic == (0 if turn == "first" else num_critic - 1)


def generator_moves_before(step: int, num_critic: int, turn: Turn) -> int:
    """Count the generator's updates in so many steps of the discriminator."""
    return (step + num_critic - 1 if turn == "first" else step) // num_critic


def fresh(
    network: nn.Module,
    seed: int,
    purpose: str,
    device: torch.device,
    rule: Initialisation = "xavier",
) -> nn.Module:
    """Initialise a network made on the meta device and bring it to the device of training.

    Weights are drawn on the CPU, the same on every device; convolutions lie in channels_last.
    """
    if device.type == "meta":  # for counting: there is nothing to initialise
        return network.to(memory_format=torch.channels_last)
    network.to_empty(device="cpu")
    initialise(network, stream(seed, purpose), rule)
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


@contextmanager
def reestimated_norms(network: nn.Module, z: Tensor) -> Iterator[None]:
    """Give batch norms, for a while, the statistics of these latents (N, latent_dim) alone.

    The statistics of shared weights are averages over many architectures (or, under averaged
    weights, of other weights) and fit none of them.
    """
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    kept = [{k: t.clone() for k, t in norm.named_buffers()} for norm in norms]
    settings = [(norm.momentum, norm.training) for norm in norms]
    try:
        for norm in norms:
            norm.momentum = 1.0  # one batch replaces what was there
            norm.train()
        with torch.no_grad():
            network(z)
        for norm in norms:
            norm.eval()
        yield
    finally:
        for norm, buffers, (momentum, training) in zip(norms, kept, settings, strict=True):
            norm.momentum = momentum
            norm.train(training)
            for name, buffer in norm.named_buffers():
                buffer.copy_(buffers[name])


def _like_weights(real: Tensor, fake: Tensor) -> Tensor:
    """Give real images the memory format of the fakes, so that joining them keeps it."""
    if fake.is_contiguous(memory_format=torch.channels_last):
        return real.contiguous(memory_format=torch.channels_last)
    return real
