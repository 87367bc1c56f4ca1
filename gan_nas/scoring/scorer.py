"""Scores of generated images: which generator is better, by which measure, against what."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from gan_nas.data import Images
from gan_nas.errors import Incompatible, InvalidInput
from gan_nas.metrics.backbone import Backbone
from gan_nas.metrics.cache import cached
from gan_nas.metrics.evenly import even_places, evenly
from gan_nas.metrics.fid_infinity import NUM_SIZES
from gan_nas.metrics.frechet import FrechetReference
from gan_nas.metrics.kid import NUM_SUBSETS, usable_subset_size
from gan_nas.metrics.manifold import Neighbours
from gan_nas.metrics.measures import (
    FRECHET,
    MOST,
    OF_IMAGES,
    PAIRWISE,
    PAPERS,
    SEED,
    USUAL,
    Embedded,
    Measure,
    deviations_of,
    embed,
    smallest_number,
    values_of,
)
from gan_nas.metrics.mind import NUM_DIRECTIONS
from gan_nas.metrics.moments import Moments
from gan_nas.metrics.statistics import Statistics
from gan_nas.metrics.wavelets import levels_for
from gan_nas.progress import Progress, silent
from gan_nas.scoring.protocols import Compared, Comparison, Passport, Quantise
from gan_nas.scoring.real_images import RealImages
from gan_nas.scoring.reference import ReferenceSplit
from gan_nas.versions import versions

SMALLEST_SPLIT = 10  # of few images: a score of fewer says nothing
DEVIATION = "deviation of"  # what begins the names of deviations in the cache


class Scorer:
    """Scores uint8 images of `side` pixels against real images at that side.

    Real and fake images have this side first, then the backbone's. The distance's reference
    (moments and root) is computed once: of the `split` of `images`, or of `num_reference` of them,
    evenly spaced; or it is `statistics`, beside which images are optional. The numbers of real
    images are kept in the folder `cache`. One pass gives all `measures`. Passes over images
    end with Interrupted when `stop` says.

    What a perfect generator reaches is told by real images that are not of the reference: those
    held out, or the training images where the held-out ones are the reference. Where all are the
    reference, both kinds of images are compared with the training images instead. Nearly every
    measure depends on the number of images, so that as many real as generated ones are scored,
    evenly spaced; where fewer are held out, as many generated ones are scored once more. Real
    images drawn again and again until they are enough would not do: what is missing in a small
    set stays missing, and the distance of its copies too high.
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
        split: ReferenceSplit = "train",
        neighbours: Neighbours = PAPERS,
        statistics: Statistics | None = None,
        stop: Callable[[], bool] = lambda: False,
        progress: Progress = silent,
    ) -> None:
        if not backbone.labelled and set(measures) == {"is"}:
            raise InvalidInput(
                f"the backbone {backbone.name} knows no classes, so that no score can be made of "
                "its logits; ask for fid, too"
            )
        if images is None and (statistics is None or OF_IMAGES & set(measures)):
            raise InvalidInput(
                f"{', '.join(measures)} cannot be made of statistics alone: name the real images"
            )
        self.backbone, self.side = backbone, side
        self._real_images: RealImages | None = None
        if images is not None:
            self._real_images = RealImages(
                images, backbone, side, num_reference, cache, stop=stop, progress=progress
            )
        self.num_splits, self.shuffle, self.split = num_splits, shuffle, split
        self.cache, self.measures, self.statistics = cache, tuple(measures), statistics
        self.neighbours, self._stop = neighbours, stop
        self._reference: FrechetReference | None = None
        if FRECHET & set(measures):
            self._reference = FrechetReference(statistics or self._known.moments(split))

    @property
    def num_real(self) -> int | None:
        """Return the number of reference images, None where a file does not tell."""
        if self.statistics is not None:
            return self.statistics.count
        return self._known.count(self.split)

    @property
    def images(self) -> Images:
        """Return the real images."""
        return self._known.images

    @property
    def _known(self) -> RealImages:
        assert self._real_images is not None
        return self._real_images

    def num_compared(self, num: int) -> int:
        """Return how many real images can stand beside `num` generated ones; 0 without images."""
        return 0 if self._real_images is None else min(num, len(self._others))

    def real(self, num: int) -> dict[str, float]:
        """Return the scores of `num_compared(num)` real images: what a perfect generator reaches.

        Measures that they are too few for are left out.
        """
        return self._real(num, deviations=False)[0]

    def score(self, batches: Iterable[Tensor]) -> dict[str, float]:
        """Return the measures by name: a score (labelled backbones only) and a distance, usually.

        Raises RunFailed when a feature or logit is not finite.
        """
        fake = embed(self.backbone, self._checked(batches), self.measures, stop=self._stop)
        return self._values(fake, self.measures, self.num_splits, self._reference, self.split)

    def score_few(self, batches: Iterable[Tensor], num: int) -> dict[str, float]:
        """Score images, `num_compared(num)` of them, as `real(num)` does real ones."""
        few = embed(self.backbone, self._checked(batches), self._possible(num), stop=self._stop)
        return self._beside(few, num, deviations=False)[0]

    def compared(
        self,
        num: int,
        values: Mapping[str, float],
        generate: Callable[[int], Iterable[Tensor]],
    ) -> Compared:
        """Score as many of `num` images as there are real ones to stand beside them.

        `values` are the scores of all, taken where real ones are enough; else fewer images are
        made by `generate`.
        """
        size = self.num_compared(num)
        if size < num:
            values = self.score_few(generate(size), num)
        return Compared(num=size, scores=dict(values))

    def compare(
        self, batches: Iterable[Tensor], num: int, *, deviations: bool = True
    ) -> tuple[dict[str, float], Comparison | None]:
        """Score `num` images as `score` does and, in the same pass, beside real ones.

        The comparison is None without real images that are not of the reference.
        """
        size = self.num_compared(num)
        if size < 2:
            return self.score(batches), None
        places = even_places(size, num)
        fake = embed(self.backbone, self._checked(batches), self.measures, places, self._stop)
        if fake.moments.count != num:
            raise InvalidInput(
                f"{fake.moments.count} images came, not the {num} announced; announce as many as "
                "come"
            )
        assert fake.features is not None
        features = evenly(fake.features, size)
        values = self._values(fake, self.measures, self.num_splits, self._reference, self.split)
        logits = None if fake.logits is None else evenly(fake.logits, size)
        few = Embedded(Moments.of(features), logits, features, fake.few_packets)
        generated, own = self._beside(few, num, deviations=deviations)
        real, theirs = self._real(num, deviations=deviations)
        return values, Comparison(
            num=size,
            num_real=self._num_beside,
            generated=generated,
            generated_deviations=own,
            real=real,
            real_deviations=theirs,
        )

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
        split: str = self.split
        if self.statistics is not None:
            about = self.statistics.passport
            name = str(about.get("reference", "a file of statistics"))
            split = self._split_of_file or "unknown"
            resizing = str(about.get("real_resize", "unknown"))
            fingerprint = self.statistics.fingerprint
            if OF_IMAGES & set(self.measures):  # these look at the images themselves
                fingerprint += f" and {self.images.fingerprint}"
        else:
            name, fingerprint = self.images.name, self.images.fingerprint
            resizing = self._known.resizing
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
            **self._settings(num_fake),
            torch=torch.__version__,
            gan_nas=versions()["gan_nas"],
        )

    def _settings(self, num_fake: int) -> dict[str, int]:
        """Return the settings of the measures that are made."""
        measures = set(self.measures)
        settings: dict[str, int] = {}
        if PAIRWISE & measures:
            settings["pairwise_images"] = MOST
        if "kid" in measures:
            num_real = min(MOST, self._known.count(self.split))
            settings["kid_subset_size"] = usable_subset_size(num_real, num_fake)
            settings["kid_subsets"] = NUM_SUBSETS
        if "prdc" in measures:
            settings["precision_neighbours"] = self.neighbours.precision
            settings["density_neighbours"] = self.neighbours.density
        if "fid-infinity" in measures:
            settings["fid_infinity_sizes"] = NUM_SIZES
        if "mind" in measures:
            settings["mind_directions"] = NUM_DIRECTIONS
        if "fwd" in measures:
            settings["fwd_levels"] = levels_for(self.side)
        if self.shuffle or {"kid", "fid-infinity", "mind"} & measures:
            settings["draws_seed"] = SEED
        return settings

    @property
    def _split_of_file(self) -> str | None:
        """Return what a file says of its images; None where it says nothing, or there is none."""
        told = self.statistics.passport.get("split") if self.statistics is not None else None
        return None if told is None else str(told)

    @property
    def _split_of_reference(self) -> str:
        """Return the images of the reference; of a file that says nothing those asked for."""
        return self._split_of_file or self.split

    @property
    def _others(self) -> Tensor:
        """Return the real images that are not of the reference."""
        held_out_is_reference = self._split_of_reference == "held-out"
        return self.images.train if held_out_is_reference else self.images.held_out

    @cached_property
    def _reference_beside(self) -> FrechetReference | None:
        """Return what generated and real images are both compared with."""
        if self._reference is None or self._split_of_reference != "all":
            return self._reference
        return FrechetReference(self._known.moments("train"))

    @property
    def _split_beside(self) -> ReferenceSplit:
        """Return the images that features are compared with beside real ones, not these again."""
        return "held-out" if self._split_of_reference == "held-out" else "train"

    @property
    def _num_beside(self) -> int | None:
        return self._known.count("train") if self._split_of_reference == "all" else self.num_real

    def _real(self, num: int, *, deviations: bool) -> tuple[dict[str, float], dict[str, float]]:
        size = self.num_compared(num)
        if size < 2:
            return {}, {}
        images = evenly(self._others, size)
        against: object = self._num_beside
        if self.statistics is not None and self._split_of_reference != "all":
            against = self.statistics.fingerprint
        key = (
            f"{self._known.key}, {size} of {len(self._others)}, {self._split_of_reference} as "
            f"reference, {self._split_beside} beside, {self._splits(size)} splits, against "
            f"{against}, {self.shuffle}, "
            f"{self.measures}, {tuple(self.neighbours)}, {deviations}"
        )

        def compute() -> dict[str, Tensor]:
            places = even_places(size, size)
            few = embed(
                self.backbone, self._known.at_side(images), self._possible(num), places, self._stop
            )
            values, own = self._beside(few, num, deviations=deviations)
            named = values | {f"{DEVIATION} {name}": value for name, value in own.items()}
            return {
                name: torch.tensor(value, dtype=torch.float64, device="cpu")
                for name, value in named.items()
            }

        found = {n: float(v) for n, v in cached(self.cache, "real", key, compute).items()}
        own = {n.removeprefix(f"{DEVIATION} "): v for n, v in found.items() if DEVIATION in n}
        return {n: v for n, v in found.items() if DEVIATION not in n}, own

    def _beside(
        self, few: Embedded, num: int, *, deviations: bool
    ) -> tuple[dict[str, float], dict[str, float]]:
        """Score as many images as stand beside `num` generated ones; add deviations if asked."""
        size = self.num_compared(num)
        measures, splits = self._possible(num), self._splits(size)
        reference = self._reference_beside
        values = self._values(few, measures, splits, reference, self._split_beside)
        if not deviations or size < 3:
            return values, {}
        own = deviations_of(
            few, self.backbone, measures, reference, splits=splits, shuffle=self.shuffle
        )
        return values, own

    def _splits(self, size: int) -> int:
        """Return the splits of so few images: one where the splits would be too small."""
        return self.num_splits if size >= SMALLEST_SPLIT * self.num_splits else 1

    def _possible(self, num: int) -> tuple[Measure, ...]:
        size = self.num_compared(num)
        splits = self._splits(size)
        return tuple(
            measure
            for measure in self.measures
            if smallest_number([measure], splits, self.neighbours) <= size
        )

    def _values(
        self,
        images: Embedded,
        measures: Sequence[Measure],
        splits: int,
        reference: FrechetReference | None,
        split: ReferenceSplit,
    ) -> dict[str, float]:
        return values_of(
            images,
            self.backbone,
            measures,
            reference,
            self._known.features(split) if PAIRWISE & set(measures) else None,
            splits=splits,
            shuffle=self.shuffle,
            neighbours=self.neighbours,
            real_packets=self._known.packets(split) if "fwd" in measures else None,
        )

    def _checked(self, batches: Iterable[Tensor]) -> Iterator[Tensor]:
        for batch in batches:
            if batch.shape[-1] != self.side:
                raise Incompatible(
                    f"images of {batch.shape[-1]} px cannot be scored against real images at "
                    f"{self.side} px; make a scorer for their side"
                )
            yield batch
