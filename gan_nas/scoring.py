"""Scores of generated images: which generator is better, by which measure, against what."""

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from gan_nas.data import Images, resize
from gan_nas.errors import Incompatible, Interrupted, InvalidInput, RunFailed
from gan_nas.metrics.backbone import Backbone
from gan_nas.metrics.cache import cached
from gan_nas.metrics.frechet import FrechetReference
from gan_nas.metrics.inception_score import inception_style_score
from gan_nas.metrics.moments import Moments
from gan_nas.streams import stream

CHUNK = 500  # real images resized and embedded at a time


class Passport(BaseModel):
    """The protocol behind scores: numbers with different passports must not be compared."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backbone: str
    weights: str  # hash of the backbone's weights
    backbone_side: int
    image_side: int
    quantise: Literal["floor"]
    num_fake: int
    num_real: int
    num_splits: int
    reference: str  # name of the data set
    reference_fingerprint: str
    seed: int
    precision: str  # of the generator; backbone and statistics have float32 and float64
    torch: str


class Scores(BaseModel):
    """Named scores, the same of real held-out images, and their protocol."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    values: dict[str, float]
    real: dict[str, float]
    passport: Passport


class Scorer:
    """Scores uint8 images of `side` pixels against the training images at that side.

    Real and fake images have the stage's size first, then the backbone's. The distance's
    reference (moments and root) is computed once. `num_reference` takes that many training images,
    evenly spaced, instead of all. The numbers of real images are kept in the folder `cache`.
    """

    def __init__(
        self,
        backbone: Backbone,
        images: Images,
        side: int,
        num_splits: int = 1,
        num_reference: int | None = None,
        cache: Path | None = None,
    ) -> None:
        self.backbone = backbone
        self.images = images
        self.side = side
        self.num_splits = num_splits
        self.cache = cache
        self._key = f"{backbone.fingerprint} {images.fingerprint} {side} px"
        all_images = num_reference is None or num_reference >= len(images.train)
        key = f"{self._key}, {'all' if all_images else num_reference} training images"
        tensors = cached(cache, "moments", key, lambda: self._train_moments(num_reference))
        moments = Moments(int(tensors["count"]), tensors["mean"], tensors["scatter"])
        self._reference = FrechetReference(moments)

    @cached_property
    def real(self) -> dict[str, float]:
        """Return the scores of the real held-out images: what a perfect generator reaches.

        Fewer held-out images than splits make one split each.
        """
        held_out = self.images.held_out
        splits = min(self.num_splits, len(held_out))
        key = f"{self._key}, held out, {splits} splits, against {self._reference.count}"

        def compute() -> dict[str, Tensor]:
            scores = self._scores(self._at_side(held_out), splits)
            return {
                name: torch.tensor(score, dtype=torch.float64, device="cpu")
                for name, score in scores.items()
            }

        scores = cached(self.cache, "real", key, compute)
        return {name: float(score) for name, score in scores.items()}

    def score(self, batches: Iterable[Tensor]) -> dict[str, float]:
        """Return `classifier_score` (labelled backbones only) and `frechet_distance[backbone]`.

        Raises RunFailed when a feature or logit is not finite.
        """
        return self._scores(batches, self.num_splits)

    def passport(self, num_fake: int, seed: int, precision: str = "float32") -> Passport:
        """Return the protocol of scores made of `num_fake` images from latents of `seed`."""
        return Passport(
            backbone=self.backbone.name,
            weights=self.backbone.fingerprint,
            backbone_side=self.backbone.side,
            image_side=self.side,
            quantise="floor",
            num_fake=num_fake,
            num_real=self._reference.count,
            num_splits=self.num_splits,
            reference=self.images.name,
            reference_fingerprint=self.images.fingerprint,
            seed=seed,
            precision=precision,
            torch=torch.__version__,
        )

    def _train_moments(self, num: int | None) -> dict[str, Tensor]:
        moments, _ = self._embed(self._at_side(self.images.train, num), keep_logits=False)
        count = torch.tensor(moments.count, device="cpu")
        return {"count": count, "mean": moments.mean.cpu(), "scatter": moments.scatter.cpu()}

    def _scores(self, batches: Iterable[Tensor], splits: int) -> dict[str, float]:
        moments, logits = self._embed(batches, keep_logits=self.backbone.labelled)
        distance = self._reference.distance(moments)
        scores = {f"frechet_distance[{self.backbone.name}]": distance}
        if self.backbone.labelled:
            scores["classifier_score"], _ = inception_style_score(torch.cat(logits), splits)
        return scores

    def _embed(
        self, batches: Iterable[Tensor], *, keep_logits: bool
    ) -> tuple[Moments, list[Tensor]]:
        moments: Moments | None = None
        kept: list[Tensor] = []
        for batch in batches:
            if batch.shape[-1] != self.side:
                raise Incompatible(
                    f"images of {batch.shape[-1]} px cannot be scored against real images at "
                    f"{self.side} px; make a scorer for their side"
                )
            features, logits = self.backbone.embed(batch)
            moments = moments.update(features) if moments else Moments.of(features)
            if keep_logits:
                kept.append(logits)
        if moments is None:
            raise InvalidInput("there are no images to score; generate at least 2")
        return moments, kept

    def _at_side(self, images: Tensor, num: int | None = None) -> Iterator[Tensor]:
        if num is not None and num < len(images):
            # Evenly spaced, since folders are sorted by class.
            every = torch.arange(num, device=images.device)
            images = images[every * len(images) // num]
        return (resize(chunk, self.side) for chunk in torch.split(images, CHUNK))


def generate(
    generator: nn.Module,
    num: int,
    latent_dim: int,
    seed: int,
    device: torch.device | str,
    batch_size: int = 100,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Tensor]:
    """Yield `num` images, uint8 (B, C, H, W), in batches, from latents that every child shares.

    Batch i draws N(0, 1) from the stream (seed, "evaluation latents", i) on the CPU, so that the
    latents are the same on every device, and those of fewer images are a prefix. Neither gradients
    nor the generator's mode are touched. Raises RunFailed on NaN and Interrupted when `stop` says.
    """
    for i, start in enumerate(range(0, num, batch_size)):
        if stop():
            raise Interrupted("stopped while generating images; the same command goes on")
        latents = stream(seed, "evaluation latents", i)
        z = torch.randn(batch_size, latent_dim, generator=latents, device="cpu")
        # Not around the yield: the caller's code between batches keeps its own gradient mode.
        with torch.no_grad():
            images = generator(z[: num - start].to(device))
            if not bool(images.isfinite().all()):
                raise RunFailed("the generator's images contain NaN or infinity: it has diverged")
            images = to_uint8(images)
        yield images


def to_uint8(images: Tensor) -> Tensor:
    """Quantise images in [-1, 1] by floor(127.5 x + 127.5), clamped, as AutoGAN's code does."""
    return images.float().mul(127.5).add_(127.5).clamp_(0, 255).to(torch.uint8)
