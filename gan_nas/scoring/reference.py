"""Reference statistics: what distances are measured against, made once and checked at each use."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor

from gan_nas.data import DATA_SETS, Images, Preparation, resize
from gan_nas.data.image_stream import ImageStream, PixelHash, open_images
from gan_nas.data.images import AS_THEY_ARE, resizing_to
from gan_nas.errors import Incompatible, Interrupted, InvalidInput, RunFailed, nearest, shorten
from gan_nas.metrics.backbone import Backbone
from gan_nas.metrics.measures import embed
from gan_nas.metrics.statistics import Statistics
from gan_nas.versions import versions

ReferenceSplit = Literal["train", "held-out", "all"]
REFERENCE_SPLITS: tuple[ReferenceSplit, ...] = get_args(ReferenceSplit)

CHUNK = 500  # images at a time, as a scorer takes them: the last digits depend on it
CHUNK_VALUES = 1 << 26  # but no more than 64 MiB of pixels

# What must be equal here and in a passport, and how a sentence calls it.
MUST_FIT = {"weights": "backbone", "resize": "resizing", "image_side": "pixels along a side"}

logger = logging.getLogger(__name__)


def make_statistics(
    backbone: Backbone,
    images: Images | ImageStream,
    *,
    split: str | None = None,
    side: int | None = None,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int, int], None] | None = None,
) -> Statistics:
    """Pass real images through the backbone once and return their statistics and passport.

    `split` is train, held-out or all: None takes the training images of a data set, and all of a
    stream, which has no parts. `side` is what images are resized to first; None leaves them. Of a
    stream one batch at a time is held. `progress` receives the images done and their total.
    Raises RunFailed when features are not finite and Interrupted when `stop` says.
    """
    split = split_of(images, split)
    side = images.side if side is None else side
    batches, num = _batches(images, split)
    pixels = PixelHash()

    def prepared() -> Iterator[Tensor]:
        done = 0
        for batch in batches:
            if stop():
                raise Interrupted("stopped while making statistics: nothing was written")
            if isinstance(images, ImageStream):
                pixels.update(batch)
            yield resize(batch.to(backbone.device), side, images.resize_by)
            done += len(batch)
            if progress is not None:
                progress(done, num)

    moments = embed(backbone, prepared(), (), stop=stop).moments
    if not bool(moments.scatter.isfinite().all()):
        raise RunFailed(f"the backbone {backbone.name} turned {images.name} into NaN or infinity")
    num_features = len(moments.mean)
    if moments.count <= num_features:
        logger.warning(
            "%s images do not fill the covariance of %s features; take more",
            f"{moments.count:,}",
            num_features,
        )
    fingerprint = images.fingerprint if isinstance(images, Images) else pixels.fingerprint
    return Statistics.of(
        moments,
        {
            "backbone": backbone.name,
            "weights": backbone.fingerprint,
            "resize": backbone.resize,
            "features_precision": backbone.precision,
            "image_side": side,
            "image_channels": images.channels,
            "real_resize": _resizing(images, side),
            "num_real": moments.count,
            "reference": images.name,
            "reference_fingerprint": fingerprint,
            "split": split,
            "torch": torch.__version__,
            "gan_nas": versions()["gan_nas"],
        },
    )


def stream_of(data: str, preparation: Preparation) -> ImageStream | None:
    """Open the images of a path as they are, however many; None stands for a data set's name.

    Of the preparation background and filter count.
    """
    path = Path(data).expanduser()
    if data in DATA_SETS or not path.exists():  # which load_images explains
        return None
    stream = open_images(path, preparation.background)
    return replace(stream, resize_by=preparation.resize or "bilinear")


def check_reference(
    statistics: Statistics,
    backbone: Backbone,
    image_side: int,
    source: str = "the reference statistics",
) -> list[str]:
    """Return remarks on what cannot be checked before images are compared with statistics.

    Raises Incompatible when `source` was made by another backbone or resizing, of images of
    another side, or has another number of features. Files of TTUR and pytorch-fid tell none of
    this but the last.
    """
    about = statistics.passport
    here = {
        "weights": backbone.fingerprint,
        "resize": backbone.resize,
        "image_side": image_side,
    }
    different = [name for name in MUST_FIT if name in about and about[name] != here[name]]
    if different:
        made = {**about, "weights": f"{about.get('backbone')} {about.get('weights')}"}
        here["weights"] = f"{backbone.name} {backbone.fingerprint}"
        raise Incompatible(
            f"{source} do not fit: "
            + ", ".join(
                f"{MUST_FIT[name]} {shorten(made[name])} there and {shorten(here[name])} here"
                for name in different
            )
            + "; make statistics anew with this backbone and side"
        )
    there, num_features = len(statistics.mean), num_features_of(backbone, image_side)
    if there != num_features:
        raise Incompatible(
            f"{source} have {there} features and the backbone {backbone.name} {num_features}; make "
            "statistics anew with this backbone"
        )
    unknown = [words for name, words in MUST_FIT.items() if name not in about]
    if statistics.count is None:
        unknown.append("number of images")
    if not unknown:
        return []
    return [
        f"{source} do not tell their {', '.join(unknown)}: that they fit the backbone "
        f"{backbone.name} at {image_side} px could not be checked, beyond their {there} features"
    ]


def num_features_of(backbone: Backbone, image_side: int) -> int:
    """Return how many features the backbone has of images of this side."""
    blank = (1, backbone.channels, image_side, image_side)
    features, _ = backbone.embed(torch.zeros(blank, dtype=torch.uint8, device="cpu"))
    return features.shape[1]


def split_of(images: Images | ImageStream, split: str | None) -> ReferenceSplit:
    """Return the split that is meant; raises InvalidInput for one that there is not."""
    if split is not None and split not in REFERENCE_SPLITS:
        known = [str(name) for name in REFERENCE_SPLITS]
        hint = nearest(split, known) or f"; there are {', '.join(known)}"
        raise InvalidInput(f"unknown split {split!r}{hint}")
    if isinstance(images, ImageStream):
        if split not in (None, "all"):
            raise InvalidInput(
                f"{images.name} has no split {split!r}: images that are no data set are all taken"
            )
        return "all"
    return REFERENCE_SPLITS[REFERENCE_SPLITS.index(split)] if split else "train"


def split_for(images: Images, protocol: ReferenceSplit) -> ReferenceSplit:
    """Return what a protocol's split is of these images.

    Where a data set comes in parts, these are meant. A folder that has none was only cut by us:
    all of it is the reference, unless the protocol wants what is held out.
    """
    return "all" if protocol == "train" and not images.has_splits else protocol


def _batches(images: Images | ImageStream, split: ReferenceSplit) -> tuple[Iterator[Tensor], int]:
    if isinstance(images, ImageStream):
        num_values = images.channels * images.side**2
        return images.batches(min(CHUNK, max(1, CHUNK_VALUES // num_values))), images.num
    parts = {
        "train": [images.train],
        "held-out": [images.held_out],
        "all": [images.train, images.held_out],
    }[split]
    return chain.from_iterable(torch.split(p, CHUNK) for p in parts), sum(map(len, parts))


def _resizing(images: Images | ImageStream, side: int) -> str:
    """Say how real images came to their side."""
    known = images.resizing if isinstance(images, Images) else AS_THEY_ARE
    return resizing_to(side, images.side, images.resize_by, known)
