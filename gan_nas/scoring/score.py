"""Score anything in one call: choose the real images, the backbone and the protocol's settings."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from gan_nas.data import Images, Preparation, cache_dir, load_images
from gan_nas.errors import Incompatible, InvalidInput
from gan_nas.metrics.backbone import Backbone
from gan_nas.metrics.fid_infinity import SMALLEST
from gan_nas.metrics.loading import load_backbone
from gan_nas.metrics.manifold import Neighbours
from gan_nas.metrics.measures import OF_IMAGES, parse_measures, smallest_number
from gan_nas.metrics.statistics import load_statistics
from gan_nas.networks.weights import Generator
from gan_nas.progress import Progress, silent
from gan_nas.scoring.protocols import PROTOCOLS, Protocol, Scores, find_protocol
from gan_nas.scoring.reference import check_reference, num_features_of, split_for
from gan_nas.scoring.repeated import score_repeatedly
from gan_nas.scoring.scorer import Scorer
from gan_nas.scoring.subject import Subject, open_subject

IMAGES_PER_FEATURE = 5  # fewer leave the covariance of the features too rough to compare
STRAIGHT = 2  # images a feature in the smallest subset: from there on the distance goes as 1 / N

logger = logging.getLogger(__name__)


def score(
    what: Subject | Generator | Tensor | Path | str,
    data: Images | str | None = None,
    *,
    num: int | None = None,
    measures: str | Sequence[str] = "is,fid",
    protocol: str = "default",
    repeats: int = 1,
    seed: int = 0,
    splits: int | None = None,
    backbone: Backbone | str = "classifier",
    precision: str = "float32",
    download: bool = False,
    reference: Path | None = None,
    device: torch.device | str = "cpu",
    cache: Path | None = None,
    stop: Callable[[], bool] = lambda: False,
    progress: Progress = silent,
) -> Scores:
    """Score a generator, or anybody's images, against the real ones of a data set.

    `what` is all that `open_subject` takes, or what it returned. `data` are the real images, or
    the name or path that `load_images` takes; without, they are those of a generator's lineage.
    `num` images count, the protocol's number if it is not given; latents come from `seed` and,
    for `repeats`, from the seeds after it. `reference` is a file of statistics to measure distances
    from. A `backbone` that is a name is loaded as `load_backbone` does, with `precision` and
    `download`. Numbers of real images are kept in `cache`, without one in `cache_dir()`.

    Numbers carry the name of their backbone, and as many real images that were held out are scored
    beside. What may mislead is logged as a warning. Raises InvalidInput for too few images;
    Incompatible where images and reference do not fit.
    """
    chosen = find_protocol(protocol)
    asked = measures if isinstance(measures, str) else ",".join(measures)
    wanted = parse_measures(asked)
    subject = what if isinstance(what, Subject) else open_subject(what, device)
    subject.check_repeats(repeats)
    cache = cache or cache_dir()
    if data is None and needs_images(asked, backbone, reference):
        preparation = subject.preparation(Preparation())
        data = load_images(
            subject.needed_data,
            side=subject.side,
            preparation=preparation,
            stop=stop,
            progress=progress,
        )
        warn_if_changed(subject, data)
    elif isinstance(data, str):
        preparation = subject.preparation(Preparation(), data)
        data = load_images(
            data, side=subject.side, preparation=preparation, stop=stop, progress=progress
        )
    if data is not None:
        data = data.to(device)
        _check_channels(subject, data)

    count = _count(subject, num, None if protocol == "default" else chosen.num_fake)
    num_splits = splits or chosen.num_splits
    neighbours = Neighbours(chosen.precision_neighbours, chosen.density_neighbours)
    least = smallest_number(wanted, num_splits, neighbours)
    if count < least:
        parts = f" in {num_splits} splits" if num_splits > 1 else ""
        raise InvalidInput(f"{count} images are too few for {asked}{parts}; take at least {least}")
    if num is not None and count < num:
        logger.warning("%s holds %s images, not %s", subject.name, f"{count:,}", f"{num:,}")
    if count < chosen.num_fake and (num is None or protocol != "default"):
        logger.warning(
            "the protocol %s asks for %s images and these are %s",
            protocol,
            f"{chosen.num_fake:,}",
            f"{count:,}",
        )

    if isinstance(backbone, str):
        backbone = load_backbone(
            backbone,
            data,
            cache,
            device,
            stop,
            progress,
            precision=precision,
            preprocessing=chosen.preprocessing,
            download=download,
        )
    _warn_if_few(count, backbone, subject, extrapolate="fid-infinity" in wanted)
    statistics = None
    if reference is not None:
        statistics = load_statistics(reference, num_features_of(backbone, subject.side))
        for sentence in check_reference(statistics, backbone, subject.side, str(reference)):
            logger.warning("%s", sentence)
    scorer = Scorer(
        backbone,
        data,
        subject.side,
        num_splits,
        cache=cache,
        measures=wanted,
        shuffle=chosen.shuffle,
        split=chosen.split if data is None else split_for(data, chosen.split),
        neighbours=neighbours,
        statistics=statistics,
        stop=stop,
        progress=progress,
    )
    drawn = subject.num is None
    return score_repeatedly(
        scorer,
        lambda one: _counted(subject.images(count, one, chosen.quantise, stop), count, progress),
        count,
        seed=seed if drawn else None,
        repeats=repeats,
        quantise=chosen.quantise if drawn else "none",
        protocol=protocol if _follows(chosen, count, splits, scorer) else None,
        name=subject.about.genome.title if subject.about else subject.name,
    )


def needs_images(measures: str, backbone: Backbone | str, reference: Path | None) -> bool:
    """Tell whether real images are needed: whoever has a reference may lack them."""
    looked_at = OF_IMAGES & set(parse_measures(measures))
    return reference is None or backbone in ("classifier", "residual") or bool(looked_at)


def warn_if_changed(subject: Subject, images: Images) -> None:
    """Log a warning where the images of a lineage are no longer what they were."""
    if not subject.is_trained_on(images):
        logger.warning("%s is not as it was when this was trained", images.name)


def _check_channels(subject: Subject, images: Images) -> None:
    if subject.channels != images.channels:
        raise Incompatible(
            f"{subject.name} makes images of {subject.channels} channels and {images.name} has "
            f"{images.channels}: score it against the data it was trained on"
        )


def _count(subject: Subject, asked: int | None, protocol: int | None) -> int:
    """Return how many images to score; of images as they are, all but what is asked for."""
    wanted = asked or protocol or subject.num or PROTOCOLS["default"].num_fake
    return wanted if subject.num is None else min(wanted, subject.num)


def _follows(protocol: Protocol, num: int, splits: int | None, scorer: Scorer) -> bool:
    """Tell whether nothing is known to be changed against the protocol."""
    statistics = scorer.statistics
    split = statistics.passport.get("split", scorer.split) if statistics else scorer.split
    same = num == protocol.num_fake and splits in (None, protocol.num_splits)
    prepared = protocol.preprocessing == "tf1" or scorer.backbone.name.startswith("inception")
    return same and prepared and split == scorer.split


def _warn_if_few(num: int, backbone: Backbone, subject: Subject, *, extrapolate: bool) -> None:
    size = (1, subject.channels, subject.side, subject.side)
    num_features = backbone.embed(torch.zeros(size, dtype=torch.uint8, device="cpu"))[0].shape[1]
    enough = IMAGES_PER_FEATURE * num_features
    if num < enough:
        logger.warning(
            "%s images are few for %s features, the distance comes out too high; take at least %s",
            f"{num:,}",
            num_features,
            f"{enough:,}",
        )
    straight = STRAIGHT * SMALLEST * num_features
    if extrapolate and num < straight:
        logger.warning(
            "the line of fid-infinity begins at a tenth of %s images, and bends there for %s "
            "features: it ends too low; take at least %s",
            f"{num:,}",
            num_features,
            f"{straight:,}",
        )


def _counted(batches: Iterable[Tensor], num: int, progress: Progress) -> Iterator[Tensor]:
    done = 0
    for batch in batches:
        yield batch
        done += len(batch)
        progress("scoring images", done, num, {})
