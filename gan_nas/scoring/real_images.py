"""The real side of scores: moments and features of a data set's parts, at a side, by a backbone."""

from collections.abc import Callable, Iterator
from functools import reduce
from pathlib import Path

import torch
from torch import Tensor

from gan_nas.data import Images, resize
from gan_nas.data.images import resizing_to
from gan_nas.errors import Interrupted
from gan_nas.metrics.backbone import Backbone
from gan_nas.metrics.cache import cached
from gan_nas.metrics.evenly import even_places, evenly, evenly_of_parts
from gan_nas.metrics.measures import MOST, embed
from gan_nas.metrics.moments import Moments
from gan_nas.metrics.wavelets import packet_moments
from gan_nas.progress import Progress, silent
from gan_nas.scoring.reference import ReferenceSplit

CHUNK = 500  # images resized and embedded at a time
WORDS: dict[ReferenceSplit, str] = {"train": "training", "held-out": "held-out"}


class RealImages:
    """Computes numbers of real images once, and keeps moments in the folder `cache`.

    Of each part `num` images count, evenly spaced, or all. Passes end with Interrupted when `stop`
    says.
    """

    def __init__(
        self,
        images: Images,
        backbone: Backbone,
        side: int,
        num: int | None = None,
        cache: Path | None = None,
        *,
        stop: Callable[[], bool] = lambda: False,
        progress: Progress = silent,
    ) -> None:
        self.images, self.backbone, self.side, self.num = images, backbone, side, num
        self.cache, self._stop, self._progress = cache, stop, progress
        self._features: dict[ReferenceSplit, Tensor] = {}

    @property
    def key(self) -> str:
        """Return what numbers of these images depend on."""
        backbone = f"{self.backbone.fingerprint} {self.backbone.resize}"
        return f"{backbone} {self.images.fingerprint} {self.side} px, {self.resizing}"

    @property
    def resizing(self) -> str:
        """Say how the images come to the side."""
        images = self.images
        return resizing_to(self.side, images.side, images.resize_by, images.resizing)

    def parts(self, split: ReferenceSplit) -> list[Tensor]:
        """Return the images of a split, in parts."""
        train, held_out = self.images.train, self.images.held_out
        wholes = {"train": [train], "held-out": [held_out], "all": [train, held_out]}[split]
        return [evenly(whole, self.num or len(whole)) for whole in wholes]

    def count(self, split: ReferenceSplit) -> int:
        """Return how many images a split has."""
        return sum(map(len, self.parts(split)))

    def moments(self, split: ReferenceSplit) -> Moments:
        """Return the moments of a split, from the cache if they are there."""
        if split == "all":
            return self.moments("train").merge(self.moments("held-out"))
        (pixels,) = self.parts(split)
        whole = self.images.train if split == "train" else self.images.held_out
        number = "all" if len(pixels) == len(whole) else len(pixels)

        def compute() -> Moments:
            return embed(self.backbone, self.at_side(pixels), (), stop=self._stop).moments

        return self._kept("moments", f"{self.key}, {number} {WORDS[split]} images", compute)

    def packets(self, split: ReferenceSplit) -> Moments:
        """Return the moments of a split's wavelet packets, from the cache if they are there."""
        if split == "all":
            return self.packets("train").merge(self.packets("held-out"))
        (pixels,) = self.parts(split)

        def compute() -> Moments:
            return reduce(Moments.merge, map(packet_moments, self.at_side(pixels)))

        images = f"{self.images.fingerprint} {self.side} px, {self.resizing}"
        key = f"packets of {images}, {len(pixels)} {WORDS[split]} images"
        return self._kept("packets", key, compute)

    def _kept(self, kind: str, key: str, compute: Callable[[], Moments]) -> Moments:
        def tensors() -> dict[str, Tensor]:
            moments = compute().cpu()
            count = torch.tensor(moments.count, device="cpu")
            return {"count": count, "mean": moments.mean, "scatter": moments.scatter}

        kept = cached(self.cache, kind, key, tensors)
        return Moments(int(kept["count"]), kept["mean"], kept["scatter"])

    def features(self, split: ReferenceSplit) -> Tensor:
        """Return the features of at most 10,000 images of a split, float32 on the CPU."""
        if split not in self._features:
            parts = self.parts(split)
            few = evenly(parts[0], MOST)
            if len(parts) > 1:
                few = torch.cat([*evenly_of_parts(parts, MOST, sum(map(len, parts)))])
            places = even_places(len(few), len(few))
            features = embed(self.backbone, self.at_side(few), (), places, self._stop).features
            assert features is not None
            self._features[split] = features
        return self._features[split]

    def at_side(self, images: Tensor) -> Iterator[Tensor]:
        """Yield images resized to the side, a chunk at a time."""
        done = 0
        for chunk in torch.split(images, CHUNK):
            if self._stop():
                raise Interrupted("stopped while embedding real images; the same command goes on")
            yield resize(chunk.to(self.backbone.device), self.side, self.images.resize_by)
            done += len(chunk)
            self._progress("embedding real images", done, len(images), {})
