"""The settings of AdversarialNAS' search, and the sets of them that have a name.

`published` is the authors' search script and what their code makes of it (chengaopro/AdversarialNAS
at d7ea5e0) on CIFAR-10; `repo` is another name for it. `paper` does otherwise:
- iterations, batch_size, generator_batch_size: the text's 2,500 generator updates and batches of
  100; the script has 24 epochs of 417 batches of 120
- architecture_beta2: 0.9, as the text prints; the code has 0.999
- generator_turn: after all of the discriminator's steps, as Algorithm 1 has it
- passes: the text is silent; one pass of both halves takes less time
- first_cell_logits: one for each operation, as eq. 1 has it
- tau_start_level: the decay begins at its first temperature; the script trains nothing at it
- average_replaces: scores leave the search as it is
- derivation: the best by log-probability; the code repairs nodes greedily, and its discriminator's
  softmax goes over edges
- score_every, derive_every: the text is silent; the script's are ten epochs and one
- num_splits: one split is less biased

What no setting repeats: TensorFlow's Inception, three GPUs which draw their own noise, the streams
of random numbers, and the last, smaller batch of an epoch, where ours run on into the next one.
"""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from gan_nas.networks.initialisation import Initialisation
from gan_nas.search.adversarialnas.relaxation import Mixture, NoiseOn
from gan_nas.search.method import SearchConfig
from gan_nas.training.gan import Turn
from gan_nas.training.objectives import Passes
from gan_nas.training.precision import Precision


class Config(SearchConfig):
    """AdversarialNAS' settings; the defaults are the paper's, or its code's where it is silent.

    Where a default is the code's against the paper it says so, and the preset `paper` sets it.
    """

    seed: int = Field(default=0, ge=0)
    """Decides initialisation, data order, latents and noise."""
    resolution: int | None = Field(default=None, ge=16, le=512)
    """Side of the images, a multiple of 16; none takes the data's own."""
    iterations: int = Field(default=12_500, ge=1, le=10**9)
    """Rounds of Algorithm 1, each with an update of beta and of the discriminator; every
    num_critic-th also updates alpha and the generator (the paper's 2,500 iterations)."""
    discriminator: Literal["searched", "super", "sn_resnet", "autogan_grown"] = "searched"
    """What the generator is searched against: a discriminator searched beside it, or, as in the
    paper's SingalNAS, a fixed one: all operations with equal weights, SN-GAN's, or the same grown
    from one block to three at 1/3 and 2/3 of the iterations, at full resolution (our reading of a
    row of Table 3 that the paper does not explain)."""
    width: int = Field(default=160, ge=1, le=2048)
    """Channels of the generator in the search (the authors' search script)."""
    discriminator_width: int = Field(default=80, ge=1, le=2048)
    """Channels of the discriminator in the search (the authors' search script)."""
    derived_width: int = Field(default=256, ge=1, le=2048)
    """Generator width written into the genomes found; limits are counted at it."""
    derived_discriminator: Literal["sn_resnet", "searched"] = "sn_resnet"
    """Discriminator written into the genomes found: SN-GAN's, as the authors train with, or the
    best of those searched."""
    derived_discriminator_width: int = Field(default=128, ge=1, le=2048)
    """Discriminator width written into the genomes found."""
    latent_dim: int = Field(default=120, ge=1, le=2048)
    """Length of the latent vector, split over the cells."""
    num_latent_parts: Literal[1, 2, 3] = 3
    """Cells that a part of the latent vector joins."""
    batch_size: int = Field(default=100, ge=2, le=2**16)
    """Real images of an iteration: half for the discriminator's weights, half for beta."""
    generator_batch_size: int = Field(default=100, ge=1, le=2**16)
    """Latents of an update of alpha, and of the generator."""
    num_critic: int = Field(default=5, ge=1, le=1000)
    """Iterations for one update of alpha and of the generator."""
    generator_turn: Turn = "first"
    """The iteration of these that has this update: the first, as in the published code, or the
    last, as in Algorithm 1."""
    generator_lr: float = Field(default=2e-4, gt=0, le=1)
    """Adam's learning rate of the generator's weights."""
    discriminator_lr: float = Field(default=2e-4, gt=0, le=1)
    """Adam's learning rate of the discriminator's weights."""
    beta1: float = Field(default=0.0, ge=0, lt=1)
    """Adam's first decay, weights of both networks."""
    beta2: float = Field(default=0.9, ge=0, lt=1)
    """Adam's second decay, weights of both networks."""
    architecture_lr: float = Field(default=3e-4, gt=0, le=1)
    """Adam's learning rate of alpha and beta."""
    architecture_beta1: float = Field(default=0.5, ge=0, lt=1)
    """Adam's first decay, alpha and beta."""
    architecture_beta2: float = Field(default=0.999, ge=0, lt=1)
    """Adam's second decay, alpha and beta: the code's; the paper prints 0.9, as its preset has."""
    architecture_weight_decay: float = Field(default=1e-4, ge=0)
    """L2 penalty in the gradients of alpha and beta."""
    architecture_start: float = Field(default=0.0, ge=0, lt=1)
    """Part of the iterations that train weights alone, before alpha and beta first move; 0, as in
    the paper, trains all from the start."""
    mixture: Mixture = "gumbel"
    """Weights of an edge's operations: with Gumbel noise and temperature, or plain softmax."""
    noise_on: NoiseOn = "prob"
    """Add the noise to probabilities, as paper and code do, which keeps the choice near uniform
    (the best operation leads in 31 % of draws even at probability 1), or to their logarithms."""
    hard: bool = False
    """Compute only the drawn operation of an edge, with the soft weight's gradient."""
    tau_first: float = Field(default=5.0, gt=0)
    """Temperature of the noisy softmax at the start."""
    tau_last: float = Field(default=0.1, gt=0)
    """Temperature it decays to, exponentially."""
    tau_levels: int = Field(default=25, ge=1)
    """Steps of that decay, spread evenly over the iterations."""
    tau_start_level: int = Field(default=0, ge=0)
    """The step it starts at: 1 in the published script, whose first trains nothing."""
    passes: Passes = "together"
    """Real and fake images through the discriminator together, with one power iteration and one
    draw of noise, or apart, with two, as in the published code."""
    first_cell_logits: Literal[5, 7] = 5
    """Logits of the edges that leave the image: one for each operation, or seven of which two
    stand for nothing, as in the published code."""
    discriminator_init: Initialisation = "default"
    """Weights the discriminator's convolutions start from: PyTorch's default, which the published
    code comes down to on a GPU, or the Xavier draw it intends."""
    ema_decay: float = Field(default=0.999, ge=0, lt=1)
    """Moving average of the generator and alpha, for scores and samples alone; 0 takes live ones.
    Architectures are always derived from the raw alpha."""
    average_replaces: bool = False
    """Let it take the place of the raw weights, and alpha's, after each score but the last: the
    published script loads it to score, and does not go back."""
    ema_warm_start: bool = False
    """Lower the decay to (1 + n) / (10 + n) in the first generator steps n."""
    precision: Precision = "float32"
    """Forward passes: float32, or bf16 under autocast."""
    derive_every: int = Field(default=500, ge=1)
    """Iterations between architectures that are kept for the history."""
    score_every: int = Field(default=2_500, ge=1)
    """Iterations between scores of the supernet; the last is always scored."""
    num_scored: int = Field(default=5_000, ge=2, le=10**6)
    """Images the supernet is scored by."""
    num_splits: int = Field(default=1, ge=1, le=100)
    """Parts a classifier score is averaged over."""
    num_reference: int | None = Field(default=None, ge=2)
    """Training images of the distance's reference, evenly spaced; none takes all."""
    derivation: Literal["exact", "published"] = "exact"
    """The first of them: that of highest log-probability, or the likeliest operation of each edge
    with the code's repairs (its discriminator's by a softmax over edges, an oversight). Under
    limits it is always the former."""
    log_every: int = Field(default=100, ge=1, le=1000)
    """Iterations between lines of the log."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.latent_dim % self.num_latent_parts:
            raise ValueError(
                f"latent_dim {self.latent_dim} cannot be split in {self.num_latent_parts} equal "
                f"parts; use a multiple of {self.num_latent_parts}"
            )
        if self.derived_discriminator == "searched" and self.discriminator != "searched":
            raise ValueError(
                f"derived_discriminator=searched needs discriminator=searched, which is "
                f"{self.discriminator}"
            )
        if self.tau_start_level >= self.tau_levels:
            raise ValueError(
                f"tau_start_level {self.tau_start_level} is not below tau_levels {self.tau_levels}"
            )
        if self.tau_last > self.tau_first:
            raise ValueError(
                f"tau_last {self.tau_last:g} is above tau_first {self.tau_first:g}; the "
                "temperature decays"
            )
        if self.hard and self.mixture != "gumbel":
            raise ValueError("hard=true draws operations and needs mixture=gumbel")
        return self


# demo and small were found by trial on two CPU cores. One operation a step, drawn by
# log-probability, is what made the search do no harm: as published, with noise on probabilities and
# all operations mixed, it took 5x5 convolutions nearly everywhere. A hundred times the paper's
# learning rate, after weights have had a fifth of the time, lets alpha choose (docs/evidence.md).
# In the script the first of 25 epochs, at temperature 5, trains nothing; it scores every tenth and
# the last, on a number of images that is not known to us.
PRESETS: dict[str, dict[str, Any]] = {
    "demo": {
        "resolution": 16,
        "iterations": 1_500,
        "width": 16,
        "discriminator_width": 16,
        "derived_width": 16,
        "derived_discriminator_width": 16,
        "batch_size": 32,
        "generator_batch_size": 16,
        "num_critic": 1,
        "generator_lr": 5e-4,
        "discriminator_lr": 1e-3,
        "architecture_lr": 3e-2,
        "architecture_start": 0.2,
        "hard": True,
        "noise_on": "logprob",
        "ema_decay": 0.99,
        "ema_warm_start": True,
        "derive_every": 75,
        "score_every": 300,
        "num_scored": 500,
        "save_every": 100,
        "log_every": 25,
    },
    "paper": {"architecture_beta2": 0.9, "generator_turn": "last"},
    "published": {
        "iterations": 10_008,
        "batch_size": 120,
        "generator_batch_size": 120,
        "generator_turn": "first",
        "architecture_beta2": 0.999,
        "tau_start_level": 1,
        "passes": "apart",
        "first_cell_logits": 7,
        "average_replaces": True,
        "precision": "float32",
        "derive_every": 417,
        "score_every": 4_170,
        "num_splits": 10,
        "derivation": "published",
    },
}
PRESETS["repo"] = PRESETS["published"]
PRESETS["small"] = PRESETS["demo"] | {
    "resolution": None,
    "iterations": 2_400,
    "width": 32,
    "discriminator_width": 32,
    "derived_width": 32,
    "derived_discriminator_width": 32,
    "score_every": 600,
    "num_scored": 2_000,
    "num_reference": 10_000,
}
