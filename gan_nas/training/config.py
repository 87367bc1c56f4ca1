"""How a GAN is trained: the settings; sets of them that have a name are in presets.py.

The defaults are AutoGAN's (Gong et al. 2019, sec. 4.1): hinge loss, Adam(2e-4, 0.0, 0.9), five
discriminator steps for one generator step, 50,000 generator steps.
"""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from gan_nas.configs import Settings, find_preset, resolve
from gan_nas.networks.initialisation import Initialisation
from gan_nas.spaces.frameworks import Framework, framework_of
from gan_nas.spaces.genome import Genome
from gan_nas.spaces.registry import load_space
from gan_nas.training.augmentation import Augmentation
from gan_nas.training.gan import Turn
from gan_nas.training.objectives import Passes
from gan_nas.training.precision import Precision
from gan_nas.training.presets import PRESETS, PRESETS_OF_FRAMEWORKS, PRESETS_OF_SPACES


class TrainingConfig(Settings):
    """How a GAN is trained; the defaults are the paper's, or its code's where it is silent."""

    seed: int = Field(default=0, ge=0)
    """Decides initialisation, data order, latents and evaluation latents."""
    framework: Framework = "hinge-sn"
    """Losses, and the discriminator they need: where they cannot train the genome's, their own of
    the same width is trained. hinge-sn, rahinge, wasserstein: SN-GAN's; mmd: that with 16 outputs;
    ctgan: CT-GAN's; wgan-gp, r3gan: the same, dropout 0."""
    augment: Augmentation = "none"
    """Images before the discriminator: flip mirrors real ones left to right at random; diffaugment
    changes colour, moves and cuts, reals and fakes, in both steps; penalties are taken there."""
    gradient_penalty: float = Field(default=10.0, ge=0, le=1e6)
    """Weight of the squared distance of the critic's slopes from 1 (wgan-gp, ctgan)."""
    consistency_weight: float = Field(default=2.0, ge=0, le=1e6)
    """Weight of the distance between two judgements of a real image (ctgan)."""
    consistency_margin: float = Field(default=0.0, ge=0, le=1e6)
    """Distance between two judgements that costs nothing (ctgan; 0 in the authors' code)."""
    mmd_upper_bound: float | None = Field(default=4.0, gt=0, le=1e6)
    """Squared distance of two real images' scores beyond which they are driven no further apart;
    none drives on (mmd)."""
    mmd_lower_bound: float = Field(default=0.25, ge=0, le=1e6)
    """Squared distance of two fakes' scores within which they are drawn no closer (mmd)."""
    mmd_patience: int | None = Field(default=None, ge=1)
    """Scores in a row without a lower distance after which the upper bound doubles, up to 32, as in
    MMD-AdversarialNAS' code; none keeps it. It tunes the training by the distance that is then
    reported of it (mmd)."""
    gamma: float = Field(default=0.05, ge=0, le=1e6)
    """Weight of the squared slopes at real images and at fakes, R1 and R2, of which half counts; it
    grows with the images' side (r3gan)."""
    final_gamma: float | None = Field(default=None, ge=0, le=1e6)
    """Where gamma ends; none keeps it."""
    steps: int = Field(default=50_000, ge=0, le=10**9)
    """Generator steps; 0 writes the untrained generator."""
    batch_size: int = Field(default=64, ge=1, le=2**16)
    """Real images in a discriminator step, and as many fakes."""
    generator_batch_size: int = Field(default=128, ge=1, le=2**16)
    """Latents in a generator step."""
    micro_batch: int | None = Field(default=None, ge=1, le=2**16)
    """Images of either kind that pass the networks at once, for want of memory; gradients of all
    parts of a batch add up to its own. None: the whole batch. Batch norms know but their part's
    statistics; not for losses that compare all images of a batch (mmd, rahinge)."""
    num_critic: int = Field(default=5, ge=1, le=1000)
    """Discriminator steps for one generator step."""
    generator_turn: Turn = "last"
    """The discriminator step of these that the generator's follows; AutoGAN's and AdversarialNAS'
    code: the first."""
    passes: Passes = "together"
    """Real and fake images through the discriminator together, with one power iteration, or apart,
    with two, as in that code (hinge-sn, rahinge, wasserstein, mmd)."""
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
    final_lr_factor: float = Field(default=1.0, ge=0, le=1)
    """Share of both learning rates that is left at the end."""
    final_beta2: float | None = Field(default=None, ge=0, lt=1)
    """Where beta2 ends; none keeps it."""
    schedule_images: int | None = Field(default=None, ge=1, le=10**12)
    """Real images over which what has an end comes there, along half a cosine, to stay; none: all
    of the training. R3GAN's."""
    ema_decay: float = Field(default=0.999, ge=0, lt=1)
    """Moving average of the generator's weights, each generator step; 0 scores the live ones."""
    ema_warm_start: bool = False
    """Lower the decay to (1 + n) / (10 + n) in the first steps n; the paper's code does not."""
    ema_half_life: int | None = Field(default=None, ge=1, le=10**12)
    """Real images in which the moving average forgets half, in place of ema_decay: it grows from 0
    to this along the same cosine. R3GAN's."""
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
    score_at: tuple[int, ...] = ()
    """Further generator steps after which there is a score."""
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

    @property
    def is_separable(self) -> bool:
        """Tell whether the loss of a batch is the mean of its images' losses."""
        return self.framework not in ("mmd", "rahinge")

    @property
    def averages(self) -> bool:
        """Tell whether the generator's weights are averaged."""
        return self.ema_half_life is not None or self.ema_decay > 0

    @property
    def follows_length(self) -> str | None:
        """Name the setting by which a longer training would not have begun as this one did."""
        ends = (self.final_beta2, self.final_gamma, self.ema_half_life)
        scheduled = self.final_lr_factor != 1 or ends != (None, None, None)
        if self.lr_decay != "none":
            return "lr_decay"
        if scheduled and self.schedule_images is None:
            return "schedule_images = none"
        return None if self.mmd_patience is None else "mmd_patience"  # it counts the last score

    @model_validator(mode="after")
    def _has_pairs(self) -> Self:
        smallest = min(self.batch_size, self.generator_batch_size)
        if self.framework == "mmd" and smallest < 2:
            raise ValueError(
                f"batches of {smallest} with framework mmd: it compares pairs of images, so "
                "batch_size and generator_batch_size must be at least 2"
            )
        return self

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if self.micro_batch is not None and not self.is_separable:
            raise ValueError(
                f"micro_batch = {self.micro_batch} with framework {self.framework}: its loss "
                "compares all images of a batch, of which parts do not add up; lower batch_size"
            )
        return self

    @model_validator(mode="after")
    def _compiles(self) -> Self:
        if self.compile and self.framework in ("wgan-gp", "ctgan", "r3gan"):
            raise ValueError(
                f"compile = true with framework {self.framework}: torch.compile cannot take the "
                "second derivative of a gradient penalty, train without compile"
            )
        return self


def presets_for(space: str, framework: Framework | None = None) -> dict[str, dict[str, Any]]:
    """Return the sets of settings that have a name, for generators of a space in a framework.

    Without one in that which the space's generators are trained in by default.
    """
    known = load_space(space)
    framework = framework or known.framework
    of_space = PRESETS | PRESETS_OF_SPACES.get(known.genome_space, {})
    if framework == "hinge-sn":
        return of_space
    presets = PRESETS_OF_FRAMEWORKS.get(framework, {name: of_space[name] for name in PRESETS})
    return {name: {"framework": framework} | preset for name, preset in presets.items()}


def training_preset(genome: Genome, name: str = "demo", **changes: Any) -> TrainingConfig:
    """Return the settings of a preset as they are for a genome, with some changed."""
    presets = presets_for(genome.generator.space, framework_of(genome.discriminator))
    return resolve(TrainingConfig, find_preset(presets, name), options=changes)
