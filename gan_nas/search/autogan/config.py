"""The settings of AutoGAN's search, and the sets of them that have a name.

`published` is the authors' search script and what their code makes of it (VITA-Group/AutoGAN at
a5eeef0) on CIFAR-10; `repo` is another name for it. `paper` does otherwise:
- iterations, grow_at: 90 rounds, as the text and the code's defaults say; the script has 65
- entropy_weight: 1e-4, as the text says
- update: REINFORCE as the text describes it; the code adds up all pairs of tokens, and its entropy
  bonus lowers the entropy
- passes, generator_turn: the text is silent; one pass of both halves takes less time, and the
  generator's turn comes when the critic has had all of its steps
- discriminator_init: the Xavier draw that the code asks for, which on a GPU never arrives
- idle_weights: what an architecture does not use is left alone, as PyTorch does by now
- distinct: a beam of different parents; the code lets duplicates fill it
- candidates_from: parents are chosen by generators that were trained
- score_latents, num_splits: one set of latents for all children and one split: less noise and less
  bias in what ranks them
- norm_statistics: a child is judged by its own; the supernet's are averages over architectures
- reset_check_every: looking waits for the device

What no setting repeats: TensorFlow's Inception (`--backbone inception` computes the same features
and logits), its streams of random numbers, and the last, smaller batch of an epoch, where ours run
on into the next one.
"""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from gan_nas.errors import InvalidInput
from gan_nas.metrics.backbone import Backbone
from gan_nas.networks.initialisation import Initialisation
from gan_nas.search.method import SearchConfig
from gan_nas.training.descent import IdleWeights
from gan_nas.training.gan import Turn
from gan_nas.training.objectives import Passes
from gan_nas.training.precision import Precision


class Config(SearchConfig):
    """AutoGAN's settings; the defaults are the paper's, or its code's where it is silent."""

    seed: int = Field(default=0, ge=0)
    """Decides initialisation, data order, latents and architectures."""
    resolution: int | None = Field(default=None, ge=8, le=512)
    """Side of the last level's images, a multiple of 8; none takes the data's own."""
    levels: Literal["multi", "single"] = "multi"
    """Search cell by cell with a beam (sec. 3.3), or all cells at once with one controller."""
    iterations: int = Field(default=90, ge=1, le=100_000)
    """Rounds of shared training and controller training."""
    grow_at: tuple[int, int] = (25, 55)
    """Iterations before which the network grows by a cell."""
    width: int = Field(default=128, ge=1, le=2048)
    """Channels of the shared generator (the authors' search script)."""
    discriminator_width: int = Field(default=64, ge=1, le=2048)
    """Channels of the shared discriminator (the authors' search script)."""
    derived_width: int = Field(default=256, ge=1, le=2048)
    """Generator width written into the genomes found; limits are counted at it."""
    derived_discriminator_width: int = Field(default=128, ge=1, le=2048)
    """Discriminator width written into the genomes found."""
    latent_dim: int = Field(default=128, ge=1, le=2048)
    """Length of the latent vector."""
    skip_tap: Literal["post", "pre"] = "post"
    """Read skip features after the skips were added (code) or before (Fig. 2)."""
    discriminator_steps: int = Field(default=11_730, ge=1)
    """Discriminator steps of an iteration: 15 epochs of CIFAR-10 in batches of 64."""
    batch_size: int = Field(default=64, ge=1, le=2**16)
    """Real images in a discriminator step, and as many fakes."""
    generator_batch_size: int = Field(default=128, ge=1, le=2**16)
    """Latents in a generator step."""
    num_critic: int = Field(default=5, ge=1, le=1000)
    """Discriminator steps for one generator step."""
    generator_turn: Turn = "last"
    """The discriminator step of these that the generator's follows; the code: the first."""
    passes: Passes = "together"
    """Real and fake images through the discriminator together, with one power iteration, or apart,
    with two, as in the published code."""
    discriminator_init: Initialisation = "xavier"
    """Weights the discriminator starts from: the Xavier draw that the published code intends, or
    PyTorch's default, which it comes down to on a GPU: the networks are moved there first, and
    spectral norm then no longer reads the weights that are drawn."""
    idle_weights: IdleWeights = "skipped"
    """What Adam does with weights that an architecture leaves idle: nothing, or as the PyTorch of
    the time, which gave them zero gradients, so that their second moments decay."""
    generator_lr: float = Field(default=2e-4, gt=0, le=1)
    """Adam's learning rate of the shared generator."""
    discriminator_lr: float = Field(default=2e-4, gt=0, le=1)
    """Adam's learning rate of the shared discriminator."""
    beta1: float = Field(default=0.0, ge=0, lt=1)
    """Adam's first decay, both networks."""
    beta2: float = Field(default=0.9, ge=0, lt=1)
    """Adam's second decay, both networks."""
    ema_decay: float = Field(default=0.0, ge=0, lt=1)
    """Moving average of the shared weights that children are scored with; 0 scores live ones."""
    ema_warm_start: bool = False
    """Lower the decay to (1 + n) / (10 + n) in the first generator steps n."""
    precision: Precision = "float32"
    """Forward passes: float32, or bf16 under autocast."""
    reset_window: int = Field(default=500, ge=2, le=100_000)
    """Losses of each network whose variance triggers the dynamic reset (sec. 3.2)."""
    reset_threshold: float = Field(default=1e-3, ge=0)
    """Variance below which shared training stops and starts anew; 0 never resets."""
    reset_check_every: int = Field(default=50, ge=1)
    """Discriminator steps between looks at the windows: looking waits for the device (code: 1)."""
    log_every: int = Field(default=50, ge=1)
    """Discriminator steps between lines of the log; a line waits for the next look."""
    controller_steps: int = Field(default=30, ge=1)
    """Controller updates of an iteration."""
    controller_batch_size: int = Field(default=1, ge=1, le=1000)
    """Architectures of a controller update."""
    controller_lr: float = Field(default=3.5e-4, gt=0, le=1)
    """Adam's learning rate of the controller, with decays 0.0 and 0.9."""
    update: Literal["reinforce", "legacy"] = "reinforce"
    """REINFORCE as in sec. 3.3.2, or token by token as the authors' code computes it."""
    entropy_weight: float = Field(default=1e-4, ge=0)
    """Weight of the entropy bonus (the code has 1e-3)."""
    baseline_decay: float = Field(default=0.9, ge=0, lt=1)
    """Decay of the moving-average baseline."""
    normalise_advantage: bool = False
    """Divide the advantage by its running root mean square."""
    num_candidates: int = Field(default=10, ge=1, le=10_000)
    """Architectures drawn (M) when parents or results are chosen; distinct ones may be fewer: the
    first level has 36."""
    top_k: int = Field(default=5, ge=1, le=1000)
    """Of these, how many are kept (K)."""
    distinct: bool = True
    """Draw distinct candidates; the code lets duplicates fill the beam."""
    candidates_from: Literal["trained", "reset"] = "trained"
    """Where a reset is due when candidates are chosen: score them on the trained weights, before
    it, or on the new ones after it, as the code does."""
    reward: Literal["score", "frechet"] = "score"
    """An inception-style score, or one over the Frechet distance."""
    num_scored: int = Field(default=5_000, ge=2, le=10**6)
    """Images a child is scored by."""
    score_latents: Literal["same", "fresh"] = "same"
    """Latents of these: the same for all children, and a child is scored once while the shared
    weights stand still; or drawn anew, and scored anew, each time, as in the code."""
    num_splits: int = Field(default=1, ge=1, le=100)
    """Parts the score is averaged over; the code has 10, which biases it lower."""
    norm_statistics: Literal["child", "shared"] = "child"
    """Batch-norm statistics of a child: re-estimated for it, or the supernet's running ones."""
    num_norm_latents: int = Field(default=256, ge=2, le=2**16)
    """Latents they are re-estimated from."""
    max_macs: int | None = Field(default=None, ge=1)
    """Most multiply-adds of a derived generator, for an image, at the last level's resolution."""
    num_reference: int | None = Field(default=None, ge=2)
    """Training images of the distance's reference, evenly spaced; none takes all."""
    save_every: int = Field(default=500, ge=1)
    """Discriminator steps between checkpoints: what a crash may lose."""

    @model_validator(mode="after")
    def _grows_in_order(self) -> Self:
        first, second = self.grow_at
        if self.levels == "multi" and not 0 < first < second < self.iterations:
            raise ValueError(
                f"grow_at is {first},{second} with {self.iterations} iterations; it needs "
                "0 < first < second < iterations"
            )
        if self.update == "legacy" and self.controller_batch_size != 1:
            raise ValueError("update=legacy needs controller_batch_size=1")
        return self


# demo and small: found by trial on two CPU cores; paper is the defaults.
PRESETS: dict[str, dict[str, Any]] = {
    "demo": {
        "resolution": 16,
        "iterations": 10,
        "grow_at": (3, 6),
        "width": 16,
        "discriminator_width": 32,
        "derived_width": 16,
        "derived_discriminator_width": 16,
        "discriminator_steps": 150,
        "batch_size": 32,
        "generator_batch_size": 32,
        "num_critic": 1,
        "generator_lr": 5e-4,
        "discriminator_lr": 1e-3,
        "ema_decay": 0.99,
        "ema_warm_start": True,
        "controller_steps": 20,
        "controller_lr": 2e-3,
        "entropy_weight": 0.02,
        "normalise_advantage": True,
        "reward": "frechet",
        "num_scored": 500,
        "num_norm_latents": 128,
        "save_every": 50,
    },
    "paper": {},
    "published": {
        "iterations": 65,
        "grow_at": (15, 35),
        "generator_turn": "first",
        "passes": "apart",
        "discriminator_init": "default",
        "idle_weights": "decayed",
        "precision": "float32",
        "reset_check_every": 1,
        "update": "legacy",
        "entropy_weight": 1e-3,
        "distinct": False,
        "candidates_from": "reset",
        "score_latents": "fresh",
        "num_splits": 10,
        "norm_statistics": "shared",
    },
}
PRESETS["repo"] = PRESETS["published"]
PRESETS["small"] = PRESETS["demo"] | {
    "resolution": None,
    "width": 32,
    "derived_width": 32,
    "derived_discriminator_width": 32,
    "ema_decay": 0.995,
    "discriminator_steps": 300,
    "num_reference": 10_000,
}


def check_config(config: Config, data: str, backbone: Backbone | None) -> None:
    """Raise InvalidInput for settings of a search that would not do what they say."""
    if config.top_k > config.num_candidates:
        raise InvalidInput(
            f"top_k {config.top_k} is above num_candidates {config.num_candidates}: K are kept of "
            "M that are drawn, so draw at least as many"
        )
    if config.generator_turn == "last" and config.num_critic > config.discriminator_steps:
        raise InvalidInput(
            f"num_critic {config.num_critic} is above discriminator_steps "
            f"{config.discriminator_steps}: the generator's turn never comes; take more steps, or "
            "generator_turn=first"
        )
    if config.reward == "score" and backbone is not None and not backbone.labelled:
        raise InvalidInput(
            f"reward=score needs a backbone that knows classes and {data} has no labels: use "
            "reward=frechet"
        )
