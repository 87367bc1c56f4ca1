"""How a GAN is trained: the settings, and the sets of them that have a name.

The defaults are AutoGAN's (Gong et al. 2019, sec. 4.1): hinge loss, Adam(2e-4, 0.0, 0.9), five
discriminator steps for one generator step, 50,000 generator steps. `published` is what the authors'
script and code do on CIFAR-10 (`published-stl10`: on STL-10); `repo` and `repo-stl10` are other
names.

AutoGAN, `paper` against `published`, which has 320 epochs:
- steps: the text's round number
- passes, generator_turn: the text is silent; one pass of both halves takes less time, and the
  generator's turn comes when the critic has had all of its steps
- discriminator_init: the Xavier draw that the code asks for, which on a GPU never arrives
- score_every, num_scored, num_splits: fewer images and one split; the code takes 50,000 every 20
  epochs, ten splits

AdversarialNAS, `paper` against `published`, which has 600 epochs of the first scripts (later ones
dropped half of each real batch):
- steps, batch_size, generator_batch_size: the text's about 500 epochs, batches of 40 and 20
- passes, generator_turn: as above
- score_every, num_scored, num_splits: as above; the code scores every fifth epoch

WGAN-GP and CT-GAN, `paper` against `published` (the authors' CT_gan_cifar_resnet.py; DEGAS, which
trains with it, published nothing of its own):
- num_scored, num_splits: as above

What no setting repeats: TensorFlow's Inception (`--backbone inception` computes the same features
and logits), the streams of random numbers, and the last, smaller batch of an epoch, where ours run
on into the next one; CT-GAN's generator is scored with the statistics of each batch of samples,
ours with those of one batch (`norm_statistics`).
"""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from gan_nas.configs import Settings, find_preset, resolve
from gan_nas.networks.initialisation import Initialisation
from gan_nas.spaces.frameworks import Framework, framework_of
from gan_nas.spaces.genome import Genome
from gan_nas.spaces.registry import load_space
from gan_nas.training.gan import Precision, Turn
from gan_nas.training.objectives import Passes


class TrainingConfig(Settings):
    """How a GAN is trained; the defaults are the paper's, or its code's where it is silent."""

    seed: int = Field(default=0, ge=0)
    """Decides initialisation, data order, latents and evaluation latents."""
    framework: Framework = "hinge-sn"
    """Losses, and the discriminator they need: where the genome's was made for another framework,
    this one's own of the same width is trained. ctgan: CT-GAN's; wgan-gp: the same, dropout 0."""
    gradient_penalty: float = Field(default=10.0, ge=0, le=1e6)
    """Weight of the squared distance of the critic's slopes from 1 (wgan-gp, ctgan)."""
    consistency_weight: float = Field(default=2.0, ge=0, le=1e6)
    """Weight of the distance between two judgements of a real image (ctgan)."""
    consistency_margin: float = Field(default=0.0, ge=0, le=1e6)
    """Distance between two judgements that costs nothing (ctgan; 0 in the authors' code)."""
    steps: int = Field(default=50_000, ge=0, le=10**9)
    """Generator steps; 0 writes the untrained generator."""
    batch_size: int = Field(default=64, ge=1, le=2**16)
    """Real images in a discriminator step, and as many fakes."""
    generator_batch_size: int = Field(default=128, ge=1, le=2**16)
    """Latents in a generator step."""
    num_critic: int = Field(default=5, ge=1, le=1000)
    """Discriminator steps for one generator step."""
    generator_turn: Turn = "last"
    """The discriminator step of these that the generator's follows; AutoGAN's and AdversarialNAS'
    code: the first."""
    passes: Passes = "together"
    """Real and fake images through the discriminator together, with one power iteration, or apart,
    with two, as in that code (hinge-sn)."""
    generator_lr: float = Field(default=2e-4, gt=0, le=1)
    """Adam's learning rate of the generator."""
    discriminator_lr: float = Field(default=2e-4, gt=0, le=1)
    """Adam's learning rate of the discriminator."""
    lr_decay: Literal["none", "linear"] = "none"
    """Learning rates: constant (no script of AutoGAN's or AdversarialNAS' lowers them), or down
    to 0 in a straight line over `steps`."""
    beta1: float = Field(default=0.0, ge=0, lt=1)
    """Adam's first decay, both networks."""
    beta2: float = Field(default=0.9, ge=0, lt=1)
    """Adam's second decay, both networks."""
    ema_decay: float = Field(default=0.999, ge=0, lt=1)
    """Moving average of the generator's weights, each generator step; 0 scores the live ones."""
    ema_warm_start: bool = False
    """Lower the decay to (1 + n) / (10 + n) in the first steps n; the paper's code does not."""
    generator_init: Initialisation = "xavier"
    """Weights the generator starts from: Xavier, PyTorch's default, or WGAN-GP's he."""
    discriminator_init: Initialisation = "xavier"
    """Weights the discriminator starts from: Xavier, PyTorch's default, or WGAN-GP's he. AutoGAN's
    and AdversarialNAS' code asks for Xavier and comes down to the default on a GPU: networks are
    moved there first, and spectral norm then no longer reads the weights that are drawn."""
    dequantise: bool = False
    """Fill the steps between the 256 grey levels of real images with noise, as WGAN-GP does."""
    norm_statistics: Literal["live", "reestimated"] = "live"
    """Batch-norm statistics under the averaged weights: those of training, as in the published
    code, or re-estimated before each score and at the end."""
    precision: Precision = "float32"
    """Forward passes: float32, or bf16 under autocast."""
    compile: bool = False
    """Let torch.compile fuse the networks; needs a C++ compiler."""
    score_every: int = Field(default=5_000, ge=1)
    """Generator steps between scores; untrained and last are always scored."""
    num_scored: int = Field(default=10_000, ge=2, le=10**6)
    """Images of a score."""
    num_splits: int = Field(default=1, ge=1, le=100)
    """Parts a classifier score is averaged over (the papers use 10 for 50,000 images)."""
    num_reference: int | None = Field(default=None, ge=2)
    """Training images of the distance's reference, evenly spaced; none takes all."""
    save_every: int = Field(default=500, ge=1)
    """Generator steps between checkpoints: what a crash may lose."""
    log_every: int = Field(default=50, ge=1, le=1000)
    """Generator steps between lines of the log."""

    @model_validator(mode="after")
    def _compiles(self) -> Self:
        if self.compile and self.framework != "hinge-sn":
            raise ValueError(
                f"compile = true with framework {self.framework}: torch.compile cannot take the "
                "second derivative of a gradient penalty, train without compile"
            )
        return self


# Found by trial on two CPU cores: demo for digits at width 16, small for CIFAR-10 at width 32.
PRESETS: dict[str, dict[str, Any]] = {
    "demo": {
        "steps": 1_500,
        "batch_size": 32,
        "generator_batch_size": 32,
        "num_critic": 1,
        "generator_lr": 1e-3,
        "discriminator_lr": 1e-3,
        "ema_decay": 0.99,
        "ema_warm_start": True,
        "score_every": 250,
        "num_scored": 1_000,
        "save_every": 250,
    },
    "small": {
        "steps": 2_500,
        "batch_size": 32,
        "generator_batch_size": 32,
        "num_critic": 1,
        "generator_lr": 5e-4,
        "discriminator_lr": 1e-3,
        "ema_decay": 0.995,
        "ema_warm_start": True,
        "score_every": 250,
        "num_scored": 2_000,
        "num_reference": 10_000,
        "save_every": 250,
    },
    "paper": {},
}
# Where a space's authors trained their generators otherwise than the defaults say.
PUBLISHED: dict[str, Any] = {
    "passes": "apart",
    "generator_turn": "first",
    "discriminator_init": "default",
    "precision": "float32",
    "num_scored": 50_000,
    "num_splits": 10,
}
PRESETS_OF_SPACES: dict[str, dict[str, dict[str, Any]]] = {
    "autogan": {  # 320 epochs of 782 batches, STL-10: 153 of 1,641, and a fifth of that
        "published": PUBLISHED | {"steps": 50_048, "score_every": 3_128},
        "published-stl10": PUBLISHED | {"steps": 50_215, "score_every": 3_282},
    },
    "adversarialnas": {  # sec. 4.1: about 500 epochs of 2,500 batches; 600 of 1,250, or of 821
        "paper": {
            "steps": 250_000,
            "batch_size": 20,
            "generator_batch_size": 40,
            "discriminator_init": "default",
        },
        "published": PUBLISHED
        | {
            "steps": 150_000,
            "batch_size": 40,
            "generator_batch_size": 80,
            "score_every": 1_250,
        },
        "published-stl10": PUBLISHED
        | {
            "steps": 98_520,
            "batch_size": 128,
            "generator_batch_size": 256,
            "score_every": 821,
        },
    },
}
for _presets in PRESETS_OF_SPACES.values():
    _presets["repo"] = _presets["published"]
    _presets["repo-stl10"] = _presets["published-stl10"]


# WGAN-GP's and CT-GAN's own recipe, whatever the space (the authors' CT_gan_cifar_resnet.py). Their
# generators are scored with the statistics of a batch: re-estimated here. In the two small ones
# the consistency weighs less: dropout is loud in a narrow critic, and at the paper's weight of 2
# it learned to answer the same to everything.
CRITIC_RECIPE: dict[str, Any] = {
    "lr_decay": "linear",
    "ema_decay": 0.0,
    "generator_init": "he",
    "discriminator_init": "he",
    "dequantise": True,
    "norm_statistics": "reestimated",
}
CRITIC_PRESETS: dict[str, dict[str, Any]] = {
    "demo": PRESETS["demo"]
    | CRITIC_RECIPE
    | {
        "steps": 750,
        "num_critic": 2,
        "generator_lr": 5e-4,
        "ema_decay": 0.99,
        "consistency_weight": 0.1,
    },
    "small": PRESETS["small"]
    | CRITIC_RECIPE
    | {"steps": 1_500, "num_critic": 2, "ema_decay": 0.995, "consistency_weight": 0.2},
    "paper": CRITIC_RECIPE | {"steps": 100_000},
}
CRITIC_PRESETS["published"] = CRITIC_PRESETS["paper"] | {
    "precision": "float32",
    "num_scored": 50_000,
    "num_splits": 10,
}


def presets_for(space: str, framework: Framework | None = None) -> dict[str, dict[str, Any]]:
    """Return the sets of settings that have a name, for generators of a space in a framework.

    Without one in that which the space's generators are trained in by default.
    """
    framework = framework or load_space(space).framework
    if framework == "hinge-sn":
        return PRESETS | PRESETS_OF_SPACES.get(space, {})
    return {name: {"framework": framework} | preset for name, preset in CRITIC_PRESETS.items()}


def training_preset(genome: Genome, name: str = "demo", **changes: Any) -> TrainingConfig:
    """Return the settings of a preset as they are for a genome, with some changed."""
    presets = presets_for(genome.generator.space, framework_of(genome.discriminator))
    return resolve(TrainingConfig, find_preset(presets, name), options=changes)
