"""Scores of generated images: which generator is better, by which measure, against what."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from gan_nas.data import Images, resize
from gan_nas.data.images import resizing_to
from gan_nas.errors import Incompatible, Interrupted, InvalidInput, RunFailed
from gan_nas.metrics.backbone import Backbone
from gan_nas.metrics.cache import cached
from gan_nas.metrics.frechet import FrechetReference
from gan_nas.metrics.measures import (
    FRECHET,
    PAIRWISE,
    USUAL,
    Measure,
    embed,
    evenly,
    smallest_number,
    values_of,
)
from gan_nas.metrics.moments import Moments
from gan_nas.metrics.reservoir import SIZE
from gan_nas.metrics.statistics import Statistics
from gan_nas.progress import Progress, silent
from gan_nas.protocols import Passport, Quantise, Split
from gan_nas.streams import stream
from gan_nas.versions import versions

CHUNK = 500  # real images resized and embedded at a time


class Scorer:
    """Scores uint8 images of `side` pixels against real images at that side.

    Real and fake images have the stage's size first, then the backbone's. The distance's reference
    (moments and root) is computed once: of the `split` of `images`, or of `num_reference` of them,
    evenly spaced; or it is `statistics`, beside which images are optional. The numbers of real
    images are kept in the folder `cache`. One pass gives all `measures`. Passes over real images
    end with Interrupted when `stop` says.
    """

    def __init__(
        self,
        backbone: Backbone,
        images: Images | None,
        side: int,
        num_splits: int = 1,
        num_reference: int | None = None,
        cache: Path | None = None,
        *,
        measures: Sequence[Measure] = USUAL,
        shuffle: bool = False,
        split: Split = "train",
        statistics: Statistics | None = None,
        stop: Callable[[], bool] = lambda: False,
        progress: Progress = silent,
    ) -> None:
        if not backbone.labelled and set(measures) == {"is"}:
            raise InvalidInput(
                f"the backbone {backbone.name} knows no classes, so that no score can be made of "
                "its logits; ask for fid, too"
            )
        self.backbone, self._images, self.side = backbone, images, side
        self._stop, self._progress = stop, progress
        self.num_splits, self.shuffle, self.split = num_splits, shuffle, split
        self.cache, self.measures, self.statistics = cache, tuple(measures), statistics
        self._pixels: Tensor | None = None
        if images is not None:
            pixels = images.train if split == "train" else images.held_out
            self._pixels = evenly(pixels, num_reference or len(pixels))
        elif statistics is None or PAIRWISE & set(measures):
            raise InvalidInput(
                f"{', '.join(measures)} cannot be made of statistics alone: name the real images"
            )
        self._reference: FrechetReference | None = None
        if FRECHET & set(measures):
            self._reference = FrechetReference(statistics or self._moments())

    @property
    def num_real(self) -> int | None:
        """Return the number of reference images, None where a file does not tell."""
        if self.statistics is not None:
            return self.statistics.count
        assert self._pixels is not None
        return len(self._pixels)

    @property
    def images(self) -> Images:
        """Return the real images."""
        assert self._images is not None
        return self._images

    @cached_property
    def real(self) -> dict[str, float]:
        """Return the scores of the real held-out images: what a perfect generator reaches.

        Fewer held-out images than splits make one split each, and measures that they are too few
        for are left out. Where the held-out images are the reference themselves, the training
        images stand in.
        """
        if self._images is None:
            return {}
        images = self.images.held_out if self.split == "train" else self.images.train
        splits = min(self.num_splits, len(images))
        against = f"{self.num_real}"
        if self.statistics is not None:
            against = self.statistics.fingerprint
        key = f"{self._key}, {self.split} as reference, {splits} splits, against {against}"
        if self.shuffle or self.measures != USUAL:
            key += f", {self.shuffle}, {self.measures}"

        def compute() -> dict[str, Tensor]:
            scores = self._scores(self._at_side(images), splits, self._possible(len(images)))
            return {
                name: torch.tensor(score, dtype=torch.float64, device="cpu")
                for name, score in scores.items()
            }

        scores = cached(self.cache, "real", key, compute)
        return {name: float(score) for name, score in scores.items()}

    def score(self, batches: Iterable[Tensor]) -> dict[str, float]:
        """Return the measures by name: a score (labelled backbones only) and a distance, usually.

        Raises RunFailed when a feature or logit is not finite.
        """
        return self._scores(batches, self.num_splits, self.measures)

    def passport(
        self,
        num_fake: int,
        seed: int | None,
        precision: str = "float32",
        *,
        quantise: Quantise | Literal["none"] = "floor",
        protocol: str | None = None,
        repeats: int = 1,
    ) -> Passport:
        """Return the protocol of scores made of `num_fake` images from latents of `seed`."""
        if self.statistics is not None:
            about = self.statistics.passport
            name = str(about.get("reference", "a file of statistics"))
            split = str(about.get("split", "unknown"))
            resizing = str(about.get("real_resize", "unknown"))
            fingerprint = self.statistics.fingerprint
            if PAIRWISE & set(self.measures):  # these look at the images themselves
                fingerprint += f" and {self.images.fingerprint}"
        else:
            name, split, fingerprint = self.images.name, self.split, self.images.fingerprint
            resizing = self._resizing
        return Passport(
            protocol=protocol,
            backbone=self.backbone.name,
            canonical=self.backbone.canonical,
            weights=self.backbone.fingerprint,
            backbone_side=self.backbone.side,
            resize=self.backbone.resize,
            features_precision=self.backbone.precision,
            image_side=self.side,
            real_resize=resizing,
            quantise=quantise,
            num_fake=num_fake,
            num_real=self.num_real,
            num_splits=self.num_splits,
            shuffle=self.shuffle,
            split=split,
            reference=name,
            reference_fingerprint=fingerprint,
            seed=seed,
            repeats=repeats,
            precision=precision,
            torch=torch.__version__,
            gan_nas=versions()["gan_nas"],
        )

    @cached_property
    def _real_features(self) -> Tensor | None:
        if not PAIRWISE & set(self.measures):
            return None
        assert self._pixels is not None
        few = evenly(self._pixels, SIZE)
        return embed(self.backbone, self._at_side(few), self.measures).features

    @property
    def _key(self) -> str:
        """Return what numbers of real images depend on."""
        prepared = f"{self.side} px, {self._resizing}"
        return f"{self.backbone.fingerprint} {self.images.fingerprint} {prepared}"

    @property
    def _resizing(self) -> str:
        images = self.images
        return resizing_to(self.side, images.side, images.resize_by, images.resizing)

    def _moments(self) -> Moments:
        """Return those of the reference images, from the cache if they are there."""
        pixels = self._pixels
        assert pixels is not None
        whole = self.images.train if self.split == "train" else self.images.held_out
        number = "all" if len(pixels) == len(whole) else len(pixels)
        kind = "training" if self.split == "train" else "held-out"

        def compute() -> dict[str, Tensor]:
            moments = embed(self.backbone, self._at_side(pixels), ()).moments.cpu()
            count = torch.tensor(moments.count, device="cpu")
            return {"count": count, "mean": moments.mean, "scatter": moments.scatter}

        tensors = cached(self.cache, "moments", f"{self._key}, {number} {kind} images", compute)
        return Moments(int(tensors["count"]), tensors["mean"], tensors["scatter"])

    def _possible(self, num: int) -> tuple[Measure, ...]:
        return tuple(measure for measure in self.measures if smallest_number([measure]) <= num)

    def _scores(
        self, batches: Iterable[Tensor], splits: int, measures: Sequence[Measure]
    ) -> dict[str, float]:
        fake = embed(self.backbone, self._checked(batches), measures)
        return values_of(
            fake,
            self.backbone,
            measures,
            self._reference,
            self._real_features,
            splits=splits,
            shuffle=self.shuffle,
        )

    def _checked(self, batches: Iterable[Tensor]) -> Iterator[Tensor]:
        for batch in batches:
            if batch.shape[-1] != self.side:
                raise Incompatible(
                    f"images of {batch.shape[-1]} px cannot be scored against real images at "
                    f"{self.side} px; make a scorer for their side"
                )
            yield batch

    def _at_side(self, images: Tensor) -> Iterator[Tensor]:
        done = 0
        for chunk in torch.split(images, CHUNK):
            if self._stop():
                raise Interrupted("stopped while embedding real images; the same command goes on")
            yield resize(chunk.to(self.backbone.device), self.side, self.images.resize_by)
            done += len(chunk)
            self._progress("embedding real images", done, len(images), {})


def generate(
    generator: nn.Module,
    num: int,
    latent_dim: int,
    seed: int,
    device: torch.device | str,
    batch_size: int = 100,
    stop: Callable[[], bool] = lambda: False,
    quantise: Quantise = "floor",
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
            images = to_uint8(images, quantise)
        yield images


def to_uint8(images: Tensor, quantise: Quantise = "floor") -> Tensor:
    """Quantise images in [-1, 1] by floor(127.5 x + 127.5), clamped, as AutoGAN's code does.

    round takes 128 for the second number, as StyleGAN's and StudioGAN's do.
    """
    offset = 127.5 if quantise == "floor" else 128
    return images.float().mul(127.5).add_(offset).clamp_(0, 255).to(torch.uint8)
