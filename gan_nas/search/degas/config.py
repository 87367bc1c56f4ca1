"""The settings of DEGAS' search, the sets of them that have a name, and what they decide.

No code of DEGAS was ever published: `published` is the paper's text for CIFAR-10 at its most
literal, where two readings are possible, and the genomes found are trained by CT-GAN's authors'
settings (`retrain --preset published`). `paper`, which is `paper-cifar10`, does otherwise:
- latent_start: principal components, which need far fewer steps than the text's random vectors
- alpha_data: images of its own for the step on alpha, as in DARTS, which the text follows; it names
  no other images than those of the step before

Both choose where the text is silent; `resolved` says what. One of these choices outlives the
search: a pooling keeps its batch norm without weights in derived networks. DARTS' code adds that
norm in the search alone and derives bare pools; DEGAS says nothing. With it an operation computes
what alpha weighed.
"""

from typing import Any, Literal

from pydantic import Field

from gan_nas.search.degas.latents import LatentStart
from gan_nas.search.method import SearchConfig
from gan_nas.training.precision import Precision


class Config(SearchConfig):
    """DEGAS' settings; the defaults are the paper's for CIFAR-10, or DARTS' and GLO's."""

    seed: int = Field(default=0, ge=0)
    """Decides initialisation, data order and Gaussian latents."""
    num_images: int | None = Field(default=None, ge=2)
    """Training images that get a latent, evenly spaced; none takes all, as in the paper."""
    iterations: int = Field(default=39_050, ge=1, le=10**9)
    """Rounds of a step on weights and latents and a step on alpha (DARTS' 50 epochs, of 781
    batches of CIFAR-10)."""
    width: int = Field(default=128, ge=1, le=2048)
    """Channels in the search (the paper does not say; CT-GAN's generator has 128)."""
    derived_width: int = Field(default=128, ge=1, le=2048)
    """Generator width written into the genomes found; limits are counted at it."""
    derived_discriminator: Literal["ctgan", "sn_resnet"] = "ctgan"
    """Discriminator written into the genomes found: CT-GAN's critic, as in the paper, or SN-GAN's;
    it decides how they are trained unless a framework is named."""
    derived_discriminator_width: int = Field(default=128, ge=1, le=2048)
    """Discriminator width written into the genomes found."""
    latent_dim: int = Field(default=128, ge=1, le=2048)
    """Length of the latent vector."""
    stem_residual: bool = False
    """Let a residual up-sampling lead from the stem into the first stage (the paper's Fig. 2 is
    not known to us; its text links up-sampled maps alone)."""
    final_normal: bool = False
    """Search a normal operation at full size, after the last up-sampling."""
    batch_size: int = Field(default=64, ge=2, le=2**16)
    """Images of a step (DARTS)."""
    lr: float = Field(default=0.3, gt=0, le=10)
    """SGD's learning rate of the weights (sec. 4.1 prints it, not of what; 0.03 for STL-10)."""
    lr_last: float = Field(default=1e-3, ge=0, le=10)
    """What a cosine lowers it to (DARTS)."""
    lr_levels: int = Field(default=50, ge=1)
    """Steps of that cosine, spread evenly over the iterations: DARTS' epochs."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Of SGD, for the weights alone (DARTS)."""
    weight_decay: float = Field(default=3e-4, ge=0)
    """L2 penalty in the gradients of the weights (DARTS)."""
    clip_norm: float = Field(default=5.0, gt=0)
    """Largest norm of the weights' gradient (DARTS)."""
    latent_lr_ratio: float = Field(default=10.0, ge=0)
    """Learning rate of the latents, by plain SGD, over that of the weights (GLO's ratio)."""
    latent_start: LatentStart = "pca"
    """First latents: principal components of the images, which need far fewer steps, or Gaussian
    noise, which the paper's wording suggests."""
    latent_space: Literal["ball", "sphere"] = "ball"
    """Where latents are brought back to after each step: into the unit ball, or onto its surface
    (GLO has both)."""
    l2_weight: float = Field(default=1.0, ge=0)
    """Weight of the mean squared error."""
    laplacian_weight: float = Field(default=1.0, ge=0)
    """Weight of the Laplacian pyramid's mean absolute differences, summed over its levels."""
    architecture_lr: float = Field(default=3e-4, gt=0, le=1)
    """Adam's learning rate of alpha (DARTS)."""
    architecture_beta1: float = Field(default=0.5, ge=0, lt=1)
    """Adam's first decay, alpha (DARTS)."""
    architecture_beta2: float = Field(default=0.999, ge=0, lt=1)
    """Adam's second decay, alpha (DARTS)."""
    architecture_weight_decay: float = Field(default=1e-3, ge=0)
    """L2 penalty in the gradient of alpha (DARTS)."""
    architecture_start: float = Field(default=0.0, ge=0, lt=1)
    """Part of the iterations that train weights and latents alone, before alpha first moves; 0, as
    in DARTS, trains both from the start."""
    alpha_data: Literal["resample", "same"] = "resample"
    """Images of a step on alpha: drawn anew from the training set, or those of the step before."""
    precision: Precision = "float32"
    """Forward passes: float32, or bf16 under autocast."""
    derive_every: int = Field(default=781, ge=1)
    """Iterations between architectures that are kept for the history, with a picture of
    reconstructions."""
    num_scored: int = Field(default=2_000, ge=2, le=10**6)
    """Images the losses at the end are means over, evenly spaced."""
    log_every: int = Field(default=100, ge=1, le=1000)
    """Iterations between lines of the log."""


# Defaults are those of CIFAR-10; demo and small were found by trial on two CPU cores: at their
# widths and lengths the learning rate needs a shorter leash (0.3 with a norm of 5 saturates to-RGB
# within a few steps on digits; on CIFAR-10 it reaches 0.56 in 120 steps, with 0.5 it is 0.37).
PRESETS: dict[str, dict[str, Any]] = {
    "demo": {
        "resolution": 16,
        "iterations": 1_500,
        "width": 16,
        "derived_width": 16,
        "derived_discriminator_width": 16,
        "clip_norm": 0.5,
        "architecture_lr": 3e-3,
        "derive_every": 75,
        "num_scored": 1_000,
        "save_every": 250,
        "log_every": 25,
    },
    "paper-cifar10": {},
    "published": {"latent_start": "gauss", "alpha_data": "same", "precision": "float32"},
    # The paper's learning rate; 82,031 iterations are 50 epochs of its 105,000 images.
    "paper-stl10": {
        "resolution": 48,
        "iterations": 82_000,
        "lr": 0.03,
        "derive_every": 1_640,
    },
}
PRESETS["paper"] = PRESETS["paper-cifar10"]
PRESETS["small"] = PRESETS["demo"] | {
    "resolution": None,
    "iterations": 1_500,
    "width": 32,
    "derived_width": 32,
    "derived_discriminator_width": 32,
    "num_images": 10_000,
    "derive_every": 75,
    "num_scored": 2_000,
}


def resolved(config: Config, resolution: int) -> dict[str, str]:
    """Answer what the paper leaves open, question by question, as this search does."""
    both = "yes" if config.stem_residual else "no"
    bands = "two" if resolution < 16 else "three"
    stop = " as printed" if config.lr in (0.3, 0.03) else ""
    return {
        "residual from the stem to the first up-sampled map": both,
        "normal maps in a stage": "1",
        "normal map after the last up-sampling": "yes" if config.final_normal else "no",
        "aggregation at an up-sampled map": "sum",
        "reach of a residual": "one stage",
        "what the printed learning rate is of": f"the weights: {config.lr:g}{stop}",
        "latents' optimiser": f"plain SGD at {config.latent_lr_ratio:g} times the weights' rate",
        "images of the step on alpha": config.alpha_data,
        "order of the step on alpha": "first",
        "weights of the losses": (
            f"{config.l2_weight:g} mean squared error + {config.laplacian_weight:g} Laplacian, "
            "means over values"
        ),
        "levels of the pyramid": f"{bands} bands and the low-pass",
        "first latents": f"{config.latent_start}, in the unit {config.latent_space}",
        "length of the latent vector": str(config.latent_dim),
        "channels in the search": str(config.width),
        "pooling": "3x3, then batch norm without weights",
        "operation none": "absent",
        "what pruning compares": "softmax of alpha; a tie goes to the direct operation",
        "weights of batch norms in the search": "none",
        "larger images": f"a stem of {resolution // 8}x{resolution // 8}, the same latent length",
        "critic for larger images": "the same",
        "protocol of the distance": "named beside each score",
        "augmentation in the search": "none",
    }
